//! The client: one HTTP/1.1 connection a call over the Unix socket.

use std::io;
use std::path::{Path, PathBuf};

use bmc_core::event::Event;
use bmc_core::media::MediaSlot;
use bmc_core::power::PowerAction;
use bmc_core::system_interface::SystemInterfaceKind;
use bytes::{Buf as _, Bytes, BytesMut};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::UnixStream;

use crate::error::ControlError;
use crate::types::{
    AddBmc, BmcDetail, BmcSummary, BootView, DriveView, InsertImage, PowerReply, PowerRequest, PowerView,
    ReloadReport, SelView, SensorView, SetBmc, SetBoot, SetSystemInterface, SystemInterfaceView, VersionInfo,
};

/// Largest answer taken, in bytes: ten thousand BMCs in a list, or all kept events, with room to spare.
const ANSWER_MAX_BYTES: usize = 64 << 20;
/// Longest line of an event stream, in bytes.
const LINE_MAX_BYTES: usize = 1 << 20;

/// Why a call failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error("no daemon answers on {}: {error}; start one with `polybmc serve`, or name its socket with --control PATH", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The socket belongs to someone else.
    #[error("the control socket {} belongs to another user; run this as that user or with sudo", .0.display())]
    NotYours(PathBuf),
    /// The daemon said no.
    #[error(transparent)]
    Refused(#[from] ControlError),
    /// The daemon went away in the middle.
    #[error("the daemon hung up: {0}")]
    Broken(String),
    /// The answer makes no sense to this version.
    #[error(
        "the daemon's answer is not understood ({0}); command line and daemon may be of different versions"
    )]
    Protocol(String),
}

/// A way to the daemon behind one control socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// A client of the daemon at `path`; connects with each call.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The control socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// See [`Admin::version`](crate::Admin::version).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn version(&self) -> Result<VersionInfo, ClientError> {
        self.call(Method::GET, "/v1/version", None::<&()>).await
    }

    /// See [`Admin::list`](crate::Admin::list).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn list(&self) -> Result<Vec<BmcSummary>, ClientError> {
        self.call(Method::GET, "/v1/bmcs", None::<&()>).await
    }

    /// See [`Admin::show`](crate::Admin::show).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn show(&self, name: &str) -> Result<BmcDetail, ClientError> {
        self.call(Method::GET, &bmc(name, ""), None::<&()>).await
    }

    /// See [`Admin::add`](crate::Admin::add).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn add(&self, new: &AddBmc) -> Result<BmcDetail, ClientError> {
        self.call(Method::POST, "/v1/bmcs", Some(new)).await
    }

    /// See [`Admin::set`](crate::Admin::set).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn set(&self, name: &str, change: &SetBmc) -> Result<BmcDetail, ClientError> {
        self.call(Method::PATCH, &bmc(name, ""), Some(change)).await
    }

    /// See [`Admin::remove`](crate::Admin::remove).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn remove(&self, name: &str, keep_state: bool) -> Result<(), ClientError> {
        self.send(Method::DELETE, &format!("{}?keep_state={keep_state}", bmc(name, "")), None::<&()>)
            .await
            .map(drop)
    }

    /// See [`Admin::start`](crate::Admin::start).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn start(&self, name: &str) -> Result<BmcDetail, ClientError> {
        self.call(Method::POST, &bmc(name, "/start"), None::<&()>).await
    }

    /// See [`Admin::stop`](crate::Admin::stop).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn stop(&self, name: &str) -> Result<BmcDetail, ClientError> {
        self.call(Method::POST, &bmc(name, "/stop"), None::<&()>).await
    }

    /// The machine's power.
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn power(&self, name: &str) -> Result<PowerView, ClientError> {
        self.call(Method::GET, &bmc(name, "/power"), None::<&()>).await
    }

    /// See [`Admin::power`](crate::Admin::power).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn set_power(&self, name: &str, action: PowerAction) -> Result<PowerReply, ClientError> {
        self.call(Method::POST, &bmc(name, "/power"), Some(&PowerRequest { action })).await
    }

    /// See [`Admin::boot`](crate::Admin::boot).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn boot(&self, name: &str) -> Result<BootView, ClientError> {
        self.call(Method::GET, &bmc(name, "/boot"), None::<&()>).await
    }

    /// See [`Admin::sensors`](crate::Admin::sensors).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn sensors(&self, name: &str) -> Result<Vec<SensorView>, ClientError> {
        self.call(Method::GET, &bmc(name, "/sensors"), None::<&()>).await
    }

    /// See [`Admin::media`](crate::Admin::media).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn media(&self, name: &str) -> Result<Vec<DriveView>, ClientError> {
        self.call(Method::GET, &bmc(name, "/media"), None::<&()>).await
    }

    /// See [`Admin::insert`](crate::Admin::insert); returns the drives after it.
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn insert(
        &self,
        name: &str,
        drive: MediaSlot,
        image: &InsertImage,
    ) -> Result<Vec<DriveView>, ClientError> {
        self.call(Method::PUT, &bmc(name, &format!("/media/{}", drive.as_str())), Some(image)).await
    }

    /// See [`Admin::eject`](crate::Admin::eject); returns the drives after it.
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn eject(&self, name: &str, drive: MediaSlot) -> Result<Vec<DriveView>, ClientError> {
        self.call(Method::DELETE, &bmc(name, &format!("/media/{}", drive.as_str())), None::<&()>).await
    }

    /// See [`Admin::set_boot`](crate::Admin::set_boot).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn set_boot(&self, name: &str, boot: &SetBoot) -> Result<BootView, ClientError> {
        self.call(Method::PUT, &bmc(name, "/boot"), Some(boot)).await
    }

    /// See [`Admin::sel`](crate::Admin::sel).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn sel(&self, name: &str) -> Result<SelView, ClientError> {
        self.call(Method::GET, &bmc(name, "/sel"), None::<&()>).await
    }

    /// See [`Admin::clear_sel`](crate::Admin::clear_sel).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn clear_sel(&self, name: &str) -> Result<(), ClientError> {
        self.send(Method::DELETE, &bmc(name, "/sel"), None::<&()>).await.map(|_| ())
    }

    /// See [`Admin::system_interface`](crate::Admin::system_interface).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn system_interface(&self, name: &str) -> Result<SystemInterfaceView, ClientError> {
        self.call(Method::GET, &bmc(name, "/system-interface"), None::<&()>).await
    }

    /// See [`Admin::set_system_interface`](crate::Admin::set_system_interface).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn set_system_interface(
        &self,
        name: &str,
        kind: Option<SystemInterfaceKind>,
    ) -> Result<SystemInterfaceView, ClientError> {
        let path = bmc(name, "/system-interface");
        match kind {
            Some(kind) => self.call(Method::PUT, &path, Some(&SetSystemInterface { kind })).await,
            None => self.call(Method::DELETE, &path, None::<&()>).await,
        }
    }

    /// See [`Admin::reload`](crate::Admin::reload).
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn reload(&self) -> Result<ReloadReport, ClientError> {
        self.call(Method::POST, "/v1/reload", None::<&()>).await
    }

    /// Events with an id above `after`: the kept ones, or with `follow` all later ones too.
    ///
    /// # Errors
    /// As every call: [`ClientError`].
    pub async fn events(&self, after: u64, follow: bool) -> Result<EventLines, ClientError> {
        let path = format!("/v1/events?after={after}&follow={follow}");
        let response = self.open(Method::GET, &path, None::<&()>).await?;
        Ok(EventLines { body: Some(response), read: BytesMut::new() })
    }

    /// Sends a request without a body and returns that of a good answer.
    pub(crate) async fn get_octets(&self, path: &str) -> Result<Bytes, ClientError> {
        self.send(Method::GET, path, None::<&()>).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ClientError> {
        let answer = self.send(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Bytes, ClientError> {
        collect(self.open(method, path, body).await?).await
    }

    /// Sends a request and returns the body of a good answer, unread.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Incoming, ClientError> {
        let payload = body.map(serde_json::to_vec).transpose();
        let payload = payload.map_err(|error| ClientError::Protocol(error.to_string()))?.unwrap_or_default();
        self.exchange(method, path, "application/json", Bytes::from(payload)).await
    }

    /// Sends bytes as they are.
    pub(crate) async fn post_octets(&self, path: &str, body: Bytes) -> Result<(), ClientError> {
        collect(self.exchange(Method::POST, path, "application/octet-stream", body).await?).await.map(drop)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        payload: Bytes,
    ) -> Result<Incoming, ClientError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NotYours(self.path.clone()),
            _ => ClientError::NoDaemon { path: self.path.clone(), error },
        })?;
        let broken = |error: hyper::Error| ClientError::Broken(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // The connection's own error reaches the caller through the response.
        tokio::spawn(async move { drop(connection.await) });

        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "polybmc")
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::new(payload))
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        if status.is_success() {
            Ok(response.into_body())
        } else {
            Err(refusal(status, response.into_body()).await)
        }
    }
}

async fn collect(body: Incoming) -> Result<Bytes, ClientError> {
    let collected = Limited::new(body, ANSWER_MAX_BYTES).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|error| ClientError::Broken(error.to_string()))
}

async fn refusal(status: StatusCode, body: Incoming) -> ClientError {
    #[derive(Deserialize)]
    struct Envelope {
        error: ControlError,
    }
    let answer = match collect(body).await {
        Ok(answer) => answer,
        Err(error) => return error,
    };
    match serde_json::from_slice::<Envelope>(&answer) {
        Ok(envelope) => ClientError::Refused(envelope.error),
        Err(_) => ClientError::Protocol(format!("HTTP {status}")),
    }
}

/// The path of a BMC; whatever a URL cannot carry is escaped.
pub(crate) fn bmc(name: &str, rest: &str) -> String {
    let mut path = String::from("/v1/bmcs/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && name.len() > 2) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path + rest
}

/// Events as they come in.
#[derive(Debug)]
pub struct EventLines {
    body: Option<Incoming>,
    read: BytesMut,
}

impl EventLines {
    /// The next event; `None` when there are no more, or the daemon shut down.
    ///
    /// # Errors
    /// The daemon hung up in the middle of a line, or the line is not an event.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end);
                self.read.advance(1);
                let event = serde_json::from_slice(&line);
                return event.map(Some).map_err(|error| ClientError::Protocol(error.to_string()));
            }
            if self.read.len() > LINE_MAX_BYTES {
                return Err(ClientError::Protocol("a line without end".to_owned()));
            }
            let Some(body) = &mut self.body else { return Ok(None) };
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.read.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(ClientError::Broken(error.to_string())),
                None if self.read.is_empty() => self.body = None,
                None => return Err(ClientError::Broken("in the middle of an event".to_owned())),
            }
        }
    }
}
