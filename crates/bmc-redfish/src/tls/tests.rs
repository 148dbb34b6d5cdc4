//! Certificates made once, private keys kept private, wrong files named, changed ones taken up.

use std::os::unix::fs::PermissionsExt as _;

use std::time::SystemTime;

use super::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// 2026-01-01.
const NOW: Timestamp = Timestamp::constant(1_767_225_600, 0);

fn certified(dir: &Path) -> Vec<u8> {
    let pem = self_signed(dir, HOME, NOW).unwrap();
    read_pair(&pem, &pem, &provider()).unwrap().cert[0].to_vec()
}

#[test]
fn a_certificate_is_made_once_and_its_key_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let first = certified(dir.path());
    assert_eq!(certified(dir.path()), first, "kept");
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("redfish.pem"), 0o600);
    let public = fs::read_to_string(dir.path().join("redfish.crt")).unwrap();
    assert!(public.starts_with("-----BEGIN CERTIFICATE-----") && !public.contains("PRIVATE"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left behind");
}

#[test]
fn endpoints_that_start_together_agree_on_one_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let made: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| certified(dir.path()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let kept = certified(dir.path());
    assert!(made.iter().all(|cert| *cert == kept));
}

#[test]
fn another_address_has_a_certificate_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(self_signed(dir.path(), HOME, NOW).unwrap().file_name().unwrap(), "redfish.pem");
    let other = self_signed(dir.path(), "127.1.0.5".parse().unwrap(), NOW).unwrap();
    assert_eq!(other.file_name().unwrap(), "redfish-127.1.0.5.pem");
    let any = self_signed(dir.path(), "0.0.0.0".parse().unwrap(), NOW).unwrap();
    assert_eq!(any.file_name().unwrap(), "redfish.pem");
}

#[test]
fn wrong_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let pem = self_signed(dir.path(), HOME, NOW).unwrap();
    let empty = dir.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let missing = dir.path().join("missing.pem");
    let message = |cert: &Path, key: &Path| {
        let tls = Tls::Files { cert: cert.to_owned(), key: key.to_owned() };
        tls.held(HOME, None, NOW).unwrap_err().to_string()
    };
    assert!(message(&missing, &pem).contains("missing.pem: No such file"));
    assert!(message(&empty, &pem).contains("empty.pem: no certificate in it"));
    assert!(message(&pem, &empty).contains("empty.pem: no private key in it"));

    let other = tempfile::tempdir().unwrap();
    let stranger = self_signed(other.path(), HOME, NOW).unwrap();
    assert!(message(&pem, &stranger).contains("the key does not fit the certificate"));
}

#[test]
fn changed_files_are_taken_up_and_broken_ones_are_not() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pem = self_signed(dir.path(), HOME, NOW).unwrap();
    let pair = Pair { cert: pem.clone(), key: pem.clone() };
    let reloading = Held::load(pair, None, provider()).unwrap();
    let first = reloading.current();

    let later = |seconds| SystemTime::now() + std::time::Duration::from_secs(seconds);
    let replace = |content: &[u8], seconds| {
        fs::write(&pem, content).unwrap();
        File::options().write(true).open(&pem).unwrap().set_modified(later(seconds)).unwrap();
    };
    replace(b"broken", 10);
    assert_eq!(reloading.current().cert, first.cert, "the old one serves on");
    replace(&fs::read(self_signed(other.path(), HOME, NOW).unwrap()).unwrap(), 20);
    assert_ne!(reloading.current().cert, first.cert);
}

#[test]
fn a_certificate_is_valid_for_some_years_and_made_anew_before_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let at = |now: Timestamp| {
        let pem = self_signed(dir.path(), HOME, now).unwrap();
        let public = fs::read(dir.path().join("redfish.crt")).unwrap();
        let der = read_pair(&pem, &pem, &provider()).unwrap().cert[0].to_vec();
        assert_eq!(CertificateDer::pem_slice_iter(&public).next().unwrap().unwrap().to_vec(), der);
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        let names = format!("{:?}", parsed.subject_alternative_name().unwrap().unwrap().value);
        assert!(names.contains("localhost") && names.contains("[127, 0, 0, 1]"), "{names}");
        let serial = parsed.raw_serial().to_vec();
        assert!(serial.len() == 16 && serial[0] < 0x80);
        let validity = parsed.validity();
        let days = |time: i64| (time - now.as_second()) / DAY_S;
        (
            serial,
            parsed.public_key().raw.to_vec(),
            days(validity.not_before.timestamp()),
            days(validity.not_after.timestamp()),
        )
    };
    let later = |days: i64| Timestamp::from_second(NOW.as_second() + days * DAY_S).unwrap();
    let first = at(NOW);
    assert_eq!((first.2, first.3), (-1, 3650));
    assert_eq!(at(later(3200)).0, first.0, "kept");
    let second = at(later(3300));
    assert_ne!(second.0, first.0, "made anew");
    assert_eq!((&second.1, second.3), (&first.1, 3650), "for the same key");
    // The clock was wrong.
    assert_eq!(at(NOW).3, 3650);
    // One of somebody else's is left alone, and one that is valid for ever is not.
    let pem = dir.path().join("redfish.pem");
    for (name, stays) in [("somebody", true), (COMMON_NAME, false)] {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap().pem();
        fs::write(&pem, format!("{}{cert}", key.serialize_pem())).unwrap();
        let _ = self_signed(dir.path(), HOME, NOW).unwrap();
        assert_eq!(fs::read_to_string(&pem).unwrap().contains(&cert), stays, "{name}");
    }
}
