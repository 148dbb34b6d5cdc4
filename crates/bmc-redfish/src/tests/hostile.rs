//! Anything at all as a request: always an answer in Redfish's own form, never a failure of ours.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::routes;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Names that mean something and names that do not.
fn name() -> impl Strategy<Value = String> {
    let known = [
        "Boot",
        "BootSourceOverrideTarget",
        "BootSourceOverrideEnabled",
        "BootSourceOverrideMode",
        "HttpBootUri",
        "AssetTag",
        "IndicatorLED",
        "LocationIndicatorActive",
        "PowerRestorePolicy",
        "ResetType",
        "SessionTimeout",
        "UserName",
        "Password",
        "PowerState",
        "@odata.id",
        "~/",
        "",
    ];
    prop_oneof![proptest::sample::select(known.to_vec()).prop_map(str::to_owned), ".{0,8}"]
}

fn json_value() -> impl Strategy<Value = Value> {
    let words = [
        "Pxe",
        "None",
        "Once",
        "Disabled",
        "Continuous",
        "UEFI",
        "Lit",
        "On",
        "ForceOff",
        "AlwaysOn",
        "http://x/",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(words.to_vec()).prop_map(Value::from),
        ".{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(name(), inner, 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn target() -> impl Strategy<Value = (String, String)> {
    // A stream of events goes on for ever; it has tests of its own.
    let resources = routes::all().filter(|route| !route.path.ends_with("/SSE"));
    let paths: Vec<String> =
        resources.map(|route| route.path.replace("{id}", "m0").replace("{member}", "1")).collect();
    let methods = ["GET", "HEAD", "PATCH", "POST", "DELETE", "PUT", "OPTIONS"];
    let path = prop_oneof![9 => proptest::sample::select(paths), 1 => "/[!-;=@-_a-z]{0,40}"];
    (proptest::sample::select(methods.to_vec()).prop_map(str::to_owned), path)
}

/// Options that mean something with values that do not, and the other way round.
fn query() -> impl Strategy<Value = String> {
    let names = ["$expand", "$select", "$filter", "$top", "$skip", "only", "$count", "excerpt", "x", ""];
    let values = [
        ".",
        "*($levels=2)",
        "~($levels=6)",
        "Name,Members/Name",
        "Status/State",
        "Name eq 'x'",
        "not (Id ne null)",
        "Members@odata.count ge 1",
        "1",
        "-1",
        "((((",
        "'",
        "and or",
        "",
    ];
    let value = prop_oneof![proptest::sample::select(values.to_vec()).prop_map(str::to_owned), ".{0,20}"];
    vec((proptest::sample::select(names.to_vec()), value), 1..4).prop_map(|options| {
        let encoded = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
        let options = options.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        options.collect::<Vec<_>>().join("&")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_json_anywhere(requests in vec((target(), json_value()), 1..24)) {
        runtime().block_on(async {
            let lab = lab().await;
            for ((method, path), body) in requests {
                if path.parse::<http::Uri>().is_err() {
                    continue;
                }
                // The answer is checked against its schema on the way.
                let answer = Ask::new(&method, &path).json(&body).send(&lab.one).await;
                assert!(answer.status != 500, "{method} {path} {body}: {answer:?}");
            }
        });
    }

    #[test]
    fn any_query_anywhere(requests in vec((target(), query()), 1..16)) {
        runtime().block_on(async {
            let lab = lab().await;
            for ((method, path), query) in requests {
                let uri = format!("{path}?{query}");
                if uri.parse::<http::Uri>().is_err() {
                    continue;
                }
                let answer = Ask::new(&method, &uri).json(&json!({})).send(&lab.one).await;
                assert!(answer.status != 500, "{method} {uri}: {answer:?}");
            }
        });
    }

    #[test]
    fn any_bytes_as_a_body(body in vec(any::<u8>(), 0..200), (method, path) in target()) {
        runtime().block_on(async {
            if path.parse::<http::Uri>().is_err() {
                return;
            }
            let answer = Ask::new(&method, &path).bytes("application/json", &body).send(&lab().await.one).await;
            assert!(answer.status != 500, "{method} {path} {body:?}: {answer:?}");
        });
    }
}
