//! Where the tables stand: `docs/performance.md`, between two marks.

use std::fs;

use anyhow::{Context as _, Result};

use crate::shell;

const DOCUMENT: &str = "docs/performance.md";
const BEGIN: &str = "<!-- figures: written by `cargo xtask bench` -->\n";
const END: &str = "<!-- end of figures -->\n";

/// Puts the tables into the document.
pub(super) fn write(tables: &str) -> Result<()> {
    let path = shell::root().join(DOCUMENT);
    let old = fs::read_to_string(&path).with_context(|| format!("cannot read {DOCUMENT}"))?;
    let new =
        replace(&old, tables).with_context(|| format!("{DOCUMENT} has lost the marks around the figures"))?;
    fs::write(&path, new).with_context(|| format!("cannot write {DOCUMENT}"))?;
    println!("==> written into {DOCUMENT}");
    Ok(())
}

/// The text with the tables in place of what stood between the marks.
fn replace(text: &str, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n\n{END}{after}", tables.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let text = format!("a\n{BEGIN}old\n{END}z\n");
        let once = replace(&text, "new\n").unwrap();
        assert_eq!(once, format!("a\n{BEGIN}\nnew\n\n{END}z\n"));
        assert_eq!(replace(&once, "new\n").unwrap(), once);
        assert_eq!(replace("no marks", "new"), None);
    }

    #[test]
    fn the_document_has_the_marks() {
        let text = fs::read_to_string(shell::root().join(DOCUMENT)).unwrap();
        assert!(replace(&text, "new").is_some());
    }
}
