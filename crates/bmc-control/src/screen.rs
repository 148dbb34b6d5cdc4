//! A picture of a machine's screen over the control socket, as PNG.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use bmc_core::screen::Screenshot;
use bytes::Bytes;
use http::{HeaderValue, header};

use crate::client::{Client, ClientError, bmc};
use crate::error::ControlError;
use crate::server::Shared;

/// The media type of the answer.
const PNG: HeaderValue = HeaderValue::from_static("image/png");

/// `GET /v1/bmcs/{name}/screenshot`.
pub(crate) async fn take(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ControlError> {
    let Path(name) = path.map_err(|error| ControlError::invalid(error.body_text()))?;
    let picture = shared.admin.screenshot(&name).await?;
    // A large screen takes its time.
    let file = tokio::task::spawn_blocking(move || png(&picture)).await;
    let file = file.map_err(|error| ControlError::internal(error.to_string()))?;
    let file =
        file.map_err(|error| ControlError::internal(format!("the picture cannot be written: {error}")))?;
    Ok(([(header::CONTENT_TYPE, PNG)], file).into_response())
}

fn png(picture: &Screenshot) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.rgb())?;
    writer.finish()?;
    Ok(file)
}

impl Client {
    /// A picture of a machine's screen, as PNG.
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn screenshot(&self, name: &str) -> Result<Bytes, ClientError> {
        self.get_octets(&bmc(name, "/screenshot")).await
    }
}
