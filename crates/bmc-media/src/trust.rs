//! Whose certificates are good: those that the system trusts, those of the configuration, and those that a client gave for a drive.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// What all downloads trust; read when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    roots: OnceLock<RootCertStore>,
}

impl Trust {
    fn roots(&self, ca_file: Option<&Path>) -> &RootCertStore {
        self.roots.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let system = rustls_native_certs::load_native_certs();
            for error in &system.errors {
                tracing::warn!(%error, "a certificate that the system trusts cannot be read");
            }
            roots.add_parsable_certificates(system.certs);
            if let Some(file) = ca_file {
                match CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
                    Ok(certificates) => drop(roots.add_parsable_certificates(certificates)),
                    Err(error) => {
                        tracing::error!(file = %file.display(), %error, "the certificates cannot be read");
                    }
                }
            }
            roots
        })
    }

    /// How TLS is spoken with a server. `certificates` are PEM texts that are trusted besides.
    pub(crate) fn client(
        &self,
        verify: bool,
        ca_file: Option<&Path>,
        certificates: &[String],
    ) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if verify {
            let mut roots = self.roots(ca_file).clone();
            let mut own = Vec::new();
            for pem in certificates {
                let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
                own.extend(
                    parsed.map_err(|error| format!("a certificate of the drive cannot be read: {error}"))?,
                );
            }
            roots.add_parsable_certificates(own.iter().cloned());
            let chains = (!roots.is_empty()).then(|| {
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()
            });
            let chains = chains.transpose().map_err(|error| error.to_string())?;
            Arc::new(Checked { chains, own, algorithms: provider.signature_verification_algorithms })
        } else {
            Arc::new(Unchecked(provider.signature_verification_algorithms))
        };
        let config = ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// A chain up to a trusted certificate, or a trusted certificate itself. The latter a chain cannot tell when it says that it is an
/// authority's, as most that people sign for themselves do.
#[derive(Debug)]
struct Checked {
    /// Without any trusted certificate there is no chain.
    chains: Option<Arc<WebPkiServerVerifier>>,
    own: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chains =
            self.chains.as_ref().ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let verified = chains.verify_server_cert(end_entity, intermediates, server_name, ocsp, now);
        // rustls has no name of its own for this error.
        let is_authority = matches!(&verified, Err(Error::InvalidCertificate(CertificateError::Other(reason)))
            if format!("{reason:?}").contains("CaUsedAsEndEntity"));
        if !is_authority {
            return verified;
        }
        if !self.own.iter().any(|own| own == end_entity) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        // Its time was looked at before what it is for.
        rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Any certificate will do, as the client has asked for.
#[derive(Debug)]
struct Unchecked(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
