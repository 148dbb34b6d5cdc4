//! Boot options, their order, and the boot option for the next boot.

use bmc_core::boot::FirmwareMode;
use bmc_core::event::EventKind;

use super::*;

async fn order(lab: &Lab) -> Vec<String> {
    let boot = lab.get(&lab.system()).await.json()["Boot"].clone();
    serde_json::from_value(boot["BootOrder"].clone()).unwrap()
}

async fn set(lab: &Lab, order: Value) -> Answer {
    lab.patch(json!({"Boot": {"BootOrder": order}})).await
}

async fn option(lab: &Lab, alias: &str) -> Value {
    let all = lab.get(&format!("{}/BootOptions", lab.system())).await.json();
    for member in all["Members"].as_array().unwrap() {
        let option = lab.get(member["@odata.id"].as_str().unwrap()).await.json();
        if option["Alias"] == alias {
            return option;
        }
    }
    panic!("no {alias}")
}

fn name(option: &Value) -> String {
    option["BootOptionReference"].as_str().unwrap().to_owned()
}

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
async fn the_machine_boots_by_the_order_that_was_written() {
    let lab = lab().await;
    let before = order(&lab).await;
    assert_eq!(before.len(), 5);
    assert!(booted_after(&lab, "On").await.starts_with("disk sda"));
    let mut written = before.clone();
    written.reverse();
    assert_eq!(set(&lab, json!(written)).await.status, 204);
    assert_eq!(order(&lab).await, written);
    assert_eq!(booted_after(&lab, "ForceRestart").await, "network nic1");
    let network = name(&option(&lab, "Pxe").await);
    assert_eq!(set(&lab, json!([before[1], network])).await.status, 204, "what is left out is not tried");
    assert_eq!(booted_after(&lab, "ForceRestart").await, "disk sdb");
    assert_eq!(option(&lab, "Cd").await["BootOptionEnabled"], false);
    // An override goes first, and the order is as it was after it.
    lab.patch(json!({"Boot": {"BootSourceOverrideTarget": "Pxe"}})).await;
    assert!(booted_after(&lab, "ForceRestart").await.starts_with("network"));
    assert_eq!(order(&lab).await, [before[1].clone(), network]);
    assert_eq!(booted_after(&lab, "ForceRestart").await, "disk sdb");
}

#[tokio::test(start_paused = true)]
async fn orders_that_are_refused() {
    let lab = lab().await;
    let first = order(&lab).await[0].clone();
    for (body, key, pointer) in [
        (json!([]), "ArraySizeTooShort", ""),
        (json!(null), "PropertyValueTypeError", ""),
        (json!(first), "PropertyValueTypeError", ""),
        (json!([first, 7]), "PropertyValueTypeError", "/1"),
        (json!([first, null]), "PropertyValueTypeError", "/1"),
        (json!(["Boot00FF"]), "PropertyValueNotInList", "/0"),
        (json!([first, first]), "PropertyValueError", "/1"),
    ] {
        let answer = set(&lab, body.clone()).await;
        answer.refused(400, &[key]);
        let related = &answer.json()["error"]["@Message.ExtendedInfo"][0]["RelatedProperties"];
        assert_eq!(*related, json!([format!("#/Boot/BootOrder{pointer}")]), "{body}");
    }
    lab.patch(json!({"Boot": {"BootOptions": {}}})).await.refused(400, &["PropertyNotWritable"]);
    lab.patch(json!({"Boot": {"BootNext": first}})).await.refused(400, &["PropertyUnknown"]);
}

#[tokio::test(start_paused = true)]
async fn an_option_is_taken_out_of_the_order_and_put_at_its_end() {
    let lab = lab().await;
    let all = order(&lab).await;
    let disk = option(&lab, "Hdd").await;
    let patch = |option: &Value, body: Value| {
        Ask::new("PATCH", option["@odata.id"].as_str().unwrap()).json(&body).send(&lab.one)
    };
    assert_eq!(patch(&disk, json!({"BootOptionEnabled": false})).await.status, 204);
    assert_eq!(order(&lab).await, all[1..]);
    assert_eq!(patch(&disk, json!({"BootOptionEnabled": true})).await.status, 204);
    assert_eq!(*order(&lab).await.last().unwrap(), name(&disk));
    for (body, key) in [
        (json!({}), "EmptyJSON"),
        (json!({"BootOptionEnabled": "yes"}), "PropertyValueTypeError"),
        (json!({"BootOptionEnabled": null}), "PropertyValueTypeError"),
        (json!({"Alias": "Pxe"}), "PropertyNotWritable"),
        (json!({"Colour": 1}), "PropertyUnknown"),
    ] {
        patch(&disk, body).await.refused(400, &[key]);
    }
    assert_eq!(set(&lab, json!([name(&disk)])).await.status, 204);
    patch(&disk, json!({"BootOptionEnabled": false})).await.refused(400, &["PropertyValueConflict"]);
    let nobody = json!({"@odata.id": format!("{}/BootOptions/Boot00FF", lab.system())});
    patch(&nobody, json!({"BootOptionEnabled": false})).await.refused(404, &["ResourceNotFound"]);
}

#[tokio::test(start_paused = true)]
async fn one_option_for_one_boot() {
    let config = SimConfig { firmware: FirmwareMode::Uefi, ..SimConfig::default() };
    let lab = Lab::with_sim(1, RedfishConfig::default(), config).await;
    let options = order(&lab).await;
    let next =
        |option: Value| json!({"Boot": {"BootSourceOverrideTarget": "UefiBootNext", "BootNext": option}});
    assert_eq!(lab.patch(next(json!(options[4]))).await.status, 204);
    let boot = lab.get(&lab.system()).await.json()["Boot"].clone();
    assert_eq!(
        (&boot["BootSourceOverrideTarget"], &boot["BootNext"]),
        (&json!("UefiBootNext"), &json!(options[4]))
    );
    assert_eq!(boot["BootSourceOverrideEnabled"], "Once");
    assert_eq!(booted_after(&lab, "On").await, "network nic1");
    let boot = lab.get(&lab.system()).await.json()["Boot"].clone();
    assert_eq!((&boot["BootSourceOverrideTarget"], &boot["BootNext"]), (&json!("None"), &Value::Null));

    lab.patch(next(json!("Boot0BAD"))).await.refused(400, &["PropertyValueNotInList"]);
    lab.patch(next(Value::Null)).await.refused(400, &["PropertyValueConflict"]);
    lab.patch(json!({"Boot": {"BootSourceOverrideTarget": "UefiBootNext"}}))
        .await
        .refused(400, &["PropertyValueConflict"]);
    let pxe = json!({"Boot": {"BootSourceOverrideTarget": "Pxe", "BootNext": options[1]}});
    lab.patch(pxe).await.refused(400, &["PropertyValueConflict"]);
    let forever = json!({"Boot": {"BootSourceOverrideTarget": "UefiBootNext", "BootNext": options[1],
        "BootSourceOverrideEnabled": "Continuous"}});
    lab.patch(forever).await.refused(400, &["PropertyValueConflict"]);
    assert_eq!(
        lab.patch(json!({"Boot": {"BootNext": options[1]}})).await.status,
        204,
        "alone, it means the next boot"
    );
    assert_eq!(lab.patch(json!({"Boot": {"BootNext": null}})).await.status, 204);
    assert_eq!(lab.get(&lab.system()).await.json()["Boot"]["BootSourceOverrideEnabled"], "Disabled");
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_booted_from_where_it_is_in_the_order_and_leaves_it_when_it_goes() {
    let lab = lab().await;
    let before = order(&lab).await;
    let volumes = format!("{}/Storage/RAID/Volumes", lab.system());
    let made = Ask::new("POST", &volumes).json(&json!({"RAIDType": "RAID1"})).send(&lab.one).await;
    assert_eq!(made.status, 201);
    let uri = made.header("location").to_owned();
    let all = lab.get(&format!("{}/BootOptions", lab.system())).await.json();
    assert_eq!(all["Members"].as_array().unwrap().len(), before.len() + 1);
    let last = all["Members"].as_array().unwrap().last().unwrap()["@odata.id"].as_str().unwrap().to_owned();
    let volume = lab.get(&last).await.json();
    assert_eq!((&volume["DisplayName"], &volume["BootOptionEnabled"]), (&json!("Disk sdc"), &json!(false)));
    assert_eq!(order(&lab).await, before, "nobody has ordered it yet");
    assert_eq!(set(&lab, json!([name(&volume), before[0]])).await.status, 204);
    assert_eq!(booted_after(&lab, "On").await, "disk sdc");
    assert_eq!(Ask::new("DELETE", &uri).send(&lab.one).await.status, 204);
    assert_eq!(order(&lab).await, [before[0].clone()]);
    lab.get(&last).await.refused(404, &["ResourceNotFound"]);
    assert_eq!(booted_after(&lab, "ForceRestart").await, "disk sda");
}
