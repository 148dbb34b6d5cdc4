//! ipmi-rs against the daemon: a client written by others in Rust, whose decoders take our answers apart.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs and lacks fails it"
)]

use std::num::NonZeroU8;
use std::time::Duration;

use ipmi_rs::app::auth::{GetChannelAuthenticationCapabilities, PrivilegeLevel};
use ipmi_rs::app::{
    ChannelAccessType, ChannelMediumType, ChannelPrivilegeLevel, ChannelProtocolType, ChannelSessionSupport,
    GetChannelAccess, GetChannelInfo, GetDeviceId,
};
use ipmi_rs::connection::{
    Channel, ChannelNumber, CompletionErrorCode, IpmiConnection as _, LogicalUnit, Message, Request,
    RequestTargetAddress,
};
use ipmi_rs::rmcp::Rmcp;
use ipmi_rs::storage::sel::{
    Entry as SelEntry, EventDirection, EventMessageRevision, GetSelEntry, GetSelInfo, RecordId, SelCommand,
};
use ipmi_rs::{Ipmi, IpmiError};
use polybmc_tests::lab::{Lab, Node, PASSWORD, USER};

/// How long ipmi-rs waits for an answer; it does not repeat itself.
const ANSWER: Duration = Duration::from_secs(10);

fn login(node: &Node<'_>, user: &str, password: &str) -> Result<Ipmi<Rmcp>, String> {
    let mut rmcp = Rmcp::new(node.ipmi, ANSWER).unwrap();
    rmcp.activate(true, Some(user), Some(password.as_bytes())).map_err(|error| format!("{error:?}"))?;
    Ok(Ipmi::new(rmcp))
}

/// A command that ipmi-rs has no type for: completion code and data.
fn raw(ipmi: &mut Ipmi<Rmcp>, netfn: u8, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
    let message = Message::new_raw(netfn, cmd, data.to_vec());
    let mut request = Request::new(message, RequestTargetAddress::Bmc(LogicalUnit::Zero));
    let response = ipmi.inner_mut().send_recv(&mut request).unwrap();
    (response.cc(), response.data().to_vec())
}

#[test]
fn logs_in_and_decodes_the_device_id() {
    let lab = Lab::builder(1).start();
    let mut ipmi = login(&lab.node(0), USER, PASSWORD).unwrap();
    assert!(ipmi.inner_mut().is_active());
    let id = ipmi.send_recv(GetDeviceId).unwrap();
    assert_eq!((id.major_version, id.minor_version), (2, 0));
    assert_eq!((id.device_id, id.device_revision, id.device_available), (0x20, 1, true));
    assert!(id.chassis_support && id.fru_inventory_support);
    assert!(id.sel_device_support && id.sdr_repository_support && id.sensor_device_support);
    assert!(!id.provides_device_sdrs, "nothing is claimed that is not there");
    assert!(id.manufacturer_id != 0 && id.aux_revision.is_some());
}

#[test]
fn decodes_the_channel() {
    let lab = Lab::builder(1).start();
    let mut ipmi = login(&lab.node(0), USER, PASSWORD).unwrap();
    let lan = Channel::Numbered(ChannelNumber::new(NonZeroU8::MIN).unwrap());
    for channel in [Channel::Current, lan] {
        let info = ipmi.send_recv(GetChannelInfo::new(channel)).unwrap();
        assert_eq!(info.channel.value(), 1);
        assert_eq!(info.medium_type, ChannelMediumType::Lan802_3);
        assert_eq!(info.protocol_type, ChannelProtocolType::IpmbV1_0);
        assert_eq!(info.session_support, ChannelSessionSupport::MultiSession);
        let access = ipmi.send_recv(GetChannelAccess::new(channel, ChannelAccessType::Volatile)).unwrap();
        assert_eq!(access.privilege_level_limit, ChannelPrivilegeLevel::Administrator);
        let wanted = GetChannelAuthenticationCapabilities::new(channel, PrivilegeLevel::Administrator);
        let capabilities = ipmi.send_recv(wanted).unwrap();
        assert!(capabilities.ipmi2_connections_supported && !capabilities.ipmi15_connections_supported);
        assert!(capabilities.non_null_usernames_enabled && !capabilities.anonymous_login_enabled);
        assert!(!capabilities.kg_status);
    }
}

#[test]
fn switches_the_machine() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let mut ipmi = login(&node, USER, PASSWORD).unwrap();
    // ipmi-rs does not ask for more than the USER level at which every session begins.
    assert_eq!(raw(&mut ipmi, 0x00, 0x02, &[0x01]).0, 0xd4, "a USER may not switch");
    assert_eq!(raw(&mut ipmi, 0x06, 0x3b, &[0x04]), (0, vec![4]));
    let is_on = |ipmi: &mut Ipmi<Rmcp>| {
        let (code, status) = raw(ipmi, 0x00, 0x01, &[]);
        assert_eq!(code, 0);
        status[0] & 1 == 1
    };
    assert!(!is_on(&mut ipmi));
    assert_eq!(raw(&mut ipmi, 0x00, 0x02, &[0x03]).0, 0xd5, "a machine that is off cannot be reset");
    assert_eq!(raw(&mut ipmi, 0x00, 0x02, &[0x01]), (0, vec![]));
    node.await_power("on");
    assert!(is_on(&mut ipmi));
    assert_eq!(raw(&mut ipmi, 0x00, 0x02, &[0x00]), (0, vec![]));
    node.await_power("off");
    assert_eq!(raw(&mut ipmi, 0x00, 0x08, &[5, 0x80, 0x04, 0, 0, 0]), (0, vec![]));
    assert_eq!(raw(&mut ipmi, 0x00, 0x09, &[5, 0, 0]), (0, vec![1, 5, 0x80, 0x04, 0, 0, 0]));
}

#[test]
fn errors_arrive_as_errors() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    let mut ipmi = login(&node, USER, PASSWORD).unwrap();
    let absent = Channel::Numbered(ChannelNumber::new(NonZeroU8::new(5).unwrap()).unwrap());
    let error = ipmi.send_recv(GetChannelInfo::new(absent)).map(|_| ()).unwrap_err();
    let code = CompletionErrorCode::InvalidDataFieldInRequest;
    let refused = matches!(&error, IpmiError::Failed { completion_code, .. } if *completion_code == code);
    assert!(refused, "{error:?}");
    assert_eq!(raw(&mut ipmi, 0x06, 0x01, &[0]).0, 0xc7);

    let wrong = login(&node, USER, "wrong").map(|_| ()).unwrap_err();
    assert!(wrong.contains("ServerAuthenticationFailed"), "{wrong}");
    // It reads the fields behind an error's status, too, which the specification leaves out, and so cannot say which
    // error it was; but RAKP 2 is what it fails at, and not silence.
    let unknown = login(&node, "nobody", PASSWORD).map(|_| ()).unwrap_err();
    assert!(unknown.contains("RakpMessage2"), "{unknown}");
}

#[test]
fn decodes_the_event_log() {
    let lab = Lab::builder(1).start();
    let node = lab.node(0);
    // A power unit that failed to go off softly, and one that came back.
    node.ipmitool().args("raw 4 2 4 9 0x42 0x6f 5 0xff 0xff".split(' ')).ok();
    node.ipmitool().args("raw 4 2 4 9 0x42 0xef 0 0xff 0xff".split(' ')).ok();
    let mut ipmi = login(&node, USER, PASSWORD).unwrap();
    let info = ipmi.send_recv(GetSelInfo).unwrap();
    assert_eq!((info.version_maj, info.version_min, info.overflow), (1, 5, false));
    assert!(info.bytes_free > 0 && info.supported_cmds.contains(&SelCommand::Reserve));
    let mut found = Vec::new();
    let mut next = RecordId::FIRST;
    while !next.is_last() {
        let answer = ipmi.send_recv(GetSelEntry::new(None, next)).unwrap();
        next = answer.next_entry;
        let SelEntry::System {
            event_message_format,
            sensor_type,
            sensor_number,
            event_direction,
            event_type,
            ..
        } = answer.entry
        else {
            panic!("{answer:?}");
        };
        assert_eq!((event_message_format, event_type), (EventMessageRevision::V2_0, 0x6f));
        found.push((sensor_type, sensor_number, event_direction));
    }
    assert_eq!(found.len(), usize::from(info.entries));
    let ours: Vec<_> = found.iter().filter(|event| event.1 == 0x42).collect();
    assert_eq!(ours, [&(9, 0x42, EventDirection::Assert), &(9, 0x42, EventDirection::Deassert)]);
}
