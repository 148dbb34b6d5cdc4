//! How images come in: fetched by URI, or sent by a client. Read once and within bounds; nothing of them is left anywhere.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bmc_core::media::{MediaErrorKind, MediaLibrary, MediaSource};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::image::{HEAD_BYTES, Image, Reading};

/// Largest `UpdateParameters` in bytes.
const PARAMETERS_MAX_BYTES: u64 = 64 * 1024;
/// Longest file name in characters.
const NAME_MAX_CHARS: usize = 128;

/// What an image that a client sends may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Its bytes.
    pub(crate) bytes: u64,
    /// The time without any of them.
    pub(crate) stall: Duration,
    /// The whole time.
    pub(crate) total: Duration,
}

/// Fetches an image by a library; `source.transfer` tells how much of it has come.
///
/// # Errors
/// Why it did not come, for people, without secrets.
pub(crate) async fn fetch(library: Arc<dyn MediaLibrary>, source: MediaSource) -> Result<Image, String> {
    let fetched = library.fetch(&source).await.map_err(|error| match (error.kind, source.max_bytes) {
        (MediaErrorKind::TooLarge, Some(bytes)) => format!(
            "the image is larger than {bytes} bytes, or than any image may be; `update_max_size_mib` in [redfish] and \
             `max_size_mib` in [media] of the configuration allow more"
        ),
        _ => error.message,
    })?;
    // From here on somebody gives it back, whatever becomes of this.
    let lease = Lease { library, lease: fetched.lease };
    let head = tokio::task::spawn_blocking(move || {
        let mut head = Vec::new();
        std::fs::File::open(&fetched.file)?.take(HEAD_BYTES as u64).read_to_end(&mut head).map(|_| head)
    });
    let head = head.await.map_err(|error| error.to_string())?;
    let head = head.map_err(|error| format!("the image that was fetched cannot be read: {error}"))?;
    drop(lease);
    let path = source.uri.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    Image::read(&shortened(&name), &head, fetched.sha256)
}

/// Gives an image back to its library.
struct Lease {
    library: Arc<dyn MediaLibrary>,
    lease: String,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.library.release(&self.lease);
    }
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
