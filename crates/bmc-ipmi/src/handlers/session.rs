//! The commands that the session layer answers itself; they stand here so that the table is whole.

use ipmi_wire::command::session::{CloseSession, GetSessionInfo, SetSessionPrivilegeLevel};

use crate::table::{CALLBACK, Entry, USER};

/// Where the tests of these commands stand.
const TESTS: &str = "ipmi-session/tests/it/session.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::session::<SetSessionPrivilegeLevel>(USER, "22.18", (TESTS, "privilege_")),
    Entry::session::<CloseSession>(CALLBACK, "22.19", (TESTS, "close_session_")),
    Entry::session::<GetSessionInfo>(USER, "22.20", (TESTS, "get_session_info_")),
];
