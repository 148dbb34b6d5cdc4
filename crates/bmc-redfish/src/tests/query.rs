//! Query options as clients use them.

use super::*;

const SYSTEMS: &str = "/redfish/v1/Systems";

async fn names(lab: &Lab, query: &str) -> Vec<String> {
    let answer = Ask::get(&format!("{SYSTEMS}?{query}")).send(&lab.all).await;
    assert_eq!(answer.status, 200, "{query}");
    let json = answer.json();
    let mut names = Vec::new();
    for member in json["Members"].as_array().unwrap() {
        let uri = member["@odata.id"].as_str().unwrap();
        names.push(Ask::get(uri).send(&lab.all).await.json()["Name"].as_str().unwrap().to_owned());
    }
    names
}

#[tokio::test(start_paused = true)]
async fn expanded_members_are_the_members() {
    let lab = Lab::new(3, RedfishConfig::default()).await;
    let plain = Ask::get(SYSTEMS).send(&lab.all).await.json();
    for option in [".", "*", ".($levels=1)", "%2e", "%2E%28%24levels%3D1%29"] {
        let expanded = Ask::get(&format!("{SYSTEMS}?$expand={option}")).send(&lab.all).await.json();
        assert_eq!(expanded["Members@odata.count"], 3);
        assert_eq!(
            expanded["@odata.etag"], plain["@odata.etag"],
            "the tag in the body is the collection's own"
        );
        for (member, reference) in
            expanded["Members"].as_array().unwrap().iter().zip(plain["Members"].as_array().unwrap())
        {
            let uri = reference["@odata.id"].as_str().unwrap();
            assert_eq!(*member, Ask::get(uri).send(&lab.all).await.json(), "{option}");
        }
    }
    let links = Ask::get(&format!("{SYSTEMS}?$expand=~")).send(&lab.all).await.json();
    assert_eq!(links["Members"], plain["Members"], "members are not in Links");
}

#[tokio::test(start_paused = true)]
async fn links_are_expanded_apart_from_the_rest() {
    let lab = lab().await;
    let get = async |option: &str| lab.get(&format!("{}?$expand={option}", lab.system())).await.json();
    let is_whole = |value: &Value| value.get("@odata.type").is_some();
    let (all, rest, links) = (get("*").await, get(".").await, get("~").await);
    for (shown, in_links, elsewhere) in [(&all, true, true), (&rest, false, true), (&links, true, false)] {
        assert_eq!(is_whole(&shown["Links"]["Chassis"][0]), in_links);
        assert_eq!(is_whole(&shown["LogServices"]), elsewhere);
        assert_eq!(shown["Actions"], all["Actions"]);
    }
    let logs = get(".($levels=2)").await;
    assert!(
        is_whole(&logs["LogServices"]["Members"][0])
            && !is_whole(&logs["LogServices"]["Members"][0]["Entries"])
    );
    let logs = get(".($levels=3)").await;
    assert!(is_whole(&logs["LogServices"]["Members"][0]["Entries"]));
}

#[tokio::test(start_paused = true)]
async fn what_leads_back_stays_a_link() {
    let lab = lab().await;
    let shown = lab.get(&format!("{}?$expand=~($levels=6)", lab.system())).await.json();
    let chassis = &shown["Links"]["Chassis"][0];
    assert_eq!(chassis["Links"]["ComputerSystems"], json!([{"@odata.id": lab.system()}]));
    assert!(chassis["Links"]["ManagedBy"][0]["@odata.type"].is_string());
    // The whole tree; each resource within it is checked by its schema on the way.
    let whole = lab.get("/redfish/v1?$expand=.($levels=6)").await.json();
    assert_eq!(whole["Systems"]["Members"][0]["Name"], "m0");
}

#[tokio::test(start_paused = true)]
async fn the_tag_of_an_expanded_answer_follows_what_it_shows() {
    let lab = lab().await;
    let uri = format!("{SYSTEMS}?$expand=.");
    let first = lab.get(&uri).await;
    let tag = first.header("etag").to_owned();
    let again = Ask::get(&uri).header("if-none-match", &tag).send(&lab.one).await;
    assert_eq!(again.status, 304);
    let member = first.json()["Members"][0]["@odata.etag"].as_str().unwrap().to_owned();
    let ask = Ask::new("PATCH", &lab.system()).header("if-match", &member).json(&json!({"AssetTag": "x"}));
    assert_eq!(ask.send(&lab.one).await.status, 204, "a member's tag is that of its own resource");
    let again = Ask::get(&uri).header("if-none-match", &tag).send(&lab.one).await;
    assert_eq!(again.status, 200, "a member changed, the collection did not");
}

#[tokio::test(start_paused = true)]
async fn nobody_sees_more_by_expanding() {
    let lab = lab().await;
    let open = Ask::anonymous("GET", "/redfish/v1?$expand=*").send(&lab.one).await;
    assert_eq!(open.status, 200);
    let json = open.json();
    assert_eq!(json["Systems"], json!({"@odata.id": SYSTEMS}), "a stranger sees the root alone");
    assert_eq!(json["Links"]["Sessions"].as_object().unwrap().len(), 1);
    let wrong =
        Ask::anonymous("GET", "/redfish/v1?$expand=*").header("authorization", &basic("admin", "wrong"));
    wrong.send(&lab.one).await.refused(401, &["AccessUnauthorized"]);
}

#[tokio::test(start_paused = true)]
async fn pages_are_there_for_those_who_ask() {
    let lab = Lab::new(5, RedfishConfig::default()).await;
    assert!(Ask::get(SYSTEMS).send(&lab.all).await.json().get("Members@odata.nextLink").is_none());
    let all = names(&lab, "").await;
    let mut uri = format!("{SYSTEMS}?$top=2&x=y");
    let mut pages = Vec::new();
    loop {
        let page = Ask::get(&uri).send(&lab.all).await.json();
        assert_eq!(page["Members@odata.count"], 5, "the count is that of all");
        pages.push(page["Members"].as_array().unwrap().len());
        match page["Members@odata.nextLink"].as_str() {
            Some(next) => uri = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(pages, [2, 2, 1]);
    assert_eq!(uri, format!("{SYSTEMS}?$top=2&$skip=4"));
    assert_eq!(names(&lab, "$skip=3").await, all[3..]);
    assert_eq!(names(&lab, "$top=2&$skip=1").await, all[1..3]);
    for nothing in ["$top=0", "$skip=5", "$skip=18446744073709551615", "$top=1&$skip=9"] {
        let page = Ask::get(&format!("{SYSTEMS}?{nothing}")).send(&lab.all).await.json();
        assert_eq!((&page["Members"], page.get("Members@odata.nextLink")), (&json!([]), None), "{nothing}");
    }
}

#[tokio::test(start_paused = true)]
async fn members_are_filtered_by_what_they_show() {
    let lab = Lab::new(3, RedfishConfig::default()).await;
    let patch = Ask::new("PATCH", &lab.system()).json(&json!({"AssetTag": "rack 7 & 8"}));
    assert_eq!(patch.send(&lab.all).await.status, 204);
    let all = names(&lab, "").await;
    assert_eq!(names(&lab, "$filter=AssetTag%20eq%20'rack%207%20%26%208'").await, ["m0"]);
    assert_eq!(names(&lab, "$filter=AssetTag+eq+'rack+7+%26+8'").await, ["m0"], "as forms write it");
    assert_eq!(names(&lab, "$filter=ProcessorSummary/Count%20ge%202").await, all);
    assert_eq!(names(&lab, "$filter=PowerState%20eq%20'On'").await, Vec::<String>::new());
    let both = "$filter=(Name%20eq%20'm0'%20or%20Name%20eq%20'm2')%20and%20not%20(AssetTag%20eq%20'')";
    assert_eq!(names(&lab, both).await, ["m0"]);

    let query = "$filter=AssetTag%20eq%20''&$top=1&$expand=.&$select=Members/Name";
    let page = Ask::get(&format!("{SYSTEMS}?{query}")).send(&lab.all).await.json();
    assert_eq!(page["Members@odata.count"], 2, "of those that meet the condition");
    let member = page["Members"][0].as_object().unwrap();
    let seen: Vec<&str> = member.keys().map(String::as_str).collect();
    assert_eq!(seen, ["@odata.id", "@odata.type", "@odata.etag", "Name"]);
    let next = page["Members@odata.nextLink"].as_str().unwrap();
    let last = Ask::get(next).send(&lab.all).await.json();
    assert_ne!(last["Members"][0]["Name"], member["Name"]);
    assert!(last.get("Members@odata.nextLink").is_none());
}

#[tokio::test(start_paused = true)]
async fn some_properties_under_the_tag_of_all() {
    let lab = lab().await;
    let whole = lab.get(&lab.system()).await;
    let some = lab.get(&format!("{}?$select=Status/State,Boot,Nothing", lab.system())).await;
    assert_eq!(some.header("etag"), whole.header("etag"));
    assert_eq!(some.header("link"), whole.header("link"));
    let (some, whole) = (some.json(), whole.json());
    let seen: Vec<&str> = some.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(seen, ["@odata.id", "@odata.type", "@odata.etag", "Status", "Boot"].map(str::to_owned));
    assert_eq!(some["Boot"], whole["Boot"]);
    assert_eq!(some["Status"], json!({"State": whole["Status"]["State"]}));
}

#[tokio::test(start_paused = true)]
async fn the_only_member_stands_for_its_collection() {
    let lab = Lab::new(2, RedfishConfig::default()).await;
    let only = lab.get(&format!("{SYSTEMS}?only")).await;
    assert_eq!(only.json(), lab.get(&lab.system()).await.json());
    assert_eq!(only.header("etag"), lab.get(&lab.system()).await.header("etag"));
    let all = Ask::get(&format!("{SYSTEMS}?only")).send(&lab.all).await.json();
    assert_eq!(all["Members@odata.count"], 2, "of two, none is the only one");
}

#[tokio::test(start_paused = true)]
async fn options_where_they_have_no_meaning() {
    let lab = lab().await;
    for query in ["only", "$top=1", "$skip=0", "$filter=Name%20eq%20'x'"] {
        let answer = lab.get(&format!("{}?{query}", lab.system())).await;
        answer.refused(400, &["QueryNotSupportedOnResource"]);
    }
    for document in ["/redfish", "/redfish/v1/odata", "/redfish/v1/$metadata"] {
        lab.get(&format!("{document}?$select=v1")).await.refused(400, &["QueryNotSupportedOnResource"]);
        assert_eq!(lab.get(&format!("{document}?x=y")).await.status, 200);
    }
    for query in ["$expand=.", "$select=Name", "only", "$top=1"] {
        let ask = Ask::new("PATCH", &format!("{}?{query}", lab.system())).json(&json!({"AssetTag": "x"}));
        ask.send(&lab.one).await.refused(400, &["QueryNotSupportedOnOperation"]);
    }
    let ask = Ask::new("PATCH", &format!("{}?$x", lab.system())).json(&json!({"AssetTag": "x"}));
    ask.send(&lab.one).await.refused(501, &["QueryParameterUnsupported"]);
    assert_eq!(lab.get(&lab.system()).await.json()["AssetTag"], "", "nothing was changed");
    let ask = Ask::new("PATCH", &format!("{}?x=y", lab.system())).json(&json!({"AssetTag": "x"}));
    assert_eq!(ask.send(&lab.one).await.status, 204);
    lab.get(&format!("{SYSTEMS}?only&$expand=.")).await.refused(400, &["QueryCombinationInvalid"]);
    lab.get(&format!("{SYSTEMS}?only=foo")).await.refused(400, &["QueryParameterValueFormatError"]);
    Ask::anonymous("GET", &format!("{SYSTEMS}?$top=x"))
        .send(&lab.one)
        .await
        .refused(401, &["NoValidSession"]);
    lab.get("/redfish/v1/nothing?$top=x").await.refused(404, &["ResourceMissingAtURI"]);
}
