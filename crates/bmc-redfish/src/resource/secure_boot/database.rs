//! The databases of Secure Boot: `PK`, `KEK`, `db` and `dbx`, with the certificates and signatures in them, and what the firmware comes with.
//!
//! They show what the next boot finds: a change is pending until then, as all changes of the firmware are, and can be read, changed and taken
//! back like any other. Of machines whose keys can be read but not changed one by one they are only shown; those whose keys nobody but their
//! firmware can read have the four databases without what is in them, and say why.

use std::sync::Arc;

use bmc_core::error::RequestError;
use bmc_core::firmware::KeyReset;
use bmc_core::firmware::keys::{KeyDatabase, KeyDatabases, KeyEntry, KeyKind, KeySet};
use bmc_core::fleet::MachineHandle;
use bmc_core::request::Change;
use bmc_core::settings::Edit;
use bmc_core::snapshot::Snapshot;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use uuid::Uuid;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::error::{Problem, sentence};
use crate::etag;
use crate::message::{self, Message};
use crate::patch::{Faults, is_annotation};
use crate::privilege::Privilege;
use crate::resource::action::Parameters;
use crate::resource::certificate::show::members_for;
use crate::resource::{Call, Content, Reply, collection, link, resource, with, write};
use crate::routes::{Route, delete, get, post};
use crate::schema;

const KIND: &str = "SecureBootDatabase";
const RESET_KEYS: &str = "SecureBootDatabase.ResetKeys";
const RESET_TYPE: &str = "ResetKeysType";
const RESETS: [(&str, KeyReset); 2] =
    [("ResetAllKeysToDefault", KeyReset::Default), ("DeleteAllKeys", KeyReset::DeleteAll)];
/// The databases, by the names that UEFI gives them. The second of each is what the firmware comes with, which nobody can change.
const NAMES: [(&str, &str, KeyDatabase); 4] = [
    ("PK", "PKDefault", KeyDatabase::Pk),
    ("KEK", "KEKDefault", KeyDatabase::Kek),
    ("db", "dbDefault", KeyDatabase::Db),
    ("dbx", "dbxDefault", KeyDatabase::Dbx),
];
/// Longest certificate, as PEM, in bytes; what a database holds is bounded besides.
const CERTIFICATE_MAX_BYTES: usize = 16 << 10;
/// Bytes of a SHA-256 hash.
const HASH_BYTES: usize = 32;
/// What is said of keys that cannot be edited, behind the reason.
const INSTEAD: &str =
    "SecureBoot.ResetKeys deletes all of them, or enrols those that the firmware comes with.";

/// The databases of Systems.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/redfish/v1/Systems/{id}/SecureBoot/SecureBootDatabases",
        verbs: &[get(show_all, "SecureBootDatabaseCollection")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/SecureBoot/SecureBootDatabases/{member}",
        verbs: &[get(show, "SecureBootDatabase: as the next boot finds it")],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/SecureBoot/SecureBootDatabases/{member}/Actions/SecureBootDatabase.ResetKeys",
        verbs: &[post(
            Privilege::ConfigureComponents,
            |call| Box::pin(reset(call)),
            "this database at the next boot: `ResetKeysType`",
        )],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/SecureBoot/SecureBootDatabases/{member}/Certificates",
        verbs: &[
            get(|call| show_entries(call, Part::Certificates), "CertificateCollection: who may sign")
                .access(crate::routes::Access::Needs(Privilege::ConfigureComponents)),
            post(
                Privilege::ConfigureComponents,
                |call| Box::pin(add(call, Part::Certificates)),
                "adds a certificate, as PEM, from the next boot on",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/SecureBoot/SecureBootDatabases/{member}/Certificates/{leaf}",
        verbs: &[
            get(|call| show_entry(call, Part::Certificates), "Certificate")
                .access(crate::routes::Access::Needs(Privilege::ConfigureComponents)),
            delete(
                Privilege::ConfigureComponents,
                |call| Box::pin(remove(call, Part::Certificates)),
                "removes a certificate, from the next boot on",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/SecureBoot/SecureBootDatabases/{member}/Signatures",
        verbs: &[
            get(|call| show_entries(call, Part::Signatures), "SignatureCollection: hashes of images"),
            post(
                Privilege::ConfigureComponents,
                |call| Box::pin(add(call, Part::Signatures)),
                "adds a SHA-256 hash, from the next boot on",
            ),
        ],
    },
    Route {
        path: "/redfish/v1/Systems/{id}/SecureBoot/SecureBootDatabases/{member}/Signatures/{leaf}",
        verbs: &[
            get(|call| show_entry(call, Part::Signatures), "Signature"),
            delete(
                Privilege::ConfigureComponents,
                |call| Box::pin(remove(call, Part::Signatures)),
                "removes a hash, from the next boot on",
            ),
        ],
    },
];

/// The two collections of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Certificates,
    Signatures,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Certificates => "Certificates",
            Self::Signatures => "Signatures",
        }
    }

    fn kind(self) -> KeyKind {
        match self {
            Self::Certificates => KeyKind::X509,
            Self::Signatures => KeyKind::Sha256,
        }
    }

    /// Whether a database has it: owners and those who may change databases are known by certificates.
    fn is_in(self, database: KeyDatabase) -> bool {
        self == Self::Certificates || matches!(database, KeyDatabase::Db | KeyDatabase::Dbx)
    }
}

/// Where a System's databases are.
pub(super) fn collection_uri(snapshot: &Snapshot) -> String {
    format!("{}/SecureBootDatabases", super::uri(&crate::resource::Uris::of(snapshot).system))
}

/// The databases of a machine that can tell what is in them.
pub(super) fn of(snapshot: &Snapshot) -> Option<&KeyDatabases> {
    snapshot.info.as_ref()?.secure_boot.as_ref()?.databases.as_ref()
}

/// What the next boot finds in them.
fn next(snapshot: &Snapshot) -> Option<Arc<KeySet>> {
    let known = of(snapshot)?;
    let next = Arc::clone(snapshot.settings.bios.pending_databases().unwrap_or(&known.now));
    let Some(reset) = snapshot.settings.bios.pending_keys() else { return Some(next) };
    let mut left = KeySet::clone(&next);
    left.reset(reset, known.defaults.as_deref().unwrap_or(&KeySet::default()));
    Some(Arc::new(left))
}

/// What is said of a machine whose keys cannot be read.
pub(super) fn unread(reason: &str) -> String {
    let reason = sentence(reason);
    format!(
        "The keys in its variables are not known, and what is said of them is what its definition says. {reason}"
    )
}

/// Whether it is known what the firmware comes with.
fn has_defaults(snapshot: &Snapshot) -> bool {
    of(snapshot).is_some_and(|known| known.defaults.is_some())
}

/// One database that is asked for.
struct Asked {
    name: &'static str,
    database: KeyDatabase,
    /// It is what the firmware comes with.
    is_default: bool,
}

fn asked(call: &Call<'_>, snapshot: &Snapshot) -> Result<Asked, Problem> {
    let offers = snapshot.info.as_ref().is_some_and(|info| info.secure_boot.is_some());
    let found = NAMES.into_iter().filter(|_| offers).find_map(|(name, default, database)| {
        if call.member == name {
            Some(Asked { name, database, is_default: false })
        } else if call.member == default && has_defaults(snapshot) {
            Some(Asked { name: default, database, is_default: true })
        } else {
            None
        }
    });
    found.ok_or_else(|| Problem::not_found(KIND, call.member))
}

/// What is in a database; a machine that cannot tell has no such resources.
fn keys(snapshot: &Snapshot, asked: &Asked) -> Result<Arc<KeySet>, Problem> {
    let keys =
        if asked.is_default { of(snapshot).and_then(|all| all.defaults.clone()) } else { next(snapshot) };
    keys.ok_or_else(|| Problem::not_found(KIND, asked.name))
}

fn show_all(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let uri = collection_uri(&snapshot);
    let offers = snapshot.info.as_ref().is_some_and(|info| info.secure_boot.is_some());
    let own = NAMES.iter().filter(|_| offers).map(|(name, ..)| name);
    let defaults = NAMES.iter().filter(|_| has_defaults(&snapshot)).map(|(_, default, _)| default);
    let members: Vec<String> = own.chain(defaults).map(|name| format!("{uri}/{name}")).collect();
    Ok(collection::render(
        schema::SECURE_BOOT_DATABASE_COLLECTION,
        &uri,
        "UEFI Secure Boot Databases",
        &members,
    ))
}

fn show(call: &Call<'_>) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let asked = asked(call, &snapshot)?;
    let uri = format!("{}/{}", collection_uri(&snapshot), asked.name);
    let title = match asked.database {
        KeyDatabase::Pk => "Platform Key",
        KeyDatabase::Kek => "Key Exchange Keys",
        KeyDatabase::Db => "Authorized Signatures",
        KeyDatabase::Dbx => "Forbidden Signatures",
    };
    let object = resource(schema::SECURE_BOOT_DATABASE, &uri, asked.name, title);
    let mut members = json!({"DatabaseId": asked.name});
    let secure_boot = snapshot.info.as_ref().and_then(|info| info.secure_boot.as_ref());
    let Some(known) = of(&snapshot) else {
        if let Some(reason) = secure_boot.and_then(|secure_boot| secure_boot.databases_unread.as_ref()) {
            members["Description"] = unread(reason).into();
        }
        return Ok(with(object, members));
    };
    let others = known.others_in(asked.database);
    if others > 0 && !asked.is_default {
        members["Description"] =
            format!("{title}; {others} more in it are of kinds that are not shown here.").into();
    }
    for part in [Part::Certificates, Part::Signatures] {
        if part.is_in(asked.database) {
            members[part.name()] = link(&format!("{uri}/{}", part.name()));
        }
    }
    members["Actions"] = match asked.is_default || known.fixed.is_some() {
        // Said, though there is none: sushy asks what is below without asking whether it is there.
        true => json!({}),
        false => json!({
            "#SecureBootDatabase.ResetKeys": {
                "target": format!("{uri}/Actions/{RESET_KEYS}"),
                "ResetKeysType@Redfish.AllowableValues": RESETS.map(|(name, _)| name),
            },
        }),
    };
    Ok(with(object, members))
}

/// The database whose part is asked for.
fn asked_part(call: &Call<'_>, snapshot: &Snapshot, part: Part) -> Result<Asked, Problem> {
    let asked = asked(call, snapshot)?;
    if part.is_in(asked.database) { Ok(asked) } else { Err(Problem::not_found(part.name(), asked.name)) }
}

fn part_uri(snapshot: &Snapshot, asked: &Asked, part: Part) -> String {
    format!("{}/{}/{}", collection_uri(snapshot), asked.name, part.name())
}

fn show_entries(call: &Call<'_>, part: Part) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let asked = asked_part(call, &snapshot, part)?;
    let uri = part_uri(&snapshot, &asked, part);
    let keys = keys(&snapshot, &asked)?;
    let members = keys.database(asked.database).iter().filter(|entry| entry.kind == part.kind());
    let members: Vec<String> = members.map(|entry| format!("{uri}/{}", entry.id)).collect();
    let (schema, name) = match part {
        Part::Certificates => (schema::CERTIFICATE_COLLECTION, "Secure Boot Certificates"),
        Part::Signatures => (schema::SIGNATURE_COLLECTION, "Secure Boot Signatures"),
    };
    Ok(collection::render(schema, &uri, name, &members))
}

fn find(snapshot: &Snapshot, asked: &Asked, part: Part, id: &str) -> Result<KeyEntry, Problem> {
    let keys = keys(snapshot, asked)?;
    let mut all = keys.database(asked.database).iter();
    let found = all.find(|entry| entry.kind == part.kind() && entry.id.to_string() == id);
    found.cloned().ok_or_else(|| {
        Problem::not_found(if part == Part::Certificates { "Certificate" } else { "Signature" }, id)
    })
}

fn show_entry(call: &Call<'_>, part: Part) -> Result<Value, Problem> {
    let snapshot = call.service.machine("ComputerSystem", call.id)?.snapshot();
    let asked = asked_part(call, &snapshot, part)?;
    Ok(render(&snapshot, &asked, part, &find(&snapshot, &asked, part, call.leaf)?))
}

fn render(snapshot: &Snapshot, asked: &Asked, part: Part, entry: &KeyEntry) -> Value {
    let id = entry.id.to_string();
    let uri = format!("{}/{id}", part_uri(snapshot, asked, part));
    let (object, mut members) = match part {
        Part::Certificates => (
            resource(schema::CERTIFICATE, &uri, &id, &format!("{} Certificate {id}", asked.name)),
            members_for(&[CertificateDer::from(entry.data.as_slice())], "BIOS"),
        ),
        Part::Signatures => (
            resource(schema::SIGNATURE, &uri, &id, &format!("{} Signature {id}", asked.name)),
            json!({
                "SignatureString": hex::encode_upper(&entry.data),
                "SignatureType": "EFI_CERT_SHA256_GUID",
                "SignatureTypeRegistry": "UEFI",
            }),
        ),
    };
    members["UefiSignatureOwner"] = entry.owner.to_string().into();
    with(object, members)
}

/// Changes what the next boot finds in the databases.
pub(super) async fn alter<T>(
    machine: &MachineHandle,
    alter: impl Fn(&mut KeySet, &KeySet) -> Result<T, Problem>,
) -> Result<(Arc<Snapshot>, T), Problem> {
    write::planned(machine, |snapshot| {
        let (Some(known), Some(next)) = (of(snapshot), next(snapshot)) else {
            return Err(Problem::internal());
        };
        let mut wanted = KeySet::clone(&next);
        let made = alter(&mut wanted, known.defaults.as_deref().unwrap_or(&KeySet::default()))?;
        let now = Arc::clone(&known.now);
        let edit = Edit::new(move |editable| {
            editable.settings.bios.ask_databases(wanted.clone(), &now);
            Ok(())
        });
        Ok((Change { edit: Some(edit), ..Change::default() }, made))
    })
    .await
}

/// The machine and the database of a change, if it is one that can be made.
fn to_change(call: &Call<'_>, part: Option<Part>) -> Result<(MachineHandle, Asked), Problem> {
    let machine = call.service.machine("ComputerSystem", call.id)?;
    let snapshot = machine.snapshot();
    let asked = match part {
        Some(part) => asked_part(call, &snapshot, part)?,
        None => asked(call, &snapshot)?,
    };
    if asked.is_default {
        return Err(Problem::only_shown("What the firmware comes with cannot be changed."));
    }
    let reason = match of(&snapshot) {
        Some(known) => known.fixed.as_deref().map(sentence),
        None => Some("The keys of this machine are known to its firmware only.".to_owned()),
    };
    match reason {
        Some(reason) => Err(Problem::only_shown(&format!("{reason} {INSTEAD}"))),
        None => Ok((machine, asked)),
    }
}

async fn add(call: &Call<'_>, part: Part) -> Result<Reply, Problem> {
    let (machine, asked) = to_change(call, Some(part))?;
    let (owner, data) = match part {
        Part::Certificates => read_certificate(call)?,
        Part::Signatures => read_signature(call)?,
    };
    let (snapshot, id) = alter(&machine, |keys, _| {
        keys.add(asked.database, owner, part.kind(), data.clone())
            .map_err(|error: RequestError| write::change_problem(&error, &machine.snapshot()))
    })
    .await?;
    let shown = render(&snapshot, &asked, part, &find(&snapshot, &asked, part, &id.to_string())?);
    let location = shown.get("@odata.id").and_then(Value::as_str).map(HeaderValue::from_str);
    let headers = location.into_iter().flatten().map(|location| (LOCATION, location)).collect();
    Ok(Reply { status: StatusCode::CREATED, headers, content: Content::Resource(shown) })
}

async fn remove(call: &Call<'_>, part: Part) -> Result<Reply, Problem> {
    let (machine, asked) = to_change(call, Some(part))?;
    let id = find(&machine.snapshot(), &asked, part, call.leaf)?.id;
    alter(&machine, |keys, _| {
        let entries = keys.database_mut(asked.database);
        let Some(at) = entries.iter().position(|entry| entry.id == id && entry.kind == part.kind()) else {
            return Err(Problem::not_found(part.name(), call.leaf));
        };
        let shown = render(&machine.snapshot(), &asked, part, &entries[at]);
        if !etag::may_write(call.headers, &etag::of(&shown)) {
            return Err(Problem::precondition_failed());
        }
        entries.remove(at);
        Ok(())
    })
    .await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

async fn reset(call: &Call<'_>) -> Result<Reply, Problem> {
    let (machine, asked) = to_change(call, None)?;
    let mut parameters = Parameters::new(RESET_KEYS, &call.body);
    let reset = parameters.required(RESET_TYPE);
    let reset = reset.and_then(|value| parameters.choice(RESET_TYPE, value, &RESETS));
    parameters.end()?;
    let reset = reset.ok_or_else(Problem::internal)?;
    alter(&machine, |keys, defaults| {
        let entries = keys.database_mut(asked.database);
        if reset == KeyReset::Default {
            *entries = defaults.database(asked.database).to_vec();
        } else {
            entries.clear();
        }
        Ok(())
    })
    .await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Reads a body with these members, of which all but the owner have to be there.
fn read_body<'a, const N: usize>(
    call: &'a Call<'_>,
    required: [&str; N],
    faults: &mut Faults,
) -> ([Option<&'a str>; N], Uuid) {
    let (mut values, mut owner) = ([None; N], Uuid::nil());
    for (name, value) in call.body.iter().filter(|(name, _)| !is_annotation(name)) {
        let pointer = format!("/{name}");
        if let Some(at) = required.iter().position(|known| known == name) {
            values[at] = faults.string(&pointer, value);
        } else if name == "UefiSignatureOwner" {
            let text = faults.nullable_string(&pointer, value).flatten();
            match text.map(|text| (text, text.parse())) {
                Some((_, Ok(parsed))) => owner = parsed,
                Some((text, Err(_))) => {
                    let fault = Message::new(message::PropertyValueFormatError, [text, &pointer]);
                    faults.push(fault.about(&pointer));
                }
                None => {}
            }
        } else {
            faults.push(Message::new(message::PropertyUnknown, [&pointer]).about(&pointer));
        }
    }
    for name in required {
        if !call.body.contains_key(name) {
            let fault = Message::new(message::CreateFailedMissingReqProperties, [name]);
            faults.push(fault.about(&format!("/{name}")));
        }
    }
    (values, owner)
}

/// The certificate in a body.
fn read_certificate(call: &Call<'_>) -> Result<(Uuid, Vec<u8>), Problem> {
    let mut faults = Faults::default();
    let ([text, kind], owner) = read_body(call, ["CertificateString", "CertificateType"], &mut faults);
    only(kind, "PEM", "/CertificateType", &mut faults);
    let pointer = "/CertificateString";
    let certificate = text.and_then(|text| {
        if text.len() > CERTIFICATE_MAX_BYTES {
            let max = CERTIFICATE_MAX_BYTES.to_string();
            faults.push(Message::new(message::StringValueTooLong, [text, &max]).about(pointer));
            return None;
        }
        let found = certificate(text);
        if found.is_none() {
            faults.push(Message::new(message::PropertyValueFormatError, [text, pointer]).about(pointer));
        }
        found
    });
    end(faults, owner, certificate)
}

/// The hash in a body.
fn read_signature(call: &Call<'_>) -> Result<(Uuid, Vec<u8>), Problem> {
    let mut faults = Faults::default();
    let names = ["SignatureString", "SignatureType", "SignatureTypeRegistry"];
    let ([text, kind, registry], owner) = read_body(call, names, &mut faults);
    only(kind, "EFI_CERT_SHA256_GUID", "/SignatureType", &mut faults);
    only(registry, "UEFI", "/SignatureTypeRegistry", &mut faults);
    let pointer = "/SignatureString";
    let hash = text.and_then(|text| {
        let found = hex::decode(text).ok().filter(|hash| hash.len() == HASH_BYTES);
        if found.is_none() {
            faults.push(Message::new(message::PropertyValueFormatError, [text, pointer]).about(pointer));
        }
        found
    });
    end(faults, owner, hash)
}

fn only(value: Option<&str>, wanted: &str, pointer: &str, faults: &mut Faults) {
    if let Some(value) = value.filter(|value| *value != wanted) {
        faults.push(Message::new(message::PropertyValueNotInList, [value, pointer]).about(pointer));
    }
}

fn end(faults: Faults, owner: Uuid, data: Option<Vec<u8>>) -> Result<(Uuid, Vec<u8>), Problem> {
    match data {
        Some(data) if faults.is_empty() => Ok((owner, data)),
        _ => Err(Problem::bad_request(faults.into_messages())),
    }
}

/// The one certificate that a text is.
fn certificate(pem: &str) -> Option<Vec<u8>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let [certificate] = found.as_deref().ok()? else { return None };
    let (rest, _) = X509Certificate::from_der(certificate).ok()?;
    rest.is_empty().then(|| certificate.to_vec())
}
