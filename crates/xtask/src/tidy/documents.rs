//! Rules for documents: links inside the project lead somewhere, and the change log has a place for the next change.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Source};

const CHANGELOG: &str = "CHANGELOG.md";

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = links(sources);
    findings.extend(changelog(sources));
    findings
}

fn changelog(sources: &[Source]) -> Option<Finding> {
    let Some(source) = sources.iter().find(|source| source.path == CHANGELOG) else {
        return Some(Finding::new(CHANGELOG, 0, "is missing"));
    };
    let has_section = headings(&source.text).any(|heading| heading.trim_matches(['[', ']']) == "Unreleased");
    (!has_section).then(|| Finding::new(CHANGELOG, 0, "has no heading `Unreleased`"))
}

/// Every relative link of every Markdown file leads to a file or folder of the project, and to a heading that is there.
fn links(sources: &[Source]) -> Vec<Finding> {
    let mut places = BTreeSet::new();
    let mut anchors = BTreeMap::new();
    for source in sources {
        places.insert(source.path.as_str());
        let mut rest = source.path.as_str();
        while let Some((folder, _)) = rest.rsplit_once('/') {
            places.insert(folder);
            rest = folder;
        }
        if source.extension() == "md" {
            anchors.insert(source.path.as_str(), heading_anchors(&source.text));
        }
    }
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.extension() == "md") {
        for (line, link) in links_of(&source.text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { source.path.clone() } else { resolve(&source.path, file) };
            if !(target.is_empty() || places.contains(target.as_str())) {
                findings.push(Finding::new(
                    &source.path,
                    line,
                    format!("link to `{link}`: there is no `{target}`"),
                ));
            } else if let Some(known) = anchors.get(target.as_str())
                && !(anchor.is_empty() || known.contains(anchor))
            {
                let message = format!("link to `{link}`: `{target}` has no heading for `#{anchor}`");
                findings.push(Finding::new(&source.path, line, message));
            }
        }
    }
    findings
}

/// `link` seen from the folder of `from`, as a path from the workspace root.
fn resolve(from: &str, link: &str) -> String {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// Lines with their numbers, without those of fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        fenced ^= is_fence;
        !fenced && !is_fence
    })
}

/// The targets of `[text](target)` and of `[label]: target`, with line numbers.
fn links_of(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // Between backquotes stands code: every second piece.
        for (piece_start, piece) in pieces(line) {
            let mut rest = piece;
            while let Some(at) = rest.find("](") {
                rest = rest.get(at + 2..).unwrap_or_default();
                // The target may reach over code in the link's text, never over the end of the line.
                let target = rest.split([')', ' ']).next().unwrap_or_default();
                if !target.is_empty() {
                    found.push((number, target));
                }
            }
            let is_definition = piece_start == 0 && piece.starts_with('[') && !piece.starts_with("[^");
            if let Some((_, target)) = piece.split_once("]: ").filter(|_| is_definition) {
                found.extend(target.split_whitespace().next().map(|target| (number, target)));
            }
        }
    }
    found
}

/// The parts of a line that are not between backquotes, with where they begin.
fn pieces(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    line.split('`').enumerate().filter_map(move |(index, piece)| {
        let at = start;
        start += piece.len() + 1;
        (index % 2 == 0).then_some((at, piece))
    })
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len() && title.starts_with(' ')).then(|| title.trim())
    })
}

/// Anchors as forges make them: lower case, spaces to hyphens, other punctuation gone, repeated ones numbered.
fn heading_anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for heading in headings(text) {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let count = seen.entry(slug.clone()).or_default();
        anchors.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link_messages(text: &str) -> Vec<String> {
        let sources = [
            Source::sample("docs/a.md", text),
            Source::sample("docs/design/b.md", "# Big *Idea*, first\n\n## Twice\n## Twice\n"),
            Source::sample("README.md", "# polybmc\n"),
        ];
        links(&sources).into_iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
    }

    #[test]
    fn good_links_are_fine() {
        let good = "[x](design/b.md#big-idea-first) [y](../README.md) [z](design) [w](#own)\n# Own\n\
                    [t](design/b.md#twice-1) [u](https://example.org/nowhere)\n[ref]: ../README.md\n[`c`](design/b.md)\n";
        assert_eq!(link_messages(good), Vec::<String>::new());
    }

    #[test]
    fn broken_links_are_found() {
        let bad = "\n[x](gone.md)\n[y](../../README.md)\n[z](design/b.md#small)\n[w](#none)\n[ref]: gone.md\n[`c`](gone)\n";
        let found = link_messages(bad);
        let lines: Vec<&str> = found.iter().filter_map(|text| text.split(':').next()).collect();
        assert_eq!(lines, ["2", "3", "4", "5", "6", "7"], "{found:?}");
    }

    #[test]
    fn code_has_no_links() {
        assert!(link_messages("```\n[x](gone.md)\n```\n`[x](gone.md)`\n").is_empty());
    }

    #[test]
    fn the_change_log_needs_its_section() {
        let with = |text: &str| changelog(&[Source::sample(CHANGELOG, text)]);
        assert_eq!(with("# Changes\n\n## Unreleased\n"), None);
        assert_eq!(with("# Changes\n\n## [Unreleased]\n"), None);
        assert!(with("# Changes\n\n## 0.1.0\n").is_some());
        assert!(changelog(&[]).is_some());
    }
}
