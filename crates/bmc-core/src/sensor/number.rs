//! The sensors' numbers: the same on every machine and for ever, because clients keep them in caches and event logs.

/// Load of all processors.
pub const CPU_LOAD: u8 = 0x01;
/// Temperature of the processors.
pub const CPU_TEMPERATURE: u8 = 0x02;
/// Memory in use.
pub const MEMORY_IN_USE: u8 = 0x03;
/// Temperature of the air that comes in.
pub const INLET_TEMPERATURE: u8 = 0x04;
/// Temperature of the board.
pub const BOARD_TEMPERATURE: u8 = 0x05;
/// The first fan.
pub const FAN_1: u8 = 0x06;
/// The second fan.
pub const FAN_2: u8 = 0x07;
/// The first power supply.
pub const POWER_SUPPLY_1: u8 = 0x08;
/// The second power supply.
pub const POWER_SUPPLY_2: u8 = 0x09;
/// What the machine draws.
pub const POWER_DRAW: u8 = 0x0a;
/// The first drive slot; the others follow.
pub const DRIVE_SLOT_FIRST: u8 = 0x40;
/// Power unit.
pub const POWER_UNIT: u8 = 0xe0;
/// ACPI power state.
pub const ACPI_POWER_STATE: u8 = 0xe1;
/// System event.
pub const SYSTEM_EVENT: u8 = 0xe2;
/// System boot or restart initiated.
pub const SYSTEM_RESTART: u8 = 0xe3;
/// Operating system stop or shutdown.
pub const OS_STOP: u8 = 0xe4;
/// Critical interrupt: the diagnostic interrupt.
pub const CRITICAL_INTERRUPT: u8 = 0xe5;
/// Watchdog timer.
pub const WATCHDOG: u8 = 0xe6;
/// Sessions opened, closed and refused.
pub const SESSION_AUDIT: u8 = 0xe7;
/// The event log itself.
pub const EVENT_LOG: u8 = 0xe8;
/// The controller: it was reset.
pub const CONTROLLER: u8 = 0xe9;
