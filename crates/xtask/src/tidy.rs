//! `cargo xtask tidy`: the project's rules that a program can check.
//!
//! Every check is a function from text (or `cargo tree` output) to findings, so that its tests can show it a bad
//! sample; this module only gathers the files and prints.

mod code;
mod documents;
mod manifests;
mod text;
mod trees;

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// A broken rule, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Path from the workspace root; empty when the rule is about the whole.
    path: String,
    /// Line number from 1, or 0 for the whole file.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

/// A file of the project, read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Path from the workspace root, with `/`.
    path: String,
    text: String,
}

impl Source {
    #[cfg(test)]
    fn sample(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The name's ending after its last dot, or nothing.
    fn extension(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or(self.path.as_str(), |(_, name)| name)
            .rsplit_once('.')
            .map_or("", |(_, ext)| ext)
    }
}

/// Runs all checks, prints the findings, and tells whether there were none.
pub(crate) fn run() -> Result<bool> {
    let sources = read_sources()?;
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(text::check(source));
        match source.extension() {
            "rs" => findings.extend(code::check(source)),
            "toml" if source.path.ends_with("Cargo.toml") => findings.extend(manifests::check(source)),
            _ => {}
        }
    }
    findings.extend(documents::check(&sources));
    findings.extend(manifests::check_table(&sources));
    findings.extend(trees::check()?);
    findings.sort();

    for Finding { path, line, message } in &findings {
        match (path.as_str(), line) {
            ("", _) => println!("tidy: {message}"),
            (path, 0) => println!("{path}: {message}"),
            (path, line) => println!("{path}:{line}: {message}"),
        }
    }
    println!("tidy: {} files, {} findings", sources.len(), findings.len());
    Ok(findings.is_empty())
}

/// Every text file that git tracks or would track.
fn read_sources() -> Result<Vec<Source>> {
    let list = shell::output(shell::command("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))
    .context("tidy asks git which files belong to the project")?;
    let mut sources = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        let full = shell::root().join(path);
        if !full.is_file() {
            // Deleted but not yet committed, or a link to a folder.
            continue;
        }
        let bytes = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    if sources.is_empty() {
        bail!("git lists no files here");
    }
    Ok(sources)
}
