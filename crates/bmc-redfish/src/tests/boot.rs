//! The boot override over Redfish, on a machine that really boots by it.

use bmc_core::boot::{BootEnabled, BootFlagsKept, BootOverride, BootTarget, FirmwareMode};
use bmc_core::event::EventKind;
use bmc_core::request::{Change, Request as CoreRequest};

use super::*;

fn boot(target: &str, enabled: &str) -> Value {
    json!({"Boot": {"BootSourceOverrideTarget": target, "BootSourceOverrideEnabled": enabled}})
}

async fn shown(lab: &Lab) -> (String, String) {
    let boot = &lab.get(&lab.system()).await.json()["Boot"];
    let text = |name: &str| boot[name].as_str().unwrap().to_owned();
    (text("BootSourceOverrideTarget"), text("BootSourceOverrideEnabled"))
}

fn pair(target: &str, enabled: &str) -> (String, String) {
    (target.to_owned(), enabled.to_owned())
}

/// What the machine boots from after a reset of this type.
async fn booted_after(lab: &Lab, kind: &str) -> String {
    let (_, mut events) = lab.fleet.events().follow(u64::MAX);
    assert_eq!(lab.reset(kind).await.status, 204);
    loop {
        if let EventKind::Booted { from } = events.recv().await.unwrap().kind {
            lab.until_power(PowerState::On).await;
            return from;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn once_holds_until_a_boot_has_used_it() {
    let lab = lab().await;
    assert_eq!(lab.patch(boot("Pxe", "Once")).await.status, 204);
    assert_eq!(shown(&lab).await, pair("Pxe", "Once"));
    assert!(booted_after(&lab, "On").await.starts_with("network"));
    assert_eq!(shown(&lab).await, pair("None", "Disabled"));
    assert!(booted_after(&lab, "ForceRestart").await.starts_with("disk"));
}

#[tokio::test(start_paused = true)]
async fn continuous_holds_until_it_is_cleared() {
    for clear in [
        json!({"Boot": {"BootSourceOverrideEnabled": "Disabled"}}),
        json!({"Boot": {"BootSourceOverrideTarget": "None"}}),
        boot("None", "Disabled"),
    ] {
        let lab = lab().await;
        lab.patch(boot("Pxe", "Continuous")).await;
        for _ in 0..2 {
            assert!(booted_after(&lab, "On").await.starts_with("network"));
            lab.reset("ForceOff").await;
        }
        assert_eq!(shown(&lab).await, pair("Pxe", "Continuous"));
        assert_eq!(lab.patch(clear).await.status, 204);
        assert_eq!(shown(&lab).await, pair("None", "Disabled"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_alone_means_the_next_boot() {
    let lab = lab().await;
    assert_eq!(lab.patch(json!({"Boot": {"BootSourceOverrideTarget": "Cd"}})).await.status, 204);
    assert_eq!(shown(&lab).await, pair("Cd", "Once"));
    let nothing = json!({"Boot": {"BootSourceOverrideTarget": "None"}});
    lab.patch(nothing).await;
    let answer = lab.patch(json!({"Boot": {"BootSourceOverrideEnabled": "Once"}})).await;
    answer.refused(400, &["PropertyValueConflict"]);
}

#[tokio::test(start_paused = true)]
async fn what_ipmi_set_reads_as_the_nearest_redfish_name() {
    let lab = lab().await;
    for target in BootTarget::ALL
        .into_iter()
        .filter(|target| *target != BootTarget::None && *target != BootTarget::Http)
    {
        let kept = BootFlagsKept { data3: 0x40, ..BootFlagsKept::default() };
        let record = BootOverride { target, enabled: BootEnabled::Once, kept, ..BootOverride::default() };
        let change = Change { boot: Some(record), ..Change::default() };
        lab.machine.request(CoreRequest::Change(Box::new(change))).await.unwrap();
        // The check against the schema, on the way, says that the name is one of Redfish's.
        assert_eq!(shown(&lab).await.0, crate::boot::target_name(target));
    }
}

#[tokio::test(start_paused = true)]
async fn the_mode_is_the_machines_and_switches_it() {
    let lab = lab().await;
    let mode = |mode: &str| json!({"Boot": {"BootSourceOverrideMode": mode}});
    assert_eq!(lab.patch(mode("Legacy")).await.status, 204, "as it is");
    assert_eq!(lab.machine.snapshot().info.as_ref().unwrap().firmware, FirmwareMode::Legacy);
    assert_eq!(lab.patch(mode("UEFI")).await.status, 204);
    assert_eq!(lab.machine.snapshot().info.as_ref().unwrap().firmware, FirmwareMode::Uefi);
    let boot = lab.get(&lab.system()).await.json()["Boot"].clone();
    assert_eq!(boot["BootSourceOverrideMode"], "UEFI");
    assert_eq!(boot["BootSourceOverrideEnabled"], "Disabled", "a mode alone sets no override");
    lab.patch(mode("Fast")).await.refused(400, &["PropertyValueNotInList"]);
}

#[tokio::test(start_paused = true)]
async fn what_sushy_sends_for_a_boot_from_http() {
    let config = SimConfig { firmware: FirmwareMode::Uefi, ..SimConfig::default() };
    let lab = Lab::with_sim(1, RedfishConfig::default(), config).await;
    let http = |uri: Value| json!({"Boot": {"BootSourceOverrideTarget": "UefiHttp", "BootSourceOverrideEnabled": "Once", "HttpBootUri": uri}});
    assert_eq!(lab.patch(http(json!("http://192.0.2.1/boot.efi"))).await.status, 204);
    assert_eq!(lab.get(&lab.system()).await.json()["Boot"]["HttpBootUri"], "http://192.0.2.1/boot.efi");
    assert_eq!(lab.patch(http(Value::Null)).await.status, 204);
    assert_eq!(lab.get(&lab.system()).await.json()["Boot"]["HttpBootUri"], Value::Null);
    for bad in ["ftp://x/y", "boot.efi", "http://", "http://a b/"] {
        lab.patch(http(json!(bad))).await.refused(400, &["PropertyValueFormatError"]);
    }
    let long = format!("http://x/{}", "y".repeat(1024));
    lab.patch(http(json!(long))).await.refused(400, &["StringValueTooLong"]);
    assert!(booted_after(&lab, "On").await.starts_with("http"));
}

#[tokio::test(start_paused = true)]
async fn a_machine_never_seen_offers_nothing_yet_and_its_boot_is_to_be_set_later() {
    let fleet = Fleet::open(Arc::new(MemoryStore::default()), Arc::new(SystemClock)).await.unwrap();
    let sim = SimBackend::new(SimConfig::default(), &Handle::current());
    sim.disconnect(bmc_core::error::BackendError::unavailable("gone from the start"));
    let setup = MachineSetup {
        name: "m0".to_owned(),
        machine: MachineRef { uuid: None, name: "vm0".to_owned() },
        administrator: ("admin".to_owned(), Secret::new("password")),
        power_policy: None,
        identity: None,
    };
    let machine = fleet.add(setup, Arc::new(sim)).await.unwrap();
    let service = Service::new(Scope::One { fleet, machine }, RedfishConfig::default());
    let router = router(Arc::new(service));
    let system = Ask::get("/redfish/v1/Systems/m0").send(&router).await.json();
    assert_eq!(system["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"], json!(["None"]));
    assert_eq!(system["Status"]["Health"], "Critical");
    let answer = Ask::new("PATCH", "/redfish/v1/Systems/m0").json(&boot("Pxe", "Once")).send(&router).await;
    answer.refused(503, &["ServiceTemporarilyUnavailable"]);
    assert_eq!(answer.header("retry-after"), "10");
    let tag = json!({"AssetTag": "x"});
    let answer = Ask::new("PATCH", "/redfish/v1/Systems/m0").json(&tag).send(&router).await;
    assert_eq!(answer.status, 204, "what the BMC itself keeps can be written");
}

#[tokio::test(start_paused = true)]
async fn valid_flags_of_ipmi_that_override_nothing_are_shown_as_disabled() {
    let lab = lab().await;
    let kept = BootFlagsKept { data2: 0x80, ..Default::default() };
    let enabled = BootEnabled::Once;
    let boot = BootOverride { enabled, kept, has_valid_bit: true, ..Default::default() };
    let change = Change { boot: Some(boot), ..Default::default() };
    lab.machine.request(CoreRequest::Change(Box::new(change))).await.unwrap();
    let shown = lab.get(&lab.system()).await.json()["Boot"].clone();
    assert_eq!(
        (&shown["BootSourceOverrideEnabled"], &shown["BootSourceOverrideTarget"]),
        (&json!("Disabled"), &json!("None"))
    );
}
