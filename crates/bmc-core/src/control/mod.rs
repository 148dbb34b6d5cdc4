//! One machine as a pure state machine: no task, no clock, no store, no hypervisor.
//!
//! Inputs go in with the time; effects come out for the [owner](crate::owner) to carry out. What the machine *is* comes only from the
//! backend's reports; what is *wanted* of it is kept beside, and the power state that clients see is derived from the two:
//!
//! ```text
//!   observed    nothing wanted    start wanted     stop or shutdown wanted
//!   Off         Off               PoweringOn       Off
//!   Starting    PoweringOn        PoweringOn       PoweringOff
//!   Running     On                On               PoweringOff
//!   Stopping    PoweringOff       PoweringOff      PoweringOff
//!   Paused      Paused            Paused           PoweringOff
//! ```
//!
//! At most one call to the backend is under way (diagnostic interrupts and virtual media excepted); what must follow it waits in `Control` and is
//! issued by `Control::advance`. What else acts without being asked: the watchdog timer (`watch`), limits of DCMI (`limits`), event
//! filters (`filter`), and the power restore policy when the daemon comes (`report`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use crate::alert::Alert;
use crate::backend::{MachineInfo, ObservedPower, Statistics};
use crate::bmc::BmcState;
use crate::boot::{BootEnabled, BootOverride, BootPlan, BootProgress, FirmwareMode, OverrideBoot};
use crate::error::{BackendError, RequestError};
use crate::event::EventKind;
use crate::firmware::FirmwareSetup;
use crate::media::{FetchedImage, MediaError, MediaImage, MediaSlot, MediaSource};
use crate::power::{PowerAction, PowerState, Restart};
use crate::power_meter::PowerMeter;
use crate::request::{Change, Outcome, Request};
use crate::sel::{Sel, SelWrites};
use crate::sensor::{Readings, Sensor, list_of};
use crate::settings::bios::BiosPending;
use crate::snapshot::{Health, IdentifyState, Snapshot};
use crate::storage::Volume;
use crate::system_interface::SystemInterfaceDevice;
use crate::watchdog::{TimeoutAction, Watchdog};

mod bmc;
mod change;
mod filter;
mod firmware;
mod history;
mod limits;
mod log;
mod media;
mod operate;
mod record;
mod report;
mod sense;
mod storage;
mod system_interface;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

pub use change::IDENTIFY_MAX;
pub use limits::Limited;
use log::Evaluation;
pub use record::MachineRecord;

/// How long an operating system may take to shut down before the machine counts as on again.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(120);

/// How long after a restart the same kind of restart still joins it. Clients that retransmit with new sequence numbers (FreeIPMI, after
/// one second) would otherwise restart the machine twice when a reply is lost.
pub const RESTART_SETTLES: Duration = Duration::from_secs(2);

/// Diagnostic interrupts under way at once; one more is refused as busy. They alone need not wait for each other.
pub const NMI_CALLS_MAX: usize = 8;

/// When a client that was told "busy" should come again.
pub const BUSY_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Numbers a request, so that its reply finds its way.
pub type RequestId = u64;
/// Numbers a call to the backend.
pub type CallId = u64;

/// What happens to a machine.
#[derive(Debug)]
pub enum Input {
    /// A frontend asks.
    Request(RequestId, Request),
    /// The backend tells.
    Report(Box<crate::backend::Report>),
    /// A frontend tells of something that happened to it.
    Note(EventKind),
    /// The firmware could not be set up as this call was to do first; the call goes on.
    NotSetUp(CallId, BackendError),
    /// A call has ended.
    CallDone(CallId, Result<(), BackendError>),
    /// The fetching of an image has ended.
    Fetched(CallId, Result<FetchedImage, MediaError>),
    /// A timer has run out; stale ones are harmless.
    Timer(Timer),
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Acknowledge this request although the backend has not answered.
    Acknowledge(RequestId),
    /// The shutdown with this number took too long.
    Shutdown(u64),
    /// The identify light with this number goes off.
    Identify(u64),
    /// The time between off and on of the power cycle with this number is over.
    Interval(u64),
    /// The watchdog timer, as it was armed with this number, has something to do.
    Watchdog(u64),
    /// A limit was exceeded for as long as it may be; by number.
    Limit(Limited, u64),
}

/// A call to the backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// [`Machine::start`](crate::backend::Machine::start).
    Start(BootPlan),
    /// [`Machine::stop`](crate::backend::Machine::stop).
    Stop,
    /// [`Machine::shutdown`](crate::backend::Machine::shutdown).
    Shutdown,
    /// [`Machine::reset`](crate::backend::Machine::reset).
    Reset(BootPlan),
    /// [`Machine::resume`](crate::backend::Machine::resume).
    Resume,
    /// [`Machine::nmi`](crate::backend::Machine::nmi).
    Nmi,
    /// [`Machine::set_firmware`](crate::backend::Machine::set_firmware).
    SetFirmware(FirmwareMode),
    /// [`Machine::create_volume`](crate::backend::Machine::create_volume).
    CreateVolume(Arc<Volume>),
    /// [`Machine::delete_volume`](crate::backend::Machine::delete_volume).
    DeleteVolume(Arc<Volume>),
    /// [`Machine::initialize_volume`](crate::backend::Machine::initialize_volume).
    InitializeVolume(Arc<Volume>),
    /// [`Machine::insert_media`](crate::backend::Machine::insert_media).
    InsertMedia(MediaImage),
    /// [`Machine::eject_media`](crate::backend::Machine::eject_media).
    EjectMedia(MediaSlot),
    /// [`Machine::set_boot_order`](crate::backend::Machine::set_boot_order).
    SetBootOrder(Vec<String>),
    /// [`Machine::set_system_interface`](crate::backend::Machine::set_system_interface).
    SetSystemInterface(Option<Box<SystemInterfaceDevice>>),
    /// [`Machine::set_up`](crate::backend::Machine::set_up), and then this start or reset. The machine boots even if its firmware refuses;
    /// that is told by [`Input::NotSetUp`].
    SetUp(FirmwareSetup, Box<Op>),
}

impl Op {
    /// Whether it is about power.
    const fn is_power(&self) -> bool {
        !matches!(
            self,
            Self::SetFirmware(_)
                | Self::SetBootOrder(_)
                | Self::SetSystemInterface(_)
                | Self::CreateVolume(_)
                | Self::DeleteVolume(_)
                | Self::InitializeVolume(_)
                | Self::InsertMedia(_)
                | Self::EjectMedia(_)
        )
    }
}

/// What the owner has to do, in this order, after the record is committed.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer a request.
    Reply(RequestId, Result<Outcome, RequestError>),
    /// Call the backend; the end comes back as [`Input::CallDone`].
    Call(CallId, Op),
    /// Fetch an image; the end comes back as [`Input::Fetched`].
    Fetch(CallId, Box<MediaSource>),
    /// Nobody waits for this image any more.
    StopFetch(CallId),
    /// The image with this lease is in use no longer.
    Release(String),
    /// Give [`Input::Timer`] after this time.
    After(Duration, Timer),
    /// Log an event.
    Emit(EventKind),
    /// Tell people far away of an event.
    Alert(Alert),
    /// Give [`Input::Request`] with this change again, before any other input: what it had to wait for is done.
    Again(RequestId, Box<Change>),
}

/// A time in both kinds.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For intervals.
    pub instant: Instant,
    /// For people.
    pub timestamp: Timestamp,
}

/// Requests that wait for one thing.
#[derive(Clone, Debug, Default)]
struct Waiters {
    requests: Vec<RequestId>,
    /// Someone was told "accepted", or nobody asked: a failure must be shown, since no reply will carry it.
    acknowledged: bool,
}

impl Waiters {
    fn one(request: RequestId) -> Self {
        Self { requests: vec![request], acknowledged: false }
    }

    fn nobody() -> Self {
        Self { requests: Vec::new(), acknowledged: true }
    }

    fn join(&mut self, others: Self) {
        self.requests.extend(others.requests);
        self.acknowledged |= others.acknowledged;
    }
}

#[derive(Clone, Debug)]
struct Call {
    id: CallId,
    op: Op,
    waiters: Waiters,
    /// Of a start or reset: the BIOS settings that it brings into force.
    bios: BiosPending,
}

/// A change that waits for the firmware switch that is part of it.
#[derive(Clone, Debug)]
struct PendingChange {
    id: RequestId,
    change: Box<Change>,
    /// The override as it was when the change was asked for: one that demands a revision was planned on it.
    planned_on: Arc<BootOverride>,
}

/// The time between off and on of a power cycle (IPMI 2.0 §28.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Interval {
    /// There is none to wait for.
    #[default]
    None,
    /// It begins when the machine is off.
    Due(Duration),
    /// It runs; by number.
    Waiting(u64),
}

/// One machine.
#[derive(Clone, Debug)]
pub struct Control {
    name: Arc<str>,
    /// Durable state.
    record: MachineRecord,

    // What the backend told.
    health: Option<Health>,
    info: Option<Arc<MachineInfo>>,
    observed: ObservedPower,
    statistics: Statistics,
    /// Made anew when drive slots or processors change.
    sensors: Arc<[Sensor]>,
    readings: Arc<Readings>,
    power_meter: Arc<PowerMeter>,
    watches: limits::Watches,
    /// What the readings were made from.
    sensed: Option<sense::Sensed>,
    /// The generation of the override the running instance was started with.
    running_boot: Option<u64>,
    /// How far it has booted, where that is known.
    boot_progress: Option<BootProgress>,
    /// Power is known to be on; turns with one event each way.
    lit: bool,
    /// While the machine is not off: a moment, and how long the run had lasted then.
    run_from: Option<(Instant, Duration)>,

    // What is wanted.
    call: Option<Call>,
    /// Interrupts under way; `None` once the request was acknowledged.
    nmi_calls: Vec<(CallId, Option<RequestId>)>,
    /// A hard off that waits for the call under way.
    stop_next: Option<Waiters>,
    /// A start that waits for the machine to be off.
    start_next: Option<Waiters>,
    /// A shutdown kept until the operating system is up.
    shutdown_next: bool,
    /// The shutdown under way, by number.
    shutdown: Option<u64>,
    /// The running instance boots; whether from the right device is to be checked.
    check_boot: bool,
    /// A watchdog device of the machine has expired and resets it: the next reboot is its doing.
    device_watchdog_resets: bool,
    /// The restart under way, and until when it counts as such once done.
    restart: Option<(PowerAction, Option<Instant>)>,
    /// Why the start or reset that is under way or waits was asked for, until it has begun.
    wanted_by: Option<Restart>,
    /// How the power cycle under way waits before it starts the machine.
    interval: Interval,
    /// What the watchdog wants done as soon as nothing else is under way.
    watchdog_next: Option<TimeoutAction>,
    /// The stop under way is the watchdog's.
    watchdog_stops: bool,
    /// What event filters do.
    filters: filter::FilterActions,
    pending_change: Option<PendingChange>,
    /// What is to be done about volumes when nothing else is.
    chores: VecDeque<Op>,
    /// What the drives for virtual media do.
    drives: media::Drives,
    /// Why the firmware was not set up for the boot under way.
    setup_refused: Option<BackendError>,
    /// The definition was changed while the machine ran, so that the running instance is not what the next boot is to be.
    outdated: bool,
    /// Whether the running instance was started with Secure Boot in force.
    secure_boot: Option<bool>,

    // What is shown besides.
    power_fault: bool,
    watchdog: Watchdog,
    /// Which of the watchdog's timers counts.
    watchdog_number: u64,
    identify: IdentifyState,
    /// Which of the identify timers counts.
    identify_number: u64,
    sel: Arc<Sel>,
    /// What of the log is still to be stored.
    sel_writes: SelWrites,
    bmc: BmcState,

    serial: u64,
    revision: u64,
}

/// The namespace of UUIDs for machines whose backend has not told theirs yet.
const UNTOLD_UUID_NAMESPACE: Uuid = Uuid::from_u128(0x7c9b_6f0e_52d1_4f53_9d0a_8f41_31b6_20c7);

impl Control {
    /// A machine that the backend has told nothing about yet.
    pub fn new(name: Arc<str>, record: MachineRecord) -> Self {
        let sensors = list_of(&record.settings.sensors).into();
        Self {
            name,
            record,
            health: None,
            info: None,
            observed: ObservedPower::Off,
            statistics: Statistics::default(),
            sensors,
            readings: Arc::default(),
            power_meter: Arc::default(),
            watches: limits::Watches::default(),
            sensed: None,
            running_boot: None,
            boot_progress: None,
            lit: false,
            run_from: None,
            call: None,
            nmi_calls: Vec::new(),
            stop_next: None,
            start_next: None,
            shutdown_next: false,
            shutdown: None,
            check_boot: false,
            device_watchdog_resets: false,
            restart: None,
            wanted_by: None,
            interval: Interval::None,
            watchdog_next: None,
            watchdog_stops: false,
            filters: filter::FilterActions::default(),
            pending_change: None,
            chores: VecDeque::new(),
            drives: media::Drives::default(),
            setup_refused: None,
            outdated: false,
            secure_boot: None,
            power_fault: false,
            watchdog: Watchdog::default(),
            watchdog_number: 0,
            identify: IdentifyState::Off,
            identify_number: 0,
            sel: Arc::default(),
            sel_writes: SelWrites::new(),
            bmc: BmcState::default(),
            serial: 0,
            revision: 0,
        }
    }

    /// Takes one input; returns what to do about it.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        // The daemon has come: that is the controller's first start.
        self.bmc.reset_at.get_or_insert(now.timestamp);
        let evaluation = self.evaluation(&input);
        let accounts = Arc::clone(&self.record.accounts);
        match input {
            Input::Request(id, Request::Power(action, origin)) => {
                self.request_power(now, id, (action, origin), &mut effects);
            }
            Input::Request(id, Request::Watchdog(request)) => {
                self.request_watchdog(now, id, request, &mut effects);
            }
            Input::Request(id, Request::Change(change)) => self.request_change(now, id, change, &mut effects),
            Input::Request(id, Request::Edit(edit)) => {
                let result = self.edit(&edit);
                effects.push(Effect::Reply(id, result));
            }
            Input::Request(id, Request::RearmSensor { sensor, assertions, deassertions }) => {
                let result = self.rearm_sensor(sensor, assertions, deassertions);
                effects.push(Effect::Reply(id, result));
            }
            Input::Request(id, Request::Sel(request)) => {
                let result = self.request_log(now, request, &mut effects);
                effects.push(Effect::Reply(id, result));
            }
            Input::Request(id, Request::Storage(request)) => self.request_storage(id, request, &mut effects),
            Input::Request(id, Request::Media(request)) => self.request_media(id, request, &mut effects),
            Input::Fetched(call, result) => self.fetched(call, result, &mut effects),
            Input::Request(id, Request::ResetBmc(reset)) => {
                let result = self.reset_bmc(now, reset, &mut effects);
                effects.push(Effect::Reply(id, result));
            }
            Input::Request(id, Request::SetSystemInterface(device)) => {
                self.request_system_interface(id, device, &mut effects);
            }
            Input::Request(id, Request::Serves(door, at)) => {
                self.serves(door, at);
                effects.push(Effect::Reply(id, Ok(Outcome::Done)));
            }
            Input::Note(kind) if self.record.settings.sensors.audits(&kind) => {
                effects.push(Effect::Emit(kind))
            }
            Input::Note(_) => {}
            Input::Report(report) => self.report(now, *report, &mut effects),
            Input::NotSetUp(call, error) => self.not_set_up(call, error),
            Input::CallDone(call, result) => self.call_done(now, call, result, &mut effects),
            Input::Timer(timer) => self.timer(now, timer, &mut effects),
        }
        if !Arc::ptr_eq(&accounts, &self.record.accounts) {
            effects.extend(accounts.changes(&self.record.accounts).into_iter().map(Effect::Emit));
        }
        drop(accounts);
        self.settle(now, evaluation, &mut effects);
        let seen = effects.len();
        if self.filters_act(now, &mut effects) {
            let mut caused = effects.split_off(seen);
            self.settle(now, Evaluation::OnlyLogged, &mut caused);
            effects.append(&mut caused);
        }
        self.filters_settle();
        effects
    }

    /// What follows from an input by itself, and the log of what `effects` tell.
    fn settle(&mut self, now: Now, evaluation: Evaluation, effects: &mut Vec<Effect>) {
        self.advance_media(effects);
        self.advance(effects);
        self.sense(effects);
        self.watch_limits(now, effects);
        self.log_events(now, evaluation, effects);
    }

    /// The durable state, to be committed before effects are carried out.
    pub fn record(&self) -> &MachineRecord {
        &self.record
    }

    /// The machine's UUID as shown: the real one once known, else one derived from the BMC's name.
    pub fn uuid(&self) -> Uuid {
        let untold = || Uuid::new_v5(&UNTOLD_UUID_NAMESPACE, self.name.as_bytes());
        self.record.machine.uuid.unwrap_or_else(untold)
    }

    /// The state to publish. Its revision is that of the last publication; see [`Control::published`].
    pub fn snapshot(&self) -> Snapshot {
        let starting_up =
            || BackendError::unavailable("the backend has not answered yet; try again in a moment");
        let history = &self.record.power;
        Snapshot {
            revision: self.revision,
            name: Arc::clone(&self.name),
            uuid: self.uuid(),
            info: self.info.clone(),
            health: self.health.clone().unwrap_or_else(|| Health::Unavailable(starting_up())),
            power: self.power(),
            power_fault: self.power_fault,
            last_power_off: history.last_off,
            mains_lost: history.mains_lost,
            last_power_on_by_command: history.on_by_command,
            restart_cause: history.restart.cause,
            restart_channel: history.restart.channel,
            last_reset_time: history.restarted_at,
            powered: self.powered(),
            watchdog: self.watchdog,
            boot: Arc::clone(&self.record.boot),
            boot_options: Arc::clone(&self.record.boot_options),
            secure_boot: self.secure_boot,
            boot_progress: self.boot_progress,
            power_policy: self.record.power_policy,
            identify: self.identify,
            accounts: Arc::clone(&self.record.accounts),
            identity: Arc::clone(&self.record.identity),
            settings: Arc::clone(&self.record.settings),
            statistics: self.statistics,
            sensors: Arc::clone(&self.sensors),
            readings: Arc::clone(&self.readings),
            sel: Arc::clone(&self.sel),
            inserting: self.drives.inserting(),
            bmc: self.bmc,
            power_meter: Arc::clone(&self.power_meter),
        }
    }

    /// Notes that a snapshot with this revision is public, for requests that demand one.
    pub fn published(&mut self, revision: u64) {
        self.revision = revision;
    }

    /// The derived power state; the table stands at the top of this module.
    fn power(&self) -> PowerState {
        let op = self.call.as_ref().map(|call| &call.op);
        let starting = self.start_next.is_some() || matches!(op, Some(Op::Start(_)));
        // What is to start once it is off is on its way there, also when the call has returned before the report of it.
        let stopping = self.stop_next.is_some()
            || self.start_next.is_some()
            || self.shutdown.is_some()
            || matches!(op, Some(Op::Stop | Op::Shutdown));
        match self.observed {
            ObservedPower::Off if starting => PowerState::PoweringOn,
            ObservedPower::Off => PowerState::Off,
            ObservedPower::Stopping => PowerState::PoweringOff,
            _ if stopping => PowerState::PoweringOff,
            ObservedPower::Starting => PowerState::PoweringOn,
            ObservedPower::Running => PowerState::On,
            ObservedPower::Paused => PowerState::Paused,
        }
    }

    /// What the next boot shall boot from.
    fn plan(&self) -> BootPlan {
        let boot = &self.record.boot;
        if !boot.is_active() {
            return BootPlan::OwnOrder;
        }
        BootPlan::Override(OverrideBoot {
            target: boot.target,
            efi: boot.efi,
            http_uri: boot.http_uri.clone(),
            device: boot.device.clone(),
            once: boot.enabled == BootEnabled::Once,
            generation: self.record.boot_generation,
        })
    }

    /// Notes that an instance was started with the override of `generation`.
    fn boot_began(&mut self, generation: Option<u64>, effects: &mut Vec<Effect>) {
        self.running_boot = generation;
        // While the firmware is still at its self-test, nothing has been booted from yet: a start that is broken off then leaves the override.
        if !matches!(self.observed, ObservedPower::Off | ObservedPower::Starting) {
            self.boot_took_place(effects);
        }
    }

    /// The running instance has come to boot: an override for once that it carries out is used up.
    fn boot_took_place(&mut self, effects: &mut Vec<Effect>) {
        let current = self.running_boot == Some(self.record.boot_generation);
        if current && self.record.boot.is_active() && self.record.boot.enabled == BootEnabled::Once {
            effects.push(Effect::Emit(EventKind::BootOverrideUsed { target: self.record.boot.target }));
            self.record.boot = Arc::default();
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}
