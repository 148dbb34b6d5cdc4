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

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

pub use self::held::Keyring;
pub(crate) use self::held::{Held, ReplaceError, to_pem};
use self::held::{Own, Pair};
pub(crate) use self::request::{Curve, Subject};

/// How an endpoint is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP.
    Off,
    /// A self-signed certificate for localhost, the loopback addresses and the bound address, kept in this folder and made if absent.
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
    pub(crate) fn held(&self, bound: IpAddr, bmc: Option<&str>) -> Result<Option<Arc<Held>>, TlsError> {
        let (source, own) = match self {
            Self::Off => return Ok(None),
            Self::Files { cert, key } => (Pair { cert: cert.clone(), key: key.clone() }, None),
            Self::SelfSigned { dir } => {
                let pem = self_signed(dir, bound)?;
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

/// The file with the self-signed certificate for this address and its key; made if it is not there.
fn self_signed(dir: &Path, bound: IpAddr) -> Result<PathBuf, TlsError> {
    let usual = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let extra = Some(bound).filter(|bound| !usual.contains(bound) && !bound.is_unspecified());
    let stem =
        extra.map_or_else(|| "redfish".to_owned(), |extra| format!("redfish-{extra}").replace(':', "_"));
    let (pem, public) = (dir.join(format!("{stem}.pem")), dir.join(format!("{stem}.crt")));
    if !pem.exists() {
        let (cert, key) = make(usual.into_iter().chain(extra))?;
        fs::create_dir_all(dir).map_err(|source| TlsError::File { path: dir.to_owned(), source })?;
        // One file for both, so that no crash and no other endpoint that starts at the same moment leaves a pair that does not fit.
        place(&pem, format!("{key}{cert}").as_bytes(), 0o600)?;
    }
    if !public.exists() {
        let all = read(&pem)?;
        let text = String::from_utf8_lossy(&all);
        let at = text.find("-----BEGIN CERTIFICATE-----").unwrap_or(text.len());
        place(&public, &text.as_bytes()[at..], 0o644)?;
    }
    Ok(pem)
}

fn make(addresses: impl Iterator<Item = IpAddr>) -> Result<(String, String), TlsError> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.subject_alt_names.extend(addresses.map(SanType::IpAddress));
    params.distinguished_name.push(DnType::CommonName, "polybmc");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
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
