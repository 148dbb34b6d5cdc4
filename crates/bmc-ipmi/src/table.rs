//! Which commands there are: the one list behind dispatch and the coverage document. Each room of `handlers` lists its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;

use ipmi_wire::command::{Command, Payload};
use ipmi_wire::{CompletionCode, DecodeError, NetFn, PrivilegeLevel};

use crate::Context;
use crate::handlers::{
    access, app, boot, channel, chassis, dcmi, fru, lan, pef, sdr, security, sel, sensor, session, sol,
    system, system_info, system_interface, users, watchdog,
};

/// The response data, or the completion code of a refusal.
pub type Answer<T = Vec<u8>> = Result<T, CompletionCode>;

/// A command that is answered from what is known, without waiting.
pub(crate) trait Read: Command {
    /// The answer.
    fn answer(self, context: &Context) -> Answer<Self::Response>;
}

/// A command that is answered from what is known, with a completion code of its own beside the data.
pub(crate) trait Tell: Command {
    /// The completion code and the answer.
    fn tell(self, context: &Context) -> Answer<(CompletionCode, Self::Response)>;
}

/// A command that asks the machine's owner for something.
pub(crate) trait Act: Command + Send {
    /// Does it.
    fn act(self, context: &Context) -> impl Future<Output = Answer<Self::Response>> + Send;
}

/// The response data with the completion code that stands before it, or that of a refusal.
pub(crate) type Told = Answer<(CompletionCode, Vec<u8>)>;

/// An answer that may take a while.
pub(crate) type Pending<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// How a command is carried out.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// At once.
    Read(fn(&Context, &[u8]) -> Answer),
    /// At once, with a completion code of its own.
    Tell(fn(&Context, &[u8]) -> Told),
    /// By the machine's owner.
    Act(for<'a> fn(&'a Context, &'a [u8]) -> Pending<'a>),
    /// In the session layer, before a request gets here.
    Session,
}

/// Who may send a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, also without a session.
    Anybody,
    /// A session of at least this level.
    Session(PrivilegeLevel),
}

/// Decodes data and encodes it again.
pub type Recode = fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

fn recode<P: Payload>(data: &[u8]) -> Result<Vec<u8>, DecodeError> {
    P::decode(data).map(|payload| payload.encode())
}

/// No data is secret.
pub(crate) const NEVER: fn(&[u8]) -> bool = |_| false;
/// All data is secret.
const ALWAYS: fn(&[u8]) -> bool = |_| true;

/// One command.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Network function.
    pub netfn: NetFn,
    /// Command code.
    pub cmd: u8,
    /// The specification's name.
    pub name: &'static str,
    /// Who may send it (IPMI 2.0 appendix G).
    pub access: Access,
    /// The specification's section.
    pub section: &'static str,
    /// The test that shows it: a file below `crates/`, and the beginning of a test's name.
    pub test: (&'static str, &'static str),
    /// Whether a request with this data carries a password or key, which no log may show.
    pub secret_request: fn(&[u8]) -> bool,
    /// The same for a response.
    pub secret_response: fn(&[u8]) -> bool,
    /// Whether carrying it out twice for one question would do harm, so that a question that comes again is answered as before.
    pub once: bool,
    /// Decodes a request and encodes it again: whoever checks the codecs need not know the commands.
    pub recode_request: Recode,
    /// The same for a response.
    pub recode_response: Recode,
    pub(crate) handler: Handler,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({} {:02x}h {})", self.netfn, self.cmd, self.name)
    }
}

fn run_read<C: Read>(context: &Context, data: &[u8]) -> Answer {
    let request = C::decode(data).map_err(|error| error.completion())?;
    Ok(request.answer(context)?.encode())
}

fn run_tell<C: Tell>(context: &Context, data: &[u8]) -> Told {
    let request = C::decode(data).map_err(|error| error.completion())?;
    let (completion, response) = request.tell(context)?;
    Ok((completion, response.encode()))
}

fn run_act<'a, C: Act + 'static>(context: &'a Context, data: &'a [u8]) -> Pending<'a> {
    Box::pin(async move {
        let request = C::decode(data).map_err(|error| error.completion())?;
        Ok(request.act(context).await?.encode())
    })
}

impl Entry {
    const fn new<C: Command>(
        handler: Handler,
        access: Access,
        section: &'static str,
        test: (&'static str, &'static str),
    ) -> Self {
        Self {
            netfn: C::NETFN,
            cmd: C::CODE,
            name: C::NAME,
            access,
            section,
            test,
            secret_request: NEVER,
            secret_response: NEVER,
            once: false,
            recode_request: recode::<C>,
            recode_response: recode::<C::Response>,
            handler,
        }
    }

    /// The same, of which no log shows the data.
    pub(crate) const fn secret(self) -> Self {
        self.secret_if(ALWAYS, ALWAYS)
    }

    /// The same, of which no log shows such requests and such responses.
    pub(crate) const fn secret_if(mut self, request: fn(&[u8]) -> bool, response: fn(&[u8]) -> bool) -> Self {
        self.secret_request = request;
        self.secret_response = response;
        self
    }

    /// The same, not to be carried out twice for one question.
    pub(crate) const fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// The same, which may be carried out as often as it comes: the last time counts, or nothing changes.
    pub(crate) const fn repeatable(mut self) -> Self {
        self.once = false;
        self
    }

    pub(crate) const fn read<C: Read>(
        access: Access,
        section: &'static str,
        test: (&'static str, &'static str),
    ) -> Self {
        Self::new::<C>(Handler::Read(run_read::<C>), access, section, test)
    }

    pub(crate) const fn tell<C: Tell>(
        access: Access,
        section: &'static str,
        test: (&'static str, &'static str),
    ) -> Self {
        Self::new::<C>(Handler::Tell(run_tell::<C>), access, section, test)
    }

    /// What the owner does is not done twice, unless it is said to be [`Entry::repeatable`].
    pub(crate) const fn act<C: Act + 'static>(
        access: Access,
        section: &'static str,
        test: (&'static str, &'static str),
    ) -> Self {
        Self::new::<C>(Handler::Act(run_act::<C>), access, section, test).once()
    }

    pub(crate) const fn session<C: Command>(
        access: Access,
        section: &'static str,
        test: (&'static str, &'static str),
    ) -> Self {
        Self::new::<C>(Handler::Session, access, section, test)
    }
}

pub(crate) const CALLBACK: Access = Access::Session(PrivilegeLevel::Callback);
pub(crate) const USER: Access = Access::Session(PrivilegeLevel::User);
pub(crate) const OPERATOR: Access = Access::Session(PrivilegeLevel::Operator);
pub(crate) const ADMINISTRATOR: Access = Access::Session(PrivilegeLevel::Administrator);

/// The commands of every room.
const ROOMS: &[&[Entry]] = &[
    access::COMMANDS,
    app::COMMANDS,
    boot::COMMANDS,
    channel::COMMANDS,
    chassis::COMMANDS,
    dcmi::COMMANDS,
    fru::COMMANDS,
    security::COMMANDS,
    session::COMMANDS,
    sol::COMMANDS,
    watchdog::COMMANDS,
    pef::COMMANDS,
    sel::COMMANDS,
    sdr::COMMANDS,
    sensor::COMMANDS,
    lan::COMMANDS,
    system::COMMANDS,
    system_info::COMMANDS,
    system_interface::COMMANDS,
    users::COMMANDS,
];

/// Every command, ordered by network function and code.
pub static TABLE: LazyLock<Vec<&'static Entry>> = LazyLock::new(|| {
    let mut table: Vec<&Entry> = ROOMS.iter().copied().flatten().collect();
    table.sort_by_key(|entry| (entry.netfn, entry.cmd));
    table
});

/// The command with this network function and code.
pub fn find(netfn: NetFn, cmd: u8) -> Option<&'static Entry> {
    let at = TABLE.binary_search_by_key(&(netfn, cmd), |entry| (entry.netfn, entry.cmd)).ok()?;
    TABLE.get(at).copied()
}

/// The data of a request as a log may show it: in hexadecimal, unless it carries a secret. What is no command of ours may carry anything.
pub fn shown_request(netfn: NetFn, cmd: u8, data: &[u8]) -> String {
    shown(find(netfn, cmd).is_none_or(|entry| (entry.secret_request)(data)), data)
}

/// The data of a response as a log may show it.
pub fn shown_response(netfn: NetFn, cmd: u8, data: &[u8]) -> String {
    shown(find(netfn, cmd).is_some_and(|entry| (entry.secret_response)(data)), data)
}

fn shown(secret: bool, data: &[u8]) -> String {
    if secret {
        format!("({} bytes)", data.len())
    } else {
        data.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Whether this command must not be carried out twice for one question.
pub fn changes(netfn: NetFn, cmd: u8) -> bool {
    find(netfn, cmd).is_some_and(|entry| entry.once)
}

#[cfg(test)]
mod tests {
    use bmc_core::account::Secret;

    use super::*;

    #[test]
    fn what_is_secret_is_in_no_log() {
        let community = [b"\x01\x10".as_slice(), b"hush", &[0; 14]].concat();
        let transport = NetFn::TRANSPORT;
        assert_eq!(shown_request(transport, 0x01, &community), "(20 bytes)");
        assert_eq!(shown_request(transport, 0x01, &[1, 0]), "0100");
        assert_eq!(shown_response(transport, 0x02, &[b"\x11".as_slice(), &[0; 18]].concat()), "(19 bytes)");
        assert_eq!(shown_response(transport, 0x02, &[0x11, 0]), "1100");
        assert_eq!(shown_request(NetFn::APP, 0x47, &[2, 2, 1]), "(3 bytes)");
        let settings =
            bmc_core::settings::LanSettings { community: Secret::new("hush"), ..Default::default() };
        assert!(!format!("{settings:?}").contains("hush"));
    }

    #[test]
    fn what_must_not_be_done_twice_for_one_question_is_marked() {
        let app = |cmd| changes(NetFn::APP, cmd);
        // Set Watchdog Timer, Close Session, Set User Password, Deactivate Payload.
        for cmd in [0x24, 0x3c, 0x47, 0x49] {
            assert!(app(cmd), "{cmd:02x}h");
        }
        // Reset Watchdog Timer: a console that numbers all its messages alike must not be told that the timer was restarted when it
        // was not. Get Message, Read Event Message Buffer, Activate Payload and whatever reads.
        for cmd in [0x22, 0x33, 0x35, 0x48, 0x01] {
            assert!(!app(cmd), "{cmd:02x}h");
        }
        assert!(changes(NetFn::CHASSIS, 0x02), "Chassis Control");
        assert!(!changes(NetFn::CHASSIS, 0x01), "Get Chassis Status");
    }
}
