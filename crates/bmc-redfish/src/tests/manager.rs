//! The Manager: its clock, its network, its log, its resets.

use bmc_core::bmc::BmcReset;
use bmc_core::event::EventKind;
use bmc_core::request::{Request, SelRequest};
use bmc_core::settings::lan::AddressSource;
use serde_json::{Value, json};

use super::{Answer, Ask, Lab, lab};

fn manager(lab: &Lab) -> String {
    lab.system().replace("Systems", "Managers")
}

async fn patch(lab: &Lab, uri: &str, body: &Value) -> Answer {
    Ask::new("PATCH", uri).json(body).send(&lab.one).await
}

async fn post(lab: &Lab, uri: &str, body: &Value) -> Answer {
    Ask::new("POST", uri).json(body).send(&lab.one).await
}

/// Sends each body and checks that nothing changed and that the first message is this one about that property.
async fn refused(lab: &Lab, uri: &str, rows: &[(Value, &str, &str)]) {
    let before = lab.machine.snapshot();
    for (body, message, property) in rows {
        let answer = patch(lab, uri, body).await;
        assert_eq!(answer.status, 400, "{body}");
        let info = &answer.json()["error"]["@Message.ExtendedInfo"][0];
        let id = info["MessageId"].as_str().unwrap();
        assert!(id.ends_with(&format!(".{message}")), "{body}: {info}");
        assert_eq!(info["RelatedProperties"][0], format!("#{property}"), "{body}");
    }
    assert_eq!(lab.machine.snapshot().settings, before.settings);
}

#[tokio::test]
async fn the_clock_is_that_of_the_event_log() {
    let lab = lab().await;
    let uri = manager(&lab);
    let shown = lab.get(&uri).await.json();
    assert!(shown["DateTime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(shown["DateTimeLocalOffset"], "+00:00");
    assert!(shown["LastResetTime"].is_string());
    let body = json!({"DateTime": "2031-05-06T07:08:09+02:00", "DateTimeLocalOffset": "+01:00"});
    assert_eq!(patch(&lab, &uri, &body).await.status, 204);
    let snapshot = lab.machine.snapshot();
    assert_eq!(snapshot.sel.state().utc_offset, Some(60));
    let shown = lab.get(&uri).await.json();
    let time: jiff::Timestamp = shown["DateTime"].as_str().unwrap().parse().unwrap();
    let set: jiff::Timestamp = "2031-05-06T05:08:09Z".parse().unwrap();
    assert!((0..600).contains(&(time.as_second() - set.as_second())), "{shown}");
    assert!(shown["DateTime"].as_str().unwrap().starts_with("2031-05-06T06:"), "local time");
    // Another offset is another way to tell the same moment.
    assert_eq!(patch(&lab, &uri, &json!({"DateTimeLocalOffset": "-03:30"})).await.status, 204);
    let shown = lab.get(&uri).await.json();
    let later: jiff::Timestamp = shown["DateTime"].as_str().unwrap().parse().unwrap();
    assert!((0..600).contains(&(later.as_second() - time.as_second())), "{shown}");
    // IPMI sets it too.
    lab.machine.request(Request::Sel(SelRequest::SetUtcOffset(None))).await.unwrap();
    lab.machine.request(Request::Sel(SelRequest::SetTime(1_000_000_000))).await.unwrap();
    let shown = lab.get(&uri).await.json();
    assert!(shown["DateTime"].as_str().unwrap().starts_with("2001-09-09T01:"), "{shown}");
    let log = lab.get(&format!("{}/LogServices/SEL", lab.system())).await.json();
    assert_eq!(log["DateTime"].as_str().unwrap()[..13], shown["DateTime"].as_str().unwrap()[..13]);
}

#[tokio::test]
async fn a_clock_that_runs_does_not_make_a_tag_stale() {
    let lab = lab().await;
    let uri = manager(&lab);
    let tag = lab.get(&uri).await.headers["etag"].to_str().unwrap().to_owned();
    lab.machine.request(Request::Sel(SelRequest::SetTime(1_000_000_000))).await.unwrap();
    let ask = Ask::new("PATCH", &uri).header("if-match", &tag);
    let answer = ask.json(&json!({"DateTime": "2031-05-06T07:08:09Z"})).send(&lab.one).await;
    assert_eq!(answer.status, 204);
    let ask = Ask::new("PATCH", &uri).header("if-match", "\"0\"");
    assert_eq!(ask.json(&json!({"DateTimeLocalOffset": "+02:00"})).send(&lab.one).await.status, 412);
}

#[tokio::test]
async fn what_the_manager_cannot_take_is_refused() {
    let lab = lab().await;
    let long = "x".repeat(100);
    let rows = [
        (json!({"DateTime": 5}), "PropertyValueTypeError", "/DateTime"),
        (json!({"DateTime": null}), "PropertyValueTypeError", "/DateTime"),
        (json!({"DateTime": "yesterday"}), "PropertyValueFormatError", "/DateTime"),
        (json!({"DateTime": "2031-05-06T07:08:09"}), "PropertyValueFormatError", "/DateTime"),
        (json!({"DateTime": "1960-01-01T00:00:00Z"}), "PropertyValueOutOfRange", "/DateTime"),
        (json!({"DateTime": "2107-01-01T00:00:00Z"}), "PropertyValueOutOfRange", "/DateTime"),
        (json!({"DateTimeLocalOffset": true}), "PropertyValueTypeError", "/DateTimeLocalOffset"),
        (json!({"DateTimeLocalOffset": "+25:00"}), "PropertyValueFormatError", "/DateTimeLocalOffset"),
        (json!({"ServiceIdentification": 1}), "PropertyValueTypeError", "/ServiceIdentification"),
        (json!({"ServiceIdentification": long}), "StringValueTooLong", "/ServiceIdentification"),
        (json!({"ServiceIdentification": "\u{7}"}), "PropertyValueFormatError", "/ServiceIdentification"),
        (json!({"SerialConsole": true}), "PropertyValueTypeError", "/SerialConsole"),
        (
            json!({"SerialConsole": {"ServiceEnabled": 1}}),
            "PropertyValueTypeError",
            "/SerialConsole/ServiceEnabled",
        ),
        (
            json!({"SerialConsole": {"MaxConcurrentSessions": 2}}),
            "PropertyNotWritable",
            "/SerialConsole/MaxConcurrentSessions",
        ),
        (json!({"SerialConsole": {"Colour": 2}}), "PropertyUnknown", "/SerialConsole/Colour"),
        (json!({"LocationIndicatorActive": "on"}), "PropertyValueTypeError", "/LocationIndicatorActive"),
        (json!({"FirmwareVersion": "9"}), "PropertyNotWritable", "/FirmwareVersion"),
        (json!({"AssetTag": "a"}), "PropertyUnknown", "/AssetTag"),
    ];
    refused(&lab, &manager(&lab), &rows).await;
}

#[tokio::test]
async fn what_the_manager_takes_is_shown() {
    let lab = lab().await;
    let uri = manager(&lab);
    let body = json!({"ServiceIdentification": "rack 7", "SerialConsole": {"ServiceEnabled": false}, "LocationIndicatorActive": true});
    assert_eq!(patch(&lab, &uri, &body).await.status, 204);
    let shown = lab.get(&uri).await.json();
    assert_eq!(shown["ServiceIdentification"], "rack 7");
    assert_eq!(
        (&shown["SerialConsole"]["ServiceEnabled"], &shown["LocationIndicatorActive"]),
        (&false.into(), &true.into())
    );
    assert!(!lab.machine.snapshot().settings.sol.enabled, "IPMI's SOL parameter 1");
    assert_eq!(lab.get(&lab.system()).await.json()["SerialConsole"]["IPMI"]["ServiceEnabled"], false);
}

#[tokio::test]
async fn the_lan_parameters_are_those_of_ipmi() {
    let lab = lab().await;
    let uri = format!("{}/EthernetInterfaces/LAN", manager(&lab));
    let body = json!({
        "IPv4StaticAddresses": [{"Address": "192.0.2.7", "SubnetMask": "255.255.255.0", "Gateway": "192.0.2.1"}],
        "MACAddress": "52-54-00-AA-BB-CC",
        "HostName": "bmc-7",
        "VLAN": {"VLANEnable": true, "VLANId": 42, "VLANPriority": 3},
    });
    assert_eq!(patch(&lab, &uri, &body).await.status, 204);
    let snapshot = lab.machine.snapshot();
    let lan = &snapshot.settings.lan;
    assert_eq!(lan.address.map(|address| address.octets()), Some([192, 0, 2, 7]));
    assert_eq!((lan.vlan_enabled, lan.vlan_id, lan.vlan_priority), (true, 42, 3));
    assert_eq!(lan.mac, Some([0x52, 0x54, 0, 0xaa, 0xbb, 0xcc]));
    assert_eq!(snapshot.settings.dcmi.controller_id.as_deref(), Some(&b"bmc-7"[..]));
    let shown = lab.get(&uri).await.json();
    assert_eq!(shown["IPv4Addresses"][0]["AddressOrigin"], "Static");
    assert_eq!(shown["IPv4StaticAddresses"], body["IPv4StaticAddresses"]);
    assert_eq!((&shown["MACAddress"], &shown["VLAN"]["VLANId"]), (&"52:54:00:aa:bb:cc".into(), &42.into()));
    assert_ne!(shown["PermanentMACAddress"], shown["MACAddress"]);
    assert_eq!(lab.get(&format!("{}/NetworkProtocol", manager(&lab))).await.json()["HostName"], "bmc-7");
    // One part alone leaves the others.
    let body = json!({"IPv4StaticAddresses": [{"Gateway": "192.0.2.254"}], "VLAN": {"VLANEnable": false}});
    assert_eq!(patch(&lab, &uri, &body).await.status, 204);
    let shown = lab.get(&uri).await.json();
    assert_eq!(shown["IPv4Addresses"][0]["Address"], "192.0.2.7");
    assert_eq!(shown["IPv4Addresses"][0]["Gateway"], "192.0.2.254");
    assert_eq!(patch(&lab, &uri, &json!({"DHCPv4": {"DHCPEnabled": true}})).await.status, 204);
    assert_eq!(lab.machine.snapshot().settings.lan.address_source, AddressSource::Dhcp);
    assert_eq!(lab.get(&uri).await.json()["IPv4Addresses"][0]["AddressOrigin"], "DHCP");
    assert_eq!(patch(&lab, &uri, &json!({"DHCPv4": {"DHCPEnabled": false}})).await.status, 204);
    assert_eq!(lab.machine.snapshot().settings.lan.address_source, AddressSource::Static);
}

#[tokio::test]
async fn lan_parameters_that_cannot_be_are_refused() {
    let lab = lab().await;
    let uri = format!("{}/EthernetInterfaces/LAN", manager(&lab));
    let long = "x".repeat(64);
    let address = |part: &str, value: Value| json!({"IPv4StaticAddresses": [{part: value}]});
    let rows = [
        (json!({"IPv4StaticAddresses": {}}), "PropertyValueTypeError", "/IPv4StaticAddresses"),
        (json!({"IPv4StaticAddresses": []}), "PropertyValueOutOfRange", "/IPv4StaticAddresses"),
        (json!({"IPv4StaticAddresses": [null]}), "PropertyValueTypeError", "/IPv4StaticAddresses/0"),
        (json!({"IPv4StaticAddresses": [{}, {}]}), "PropertyValueOutOfRange", "/IPv4StaticAddresses"),
        (
            address("Address", json!("300.1.1.1")),
            "PropertyValueFormatError",
            "/IPv4StaticAddresses/0/Address",
        ),
        (address("Address", json!(7)), "PropertyValueTypeError", "/IPv4StaticAddresses/0/Address"),
        (
            address("SubnetMask", json!("255.0.255.0")),
            "PropertyValueFormatError",
            "/IPv4StaticAddresses/0/SubnetMask",
        ),
        (address("Gateway", json!("::1")), "PropertyValueFormatError", "/IPv4StaticAddresses/0/Gateway"),
        (address("Colour", json!("red")), "PropertyUnknown", "/IPv4StaticAddresses/0/Colour"),
        (json!({"MACAddress": "52:54"}), "PropertyValueFormatError", "/MACAddress"),
        (json!({"MACAddress": "01:00:5e:00:00:01"}), "PropertyValueFormatError", "/MACAddress"),
        (json!({"MACAddress": null}), "PropertyValueTypeError", "/MACAddress"),
        (json!({"HostName": long}), "StringValueTooLong", "/HostName"),
        (json!({"HostName": "-a"}), "PropertyValueFormatError", "/HostName"),
        (json!({"HostName": ""}), "PropertyValueFormatError", "/HostName"),
        (json!({"HostName": 1}), "PropertyValueTypeError", "/HostName"),
        (json!({"VLAN": {"VLANId": 4095}}), "PropertyValueOutOfRange", "/VLAN/VLANId"),
        (json!({"VLAN": {"VLANId": "7"}}), "PropertyValueTypeError", "/VLAN/VLANId"),
        (json!({"VLAN": {"VLANPriority": -1}}), "PropertyValueOutOfRange", "/VLAN/VLANPriority"),
        (json!({"VLAN": {"VLANEnable": 1}}), "PropertyValueTypeError", "/VLAN/VLANEnable"),
        (json!({"VLAN": {"VLANEnable": true}}), "PropertyValueConflict", "/VLAN/VLANEnable"),
        (json!({"VLAN": 1}), "PropertyValueTypeError", "/VLAN"),
        (json!({"DHCPv4": {"DHCPEnabled": "yes"}}), "PropertyValueTypeError", "/DHCPv4/DHCPEnabled"),
        (json!({"DHCPv4": {"UseNTPServers": true}}), "PropertyUnknown", "/DHCPv4/UseNTPServers"),
        (
            json!({"DHCPv4": {"DHCPEnabled": true}, "IPv4StaticAddresses": [{"Address": "192.0.2.1"}]}),
            "PropertyValueConflict",
            "/DHCPv4/DHCPEnabled",
        ),
        (json!({"InterfaceEnabled": false}), "PropertyNotWritable", "/InterfaceEnabled"),
        (json!({"SpeedMbps": 10}), "PropertyNotWritable", "/SpeedMbps"),
    ];
    refused(&lab, &uri, &rows).await;
    let answer = patch(&lab, &uri.replace("LAN", "eth0"), &json!({"HostName": "a"})).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn protocols_are_switched_where_they_can_be() {
    let lab = lab().await;
    let uri = format!("{}/NetworkProtocol", manager(&lab));
    let shown = lab.get(&uri).await.json();
    assert_eq!(
        (&shown["IPMI"]["ProtocolEnabled"], &shown["SSDP"]["ProtocolEnabled"]),
        (&true.into(), &false.into())
    );
    let certificates = json!({"@odata.id": format!("{uri}/HTTPS/Certificates")});
    let https = json!({"ProtocolEnabled": false, "Port": null, "Certificates": certificates});
    assert_eq!(shown["HTTPS"], https, "nobody listens");
    let body = json!({"IPMI": {"ProtocolEnabled": false}, "NTP": {"ProtocolEnabled": true, "NTPServers": ["ntp.example", null, "192.0.2.1"]}});
    assert_eq!(patch(&lab, &uri, &body).await.status, 204);
    let shown = lab.get(&uri).await.json();
    assert_eq!(shown["IPMI"]["ProtocolEnabled"], false);
    assert_eq!(shown["NTP"]["NTPServers"], json!(["ntp.example", "192.0.2.1"]));
    assert_eq!(patch(&lab, &uri, &json!({"NTP": {"NTPServers": [{}, null]}})).await.status, 204);
    assert_eq!(lab.get(&uri).await.json()["NTP"]["NTPServers"], json!(["ntp.example"]));
    assert_eq!(lab.get(&manager(&lab)).await.json()["DateTimeSource"], "NTP");
    let long = "x".repeat(256);
    let rows = [
        (json!({"IPMI": {"ProtocolEnabled": "no"}}), "PropertyValueTypeError", "/IPMI/ProtocolEnabled"),
        (json!({"IPMI": {"ProtocolEnabled": null}}), "PropertyValueTypeError", "/IPMI/ProtocolEnabled"),
        (json!({"IPMI": {"Port": 6230}}), "PropertyNotWritable", "/IPMI/Port"),
        (json!({"IPMI": 1}), "PropertyValueTypeError", "/IPMI"),
        (json!({"HTTPS": {"ProtocolEnabled": true}}), "PropertyNotWritable", "/HTTPS/ProtocolEnabled"),
        (json!({"SSDP": {"ProtocolEnabled": true}}), "PropertyNotWritable", "/SSDP/ProtocolEnabled"),
        (json!({"SSDP": {"NotifyTTL": 2}}), "PropertyUnknown", "/SSDP/NotifyTTL"),
        (json!({"NTP": {"NTPServers": "a"}}), "PropertyValueTypeError", "/NTP/NTPServers"),
        (json!({"NTP": {"NTPServers": [1]}}), "PropertyValueTypeError", "/NTP/NTPServers/0"),
        (json!({"NTP": {"NTPServers": ["a b"]}}), "PropertyValueFormatError", "/NTP/NTPServers/0"),
        (json!({"NTP": {"NTPServers": [long]}}), "StringValueTooLong", "/NTP/NTPServers/0"),
        (
            json!({"NTP": {"NTPServers": ["a", "b", "c", "d", "e"]}}),
            "PropertyValueOutOfRange",
            "/NTP/NTPServers",
        ),
        (json!({"HostName": "a"}), "PropertyNotWritable", "/HostName"),
        (json!({"SSH": {"ProtocolEnabled": true}}), "PropertyUnknown", "/SSH"),
        (json!({"Status": {"State": "Disabled"}}), "PropertyNotWritable", "/Status"),
    ];
    refused(&lab, &uri, &rows).await;
}

#[tokio::test]
async fn the_serial_interface_has_ipmis_bit_rate() {
    let lab = lab().await;
    let uri = format!("{}/SerialInterfaces/SOL", manager(&lab));
    assert_eq!(lab.get(&uri).await.json()["BitRate"], "115200");
    assert_eq!(patch(&lab, &uri, &json!({"BitRate": "9600", "InterfaceEnabled": false})).await.status, 204);
    let sol = lab.machine.snapshot().settings.sol.clone();
    assert_eq!((sol.bit_rate, sol.enabled), (6, false));
    let rows = [
        (json!({"BitRate": 9600}), "PropertyValueTypeError", "/BitRate"),
        (json!({"BitRate": "300"}), "PropertyValueNotInList", "/BitRate"),
        (json!({"InterfaceEnabled": null}), "PropertyValueTypeError", "/InterfaceEnabled"),
        (json!({"SignalType": "Rs485"}), "PropertyNotWritable", "/SignalType"),
        (json!({"Parity": "Odd"}), "PropertyUnknown", "/Parity"),
    ];
    refused(&lab, &uri, &rows).await;
}

async fn log_in(lab: &Lab) -> (String, String) {
    let body = json!({"UserName": "admin", "Password": "password"});
    let ask = Ask::anonymous("POST", "/redfish/v1/SessionService/Sessions").json(&body);
    let answer = ask.send(&lab.one).await;
    assert_eq!(answer.status, 201);
    let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
    (header("x-auth-token"), header("location"))
}

#[tokio::test]
async fn a_reset_ends_the_sessions_and_leaves_the_machine() {
    let lab = lab().await;
    let reset = format!("{}/Actions/Manager.Reset", manager(&lab));
    for (body, resets) in [
        (json!({}), (1, 0)),
        (json!({"ResetType": "GracefulRestart"}), (2, 0)),
        (json!({"ResetType": "ForceRestart"}), (3, 1)),
    ] {
        let (token, session) = log_in(&lab).await;
        let ask = Ask::anonymous("POST", &reset).header("x-auth-token", &token);
        assert_eq!(ask.json(&body).send(&lab.one).await.status, 204);
        let bmc = lab.machine.snapshot().bmc;
        assert_eq!((bmc.resets, bmc.cold_resets), resets);
        let ask = Ask::anonymous("GET", &session).header("x-auth-token", &token);
        assert_eq!(ask.send(&lab.one).await.status, 401, "the session has ended");
    }
    // IPMI's reset is the same; a session that is opened behind it lives.
    lab.machine.request(Request::ResetBmc(BmcReset::Warm)).await.unwrap();
    let (token, session) = log_in(&lab).await;
    let ask = Ask::anonymous("GET", &session).header("x-auth-token", &token);
    assert_eq!(ask.send(&lab.one).await.status, 200);
    let (events, _) = lab.fleet.events().follow(0);
    let resets = events.iter().filter(|event| matches!(event.kind, EventKind::BmcReset { .. }));
    assert_eq!(resets.count(), 4);
    assert_eq!(lab.machine.snapshot().last_reset_time, None, "the machine is left alone");
    for (body, message) in [
        (json!({"ResetType": "On"}), "ActionParameterValueNotInList"),
        (json!({"ResetType": 1}), "ActionParameterValueTypeError"),
        (json!({"Reset": "On"}), "ActionParameterUnknown"),
    ] {
        let answer = post(&lab, &reset, &body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.json()["error"]["code"].as_str().unwrap().ends_with(message), "{body}");
    }
}

#[tokio::test]
async fn defaults_come_back_as_far_as_is_asked() {
    let lab = lab().await;
    let reset = format!("{}/Actions/Manager.ResetToDefaults", manager(&lab));
    let ethernet = format!("{}/EthernetInterfaces/LAN", manager(&lab));
    let change = async || {
        assert_eq!(
            patch(&lab, &ethernet, &json!({"HostName": "kept", "MACAddress": "02:00:00:00:00:01"}))
                .await
                .status,
            204
        );
        let body = json!({"SerialConsole": {"ServiceEnabled": false}});
        assert_eq!(patch(&lab, &manager(&lab), &body).await.status, 204);
        let edit = bmc_core::settings::Edit::new(|edit| {
            edit.accounts.set_name(3, "guest").map_err(|_| bmc_core::error::RequestError::Conflict)
        });
        lab.machine.request(Request::Edit(edit)).await.unwrap();
    };
    for (kind, network, users) in [
        ("PreserveNetworkAndUsers", true, true),
        ("PreserveNetwork", true, false),
        ("ResetAll", false, false),
    ] {
        change().await;
        assert_eq!(post(&lab, &reset, &json!({"ResetType": kind})).await.status, 204, "{kind}");
        let snapshot = lab.machine.snapshot();
        assert!(snapshot.settings.sol.enabled, "{kind}");
        assert_eq!(snapshot.settings.lan.mac.is_some(), network, "{kind}");
        assert_eq!(snapshot.settings.dcmi.controller_id.is_some(), network, "{kind}");
        assert_eq!(snapshot.accounts.get(3).is_ok_and(|user| user.name == "guest"), users, "{kind}");
    }
    assert_eq!(post(&lab, &reset, &json!({})).await.status, 400);
    assert_eq!(post(&lab, &reset, &json!({"ResetType": "Everything"})).await.status, 400);
}

#[tokio::test]
async fn a_reset_to_defaults_ends_subscriptions_and_takes_back_what_redfish_alone_sets() {
    let lab = lab().await;
    let service = "/redfish/v1/EventService";
    let body = json!({"Destination": "http://127.0.0.1:9/", "Protocol": "Redfish"});
    assert_eq!(post(&lab, &format!("{service}/Subscriptions"), &body).await.status, 201);
    assert_eq!(patch(&lab, service, &json!({"DeliveryRetryAttempts": 7})).await.status, 204);
    assert_eq!(patch(&lab, "/redfish/v1/SessionService", &json!({"SessionTimeout": 77})).await.status, 204);
    let body = json!({"ServiceIdentification": "rack 7", "DateTimeLocalOffset": "+05:00"});
    assert_eq!(patch(&lab, &manager(&lab), &body).await.status, 204);
    let edit = bmc_core::settings::Edit::new(|edit| {
        edit.settings.set_bios_version("9.9");
        Ok(())
    });
    lab.machine.request(Request::Edit(edit)).await.unwrap();
    // Through the root over all BMCs, which has subscriptions of its own.
    let body = json!({"Destination": "http://127.0.0.1:9/", "Protocol": "Redfish"});
    let ask = Ask::new("POST", &format!("{service}/Subscriptions")).json(&body);
    assert_eq!(ask.send(&lab.all).await.status, 201);
    let reset = format!("{}/Actions/Manager.ResetToDefaults", manager(&lab));
    let ask = Ask::new("POST", &reset).json(&json!({"ResetType": "PreserveNetworkAndUsers"}));
    assert_eq!(ask.send(&lab.all).await.status, 204);
    let shown = lab.get(&format!("{service}/Subscriptions")).await.json();
    assert_eq!(shown["Members@odata.count"], 0);
    assert_eq!(lab.get(service).await.json()["DeliveryRetryAttempts"], 3);
    assert_ne!(lab.get("/redfish/v1/SessionService").await.json()["SessionTimeout"], 77);
    let others = Ask::get(&format!("{service}/Subscriptions")).send(&lab.all).await.json();
    assert_eq!(others["Members@odata.count"], 1);
    let shown = lab.get(&manager(&lab)).await.json();
    assert_eq!(
        (&shown["ServiceIdentification"], &shown["DateTimeLocalOffset"]),
        (&"".into(), &"+00:00".into())
    );
    assert_eq!(lab.get(&lab.system()).await.json()["BiosVersion"], "9.9");
    // A service that begins anew does not take up what does not count any more.
    let scope = crate::scope::Scope::One { fleet: lab.fleet.clone(), machine: lab.machine.clone() };
    let again = crate::service::Service::new(scope, crate::config::RedfishConfig::default());
    again.events.load().await;
    assert!(again.events.kept().subscriptions.is_empty());
}

#[tokio::test]
async fn another_offset_moves_no_entry_of_the_event_log() {
    let lab = lab().await;
    let entries = format!("{}/LogServices/SEL/Entries", lab.system());
    let log = async || {
        let body = bmc_core::sel::BMC_GENERATOR;
        let event = ipmi_wire::record::sel::EventMessage {
            revision: 4,
            sensor_type: 1,
            sensor_number: 1,
            deasserted: false,
            event_type: 0x6f,
            data: [0, 0xff, 0xff],
        };
        lab.machine.request(Request::Sel(SelRequest::Event { generator: body, event })).await.unwrap();
    };
    let moments = async || -> Vec<(String, i64)> {
        let shown = lab.get(&entries).await.json();
        let members = shown["Members"].as_array().unwrap().iter();
        let moment = |member: &Value| {
            let text = member["Created"].as_str().unwrap().to_owned();
            assert_eq!(member["EventTimestamp"], text);
            let at = text.parse::<jiff::Timestamp>().unwrap().as_second();
            (text, at)
        };
        members.map(moment).collect()
    };
    log().await;
    let first = moments().await;
    let body = json!({"DateTimeLocalOffset": "+05:30"});
    assert_eq!(patch(&lab, &manager(&lab), &body).await.status, 204);
    let shown = moments().await;
    assert!(shown[0].0.ends_with("+05:30"), "{shown:?}");
    assert_eq!(shown[0].1, first[0].1, "the same moment");
    log().await;
    // As IPMI sets it: the time first, then by how much it is ahead.
    let second = moments().await[1].1;
    assert!((0..600).contains(&(second - first[0].1)), "{second}");
    lab.machine.request(Request::Sel(SelRequest::SetUtcOffset(Some(-60)))).await.unwrap();
    let shown = moments().await;
    assert!(shown.iter().all(|(text, _)| text.ends_with("-01:00")), "{shown:?}");
    assert_eq!((shown[0].1, shown[1].1), (first[0].1, second));
    // What Redfish cannot write as an offset is told in UTC.
    lab.machine.request(Request::Sel(SelRequest::SetUtcOffset(Some(1_440)))).await.unwrap();
    let shown = moments().await;
    assert!(shown.iter().all(|(text, _)| text.ends_with('Z')), "{shown:?}");
    assert_eq!((shown[0].1, shown[1].1), (first[0].1, second));
}

#[tokio::test]
async fn the_log_tells_what_happened_until_it_is_cleared() {
    let lab = lab().await;
    lab.reset("On").await;
    lab.until_power(bmc_core::power::PowerState::On).await;
    let log = format!("{}/LogServices/Events", manager(&lab));
    let entries = format!("{log}/Entries");
    let all = lab.get(&entries).await.json();
    let mut messages = Vec::new();
    for member in all["Members"].as_array().unwrap() {
        let entry = lab.get(member["@odata.id"].as_str().unwrap()).await.json();
        assert_eq!(entry["Links"]["OriginOfCondition"]["@odata.id"], lab.system());
        assert_eq!(entry["Message"], member["Message"], "the collection has its members whole");
        assert!(entry["MessageId"].is_string(), "{entry:#}");
        messages.push(entry["Description"].as_str().unwrap().to_owned());
    }
    assert!(messages.iter().any(|message| message.starts_with("Powered on")), "{messages:?}");
    let clear = format!("{log}/Actions/LogService.ClearLog");
    assert_eq!(post(&lab, &clear, &json!({"Colour": 1})).await.status, 400);
    assert_eq!(post(&lab, &clear, &json!({})).await.status, 204);
    assert_eq!(lab.get(&entries).await.json()["Members@odata.count"], 0);
    assert_eq!(lab.get(all["Members"][0]["@odata.id"].as_str().unwrap()).await.status, 404);
    post(&lab, &format!("{}/Actions/Manager.Reset", manager(&lab)), &json!({})).await;
    let entry = lab.get(&entries).await.json()["Members"][0]["@odata.id"].as_str().unwrap().to_owned();
    let entry = lab.get(&entry).await.json();
    assert_eq!(entry["Description"], "BMC reset (warm).");
    assert_eq!(entry["Links"]["OriginOfCondition"]["@odata.id"], manager(&lab));
}
