//! What the runs said, as tables.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::peers::FLEET_MACHINES;
use super::{LOGIN_COUNT, LOGIN_SESSIONS, MANY};

/// The main operation of one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    failed: u64,
    /// Part of what a bare answer reaches, where it was measured beside.
    floor_ratio: Option<f64>,
    /// The length of an answer, where the report says it.
    bytes: Option<u64>,
}

/// One line of the IPMI tables.
#[derive(Debug)]
pub(super) struct IpmiRow {
    pub name: &'static str,
    pub suite: String,
    pub one: Run,
    pub many: Run,
    pub logins: Run,
}

/// One line of the Redfish table.
#[derive(Debug)]
pub(super) struct RedfishRow {
    pub name: &'static str,
    pub tls: bool,
    pub one: Run,
    pub many: Run,
    /// A connection for each GET.
    pub fresh: Run,
}

/// One line of the fleet's table.
#[derive(Debug)]
pub(super) struct FleetRow {
    pub name: &'static str,
    pub one: Run,
    pub many: Run,
}

/// All that was measured.
#[derive(Debug)]
pub(super) struct Tables {
    pub ipmi: Vec<IpmiRow>,
    pub redfish: Vec<RedfishRow>,
    pub fleet: Vec<FleetRow>,
    pub seconds: u32,
}

impl Run {
    /// Reads the report of `polybmc bench -o json`: its last operation is the main one.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let report: Value = serde_json::from_str(text).context("the run has no JSON report")?;
        let main = report["operations"].as_array().and_then(|all| all.last()).context("no operation")?;
        let number =
            |value: &Value, what: &str| value.as_f64().with_context(|| format!("no {what} in the report"));
        Ok(Self {
            per_second: number(&main["per_second"], "rate")?,
            p50_us: number(&main["latency_us"]["p50"], "p50")?,
            p99_us: number(&main["latency_us"]["p99"], "p99")?,
            failed: main["failed"].as_u64().context("no failures in the report")?,
            floor_ratio: report["floor"]["ratio"].as_f64(),
            bytes: report["parameters"]["bytes"].as_u64(),
        })
    }

    /// Whether the answer is at least so long.
    pub(super) fn answers_at_least(&self, bytes: u64) -> bool {
        self.bytes.is_some_and(|answered| answered >= bytes)
    }

    /// For the terminal while the runs go on.
    pub(super) fn line(&self) -> String {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!("{:.0}/s, p50 {}, p99 {}{failed}", self.per_second, time(self.p50_us), time(self.p99_us))
    }

    fn cells(&self) -> String {
        let failed = if self.failed > 0 { format!(" ({} failed)", self.failed) } else { String::new() };
        format!("{}{failed} | {} | {}", thousands(self.per_second), time(self.p50_us), time(self.p99_us))
    }

    fn floor(&self) -> String {
        self.floor_ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0))
    }

    /// How many times quicker than the reference. By the median, because the rate of a run with failures is mostly that
    /// of the time-outs.
    fn quicker_than(&self, reference: &Self) -> String {
        format!("{:.1}", reference.p50_us / self.p50_us)
    }

    fn times(&self, reference: &Self) -> String {
        format!("{:.2}", self.per_second / reference.per_second)
    }
}

/// All tables, as Markdown. In those that compare, the last line is what the others are compared with.
pub(super) fn tables(measured: &Tables) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_tables(&mut out, measured);
    let _ = write_fleet(&mut out, &measured.fleet);
    out
}

fn write_fleet(out: &mut String, fleet: &[FleetRow]) -> std::fmt::Result {
    writeln!(
        out,
        "\n### Redfish: the root over {} simulated machines\n",
        thousands(f64::from(FLEET_MACHINES))
    )?;
    writeln!(
        out,
        "| operation | bytes of an answer | 1 connection: /s | p50 | p99 | of a bare answer | {MANY} connections: /s | p50 | p99 | of a bare answer |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|")?;
    for row in fleet {
        #[expect(clippy::cast_precision_loss, reason = "an answer is no longer than 64 MiB")]
        let bytes = row.one.bytes.map_or_else(|| "-".to_owned(), |bytes| thousands(bytes as f64));
        let (one, many) = (&row.one, &row.many);
        writeln!(
            out,
            "| {} | {bytes} | {} | {} | {} | {} |",
            row.name,
            one.cells(),
            one.floor(),
            many.cells(),
            many.floor()
        )?;
    }
    Ok(())
}

fn write_tables(out: &mut String, measured: &Tables) -> std::fmt::Result {
    let Tables { ipmi, redfish, seconds, .. } = measured;
    writeln!(out, "Each figure by duration was taken over {seconds} s.\n")?;
    writeln!(out, "### IPMI: Get Chassis Status in a kept session\n")?;
    writeln!(
        out,
        "| BMC | suite | 1 session: commands/s | p50 | p99 | {MANY} sessions: commands/s | p50 | p99 | of a bare UDP echo | times VirtualBMC |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|")?;
    if let Some(reference) = ipmi.last() {
        for row in ipmi {
            let (one, many, floor) = (row.one.cells(), row.many.cells(), row.many.floor());
            let times = row.many.times(&reference.many);
            writeln!(out, "| {} | {} | {one} | {many} | {floor} | {times} |", row.name, row.suite)?;
        }
        writeln!(
            out,
            "\n### IPMI: login, Get Chassis Status, logout, {LOGIN_SESSIONS} at a time, {LOGIN_COUNT} in all\n"
        )?;
        writeln!(out, "| BMC | suite | rounds/s | p50 | p99 | p50 of VirtualBMC, divided by this one |")?;
        writeln!(out, "|---|---|---|---|---|---|")?;
        for row in ipmi {
            let (logins, times) = (row.logins.cells(), row.logins.quicker_than(&reference.logins));
            writeln!(out, "| {} | {} | {logins} | {times} |", row.name, row.suite)?;
        }
    }
    writeln!(out, "\n### Redfish: GET of a System\n")?;
    writeln!(
        out,
        "| service | TLS | 1 connection: GET/s | p50 | p99 | {MANY} connections: GET/s | p50 | p99 | of a bare answer | times sushy-emulator | {LOGIN_SESSIONS} at a time, a connection each: GET/s |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|---|---|")?;
    if let Some(reference) = redfish.last() {
        for row in redfish {
            let (one, many, floor) = (row.one.cells(), row.many.cells(), row.many.floor());
            let (tls, times) = (if row.tls { "yes" } else { "no" }, row.many.times(&reference.many));
            let fresh = thousands(row.fresh.per_second);
            writeln!(out, "| {} | {tls} | {one} | {many} | {floor} | {times} | {fresh} |", row.name)?;
        }
    }
    Ok(())
}

/// Microseconds in the unit that reads best.
fn time(us: f64) -> String {
    if us < 1000.0 { format!("{us:.0} us") } else { format!("{:.1} ms", us / 1000.0) }
}

/// A whole number with commas.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"operations": [
        {"name": "login", "ok": 1, "failed": 0, "per_second": 9.0, "latency_us": {"p50": 1.0, "p99": 2.0}},
        {"name": "status", "ok": 9, "failed": 3, "per_second": 12345.6, "latency_us": {"p50": 70.4, "p99": 1250.0}}
    ], "floor": {"ratio": 0.25}}"#;

    #[test]
    fn the_last_operation_of_a_report_is_the_main_one() {
        let run = Run::parse(REPORT).unwrap();
        assert_eq!(run.cells(), "12,346 (3 failed) | 70 us | 1.2 ms");
        assert_eq!(run.floor(), "25.0 %");
        assert!(run.line().contains("3 failed"), "{}", run.line());
    }

    #[test]
    fn a_report_without_figures_is_an_error() {
        for text in ["", "{}", r#"{"operations": []}"#, r#"{"operations": [{"latency_us": null}]}"#] {
            assert!(Run::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ratios_are_to_the_last_line() {
        let run = |per_second| Run {
            per_second,
            p50_us: 1.0,
            p99_us: 1.0,
            failed: 0,
            floor_ratio: None,
            bytes: Some(4321),
        };
        let row =
            |name, rate| RedfishRow { name, tls: false, one: run(rate), many: run(rate), fresh: run(rate) };
        let redfish = vec![row("fast", 300.0), row("slow", 200.0)];
        let fleet = vec![FleetRow { name: "GET", one: run(20.0), many: run(1000.0) }];
        let text = tables(&Tables { ipmi: Vec::new(), redfish, fleet, seconds: 5 });
        assert!(text.contains("| GET | 4,321 | 20 | 1 us | 1 us | - | 1,000 | 1 us | 1 us | - |"), "{text}");
        assert!(
            text.contains("| fast | no | 300 | 1 us | 1 us | 300 | 1 us | 1 us | - | 1.50 | 300 |"),
            "{text}"
        );
        assert!(text.contains("- | 1.00 | 200 |"), "{text}");
    }

    #[test]
    fn rounds_are_compared_by_their_median() {
        let run = |per_second, p50_us| Run {
            per_second,
            p50_us,
            p99_us: 1.0,
            failed: 0,
            floor_ratio: None,
            bytes: None,
        };
        assert_eq!(run(1.0, 200.0).quicker_than(&run(1.0, 500.0)), "2.5");
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!([0.4, 999.0, 1000.0, 1_234_567.0].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
