//! Requests to sign a certificate (RFC 2986).

use rcgen::string::{Ia5String, PrintableString};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
};

/// The kinds of key that are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Curve {
    /// NIST P-256.
    #[default]
    P256,
    /// NIST P-384.
    P384,
}

/// What a certificate shall say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) common_name: String,
    pub(crate) organization: Option<String>,
    pub(crate) organizational_unit: Option<String>,
    pub(crate) city: Option<String>,
    pub(crate) state: Option<String>,
    /// Two letters of ISO 3166.
    pub(crate) country: Option<String>,
    pub(crate) email: Option<String>,
    /// Host names and addresses.
    pub(crate) alternative_names: Vec<String>,
    pub(crate) key_usage: Vec<KeyUsagePurpose>,
    pub(crate) extended_key_usage: Vec<ExtendedKeyUsagePurpose>,
    pub(crate) curve: Curve,
}

/// `emailAddress` of PKCS #9 (RFC 2985 §5.2.1).
const EMAIL_ADDRESS: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 1];

/// The request and the private key it is for, both as PEM.
pub(super) fn make(subject: &Subject) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(subject.alternative_names.clone())?;
    let mut name = DistinguishedName::new();
    if let Some(country) = &subject.country {
        name.push(
            DnType::CountryName,
            DnValue::PrintableString(PrintableString::try_from(country.as_str())?),
        );
    }
    for (kind, value) in [
        (DnType::StateOrProvinceName, &subject.state),
        (DnType::LocalityName, &subject.city),
        (DnType::OrganizationName, &subject.organization),
        (DnType::OrganizationalUnitName, &subject.organizational_unit),
    ] {
        if let Some(value) = value {
            name.push(kind, value.as_str());
        }
    }
    name.push(DnType::CommonName, subject.common_name.as_str());
    if let Some(email) = &subject.email {
        let email = DnValue::Ia5String(Ia5String::try_from(email.as_str())?);
        name.push(DnType::CustomDnType(EMAIL_ADDRESS.to_vec()), email);
    }
    params.distinguished_name = name;
    params.key_usages.clone_from(&subject.key_usage);
    params.extended_key_usages.clone_from(&subject.extended_key_usage);
    let algorithm = match subject.curve {
        Curve::P256 => &PKCS_ECDSA_P256_SHA256,
        Curve::P384 => &PKCS_ECDSA_P384_SHA384,
    };
    let key = KeyPair::generate_for(algorithm)?;
    let request = params.serialize_request(&key)?.pem()?;
    Ok((request, key.serialize_pem()))
}
