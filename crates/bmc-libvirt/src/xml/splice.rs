//! Changes to a text at byte ranges, collected first and applied together.

use std::ops::Range;

use roxmltree::Node;

/// Replacements that do not overlap. Insertions at the same place keep their order.
pub(super) struct Splices<'t> {
    text: &'t str,
    changes: Vec<(Range<usize>, String)>,
}

impl<'t> Splices<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, changes: Vec::new() }
    }

    /// Takes `range` out and puts `new` in its place.
    pub(super) fn replace(&mut self, range: Range<usize>, new: impl Into<String>) {
        self.changes.push((range, new.into()));
    }

    /// Takes an element out.
    pub(super) fn remove(&mut self, node: Node<'_, '_>) {
        self.replace(node.range(), "");
    }

    /// Puts `xml` behind an element.
    pub(super) fn insert_after(&mut self, node: Node<'_, '_>, xml: impl Into<String>) {
        let end = node.range().end;
        self.replace(end..end, xml);
    }

    /// Adds `xml` as the last child of an element, which may be written as an empty tag.
    pub(super) fn append_child(&mut self, node: Node<'_, '_>, xml: &str) {
        let range = node.range();
        let source = &self.text[range.clone()];
        if let Some(open) = source.strip_suffix("/>") {
            let name_end =
                source[1..].find(|c: char| c.is_whitespace() || c == '/' || c == '>').map_or(1, |at| at + 1);
            let name = &source[1..name_end];
            let at = range.start + open.len();
            self.replace(at..range.end, format!(">{xml}</{name}>"));
        } else if let Some(at) = source.rfind("</") {
            let at = range.start + at;
            self.replace(at..at, xml);
        }
    }

    /// Adds an attribute to the start tag of an element.
    pub(super) fn add_attribute(&mut self, node: Node<'_, '_>, xml: &str) {
        let range = node.range();
        let source = &self.text[range.clone()];
        let name_end =
            source[1..].find(|c: char| c.is_whitespace() || c == '/' || c == '>').map_or(1, |at| at + 1);
        let at = range.start + name_end;
        self.replace(at..at, format!(" {xml}"));
    }

    /// The changed text.
    pub(super) fn apply(mut self) -> String {
        // Stable: insertions at one place stay in the order in which they were made.
        self.changes.sort_by_key(|(range, _)| range.start);
        let mut result = String::with_capacity(self.text.len() + 256);
        let mut done = 0;
        for (range, new) in &self.changes {
            debug_assert!(range.start >= done, "splices overlap");
            result.push_str(&self.text[done..range.start]);
            result.push_str(new);
            done = range.end;
        }
        result.push_str(&self.text[done..]);
        result
    }
}
