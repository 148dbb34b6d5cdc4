//! Channels: the LAN channel and, for machines that have one, the system interface; Get Channel Info knows the IPMB, too.

use bmc_core::account::Account;
use bmc_core::system_interface::SystemInterfaceKind;
use ipmi_wire::CompletionCode;
use ipmi_wire::cipher::CipherSuite;
use ipmi_wire::command::channel::{
    AuthTypes, ChannelAuthCapabilities, ChannelCipherSuites, ChannelInfo, GetChannelAuthCapabilities,
    GetChannelCipherSuites, GetChannelInfo, PRESENT_CHANNEL, SessionSupport, SessionVersions,
};
use ipmi_wire::session::v15::AuthType;

use crate::server::may_log_in;
use crate::system_interface::SYSTEM_INTERFACE_CHANNEL;
use crate::table::{Access, Answer, Entry, Read, USER};
use crate::{Context, LanChannel};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/channel.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::read::<GetChannelAuthCapabilities>(Access::Anybody, "22.13", (TESTS, "auth_capabilities")),
    Entry::read::<GetChannelInfo>(USER, "22.24", (TESTS, "info")),
    Entry::read::<GetChannelCipherSuites>(Access::Anybody, "22.15", (TESTS, "cipher_suites")),
];

/// The payload type of IPMI messages.
const PAYLOAD_IPMI: u8 = 0;
/// That of Serial over LAN, which goes over the same sessions.
const PAYLOAD_SOL: u8 = 1;

/// The LAN channel if that is what `channel` names; `CCh` for all others. "This channel" means it over the system interface too: what is
/// asked about users and sessions can only be about the channel that has them.
pub(crate) fn lan(context: &Context, channel: u8) -> Answer<&LanChannel> {
    let number = if channel == PRESENT_CHANNEL { context.lan.number } else { channel };
    if number == context.lan.number { Ok(&context.lan) } else { Err(CompletionCode::INVALID_DATA_FIELD) }
}

impl Read for GetChannelAuthCapabilities {
    fn answer(self, context: &Context) -> Answer<ChannelAuthCapabilities> {
        let lan = lan(context, self.channel)?;
        let snapshot = context.bmc.snapshot();
        let any = |wanted: fn(&Account) -> bool| {
            snapshot.accounts.iter().any(|user| may_log_in(user, lan.loopback) && wanted(user))
        };
        let offers = |auth_type| {
            lan.ipmi15_auth
                .iter()
                .any(|policy| policy.auth_type == auth_type && policy.allows(self.privilege))
        };
        let ipmi15 = !lan.ipmi15_auth.is_empty();
        Ok(ChannelAuthCapabilities {
            channel: lan.number,
            types: AuthTypes {
                none: offers(AuthType::None),
                md2: offers(AuthType::Md2),
                md5: offers(AuthType::Md5),
                password: offers(AuthType::Password),
                oem: false,
            },
            // A field of IPMI 2.0, zero in the answer to those who do not ask for it.
            kg_set: self.extended && lan.kg.is_some(),
            per_message_auth_disabled: !lan.per_message_auth,
            // Commands of User level are authenticated as all others.
            user_level_auth_disabled: false,
            named_users: any(|user| !user.name.is_empty()),
            null_users: any(|user| user.name.is_empty() && !user.password.expose().is_empty()),
            anonymous_login: any(|user| user.name.is_empty() && user.password.expose().is_empty()),
            extended: self.extended.then_some(SessionVersions { ipmi20: true, ipmi15 }),
            oem_id: 0,
            oem_aux: 0,
        })
    }
}

impl Read for GetChannelCipherSuites {
    fn answer(self, context: &Context) -> Answer<ChannelCipherSuites> {
        let lan = lan(context, self.channel)?;
        if ![PAYLOAD_IPMI, PAYLOAD_SOL].contains(&self.payload_type) {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        let suites: Vec<CipherSuite> = lan.suites.iter().map(|policy| policy.suite).collect();
        let list = if self.by_suite {
            suites.iter().flat_map(|suite| suite.record()).collect()
        } else {
            algorithms(&suites)
        };
        Ok(ChannelCipherSuites::piece_of(lan.number, &list, self.list_index))
    }
}

/// The algorithms of all suites with their tag bits, each once, by kind.
fn algorithms(suites: &[CipherSuite]) -> Vec<u8> {
    let mut list: Vec<u8> = suites
        .iter()
        .flat_map(|suite| {
            let [_, _, auth, integrity, confidentiality] = suite.record();
            [auth, integrity, confidentiality]
        })
        .collect();
    // The tag bits make the kinds sort one after the other.
    list.sort_unstable();
    list.dedup();
    list
}

/// The primary IPMB, which every BMC has (IPMI 2.0 table 6-1). Nothing else is on this one.
const IPMB: u8 = 0;

impl Read for GetChannelInfo {
    fn answer(self, context: &Context) -> Answer<ChannelInfo> {
        if self.channel == IPMB {
            return Ok(ChannelInfo {
                channel: IPMB,
                medium: ChannelInfo::MEDIUM_IPMB,
                protocol: ChannelInfo::PROTOCOL_IPMB,
                session_support: SessionSupport::None,
                sessions_active: 0,
                vendor: ChannelInfo::VENDOR_IPMI,
                auxiliary: [0; 2],
            });
        }
        let number = if self.channel == PRESENT_CHANNEL { context.channel } else { self.channel };
        if let (SYSTEM_INTERFACE_CHANNEL, Some(kind)) =
            (number, context.bmc.of_interface(|interface| interface.kind))
        {
            return Ok(system_interface(kind));
        }
        let lan = lan(context, number)?;
        Ok(ChannelInfo {
            channel: lan.number,
            medium: ChannelInfo::MEDIUM_LAN,
            protocol: ChannelInfo::PROTOCOL_IPMB,
            session_support: SessionSupport::Multi,
            sessions_active: context.sessions_active,
            vendor: ChannelInfo::VENDOR_IPMI,
            auxiliary: [0; 2],
        })
    }
}

/// The channel of the system interface: without sessions, with an interrupt that the firmware's tables tell.
fn system_interface(kind: SystemInterfaceKind) -> ChannelInfo {
    ChannelInfo {
        channel: SYSTEM_INTERFACE_CHANNEL,
        medium: ChannelInfo::MEDIUM_SYSTEM_INTERFACE,
        protocol: match kind {
            SystemInterfaceKind::Kcs => ChannelInfo::PROTOCOL_KCS,
            SystemInterfaceKind::Bt => ChannelInfo::PROTOCOL_BT,
        },
        session_support: SessionSupport::None,
        sessions_active: 0,
        vendor: ChannelInfo::VENDOR_IPMI,
        auxiliary: [ChannelInfo::INTERRUPT_ASSIGNED; 2],
    }
}

#[cfg(test)]
mod tests {
    use ipmi_wire::command::Payload;

    use super::*;
    use crate::Caller;
    use crate::handlers::testing::{Bench, bad_lengths};

    #[tokio::test]
    async fn auth_capabilities() {
        let mut bench = Bench::new().await;
        bench.caller(Caller::Unauthenticated);
        assert_eq!(bench.raw(0x06, 0x38, &[0x8e, 0x04]).await, (0x00, vec![1, 0x80, 0x04, 0x02, 0, 0, 0, 0]));
        assert_eq!(bench.raw(0x06, 0x38, &[0x0e, 0x04]).await, (0x00, vec![1, 0x00, 0x04, 0x00, 0, 0, 0, 0]));
        for (data, code) in [([0x81, 4], 0x00), ([0x8f, 4], 0xcc), ([0x82, 4], 0xcc), ([0x8e, 0], 0xcc)] {
            assert_eq!(bench.raw(0x06, 0x38, &data).await.0, code, "{data:02x?}");
        }
        bad_lengths(&bench, 0x06, 0x38, &[0x8e, 4], &[2]).await;
    }

    #[tokio::test]
    async fn cipher_suites() {
        let mut bench = Bench::new().await;
        bench.caller(Caller::Unauthenticated);
        let suites = vec![1, 0xc0, 3, 1, 0x41, 0x81, 0xc0, 17, 3, 0x44, 0x81];
        assert_eq!(bench.raw(0x06, 0x54, &[0x0e, 0, 0x80]).await, (0, suites));
        assert_eq!(bench.raw(0x06, 0x54, &[0x0e, 0, 0x81]).await, (0, vec![1]));
        assert_eq!(bench.raw(0x06, 0x54, &[0x0e, 0, 0x00]).await, (0, vec![1, 1, 3, 0x41, 0x44, 0x81]));
        assert_eq!(bench.raw(0x06, 0x54, &[0x0e, 0x3f, 0x80]).await.0, 0xcc, "no such payload");
        assert_eq!(bench.raw(0x06, 0x54, &[0x05, 0, 0x80]).await.0, 0xcc, "no such channel");
        bad_lengths(&bench, 0x06, 0x54, &[0x0e, 0, 0x80], &[3]).await;
    }

    #[tokio::test]
    async fn info() {
        let bench = Bench::new().await;
        let info = bench.ask(GetChannelInfo { channel: PRESENT_CHANNEL }).await;
        assert_eq!(info.encode(), [1, 4, 1, 0x80 | bench.context.sessions_active, 0xf2, 0x1b, 0, 0, 0]);
        assert_eq!(bench.ask(GetChannelInfo { channel: 1 }).await, info);
        let ipmb = bench.ask(GetChannelInfo { channel: 0 }).await;
        assert_eq!(ipmb.encode(), [0, 1, 1, 0, 0xf2, 0x1b, 0, 0, 0], "IPMB, without sessions");
        for channel in [2, 7, 15] {
            assert_eq!(bench.raw(0x06, 0x42, &[channel]).await.0, 0xcc, "channel {channel}");
        }
        bad_lengths(&bench, 0x06, 0x42, &[1], &[1]).await;
    }
}
