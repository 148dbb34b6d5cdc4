//! DMTF's validators as judges: `tests/python/judge.py` runs one of them, and every finding that is no pass has to be explained.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use testkit::python;

use crate::lab::{Lab, PASSWORD, USER};

/// How long one run may take; it takes seconds.
const LIMIT: Duration = Duration::from_secs(280);
/// Findings shown of a run that failed.
const SHOWN_MAX: usize = 60;

/// A finding that is no pass, and why it is as it should be.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// `WARN`, `SKIP` for what was not tested, `FAIL`.
    pub result: &'static str,
    /// What was looked at: a property, an assertion, a test. A `*` stands for anything.
    pub what: &'static str,
    /// What the validator says of it, in any place of the message.
    pub message: &'static str,
    /// Why.
    pub why: &'static str,
}

/// A row of a table of accepted warnings.
pub const fn warning(what: &'static str, message: &'static str, why: &'static str) -> Accepted {
    Accepted { result: "WARN", what, message, why }
}

/// A row of a table of what is not tested.
pub const fn untested(what: &'static str, message: &'static str, why: &'static str) -> Accepted {
    Accepted { result: "SKIP", what, message, why }
}

/// A row of a table of what the validator calls a failure and configuration asks for.
pub const fn failure(what: &'static str, message: &'static str, why: &'static str) -> Accepted {
    Accepted { result: "FAIL", what, message, why }
}

/// One run of a validator.
#[derive(Debug, Clone)]
#[must_use]
pub struct Judge {
    name: &'static str,
    options: Vec<String>,
}

impl Judge {
    /// Redfish-Service-Validator: every resource against the schemas.
    pub fn service() -> Self {
        Self { name: "service", options: Vec::new() }
    }

    /// Redfish-Protocol-Validator: DSP0266's assertions about requests and answers. Changes accounts and sessions.
    pub fn protocol() -> Self {
        Self { name: "protocol", options: Vec::new() }
    }

    /// Redfish-Interop-Validator: a profile.
    pub fn interop(profile: &str) -> Self {
        Self { name: "interop", options: vec!["--profile".to_owned(), profile.to_owned()] }
    }

    /// Redfish-Use-Case-Checkers: accounts, power, boot overrides, network, query options, tried out. Changes what it tries.
    pub fn use_cases() -> Self {
        Self { name: "use-cases", options: Vec::new() }
    }

    /// Use cases without those of boot overrides, which restart with grace whatever state the operating system is in.
    pub fn use_cases_but_boot() -> Self {
        let tests = ["AccountManagement", "PowerControl", "ManagerEthernetInterfaces", "QueryParameters"];
        let options = [&["--tests"][..], &tests].concat().into_iter().map(str::to_owned).collect();
        Self { name: "use-cases", options }
    }

    /// Logs in with every request instead of once.
    pub fn with_basic_login(mut self) -> Self {
        self.options.extend(["--auth".to_owned(), "Basic".to_owned()]);
        self
    }

    /// Judges the service behind `root`, and fails the test unless nothing fails and all that is no pass is in the table. Over
    /// https the certificate is checked against the daemon's own.
    ///
    /// # Panics
    /// When there are findings, or the validator did not get to the end.
    #[track_caller]
    pub fn acquits(&self, lab: &Lab, root: &str, accepted: &[Accepted]) {
        let report = self.run(lab, root);
        let findings = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let open: Vec<&Value> = findings.iter().filter(|finding| !is_accepted(finding, accepted)).collect();
        let passed = report["counts"]["PASS"].as_u64().unwrap_or(0);
        let mut shown = String::new();
        for finding in open.iter().take(SHOWN_MAX) {
            let text = |key: &str| finding[key].as_str().unwrap_or_default();
            let _ = writeln!(
                shown,
                "{:4} {}\n     {}\n     {}",
                text("result"),
                text("what"),
                text("where"),
                text("message")
            );
        }
        assert!(
            open.is_empty(),
            "{} of {root}, {}: {} findings to explain\n{shown}",
            self.name,
            report["counts"],
            open.len()
        );
        // It ends with 1 also for a failure that the table has.
        let failed = findings.iter().any(|finding| finding["result"] == "FAIL");
        assert!(
            passed > 0 && report["exit"] == u64::from(failed),
            "{} of {root} did not get to the end: {report}",
            self.name
        );
    }

    #[track_caller]
    fn run(&self, lab: &Lab, root: &str) -> Value {
        let work = tempfile::tempdir().expect("a temporary folder can be made");
        let tool = python::script("judge.py").args([self.name, root, USER, PASSWORD]);
        let tool = tool.arg("--data").arg(published()).arg("--work").arg(work.path()).args(&self.options);
        let tool = match root.starts_with("https:") {
            true => tool.arg("--ca").arg(lab.certificate()),
            false => tool,
        };
        // They would overrule what the validator is told.
        let tool = tool.without_env("REQUESTS_CA_BUNDLE").without_env("CURL_CA_BUNDLE").limit(LIMIT);
        let ran = tool.run();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error} in what it printed: {ran}"))
    }
}

fn is_accepted(finding: &Value, accepted: &[Accepted]) -> bool {
    let text = |key: &str| finding[key].as_str().unwrap_or_default();
    let result = if text("result") == "NOT_TESTED" { "SKIP" } else { text("result") };
    accepted.iter().any(|row| {
        row.result == result && matches(row.what, text("what")) && text("message").contains(row.message)
    })
}

/// Whether a text is as the pattern, in which a `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            starts.into_iter().any(|at| rest.get(at..).is_some_and(|rest| matches(tail, rest)))
        }),
    }
}

/// The folder with DMTF's published files.
fn published() -> PathBuf {
    let folder = std::env::var_os("POLYBMC_REDFISH_DATA").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.join("csdl").is_dir() && folder.join("profiles").is_dir());
    folder.expect(
        "POLYBMC_REDFISH_DATA must name a folder with DMTF's published csdl/ and with profiles/ (DSP8010, and the interoperability \
         profiles of OpenStack Ironic and of OCP); `cargo xtask test` sets it",
    )
}

impl Lab {
    /// The certificate that the daemon made for itself and serves everything with, which clients may trust.
    ///
    /// # Panics
    /// When there is none, or there are several.
    pub fn certificate(&self) -> PathBuf {
        let files =
            std::fs::read_dir(self.daemon.state_dir().join("tls")).expect("the daemon keeps a certificate");
        let files = files.flatten().map(|entry| entry.path());
        let is_certificate = |path: &Path| path.extension().is_some_and(|extension| extension == "crt");
        let found: Vec<PathBuf> = files.filter(|path| is_certificate(path)).collect();
        assert_eq!(found.len(), 1, "one certificate for one address: {found:?}");
        found.into_iter().next().expect("there is one")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_stands_for_anything_between_its_ends() {
        for (pattern, text, wanted) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c*e", "abcde", true),
            ("a*c", "abcd", false),
            ("b*", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn only_what_the_table_has_is_accepted() {
        let table = [warning("System/*LED", "deprecated", "Ironic"), untested("PROTO_*", "", "never")];
        let finding =
            |result: &str, what: &str| json!({"result": result, "what": what, "message": "it is deprecated"});
        assert!(is_accepted(&finding("WARN", "System/IndicatorLED"), &table));
        assert!(is_accepted(&finding("NOT_TESTED", "PROTO_A"), &table));
        assert!(!is_accepted(&finding("FAIL", "System/IndicatorLED"), &table));
        assert!(!is_accepted(&finding("SKIP", "System/IndicatorLED"), &table));
        assert!(!is_accepted(&finding("WARN", "Chassis/IndicatorLED"), &table));
        let other = [warning("System/*LED", "too bright", "Ironic")];
        assert!(!is_accepted(&finding("WARN", "System/IndicatorLED"), &other));
    }
}
