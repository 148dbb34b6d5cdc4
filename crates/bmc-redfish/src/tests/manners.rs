//! How answers are given whatever they show: media types, codings, conditions, methods.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_document_comes_in_a_form_the_client_takes_or_not_at_all() {
    let lab = lab().await;
    for (path, right, wrong) in [
        ("/redfish", "application/json", "application/xml"),
        ("/redfish/v1", "application/*;charset=utf-8", "text/html"),
        (&lab.system(), "text/html, */*;q=0.1", "application/json;q=0"),
        ("/redfish/v1/$metadata", "application/xml;charset=utf-8", "application/json"),
    ] {
        let get = |accept: &str| Ask::get(path).header("accept", accept).send(&lab.one);
        assert_eq!(get(right).await.status, 200, "{path}");
        get(wrong).await.refused(406, &["HeaderInvalid"]);
    }
    let ask = Ask::new("PATCH", &lab.system()).header("accept", "text/html").json(&json!({"AssetTag": "x"}));
    assert_eq!(ask.send(&lab.one).await.status, 204, "a write is not undone over the form of its answer");
    let ask = Ask::get("/redfish/v1/nothing").header("accept", "text/html").send(&lab.one);
    ask.await.refused(404, &["ResourceMissingAtURI"]);
}

#[tokio::test(start_paused = true)]
async fn gzip_for_those_who_ask_and_where_it_pays() {
    let lab = lab().await;
    let system = lab.system();
    let get = |path: &str, coding: &str| Ask::get(path).header("accept-encoding", coding).send(&lab.one);
    let (plain, short) = (get(&system, "identity").await, get("/redfish", "gzip").await);
    for answer in [&plain, &short, &lab.get(&system).await] {
        assert!(answer.headers.get("content-encoding").is_none());
        assert_eq!(answer.header("vary"), "Accept-Encoding");
    }
    let coded = get(&system, "gzip, deflate").await;
    assert_eq!(coded.header("content-encoding"), "gzip");
    assert_eq!(coded.bytes, plain.bytes);

    // The tags are two, as the answers are; each means the same state.
    let (tag, coded_tag) = (plain.header("etag").to_owned(), coded.header("etag").to_owned());
    assert_ne!(tag, coded_tag);
    for (coding, sent) in [("gzip", &coded_tag), ("identity", &tag)] {
        for known in [&tag, &coded_tag] {
            let ask = Ask::get(&system).header("accept-encoding", coding).header("if-none-match", known);
            let answer = ask.send(&lab.one).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("etag"), answer.bytes.len()),
                (304, sent.as_str(), 0)
            );
        }
    }
    let head = Ask::new("HEAD", &system).header("accept-encoding", "gzip").send(&lab.one).await;
    assert_eq!((head.header("content-encoding"), head.header("etag")), ("gzip", coded_tag.as_str()));
    assert!(head.header("content-length").parse::<usize>().unwrap() < plain.bytes.len());
    let patch = Ask::new("PATCH", &system).header("if-match", &coded_tag).json(&json!({"AssetTag": "x"}));
    assert_eq!(patch.send(&lab.one).await.status, 204);
    let patch = Ask::new("PATCH", &system).header("if-match", &coded_tag).json(&json!({"AssetTag": "y"}));
    patch.send(&lab.one).await.refused(412, &["PreconditionFailed"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_without_a_condition_where_one_is_required() {
    let lab = Lab::new(1, RedfishConfig { require_if_match: true, ..RedfishConfig::default() }).await;
    lab.patch(json!({"AssetTag": "x"})).await.refused(428, &["PreconditionRequired"]);
    let tag = lab.get(&lab.system()).await.header("etag").to_owned();
    for (condition, status) in [(tag.as_str(), 204), (tag.as_str(), 412), ("*", 204)] {
        let ask = Ask::new("PATCH", &lab.system()).header("if-match", condition);
        assert_eq!(ask.json(&json!({"AssetTag": "x"})).send(&lab.one).await.status, status, "{condition}");
    }
    assert_eq!(lab.reset("On").await.status, 204, "an action changes no representation that was read");
}

#[tokio::test(start_paused = true)]
async fn methods_that_a_resource_does_not_have_and_methods_that_nobody_has() {
    let lab = lab().await;
    for method in ["PUT", "DELETE", "POST"] {
        let answer = Ask::new(method, &lab.system()).json(&json!({})).send(&lab.one).await;
        answer.refused(405, &["OperationNotAllowed"]);
        assert_eq!(answer.header("allow"), "GET, HEAD, PATCH");
    }
    for method in ["FAKEMETHODFORTEST", "TRACE", "CONNECT", "get"] {
        Ask::new(method, &lab.system()).send(&lab.one).await.refused(501, &["OperationNotAllowed"]);
    }
    Ask::anonymous("FAKEMETHODFORTEST", "/redfish/v1").send(&lab.one).await.refused(401, &["NoValidSession"]);
}
