//! One domain's controls.
//!
//! A start with a boot override runs a changed copy of the definition (`virDomainCreateXML`); the definition is never touched, so there is
//! nothing to restore, whatever crashes when. When such an instance stops, the domain is its definition again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bmc_core::backend::{Machine, ObservedPower};
use bmc_core::boot::{BootPlan, BootTarget, FirmwareMode, OverrideBoot};
use bmc_core::console::Console;
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::firmware::FirmwareSetup;
use bmc_core::media::{MediaImage, MediaSlot};
use bmc_core::power::ChangeCause;
use bmc_core::screen::Screenshot;
use bmc_core::storage::Volume;
use bmc_core::system_interface::SystemInterfaceDevice;
use tokio::time::timeout;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::ErrorNumber;
use virt_sys as c;

use crate::backend::ConsolePolicy;
use crate::connection::{CALL_TIMEOUT, Failure, START_TIMEOUT, STOP_TIMEOUT};
use crate::console::{self, Kept};
use crate::firmware;
use crate::hub::Hub;
use crate::media;
use crate::nvram;
use crate::once;
use crate::screen;
use crate::setup_key;
use crate::storage;
use crate::sys;
use crate::track::{Op, Track};
use crate::watch::{Asked, Watch};
use crate::xml::system_interface::{Reconnect, with_device};
use crate::xml::{self, edit};

/// Time-out of work on a volume: a large pool may take its time.
const VOLUME_TIMEOUT: Duration = Duration::from_secs(60);
/// Time-out of erasing a volume: one that is no thin file is written over from end to end.
const ERASE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long an operation that libvirt has carried out waits for its own event before the state is asked for instead.
const EVENT_TIMEOUT: Duration = Duration::from_secs(5);

/// A watched domain. Dropping it ends the watching.
pub(crate) struct LibvirtMachine {
    hub: Arc<Hub>,
    watch: Arc<Watch>,
    console: Option<Kept>,
    /// Whether what is started here has the BMC's CD drive.
    tray: bool,
}

impl LibvirtMachine {
    pub(crate) fn new(hub: Arc<Hub>, watch: Arc<Watch>, console: ConsolePolicy, tray: bool) -> Self {
        let console = match console {
            ConsolePolicy::Held => Some(console::keep(
                &hub.runtime,
                hub.caller.clone(),
                Arc::clone(&hub.streams),
                Arc::clone(&watch),
            )),
            ConsolePolicy::Off => None,
        };
        Self { hub, watch, console, tray }
    }

    /// Runs a call for the domain, with what it expects noted first, and returns once its event was seen.
    /// The call returns false when there was nothing to do, and thus no event to wait for.
    async fn operate(
        &self,
        op: Op,
        limit: Duration,
        what: &'static str,
        work: impl FnOnce(&Connect, &Domain) -> Result<bool, Failure> + Send + 'static,
    ) -> Result<(), BackendError> {
        self.watch.track().op = op;
        let done = self.call(limit, what, work).await;
        match done {
            Ok(true) => self.await_event(op, what).await,
            Ok(false) => {
                self.withdraw(op);
                self.settle().await;
            }
            // What it has begun may stand half done, and what comes of it later was not asked for by anybody.
            Err(_) if matches!(op, Op::Preparing { .. }) => {
                self.withdraw(op);
                self.settle().await;
            }
            // It may still happen, and would then be ours.
            Err(ref error) if error.kind == BackendErrorKind::Timeout => {}
            Err(_) => self.withdraw(op),
        }
        done.map(drop)
    }

    async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        what: &'static str,
        work: impl FnOnce(&Connect, &Domain) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, BackendError> {
        let watch = Arc::clone(&self.watch);
        self.hub
            .caller
            .call(limit, what, move |connect| {
                let domain = watch.look_up(connect)?;
                work(connect, &domain)
            })
            .await
    }

    fn withdraw(&self, op: Op) {
        let mut track = self.watch.track();
        if track.op == op {
            track.op = op.outer();
        }
    }

    /// Waits until the event that `op` expects was taken in.
    async fn await_event(&self, op: Op, what: &str) {
        if !self.await_track(|track| track.op != op).await {
            tracing::warn!(what, "libvirt sent no event for what it did; asking for the state");
            self.withdraw(op);
            self.settle().await;
        }
    }

    /// Waits until events have made the track what is wanted; false if they do not within [`EVENT_TIMEOUT`].
    async fn await_track(&self, is_wanted: impl Fn(&Track) -> bool) -> bool {
        let seen = async {
            loop {
                let changed = self.watch.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if is_wanted(&self.watch.track()) {
                    return;
                }
                changed.await;
            }
        };
        timeout(EVENT_TIMEOUT, seen).await.is_ok()
    }

    /// Asks for the state where no event will tell it. What goes wrong is reported on the way.
    async fn settle(&self) {
        let _ = self.hub.refresh_now(&self.watch, Asked::InsteadOfEvent).await;
    }

    /// Reports what the machine is made of now. What goes wrong is reported on the way.
    async fn tell_make_up(&self) {
        let _ = self.hub.refresh_now(&self.watch, Asked::ForMakeUp).await;
    }

    /// We have defined the domain anew. A reset that follows at once is not to depend on whether the event of that was quicker.
    async fn defined(&self) {
        {
            let mut track = self.watch.track();
            track.redefined |= track.power.is_some_and(|power| power != ObservedPower::Off);
        }
        self.settle().await;
    }

    /// Stops and starts within one operation. If the start fails the machine is off, which is reported.
    async fn restart(&self, boot: &BootPlan) -> Result<(), BackendError> {
        let op = Op::Restarting { generation: boot.generation() };
        let (stops, renew) = {
            let mut track = self.watch.track();
            track.op = op;
            (track.stops, std::mem::take(&mut track.renew_variables))
        };
        let stopped = self.call(STOP_TIMEOUT, "stop the domain", |_, domain| Ok(domain.destroy()?)).await;
        if let Err(error) = stopped {
            self.withdraw(op);
            self.settle().await;
            return Err(error);
        }
        let renew = match self.make_store(boot, renew, Some(stops)).await {
            Ok(renew) => renew,
            Err(error) => {
                self.start_failed();
                // Unless what was to make the store could not be stopped.
                self.settle().await;
                return Err(error);
            }
        };
        self.watch.track().op = op;
        let (plan, watch, tray) = (boot.clone(), Arc::clone(&self.watch), self.tray);
        let started = self
            .call(START_TIMEOUT, "start the domain", move |connect, domain| {
                start(connect, domain, &plan, renew, tray, &watch.store)
            })
            .await;
        match &started {
            Ok(()) => {
                self.await_event(op, "start the domain").await;
                self.after_start(boot);
            }
            Err(_) => self.start_failed(),
        }
        started
    }

    /// A machine that was stopped in order to be started again is off.
    fn start_failed(&self) {
        let mut track = self.watch.track();
        track.op = Op::None;
        track.generation = None;
        let report = track.change(ObservedPower::Off, ChangeCause::Requested);
        self.watch.send(&track, report);
    }

    /// Lets libvirt make the variable store of a machine that has never run, if this boot needs it: libvirt makes it with the first start, so
    /// the machine is started, without a single step of its processors, and stopped. In the midst of a restart, `stops` is how many stops
    /// were seen before it. Returns whether the start that follows has to make the variables anew.
    async fn make_store(
        &self,
        boot: &BootPlan,
        renew: bool,
        stops: Option<u64>,
    ) -> Result<bool, BackendError> {
        let BootPlan::Override(boot) = boot else { return Ok(renew) };
        if boot.uri().is_none() {
            return Ok(renew);
        }
        // Asked for by itself: most have their store, and then nothing is done of which an event could tell.
        let is_needed = self
            .call(CALL_TIMEOUT, "look for the machine's UEFI variables", move |connect, domain| {
                refuse_saved(domain)?;
                Ok(renew || nvram::is_missing(&once::store_of(connect, domain)?))
            })
            .await?;
        if !is_needed {
            return Ok(renew);
        }
        if let Some(before) = stops
            && !self.await_track(|track| track.stops != before).await
        {
            tracing::warn!("libvirt sent no event for a stop within a restart");
        }
        let op = Op::Preparing { restart: stops.map(|_| boot.generation) };
        let watch = Arc::clone(&self.watch);
        self.operate(op, START_TIMEOUT, "make the machine's UEFI variables", move |_, domain| {
            let _held = watch.store.lock().unwrap_or_else(PoisonError::into_inner);
            refuse_active(domain)?;
            refuse_saved(domain)?;
            // Made anew now, so that the start that follows leaves in it what is written. libvirt ends it if we cannot.
            let anew = if renew { c::VIR_DOMAIN_START_RESET_NVRAM } else { 0 };
            let flags = c::VIR_DOMAIN_START_PAUSED | c::VIR_DOMAIN_START_AUTODESTROY | anew;
            domain.create_with_flags(flags)?;
            domain.destroy()?;
            Ok(true)
        })
        .await?;
        Ok(false)
    }

    fn after_start(&self, boot: &BootPlan) {
        if let BootPlan::Override(OverrideBoot { target: BootTarget::BiosSetup, .. }) = boot {
            tokio::spawn(setup_key::press(Arc::clone(&self.hub), Arc::clone(&self.watch)));
        }
    }
}

/// Defines a domain anew, if anything of it has changed.
fn define(connect: &Connect, xml: &str, changed: &str) -> Result<(), Failure> {
    if changed != xml {
        connect.define_domain_xml(changed)?;
    }
    Ok(())
}

/// Starts the definition, or a copy of it: for an override, and where it is to have the BMC's CD drive. With `renew`, its UEFI variables
/// are made anew from their template. Whoever changes the variable store holds `store`.
fn start(
    connect: &Connect,
    domain: &Domain,
    boot: &BootPlan,
    renew: bool,
    tray: bool,
    store: &Mutex<()>,
) -> Result<(), Failure> {
    // Until the machine has its variables open, nobody is to take out again what is written into them, or to write beside it.
    let _held = store.lock().unwrap_or_else(PoisonError::into_inner);
    refuse_active(domain)?;
    let flags = if renew { c::VIR_DOMAIN_START_RESET_NVRAM } else { 0 };
    match boot {
        BootPlan::OwnOrder => {
            // A saved state is what runs on, with what it was saved with.
            if tray && !domain.has_managed_save(0).unwrap_or(false) {
                let xml = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE | c::VIR_DOMAIN_XML_SECURE)?;
                let copy = xml::media::with_tray(&xml)?;
                if copy != xml {
                    return start_with_tray(connect, &copy, flags, || Ok(domain.create_with_flags(flags)?));
                }
            }
            Ok(domain.create_with_flags(flags)?)
        }
        BootPlan::Override(boot) => {
            let copy = copy_for(domain, boot)?;
            let mut entered = None;
            if let Some(uri) = boot.uri() {
                let file = once::store_of(connect, domain)?;
                let nic = edit::first_nic(&copy)?;
                nvram::enter_uri(&file, &nic, uri).map_err(BackendError::unsupported)?;
                entered = Some(file);
            }
            let plain = || connect.create_domain_xml(&copy, flags).map(drop).map_err(Failure::from);
            let with_tray = if tray { xml::media::with_tray(&copy)? } else { copy.clone() };
            let started =
                if with_tray == copy { plain() } else { start_with_tray(connect, &with_tray, flags, plain) };
            if let (Err(_), Some(file)) = (&started, entered)
                && let Err(reason) = nvram::clear_uri(&file)
            {
                tracing::warn!(%reason, "the boot option of a boot over HTTP stays behind");
            }
            started?;
            if boot.once {
                once::own_order_next(connect, domain);
            }
            Ok(())
        }
    }
}

/// Starts a copy with the BMC's CD drive. A machine that does not start with it starts as it would without.
fn start_with_tray(
    connect: &Connect,
    copy: &str,
    flags: u32,
    plain: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Err(error) = connect.create_domain_xml(copy, flags) else { return Ok(()) };
    plain()?;
    tracing::warn!(%error, "the machine does not start with a CD drive for virtual media, and runs without");
    Ok(())
}

fn refuse_active(domain: &Domain) -> Result<(), Failure> {
    // Drivers disagree on what error this is.
    if domain.is_active()? {
        return Err(BackendError::new(BackendErrorKind::InvalidState, "the machine runs already").into());
    }
    Ok(())
}

/// The saved memory belongs to the disks as they are now; another start would leave both apart, or use it up.
fn refuse_saved(domain: &Domain) -> Result<(), Failure> {
    if domain.has_managed_save(0).unwrap_or(false) {
        return Err(BackendError::new(
            BackendErrorKind::InvalidState,
            "the machine has a saved state, which a start with a boot override would spoil; remove it with `virsh managedsave-remove`",
        )
        .into());
    }
    Ok(())
}

/// The copy to start for an override, made of everything the definition has, passwords too.
fn copy_for(domain: &Domain, boot: &OverrideBoot) -> Result<String, Failure> {
    refuse_saved(domain)?;
    let xml = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE | c::VIR_DOMAIN_XML_SECURE)?;
    Ok(edit::override_copy(&xml, boot)?)
}

/// Whether libvirt refused because the domain was not running, or running already.
fn is_wrong_state(error: &virt::error::Error) -> bool {
    error.code().is(ErrorNumber::OperationInvalid)
}

#[async_trait]
impl Machine for LibvirtMachine {
    fn console(&self) -> Option<Console> {
        self.console.as_ref().map(|kept| kept.console.clone())
    }

    async fn screenshot(&self) -> Result<Screenshot, BackendError> {
        self.call(CALL_TIMEOUT, "take a picture of the screen", screen::take).await
    }

    async fn start(&self, boot: &BootPlan) -> Result<(), BackendError> {
        let renew = std::mem::take(&mut self.watch.track().renew_variables);
        let renew = self.make_store(boot, renew, None).await?;
        let (plan, watch, tray) = (boot.clone(), Arc::clone(&self.watch), self.tray);
        let op = Op::Starting { generation: boot.generation() };
        self.operate(op, START_TIMEOUT, "start the domain", move |connect, domain| {
            start(connect, domain, &plan, renew, tray, &watch.store).map(|()| true)
        })
        .await?;
        self.after_start(boot);
        Ok(())
    }

    async fn stop(&self) -> Result<(), BackendError> {
        self.operate(Op::Stopping, STOP_TIMEOUT, "stop the domain", |_, domain| match domain.destroy() {
            Ok(()) => Ok(true),
            Err(error) if is_wrong_state(&error) && !domain.is_active()? => Ok(false),
            Err(error) => Err(error.into()),
        })
        .await
    }

    async fn shutdown(&self) -> Result<(), BackendError> {
        self.call(CALL_TIMEOUT, "press the power button", |connect, domain| {
            // The button itself: by default libvirt asks a guest agent first, and waits for it if it is wedged.
            let flags =
                if connect.driver_type()? == "QEMU" { c::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN } else { 0 };
            Ok(domain.shutdown_flags(flags)?)
        })
        .await
    }

    async fn reset(&self, boot: &BootPlan) -> Result<(), BackendError> {
        let (same_instance, transient) = {
            let track = self.watch.track();
            (track.generation == boot.generation() && !track.redefined, track.transient)
        };
        let setup = matches!(boot, BootPlan::Override(OverrideBoot { target: BootTarget::BiosSetup, .. }));
        if same_instance && !setup {
            return self
                .operate(Op::Resetting, CALL_TIMEOUT, "reset the domain", |connect, domain| {
                    domain.reset()?;
                    // libvirt's test driver raises no event for a reset.
                    Ok(connect.driver_type()? != "TEST")
                })
                .await;
        }
        if transient {
            return Err(BackendError::unsupported(
                "a transient domain vanishes when it stops, so it cannot be restarted with another boot order; define it first",
            ));
        }
        if let BootPlan::Override(boot) = boot {
            // What cannot be started must not be stopped.
            let boot = boot.clone();
            self.call(CALL_TIMEOUT, "read the domain", move |_, domain| copy_for(domain, &boot).map(drop))
                .await?;
        }
        self.restart(boot).await
    }

    async fn resume(&self) -> Result<(), BackendError> {
        self.operate(Op::Resuming, CALL_TIMEOUT, "resume the domain", |_, domain| {
            match sys::domain_state(domain)? {
                c::VIR_DOMAIN_RUNNING | c::VIR_DOMAIN_BLOCKED => return Ok(false),
                c::VIR_DOMAIN_PMSUSPENDED => domain.pm_wakeup(0)?,
                _ => domain.resume()?,
            }
            Ok(true)
        })
        .await
    }

    async fn nmi(&self) -> Result<(), BackendError> {
        self.call(CALL_TIMEOUT, "inject an NMI", |_, domain| Ok(sys::inject_nmi(domain)?)).await
    }

    async fn insert_media(&self, image: &MediaImage) -> Result<(), BackendError> {
        let image = image.clone();
        let result = self
            .call(START_TIMEOUT, "insert virtual media", move |connect, domain| {
                media::insert(connect, domain, &image)
            })
            .await;
        // Also when it failed: what is in the drive now is to be known.
        self.settle().await;
        result
    }

    async fn eject_media(&self, slot: MediaSlot) -> Result<(), BackendError> {
        let result = self
            .call(START_TIMEOUT, "eject virtual media", move |connect, domain| {
                media::eject(connect, domain, slot)
            })
            .await;
        // Also when it failed: what is in the drive now is to be known.
        self.settle().await;
        result
    }

    async fn set_firmware(&self, mode: FirmwareMode) -> Result<(), BackendError> {
        self.set_up(&FirmwareSetup { mode: Some(mode), ..FirmwareSetup::default() }).await
    }

    async fn set_up(&self, setup: &FirmwareSetup) -> Result<(), BackendError> {
        let (setup, host) = (setup.clone(), Arc::clone(&self.hub.firmware));
        // What was asked for before a boot that then failed, was refused, or is no longer asked for.
        self.watch.track().renew_variables = false;
        let renew = self
            .call(CALL_TIMEOUT, "set the firmware up", move |connect, domain| {
                firmware::set_up(connect, domain, &host, &setup)
            })
            .await?;
        self.watch.track().renew_variables = renew;
        self.defined().await;
        Ok(())
    }

    async fn set_boot_order(&self, order: &[String]) -> Result<(), BackendError> {
        let order = order.to_vec();
        self.call(CALL_TIMEOUT, "change the boot order", move |connect, domain| {
            if !domain.is_persistent()? {
                return Err(BackendError::unsupported("a transient domain has no next boot to order").into());
            }
            let xml = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE | c::VIR_DOMAIN_XML_SECURE)?;
            define(connect, &xml, &edit::with_boot_order(&xml, &order)?)
        })
        .await?;
        self.defined().await;
        Ok(())
    }

    async fn set_system_interface(&self, device: Option<&SystemInterfaceDevice>) -> Result<(), BackendError> {
        let device = device.cloned();
        self.call(CALL_TIMEOUT, "change the IPMI device", move |connect, domain| {
            if !domain.is_persistent()? {
                return Err(BackendError::unsupported(
                    "a transient domain has no next start; define it first",
                )
                .into());
            }
            let xml = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE | c::VIR_DOMAIN_XML_SECURE)?;
            // A libvirt that does not tell is taken for one of an emulator of today.
            let reconnect = connect.hyp_version().map_or(Reconnect::Milliseconds, Reconnect::of_version);
            define(connect, &xml, &with_device(&xml, device.as_ref(), reconnect)?)
        })
        .await?;
        self.defined().await;
        Ok(())
    }

    async fn create_volume(&self, volume: &Volume) -> Result<(), BackendError> {
        let (volume, raid) = (volume.clone(), Arc::clone(&self.hub.raid));
        let done = self
            .call(VOLUME_TIMEOUT, "create the volume", move |connect, domain| {
                storage::create(connect, domain, &raid, &volume)
            })
            .await;
        self.tell_make_up().await;
        done
    }

    async fn delete_volume(&self, volume: &Volume) -> Result<(), BackendError> {
        let volume = volume.clone();
        let done = self
            .call(VOLUME_TIMEOUT, "delete the volume", move |connect, domain| {
                storage::delete(connect, domain, &volume)
            })
            .await;
        self.tell_make_up().await;
        done
    }

    async fn initialize_volume(&self, volume: &Volume) -> Result<(), BackendError> {
        let volume = volume.clone();
        self.call(ERASE_TIMEOUT, "erase the volume", move |connect, domain| {
            storage::initialize(connect, domain, &volume)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
