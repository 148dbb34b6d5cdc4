//! From libvirt's error codes to the core's kinds: one table, every code that virt 0.5 knows, tested row by row.

use bmc_core::error::{BackendError, BackendErrorKind};
use virt::error::{Error, ErrorDomain, ErrorNumber};

/// The kind of a libvirt failure.
///
/// Some codes are vague: libvirt says `INTERNAL_ERROR` and `OPERATION_FAILED` for anything a hypervisor driver did not foresee,
/// and `SYSTEM_ERROR` for any failed system call; [`from_libvirt`] looks at the message of the last one.
pub(crate) fn kind_of(code: ErrorNumber) -> BackendErrorKind {
    use BackendErrorKind as K;
    use ErrorNumber as E;
    match code {
        E::NoDomain => K::NotFound,
        E::NoSupport
        | E::NoXen
        | E::OsType
        | E::NoKernel
        | E::ConfigUnsupported
        | E::ArgumentUnsupported
        | E::OperationUnsupported
        | E::CpuIncompatible
        | E::DeviceMissing
        | E::NoDevice => K::Unsupported,
        E::OperationInvalid
        | E::DomExist
        | E::BlockCopyActive
        | E::MigrateUnsafe
        | E::SnapshotRevertRisky => K::InvalidState,
        // The time-out is that of waiting for another job on the same domain, not that of the call itself.
        E::ResourceBusy | E::OperationTimeout => K::Busy,
        E::AgentUnresponsive | E::AgentCommandTimeout => K::Timeout,
        E::UnknownHost
        | E::NoConnect
        | E::InvalidConn
        | E::OpenFailed
        | E::Rpc
        | E::GnutlsError
        | E::Ssh
        | E::Libssh
        | E::NoServer
        | E::NoClient
        | E::DbusService => K::Unavailable,
        E::OperationDenied | E::AuthFailed | E::AuthCancelled | E::AuthUnavailable | E::AccessDenied => {
            K::PermissionDenied
        }
        E::Ok
        | E::InternalError
        | E::NoMemory
        | E::InvalidDomain
        | E::InvalidArg
        | E::OperationFailed
        | E::GetFailed
        | E::PostFailed
        | E::HttpError
        | E::SExprSerial
        | E::XenCall
        | E::NoRoot
        | E::NoSource
        | E::NoTarget
        | E::NoName
        | E::NoOs
        | E::NoXenStore
        | E::DriverFull
        | E::CallFailed
        | E::XmlError
        | E::ReadFailed
        | E::ParseFailed
        | E::ConfSyntax
        | E::WriteFailed
        | E::XmlDetail
        | E::InvalidNetwork
        | E::NetworkExist
        | E::SystemError
        | E::NoNetworkStart
        | E::NoNetwork
        | E::InvalidMac
        | E::InvalidStoragePool
        | E::InvalidStorageVol
        | E::NoStorage
        | E::NoStoragePool
        | E::NoStorageVolume
        | E::NoNode
        | E::InvalidNodeDevice
        | E::NoNodeDevice
        | E::NoSecurityModel
        | E::NoInterfaceStart
        | E::NoInterface
        | E::InvalidInterface
        | E::MultipleInterfaces
        | E::NoNwfilterStart
        | E::InvalidNwfilter
        | E::NoNwfilter
        | E::BuildFirewall
        | E::NoSecretStart
        | E::InvalidSecret
        | E::NoSecret
        | E::MigratePersistFailed
        | E::HookScriptFailed
        | E::InvalidDomainSnapshot
        | E::NoDomainSnapshot
        | E::InvalidStream
        | E::StorageProbeFailed
        | E::StoragePoolBuilt
        | E::OperationAborted
        | E::Overflow
        | E::StorageVolExist
        | E::XmlInvalidSchema
        | E::MigrateFinishOk
        | E::AgentUnsynced
        | E::InvalidNwfilterBinding
        | E::NoNwfilterBinding
        | E::InvalidDomainCheckpoint
        | E::NoDomainCheckpoint
        | E::NoDomainBackup
        | E::InvalidNetworkPort
        | E::NetworkPortExists
        | E::NoNetworkPort
        | E::NoHostname
        | E::CheckpointInconsistent
        | E::MultipleDomains
        | E::NoDomainMetadata
        | E::NoNetworkMetadata
        | E::AgentCommandFailed
        | E::InvalidEncrKeySecret => K::Internal,
    }
}

/// A libvirt failure as the core sees it; `uri` names the connection, so that the message says where to look.
pub(crate) fn from_libvirt(uri: &str, error: &Error) -> BackendError {
    let kind = refine(
        error.code().known().map_or(BackendErrorKind::Internal, kind_of),
        error.code().is(ErrorNumber::SystemError),
        error.domain().is_any(vec![ErrorDomain::Rpc, ErrorDomain::Remote]),
        error.message(),
    );
    describe(kind, uri, error.message())
}

/// What libvirt says, as an internal error, to a user without rights on a host where polkit cannot be asked.
const NO_POLKIT: &str = "Unable to get system bus connection";

/// What libvirt says, as an internal error, to a call that meets the end of its connection.
const SOCKET_CLOSED: &str = "client socket is closed";

/// A failed system call is about the connection when it comes from libvirt's transport, and then either a closed door or nobody
/// behind it.
fn refine(kind: BackendErrorKind, system_call: bool, transport: bool, message: &str) -> BackendErrorKind {
    if message.contains(NO_POLKIT) {
        return BackendErrorKind::PermissionDenied;
    }
    if transport && message.contains(SOCKET_CLOSED) {
        return BackendErrorKind::Unavailable;
    }
    if !system_call {
        return kind;
    }
    match (message.contains("Permission denied"), transport) {
        (true, _) => BackendErrorKind::PermissionDenied,
        (false, true) => BackendErrorKind::Unavailable,
        (false, false) => kind,
    }
}

/// Why a connection could not be opened: whatever libvirt calls it, the machines behind it are out of reach, or closed to us.
pub(crate) fn not_opened(uri: &str, error: &Error) -> BackendError {
    not_opened_as(from_libvirt(uri, error).kind, uri, error.message())
}

fn not_opened_as(kind: BackendErrorKind, uri: &str, message: &str) -> BackendError {
    let denied = kind == BackendErrorKind::PermissionDenied || is_denied(message);
    let kind = if denied { BackendErrorKind::PermissionDenied } else { BackendErrorKind::Unavailable };
    describe(kind, uri, message)
}

/// Whether a transport was turned away, which it says in the words of its program.
fn is_denied(message: &str) -> bool {
    ["Permission denied", "uthentication failed", "not authorized", "Host key verification failed"]
        .iter()
        .any(|words| message.contains(words))
}

/// The message for people: what libvirt said, and what to do where that is known.
fn describe(kind: BackendErrorKind, uri: &str, message: &str) -> BackendError {
    let text = match kind {
        BackendErrorKind::Unavailable => {
            format!("libvirt at {uri} cannot be reached: {message}; {}", way_there(uri, message))
        }
        BackendErrorKind::PermissionDenied => {
            format!("libvirt at {uri} refuses access: {message}; {}", way_in(uri, message))
        }
        BackendErrorKind::Busy => {
            format!("{message}; another operation holds the domain (`virsh domjobinfo` shows it)")
        }
        _ => message.to_owned(),
    };
    BackendError::new(kind, text)
}

/// The driver, the transport if one is named, and the host of a libvirt URI, which is empty for this one.
fn parts(uri: &str) -> (&str, Option<&str>, &str) {
    let (scheme, rest) = uri.split_once("://").unwrap_or((uri, ""));
    let (driver, transport) = match scheme.split_once('+') {
        Some((driver, transport)) => (driver, Some(transport)),
        None => (scheme, None),
    };
    let host = crate::media::remote_host(uri).unwrap_or_else(|| {
        // This host by its name is a server of its own all the same.
        rest.split(['/', '?']).next().unwrap_or_default()
    });
    (driver, transport, host)
}

/// What to do where nobody answers.
fn way_there(uri: &str, message: &str) -> String {
    let (driver, transport, host) = parts(uri);
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["no connection driver available"]) {
        return format!(
            "the libvirt there has no driver `{driver}`; install it (Debian: `libvirt-daemon-driver-{driver}`) and restart libvirtd, or \
             correct the URI; `virsh -c {uri} uri` tries it"
        );
    }
    if says(&["Unable to parse URI", "URI path", "transport in URL", "invalid argument"]) {
        return "correct the URI: `qemu:///system`, `qemu:///session`, `qemu+ssh://USER@HOST/system`, `qemu+tls://HOST/system`"
            .to_owned();
    }
    if driver == "test" && transport.is_none() {
        return "give the path of a file with a `<node>` that this user can read, as in `test:///etc/polybmc/node.xml`, or `test:///default`"
            .to_owned();
    }
    if says(&["Unable to resolve", "resolve hostname", "Name or service not known"]) {
        return format!("correct the name of the host {host}, or enter it in DNS or /etc/hosts");
    }
    if says(&["certificate", "private key"]) {
        return "TLS takes the CA's certificate from /etc/pki/CA/cacert.pem, and its own from /etc/pki/libvirt/clientcert.pem with \
                /etc/pki/libvirt/private/clientkey.pem; put them there, readable for this user and signed by the CA of the server, or name \
                their folder by `?pkipath=FOLDER`"
            .to_owned();
    }
    match transport {
        Some("ssh" | "libssh" | "libssh2") => format!(
            "see that `ssh {host} virsh uri` works for the user that polybmc runs as, without a password: sshd and libvirtd run there, \
             and netcat or `virt-ssh-helper` is installed"
        ),
        Some("tls") => format!(
            "start its socket on {host} with `systemctl start libvirtd-tls.socket`, and let port 16514 pass its firewall"
        ),
        Some("tcp") => format!(
            "start its socket on {host} with `systemctl start libvirtd-tcp.socket`, and let port 16509 pass its firewall"
        ),
        None if !host.is_empty() => {
            format!("see that the service answers on {host}; `virsh -c {uri} uri` tries it")
        }
        _ => "start it with `systemctl start libvirtd`, or `virtlogd -d; libvirtd -d` on a host without systemd".to_owned(),
    }
}

/// What to do where we are turned away.
fn way_in(uri: &str, message: &str) -> String {
    let (_, transport, host) = parts(uri);
    match transport {
        Some("ssh" | "libssh" | "libssh2") if message.contains("Host key") => format!(
            "enter the host's key for the user that polybmc runs as: `ssh-keyscan {host} >> ~/.ssh/known_hosts`, once it is compared"
        ),
        Some("ssh" | "libssh" | "libssh2") => format!(
            "give the user that polybmc runs as a key without a passphrase that {host} takes (`ssh-copy-id`), for a user there who is a member \
             of the group `libvirt`"
        ),
        Some("tls" | "tcp") => format!(
            "give credentials in the file `auth.conf` of libvirt (`~/.config/libvirt/auth.conf`), or let libvirtd on {host} accept this \
             client (`tls_allowed_dn_list`, `auth_tls`, `auth_tcp`)"
        ),
        _ => "run as root or as a member of the group `libvirt`, or grant the right to manage domains in polkit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per code that is not internal; whatever is missing here has to be internal.
    const ROWS: &[(ErrorNumber, BackendErrorKind)] = &[
        (ErrorNumber::NoDomain, BackendErrorKind::NotFound),
        (ErrorNumber::NoSupport, BackendErrorKind::Unsupported),
        (ErrorNumber::NoXen, BackendErrorKind::Unsupported),
        (ErrorNumber::OsType, BackendErrorKind::Unsupported),
        (ErrorNumber::NoKernel, BackendErrorKind::Unsupported),
        (ErrorNumber::ConfigUnsupported, BackendErrorKind::Unsupported),
        (ErrorNumber::ArgumentUnsupported, BackendErrorKind::Unsupported),
        (ErrorNumber::OperationUnsupported, BackendErrorKind::Unsupported),
        (ErrorNumber::CpuIncompatible, BackendErrorKind::Unsupported),
        (ErrorNumber::DeviceMissing, BackendErrorKind::Unsupported),
        (ErrorNumber::NoDevice, BackendErrorKind::Unsupported),
        (ErrorNumber::OperationInvalid, BackendErrorKind::InvalidState),
        (ErrorNumber::DomExist, BackendErrorKind::InvalidState),
        (ErrorNumber::BlockCopyActive, BackendErrorKind::InvalidState),
        (ErrorNumber::MigrateUnsafe, BackendErrorKind::InvalidState),
        (ErrorNumber::SnapshotRevertRisky, BackendErrorKind::InvalidState),
        (ErrorNumber::ResourceBusy, BackendErrorKind::Busy),
        (ErrorNumber::OperationTimeout, BackendErrorKind::Busy),
        (ErrorNumber::AgentUnresponsive, BackendErrorKind::Timeout),
        (ErrorNumber::AgentCommandTimeout, BackendErrorKind::Timeout),
        (ErrorNumber::UnknownHost, BackendErrorKind::Unavailable),
        (ErrorNumber::NoConnect, BackendErrorKind::Unavailable),
        (ErrorNumber::InvalidConn, BackendErrorKind::Unavailable),
        (ErrorNumber::OpenFailed, BackendErrorKind::Unavailable),
        (ErrorNumber::Rpc, BackendErrorKind::Unavailable),
        (ErrorNumber::GnutlsError, BackendErrorKind::Unavailable),
        (ErrorNumber::Ssh, BackendErrorKind::Unavailable),
        (ErrorNumber::Libssh, BackendErrorKind::Unavailable),
        (ErrorNumber::NoServer, BackendErrorKind::Unavailable),
        (ErrorNumber::NoClient, BackendErrorKind::Unavailable),
        (ErrorNumber::DbusService, BackendErrorKind::Unavailable),
        (ErrorNumber::OperationDenied, BackendErrorKind::PermissionDenied),
        (ErrorNumber::AuthFailed, BackendErrorKind::PermissionDenied),
        (ErrorNumber::AuthCancelled, BackendErrorKind::PermissionDenied),
        (ErrorNumber::AuthUnavailable, BackendErrorKind::PermissionDenied),
        (ErrorNumber::AccessDenied, BackendErrorKind::PermissionDenied),
    ];

    /// Numbers of `virErrorNumber` grow from 0; well past the last one of libvirt 11.
    const CODES: u32 = 200;

    #[test]
    fn every_known_code_has_its_kind() {
        let mut seen = 0;
        for raw in 0..CODES {
            let Some(code) = virt::error::ErrorNumberEnum::from_raw(raw).known() else { continue };
            let expected = ROWS
                .iter()
                .find(|(row, _)| *row == code)
                .map_or(BackendErrorKind::Internal, |(_, kind)| *kind);
            assert_eq!(kind_of(code), expected, "{code:?}");
            seen += 1;
        }
        assert!(seen > 100, "virt knows more than {seen} codes");
    }

    #[test]
    fn a_failed_system_call_of_the_transport_is_a_matter_of_the_connection() {
        let internal = BackendErrorKind::Internal;
        let refused = "Failed to connect socket to '/run/libvirt/libvirt-sock': Permission denied";
        let absent = "Failed to connect socket to '/run/libvirt/libvirt-sock': No such file or directory";
        assert_eq!(refine(internal, true, true, refused), BackendErrorKind::PermissionDenied);
        assert_eq!(refine(internal, true, true, absent), BackendErrorKind::Unavailable);
        assert_eq!(refine(internal, true, false, "cannot write file: No space left on device"), internal);
        assert_eq!(refine(BackendErrorKind::Busy, false, true, refused), BackendErrorKind::Busy);
        let no_polkit = "internal error: Unable to get system bus connection: Could not connect: No such file or directory";
        assert_eq!(refine(internal, false, false, no_polkit), BackendErrorKind::PermissionDenied);
        let closed = "internal error: client socket is closed";
        assert_eq!(refine(internal, false, true, closed), BackendErrorKind::Unavailable);
        assert_eq!(refine(internal, false, false, closed), internal);
    }

    #[test]
    fn a_libvirt_that_is_not_there_is_unavailable_and_says_what_to_do() {
        crate::sys::start_event_loop().unwrap();
        let uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock";
        let error = virt::connect::Connect::open(Some(uri)).map(drop).unwrap_err();
        let error = from_libvirt(uri, &error);
        assert_eq!(error.kind, BackendErrorKind::Unavailable, "{error}");
        assert!(error.message.contains("libvirtd -d"), "{error}");
    }

    /// What libvirt 9 says when a connection cannot be opened, with the URI, the kind, and a word of what is to be done.
    const NOT_OPENED: &[(&str, &str, BackendErrorKind, &str)] = {
        use BackendErrorKind::{PermissionDenied as Denied, Unavailable as Gone};
        &[
            (
                "qemu+tcp://h/system",
                "unable to connect to server at 'h:16509': Connection refused",
                Gone,
                "libvirtd-tcp.socket",
            ),
            (
                "qemu+tcp://h/system",
                "unable to connect to server at 'h:16509': No route to host",
                Gone,
                "firewall",
            ),
            (
                "qemu+tcp://nope/system",
                "Unable to resolve address 'nope' service '16509': Name or service not known",
                Gone,
                "name of the host nope",
            ),
            (
                "qemu+tcp://h/system",
                "authentication failed: Failed to start SASL negotiation: -4 (SASL(-4): no mechanism available)",
                Denied,
                "auth.conf",
            ),
            ("qemu+tcp://h/system", "authentication failed: authentication failed", Denied, "auth_tcp"),
            (
                "qemu+tls://h/system",
                "unable to connect to server at 'h:16514': Connection refused",
                Gone,
                "libvirtd-tls.socket",
            ),
            (
                "qemu+tls://h/system",
                "Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file or directory",
                Gone,
                "pkipath",
            ),
            (
                "qemu+tls://h/system",
                "Unable to set x509 key and certificate: /k: Error while reading file.",
                Gone,
                "clientkey.pem",
            ),
            (
                "qemu+tls://h/system",
                "authentication failed: Failed to verify peer's certificate",
                Denied,
                "tls_allowed_dn_list",
            ),
            (
                "qemu+ssh://h/system",
                "Cannot recv data: ssh: connect to host h port 22: Connection refused: Connection reset by peer",
                Gone,
                "ssh h virsh uri",
            ),
            (
                "qemu+ssh://nope/system",
                "Cannot recv data: ssh: Could not resolve hostname nope: Name or service not known: Connection reset by peer",
                Gone,
                "/etc/hosts",
            ),
            (
                "qemu+ssh://u@h/system",
                "Cannot recv data: u@h: Permission denied (publickey,password).: Connection reset by peer",
                Denied,
                "ssh-copy-id",
            ),
            (
                "qemu+ssh://h/system",
                "Cannot recv data: Host key verification failed.: Connection reset by peer",
                Denied,
                "ssh-keyscan h ",
            ),
            (
                "qemu+ssh://h/system",
                "End of file while reading data: sh: 1: nc: not found: Input/output error",
                Gone,
                "netcat",
            ),
            (
                "qemu+libssh2://u@h/system",
                "unable to connect to server at 'h:22': Connection refused",
                Gone,
                "sshd",
            ),
            (
                "qemu:///system",
                "Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory",
                Gone,
                "systemctl start libvirtd",
            ),
            (
                "qemu:///system",
                "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied",
                Denied,
                "group `libvirt`",
            ),
            (
                "qemu:///system",
                "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
                Denied,
                "polkit",
            ),
            (
                "test:///no/such.xml",
                "XML error: failed to parse xml document '/no/such.xml'",
                Gone,
                "test:///default",
            ),
            ("lxc:///", "no connection driver available for lxc:///", Gone, "libvirt-daemon-driver-lxc"),
            ("xen+ssh://h/", "no connection driver available for xen:///", Gone, "no driver `xen`"),
            (
                "qemu:///nope",
                "internal error: unexpected qemu URI path '/nope', try qemu:///system",
                Gone,
                "correct the URI",
            ),
            (
                "qemu+foo://h/system",
                "invalid argument: remote_open: transport in URL not recognised (should be tls|unix|ssh|ext|tcp|libssh2|libssh)",
                Gone,
                "correct the URI",
            ),
            ("nonsense", "internal error: Unable to parse URI nonsense", Gone, "qemu:///session"),
            (
                "esx://h/",
                "internal error: curl_easy_perform() returned an error: Couldn't connect to server (7)",
                Gone,
                "virsh -c esx://h/ uri",
            ),
        ]
    };

    #[test]
    fn what_keeps_a_connection_closed_says_what_to_do() {
        for (uri, message, kind, advice) in NOT_OPENED {
            let polkit = message.contains("polkit");
            let error = not_opened_as(
                if polkit { BackendErrorKind::PermissionDenied } else { BackendErrorKind::Internal },
                uri,
                message,
            );
            assert_eq!(error.kind, *kind, "{error}");
            assert!(error.message.contains(message) && error.message.contains(advice), "{error}");
            assert!(error.message.contains(uri), "{error}");
        }
    }

    /// The same from libvirt itself, as far as no network is needed.
    #[test]
    fn libvirt_says_what_the_table_says() {
        crate::sys::start_event_loop().unwrap();
        for (uri, advice) in [
            ("qemu+tcp://127.0.0.1:1/system", "libvirtd-tcp.socket"),
            ("qemu+tls://127.0.0.1:1/system?pkipath=/nonexistent", "pkipath"),
            ("test:///no/such/file.xml", "test:///default"),
            ("qemu+foo://h/system", "correct the URI"),
            ("not a uri", "correct the URI"),
        ] {
            let error = virt::connect::Connect::open(Some(uri)).map(drop).unwrap_err();
            let error = not_opened(uri, &error);
            assert_eq!(error.kind, BackendErrorKind::Unavailable, "{error}");
            assert!(error.message.contains(advice), "{error}");
        }
    }
}
