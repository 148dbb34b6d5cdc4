//! What a run prints: a table for people, JSON for programs.

use std::fmt::{self, Write as _};

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde::Serialize;
use serde_json::{Map, Value};

use super::stats::{Counts, Latency, Summary};
use crate::cli::Format;
use crate::output;

/// Everything that a run has to say. The names of the fields are an interface.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// `ipmi` or `redfish`.
    pub protocol: &'static str,
    /// What was driven.
    pub targets: Vec<String>,
    /// How: the options that matter for a comparison.
    pub parameters: Map<String, Value>,
    /// How long the measured part lasted.
    pub seconds: f64,
    /// The kinds of operations, by name.
    pub operations: Vec<Operation>,
    /// Requests that had to be sent again.
    pub retransmits: u64,
    /// What went wrong, by the message.
    pub errors: Counts,
    /// Answers by completion code or HTTP status.
    pub statuses: Counts,
    /// Sessions or connections that could not be opened, or stopped because of failures in a row.
    pub gave_up: u32,
    /// What the same clients reach against something that does nothing but answer.
    pub floor: Option<Floor>,
    /// Why the run counts as failed; absent when it went well.
    pub failure: Option<String>,
}

/// One kind of operation.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Operation {
    /// Its name.
    pub name: &'static str,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Summary,
}

/// The comparison with a bare answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Floor {
    /// What it is.
    pub what: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Summary,
    /// The target's operations per second divided by the floor's.
    pub ratio: f64,
}

impl Report {
    /// The main operation: the last kind, which includes the others where there are several.
    pub(crate) fn main_operation(&self) -> Option<&Operation> {
        self.operations.last()
    }

    /// Decides whether the run counts as failed: when nothing went well, or a worker gave up.
    pub(crate) fn judge(&mut self) {
        let good = self.main_operation().map_or(0, |operation| operation.figures.ok);
        self.failure = if good == 0 {
            Some("nothing went well".to_owned())
        } else if self.gave_up > 0 {
            Some(format!("{} sessions or connections gave up", self.gave_up))
        } else {
            None
        };
    }

    /// The text to print.
    ///
    /// # Errors
    /// When it cannot be put into this form; no report has been seen to do that.
    pub(crate) fn render(&self, format: Format) -> anyhow::Result<String> {
        Ok(match format {
            Format::Json => output::json(self)?,
            Format::Table => self.table()?,
        })
    }

    fn table(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        writeln!(out, "{} {}, {:.2} s", self.protocol, shorten(&self.targets), self.seconds)?;
        let parameters: Vec<String> =
            self.parameters.iter().map(|(key, value)| format!("{key} {}", plain(value))).collect();
        writeln!(out, "{}\n", parameters.join(", "))?;

        let mut table = Table::new();
        table.load_style(NOTHING).set_header([
            "operation",
            "ok",
            "failed",
            "/s",
            "min",
            "mean",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
        ]);
        for operation in &self.operations {
            table.add_row(row(operation.name, &operation.figures));
        }
        if let Some(floor) = &self.floor {
            table.add_row(row(&floor.what, &floor.figures));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(out, "{}", table.trim_fmt())?;

        if let (Some(floor), Some(main)) = (&self.floor, self.main_operation()) {
            writeln!(out, "\n{} per second are {:.3} of {}", main.name, floor.ratio, floor.what)?;
        }
        if self.retransmits > 0 {
            writeln!(out, "\nsent again: {}", self.retransmits)?;
        }
        for (heading, counts) in [("answers", &self.statuses), ("errors", &self.errors)] {
            if !counts.is_empty() {
                writeln!(out, "\n{heading}:")?;
                for (what, count) in counts.iter() {
                    writeln!(out, "  {count:>9}  {what}")?;
                }
            }
        }
        if let Some(failure) = &self.failure {
            writeln!(out, "\nfailed: {failure}")?;
        }
        Ok(out)
    }
}

/// A parameter as people write it: texts without quotation marks.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The first target, and how many more there are.
fn shorten(targets: &[String]) -> String {
    match targets {
        [] => String::new(),
        [only] => only.clone(),
        [first, others @ ..] => format!("{first} and {} more", others.len()),
    }
}

fn row(name: &str, figures: &Summary) -> Vec<String> {
    let mut cells = vec![
        name.to_owned(),
        figures.ok.to_string(),
        figures.failed.to_string(),
        format!("{:.0}", figures.per_second),
    ];
    match &figures.latency_us {
        Some(Latency { min, mean, p50, p90, p99, p999, max }) => {
            cells.extend([min, mean, p50, p90, p99, p999, max].map(|us| time(*us)));
        }
        None => cells.extend(std::iter::repeat_n("-".to_owned(), 7)),
    }
    cells
}

/// Microseconds in the unit that reads best, three digits or so.
fn time(us: f64) -> String {
    match us {
        ..1e3 => format!("{us:.0}us"),
        1e3..1e4 => format!("{:.2}ms", us / 1e3),
        1e4..1e5 => format!("{:.1}ms", us / 1e3),
        1e5..1e6 => format!("{:.0}ms", us / 1e3),
        _ => format!("{:.2}s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::stats::Series;

    fn report(good: u32) -> Report {
        let mut series = Series::new();
        (0..good).for_each(|_| series.ok(Duration::from_micros(1500)));
        let mut report = Report {
            protocol: "ipmi",
            targets: vec!["127.0.0.1:6230".into(), "127.0.0.1:6231".into()],
            parameters: Map::from_iter([("sessions".to_owned(), Value::from(4))]),
            seconds: 2.0,
            operations: vec![Operation { name: "status", figures: series.summary(Duration::from_secs(2)) }],
            retransmits: 7,
            errors: Counts::default(),
            statuses: Counts::default(),
            gave_up: 0,
            floor: None,
            failure: None,
        };
        report.judge();
        report
    }

    #[test]
    fn the_table_says_what_matters() {
        let text = report(10).render(Format::Table).unwrap();
        for part in ["127.0.0.1:6230 and 1 more", "sessions 4", "1.50ms", "sent again: 7"] {
            assert!(text.contains(part), "no {part} in:\n{text}");
        }
        assert!(!text.contains("failed:"), "{text}");
    }

    #[test]
    fn the_json_form_has_the_figures_flat_beside_the_name() {
        let json: Value = serde_json::from_str(&report(10).render(Format::Json).unwrap()).unwrap();
        assert_eq!(json["operations"][0]["name"], "status");
        assert_eq!(json["operations"][0]["ok"], 10);
        assert_eq!(json["operations"][0]["per_second"], 5.0);
        assert_eq!(json["failure"], Value::Null);
    }

    #[test]
    fn a_run_without_a_success_has_failed() {
        assert!(report(0).render(Format::Table).unwrap().contains("failed: nothing went well"));
        let mut tired = report(1);
        tired.gave_up = 2;
        tired.judge();
        assert!(tired.failure.unwrap().contains("2 sessions"));
    }
}
