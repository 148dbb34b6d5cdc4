//! The one place where a request enters and its answer leaves, each as bytes and decoded.
//!
//! ```text
//!  bytes in ─► Asked ─► who, may they, which verb ─► decoded body ─► resource ─► Reply ─► headers, bytes out
//! ```
//!
//! Authentication is decided before anything else in the request is looked at, so that a stranger learns nothing from the order of
//! refusals (DSP0266, "HTTP header authentication").

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPECT, HeaderName, LINK,
};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};

use crate::auth::{self, Caller};
use crate::body::{self, BodyError, Bounds};
use crate::error::Problem;
use crate::etag;
use crate::json;
use crate::message::{self, Message};
use crate::resource::{Call, Content, Reply};
use crate::routes::{self, Access, Handler, Ids, Kind, Route, Verb};
use crate::schema;
use crate::secret;
use crate::service::Service;

const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
const ODATA_VERSION_SERVED: &str = "4.0";
const JSON_TYPE: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
const XML_TYPE: HeaderValue = HeaderValue::from_static("application/xml;charset=utf-8");

/// Where a request came from; the server puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// A request as it came in.
struct Asked {
    parts: Parts,
    body: Result<Bytes, BodyError>,
    source: IpAddr,
}

impl Asked {
    async fn read(request: Request, bounds: Bounds) -> Self {
        let (parts, body) = request.into_parts();
        // A client that waits for leave to send its body has sent none that would have to be read away.
        let linger = !parts.headers.contains_key(EXPECT);
        let declared =
            parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let body = body::read(body, bounds, declared, linger).await;
        // Without a socket (in process) the request is as good as local.
        let source =
            parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip());
        Self { parts, body, source: source.to_canonical() }
    }
}

/// Takes a request through.
pub(crate) async fn pass(service: Arc<Service>, request: Request) -> Response {
    let (route, ids) = routes::find(request.uri().path()).unzip();
    let ids = ids.unwrap_or_default();
    let bounds = Bounds { bytes: service.config.body_max_bytes, time: service.config.request_timeout };
    let asked = Asked::read(request, bounds).await;
    let answer = answer(&service, route, &ids, &asked).await;
    let reply = answer.unwrap_or_else(|problem| Reply::from(&problem));
    let response = leave(reply, route, &asked);
    tracing::debug!(
        method = %asked.parts.method,
        path = asked.parts.uri.path(),
        source = %asked.source,
        status = response.status().as_u16(),
        "redfish"
    );
    response
}

async fn answer(
    service: &Arc<Service>,
    route: Option<&'static Route>,
    ids: &Ids,
    asked: &Asked,
) -> Result<Reply, Problem> {
    let verb = route.and_then(|route| route.verb(&asked.parts.method));
    let caller = match verb.map(|verb| verb.access) {
        Some(Access::Public) => None,
        Some(Access::Needs(_) | Access::OwnOr(_)) | None => {
            Some(auth::authenticate(service, &asked.parts.headers, asked.source)?)
        }
    };
    let route = route.ok_or_else(|| Problem::missing_at(asked.parts.uri.path()))?;
    let Some(verb) = verb else {
        if asked.parts.method == Method::OPTIONS {
            return Ok(Reply::empty(StatusCode::NO_CONTENT));
        }
        return Err(Problem::not_allowed(route.allow()));
    };
    if let (Some(caller), Access::Needs(privilege)) = (&caller, verb.access) {
        caller.require(privilege)?;
    }
    check_odata_version(asked)?;
    check_query(asked)?;
    let body = decode(verb, asked)?;
    call(service, verb, caller, ids, body, asked).await
}

async fn call(
    service: &Arc<Service>,
    verb: &'static Verb,
    caller: Option<Caller>,
    ids: &Ids,
    body: Map<String, Value>,
    asked: &Asked,
) -> Result<Reply, Problem> {
    let Ids { id, member, leaf } = ids;
    let (headers, source) = (&asked.parts.headers, asked.source);
    let path = asked.parts.uri.path();
    let call = Call { service, caller, path, verb, id, member, leaf, body, headers, source };
    match verb.handler {
        Handler::Get(get) => get(&call).map(|resource| Reply {
            status: (verb.status)(&resource),
            ..Reply::ok(Content::Resource(resource))
        }),
        Handler::Show(show) => show(&call).map(Reply::ok),
        Handler::Act(act) => act(&call).await,
    }
}

/// Any other version of OData than 4.0 is refused (DSP0266, "Request headers").
fn check_odata_version(asked: &Asked) -> Result<(), Problem> {
    let all_right =
        asked.parts.headers.get_all(ODATA_VERSION).iter().all(|value| value == ODATA_VERSION_SERVED);
    if all_right {
        return Ok(());
    }
    let message = Message::new(message::HeaderInvalid, ["OData-Version"]);
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, message))
}

/// Query options that begin with `$` change what is returned, so an unknown one is refused; others are ignored (DSP0266, "Query
/// parameters").
fn check_query(asked: &Asked) -> Result<(), Problem> {
    let query = asked.parts.uri.query().unwrap_or_default();
    for option in query.split('&') {
        let name = option.split_once('=').map_or(option, |(name, _)| name);
        if name.starts_with('$') || name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("%24")) {
            let message = Message::new(message::QueryParameterUnsupported, [name]);
            return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, message));
        }
    }
    Ok(())
}

/// The body as an object; empty for methods whose body is ignored.
fn decode(verb: &Verb, asked: &Asked) -> Result<Map<String, Value>, Problem> {
    if matches!(verb.kind, Kind::Get | Kind::Delete) {
        return Ok(Map::new());
    }
    let bytes = asked.body.as_ref().map_err(|error| body_problem(*error))?;
    if let Some(kind) = asked.parts.headers.get(CONTENT_TYPE)
        && !is_json(kind)
    {
        let message = Message::new(message::HeaderInvalid, ["Content-Type"]);
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let body = json::parse_object(bytes)?;
    tracing::trace!(body = %secret::masked(&body, verb.secrets), "redfish request body");
    Ok(body)
}

fn is_json(kind: &HeaderValue) -> bool {
    let kind = kind.to_str().unwrap_or_default();
    let mut parts = kind.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let utf8 = parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    essence.eq_ignore_ascii_case("application/json") && utf8
}

fn body_problem(error: BodyError) -> Problem {
    match error {
        BodyError::TooLarge => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Message::new(message::PayloadTooLarge, []))
        }
        BodyError::Broken => Problem::bad_request(vec![Message::new(message::UnrecognizedRequestBody, [])]),
        BodyError::TooSlow => {
            let mut problem =
                Problem::new(StatusCode::REQUEST_TIMEOUT, Message::new(message::OperationTimeout, []));
            problem.headers.push((CONNECTION, HeaderValue::from_static("close")));
            problem
        }
    }
}

/// Puts an answer into bytes, with the headers that every answer has (DSP0266, "Response headers").
fn leave(reply: Reply, route: Option<&'static Route>, asked: &Asked) -> Response {
    let Reply { mut status, headers, content } = reply;
    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    out.insert(ODATA_VERSION, HeaderValue::from_static(ODATA_VERSION_SERVED));
    out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(route) = route {
        out.insert(ALLOW, route.allow());
    }
    for (name, value) in headers {
        out.insert(name, value);
    }

    let reading = matches!(asked.parts.method, Method::GET | Method::HEAD);
    let mut bytes = Bytes::new();
    match content {
        Content::None => {}
        Content::Xml(text) => {
            out.insert(CONTENT_TYPE, XML_TYPE);
            bytes = text.into();
        }
        Content::Plain(value) => {
            out.insert(CONTENT_TYPE, JSON_TYPE);
            bytes = value.to_string().into();
        }
        Content::Resource(mut value) => {
            let kind = value.get("@odata.type").and_then(Value::as_str).and_then(schema::json_schema_uri);
            let link = kind.and_then(|uri| HeaderValue::from_str(&format!("<{uri}>; rel=describedby")).ok());
            if let Some(link) = link {
                out.insert(LINK, link);
            }
            let tag = etag::stamp(&mut value);
            if let Ok(header) = HeaderValue::from_str(&tag) {
                out.insert(ETAG, header);
            }
            if reading && status == StatusCode::OK && etag::has_it(&asked.parts.headers, &tag) {
                status = StatusCode::NOT_MODIFIED;
            } else {
                out.insert(CONTENT_TYPE, JSON_TYPE);
                bytes = value.to_string().into();
            }
        }
    }
    if asked.parts.method == Method::HEAD {
        out.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        bytes = Bytes::new();
    }
    *response.status_mut() = status;
    *response.body_mut() = Body::from(bytes);
    response
}
