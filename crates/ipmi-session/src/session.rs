//! One active session of the BMC.

use std::{net::SocketAddr, time::Instant};

use ipmi_wire::{CompletionCode, LanRequest, PrivilegeLevel, session::PayloadType};
use rand_core::CryptoRng;

use crate::{
    event::{Sent, SessionInfo, Transmit},
    keys::Digest,
    protect::Protection,
    replay::{Cache, State},
    window::{Window, next},
};

/// The response message to `request`. Data beyond `max_data` turns it into `CEh`, which is returned as the code that was
/// really sent.
pub(crate) fn response(
    request: &LanRequest<'_>,
    completion: CompletionCode,
    data: &[u8],
    max_data: usize,
) -> (CompletionCode, Vec<u8>) {
    let (completion, data) = if data.len() > max_data {
        (CompletionCode::RESPONSE_UNAVAILABLE, &[][..])
    } else {
        (completion, data)
    };
    (completion, request.response(completion, data).encode())
}

/// An active session.
pub(crate) struct Session {
    pub(crate) info: SessionInfo,
    /// What the user may have, whatever this session asked for.
    pub(crate) user_limit: PrivilegeLevel,
    pub(crate) console_id: u32,
    pub(crate) protection: Protection,
    pub(crate) window: Window,
    pub(crate) cache: Cache,
    /// Requests that wait for their answer.
    pub(crate) pending: usize,
    pub(crate) last_seen: Instant,
    /// Whether it is only to be closed.
    pub(crate) retired: bool,
    /// What opened the session, for a console that did not get the answer.
    pub(crate) opened_by: OpenedBy,
    /// The last number that was sent.
    out_sequence: u32,
}

/// What a finished handshake hands over.
pub(crate) struct Opening {
    pub(crate) info: SessionInfo,
    pub(crate) user_limit: PrivilegeLevel,
    pub(crate) console_id: u32,
    pub(crate) protection: Protection,
    pub(crate) window: Window,
    /// The number before the first that is sent.
    pub(crate) out_sequence: u32,
    pub(crate) opened_by: OpenedBy,
}

/// The message that opened a session, and the answer to it.
pub(crate) enum OpenedBy {
    /// RAKP 3, by its proof, and RAKP 4.
    Rakp3 { proof: Digest, answer: Vec<u8> },
    /// Activate Session, by its data, and the data of the answer.
    Activate { data: Vec<u8>, answer: Vec<u8> },
}

impl Session {
    pub(crate) fn new(opening: Opening, now: Instant) -> Self {
        let Opening { info, user_limit, console_id, protection, window, out_sequence, opened_by } = opening;
        Self {
            info,
            user_limit,
            console_id,
            protection,
            window,
            cache: Cache::default(),
            pending: 0,
            last_seen: now,
            retired: false,
            opened_by,
            out_sequence,
        }
    }

    /// Remembers what became of the request with this number and message.
    pub(crate) fn remember(&mut self, now: Instant, sequence: u32, message: &[u8], state: State) {
        self.cache.insert(now, sequence, message.to_vec(), state, &self.window);
    }

    /// The response message to `request`, and what it is.
    pub(crate) fn response(
        &self,
        request: &LanRequest<'_>,
        completion: CompletionCode,
        data: &[u8],
    ) -> (Vec<u8>, Sent) {
        let (completion, message) = response(request, completion, data, self.protection.max_data());
        let what = Sent::Response {
            session: self.info.id,
            netfn: request.netfn,
            cmd: request.cmd,
            completion,
            repeated: false,
        };
        (message, what)
    }

    /// The datagram with `message`, under the next sequence number.
    pub(crate) fn send(
        &mut self,
        to: SocketAddr,
        message: &[u8],
        what: Sent,
        rng: &mut dyn CryptoRng,
    ) -> Option<Transmit> {
        self.send_payload(PayloadType::Ipmi, to, message, what, rng)
    }

    /// The datagram with a payload of this type, under the next sequence number.
    pub(crate) fn send_payload(
        &mut self,
        payload_type: PayloadType,
        to: SocketAddr,
        payload: &[u8],
        what: Sent,
        rng: &mut dyn CryptoRng,
    ) -> Option<Transmit> {
        self.out_sequence = next(self.out_sequence);
        let bytes =
            self.protection.seal(payload_type, self.console_id, self.out_sequence, payload, rng).ok()?;
        Some(Transmit { to, bytes, what })
    }
}
