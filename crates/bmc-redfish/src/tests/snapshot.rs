//! Every resource of one simulated machine that is off, as one file to compare with: what a change does to answers is seen in its diff.
//!
//! `POLYBMC_UPDATE_SNAPSHOTS=1 cargo test -p bmc-redfish snapshot` writes it anew. What differs from run to run - times, tags, readings,
//! certificates, the machine's UUID - is replaced by its name in angle brackets.

use super::reads::crawl;
use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/snapshot.json");
const UPDATE: &str = "POLYBMC_UPDATE_SNAPSHOTS";

/// Properties that are another in each run, wherever they stand.
const VOLATILE: &[&str] = &[
    "@odata.etag",
    "CertificateString",
    "Created",
    "CreatedTime",
    "DateTime",
    "EndTime",
    "EventTimestamp",
    "Fingerprint",
    "LastResetTime",
    "Reading",
    "ReadingTime",
    "SerialNumber",
    "StartTime",
    "Timestamp",
    "ValidNotAfter",
    "ValidNotBefore",
];

/// A value without what differs from run to run.
fn redact(value: &mut Value, uuid: &str) {
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                if VOLATILE.contains(&name.as_str())
                    && !value.is_object()
                    && !value.is_array()
                    && !value.is_null()
                {
                    *value = format!("<{name}>").into();
                } else {
                    redact(value, uuid);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, uuid)),
        Value::String(text) => *text = text.replace(uuid, "<uuid>"),
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn every_resource_is_as_it_was() {
    let lab = lab().await;
    let uuid = lab.machine.snapshot().uuid.to_string();
    let mut tree = Value::Object(Default::default());
    for (uri, mut resource) in crawl(&lab.one).await {
        redact(&mut resource, &uuid);
        tree[uri.replace(&uuid, "<uuid>")] = resource;
    }
    let seen = serde_json::to_string_pretty(&tree).unwrap() + "\n";
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(FILE, &seen).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    let different = seen.lines().zip(kept.lines()).position(|(seen, kept)| seen != kept);
    let different = different.or((seen != kept).then(|| seen.lines().count().min(kept.lines().count())));
    if let Some(line) = different {
        let around = |text: &str| {
            let lines: Vec<String> =
                text.lines().skip(line.saturating_sub(3)).take(7).map(str::to_owned).collect();
            lines.join("\n")
        };
        panic!(
            "answers have changed, first in line {} of {FILE}:\n{}\nand now:\n{}\nIf that is meant, write it anew with {UPDATE}=1.",
            line + 1,
            around(&kept),
            around(&seen)
        );
    }
}
