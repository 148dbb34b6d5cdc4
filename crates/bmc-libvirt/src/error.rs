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

/// The message for people: what libvirt said, and what to do where that is known.
fn describe(kind: BackendErrorKind, uri: &str, message: &str) -> BackendError {
    let text = match kind {
        BackendErrorKind::Unavailable => format!(
            "libvirt at {uri} cannot be reached: {message}; start it with `systemctl start libvirtd`, or `virtlogd -d; libvirtd -d` \
             on a host without systemd"
        ),
        BackendErrorKind::PermissionDenied => format!(
            "libvirt at {uri} refuses access: {message}; run as root or as a member of the group `libvirt`, or grant the right to \
             manage domains in polkit"
        ),
        BackendErrorKind::Busy => {
            format!("{message}; another operation holds the domain (`virsh domjobinfo` shows it)")
        }
        _ => message.to_owned(),
    };
    BackendError::new(kind, text)
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
}
