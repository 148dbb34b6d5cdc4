//! The certificates that are trusted for a drive's images, beside those that the service trusts anyway.

use bmc_core::error::RequestError;
use bmc_core::media::MediaSlot;
use bmc_core::request::{Change, Request};
use bmc_core::settings::Edit;
use bmc_core::settings::media::{MEDIA_CERTIFICATES_MAX, MediaCertificate};
use bmc_core::snapshot::Snapshot;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::{Tree, slot_of, uri_of};
use crate::error::Problem;
use crate::message::{self, Message};
use crate::patch::{self, is_annotation};
use crate::resource::{Call, Content, Reply, collection, resource, with, write};
use crate::schema;

/// Longest certificate, as PEM, in bytes.
const CERTIFICATE_MAX_BYTES: usize = 16 << 10;

fn collection_uri(snapshot: &Snapshot, tree: Tree, slot: MediaSlot) -> String {
    format!("{}/Certificates", uri_of(snapshot, tree, slot))
}

pub(super) fn show_all(call: &Call<'_>, tree: Tree) -> Result<Value, Problem> {
    let snapshot = call.service.machine(tree.kind(), call.id)?.snapshot();
    let slot = slot_of(call)?;
    let uri = collection_uri(&snapshot, tree, slot);
    let certificates = &snapshot.settings.media.drive(slot).certificates;
    let members: Vec<String> = certificates.iter().map(|kept| format!("{uri}/{}", kept.id)).collect();
    Ok(collection::render(schema::CERTIFICATE_COLLECTION, &uri, "Trusted Certificates", &members))
}

pub(super) fn show(call: &Call<'_>, tree: Tree) -> Result<Value, Problem> {
    let snapshot = call.service.machine(tree.kind(), call.id)?.snapshot();
    let slot = slot_of(call)?;
    Ok(render(&snapshot, tree, slot, find(&snapshot, slot, call.leaf)?))
}

fn find<'a>(snapshot: &'a Snapshot, slot: MediaSlot, id: &str) -> Result<&'a MediaCertificate, Problem> {
    let certificates = &snapshot.settings.media.drive(slot).certificates;
    let found = certificates.iter().find(|kept| kept.id.to_string() == id);
    found.ok_or_else(|| Problem::not_found("Certificate", id))
}

fn render(snapshot: &Snapshot, tree: Tree, slot: MediaSlot, certificate: &MediaCertificate) -> Value {
    let id = certificate.id.to_string();
    let uri = format!("{}/{id}", collection_uri(snapshot, tree, slot));
    let members = json!({"CertificateString": certificate.pem, "CertificateType": "PEM"});
    with(resource(schema::CERTIFICATE, &uri, &id, &format!("Trusted Certificate {id}")), members)
}

pub(super) async fn add(call: &Call<'_>, tree: Tree) -> Result<Reply, Problem> {
    let machine = call.service.machine(tree.kind(), call.id)?;
    let slot = slot_of(call)?;
    let pem = read(call)?;
    let edit = Edit::new(move |editable| {
        let drive = editable.settings.media.drive_mut(slot);
        if drive.certificates.len() >= MEDIA_CERTIFICATES_MAX {
            return Err(RequestError::NoSpace { what: "list of certificates" });
        }
        drive.certificates.push(MediaCertificate { id: drive.next_certificate, pem: pem.clone() });
        drive.next_certificate = drive.next_certificate.wrapping_add(1);
        Ok(())
    });
    let before = machine.snapshot();
    let change = Change { edit: Some(edit), ..Change::default() };
    let changed = machine.request(Request::Change(Box::new(change))).await;
    changed.map_err(|error| write::change_problem(&error, &before))?;
    let snapshot = machine.snapshot();
    let certificates = &snapshot.settings.media.drive(slot).certificates;
    let known = &before.settings.media.drive(slot).certificates;
    let new = certificates.iter().find(|kept| known.iter().all(|before| before.id != kept.id));
    let shown = render(&snapshot, tree, slot, new.ok_or_else(Problem::internal)?);
    let location = shown.get("@odata.id").and_then(Value::as_str).map(HeaderValue::from_str);
    let headers = location.into_iter().flatten().map(|location| (LOCATION, location)).collect();
    Ok(Reply { status: StatusCode::CREATED, headers, content: Content::Resource(shown) })
}

/// The certificate in a body.
fn read(call: &Call<'_>) -> Result<String, Problem> {
    let mut faults = patch::Faults::default();
    let (mut pem, mut kind) = (None, None);
    for (name, value) in call.body.iter().filter(|(name, _)| !is_annotation(name)) {
        let pointer = format!("/{name}");
        match name.as_str() {
            "CertificateString" => pem = faults.string(&pointer, value),
            "CertificateType" => kind = faults.choice(&pointer, value, &[("PEM", ())]),
            _ => faults.push(Message::new(message::PropertyUnknown, [&pointer]).about(&pointer)),
        }
    }
    for name in ["CertificateString", "CertificateType"] {
        if !call.body.contains_key(name) {
            let pointer = format!("/{name}");
            faults.push(Message::new(message::CreateFailedMissingReqProperties, [name]).about(&pointer));
        }
    }
    if let Some(text) = pem {
        if text.len() > CERTIFICATE_MAX_BYTES {
            let max = CERTIFICATE_MAX_BYTES.to_string();
            faults.push(Message::new(message::StringValueTooLong, [text, &max]).about("/CertificateString"));
        } else if !is_certificate(text) {
            let arguments = [text, "/CertificateString"];
            faults
                .push(Message::new(message::PropertyValueFormatError, arguments).about("/CertificateString"));
        }
    }
    match (pem, kind) {
        (Some(pem), Some(())) if faults.is_empty() => Ok(pem.to_owned()),
        _ => Err(Problem::bad_request(faults.into_messages())),
    }
}

/// Whether a text has exactly one certificate that TLS can use.
fn is_certificate(pem: &str) -> bool {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let Ok([certificate]) = found.as_deref() else { return false };
    rustls::RootCertStore::empty().add(certificate.clone()).is_ok()
}

pub(super) async fn remove(call: &Call<'_>, tree: Tree) -> Result<Reply, Problem> {
    let machine = call.service.machine(tree.kind(), call.id)?;
    let slot = slot_of(call)?;
    let snapshot = machine.snapshot();
    let id = find(&snapshot, slot, call.leaf)?.id;
    let edit = Edit::new(move |editable| {
        editable.settings.media.drive_mut(slot).certificates.retain(|kept| kept.id != id);
        Ok(())
    });
    let change = Change { edit: Some(edit), ..Change::default() };
    let changed = machine.request(Request::Change(Box::new(change))).await;
    changed.map_err(|error| write::change_problem(&error, &snapshot))?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
