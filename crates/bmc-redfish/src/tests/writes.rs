//! What a client changes: power, tags, lights, policies.

use bmc_core::event::EventKind;

use super::*;
use crate::resource::RESET_TYPES;

#[tokio::test(start_paused = true)]
async fn power_on_is_watched_from_off_to_on_and_back() {
    let lab = lab().await;
    assert_eq!(lab.reset("On").await.status, 204);
    assert_eq!(lab.get(&lab.system()).await.json()["PowerState"], "PoweringOn");
    lab.until_power(PowerState::On).await;
    let system = lab.get(&lab.system()).await.json();
    assert_eq!(system["PowerState"], "On");
    assert_eq!(system["Status"]["State"], "Enabled");
    assert_eq!(system["LastResetCause"], "ManagementCommand");
    assert!(system["LastResetTime"].as_str().unwrap().ends_with('Z'));

    assert_eq!(lab.reset("GracefulShutdown").await.status, 204);
    assert_eq!(lab.get(&lab.system()).await.json()["PowerState"], "On", "on until it is off");
    lab.until_power(PowerState::Off).await;
    assert_eq!(lab.get(&lab.system()).await.json()["PowerState"], "Off");
}

#[tokio::test(start_paused = true)]
async fn every_reset_type_does_what_its_name_says() {
    for (kind, _) in RESET_TYPES {
        let lab = lab().await;
        lab.reset("On").await;
        lab.until_power(PowerState::On).await;
        let before = lab.fleet.events().next_id();
        assert_eq!(lab.reset(kind).await.status, 204, "{kind}");
        let after = || lab.machine.snapshot().power;
        match kind {
            "On" | "ForceOn" => assert_eq!(lab.fleet.events().next_id(), before, "{kind}: nothing to do"),
            "ForceOff" => assert_eq!(after(), PowerState::Off),
            "GracefulShutdown" | "PushPowerButton" => lab.until_power(PowerState::Off).await,
            "ForceRestart" => {
                let (events, _) = lab.fleet.events().follow(before - 1);
                assert!(events.iter().any(|event| event.kind == EventKind::Reset), "{events:?}");
            }
            "PowerCycle" => assert_eq!(after(), PowerState::PoweringOn),
            "GracefulRestart" => {
                assert_eq!(after(), PowerState::PoweringOff);
                lab.until_power(PowerState::On).await;
            }
            "Nmi" => assert_eq!(lab.control().nmi_count(), 1),
            other => panic!("no expectation for {other}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_off_can_only_be_switched_on() {
    for (kind, _) in RESET_TYPES {
        let lab = lab().await;
        let answer = lab.reset(kind).await;
        if ["On", "ForceOn", "ForceOff", "PushPowerButton"].contains(&kind) {
            assert_eq!(answer.status, 204, "{kind}");
        } else {
            answer.refused(409, &["ChassisPowerStateOnRequired"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn on_while_it_shuts_down_is_to_be_tried_again_later() {
    let lab = lab().await;
    lab.reset("On").await;
    lab.until_power(PowerState::On).await;
    lab.reset("GracefulShutdown").await;
    lab.until_power(PowerState::PoweringOff).await;
    let answer = lab.reset("On").await;
    answer.refused(503, &["ServiceTemporarilyUnavailable"]);
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!(seconds >= 1);
}

#[tokio::test(start_paused = true)]
async fn actions_take_no_offence_at_if_match() {
    let lab = lab().await;
    let path = format!("{}/Actions/ComputerSystem.Reset", lab.system());
    let ask = Ask::new("POST", &path).header("if-match", "\"0000000000000000\"");
    assert_eq!(ask.json(&json!({"ResetType": "On"})).send(&lab.one).await.status, 204, "gofish sends it");
}

#[tokio::test(start_paused = true)]
async fn tag_light_and_policy_are_one_for_system_and_chassis() {
    let lab = lab().await;
    let chassis = lab.system().replace("Systems", "Chassis");
    let patch =
        json!({"AssetTag": "rack 7", "LocationIndicatorActive": true, "PowerRestorePolicy": "LastState"});
    assert_eq!(lab.patch(patch).await.status, 204);
    for uri in [&lab.system(), &chassis] {
        let shown = lab.get(uri).await.json();
        assert_eq!((&shown["AssetTag"], &shown["IndicatorLED"]), (&json!("rack 7"), &json!("Lit")));
        assert_eq!(shown["LocationIndicatorActive"], true);
    }
    assert_eq!(lab.get(&lab.system()).await.json()["PowerRestorePolicy"], "LastState");

    let patch = json!({"IndicatorLED": "Off", "AssetTag": null});
    assert_eq!(Ask::new("PATCH", &chassis).json(&patch).send(&lab.one).await.status, 204);
    let shown = lab.get(&lab.system()).await.json();
    assert_eq!((&shown["AssetTag"], &shown["LocationIndicatorActive"]), (&json!(""), &json!(false)));
    lab.patch(json!({"IndicatorLED": "Off", "LocationIndicatorActive": true}))
        .await
        .refused(400, &["PropertyValueConflict"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_needs_the_tag_it_was_planned_on() {
    let lab = lab().await;
    let patch = |tag: &str, value: &str| {
        Ask::new("PATCH", &lab.system())
            .header("if-match", tag)
            .json(&json!({"AssetTag": value}))
            .send(&lab.one)
    };
    let first = lab.get(&lab.system()).await.header("etag").to_owned();
    let written = patch(&first, "one").await;
    assert_eq!(written.status, 204);
    assert_eq!(
        written.header("etag"),
        lab.get(&lab.system()).await.header("etag"),
        "204 carries the new tag"
    );
    patch(&first, "two").await.refused(412, &["PreconditionFailed"]);
    patch(&format!("W/{first}"), "two").await.refused(412, &["PreconditionFailed"]);
    let weak = format!("W/{}", lab.get(&lab.system()).await.header("etag"));
    assert_eq!(patch(&weak, "one").await.status, 204, "a proxy may have made it weak");
    assert_eq!(lab.get(&lab.system()).await.json()["AssetTag"], "one");
    assert_eq!(patch("*", "three").await.status, 204);
    lab.reset("On").await;
    let stale = lab.get(&lab.system()).await.header("etag").to_owned();
    lab.until_power(PowerState::On).await;
    patch(&stale, "four").await.refused(412, &["PreconditionFailed"]);
}

#[tokio::test(start_paused = true)]
async fn of_many_writes_with_one_tag_one_wins() {
    let lab = lab().await;
    let tag = lab.get(&lab.system()).await.header("etag").to_owned();
    let writes: Vec<_> = (0..8)
        .map(|n| {
            let ask = Ask::new("PATCH", &lab.system()).header("if-match", &tag);
            let (ask, router) = (ask.json(&json!({"AssetTag": format!("writer {n}")})), lab.one.clone());
            tokio::spawn(async move { ask.send(&router).await.status.as_u16() })
        })
        .collect();
    let mut statuses = Vec::new();
    for write in writes {
        statuses.push(write.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 412, 412, 412, 412, 412, 412, 412]);
}

#[tokio::test(start_paused = true)]
async fn partial_writes_at_the_same_time_do_not_undo_each_other() {
    let lab = lab().await;
    lab.patch(json!({"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}}))
        .await;
    let parts = [
        json!({"Boot": {"BootSourceOverrideTarget": "Cd"}}),
        json!({"Boot": {"BootSourceOverrideEnabled": "Continuous"}}),
    ];
    let writes = parts.map(|part| {
        let (ask, router) = (Ask::new("PATCH", &lab.system()).json(&part), lab.one.clone());
        tokio::spawn(async move { ask.send(&router).await.status.as_u16() })
    });
    for write in writes {
        assert_eq!(write.await.unwrap(), 204);
    }
    let boot = &lab.get(&lab.system()).await.json()["Boot"];
    assert_eq!(boot["BootSourceOverrideTarget"], "Cd");
    assert_eq!(boot["BootSourceOverrideEnabled"], "Continuous");
}

#[tokio::test(start_paused = true)]
async fn a_patch_is_all_or_nothing_and_names_every_fault() {
    let lab = lab().await;
    let answer = lab
        .patch(json!({
            "AssetTag": "new", "PowerState": "On", "Colour": "red", "PowerRestorePolicy": "Never",
            "LocationIndicatorActive": "yes", "Boot": {"BootSourceOverrideTarget": "Floppy", "BootOrder": [], "BootSourceOverrideMode": null},
        }))
        .await;
    answer.refused(
        400,
        &[
            "PropertyNotWritable",
            "PropertyUnknown",
            "PropertyValueNotInList",
            "PropertyValueTypeError",
            "PropertyValueNotInList",
            "ArraySizeTooShort",
            "PropertyValueTypeError",
        ],
    );
    let json = answer.json();
    assert_eq!(
        json["error"]["code"], "Base.1.22.GeneralError",
        "several messages stand behind a general one"
    );
    let related: Vec<&Value> = json["error"]["@Message.ExtendedInfo"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["RelatedProperties"][0])
        .collect();
    assert_eq!(related[4], "#/Boot/BootSourceOverrideTarget");
    assert_eq!(json["error"]["@Message.ExtendedInfo"][6]["MessageArgs"][0], "null");
    assert_eq!(lab.get(&lab.system()).await.json()["AssetTag"], "", "nothing was changed");
}

#[tokio::test(start_paused = true)]
async fn limits_of_values() {
    let lab = lab().await;
    lab.patch(json!({"AssetTag": "x".repeat(64)})).await.refused(400, &["StringValueTooLong"]);
    assert_eq!(lab.patch(json!({"AssetTag": "x".repeat(63)})).await.status, 204);
    lab.patch(json!({"AssetTag": "a\u{0}b"})).await.refused(400, &["PropertyValueFormatError"]);
    lab.patch(json!({"IndicatorLED": "Blinking"})).await.refused(400, &["PropertyValueNotInList"]);
    lab.patch(json!({})).await.refused(400, &["EmptyJSON"]);
    lab.patch(json!({"@odata.id": "/x", "Boot@odata.type": "y"})).await.refused(400, &["NoOperation"]);
    lab.patch(json!({"Boot": {}})).await.refused(400, &["NoOperation"]);
    lab.patch(json!({"Boot": 3})).await.refused(400, &["PropertyValueTypeError"]);
    assert_eq!(
        lab.patch(json!({"@odata.id": "/x", "AssetTag": "y"})).await.status,
        204,
        "annotations are ignored"
    );
}

#[tokio::test(start_paused = true)]
async fn the_host_name_is_the_system_name_of_ipmi() {
    let lab = lab().await;
    let shown = async || lab.get(&lab.system()).await.json()["HostName"].clone();
    assert_eq!(shown().await, Value::Null, "nobody has told it");
    assert_eq!(lab.patch(json!({"HostName": "node-1.example"})).await.status, 204);
    assert_eq!(shown().await, "node-1.example");
    let name = |lab: &Lab| lab.machine.snapshot().settings.system.texts.get(&2).cloned();
    assert_eq!(name(&lab).unwrap().text(), "node-1.example");
    // As a guest writes it over IPMI, filled up with zeros.
    let edit = bmc_core::settings::Edit::new(|editable| {
        let text = bmc_core::settings::system::SystemText { encoding: 0, bytes: b"guest\0\0".to_vec() };
        editable.settings.system.texts.insert(2, text);
        Ok(())
    });
    lab.machine.request(bmc_core::request::Request::Edit(edit)).await.unwrap();
    assert_eq!(shown().await, "guest");
    for (value, message) in [
        (json!(1), "PropertyValueTypeError"),
        (json!("-x"), "PropertyValueFormatError"),
        (json!(""), "PropertyValueFormatError"),
        (json!("x".repeat(256)), "StringValueTooLong"),
    ] {
        lab.patch(json!({"HostName": value})).await.refused(400, &[message]);
    }
    assert_eq!(lab.patch(json!({"HostName": null, "AssetTag": "x"})).await.status, 204);
    assert_eq!((shown().await, name(&lab)), (Value::Null, None));
}
