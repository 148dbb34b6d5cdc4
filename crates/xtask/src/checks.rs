//! `cargo xtask test`: everything a change must pass, as steps that are timed and counted.
//!
//! The set-up steps come first (alone they are `cargo xtask setup`), since later steps need what they bring; a failed step does not stop the ones after it, so
//! that one run shows all there is to mend.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, cargo_tools};
use crate::{fuzz, shell, tidy};

/// What the command line chose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Also run what takes long.
    pub slow: bool,
    /// Passed on to `cargo nextest run`.
    pub nextest_args: Vec<String>,
}

/// Where DMTF schemas, registries and profiles are, for tests that judge Redfish answers by them.
const REDFISH_DATA: &str = "POLYBMC_REDFISH_DATA";
const REDFISH_DATA_DEFAULT: &str = "../shared/redfish";
const ADVISORY_FETCH_LIMIT: Duration = Duration::from_secs(60);
const RUSTDOC_STRICT: (&str, &str) = ("RUSTDOCFLAGS", "-D warnings");

/// How a step ended when it did not fail.
enum Outcome {
    Passed,
    /// Passed, but less was looked at than could be.
    PassedWith(String),
}

struct Step {
    name: &'static str,
    /// Said before it starts.
    does: &'static str,
    run: fn(&Options) -> Result<Outcome>,
}

const SETUP: &[Step] = &[
    Step { name: "packages", does: "system packages for building and testing", run: packages },
    Step {
        name: "cargo tools",
        does: "cargo-nextest and cargo-deny",
        run: |_| passed(cargo_tools::prepare()),
    },
    Step {
        name: "python",
        does: "Python clients at pinned versions",
        run: |_| passed(setup::python::prepare()),
    },
    Step { name: "libvirt", does: "a running libvirtd", run: |_| passed(setup::libvirt::prepare()) },
    Step {
        name: "guest kernel",
        does: "a small Linux for real guests",
        run: |_| passed(setup::guest_kernel::prepare()),
    },
];

const CHECKS: &[Step] = &[
    Step { name: "fmt", does: "cargo fmt --check", run: |_| cargo(&["fmt", "--all", "--check"]) },
    Step { name: "tidy", does: "the project's own checks", run: |_| tidy_step() },
    Step { name: "deny", does: "licences, bans, sources and advisories of dependencies", run: |_| deny() },
    Step {
        name: "clippy",
        does: "cargo clippy, warnings are errors",
        run: |_| cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    },
    Step {
        name: "no libvirt",
        does: "polybmc without its feature `libvirt` and without libvirt headers",
        run: |_| no_libvirt(),
    },
    Step { name: "doc", does: "cargo doc, warnings are errors", run: |_| doc() },
    Step {
        name: "build",
        does: "the polybmc that the tests start",
        run: |_| cargo(&["build", "--locked", "-p", "polybmc"]),
    },
    Step { name: "tests", does: "cargo nextest run", run: nextest },
    Step {
        name: "fuzz",
        does: "each fuzz target for a few seconds",
        run: |_| passed(fuzz::run(fuzz::DEFAULT_SECONDS)),
    },
    Step { name: "doc tests", does: "cargo test --doc", run: |_| doc_tests() },
];

/// One line of the summary.
struct Report {
    name: &'static str,
    took: Duration,
    result: Result<Outcome>,
}

/// Sets the host up for the tests, and tells whether that worked.
pub(crate) fn set_up() -> bool {
    run_steps(SETUP.iter(), &Options::default())
}

/// Sets the host up, checks and tests everything, and tells whether all passed.
pub(crate) fn run(options: &Options) -> bool {
    run_steps(SETUP.iter().chain(CHECKS), options)
}

/// Runs the steps one after the other and prints the summary.
fn run_steps(steps: impl Iterator<Item = &'static Step>, options: &Options) -> bool {
    let mut reports = Vec::new();
    for step in steps {
        println!("\n==> {}: {}", step.name, step.does);
        let started = Instant::now();
        let result = (step.run)(options);
        if let Err(error) = &result {
            eprintln!("error: {}: {error:#}", step.name);
        }
        reports.push(Report { name: step.name, took: started.elapsed(), result });
    }
    println!("\n{}", summary(&reports));
    reports.iter().all(|report| report.result.is_ok())
}

/// The table and, as its last line, the count.
fn summary(reports: &[Report]) -> String {
    let mut lines = Vec::new();
    for report in reports {
        let verdict = match &report.result {
            Ok(Outcome::Passed) => "passed".to_owned(),
            Ok(Outcome::PassedWith(note)) => format!("passed  {note}"),
            Err(error) => format!("FAILED  {}", error.to_string().lines().next().unwrap_or_default()),
        };
        lines.push(format!("{:12} {:>8.1} s  {verdict}", report.name, report.took.as_secs_f64()));
    }
    let failed = reports.iter().filter(|report| report.result.is_err()).count();
    lines.push(format!("{} passed, {failed} failed", reports.len() - failed));
    lines.join("\n")
}

fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn cargo(args: &[&str]) -> Result<Outcome> {
    passed(shell::run(shell::cargo().args(args)))
}

fn packages(_: &Options) -> Result<Outcome> {
    setup::packages::install(setup::packages::BUILD, "the build")?;
    passed(setup::packages::install(setup::packages::TEST, "the tests"))
}

fn tidy_step() -> Result<Outcome> {
    if !tidy::run()? {
        bail!("see the list above");
    }
    Ok(Outcome::Passed)
}

fn deny() -> Result<Outcome> {
    let check = |args: &[&str]| {
        let mut deny = cargo_tools::command("cargo-deny");
        shell::run(deny.args(["--workspace", "check", "--hide-inclusion-graph"]).args(args))
    };
    check(&["licenses", "bans", "sources"])?;
    let mut fetch = cargo_tools::command("cargo-deny");
    if !shell::succeeds_within(fetch.args(["fetch", "db"]), ADVISORY_FETCH_LIMIT) {
        let note = "advisories not checked: the advisory database cannot be fetched from here";
        println!("{note}");
        return Ok(Outcome::PassedWith(note.to_owned()));
    }
    passed(check(&["advisories"]))
}

/// The MIT/Apache build: no libvirt crate in the tree, and no libvirt header found by those that are.
fn no_libvirt() -> Result<Outcome> {
    let tree = ["tree", "-p", "polybmc", "--no-default-features", "-e", "normal,build", "--prefix", "none"];
    let tree = shell::output(shell::cargo().args(tree))?;
    if let Some(line) = tree.lines().find(|line| line.starts_with("virt")) {
        bail!("without its default features polybmc still depends on {line}");
    }
    for (verb, rest) in [("clippy", &["--all-targets", "--", "-D", "warnings"][..]), ("build", &[])] {
        let mut command = shell::cargo();
        command.args([verb, "--locked", "-p", "polybmc", "--no-default-features"]).args(rest);
        // Whoever asks for a library is told that there is none.
        shell::run(command.env("PKG_CONFIG", "false"))?;
    }
    Ok(Outcome::Passed)
}

fn doc() -> Result<Outcome> {
    let (key, value) = RUSTDOC_STRICT;
    passed(shell::run(shell::cargo().args(["doc", "--locked", "--workspace", "--no-deps"]).env(key, value)))
}

fn doc_tests() -> Result<Outcome> {
    let (key, value) = RUSTDOC_STRICT;
    passed(shell::run(shell::cargo().args(["test", "--locked", "--workspace", "--doc"]).env(key, value)))
}

fn nextest(options: &Options) -> Result<Outcome> {
    let mut command = cargo_tools::command("cargo-nextest");
    command.args(["nextest", "run", "--locked", "--workspace"]);
    if options.slow {
        command.args(["--profile", "slow"]);
    }
    command.args(&options.nextest_args);
    command.env("POLYBMC_VENV", setup::python::venv());
    command.env("POLYBMC_GUEST_KERNEL", setup::guest_kernel::folder());
    command.env("POLYBMC_BIN", shell::target_dir().join("debug/polybmc"));
    if let Some(data) = redfish_data(&shell::root())? {
        command.env(REDFISH_DATA, data);
    }
    passed(shell::run(&mut command))
}

/// The default folder of DMTF data as an absolute path, where it exists and the user has not chosen another.
fn redfish_data(root: &Path) -> Result<Option<std::path::PathBuf>> {
    let default = root.join(REDFISH_DATA_DEFAULT);
    if std::env::var_os(REDFISH_DATA).is_some() || !default.is_dir() {
        return Ok(None);
    }
    default.canonicalize().map(Some).with_context(|| format!("cannot resolve {}", default.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_ends_with_the_count() {
        let reports = [
            Report { name: "fmt", took: Duration::from_millis(1500), result: Ok(Outcome::Passed) },
            Report { name: "deny", took: Duration::ZERO, result: Ok(Outcome::PassedWith("less".into())) },
            Report { name: "tests", took: Duration::ZERO, result: Err(anyhow::anyhow!("one failed\nmore")) },
        ];
        let text = summary(&reports);
        assert_eq!(text.lines().last(), Some("2 passed, 1 failed"));
        assert!(text.contains("fmt               1.5 s  passed"), "{text}");
        assert!(text.contains("FAILED  one failed\n"), "{text}");
    }

    #[test]
    fn step_names_are_distinct() {
        let mut names: Vec<&str> = SETUP.iter().chain(CHECKS).map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SETUP.len() + CHECKS.len());
    }
}
