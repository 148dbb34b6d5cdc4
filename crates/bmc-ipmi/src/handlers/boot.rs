//! System boot options: IPMI's encoding of the core's boot override, and its other parameters.

use bmc_core::boot::{BootEnabled, BootFlagsKept, BootOptions, BootOverride, BootTarget, MAILBOX_BLOCKS_MAX};
use bmc_core::error::RequestError;
use bmc_core::firmware::devices_for;
use bmc_core::fleet::MachineHandle;
use bmc_core::request::{Change, Request};
use bmc_core::snapshot::Snapshot;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::boot::{
    BootFlags, BootInitiator, BootOption, BootWrite, DeviceSelector, GetSystemBootOptions, MAILBOX_BLOCK,
    PARAMETER_VERSION, SetInProgress, SetSystemBootOptions, SystemBootOptions,
};

use crate::table::{Act, Answer, Entry, OPERATOR, Read};
use crate::{Context, error};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/boot_tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::act::<SetSystemBootOptions>(OPERATOR, "28.12", (TESTS, "what_is_written_is_read_back")),
    Entry::read::<GetSystemBootOptions>(OPERATOR, "28.13", (TESTS, "what_is_written_is_read_back")),
];

/// The highest parameter that there is.
const PARAMETER_MAX: u8 = 7;
/// The parameter with the boot flags.
const FLAGS: u8 = 5;
/// The parameter with the mailbox.
const MAILBOX: u8 = 7;
/// Parameter 3, bit 3: the valid bit is not cleared although no Chassis Control command came in time.
const KEEP_ON_TIMEOUT: u8 = 0x08;
/// How often a change is tried when the machine changes between reading and writing.
const TRIES: usize = 8;

impl Act for SetSystemBootOptions {
    async fn act(self, context: &Context) -> Answer<()> {
        let parameter = match &self.write {
            BootWrite::Mark(parameter) => *parameter,
            BootWrite::Value(value) => value.parameter(),
        };
        if parameter > PARAMETER_MAX {
            return Err(CompletionCode::PARAMETER_UNSUPPORTED);
        }
        let sets_flags =
            parameter == FLAGS && (self.mark_invalid || matches!(self.write, BootWrite::Value(_)));
        match self.write {
            BootWrite::Mark(_) if parameter == FLAGS && self.mark_invalid => {
                let flags = flags_of(&context.bmc.snapshot());
                store(context, &BootOption::Flags(BootFlags { valid: false, ..flags })).await?;
            }
            BootWrite::Mark(_) => {}
            BootWrite::Value(BootOption::SetInProgress(state)) => {
                let who = context.caller.session();
                context.bmc.with_boot_guard(|guard| guard.progress.write(state, who))?;
            }
            // A parameter that is marked invalid has no effect; so the firmware must not obey these flags.
            BootWrite::Value(BootOption::Flags(flags)) if self.mark_invalid => {
                store(context, &BootOption::Flags(BootFlags { valid: false, ..flags })).await?;
            }
            BootWrite::Value(value) => store(context, &value).await?,
        }
        if sets_flags {
            limit(context);
        }
        context.bmc.with_boot_guard(|guard| guard.mark(parameter, self.mark_invalid));
        Ok(())
    }
}

/// Puts a time limit on boot flags that were just set. Whether it counts is decided when it is reached: parameter 3 may be written
/// before or after the flags.
fn limit(context: &Context) {
    let set = context.bmc.snapshot();
    let now = context.bmc.clock().now();
    context.bmc.with_boot_guard(|guard| {
        if set.boot.is_active() { guard.limit(now, set) } else { guard.lift_limit() }
    });
}

/// Clears the valid bit of boot flags that were not used in time, unless parameter 3 forbids it. `set` is the machine just after
/// they were set. What another protocol has set since is left alone, and so are flags with which the machine has been started.
pub(crate) async fn clear_unused(machine: &MachineHandle, set: &Snapshot) {
    for _ in 0..TRIES {
        let snapshot = machine.snapshot();
        let unused = snapshot.boot == set.boot && snapshot.last_reset_time == set.last_reset_time;
        if !unused || snapshot.boot_options.valid_bit_clearing & KEEP_ON_TIMEOUT != 0 {
            return;
        }
        let boot = BootOverride { enabled: BootEnabled::Disabled, ..BootOverride::clone(&snapshot.boot) };
        let change = Change { boot: Some(boot), if_revision: Some(snapshot.revision), ..Default::default() };
        match machine.request(Request::Change(Box::new(change))).await {
            Ok(_) => {
                tracing::info!(bmc = %machine.name(), "boot flags were not used within their time and are cleared");
                return;
            }
            Err(RequestError::Conflict) => {}
            Err(failure) => {
                tracing::warn!(bmc = %machine.name(), %failure, "boot flags stay although their time is over");
                return;
            }
        }
    }
}

/// Makes a value hold: reads the present record, changes the one thing, and writes it back unless somebody else wrote meanwhile.
async fn store(context: &Context, value: &BootOption) -> Answer<()> {
    let machine = context.bmc.machine();
    for _ in 0..TRIES {
        let snapshot = machine.snapshot();
        let mut change = change_for(&snapshot, value)?;
        change.if_revision = Some(snapshot.revision);
        match machine.request(Request::Change(Box::new(change))).await {
            Ok(_) => return Ok(()),
            Err(RequestError::Conflict) => {}
            Err(failure) => {
                tracing::debug!(bmc = %machine.name(), %failure, "boot options refused");
                return Err(error::request(&failure));
            }
        }
    }
    Err(CompletionCode::NODE_BUSY)
}

fn change_for(snapshot: &Snapshot, value: &BootOption) -> Answer<Change> {
    if let BootOption::Flags(flags) = value {
        let boot = override_from(*flags, snapshot)?;
        return Ok(Change { boot: Some(boot), ..Default::default() });
    }
    let mut options = BootOptions::clone(&snapshot.boot_options);
    match value {
        BootOption::ServicePartition(byte) => options.service_partition = *byte,
        BootOption::ServiceScan(bits) => options.service_scan = *bits,
        BootOption::ValidBitClearing(bits) => options.valid_bit_clearing = *bits,
        BootOption::Acknowledge { mask, data } => {
            // Bits 7 to 5 are reserved.
            let mask = mask & 0x1f;
            options.info_acknowledge = options.info_acknowledge & !mask | data & mask;
        }
        BootOption::Initiator(initiator) => options.initiator_info = pack(*initiator),
        BootOption::Mailbox { block, data } => {
            let block = usize::from(*block);
            if block >= MAILBOX_BLOCKS_MAX {
                return Err(CompletionCode::PARAMETER_OUT_OF_RANGE);
            }
            if options.mailbox.len() <= block {
                options.mailbox.resize(block + 1, Vec::new());
            }
            if let Some(kept) = options.mailbox.get_mut(block) {
                kept.clone_from(data);
            }
        }
        BootOption::SetInProgress(_) | BootOption::Flags(_) | BootOption::Other { .. } => {
            return Err(CompletionCode::PARAMETER_UNSUPPORTED);
        }
    }
    Ok(Change { boot_options: Some(options), ..Default::default() })
}

impl Read for GetSystemBootOptions {
    fn answer(self, context: &Context) -> Answer<SystemBootOptions> {
        if self.parameter > PARAMETER_MAX {
            return Err(CompletionCode::PARAMETER_UNSUPPORTED);
        }
        let sets = if self.parameter == MAILBOX { MAILBOX_BLOCKS_MAX } else { 1 };
        if usize::from(self.set_selector) >= sets || self.block_selector != 0 {
            return Err(CompletionCode::PARAMETER_OUT_OF_RANGE);
        }
        let snapshot = context.bmc.snapshot();
        let (in_progress, marked) = context
            .bmc
            .with_boot_guard(|guard| (guard.progress.in_progress(), guard.is_marked(self.parameter)));
        // Flags that are marked are off; if they are on, another protocol has set them since.
        let invalid = marked && !(self.parameter == FLAGS && snapshot.boot.enabled != BootEnabled::Disabled);
        let options = &snapshot.boot_options;
        let value = match self.parameter {
            0 if in_progress => BootOption::SetInProgress(SetInProgress::InProgress),
            0 => BootOption::SetInProgress(SetInProgress::Complete),
            1 => BootOption::ServicePartition(options.service_partition),
            2 => BootOption::ServiceScan(options.service_scan),
            3 => BootOption::ValidBitClearing(options.valid_bit_clearing),
            4 => BootOption::Acknowledge { mask: 0, data: options.info_acknowledge },
            FLAGS => BootOption::Flags(flags_of(&snapshot)),
            6 => BootOption::Initiator(unpack(options.initiator_info)),
            _ => {
                let mut data =
                    options.mailbox.get(usize::from(self.set_selector)).cloned().unwrap_or_default();
                data.resize(MAILBOX_BLOCK, 0);
                BootOption::Mailbox { block: self.set_selector, data }
            }
        };
        Ok(SystemBootOptions { version: PARAMETER_VERSION, invalid, value })
    }
}

/// The core keeps the boot initiator's info as the bytes of the parameter.
fn pack(initiator: BootInitiator) -> [u8; 9] {
    let [s0, s1, s2, s3] = initiator.session_id.to_le_bytes();
    let [t0, t1, t2, t3] = initiator.timestamp.to_le_bytes();
    [initiator.channel, s0, s1, s2, s3, t0, t1, t2, t3]
}

fn unpack([channel, s0, s1, s2, s3, t0, t1, t2, t3]: [u8; 9]) -> BootInitiator {
    BootInitiator {
        channel,
        session_id: u32::from_le_bytes([s0, s1, s2, s3]),
        timestamp: u32::from_le_bytes([t0, t1, t2, t3]),
    }
}

/// The bits of the device instance selector that count devices; the other says whether external or internal ones are meant, which a virtual
/// machine does not tell apart.
const INSTANCE: u8 = 0x0f;

/// The device that an instance selector means: the first of the target's class is 1.
fn instance(snapshot: &Snapshot, target: BootTarget, selector: u8) -> Answer<Option<String>> {
    let Some(place) = usize::from(selector & INSTANCE).checked_sub(1) else { return Ok(None) };
    match snapshot.info.as_ref().filter(|info| !info.boot_devices.is_empty()) {
        Some(info) if target != BootTarget::None && target != BootTarget::BiosSetup => {
            let device = devices_for(info, target).nth(place);
            device.map(|device| Some(device.name.clone())).ok_or(CompletionCode::PARAMETER_OUT_OF_RANGE)
        }
        // Of what is not known, it is kept as written.
        _ => Ok(None),
    }
}

/// The instance selector of the device that an override names; 0 where it names none, or one beyond what the selector can count.
fn selector(snapshot: &Snapshot) -> u8 {
    let boot = &snapshot.boot;
    let place = snapshot
        .info
        .as_ref()
        .zip(boot.device.as_ref())
        .and_then(|(info, name)| devices_for(info, boot.target).position(|device| device.name == *name));
    let place = place.and_then(|place| u8::try_from(place + 1).ok());
    place.filter(|place| *place <= INSTANCE).unwrap_or(0)
}

/// The override that these flags ask for. The HTTP boot URI, which IPMI cannot name, stays as it is.
fn override_from(flags: BootFlags, snapshot: &Snapshot) -> Answer<BootOverride> {
    // Flags that override nothing are how clients clear an override. Any bit beside stands for itself: FreeIPMI's ipmi-chassis-config
    // sets one key after the other, so "persistent" or "EFI" may come before a device does.
    let others = [flags.data2, flags.data3, flags.data4, flags.data5];
    let bare = !flags.persistent && !flags.efi && others == [0; 4];
    let clears = flags.device == DeviceSelector::None && bare;
    let target = target_of(flags.device);
    let device = if flags.valid { instance(snapshot, target, flags.data5)? } else { None };
    Ok(BootOverride {
        target,
        enabled: match (flags.valid && !clears, flags.persistent) {
            (false, _) => BootEnabled::Disabled,
            (true, false) => BootEnabled::Once,
            (true, true) => BootEnabled::Continuous,
        },
        efi: flags.efi,
        http_uri: snapshot.boot.http_uri.clone(),
        device,
        kept: BootFlagsKept {
            data2: flags.data2,
            data3: flags.data3,
            data4: flags.data4,
            data5: flags.data5,
        },
        has_valid_bit: true,
    })
}

/// The flags that tell of this override.
fn flags_of(snapshot: &Snapshot) -> BootFlags {
    let boot = &snapshot.boot;
    BootFlags {
        valid: boot.enabled != BootEnabled::Disabled,
        persistent: boot.enabled == BootEnabled::Continuous,
        efi: boot.efi,
        device: device_of(boot.target),
        data2: boot.kept.data2,
        data3: boot.kept.data3,
        data4: boot.kept.data4,
        data5: if boot.has_valid_bit { boot.kept.data5 } else { selector(snapshot) },
    }
}

fn target_of(device: DeviceSelector) -> BootTarget {
    match device {
        DeviceSelector::None => BootTarget::None,
        DeviceSelector::Pxe => BootTarget::Pxe,
        DeviceSelector::Disk => BootTarget::Disk,
        DeviceSelector::DiskSafeMode => BootTarget::DiskSafeMode,
        DeviceSelector::Diagnostics => BootTarget::Diagnostics,
        DeviceSelector::Cdrom => BootTarget::Cdrom,
        DeviceSelector::Setup => BootTarget::BiosSetup,
        DeviceSelector::RemoteFloppy => BootTarget::RemoteFloppy,
        DeviceSelector::RemoteCdrom => BootTarget::RemoteCdrom,
        DeviceSelector::RemoteMedia => BootTarget::RemoteMedia,
        DeviceSelector::RemoteDisk => BootTarget::RemoteDisk,
        DeviceSelector::Removable => BootTarget::Usb,
    }
}

fn device_of(target: BootTarget) -> DeviceSelector {
    match target {
        BootTarget::None => DeviceSelector::None,
        // HTTP boot is a network boot; IPMI has no other word for it.
        BootTarget::Pxe | BootTarget::Http => DeviceSelector::Pxe,
        BootTarget::Disk => DeviceSelector::Disk,
        BootTarget::DiskSafeMode => DeviceSelector::DiskSafeMode,
        BootTarget::Diagnostics => DeviceSelector::Diagnostics,
        BootTarget::Cdrom => DeviceSelector::Cdrom,
        BootTarget::BiosSetup => DeviceSelector::Setup,
        BootTarget::Usb => DeviceSelector::Removable,
        BootTarget::RemoteFloppy => DeviceSelector::RemoteFloppy,
        BootTarget::RemoteCdrom => DeviceSelector::RemoteCdrom,
        BootTarget::RemoteMedia => DeviceSelector::RemoteMedia,
        BootTarget::RemoteDisk => DeviceSelector::RemoteDisk,
    }
}

#[cfg(test)]
#[path = "boot_tests.rs"]
mod tests;
