//! A BMC over a machine that does what the test says.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bmc_core::account::Secret;
use bmc_core::backend::{
    Backend, Machine, MachineInfo, MachineRef, Observed, ObservedPower, Report, Reports,
};
use bmc_core::boot::{BootPlan, BootTarget};
use bmc_core::clock::SystemClock;
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::fleet::{Fleet, MachineHandle, MachineSetup};
use bmc_core::power::{ChangeCause, PowerState};
use bmc_core::settings::ChannelAccess;
use bmc_core::snapshot::Snapshot;
use bmc_core::store::Store;
use bmc_store::MemoryStore;
use ipmi_wire::command::{Command as WireCommand, Payload};
use ipmi_wire::{CompletionCode, NetFn, PrivilegeLevel};
use tokio::sync::watch;
use uuid::Uuid;

use crate::dispatch::Command;
use crate::{Bmc, Caller, Context, DeviceProfile, IpmiConfig, dispatch};

/// A backend with one machine, which obeys at once or fails as told.
#[derive(Default)]
pub(crate) struct TestBackend {
    pub(crate) reports: Mutex<Option<Reports>>,
    failure: Mutex<Option<BackendErrorKind>>,
    calls: Mutex<Vec<&'static str>>,
    held: watch::Sender<bool>,
}

pub(crate) const UUID: Uuid = Uuid::from_u128(0x0011_2233_4455_4677_8899_aabb_ccdd_eeff);

fn info() -> MachineInfo {
    MachineInfo {
        uuid: UUID,
        name: "test".to_owned(),
        processors: 1,
        architecture: "x86_64".to_owned(),
        memory_bytes: 1 << 30,
        boot_targets: BootTarget::ALL
            .into_iter()
            .filter(|target| ![BootTarget::None, BootTarget::RemoteDisk].contains(target))
            .collect(),
        ..Default::default()
    }
}

struct TestMachine(Arc<TestBackend>);

pub(crate) struct SharedBackend(pub(crate) Arc<TestBackend>);

#[async_trait]
impl Backend for SharedBackend {
    fn name(&self) -> &str {
        "test"
    }

    async fn find(&self, _: &str) -> Result<MachineInfo, BackendError> {
        Ok(info())
    }

    async fn machines(&self) -> Result<Vec<MachineInfo>, BackendError> {
        Ok(vec![info()])
    }

    fn attach(&self, _: MachineRef, reports: Reports) -> Arc<dyn Machine> {
        reports.send(Report::Available(Observed {
            info: info(),
            power: ObservedPower::Off,
            boot_generation: None,
            media: Vec::new(),
        }));
        *self.0.reports.lock().unwrap() = Some(reports);
        Arc::new(TestMachine(Arc::clone(&self.0)))
    }
}

impl TestBackend {
    pub(crate) fn report(&self, report: Report) {
        self.reports.lock().unwrap().as_ref().unwrap().send(report);
    }

    async fn call(&self, call: &'static str, power: Option<ObservedPower>) -> Result<(), BackendError> {
        self.calls.lock().unwrap().push(call);
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        if let Some(kind) = *self.failure.lock().unwrap() {
            return Err(BackendError::new(kind, "as the test said"));
        }
        if let Some(power) = power {
            self.report(Report::Power { power, cause: ChangeCause::Requested });
        }
        Ok(())
    }
}

#[async_trait]
impl Machine for TestMachine {
    async fn start(&self, _: &BootPlan) -> Result<(), BackendError> {
        self.0.call("start", Some(ObservedPower::Running)).await
    }

    async fn stop(&self) -> Result<(), BackendError> {
        self.0.call("stop", Some(ObservedPower::Off)).await
    }

    async fn shutdown(&self) -> Result<(), BackendError> {
        self.0.call("shutdown", Some(ObservedPower::Stopping)).await
    }

    async fn reset(&self, _: &BootPlan) -> Result<(), BackendError> {
        self.0.call("reset", None).await
    }

    async fn resume(&self) -> Result<(), BackendError> {
        self.0.call("resume", Some(ObservedPower::Running)).await
    }

    async fn nmi(&self) -> Result<(), BackendError> {
        self.0.call("nmi", None).await
    }
}

/// A BMC, and a context with a session at Administrator level.
pub(crate) struct Bench {
    pub(crate) fleet: Fleet,
    pub(crate) machine: MachineHandle,
    pub(crate) backend: Arc<TestBackend>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) context: Context,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        let fleet = Fleet::open(Arc::clone(&store) as Arc<dyn Store>, Arc::new(SystemClock)).await.unwrap();
        let backend = Arc::new(TestBackend::default());
        let setup = MachineSetup {
            name: "node".to_owned(),
            machine: MachineRef { uuid: Some(UUID), name: "test".to_owned() },
            administrator: ("admin".to_owned(), Secret::new("password")),
            power_policy: None,
            identity: None,
        };
        let machine = fleet.add(setup, Arc::new(SharedBackend(Arc::clone(&backend)))).await.unwrap();
        let config = IpmiConfig::default();
        let sessions = config.for_sessions(&machine.snapshot(), &ChannelAccess::default(), true).unwrap();
        let lan = config.channel_of(&sessions, ([127, 0, 0, 1], 623).into());
        let context = Context {
            bmc: Arc::new(Bmc::new(machine.clone(), DeviceProfile::default(), Arc::clone(fleet.clock()))),
            caller: Caller::Session { id: 7, privilege: PrivilegeLevel::Administrator },
            channel: 1,
            lan: Arc::new(lan),
            sessions_active: 2,
            local: None,
        };
        let bench = Self { fleet, machine, backend, store, context };
        bench.until(|snapshot| snapshot.info.is_some()).await;
        bench
    }

    pub(crate) fn caller(&mut self, caller: Caller) {
        self.context.caller = caller;
    }

    /// The LAN channel can be reached from elsewhere, or not.
    pub(crate) fn loopback(&mut self, loopback: bool) {
        Arc::make_mut(&mut self.context.lan).loopback = loopback;
    }

    /// The next calls of the machine fail so, or succeed again.
    pub(crate) fn fail(&self, kind: Option<BackendErrorKind>) {
        *self.backend.failure.lock().unwrap() = kind;
    }

    /// Calls of the machine do not return, or go on.
    pub(crate) fn hold(&self, held: bool) {
        self.backend.held.send_replace(held);
    }

    /// The next commits of the store fail.
    pub(crate) fn break_store(&self) {
        self.store.fail_commits(Some("the disk is full"));
    }

    /// What was asked of the machine since the last question.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.backend.calls.lock().unwrap())
    }

    /// Waits until the published state is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&Snapshot) -> bool) {
        let mut snapshots = self.machine.subscribe();
        let wait = snapshots.wait_for(|snapshot| wanted(snapshot));
        tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.unwrap().unwrap();
    }

    /// Reports a power state and waits until it shows.
    pub(crate) async fn power(&self, power: ObservedPower, state: PowerState) {
        self.backend.report(Report::Power { power, cause: ChangeCause::Outside });
        self.until(|snapshot| snapshot.power == state).await;
    }

    /// Sends bytes; returns the completion code and the data.
    pub(crate) async fn raw(&self, netfn: u8, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
        self.raw_to_lun(netfn, 0, cmd, data).await
    }

    pub(crate) async fn raw_to_lun(&self, netfn: u8, lun: u8, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
        let command = Command { netfn: NetFn::new(netfn), lun, cmd, data: data.to_vec() };
        let reply = dispatch(&self.context, &command).await;
        (reply.completion.0, reply.data)
    }

    /// Sends a typed request that must succeed.
    pub(crate) async fn ask<C: WireCommand>(&self, request: C) -> C::Response {
        let (completion, data) = self.raw(C::NETFN.get(), C::CODE, &request.encode()).await;
        assert_eq!(CompletionCode(completion), CompletionCode::OK, "{}", C::NAME);
        C::Response::decode(&data).unwrap()
    }
}

/// Every length from 0 to 24 other than `right` is refused as `C7h`. `good` is extended by zeros or cut.
pub(crate) async fn bad_lengths(bench: &Bench, netfn: u8, cmd: u8, good: &[u8], right: &[usize]) {
    for n in 0..24 {
        let mut data = good.to_vec();
        data.resize(n, 0);
        let (code, _) = bench.raw(netfn, cmd, &data).await;
        assert_eq!(code != 0xc7, right.contains(&n), "{netfn:02x}h {cmd:02x}h with {n} bytes: {code:02x}h");
    }
}
