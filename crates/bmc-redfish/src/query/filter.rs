//! `$filter`: members of a collection that meet a condition (DSP0266, "Use of the `$filter` query parameter").
//!
//! ```text
//!  or         := and ("or" and)*
//!  and        := condition ("and" condition)*
//!  condition  := "not" condition | "(" or ")" | path operator literal
//! ```

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Number, Value};

use super::select::is_name;

/// How deep conditions may be nested.
const DEPTH_MAX: usize = 32;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    /// At least one of them holds.
    Any(Vec<Filter>),
    /// All of them hold.
    All(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// A property compared with a value.
    Compare(Vec<String>, Operator, Value),
}

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

const OPERATORS: [(&str, Operator); 6] = [
    ("eq", Operator::Equal),
    ("ne", Operator::NotEqual),
    ("gt", Operator::Greater),
    ("ge", Operator::GreaterOrEqual),
    ("lt", Operator::Less),
    ("le", Operator::LessOrEqual),
];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    /// A name, a path, an operator, a number, or `true`, `false`, `null`.
    Word(String),
    Text(String),
}

impl Filter {
    /// Reads a condition; `None` when it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let tokens = tokens(text)?;
        let mut reader = Reader { rest: &tokens };
        let filter = reader.any(0)?;
        reader.rest.is_empty().then_some(filter)
    }

    /// Whether it holds for a resource.
    pub(crate) fn holds(&self, resource: &Value) -> bool {
        match self {
            Self::Any(filters) => filters.iter().any(|filter| filter.holds(resource)),
            Self::All(filters) => filters.iter().all(|filter| filter.holds(resource)),
            Self::Not(filter) => !filter.holds(resource),
            Self::Compare(path, operator, wanted) => {
                let found = path.iter().try_fold(resource, |value, name| value.get(name));
                compare(found.unwrap_or(&Value::Null), *operator, wanted)
            }
        }
    }

    /// Gives each comparison to `check`, which may write its value in another way; whether it is content with all of them.
    pub(crate) fn check(&mut self, check: &mut impl FnMut(&[String], Operator, &mut Value) -> bool) -> bool {
        match self {
            Self::Any(filters) | Self::All(filters) => filters.iter_mut().all(|filter| filter.check(check)),
            Self::Not(filter) => filter.check(check),
            Self::Compare(path, operator, value) => check(path, *operator, value),
        }
    }
}

/// Compares. What is not there is null; values of different types differ and have no order.
fn compare(found: &Value, operator: Operator, wanted: &Value) -> bool {
    let order = match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => {
            found.as_f64().zip(wanted.as_f64()).and_then(|(found, wanted)| found.partial_cmp(&wanted))
        }
        (Value::String(found), Value::String(wanted)) => {
            // The same time can be written in several ways.
            let times = found.parse::<Timestamp>().ok().zip(wanted.parse::<Timestamp>().ok());
            Some(times.map_or_else(|| found.cmp(wanted), |(found, wanted)| found.cmp(&wanted)))
        }
        _ => None,
    };
    let equal = order.map_or_else(|| found == wanted, Ordering::is_eq);
    match operator {
        Operator::Equal => equal,
        Operator::NotEqual => !equal,
        Operator::Greater => order.is_some_and(Ordering::is_gt),
        Operator::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        Operator::Less => order.is_some_and(Ordering::is_lt),
        Operator::LessOrEqual => order.is_some_and(Ordering::is_le),
    }
}

struct Reader<'a> {
    rest: &'a [Token],
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first.clone())
    }

    /// Takes a word if it comes next.
    fn take(&mut self, word: &str) -> bool {
        let found = matches!(self.rest.first(), Some(Token::Word(next)) if next == word);
        if found {
            self.next();
        }
        found
    }

    fn any(&mut self, depth: usize) -> Option<Filter> {
        let mut filters = vec![self.all(depth)?];
        while self.take("or") {
            filters.push(self.all(depth)?);
        }
        single(filters, Filter::Any)
    }

    fn all(&mut self, depth: usize) -> Option<Filter> {
        let mut filters = vec![self.condition(depth)?];
        while self.take("and") {
            filters.push(self.condition(depth)?);
        }
        single(filters, Filter::All)
    }

    fn condition(&mut self, depth: usize) -> Option<Filter> {
        if depth > DEPTH_MAX {
            return None;
        }
        if self.take("not") {
            return self.condition(depth + 1).map(|filter| Filter::Not(Box::new(filter)));
        }
        match self.next()? {
            Token::Open => {
                let inner = self.any(depth + 1)?;
                (self.next()? == Token::Close).then_some(inner)
            }
            Token::Word(path) => {
                let path: Vec<String> = path.split('/').map(str::to_owned).collect();
                let Token::Word(operator) = self.next()? else { return None };
                let (_, operator) = OPERATORS.iter().find(|(name, _)| *name == operator)?;
                let value = match (&path[..], self.next()?) {
                    // This one's values are written without quotes.
                    ([name], Token::Word(value)) if name == "EventFormatType" && is_name(&value) => {
                        value.into()
                    }
                    (_, token) => literal(token)?,
                };
                path.iter().all(|name| is_name(name)).then_some(Filter::Compare(path, *operator, value))
            }
            Token::Close | Token::Text(_) => None,
        }
    }
}

/// One condition as it is, several as what `all` makes of them.
fn single(mut filters: Vec<Filter>, all: impl Fn(Vec<Filter>) -> Filter) -> Option<Filter> {
    if filters.len() == 1 { filters.pop() } else { Some(all(filters)) }
}

fn literal(token: Token) -> Option<Value> {
    match token {
        Token::Text(text) => Some(text.into()),
        Token::Word(word) => match word.as_str() {
            "true" => Some(true.into()),
            "false" => Some(false.into()),
            "null" => Some(Value::Null),
            number => number.parse::<Number>().ok().map(Value::Number),
        },
        Token::Open | Token::Close => None,
    }
}

/// The words of a condition; `None` when a quotation does not end. A quote within one is written twice.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '\'' => {
                let mut quoted = String::new();
                loop {
                    match letters.next()? {
                        '\'' if letters.next_if_eq(&'\'').is_none() => break,
                        letter => quoted.push(letter),
                    }
                }
                tokens.push(Token::Text(quoted));
            }
            letter if letter.is_whitespace() => {}
            letter => {
                let mut word = String::from(letter);
                while let Some(letter) =
                    letters.next_if(|letter| !letter.is_whitespace() && !"()'".contains(*letter))
                {
                    word.push(letter);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Some(tokens)
}
