//! Which commands there are: the one list behind dispatch and the coverage document. Each room of `handlers` lists its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;

use ipmi_wire::command::{Command, Payload};
use ipmi_wire::{CompletionCode, DecodeError, NetFn, PrivilegeLevel};

use crate::Context;
use crate::handlers::{
    access, app, boot, channel, chassis, dcmi, fru, lan, pef, sdr, security, sel, sensor, session, sol,
    system, system_info, users, watchdog,
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
    /// Whether its request or response carries a password or key, which no log may show.
    pub secret: bool,
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
            secret: false,
            recode_request: recode::<C>,
            recode_response: recode::<C::Response>,
            handler,
        }
    }

    /// The same, of which no log shows the data.
    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
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

    pub(crate) const fn act<C: Act + 'static>(
        access: Access,
        section: &'static str,
        test: (&'static str, &'static str),
    ) -> Self {
        Self::new::<C>(Handler::Act(run_act::<C>), access, section, test)
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
    shown(find(netfn, cmd).is_none_or(|entry| entry.secret), data)
}

/// The data of a response as a log may show it.
pub fn shown_response(netfn: NetFn, cmd: u8, data: &[u8]) -> String {
    shown(find(netfn, cmd).is_some_and(|entry| entry.secret), data)
}

fn shown(secret: bool, data: &[u8]) -> String {
    if secret {
        format!("({} bytes)", data.len())
    } else {
        data.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Whether this command changes something, and so must not be carried out twice for one question.
pub fn changes(netfn: NetFn, cmd: u8) -> bool {
    find(netfn, cmd).is_some_and(|entry| matches!(entry.handler, Handler::Act(_)))
}
