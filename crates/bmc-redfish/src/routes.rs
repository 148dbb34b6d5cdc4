//! What is served: the one table behind the router, the `Allow` header, the privileges and the coverage document. Each file of
//! [`crate::resource`] has its own part of it; [`ROOMS`] puts them together.

use std::pin::Pin;
use std::sync::LazyLock;

use http::{HeaderValue, Method, StatusCode};
use matchit::Router;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::error::Problem;
use crate::privilege::Privilege;
use crate::query::Filter;
use crate::resource::{
    Call, Content, Reply, account, action_info, bios, bios_registry, boot_option, certificate, chassis,
    environment, event_destination, event_service, json_schema, log, manager, media, memory, metadata,
    network, odata, pcie, power, processor, registry, root, secure_boot, sensor, session, session_service,
    storage, system, task, telemetry, thermal, update_service,
};

/// The table, by room.
pub(crate) static ROOMS: &[&[Route]] = &[
    root::ROUTES,
    odata::ROUTES,
    metadata::ROUTES,
    system::ROUTES,
    bios::ROUTES,
    bios_registry::ROUTES,
    boot_option::ROUTES,
    secure_boot::ROUTES,
    secure_boot::database::ROUTES,
    action_info::ROUTES,
    log::ROUTES,
    manager::ROUTES,
    manager::network_protocol::ROUTES,
    manager::ethernet::ROUTES,
    manager::log::ROUTES,
    manager::serial::ROUTES,
    processor::ROUTES,
    memory::ROUTES,
    network::ethernet::ROUTES,
    network::adapter::ROUTES,
    network::port::ROUTES,
    pcie::ROUTES,
    chassis::ROUTES,
    sensor::ROUTES,
    account::ROUTES,
    certificate::ROUTES,
    session_service::ROUTES,
    session::ROUTES,
    registry::ROUTES,
    thermal::ROUTES,
    power::ROUTES,
    environment::ROUTES,
    storage::subsystem::ROUTES,
    storage::drive::ROUTES,
    storage::volume::ROUTES,
    storage::simple::ROUTES,
    json_schema::ROUTES,
    task::ROUTES,
    event_service::ROUTES,
    event_destination::ROUTES,
    media::SYSTEM_ROUTES,
    media::MANAGER_ROUTES,
    telemetry::ROUTES,
    update_service::ROUTES,
];

/// Every route.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    ROOMS.iter().copied().flatten()
}

static TABLE: LazyLock<Router<&'static Route>> = LazyLock::new(|| {
    let mut table = Router::new();
    for route in all() {
        let added = table.insert(route.path, route);
        // A route that is there twice, or not well written, is seen by the first test that is run.
        debug_assert!(added.is_ok(), "{}: {added:?}", route.path);
    }
    table
});

/// The variable parts of a URI; empty where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    /// `{id}`, the first: a machine, mostly.
    pub(crate) id: String,
    /// `{member}`, the second: something of that machine.
    pub(crate) member: String,
    /// `{leaf}`, the third: a part of that.
    pub(crate) leaf: String,
}

/// The route of a path, with or without a slash at its end, and the variable parts. `None` for what is not served; an id that is not
/// UTF-8 once decoded names nothing.
pub(crate) fn find(path: &str) -> Option<(&'static Route, Ids)> {
    let found = TABLE.at(path.strip_suffix('/').unwrap_or(path)).ok()?;
    let mut ids = Ids::default();
    for (name, raw) in found.params.iter() {
        let decoded = percent_decode_str(raw).decode_utf8().ok()?.into_owned();
        match name {
            "id" => ids.id = decoded,
            "member" => ids.member = decoded,
            _ => ids.leaf = decoded,
        }
    }
    Some((found.value, ids))
}

/// What carries an operation out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Handler {
    /// Shows a resource from what is published, at once.
    Get(fn(&Call<'_>) -> Result<Value, Problem>),
    /// Shows what is no resource, at once.
    Show(fn(&Call<'_>) -> Result<Content, Problem>),
    /// Answers at once with what is no resource, as a filter wants it.
    Filtered(fn(&Call<'_>, Option<&Filter>) -> Result<Reply, Problem>),
    /// Does something, and may wait for it.
    Act(for<'a> fn(&'a Call<'a>) -> Acting<'a>),
}

/// An action under way.
pub(crate) type Acting<'a> = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;

/// Who may carry out an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody: what a client needs in order to log in (DSP0266, "Authentication").
    Public,
    /// Who has this privilege.
    Needs(Privilege),
    /// Who has this privilege, or whose own it is; the resource decides.
    OwnOr(Privilege),
}

/// The methods that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Post,
    Patch,
    Delete,
}

impl Kind {
    /// As HTTP writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// As a method of HTTP.
    pub(crate) fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

/// One method of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verb {
    pub(crate) kind: Kind,
    pub(crate) handler: Handler,
    pub(crate) access: Access,
    /// What it does, for the coverage document.
    pub(crate) what: &'static str,
    /// Members of the request body that no journal may show.
    pub(crate) secrets: &'static [&'static str],
    /// Its body is no JSON, and is taken as it comes.
    pub(crate) upload: bool,
    /// The status of an answer with this resource.
    pub(crate) status: fn(&Value) -> StatusCode,
}

/// One URI.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) verbs: &'static [Verb],
}

impl Route {
    /// The verb for a method. HEAD is GET without the body.
    pub(crate) fn verb(&self, method: &Method) -> Option<&'static Verb> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.verbs.iter().find(|verb| verb.kind.as_str() == method.as_str())
    }

    /// The methods allowed, as the `Allow` header lists them.
    pub(crate) fn allow(&self) -> HeaderValue {
        let mut methods: Vec<&str> = Vec::new();
        for verb in self.verbs {
            methods.push(verb.kind.as_str());
            if verb.kind == Kind::Get {
                methods.push("HEAD");
            }
        }
        HeaderValue::from_str(&methods.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("GET"))
    }
}

/// The status of a resource that is shown.
fn all_is_well(_: &Value) -> StatusCode {
    StatusCode::OK
}

/// A resource that who may log in may read.
pub(crate) const fn get(show: fn(&Call<'_>) -> Result<Value, Problem>, what: &'static str) -> Verb {
    let access = Access::Needs(Privilege::Login);
    Verb {
        kind: Kind::Get,
        handler: Handler::Get(show),
        access,
        what,
        secrets: &[],
        upload: false,
        status: all_is_well,
    }
}

/// A resource that anybody may read.
pub(crate) const fn open(show: fn(&Call<'_>) -> Result<Value, Problem>, what: &'static str) -> Verb {
    Verb { access: Access::Public, ..get(show, what) }
}

/// An answer that is not always a resource, to who may log in.
pub(crate) const fn answer(act: for<'a> fn(&'a Call<'a>) -> Acting<'a>, what: &'static str) -> Verb {
    Verb { kind: Kind::Get, ..patch(Privilege::Login, act, what) }
}

/// Something that is no resource, and that takes `$filter`.
pub(crate) const fn answer_filtered(
    act: fn(&Call<'_>, Option<&Filter>) -> Result<Reply, Problem>,
    what: &'static str,
) -> Verb {
    Verb {
        kind: Kind::Get,
        handler: Handler::Filtered(act),
        access: Access::Needs(Privilege::Login),
        what,
        secrets: &[],
        upload: false,
        status: all_is_well,
    }
}

/// Something that is no resource, and that anybody may read.
pub(crate) const fn show(show: fn(&Call<'_>) -> Result<Content, Problem>, what: &'static str) -> Verb {
    Verb {
        kind: Kind::Get,
        handler: Handler::Show(show),
        access: Access::Public,
        what,
        secrets: &[],
        upload: false,
        status: all_is_well,
    }
}

/// A change of a resource.
pub(crate) const fn patch(
    needs: Privilege,
    act: for<'a> fn(&'a Call<'a>) -> Acting<'a>,
    what: &'static str,
) -> Verb {
    let access = Access::Needs(needs);
    Verb {
        kind: Kind::Patch,
        handler: Handler::Act(act),
        access,
        what,
        secrets: &[],
        upload: false,
        status: all_is_well,
    }
}

/// An action, or a new member of a collection.
pub(crate) const fn post(
    needs: Privilege,
    act: for<'a> fn(&'a Call<'a>) -> Acting<'a>,
    what: &'static str,
) -> Verb {
    Verb { kind: Kind::Post, ..patch(needs, act, what) }
}

/// The end of a resource.
pub(crate) const fn delete(
    needs: Privilege,
    act: for<'a> fn(&'a Call<'a>) -> Acting<'a>,
    what: &'static str,
) -> Verb {
    Verb { kind: Kind::Delete, ..patch(needs, act, what) }
}

impl Verb {
    /// The same, open to others.
    pub(crate) const fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// The same, with a body that is taken as it comes.
    pub(crate) const fn upload(self) -> Self {
        Self { upload: true, ..self }
    }

    /// The same, for a resource that tells by its status that it is not done.
    pub(crate) const fn status(self, status: fn(&Value) -> StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same, with members of its body that no journal may show.
    pub(crate) const fn secret(self, secrets: &'static [&'static str]) -> Self {
        Self { secrets, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_and_none_is_there_twice() {
        for route in all() {
            let (found, ids) = find(route.path).unwrap();
            assert_eq!(found.path, route.path);
            assert_eq!(ids.id, if route.path.contains("{id}") { "{id}" } else { "" });
            let methods: Vec<Kind> = route.verbs.iter().map(|verb| verb.kind).collect();
            assert!((1..methods.len()).all(|at| !methods[..at].contains(&methods[at])), "{}", route.path);
        }
    }

    #[test]
    fn ids_are_decoded() {
        let (route, ids) = find("/redfish/v1/Systems/a%20b/LogServices/SEL/Entries/7/").unwrap();
        assert!(route.path.ends_with("/Entries/{member}"));
        assert_eq!(ids, Ids { id: "a b".to_owned(), member: "7".to_owned(), leaf: String::new() });
        assert!(find("/redfish/v1/Systems/%FF").is_none());
        assert!(find("/redfish/v1/Systems//").is_none());
        assert!(find("/redfish/v1/nothing").is_none());
    }
}
