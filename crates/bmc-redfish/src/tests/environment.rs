//! Temperatures, fans, power and its limit, assembly: the numbers of the sensors and of DCMI.

use bmc_core::sensor::Unit;
use bmc_core::settings::dcmi::ExceptionAction;
use bmc_sim::SimLoad;

use super::*;

impl Lab {
    fn chassis(&self, rest: &str) -> String {
        format!("/redfish/v1/Chassis/{}{rest}", self.machine.snapshot().uuid)
    }

    async fn on_at(&self, cpu_percent: u8) {
        self.reset("On").await;
        self.until_power(PowerState::On).await;
        self.control().set_load(Some(SimLoad { cpu_percent, memory_percent: 40 })).unwrap();
        until(&self.machine, |snapshot| snapshot.statistics.cpu_percent == cpu_percent).await;
    }

    async fn at_chassis(&self, rest: &str) -> Value {
        let answer = self.get(&self.chassis(rest)).await;
        assert_eq!(answer.status, 200, "{rest}");
        answer.json()
    }

    async fn patch_chassis(&self, rest: &str, body: &Value) -> Answer {
        Ask::new("PATCH", &self.chassis(rest)).json(body).send(&self.one).await
    }

    /// Name and value of the sensors of a unit.
    fn core(&self, unit: Unit) -> Vec<(String, u64)> {
        let snapshot = self.machine.snapshot();
        let sensors = snapshot.sensors().iter().filter_map(|sensor| {
            let analog = sensor.analog().filter(|analog| analog.unit == unit)?;
            let raw = snapshot.readings.get(sensor.number)?.raw()?;
            Some((sensor.name.clone(), u64::from(analog.value(raw))))
        });
        sensors.collect()
    }
}

fn named(items: &Value, reading: &str) -> Vec<(String, u64)> {
    let items = items.as_array().unwrap().iter();
    items.map(|item| (item["Name"].as_str().unwrap().to_owned(), item[reading].as_u64().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn both_styles_show_what_the_sensors_show() {
    let lab = lab().await;
    lab.on_at(50).await;
    let thermal = lab.at_chassis("/Thermal").await;
    assert_eq!(named(&thermal["Temperatures"], "ReadingCelsius"), lab.core(Unit::Celsius));
    assert_eq!(named(&thermal["Fans"], "Reading"), lab.core(Unit::Rpm));
    assert_eq!(thermal["Temperatures"][0]["SensorNumber"], 2);
    assert_eq!(thermal["Temperatures"][0]["UpperThresholdCritical"], 95);
    let fan = lab.at_chassis("/ThermalSubsystem/Fans/Fan1").await;
    assert_eq!(
        (&fan["SpeedPercent"]["SpeedRPM"], &fan["SpeedPercent"]["Reading"]),
        (&json!(6000), &json!(50))
    );
    let metrics = lab.at_chassis("/ThermalSubsystem/ThermalMetrics").await;
    assert_eq!(metrics["TemperatureSummaryCelsius"]["Intake"]["Reading"], 22);

    let draw = lab.core(Unit::Watts)[0].1;
    let power = lab.at_chassis("/Power").await;
    assert_eq!(power["PowerControl"][0]["PowerConsumedWatts"], draw);
    assert_eq!(power["PowerControl"][0]["PowerMetrics"]["MaxConsumedWatts"], draw);
    assert_eq!(power["PowerSupplies"][1]["LastPowerOutputWatts"], draw / 2);
    assert_eq!(power["PowerSupplies"][1]["Status"], json!({"State": "Enabled", "Health": "OK"}));
    let metrics = lab.at_chassis("/PowerSubsystem/PowerSupplies/PSU2/Metrics").await;
    assert_eq!(metrics["OutputPowerWatts"]["Reading"], draw / 2);
    let environment = lab.at_chassis("/EnvironmentMetrics").await;
    assert_eq!(environment["PowerWatts"]["Reading"], draw);
    let source = environment["PowerWatts"]["DataSourceUri"].as_str().unwrap();
    assert_eq!(lab.get(source).await.json()["Reading"], draw);
    for path in [
        "/ThermalSubsystem/Fans/Fan3",
        "/PowerSubsystem/PowerSupplies/PSU3",
        "/PowerSubsystem/PowerSupplies/Fan1",
    ] {
        lab.get(&lab.chassis(path)).await.refused(404, &["ResourceNotFound"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_off_reads_what_can_be_read() {
    let lab = lab().await;
    let thermal = lab.at_chassis("/Thermal").await;
    assert_eq!(thermal["Fans"][0]["Reading"], Value::Null);
    assert_eq!(thermal["Fans"][0]["Status"]["State"], "UnavailableOffline");
    assert_eq!(lab.at_chassis("/Power").await["PowerControl"][0]["PowerConsumedWatts"], 8);
    assert_eq!(lab.at_chassis("").await["PhysicalSecurity"]["IntrusionSensor"], "Normal");
}

#[tokio::test(start_paused = true)]
async fn the_power_limit_is_dcmis() {
    let lab = lab().await;
    let limit = |lab: &Lab| lab.machine.snapshot().settings.dcmi.power_limit.unwrap();
    let control = |limit: Value| json!({"PowerControl": [{"PowerLimit": limit}]});
    let body =
        control(json!({"LimitInWatts": 300, "LimitException": "HardPowerOff", "CorrectionInMs": 2000}));
    assert_eq!(lab.patch_chassis("/Power", &body).await.status, 204);
    let kept = limit(&lab);
    assert_eq!((kept.active, kept.watts, kept.correction_ms), (true, 300, 2000));
    assert_eq!(kept.action, ExceptionAction::PowerOff);
    let shown = lab.at_chassis("/EnvironmentMetrics").await["PowerLimitWatts"].clone();
    assert_eq!((&shown["SetPoint"], &shown["ControlMode"]), (&json!(300), &json!("Automatic")));
    assert_eq!(lab.patch_chassis("/Power", &control(json!({"LimitInWatts": null}))).await.status, 204);
    assert!(!limit(&lab).active);
    assert_eq!(lab.at_chassis("/Power").await["PowerControl"][0]["PowerLimit"]["LimitInWatts"], Value::Null);
    let set = json!({"PowerLimitWatts": {"SetPoint": 250}});
    assert_eq!(lab.patch_chassis("/EnvironmentMetrics", &set).await.status, 204);
    assert_eq!(lab.at_chassis("/Power").await["PowerControl"][0]["PowerLimit"]["LimitInWatts"], 250);
    let off = json!({"PowerLimitWatts": {"ControlMode": "Disabled"}});
    assert_eq!(lab.patch_chassis("/EnvironmentMetrics", &off).await.status, 204);
    assert_eq!((limit(&lab).active, limit(&lab).watts), (false, 250));

    for (body, message, property) in [
        (control(json!({"LimitInWatts": 0})), "PropertyValueOutOfRange", "/PowerLimit/LimitInWatts"),
        (control(json!({"LimitInWatts": 65536})), "PropertyValueOutOfRange", "/PowerLimit/LimitInWatts"),
        (control(json!({"LimitInWatts": 1.5})), "PropertyValueOutOfRange", "/PowerLimit/LimitInWatts"),
        (control(json!({"LimitInWatts": "1"})), "PropertyValueTypeError", "/PowerLimit/LimitInWatts"),
        (control(json!({"LimitException": "Oem"})), "PropertyValueNotInList", "/PowerLimit/LimitException"),
        (control(json!({"LimitException": null})), "PropertyValueTypeError", "/PowerLimit/LimitException"),
        (control(json!({"CorrectionInMs": 99})), "PropertyValueOutOfRange", "/PowerLimit/CorrectionInMs"),
        (
            control(json!({"CorrectionInMs": 3_600_001})),
            "PropertyValueOutOfRange",
            "/PowerLimit/CorrectionInMs",
        ),
        (control(json!({"Colour": 1})), "PropertyUnknown", "/PowerLimit/Colour"),
        (control(json!(7)), "PropertyValueTypeError", "/PowerLimit"),
        (json!({"PowerControl": [{"PowerConsumedWatts": 1}]}), "PropertyNotWritable", "/PowerConsumedWatts"),
        (json!({"PowerControl": [7]}), "PropertyValueTypeError", ""),
    ] {
        let answer = lab.patch_chassis("/Power", &body).await;
        answer.refused(400, &[message]);
        let related = &answer.json()["error"]["@Message.ExtendedInfo"][0]["RelatedProperties"][0];
        assert_eq!(*related, format!("#/PowerControl/0{property}"), "{body}");
    }
    for (body, message) in [
        (json!({"PowerControl": {}}), "PropertyValueTypeError"),
        (json!({"PowerControl": [{}, {}]}), "PropertyUnknown"),
        (json!({"PowerControl": []}), "NoOperation"),
        (json!({"PowerSupplies": []}), "PropertyNotWritable"),
    ] {
        lab.patch_chassis("/Power", &body).await.refused(400, &[message]);
    }
    for (body, message) in [
        (json!({"PowerLimitWatts": 7}), "PropertyValueTypeError"),
        (json!({"PowerLimitWatts": {"SetPoint": 0}}), "PropertyValueOutOfRange"),
        (json!({"PowerLimitWatts": {"SetPoint": null, "ControlMode": "Automatic"}}), "PropertyValueConflict"),
        (json!({"PowerLimitWatts": {"ControlMode": "Manual"}}), "PropertyValueNotInList"),
        (json!({"PowerLimitWatts": {"Reading": 1}}), "PropertyNotWritable"),
        (json!({"PowerWatts": {"Reading": 1}}), "PropertyNotWritable"),
        (json!({"Colour": 1}), "PropertyUnknown"),
    ] {
        lab.patch_chassis("/EnvironmentMetrics", &body).await.refused(400, &[message]);
    }
}

#[tokio::test(start_paused = true)]
async fn thresholds_are_set_and_what_they_say_reaches_the_system() {
    let lab = lab().await;
    lab.on_at(100).await;
    let status = |json: Value| json["Status"]["Health"].clone();
    assert_eq!(status(lab.get(&lab.system()).await.json()), "OK", "a machine that works hard is not ill");
    let path = "/Sensors/CPUTemp";
    let body = json!({"Thresholds": {"UpperCaution": {"Reading": 70}, "UpperCritical": {"Reading": 90.4}}});
    assert_eq!(lab.patch_chassis(path, &body).await.status, 204);
    let sensor = lab.at_chassis(path).await;
    assert_eq!(sensor["Thresholds"]["UpperCaution"]["Reading"], 70);
    assert_eq!(sensor["Thresholds"]["UpperCritical"]["Reading"], 90);
    assert_eq!(status(sensor), "Warning");
    assert_eq!(lab.at_chassis("/Thermal").await["Temperatures"][0]["UpperThresholdNonCritical"], 70);
    for resource in [lab.system(), lab.chassis(""), lab.chassis("/Thermal")] {
        assert_eq!(status(lab.get(&resource).await.json()), "Warning", "{resource}");
    }
    let threshold = |name: &str, value: Value| json!({"Thresholds": {name: value}});
    for (body, message) in [
        (threshold("LowerCaution", json!({"Reading": 1})), "PropertyUnknown"),
        (threshold("UpperCaution", json!({"Reading": "1"})), "PropertyValueTypeError"),
        (threshold("UpperCaution", json!({"Reading": null})), "PropertyValueTypeError"),
        (threshold("UpperCaution", json!({"Reading": -1})), "PropertyValueOutOfRange"),
        (threshold("UpperCaution", json!({"Reading": 128})), "PropertyValueOutOfRange"),
        (threshold("UpperCaution", json!({"Activation": "Increasing"})), "PropertyNotWritable"),
        (threshold("UpperCaution", json!(70)), "PropertyValueTypeError"),
        (json!({"Thresholds": 1}), "PropertyValueTypeError"),
        (json!({"Reading": 1}), "PropertyNotWritable"),
        (json!({"Colour": 1}), "PropertyUnknown"),
    ] {
        lab.patch_chassis(path, &body).await.refused(400, &[message]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_assembly_is_the_fru_inventory() {
    let lab = lab().await;
    let assembly = lab.at_chassis("/Assembly").await;
    let parts = assembly["Assemblies"].as_array().unwrap();
    let names: Vec<&str> = parts.iter().map(|part| part["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Chassis", "Board", "Product"]);
    let identity = lab.machine.snapshot().identity.clone();
    assert_eq!(
        (&parts[2]["Vendor"], &parts[2]["Model"]),
        (&json!(identity.manufacturer), &json!(identity.model))
    );
}

#[tokio::test(start_paused = true)]
async fn a_power_limit_that_nobody_set_has_no_set_point() {
    let lab = lab().await;
    let uri = format!("{}/EnvironmentMetrics", lab.system().replace("Systems", "Chassis"));
    let limit = lab.get(&uri).await.json()["PowerLimitWatts"].clone();
    assert_eq!((&limit["SetPoint"], &limit["ControlMode"]), (&Value::Null, &json!("Disabled")));
    let set = json!({"PowerLimitWatts": {"SetPoint": 250}});
    assert_eq!(Ask::new("PATCH", &uri).json(&set).send(&lab.one).await.status, 204);
    assert_eq!(lab.get(&uri).await.json()["PowerLimitWatts"]["SetPoint"], 250);
    let unset = json!({"PowerLimitWatts": {"SetPoint": null}});
    assert_eq!(Ask::new("PATCH", &uri).json(&unset).send(&lab.one).await.status, 204);
    assert_eq!(lab.get(&uri).await.json()["PowerLimitWatts"], limit);
    assert_eq!(lab.machine.snapshot().settings.dcmi.power_limit, None);
}
