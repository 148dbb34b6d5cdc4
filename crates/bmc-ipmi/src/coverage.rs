//! The coverage document, made from the dispatch table.

use std::fmt::Write as _;

use crate::table::{Access, Handler, TABLE};

/// The text of `docs/protocols/ipmi.md`.
pub fn document() -> String {
    let mut text = String::from(HEAD);
    for entry in TABLE.iter() {
        let privilege = match entry.access {
            Access::Anybody => "none",
            Access::Session(level) => level.name(),
        };
        let by = match entry.handler {
            Handler::Read(_) | Handler::Tell(_) => "the published state",
            Handler::Act(_) => "the machine's owner",
            Handler::Session => "the session layer",
        };
        let over = match entry.handler {
            Handler::Session => "LAN",
            _ => "LAN, system",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {:02X}h | {} | §{} | {privilege} | {over} | {by} | `{}*` in `{}` |",
            entry.netfn.name(),
            entry.netfn,
            entry.cmd,
            entry.name,
            entry.section,
            entry.test.1,
            entry.test.0,
        );
    }
    text.push_str(TAIL);
    text
}

const HEAD: &str = "\
# IPMI: what is answered

<!-- Made from the dispatch table of the crate bmc-ipmi. To renew it: UPDATE_DOCS=1 cargo test -p bmc-ipmi coverage -->

Sections are those of the IPMI 2.0 specification, revision 1.1. *Privilege* is the lowest level of a session that may
send the command over the LAN; `none` means that no session is needed. *Over* names the interfaces: the LAN channel (1) and the system interface (channel
15), over which the machine's own software may send everything but what only a session can mean (`D5h`).

| Function | NetFn | Code | Command | Section | Privilege | Over | Answered by | Shown by |
|---|---|---|---|---|---|---|---|---|
";

const TAIL: &str = "
Everything else is answered at once: `C1h` where there is no such command, group extensions included, `C2h` where there
is one but for another logical unit than 0, `D4h` where the session's level is too low, `C7h` where the request has the
wrong length, `CCh` where a field has a value that it does not define.

Outside sessions: ASF presence ping, Open Session, RAKP 1 to 4. Get Session Challenge and Activate Session open sessions of
IPMI 1.5 where the configuration allows an authentication type (`ipmi15_auth`); by default it allows none, and Get
Session Challenge is answered with `CCh`.

A login that fails is told why, by the status of the answer:

| Status | Open Session | RAKP 1 | RAKP 3 |
|---|---|---|---|
| 01h | all sessions are in use | | the last one was taken meanwhile |
| 02h | the console's session id is 0 | no such handshake from this address | no such handshake from this address |
| 03h, 06h, 07h | the three algorithms do not stand in their order | | |
| 04h, 05h, 10h | no such algorithm | | |
| 08h | | the session is active already | the session is active already, or RAKP 1 is missing |
| 09h | no such level | no such level | |
| 0Ah | more than the channel or the suite gives | more than Open Session asked for, or than the user may have | |
| 0Ch | | a name of more than 16 bytes | |
| 0Dh | | no such user, disabled, or locked out | |
| 0Fh | | | the password or the BMC's key is wrong |
| 11h | these algorithms together are not enabled | | |
| 12h | unreadable | unreadable | |

A login of IPMI 1.5 that fails is told why by completion code: Get Session Challenge `81h` no such user, `82h` no null user;
Activate Session `81h` all sessions are in use, `84h` the console's first number is 0, `85h` no such login, `86h` the level is
above the user's, the channel's or what the type is allowed for. A wrong password is answered by silence, as the
specification has it. A password of more than 16 bytes, or set as 20, is none for IPMI 1.5.

A request that comes again is not carried out again. The same datagram gets the same answer. The same message under a new
session sequence number, as ipmitool and pyghmi repeat themselves, gets it for 20 seconds if carrying it out twice would do
harm and no other request came in between. FreeIPMI numbers the message anew too: there a repeated power command joins the
one under way, but a diagnostic interrupt is delivered once more.

Boot options 0 to 7 are kept and read back as written, over restarts too, except \"set in progress\" and the mark of a
parameter as invalid. Options 1, 2, 4, 6 and 7 and the flags beside the boot device have no effect on a virtual machine. The
valid bit of flags that IPMI set is cleared after 60 seconds without a Chassis Control command, or by a start from outside, a reboot
of the guest, the watchdog or an event filter, only when option 3 asks for that; by default it does not. \"Set in progress\" is released when the session that set it ends.

Power-on hours count minutes, from the start of a machine to its end, also while the daemon is away and the machine runs on; a run whose
end nobody saw counts until it was missed. A power cycle stays off for as long as Set Power Cycle Interval says, and is acknowledged before
that; a hard off calls it off. Front panel buttons can be disabled, and that is shown; a virtual machine has none, and commands
work all the same, Redfish's PushPowerButton among them. A simulated machine that was on when its daemon ended has lost mains power.

The watchdog timer acts on the machine by the way of every power command. Its non-maskable interrupt is delivered; an SMI is an event
and no more. A machine that goes off or restarts stops it, and so does a restart of the daemon. A timeout whose action cannot be carried out, because
the hypervisor is away, is a power fault and is not made up for later. A pre-timeout longer than the countdown is refused with
`CCh`, Reset Watchdog Timer after the pre-timeout with `D5h`.

Event filters see every event that goes to the log, and those that a full log has no place for. An alert is a platform event trap of SNMP version 1
to the IPv4 address of its destination, on the port that the configuration says (`trap_port`, 162); gateways, VLANs and hardware addresses
of destinations are kept and the host's routing decides. It tells the community of LAN parameter 16, the event, the severity of its filter, the
time of the event log's clock and, for the BMC's own sensors, the entity, but no alert string. Its sender is the address that clients set or, without one, that
the BMC listens on. The next destination of a policy has its turn when the last one has
acknowledged or been tried as often as configured. 32 alerts can be under way; alerts are forgotten when the daemon ends.
PET Acknowledge needs no session and must repeat the trap's number, time, sensor and event data. There is no
PEF postpone timer, and the start-up delays are kept and have no effect.

There are 15 users. User 1 is the null user, without a name for ever; the others' names have 1 to 16 printable ASCII characters without
spaces and are unique (`CCh`), because Redfish finds people by name. The empty name gives an id back, with password and rights. A user who is
enabled but has no name or no password cannot log in, nor one with \"no access\". A password of 16 bytes is tested as 16 bytes, one of
20 as 20; one from the configuration as either. A change of a user's login ends the user's sessions at once; the one that asked for it is
answered and has a second to close itself.

Channel access has a kept and a present setting; both decide about new sessions only. User level authentication cannot be switched off (`CCh`), and that of
each message only where the server listens on loopback alone. Access mode \"shared\" is for serial channels (`83h`). A
channel whose kept mode is \"disabled\" stays shut for IPMI until the BMC is removed and added anew: Redfish and the command line go on.

LAN parameters 0 to 26 hold at once and are kept, except \"set in progress\"; 1, 17, 22 and 23 are read-only (`82h`), all others do not
exist (`80h`), those of IPv6 among them. What nobody has set is real: the address that the request came to, the port that is listened on, a
locally administered MAC address made from the machine's UUID. Parameter 24 is indexed by the suites' numbers, 0 to 15, as ipmitool and
FreeIPMI read it. No write moves the listener. System info parameters 1 to 7 are kept likewise.

A cold or warm reset of the BMC leaves the machine alone: it is answered, then all sessions end, the one that asked for it a second later. A cold one also takes \"set in progress\",
the present channel access and the ACPI state back to what they are after a start.

The FRU inventory is made from the machine until a client writes to it; from then on the written bytes are kept. A product area that checks out
becomes the machine's identity, and an asset tag set elsewhere is written into it.

DCMI: Get Power Limit answers `80h` with the limit's values while none is active. Power readings average what the power sensor showed, without
sampling; DHCP parameters are kept and have no effect, because the address comes from the configuration.

Serial over LAN has one instance, for one session at a time. Payloads are protected as their session is: a console that asks for less is
refused with `84h`, and so is a session that encrypts less than SOL parameter 2 demands; one that asks for encryption in a session without
any gets what there is. A user without payload access, or below the level of parameter 2, is refused with `D4h`, and loses what it has when that is set later; a machine without a
serial console, or parameter 1 off, with `81h`. A packet that is not acknowledged is sent again as parameter 4 says; after that it waits
for the next sign of life of the console and is not dropped. Characters for a machine that is off are acknowledged, with
\"transfer unavailable\". The bit rates are kept and have no effect; the volatile one is as parameter 5 again after a restart.

Set Channel Security Keys keeps two keys for the whole BMC: K_G of two-key logins, and K_R, with which the random numbers of logins are keyed.

The system interface is QEMU's `ipmi-bmc-extern` at a socket of the BMC (docs/operating.md): KCS or BT, without sessions and without limits. \"This channel\"
means the LAN channel there, except for Get Channel Info. Global enables of messages and of the event message buffer, its content, the message flags and the state
of Enable Message Channel Receive go with a reset or the end of the machine and with a cold reset of the BMC; event logging stays. On a machine without a system interface they are refused
with `CCh`. The buffer takes the next event that is logged while it is enabled and empty. Attention is shown while a message flag is set: the event
buffer's or the watchdog's pre-timeout by messaging interrupt. The receive message queue is always empty, because no channel's message can be sent to
it. Get BT Interface Capabilities is answered by QEMU's device itself; an event of the machine's software is logged with channel 15.

Left out on purpose, and answered with `C1h`: Send Message and the other commands of bridging, because there is no second
controller to reach; Master Write-Read, because there is no bus; the firmware firewall, because no command can be switched off; Suspend/Resume
Payload Encryption, because payloads are protected as their session is; Get and Set Auxiliary Log Status, because there is one
log; Arm PEF Postpone Timer, because filters act at once.

A machine that cannot be reached answers Get Chassis Status with an error and not with its last known state: `D3h` when its
hypervisor is away, `CBh` when the machine is gone, `D6h` when the hypervisor refuses.
";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn coverage_document_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocols/ipmi.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, document()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, document(), "renew it: UPDATE_DOCS=1 cargo test -p bmc-ipmi coverage");
    }

    #[test]
    fn coverage_names_tests_that_exist() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for entry in TABLE.iter() {
            let (file, test) = entry.test;
            let source = std::fs::read_to_string(crates.join(file)).unwrap();
            assert!(source.contains(&format!("fn {test}")), "{entry:?}: {test} in {file}");
        }
    }

    #[test]
    fn coverage_table_is_ordered_and_has_no_command_twice() {
        let keys: Vec<_> = TABLE.iter().map(|entry| (entry.netfn, entry.cmd)).collect();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(keys, sorted);
    }
}
