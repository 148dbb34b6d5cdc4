//! The certificate an endpoint shows, and how another takes its place.
//!
//! ```text
//!              own file is there ──► own certificate ◄── replace (checked, written, shown at once)
//!   handshake ─┤
//!              └ else ─────────────► configured files, or the self-signed one
//! ```

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Subject, TlsError, read, read_pair, replace, request};

/// The folder of the BMCs' own certificates, below that of the self-signed one.
const OWN_DIR: &str = "bmc";
/// Characters in a line of PEM (RFC 7468 §2).
const PEM_LINE: usize = 64;

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// Where a BMC keeps what takes the place of the self-signed certificate.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// The key and the chain.
    pub(super) pem: PathBuf,
    /// The key of the last signing request, until the certificate for it comes.
    pub(super) pending: PathBuf,
}

impl Own {
    /// Names of BMCs can stand in paths.
    pub(super) fn of(dir: &Path, bmc: &str) -> Self {
        let dir = dir.join(OWN_DIR);
        Self { pem: dir.join(format!("{bmc}.pem")), pending: dir.join(format!("{bmc}.key")) }
    }
}

/// Why a certificate is not taken. None of the texts holds anything of a key.
#[derive(Debug, Error)]
pub(crate) enum ReplaceError {
    /// It is not this service's to change.
    #[error(
        "the certificate comes from files that the configuration names: replace those files, and they are taken up at once"
    )]
    Fixed,
    /// What was sent is no certificate.
    #[error("{0}")]
    Content(String),
    /// No key fits.
    #[error("{0}")]
    Key(String),
    /// It cannot be used now.
    #[error("{0}")]
    Validity(String),
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] TlsError),
}

/// The certificate of an endpoint, read again when a file of it has changed.
#[derive(Debug)]
pub(crate) struct Held {
    source: Pair,
    own: Option<Own>,
    provider: Arc<CryptoProvider>,
    loaded: Mutex<Loaded>,
}

type Seen = [Option<SystemTime>; 3];

#[derive(Debug)]
struct Loaded {
    certified: Arc<CertifiedKey>,
    /// The files' modification times when they were last looked at, also when they could not be used.
    seen: Seen,
}

impl Held {
    pub(super) fn load(
        source: Pair,
        own: Option<Own>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let seen = seen(&source, own.as_ref());
        let kept = own.as_ref().filter(|own| own.pem.exists());
        let kept = kept.and_then(|own| {
            let kept = read_pair(&own.pem, &own.pem, &provider);
            let tell =
                |error: &TlsError| tracing::warn!(%error, "a certificate that was put in place is left out");
            kept.inspect_err(tell).ok()
        });
        let certified = match kept {
            Some(kept) => kept,
            None => read_pair(&source.cert, &source.key, &provider)?,
        };
        let loaded = Mutex::new(Loaded { certified: Arc::new(certified), seen });
        Ok(Self { source, own, provider, loaded })
    }

    /// What the next handshake shows.
    pub(crate) fn current(&self) -> Arc<CertifiedKey> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let now = seen(&self.source, self.own.as_ref());
        if now != loaded.seen {
            loaded.seen = now;
            let own = self.own.as_ref().map(|own| &own.pem).filter(|own| own.exists());
            let (cert, key) = own.map_or((&self.source.cert, &self.source.key), |own| (own, own));
            match read_pair(cert, key, &self.provider) {
                Ok(certified) => {
                    tracing::info!(cert = %cert.display(), "took up the changed certificate");
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

    /// Puts a certificate in place: PEM, the server's own certificate first, with its key, or without where it was made for the key of
    /// the last signing request or for the present one.
    ///
    /// # Errors
    /// See [`ReplaceError`]; then everything is as it was.
    pub(crate) fn replace(&self, pem: &str, now: Timestamp) -> Result<(), ReplaceError> {
        let own = self.own.as_ref().ok_or(ReplaceError::Fixed)?;
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let chain =
            chain.map_err(|_| ReplaceError::Content("the certificate is no well-formed PEM".to_owned()))?;
        let leaf = chain.first().ok_or_else(|| {
            ReplaceError::Content("no certificate in it; PEM with BEGIN CERTIFICATE is wanted".to_owned())
        })?;
        check_validity(leaf, now)?;
        for other in &chain {
            parse(other)?;
        }
        let key = self.key_for(&chain, pem, own)?;
        let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), &self.provider)
            .map_err(|error| ReplaceError::Key(format!("the key cannot be used: {error}")))?;

        let content = format!("{}{}", key_to_pem(&key), to_pem(&chain));
        if let Some(dir) = own.pem.parent() {
            fs::create_dir_all(dir).map_err(|source| TlsError::File { path: dir.to_owned(), source })?;
        }
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        replace(&own.pem, content.as_bytes(), 0o600)?;
        loaded.certified = Arc::new(certified);
        loaded.seen = seen(&self.source, self.own.as_ref());
        drop(loaded);
        // A key that was used, or that another certificate made useless.
        let _ = fs::remove_file(&own.pending);
        Ok(())
    }

    /// Takes back what was put in place, and the key of a request that waits for its certificate: the self-signed certificate is shown again.
    ///
    /// # Errors
    /// A file that cannot be removed or read; what is shown stays then.
    pub(crate) fn forget(&self) -> Result<(), TlsError> {
        let Some(own) = &self.own else { return Ok(()) };
        let certified = read_pair(&self.source.cert, &self.source.key, &self.provider)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        for path in [&own.pending, &own.pem] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(TlsError::File { path: path.clone(), source: error });
                }
                _ => {}
            }
        }
        loaded.certified = Arc::new(certified);
        loaded.seen = seen(&self.source, self.own.as_ref());
        Ok(())
    }

    fn key_for(
        &self,
        chain: &[CertificateDer<'static>],
        pem: &str,
        own: &Own,
    ) -> Result<PrivateKeyDer<'static>, ReplaceError> {
        let fits = |key: &PrivateKeyDer<'static>| {
            CertifiedKey::from_der(chain.to_vec(), key.clone_key(), &self.provider).is_ok()
        };
        if pem.contains("PRIVATE KEY") {
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
                ReplaceError::Key("the private key is no unencrypted PKCS#8, PKCS#1 or SEC1 key".to_owned())
            })?;
            let misfit = || ReplaceError::Key("the private key does not fit the certificate".to_owned());
            return Some(key).filter(fits).ok_or_else(misfit);
        }
        let kept = [&own.pending, &own.pem, &self.source.key].into_iter();
        let keys = kept.filter_map(|path| PrivateKeyDer::from_pem_slice(&read(path).ok()?).ok());
        keys.into_iter().find(fits).ok_or_else(|| {
            ReplaceError::Key(
                "the certificate was made neither for the key of the last GenerateCSR nor for the present one; send its private key along"
                    .to_owned(),
            )
        })
    }

    /// Makes a key and a request to sign a certificate for it, and keeps the key until that comes.
    ///
    /// # Errors
    /// [`ReplaceError::Fixed`], [`ReplaceError::Content`] for names that cannot stand in a certificate, [`ReplaceError::Store`].
    pub(crate) fn request(&self, subject: &Subject) -> Result<String, ReplaceError> {
        let own = self.own.as_ref().ok_or(ReplaceError::Fixed)?;
        let (request, key) = request::make(subject)
            .map_err(|error| ReplaceError::Content(format!("the request could not be made: {error}")))?;
        if let Some(dir) = own.pending.parent() {
            fs::create_dir_all(dir).map_err(|source| TlsError::File { path: dir.to_owned(), source })?;
        }
        replace(&own.pending, key.as_bytes(), 0o600)?;
        Ok(request)
    }
}

impl ResolvesServerCert for Held {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn seen(source: &Pair, own: Option<&Own>) -> Seen {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    [own.and_then(|own| modified(&own.pem)), modified(&source.cert), modified(&source.key)]
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, ReplaceError> {
    let parsed = X509Certificate::from_der(der.as_ref());
    parsed
        .map(|(_, parsed)| parsed)
        .map_err(|_| ReplaceError::Content("it is no X.509 certificate".to_owned()))
}

fn check_validity(der: &CertificateDer<'_>, now: Timestamp) -> Result<(), ReplaceError> {
    let leaf = parse(der)?;
    let (from, to) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    let shown = |second| Timestamp::from_second(second).map_or_else(|_| "?".to_owned(), |at| at.to_string());
    if to < now.as_second() {
        return Err(ReplaceError::Validity(format!("the certificate has expired on {}", shown(to))));
    }
    if from > now.as_second() {
        return Err(ReplaceError::Validity(format!("the certificate is valid only from {}", shown(from))));
    }
    Ok(())
}

/// A chain as PEM.
pub(crate) fn to_pem(chain: &[CertificateDer<'_>]) -> String {
    chain.iter().map(|der| armour("CERTIFICATE", der.as_ref())).collect()
}

fn key_to_pem(key: &PrivateKeyDer<'_>) -> String {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    armour(label, key.secret_der())
}

fn armour(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// The certificates of several endpoints, by BMC: so that the root over all BMCs can show and replace them too. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Keyring(Arc<Mutex<HashMap<Arc<str>, Weak<Held>>>>);

impl Keyring {
    /// Notes the certificate of a BMC's endpoint, for as long as the endpoint is there.
    pub(crate) fn put(&self, bmc: &Arc<str>, held: &Arc<Held>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, held| held.strong_count() > 0);
        all.insert(Arc::clone(bmc), Arc::downgrade(held));
    }

    /// The certificate of a BMC's endpoint; `None` where it has none.
    pub(crate) fn get(&self, bmc: &str) -> Option<Arc<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(bmc)?.upgrade()
    }
}
