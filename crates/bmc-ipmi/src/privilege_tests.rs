//! Who may send which command, written down a second time: from the specification, not from the table.
//!
//! The table's levels are what dispatch goes by and what the coverage document shows, so neither can tell that one of them is too low.

use ipmi_wire::{NetFn, PrivilegeLevel};

use crate::table::{Access, TABLE};

/// The levels of IPMI 2.0 rev. 1.1 appendix G (and of the DCMI 1.5 command table).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// `p`: also without a session.
    Sessionless,
    Callback,
    User,
    Operator,
    Administrator,
    /// `s`: over the system interface only, that is by the machine's own software.
    SystemInterface,
    /// The level that the payload's own configuration names.
    Payload,
}

use Level::{
    Administrator as A, Callback as C, Operator as O, Payload as ByPayload, Sessionless as P,
    SystemInterface as S, User as U,
};

/// Network function, and of each of its commands the level.
type Rows = (u8, &'static [(u8, Level)]);

const APPENDIX_G: &[Rows] = &[
    // Chassis.
    (
        0x00,
        &[
            (0x00, U), // Get Chassis Capabilities
            (0x01, U), // Get Chassis Status
            (0x02, O), // Chassis Control
            (0x03, O), // Chassis Reset
            (0x04, O), // Chassis Identify
            (0x05, A), // Set Chassis Capabilities
            (0x06, O), // Set Power Restore Policy
            (0x07, U), // Get System Restart Cause
            (0x08, O), // Set System Boot Options
            (0x09, O), // Get System Boot Options
            (0x0a, A), // Set Front Panel Button Enables
            (0x0b, A), // Set Power Cycle Interval
            (0x0f, U), // Get POH Counter
        ],
    ),
    // Sensor/Event.
    (
        0x04,
        &[
            (0x00, A), // Set Event Receiver
            (0x01, U), // Get Event Receiver
            (0x02, O), // Platform Event
            (0x10, U), // Get PEF Capabilities
            (0x11, A), // Arm PEF Postpone Timer
            (0x12, A), // Set PEF Configuration Parameters
            (0x13, O), // Get PEF Configuration Parameters
            (0x14, A), // Set Last Processed Event ID
            (0x15, A), // Get Last Processed Event ID
            (0x16, A), // Alert Immediate
            (0x17, P), // PET Acknowledge
            (0x20, U), // Get Device SDR Info
            (0x21, U), // Get Device SDR
            (0x22, U), // Reserve Device SDR Repository
            (0x23, U), // Get Sensor Reading Factors
            (0x24, O), // Set Sensor Hysteresis
            (0x25, U), // Get Sensor Hysteresis
            (0x26, O), // Set Sensor Threshold
            (0x27, U), // Get Sensor Threshold
            (0x28, O), // Set Sensor Event Enable
            (0x29, U), // Get Sensor Event Enable
            (0x2a, O), // Re-arm Sensor Events
            (0x2b, U), // Get Sensor Event Status
            (0x2d, U), // Get Sensor Reading
            (0x2e, O), // Set Sensor Type
            (0x2f, U), // Get Sensor Type
            (0x30, O), // Set Sensor Reading And Event Status
        ],
    ),
    // App.
    (
        0x06,
        &[
            (0x01, U),         // Get Device ID
            (0x02, A),         // Cold Reset
            (0x03, A),         // Warm Reset
            (0x04, U),         // Get Self Test Results
            (0x05, A),         // Manufacturing Test On
            (0x06, A),         // Set ACPI Power State
            (0x07, U),         // Get ACPI Power State
            (0x08, U),         // Get Device GUID
            (0x22, O),         // Reset Watchdog Timer
            (0x24, O),         // Set Watchdog Timer
            (0x25, U),         // Get Watchdog Timer
            (0x2e, S),         // Set BMC Global Enables
            (0x2f, U),         // Get BMC Global Enables
            (0x30, S),         // Clear Message Flags
            (0x31, S),         // Get Message Flags
            (0x32, S),         // Enable Message Channel Receive
            (0x33, S),         // Get Message
            (0x34, U),         // Send Message
            (0x35, S),         // Read Event Message Buffer
            (0x36, U),         // Get BT Interface Capabilities
            (0x37, P),         // Get System GUID
            (0x38, P),         // Get Channel Authentication Capabilities
            (0x39, P),         // Get Session Challenge
            (0x3a, P),         // Activate Session
            (0x3b, U),         // Set Session Privilege Level
            (0x3c, C),         // Close Session
            (0x3d, U),         // Get Session Info
            (0x3f, O),         // Get AuthCode
            (0x40, A),         // Set Channel Access
            (0x41, U),         // Get Channel Access
            (0x42, U),         // Get Channel Info
            (0x43, A),         // Set User Access
            (0x44, O),         // Get User Access
            (0x45, A),         // Set User Name
            (0x46, O),         // Get User Name
            (0x47, A),         // Set User Password
            (0x48, ByPayload), // Activate Payload
            (0x49, ByPayload), // Deactivate Payload
            (0x4a, U),         // Get Payload Activation Status
            (0x4b, U),         // Get Payload Instance Info
            (0x4c, A),         // Set User Payload Access
            (0x4d, O),         // Get User Payload Access
            (0x4e, U),         // Get Channel Payload Support
            (0x4f, U),         // Get Channel Payload Version
            (0x50, U),         // Get Channel OEM Payload Info
            (0x52, O),         // Master Write-Read
            (0x54, P),         // Get Channel Cipher Suites
            (0x55, U),         // Suspend/Resume Payload Encryption
            (0x56, A),         // Set Channel Security Keys
            (0x57, U),         // Get System Interface Capabilities
            (0x58, A),         // Set System Info Parameters
            (0x59, U),         // Get System Info Parameters
        ],
    ),
    // Storage.
    (
        0x0a,
        &[
            (0x10, U), // Get FRU Inventory Area Info
            (0x11, U), // Read FRU Data
            (0x12, O), // Write FRU Data
            (0x20, U), // Get SDR Repository Info
            (0x21, U), // Get SDR Repository Allocation Info
            (0x22, U), // Reserve SDR Repository
            (0x23, U), // Get SDR
            (0x24, O), // Add SDR
            (0x25, O), // Partial Add SDR
            (0x26, O), // Delete SDR
            (0x27, O), // Clear SDR Repository
            (0x28, U), // Get SDR Repository Time
            (0x29, O), // Set SDR Repository Time
            (0x2a, O), // Enter SDR Repository Update Mode
            (0x2b, O), // Exit SDR Repository Update Mode
            (0x2c, O), // Run Initialization Agent
            (0x40, U), // Get SEL Info
            (0x41, U), // Get SEL Allocation Info
            (0x42, U), // Reserve SEL
            (0x43, U), // Get SEL Entry
            (0x44, O), // Add SEL Entry
            (0x45, O), // Partial Add SEL Entry
            (0x46, O), // Delete SEL Entry
            (0x47, O), // Clear SEL
            (0x48, U), // Get SEL Time
            (0x49, O), // Set SEL Time
            (0x5a, U), // Get Auxiliary Log Status
            (0x5b, A), // Set Auxiliary Log Status
            (0x5c, U), // Get SEL Time UTC Offset
            (0x5d, O), // Set SEL Time UTC Offset
        ],
    ),
    // Transport.
    (
        0x0c,
        &[
            (0x01, A), // Set LAN Configuration Parameters
            (0x02, O), // Get LAN Configuration Parameters
            (0x03, A), // Suspend BMC ARPs
            (0x04, U), // Get IP/UDP/RMCP Statistics
            (0x21, A), // Set SOL Configuration Parameters
            (0x22, U), // Get SOL Configuration Parameters
        ],
    ),
    // DCMI.
    (
        0x2c,
        &[
            (0x01, U), // Get DCMI Capabilities Info
            (0x02, U), // Get Power Reading
            (0x03, U), // Get Power Limit
            (0x04, O), // Set Power Limit
            (0x05, O), // Activate/Deactivate Power Limit
            (0x06, U), // Get Asset Tag
            (0x07, O), // Get DCMI Sensor Info
            (0x08, O), // Set Asset Tag
            (0x09, U), // Get Management Controller Identifier String
            (0x0a, A), // Set Management Controller Identifier String
            (0x0b, O), // Set Thermal Limit
            (0x0c, O), // Get Thermal Limit
            (0x10, U), // Get Temperature Readings
            (0x12, A), // Set DCMI Configuration Parameters
            (0x13, O), // Get DCMI Configuration Parameters
        ],
    ),
];

/// What the table must say for a level of the specification.
fn expected(level: Level) -> Access {
    match level {
        Level::Sessionless => Access::Anybody,
        Level::Callback => Access::Session(PrivilegeLevel::Callback),
        Level::User => Access::Session(PrivilegeLevel::User),
        Level::Operator => Access::Session(PrivilegeLevel::Operator),
        Level::Administrator => Access::Session(PrivilegeLevel::Administrator),
        // No guest can reach its BMC over a system interface here, and ipmitool (`mc setenables`) and FreeIPMI's bmc-device send these over
        // the LAN: the highest level may, and nobody below it.
        Level::SystemInterface => Access::Session(PrivilegeLevel::Administrator),
        // The session layer asks for the level in the SOL configuration, of which USER is the lowest there is.
        ByPayload => Access::Session(PrivilegeLevel::User),
    }
}

#[test]
fn every_command_has_the_level_of_the_specification() {
    let find = |netfn: NetFn, cmd: u8| {
        let (_, rows) = APPENDIX_G.iter().find(|(of, _)| *of == netfn.get())?;
        rows.iter().find(|(code, _)| *code == cmd).map(|(_, level)| *level)
    };
    for entry in TABLE.iter() {
        let level = find(entry.netfn, entry.cmd);
        let level =
            level.unwrap_or_else(|| panic!("{entry:?} is not in the list: look its level up in appendix G"));
        assert_eq!(entry.access, expected(level), "{entry:?}, {level:?} by the specification");
    }
}

#[test]
fn the_list_names_each_command_once() {
    for (netfn, rows) in APPENDIX_G {
        assert!(rows.is_sorted_by(|(one, _), (next, _)| one < next), "{netfn:02x}h");
    }
    assert!(APPENDIX_G.is_sorted_by(|(one, _), (next, _)| one < next));
}
