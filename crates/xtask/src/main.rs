//! Project tasks: `cargo xtask run`, `setup`, `test`, `tidy`, `fuzz`, `bench`.
//!
//! This program sets a bare machine up, so it may need nothing but a Rust toolchain itself: no other crate of this
//! workspace, no C library, two small dependencies. What it does to the host it says first; doing it twice changes
//! nothing the second time.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks to its user")]

mod bench;
mod checks;
mod fuzz;
mod run;
mod setup;
mod shell;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
Project tasks.

Usage: cargo xtask <COMMAND>

Commands:
  run                                 Install what the build needs, build release, serve three simulated machines
  setup                               Install what the tests need, once, for work with plain cargo commands
  test [--slow] [-- NEXTEST-ARGS...]  The same, then run every check and every test
  tidy                                The project's own checks: architecture, sources, documents
  fuzz [SECONDS]                      Run each fuzz target for so long, 10 seconds unless told otherwise
  bench [SECONDS]                     Measure polybmc beside its peers and write the figures into docs/performance.md

`test --slow` adds the long runs: full matrices and soaks.
Example: cargo xtask test -- -p ipmi-wire
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    Run,
    /// The other half of `run`: waits until the daemon answers, then prints what to try.
    Announce {
        binary: PathBuf,
        daemon: u32,
    },
    Setup,
    Test(checks::Options),
    Tidy,
    Fuzz {
        seconds: u32,
    },
    Bench {
        seconds: u32,
    },
    Help,
}

fn parse(args: &[String]) -> Result<Task, String> {
    let Some((verb, rest)) = args.split_first() else {
        return Ok(Task::Help);
    };
    match (verb.as_str(), rest) {
        ("help" | "--help" | "-h", _) => Ok(Task::Help),
        (_, [flag]) if flag == "--help" || flag == "-h" => Ok(Task::Help),
        ("run", []) => Ok(Task::Run),
        (run::ANNOUNCE_VERB, [binary, daemon]) => {
            let daemon = daemon.parse().map_err(|_| format!("`{daemon}` is no process id"))?;
            Ok(Task::Announce { binary: binary.into(), daemon })
        }
        ("setup", []) => Ok(Task::Setup),
        ("tidy", []) => Ok(Task::Tidy),
        ("bench", []) => Ok(Task::Bench { seconds: bench::DEFAULT_SECONDS }),
        ("bench", [seconds]) => Ok(Task::Bench { seconds: parse_seconds(verb, seconds)? }),
        ("fuzz", []) => Ok(Task::Fuzz { seconds: fuzz::DEFAULT_SECONDS }),
        ("fuzz", [seconds]) => Ok(Task::Fuzz { seconds: parse_seconds(verb, seconds)? }),
        ("test", rest) => {
            let (own, nextest_args) = match rest.iter().position(|arg| arg == "--") {
                Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default()),
                None => (rest, [].as_slice()),
            };
            if let Some(unknown) = own.iter().find(|arg| *arg != "--slow") {
                return Err(format!("`test` does not know `{unknown}`; arguments for nextest go after `--`"));
            }
            Ok(Task::Test(checks::Options { slow: !own.is_empty(), nextest_args: nextest_args.to_vec() }))
        }
        ("run" | "setup" | "tidy", [extra, ..]) => {
            Err(format!("`{verb}` takes no argument, but there is `{extra}`"))
        }
        _ => Err(format!("there is no task `{verb}`")),
    }
}

fn parse_seconds(verb: &str, seconds: &str) -> Result<u32, String> {
    match seconds.parse() {
        Ok(seconds @ 1..) => Ok(seconds),
        _ => Err(format!("`{verb}` takes a number of seconds, not `{seconds}`")),
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let task = match parse(&args) {
        Ok(task) => task,
        Err(message) => {
            eprintln!("error: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = match task {
        Task::Help => {
            print!("{USAGE}");
            Ok(true)
        }
        Task::Run => run::run().map(|()| true),
        Task::Announce { binary, daemon } => run::announce(&binary, daemon).map(|()| true),
        Task::Setup => Ok(checks::set_up()),
        Task::Test(options) => Ok(checks::run(&options)),
        Task::Tidy => tidy::run(),
        Task::Fuzz { seconds } => fuzz::run(seconds).map(|()| true),
        Task::Bench { seconds } => bench::run(seconds).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Task, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_after_two_dashes_go_to_nextest() {
        let options = checks::Options { slow: true, nextest_args: vec!["-p".into(), "ipmi-wire".into()] };
        assert_eq!(parse_words("test --slow -- -p ipmi-wire"), Ok(Task::Test(options)));
        let plain = checks::Options { slow: false, nextest_args: vec![] };
        assert_eq!(parse_words("test"), Ok(Task::Test(plain)));
    }

    #[test]
    fn unknown_words_are_refused_by_name() {
        assert!(parse_words("test --fast").unwrap_err().contains("--fast"));
        assert!(parse_words("dance").unwrap_err().contains("dance"));
        assert!(parse_words("tidy up").unwrap_err().contains("up"));
    }

    #[test]
    fn the_bench_and_the_fuzzer_take_a_number_of_seconds() {
        assert_eq!(parse_words("bench"), Ok(Task::Bench { seconds: bench::DEFAULT_SECONDS }));
        assert_eq!(parse_words("bench 2"), Ok(Task::Bench { seconds: 2 }));
        assert_eq!(parse_words("fuzz 60"), Ok(Task::Fuzz { seconds: 60 }));
        for wrong in ["bench 0", "fuzz 0", "fuzz ever", "bench -1", "bench long", "bench 1 2"] {
            assert!(parse_words(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn help_is_an_answer_not_an_error() {
        assert_eq!(parse_words(""), Ok(Task::Help));
        assert_eq!(parse_words("test --help"), Ok(Task::Help));
    }
}
