//! Rust source without its comments and without what its literals say, line for line.
//!
//! A rule about code must not trip over a sentence about the rule. This is no parser: it knows comments, strings, raw
//! strings, characters and lifetimes, which is all it takes to tell words of the language from words of people.
//!
//! ```text
//!            //            end of line
//!   Code ─────────► Line ───────────────► Code
//!     │  /*                 */ (nested)
//!     ├───────────► Block ──────────────► Code
//!     │  " or r#"           " or "#
//!     └───────────► Literal ────────────► Code
//! ```

/// The source with comments and the insides of literals replaced by nothing; line ends stay where they are.
pub(super) fn comments_and_strings(source: &str) -> String {
    let mut stripper =
        Stripper { chars: source.chars().collect(), at: 0, out: String::with_capacity(source.len()) };
    while let Some(c) = stripper.peek(0) {
        match c {
            '/' if stripper.peek(1) == Some('/') => stripper.line_comment(),
            '/' if stripper.peek(1) == Some('*') => stripper.block_comment(),
            '"' => stripper.string(),
            'r' if stripper.starts_word() && stripper.raw_hashes(1).is_some() => stripper.raw_string(1),
            'b' | 'c'
                if stripper.starts_word()
                    && stripper.peek(1) == Some('r')
                    && stripper.raw_hashes(2).is_some() =>
            {
                stripper.raw_string(2);
            }
            '\'' => stripper.char_or_lifetime(),
            _ => stripper.keep(),
        }
    }
    stripper.out
}

struct Stripper {
    chars: Vec<char>,
    at: usize,
    out: String,
}

impl Stripper {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn keep(&mut self) {
        self.out.extend(self.peek(0));
        self.at += 1;
    }

    /// Passes over a character; a line end is kept so that line numbers stay true.
    fn drop_one(&mut self) {
        if self.peek(0) == Some('\n') {
            self.out.push('\n');
        }
        self.at += 1;
    }

    /// Whether the current character begins a word, so that the `r` of `for"` is not taken for a raw string.
    fn starts_word(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.chars.get(at));
        !before.is_some_and(|c| c.is_alphanumeric() || *c == '_')
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.drop_one();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.peek(0).is_some() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.drop_one(),
            }
        }
    }

    fn string(&mut self) {
        self.keep();
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => {
                    self.drop_one();
                    self.drop_one();
                }
                '"' => return self.keep(),
                _ => self.drop_one(),
            }
        }
    }

    /// The number of `#` of a raw string whose `r` stands just before `ahead`; nothing when it is none, such as `r#type`.
    fn raw_hashes(&self, ahead: usize) -> Option<usize> {
        let hashes = (ahead..).take_while(|ahead| self.peek(*ahead) == Some('#')).count();
        (self.peek(ahead + hashes) == Some('"')).then_some(hashes)
    }

    fn raw_string(&mut self, prefix: usize) {
        let hashes = self.raw_hashes(prefix).unwrap_or_default();
        self.at += prefix + hashes;
        self.keep();
        while let Some(c) = self.peek(0) {
            if c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.keep();
                self.at += hashes;
                return;
            }
            self.drop_one();
        }
    }

    /// `'x'` and `'\n'` are literals, `'a` in `&'a str` is not.
    fn char_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') {
            // The quote, the backslash and what it protects, then up to the closing quote (`'\u{41}'` is long).
            self.at += 3;
            while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
                self.at += 1;
            }
            self.at += 1;
        } else if self.peek(2) == Some('\'') {
            self.at += 3;
        } else {
            self.keep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::comments_and_strings as strip;

    #[test]
    fn comments_vanish_and_lines_stay() {
        assert_eq!(strip("a // b\nc /* d\n /* e */ f */ g\n"), "a \nc \n g\n");
        assert_eq!(strip("//! doc\nx"), "\nx");
    }

    #[test]
    fn strings_lose_their_words() {
        assert_eq!(strip(r#"f("a // b", "c\"d")"#), r#"f("", "")"#);
        assert_eq!(strip("r#\"a \" b\"# c"), "\"\" c");
        assert_eq!(strip("br\"x\" y"), "\"\" y");
        assert_eq!(strip("\"two\nlines\" z"), "\"\n\" z");
    }

    #[test]
    fn characters_lifetimes_and_raw_names_are_told_apart() {
        assert_eq!(strip("'\"' unsafe '\\'' '\\u{41}' x"), " unsafe   x");
        assert_eq!(strip("fn f<'a>(x: &'a str)"), "fn f<'a>(x: &'a str)");
        assert_eq!(strip("r#type for\"x\""), "r#type for\"\"");
    }

    #[test]
    fn unfinished_literals_end_with_the_file() {
        for text in ["\"abc", "/* abc", "r#\"abc", "'\\", "'", "\\"] {
            strip(text);
        }
    }
}
