//! Who may use the LAN channel, and which payloads it carries.

use bmc_core::account::Role;
use bmc_core::settings::{ChannelAccess as Access, ChannelMode};
use ipmi_wire::CompletionCode;
use ipmi_wire::NetFn;
use ipmi_wire::PrivilegeLevel;
use ipmi_wire::command::access::{
    AccessFlags, GetChannelOemPayloadInfo, GetChannelPayloadSupport, GetChannelPayloadVersion,
    OemPayloadInfo, PayloadSupport, PayloadVersion, SetChannelAccess,
};
use ipmi_wire::command::channel::{AccessKind, AccessMode, ChannelAccess, GetChannelAccess};

use crate::handlers::channel::lan;
use crate::server::{privilege_of, role_of};
use crate::table::{ADMINISTRATOR, Act, Answer, Entry, Read, USER, find};
use crate::{Context, LanChannel};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/access.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::act::<SetChannelAccess>(ADMINISTRATOR, "22.22", (TESTS, "access_")),
    Entry::read::<GetChannelAccess>(USER, "22.23", (TESTS, "access_")),
    Entry::read::<GetChannelPayloadSupport>(USER, "24.8", (TESTS, "payloads_")),
    Entry::read::<GetChannelPayloadVersion>(USER, "24.9", (TESTS, "payloads_")),
    Entry::read::<GetChannelOemPayloadInfo>(USER, "24.10", (TESTS, "payloads_")),
];

/// The payload type of Serial over LAN.
const PAYLOAD_SOL: u8 = 0x01;
/// Activate Payload, without which no payload but IPMI messages can be used.
const ACTIVATE_PAYLOAD: u8 = 0x48;
/// Standard payload types: IPMI messages.
const IPMI_BIT: u16 = 1;
/// Standard payload types: Serial over LAN.
const SOL_BIT: u16 = 1 << PAYLOAD_SOL;
/// Session setup payload types 10h to 15h: Open Session and RAKP.
const SESSION_SETUP_BITS: u16 = 0x3f;

impl Act for SetChannelAccess {
    /// Decides about new sessions; open ones go on, the one that asks too.
    async fn act(self, context: &Context) -> Answer<()> {
        let lan = lan(context, self.channel)?;
        if self.access.is_some_and(|(_, flags)| is_open(flags, lan)) {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        let mode = self.access.map(|(_, flags)| mode_of(flags.mode)).transpose()?;
        let limit = self.limit.map(|(_, level)| role_of(level).ok_or(CompletionCode::INVALID_DATA_FIELD));
        let limit = limit.transpose()?;
        let change = move |access: &mut Access, which: AccessKind| {
            if let (Some((kind, flags)), Some(mode)) = (self.access, mode)
                && kind == which
            {
                apply(access, flags, mode);
            }
            if let (Some((kind, _)), Some(limit)) = (self.limit, limit)
                && kind == which
            {
                access.privilege_limit = limit;
            }
        };
        let kinds = [self.access.map(|(kind, _)| kind), self.limit.map(|(kind, _)| kind)];
        if kinds.contains(&Some(AccessKind::NonVolatile)) {
            context
                .edit(move |edit| {
                    change(&mut edit.settings.channel, AccessKind::NonVolatile);
                    Ok(())
                })
                .await?;
        }
        context.bmc.with_volatile(|volatile| change(&mut volatile.channel, AccessKind::Present));
        Ok(())
    }
}

/// Whether the flags would let messages in that prove nothing: without authentication of each message whoever reads along takes a session
/// of IPMI 1.5 over, so that it can be switched off on loopback alone; commands of User level are always authenticated as all others.
fn is_open(flags: AccessFlags, lan: &LanChannel) -> bool {
    flags.user_level_auth_disabled || flags.per_message_auth_disabled && !lan.loopback
}

fn apply(access: &mut Access, flags: AccessFlags, mode: ChannelMode) {
    access.mode = mode;
    access.alerting = !flags.alerting_disabled;
    access.per_message_authentication = !flags.per_message_auth_disabled;
}

/// The mode; "shared" is for serial channels (IPMI 2.0 table 6-4).
fn mode_of(mode: AccessMode) -> Answer<ChannelMode> {
    match mode {
        AccessMode::Disabled => Ok(ChannelMode::Disabled),
        AccessMode::PreBoot => Ok(ChannelMode::PreBoot),
        AccessMode::Always => Ok(ChannelMode::Always),
        AccessMode::Shared => Err(CompletionCode::ACCESS_MODE_UNSUPPORTED),
    }
}

impl Read for GetChannelAccess {
    fn answer(self, context: &Context) -> Answer<ChannelAccess> {
        let lan = lan(context, self.channel)?;
        let access = match self.which {
            AccessKind::NonVolatile => context.bmc.snapshot().settings.channel,
            AccessKind::Present => context.bmc.channel_access(),
        };
        Ok(ChannelAccess {
            alerting_disabled: !access.alerting,
            // What was kept on loopback does not hold elsewhere.
            per_message_auth_disabled: !access.per_message_authentication && lan.loopback,
            user_level_auth_disabled: false,
            mode: match access.mode {
                ChannelMode::Disabled => AccessMode::Disabled,
                ChannelMode::PreBoot => AccessMode::PreBoot,
                ChannelMode::Always => AccessMode::Always,
            },
            privilege_limit: limit_of(access.privilege_limit),
        })
    }
}

/// A channel's limit as a level. No access is no limit that can be set; were it kept, the lowest level would come nearest.
fn limit_of(role: Role) -> PrivilegeLevel {
    privilege_of(role).unwrap_or(PrivilegeLevel::Callback)
}

/// Whether Serial over LAN is served.
pub(crate) fn serves_sol() -> bool {
    find(NetFn::APP, ACTIVATE_PAYLOAD).is_some()
}

impl Read for GetChannelPayloadSupport {
    fn answer(self, context: &Context) -> Answer<PayloadSupport> {
        lan(context, self.channel)?;
        let sol = if serves_sol() { SOL_BIT } else { 0 };
        Ok(PayloadSupport { standard: IPMI_BIT | sol, session_setup: SESSION_SETUP_BITS, oem: 0 })
    }
}

impl Read for GetChannelPayloadVersion {
    /// Every payload type that there is has version 1.0 (IPMI 2.0 table 13-16).
    fn answer(self, context: &Context) -> Answer<PayloadVersion> {
        lan(context, self.channel)?;
        match self.payload_type {
            0x00 | 0x10..=0x15 => Ok(PayloadVersion { major: 1, minor: 0 }),
            PAYLOAD_SOL if serves_sol() => Ok(PayloadVersion { major: 1, minor: 0 }),
            _ => Err(CompletionCode::PAYLOAD_UNSUPPORTED),
        }
    }
}

impl Read for GetChannelOemPayloadInfo {
    /// There are no OEM payloads.
    fn answer(self, context: &Context) -> Answer<OemPayloadInfo> {
        lan(context, self.channel)?;
        Err(CompletionCode::PAYLOAD_UNSUPPORTED)
    }
}

#[cfg(test)]
mod tests {
    use ipmi_wire::command::Payload;

    use super::*;
    use crate::handlers::testing::{Bench, bad_lengths};

    async fn get(bench: &Bench, which: u8) -> Vec<u8> {
        let (code, data) = bench.raw(0x06, 0x41, &[0x0e, which << 6]).await;
        assert_eq!(code, 0);
        data
    }

    const KEPT: u8 = 1;
    const PRESENT: u8 = 2;

    #[tokio::test]
    async fn access_has_a_kept_and_a_present_setting() {
        let bench = Bench::new().await;
        assert_eq!((get(&bench, KEPT).await, get(&bench, PRESENT).await), (vec![0x02, 4], vec![0x02, 4]));
        // The present one: disabled alerts, operators at most.
        assert_eq!(bench.raw(0x06, 0x40, &[1, 0xa2, 0x83]).await.0, 0);
        assert_eq!((get(&bench, KEPT).await, get(&bench, PRESENT).await), (vec![0x02, 4], vec![0x22, 3]));
        // The kept one, limit and flags apart from each other.
        assert_eq!(bench.raw(0x06, 0x40, &[0x0e, 0x51, 0x00]).await.0, 0);
        assert_eq!((get(&bench, KEPT).await, get(&bench, PRESENT).await), (vec![0x11, 4], vec![0x22, 3]));
        assert_eq!(bench.raw(0x06, 0x40, &[1, 0x00, 0x42]).await.0, 0);
        assert_eq!((get(&bench, KEPT).await, get(&bench, PRESENT).await), (vec![0x11, 2], vec![0x22, 3]));
        assert_eq!(bench.raw(0x06, 0x40, &[1, 0x00, 0x00]).await.0, 0, "changes nothing");
        assert_eq!((get(&bench, KEPT).await, get(&bench, PRESENT).await), (vec![0x11, 2], vec![0x22, 3]));
        bench.context.bmc.forget_volatile();
        assert_eq!(get(&bench, PRESENT).await, [0x11, 2], "as after a start");
    }

    #[tokio::test]
    async fn access_that_cannot_be_is_refused() {
        let bench = Bench::new().await;
        let rows: [(&[u8], u8); 11] = [
            (&[1, 0x4a, 0x44], 0xcc),
            (&[1, 0xc2, 0x00], 0xcc),
            (&[1, 0x42, 0xc4], 0xcc),
            (&[1, 0x44, 0x00], 0xcc),
            (&[1, 0x43, 0x00], 0x83),
            (&[1, 0x83, 0x00], 0x83),
            (&[1, 0x42, 0x40], 0xcc),
            (&[1, 0x42, 0x45], 0xcc),
            (&[1, 0x42, 0x4f], 0xcc),
            (&[2, 0x42, 0x44], 0xcc),
            (&[0, 0x42, 0x44], 0xcc),
        ];
        for (data, code) in rows {
            assert_eq!(bench.raw(0x06, 0x40, data).await.0, code, "{data:02x?}");
        }
        assert_eq!((get(&bench, KEPT).await, get(&bench, PRESENT).await), (vec![0x02, 4], vec![0x02, 4]));
        for data in [[1, 0x00], [1, 0xc0], [2, 0x40]] {
            assert_eq!(bench.raw(0x06, 0x41, &data).await.0, 0xcc, "{data:02x?}");
        }
        bad_lengths(&bench, 0x06, 0x40, &[1, 0x42, 0x44], &[3]).await;
        bad_lengths(&bench, 0x06, 0x41, &[1, 0x40], &[2]).await;
        bench.break_store();
        assert_eq!(bench.raw(0x06, 0x40, &[1, 0x42, 0x42]).await.0, 0xff, "not durable, not done");
        assert_eq!(get(&bench, KEPT).await, [0x02, 4]);
    }

    #[tokio::test]
    async fn access_without_proof_is_for_loopback_alone() {
        let mut bench = Bench::new().await;
        assert_eq!(bench.raw(0x06, 0x40, &[1, 0x52, 0x44]).await.0, 0);
        assert_eq!(get(&bench, KEPT).await, [0x12, 4]);
        bench.loopback(false);
        assert_eq!(get(&bench, KEPT).await, [0x02, 4], "what was kept does not hold here");
        for data in [[1, 0x52, 0x44], [1, 0x92, 0x84]] {
            assert_eq!(bench.raw(0x06, 0x40, &data).await.0, 0xcc, "{data:02x?}");
        }
        assert_eq!(bench.raw(0x06, 0x40, &[1, 0x42, 0x44]).await.0, 0);
    }

    #[tokio::test]
    async fn payloads_are_those_that_are_served() {
        let bench = Bench::new().await;
        let support = bench.ask(GetChannelPayloadSupport { channel: 1 }).await;
        assert_eq!(support.standard & IPMI_BIT, IPMI_BIT);
        assert_eq!(support.standard & SOL_BIT != 0, serves_sol());
        assert_eq!(support.encode().len(), 8);
        let sol = if serves_sol() { 0 } else { 0x80 };
        for (payload, code) in
            [(0x00, 0), (0x01, sol), (0x02, 0x80), (0x10, 0), (0x15, 0), (0x16, 0x80), (0x20, 0x80)]
        {
            assert_eq!(bench.raw(0x06, 0x4f, &[1, payload]).await.0, code, "{payload:02x}h");
        }
        assert_eq!(bench.raw(0x06, 0x4f, &[1, 0]).await.1, [0x10]);
        assert_eq!(bench.raw(0x06, 0x50, &[1, 0x20, 0xf2, 0x1b, 0, 0, 0]).await.0, 0x80);
        for (cmd, good) in [(0x4e, &[2][..]), (0x4f, &[2, 0]), (0x50, &[2, 0x20, 0, 0, 0, 0, 0])] {
            assert_eq!(bench.raw(0x06, cmd, good).await.0, 0xcc, "{cmd:02x}h of no such channel");
            bad_lengths(&bench, 0x06, cmd, good, &[good.len()]).await;
        }
    }
}
