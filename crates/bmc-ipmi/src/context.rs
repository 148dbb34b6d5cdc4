//! What a handler knows about the request besides its data.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bmc_core::alert::Alert;
use bmc_core::clock::Clock;
use bmc_core::error::RequestError;
use bmc_core::fleet::MachineHandle;
use bmc_core::request::Request;
use bmc_core::sel::BMC_GENERATOR;
use bmc_core::sensor::list;
use bmc_core::settings::lan::AlertDestination;
use bmc_core::settings::{ChannelAccess, ChannelMode, Edit, Editable};
use bmc_core::snapshot::Snapshot;
use ipmi_session::{AuthPolicy, Password, SuitePolicy};
use ipmi_wire::PrivilegeLevel;
use ipmi_wire::pet::{self, Pet, Trap};
use ipmi_wire::record::sel::{EVM_REVISION, EventMessage};
use ipmi_wire::session::v15::AuthType;
use tokio::sync::Notify;

use crate::alerts::{self, Alerts};
use crate::boot_guard::BootGuard;
use crate::counters::LanCounters;
use crate::sdr_repository::Reservations;
use crate::sel_guard::SelGuard;
use crate::system_interface::{Interface, Signals};
use crate::table::Answer;
use crate::volatile::Volatile;
use crate::{DeviceProfile, error};

/// How often the BMC was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resets {
    all: u64,
    cold: u64,
}

impl Resets {
    fn of(snapshot: &Snapshot) -> Self {
        Self { all: snapshot.bmc.resets, cold: snapshot.bmc.cold_resets }
    }
}

/// What all doors of one BMC share.
pub struct Bmc {
    machine: MachineHandle,
    profile: DeviceProfile,
    clock: Arc<dyn Clock>,
    boot_guard: Mutex<BootGuard>,
    sel_guard: Mutex<SelGuard>,
    sdr_reservations: Mutex<Reservations>,
    volatile: Mutex<Volatile>,
    /// The resets that have been heeded.
    resets: Mutex<Resets>,
    alerts: Mutex<Alerts>,
    /// When this BMC began.
    started: Instant,
    counters: LanCounters,
    /// What other doors need to know of the LAN; `None` until it is there.
    lan_view: Mutex<Option<LanView>>,
    interface: Mutex<Interface>,
    interface_changed: Notify,
}

/// The LAN channel as it is now, for those who come over another door.
#[derive(Clone, Debug)]
pub(crate) struct LanView {
    /// The channel.
    pub(crate) lan: Arc<LanChannel>,
    /// Sessions active on it.
    pub(crate) sessions_active: u8,
    /// Where it listens, if that is one address.
    pub(crate) address: Option<IpAddr>,
}

impl fmt::Debug for Bmc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bmc").field(self.machine.name()).finish()
    }
}

impl Bmc {
    /// A BMC for this machine.
    pub fn new(machine: MachineHandle, profile: DeviceProfile, clock: Arc<dyn Clock>) -> Self {
        let snapshot = machine.snapshot();
        let volatile = Mutex::new(Volatile::new(&snapshot.settings));
        Self {
            resets: Mutex::new(Resets::of(&snapshot)),
            machine,
            profile,
            alerts: Mutex::default(),
            started: clock.now(),
            clock,
            boot_guard: Mutex::default(),
            sel_guard: Mutex::default(),
            sdr_reservations: Mutex::default(),
            volatile,
            counters: LanCounters::default(),
            lan_view: Mutex::default(),
            interface: Mutex::default(),
            interface_changed: Notify::new(),
        }
    }

    /// The machine.
    pub fn machine(&self) -> &MachineHandle {
        &self.machine
    }

    /// The machine's published state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.machine.snapshot()
    }

    /// Who the controller says it is.
    pub fn profile(&self) -> &DeviceProfile {
        &self.profile
    }

    /// The time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// When `take_expired_boot_flags` is to be called; `None` while there is nothing to wait for.
    pub fn boot_flags_expire_at(&self) -> Option<Instant> {
        self.with_boot_guard(|guard| guard.expires_at())
    }

    /// Takes the time limit of the boot flags away if it is over, and returns the machine as it was when they were set: they are to be
    /// cleared unless they were used.
    pub(crate) fn take_expired_boot_flags(&self) -> Option<Arc<Snapshot>> {
        let now = self.clock.now();
        self.with_boot_guard(|guard| guard.take_expired(now))
    }

    /// Forgets what the session with this id held.
    pub fn session_closed(&self, session: u32) {
        self.with_boot_guard(|guard| guard.progress.release(Some(session)));
        self.with_volatile(|volatile| volatile.session_closed(session));
    }

    /// Works on the volatile part of the event log. `work` must not wait.
    pub(crate) fn with_sel_guard<T>(&self, work: impl FnOnce(&mut SelGuard) -> T) -> T {
        work(&mut self.sel_guard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works on the reservations of the SDR repository. `work` must not wait.
    pub(crate) fn with_sdr_reservations<T>(&self, work: impl FnOnce(&mut Reservations) -> T) -> T {
        work(&mut self.sdr_reservations.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works on what other doors know of the LAN. `work` must not wait.
    pub(crate) fn with_lan_view<T>(&self, work: impl FnOnce(&mut Option<LanView>) -> T) -> T {
        work(&mut self.lan_view.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The LAN as it is now; `None` until there is one.
    pub(crate) fn lan_view(&self) -> Option<LanView> {
        self.with_lan_view(|view| view.clone())
    }

    /// Works on the system interface, and has its device told what it shows from now on. `work` must not wait.
    pub(crate) fn with_interface<T>(&self, work: impl FnOnce(&mut Interface) -> T) -> T {
        let done = work(&mut self.interface.lock().unwrap_or_else(PoisonError::into_inner));
        self.interface_changed.notify_one();
        done
    }

    /// Looks at the system interface. `look` must not wait.
    pub(crate) fn of_interface<T>(&self, look: impl FnOnce(&Interface) -> T) -> T {
        look(&self.interface.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until somebody has worked on the system interface; for the one who tells its device.
    pub(crate) async fn interface_changed(&self) {
        self.interface_changed.notified().await;
    }

    /// What the device of the system interface is to show.
    pub(crate) fn signals(&self) -> Signals {
        let watchdog = self.snapshot().watchdog.flag();
        self.of_interface(|interface| interface.signals(watchdog))
    }

    /// Access to the LAN channel as it is now: what was set for the present, else what is kept. Redfish can shut it too.
    pub fn channel_access(&self) -> ChannelAccess {
        let access = self.with_volatile(|volatile| volatile.channel);
        if self.snapshot().settings.manager.ipmi_enabled {
            access
        } else {
            ChannelAccess { mode: ChannelMode::Disabled, ..access }
        }
    }

    /// Whether the channel can be used now for new sessions (IPMI 2.0 table 6-4).
    pub fn channel_is_open(&self) -> bool {
        match self.channel_access().mode {
            ChannelMode::Disabled => false,
            ChannelMode::PreBoot => !self.snapshot().power.reads_as_on(),
            ChannelMode::Always => true,
        }
    }

    /// Takes the volatile settings back to what they are after a start.
    pub(crate) fn forget_volatile(&self) {
        let fresh = Volatile::new(&self.snapshot().settings);
        self.with_volatile(|volatile| *volatile = Volatile { reset_due: volatile.reset_due, ..fresh });
        self.with_boot_guard(|guard| *guard = BootGuard::default());
        self.with_sel_guard(|guard| *guard = SelGuard::default());
        self.with_sdr_reservations(|reservations| *reservations = Reservations::default());
        self.with_interface(Interface::reset);
    }

    /// Takes up resets of the BMC, over whichever door they were asked for: what a cold one takes back is forgotten, and sessions are to end.
    pub(crate) fn heed_resets(&self) {
        let now = Resets::of(&self.snapshot());
        let before = {
            let mut heeded = self.resets.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *heeded, now)
        };
        if before.cold != now.cold {
            self.forget_volatile();
        }
        if before != now {
            self.with_volatile(|volatile| volatile.reset_due = true);
        }
    }

    /// Whether a reset was asked for that has not been carried out yet.
    pub(crate) fn is_reset_due(&self) -> bool {
        self.with_volatile(|volatile| volatile.reset_due)
    }

    /// Takes the wish for a reset, if there is one, to carry it out.
    pub(crate) fn take_reset(&self) -> bool {
        self.with_volatile(|volatile| std::mem::take(&mut volatile.reset_due))
    }

    /// Works on the volatile settings. `work` must not wait.
    pub(crate) fn with_volatile<T>(&self, work: impl FnOnce(&mut Volatile) -> T) -> T {
        work(&mut self.volatile.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works on the alerts under way. `work` must not wait.
    pub(crate) fn with_alerts<T>(&self, work: impl FnOnce(&mut Alerts) -> T) -> T {
        work(&mut self.alerts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes an alert that an event filter calls for, if alerts may leave over this channel.
    pub(crate) fn send_alert(&self, alert: &Alert, channel: u8) {
        if !self.channel_access().alerting {
            return;
        }
        let snapshot = self.snapshot();
        let settings = &snapshot.settings;
        let destination = |number: u8| settings.lan.destinations.get(&number).cloned();
        let steps = alerts::steps(settings.pef.policies.values(), alert.policy, channel, destination);
        let trap = self.trap(&snapshot, alert);
        if !self.with_alerts(|alerts| alerts.submit(self.clock.now(), trap, steps)) {
            tracing::warn!(bmc = %self.machine.name(), "too many alerts are under way; one is not sent");
        }
    }

    /// Takes an alert that a client calls for, with an event or none; `false` while another such one is under way.
    pub(crate) fn send_immediate(
        &self,
        destination: AlertDestination,
        event: Option<(u8, EventMessage)>,
    ) -> bool {
        const UNSPECIFIED: u8 = 0xff;
        let nothing = EventMessage {
            revision: EVM_REVISION,
            sensor_type: 0,
            sensor_number: 0,
            deasserted: false,
            event_type: 0,
            data: [0; 3],
        };
        let (generator, event) = event.unwrap_or((UNSPECIFIED, nothing));
        let snapshot = self.snapshot();
        let alert = Alert {
            policy: 0,
            severity: 0,
            generator: generator.into(),
            event,
            time: snapshot.sel.time(self.clock.timestamp()),
            utc_offset: snapshot.sel.state().utc_offset,
        };
        let trap = self.trap(&snapshot, &alert);
        self.with_alerts(|alerts| alerts.submit_immediate(self.clock.now(), trap, destination))
    }

    fn trap(&self, snapshot: &Snapshot, alert: &Alert) -> Trap {
        let settings = &snapshot.settings;
        let [sensor_device, _] = alert.generator.to_le_bytes();
        // Only of our own sensors it is known where they sit.
        let own = alert.generator == BMC_GENERATOR;
        let sensors = if own { list(&settings.sensors.slots) } else { Vec::new() };
        let sensor = sensors.iter().find(|sensor| sensor.number == alert.event.sensor_number);
        let utc_offset = alert.utc_offset.map_or(pet::UTC_OFFSET_UNSPECIFIED, i16::cast_unsigned);
        let pet = Pet {
            guid: settings.pef.guid.unwrap_or(snapshot.uuid.into_bytes()),
            sequence: 0,
            time: alert.time.saturating_sub(pet::EPOCH_SECONDS),
            utc_offset,
            severity: alert.severity,
            sensor_device,
            entity: sensor.map_or([0; 2], |sensor| [sensor.place.entity_id(), sensor.instance]),
            event: alert.event,
            manufacturer: self.profile.manufacturer,
            system: self.profile.product,
        };
        let hundredths = self.clock.now().saturating_duration_since(self.started).as_millis() / 10;
        Trap {
            community: settings.lan.community.expose().as_bytes().to_vec(),
            agent: settings.lan.address.unwrap_or(Ipv4Addr::UNSPECIFIED).octets(),
            // Runs over after 497 days, as it should.
            uptime: u32::try_from(hundredths & u128::from(u32::MAX)).unwrap_or_default(),
            pet,
        }
    }

    /// The counters of the LAN channel.
    pub(crate) fn counters(&self) -> &LanCounters {
        &self.counters
    }

    /// Works on the volatile part of the boot options. `work` must not wait.
    pub(crate) fn with_boot_guard<T>(&self, work: impl FnOnce(&mut BootGuard) -> T) -> T {
        work(&mut self.boot_guard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The LAN channel as commands tell of it.
#[derive(Clone, Debug)]
pub struct LanChannel {
    /// Its number.
    pub number: u8,
    /// The highest level it gives to anyone.
    pub max_privilege: PrivilegeLevel,
    /// The cipher suites it accepts, and the highest level of each: what is configured, as far as clients left it.
    pub suites: Vec<SuitePolicy>,
    /// The suites that are configured, which clients may limit further (LAN parameters 22 to 24), in the same order.
    pub configured_suites: Vec<SuitePolicy>,
    /// How sessions of IPMI 1.5 may be opened, as far as clients left it; empty: not at all.
    pub ipmi15_auth: Vec<AuthPolicy>,
    /// The authentication types of IPMI 1.5 that are configured, which clients may limit further (LAN parameters 1 and 2).
    pub configured_ipmi15_auth: Vec<AuthType>,
    /// Whether every message of an IPMI 1.5 session must prove its origin.
    pub per_message_auth: bool,
    /// K_G, if there is one.
    pub kg: Option<Password>,
    /// Whether it listens on loopback alone. Only there it may do without proof of who sends what.
    pub loopback: bool,
    /// The UDP port that it listens on.
    pub port: u16,
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody without a session.
    Unauthenticated,
    /// The session with this id, at this level.
    Session {
        /// The session's id.
        id: u32,
        /// Its present level.
        privilege: PrivilegeLevel,
    },
    /// A door that has no sessions and no limits, such as the machine's own system interface.
    System,
}

impl Caller {
    /// The session's id, if there is one.
    pub fn session(self) -> Option<u32> {
        match self {
            Self::Session { id, .. } => Some(id),
            Self::Unauthenticated | Self::System => None,
        }
    }
}

/// Everything that a handler may look at.
#[derive(Clone, Debug)]
pub struct Context {
    /// The BMC.
    pub bmc: Arc<Bmc>,
    /// Who asks.
    pub caller: Caller,
    /// The number of the channel that the request came over.
    pub channel: u8,
    /// The BMC's LAN channel, which need not be the one that the request came over.
    pub lan: Arc<LanChannel>,
    /// Sessions active on the LAN channel.
    pub sessions_active: u8,
    /// The address of this host that the request came to, if it came over a network.
    pub local: Option<IpAddr>,
}

impl Context {
    /// Has the machine's owner make a change of settings.
    ///
    /// # Errors
    /// The completion code for what kept it from being made.
    pub(crate) async fn edit(
        &self,
        edit: impl Fn(&mut Editable<'_>) -> Result<(), RequestError> + Send + Sync + 'static,
    ) -> Answer<()> {
        match self.bmc.machine().request(Request::Edit(Edit::new(edit))).await {
            Ok(_) => Ok(()),
            Err(failure) => {
                tracing::debug!(bmc = %self.bmc.machine().name(), %failure, "a change of settings was refused");
                Err(error::request(&failure))
            }
        }
    }
}
