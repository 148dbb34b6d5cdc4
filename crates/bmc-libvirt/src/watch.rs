//! One watched domain: what is known of it, and how news of it are taken in and told.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bmc_core::backend::{MachineInfo, MachineRef, Observed, ObservedPower, Report, Reports};
use bmc_core::boot::FirmwareMode;
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::media::MediaSlot;
use bmc_core::power::ChangeCause;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt_sys as c;

use crate::connection::Failure;
use crate::firmware::{self, HostFirmware};
use crate::nvram;
use crate::statistics::Meter;
use crate::storage::{self, RaidOptions};
use crate::sys::{self, Counters};
use crate::track::{Instance, Op, Step, Track};
use crate::xml::{inventory, media, read};

/// One watched domain.
pub(crate) struct Watch {
    name: String,
    uuid: Mutex<Option<Uuid>>,
    reports: Reports,
    track: Mutex<Track>,
    meter: Mutex<Meter>,
    /// Wakes operations that wait for their event.
    pub(crate) changed: Notify,
    /// One question about the domain's state at a time.
    pub(crate) refreshing: tokio::sync::Mutex<()>,
    /// Somebody waits to ask about the domain's state, and will ask for all who want to know by then.
    pub(crate) refresh_waits: AtomicBool,
    /// Asks for its UEFI variables once the boot under way has had time to write them.
    pub(crate) settling: Mutex<Option<AbortHandle>>,
    /// Held by whoever changes the variable store, until the machine has it open or nobody needs it any more.
    pub(crate) store: Mutex<()>,
}

/// A domain's whole state as libvirt tells it.
pub(crate) struct Fetched {
    info: MachineInfo,
    power: ObservedPower,
    generation: Option<u64>,
    transient: bool,
    media: Vec<(MediaSlot, PathBuf)>,
}

impl Watch {
    pub(crate) fn new(machine: MachineRef, reports: Reports) -> Self {
        Self {
            name: machine.name,
            uuid: Mutex::new(machine.uuid),
            reports,
            track: Mutex::new(Track::default()),
            meter: Mutex::default(),
            changed: Notify::new(),
            refreshing: tokio::sync::Mutex::new(()),
            refresh_waits: AtomicBool::new(false),
            settling: Mutex::default(),
            store: Mutex::default(),
        }
    }

    /// The name it was attached by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The UUID, once known.
    pub(crate) fn uuid(&self) -> Option<Uuid> {
        *self.uuid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known. Reports are sent under this lock, so that they keep the order of the changes.
    pub(crate) fn track(&self) -> MutexGuard<'_, Track> {
        self.track.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the domain on a connection.
    pub(crate) fn look_up(&self, connect: &Connect) -> Result<Domain, Failure> {
        Ok(match self.uuid() {
            Some(uuid) => connect.lookup_domain_by_uuid(uuid)?,
            None => connect.lookup_domain_by_name(&self.name)?,
        })
    }

    /// Takes in an event.
    pub(crate) fn on_event(&self, step: impl FnOnce(&mut Track) -> Step) -> bool {
        let mut track = self.track();
        let step = step(&mut track);
        for report in step.trouble.map(Report::Trouble).into_iter().chain(step.report) {
            self.reports.send(report);
        }
        drop(track);
        self.changed.notify_waiters();
        step.refresh
    }

    /// Sends a report that an operation made of the track it holds.
    pub(crate) fn send(&self, _held: &MutexGuard<'_, Track>, report: Option<Report>) {
        if let Some(report) = report {
            self.reports.send(report);
        }
    }

    /// The instance that has power, or in words why there is none.
    pub(crate) fn running(&self) -> Result<Instance, String> {
        self.track().running()
    }

    /// Whether its firmware is UEFI, as far as is known.
    pub(crate) fn is_uefi(&self) -> bool {
        self.track().info.as_ref().is_some_and(|info| info.firmware == FirmwareMode::Uefi)
    }

    /// Waits until another instance runs than was `seen`, or none any more, or one again.
    pub(crate) async fn running_changed(&self, seen: &Result<Instance, String>) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.running() != *seen {
                return;
            }
            changed.await;
        }
    }

    /// Takes in what was counted of an instance, unless it is no longer the one that runs.
    pub(crate) fn counted(&self, at: Instant, instance: Instance, counters: &Counters) {
        // Held meanwhile, so that what it did is not told after its stop.
        let track = self.track();
        if track.running() != Ok(instance) {
            return;
        }
        let news = self.meter.lock().unwrap_or_else(PoisonError::into_inner).take(at, instance, counters);
        self.send(&track, news.map(Report::Statistics));
    }

    /// The domain can no longer be controlled.
    pub(crate) fn lose(&self, error: BackendError) {
        let mut track = self.track();
        if track.lose(&error) {
            self.reports.send(Report::Unavailable(error));
        }
        drop(track);
        self.changed.notify_waiters();
    }

    /// Takes in the answer to a refresh, unless events came in since it was asked for.
    pub(crate) fn apply(&self, asked: Asked, asked_at: u64, fetched: &Fetched, anyway: bool) -> bool {
        *self.uuid.lock().unwrap_or_else(PoisonError::into_inner) = Some(fetched.info.uuid);
        let mut track = self.track();
        if track.events != asked_at && !anyway {
            return false;
        }
        track.transient = fetched.transient;
        let news = track.info.as_ref() != Some(&fetched.info);
        track.info = Some(fetched.info.clone());
        if track.power.is_none() {
            track.power = Some(fetched.power);
            track.generation = fetched.generation;
            track.redefined = false;
            track.lost = None;
            self.reports.send(Report::Available(Observed {
                info: fetched.info.clone(),
                power: fetched.power,
                boot_generation: fetched.generation,
                media: fetched.media.clone(),
            }));
        } else {
            if news {
                self.reports.send(Report::Info(fetched.info.clone()));
            }
            if asked == Asked::InsteadOfEvent
                && track.op == Op::None
                && let Some(report) = track.change(fetched.power, ChangeCause::Unknown)
            {
                track.generation = fetched.generation;
                self.reports.send(report);
            }
        }
        drop(track);
        self.changed.notify_waiters();
        true
    }
}

/// Why a domain's state is asked for while its power is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Its make-up may have changed. A power that differs from what is known is not taken: the event that is on its way also says who did it.
    ForMakeUp,
    /// An event that should have come did not, so the answer stands for it.
    InsteadOfEvent,
}

/// That libvirt does not have the domain.
pub(crate) fn gone(watch: &Watch, uri: &str) -> BackendError {
    let what = watch.uuid().map_or_else(|| format!("named {}", watch.name), |uuid| uuid.to_string());
    BackendError::new(
        BackendErrorKind::NotFound,
        format!("libvirt at {uri} has no domain {what}; the BMC serves it again once it is defined"),
    )
}

/// Asks libvirt for all that is to know of a domain.
///
/// What an earlier boot over HTTP has left in the variables of a machine that is off is removed on the way. `store` is what its changes hold,
/// and whether the next start makes it anew.
pub(crate) fn fetch(
    connect: &Connect,
    domain: &Domain,
    raid: &RaidOptions,
    host: &HostFirmware,
    (store, renewed): (&Mutex<()>, bool),
) -> Result<Fetched, Failure> {
    let state = sys::domain_state(domain)?;
    let power = power_of(state);
    let definition = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE)?;
    let mut info = read::machine_info(&definition)?;
    let media = media::media(&definition)?;
    storage::complete(connect, domain, raid, &mut info);
    firmware::complete(connect, host, &definition, &mut info)?;
    let live = match power {
        ObservedPower::Off => None,
        _ => Some(domain.xml_desc(0)?),
    };
    let generation = live.as_ref().and_then(|live| {
        inventory::add_live(&mut info.nics, live);
        info.vnc = inventory::vnc(live);
        read::boot_generation(live)
    });
    if info.firmware == FirmwareMode::Uefi {
        let place = nvram::place(&connect.uri()?, &info.name, &definition, live.as_deref());
        nvram::complete(&mut info, &place, &definition);
        // A machine that runs may have been given other firmware for its next boot, with variables of its own.
        let next = nvram::place(&connect.uri()?, &info.name, &definition, None).or_else(|_| place.clone());
        firmware::keys::complete(connect, host, &definition, &next, renewed, &mut info)?;
        if let Ok(file) = place
            && live.is_none()
            && nvram::has_uri(&info)
            && let Ok(_held) = store.try_lock()
            && !domain.is_active()?
        {
            if let Err(reason) = nvram::clear_uri(&file) {
                tracing::warn!(machine = %info.name, %reason, "the boot option of a boot over HTTP stays behind");
            }
            nvram::complete(&mut info, &Ok(file), &definition);
        }
    }
    let transient = !domain.is_persistent()?;
    Ok(Fetched { info, power, generation, transient, media })
}

/// A `virDomainState` as the core sees it. A crashed domain that is kept, and one that sleeps, hold their processors still.
fn power_of(state: u32) -> ObservedPower {
    match state {
        c::VIR_DOMAIN_RUNNING | c::VIR_DOMAIN_BLOCKED => ObservedPower::Running,
        c::VIR_DOMAIN_PAUSED | c::VIR_DOMAIN_CRASHED | c::VIR_DOMAIN_PMSUSPENDED => ObservedPower::Paused,
        c::VIR_DOMAIN_SHUTDOWN => ObservedPower::Stopping,
        _ => ObservedPower::Off,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_tells_who_changed_the_power_not_an_answer_that_was_quicker() {
        let (reports, mut told) = Reports::channel();
        let watch = Watch::new(MachineRef { uuid: None, name: "node".to_owned() }, reports);
        let fetched = |power| Fetched {
            info: MachineInfo::default(),
            power,
            generation: None,
            transient: false,
            media: Vec::new(),
        };
        assert!(watch.apply(Asked::ForMakeUp, 0, &fetched(ObservedPower::Running), false));
        assert!(matches!(told.try_recv(), Ok(Report::Available(_))), "all is news at first");
        assert!(watch.apply(Asked::ForMakeUp, 0, &fetched(ObservedPower::Paused), false));
        assert!(told.try_recv().is_err(), "the event is on its way");
        assert!(watch.apply(Asked::InsteadOfEvent, 0, &fetched(ObservedPower::Paused), false));
        let paused = Report::Power { power: ObservedPower::Paused, cause: ChangeCause::Unknown };
        assert_eq!(told.try_recv(), Ok(paused));
    }
}
