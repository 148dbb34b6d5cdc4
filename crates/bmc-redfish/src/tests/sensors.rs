//! A Chassis' sensors.

use bmc_core::request::Request as CoreRequest;
use bmc_core::sensor::{Threshold, number};
use bmc_core::settings::Edit;
use bmc_sim::SimLoad;

use super::*;

impl Lab {
    async fn sensor(&self, id: &str) -> Value {
        let chassis = self.machine.snapshot().uuid;
        self.get(&format!("/redfish/v1/Chassis/{chassis}/Sensors/{id}")).await.json()
    }

    async fn busy(&self, cpu_percent: u8) {
        self.control().set_load(Some(SimLoad { cpu_percent, memory_percent: 40 })).unwrap();
        until(&self.machine, |snapshot| snapshot.statistics.cpu_percent == cpu_percent).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_analogue_sensor_is_a_member_with_the_value_of_the_core() {
    let lab = lab().await;
    lab.reset("On").await;
    lab.until_power(PowerState::On).await;
    lab.busy(50).await;
    let snapshot = lab.machine.snapshot();
    let chassis = lab.get(&format!("/redfish/v1/Chassis/{}", snapshot.uuid)).await.json();
    let members = lab.get(chassis["Sensors"]["@odata.id"].as_str().unwrap()).await.json();
    let mut shown = Vec::new();
    for member in members["Members"].as_array().unwrap() {
        let sensor = lab.get(member["@odata.id"].as_str().unwrap()).await.json();
        assert_eq!(sensor["Status"], json!({"State": "Enabled", "Health": "OK"}));
        shown.push((sensor["Name"].as_str().unwrap().to_owned(), sensor["Reading"].as_u64().unwrap()));
    }
    let sensors = snapshot.sensors();
    let core = sensors.iter().filter_map(|sensor| {
        let raw = snapshot.readings.get(sensor.number)?.raw()?;
        Some((sensor.name.clone(), u64::from(sensor.analog()?.value(raw))))
    });
    assert_eq!(shown, core.collect::<Vec<_>>());
    assert!(shown.contains(&("Fan 1".to_owned(), 6000)) && shown.contains(&("CPU Temp".to_owned(), 57)));
}

#[tokio::test(start_paused = true)]
async fn a_sensor_says_what_it_measures_and_where() {
    let lab = lab().await;
    lab.reset("On").await;
    lab.until_power(PowerState::On).await;
    lab.busy(20).await;
    let fan = lab.sensor("Fan2").await;
    let wanted = json!({"Reading": 4200, "ReadingType": "Rotational", "ReadingUnits": "{rev}/min",
        "ReadingRangeMin": 0, "ReadingRangeMax": 12000, "PhysicalContext": "Fan", "Implementation": "Synthesized"});
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&fan[name], value, "{name}");
    }
    let caution = json!({"Reading": 1200, "Activation": "Decreasing", "HysteresisReading": 100});
    assert_eq!(fan["Thresholds"]["LowerCaution"], caution);
    assert!(fan["Thresholds"].get("UpperCaution").is_none());
    assert_eq!(lab.sensor("CPULoad").await["Implementation"], "Reported");
    let nothing = format!("/redfish/v1/Chassis/{}/Sensors/Fan3", lab.machine.snapshot().uuid);
    lab.get(&nothing).await.refused(404, &["ResourceNotFound"]);
    lab.get("/redfish/v1/Chassis/nobody/Sensors/Fan2").await.refused(404, &["ResourceNotFound"]);
    lab.get("/redfish/v1/Chassis/nobody/Sensors").await.refused(404, &["ResourceNotFound"]);
}

#[tokio::test(start_paused = true)]
async fn thresholds_and_enables_that_ipmi_set_show() {
    let lab = lab().await;
    lab.reset("On").await;
    lab.until_power(PowerState::On).await;
    lab.busy(100).await;
    assert_eq!(lab.sensor("CPULoad").await["Status"]["Health"], "Critical");
    let edit = |scanning| {
        Edit::new(move |editable| {
            let settings = &mut editable.settings.sensors;
            let sensors = bmc_core::sensor::list(&settings.slots);
            let cpu = sensors.iter().find(|sensor| sensor.number == number::CPU_TEMPERATURE).unwrap();
            settings.set_threshold(cpu, Threshold::UpperNonCritical, 75);
            let enables = settings.enables(cpu);
            settings.set_enables(cpu, bmc_core::settings::sensors::Enables { scanning, ..enables });
            Ok(())
        })
    };
    lab.machine.request(CoreRequest::Edit(edit(true))).await.unwrap();
    let cpu = lab.sensor("CPUTemp").await;
    assert_eq!(cpu["Thresholds"]["UpperCaution"]["Reading"], 75);
    assert_eq!((&cpu["Reading"], &cpu["Status"]["Health"]), (&json!(80), &json!("Warning")));
    lab.machine.request(CoreRequest::Edit(edit(false))).await.unwrap();
    let cpu = lab.sensor("CPUTemp").await;
    assert_eq!((&cpu["Reading"], &cpu["Status"]["State"]), (&Value::Null, &json!("Disabled")));
    lab.reset("ForceOff").await;
    lab.until_power(PowerState::Off).await;
    let fan = lab.sensor("Fan1").await;
    assert_eq!((&fan["Reading"], &fan["Status"]["State"]), (&Value::Null, &json!("UnavailableOffline")));
    assert_eq!(lab.sensor("InletTemp").await["Reading"], 22);
}
