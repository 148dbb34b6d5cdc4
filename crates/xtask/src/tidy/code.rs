//! Rules for Rust sources: module documents, sizes, `unsafe`, and what the pure crates may not reach for.

mod strip;

use super::text::has_word;
use super::{Finding, Source};

/// Past this a file has more than one subject.
const MAX_LINES: usize = 600;

/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// The only folder with `unsafe`.
const UNSAFE_HOME: &str = "crates/bmc-libvirt/";

/// Crates below the shells: time, randomness and environment come in as arguments.
const PURE: &[&str] = &["crates/ipmi-wire/src/", "crates/ipmi-session/src/", "crates/bmc-core/src/"];
/// Modules inside the pure crates that are shells by their own documents.
const PURE_SHELLS: &[&str] = &["crates/bmc-core/src/clock.rs", "crates/bmc-core/src/clock/"];
/// How a program gets at time, randomness and environment.
const AMBIENT: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "Utc::now",
    "Local::now",
    "Timestamp::now",
    "Zoned::now",
    "rand::rng",
    "rand::random",
    "thread_rng",
    "SysRng",
    "OsRng",
    "Uuid::new_v4",
    "env::var",
    "env::var_os",
    "env::vars",
];

/// What has no place in finished code.
const UNFINISHED: &[(&str, &str)] = &[
    ("todo!", "write it, or return an error that says what is not supported"),
    ("unimplemented!", "write it, or return an error that says what is not supported"),
    ("#[ignore", "a test that does not run proves nothing; long ones are named `slow_`"),
];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let code = strip::comments_and_strings(&source.text);
    let mut findings = Vec::new();
    findings.extend(module_document(source));
    findings.extend(length(source, LONG_FILES));
    findings.extend(unfinished(source, &code));
    if !source.path.starts_with(UNSAFE_HOME) {
        findings.extend(unsafe_code(source, &code));
    }
    if is_pure(&source.path) {
        findings.extend(ambient(source, &code));
    }
    findings
}

fn module_document(source: &Source) -> Option<Finding> {
    let first = source.text.lines().find(|line| !line.trim().is_empty());
    (!first.is_some_and(|line| line.starts_with("//!")))
        .then(|| Finding::new(&source.path, 1, "begins without `//!`: say what the file is for"))
}

fn length(source: &Source, allowed: &[(&str, &str)]) -> Option<Finding> {
    let lines = source.text.lines().count();
    let may_be_long = allowed.iter().any(|(path, _)| *path == source.path);
    (lines > MAX_LINES && !may_be_long).then(|| {
        Finding::new(
            &source.path,
            0,
            format!("{lines} lines, {MAX_LINES} are the limit: split it by subject"),
        )
    })
}

fn unfinished(source: &Source, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        for (mark, mend) in UNFINISHED.iter().filter(|(mark, _)| line.contains(mark)) {
            findings.push(Finding::new(&source.path, number, format!("`{mark}`: {mend}")));
        }
    }
    findings
}

fn unsafe_code(source: &Source, code: &str) -> Vec<Finding> {
    (1..)
        .zip(code.lines())
        .filter(|(_, line)| has_word(line, "unsafe"))
        .map(|(number, _)| Finding::new(&source.path, number, format!("`unsafe` outside {UNSAFE_HOME}")))
        .collect()
}

/// Files of pure crates, but for their shells and their tests.
fn is_pure(path: &str) -> bool {
    let is_test = path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/");
    let in_pure = PURE.iter().any(|folder| path.starts_with(folder));
    let is_shell = PURE_SHELLS.iter().any(|shell| path.starts_with(shell));
    in_pure && !is_test && !is_shell
}

fn ambient(source: &Source, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Tests stand at the end of a file; they may use what they like.
    let product = (1..).zip(code.lines()).take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    for (number, line) in product {
        if let Some(call) = AMBIENT.iter().find(|call| has_word(line, call)) {
            let message = format!("`{call}` below the shells: take it as an argument");
            findings.push(Finding::new(&source.path, number, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&Source::sample(path, text)).into_iter().map(|f| format!("{}: {}", f.line, f.message)).collect()
    }

    #[test]
    fn a_good_file_has_no_findings() {
        let text =
            "//! Adds.\n\n/// Never unsafe, see std::env::var.\nfn add() -> &'static str { \"unsafe\" }\n";
        assert_eq!(messages("crates/ipmi-wire/src/add.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_file_without_its_document_is_found() {
        assert_eq!(messages("crates/x/src/a.rs", "use std::fmt;\n").len(), 1);
        assert_eq!(messages("crates/x/src/a.rs", "// not a document\n//! too late\n").len(), 1);
        assert_eq!(messages("crates/x/src/a.rs", "").len(), 1);
        assert!(messages("crates/x/src/a.rs", "\n//! Good.\n").is_empty());
    }

    #[test]
    fn long_files_are_found_unless_listed() {
        let long = Source::sample("crates/x/src/a.rs", &"//!\n".repeat(MAX_LINES + 1));
        assert!(length(&long, &[]).is_some());
        assert!(length(&long, &[("crates/x/src/a.rs", "a table")]).is_none());
        assert!(length(&Source::sample("crates/x/src/a.rs", &"//!\n".repeat(MAX_LINES)), &[]).is_none());
    }

    #[test]
    fn unfinished_code_is_found_but_not_in_words_about_it() {
        for (mark, _) in UNFINISHED {
            assert_eq!(messages("crates/x/src/a.rs", &format!("//! A.\n{mark}(\n")).len(), 1, "{mark}");
            assert!(messages("crates/x/src/a.rs", &format!("//! A {mark} b.\n")).is_empty(), "{mark}");
        }
    }

    #[test]
    fn unsafe_has_one_home() {
        let text = "//! A.\nunsafe { call() }\n";
        assert_eq!(messages("crates/bmc-core/src/a.rs", text), ["2: `unsafe` outside crates/bmc-libvirt/"]);
        assert!(messages("crates/bmc-libvirt/src/a.rs", text).is_empty());
        assert!(messages("crates/bmc-core/src/a.rs", "//! A.\n#![deny(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn pure_crates_have_no_clock_of_their_own() {
        for call in AMBIENT {
            let text = format!("//! A.\nlet x = std::{call}();\n");
            assert_eq!(messages("crates/ipmi-session/src/a.rs", &text).len(), 1, "{call}");
            assert!(messages("crates/bmc-ipmi/src/a.rs", &text).is_empty(), "{call}");
            assert!(messages("crates/bmc-core/src/clock.rs", &text).is_empty(), "{call}");
            assert!(messages("crates/ipmi-session/src/tests.rs", &text).is_empty(), "{call}");
        }
        let below = "//! A.\n#[cfg(test)]\nmod tests { fn t() { Instant::now(); } }\n";
        assert!(messages("crates/ipmi-session/src/a.rs", below).is_empty());
    }
}
