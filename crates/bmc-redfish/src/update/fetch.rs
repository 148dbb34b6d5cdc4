//! How images come in: fetched by URL, or sent by a client. Read once and within bounds; nothing of them is left anywhere.

use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use reqwest::Url;
use tokio::time::timeout;

use super::image::{Image, Reading};

/// How long connecting to a server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Redirections that are followed.
const REDIRECTS_MAX: usize = 5;
/// Largest `UpdateParameters` in bytes.
const PARAMETERS_MAX_BYTES: u64 = 64 * 1024;
/// Longest file name in characters.
const NAME_MAX_CHARS: usize = 128;

/// What an image may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Its bytes.
    pub(crate) bytes: u64,
    /// The time without any of them.
    pub(crate) stall: Duration,
    /// The whole time.
    pub(crate) total: Duration,
}

/// Fetches an image and tells how much of it has come, in percent.
///
/// # Errors
/// Why it did not come, for people, without secrets.
pub(crate) async fn fetch(
    url: &Url,
    credentials: Option<(&str, &str)>,
    bounds: Bounds,
    percent: impl Fn(u8),
) -> Result<Image, String> {
    let fetched = timeout(bounds.total, fetch_all(url, credentials, bounds, percent)).await;
    fetched.unwrap_or_else(|_| Err(format!("the image did not come within {} s", bounds.total.as_secs())))
}

async fn fetch_all(
    url: &Url,
    credentials: Option<(&str, &str)>,
    bounds: Bounds,
    percent: impl Fn(u8),
) -> Result<Image, String> {
    // The process has one provider of cryptography; the one in use is as good as this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(bounds.stall)
        .build()
        .map_err(reason)?;
    let mut request = client.get(url.clone());
    if let Some((user, password)) = credentials {
        request = request.basic_auth(user, Some(password));
    }
    let mut response = request.send().await.map_err(reason)?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("the server answered {status}"));
    }
    let length = response.content_length();
    if length.is_some_and(|length| length > bounds.bytes) {
        return Err(format!("the image is larger than {} bytes", bounds.bytes));
    }
    let mut reading = Reading::new(bounds.bytes);
    while let Some(chunk) = response.chunk().await.map_err(reason)? {
        reading.take(&chunk)?;
        let done = length.and_then(|length| (reading.size() * 100).checked_div(length));
        if let Some(done) = done.and_then(|done| u8::try_from(done).ok()) {
            percent(done.min(99));
        }
    }
    let name = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    reading.end(&shortened(&name))
}

/// Takes an image that a client sends as the whole body of a request.
///
/// # Errors
/// Why it did not come whole.
pub(crate) async fn receive(mut body: Body, name: &str, bounds: Bounds) -> Result<Image, String> {
    let mut reading = Reading::new(bounds.bytes);
    let read_all = async {
        loop {
            let frame = timeout(bounds.stall, body.frame())
                .await
                .map_err(|_| "the image stopped coming".to_owned())?;
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(|_| "the image broke off".to_owned())?;
            if let Ok(bytes) = frame.into_data() {
                reading.take(&bytes)?;
            }
        }
    };
    let read: Result<(), String> = timeout(bounds.total, read_all)
        .await
        .unwrap_or_else(|_| Err(format!("the image did not come within {} s", bounds.total.as_secs())));
    read?;
    reading.end(&shortened(name))
}

fn shortened(name: &str) -> String {
    name.chars().take(NAME_MAX_CHARS).collect()
}

/// An error with what caused it, without the URL, which may have a password in it.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// What came in parts.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// `UpdateParameters`, as bytes.
    pub(crate) parameters: Option<Vec<u8>>,
    /// `UpdateFile`.
    pub(crate) image: Option<Image>,
}

/// Takes an image that a client sends in a `multipart/form-data` body, with its parameters before or behind it.
///
/// # Errors
/// Why it did not come whole.
pub(crate) async fn receive_parts(body: Body, boundary: &str, bounds: Bounds) -> Result<Parts, String> {
    let mut form = multer::Multipart::new(body.into_data_stream(), boundary);
    let broken = |error: multer::Error| format!("the body is no good multipart: {error}");
    let stalled = |_| "the image stopped coming".to_owned();
    let read_all = async {
        let mut parts = Parts::default();
        while let Some(mut field) =
            timeout(bounds.stall, form.next_field()).await.map_err(stalled)?.map_err(broken)?
        {
            let is_image = field.name() == Some("UpdateFile");
            let name = shortened(field.file_name().unwrap_or_default());
            // Parameters are small; what is larger is refused by the same bound as any other body.
            let mut reading = Reading::new(if is_image { bounds.bytes } else { PARAMETERS_MAX_BYTES });
            let mut kept = Vec::new();
            while let Some(chunk) =
                timeout(bounds.stall, field.chunk()).await.map_err(stalled)?.map_err(broken)?
            {
                reading.take(&chunk)?;
                if !is_image {
                    kept.extend_from_slice(&chunk);
                }
            }
            match field.name() {
                Some("UpdateFile") => parts.image = Some(reading.end(&name)?),
                Some("UpdateParameters") => parts.parameters = Some(kept),
                // `OemXxx` parts and others are not for us.
                _ => {}
            }
        }
        Ok(parts)
    };
    timeout(bounds.total, read_all)
        .await
        .unwrap_or_else(|_| Err(format!("the image did not come within {} s", bounds.total.as_secs())))
}
