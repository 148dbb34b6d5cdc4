//! The parameters of `GenerateCSR`.

use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
use serde_json::Value;

use crate::message::{self, Message};
use crate::resource::action::Parameters;
use crate::tls::{Curve, Subject};

use super::GENERATE;

/// Longest text of a subject in characters (RFC 5280, appendix A.1, `ub-common-name` and its kin).
const TEXT_MAX_CHARS: usize = 64;
/// Longest e-mail address (the same, `ub-emailaddress-length`).
const EMAIL_MAX_CHARS: usize = 255;
/// Longest name of a host (RFC 1035 §2.3.4).
const HOST_MAX_CHARS: usize = 255;
/// Alternative names in one request.
const ALTERNATIVE_NAMES_MAX: usize = 32;

/// By the names of the TCG's registry, as the schema wants them.
const ALGORITHMS: [(&str, ()); 1] = [("TPM_ALG_ECDSA", ())];
const CURVES: [(&str, Curve); 2] = [("TPM_ECC_NIST_P256", Curve::P256), ("TPM_ECC_NIST_P384", Curve::P384)];

const USAGES: [(&str, KeyUsagePurpose); 5] = [
    ("DigitalSignature", KeyUsagePurpose::DigitalSignature),
    ("NonRepudiation", KeyUsagePurpose::ContentCommitment),
    ("KeyEncipherment", KeyUsagePurpose::KeyEncipherment),
    ("DataEncipherment", KeyUsagePurpose::DataEncipherment),
    ("KeyAgreement", KeyUsagePurpose::KeyAgreement),
];
const SERVER: &str = "ServerAuthentication";
const CLIENT: &str = "ClientAuthentication";

pub(super) fn algorithms() -> Vec<&'static str> {
    ALGORITHMS.iter().map(|(name, ())| *name).collect()
}

pub(super) fn curves() -> Vec<&'static str> {
    CURVES.iter().map(|(name, _)| *name).collect()
}

pub(super) fn usages() -> Vec<&'static str> {
    USAGES.iter().map(|(name, _)| *name).chain([SERVER, CLIENT]).collect()
}

/// Reads what the certificate shall say, with every fault there is.
pub(super) fn read(parameters: &mut Parameters<'_>) -> Subject {
    let mut subject = Subject::default();
    if let Some(value) = parameters.required("CommonName") {
        subject.common_name = text(parameters, "CommonName", value, TEXT_MAX_CHARS).unwrap_or_default();
    }
    subject.organization = optional(parameters, "Organization", TEXT_MAX_CHARS);
    subject.organizational_unit = optional(parameters, "OrganizationalUnit", TEXT_MAX_CHARS);
    subject.city = optional(parameters, "City", TEXT_MAX_CHARS);
    subject.state = optional(parameters, "State", TEXT_MAX_CHARS);
    subject.email = optional(parameters, "Email", EMAIL_MAX_CHARS);
    if subject.email.as_ref().is_some_and(|email| !email.is_ascii()) {
        format_error(parameters, "Email", subject.email.as_deref().unwrap_or_default());
    }
    subject.country = optional(parameters, "Country", TEXT_MAX_CHARS);
    if let Some(country) = &subject.country
        && (country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        format_error(parameters, "Country", country);
    }
    if let Some(value) = parameters.optional("KeyPairAlgorithm") {
        parameters.choice("KeyPairAlgorithm", value, &ALGORITHMS);
    }
    if let Some(value) = parameters.optional("KeyCurveId") {
        subject.curve = parameters.choice("KeyCurveId", value, &CURVES).unwrap_or_default();
    }
    subject.alternative_names = list(parameters, "AlternativeNames");
    let is_host = |name: &String| {
        let fits = !name.is_empty() && name.len() <= HOST_MAX_CHARS;
        fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_*:".contains(&byte))
    };
    if let Some(bad) = subject.alternative_names.iter().find(|name| !is_host(name)) {
        format_error(parameters, "AlternativeNames", bad);
    }
    if subject.alternative_names.len() > ALTERNATIVE_NAMES_MAX {
        format_error(parameters, "AlternativeNames", &format!("{} names", subject.alternative_names.len()));
    }
    read_usages(parameters, &mut subject);
    // What a certificate for a service does not say, or a request cannot carry here.
    for name in [
        "KeyBitLength",
        "ChallengePassword",
        "ContactPerson",
        "GivenName",
        "Initials",
        "Surname",
        "UnstructuredName",
    ] {
        if parameters.optional(name).is_some() {
            let fault = Message::new(message::ActionParameterNotSupported, [name, GENERATE]);
            parameters.push(fault.about(&format!("/{name}")));
        }
    }
    subject
}

fn read_usages(parameters: &mut Parameters<'_>, subject: &mut Subject) {
    for name in list(parameters, "KeyUsage") {
        let known = USAGES.iter().find(|(known, _)| *known == name);
        match (known, name.as_str()) {
            (Some((_, usage)), _) => subject.key_usage.push(*usage),
            (None, SERVER) => subject.extended_key_usage.push(ExtendedKeyUsagePurpose::ServerAuth),
            (None, CLIENT) => subject.extended_key_usage.push(ExtendedKeyUsagePurpose::ClientAuth),
            (None, other) => {
                let known = USAGES.iter().map(|(known, _)| *known).chain([SERVER, CLIENT]);
                let wanted = format!("Choose of: {}.", known.collect::<Vec<_>>().join(", "));
                parameters.not_in_list("KeyUsage", other, &wanted);
            }
        }
    }
}

fn optional(parameters: &mut Parameters<'_>, name: &'static str, max: usize) -> Option<String> {
    let value = parameters.optional(name)?;
    text(parameters, name, value, max)
}

/// A text that is neither empty nor too long.
fn text<'a>(
    parameters: &mut Parameters<'a>,
    name: &'static str,
    value: &'a Value,
    max: usize,
) -> Option<String> {
    let text = parameters.string(name, value)?;
    if text.is_empty() || text.chars().count() > max || text.chars().any(char::is_control) {
        format_error(parameters, name, text);
        return None;
    }
    Some(text.to_owned())
}

/// An array of strings; empty where there is none.
fn list(parameters: &mut Parameters<'_>, name: &'static str) -> Vec<String> {
    let Some(value) = parameters.optional(name) else { return Vec::new() };
    let strings = value.as_array().map(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    match strings.flatten() {
        Some(strings) => strings.into_iter().map(str::to_owned).collect(),
        None => {
            parameters.wrong_type(name, value);
            Vec::new()
        }
    }
}

fn format_error(parameters: &mut Parameters<'_>, name: &'static str, value: &str) {
    let fault = Message::new(message::ActionParameterValueFormatError, [value, name, GENERATE]);
    parameters.push(fault.about(&format!("/{name}")));
}
