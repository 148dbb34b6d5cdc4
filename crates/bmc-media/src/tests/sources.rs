//! Where images come from, and whom that is trusted to: certificates, URIs, files of this host; and what a restart keeps.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use rustix::fs::inotify;
use uuid::Uuid;

use super::*;

struct Tls {
    config: ServerConfig,
    pem: String,
}

fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Tls {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    Tls { config, pem: certificate.pem() }
}

#[tokio::test]
async fn a_certificate_is_good_when_it_is_trusted_and_in_time_and_for_this_host() {
    let lab = lab();
    let is_authority = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    let expired = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    };
    let other = |params: &mut CertificateParams| {
        params.subject_alt_names =
            CertificateParams::new(["elsewhere.example".to_owned()]).unwrap().subject_alt_names;
    };
    let rows: Vec<(Tls, Option<&str>)> = vec![
        (certificate(|_| {}), None),
        (certificate(is_authority), None),
        (certificate(expired), Some("expired")),
        (
            certificate(|params| {
                expired(params);
                is_authority(params)
            }),
            Some("expired"),
        ),
        (certificate(other), Some("another host")),
        (
            certificate(|params| {
                other(params);
                is_authority(params)
            }),
            Some("another host"),
        ),
    ];
    for (Tls { config, pem }, fault) in rows {
        let server = Server::serve(Some(config), Arc::new(|_: &str| Play::Send(good(b"safe")))).await;
        let trusting = MediaSource { certificates: vec![pem], ..source(&server.url) };
        match fault {
            None => {
                let error = lab.fails(&server.url, MediaErrorKind::Certificate).await;
                assert!(error.message.contains("nobody who is trusted"), "{error}");
                let got = lab.spool.fetch(&trusting).await.unwrap();
                lab.spool.release(&got.lease);
            }
            Some(words) => {
                let error = lab.fails_with(trusting, MediaErrorKind::Certificate).await;
                assert!(error.message.contains(words), "{error}");
            }
        }
        // Who does not want to know gets it all the same.
        let got =
            lab.spool.fetch(&MediaSource { verify_certificate: false, ..source(&server.url) }).await.unwrap();
        assert_eq!(std::fs::read(&got.file).unwrap(), b"safe");
        lab.spool.release(&got.lease);
    }
    // Nobody speaks TLS there.
    let server = Server::start(|_| Play::Send(good(b"x"))).await;
    lab.fails(&server.url.replace("http:", "https:"), MediaErrorKind::Unreachable).await;
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_told() {
    let lab = lab();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for (uri, kind) in [
        ("nonsense", MediaErrorKind::Uri),
        ("", MediaErrorKind::Uri),
        ("http://", MediaErrorKind::Uri),
        ("nfs://host/image.iso", MediaErrorKind::Protocol),
        ("smb://host/image.iso", MediaErrorKind::Protocol),
        ("file:///etc/passwd", MediaErrorKind::Denied),
        ("file://elsewhere/etc/passwd", MediaErrorKind::Uri),
        ("http://no-such-host.invalid/x", MediaErrorKind::Unreachable),
        (&format!("http://127.0.0.1:{closed}/x"), MediaErrorKind::Unreachable),
    ] {
        lab.fails(uri, kind).await;
    }
}

#[tokio::test]
async fn files_are_taken_from_allowed_folders_only() {
    let home = TempDir::new().unwrap();
    let allowed = home.path().join("images");
    std::fs::create_dir_all(allowed.join("sub")).unwrap();
    let put = |path: &Path| std::fs::write(path, b"image").unwrap();
    put(&allowed.join("a b.iso"));
    put(&home.path().join("secret"));
    std::os::unix::fs::symlink(home.path().join("secret"), allowed.join("link")).unwrap();
    std::os::unix::fs::symlink(allowed.join("a b.iso"), allowed.join("sub/inner")).unwrap();
    std::os::unix::fs::symlink(home.path(), allowed.join("up")).unwrap();
    let lab = lab_with(Limits { folders: vec![allowed.clone()], ..Limits::default() });
    let uri = |name: &str| format!("file://{}/{name}", allowed.display());
    for (name, kind) in [
        ("link", MediaErrorKind::Denied),
        ("up/secret", MediaErrorKind::Denied),
        ("../secret", MediaErrorKind::Denied),
        ("up/none", MediaErrorKind::Denied),
        ("%2e%2e/secret", MediaErrorKind::Denied),
        ("none", MediaErrorKind::Missing),
        ("sub", MediaErrorKind::Missing),
    ] {
        lab.fails(&uri(name), kind).await;
    }
    for name in ["a%20b.iso", "sub/inner", "sub/../a%20b.iso"] {
        let got = lab.fetch(&uri(name)).await.unwrap();
        assert_eq!(std::fs::read(&got.file).unwrap(), b"image", "{name}");
        assert_ne!(got.file, allowed.join("a b.iso"), "a copy, which does not change under the machine");
        lab.spool.release(&got.lease);
    }
    assert!(allowed.join("a b.iso").exists());
}

#[tokio::test]
async fn what_is_outside_is_not_even_opened() {
    let home = TempDir::new().unwrap();
    let (allowed, secret) = (home.path().join("images"), home.path().join("secret"));
    std::fs::create_dir(&allowed).unwrap();
    std::fs::write(&secret, b"x").unwrap();
    std::os::unix::fs::symlink(&secret, allowed.join("link")).unwrap();
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&watch, &secret, inotify::WatchFlags::OPEN).unwrap();
    let lab = lab_with(Limits { folders: vec![allowed.clone()], ..Limits::default() });
    for path in [allowed.join("link"), secret.clone()] {
        lab.fails(&format!("file://{}", path.display()), MediaErrorKind::Denied).await;
    }
    assert_eq!(rustix::io::read(&watch, &mut [0; 1024]), Err(rustix::io::Errno::AGAIN));
    std::fs::File::open(&secret).unwrap();
    assert!(rustix::io::read(&watch, &mut [0; 1024]).is_ok(), "this is how it would have shown");
}

#[test]
fn what_others_keep_in_the_folder_stays_as_it_is() {
    let home = TempDir::new().unwrap();
    let images = home.path().join("images");
    std::fs::create_dir_all(images.join("spool")).unwrap();
    std::fs::set_permissions(&images, Permissions::from_mode(0o750)).unwrap();
    let uuid = Uuid::new_v4().to_string();
    let theirs = ["disk.qcow2", &uuid, "spool/notes", &format!("spool/{}", uuid.replace('-', ""))];
    let theirs = theirs.map(|name| images.join(name));
    for file in &theirs {
        std::fs::write(file, b"x").unwrap();
    }
    let left = images.join("spool").join(&uuid);
    std::fs::write(&left, b"x").unwrap();
    Spool::open(&images, Limits::default(), &[]).unwrap();
    assert!(theirs.iter().all(|file| file.exists()));
    assert!(!left.exists(), "what the spool has left is removed");
    let mode = |folder: &Path| folder.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&images), mode(&images.join("spool"))), (0o750, 0o711));
}

#[tokio::test]
async fn a_daemon_that_starts_again_keeps_what_is_held_and_nothing_else() {
    let lab = lab();
    let server = Server::start(|head| Play::Send(good(head.split(' ').nth(1).unwrap().as_bytes()))).await;
    let kept = lab.fetch(&server.url).await.unwrap();
    lab.fetch(&server.url.replace("image", "other")).await.unwrap();
    std::fs::write(lab.folder.path().join("media/spool").join(Uuid::new_v4().to_string()), b"x").unwrap();
    assert_eq!(lab.files().len(), 3);
    let Lab { folder, spool } = lab;
    drop(spool);
    let medium = Medium {
        image: server.url.clone(),
        username: None,
        write_protected: true,
        method: Default::default(),
        file: kept.file.clone(),
        lease: kept.lease.clone(),
        size: kept.size,
        sha256: kept.sha256.clone(),
    };
    let elsewhere = Medium { file: "/etc/passwd".into(), lease: "x".to_owned(), ..medium.clone() };
    let two = Medium { lease: "two".to_owned(), ..medium.clone() };
    let spool =
        Spool::open(&folder.path().join("media"), Limits::default(), &[medium, two, elsewhere]).unwrap();
    let lab = Lab { folder, spool };
    assert_eq!(lab.files(), [kept.file]);
    // The same image again is the same file again.
    let again = lab.fetch(&server.url).await.unwrap();
    assert_eq!(lab.files().len(), 1);
    for lease in [&kept.lease, &again.lease, "x"] {
        lab.spool.release(lease);
    }
    assert_eq!(lab.files().len(), 1);
    lab.spool.release("two");
    assert_eq!(lab.files().len(), 0);
}
