//! Secure Boot: from the next boot on, on machines that have UEFI.

use bmc_core::boot::FirmwareMode;

use super::*;

async fn uefi_lab() -> Lab {
    let config = SimConfig { firmware: FirmwareMode::Uefi, ..SimConfig::default() };
    Lab::with_sim(1, RedfishConfig::default(), config).await
}

async fn shown(lab: &Lab) -> Value {
    lab.get(&format!("{}/SecureBoot", lab.system())).await.json()
}

async fn patch(lab: &Lab, body: Value) -> Answer {
    Ask::new("PATCH", &format!("{}/SecureBoot", lab.system())).json(&body).send(&lab.one).await
}

async fn reset_keys(lab: &Lab, body: Value) -> Answer {
    let path = format!("{}/SecureBoot/Actions/SecureBoot.ResetKeys", lab.system());
    Ask::new("POST", &path).json(&body).send(&lab.one).await
}

#[tokio::test(start_paused = true)]
async fn it_is_in_force_from_the_next_boot_on() {
    let lab = uefi_lab().await;
    assert_eq!(shown(&lab).await["SecureBootEnable"], false);
    lab.reset("On").await;
    lab.until_power(PowerState::On).await;
    assert_eq!(shown(&lab).await["SecureBootCurrentBoot"], "Disabled");
    assert_eq!(patch(&lab, json!({"SecureBootEnable": true})).await.status, 204);
    let now = shown(&lab).await;
    assert_eq!((&now["SecureBootEnable"], &now["SecureBootCurrentBoot"]), (&json!(true), &json!("Disabled")));
    let pending = lab.get(&format!("{}/Bios/Settings", lab.system())).await.json();
    assert_eq!(pending["Attributes"]["SecureBoot"], "Enabled", "one truth with the BIOS");
    lab.reset("ForceRestart").await;
    let now = shown(&lab).await;
    assert_eq!(
        (&now["SecureBootCurrentBoot"], &now["SecureBootMode"]),
        (&json!("Enabled"), &json!("UserMode"))
    );
    assert_eq!(
        lab.get(&format!("{}/Bios", lab.system())).await.json()["Attributes"]["SecureBoot"],
        "Enabled"
    );
    lab.reset("ForceOff").await;
    assert_eq!(shown(&lab).await["SecureBootCurrentBoot"], Value::Null, "nothing runs");
}

#[tokio::test(start_paused = true)]
async fn without_keys_nothing_is_enforced() {
    let lab = uefi_lab().await;
    patch(&lab, json!({"SecureBootEnable": true})).await;
    let allowed =
        &shown(&lab).await["Actions"]["#SecureBoot.ResetKeys"]["ResetKeysType@Redfish.AllowableValues"];
    assert_eq!(*allowed, json!(["ResetAllKeysToDefault", "DeleteAllKeys", "DeletePK"]));
    for (kind, mode, current) in [
        ("DeletePK", "SetupMode", "Disabled"),
        ("ResetAllKeysToDefault", "UserMode", "Enabled"),
        ("DeleteAllKeys", "SetupMode", "Disabled"),
    ] {
        assert_eq!(reset_keys(&lab, json!({"ResetKeysType": kind})).await.status, 204);
        lab.reset("On").await;
        let now = shown(&lab).await;
        assert_eq!(
            (&now["SecureBootMode"], &now["SecureBootCurrentBoot"]),
            (&json!(mode), &json!(current)),
            "{kind}"
        );
        lab.reset("ForceOff").await;
    }
    for (body, key) in [
        (json!({}), "ActionParameterMissing"),
        (json!({"ResetKeysType": "DeleteSome"}), "ActionParameterValueNotInList"),
        (json!({"ResetKeysType": true}), "ActionParameterValueTypeError"),
        (json!({"ResetKeysType": null}), "ActionParameterValueTypeError"),
        (json!({"ResetKeysType": "DeletePK", "Now": 1}), "ActionParameterUnknown"),
    ] {
        reset_keys(&lab, body).await.refused(400, &[key]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_uefi_says_so() {
    let lab = lab().await;
    let now = shown(&lab).await;
    assert_eq!(now["SecureBootEnable"], false);
    assert!(now.get("Actions").is_none() && now.get("SecureBootMode").is_none());
    let answer = patch(&lab, json!({"SecureBootEnable": true})).await;
    answer.refused(400, &["PropertyValueConflict"]);
    let message = &answer.json()["error"]["@Message.ExtendedInfo"][0];
    assert_eq!(message["RelatedProperties"], json!(["#/SecureBootEnable"]));
    assert!(message["Resolution"].as_str().unwrap().contains("UEFI"));
    assert_eq!(patch(&lab, json!({"SecureBootEnable": false})).await.status, 204, "it is so already");
    reset_keys(&lab, json!({"ResetKeysType": "DeletePK"})).await.refused(400, &["ActionNotSupported"]);
    // Both together are fine: the next boot is UEFI.
    let both = json!({"Attributes": {"BootMode": "Uefi", "SecureBoot": "Enabled"}});
    let path = format!("{}/Bios/Settings", lab.system());
    assert_eq!(Ask::new("PATCH", &path).json(&both).send(&lab.one).await.status, 204);
    lab.reset("On").await;
    assert_eq!(shown(&lab).await["SecureBootCurrentBoot"], "Enabled");
}

#[tokio::test(start_paused = true)]
async fn properties_that_are_refused() {
    let lab = uefi_lab().await;
    for (body, key) in [
        (json!({}), "EmptyJSON"),
        (json!({"SecureBootEnable": "yes"}), "PropertyValueTypeError"),
        (json!({"SecureBootEnable": null}), "PropertyValueTypeError"),
        (json!({"SecureBootMode": "SetupMode"}), "PropertyNotWritable"),
        (json!({"SecureBootCurrentBoot": "Enabled"}), "PropertyNotWritable"),
        (json!({"Colour": 1}), "PropertyUnknown"),
    ] {
        patch(&lab, body).await.refused(400, &[key]);
    }
}
