//! Open Session and RAKP 1 to 4 from the console's side.

use std::time::Instant;

use ipmi_wire::{
    PrivilegeLevel,
    rakp::{OpenSessionRequest, OpenSessionResponse, Proposal, Rakp1, Rakp2, RakpProof, RakpStatus},
    session::{PayloadType, v20::V20Header},
};
use rand_core::CryptoRng;

use super::{ConsoleConfig, Established, LoginError, Repeat};
use crate::{
    keys::{Digest, SessionKeys, Transcript, same},
    protect::Protection,
};

/// Which answer is awaited.
enum Step {
    OpenSession,
    Rakp2,
    Rakp4 { keys: SessionKeys, icv: Digest },
}

/// A login under way.
pub(super) struct Login {
    pub(super) repeat: Repeat,
    step: Step,
    tag: u8,
    transcript: Transcript,
}

/// What an answer led to.
pub(super) enum Progress {
    /// It was not for us.
    None,
    /// The next message.
    Send(Vec<u8>),
    /// The end, with what is to be told to the BMC.
    Fail(LoginError, Option<Vec<u8>>),
    /// The session.
    Done(Box<Established>),
}

/// The tag of the first message; each following one has its own, so that a late answer is not taken for the next.
const FIRST_TAG: u8 = 0;

impl Login {
    /// The login and its first datagram.
    pub(super) fn new(config: &ConsoleConfig, now: Instant, rng: &mut dyn CryptoRng) -> (Self, Vec<u8>) {
        let mut console_random = [0; 16];
        rng.fill_bytes(&mut console_random);
        let console_id = rng.next_u32().max(1);
        let role = config.privilege.get() | if config.name_only { Rakp1::NAME_ONLY } else { 0 };
        let transcript = Transcript {
            auth: config.suite.auth,
            console_id,
            managed_id: 0,
            console_random,
            managed_random: [0; 16],
            guid: [0; 16],
            role,
            name: config.user_name,
        };
        // ipmitool's habit: the highest level is asked for as 0, for some BMCs know only that.
        let max_privilege = match config.privilege {
            PrivilegeLevel::Administrator => 0,
            level => level.get(),
        };
        let request = OpenSessionRequest {
            tag: FIRST_TAG,
            max_privilege,
            console_id,
            auth: Proposal::Algorithm(config.suite.auth as u8),
            integrity: Proposal::Algorithm(config.suite.integrity as u8),
            confidentiality: Proposal::Algorithm(config.suite.confidentiality as u8),
        };
        let bytes = datagram(PayloadType::OpenSessionRequest, &request.encode());
        let repeat = Repeat::new(bytes.clone(), now, config);
        (Self { repeat, step: Step::OpenSession, tag: FIRST_TAG, transcript }, bytes)
    }

    /// The message whose answer is awaited, for people.
    pub(super) const fn waiting_for(&self) -> &'static str {
        match self.step {
            Step::OpenSession => "Open Session",
            Step::Rakp2 => "RAKP 1",
            Step::Rakp4 { .. } => "RAKP 3",
        }
    }

    /// Takes a payload that came outside any session.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        config: &ConsoleConfig,
        payload_type: PayloadType,
        payload: &[u8],
    ) -> Progress {
        match (&self.step, payload_type) {
            (Step::OpenSession, PayloadType::OpenSessionResponse) => self.opened(now, config, payload),
            (Step::Rakp2, PayloadType::Rakp2) => self.challenged(now, config, payload),
            (Step::Rakp4 { keys, icv }, PayloadType::Rakp4) => self.finished(config, payload, keys, icv),
            _ => Progress::None,
        }
    }

    fn refused(&self, status: RakpStatus) -> Progress {
        Progress::Fail(LoginError::Refused { message: self.waiting_for(), status }, None)
    }

    /// Whether an answer is the one that is awaited. Errors may come with another id: a BMC that does not know the
    /// session cannot know what we call it.
    const fn is_ours(&self, tag: u8, status: RakpStatus, console_id: u32) -> bool {
        tag == self.tag && (console_id == self.transcript.console_id || !status.is_ok())
    }

    fn opened(&mut self, now: Instant, config: &ConsoleConfig, payload: &[u8]) -> Progress {
        let Ok(response) = OpenSessionResponse::decode(payload) else { return Progress::None };
        if !self.is_ours(response.tag, response.status, response.console_id) {
            return Progress::None;
        }
        let Some(accepted) = response.accepted else { return self.refused(response.status) };
        let suite = &config.suite;
        if [accepted.auth, accepted.integrity, accepted.confidentiality]
            != [suite.auth as u8, suite.integrity as u8, suite.confidentiality as u8]
        {
            return Progress::Fail(LoginError::OtherSuite, None);
        }
        self.transcript.managed_id = accepted.managed_id;
        self.tag = self.tag.wrapping_add(1);
        let t = &self.transcript;
        let message = Rakp1 {
            tag: self.tag,
            managed_id: t.managed_id,
            random: t.console_random,
            role: t.role,
            name: t.name.as_bytes(),
        };
        // A name of at most 16 bytes always fits.
        let bytes = datagram(PayloadType::Rakp1, &message.encode().unwrap_or_default());
        self.advance(now, config, Step::Rakp2, bytes)
    }

    fn challenged(&mut self, now: Instant, config: &ConsoleConfig, payload: &[u8]) -> Progress {
        let Ok(response) = Rakp2::decode(payload) else { return Progress::None };
        if !self.is_ours(response.tag, response.status, response.console_id) {
            return Progress::None;
        }
        let Some(body) = response.body else { return self.refused(response.status) };
        self.transcript.managed_random = body.random;
        self.transcript.guid = body.guid;
        self.tag = self.tag.wrapping_add(1);
        let t = &self.transcript;
        let mut message =
            RakpProof { tag: self.tag, status: RakpStatus::OK, session_id: t.managed_id, code: &[] };
        if !same(t.rakp2_code(&config.password).as_bytes(), body.code) {
            message.status = RakpStatus::INVALID_INTEGRITY_CHECK;
            let last_words = datagram(PayloadType::Rakp3, &message.encode());
            return Progress::Fail(LoginError::WrongPassword, Some(last_words));
        }
        let bmc_key = config.bmc_key.as_ref().unwrap_or(&config.password);
        let keys = t.session_keys(bmc_key, &config.password, config.suite.integrity);
        let icv = t.rakp4_code(&keys);
        let code = t.rakp3_code(&config.password);
        message.code = code.as_bytes();
        let bytes = datagram(PayloadType::Rakp3, &message.encode());
        self.advance(now, config, Step::Rakp4 { keys, icv }, bytes)
    }

    fn finished(&self, config: &ConsoleConfig, payload: &[u8], keys: &SessionKeys, icv: &Digest) -> Progress {
        let Ok(response) = RakpProof::decode(payload) else { return Progress::None };
        if !self.is_ours(response.tag, response.status, response.session_id) {
            return Progress::None;
        }
        if !response.status.is_ok() {
            return self.refused(response.status);
        }
        if !same(icv.cut(config.suite.auth.icv_len()), response.code) {
            return Progress::Fail(LoginError::WrongBmcKey, None);
        }
        let (t, protection) = (&self.transcript, Protection::v20(config.suite, keys.clone()));
        Progress::Done(Box::new(Established::new(t.managed_id, t.console_id, t.guid, protection)))
    }

    fn advance(&mut self, now: Instant, config: &ConsoleConfig, step: Step, bytes: Vec<u8>) -> Progress {
        self.step = step;
        self.repeat = Repeat::new(bytes.clone(), now, config);
        Progress::Send(bytes)
    }
}

fn datagram(payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
    // Handshake payloads have at most 72 bytes and always fit.
    V20Header::sessionless(payload_type).to_datagram(payload).unwrap_or_default()
}
