//! TLS: a self-signed certificate that is made once and kept, a certificate of the operator's own, or none.
//!
//! The cryptography is chosen in one place, `provider`. Certificates are held by a resolver, so that files that change are taken up
//! by the next handshake and connections under way stay as they are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

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
    /// The settings for an endpoint bound to `bound`; `None` for plain HTTP.
    pub(crate) fn server_config(&self, bound: IpAddr) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let (cert, key) = match self {
            Self::Off => return Ok(None),
            Self::Files { cert, key } => (cert.clone(), key.clone()),
            Self::SelfSigned { dir } => {
                let pem = self_signed(dir, bound)?;
                (pem.clone(), pem)
            }
        };
        let provider = provider();
        let resolver = Arc::new(Reloading::load(cert, key, Arc::clone(&provider))?);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Arc::new(config)))
    }
}

/// The certificate of two files, read again when one of them has changed.
#[derive(Debug)]
struct Reloading {
    cert: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    certified: Arc<CertifiedKey>,
    /// The files' modification times when they were last looked at, also when they could not be used.
    seen: [Option<SystemTime>; 2],
}

impl Reloading {
    fn load(cert: PathBuf, key: PathBuf, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let seen = [modified(&cert), modified(&key)];
        let certified = read_pair(&cert, &key, &provider)?;
        let loaded = Mutex::new(Loaded { certified: Arc::new(certified), seen });
        Ok(Self { cert, key, provider, loaded })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let now = [modified(&self.cert), modified(&self.key)];
        if now != loaded.seen {
            loaded.seen = now;
            match read_pair(&self.cert, &self.key, &self.provider) {
                Ok(certified) => {
                    tracing::info!(cert = %self.cert.display(), "took up the changed certificate");
                    loaded.certified = Arc::new(certified);
                }
                // Half of a pair may have been replaced so far; the old pair serves until the new one is whole.
                Err(error) => {
                    tracing::warn!(%error, "the changed certificate cannot be used; the old one stays")
                }
            }
        }
        Arc::clone(&loaded.certified)
    }
}

impl ResolvesServerCert for Reloading {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
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
    let placed = written.and_then(|()| match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    // What is left of the attempt is of no use to anybody.
    let _ = fs::remove_file(&temporary);
    placed.map_err(fail(path))
}

#[cfg(test)]
mod tests;
