//! Reports of what the sensors read.

use super::*;

#[tokio::test(start_paused = true)]
async fn reports_have_the_values_of_the_sensors() {
    let lab = Lab::new(2, RedfishConfig::default()).await;
    assert_eq!(lab.reset("On").await.status, 204);
    lab.until_power(PowerState::On).await;
    for (router, machines) in [(&lab.one, 1), (&lab.all, 2)] {
        let reports = Ask::get("/redfish/v1/TelemetryService/MetricReports").send(router).await.json();
        let mut values = 0;
        for report in reports["Members"].as_array().unwrap() {
            let report = Ask::get(report["@odata.id"].as_str().unwrap()).send(router).await.json();
            let definition = report["MetricReportDefinition"]["@odata.id"].as_str().unwrap();
            let definition = Ask::get(definition).send(router).await.json();
            assert_eq!(definition["MetricReport"]["@odata.id"], report["@odata.id"]);
            for value in report["MetricValues"].as_array().unwrap() {
                let property = value["MetricProperty"].as_str().unwrap();
                let sensor = Ask::get(property.strip_suffix("/Reading").unwrap()).send(router).await.json();
                let reading: f64 = value["MetricValue"].as_str().unwrap().parse().unwrap();
                assert_eq!(sensor["Reading"].as_f64(), Some(reading), "{property}");
                let metric = value["MetricDefinition"]["@odata.id"].as_str().unwrap();
                let metric = Ask::get(metric).send(router).await.json();
                assert_eq!(metric["Units"], sensor["ReadingUnits"]);
                let properties = metric["MetricProperties"].as_array().unwrap();
                assert!(properties.contains(&json!(property)) && properties.len() == machines);
                values += 1;
            }
        }
        // A machine that is off draws power all the same, and has an inlet.
        assert!(values >= 8, "{values}");
    }
    for missing in ["MetricReports/x", "MetricReportDefinitions/x", "MetricDefinitions/x"] {
        let answer = lab.get(&format!("/redfish/v1/TelemetryService/{missing}")).await;
        answer.refused(404, &["ResourceNotFound"]);
    }
}
