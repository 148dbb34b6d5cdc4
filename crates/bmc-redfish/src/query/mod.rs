//! Query options of a GET (DSP0266, "Query parameters"): what of a resource is returned, and how much of what it links to.
//!
//! ```text
//!  text ─► Query ─► $filter ─► $skip ─► $top ─► $expand ─► $select ─► answer
//!            │         └───── members of a collection ────┘
//!            └─► only: the one member in place of its collection
//! ```
//!
//! The order is the specification's. An option that begins with `$` and is unknown is refused, any other unknown one is ignored.

mod expand;
mod filter;
mod select;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use self::expand::Expand;
use self::select::Select;
use crate::error::Problem;
use crate::etag;
use crate::message::{self, Message};
use crate::resource::{Call, Content};
use crate::routes::{self, Access, Handler};

pub(crate) use self::expand::LEVELS_MAX;
pub(crate) use self::filter::{Filter, Operator};

/// Resources that one request may make the service read besides the one it names; more is refused with 507. Above the members of any
/// collection, and little enough that an answer takes no more than some hundred milliseconds.
pub(crate) const RESOURCES_MAX: usize = 10_000;
/// Resources that are read in one go before other requests get their turn.
const RESOURCES_AT_ONCE: usize = 64;

/// The query options of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Query {
    only: bool,
    filter: Option<Filter>,
    skip: Option<usize>,
    top: Option<usize>,
    expand: Option<Expand>,
    select: Option<Select>,
    /// All but `$skip`, as they came, for the link to the next page.
    others: Vec<String>,
}

impl Query {
    /// Reads the part of a URI behind `?`.
    ///
    /// # Errors
    /// 501 for an unknown option that begins with `$`; 400 for a bad value, an option that is there twice, and options that exclude each other.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let mut query = Self::default();
        for option in text.split('&') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let Some(name) = decoded(name) else { continue };
            // An option whose value is no text cannot have a right value, whatever it is.
            let shown = decoded(value).unwrap_or_else(|| value.to_owned());
            let ill = || wrong_format(&shown, &name);
            let value = decoded(value);
            let known = match name.as_str() {
                "only" => {
                    if !shown.is_empty() {
                        return Err(ill());
                    }
                    set(&mut query.only, true)
                }
                "$filter" => {
                    set(&mut query.filter, Some(value.and_then(|text| Filter::parse(&text)).ok_or_else(ill)?))
                }
                "$skip" => set(&mut query.skip, Some(count(&shown, &name)?)),
                "$top" => set(&mut query.top, Some(count(&shown, &name)?)),
                "$expand" => set(&mut query.expand, Some(Expand::parse(&shown)?)),
                "$select" => {
                    set(&mut query.select, Some(value.and_then(|text| Select::parse(&text)).ok_or_else(ill)?))
                }
                _ if name.starts_with('$') => {
                    let message = Message::new(message::QueryParameterUnsupported, [&name]);
                    return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, message));
                }
                _ => continue,
            };
            if !known {
                return Err(refused(message::QueryCombinationInvalid));
            }
            if name != "$skip" {
                query.others.push(option.to_owned());
            }
        }
        if query.only && query.others.len() + usize::from(query.skip.is_some()) > 1 {
            return Err(refused(message::QueryCombinationInvalid));
        }
        Ok(query)
    }

    /// Whether other resources than the one named are asked for.
    pub(crate) fn expands(&self) -> bool {
        self.expand.is_some()
    }

    /// The condition, where that is all that is asked for.
    ///
    /// # Errors
    /// 400 for any other option.
    pub(crate) fn only_filter(&self) -> Result<Option<&Filter>, Problem> {
        let only = Self { filter: self.filter.clone(), others: self.others.clone(), ..Self::default() };
        if *self == only { Ok(self.filter.as_ref()) } else { Err(not_on_resource()) }
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the answer shows more than the resource itself, so that the resource's own tag does not stand for it.
    fn looks_further(&self) -> bool {
        self.filter.is_some() || self.expand.is_some()
    }

    /// Answers for a resource.
    ///
    /// # Errors
    /// 400 for options that are for collections alone, 507 when too much would have to be read, and what reading a member refuses with.
    pub(crate) async fn apply(&self, call: &Call<'_>, mut resource: Value) -> Result<Content, Problem> {
        let of_collection = self.only || self.filter.is_some() || self.skip.is_some() || self.top.is_some();
        if of_collection && !resource.get("Members").is_some_and(Value::is_array) {
            return Err(not_on_resource());
        }
        if self.only {
            return match resource["Members"].as_array().map(Vec::as_slice) {
                Some([member]) => Ok(Content::Resource(resolved(call, member).unwrap_or(resource))),
                _ => Ok(Content::Resource(resource)),
            };
        }
        let tag = etag::stamp(&mut resource);
        let mut budget = Budget::default();
        if let Some(filter) = &self.filter {
            self.keep(filter, call, &mut resource, &mut budget).await?;
        }
        self.page(&mut resource);
        if let Some(expand) = &self.expand {
            expand.apply(call, &mut resource, &mut budget).await?;
        }
        if let Some(select) = &self.select {
            select.apply(&mut resource);
        }
        Ok(Content::Tailored(resource, (!self.looks_further()).then_some(tag)))
    }

    /// Leaves the members that the filter is true for.
    async fn keep(
        &self,
        filter: &Filter,
        call: &Call<'_>,
        collection: &mut Value,
        budget: &mut Budget,
    ) -> Result<(), Problem> {
        let mut kept = Vec::new();
        for member in collection["Members"].as_array_mut().map(std::mem::take).unwrap_or_default() {
            budget.spend().await?;
            // A member that went away meanwhile, or that the caller may not read, meets no condition.
            if resolved(call, &member).is_some_and(|resource| filter.holds(&resource)) {
                kept.push(member);
            }
        }
        collection["Members@odata.count"] = kept.len().into();
        collection["Members"] = kept.into();
        Ok(())
    }

    /// Leaves the members of the page that is asked for, and says where the next one is. The count stays that of all.
    fn page(&self, collection: &mut Value) {
        let skip = self.skip.unwrap_or(0);
        let Some(members) = collection.get_mut("Members").and_then(Value::as_array_mut) else { return };
        let all = members.len();
        members.drain(..skip.min(all));
        let Some(top) = self.top.filter(|top| *top < members.len()) else { return };
        members.truncate(top);
        let uri = collection["@odata.id"].as_str().unwrap_or_default();
        let next = format!("{uri}?{}&$skip={}", self.others.join("&"), skip.saturating_add(top));
        // A page of nothing is followed by itself.
        if top > 0 {
            collection["Members@odata.nextLink"] = next.into();
        }
    }
}

/// Sets an option; `false` when it is set already.
fn set<T: Default + PartialEq>(option: &mut T, value: T) -> bool {
    let free = *option == T::default();
    *option = value;
    free
}

/// Percent-decoded, with `+` for a space as forms write it; `None` when that is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// A number of members.
fn count(text: &str, name: &str) -> Result<usize, Problem> {
    if let Ok(count) = text.parse() {
        return Ok(count);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(out_of_range(text, name, &format!("0 to {}", usize::MAX)));
    }
    Err(Problem::bad_request(vec![Message::new(message::QueryParameterValueTypeError, [text, name])]))
}

fn refused(entry: &'static message::Entry) -> Problem {
    Problem::bad_request(vec![Message::new(entry, [])])
}

/// 400: the value of an option is none that it may have.
pub(crate) fn wrong_format(value: &str, name: &str) -> Problem {
    Problem::bad_request(vec![Message::new(message::QueryParameterValueFormatError, [value, name])])
}

fn out_of_range(value: &str, name: &str, range: &str) -> Problem {
    Problem::bad_request(vec![Message::new(message::QueryParameterOutOfRange, [value, name, range])])
}

/// 400: query options are for other resources than this one.
pub(crate) fn not_on_resource() -> Problem {
    refused(message::QueryNotSupportedOnResource)
}

/// 400: query options are for GET.
pub(crate) fn not_on_operation() -> Problem {
    refused(message::QueryNotSupportedOnOperation)
}

/// What a request may still make the service read.
#[derive(Debug, Default)]
struct Budget {
    spent: usize,
}

impl Budget {
    /// Takes one resource off, and lets others have their turn from time to time.
    async fn spend(&mut self) -> Result<(), Problem> {
        self.spent += 1;
        if self.spent > RESOURCES_MAX {
            let message = Message::new(message::InsufficientStorage, []).resolution(format!(
                "Ask for less: one request reads {RESOURCES_MAX} resources at most. Use fewer $levels, or $top and $skip."
            ));
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, message));
        }
        if self.spent.is_multiple_of(RESOURCES_AT_ONCE) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// The URI that a value refers to, when it is nothing but a reference.
fn reference(value: &Value) -> Option<&str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get("@odata.id")?.as_str()
}

/// A member itself: read when it is a reference, as it is when it stands there in full.
fn resolved(call: &Call<'_>, member: &Value) -> Option<Value> {
    match reference(member) {
        Some(uri) => read(call, uri),
        None => Some(member.clone()),
    }
}

/// A resource as the caller may read it; `None` when there is none at the URI, or not for this caller.
fn read(call: &Call<'_>, uri: &str) -> Option<Value> {
    let (route, ids) = routes::find(uri)?;
    let verb = route.verb(&http::Method::GET)?;
    let Handler::Get(get) = verb.handler else { return None };
    let caller = call.caller.as_ref();
    let allowed = match verb.access {
        Access::Public => true,
        Access::Needs(privilege) => caller.is_some_and(|caller| caller.require(privilege).is_ok()),
        Access::OwnOr(_) => caller.is_some(),
    };
    allowed.then(|| get(&call.of(uri, verb, &ids)).ok()).flatten()
}

#[cfg(test)]
mod tests;
