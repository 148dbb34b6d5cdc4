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
