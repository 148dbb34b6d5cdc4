//! Which commands there are: the one list behind dispatch and the coverage document.

use std::future::Future;
use std::pin::Pin;

use ipmi_wire::command::app::{GetDeviceGuid, GetDeviceId, GetSelfTestResults, GetSystemGuid};
use ipmi_wire::command::boot::{GetSystemBootOptions, SetSystemBootOptions};
use ipmi_wire::command::channel::{
    GetChannelAccess, GetChannelAuthCapabilities, GetChannelCipherSuites, GetChannelInfo,
};
use ipmi_wire::command::chassis::{
    ChassisControl, ChassisIdentify, GetChassisCapabilities, GetChassisStatus, GetSystemRestartCause,
    SetPowerRestorePolicy,
};
use ipmi_wire::command::session::{CloseSession, GetSessionInfo, SetSessionPrivilegeLevel};
use ipmi_wire::command::{Command, Payload};
use ipmi_wire::{CompletionCode, NetFn, PrivilegeLevel};

use crate::Context;

/// The response data, or the completion code of a refusal.
pub type Answer<T = Vec<u8>> = Result<T, CompletionCode>;

/// A command that is answered from what is known, without waiting.
pub(crate) trait Read: Command {
    /// The answer.
    fn answer(self, context: &Context) -> Answer<Self::Response>;
}

/// A command that asks the machine's owner for something.
pub(crate) trait Act: Command + Send {
    /// Does it.
    fn act(self, context: &Context) -> impl Future<Output = Answer<Self::Response>> + Send;
}

/// An answer that may take a while.
pub(crate) type Pending<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// How a command is carried out.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// At once.
    Read(fn(&Context, &[u8]) -> Answer),
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
        Self { netfn: C::NETFN, cmd: C::CODE, name: C::NAME, access, section, test, handler }
    }

    const fn read<C: Read>(
        access: Access,
        section: &'static str,
        test: (&'static str, &'static str),
    ) -> Self {
        Self::new::<C>(Handler::Read(run_read::<C>), access, section, test)
    }

    const fn act<C: Act + 'static>(
        access: Access,
        section: &'static str,
        test: (&'static str, &'static str),
    ) -> Self {
        Self::new::<C>(Handler::Act(run_act::<C>), access, section, test)
    }

    const fn session<C: Command>(
        access: Access,
        section: &'static str,
        test: (&'static str, &'static str),
    ) -> Self {
        Self::new::<C>(Handler::Session, access, section, test)
    }
}

const CALLBACK: Access = Access::Session(PrivilegeLevel::Callback);
const USER: Access = Access::Session(PrivilegeLevel::User);
const OPERATOR: Access = Access::Session(PrivilegeLevel::Operator);

const CHASSIS: &str = "bmc-ipmi/src/handlers/chassis_tests.rs";
const BOOT: &str = "bmc-ipmi/src/handlers/boot_tests.rs";
const DEVICE: &str = "bmc-ipmi/src/handlers/app.rs";
const CHANNEL: &str = "bmc-ipmi/src/handlers/channel.rs";
const SESSION: &str = "ipmi-session/tests/it/session.rs";

/// Every command, ordered by network function and code.
pub static TABLE: &[Entry] = &[
    Entry::read::<GetChassisCapabilities>(USER, "28.1", (CHASSIS, "capabilities")),
    Entry::read::<GetChassisStatus>(USER, "28.2", (CHASSIS, "status_")),
    Entry::act::<ChassisControl>(OPERATOR, "28.3", (CHASSIS, "control_")),
    Entry::act::<ChassisIdentify>(OPERATOR, "28.5", (CHASSIS, "identify_")),
    Entry::act::<SetPowerRestorePolicy>(OPERATOR, "28.8", (CHASSIS, "restore_policy_")),
    Entry::read::<GetSystemRestartCause>(USER, "28.11", (CHASSIS, "restart_cause_")),
    Entry::act::<SetSystemBootOptions>(OPERATOR, "28.12", (BOOT, "what_is_written_is_read_back")),
    Entry::read::<GetSystemBootOptions>(OPERATOR, "28.13", (BOOT, "what_is_written_is_read_back")),
    Entry::read::<GetDeviceId>(USER, "20.1", (DEVICE, "device_id")),
    Entry::read::<GetSelfTestResults>(USER, "20.4", (DEVICE, "self_test")),
    Entry::read::<GetDeviceGuid>(USER, "20.8", (DEVICE, "guids_")),
    Entry::read::<GetSystemGuid>(Access::Anybody, "22.14", (DEVICE, "guids_")),
    Entry::read::<GetChannelAuthCapabilities>(Access::Anybody, "22.13", (CHANNEL, "auth_capabilities")),
    Entry::session::<SetSessionPrivilegeLevel>(USER, "22.18", (SESSION, "privilege_")),
    Entry::session::<CloseSession>(CALLBACK, "22.19", (SESSION, "close_session_")),
    Entry::session::<GetSessionInfo>(USER, "22.20", (SESSION, "get_session_info_")),
    Entry::read::<GetChannelAccess>(USER, "22.23", (CHANNEL, "access")),
    Entry::read::<GetChannelInfo>(USER, "22.24", (CHANNEL, "info")),
    Entry::read::<GetChannelCipherSuites>(Access::Anybody, "22.15", (CHANNEL, "cipher_suites")),
];

/// The command with this network function and code.
pub fn find(netfn: NetFn, cmd: u8) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.netfn == netfn && entry.cmd == cmd)
}

/// Whether this command changes something, and so must not be carried out twice for one question.
pub fn changes(netfn: NetFn, cmd: u8) -> bool {
    find(netfn, cmd).is_some_and(|entry| matches!(entry.handler, Handler::Act(_)))
}
