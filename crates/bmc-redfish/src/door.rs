//! The one place where a request enters and its answer leaves, each as bytes and decoded.
//!
//! ```text
//!  bytes in ─► Asked ─► who, may they, which verb ─► decoded body ─► resource ─► Reply ─► headers, bytes out
//! ```
//!
//! Authentication is decided before anything else in the request is looked at, so that a stranger learns nothing from the order of
//! refusals (DSP0266, "HTTP header authentication").

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    EXPECT, HOST, HeaderName, IF_MATCH, LINK, VARY,
};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Version};
use serde_json::{Map, Value};

use crate::auth::{self, Caller, X_AUTH_TOKEN};
use crate::body::{self, BodyError, Bounds};
use crate::error::Problem;
use crate::etag;
use crate::json;
use crate::message::{self, Message};
use crate::negotiate;
use crate::query::{self, Query};
use crate::resource::account::is_way_out;
use crate::resource::{Call, Content, Reply};
use crate::routes::{self, Access, Handler, Ids, Kind, Route, Verb};
use crate::schema;
use crate::secret;
use crate::service::Service;

const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
const ODATA_VERSION_SERVED: &str = "4.0";
const ODATA_MAX_VERSION: HeaderName = HeaderName::from_static("odata-maxversion");
/// What HTTP and Redfish know; a method that is none of them is answered with 501, one of them that a resource does not have with 405.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::PATCH, Method::PUT, Method::DELETE];
const JSON_TYPE: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
const STREAM_TYPE: HeaderValue = HeaderValue::from_static("text/event-stream;charset=utf-8");
const XML_TYPE: HeaderValue = HeaderValue::from_static("application/xml;charset=utf-8");

/// Where a request came from; the server puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// A request as it came in.
struct Asked {
    parts: Parts,
    body: Result<Bytes, BodyError>,
    source: IpAddr,
    /// The body where it is taken as it comes.
    upload: Mutex<Option<Body>>,
}

impl Asked {
    async fn read(request: Request, bounds: Bounds, upload: bool) -> Self {
        let (parts, body) = request.into_parts();
        // A client that waits for leave to send its body has sent none that would have to be read away.
        let linger = !parts.headers.contains_key(EXPECT);
        let declared =
            parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let (body, upload) = match upload {
            // Who sends it is asked first.
            true => (Ok(Bytes::new()), Some(body)),
            false => (body::read(body, bounds, declared, linger).await, None),
        };
        // Without a socket (in process) the request is as good as local.
        let source =
            parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip());
        Self { parts, body, source: source.to_canonical(), upload: Mutex::new(upload) }
    }
}

impl Asked {
    fn take_upload(&self) -> Option<Body> {
        self.upload.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Takes a request through.
pub(crate) async fn pass(service: Arc<Service>, request: Request) -> Response {
    let (route, ids) = routes::find(request.uri().path()).unzip();
    let ids = ids.unwrap_or_default();
    let bounds = Bounds { bytes: service.config.body_max_bytes, time: service.config.request_timeout };
    let verb = route.and_then(|route| route.verb(request.method()));
    let asked = Asked::read(request, bounds, verb.is_some_and(|verb| verb.upload)).await;
    let answer = answer(&service, route, &ids, &asked).await;
    let reply = answer.unwrap_or_else(|problem| Reply::from(&problem));
    let response = leave(reply, route, &asked).await;
    if let Some(body) = asked.take_upload() {
        // Refused before it was read: see `body::read`.
        body::linger(body, bounds);
    }
    tracing::debug!(
        method = %asked.parts.method,
        path = asked.parts.uri.path(),
        source = %asked.source,
        status = response.status().as_u16(),
        "redfish"
    );
    response
}

/// Whether a request says once for which host it is, as HTTP/1.1 demands (RFC 9112 §3.2).
pub(crate) fn names_one_host(request: &Request) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

/// Refuses a request that does not.
pub(crate) async fn refuse_hosts(request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let entry =
        if parts.headers.contains_key(HOST) { message::HeaderInvalid } else { message::HeaderMissing };
    let problem = Problem::bad_request(vec![Message::new(entry, ["Host"])]);
    let asked = Asked {
        parts,
        body: Ok(Bytes::new()),
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        upload: Mutex::default(),
    };
    leave(Reply::from(&problem), None, &asked).await
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
    if !METHODS.contains(&asked.parts.method) {
        let message = Message::new(message::OperationNotAllowed, []);
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, message));
    }
    if let Some(caller) = &caller
        && !is_way_out(route, ids, &asked.parts.method, caller)
    {
        must_not_change_password_first(caller)?;
    }
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
    let query = Query::parse(asked.parts.uri.query().unwrap_or_default())?;
    // Who asks an open resource for what lies behind it may say who they are.
    let credentials =
        || [AUTHORIZATION, X_AUTH_TOKEN].iter().any(|name| asked.parts.headers.contains_key(name));
    let caller = match caller {
        None if query.expands() && credentials() => {
            let caller = auth::authenticate(service, &asked.parts.headers, asked.source)?;
            must_not_change_password_first(&caller)?;
            Some(caller)
        }
        caller => caller,
    };
    if verb.kind != Kind::Get && !query.is_empty() {
        return Err(query::not_on_operation());
    }
    if service.config.require_if_match
        && verb.kind == Kind::Patch
        && !asked.parts.headers.contains_key(IF_MATCH)
    {
        return Err(Problem::precondition_required());
    }
    let body = decode(verb, asked)?;
    let reply = call(service, verb, caller, ids, body, &query, asked).await?;
    check_accept(&reply, asked)?;
    Ok(reply)
}

/// Refuses whoever has to change the password before anything else.
fn must_not_change_password_first(caller: &Caller) -> Result<(), Problem> {
    match caller.must_change_password {
        true => Err(Problem::password_change_required(caller.account)),
        false => Ok(()),
    }
}

async fn call(
    service: &Arc<Service>,
    verb: &'static Verb,
    caller: Option<Caller>,
    ids: &Ids,
    body: Map<String, Value>,
    query: &Query,
    asked: &Asked,
) -> Result<Reply, Problem> {
    let Ids { id, member, leaf } = ids;
    let (headers, source) = (&asked.parts.headers, asked.source);
    let upload = Mutex::new(asked.take_upload());
    let (path, is_head) = (asked.parts.uri.path(), asked.parts.method == Method::HEAD);
    let call = Call { service, caller, path, is_head, verb, id, member, leaf, body, headers, source, upload };
    match verb.handler {
        Handler::Get(get) => {
            let resource = get(&call)?;
            let status = (verb.status)(&resource);
            let content = match query.is_empty() {
                true => Content::Resource(resource),
                false => query.apply(&call, resource).await?,
            };
            Ok(Reply { status, ..Reply::ok(content) })
        }
        Handler::Show(_) if !query.is_empty() => Err(query::not_on_resource()),
        Handler::Show(show) => show(&call).map(Reply::ok),
        Handler::Filtered(answer) => answer(&call, query.only_filter()?),
        Handler::Act(_) if verb.kind == Kind::Get && !query.is_empty() => Err(query::not_on_resource()),
        Handler::Act(act) => act(&call).await,
    }
}

/// Any other version of OData than 4.0 is refused, and a client that does not know it (DSP0266, "Request headers").
fn check_odata_version(asked: &Asked) -> Result<(), Problem> {
    let refuse = |name: &str| {
        let message = Message::new(message::HeaderInvalid, [name]);
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, message))
    };
    let headers = &asked.parts.headers;
    if !headers.get_all(ODATA_VERSION).iter().all(|value| value == ODATA_VERSION_SERVED) {
        return refuse("OData-Version");
    }
    let knows_ours = |value: &HeaderValue| {
        let major = value.to_str().ok().and_then(|text| text.split('.').next()?.trim().parse::<u32>().ok());
        major.is_some_and(|major| major >= 4)
    };
    if headers.get_all(ODATA_MAX_VERSION).iter().all(knows_ours) {
        Ok(())
    } else {
        refuse("OData-MaxVersion")
    }
}

/// Who asks for another form of a document than it has is told so and gets none (DSP0266, "Request headers"). What a write has done is done,
/// whatever its answer would be.
fn check_accept(reply: &Reply, asked: &Asked) -> Result<(), Problem> {
    let kind = match &reply.content {
        Content::None => return Ok(()),
        Content::Resource(_) | Content::Tailored(..) | Content::Plain(_) => "application/json",
        Content::Xml(_) => "application/xml",
        Content::Stream(_) => "text/event-stream",
    };
    if !is_read(asked) || negotiate::takes_type(&asked.parts.headers, kind) {
        return Ok(());
    }
    let message = Message::new(message::HeaderInvalid, ["Accept"]);
    Err(Problem::new(StatusCode::NOT_ACCEPTABLE, message))
}

fn is_read(asked: &Asked) -> bool {
    matches!(asked.parts.method, Method::GET | Method::HEAD)
}

/// The body as an object; empty for GET, whose body is ignored. That of a DELETE may say when to do it, and is ignored if it is not JSON.
fn decode(verb: &Verb, asked: &Asked) -> Result<Map<String, Value>, Problem> {
    match verb.kind {
        Kind::Get => return Ok(Map::new()),
        Kind::Delete => {
            let bytes = asked.body.as_ref().ok();
            return Ok(bytes.and_then(|bytes| json::parse_object(bytes).ok()).unwrap_or_default());
        }
        Kind::Post if verb.upload => return Ok(Map::new()),
        Kind::Post | Kind::Patch => {}
    }
    let bytes = asked.body.as_ref().map_err(|error| body_problem(*error))?;
    if let Some(kind) = asked.parts.headers.get(CONTENT_TYPE)
        && !is_json(kind)
    {
        let message = Message::new(message::HeaderInvalid, ["Content-Type"]);
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    // Clients that have nothing to say to an action send nothing.
    if bytes.is_empty() && asked.parts.uri.path().contains("/Actions/") {
        return Ok(Map::new());
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
async fn leave(reply: Reply, route: Option<&'static Route>, asked: &Asked) -> Response {
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

    if let Content::Stream(stream) = content {
        out.insert(CONTENT_TYPE, STREAM_TYPE);
        if asked.parts.method != Method::HEAD
            && let Some(stream) = stream.take()
        {
            *response.body_mut() = Body::new(stream);
        }
        *response.status_mut() = status;
        return response;
    }
    if let Content::Resource(value) | Content::Tailored(value, _) = &content
        && let Some(link) = described_by(value)
    {
        out.insert(LINK, link);
    }
    let (kind, mut bytes, tag) = match content {
        Content::None | Content::Stream(_) => (None, Bytes::new(), None),
        Content::Xml(text) => (Some(XML_TYPE), text.into(), None),
        Content::Plain(value) => (Some(JSON_TYPE), value.to_string().into(), None),
        Content::Tailored(value, tag) => {
            let bytes = value.to_string().into_bytes();
            let tag = tag.unwrap_or_else(|| etag::of_bytes(&bytes));
            (Some(JSON_TYPE), bytes.into(), Some(tag))
        }
        Content::Resource(value) => {
            let (bytes, tag) = etag::render(&value);
            (Some(JSON_TYPE), bytes.into(), Some(tag))
        }
    };

    let shown = is_read(asked) && status == StatusCode::OK;
    let compress =
        shown && bytes.len() >= negotiate::GZIP_MIN_BYTES && negotiate::takes_gzip(&asked.parts.headers);
    if shown {
        out.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    if let Some(tag) = tag {
        let sent = if compress { etag::compressed(&tag) } else { tag.clone() };
        if let Ok(header) = HeaderValue::from_str(&sent) {
            out.insert(ETAG, header);
        }
        if shown && etag::has_it(&asked.parts.headers, &tag) {
            status = StatusCode::NOT_MODIFIED;
        }
    }
    if status == StatusCode::NOT_MODIFIED {
        bytes = Bytes::new();
    } else if let Some(kind) = kind {
        out.insert(CONTENT_TYPE, kind);
        if compress && let Some(compressed) = negotiate::gzip(bytes.clone()).await {
            out.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            bytes = compressed;
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

/// The link to a resource's schema.
fn described_by(resource: &Value) -> Option<HeaderValue> {
    let uri = schema::json_schema_uri(resource.get("@odata.type")?.as_str()?)?;
    HeaderValue::from_str(&format!("<{uri}>; rel=describedby")).ok()
}
