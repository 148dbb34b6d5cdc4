//! The checks against folders and sockets made for them.

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use bmc_control::types::SystemInterfaceView;
use bmc_core::system_interface::{SystemInterfaceDevice, SystemInterfaceKind};
use tempfile::TempDir;

use super::*;

fn host(folder: &Path, config: &str) -> Host {
    Host {
        config: Config::parse(Path::new("t.toml"), config).unwrap(),
        state_dir: folder.join("state"),
        control: folder.join("c.sock"),
        wants_libvirt: false,
        session_dir: None,
        #[cfg(feature = "libvirt")]
        firmware_dir: None,
    }
}

#[test]
fn the_control_socket() {
    let folder = TempDir::new().unwrap();
    let host = host(folder.path(), "");
    let (finding, runs) = checks::control(&host);
    assert_eq!((finding.status, runs), (Status::Ok, false));

    let listener = UnixListener::bind(&host.control).unwrap();
    assert!(checks::control(&host).1, "a daemon answers");
    drop(listener);
    let (finding, runs) = checks::control(&host);
    assert_eq!((finding.status, runs), (Status::Ok, false));
    assert!(finding.message.contains("died"), "{}", finding.message);

    std::fs::remove_file(&host.control).unwrap();
    std::fs::write(&host.control, "").unwrap();
    assert_eq!(checks::control(&host).0.status, Status::Fail);
}

#[test]
fn the_state_folder() {
    let folder = TempDir::new().unwrap();
    let host = host(folder.path(), "");
    assert_eq!(checks::state_dir(&host).status, Status::Ok);
    std::fs::create_dir(&host.state_dir).unwrap();
    std::fs::set_permissions(&host.state_dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let finding = checks::state_dir(&host);
    assert_eq!(finding.status, Status::Warn);
    assert!(finding.mend.unwrap().starts_with("chmod 0700"));
    std::fs::remove_dir(&host.state_dir).unwrap();
    std::fs::write(&host.state_dir, "").unwrap();
    assert_eq!(checks::state_dir(&host).status, Status::Fail);
}

#[test]
fn a_port_of_the_file_that_is_taken_fails_and_another_one_warns() {
    let folder = TempDir::new().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let chosen =
        host(folder.path(), &format!("[redfish]\nenabled = false\n[[bmc]]\nname = 'a'\nipmi = '{at}'"));
    let findings = checks::ports(&chosen, false);
    assert!(
        findings
            .iter()
            .any(|finding| finding.status == Status::Fail && finding.message.contains(&at.to_string()))
    );
    let automatic =
        host(folder.path(), &format!("[redfish]\nenabled = false\n[defaults]\nipmi_port = {}", at.port()));
    let findings = checks::ports(&automatic, false);
    assert!(
        findings
            .iter()
            .any(|finding| finding.status == Status::Warn && finding.message.contains(&at.to_string()))
    );
    assert_eq!(checks::ports(&chosen, true)[0].status, Status::Ok);
}

#[test]
fn libvirt_absent_dead_and_alive() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("libvirt-sock");
    let look = || libvirt::libvirt(std::slice::from_ref(&socket), Status::Fail);
    assert!(look().message.contains("no socket"));
    let listener = UnixListener::bind(&socket).unwrap();
    assert_eq!(look().status, Status::Ok);
    drop(listener);
    let finding = look();
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.mend.unwrap().contains("libvirtd -d"));
}

#[test]
fn the_trap_of_a_private_kvm_device() {
    let folder = TempDir::new().unwrap();
    let device = folder.path().join("kvm");
    assert_eq!(libvirt::kvm(&device, Status::Fail).status, Status::Ok);
    std::fs::write(&device, "").unwrap();
    for (mode, status) in [(0o600, Status::Fail), (0o666, Status::Ok)] {
        std::fs::set_permissions(&device, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(libvirt::kvm(&device, Status::Fail).status, status, "{mode:o}");
    }
}

#[test]
fn firmware_and_tools() {
    let folder = TempDir::new().unwrap();
    #[cfg(feature = "libvirt")]
    {
        let folders = [folder.path().to_owned()];
        assert_eq!(libvirt::firmware(&folders).status, Status::Warn);
        let image = folder.path().join("image.fd");
        std::fs::write(&image, "").unwrap();
        for (name, features, status, says) in [
            ("60-plain.json", "", Status::Warn, "cannot be enabled"),
            ("40-secure.json", "\"secure-boot\", \"enrolled-keys\"", Status::Ok, "2 images"),
        ] {
            let text = format!(
                "{{\"interface-types\": [\"uefi\"], \"mapping\": {{\"device\": \"flash\", \"executable\": {{\"filename\": {image:?}}}, \
                 \"nvram-template\": {{\"filename\": {image:?}}}}}, \"targets\": [], \"features\": [{features}]}}"
            );
            std::fs::write(folder.path().join(name), text).unwrap();
            let found = libvirt::firmware(&folders);
            assert_eq!((found.status, found.message.contains(says)), (status, true), "{found:?}");
        }
        std::fs::remove_file(&image).unwrap();
        assert!(libvirt::firmware(&folders).message.contains("not there"));
    }
    assert_eq!(checks::tool(&[folder.path().into()], "curl", "").status, Status::Warn);
    assert_eq!(checks::tool(&["/bin".into()], "sh", "").status, Status::Ok);
}

#[test]
fn a_line_each_with_its_mend() {
    let findings = [Finding::ok("a", "well"), Finding::bad("longer", Status::Fail, "ill", "rest")];
    assert_eq!(table(&findings), "OK    a       well\nFAIL  longer  ill; mend: rest\n");
}

#[test]
fn ways_from_inside() {
    let view = |name: &str, problem: Option<&str>, has_device: bool| SystemInterfaceView {
        name: name.to_owned(),
        kind: None,
        socket: None,
        connected: false,
        device: has_device
            .then(|| SystemInterfaceDevice { kind: SystemInterfaceKind::Kcs, socket: "/s".into() }),
        arguments: Vec::new(),
        problem: problem.map(str::to_owned),
    };
    assert!(system_interface::machines(&[]).is_empty());
    let found = system_interface::machines(&[
        view("a", None, true),
        view("b", None, false),
        view("c", Some("odd"), true),
    ]);
    assert_eq!(found.iter().map(|finding| finding.status).collect::<Vec<_>>(), [Status::Warn, Status::Ok]);
    assert!(found[0].message.contains("c: odd"));
    assert!(found[1].message.contains("1 of 3") && found[1].message.contains("system-interface b add"));
    let all = system_interface::machines(&[view("a", None, true)]);
    assert!(all[0].message.starts_with("all 1"));
}

#[test]
fn apparmor_has_to_know_the_sockets() {
    let folder = TempDir::new().unwrap();
    let (enabled, rules) = (folder.path().join("enabled"), folder.path().join("libvirt-qemu"));
    let sockets = Path::new("/run/polybmc-system-interface");
    let check = || system_interface::apparmor(&enabled, std::slice::from_ref(&rules), sockets);
    assert_eq!(check().status, Status::Ok, "there is no AppArmor");
    std::fs::write(&enabled, "Y\n").unwrap();
    let finding = check();
    assert_eq!(finding.status, Status::Warn);
    assert!(finding.mend.unwrap().contains("/run/polybmc-system-interface/*.sock rw,"));
    std::fs::write(&rules, "# /run/polybmc-system-interface/*.sock rw,\n").unwrap();
    assert_eq!(check().status, Status::Warn, "a comment allows nothing");
    std::fs::write(&rules, "  /run/polybmc-system-interface/*.sock rw,\n").unwrap();
    assert_eq!(check().status, Status::Ok);
}
