//! Answers against the schemas that DMTF publishes, found through `POLYBMC_REDFISH_DATA`.
//!
//! The published files refer to each other by their http URIs, which are mapped to the folder. A file without a version offers every
//! version of its type, of which the folder has only the newest: alternatives that are not there are left out. Where such a file stands for
//! another resource, only the reference to it is kept: this service embeds no resource in another but entries in the collection of a log,
//! and the check says so too.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use jsonschema::{Draft, Retrieve, Uri, Validator};
use serde_json::{Value, json};

use crate::message::{self, REGISTRY, REGISTRY_FILE};
use crate::resource::registry;
use crate::schema;

const PUBLISHED: &str = "http://redfish.dmtf.org/schemas/v1/";
const SNIA: &str = "http://redfish.dmtf.org/schemas/swordfish/v1/";
const ID_REF: &str = "http://redfish.dmtf.org/schemas/v1/odata-v4.json#/definitions/idRef";
/// The resource that its collection has whole (`OData.AutoExpand`).
const EMBEDDED: &str = "LogEntry.json";

fn data() -> PathBuf {
    let folder = std::env::var_os("POLYBMC_REDFISH_DATA").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.join("json-schema").is_dir());
    folder.expect(
        "POLYBMC_REDFISH_DATA must name a folder with DMTF's published json-schema/ and registries/ (DSP8010, DSP8011); \
         `cargo xtask test` sets it",
    )
}

fn load(name: &str) -> Option<Value> {
    let text = fs::read_to_string(data().join("json-schema").join(name)).ok()?;
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    // Redfish's own dialect is draft 7 with annotations.
    schema.as_object_mut().unwrap().shift_remove("$schema");
    prune(&mut schema);
    Some(schema)
}

/// Of SNIA's schemas the folder has few: what refers to another says nothing.
fn prune(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let target = object.get("$ref").and_then(Value::as_str).unwrap_or_default();
            if let Some(rest) = target.strip_prefix(SNIA) {
                let file = rest.split('#').next().unwrap_or_default();
                if !data().join("json-schema").join(file).exists() {
                    object.shift_remove("$ref");
                }
            }
            object.values_mut().for_each(prune);
            if let Some(alternatives) = object.get_mut("anyOf").and_then(Value::as_array_mut) {
                alternatives.retain(|one| one.as_object().is_none_or(|one| !one.is_empty()));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

struct Folder;

impl Retrieve for Folder {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let name = uri.as_str().rsplit('/').next().unwrap_or_default();
        let Some(mut schema) = load(name).or_else(|| load(&newest(name)?)) else {
            // Swordfish and such: nothing but a reference to one of those could stand there.
            let kind = name.trim_end_matches(".json");
            return Ok(json!({"definitions": {kind: {"$ref": ID_REF}}}));
        };
        let definitions = schema["definitions"].as_object_mut().into_iter().flatten();
        for (_, definition) in definitions {
            let Some(alternatives) = definition.get_mut("anyOf").and_then(Value::as_array_mut) else {
                continue;
            };
            if name.matches('.').count() == 1
                && name != EMBEDDED
                && alternatives.iter().any(|one| one["$ref"] == ID_REF)
            {
                alternatives.retain(|one| one["$ref"] == ID_REF);
            } else {
                alternatives.retain(is_here);
            }
        }
        Ok(schema)
    }
}

/// The file of the version that the folder has of a versioned file's type: the newest, which is compatible with all before it.
fn newest(name: &str) -> Option<String> {
    let kind = name.strip_suffix(".json")?.split_once(".v")?.0;
    let files = fs::read_dir(data().join("json-schema")).ok()?;
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with(&format!("{kind}.v"))).max()
}

fn is_here(alternative: &Value) -> bool {
    let Some(file) = alternative["$ref"].as_str().and_then(|uri| uri.strip_prefix(PUBLISHED)) else {
        return true;
    };
    let file = file.split('#').next().unwrap_or_default();
    data().join("json-schema").join(file).exists()
}

fn validator(name: &str) -> Validator {
    let mut schema = load(name).unwrap_or_else(|| panic!("no schema {name}"));
    if schema.get("$ref").is_none() {
        panic!("{name} does not say what it describes");
    }
    if name.matches('.').count() == 1 {
        // A collection: its own file, whose first alternative is a mere reference, which no answer may be.
        let kind = name.trim_end_matches(".json");
        let alternatives = schema["definitions"][kind]["anyOf"].as_array_mut().unwrap();
        alternatives.retain(|one| one.get("$ref").is_none());
    }
    let options =
        jsonschema::options().with_draft(Draft::Draft7).with_retriever(Folder).should_validate_formats(true);
    options.build(&schema).unwrap_or_else(|error| panic!("{name}: {error}"))
}

static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// Asserts that an answer is what its schema says.
pub(super) fn check(answer: &Value, is_error: bool) {
    let name = if is_error {
        "redfish-error.v1_0_2.json".to_owned()
    } else if let Some(kind) = answer.get("@odata.type").and_then(Value::as_str) {
        format!("{}.json", kind.strip_prefix('#').unwrap().rsplit_once('.').unwrap().0)
    } else {
        // The version object and the OData service document have no schema.
        return;
    };
    let mut validators = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let validator = validators.entry(name.clone()).or_insert_with(|| validator(&name));
    let faults: Vec<String> =
        validator.iter_errors(answer).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{name}: {faults:#?}\n{answer:#}");
}

/// Asserts that every resource within an expanded answer is what its own schema says, and puts the references back.
pub(super) fn check_embedded(answer: &mut Value) {
    fn put_back(value: &mut Value, outermost: bool) {
        match value {
            Value::Object(object) => object.values_mut().for_each(|value| put_back(value, false)),
            Value::Array(items) => items.iter_mut().for_each(|value| put_back(value, false)),
            _ => {}
        }
        let whole = value["@odata.etag"].is_string();
        if let Some(uri) = value["@odata.id"].as_str().filter(|_| whole && !outermost) {
            let reference = json!({"@odata.id": uri});
            check(value, false);
            *value = reference;
        }
    }
    put_back(answer, true);
}

#[test]
fn the_check_can_fail() {
    assert!(data().is_dir());
    let unknown = json!({"@odata.id": "/x", "@odata.type": "#Chassis.v1_28_0.Chassis", "Id": "x", "Name": "x",
        "ChassisType": "Submarine"});
    assert!(std::panic::catch_unwind(|| check(&unknown, false)).is_err());
    let embedded = json!({"@odata.id": "/x", "@odata.type": "#ChassisCollection.ChassisCollection", "Name": "x",
        "Members@odata.count": 1, "Members": [{"Id": "x"}]});
    assert!(std::panic::catch_unwind(|| check(&embedded, false)).is_err());
    let bare = json!({"@odata.id": "/x", "@odata.type": "#ChassisCollection.ChassisCollection"});
    assert!(
        std::panic::catch_unwind(|| check(&bare, false)).is_err(),
        "a collection is more than a reference"
    );
}

#[test]
fn every_schema_in_use_is_published() {
    for schema in schema::ALL {
        let version = schema.version.map_or_else(String::new, |version| format!(".{version}"));
        assert!(load(&format!("{}{version}.json", schema.name)).is_some(), "{schema:?}");
    }
}

#[test]
fn every_registry_that_is_named_is_published() {
    for published in registry::PUBLISHED {
        let file = data().join("registries").join(format!("{}.json", published.file));
        let registry: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(registry["RegistryPrefix"], published.prefix);
        let version = registry["RegistryVersion"].as_str().unwrap();
        assert_eq!(published.file, format!("{}.{version}", published.prefix));
        assert_eq!(published.registry, published.file.rsplit_once('.').unwrap().0);
    }
}

#[test]
fn every_message_is_the_registrys_own() {
    let text = fs::read_to_string(data().join("registries").join(format!("{REGISTRY_FILE}.json"))).unwrap();
    let registry: Value = serde_json::from_str(&text).unwrap();
    let version = registry["RegistryVersion"].as_str().unwrap();
    assert_eq!(REGISTRY_FILE, format!("Base.{version}"));
    assert_eq!(REGISTRY, REGISTRY_FILE.rsplit_once('.').unwrap().0);
    for entry in message::ALL {
        let published = &registry["Messages"][entry.key];
        assert_eq!(published["Message"], entry.text, "{}", entry.key);
        assert_eq!(published["MessageSeverity"], entry.severity, "{}", entry.key);
        assert_eq!(published["NumberOfArgs"], entry.args, "{}", entry.key);
        assert_eq!(published["Resolution"], entry.resolution, "{}", entry.key);
        let kinds = entry.param_types().map(Value::from).collect::<Vec<_>>();
        assert_eq!(published["ParamTypes"].as_array().cloned().unwrap_or_default(), kinds, "{}", entry.key);
    }
}

#[test]
fn every_message_of_events_is_its_registrys_own() {
    for entry in message::event::all() {
        let file = data().join("registries").join(format!("{}.json", entry.registry.file));
        let registry: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(entry.registry.name, entry.registry.file.rsplit_once('.').unwrap().0);
        let published = &registry["Messages"][entry.key];
        assert_eq!(published["Message"], entry.text, "{}", entry.key);
        assert_eq!(published["MessageSeverity"], entry.severity, "{}", entry.key);
        assert_eq!(published["NumberOfArgs"], entry.args, "{}", entry.key);
        assert_eq!(published["Resolution"], entry.resolution, "{}", entry.key);
        let kinds = entry.param_types().map(Value::from).collect::<Vec<_>>();
        assert_eq!(published["ParamTypes"].as_array().cloned().unwrap_or_default(), kinds, "{}", entry.key);
    }
    for registry in message::event::REGISTRIES {
        assert!(registry::PUBLISHED.iter().any(|published| published.file == registry.file), "{registry:?}");
    }
}
