//! How long things take on simulated machines, and what those are made of.

use std::time::Duration;

use bmc_core::boot::FirmwareMode;

/// Longest time anything may be configured to take; longer ones are cut to this.
pub const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Most drives of a RAID controller.
pub const RAID_DRIVES_MAX: u8 = 32;

/// One simulator's settings; all its machines share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimConfig {
    /// Firmware self-test: from power-on or reset until a device is booted. At most [`DURATION_MAX`].
    pub post: Duration,
    /// From the boot device until the operating system is up. At most [`DURATION_MAX`].
    pub boot: Duration,
    /// What the operating system takes to shut down. At most [`DURATION_MAX`].
    pub shutdown: Duration,
    /// When a call that was told to hang or to dawdle is given up with `Timeout`. At most [`DURATION_MAX`].
    pub call_timeout: Duration,
    /// Decides MAC addresses. Two simulators with the same seed make the same machines.
    pub seed: u64,
    /// The firmware mode of new machines.
    pub firmware: FirmwareMode,
    /// Virtual processors of each machine; 0 counts as 1.
    pub processors: u32,
    /// Memory of each machine in bytes.
    pub memory_bytes: u64,
    /// Size of each of a machine's own disks in bytes.
    pub disk_bytes: u64,
    /// Drives of each machine's RAID controller; without any it has none. At most [`RAID_DRIVES_MAX`].
    pub raid_drives: u8,
    /// Size of each of those drives in bytes.
    pub raid_drive_bytes: u64,
}

impl Default for SimConfig {
    /// Long enough that every transition can be watched, short enough that nobody waits: on in three seconds, down in two.
    fn default() -> Self {
        Self {
            post: Duration::from_secs(2),
            boot: Duration::from_secs(1),
            shutdown: Duration::from_secs(2),
            call_timeout: Duration::from_secs(30),
            seed: 0,
            firmware: FirmwareMode::Legacy,
            processors: 2,
            memory_bytes: 4 << 30,
            disk_bytes: 64 << 30,
            raid_drives: 4,
            raid_drive_bytes: 128 << 30,
        }
    }
}

impl SimConfig {
    /// The settings within their bounds.
    pub fn bounded(self) -> Self {
        Self {
            post: self.post.min(DURATION_MAX),
            boot: self.boot.min(DURATION_MAX),
            shutdown: self.shutdown.min(DURATION_MAX),
            call_timeout: self.call_timeout.min(DURATION_MAX),
            processors: self.processors.max(1),
            raid_drives: self.raid_drives.min(RAID_DRIVES_MAX),
            ..self
        }
    }
}
