//! Packets of IPMI 1.5: outside a session, for a login, and in a session.

use std::{net::SocketAddr, time::Instant};

use ipmi_wire::{
    CompletionCode, LanRequest, NetFn,
    command::{
        Command,
        login::{ActivateSession, GetSessionChallenge},
    },
    session::{V15Packet, v15::AuthType},
};
use rand_core::CryptoRng;

use super::{Endpoint, Framing, Handled, sessionless_response};
use crate::{
    Event, Output, UserLookup,
    challenge::{Activated, INVALID_SESSION_ID},
    event::{DropReason, Received, Sent, Transmit},
    handshake::Failure,
    limits,
    session::{OpenedBy, Session, response},
};

impl Endpoint {
    /// Takes a packet of IPMI 1.5.
    pub(super) fn v15(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        packet: &V15Packet<'_>,
        users: &dyn UserLookup,
        rng: &mut dyn CryptoRng,
        out: &mut Output,
    ) -> Handled {
        let id = packet.session_id;
        if (id, packet.sequence, packet.auth_type) == (0, 0, AuthType::None) {
            let request = LanRequest::decode(packet.payload).map_err(DropReason::Malformed)?;
            if (request.netfn, request.cmd) == (NetFn::APP, GetSessionChallenge::CODE)
                && request.header().is_for_bmc()
            {
                return Ok(self.challenge(now, peer, &request, users, rng, out));
            }
            return self.sessionless(now, peer, Framing::V15, packet.payload, out);
        }
        if self.sessions.contains_key(&id) {
            return self.in_v15_session(now, peer, packet, rng, out);
        }
        self.activate(now, peer, packet, rng, out)
    }

    fn challenge(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        request: &LanRequest<'_>,
        users: &dyn UserLookup,
        rng: &mut dyn CryptoRng,
        out: &mut Output,
    ) -> Received {
        let (sessions, handshakes) = (&self.sessions, &self.handshakes);
        let taken = |id| sessions.contains_key(&id) || handshakes.has(id);
        let given = self.challenges.give(now, peer, request.data, &self.config, &taken, users, rng);
        out.events.extend(given.failure.map(|failure| login_failed(failure, peer)));
        let (header, completion) = (request.header(), given.completion);
        out.transmits.extend(sessionless_response(peer, Framing::V15, &header, completion, &given.data));
        Received::Answered { session: 0, netfn: request.netfn, cmd: request.cmd, completion }
    }

    fn activate(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        packet: &V15Packet<'_>,
        rng: &mut dyn CryptoRng,
        out: &mut Output,
    ) -> Handled {
        let request = LanRequest::decode(packet.payload).map_err(DropReason::Malformed)?;
        let header = request.header();
        if !header.is_for_bmc() {
            return Err(DropReason::NotForBmc);
        }
        let (id, netfn, cmd) = (packet.session_id, request.netfn, request.cmd);
        if !self.challenges.has(id) && (netfn, cmd) == (NetFn::APP, ActivateSession::CODE) {
            // Not silence, so that a console whose login was forgotten begins anew.
            let completion = INVALID_SESSION_ID;
            out.transmits.extend(sessionless_response(peer, Framing::V15, &header, completion, &[]));
            return Ok(Received::Answered { session: 0, netfn, cmd, completion });
        }
        let handle = self.free_handle();
        match self.challenges.activate(peer, packet, &request, &self.config, handle, rng) {
            Activated::Dropped(reason) => Err(reason),
            Activated::WrongPassword(failure) => {
                out.events.push(login_failed(failure, peer));
                Err(DropReason::Integrity)
            }
            Activated::Answer { completion, data, auth, opening } => {
                let sequence = opening.as_ref().map_or(0, |opening| opening.out_sequence);
                if let Some(opening) = opening {
                    let session = Session::new(*opening, now);
                    out.events.push(Event::SessionOpened(session.info));
                    self.sessions.insert(id, session);
                }
                let (completion, message) =
                    response(&header, completion, &data, limits::MAX_MESSAGE_DATA_V15);
                let bytes = auth.seal(id, sequence, &message, true).map_err(DropReason::Malformed)?;
                let what = Sent::Response { session: id, netfn, cmd, completion, repeated: false };
                out.transmits.push(Transmit { to: peer, bytes, what });
                Ok(Received::Answered { session: id, netfn, cmd, completion })
            }
        }
    }

    fn in_v15_session(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        packet: &V15Packet<'_>,
        rng: &mut dyn CryptoRng,
        out: &mut Output,
    ) -> Handled {
        let id = packet.session_id;
        let session = self.sessions.get_mut(&id).ok_or(DropReason::UnknownSession)?;
        if !session.protection.authenticates() && session.info.peer != peer {
            return Err(DropReason::UnknownSession);
        }
        session.protection.verify(packet)?;
        if packet.sequence != 0 {
            return self.message(now, peer, id, packet.sequence, packet.payload, rng, out);
        }
        // Number 0 comes before the session: the console did not get the answer to Activate Session. What it says again
        // earns the same answer, under a number of its own.
        let request = LanRequest::decode(packet.payload).map_err(DropReason::Malformed)?;
        let answer = match &session.opened_by {
            OpenedBy::Activate { data, answer }
                if (request.netfn, request.cmd) == (NetFn::APP, ActivateSession::CODE)
                    && request.data == data
                    && session.info.peer == peer =>
            {
                answer.clone()
            }
            _ => return Err(DropReason::Sequence),
        };
        let (message, what) = session.response(&request.header(), CompletionCode::OK, &answer);
        out.transmits.extend(session.send(peer, &message, super::repeated(what), rng));
        Ok(Received::Repeated)
    }
}

fn login_failed(failure: Failure, peer: SocketAddr) -> Event {
    let Failure { user_name, user_id, reason } = failure;
    Event::LoginFailed { user_name, user_id, peer, reason }
}
