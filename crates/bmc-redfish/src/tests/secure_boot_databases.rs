//! The databases of Secure Boot: what the next boot finds in them.

use bmc_core::boot::FirmwareMode;
use rcgen::{CertificateParams, KeyPair};

use super::*;

const DATABASES: [&str; 8] = ["PK", "KEK", "db", "dbx", "PKDefault", "KEKDefault", "dbDefault", "dbxDefault"];
const OWNER: &str = "77fa9abd-0359-4d32-bd60-28f4e78f784b";

async fn uefi_lab() -> Lab {
    let config = SimConfig { firmware: FirmwareMode::Uefi, ..SimConfig::default() };
    Lab::with_sim(1, RedfishConfig::default(), config).await
}

fn at(lab: &Lab, path: &str) -> String {
    format!("{}/SecureBoot/SecureBootDatabases{path}", lab.system())
}

async fn ids(lab: &Lab, path: &str) -> Vec<String> {
    let shown = lab.get(&at(lab, path)).await.json();
    let members = shown["Members"].as_array().unwrap().iter();
    members
        .map(|member| member["@odata.id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
        .collect()
}

async fn post(lab: &Lab, path: &str, body: &Value) -> Answer {
    Ask::new("POST", &at(lab, path)).json(body).send(&lab.one).await
}

async fn delete(lab: &Lab, path: &str) -> Answer {
    Ask::new("DELETE", &at(lab, path)).send(&lab.one).await
}

fn pem(name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}

fn certificate(name: &str) -> Value {
    json!({"CertificateString": pem(name), "CertificateType": "PEM", "UefiSignatureOwner": OWNER})
}

fn hash(byte: &str) -> Value {
    json!({"SignatureString": byte.repeat(32), "SignatureType": "EFI_CERT_SHA256_GUID", "SignatureTypeRegistry": "UEFI"})
}

#[tokio::test(start_paused = true)]
async fn they_leave_the_factory_filled() {
    let lab = uefi_lab().await;
    assert_eq!(ids(&lab, "").await, DATABASES);
    for name in DATABASES {
        let shown = lab.get(&at(&lab, &format!("/{name}"))).await.json();
        assert_eq!(shown["DatabaseId"], name);
        assert_eq!(
            shown["Actions"].get("#SecureBootDatabase.ResetKeys").is_some(),
            !name.ends_with("Default")
        );
        let has_hashes = name.starts_with("db");
        assert_eq!(shown.get("Signatures").is_some(), has_hashes, "{name}");
        let certificates = ids(&lab, &format!("/{name}/Certificates")).await;
        assert_eq!(certificates.len(), usize::from(!name.starts_with("dbx")), "{name}");
        if has_hashes {
            let hashes = ids(&lab, &format!("/{name}/Signatures")).await;
            assert_eq!(hashes.len(), usize::from(name.starts_with("dbx")), "{name}");
        }
    }
    let pk = lab.get(&at(&lab, "/PK/Certificates/1")).await.json();
    assert_eq!(pk["Subject"]["CommonName"], "polybmc Simulated Platform Key");
    assert!(pk["CertificateString"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    // No database without UEFI.
    let legacy = super::lab().await;
    assert_eq!(ids(&legacy, "").await, Vec::<String>::new());
    legacy.get(&at(&legacy, "/db")).await.refused(404, &["ResourceNotFound"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_in_is_there_at_once_and_in_force_from_the_next_boot_on() {
    let lab = uefi_lab().await;
    let answer = post(&lab, "/db/Certificates", &certificate("own")).await;
    assert_eq!(answer.status, 201, "{:?}", answer.messages());
    let location = answer.header("location").to_owned();
    let shown = lab.get(&location).await.json();
    assert_eq!(shown["UefiSignatureOwner"], OWNER);
    assert_eq!(shown["CertificateUsageTypes"], json!(["BIOS"]));
    let answer = post(&lab, "/dbx/Signatures", &hash("aB")).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["SignatureString"], "AB".repeat(32));
    assert_eq!(ids(&lab, "/dbx/Signatures").await, ["1", "2"]);
    assert_eq!(ids(&lab, "/dbxDefault/Signatures").await, ["1"]);
    // The firmware has it when it boots.
    let in_firmware = |lab: &Lab| {
        let snapshot = lab.machine.snapshot();
        let databases = snapshot.info.as_ref().unwrap().secure_boot.clone().unwrap().databases.unwrap();
        (databases.now.db.len(), databases.now.dbx.len())
    };
    assert_eq!(in_firmware(&lab), (1, 1));
    lab.reset("On").await;
    lab.until_power(PowerState::On).await;
    assert_eq!(in_firmware(&lab), (2, 2));
    assert!(lab.machine.snapshot().settings.bios.pending_databases().is_none());
    assert_eq!(lab.get(&location).await.status, 200);
    // The platform key goes: setup mode from the next boot on, and the same through the other door.
    assert_eq!(delete(&lab, "/PK/Certificates/1").await.status, 204);
    let mode =
        async || lab.get(&format!("{}/SecureBoot", lab.system())).await.json()["SecureBootMode"].clone();
    assert_eq!(mode().await, "UserMode", "still");
    lab.reset("ForceRestart").await;
    assert_eq!(mode().await, "SetupMode");
    let reset = format!("{}/SecureBoot/Actions/SecureBoot.ResetKeys", lab.system());
    let all = json!({"ResetKeysType": "ResetAllKeysToDefault"});
    assert_eq!(Ask::new("POST", &reset).json(&all).send(&lab.one).await.status, 204);
    assert_eq!(
        (ids(&lab, "/PK/Certificates").await, ids(&lab, "/db/Certificates").await.len()),
        (vec!["1".to_owned()], 1)
    );
    lab.get(&location).await.refused(404, &["ResourceNotFound"]);
    // A second restart at once would join the first.
    lab.reset("ForceOff").await;
    lab.reset("On").await;
    assert_eq!((mode().await, in_firmware(&lab)), (json!("UserMode"), (1, 1)));
}

#[tokio::test(start_paused = true)]
async fn one_database_is_reset_alone() {
    let lab = uefi_lab().await;
    let reset = async |name: &str, kind: Value| {
        post(&lab, &format!("/{name}/Actions/SecureBootDatabase.ResetKeys"), &kind).await
    };
    assert_eq!(reset("dbx", json!({"ResetKeysType": "DeleteAllKeys"})).await.status, 204);
    assert_eq!((ids(&lab, "/dbx/Signatures").await.len(), ids(&lab, "/db/Certificates").await.len()), (0, 1));
    assert_eq!(reset("dbx", json!({"ResetKeysType": "ResetAllKeysToDefault"})).await.status, 204);
    assert_eq!(ids(&lab, "/dbx/Signatures").await, ["1"]);
    assert!(
        lab.machine.snapshot().settings.bios.pending_databases().is_none(),
        "as it is: nothing is left to be done"
    );
    for (body, key) in [
        (json!({}), "ActionParameterMissing"),
        (json!({"ResetKeysType": "DeletePK"}), "ActionParameterValueNotInList"),
        (json!({"ResetKeysType": 1}), "ActionParameterValueTypeError"),
        (json!({"ResetKeysType": "DeleteAllKeys", "Now": true}), "ActionParameterUnknown"),
    ] {
        reset("db", body).await.refused(400, &[key]);
    }
    reset("dbDefault", json!({"ResetKeysType": "DeleteAllKeys"}))
        .await
        .refused(405, &["OperationNotAllowed"]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_refused() {
    let lab = uefi_lab().await;
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    let good = certificate("a");
    let two = format!("{}{}", pem("a"), pem("b"));
    for (body, key) in [
        (json!({"CertificateType": "PEM"}), "CreateFailedMissingReqProperties"),
        (with(good.clone(), "CertificateType", json!("PKCS7")), "PropertyValueNotInList"),
        (with(good.clone(), "CertificateString", json!("no certificate")), "PropertyValueFormatError"),
        (with(good.clone(), "CertificateString", json!(two)), "PropertyValueFormatError"),
        (with(good.clone(), "CertificateString", json!("x".repeat(20_000))), "StringValueTooLong"),
        (with(good.clone(), "CertificateString", json!(1)), "PropertyValueTypeError"),
        (with(good.clone(), "UefiSignatureOwner", json!("me")), "PropertyValueFormatError"),
        (with(good.clone(), "Colour", json!(1)), "PropertyUnknown"),
    ] {
        post(&lab, "/db/Certificates", &body).await.refused(400, &[key]);
    }
    for (body, key) in [
        (with(hash("00"), "SignatureString", json!("00")), "PropertyValueFormatError"),
        (with(hash("00"), "SignatureString", json!("zz".repeat(32))), "PropertyValueFormatError"),
        (with(hash("00"), "SignatureType", json!("EFI_CERT_RSA2048_GUID")), "PropertyValueNotInList"),
        (with(hash("00"), "SignatureTypeRegistry", json!("OEM")), "PropertyValueNotInList"),
    ] {
        post(&lab, "/dbx/Signatures", &body).await.refused(400, &[key]);
    }
    // There is one owner.
    post(&lab, "/PK/Certificates", &good).await.refused(507, &["CreateLimitReachedForResource"]);
    post(&lab, "/PK/Signatures", &hash("00")).await.refused(404, &["ResourceNotFound"]);
    for path in ["/dbDefault/Certificates", "/dbxDefault/Signatures"] {
        let answer = post(&lab, path, &good).await;
        answer.refused(405, &["OperationNotAllowed"]);
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
    delete(&lab, "/dbDefault/Certificates/1").await.refused(405, &["OperationNotAllowed"]);
    delete(&lab, "/db/Certificates/7").await.refused(404, &["ResourceNotFound"]);
    delete(&lab, "/db/Signatures/1").await.refused(404, &["ResourceNotFound"]);
    let stale = Ask::new("DELETE", &at(&lab, "/db/Certificates/1")).header("if-match", "\"old\"");
    stale.send(&lab.one).await.refused(412, &["PreconditionFailed"]);
    assert_eq!(ids(&lab, "/db/Certificates").await, ["1"]);
    // As many as the variable of a firmware holds.
    let mut most = 0;
    loop {
        let body = with(hash("00"), "SignatureString", json!(format!("{most:064x}")));
        let answer = post(&lab, "/dbx/Signatures", &body).await;
        if answer.status != 201 {
            answer.refused(507, &["CreateLimitReachedForResource"]);
            break;
        }
        most += 1;
    }
    assert!((600..800).contains(&most), "{most}");
}
