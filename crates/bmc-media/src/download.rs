//! One image by HTTP: redirections, credentials, and taking up again what broke off.
//!
//! ```text
//!   ask ──200──► read ──end──► whole            ask ──304──► what is there is still good
//!    ▲  └─3xx─► elsewhere, at most REDIRECTS_MAX times
//!    │            │ breaks off, and the server gave a strong ETag
//!    └── Range, If-Range ◄──┘  206: go on behind what is there; 200: from the start
//! ```
//!
//! Only what a strong ETag vouches for is taken up again: without one the rest may be another image's.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bmc_core::media::{MediaError, MediaErrorKind, MediaSource};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use rustls::ClientConfig;
use url::Url;

use crate::exchange::{self, Answer, Trouble};
use crate::limits::{Limits, REDIRECTS_MAX, RESUMES_MAX};
use crate::partial::Partial;
use crate::trust::Trust;

/// What tells whether an image is still the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validator {
    /// A strong ETag.
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl Validator {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let etag = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")).cloned();
        let last_modified = headers.get(header::LAST_MODIFIED).cloned();
        (etag.is_some() || last_modified.is_some()).then_some(Self { etag, last_modified })
    }
}

/// How a download ended.
pub(crate) enum Got {
    /// The image is in the file.
    New(Option<Validator>),
    /// The image that the validator was of is still the same.
    Unchanged,
}

/// One download.
pub(crate) struct Download<'a> {
    source: &'a MediaSource,
    limits: &'a Limits,
    tls: Option<Arc<ClientConfig>>,
    /// Where the image was asked for; credentials go nowhere else.
    origin: Url,
    /// Where it is.
    url: Url,
}

impl<'a> Download<'a> {
    pub(crate) fn new(
        source: &'a MediaSource,
        url: Url,
        limits: &'a Limits,
        trust: &Trust,
    ) -> Result<Self, MediaError> {
        let needs_tls = url.scheme() == "https";
        let ca_file: Option<&Path> = limits.ca_file.as_deref();
        // A redirection may lead to TLS, too.
        let tls = trust.client(source.verify_certificate, ca_file, &source.certificates);
        let tls = match tls {
            Ok(tls) => Some(tls),
            Err(reason) if needs_tls => {
                return Err(MediaError::new(MediaErrorKind::Certificate, &source.uri, reason));
            }
            Err(_) => None,
        };
        Ok(Self { source, limits, tls, origin: url.clone(), url })
    }

    /// Gets the image into `file`, unless it is what `known` says.
    pub(crate) async fn run(
        mut self,
        file: &mut Partial,
        known: Option<&Validator>,
    ) -> Result<Got, MediaError> {
        let mut validator: Option<Validator> = None;
        let mut whole: Option<u64> = None;
        for attempt in 0.. {
            let resumed = file.length() > 0;
            let answer = self.ask(file.length(), validator.as_ref(), known.filter(|_| attempt == 0)).await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(trouble) => return Err(self.error(trouble)),
            };
            match answer.status {
                StatusCode::NOT_MODIFIED if known.is_some() && attempt == 0 => return Ok(Got::Unchanged),
                StatusCode::PARTIAL_CONTENT if resumed => {
                    let range = content_range(&answer.headers);
                    let fits = range.is_some_and(|(from, total)| {
                        from == file.length()
                            && total.is_none_or(|total| whole.is_none_or(|whole| whole == total))
                    });
                    let same = Validator::of(&answer.headers).is_none_or(|now| {
                        now.etag.is_none()
                            || now.etag == validator.as_ref().and_then(|first| first.etag.clone())
                    });
                    if !fits || !same {
                        let message = "the server has sent another part of the image than it was asked for";
                        return Err(self.error(Trouble::new(MediaErrorKind::Broken, message)));
                    }
                }
                StatusCode::OK => {
                    if resumed {
                        file.restart().await?;
                    }
                    validator = Validator::of(&answer.headers);
                    whole = length(&answer.headers);
                    if let Some(whole) = whole {
                        file.announce(whole).await?;
                    }
                }
                status => return Err(self.error(refusal(status))),
            }
            let announced = length(&answer.headers);
            match receive(answer, announced, file).await? {
                Ok(()) => return Ok(Got::New(validator)),
                Err(trouble) => {
                    let vouched = validator.as_ref().is_some_and(|validator| validator.etag.is_some());
                    if !trouble.broke_off || !vouched || attempt >= RESUMES_MAX {
                        let message = format!("{} after {} bytes", trouble.message, file.length());
                        return Err(self.error(Trouble { message, ..trouble }));
                    }
                    tracing::info!(uri = %self.source.uri, bytes = file.length(), "a download broke off and is taken up again");
                }
            }
        }
        Err(self.error(Trouble::new(MediaErrorKind::Internal, "the download came to no end")))
    }

    /// Asks, following redirections.
    async fn ask(
        &mut self,
        from: u64,
        validator: Option<&Validator>,
        known: Option<&Validator>,
    ) -> Result<Answer, Trouble> {
        for _ in 0..=REDIRECTS_MAX {
            let headers = self.headers(from, validator, known)?;
            let tls = self.tls.clone().filter(|_| self.url.scheme() == "https");
            let answer = exchange::get(&self.url, headers, tls, self.limits.stall).await?;
            let redirects = [301, 302, 303, 307, 308].contains(&answer.status.as_u16());
            if !redirects {
                return Ok(answer);
            }
            self.url = self.redirected(&answer)?;
        }
        Err(Trouble::new(
            MediaErrorKind::Server,
            format!("the server redirects more than {REDIRECTS_MAX} times"),
        ))
    }

    fn redirected(&self, answer: &Answer) -> Result<Url, Trouble> {
        let trouble = |message: &str| Trouble::new(MediaErrorKind::Server, message);
        let location = answer.headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
        let location = location.and_then(|location| self.url.join(location).ok());
        let mut location = location.ok_or_else(|| trouble("the server redirects to nowhere"))?;
        match location.scheme() {
            "https" => {}
            "http" if self.url.scheme() == "http" => {}
            "http" => {
                return Err(trouble("the server redirects from https to http, which nobody could trust"));
            }
            _ => return Err(trouble("the server redirects to what is neither http nor https")),
        }
        // Credentials are those of the request, not of a server's choice.
        if location.set_username("").is_err() || location.set_password(None).is_err() {
            return Err(trouble("the server redirects to nowhere"));
        }
        Ok(location)
    }

    fn headers(
        &self,
        from: u64,
        validator: Option<&Validator>,
        known: Option<&Validator>,
    ) -> Result<HeaderMap, Trouble> {
        let mut headers = exchange::common_headers(&self.url);
        let mut set = |name: HeaderName, value: Option<HeaderValue>| {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        };
        if from > 0 {
            set(header::RANGE, HeaderValue::from_str(&format!("bytes={from}-")).ok());
            set(header::IF_RANGE, validator.and_then(|validator| validator.etag.clone()));
        }
        if let Some(known) = known {
            set(header::IF_NONE_MATCH, known.etag.clone());
            if known.etag.is_none() {
                set(header::IF_MODIFIED_SINCE, known.last_modified.clone());
            }
        }
        let same_origin = self.url.origin() == self.origin.origin();
        if let Some(username) = self.source.username.as_ref().filter(|_| same_origin) {
            let password = self.source.password.as_ref().map_or("", |password| password.expose());
            let basic = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
            let mut value = HeaderValue::from_str(&basic)
                .map_err(|_| Trouble::new(MediaErrorKind::Internal, "the credentials cannot be sent"))?;
            value.set_sensitive(true);
            set(header::AUTHORIZATION, Some(value));
        }
        Ok(headers)
    }

    fn error(&self, trouble: Trouble) -> MediaError {
        MediaError::new(trouble.kind, &self.source.uri, trouble.message)
    }
}

/// Reads an answer to its end. The outer failure is the disk's, the inner the server's.
async fn receive(
    mut answer: Answer,
    announced: Option<u64>,
    file: &mut Partial,
) -> Result<Result<(), Trouble>, MediaError> {
    if answer.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let message = "the server compresses the image although it was asked not to";
        return Ok(Err(Trouble::new(MediaErrorKind::Server, message)));
    }
    loop {
        match answer.next().await {
            Ok(Some(bytes)) => file.write(&bytes).await?,
            Ok(None) => break,
            Err(trouble) => return Ok(Err(trouble)),
        }
    }
    if announced.is_some() && answer.goes_on().await {
        let message = "the server sends more than the length that it announced";
        return Ok(Err(Trouble::new(MediaErrorKind::Broken, message)));
    }
    Ok(Ok(()))
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// First byte and whole length of `Content-Range: bytes 5-9/10`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.trim().parse().ok()?, total.trim().parse().ok()))
}

fn refusal(status: StatusCode) -> Trouble {
    let kind = match status.as_u16() {
        401 | 403 | 407 => MediaErrorKind::Denied,
        404 | 410 => MediaErrorKind::Missing,
        _ => MediaErrorKind::Server,
    };
    Trouble::new(kind, format!("the server answers {status}"))
}
