//! What happens before the load: the URL's address, the login, and the resource to ask for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri, header};
use rustls_pki_types::ServerName;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::client::{Connection, Endpoint, RequestError};
use super::tls;
use super::work::{SESSIONS, SYSTEMS, Step, Work, log_out, members, present_tag};
use crate::bench::args::{Auth, RedfishArgs, Scenario};

pub(super) const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// A service that answered, and what to ask of it.
#[derive(Debug)]
pub(super) struct Service {
    pub endpoint: Arc<Endpoint>,
    pub work: Work,
    /// Sent with each request; says who we are.
    pub headers: HeaderMap,
    /// The length of the first answer.
    pub body_len: usize,
    /// The session to delete at the end.
    session: Option<String>,
}

/// Connects, logs in, finds what the scenario is about, and does once what will be repeated.
///
/// # Errors
/// When any of this does not work; the message says what.
pub(super) async fn prepare(args: &RedfishArgs, end_by: Instant) -> Result<Service> {
    let endpoint = Arc::new(resolve(args, end_by).await?);
    let mut client = Client { endpoint: Arc::clone(&endpoint), connection: None, end_by };
    let (headers, session) =
        log_in(args, &mut client).await.with_context(|| format!("{} ({})", args.url, endpoint.address))?;
    let work = Work::Get(String::new());
    let mut service = Service { endpoint, work, headers, body_len: 0, session };
    match first_answer(args, &mut client, &service.headers).await {
        Ok((work, body_len)) => {
            service.work = work;
            service.body_len = body_len;
            Ok(service)
        }
        Err(error) => {
            service.leave(Instant::now() + args.common.timeout).await;
            Err(error.context(format!("{} ({})", args.url, service.endpoint.address)))
        }
    }
}

impl Service {
    /// Undoes what the load changed, and deletes the session, if there is one. What counts has been measured, so a failure changes
    /// nothing.
    pub(super) async fn leave(&self, end_by: Instant) {
        let mut client = Client { endpoint: Arc::clone(&self.endpoint), connection: None, end_by };
        for step in self.work.undo() {
            let _ = client.step(step, &self.headers).await;
        }
        if let Some(session) = &self.session {
            let _ = client.request(Method::DELETE, session, &self.headers, Bytes::new()).await;
        }
    }
}

/// A few requests one after the other, over one connection if the server keeps it.
struct Client {
    endpoint: Arc<Endpoint>,
    connection: Option<Connection>,
    end_by: Instant,
}

impl Client {
    async fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, RequestError> {
        let mut open = match self.connection.take().filter(Connection::is_usable) {
            Some(open) => open,
            None => Connection::open(Arc::clone(&self.endpoint), self.end_by).await?,
        };
        let answer = open.request(method, path, headers, body, self.end_by).await?;
        self.connection = Some(open);
        Ok(answer)
    }

    async fn step(&mut self, step: Step, headers: &HeaderMap) -> Result<Response<Bytes>> {
        let Step { method, path, body, .. } = step;
        let what = format!("{method} {path}");
        let headers = with_type(headers, &body);
        let answer = self.request(method, &path, &headers, body).await.with_context(|| what.clone())?;
        if !answer.status().is_success() {
            bail!("{what} was answered with {}", answer.status());
        }
        Ok(answer)
    }

    async fn get(&mut self, path: &str, headers: &HeaderMap) -> Result<Response<Bytes>> {
        let answer = self
            .request(Method::GET, path, headers, Bytes::new())
            .await
            .with_context(|| format!("GET {path}"))?;
        if !answer.status().is_success() {
            bail!("GET {path} was answered with {}", answer.status());
        }
        Ok(answer)
    }
}

async fn resolve(args: &RedfishArgs, end_by: Instant) -> Result<Endpoint> {
    let (secure, default_port) = match args.url.scheme_str() {
        Some("https") => (true, 443),
        Some("http") => (false, 80),
        _ => bail!("`{}`: the URL must begin with https:// or http://", args.url),
    };
    let authority = args.url.authority().context("the URL has no host")?;
    // An IPv6 address stands in brackets in a URL and without them everywhere else.
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(default_port);
    let deadline = end_by.min(Instant::now() + args.common.timeout);
    let address = timeout_at(deadline, tokio::net::lookup_host((host.as_str(), port)))
        .await
        .with_context(|| format!("no address for {host} within {}", in_seconds(args.common.timeout)))?
        .with_context(|| format!("no address for {host}"))?
        .next()
        .with_context(|| format!("no address for {host}"))?;
    let tls = if secure {
        let config = tls::client_config(args.insecure, args.ca.as_deref())?;
        let name = ServerName::try_from(host).context("the URL's host is no name for a certificate")?;
        Some((config.into(), name))
    } else {
        None
    };
    Ok(Endpoint { address, host: host_value(&host_and_port(&args.url))?, tls, timeout: args.common.timeout })
}

fn in_seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// The URL's host and port without a user name.
fn host_and_port(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The value of a `Host` header.
///
/// # Errors
/// When `host` holds what a header cannot.
pub(super) fn host_value(host: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(host).with_context(|| format!("`{host}` is no value for a Host header"))
}

/// The headers that say who we are, and the session's path if one was made.
async fn log_in(args: &RedfishArgs, client: &mut Client) -> Result<(HeaderMap, Option<String>)> {
    let mut headers = HeaderMap::new();
    let mut session = None;
    match args.auth {
        Auth::None => {}
        Auth::Basic => {
            let credentials = format!("{}:{}", args.common.user, args.common.read_password()?);
            headers.insert(
                header::AUTHORIZATION,
                secret(&format!("Basic {}", BASE64_STANDARD.encode(credentials)))?,
            );
        }
        Auth::Session => {
            let body = credentials(args)?;
            let plain = with_type(&HeaderMap::new(), &body);
            let answer = client
                .request(Method::POST, SESSIONS, &plain, body)
                .await
                .context("the login got no answer")?;
            if !answer.status().is_success() {
                bail!("the login was refused: {}", answer.status());
            }
            let token = answer.headers().get(TOKEN).context("the login's answer has no X-Auth-Token")?;
            headers.insert(TOKEN, secret(token.to_str().context("the token is no text")?)?);
            session = answer.headers().get(header::LOCATION).and_then(path_of);
        }
    }
    Ok((headers, session))
}

fn secret(value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value).context("user and password cannot stand in a header")?;
    value.set_sensitive(true);
    Ok(value)
}

/// A `Location` may be a whole URL or just a path.
pub(super) fn path_of(location: &HeaderValue) -> Option<String> {
    Some(location.to_str().ok()?.parse::<Uri>().ok()?.path().to_owned())
}

/// The headers of a request with this body.
pub(super) fn with_type(headers: &HeaderMap, body: &Bytes) -> HeaderMap {
    let mut headers = headers.clone();
    if !body.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers
}

fn credentials(args: &RedfishArgs) -> Result<Bytes> {
    let body = json!({ "UserName": args.common.user, "Password": args.common.read_password()? });
    Ok(body.to_string().into())
}

/// What to repeat, and the length of its answer.
async fn first_answer(args: &RedfishArgs, client: &mut Client, headers: &HeaderMap) -> Result<(Work, usize)> {
    let work = match args.scenario {
        Scenario::System | Scenario::Collection | Scenario::Expand => {
            let path = args.path.clone().or_else(|| Work::path(args.scenario).map(str::to_owned));
            match path {
                Some(path) => Work::Get(path),
                None => Work::Get(systems(client, headers).await?.swap_remove(0)),
            }
        }
        Scenario::Patch => {
            let mut found = Vec::new();
            for path in systems(client, headers).await?.into_iter().take(args.connections as usize) {
                let system = client.get(&path, headers).await?;
                let tag = present_tag(system.body())
                    .with_context(|| format!("{path} has no asset tag to change"))?;
                found.push((path, tag));
            }
            Work::Patch(found)
        }
        Scenario::Login => Work::LogIn(credentials(args)?),
    };
    // A System's own tag again changes nothing.
    let step = work.undo().into_iter().next().unwrap_or_else(|| work.step(0, 0));
    let answer = client.step(step, headers).await?;
    if let (Work::LogIn(_), Some((session, token))) = (&work, log_out(&answer)) {
        client
            .request(Method::DELETE, &session, &token, Bytes::new())
            .await
            .context("the logout got no answer")?;
    }
    Ok((work, answer.body().len()))
}

/// The paths of all Systems; at least one.
async fn systems(client: &mut Client, headers: &HeaderMap) -> Result<Vec<String>> {
    let systems = members(client.get(SYSTEMS, headers).await?.body());
    if systems.is_empty() {
        bail!("the service has no System; say with --path what to GET");
    }
    Ok(systems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_headers_carry_no_user_name() {
        let host = |url: &str| host_and_port(&url.parse().unwrap());
        assert_eq!(host("https://a:b@node:8100/x"), "node:8100");
        assert_eq!(host("https://[::1]:8100"), "[::1]:8100");
        assert_eq!(host("http://node"), "node");
    }

    #[test]
    fn locations_may_be_urls_or_paths() {
        for location in [
            "https://node:8100/redfish/v1/SessionService/Sessions/7",
            "/redfish/v1/SessionService/Sessions/7",
        ] {
            let path = path_of(&HeaderValue::from_static(location));
            assert_eq!(path.as_deref(), Some("/redfish/v1/SessionService/Sessions/7"));
        }
    }
}
