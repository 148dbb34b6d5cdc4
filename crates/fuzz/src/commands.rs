//! Every command handler, over a whole BMC with a simulated machine: a sequence of commands, each of which must be answered.

use std::sync::Arc;

use bmc_core::account::Secret;
use bmc_core::backend::MachineRef;
use bmc_core::clock::SystemClock;
use bmc_core::fleet::{Fleet, MachineSetup};
use bmc_ipmi::dispatch::Command;
use bmc_ipmi::{Bmc, Caller, Context, DeviceProfile, LanChannel, dispatch};
use bmc_sim::{SimBackend, SimConfig};
use bmc_store::MemoryStore;
use ipmi_session::config::SuitePolicy;
use ipmi_wire::{NetFn, PrivilegeLevel};

use crate::pieces;

/// Commands of one input that are carried out.
const COMMANDS_MAX: usize = 16;
/// Longest response data that is carried (`ipmi_session::limits::MAX_MESSAGE_DATA`).
const RESPONSE_MAX: usize = 1024;

/// The pieces are commands: network function and level, command, data.
pub(crate) fn run(data: &[u8]) {
    // The clock stands until everything waits, and then jumps: no input takes longer than its work.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    if let Ok(runtime) = runtime {
        runtime.block_on(serve(data));
    }
}

async fn serve(data: &[u8]) {
    let Ok(fleet) = Fleet::open(Arc::new(MemoryStore::new()), Arc::new(SystemClock)).await else { return };
    let backend = SimBackend::new(SimConfig::default(), &tokio::runtime::Handle::current());
    let setup = MachineSetup {
        name: "fuzz".to_owned(),
        machine: MachineRef { uuid: None, name: "fuzz".to_owned() },
        administrator: ("admin".to_owned(), Secret::new("password")),
        power_policy: None,
        identity: None,
    };
    let Ok(machine) = fleet.add(setup, Arc::new(backend)).await else { return };
    let suites: Vec<_> = [3, 17]
        .into_iter()
        .filter_map(|id| SuitePolicy::new(id, PrivilegeLevel::Administrator).ok())
        .collect();
    let lan = LanChannel {
        number: 1,
        max_privilege: PrivilegeLevel::Administrator,
        configured_suites: suites.clone(),
        suites,
        ipmi15_auth: Vec::new(),
        configured_ipmi15_auth: Vec::new(),
        per_message_auth: true,
        kg: None,
        loopback: true,
        port: 623,
    };
    let mut context = Context {
        bmc: Arc::new(Bmc::new(machine, DeviceProfile::default(), Arc::clone(fleet.clock()))),
        caller: Caller::Unauthenticated,
        channel: 1,
        lan: Arc::new(lan),
        sessions_active: 1,
        local: None,
    };
    for piece in pieces(data).take(COMMANDS_MAX) {
        let &[kind, cmd, ref data @ ..] = piece else { continue };
        context.caller = match kind & 1 {
            0 => Caller::Session { id: 7, privilege: PrivilegeLevel::Administrator },
            _ => Caller::System,
        };
        let command = Command { netfn: NetFn::new(kind & 0x3e), lun: kind >> 6, cmd, data: data.to_vec() };
        let reply = dispatch(&context, &command).await;
        assert!(reply.data.len() <= RESPONSE_MAX, "{command:?} is answered by {} bytes", reply.data.len());
    }
}
