//! The commands that the session layer answers itself; they stand here so that the table is whole.

use ipmi_wire::command::login::{ActivateSession, GetSessionChallenge};
use ipmi_wire::command::session::{CloseSession, GetSessionInfo, SetSessionPrivilegeLevel};

use crate::table::{Access, CALLBACK, Entry, USER};

/// Where the tests of these commands stand.
const TESTS: &str = "ipmi-session/tests/it/session.rs";

/// Where those of IPMI 1.5 logins stand.
const TESTS_V15: &str = "ipmi-session/tests/it/v15.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::session::<GetSessionChallenge>(Access::Anybody, "22.16", (TESTS_V15, "challenge_")),
    Entry::session::<ActivateSession>(Access::Anybody, "22.17", (TESTS_V15, "activate_")),
    Entry::session::<SetSessionPrivilegeLevel>(USER, "22.18", (TESTS, "privilege_")),
    Entry::session::<CloseSession>(CALLBACK, "22.19", (TESTS, "close_session_")).once(),
    Entry::session::<GetSessionInfo>(USER, "22.20", (TESTS, "get_session_info_")),
];
