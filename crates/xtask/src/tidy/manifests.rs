//! Rules for `Cargo.toml`: one table of dependencies and lints for all, and a written reason for each dependency.

use std::collections::BTreeSet;

use super::{Finding, Source};

const ROOT: &str = "Cargo.toml";
const REASONS: &str = "docs/design/dependencies.md";

/// A line `key = value` of a manifest with the table that it stands in.
struct Entry<'a> {
    line: usize,
    table: &'a str,
    key: &'a str,
    value: &'a str,
}

/// Entries of a manifest in the plain style that this project keeps: one per line, tables by header.
fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut table = "";
    let mut found = Vec::new();
    for (line, content) in (1..).zip(text.lines().map(str::trim)) {
        if let Some(header) = content.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = header.trim_start_matches('[');
        } else if let Some((key, value)) = content.split_once('=').filter(|_| !content.starts_with('#')) {
            found.push(Entry { line, table, key: key.trim(), value: value.trim() });
        }
    }
    found
}

/// Every dependency of a member comes from the workspace's table, and so do its lints.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    if source.path == ROOT || source.path.starts_with("fuzz/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut has_lints = false;
    for entry in entries(&source.text) {
        has_lints |= entry.table == "lints" && entry.key == "workspace" && entry.value == "true";
        let is_dependency = entry.table.ends_with("dependencies");
        let is_inherited = entry.key.ends_with(".workspace") && entry.value == "true"
            || entry.value.replace(' ', "").contains("workspace=true");
        if is_dependency && !is_inherited {
            let message = format!(
                "`{}`: its version belongs into the workspace's table; write `workspace = true`",
                entry.key
            );
            findings.push(Finding::new(&source.path, entry.line, message));
        }
        if entry.table.contains("dependencies.") {
            let message =
                format!("`[{}]`: write dependencies one per line under their common header", entry.table);
            findings.push(Finding::new(&source.path, entry.line, message));
        }
    }
    if !has_lints {
        findings.push(Finding::new(
            &source.path,
            0,
            "without `[lints] workspace = true` the project's lints do not apply",
        ));
    }
    findings
}

/// The workspace's table agrees with the written reasons, and lists nothing that no member uses.
pub(super) fn check_table(sources: &[Source]) -> Vec<Finding> {
    let Some(root) = sources.iter().find(|source| source.path == ROOT) else {
        return vec![Finding::new(ROOT, 0, "is missing")];
    };
    let reasons = sources.iter().find(|source| source.path == REASONS).map_or("", |source| &source.text);
    let explained: BTreeSet<&str> = reasons.lines().filter_map(explained_name).collect();
    let used: BTreeSet<&str> = sources
        .iter()
        .filter(|source| source.path.ends_with("/Cargo.toml"))
        .flat_map(|source| entries(&source.text))
        .filter(|entry| entry.table.ends_with("dependencies"))
        .map(|entry| entry.key.split('.').next().unwrap_or(entry.key))
        .collect();

    let mut findings = Vec::new();
    let mut listed = BTreeSet::new();
    for entry in entries(&root.text).into_iter().filter(|entry| entry.table == "workspace.dependencies") {
        listed.insert(entry.key);
        if !used.contains(entry.key) {
            findings.push(Finding::new(ROOT, entry.line, format!("no member uses `{}`", entry.key)));
        }
        let is_ours = entry.value.contains("path =");
        if !is_ours && !explained.contains(entry.key) {
            let message = format!("`{}` has no reason in {REASONS}", entry.key);
            findings.push(Finding::new(ROOT, entry.line, message));
        }
    }
    for (line, content) in (1..).zip(reasons.lines()) {
        if let Some(name) = explained_name(content).filter(|name| !listed.contains(name)) {
            findings.push(Finding::new(REASONS, line, format!("`{name}` is no dependency of the workspace")));
        }
    }
    findings
}

/// The crate that a line of the reasons is about: ``| `name` | reason |``.
fn explained_name(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn member(dependencies: &str) -> Source {
        Source::sample("crates/x/Cargo.toml", &format!("[package]\nname = \"x\"\n{LINTS}{dependencies}"))
    }

    fn root(dependencies: &str) -> Source {
        Source::sample(ROOT, &format!("[workspace.dependencies]\n{dependencies}"))
    }

    #[test]
    fn inherited_dependencies_are_fine() {
        let good = "[dependencies]\na.workspace = true\nb = { workspace = true, features = [\"c\"] }\n\
                    [target.'cfg(unix)'.dev-dependencies]\nd.workspace = true\n";
        assert_eq!(check(&member(good)), []);
    }

    #[test]
    fn own_versions_are_found_in_every_table() {
        for table in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            for value in
                ["a = \"1\"", "a = { version = \"1\" }", "a = { path = \"../a\" }", "a.version = \"1\""]
            {
                assert_eq!(check(&member(&format!("[{table}]\n{value}\n"))).len(), 1, "{table} {value}");
            }
        }
        assert_eq!(check(&member("[dependencies.a]\nversion = \"1\"\n")).len(), 1);
    }

    #[test]
    fn missing_lints_are_found() {
        let bare = Source::sample("crates/x/Cargo.toml", "[package]\nname = \"x\"\n");
        assert_eq!(check(&bare).len(), 1);
    }

    #[test]
    fn the_table_and_the_reasons_must_agree() {
        let user = member("[dependencies]\na.workspace = true\nours.workspace = true\n");
        let table = root("ours = { path = \"crates/ours\" }\na = \"1\"\n");
        let reasons = Source::sample(REASONS, "| crate | why |\n| `a` | adds |\n");
        assert_eq!(check_table(&[user.clone(), table.clone(), reasons.clone()]), []);

        let unexplained = check_table(&[user.clone(), table.clone()]);
        assert!(unexplained.len() == 1 && unexplained[0].message.contains("no reason"), "{unexplained:?}");

        let stale = Source::sample(REASONS, "| `a` | adds |\n| `gone` | once did |\n");
        let found = check_table(&[user.clone(), table, stale]);
        assert!(found.len() == 1 && found[0].line == 2, "{found:?}");

        let unused = root("ours = { path = \"crates/ours\" }\na = \"1\"\nb = { path = \"crates/b\" }\n");
        let found = check_table(&[user, unused, reasons]);
        assert!(found.len() == 1 && found[0].message.contains("no member uses `b`"), "{found:?}");
    }
}
