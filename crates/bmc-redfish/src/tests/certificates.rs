//! The HTTPS certificate of a BMC: shown, requested, replaced while it serves.

use std::path::Path;

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::server::RedfishServer;
use crate::tls::{Keyring, Tls};

const REPLACE: &str = "/redfish/v1/CertificateService/Actions/CertificateService.ReplaceCertificate";
const GENERATE: &str = "/redfish/v1/CertificateService/Actions/CertificateService.GenerateCSR";

/// A BMC on a socket, and beside it in process: services that share its certificate.
struct Secured {
    lab: Lab,
    dir: TempDir,
    server: RedfishServer,
    one: Router,
    all: Router,
}

async fn bind(lab: &Lab, name: &str, tls: &Tls, config: &RedfishConfig) -> RedfishServer {
    let machine = lab.fleet.find(name).unwrap();
    let scope = Scope::One { fleet: lab.fleet.clone(), machine };
    RedfishServer::bind("127.0.0.1:0".parse().unwrap(), tls.clone(), scope, config.clone()).await.unwrap()
}

impl Secured {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tls = Tls::SelfSigned { dir: dir.path().to_owned() };
        Self::with(tls, dir).await
    }

    async fn with(tls: Tls, dir: TempDir) -> Self {
        let lab = Lab::new(2, RedfishConfig::default()).await;
        let config = RedfishConfig { keyring: Keyring::default(), ..RedfishConfig::default() };
        let server = bind(&lab, "m0", &tls, &config).await;
        let one = Scope::One { fleet: lab.fleet.clone(), machine: lab.machine.clone() };
        let all = Scope::All { fleet: lab.fleet.clone(), accounts: Arc::new(admin().await) };
        let [one, all] = [one, all].map(|scope| router(Arc::new(Service::new(scope, config.clone()))));
        Self { lab, dir, server, one, all }
    }

    fn collection(&self) -> String {
        let uuid = self.lab.machine.snapshot().uuid;
        format!("/redfish/v1/Managers/{uuid}/NetworkProtocol/HTTPS/Certificates")
    }

    fn certificate(&self) -> String {
        format!("{}/1", self.collection())
    }

    async fn replace(&self, pem: &str) -> Answer {
        let body = json!({"CertificateString": pem, "CertificateType": "PEM", "CertificateUri": {"@odata.id": self.certificate()}});
        Ask::new("POST", REPLACE).json(&body).send(&self.one).await
    }

    async fn shown(&self) -> Value {
        Ask::get(&self.certificate()).send(&self.one).await.json()
    }

    fn tls(&self) -> Tls {
        Tls::SelfSigned { dir: self.dir.path().to_owned() }
    }
}

/// A certificate for localhost, and its key.
fn make(name: &str, key: &KeyPair, years: (i32, i32)) -> String {
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
    params.self_signed(key).unwrap().pem()
}

fn with_key(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let cert = make(name, &key, (2000, 2090));
    (format!("{cert}{}", key.serialize_pem()), cert)
}

/// Connects and trusts nothing but this certificate.
async fn connect(server: &RedfishServer, trusted: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn answers(stream: &mut TlsStream<TcpStream>) -> bool {
    stream.write_all(b"GET /redfish HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    &first == b"HTTP/1.1 200"
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn the_certificate_is_shown_where_it_is_used() {
    let secured = Secured::new().await;
    let locations = "/redfish/v1/CertificateService/CertificateLocations";
    for router in [&secured.one, &secured.all] {
        let links = Ask::get(locations).send(router).await.json();
        assert_eq!(links["Links"]["Certificates"], json!([{"@odata.id": secured.certificate()}]));
        let members = Ask::get(&secured.collection()).send(router).await.json();
        assert_eq!(members["Members"], links["Links"]["Certificates"]);
        let shown = Ask::get(&secured.certificate()).send(router).await.json();
        assert_eq!(
            shown["CertificateString"],
            read(&secured.dir.path().join("redfish.crt")).replace("\r\n", "\n")
        );
        assert_eq!(
            (&shown["CertificateType"], &shown["Subject"]["CommonName"]),
            (&json!("PEM"), &json!("polybmc"))
        );
        assert_eq!(shown["KeyUsage"], json!(["ServerAuthentication"]));
        assert_eq!(shown["Subject"]["AlternativeNames"], json!(["localhost", "127.0.0.1", "::1"]));
    }
    let other = secured.lab.fleet.find("m1").unwrap().snapshot().uuid;
    let path = format!("/redfish/v1/Managers/{other}/NetworkProtocol/HTTPS/Certificates");
    let members = Ask::get(&path).send(&secured.all).await.json();
    assert_eq!(members["Members"], json!([]), "no endpoint, no certificate");
    let answer = Ask::get(&format!("{}/2", secured.collection())).send(&secured.one).await;
    answer.refused(404, &["ResourceNotFound"]);
}

#[tokio::test]
async fn a_replaced_certificate_holds_at_once_and_after_a_restart_for_that_bmc_alone() {
    let secured = Secured::new().await;
    let old = read(&secured.dir.path().join("redfish.crt"));
    let mut before = connect(&secured.server, &old).await.unwrap();
    let (pem, cert) = with_key("replaced");
    assert_eq!(secured.replace(&pem).await.status, 204);
    assert_eq!(secured.shown().await["Subject"]["CommonName"], "replaced");
    assert!(answers(&mut before).await, "connections under way stay");
    assert!(answers(&mut connect(&secured.server, &cert).await.unwrap()).await);
    assert!(connect(&secured.server, &old).await.is_err());

    let config = RedfishConfig { keyring: Keyring::default(), ..RedfishConfig::default() };
    let again = bind(&secured.lab, "m0", &secured.tls(), &config).await;
    assert!(connect(&again, &cert).await.is_ok(), "kept");
    let other = bind(&secured.lab, "m1", &secured.tls(), &config).await;
    assert!(connect(&other, &old).await.is_ok(), "another BMC keeps its own");

    secured.tls().forget("m0").unwrap();
    let fresh = bind(&secured.lab, "m0", &secured.tls(), &config).await;
    assert!(connect(&fresh, &old).await.is_ok(), "a new BMC of that name has none of the old one's");
}

#[tokio::test]
async fn the_root_over_all_bmcs_replaces_the_certificate_of_one() {
    let secured = Secured::new().await;
    let (pem, cert) = with_key("replaced");
    let body = json!({"CertificateString": pem, "CertificateType": "PEM", "CertificateUri": {"@odata.id": secured.certificate()}});
    assert_eq!(Ask::new("POST", REPLACE).json(&body).send(&secured.all).await.status, 204);
    assert!(connect(&secured.server, &cert).await.is_ok());
}

#[tokio::test]
async fn a_request_is_made_and_its_certificate_needs_no_key() {
    let secured = Secured::new().await;
    let body = json!({"CommonName": "bmc.example.org", "Organization": "Example", "OrganizationalUnit": "Lab",
        "City": "Jena", "State": "TH", "Country": "DE", "Email": "ops@example.org",
        "AlternativeNames": ["bmc.example.org", "192.0.2.1"], "KeyPairAlgorithm": "TPM_ALG_ECDSA",
        "KeyCurveId": "TPM_ECC_NIST_P384", "KeyUsage": ["DigitalSignature", "ServerAuthentication"],
        "CertificateCollection": {"@odata.id": secured.collection()}});
    let answer = Ask::new("POST", GENERATE).json(&body).send(&secured.one).await;
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(answer["CertificateCollection"]["@odata.id"], secured.collection());
    let request = answer["CSRString"].as_str().unwrap();
    assert!(request.starts_with("-----BEGIN CERTIFICATE REQUEST-----") && !request.contains("PRIVATE"));
    // The service's own key stands in for the authority that would read the request.
    let key = read(&secured.dir.path().join("bmc/m0.key"));
    let key = KeyPair::from_pem(&key).unwrap();
    let cert = make("bmc.example.org", &key, (2000, 2090));
    assert_eq!(secured.replace(&cert).await.status, 204);
    assert!(connect(&secured.server, &cert).await.is_ok());
    assert!(!secured.dir.path().join("bmc/m0.key").exists());
    let renewed = make("renewed", &key, (2000, 2090));
    assert_eq!(secured.replace(&renewed).await.status, 204, "for the present key");
    assert_eq!(secured.shown().await["Subject"]["CommonName"], "renewed");
}

#[tokio::test]
async fn what_is_no_usable_certificate_changes_nothing() {
    let secured = Secured::new().await;
    let before = secured.shown().await;
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap().serialize_pem());
    let good = make("good", &key, (2000, 2090));
    let key = key.serialize_pem();
    let past = make("past", &KeyPair::from_pem(&key).unwrap(), (2000, 2001));
    let future = make("future", &KeyPair::from_pem(&key).unwrap(), (2089, 2090));
    let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (pem, advice) in [
        ("nonsense".to_owned(), "No certificate in it"),
        (key.clone(), "No certificate in it"),
        (good.replace('M', "!"), "PEM"),
        (format!("{hollow}{key}"), "no X.509 certificate"),
        (good.clone(), "neither for the key of the last GenerateCSR"),
        (format!("{good}{other}"), "does not fit"),
        (format!("{good}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "key"),
        (format!("{past}{key}"), "expired on 2001"),
        (format!("{future}{key}"), "valid only from 2089"),
    ] {
        let answer = secured.replace(&pem).await;
        answer.refused(400, &["ActionParameterValueError"]);
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(text.contains(advice), "{advice}: {text}");
        assert!(!text.contains("PRIVATE KEY--"), "{text}");
    }
    assert_eq!(secured.shown().await, before);
}

#[tokio::test]
async fn parameters_that_are_wrong_are_refused_by_name() {
    let secured = Secured::new().await;
    let (pem, _) = with_key("good");
    let place = json!({"@odata.id": secured.certificate()});
    let good = json!({"CertificateString": pem, "CertificateType": "PEM", "CertificateUri": place});
    let elsewhere = json!({"@odata.id": "/redfish/v1/Managers/nobody/NetworkProtocol/HTTPS/Certificates/1"});
    for (name, value, message) in [
        ("CertificateString", None, "ActionParameterMissing"),
        ("CertificateString", Some(json!(1)), "ActionParameterValueError"),
        ("CertificateType", None, "ActionParameterMissing"),
        ("CertificateType", Some(json!("PKCS7")), "ActionParameterValueNotInList"),
        ("CertificateType", Some(json!(7)), "ActionParameterValueTypeError"),
        ("CertificateUri", None, "ActionParameterMissing"),
        ("CertificateUri", Some(json!("/redfish/v1")), "ActionParameterValueError"),
        ("CertificateUri", Some(elsewhere), "ActionParameterValueError"),
        ("CertificateUri", Some(json!({"@odata.id": secured.collection()})), "ActionParameterValueError"),
        ("Password", Some(json!("p")), "ActionParameterNotSupported"),
        ("Nonsense", Some(json!(1)), "ActionParameterUnknown"),
    ] {
        let mut body = good.clone();
        match value {
            Some(value) => body[name] = value,
            None => drop(body.as_object_mut().unwrap().shift_remove(name)),
        }
        Ask::new("POST", REPLACE).json(&body).send(&secured.one).await.refused(400, &[message]);
    }
    let good = json!({"CommonName": "bmc", "CertificateCollection": {"@odata.id": secured.collection()}});
    for (name, value, message) in [
        ("CommonName", None, "ActionParameterMissing"),
        ("CommonName", Some(json!(1)), "ActionParameterValueTypeError"),
        ("CommonName", Some(json!("")), "ActionParameterValueFormatError"),
        ("CommonName", Some(json!("c".repeat(65))), "ActionParameterValueFormatError"),
        ("CertificateCollection", None, "ActionParameterMissing"),
        (
            "CertificateCollection",
            Some(json!({"@odata.id": secured.certificate()})),
            "ActionParameterValueError",
        ),
        ("Country", Some(json!("Germany")), "ActionParameterValueFormatError"),
        ("Email", Some(json!("\u{e9}@example.org")), "ActionParameterValueFormatError"),
        ("KeyPairAlgorithm", Some(json!("TPM_ALG_RSA")), "ActionParameterValueNotInList"),
        ("KeyCurveId", Some(json!("TPM_ECC_BN_P256")), "ActionParameterValueNotInList"),
        ("KeyBitLength", Some(json!(2048)), "ActionParameterNotSupported"),
        ("ChallengePassword", Some(json!("p")), "ActionParameterNotSupported"),
        ("KeyUsage", Some(json!(["Everything"])), "ActionParameterValueNotInList"),
        ("KeyUsage", Some(json!("DigitalSignature")), "ActionParameterValueTypeError"),
        ("AlternativeNames", Some(json!(["a b"])), "ActionParameterValueFormatError"),
        ("AlternativeNames", Some(json!([1])), "ActionParameterValueTypeError"),
        ("AlternativeNames", Some(json!(vec!["a"; 33])), "ActionParameterValueFormatError"),
    ] {
        let mut body = good.clone();
        match value {
            Some(value) => body[name] = value,
            None => drop(body.as_object_mut().unwrap().shift_remove(name)),
        }
        Ask::new("POST", GENERATE).json(&body).send(&secured.one).await.refused(400, &[message]);
    }
}

#[tokio::test]
async fn configured_files_and_plain_http_are_not_this_services_to_change() {
    let files = tempfile::tempdir().unwrap();
    let (pem, _) = with_key("configured");
    let path = files.path().join("both.pem");
    std::fs::write(&path, &pem).unwrap();
    let configured = Secured::with(Tls::Files { cert: path.clone(), key: path.clone() }, files).await;
    assert_eq!(configured.shown().await["Subject"]["CommonName"], "configured");
    let answer = configured.replace(&with_key("other").0).await;
    answer.refused(400, &["ActionNotSupported"]);
    assert!(String::from_utf8_lossy(&answer.bytes).contains("configuration names"));
    assert_eq!(read(&path), pem);

    let plain = Secured::with(Tls::Off, tempfile::tempdir().unwrap()).await;
    plain.replace(&pem).await.refused(400, &["ActionNotSupported"]);
    let body = json!({"CommonName": "bmc", "CertificateCollection": {"@odata.id": plain.collection()}});
    let answer = Ask::new("POST", GENERATE).json(&body).send(&plain.one).await;
    answer.refused(400, &["ActionNotSupported"]);
    let members = Ask::get(&plain.collection()).send(&plain.one).await.json();
    assert_eq!(members["Members@odata.count"], 0);
}

#[tokio::test]
async fn a_reset_to_defaults_takes_the_certificate_back_unless_the_network_is_preserved() {
    let secured = Secured::new().await;
    let at_first = secured.shown().await["CertificateString"].clone();
    let (pem, cert) = with_key("mine");
    assert_eq!(secured.replace(&pem).await.status, 204);
    let uuid = secured.lab.machine.snapshot().uuid;
    let action = format!("/redfish/v1/Managers/{uuid}/Actions/Manager.ResetToDefaults");
    let reset = async |kind: &str| {
        let ask = Ask::new("POST", &action).json(&json!({"ResetType": kind}));
        assert_eq!(ask.send(&secured.all).await.status, 204, "{kind}");
    };
    for kind in ["PreserveNetworkAndUsers", "PreserveNetwork"] {
        reset(kind).await;
        assert!(answers(&mut connect(&secured.server, &cert).await.unwrap()).await, "{kind}");
    }
    reset("ResetAll").await;
    assert!(connect(&secured.server, &cert).await.is_err(), "new connections get the one of before");
    assert_eq!(secured.shown().await["CertificateString"], at_first);
    // A server that begins anew shows it, too.
    let tls = secured.tls();
    let config = RedfishConfig { keyring: Keyring::default(), ..RedfishConfig::default() };
    let again = bind(&secured.lab, "m0", &tls, &config).await;
    assert!(connect(&again, &cert).await.is_err());
    reset("ResetAll").await;
}
