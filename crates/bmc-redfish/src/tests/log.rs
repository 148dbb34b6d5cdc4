//! The System's event log: the same entries as over IPMI.

use bmc_core::power::{Origin, PowerAction};
use bmc_core::request::{Request as CoreRequest, SelRequest};
use bmc_core::sel::SEL_ENTRIES_MAX;
use ipmi_wire::record::sel::{EventMessage, SelBody};

use super::*;

impl Lab {
    fn log(&self, rest: &str) -> String {
        format!("{}/LogServices/SEL{rest}", self.system())
    }

    async fn event(&self, event_type: u8, deasserted: bool, sensor_type: u8, data: [u8; 3]) {
        let event =
            EventMessage { revision: 4, sensor_type, sensor_number: 0x30, deasserted, event_type, data };
        let request = SelRequest::Event { generator: 0x0020, event };
        self.machine.request(CoreRequest::Sel(request)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn each_power_change_is_one_entry_in_words() {
    let lab = lab().await;
    let system = lab.get(&lab.system()).await.json();
    assert_eq!(system["LogServices"]["@odata.id"], format!("{}/LogServices", lab.system()));
    let service = lab.get(&lab.log("")).await.json();
    assert_eq!(service["MaxNumberOfRecords"], SEL_ENTRIES_MAX);
    assert_eq!(
        (&service["OverWritePolicy"], &service["Overflow"]),
        (&json!("NeverOverWrites"), &json!(false))
    );
    assert_eq!(lab.get(&lab.log("/Entries")).await.json()["Members@odata.count"], 0);
    for (action, state) in [(PowerAction::On, PowerState::On), (PowerAction::Off, PowerState::Off)] {
        lab.machine.request(CoreRequest::Power(action, Origin::Client)).await.unwrap();
        lab.until_power(state).await;
    }
    let entries = lab.get(&lab.log("/Entries")).await.json();
    assert_eq!(entries["Members@odata.count"], 2);
    let on = lab.get(entries["Members"][0]["@odata.id"].as_str().unwrap()).await.json();
    assert_eq!(on["EntryCode"], "Deassert");
    let off = lab.get(entries["Members"][1]["@odata.id"].as_str().unwrap()).await.json();
    assert_eq!((&off["EntryType"], &off["EntryCode"]), (&json!("SEL"), &json!("Assert")));
    assert_eq!((&off["SensorType"], &off["SensorNumber"]), (&json!("PowerUnit"), &json!(0xe0)));
    assert_eq!((&off["MessageId"], &off["GeneratorId"]), (&json!("0x6F00FFFF"), &json!("0x0020")));
    assert_eq!(off["Message"], "Power Unit: power off");
    assert_eq!(off["Created"], off["EventTimestamp"]);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_record_is_a_valid_entry() {
    let lab = lab().await;
    for event_type in [0, 1, 2, 7, 0xb, 0xc, 0xd, 0x6f, 0x70, 0x7f] {
        for sensor_type in [0, 1, 0x2c, 0x2d, 0xff] {
            for offset in [0, 3, 0xb, 0xf] {
                lab.event(event_type, offset == 3, sensor_type, [offset, 0, 0xff]).await;
            }
        }
    }
    let bodies = [
        SelBody::Oem { record_type: 0xe0, data: [0xab; 13] },
        SelBody::OemTimestamped { record_type: 0xdf, timestamp: 0, manufacturer: 7154, data: [1; 6] },
    ];
    for body in bodies {
        lab.machine.request(CoreRequest::Sel(SelRequest::Add(body))).await.unwrap();
    }
    let entries = lab.get(&lab.log("/Entries")).await.json();
    let members = entries["Members"].as_array().unwrap();
    assert_eq!(members.len(), 10 * 5 * 4 + 2);
    for member in members {
        let answer = lab.get(member["@odata.id"].as_str().unwrap()).await;
        assert_eq!(answer.status, 200);
    }
    let oem = lab.get(&lab.log("/Entries/201")).await.json();
    assert_eq!(
        (&oem["EntryType"], &oem["OemRecordFormat"]),
        (&json!("Oem"), &json!("IPMI SEL record type E0h"))
    );
    for wrong in ["0", "203", "01", "+1", "x", "65537"] {
        lab.get(&lab.log(&format!("/Entries/{wrong}"))).await.refused(404, &["ResourceNotFound"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_is_cleared_by_who_may() {
    let lab = lab().await;
    lab.event(0x6f, false, 9, [0, 0xff, 0xff]).await;
    let target = lab.log("/Actions/LogService.ClearLog");
    let clear = |body: Value| Ask::new("POST", &target).json(&body).send(&lab.one);
    clear(json!({"Extra": 1})).await.refused(400, &["ActionParameterUnknown"]);
    clear(json!({"LogEntriesETag": "\"0\""})).await.refused(428, &["PreconditionFailed"]);
    assert_eq!(lab.get(&lab.log("/Entries")).await.json()["Members@odata.count"], 1);
    let tag = lab.get(&lab.log("/Entries")).await.header("etag").to_owned();
    assert_eq!(clear(json!({"LogEntriesETag": tag})).await.status, 204);
    assert_eq!(lab.get(&lab.log("/Entries")).await.json()["Members@odata.count"], 0);
    lab.event(0x6f, false, 9, [0, 0xff, 0xff]).await;
    assert_eq!(clear(json!({})).await.status, 204);
    assert!(lab.machine.snapshot().sel.entries().is_empty());
}
