//! The options as texts; what they do to answers is in `crate::tests::query`.

use serde_json::json;

use super::*;

fn refusal(text: &str) -> (u16, &'static str) {
    let problem = Query::parse(text).expect_err(text);
    (problem.status.as_u16(), problem.messages[0].entry.key)
}

#[test]
fn values_that_are_none() {
    const FORMAT: (u16, &str) = (400, "QueryParameterValueFormatError");
    const TYPE: (u16, &str) = (400, "QueryParameterValueTypeError");
    const RANGE: (u16, &str) = (400, "QueryParameterOutOfRange");
    const TOGETHER: (u16, &str) = (400, "QueryCombinationInvalid");
    const UNKNOWN: (u16, &str) = (501, "QueryParameterUnsupported");
    for (text, expected) in [
        ("only=foo", FORMAT),
        ("only=%ff", FORMAT),
        ("$expand", FORMAT),
        ("$expand=", FORMAT),
        ("$expand=Members", FORMAT),
        ("$expand=.*", FORMAT),
        ("$expand=.()", FORMAT),
        ("$expand=.($levels=1", FORMAT),
        ("$expand=.(levels=1)", FORMAT),
        ("$expand=($levels=1)", FORMAT),
        ("$expand=%ff", FORMAT),
        ("$expand=.($levels=)", TYPE),
        ("$expand=.($levels=max)", TYPE),
        ("$expand=.($levels=1.5)", TYPE),
        ("$expand=.($levels=0)", RANGE),
        ("$expand=.($levels=-1)", RANGE),
        ("$expand=.($levels=7)", RANGE),
        ("$expand=.($levels=99999999999999999999)", RANGE),
        ("$select", FORMAT),
        ("$select=", FORMAT),
        ("$select=Name,", FORMAT),
        ("$select=*", FORMAT),
        ("$select=Status//State", FORMAT),
        ("$select=/Name", FORMAT),
        ("$select=Na'me", FORMAT),
        ("$select=%ff", FORMAT),
        ("$top", TYPE),
        ("$top=", TYPE),
        ("$top=two", TYPE),
        ("$top=1.5", TYPE),
        ("$top='1'", TYPE),
        ("$top=%ff", TYPE),
        ("$top=-1", RANGE),
        ("$skip=-1", RANGE),
        ("$skip=99999999999999999999", RANGE),
        ("$skip=-", TYPE),
        ("$filter", FORMAT),
        ("$filter=", FORMAT),
        ("$filter=Name", FORMAT),
        ("$filter=Name eq", FORMAT),
        ("$filter=Name eq On", FORMAT),
        ("$filter=Name is 'x'", FORMAT),
        ("$filter=Name EQ 'x'", FORMAT),
        ("$filter='x' eq Name", FORMAT),
        ("$filter=Name eq 'x", FORMAT),
        ("$filter=(Name eq 'x'", FORMAT),
        ("$filter=Name eq 'x')", FORMAT),
        ("$filter=()", FORMAT),
        ("$filter=not", FORMAT),
        ("$filter=Name eq 'x' and", FORMAT),
        ("$filter=Name eq 'x' Name eq 'y'", FORMAT),
        ("$filter=contains(Name,'x')", FORMAT),
        ("$filter=Status//State eq 'x'", FORMAT),
        ("$filter=%ff", FORMAT),
        ("$top=1&$top=1", TOGETHER),
        ("only&only", TOGETHER),
        ("only&$top=1", TOGETHER),
        ("only&$skip=1", TOGETHER),
        ("$expand=.&only", TOGETHER),
        ("$", UNKNOWN),
        ("$count", UNKNOWN),
        ("%24search=x", UNKNOWN),
        ("$Expand=.", UNKNOWN),
        ("$rpvunknown", UNKNOWN),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn a_condition_may_be_nested_but_not_without_end() {
    let nested = |depth: usize| format!("$filter={}a eq 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Query::parse(&nested(32)).is_ok());
    assert_eq!(refusal(&nested(33)).1, "QueryParameterValueFormatError");
    assert_eq!(refusal(&nested(100_000)).1, "QueryParameterValueFormatError");
    assert_eq!(
        refusal(&format!("$filter={}a eq 1", "not ".repeat(100_000))).1,
        "QueryParameterValueFormatError"
    );
}

#[test]
fn what_is_unknown_is_no_option() {
    for text in ["", "&", "a=b", "x", "a=$top", "excerpt", "rpvunknown", "%2", "=", "Only", "top=1", "%ff=1"]
    {
        assert!(Query::parse(text).unwrap().is_empty(), "{text}");
    }
    assert_eq!(
        Query::parse("a=b&%24top=3&c").unwrap(),
        Query { others: vec!["%24top=3".to_owned()], top: Some(3), ..Query::default() }
    );
}

#[test]
fn conditions() {
    let resource = json!({
        "Name": "it's", "On": true, "Count": 2, "GiB": 4.5, "Nothing": null,
        "Status": {"State": "Enabled", "Health": "OK"}, "Created": "2026-01-02T03:04:05Z", "List": [1],
        "Text": "10",
    });
    for (text, holds) in [
        ("Name eq 'it''s'", true),
        ("Name eq 'its'", false),
        ("Name ne 'its'", true),
        ("Count eq 2", true),
        ("Count eq 2.0", true),
        ("Count gt 1", true),
        ("Count gt 2", false),
        ("Count ge 2", true),
        ("Count lt 2", false),
        ("Count le 2", true),
        ("Count eq -2", false),
        ("GiB gt 4", true),
        ("On eq true", true),
        ("On ne false", true),
        ("On gt false", false),
        ("Nothing eq null", true),
        ("Missing eq null", true),
        ("Missing ne null", false),
        ("Missing gt 0", false),
        ("Missing/Deep eq 'x'", false),
        ("Name/Deep eq null", true),
        ("Status/State eq 'Enabled'", true),
        ("Count eq '2'", false),
        ("Count ne '2'", true),
        ("Text eq 10", false),
        ("Text gt '1'", true),
        ("List eq 1", false),
        ("Created lt '2026-01-02T04:04:06+01:00'", true),
        ("Created eq '2026-01-02T04:04:05+01:00'", true),
        ("Created gt '2026-01-03'", false),
        ("not Count eq 2", false),
        ("not Count eq 2 or On eq true", true),
        ("not (Count eq 2 or On eq true)", false),
        ("Count eq 3 or Count eq 2 and On eq false", false),
        ("(Count eq 3 or Count eq 2) and On eq true", true),
        ("Count eq 1 or Count eq 3 or Count eq 2", true),
        ("not not Count eq 2", true),
        ("(((Count eq 2)))and(On eq true)", true),
    ] {
        let filter = Filter::parse(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(filter.holds(&resource), holds, "{text}");
    }
}

#[test]
fn selections() {
    let resource = json!({
        "@odata.id": "/x", "@odata.type": "#X.X", "@odata.etag": "\"t\"", "Id": "x", "Name": "y",
        "Status": {"State": "Enabled", "Health": "OK"},
        "Boot": {"Target": "Pxe", "Target@Redfish.AllowableValues": ["Pxe"], "Mode": "UEFI"},
        "Members@odata.count": 2, "Members": [{"@odata.id": "/x/1", "Id": "1", "Name": "one"}, {"@odata.id": "/x/2"}],
    });
    let always = json!({"@odata.id": "/x", "@odata.type": "#X.X", "@odata.etag": "\"t\""});
    for (text, rest) in [
        ("Name", json!({"Name": "y"})),
        ("Nothing", json!({})),
        ("Name/Deep", json!({"Name": "y"})),
        ("Status", json!({"Status": {"State": "Enabled", "Health": "OK"}})),
        ("Status/State, Id", json!({"Id": "x", "Status": {"State": "Enabled"}})),
        ("Status/State,Status/Health", json!({"Status": {"State": "Enabled", "Health": "OK"}})),
        ("Status/State,Status", json!({"Status": {"State": "Enabled", "Health": "OK"}})),
        ("Status,Status/State", json!({"Status": {"State": "Enabled", "Health": "OK"}})),
        ("Boot/Target", json!({"Boot": {"Target": "Pxe", "Target@Redfish.AllowableValues": ["Pxe"]}})),
        ("Members@odata.count", json!({"Members@odata.count": 2})),
        (
            "Members/Id",
            json!({"Members@odata.count": 2, "Members": [{"@odata.id": "/x/1", "Id": "1"}, {"@odata.id": "/x/2"}]}),
        ),
    ] {
        let mut selected = resource.clone();
        Select::parse(text).unwrap_or_else(|| panic!("{text}")).apply(&mut selected);
        let mut expected = always.clone();
        expected.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        assert_eq!(selected, expected, "{text}");
    }
}
