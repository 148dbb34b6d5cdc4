//! Bad input of the event service: each property and parameter.

use super::events_push::SUBSCRIPTIONS;
use super::*;

const SERVICE: &str = "/redfish/v1/EventService";

async fn related(lab: &Lab, method: &str, path: &str, body: &Value) -> Vec<(String, String)> {
    let answer = Ask::new(method, path).json(body).send(&lab.one).await;
    assert_eq!(answer.status, 400, "{body}: {:?}", String::from_utf8_lossy(&answer.bytes));
    let info = answer.json()["error"]["@Message.ExtendedInfo"].clone();
    let of = |message: &Value| {
        let key = message["MessageId"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
        (key, message["RelatedProperties"][0].as_str().unwrap_or_default().to_owned())
    };
    info.as_array().unwrap().iter().map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn every_fault_of_a_subscription_is_named() {
    let lab = lab().await;
    let long = "x".repeat(3000);
    let rows: [(&str, Value, &str, &str); 48] = [
        ("Destination", json!(1), "PropertyValueTypeError", ""),
        ("Destination", json!(null), "PropertyValueTypeError", ""),
        ("Destination", json!("nonsense"), "PropertyValueFormatError", ""),
        ("Destination", json!("ftp://127.0.0.1/"), "PropertyValueFormatError", ""),
        ("Destination", json!("http://u:p@127.0.0.1/"), "PropertyValueFormatError", ""),
        ("Destination", json!(format!("http://127.0.0.1/{long}")), "StringValueTooLong", ""),
        ("Protocol", json!("SNMPv3"), "PropertyValueNotInList", ""),
        ("Protocol", json!(null), "PropertyValueTypeError", ""),
        ("Protocol", json!(1), "PropertyValueTypeError", ""),
        ("SubscriptionType", json!("SSE"), "PropertyValueNotInList", ""),
        ("SubscriptionType", json!([]), "PropertyValueTypeError", ""),
        ("EventFormatType", json!("Log"), "PropertyValueNotInList", ""),
        ("MetricReportDefinitions", json!([{"@odata.id": "/redfish/v1/x"}]), "PropertyValueNotInList", "/0"),
        ("MetricReportDefinitions", json!([{}]), "PropertyValueTypeError", "/0"),
        ("MetricReportDefinitions", json!("Power"), "PropertyValueTypeError", ""),
        (
            "MetricReportDefinitions",
            json!([{"@odata.id": "/redfish/v1/TelemetryService/MetricReportDefinitions/Power"}]),
            "PropertyValueConflict",
            "",
        ),
        ("EventFormatType", json!(1), "PropertyValueTypeError", ""),
        ("Context", json!(1), "PropertyValueTypeError", ""),
        ("Context", json!(long), "StringValueTooLong", ""),
        ("RegistryPrefixes", json!("Base"), "PropertyValueTypeError", ""),
        ("RegistryPrefixes", json!(null), "PropertyValueTypeError", ""),
        ("RegistryPrefixes", json!(["Base"]), "PropertyValueNotInList", "/0"),
        ("RegistryPrefixes", json!(["TaskEvent", 1]), "PropertyValueTypeError", "/1"),
        ("ExcludeRegistryPrefixes", json!(["x"]), "PropertyValueNotInList", "/0"),
        ("MessageIds", json!(["x"]), "PropertyValueFormatError", "/0"),
        ("MessageIds", json!([null]), "PropertyValueTypeError", "/0"),
        ("MessageIds", json!(vec!["A.B"; 65]), "PropertyValueError", ""),
        ("MessageIds", json!([long]), "StringValueTooLong", "/0"),
        ("ExcludeMessageIds", json!(["A.1"]), "PropertyValueFormatError", "/0"),
        ("ResourceTypes", json!(["Submarine"]), "PropertyValueNotInList", "/0"),
        ("ResourceTypes", json!(true), "PropertyValueTypeError", ""),
        ("Severities", json!(["Bad"]), "PropertyValueNotInList", "/0"),
        ("EventTypes", json!(["MetricReport"]), "PropertyValueNotInList", "/0"),
        ("OriginResources", json!(["/redfish/v1/Systems"]), "PropertyValueTypeError", "/0"),
        ("OriginResources", json!([{"@odata.id": 1}]), "PropertyValueTypeError", "/0"),
        ("OriginResources", json!([{"@odata.id": "/else"}]), "PropertyValueFormatError", "/0"),
        ("OriginResources", json!({}), "PropertyValueTypeError", ""),
        ("SubordinateResources", json!("yes"), "PropertyValueTypeError", ""),
        ("VerifyCertificate", json!("yes"), "PropertyValueTypeError", ""),
        ("DeliveryRetryPolicy", json!("Never"), "PropertyValueNotInList", ""),
        ("DeliveryRetryPolicy", json!(1), "PropertyValueTypeError", ""),
        ("HttpHeaders", json!("secret"), "PropertyValueTypeError", ""),
        ("HttpHeaders", json!(["secret"]), "PropertyValueError", "/0"),
        ("HttpHeaders", json!([{"X": 1}]), "PropertyValueError", "/0"),
        ("HttpHeaders", json!([{"X": "a\nb"}]), "PropertyValueError", "/0"),
        ("HttpHeaders", json!([{"Host": "b"}]), "PropertyValueError", "/0"),
        ("Id", json!("5"), "PropertyNotWritable", ""),
        ("Submarine", json!("5"), "PropertyUnknown", ""),
    ];
    for (name, value, key, below) in rows {
        let mut body = json!({"Destination": "http://127.0.0.1:1/", "Protocol": "Redfish"});
        body[name] = value;
        let faults = related(&lab, "POST", SUBSCRIPTIONS, &body).await;
        assert_eq!(faults, [(key.to_owned(), format!("#/{name}{below}"))], "{body}");
    }
    let both = related(&lab, "POST", SUBSCRIPTIONS, &json!({})).await;
    let missing = |name: &str| ("PropertyMissing".to_owned(), format!("#/{name}"));
    assert_eq!(both, [missing("Destination"), missing("Protocol")]);
    let answer = lab.get(SUBSCRIPTIONS).await;
    assert_eq!(answer.json()["Members@odata.count"], 0, "nothing came of it");
}

#[tokio::test(start_paused = true)]
async fn every_fault_of_a_change_is_named_and_nothing_changes() {
    let lab = lab().await;
    let body = json!({"Destination": "http://127.0.0.1:1/", "Protocol": "Redfish", "Context": "old"});
    let made = Ask::new("POST", SUBSCRIPTIONS).json(&body).send(&lab.one).await;
    let uri = made.header("location").to_owned();
    let before = lab.get(&uri).await;
    for (name, value, key) in [
        ("Context", json!(1), "PropertyValueTypeError"),
        ("VerifyCertificate", json!(1), "PropertyValueTypeError"),
        ("DeliveryRetryPolicy", json!("x"), "PropertyValueNotInList"),
        ("HttpHeaders", json!(1), "PropertyValueTypeError"),
        ("Destination", json!("http://127.0.0.1:2/"), "PropertyNotWritable"),
        ("Protocol", json!("Redfish"), "PropertyNotWritable"),
        ("Submarine", json!(1), "PropertyUnknown"),
    ] {
        let faults = related(&lab, "PATCH", &uri, &json!({"Context": "new", name: value})).await;
        let expected = (key.to_owned(), format!("#/{name}"));
        assert_eq!(faults, [expected], "{name}");
        assert_eq!(lab.get(&uri).await.bytes, before.bytes);
    }
    let stale = Ask::new("PATCH", &uri).header("if-match", "\"0\"").json(&json!({"Context": "new"}));
    stale.send(&lab.one).await.refused(412, &["PreconditionFailed"]);
    let change = |body| Ask::new("PATCH", &uri).header("if-match", before.header("etag")).json(&body);
    let answer = change(json!({"Context": "new"})).send(&lab.one).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("etag"), lab.get(&uri).await.header("etag"));
    for id in ["0", "x", "01", "99"] {
        Ask::new("DELETE", &format!("{SUBSCRIPTIONS}/{id}"))
            .send(&lab.one)
            .await
            .refused(404, &["ResourceNotFound"]);
    }

    for (name, value, key) in [
        ("DeliveryRetryAttempts", json!("3"), "PropertyValueTypeError"),
        ("DeliveryRetryAttempts", json!(null), "PropertyValueTypeError"),
        ("DeliveryRetryAttempts", json!(1.5), "PropertyValueTypeError"),
        ("DeliveryRetryAttempts", json!(-1), "PropertyValueOutOfRange"),
        ("DeliveryRetryAttempts", json!(101), "PropertyValueOutOfRange"),
        ("DeliveryRetryIntervalSeconds", json!(0), "PropertyValueOutOfRange"),
        ("DeliveryRetryIntervalSeconds", json!(3601), "PropertyValueOutOfRange"),
        ("DeliveryRetryIntervalSeconds", json!(true), "PropertyValueTypeError"),
        ("ServiceEnabled", json!(false), "PropertyNotWritable"),
        ("Submarine", json!(1), "PropertyUnknown"),
    ] {
        let faults = related(&lab, "PATCH", SERVICE, &json!({name: value})).await;
        assert_eq!(faults, [(key.to_owned(), format!("#/{name}"))], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_of_a_test_event_is_named() {
    let lab = lab().await;
    let path = format!("{SERVICE}/Actions/EventService.SubmitTestEvent");
    let long = "x".repeat(3000);
    let (wrong_type, not_in_list) = ("ActionParameterValueTypeError", "ActionParameterValueNotInList");
    for (name, value, key) in [
        ("MessageId", json!(1), wrong_type),
        ("MessageId", json!(null), wrong_type),
        ("MessageId", json!("x"), not_in_list),
        ("Message", json!(1), wrong_type),
        ("Message", json!(long), not_in_list),
        ("EventId", json!(1), wrong_type),
        ("EventTimestamp", json!("now"), not_in_list),
        ("EventTimestamp", json!(1), wrong_type),
        ("EventType", json!("x"), not_in_list),
        ("EventType", json!(1), wrong_type),
        ("MessageSeverity", json!("Bad"), not_in_list),
        ("Severity", json!(1), wrong_type),
        ("MessageArgs", json!("x"), wrong_type),
        ("MessageArgs", json!([1]), wrong_type),
        ("OriginOfCondition", json!("http://elsewhere"), not_in_list),
        ("OriginOfCondition", json!({}), wrong_type),
        ("EventGroupId", json!("1"), wrong_type),
        ("Submarine", json!(1), "ActionParameterUnknown"),
    ] {
        let mut body = json!({"MessageId": "Base.1.22.Success"});
        body[name] = value;
        let faults = related(&lab, "POST", &path, &body).await;
        assert_eq!(faults, [(key.to_owned(), format!("#/{name}"))], "{body}");
    }
    let answer = Ask::new("POST", &path).json(&json!({})).send(&lab.one).await;
    answer.refused(400, &["ActionParameterMissing"]);
    let path = format!("{SERVICE}/Actions/EventService.TestEventSubscription");
    let answer = Ask::new("POST", &path).json(&json!({"x": 1})).send(&lab.one).await;
    answer.refused(400, &["ActionParameterUnknown"]);
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_bounded() {
    let lab = lab().await;
    let body = json!({"Destination": "http://127.0.0.1:1/", "Protocol": "Redfish"});
    for _ in 0..crate::event::SUBSCRIPTIONS_MAX {
        assert_eq!(Ask::new("POST", SUBSCRIPTIONS).json(&body).send(&lab.one).await.status, 201);
    }
    let answer = Ask::new("POST", SUBSCRIPTIONS).json(&body).send(&lab.one).await;
    answer.refused(507, &["CreateLimitReachedForResource"]);
}
