//! `$expand`: resources in place of the links to them (DSP0266, "Use of the `$expand` query parameter").

use serde_json::Value;

use super::{Budget, out_of_range, read, reference, wrong_format};
use crate::error::Problem;
use crate::etag;
use crate::message::{self, Message};
use crate::resource::Call;

/// The most levels of links that are followed (`MaxLevels` of the service root). From the root it takes four to a sensor.
pub(crate) const LEVELS_MAX: u64 = 6;

const NAME: &str = "$expand";

/// Which links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// `*`: all.
    All,
    /// `.`: those that are not in `Links`.
    NoLinks,
    /// `~`: those in `Links`.
    Links,
}

/// What to expand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expand {
    which: Which,
    levels: u64,
}

impl Expand {
    /// Reads `*`, `.` or `~`, and how many levels.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let ill = || wrong_format(text, NAME);
        let mut letters = text.chars();
        let which = match letters.next() {
            Some('*') => Which::All,
            Some('.') => Which::NoLinks,
            Some('~') => Which::Links,
            _ => return Err(ill()),
        };
        let rest = letters.as_str();
        if rest.is_empty() {
            return Ok(Self { which, levels: 1 });
        }
        let levels =
            rest.strip_prefix("($levels=").and_then(|rest| rest.strip_suffix(')')).ok_or_else(ill)?;
        let digits = levels.strip_prefix('-').unwrap_or(levels);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = Message::new(message::QueryParameterValueTypeError, [text, NAME]);
            return Err(Problem::bad_request(vec![message]));
        }
        // More digits than a number can have are out of range too.
        match levels.parse() {
            Ok(levels) if (1..=LEVELS_MAX).contains(&levels) => Ok(Self { which, levels }),
            _ => Err(out_of_range(text, NAME, &format!("1 to {LEVELS_MAX} levels"))),
        }
    }

    /// Puts resources in place of links. A link that leads nowhere for this caller, or back to where it came from, stays a link.
    pub(super) async fn apply(
        self,
        call: &Call<'_>,
        resource: &mut Value,
        budget: &mut Budget,
    ) -> Result<(), Problem> {
        let own = resource["@odata.id"].as_str().unwrap_or_default().to_owned();
        // Each resource of the answer with the place of the one that it stands in.
        let mut placed: Vec<(String, Option<usize>)> = vec![(own, None)];
        let mut level = vec![(resource, 0)];
        for _ in 0..self.levels {
            let mut links = Vec::new();
            for (resource, place) in level {
                self.collect(resource, false, &mut |link| links.push((link, place)));
            }
            let mut next = Vec::new();
            for (link, within) in links {
                let Some(uri) = reference(link).filter(|uri| !leads_back(&placed, within, uri)) else {
                    continue;
                };
                let uri = uri.to_owned();
                let Some(mut linked) = read(call, &uri) else { continue };
                budget.spend().await?;
                etag::stamp(&mut linked);
                *link = linked;
                placed.push((uri, Some(within)));
                next.push((link, placed.len() - 1));
            }
            level = next;
        }
        Ok(())
    }

    /// Gives the links of a resource that are to be expanded to `take`.
    fn collect<'v>(self, value: &'v mut Value, in_links: bool, take: &mut impl FnMut(&'v mut Value)) {
        if reference(value).is_some() {
            let wanted = match self.which {
                Which::All => true,
                Which::NoLinks => !in_links,
                Which::Links => in_links,
            };
            if wanted {
                take(value);
            }
            return;
        }
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    self.collect(value, in_links || name == "Links", take);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.collect(item, in_links, take)),
            _ => {}
        }
    }
}

/// Whether a URI is that of a resource it would be expanded within.
fn leads_back(placed: &[(String, Option<usize>)], within: usize, uri: &str) -> bool {
    let mut at = Some(within);
    while let Some((ancestor, outer)) = at.and_then(|at| placed.get(at)) {
        if ancestor == uri {
            return true;
        }
        at = *outer;
    }
    false
}
