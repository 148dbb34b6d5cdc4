//! The socket and who may connect.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_the_owner_may_connect() {
    let Door { server, interface, folder, .. } = Door::new().await;
    let socket = interface.socket().to_owned();
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o711);
    interface.stop().await;
    assert!(!socket.exists());
    let group =
        std::fs::metadata(&folder.0).map(|found| std::os::unix::fs::MetadataExt::gid(&found)).unwrap();
    let config = SystemInterfaceConfig { group: Some(group), ..config(&folder) };
    let interface = SystemInterface::bind(config, Arc::clone(server.bmc())).unwrap();
    assert_eq!(mode(&socket), 0o660);
    drop(interface);
}

#[tokio::test]
async fn what_is_in_the_way_is_told() {
    let Door { server, interface, folder, .. } = Door::new().await;
    let again = SystemInterface::bind(config(&folder), Arc::clone(server.bmc())).unwrap_err();
    assert!(matches!(again, SystemInterfaceError::InUse(_)), "{again}");
    // A socket that a dead daemon has left is replaced.
    let dead = SystemInterfaceConfig { socket: folder.0.join("dead.sock"), ..config(&folder) };
    drop(std::os::unix::net::UnixListener::bind(&dead.socket).unwrap());
    SystemInterface::bind(dead, Arc::clone(server.bmc())).unwrap().stop().await;
    let file = SystemInterfaceConfig { socket: folder.0.join("file"), ..config(&folder) };
    std::fs::write(&file.socket, "mine").unwrap();
    let not_a_socket = SystemInterface::bind(file.clone(), Arc::clone(server.bmc())).unwrap_err();
    assert!(matches!(not_a_socket, SystemInterfaceError::NotASocket(_)), "{not_a_socket}");
    assert_eq!(std::fs::read(&file.socket).unwrap(), b"mine");
    let long = SystemInterfaceConfig { socket: folder.0.join("x".repeat(SOCKET_PATH_MAX_BYTES)), ..file };
    let too_long = SystemInterface::bind(long, Arc::clone(server.bmc())).unwrap_err();
    assert!(matches!(too_long, SystemInterfaceError::TooLong(_)), "{too_long}");
    interface.stop().await;
}

#[tokio::test]
async fn a_folder_that_others_can_change_is_refused() {
    let Door { server, interface, folder, .. } = Door::new().await;
    interface.stop().await;
    let socket = config(&folder).socket;
    let doors = socket.parent().unwrap();
    let refused = || {
        let refused = SystemInterface::bind(config(&folder), Arc::clone(server.bmc())).unwrap_err();
        assert!(matches!(refused, SystemInterfaceError::Unsafe(_)), "{refused}");
    };
    let of_all = |mode| std::fs::set_permissions(doors, std::fs::Permissions::from_mode(mode)).unwrap();
    of_all(0o1777);
    refused();
    of_all(0o775);
    refused();
    // Somebody's link to a folder of ours.
    std::fs::remove_dir(doors).unwrap();
    std::fs::create_dir(folder.0.join("ours")).unwrap();
    std::os::unix::fs::symlink(folder.0.join("ours"), doors).unwrap();
    refused();
    std::fs::remove_file(doors).unwrap();
    // Somebody else's folder, where the test may give one away.
    if nix::unistd::geteuid().is_root() {
        std::fs::create_dir(doors).unwrap();
        std::os::unix::fs::chown(doors, Some(65_534), None).unwrap();
        refused();
        std::fs::remove_dir(doors).unwrap();
    }
    SystemInterface::bind(config(&folder), Arc::clone(server.bmc())).unwrap().stop().await;
}
