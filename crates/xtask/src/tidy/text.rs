//! Rules for every text file: clean lines, nothing left to do, nothing about the author's machine.

use super::{Finding, Source};

/// Endings of files that people write. What is recorded (JSON, snapshots, captures) keeps its bytes as they are.
const WRITTEN: &[&str] = &["rs", "toml", "md", "py", "sh", "yml", "yaml", "service", "txt"];

/// Marks of unfinished work, put together here so that this file does not carry them itself.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Folders that exist on one machine only.
const MACHINE_PATHS: &[&str] = &[concat!("/", "root/"), concat!("/", "work/"), concat!("/tmp/", "guide")];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = machine_paths(source);
    if is_written(source) {
        findings.extend(clean_lines(source));
        findings.extend(unfinished(source));
    }
    findings
}

fn is_written(source: &Source) -> bool {
    WRITTEN.contains(&source.extension()) || source.text.starts_with("#!")
}

fn clean_lines(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.split('\n')) {
        if line.ends_with('\r') {
            findings.push(Finding::new(&source.path, number, "line ends with CR LF; the project uses LF"));
        } else if line.ends_with([' ', '\t']) {
            findings.push(Finding::new(&source.path, number, "white space at the end of the line"));
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        findings.push(Finding::new(&source.path, 0, "the last line has no end"));
    }
    if source.text.ends_with("\n\n") {
        findings.push(Finding::new(&source.path, 0, "empty lines at the end"));
    }
    findings
}

fn unfinished(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        for mark in UNFINISHED.iter().filter(|mark| has_word(line, mark)) {
            let message = format!("`{mark}`: finish it, or open an issue and leave no mark");
            findings.push(Finding::new(&source.path, number, message));
        }
    }
    findings
}

fn machine_paths(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        for path in MACHINE_PATHS.iter().filter(|path| has_absolute_path(line, path)) {
            let message = format!("`{path}` is a folder of one machine");
            findings.push(Finding::new(&source.path, number, message));
        }
    }
    findings
}

/// Whether `word` stands in the line with no letter, digit or underscore on either side.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_word_char) && !after.is_some_and(is_word_char)
    })
}

/// Whether `path` begins a path in the line, and is not the middle of a longer one or of a URL.
fn has_absolute_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| is_word_char(c) || matches!(c, '.' | '-' | '}' | '/'))
    })
}

pub(super) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&Source::sample(path, text)).into_iter().map(|f| format!("{}: {}", f.line, f.message)).collect()
    }

    #[test]
    fn a_clean_file_has_no_findings() {
        assert!(messages("a.md", "# Title\n\nText.\n").is_empty());
        assert!(messages("a.rs", "").is_empty());
    }

    #[test]
    fn dirty_lines_are_found() {
        let found = messages("a.rs", "one \ntwo\r\nthree\t\nfour");
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(
            found[0].starts_with("1: white") && found[1].starts_with("2: line ends with CR"),
            "{found:?}"
        );
        assert!(found[3].contains("no end"), "{found:?}");
        assert_eq!(messages("a.rs", "one\n\n").len(), 1);
    }

    #[test]
    fn recorded_files_keep_their_bytes() {
        assert!(messages("captured.json", "{} \r\n").is_empty());
    }

    #[test]
    fn marks_of_unfinished_work_are_found_as_whole_words() {
        for mark in UNFINISHED {
            assert_eq!(messages("a.py", &format!("# {mark}: later\n")).len(), 1, "{mark}");
            assert!(messages("a.py", &format!("# a{mark}b\n")).is_empty(), "{mark}");
        }
    }

    #[test]
    fn machine_paths_are_found_even_in_recorded_files() {
        for path in MACHINE_PATHS {
            assert_eq!(messages("x.json", &format!("\"{path}x\"")).len(), 1, "{path}");
            assert!(messages("x.json", &format!("https://host{path}x")).is_empty(), "{path}");
            assert!(messages("x.json", &format!("..{path}x")).is_empty(), "{path}");
        }
    }

    #[test]
    fn scripts_without_an_ending_are_written_files() {
        assert_eq!(messages(".ci/run", "#!/bin/sh\ntrue \n").len(), 1);
    }
}
