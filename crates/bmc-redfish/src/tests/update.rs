//! New firmware: fetched, sent, refused, and shown.

use std::time::Duration;

use bmc_media::{Limits, Spool};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const SERVICE: &str = "/redfish/v1/UpdateService";
const SIMPLE: &str = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate";

/// A server that answers each request with these bytes, and then closes or hangs.
async fn server(answer: Vec<u8>, hang: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
            // `admin:pass word`.
            let refused = request.starts_with("get /private") && !request.contains("ywrtaw46cgfzcyb3b3jk");
            let answer =
                if refused { b"HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n".as_slice() } else { &answer };
            let _ = stream.write_all(answer).await;
            if hang {
                held.push(stream);
            }
        }
    });
    url
}

fn image(content: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len()).into_bytes();
    answer.extend_from_slice(content);
    answer
}

/// A lab whose machines have a library of images, the folder of which is `images` too.
async fn updated(machines: usize) -> (Lab, TempDir) {
    let config = RedfishConfig { update_max_bytes: 10_000, ..RedfishConfig::default() };
    let lab = Lab::new(machines, config).await;
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    std::fs::create_dir(&images).unwrap();
    let limits = Limits { stall: Duration::from_millis(300), folders: vec![images], ..Limits::default() };
    let spool = Spool::open(&folder.path().join("media"), limits, &[]).unwrap();
    lab.fleet.set_media_library(Arc::new(spool));
    (lab, folder)
}

/// What is left in the library.
fn left(folder: &TempDir) -> usize {
    std::fs::read_dir(folder.path().join("media/spool")).unwrap().count()
}

/// A UEFI firmware volume, as far as it is looked at.
fn volume() -> Vec<u8> {
    let mut volume = vec![0; 64];
    volume[40..44].copy_from_slice(b"_FVH");
    volume
}

/// Waits for the end of the task that an answer names.
async fn ended(router: &Router, answer: &Answer) -> Value {
    assert_eq!(answer.status, 202, "{:?}", String::from_utf8_lossy(&answer.bytes));
    let task = answer.json()["@odata.id"].as_str().unwrap().to_owned();
    loop {
        let answer = Ask::get(&task).send(router).await;
        if answer.status == 200 {
            return answer.json();
        }
        tokio::task::yield_now().await;
    }
}

fn keys(task: &Value) -> Vec<&str> {
    let messages = task["Messages"].as_array().unwrap();
    messages.iter().map(|one| one["MessageId"].as_str().unwrap().rsplit('.').next().unwrap()).collect()
}

async fn versions(lab: &Lab) -> (String, String) {
    let version = |answer: Answer, name: &str| answer.json()[name].as_str().unwrap().to_owned();
    let bios = version(lab.get(&lab.system()).await, "BiosVersion");
    let manager = lab.system().replace("Systems", "Managers");
    let bmc = version(lab.get(&manager).await, "FirmwareVersion");
    assert_eq!(version(lab.get(&format!("{SERVICE}/FirmwareInventory/BIOS")).await, "Version"), bios);
    assert_eq!(version(lab.get(&format!("{SERVICE}/FirmwareInventory/BMC")).await, "Version"), bmc);
    (bios, bmc)
}

#[tokio::test]
async fn an_update_changes_the_version_that_is_shown() {
    let (lab, folder) = updated(1).await;
    let url = server(image(b"content"), false).await;
    let (bios, bmc) = versions(&lab).await;
    let update = |body: Value| Ask::new("POST", SIMPLE).json(&body);

    // As sushy asks: with the protocol, and without a target.
    let body = json!({"ImageURI": format!("{url}/bios-2.4.1.bin"), "TransferProtocol": "HTTP"});
    let task = ended(&lab.one, &update(body).send(&lab.one).await).await;
    assert_eq!((&task["TaskState"], &task["TaskStatus"]), (&json!("Completed"), &json!("OK")));
    assert_eq!(keys(&task).last(), Some(&"UpdateSuccessful"));
    assert_eq!(versions(&lab).await, ("2.4.1".to_owned(), bmc));
    assert_ne!(bios, "2.4.1");

    // A Manager is a target, and so is an entry of the inventory; a password in a URL is shown nowhere.
    let body = json!({"ImageURI": format!("{url}/3.5.7.bin"), "Username": "admin", "Password": "pass word",
        "Targets": [lab.system().replace("Systems", "Managers")], "@Redfish.OperationApplyTime": "Immediate"});
    let task = ended(&lab.one, &update(body).send(&lab.one).await).await;
    assert_eq!(task["TaskState"], "Completed");
    assert!(!task.to_string().contains("pass word") && !task.to_string().contains("admin"), "{task}");
    assert_eq!(versions(&lab).await, ("2.4.1".to_owned(), "3.5.7".to_owned()));

    // Without a target the image says what it is for, and the messages name that.
    let body = json!({"ImageURI": format!("{}/bmc-4.0.bin", url.strip_prefix("http://").unwrap()),
        "Targets": [], "ForceUpdate": true});
    let task = ended(&lab.one, &update(body).send(&lab.one).await).await;
    let manager = lab.system().replace("Systems", "Managers");
    let last = task["Messages"].as_array().unwrap().last().unwrap();
    assert_eq!(last["MessageArgs"], json!([manager, "bmc-4.0.bin"]));
    assert!(!task.to_string().contains(&lab.system()), "{task}");
    // And one that tells no version has another one all the same.
    let volume = server(image(&volume()), false).await;
    let body = json!({"ImageURI": format!("{volume}/firmware.bin"), "Targets": [lab.system()]});
    assert_eq!(ended(&lab.one, &update(body).send(&lab.one).await).await["TaskState"], "Completed");
    assert_eq!(versions(&lab).await, ("2.4.1+4c1357b1".to_owned(), "4.0".to_owned()));

    // A file of this host, where the configuration allows its folder.
    let file = folder.path().join("images/bios-2.5.bin");
    std::fs::write(&file, "content").unwrap();
    let body = json!({"ImageURI": format!("file://{}", file.display())});
    assert_eq!(ended(&lab.one, &update(body).send(&lab.one).await).await["TaskState"], "Completed");
    assert_eq!(versions(&lab).await.0, "2.5");
    std::fs::write(folder.path().join("bios-2.6.bin"), "content").unwrap();
    let body = json!({"ImageURI": format!("file://{}/bios-2.6.bin", folder.path().display())});
    let task = ended(&lab.one, &update(body).send(&lab.one).await).await;
    assert_eq!(keys(&task).last(), Some(&"TransferFailed"));
    assert_eq!(versions(&lab).await.0, "2.5");
    assert_eq!(left(&folder), 0);
}

#[tokio::test]
async fn an_image_that_does_not_belong_there_is_refused() {
    let (lab, folder) = updated(1).await;
    let before = versions(&lab).await;
    let url = server(image(b"content"), false).await;
    let bios = format!("{SERVICE}/FirmwareInventory/BIOS");
    let manager = lab.system().replace("Systems", "Managers");
    for (name, targets, key) in [
        ("bmc-9.9.bin", json!([lab.system()]), "UpdateNotApplicable"),
        ("bmc-9.9.bin", json!([bios]), "UpdateNotApplicable"),
        ("bios-9.9.bin", json!([manager]), "UpdateNotApplicable"),
        ("bios-9.9.bin", json!([bios, manager]), "UpdateNotApplicable"),
        ("firmware.bin", json!([bios]), "VerificationFailed"),
        ("9.9.bin", json!([]), "VerificationFailed"),
    ] {
        let body = json!({"ImageURI": format!("{url}/{name}"), "Targets": targets});
        let task = ended(&lab.one, &Ask::new("POST", SIMPLE).json(&body).send(&lab.one).await).await;
        assert_eq!((&task["TaskState"], keys(&task).last()), (&json!("Exception"), Some(&key)), "{body}");
        assert_eq!(versions(&lab).await, before);
    }
    // What a client sends is refused at once.
    let raw = format!("{SERVICE}/upload");
    for content in [&b"holiday photograph"[..], br#"{"Version": "1.0"}"#] {
        let answer = Ask::new("POST", &raw).bytes("application/octet-stream", content).send(&lab.one).await;
        answer.refused(400, &["VerificationFailed"]);
    }
    let answer = Ask::new("POST", &raw).bytes("application/octet-stream", &volume()).send(&lab.one).await;
    assert_eq!(ended(&lab.one, &answer).await["TaskState"], "Completed");
    assert_ne!(versions(&lab).await.0, before.0);
    assert_eq!(left(&folder), 0);
}

#[tokio::test]
async fn what_does_not_come_changes_nothing_and_says_why() {
    let (lab, folder) = updated(1).await;
    let before = versions(&lab).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let head = |text: &str| format!("HTTP/1.1 {text}\r\n\r\n").into_bytes();
    let large = server(head("200 OK\r\nContent-Length: 10001"), true).await;
    let endless = server([head("200 OK"), vec![b'x'; 20_000]].concat(), true).await;
    let stalls = server([head("200 OK\r\nContent-Length: 100"), b"some".to_vec()].concat(), true).await;
    let silent = server(Vec::new(), true).await;
    let breaks = server([head("200 OK\r\nContent-Length: 100"), b"some".to_vec()].concat(), false).await;
    let missing = server(head("404 Not Found\r\nContent-Length: 0"), false).await;
    let empty = server(image(b""), false).await;
    let wrong = server(image(br#"{"Component": "Fan", "Version": "1"}"#), false).await;
    let good = server(image(b"content"), false).await;
    for (url, why) in [
        (format!("{nobody}/a-1.0.bin"), "connect"),
        (format!("{large}/a-1.0.bin"), "larger than 10000 bytes"),
        (format!("{endless}/a-1.0.bin"), "larger than 10000 bytes"),
        (format!("{stalls}/a-1.0.bin"), "sent nothing"),
        (format!("{silent}/a-1.0.bin"), "sent nothing"),
        (format!("{breaks}/a-1.0.bin"), "broke off"),
        (format!("{missing}/a-1.0.bin"), "404"),
        (format!("{empty}/a-1.0.bin"), "empty"),
        (format!("{wrong}/a-1.0.bin"), "Component"),
        (format!("{good}/private/a-1.0.bin"), "401"),
        (format!("https{}/a-1.0.bin", good.strip_prefix("http").unwrap()), "no TLS"),
    ] {
        let answer = Ask::new("POST", SIMPLE).json(&json!({"ImageURI": url})).send(&lab.one).await;
        let monitor = answer.header("location").to_owned();
        let task = ended(&lab.one, &answer).await;
        assert_eq!(
            (&task["TaskState"], &task["TaskStatus"]),
            (&json!("Exception"), &json!("Critical")),
            "{url}"
        );
        let said = task["Messages"].as_array().unwrap().last().unwrap();
        assert!(said["MessageId"].as_str().unwrap().ends_with("TransferFailed"));
        let resolution = said["Resolution"].as_str().unwrap().to_lowercase();
        assert!(resolution.contains(&why.to_lowercase()), "{url}: {resolution}");
        Ask::get(&monitor).send(&lab.one).await.refused(400, &["TransferFailed"]);
        assert_eq!(versions(&lab).await, before);
    }
    assert_eq!(left(&folder), 0);
}

#[tokio::test]
async fn a_client_sends_an_image_whole_or_in_parts() {
    let (lab, _folder) = updated(2).await;
    let push = |path: &str, kind: &str, body: &[u8]| Ask::new("POST", path).bytes(kind, body);
    let raw = format!("{SERVICE}/upload");
    let manifest = br#"{"Component": "BMC", "Version": "7.8.9"}"#;
    let answer = push(&raw, "application/octet-stream", manifest).send(&lab.one).await;
    assert_eq!(ended(&lab.one, &answer).await["TaskState"], "Completed");
    assert_eq!(versions(&lab).await.1, "7.8.9");

    let parts = |parameters: &str, name: &str, content: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"UpdateParameters\"\r\nContent-Type: application/json\r\n\r\n{parameters}\r\n\
             --x\r\nContent-Disposition: form-data; name=\"UpdateFile\"; filename=\"{name}\"\r\n\r\n{content}\r\n--x--\r\n"
        )
    };
    let multipart = format!("{SERVICE}/upload-multipart");
    let kind = "multipart/form-data; boundary=x";
    let form = parts("{}", "bios-5.6.bin", "content");
    let answer = push(&multipart, kind, form.as_bytes()).send(&lab.one).await;
    assert_eq!(ended(&lab.one, &answer).await["TaskState"], "Completed");
    assert_eq!(versions(&lab).await.0, "5.6");

    // Among several machines one has to be named.
    push(&raw, "application/octet-stream", &volume())
        .send(&lab.all)
        .await
        .refused(400, &["ActionParameterMissing"]);
    let answer = push(&multipart, kind, form.as_bytes()).send(&lab.all).await;
    answer.refused(400, &["ActionParameterMissing"]);
    let other = lab.fleet.find("m1").unwrap();
    let id = format!("{SERVICE}/FirmwareInventory/{}-BIOS", other.snapshot().uuid);
    let form = parts(&json!({"Targets": [id]}).to_string(), "firmware-6.0.bin", "content");
    let answer = push(&multipart, kind, form.as_bytes()).send(&lab.all).await;
    assert_eq!(ended(&lab.all, &answer).await["TaskState"], "Completed");
    assert_eq!(Ask::get(&id).send(&lab.all).await.json()["Version"], "6.0");
    assert_eq!(versions(&lab).await.0, "5.6");

    for (kind, body, status, key) in [
        ("application/json", "{}".to_owned(), 415, "HeaderInvalid"),
        (kind, "nonsense".to_owned(), 400, "TransferFailed"),
        (kind, "--x--\r\n".to_owned(), 400, "TransferFailed"),
        (kind, parts("[]", "a-1.0", "x"), 400, "UnrecognizedRequestBody"),
        (kind, parts("{\"Targets\": 1}", "a-1.0", "x"), 400, "ActionParameterValueTypeError"),
        (kind, parts("{\"Submarine\": 1}", "a-1.0", "x"), 400, "ActionParameterUnknown"),
        (kind, parts("{}", "a-1.0", ""), 400, "TransferFailed"),
        (kind, parts("{}", "a-1.0", &"x".repeat(10_001)), 400, "TransferFailed"),
    ] {
        push(&multipart, kind, body.as_bytes()).send(&lab.one).await.refused(status, &[key]);
    }
    let anonymous = Ask::anonymous("POST", &raw).bytes("application/octet-stream", &[0; 20_000]);
    anonymous.send(&lab.one).await.refused(401, &["NoValidSession"]);
}

#[tokio::test(start_paused = true)]
async fn every_fault_of_an_update_is_named() {
    let lab = Lab::new(1, RedfishConfig::default()).await;
    let (wrong_type, not_in_list) = ("ActionParameterValueTypeError", "ActionParameterValueNotInList");
    for (name, value, key) in [
        ("ImageURI", json!(1), wrong_type),
        ("ImageURI", json!(null), wrong_type),
        ("ImageURI", json!("ftp://127.0.0.1/x"), not_in_list),
        ("ImageURI", json!("file://elsewhere/etc/passwd"), not_in_list),
        ("ImageURI", json!(""), not_in_list),
        ("ImageURI", json!(format!("http://127.0.0.1/{}", "x".repeat(5000))), not_in_list),
        ("TransferProtocol", json!("TFTP"), not_in_list),
        ("TransferProtocol", json!(1), wrong_type),
        ("Username", json!(1), wrong_type),
        ("Password", json!(["secret"]), wrong_type),
        ("ForceUpdate", json!("yes"), wrong_type),
        ("Targets", json!("x"), wrong_type),
        ("Targets", json!([1]), wrong_type),
        ("Targets", json!(["/redfish/v1/Systems/nobody"]), not_in_list),
        ("Targets", json!(["/redfish/v1/UpdateService/FirmwareInventory/Fan"]), not_in_list),
        ("@Redfish.OperationApplyTime", json!("OnReset"), "PropertyValueNotInList"),
        ("@Redfish.OperationApplyTime", json!(1), "PropertyValueTypeError"),
        ("Submarine", json!(1), "ActionParameterUnknown"),
    ] {
        let mut body = json!({"ImageURI": "http://127.0.0.1:1/a-1.0.bin"});
        body[name] = value;
        let answer = Ask::new("POST", SIMPLE).json(&body).send(&lab.one).await;
        answer.refused(400, &[key]);
        let message = &answer.json()["error"]["@Message.ExtendedInfo"][0];
        assert_eq!(message["RelatedProperties"], json!([format!("#/{name}")]), "{body}");
        assert!(!message.to_string().contains("secret"));
    }
    Ask::new("POST", SIMPLE).json(&json!({})).send(&lab.one).await.refused(400, &["ActionParameterMissing"]);
    for id in ["Fan", "BIO", "xBIOS", "-BIOS", ""] {
        let answer = lab.get(&format!("{SERVICE}/FirmwareInventory/{id}")).await;
        assert!(answer.status == 404 || id.is_empty(), "{id}");
    }
    assert_eq!(lab.get("/redfish/v1/TaskService/Tasks").await.json()["Members@odata.count"], 0);
}
