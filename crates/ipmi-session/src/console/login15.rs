//! Get Session Challenge and Activate Session from the console's side.

use std::time::Instant;

use ipmi_wire::{
    CompletionCode, LanRequest, LanResponse, NetFn,
    command::{
        Command, Payload,
        login::{ActivateSession, GetSessionChallenge, SessionActivated, SessionChallenge},
    },
    message::{BMC_ADDRESS, REMOTE_CONSOLE_ADDRESS},
    rakp::MAX_USER_NAME,
    session::{V15Packet, v15::AuthType},
};
use rand_core::CryptoRng;

use super::{ConsoleConfig, Established, LoginError, Repeat, login::Progress};
use crate::{protect::Protection, v15::V15Auth, window::Window};

/// Which answer is awaited.
enum Step {
    Challenge,
    Activate(SessionChallenge),
}

/// A login of IPMI 1.5 under way.
pub(super) struct LoginV15 {
    pub(super) repeat: Repeat,
    step: Step,
    auth_type: AuthType,
    auth: V15Auth,
    /// The number that the BMC's first packet shall have.
    outbound: u32,
}

/// The messages are numbered by their step, so that a late answer is not taken for the next.
const CHALLENGE_SEQ: u8 = 1;
const ACTIVATE_SEQ: u8 = 2;

fn message(rq_seq: u8, cmd: u8, data: &[u8]) -> Vec<u8> {
    let (rs_addr, rq_addr) = (BMC_ADDRESS, REMOTE_CONSOLE_ADDRESS);
    LanRequest { rs_addr, netfn: NetFn::APP, rs_lun: 0, rq_addr, rq_seq, rq_lun: 0, cmd, data }.encode()
}

impl LoginV15 {
    /// The login and its first datagram; `None` when IPMI 1.5 cannot carry the password.
    pub(super) fn new(
        config: &ConsoleConfig,
        auth_type: AuthType,
        now: Instant,
        rng: &mut dyn CryptoRng,
    ) -> Option<(Self, Vec<u8>)> {
        let auth = V15Auth::new(auth_type, &config.password)?;
        let mut name = [0; MAX_USER_NAME];
        name.iter_mut().zip(config.user_name.as_bytes()).for_each(|(to, from)| *to = *from);
        let ask = GetSessionChallenge { auth_type, name }.encode();
        let message = message(CHALLENGE_SEQ, GetSessionChallenge::CODE, &ask);
        let bytes = V15Packet::sessionless(&message).to_datagram().ok()?;
        let repeat = Repeat::new(bytes.clone(), now, config);
        let outbound = rng.next_u32().max(1);
        Some((Self { repeat, step: Step::Challenge, auth_type, auth, outbound }, bytes))
    }

    /// The message whose answer is awaited, for people.
    pub(super) const fn waiting_for(&self) -> &'static str {
        match self.step {
            Step::Challenge => GetSessionChallenge::NAME,
            Step::Activate(_) => ActivateSession::NAME,
        }
    }

    /// Takes a packet of IPMI 1.5.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        config: &ConsoleConfig,
        packet: &V15Packet<'_>,
    ) -> Progress {
        let Ok(response) = LanResponse::decode(packet.payload) else { return Progress::None };
        let awaited = match self.step {
            Step::Challenge => (CHALLENGE_SEQ, GetSessionChallenge::CODE),
            Step::Activate(_) => (ACTIVATE_SEQ, ActivateSession::CODE),
        };
        if (response.rq_seq, response.cmd) != awaited || response.netfn != NetFn::APP.response() {
            return Progress::None;
        }
        match self.step {
            Step::Challenge if packet.session_id == 0 => self.challenged(now, config, &response),
            // Only the answer that there is no such login comes without a code: then nobody knows one.
            Step::Activate(_) if packet.session_id == 0 => {
                if response.completion.is_ok() {
                    return Progress::None;
                }
                self.refused(response.completion)
            }
            Step::Activate(given) if packet.session_id == given.session_id => {
                if self.auth.verify(packet).is_err() {
                    return Progress::None;
                }
                self.activated(packet.sequence, &response)
            }
            _ => Progress::None,
        }
    }

    const fn refused(&self, completion: CompletionCode) -> Progress {
        Progress::Fail(LoginError::RefusedV15 { message: self.waiting_for(), completion }, None)
    }

    fn challenged(&mut self, now: Instant, config: &ConsoleConfig, response: &LanResponse<'_>) -> Progress {
        if !response.completion.is_ok() {
            return self.refused(response.completion);
        }
        let Ok(given) = SessionChallenge::decode(response.data) else { return Progress::None };
        let ask = ActivateSession {
            auth_type: self.auth_type,
            max_privilege: config.privilege,
            challenge: given.challenge,
            outbound: self.outbound,
        };
        let message = message(ACTIVATE_SEQ, ActivateSession::CODE, &ask.encode());
        let Ok(bytes) = self.auth.seal(given.session_id, 0, &message, true) else { return Progress::None };
        self.step = Step::Activate(given);
        self.repeat = Repeat::new(bytes.clone(), now, config);
        Progress::Send(bytes)
    }

    fn activated(&self, sequence: u32, response: &LanResponse<'_>) -> Progress {
        if !response.completion.is_ok() {
            return self.refused(response.completion);
        }
        let Ok(activated) = SessionActivated::decode(response.data) else { return Progress::None };
        let auth = match activated.auth_type {
            AuthType::None => self.auth.clone().lenient(),
            _ => self.auth.clone(),
        };
        let mut window = Window::from(self.outbound);
        window.note(sequence);
        let mut session =
            Established::new(activated.session_id, activated.session_id, [0; 16], Protection::V15(auth));
        session.window = window;
        session.out_sequence = activated.inbound.wrapping_sub(1);
        Progress::Done(Box::new(session))
    }
}
