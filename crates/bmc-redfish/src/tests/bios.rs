//! BIOS settings: what is pending, what each kind of boot makes of it, and what is refused.

use bmc_core::boot::FirmwareMode;
use bmc_core::error::BackendErrorKind;
use bmc_core::power::PowerPolicy;
use bmc_sim::SimOperation;

use super::*;

async fn settings(lab: &Lab, body: Value) -> Answer {
    Ask::new("PATCH", &format!("{}/Bios/Settings", lab.system())).json(&body).send(&lab.one).await
}

async fn attributes(lab: &Lab, values: Value) -> Answer {
    settings(lab, json!({"Attributes": values})).await
}

async fn bios(lab: &Lab) -> Value {
    lab.get(&format!("{}/Bios", lab.system())).await.json()
}

async fn future(lab: &Lab) -> Value {
    lab.get(&format!("{}/Bios/Settings", lab.system())).await.json()["Attributes"].clone()
}

async fn action(lab: &Lab, name: &str, body: Value) -> Answer {
    let path = format!("{}/Bios/Actions/Bios.{name}", lab.system());
    Ask::new("POST", &path).json(&body).send(&lab.one).await
}

#[tokio::test(start_paused = true)]
async fn settings_wait_for_the_next_boot_and_say_how_it_went() {
    let lab = lab().await;
    let before = bios(&lab).await;
    assert!(before["@Redfish.Settings"].get("Time").is_none(), "nothing was applied yet");
    let answer = settings(
        &lab,
        json!({
            "Attributes": {"NumLock": false, "BootTimeoutSeconds": 30, "AdminName": "Ada", "BootMode": "Uefi",
                "AcPowerRecovery": "AlwaysOn", "WorkloadProfile": "LowLatency"},
            "@Redfish.SettingsApplyTime": {"@odata.type": "#Settings.v1_0_0.PreferredApplyTime", "ApplyTime": "OnReset"},
        }),
    )
    .await;
    assert_eq!(answer.status, 204);
    assert_eq!(bios(&lab).await["Attributes"], before["Attributes"], "in force is what was");
    let future = future(&lab).await;
    assert_eq!((&future["NumLock"], &future["BootMode"]), (&json!(false), &json!("Uefi")));

    assert_eq!(lab.reset("On").await.status, 204);
    let after = bios(&lab).await;
    for (name, value) in
        [("NumLock", json!(false)), ("BootTimeoutSeconds", json!(30)), ("BootMode", json!("Uefi"))]
    {
        assert_eq!(after["Attributes"][name], value, "{name}");
    }
    let settings = &after["@Redfish.Settings"];
    assert_eq!(settings["Messages"][0]["MessageId"], "Base.1.22.Success");
    assert_eq!(settings["SupportedApplyTimes"], json!(["OnReset"]));
    assert_eq!(settings["ETag"], after["@odata.etag"], "unchanged since");
    let snapshot = lab.machine.snapshot();
    assert_eq!(snapshot.power_policy, PowerPolicy::AlwaysOn, "what IPMI says too");
    assert_eq!(snapshot.info.as_ref().unwrap().firmware, FirmwareMode::Uefi);
    let system = lab.get(&lab.system()).await.json();
    assert_eq!(system["Boot"]["BootSourceOverrideMode"], "UEFI");
    assert_eq!(system["PowerRestorePolicy"], "AlwaysOn");
}

#[tokio::test(start_paused = true)]
async fn a_reboot_from_inside_applies_too() {
    let lab = lab().await;
    lab.reset("On").await;
    lab.until_power(PowerState::On).await;
    assert_eq!(attributes(&lab, json!({"QuietBoot": true, "BootMode": "Uefi"})).await.status, 204);
    lab.control().reboot().unwrap();
    until(&lab.machine, |snapshot| snapshot.settings.bios.applied().is_some()).await;
    let after = bios(&lab).await["Attributes"].clone();
    assert_eq!((&after["QuietBoot"], &after["BootMode"]), (&json!(true), &json!("Uefi")));
}

#[tokio::test(start_paused = true)]
async fn what_the_machine_refuses_is_told_and_the_machine_boots() {
    let lab = lab().await;
    lab.control().fail_next(SimOperation::SetUp, 1, BackendErrorKind::Unsupported).unwrap();
    assert_eq!(attributes(&lab, json!({"BootMode": "Uefi", "NumLock": false})).await.status, 204);
    assert_eq!(lab.reset("On").await.status, 204);
    let after = bios(&lab).await;
    assert_eq!(
        (&after["Attributes"]["BootMode"], &after["Attributes"]["NumLock"]),
        (&json!("LegacyBios"), &json!(false))
    );
    let message = &after["@Redfish.Settings"]["Messages"][0];
    assert_eq!(message["MessageId"], "Base.1.22.PropertyNotUpdated");
    assert_eq!(message["RelatedProperties"], json!(["#/Attributes/BootMode"]));
    assert!(message["Resolution"].as_str().unwrap().contains("simulator was told"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn attributes_that_are_refused() {
    let lab = lab().await;
    let rows = [
        (json!({"Nothing": 1}), "PropertyUnknown", "/Nothing"),
        (json!({"numlock": true}), "PropertyUnknown", "/numlock"),
        (json!({"NumLock": "true"}), "PropertyValueTypeError", "/NumLock"),
        (json!({"NumLock": null}), "PropertyValueTypeError", "/NumLock"),
        (json!({"NumLock": 1}), "PropertyValueTypeError", "/NumLock"),
        (json!({"BootTimeoutSeconds": 61}), "PropertyValueOutOfRange", "/BootTimeoutSeconds"),
        (json!({"BootTimeoutSeconds": -1}), "PropertyValueOutOfRange", "/BootTimeoutSeconds"),
        (json!({"BootTimeoutSeconds": 1e30}), "PropertyValueOutOfRange", "/BootTimeoutSeconds"),
        (json!({"BootTimeoutSeconds": "5"}), "PropertyValueTypeError", "/BootTimeoutSeconds"),
        (json!({"NumLock": 1.5}), "PropertyValueTypeError", "/NumLock"),
        (json!({"WorkloadProfile": "Fast"}), "PropertyValueNotInList", "/WorkloadProfile"),
        (json!({"WorkloadProfile": 7}), "PropertyValueTypeError", "/WorkloadProfile"),
        (json!({"BootMode": "UEFI"}), "PropertyValueNotInList", "/BootMode"),
        (json!({"AdminName": ["a"]}), "PropertyValueTypeError", "/AdminName"),
        (json!({"AdminName": "x".repeat(65)}), "StringValueTooLong", "/AdminName"),
        (json!({"AdminName": "a\nb"}), "PropertyValueFormatError", "/AdminName"),
        (json!({"ProcCount": 4}), "PropertyNotWritable", "/ProcCount"),
        (json!({"MemorySizeMiB": null}), "PropertyNotWritable", "/MemorySizeMiB"),
        (json!({"SecureBoot": "Enabled"}), "PropertyValueConflict", "/SecureBoot"),
        (json!("all"), "PropertyValueTypeError", ""),
        (json!(null), "PropertyValueTypeError", ""),
    ];
    for (body, key, pointer) in rows {
        let answer = attributes(&lab, body.clone()).await;
        answer.refused(400, &[key]);
        let related = &answer.json()["error"]["@Message.ExtendedInfo"][0]["RelatedProperties"];
        assert_eq!(*related, json!([format!("#/Attributes{pointer}")]), "{body}");
    }
    for (body, key) in [
        (json!({}), "EmptyJSON"),
        (json!({"Attributes": {}}), "NoOperation"),
        (json!({"AttributeRegistry": "x"}), "PropertyNotWritable"),
        (json!({"Colour": "red"}), "PropertyUnknown"),
        (
            json!({"Attributes": {"NumLock": false}, "@Redfish.SettingsApplyTime": {"ApplyTime": "Immediate"}}),
            "PropertyValueNotInList",
        ),
    ] {
        settings(&lab, body).await.refused(400, &[key]);
    }
    let answer =
        attributes(&lab, json!({"NumLock": false, "Nothing": 1, "ProcCount": 1, "QuietBoot": 3})).await;
    assert_eq!(answer.messages().len(), 3, "every fault is named");
    assert_eq!(future(&lab).await["NumLock"], true, "and nothing was changed");
    let path = format!("{}/Bios", lab.system());
    Ask::new("PATCH", &path)
        .json(&json!({"Attributes": {"NumLock": false}}))
        .send(&lab.one)
        .await
        .refused(405, &["OperationNotAllowed"]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_to_defaults_waits_for_the_next_boot() {
    let lab = lab().await;
    attributes(&lab, json!({"NumLock": false})).await;
    lab.reset("On").await;
    lab.until_power(PowerState::On).await;
    attributes(&lab, json!({"QuietBoot": true})).await;
    assert_eq!(action(&lab, "ResetBios", json!({})).await.status, 204);
    let shown = bios(&lab).await;
    assert_eq!(
        (&shown["ResetBiosToDefaultsPending"], &shown["Attributes"]["NumLock"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(future(&lab).await["NumLock"], true);
    attributes(&lab, json!({"Numa": "Disabled"})).await;
    lab.reset("ForceRestart").await;
    let shown = bios(&lab).await;
    assert_eq!(
        (&shown["ResetBiosToDefaultsPending"], &shown["Attributes"]["NumLock"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&shown["Attributes"]["QuietBoot"], &shown["Attributes"]["Numa"]),
        (&json!(false), &json!("Disabled"))
    );
    action(&lab, "ResetBios", json!({"Now": true})).await.refused(400, &["ActionParameterUnknown"]);
}

#[tokio::test(start_paused = true)]
async fn passwords_change_with_the_old_one_and_are_never_shown() {
    let lab = lab().await;
    let change = |who: &str, old: &str, new: &str| json!({"PasswordName": who, "OldPassword": old, "NewPassword": new});
    let set = change("AdministratorPassword", "", "s3cret");
    assert_eq!(action(&lab, "ChangePassword", set.clone()).await.status, 204);
    let answer = action(&lab, "ChangePassword", set).await;
    answer.refused(400, &["ActionParameterValueError"]);
    assert_eq!(action(&lab, "ChangePassword", change("UserPassword", "", "other")).await.status, 204);
    assert_eq!(
        action(&lab, "ChangePassword", change("AdministratorPassword", "s3cret", "")).await.status,
        204
    );
    for (body, key) in [
        (json!({"PasswordName": "AdministratorPassword", "OldPassword": ""}), "ActionParameterMissing"),
        (change("Root", "", "x"), "ActionParameterValueNotInList"),
        (
            json!({"PasswordName": "UserPassword", "OldPassword": 1, "NewPassword": "x"}),
            "ActionParameterValueTypeError",
        ),
        (
            json!({"PasswordName": "UserPassword", "OldPassword": "other", "NewPassword": null}),
            "ActionParameterValueTypeError",
        ),
        (change("UserPassword", "other", &"x".repeat(33)), "StringValueTooLong"),
    ] {
        let answer = action(&lab, "ChangePassword", body).await;
        answer.refused(400, &[key]);
        assert!(!String::from_utf8_lossy(&answer.bytes).contains("other"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_tags_that_clients_write_with() {
    let lab = lab().await;
    let path = format!("{}/Bios/Settings", lab.system());
    let patch = |tag: String, value: bool| {
        let ask = Ask::new("PATCH", &path).header("if-match", &tag);
        ask.json(&json!({"Attributes": {"NumLock": value}})).send(&lab.one)
    };
    let own = lab.get(&path).await.header("etag").to_owned();
    assert_eq!(patch(own.clone(), false).await.status, 204);
    patch(own, true).await.refused(412, &["PreconditionFailed"]);
    lab.reset("On").await;
    let applied = bios(&lab).await["@Redfish.Settings"]["ETag"].as_str().unwrap().to_owned();
    assert_eq!(patch(applied, true).await.status, 204, "sushy writes with the tag in @Redfish.Settings");
    let answer = Ask::get(&format!("{}/Bios", lab.system())).send(&lab.one).await;
    assert_eq!(answer.header("etag"), answer.json()["@odata.etag"]);
}

#[tokio::test(start_paused = true)]
async fn the_registry_describes_each_attribute() {
    let lab = lab().await;
    let name = bios(&lab).await["AttributeRegistry"].as_str().unwrap().to_owned();
    let file = lab.get(&format!("/redfish/v1/Registries/{name}")).await.json();
    assert_eq!(file["Id"], name);
    let registry = lab.get(file["Location"][0]["Uri"].as_str().unwrap()).await.json();
    assert_eq!(registry["Id"], name);
    let described = registry["RegistryEntries"]["Attributes"].as_array().unwrap();
    for (attribute, value) in bios(&lab).await["Attributes"].as_object().unwrap() {
        let entry = described.iter().find(|entry| entry["AttributeName"] == *attribute).unwrap();
        let fits = match entry["Type"].as_str().unwrap() {
            "Enumeration" => entry["Value"].as_array().unwrap().iter().any(|one| one["ValueName"] == *value),
            "String" => value.is_string(),
            "Integer" => value.is_i64(),
            "Boolean" => value.is_boolean(),
            other => panic!("{other}"),
        };
        assert!(fits, "{attribute}: {value}");
    }
    let menus = registry["RegistryEntries"]["Menus"].as_array().unwrap();
    for entry in described {
        assert!(menus.iter().any(|menu| menu["MenuPath"] == entry["MenuPath"]), "{entry}");
    }
    let anonymous = Ask::anonymous("GET", file["Location"][0]["Uri"].as_str().unwrap());
    anonymous.send(&lab.one).await.refused(401, &["NoValidSession"]);
}
