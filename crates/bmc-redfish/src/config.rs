//! What a Redfish service can be told: limits, and who it says it is.

use std::time::Duration;

use uuid::Uuid;

use crate::tls::Keyring;

/// Largest request body by default, in bytes. The largest body a client sends to what is served here is well under one kilobyte.
pub const BODY_MAX_BYTES: usize = 64 * 1024;
/// Connections served at once by default; later ones wait in the listen queue.
pub const CONNECTIONS_MAX: usize = 256;
/// Sessions open at once by default; one more is refused with `SessionLimitExceeded`.
pub const SESSIONS_MAX: usize = 64;
/// How long a session may stay unused by default (`SessionTimeout`).
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How long an operation that may take long is waited for by default. Well below what clients wait for an answer: the shortest known is ten
/// seconds.
pub const DIRECT_ANSWER: Duration = Duration::from_secs(2);

/// How a Redfish service behaves. `Default` is what the daemon uses.
#[derive(Clone, Debug)]
pub struct RedfishConfig {
    /// Largest request body in bytes; a larger one is refused with 413.
    pub body_max_bytes: usize,
    /// Connections served at once, TLS handshakes included.
    pub connections_max: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long a client may take for the header of a request, and how long an idle connection is kept.
    pub header_timeout: Duration,
    /// How long the body of a request may take to arrive; then it is refused with 408. Answering has bounds of its own: the core
    /// acknowledges within a second, and a backend's calls all end.
    pub request_timeout: Duration,
    /// How long one connection lives at most; it ends between two requests. Bounds clients that never read their answers.
    pub connection_lifetime: Duration,
    /// How long an operation that may take long is waited for; one that is not done by then becomes a task, and the answer is 202.
    pub direct_answer: Duration,
    /// How long a subscriber may take to accept an event.
    pub delivery_timeout: Duration,
    /// Largest firmware image in bytes. None is kept: the bound is for who sends without end.
    pub update_max_bytes: u64,
    /// How long an image may stop coming.
    pub update_stall: Duration,
    /// How long an image may take to come.
    pub update_timeout: Duration,
    /// How long a stopping server waits for requests under way.
    pub stop_grace: Duration,
    /// Sessions open at once.
    pub sessions_max: usize,
    /// How long a session may stay unused at first; clients may change it (30 to 86400 s).
    pub session_timeout: Duration,
    /// Whether a PATCH must say by `If-Match` which state it was made for; without it is refused with 428 then. Off by default: most
    /// clients send none.
    pub require_if_match: bool,
    /// The UUID of the aggregate root; a BMC's own root has its machine's UUID.
    pub aggregate_uuid: Uuid,
    /// The certificates of the endpoints that share this, by BMC.
    pub keyring: Keyring,
    /// Who the service says it is.
    pub profile: Profile,
}

impl Default for RedfishConfig {
    fn default() -> Self {
        Self {
            body_max_bytes: BODY_MAX_BYTES,
            connections_max: CONNECTIONS_MAX,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            connection_lifetime: Duration::from_secs(15 * 60),
            direct_answer: DIRECT_ANSWER,
            delivery_timeout: Duration::from_secs(10),
            update_max_bytes: 1 << 30,
            update_stall: Duration::from_secs(30),
            update_timeout: Duration::from_secs(30 * 60),
            stop_grace: Duration::from_secs(5),
            sessions_max: SESSIONS_MAX,
            session_timeout: SESSION_TIMEOUT,
            require_if_match: false,
            aggregate_uuid: Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:polybmc:redfish:aggregate"),
            keyring: Keyring::default(),
            profile: Profile::default(),
        }
    }
}

/// Who the service says it is: all that a vendor's profile would change without touching a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// `Product` of the service root.
    pub product: String,
    /// `Vendor` of the service root. `None` shows the machine's manufacturer on a BMC's own root, and nothing on the aggregate.
    /// Ironic picks its vendor quirks by this.
    pub vendor: Option<String>,
    /// `Model` of a Manager.
    pub manager_model: String,
    /// `FirmwareVersion` of a Manager.
    pub firmware_version: String,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            product: "polybmc".to_owned(),
            vendor: None,
            manager_model: "Virtual BMC".to_owned(),
            firmware_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
