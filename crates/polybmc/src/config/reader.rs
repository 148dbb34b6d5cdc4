//! Reads TOML tables key by key, and notes what is wrong with the line where it stands instead of giving up at the first.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use super::{ConfigError, Located, Problem};

/// A configuration text, and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Notes<'t> {
    file: &'t Path,
    text: &'t str,
    problems: RefCell<BTreeSet<Problem>>,
}

impl<'t> Notes<'t> {
    pub(super) fn new(file: &'t Path, text: &'t str) -> Self {
        Self { file, text, problems: RefCell::default() }
    }

    /// The line, counted from 1, of a byte of the text.
    pub(super) fn line_of(&self, byte: usize) -> usize {
        let before = self.text.as_bytes().get(..byte).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Notes a problem. The same one on the same line is noted once.
    pub(super) fn problem(&self, line: usize, message: impl Into<String>) {
        self.problems.borrow_mut().insert(Problem { line, message: message.into() });
    }

    /// A path as written: relative to the folder of the configuration file.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(written)
    }

    /// All problems, if there are any.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let problems: Vec<Problem> = self.problems.into_inner().into_iter().collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { file: self.file.to_owned(), problems }) }
    }
}

/// One table being read. Every key that is asked for becomes a known one; [`finish`](Self::finish) notes the others.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    notes: &'t Notes<'t>,
    table: &'t DeTable<'t>,
    /// How messages call the table, e.g. `[defaults]`.
    title: String,
    /// Where the table begins.
    line: usize,
    known: Vec<&'static str>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(
        notes: &'t Notes<'t>,
        table: &'t DeTable<'t>,
        title: impl Into<String>,
        line: usize,
    ) -> Self {
        Self { notes, table, title: title.into(), line, known: Vec::new() }
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn notes(&self) -> &'t Notes<'t> {
        self.notes
    }

    /// The keys and values of a table whose keys are free.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Located<&'t str>, &'t Spanned<DeValue<'t>>)> {
        self.table.iter().map(|(key, value)| {
            let name: &str = key.get_ref();
            (Located { value: name, line: self.notes.line_of(key.span().start) }, value)
        })
    }

    pub(super) fn value(&mut self, key: &'static str) -> Option<Located<&'t DeValue<'t>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (key, value) = self.table.iter().find(|(found, _)| found.get_ref() == key)?;
        // A table's value spans its header; a key's own span is where a person looks for it.
        Some(Located { value: value.get_ref(), line: self.notes.line_of(key.span().start) })
    }

    /// Notes that the value of a key is not what it should be.
    pub(super) fn wrong(&self, line: usize, key: &str, wanted: &str) {
        self.notes.problem(line, format!("`{key}` in {} must be {wanted}", self.title));
    }

    /// Notes that a key has to be there and is not; `wanted` says in words what would do.
    pub(super) fn required(&mut self, key: &'static str, wanted: &str) {
        if self.value(key).is_none() {
            self.wrong(self.line, key, wanted);
        }
    }

    pub(super) fn string(&mut self, key: &'static str) -> Option<Located<String>> {
        let found = self.value(key)?;
        match found.value {
            DeValue::String(text) => Some(found.with(text.clone().into_owned())),
            _ => {
                self.wrong(found.line, key, "a text in quotes");
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let found = self.value(key)?;
        let value = found.value.as_bool();
        if value.is_none() {
            self.wrong(found.line, key, "true or false");
        }
        value
    }

    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<Located<u64>> {
        let found = self.value(key)?;
        match integer(found.value).filter(|number| range.contains(number)) {
            Some(number) => Some(found.with(number)),
            None => {
                self.wrong(
                    found.line,
                    key,
                    &format!("a whole number from {} to {}", range.start(), range.end()),
                );
                None
            }
        }
    }

    pub(super) fn port(&mut self, key: &'static str) -> Option<u16> {
        self.integer(key, 1..=u64::from(u16::MAX)).and_then(|port| u16::try_from(port.value).ok())
    }

    /// A text that `parse` understands; `wanted` says in words what would do.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Located<T>> {
        let found = self.string(key)?;
        let parsed = parse(&found.value);
        if parsed.is_none() {
            self.wrong(found.line, key, &format!("{wanted}, not `{}`", found.value));
        }
        Some(Located { value: parsed?, line: found.line })
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<Located<T>> {
        let found = self.string(key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == found.value) {
            return Some(found.with(*value));
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let meant = nearest(&found.value, names.iter().copied());
        let meant = meant.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
        self.wrong(found.line, key, &format!("one of {}, not `{}`{meant}", names.join(", "), found.value));
        None
    }

    /// A sub-table; absent, empty.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Reader<'t>> {
        let found = self.value(key)?;
        let table = found.value.as_table();
        if table.is_none() {
            self.wrong(found.line, key, &format!("a table: write [{key}] on a line of its own"));
        }
        Some(Reader::new(self.notes, table?, format!("[{key}]"), found.line))
    }

    /// The tables of `[[key]]`, in order.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Reader<'t>> {
        let Some(found) = self.value(key) else { return Vec::new() };
        let Some(array) = found.value.as_array() else {
            self.wrong(found.line, key, &format!("a list of tables: write [[{key}]] with two brackets"));
            return Vec::new();
        };
        let tables = array.iter().filter_map(|item| {
            let line = self.notes.line_of(item.span().start);
            let table = item.get_ref().as_table();
            if table.is_none() {
                self.wrong(line, key, "a list of tables");
            }
            Some(Reader::new(self.notes, table?, format!("[[{key}]]"), line))
        });
        tables.collect()
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        for (key, value) in self.entries() {
            if self.known.contains(&key.value) {
                continue;
            }
            let kind = if value.get_ref().is_table() { "table" } else { "key" };
            let hint = match nearest(key.value, self.known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.notes.problem(key.line, format!("unknown {kind} `{}` in {}; {hint}", key.value, self.title));
        }
    }
}

/// The value as a whole number.
pub(super) fn integer(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}
