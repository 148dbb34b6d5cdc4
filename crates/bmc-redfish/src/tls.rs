//! TLS: a self-signed certificate that is made once and kept, a certificate of the operator's own, or none.
//!
//! The cryptography is chosen in one place, `provider`. Certificates are held by a resolver (`Held`), so that files that change, and a
//! certificate that a client puts in place, are taken up by the next handshake and connections under way stay as they are.

mod held;
mod request;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType, SerialNumber, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub use self::held::Keyring;
pub(crate) use self::held::{Held, ReplaceError, to_pem};
use self::held::{Own, Pair};
pub(crate) use self::request::{Curve, Subject};

const DAY_S: i64 = 24 * 60 * 60;
/// From how many days back a self-signed certificate is valid: clocks of clients may be slow.
const VALID_BACK_DAYS: i64 = 1;
/// For how many days it is valid.
const VALID_DAYS: i64 = 3650;
/// How many seconds before its end it is made anew, when the daemon starts.
const RENEW_BEFORE_S: i64 = 365 * DAY_S;
/// Whose it is.
const COMMON_NAME: &str = "polybmc";

/// How an endpoint is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP.
    Off,
    /// A self-signed certificate for localhost, the loopback addresses and the bound address, kept in this folder and made if absent. It is
    /// valid for ten years, and made anew for the same key by a start within its last one.
    /// `redfish.pem` there holds key and certificate (mode 0600), `redfish.crt` the certificate alone for clients; an address other
    /// than the usual ones has files of its own, `redfish-ADDRESS.*`.
    SelfSigned {
        /// The folder.
        dir: PathBuf,
    },
    /// PEM files: the certificate with its chain, and its key. Taken up anew when they change.
    Files {
        /// The certificate chain, the server's own first.
        cert: PathBuf,
        /// The private key: PKCS#8, PKCS#1 or SEC1.
        key: PathBuf,
    },
}

/// Why an endpoint cannot be secured.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{path}: {reason}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and what is wanted.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("a self-signed certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    /// The TLS library refuses the settings.
    #[error(transparent)]
    Library(#[from] rustls::Error),
}

/// The cryptography in use. The only place that names it.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Tls {
    /// The certificate of an endpoint bound to `bound`; `None` for plain HTTP. `bmc` names the BMC whose endpoint it is: one of its own can
    /// take the place of the self-signed one.
    pub(crate) fn held(
        &self,
        bound: IpAddr,
        bmc: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Arc<Held>>, TlsError> {
        let (source, own) = match self {
            Self::Off => return Ok(None),
            Self::Files { cert, key } => (Pair { cert: cert.clone(), key: key.clone() }, None),
            Self::SelfSigned { dir } => {
                let pem = self_signed(dir, bound, now)?;
                let own = bmc.map(|bmc| Own::of(dir, bmc));
                (Pair { cert: pem.clone(), key: pem }, own)
            }
        };
        Held::load(source, own, provider()).map(|held| Some(Arc::new(held)))
    }

    /// Forgets the certificate that was put in place for a BMC, and its keys.
    ///
    /// # Errors
    /// A file cannot be deleted.
    pub fn forget(&self, bmc: &str) -> io::Result<()> {
        let Self::SelfSigned { dir } = self else { return Ok(()) };
        let own = Own::of(dir, bmc);
        for path in [own.pem, own.pending] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The TLS settings of an endpoint with this certificate.
pub(crate) fn server_config(held: Arc<Held>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(held);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn read_pair(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let content =
        |path: &Path, reason: &str| TlsError::Content { path: path.to_owned(), reason: reason.to_owned() };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(cert)?).collect();
    let chain = chain.map_err(|error| content(cert, &format!("no PEM certificate: {error}")))?;
    if chain.is_empty() {
        return Err(content(cert, "no certificate in it; a PEM file with BEGIN CERTIFICATE is wanted"));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| {
        content(key, "no private key in it; an unencrypted PEM file with BEGIN PRIVATE KEY is wanted")
    })?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| {
        content(key, &format!("the key does not fit the certificate {}: {error}", cert.display()))
    })
}

/// Puts a file in its place whole, over one that is there.
fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    write_with(path, content, mode, |temporary| fs::rename(temporary, path))
}

/// The file with the self-signed certificate for this address and its key; made if it is not there, and made anew for the same key in time
/// before it ends.
fn self_signed(dir: &Path, bound: IpAddr, now: Timestamp) -> Result<PathBuf, TlsError> {
    let usual = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let extra = Some(bound).filter(|bound| !usual.contains(bound) && !bound.is_unspecified());
    let stem =
        extra.map_or_else(|| "redfish".to_owned(), |extra| format!("redfish-{extra}").replace(':', "_"));
    let (pem, public) = (dir.join(format!("{stem}.pem")), dir.join(format!("{stem}.crt")));
    if !pem.exists() {
        let (cert, key) = make(KeyPair::generate()?, usual.into_iter().chain(extra), now)?;
        fs::create_dir_all(dir).map_err(|source| TlsError::File { path: dir.to_owned(), source })?;
        // One file for both, so that no crash and no other endpoint that starts at the same moment leaves a pair that does not fit.
        place(&pem, format!("{key}{cert}").as_bytes(), 0o600)?;
    } else if let Some(key) = to_renew(&pem, now)? {
        let (cert, key) = make(key, usual.into_iter().chain(extra), now)?;
        replace(&pem, format!("{key}{cert}").as_bytes(), 0o600)?;
        replace(&public, cert.as_bytes(), 0o644)?;
        tracing::info!(file = %pem.display(), "made the self-signed certificate anew, for the same key");
    }
    if !public.exists() {
        let all = read(&pem)?;
        let text = String::from_utf8_lossy(&all);
        let at = text.find("-----BEGIN CERTIFICATE-----").unwrap_or(text.len());
        place(&public, &text.as_bytes()[at..], 0o644)?;
    }
    Ok(pem)
}

/// The key of a certificate that was made here and that is to be made anew: it ends soon, is not valid yet because the clock was wrong when
/// it was made, or is valid for longer than they are made now. What somebody else put into the file is left alone.
fn to_renew(pem: &Path, now: Timestamp) -> Result<Option<KeyPair>, TlsError> {
    let content = read(pem)?;
    let Some(Ok(der)) = CertificateDer::pem_slice_iter(&content).next() else { return Ok(None) };
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else { return Ok(None) };
    let ours = parsed.subject().iter_common_name().any(|name| name.as_str() == Ok(COMMON_NAME))
        && parsed.subject() == parsed.issuer();
    let (from, to) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    let now = now.as_second();
    let good = from <= now
        && to.saturating_sub(now) > RENEW_BEFORE_S
        && to.saturating_sub(from) <= (VALID_BACK_DAYS + VALID_DAYS + 2) * DAY_S;
    if !ours || good {
        return Ok(None);
    }
    // Clients that know the key go on knowing it.
    Ok(KeyPair::from_pem(&String::from_utf8_lossy(&content)).ok())
}

fn make(
    key: KeyPair,
    addresses: impl Iterator<Item = IpAddr>,
    now: Timestamp,
) -> Result<(String, String), TlsError> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.subject_alt_names.extend(addresses.map(SanType::IpAddress));
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Twenty octets at most, and positive (RFC 5280 §4.1.2.2).
    let mut serial = *uuid::Uuid::new_v4().as_bytes();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let midnight = |days| {
        let (year, month, day) = day(now, days);
        date_time_ymd(year, month, day)
    };
    (params.not_before, params.not_after) = (midnight(-VALID_BACK_DAYS), midnight(VALID_DAYS));
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
}

/// Year, month and day so many days away.
fn day(now: Timestamp, days: i64) -> (i32, u8, u8) {
    let at = Timestamp::from_second(now.as_second().saturating_add(days * DAY_S)).unwrap_or(now);
    let date = at.to_zoned(TimeZone::UTC).date();
    // Months and days are small and positive.
    (date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
}

/// Puts a file in its place whole. One that is there already, because somebody else was faster, stays.
fn place(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    write_with(path, content, mode, |temporary| match fs::hard_link(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    })
}

/// Writes a file beside `path`, which `put` then brings to its place.
fn write_with(
    path: &Path,
    content: &[u8],
    mode: u32,
    put: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), TlsError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", uuid::Uuid::new_v4()));
    let temporary = PathBuf::from(name);
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .map_err(fail(&temporary))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| put(&temporary));
    // What is left of the attempt is of no use to anybody.
    let _ = fs::remove_file(&temporary);
    placed.map_err(fail(path))
}

#[cfg(test)]
mod tests;
