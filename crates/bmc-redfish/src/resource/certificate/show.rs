//! What a certificate says.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::resource::date_time;
use crate::tls::to_pem;

/// The key usages in the order of their bits (RFC 5280 §4.2.1.3).
const USAGES: [&str; 9] = [
    "DigitalSignature",
    "NonRepudiation",
    "KeyEncipherment",
    "DataEncipherment",
    "KeyAgreement",
    "KeyCertSign",
    "CRLSigning",
    "EncipherOnly",
    "DecipherOnly",
];

/// The members of a `Certificate` for a chain, the server's own first.
pub(super) fn members(chain: &[CertificateDer<'_>]) -> Value {
    members_for(chain, "Web")
}

/// The same of certificates for this purpose.
pub(in crate::resource) fn members_for(chain: &[CertificateDer<'_>], usage: &str) -> Value {
    let kind = if chain.len() > 1 { "PEMchain" } else { "PEM" };
    let mut members = json!({
        "CertificateString": to_pem(chain),
        "CertificateType": kind,
        "CertificateUsageTypes": [usage],
    });
    let Some(leaf) = chain.first() else { return members };
    members["Fingerprint"] = colons(&Sha256::digest(leaf.as_ref())).into();
    members["FingerprintHashAlgorithm"] = "TPM_ALG_SHA256".into();
    // What serves was read as a certificate by the TLS library; what this reader does not understand is left out.
    if let Ok((_, leaf)) = X509Certificate::from_der(leaf.as_ref()) {
        put(&mut members, &leaf);
    }
    members
}

fn put(members: &mut Value, leaf: &X509Certificate<'_>) {
    let mut subject = identifier(leaf.subject());
    if let Some(names) = alternative_names(leaf) {
        subject.insert("AlternativeNames".to_owned(), names);
    }
    members["Subject"] = subject.into();
    members["Issuer"] = identifier(leaf.issuer()).into();
    members["SerialNumber"] = colons(leaf.raw_serial()).into();
    for (name, time) in
        [("ValidNotBefore", leaf.validity().not_before), ("ValidNotAfter", leaf.validity().not_after)]
    {
        if let Ok(time) = Timestamp::from_second(time.timestamp()) {
            members[name] = date_time(time).into();
        }
    }
    let usages = usages(leaf);
    if !usages.is_empty() {
        members["KeyUsage"] = json!(usages);
    }
}

fn identifier(name: &X509Name<'_>) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |key: &str, value: Option<&AttributeTypeAndValue<'_>>| {
        if let Some(text) = value.and_then(|value| value.as_str().ok()) {
            object.insert(key.to_owned(), text.into());
        }
    };
    put("CommonName", name.iter_common_name().next());
    put("Organization", name.iter_organization().next());
    put("OrganizationalUnit", name.iter_organizational_unit().next());
    put("City", name.iter_locality().next());
    put("State", name.iter_state_or_province().next());
    put("Country", name.iter_country().next());
    put("Email", name.iter_email().next());
    object.insert("DisplayString".to_owned(), name.to_string().into());
    object
}

fn alternative_names(leaf: &X509Certificate<'_>) -> Option<Value> {
    let names = leaf.subject_alternative_name().ok()??;
    let shown = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    };
    let names: Vec<String> = names.value.general_names.iter().filter_map(shown).collect();
    (!names.is_empty()).then(|| json!(names))
}

fn usages(leaf: &X509Certificate<'_>) -> Vec<&'static str> {
    let flags = leaf.key_usage().ok().flatten().map_or(0, |usage| usage.value.flags);
    let set = USAGES.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
    let mut usages: Vec<&str> = set.map(|(_, name)| *name).collect();
    if let Some(extended) = leaf.extended_key_usage().ok().flatten() {
        let extended = extended.value;
        for (is_set, name) in [
            (extended.server_auth, "ServerAuthentication"),
            (extended.client_auth, "ClientAuthentication"),
            (extended.code_signing, "CodeSigning"),
            (extended.email_protection, "EmailProtection"),
            (extended.time_stamping, "Timestamping"),
            (extended.ocsp_signing, "OCSPSigning"),
        ] {
            if is_set {
                usages.push(name);
            }
        }
    }
    usages
}

/// Bytes as the schema wants serial numbers and fingerprints: hexadecimal, with colons.
fn colons(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}
