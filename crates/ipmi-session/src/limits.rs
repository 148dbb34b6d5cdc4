//! Every bound of a BMC's sessions, with its name.

use std::time::Duration;

/// The largest datagram that is looked at. IPMI messages stay far below one Ethernet frame.
pub const MAX_DATAGRAM: usize = 1500;
/// The longest response data, in bytes, that [`crate::Endpoint::respond`] sends; also the longest request data that
/// the console sends. Longer response data becomes `CEh`.
pub const MAX_MESSAGE_DATA: usize = 1024;
/// The longest response data in a session of IPMI 1.5, whose packets give a message's length in one byte: 255 less the
/// header, the completion code and the checksums.
pub const MAX_MESSAGE_DATA_V15: usize = 247;
/// The most active sessions that a configuration may allow: Get Session Info counts them in six bits.
pub const MAX_SESSIONS: usize = 63;
/// Active sessions of one BMC unless configured otherwise.
pub const DEFAULT_SESSIONS: usize = 32;
/// Handshakes under way, all sources together.
pub const MAX_HALF_OPEN: usize = 64;
/// Handshakes under way from one source address.
pub const MAX_HALF_OPEN_PER_SOURCE: usize = 16;
/// How long a handshake may take.
pub const HALF_OPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a session may be silent (IPMI 2.0 §6.12.15: 60 seconds, give or take 3).
pub const INACTIVITY_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests of one session that wait for their answer; the next one is told "node busy".
pub const MAX_PENDING_PER_SESSION: usize = 16;
/// Requests outside any session that wait for their answer; the next one is dropped.
pub const MAX_PENDING_SESSIONLESS: usize = 64;
/// Requests of one session that are remembered with their answers, to recognize and answer repetitions: as many as
/// the backward half of the sequence window has numbers. What is older is refused by its number.
pub const RETRANSMIT_CACHE: usize = 17;
/// How long a message that changes something is taken for a repetition when it comes again under a new session sequence
/// number. ipmitool told to wait five seconds (`-N 5`) sends its fourth copy after eighteen.
pub const RESEND_WINDOW: Duration = Duration::from_secs(20);
/// Requests that the console has on the way at a time: half of the forward window of the BMC, so that lost ones never
/// push the window past a request that is to be repeated.
pub const CONSOLE_IN_FLIGHT: usize = 7;
