//! Drives, volumes and simple storage.

use std::time::Duration;

use bmc_core::error::BackendErrorKind;
use bmc_core::storage::{Disk, VolumeState};
use bmc_sim::SimOperation;

use super::*;

const GIB: u64 = 1 << 30;

impl Lab {
    fn storage(&self, rest: &str) -> String {
        format!("{}/Storage{rest}", self.system())
    }

    fn drives(&self, bays: &[u8]) -> Value {
        bays.iter().map(|bay| json!({"@odata.id": self.storage(&format!("/RAID/Drives/bay{bay}"))})).collect()
    }

    /// A body as Ironic sends it.
    fn volume(&self, raid: &str, bays: &[u8], capacity: u64) -> Value {
        json!({"Encrypted": false, "RAIDType": raid, "CapacityBytes": capacity,
            "Links": {"Drives": self.drives(bays)}, "@Redfish.OperationApplyTime": "Immediate"})
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        Ask::new("POST", path).json(body).send(&self.one).await
    }

    async fn create(&self, body: &Value) -> Answer {
        self.post(&self.storage("/RAID/Volumes"), body).await
    }

    async fn patch_at(&self, path: &str, body: &Value) -> Answer {
        Ask::new("PATCH", path).json(body).send(&self.one).await
    }

    /// The disks that the guest has.
    fn disks(&self) -> Vec<Disk> {
        self.control().observed().unwrap().info.disks
    }

    async fn members(&self, path: &str) -> Vec<String> {
        let json = self.get(path).await.json();
        let members = json["Members"].as_array().unwrap();
        members.iter().map(|member| member["@odata.id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn own_disks_and_the_raid_controller_are_subsystems_of_their_own() {
    let lab = lab().await;
    assert_eq!(lab.members(&lab.storage("")).await, [lab.storage("/sata"), lab.storage("/RAID")]);
    let sata = lab.get(&lab.storage("/sata")).await.json();
    assert_eq!(sata["StorageControllers"][0]["SupportedRAIDTypes"], json!([]), "Ironic passes it by");
    assert_eq!(sata["Drives@odata.count"], 2);
    let raid = lab.get(&lab.storage("/RAID")).await.json();
    let types = json!(["RAID0", "RAID1", "RAID5", "RAID6", "RAID10"]);
    assert_eq!(raid["StorageControllers"][0]["SupportedRAIDTypes"], types);
    assert_eq!(lab.get(&lab.storage("/RAID/Controllers/0")).await.json()["SupportedRAIDTypes"], types);
    assert_eq!(raid["Drives"], lab.drives(&[0, 1, 2, 3]));
    let sda = lab.get(&lab.storage("/sata/Drives/sda")).await.json();
    let serial = lab.disks()[0].serial.clone().unwrap();
    for (name, value) in [
        ("CapacityBytes", json!(64 * GIB)),
        ("BlockSizeBytes", json!(512)),
        ("MediaType", json!("SSD")),
        ("Protocol", json!("SATA")),
        ("SerialNumber", json!(serial)),
    ] {
        assert_eq!(sda[name], value, "{name}");
    }
    let bay = lab.get(&lab.storage("/RAID/Drives/bay2")).await.json();
    assert_eq!((&bay["CapacityBytes"], &bay["Protocol"]), (&json!(128 * GIB), &json!("SAS")));
    assert_eq!(bay["PhysicalLocation"]["PartLocation"]["LocationOrdinalValue"], 2);
    for (path, message) in [
        ("/nvme", "ResourceNotFound"),
        ("/sata/Drives/bay0", "ResourceNotFound"),
        ("/RAID/Drives/sda", "ResourceNotFound"),
        ("/sata/Volumes/Capabilities", "ResourceNotFound"),
        ("/RAID/Volumes/1", "ResourceNotFound"),
        ("/RAID/Controllers/1", "ResourceNotFound"),
        ("/RAID/Nothing", "ResourceMissingAtURI"),
    ] {
        lab.get(&lab.storage(path)).await.refused(404, &[message]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_there_for_the_guest_and_gone_again() {
    let lab = lab().await;
    lab.reset("On").await;
    lab.until_power(PowerState::On).await;
    let volumes = lab.storage("/RAID/Volumes");
    let answer = lab.create(&lab.volume("RAID5", &[0, 1, 3], 100 * GIB)).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (201, format!("{volumes}/1").as_str()));
    let volume = lab.get(&format!("{volumes}/1")).await.json();
    assert_eq!(answer.json()["@odata.etag"], volume["@odata.etag"]);
    for (name, value) in [
        ("RAIDType", json!("RAID5")),
        ("VolumeType", json!("StripedWithParity")),
        ("CapacityBytes", json!(100 * GIB)),
        ("Name", json!("Volume 1")),
        ("Status", json!({"State": "Enabled", "Health": "OK"})),
    ] {
        assert_eq!(volume[name], value, "{name}");
    }
    assert_eq!(volume["Links"]["Drives"], lab.drives(&[0, 1, 3]));
    let bay = lab.get(&lab.storage("/RAID/Drives/bay1")).await.json();
    assert_eq!(bay["Links"]["Volumes"], json!([{"@odata.id": format!("{volumes}/1")}]));

    let disks = lab.disks();
    let disk = &disks[2];
    assert_eq!((disks.len(), disk.capacity_bytes, disk.name.as_str()), (3, Some(100 * GIB), "sdc"));
    let simple = lab.get(&format!("{}/SimpleStorage/scsi", lab.system())).await.json();
    let device = json!({"Name": "sdc", "CapacityBytes": 100 * GIB, "Model": "Simulated RAID5 volume",
        "Status": {"State": "Enabled", "Health": "OK"}});
    assert_eq!(simple["Devices"], json!([device]));
    assert_eq!(lab.members(&lab.storage("")).await.len(), 2, "a volume's disk is no drive");

    let delete = |body: Value| Ask::new("DELETE", &format!("{volumes}/1")).json(&body).send(&lab.one);
    delete(json!({"@Redfish.OperationApplyTime": "OnReset"})).await.refused(400, &["PropertyValueNotInList"]);
    let stale = Ask::new("DELETE", &format!("{volumes}/1")).header("if-match", "\"0\"");
    stale.send(&lab.one).await.refused(412, &["PreconditionFailed"]);
    assert_eq!(delete(json!({"@Redfish.OperationApplyTime": "Immediate"})).await.status, 204);
    assert_eq!(lab.disks().len(), 2);
    lab.get(&format!("{volumes}/1")).await.refused(404, &["ResourceNotFound"]);
    assert!(lab.members(&volumes).await.is_empty());
    let again = lab.create(&json!({"RAIDType": "RAID10", "DisplayName": "all"})).await;
    assert_eq!(again.json()["Id"], "2", "numbers are not given twice");
    assert_eq!(again.json()["CapacityBytes"], 256 * GIB);
    assert_eq!(
        again.json()["Links"]["Drives"],
        lab.drives(&[0, 1, 2, 3]),
        "the free ones, where none are named"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_new_volume_cannot_be() {
    let lab = lab().await;
    assert_eq!(lab.create(&lab.volume("RAID1", &[0, 1], GIB)).await.status, 201);
    let with = |name: &str, value: Value| {
        let mut body = lab.volume("RAID0", &[2, 3], GIB);
        body[name] = value;
        body
    };
    for (body, status, message, property) in [
        (json!({"CapacityBytes": GIB}), 400, "CreateFailedMissingReqProperties", "#/RAIDType"),
        (with("RAIDType", json!("RAID7")), 400, "PropertyValueNotInList", "#/RAIDType"),
        (with("RAIDType", json!(5)), 400, "PropertyValueTypeError", "#/RAIDType"),
        (with("RAIDType", json!(null)), 400, "PropertyValueTypeError", "#/RAIDType"),
        (with("VolumeType", json!("Mirrored")), 400, "PropertyValueConflict", "#/VolumeType"),
        (with("VolumeType", json!("Big")), 400, "PropertyValueNotInList", "#/VolumeType"),
        (with("CapacityBytes", json!("1")), 400, "PropertyValueTypeError", "#/CapacityBytes"),
        (with("CapacityBytes", json!(1.5)), 400, "PropertyValueTypeError", "#/CapacityBytes"),
        (with("CapacityBytes", json!(-1)), 400, "PropertyValueOutOfRange", "#/CapacityBytes"),
        (with("CapacityBytes", json!(0)), 400, "PropertyValueOutOfRange", "#/CapacityBytes"),
        (with("CapacityBytes", json!(257 * GIB)), 400, "PropertyValueOutOfRange", "#/CapacityBytes"),
        (with("Encrypted", json!(true)), 400, "PropertyValueNotInList", "#/Encrypted"),
        (with("Encrypted", json!("no")), 400, "PropertyValueTypeError", "#/Encrypted"),
        (with("DisplayName", json!("x".repeat(65))), 400, "StringValueTooLong", "#/DisplayName"),
        (with("DisplayName", json!("a\nb")), 400, "PropertyValueFormatError", "#/DisplayName"),
        (with("DisplayName", json!(7)), 400, "PropertyValueTypeError", "#/DisplayName"),
        (with("Id", json!("7")), 400, "PropertyNotWritable", "#/Id"),
        (with("Colour", json!("red")), 400, "PropertyUnknown", "#/Colour"),
        (with("Links", json!([])), 400, "PropertyValueTypeError", "#/Links"),
        (with("Links", json!({"Drives": {}})), 400, "PropertyValueTypeError", "#/Links/Drives"),
        (with("Links", json!({"Drives": ["x"]})), 400, "PropertyValueTypeError", "#/Links/Drives/0"),
        (with("Links", json!({"Chassis": []})), 400, "PropertyUnknown", "#/Links/Chassis"),
        (
            with("Links", json!({"Drives": [{"@odata.id": lab.storage("/sata/Drives/sda")}]})),
            400,
            "PropertyValueNotInList",
            "#/Links/Drives/0",
        ),
        (
            with("Links", json!({"Drives": lab.drives(&[2, 1])})),
            409,
            "PropertyValueResourceConflict",
            "#/Links/Drives/1",
        ),
        (with("Links", json!({"Drives": lab.drives(&[2, 2])})), 400, "PropertyValueError", "#/Links/Drives"),
        (lab.volume("RAID5", &[2, 3], GIB), 400, "PropertyValueError", "#/Links/Drives"),
        (
            with("@Redfish.OperationApplyTime", json!("OnReset")),
            400,
            "PropertyValueNotInList",
            "#/@Redfish.OperationApplyTime",
        ),
    ] {
        let answer = lab.create(&body).await;
        answer.refused(status, &[message]);
        let related = &answer.json()["error"]["@Message.ExtendedInfo"][0]["RelatedProperties"];
        assert_eq!(*related, json!([property]), "{body}");
    }
    let too_few = lab.create(&json!({"RAIDType": "RAID6"})).await;
    too_few.refused(409, &["ResourceInUse"]);
    let on_disks = lab.post(&lab.storage("/sata/Volumes"), &json!({"RAIDType": "RAID0"})).await;
    on_disks.refused(405, &["OperationNotAllowed"]);
    assert_eq!(lab.disks().len(), 3, "nothing else was made");
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_the_backend_refuses_leaves_nothing_behind() {
    let lab = lab().await;
    let volumes = lab.storage("/RAID/Volumes");
    lab.control().fail_next(SimOperation::CreateVolume, 1, BackendErrorKind::NoSpace).unwrap();
    lab.create(&lab.volume("RAID0", &[0], GIB)).await.refused(507, &["InsufficientStorage"]);
    until(&lab.machine, |snapshot| snapshot.settings.storage.volumes.is_empty()).await;
    assert_eq!(lab.create(&lab.volume("RAID0", &[0], GIB)).await.status, 201);
    lab.control().fail_next(SimOperation::DeleteVolume, 1, BackendErrorKind::Busy).unwrap();
    let path = format!("{volumes}/2");
    let busy = Ask::new("DELETE", &path).send(&lab.one).await;
    busy.refused(503, &["ServiceTemporarilyUnavailable"]);
    assert_eq!(lab.get(&path).await.json()["Status"]["State"], "Enabled", "it is still there");
    assert_eq!(Ask::new("DELETE", &path).send(&lab.one).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_takes_long_is_a_task() {
    let lab = lab().await;
    lab.control().delay_next(SimOperation::CreateVolume, 1, Duration::from_secs(25)).unwrap();
    let answer = lab.create(&lab.volume("RAID1", &[0, 1], GIB)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["TaskState"]), (202, &json!("Running")));
    let monitor = answer.header("location").to_owned();
    let volumes = &lab.machine.snapshot().settings.storage.volumes;
    assert_eq!(volumes[0].state, VolumeState::Creating);
    until(&lab.machine, |snapshot| snapshot.settings.storage.volumes[0].state == VolumeState::Present).await;
    let done = loop {
        let answer = lab.get(&monitor).await;
        if answer.status != 202 {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((done.status.as_u16(), &done.json()["RAIDType"]), (201, &json!("RAID1")));
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_renamed_and_erased() {
    let lab = lab().await;
    assert_eq!(lab.create(&json!({"RAIDType": "RAID0", "Name": "one"})).await.status, 201);
    let path = lab.storage("/RAID/Volumes/1");
    assert_eq!(lab.patch_at(&path, &json!({"DisplayName": "two"})).await.status, 204);
    assert_eq!(lab.get(&path).await.json()["Name"], "two");
    for (body, message) in [
        (json!({"DisplayName": null}), "PropertyValueTypeError"),
        (json!({"DisplayName": "x".repeat(65)}), "StringValueTooLong"),
        (json!({"Name": "three"}), "PropertyNotWritable"),
        (json!({"CapacityBytes": 3}), "PropertyNotWritable"),
        (json!({"Colour": 3}), "PropertyUnknown"),
        (json!({}), "EmptyJSON"),
    ] {
        lab.patch_at(&path, &body).await.refused(400, &[message]);
    }
    let action = lab.get(&path).await.json()["Actions"]["#Volume.Initialize"]["target"].clone();
    let action = action.as_str().unwrap();
    for (body, message) in [
        (json!({"InitializeType": "Slow"}), "ActionParameterValueNotInList"),
        (json!({"InitializeType": 1}), "ActionParameterValueTypeError"),
        (json!({"InitializeMethod": "Skip"}), "ActionParameterValueNotInList"),
        (json!({"Depth": 1}), "ActionParameterUnknown"),
    ] {
        lab.post(action, &body).await.refused(400, &[message]);
    }
    assert_eq!(lab.post(action, &json!({"InitializeType": "Fast"})).await.status, 204);
    lab.reset("On").await;
    lab.post(action, &json!({})).await.refused(409, &["ChassisPowerStateOffRequired"]);
}

#[tokio::test(start_paused = true)]
async fn the_light_of_a_drive_is_its_own() {
    let lab = lab().await;
    let path = |drive: &str| lab.storage(&format!("/RAID/Drives/{drive}"));
    assert_eq!(lab.patch_at(&path("bay1"), &json!({"IndicatorLED": "Lit"})).await.status, 204);
    let lit = lab.get(&path("bay1")).await.json();
    assert_eq!((&lit["IndicatorLED"], &lit["LocationIndicatorActive"]), (&json!("Lit"), &json!(true)));
    assert_eq!(lab.get(&path("bay0")).await.json()["IndicatorLED"], "Off");
    assert_eq!(lab.get(&lab.system()).await.json()["IndicatorLED"], "Off");
    for (body, message) in [
        (json!({"IndicatorLED": "Blinking"}), "PropertyValueNotInList"),
        (json!({"IndicatorLED": null}), "PropertyValueTypeError"),
        (json!({"LocationIndicatorActive": "yes"}), "PropertyValueTypeError"),
        (json!({"LocationIndicatorActive": true, "IndicatorLED": "Off"}), "PropertyValueConflict"),
        (json!({"AssetTag": "x"}), "PropertyUnknown"),
        (json!({"CapacityBytes": 1}), "PropertyNotWritable"),
    ] {
        lab.patch_at(&path("bay1"), &body).await.refused(400, &[message]);
    }
    assert_eq!(lab.patch_at(&path("bay1"), &json!({"LocationIndicatorActive": false})).await.status, 204);
    assert_eq!(lab.get(&path("bay1")).await.json()["IndicatorLED"], "Off");
    let stale = Ask::new("PATCH", &path("bay1")).header("if-match", "\"0\"");
    let stale = stale.json(&json!({"LocationIndicatorActive": true}));
    stale.send(&lab.one).await.refused(412, &["PreconditionFailed"]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_drives_for_raid_has_no_raid_controller() {
    let sim = SimConfig { raid_drives: 0, ..SimConfig::default() };
    let lab = Lab::with_sim(1, RedfishConfig::default(), sim).await;
    assert_eq!(lab.members(&lab.storage("")).await, [lab.storage("/sata")]);
    lab.get(&lab.storage("/RAID/Volumes")).await.refused(404, &["ResourceNotFound"]);
}
