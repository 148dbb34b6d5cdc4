//! One simulated machine as a pure state machine: no task, no clock. Calls and the passing of time go in, reports come out.
//!
//! ```text
//!            start                post over                 OS loaded
//!   Off ───────────► Post ──────────────────► Loading ──────────────────► Up
//!    ▲                ▲ ▲      Booted            │                        │ │
//!    │                │ └───────── reset ────────┴────────────────────────┘ │ button, or the guest itself
//!    │                │            (from inside: Rebooted first)            ▼
//!    └── stop, crash ─┴───────────────────────────────────────────────── GoingDown
//!                        (setup screen instead of Loading: Setup, left by reset or the button)
//! ```
//!
//! Pausing stops the machine's time in any of these. An ACPI press that nobody can hear yet (POST, loading, paused) is kept until
//! the operating system is up; resets do not lose it, only removing power does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bmc_core::backend::{MachineInfo, Observed, ObservedPower, Report, Statistics};
use bmc_core::boot::{BootPlan, BootStage, FirmwareMode};
use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::firmware::{FirmwareSetup, KeptFirmware};
use bmc_core::media::{MediaImage, MediaSlot};
use bmc_core::power::ChangeCause;
use bmc_core::storage::Volume;

use crate::hardware::{self, Handover, Inserted};
use crate::load::{Activity, Load, SimLoad};
use crate::variables::Variables;

/// How long a machine's phases take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Firmware self-test.
    pub post: Duration,
    /// Loading the operating system.
    pub boot: Duration,
    /// Shutting it down.
    pub shutdown: Duration,
}

/// What a call came to: the reports to send, in order.
pub type Outcome = Result<Vec<Report>, BackendError>;

/// What the machine is doing; see the module's diagram.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Off,
    Post(Handover),
    Loading,
    Up,
    Setup,
    GoingDown(ChangeCause),
}

/// What the machine is doing, as its serial line shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing.
    Off,
    /// Firmware tests itself.
    Post,
    /// The operating system is being loaded.
    Loading,
    /// The operating system is up.
    Up,
    /// The firmware's setup screen.
    Setup,
    /// The operating system shuts down.
    GoingDown,
}

/// A simulated machine.
#[derive(Clone, Debug)]
pub struct SimMachine {
    info: MachineInfo,
    times: Times,
    phase: Phase,
    /// When the phase is over by itself. `None` while paused.
    deadline: Option<Instant>,
    /// While paused: what was left of the phase, if it ends by itself.
    paused: Option<Option<Duration>>,
    /// Power apart from pausing, as reported. Not a function of the phase: a reset machine POSTs but is reported as running.
    power: ObservedPower,
    /// Who started this run.
    cause: ChangeCause,
    generation: Option<u64>,
    /// An ACPI press that has not been heard yet.
    button: bool,
    /// Whether the operating system listens to the button at all.
    heeds_button: bool,
    cdrom: Option<String>,
    /// What the BMC has put into its drives.
    media: Vec<MediaImage>,
    booted_from: Option<String>,
    interrupts: u64,
    runs: u64,
    /// The variables of its UEFI, which a switch to another firmware leaves alone.
    variables: Variables,
    /// The firmware mode that it left the factory with.
    factory_mode: FirmwareMode,
    load: Load,
    /// The statistics as last reported; a machine that is off has none.
    told: Statistics,
    /// The stage of its boot as last reported, and in which run that was.
    told_stage: (u64, Option<BootStage>),
}

impl SimMachine {
    /// A machine that is off. `seed` decides how busy it is when idle.
    pub fn new(info: MachineInfo, times: Times, seed: u64) -> Self {
        Self {
            load: Load::new(seed, info.uuid),
            variables: Variables::default(),
            factory_mode: info.firmware,
            told: Statistics::default(),
            told_stage: (0, None),
            info,
            times,
            phase: Phase::Off,
            deadline: None,
            paused: None,
            power: ObservedPower::Off,
            cause: ChangeCause::Unknown,
            generation: None,
            button: false,
            heeds_button: true,
            cdrom: None,
            media: Vec::new(),
            booted_from: None,
            interrupts: 0,
            runs: 0,
        }
    }

    /// What it is made of.
    pub fn info(&self) -> &MachineInfo {
        &self.info
    }

    /// Its whole state.
    pub fn observed(&self) -> Observed {
        let media = self.media.iter().map(|image| (image.slot, image.file.clone())).collect();
        Observed { info: self.info.clone(), power: self.power(), boot_generation: self.generation, media }
    }

    /// When [`expire`](Self::expire) wants to be called; `None` while nothing happens by itself.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What this run booted from; `None` while off and before the first handover.
    pub fn booted_from(&self) -> Option<&str> {
        self.booted_from.as_deref()
    }

    /// Non-maskable interrupts delivered since the machine exists.
    pub fn interrupts(&self) -> u64 {
        self.interrupts
    }

    /// What it is doing, whether or not it is paused meanwhile.
    pub fn stage(&self) -> Stage {
        match self.phase {
            Phase::Off => Stage::Off,
            Phase::Post(_) => Stage::Post,
            Phase::Loading => Stage::Loading,
            Phase::Up => Stage::Up,
            Phase::Setup => Stage::Setup,
            Phase::GoingDown(_) => Stage::GoingDown,
        }
    }

    /// How often firmware has begun since the machine exists.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Whether somebody holds it.
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Starts a machine that is off. `cause` tells the BMC's own start from somebody else's.
    ///
    /// # Errors
    /// `InvalidState` unless off; `Unsupported` when it cannot boot so.
    pub fn start(&mut self, now: Instant, plan: &BootPlan, cause: ChangeCause) -> Outcome {
        if self.phase != Phase::Off {
            return Err(self.wrong_state("start"));
        }
        let handover = hardware::handover(&self.info, plan)?;
        self.post(now, handover, plan.generation());
        self.cause = cause;
        self.power = ObservedPower::Starting;
        Ok(vec![self.power_report(cause)])
    }

    /// Removes power. Nothing happens to a machine that is off.
    pub fn stop(&mut self, cause: ChangeCause) -> Vec<Report> {
        if self.phase == Phase::Off {
            return Vec::new();
        }
        vec![self.off(cause)]
    }

    /// Presses the ACPI power button.
    ///
    /// # Errors
    /// `InvalidState` when off.
    pub fn press_button(&mut self, now: Instant) -> Outcome {
        if self.phase == Phase::Off {
            return Err(self.wrong_state("shut down"));
        }
        self.button = true;
        Ok(self.hear_button(now))
    }

    /// Resets a machine that is not off; it runs afterwards even if it was paused or on its way down.
    ///
    /// # Errors
    /// `InvalidState` when off; `Unsupported` when it cannot boot so, and then it is not reset.
    pub fn reset(&mut self, now: Instant, plan: &BootPlan) -> Outcome {
        if self.phase == Phase::Off {
            return Err(self.wrong_state("reset"));
        }
        let handover = hardware::handover(&self.info, plan)?;
        let before = self.power();
        self.paused = None;
        self.post(now, handover, plan.generation());
        if self.power == ObservedPower::Stopping {
            self.power = ObservedPower::Running;
        }
        Ok(if self.power() == before { Vec::new() } else { vec![self.power_report(ChangeCause::Requested)] })
    }

    /// The guest restarts itself; it boots its own order unless it is reset with another plan.
    ///
    /// # Errors
    /// `InvalidState` unless something runs that could restart it.
    pub fn reboot_from_inside(&mut self, now: Instant) -> Outcome {
        if self.paused.is_some() || !matches!(self.phase, Phase::Up | Phase::Setup) {
            return Err(self.wrong_state("reboot from inside"));
        }
        let handover = hardware::handover(&self.info, &BootPlan::OwnOrder)?;
        self.post(now, handover, None);
        Ok(vec![Report::Rebooted])
    }

    /// The guest shuts itself down.
    ///
    /// # Errors
    /// `InvalidState` unless the operating system is up.
    pub fn power_off_from_inside(&mut self, now: Instant) -> Outcome {
        if self.paused.is_some() || self.phase != Phase::Up {
            return Err(self.wrong_state("power off from inside"));
        }
        Ok(vec![self.go_down(now, ChangeCause::Guest)])
    }

    /// Holds the machine; its time stands still. Nothing happens to a machine that is paused already.
    ///
    /// # Errors
    /// `InvalidState` when off.
    pub fn pause(&mut self, now: Instant, cause: ChangeCause) -> Outcome {
        if self.phase == Phase::Off {
            return Err(self.wrong_state("pause"));
        }
        if self.paused.is_some() {
            return Ok(Vec::new());
        }
        let left = self.deadline.take().map(|deadline| deadline.saturating_duration_since(now));
        self.paused = Some(left);
        Ok(vec![self.power_report(cause)])
    }

    /// Lets a paused machine run. Nothing happens to a running one.
    ///
    /// # Errors
    /// `InvalidState` when off.
    pub fn resume(&mut self, now: Instant, cause: ChangeCause) -> Outcome {
        if self.phase == Phase::Off {
            return Err(self.wrong_state("resume"));
        }
        let Some(left) = self.paused.take() else { return Ok(Vec::new()) };
        self.deadline = left.and_then(|left| now.checked_add(left));
        let mut reports = vec![self.power_report(cause)];
        reports.extend(self.hear_button(now));
        Ok(reports)
    }

    /// Delivers a non-maskable interrupt.
    ///
    /// # Errors
    /// `InvalidState` when off.
    pub fn interrupt(&mut self) -> Outcome {
        if self.phase == Phase::Off {
            return Err(self.wrong_state("interrupt"));
        }
        self.interrupts += 1;
        Ok(Vec::new())
    }

    /// Switches the firmware mode for the next boot.
    pub fn set_firmware(&mut self, mode: FirmwareMode) -> Vec<Report> {
        self.info.firmware = mode;
        self.info.boot_targets = hardware::boot_targets(mode);
        self.info.secure_boot = self.variables.secure_boot(mode);
        self.make_up_changed()
    }

    /// The firmware becomes what it was in an earlier life of the simulator. A boot device that has gone since stays in the order, as
    /// in that of real firmware, until another order is set.
    pub fn restore(&mut self, kept: &KeptFirmware) {
        self.variables.enabled = kept.secure_boot.unwrap_or(self.variables.enabled);
        if let Some(keys) = &kept.keys {
            self.variables.put(Arc::clone(keys));
        }
        if let Some(order) = &kept.boot_order {
            self.info.boot_order.clone_from(order);
        }
        self.set_firmware(kept.mode.unwrap_or(self.info.firmware));
    }

    /// Notes what is to be kept of the firmware, and tells what the machine is made of now.
    fn make_up_changed(&mut self) -> Vec<Report> {
        let (secure_boot, keys) = self.variables.kept();
        // At first it tries all that it has, as they come.
        let all = self.info.boot_devices.iter().map(|device| &device.name);
        let own_order = !self.info.boot_order.iter().eq(all);
        let kept = KeptFirmware {
            mode: Some(self.info.firmware).filter(|now| *now != self.factory_mode),
            secure_boot,
            keys,
            boot_order: own_order.then(|| self.info.boot_order.clone()),
        };
        self.info.kept = (kept != KeptFirmware::default()).then(|| Arc::new(kept));
        vec![Report::Info(self.info.clone())]
    }

    /// Gives the guest a disk for a volume, at once; nothing if it has it.
    pub fn create_volume(&mut self, volume: &Volume) -> Vec<Report> {
        let serial = volume.serial();
        if self.info.disks.iter().any(|disk| disk.serial.as_ref() == Some(&serial)) {
            return Vec::new();
        }
        let disk = hardware::volume_disk(volume);
        // What is tried stays as it is until somebody puts it into the order.
        self.info.boot_devices.push(hardware::volume_boot_device(&disk));
        self.info.disks.push(disk);
        self.make_up_changed()
    }

    /// Takes the disk of a volume away, from the boot order too; nothing if it is not there.
    pub fn delete_volume(&mut self, volume: &Volume) -> Vec<Report> {
        let serial = volume.serial();
        let Some(at) = self.info.disks.iter().position(|disk| disk.serial.as_ref() == Some(&serial)) else {
            return Vec::new();
        };
        let name = self.info.disks.remove(at).name;
        self.info.boot_devices.retain(|device| device.name != name);
        self.info.boot_order.retain(|device| *device != name);
        self.make_up_changed()
    }

    /// Erases a volume. No data are simulated, so that nothing is left to be done but to say whether that is possible now.
    ///
    /// # Errors
    /// `InvalidState` unless off: a volume that is in use is not erased.
    pub fn initialize_volume(&self) -> Outcome {
        if self.phase == Phase::Off { Ok(Vec::new()) } else { Err(self.wrong_state("erase a volume of")) }
    }

    /// Changes the firmware for the boot that follows.
    ///
    /// # Errors
    /// `Unsupported`: Secure Boot without UEFI.
    pub fn set_up(&mut self, setup: &FirmwareSetup) -> Outcome {
        let mode = setup.mode.unwrap_or(self.info.firmware);
        if mode == FirmwareMode::Legacy && (setup.secure_boot == Some(true) || setup.keys.is_some()) {
            return Err(BackendError::unsupported("Secure Boot needs UEFI: switch the boot mode first"));
        }
        self.variables.enabled = setup.secure_boot.unwrap_or(self.variables.enabled);
        if let Some(keys) = setup.keys {
            self.variables.reset(keys);
        }
        if let Some(keys) = &setup.databases {
            self.variables.put(Arc::clone(keys));
        }
        Ok(self.set_firmware(mode))
    }

    /// Changes what is tried, in which order, from the next boot on.
    ///
    /// # Errors
    /// `Unsupported`: there is no such device.
    pub fn set_boot_order(&mut self, order: &[String]) -> Outcome {
        let devices = &self.info.boot_devices;
        if let Some(unknown) = order.iter().find(|name| !devices.iter().any(|device| device.name == **name)) {
            return Err(BackendError::unsupported(format!("this machine has no boot device {unknown}")));
        }
        self.info.boot_order = order.to_vec();
        Ok(self.make_up_changed())
    }

    /// Puts an image into the CD-ROM drive, or takes it out. The next handover sees it.
    pub fn set_cdrom(&mut self, image: Option<String>) {
        self.cdrom = image;
    }

    /// Puts an image into a drive of the BMC, in place of what is in it.
    pub fn insert_media(&mut self, image: MediaImage) -> Vec<Report> {
        self.eject_media(image.slot);
        self.media.push(image);
        Vec::new()
    }

    /// Empties a drive of the BMC.
    pub fn eject_media(&mut self, slot: MediaSlot) -> Vec<Report> {
        self.media.retain(|image| image.slot != slot);
        Vec::new()
    }

    /// What is in which drive: the BMC's come before the machine's own.
    fn inserted(&self) -> Inserted<'_> {
        let medium =
            |slot| self.media.iter().find(|image| image.slot == slot).map(|image| image.name.as_str());
        Inserted {
            cdrom: medium(MediaSlot::Cd).or(self.cdrom.as_deref()),
            remote_cdrom: medium(MediaSlot::Cd),
            usb: medium(MediaSlot::Usb),
        }
    }

    /// Whether the operating system shuts down when the button is pressed. A press it slept through is lost.
    pub fn set_heeds_button(&mut self, heeds: bool) {
        self.heeds_button = heeds;
    }

    /// Makes the operating system do this much instead of being idle, or lets it be idle again. Shows while it is up.
    pub fn set_load(&mut self, load: Option<SimLoad>) {
        self.load.forced = load;
    }

    /// What it is doing.
    pub fn statistics(&self) -> Statistics {
        let activity = match self.phase {
            Phase::Off => Activity::Off,
            Phase::Post(_) => Activity::Post,
            Phase::Loading => Activity::Loading,
            Phase::Up => Activity::Up,
            Phase::Setup => Activity::Setup,
            Phase::GoingDown(_) => Activity::GoingDown,
        };
        self.load.statistics(activity, self.paused.is_some())
    }

    /// What it is doing, if that has changed since the last time it was asked. That a machine which is off does nothing is no news.
    pub fn statistics_news(&mut self) -> Option<Report> {
        let now = self.statistics();
        let before = std::mem::replace(&mut self.told, now);
        (before != now && self.phase != Phase::Off).then_some(Report::Statistics(now))
    }

    /// How far it has booted; `None` while it is off.
    pub fn boot_stage(&self) -> Option<BootStage> {
        match self.phase {
            Phase::Off => None,
            Phase::Post(_) => Some(BootStage::SelfTest),
            Phase::Loading => Some(BootStage::OsLoading),
            Phase::Up | Phase::GoingDown(_) => Some(BootStage::OsRunning),
            Phase::Setup => Some(BootStage::Setup),
        }
    }

    /// How far it has booted, if it has come to another stage, or to the same in another run, since the last time it was asked.
    pub fn boot_stage_news(&mut self) -> Option<Report> {
        let now = (self.runs, self.boot_stage());
        let before = std::mem::replace(&mut self.told_stage, now);
        now.1.filter(|_| before != now).map(Report::Stage)
    }

    /// Time has passed; call at or after [`deadline`](Self::deadline). Earlier calls do nothing.
    pub fn expire(&mut self, now: Instant) -> Vec<Report> {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return Vec::new();
        }
        self.deadline = None;
        let mut reports = Vec::new();
        match &self.phase {
            Phase::Post(handover) => {
                let from = hardware::booted_from(&self.info, handover, &self.inserted());
                self.booted_from = Some(from.clone());
                reports.push(Report::Booted { from });
                if *handover == Handover::Setup {
                    self.phase = Phase::Setup;
                    reports.extend(self.up());
                    reports.extend(self.hear_button(now));
                } else {
                    self.phase = Phase::Loading;
                    self.deadline = now.checked_add(self.times.boot);
                }
            }
            Phase::Loading => {
                self.phase = Phase::Up;
                reports.extend(self.up());
                reports.extend(self.hear_button(now));
            }
            Phase::GoingDown(cause) => {
                let cause = *cause;
                reports.push(self.off(cause));
            }
            Phase::Off | Phase::Up | Phase::Setup => {}
        }
        reports
    }

    /// Power as the BMC sees it.
    pub fn power(&self) -> ObservedPower {
        if self.paused.is_some() { ObservedPower::Paused } else { self.power }
    }

    fn post(&mut self, now: Instant, handover: Handover, generation: Option<u64>) {
        self.phase = Phase::Post(handover);
        self.runs += 1;
        self.deadline = now.checked_add(self.times.post);
        self.generation = generation;
        self.booted_from = None;
    }

    fn up(&mut self) -> Option<Report> {
        if self.power == ObservedPower::Running {
            return None;
        }
        self.power = ObservedPower::Running;
        Some(self.power_report(self.cause))
    }

    /// Acts on a pending press if somebody is there to hear it: the operating system shuts down, the setup screen just ends.
    fn hear_button(&mut self, now: Instant) -> Vec<Report> {
        let listening = matches!(self.phase, Phase::Up | Phase::Setup | Phase::GoingDown(_));
        if !self.button || self.paused.is_some() || !listening {
            return Vec::new();
        }
        self.button = false;
        match self.phase {
            Phase::Up if self.heeds_button => vec![self.go_down(now, ChangeCause::Requested)],
            Phase::Setup => vec![self.off(ChangeCause::Requested)],
            _ => Vec::new(),
        }
    }

    fn go_down(&mut self, now: Instant, cause: ChangeCause) -> Report {
        self.phase = Phase::GoingDown(cause);
        self.deadline = now.checked_add(self.times.shutdown);
        self.power = ObservedPower::Stopping;
        self.power_report(cause)
    }

    fn off(&mut self, cause: ChangeCause) -> Report {
        self.phase = Phase::Off;
        self.deadline = None;
        self.paused = None;
        self.power = ObservedPower::Off;
        self.generation = None;
        self.button = false;
        self.booted_from = None;
        self.power_report(cause)
    }

    fn power_report(&self, cause: ChangeCause) -> Report {
        Report::Power { power: self.power(), cause }
    }

    fn wrong_state(&self, what: &str) -> BackendError {
        let state = match self.power() {
            ObservedPower::Off => "off",
            ObservedPower::Starting => "starting",
            ObservedPower::Running => "running",
            ObservedPower::Stopping => "shutting down",
            ObservedPower::Paused => "paused",
        };
        BackendError::new(
            BackendErrorKind::InvalidState,
            format!("cannot {what} {}: it is {state}", self.info.name),
        )
    }
}

#[cfg(test)]
mod tests;
