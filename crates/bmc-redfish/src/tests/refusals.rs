//! Hostile and mistaken requests: each is refused by its name.

use super::*;
use crate::config::BODY_MAX_BYTES;

fn reset_path(lab: &Lab) -> String {
    format!("{}/Actions/ComputerSystem.Reset", lab.system())
}

async fn reset_with(lab: &Lab, body: &Value) -> Answer {
    Ask::new("POST", &reset_path(lab)).json(body).send(&lab.one).await
}

#[tokio::test(start_paused = true)]
async fn action_parameters() {
    let lab = lab().await;
    reset_with(&lab, &json!({})).await.refused(400, &["ActionParameterMissing"]);
    reset_with(&lab, &json!({"ResetType": "Explode"})).await.refused(400, &["ActionParameterValueNotInList"]);
    reset_with(&lab, &json!({"ResetType": 1})).await.refused(400, &["ActionParameterValueTypeError"]);
    reset_with(&lab, &json!({"ResetType": null})).await.refused(400, &["ActionParameterValueTypeError"]);
    let answer = reset_with(&lab, &json!({"ResetType": "On", "Delay": 3})).await;
    answer.refused(400, &["ActionParameterUnknown"]);
    assert_eq!(lab.machine.snapshot().power, PowerState::Off, "nothing happened");
    let message = &answer.json()["error"]["@Message.ExtendedInfo"][0];
    assert_eq!(
        message["Message"],
        "The action ComputerSystem.Reset was submitted with the invalid parameter Delay."
    );
    assert_eq!(answer.json()["error"]["code"], message["MessageId"], "a single message is the error");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there() {
    let lab = lab().await;
    for (path, message) in [
        ("/redfish/v1/Systems/nobody", "ResourceNotFound"),
        ("/redfish/v1/Systems/nobody/ResetActionInfo", "ResourceNotFound"),
        ("/redfish/v1/Managers/nobody", "ResourceNotFound"),
        ("/redfish/v1/Chassis/nobody", "ResourceNotFound"),
        ("/redfish/v1/SessionService/Sessions/nobody", "ResourceNotFound"),
        ("/redfish/v1/Registries/Nothing", "ResourceNotFound"),
        ("/redfish/v1/Systems/m0/Nothing", "ResourceMissingAtURI"),
        ("/redfish/v2", "ResourceMissingAtURI"),
        ("/", "ResourceMissingAtURI"),
        ("/redfish/v1/systems", "ResourceMissingAtURI"),
    ] {
        lab.get(path).await.refused(404, &[message]);
    }
    let path = "/redfish/v1/Systems/nobody/Actions/ComputerSystem.Reset";
    let answer = Ask::new("POST", path).json(&json!({"ResetType": "On"})).send(&lab.one).await;
    answer.refused(404, &["ResourceNotFound"]);
    let path = format!("{}/Actions/ComputerSystem.Explode", lab.system());
    Ask::new("POST", &path).json(&json!({})).send(&lab.one).await.refused(404, &["ResourceMissingAtURI"]);
}

#[tokio::test(start_paused = true)]
async fn methods_that_are_not_allowed_come_with_those_that_are() {
    let lab = lab().await;
    for (method, path, allow) in [
        ("PATCH", "/redfish/v1/Systems".to_owned(), "GET, HEAD"),
        ("POST", "/redfish/v1/Systems".to_owned(), "GET, HEAD"),
        ("DELETE", lab.system(), "GET, HEAD, PATCH"),
        ("PUT", lab.system(), "GET, HEAD, PATCH"),
        ("PATCH", lab.system() + "/Processors", "GET, HEAD"),
        ("GET", reset_path(&lab), "POST"),
        ("PUT", "/redfish/v1".to_owned(), "GET, HEAD"),
        ("PATCH", "/redfish/v1/SessionService/Sessions".to_owned(), "GET, HEAD, POST"),
    ] {
        let answer = Ask::new(method, &path).json(&json!({})).send(&lab.one).await;
        answer.refused(405, &["OperationNotAllowed"]);
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_no_json_object() {
    let lab = lab().await;
    let deep = |open: &str| open.repeat(10_000);
    for (body, message) in [
        (Vec::new(), "UnrecognizedRequestBody"),
        (b"[]".to_vec(), "UnrecognizedRequestBody"),
        (b"\"text\"".to_vec(), "UnrecognizedRequestBody"),
        (b"{\"AssetTag\": \"\xff\"}".to_vec(), "UnrecognizedRequestBody"),
        (b"{\"AssetTag\": ".to_vec(), "MalformedJSON"),
        (b"{'AssetTag': 1}".to_vec(), "MalformedJSON"),
        (deep("{\"a\":").into_bytes(), "MalformedJSON"),
        (format!("{{\"a\":{}", deep("[")).into_bytes(), "MalformedJSON"),
        (b"{\"AssetTag\": \"a\", \"AssetTag\": \"b\"}".to_vec(), "PropertyDuplicate"),
    ] {
        for (method, path) in [("PATCH", lab.system()), ("POST", reset_path(&lab))] {
            let answer = Ask::new(method, &path).bytes("application/json", &body).send(&lab.one).await;
            // An action may have nothing to be told.
            let action = method == "POST" && body.is_empty();
            answer.refused(400, &[if action { "ActionParameterMissing" } else { message }]);
        }
        let path = "/redfish/v1/SessionService/Sessions";
        let answer = Ask::anonymous("POST", path).bytes("application/json", &body).send(&lab.one).await;
        answer.refused(400, &[message]);
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_too_large() {
    let lab = lab().await;
    let body = format!("{{\"AssetTag\": \"{}\"}}", "x".repeat(BODY_MAX_BYTES));
    let ask = Ask::new("PATCH", &lab.system()).bytes("application/json", body.as_bytes());
    ask.send(&lab.one).await.refused(413, &["PayloadTooLarge"]);
    let ask = Ask::new("PATCH", &lab.system()).bytes("application/json", &vec![b' '; 10 << 20]);
    ask.send(&lab.one).await.refused(413, &["PayloadTooLarge"]);
    let ask = Ask::get(&lab.system()).bytes("application/json", body.as_bytes());
    assert_eq!(ask.send(&lab.one).await.status, 200, "the body of a GET is ignored");
}

#[tokio::test(start_paused = true)]
async fn content_types() {
    let lab = lab().await;
    let body = br#"{"AssetTag": "x"}"#;
    for kind in ["application/json", "application/json;charset=utf-8", "Application/JSON; Charset=\"UTF-8\""]
    {
        let answer = Ask::new("PATCH", &lab.system()).bytes(kind, body).send(&lab.one).await;
        assert_eq!(answer.status, 204, "{kind}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", ""] {
        let answer = Ask::new("PATCH", &lab.system()).bytes(kind, body).send(&lab.one).await;
        answer.refused(415, &["HeaderInvalid"]);
    }
    let mut ask = Ask::new("PATCH", &lab.system());
    ask.body = body.to_vec();
    assert_eq!(ask.send(&lab.one).await.status, 204, "without a type it can only be JSON");
}

#[tokio::test(start_paused = true)]
async fn versions_and_queries() {
    let lab = lab().await;
    let with = |version: &str| Ask::get("/redfish/v1").header("odata-version", version).send(&lab.one);
    assert_eq!(with("4.0").await.status, 200);
    for version in ["4.01", "3.0", "x"] {
        with(version).await.refused(412, &["HeaderInvalid"]);
    }
    let at_most = |version: &str| Ask::get("/redfish/v1").header("odata-maxversion", version).send(&lab.one);
    for version in ["4.0", "4.01", "5.0", "4"] {
        assert_eq!(at_most(version).await.status, 200, "{version}");
    }
    for version in ["3.0", "x", ""] {
        at_most(version).await.refused(412, &["HeaderInvalid"]);
    }
    for query in ["$count", "$search=Name", "a=b&$orderby=1", "%24compute=x", "$"] {
        lab.get(&format!("{}?{query}", lab.system())).await.refused(501, &["QueryParameterUnsupported"]);
    }
    for query in ["only_", "a=$b", "x", "", "excerpt&&", "%2", "ä=1"] {
        let path = format!("{}?{}", lab.system(), query.replace('ä', "%c3%a4"));
        assert_eq!(lab.get(&path).await.status, 200, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_no_list_is_answered_with_the_list() {
    let lab = lab().await;
    let resolution = |answer: Answer| {
        answer.json()["error"]["@Message.ExtendedInfo"][0]["Resolution"].as_str().unwrap().to_owned()
    };
    let power = resolution(lab.reset("Explode").await);
    assert!(power.starts_with("Choose one of: On, ForceOn,") && power.ends_with("Nmi."), "{power}");
    let target = resolution(lab.patch(json!({"Boot": {"BootSourceOverrideTarget": "Tape"}})).await);
    assert!(target.contains("Pxe") && target.matches("Cd").count() == 1, "{target}");
    // Where the registry has nothing to say there is something to do all the same.
    let put = Ask::new("PUT", &lab.system()).send(&lab.one).await;
    put.refused(405, &["OperationNotAllowed"]);
    assert_eq!(resolution(put), "Use one of the methods that the Allow header lists.");
}

#[tokio::test(start_paused = true)]
async fn an_action_without_a_body_is_one_without_parameters() {
    let lab = lab().await;
    let manager = lab.system().replace("Systems", "Managers");
    let reset = Ask::new("POST", &format!("{manager}/Actions/Manager.Reset")).send(&lab.one).await;
    assert_eq!(reset.status, 204);
    Ask::new("POST", &reset_path(&lab)).send(&lab.one).await.refused(400, &["ActionParameterMissing"]);
}

#[tokio::test(start_paused = true)]
async fn authentication_comes_before_everything_else() {
    let lab = lab().await;
    let ask =
        || Ask::anonymous("PATCH", &lab.system()).header("odata-version", "9").header("if-match", "\"x\"");
    ask().bytes("text/plain", b"{").send(&lab.one).await.refused(401, &["NoValidSession"]);
    let ask = ask().header("authorization", &basic("admin", "password"));
    ask.bytes("text/plain", b"{").send(&lab.one).await.refused(412, &["HeaderInvalid"]);
}

#[tokio::test(start_paused = true)]
async fn a_hostile_value_is_not_echoed_in_full() {
    let lab = lab().await;
    let long = "%2".repeat(10_000);
    let answer = lab.patch(json!({"PowerRestorePolicy": long, (long.clone()): 1})).await;
    answer.refused(400, &["PropertyValueNotInList", "PropertyUnknown"]);
    assert!(answer.bytes.len() < 8_000, "{}", answer.bytes.len());
}
