//! Virtual media: both trees, both ways to insert, and everything that can be wrong with a request.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bmc_core::media::{FetchedImage, MediaError, MediaErrorKind, MediaLibrary, MediaSlot, MediaSource};
use tokio::sync::Notify;

use super::*;

const IMAGE: &str = "http://images/live.iso";

/// A library that has what the test puts there, when the test wants it.
#[derive(Default)]
struct Library {
    asked: Mutex<Vec<MediaSource>>,
    fails: Mutex<HashMap<String, MediaErrorKind>>,
    held: Mutex<Vec<String>>,
    slow: Notify,
}

#[async_trait]
impl MediaLibrary for Library {
    async fn fetch(&self, source: &MediaSource) -> Result<FetchedImage, MediaError> {
        self.asked.lock().unwrap().push(source.clone());
        if source.uri.contains("slow") {
            self.slow.notified().await;
        }
        if let Some(kind) = self.fails.lock().unwrap().get(&source.uri) {
            return Err(MediaError::new(*kind, &source.uri, "it is as the test says"));
        }
        let lease = format!("lease of {}", source.uri);
        self.held.lock().unwrap().push(lease.clone());
        Ok(FetchedImage { file: "/spool/x".into(), lease, size: 7, sha256: "00".to_owned() })
    }

    fn release(&self, lease: &str) {
        self.held.lock().unwrap().retain(|held| held != lease);
    }
}

struct Media {
    lab: Lab,
    library: Arc<Library>,
}

async fn media() -> Media {
    let lab = lab().await;
    let library = Arc::new(Library::default());
    lab.fleet.set_media_library(Arc::clone(&library) as _);
    Media { lab, library }
}

impl Media {
    fn uri(&self, drive: &str) -> String {
        format!("{}/VirtualMedia/{drive}", self.lab.system())
    }

    fn managers(&self, drive: &str) -> String {
        self.uri(drive).replace("/Systems/", "/Managers/")
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        Ask::new("POST", path).json(&body).send(&self.lab.one).await
    }

    async fn insert(&self, drive: &str, body: Value) -> Answer {
        self.post(&format!("{}/Actions/VirtualMedia.InsertMedia", self.uri(drive)), body).await
    }

    async fn eject(&self, drive: &str) -> Answer {
        self.post(&format!("{}/Actions/VirtualMedia.EjectMedia", self.uri(drive)), json!({})).await
    }

    async fn patch(&self, drive: &str, body: Value) -> Answer {
        Ask::new("PATCH", &self.uri(drive)).json(&body).send(&self.lab.one).await
    }

    async fn show(&self, drive: &str) -> Value {
        self.lab.get(&self.uri(drive)).await.json()
    }

    fn held(&self) -> usize {
        self.library.held.lock().unwrap().len()
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_is_inserted_shown_in_both_trees_and_ejected() {
    let media = media().await;
    let empty = media.show("Cd").await;
    assert_eq!(
        (&empty["Inserted"], &empty["ConnectedVia"], &empty["Image"]),
        (&json!(false), &json!("NotConnected"), &Value::Null)
    );
    assert_eq!(empty["MediaTypes"], json!(["CD", "DVD"]));
    assert_eq!(media.show("Usb").await["MediaTypes"], json!(["USBStick", "Floppy"]));

    assert_eq!(media.insert("Cd", json!({"Image": IMAGE})).await.status, 204);
    let mut shown = media.show("Cd").await;
    for (name, value) in [
        ("Image", json!(IMAGE)),
        ("ImageName", json!("live.iso")),
        ("Inserted", json!(true)),
        ("ConnectedVia", json!("URI")),
        ("WriteProtected", json!(true)),
        ("TransferProtocolType", json!("HTTP")),
        ("TransferMethod", json!("Upload")),
        ("UserName", Value::Null),
        ("Password", Value::Null),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    let manager = media.lab.get(&media.managers("Cd")).await.json();
    shown["@odata.id"] = manager["@odata.id"].clone();
    for name in ["Image", "Inserted", "Id", "MediaTypes", "VerifyCertificate"] {
        assert_eq!(shown[name], manager[name]);
    }
    // Again is fine, and nothing is fetched; so is ejecting twice, with an object or nothing at all.
    assert_eq!(media.insert("Cd", json!({"Image": IMAGE})).await.status, 204);
    assert_eq!(media.library.asked.lock().unwrap().len(), 1);
    assert_eq!(media.eject("Cd").await.status, 204);
    let nothing = format!("{}/Actions/VirtualMedia.EjectMedia", media.managers("Cd"));
    assert_eq!(Ask::new("POST", &nothing).send(&media.lab.one).await.status, 204);
    assert_eq!(media.show("Cd").await["Inserted"], false);
    assert_eq!((media.held(), media.lab.machine.snapshot().power), (0, PowerState::Off));
}

#[tokio::test(start_paused = true)]
async fn another_image_takes_the_place_of_the_one_that_is_in() {
    let media = media().await;
    media.insert("Cd", json!({"Image": IMAGE})).await;
    assert_eq!(media.insert("Cd", json!({"Image": "http://images/other.iso"})).await.status, 204);
    assert_eq!((media.show("Cd").await["ImageName"].clone(), media.held()), (json!("other.iso"), 1));
    let stick =
        json!({"Image": "https://u:p@images/stick.img", "WriteProtected": false, "TransferMethod": "Stream"});
    assert_eq!(media.insert("Usb", stick).await.status, 204);
    let shown = media.show("Usb").await;
    assert_eq!((&shown["Image"], &shown["UserName"]), (&json!("https://images/stick.img"), &json!("u")));
    assert_eq!((&shown["WriteProtected"], &shown["TransferMethod"]), (&json!(false), &json!("Stream")));
    let asked = media.library.asked.lock().unwrap().last().unwrap().clone();
    assert_eq!((asked.password.unwrap().expose(), asked.private), ("p", true));
}

#[tokio::test(start_paused = true)]
async fn the_machine_boots_what_is_inserted() {
    let media = media().await;
    media.insert("Cd", json!({"Image": IMAGE})).await;
    media.lab.patch(json!({"Boot": {"BootSourceOverrideTarget": "Cd"}})).await;
    media.lab.reset("On").await;
    media.lab.until_power(PowerState::On).await;
    assert_eq!(media.lab.control().booted_from().as_deref(), Some("cdrom live.iso"));
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_is_a_task_and_a_start_waits_for_it() {
    let media = media().await;
    let answer = media
        .insert("Cd", json!({"Image": "http://images/slow.iso", "UserName": "u", "Password": "geheim"}))
        .await;
    assert_eq!(answer.status, 202);
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("geheim"));
    assert_eq!(media.show("Cd").await["Status"]["State"], "Updating");
    media.insert("Cd", json!({"Image": IMAGE})).await.refused(503, &["ServiceTemporarilyUnavailable"]);
    assert_eq!(media.lab.reset("On").await.status, 204);
    assert_eq!(media.lab.machine.snapshot().power, PowerState::PoweringOn);
    media.library.slow.notify_one();
    media.lab.until_power(PowerState::On).await;
    assert_eq!(media.show("Cd").await["Inserted"], true);
    assert_eq!(media.lab.get(answer.header("location")).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn an_eject_ends_an_insert() {
    let media = media().await;
    let task = media.insert("Cd", json!({"Image": "http://images/slow.iso"})).await;
    assert_eq!(media.eject("Cd").await.status, 204);
    media.lab.get(task.header("location")).await.refused(409, &["ResourceInUse"]);
    assert_eq!((media.show("Cd").await["Inserted"].clone(), media.held()), (json!(false), 0));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_fetched_is_told_and_changes_nothing() {
    let media = media().await;
    media.insert("Cd", json!({"Image": IMAGE})).await;
    for kind in MediaErrorKind::ALL {
        let uri = format!("http://images/{kind:?}.iso");
        media.library.fails.lock().unwrap().insert(uri.clone(), kind);
        let answer = media.insert("Cd", json!({"Image": uri})).await;
        assert!(answer.status.as_u16() >= 400, "{kind:?}");
        let resolution = answer.json()["error"]["@Message.ExtendedInfo"][0]["Resolution"].clone();
        assert_eq!(resolution, "It is as the test says.");
        assert_eq!((media.show("Cd").await["Image"].clone(), media.held()), (json!(IMAGE), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn bad_parameters_have_their_messages() {
    let media = media().await;
    let long = "x".repeat(5000);
    let rows = [
        (json!({}), vec!["ActionParameterMissing"], vec![]),
        (json!({"Image": null}), vec!["ActionParameterValueTypeError"], vec!["#/Image"]),
        (json!({"Image": 7}), vec!["ActionParameterValueTypeError"], vec!["#/Image"]),
        (json!({"Image": ""}), vec!["ActionParameterValueFormatError"], vec!["#/Image"]),
        (json!({"Image": "live.iso"}), vec!["ActionParameterValueFormatError"], vec!["#/Image"]),
        (json!({"Image": format!("http://h/{long}")}), vec!["StringValueTooLong"], vec!["#/Image"]),
        (json!({"Image": "nfs://h/x"}), vec!["SourceDoesNotSupportProtocol"], vec!["#/Image"]),
        (
            json!({"Image": IMAGE, "Inserted": "yes"}),
            vec!["ActionParameterValueTypeError"],
            vec!["#/Inserted"],
        ),
        (
            json!({"Image": IMAGE, "Inserted": false}),
            vec!["ActionParameterValueConflict"],
            vec!["#/Inserted"],
        ),
        (
            json!({"Image": IMAGE, "WriteProtected": 1}),
            vec!["ActionParameterValueTypeError"],
            vec!["#/WriteProtected"],
        ),
        (
            json!({"Image": IMAGE, "WriteProtected": false}),
            vec!["ActionParameterValueConflict"],
            vec!["#/WriteProtected"],
        ),
        (json!({"Image": IMAGE, "UserName": 1}), vec!["ActionParameterValueTypeError"], vec!["#/UserName"]),
        (json!({"Image": IMAGE, "UserName": long}), vec!["StringValueTooLong"], vec!["#/UserName"]),
        (
            json!({"Image": IMAGE, "UserName": "u", "Password": long}),
            vec!["StringValueTooLong"],
            vec!["#/Password"],
        ),
        (json!({"Image": IMAGE, "Password": []}), vec!["ActionParameterValueTypeError"], vec!["#/Password"]),
        (json!({"Image": IMAGE, "Password": "p"}), vec!["ActionParameterValueConflict"], vec!["#/Password"]),
        (
            json!({"Image": IMAGE, "TransferMethod": "Beam"}),
            vec!["ActionParameterValueNotInList"],
            vec!["#/TransferMethod"],
        ),
        (
            json!({"Image": IMAGE, "TransferProtocolType": "NFS"}),
            vec!["ActionParameterValueNotInList"],
            vec!["#/TransferProtocolType"],
        ),
        (
            json!({"Image": IMAGE, "TransferProtocolType": "HTTPS"}),
            vec!["ActionParameterValueConflict"],
            vec!["#/TransferProtocolType"],
        ),
        (json!({"Image": IMAGE, "Speed": 1}), vec!["ActionParameterUnknown"], vec!["#/Speed"]),
        (
            json!({"Image": 1, "Inserted": 1}),
            vec!["ActionParameterValueTypeError"; 2],
            vec!["#/Image", "#/Inserted"],
        ),
    ];
    for (body, messages, related) in rows {
        let answer = media.insert("Cd", body.clone()).await;
        answer.refused(400, &messages);
        let json = answer.json();
        let info = json["error"]["@Message.ExtendedInfo"].as_array().unwrap();
        let told: Vec<&str> =
            info.iter().filter_map(|message| message["RelatedProperties"][0].as_str()).collect();
        assert_eq!(told, related, "{body}");
        assert!(!json.to_string().contains("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") || told == ["#/Image"]);
    }
    media
        .post(&format!("{}/Actions/VirtualMedia.EjectMedia", media.uri("Cd")), json!({"Force": true}))
        .await
        .refused(400, &["ActionParameterUnknown"]);
    assert!(media.library.asked.lock().unwrap().is_empty());
    // Null is as good as none, and a protocol completes what has none.
    let body = json!({"Image": "images/live.iso", "TransferProtocolType": "HTTP", "UserName": null, "Inserted": true});
    assert_eq!(media.insert("Cd", body).await.status, 204);
    assert_eq!(media.show("Cd").await["Image"], IMAGE);
    media.lab.get(&media.uri("Floppy")).await.refused(404, &["ResourceNotFound"]);
    media.insert("cd", json!({"Image": IMAGE})).await.refused(404, &["ResourceNotFound"]);
}

#[tokio::test(start_paused = true)]
async fn a_patch_inserts_and_ejects_too() {
    let media = media().await;
    assert_eq!(media.patch("Cd", json!({"Image": IMAGE, "Inserted": true})).await.status, 204);
    assert_eq!(media.show("Cd").await["Image"], IMAGE);
    assert_eq!(media.patch("Cd", json!({"Inserted": true})).await.status, 204);
    assert_eq!(media.patch("Cd", json!({"Image": null})).await.status, 204);
    assert_eq!(media.patch("Cd", json!({"Inserted": false})).await.status, 204);
    assert_eq!(media.show("Cd").await["Inserted"], false);
    assert_eq!(media.patch("Cd", json!({"VerifyCertificate": false})).await.status, 204);
    assert_eq!(media.show("Cd").await["VerifyCertificate"], false);
    assert_eq!(media.show("Usb").await["VerifyCertificate"], true);
    media.insert("Cd", json!({"Image": "https://images/x.iso"})).await;
    assert!(!media.library.asked.lock().unwrap().last().unwrap().verify_certificate);

    let held = media.held();
    for (body, messages) in [
        (json!({"Image": 1}), vec!["PropertyValueTypeError"]),
        (json!({"Image": "x y"}), vec!["PropertyValueFormatError"]),
        (json!({"Image": "ftp://h/x"}), vec!["SourceDoesNotSupportProtocol"]),
        (json!({"Image": format!("http://{}", "x".repeat(5000))}), vec!["StringValueTooLong"]),
        (json!({"Image": IMAGE, "Inserted": false}), vec!["PropertyValueConflict"]),
        (json!({"Image": null, "Inserted": true}), vec!["PropertyValueConflict"]),
        (json!({"Inserted": null}), vec!["PropertyValueTypeError"]),
        (json!({"WriteProtected": true}), vec!["PropertyValueConflict"]),
        (json!({"Image": IMAGE, "WriteProtected": false}), vec!["PropertyValueConflict"]),
        (json!({"UserName": "u"}), vec!["PropertyValueConflict"]),
        (json!({"UserName": 7}), vec!["PropertyValueTypeError"]),
        (json!({"TransferMethod": "Beam"}), vec!["PropertyValueNotInList"]),
        (json!({"TransferProtocolType": "NFS"}), vec!["PropertyValueNotInList"]),
        (json!({"VerifyCertificate": null}), vec!["PropertyValueTypeError"]),
        (json!({"VerifyCertificate": "no", "Image": IMAGE}), vec!["PropertyValueTypeError"]),
        (json!({"ImageName": "x"}), vec!["PropertyNotWritable"]),
        (json!({"MediaTypes": ["CD"]}), vec!["PropertyNotWritable"]),
        (json!({"Color": "x"}), vec!["PropertyUnknown"]),
        (json!({}), vec!["EmptyJSON"]),
    ] {
        let answer = media.patch("Cd", body.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.messages()),
            (400, messages.iter().map(ToString::to_string).collect()),
            "{body}"
        );
    }
    assert_eq!(
        (media.show("Cd").await["Image"].clone(), media.held()),
        (json!("https://images/x.iso"), held)
    );
    let stale = Ask::new("PATCH", &media.uri("Cd")).header("if-match", "\"0000000000000000\"");
    stale.json(&json!({"Image": null})).send(&media.lab.one).await.refused(412, &["PreconditionFailed"]);
}

#[tokio::test(start_paused = true)]
async fn no_answer_and_no_task_shows_a_password() {
    let media = media().await;
    for body in [
        json!({"Image": IMAGE, "UserName": "u", "Password": ["geheim"]}),
        json!({"Image": "u:geheim@images/x.iso"}),
        json!({"Image": "ftp://u:geheim@images/x.iso"}),
    ] {
        for answer in [media.insert("Cd", body.clone()).await, media.patch("Cd", body.clone()).await] {
            assert_eq!(answer.status, 400, "{body}");
            assert!(!answer.json().to_string().contains("geheim"), "{body}");
        }
    }
    let body = json!({"Image": "u:geheim@images/slow.iso", "TransferProtocolType": "HTTP"});
    let answer = media.insert("Cd", body).await;
    assert_eq!(answer.status, 202);
    let task = answer.json().to_string();
    assert!(task.contains("images/slow.iso") && !task.contains("geheim"), "{task}");
}

#[tokio::test(start_paused = true)]
async fn inserts_that_hang_stop_neither_their_eject_nor_other_machines() {
    let lab = Lab::new(2, RedfishConfig::default()).await;
    lab.fleet.set_media_library(Arc::new(Library::default()));
    let act = |machine: &'static str, action: &'static str, body: Value| {
        let (uuid, router) = (lab.fleet.find(machine).unwrap().snapshot().uuid, lab.all.clone());
        let path = format!("/redfish/v1/Systems/{uuid}/VirtualMedia/Cd/Actions/VirtualMedia.{action}");
        async move { Ask::new("POST", &path).json(&body).send(&router).await }
    };
    let slow = json!({"Image": "http://images/slow.iso"});
    // Those that ask for the same wait for one task, however many they are.
    let first = act("m0", "InsertMedia", slow.clone()).await;
    assert_eq!(first.status, 202);
    for _ in 0..=crate::tasks::RUNNING_MAX {
        let joined = act("m0", "InsertMedia", slow.clone()).await;
        assert_eq!(
            (joined.status, joined.json()["@odata.id"].clone()),
            (first.status, first.json()["@odata.id"].clone())
        );
    }
    let tasks = Ask::get("/redfish/v1/TaskService/Tasks").send(&lab.all).await.json();
    assert_eq!(tasks["Members@odata.count"], 1);
    let other = json!({"Image": "http://images/slow.iso", "UserName": "eva"});
    act("m0", "InsertMedia", other).await.refused(503, &["ServiceTemporarilyUnavailable"]);
    assert_eq!(act("m1", "InsertMedia", json!({"Image": IMAGE})).await.status, 204);
    assert_eq!(act("m0", "EjectMedia", json!({})).await.status, 204);
    assert_eq!(act("m0", "InsertMedia", json!({"Image": IMAGE})).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn who_joins_an_insert_has_its_answer_and_sees_how_far_it_is() {
    let media = media().await;
    let body = json!({"Image": "http://images/slow.iso"});
    let (one, other, ()) =
        tokio::join!(media.insert("Cd", body.clone()), media.insert("Cd", body.clone()), async {
            while media.library.asked.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            media.library.slow.notify_one();
        });
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (204, 204));
    assert_eq!(media.lab.get("/redfish/v1/TaskService/Tasks").await.json()["Members@odata.count"], 0);
    assert_eq!(media.library.asked.lock().unwrap().len(), 1);

    media.eject("Cd").await;
    let task = media.insert("Cd", body).await.json()["@odata.id"].as_str().unwrap().to_owned();
    let transfer = media.library.asked.lock().unwrap().last().unwrap().transfer.clone();
    for (received, percent) in [(0, 0), (30, 30), (100, 99)] {
        transfer.note(received, Some(100));
        assert_eq!(media.lab.get(&task).await.json()["PercentComplete"], percent);
    }
    media.library.slow.notify_one();
    until(&media.lab.machine, |snapshot| snapshot.settings.media.drive(MediaSlot::Cd).medium.is_some()).await;
    let ended = loop {
        let task = media.lab.get(&task).await;
        if task.status == 200 {
            break task.json();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&ended["TaskState"], &ended["PercentComplete"]), (&json!("Completed"), &json!(100)));
}

#[tokio::test(start_paused = true)]
async fn certificates_are_kept_for_a_drive() {
    let media = media().await;
    let pem = rcgen::generate_simple_self_signed(["images".to_owned()]).unwrap().cert.pem();
    let certificates = format!("{}/Certificates", media.uri("Cd"));
    let good = json!({"CertificateString": pem, "CertificateType": "PEM"});
    let created = media.post(&certificates, good.clone()).await;
    assert_eq!(created.status, 201);
    let uri = created.header("location").to_owned();
    assert_eq!(media.lab.get(&uri).await.json()["CertificateString"], pem);
    let below_manager = media.lab.get(&certificates.replace("Systems", "Managers")).await.json();
    assert_eq!(below_manager["Members@odata.count"], 1);
    media.insert("Cd", json!({"Image": "https://images/x.iso"})).await;
    assert_eq!(media.library.asked.lock().unwrap()[0].certificates, std::slice::from_ref(&pem));

    for (body, messages) in [
        (json!({}), vec!["CreateFailedMissingReqProperties"; 2]),
        (json!({"CertificateString": pem}), vec!["CreateFailedMissingReqProperties"]),
        (json!({"CertificateString": 1, "CertificateType": "PEM"}), vec!["PropertyValueTypeError"]),
        (json!({"CertificateString": "x", "CertificateType": "PEM"}), vec!["PropertyValueFormatError"]),
        (
            json!({"CertificateString": format!("{pem}{pem}"), "CertificateType": "PEM"}),
            vec!["PropertyValueFormatError"],
        ),
        (
            json!({"CertificateString": "x".repeat(20_000), "CertificateType": "PEM"}),
            vec!["StringValueTooLong"],
        ),
        (json!({"CertificateString": pem, "CertificateType": "PKCS7"}), vec!["PropertyValueNotInList"]),
        (json!({"CertificateString": pem, "CertificateType": "PEM", "Id": "1"}), vec!["PropertyUnknown"]),
    ] {
        media.post(&certificates, body).await.refused(400, &messages);
    }
    for _ in 1..bmc_core::settings::media::MEDIA_CERTIFICATES_MAX {
        assert_eq!(media.post(&certificates, good.clone()).await.status, 201);
    }
    media.post(&certificates, good).await.refused(507, &["CreateLimitReachedForResource"]);
    assert_eq!(Ask::new("DELETE", &uri).send(&media.lab.one).await.status, 204);
    media.lab.get(&uri).await.refused(404, &["ResourceNotFound"]);
    Ask::new("DELETE", &uri).send(&media.lab.one).await.refused(404, &["ResourceNotFound"]);
    let drive = media.lab.machine.snapshot();
    assert_eq!(drive.settings.media.drive(MediaSlot::Usb).certificates.len(), 0);
}
