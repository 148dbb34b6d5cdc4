//! The one table from the core's errors to completion codes.
//!
//! Clients act on these codes. Ironic repeats a command whose error says "Node busy" (`C0h`), "Timeout" (`C3h`), "Out of
//! space" (`C4h`) or "BMC initialization in progress" (`D2h`), and gives up on all others; so exactly what may succeed
//! when repeated unchanged gets one of those.

use bmc_core::error::{BackendErrorKind, RequestError};
use bmc_core::watchdog::WatchdogRefusal;
use ipmi_wire::CompletionCode;

/// Reset Watchdog Timer's own code for a timer that was not set (IPMI 2.0 §27.5).
const WATCHDOG_NOT_SET: u8 = 0x80;

/// The completion code for a request that the core did not carry out.
///
/// | error | code | why |
/// |---|---|---|
/// | wrong state | `D5h` | the specification's code for it |
/// | busy | `C0h` | try again |
/// | conflict | `C0h` | somebody else changed the machine meanwhile; trying again is right |
/// | invalid | `CCh` | a value in the request |
/// | watchdog not set | `80h` | the specification's code for it (§27.5) |
/// | watchdog past its pre-timeout | `D5h` | only Set Watchdog Timer stops it now |
/// | not stored | `FFh` | nothing changed, and repeating it by itself will not help a full or broken disk |
/// | removed | `D3h` | there is no machine behind this BMC any more |
/// | no space | `C4h` | the specification's code for a full log or table |
/// | in use | `D5h` | what is asked for has to be freed first |
/// | missing | `CBh` | "requested data not present" |
/// | media | `FFh` | no command of IPMI fetches an image |
/// | backend | see [`backend`] | |
pub fn request(error: &RequestError) -> CompletionCode {
    match error {
        RequestError::WrongState { .. } | RequestError::InUse { .. } => CompletionCode::NOT_IN_PRESENT_STATE,
        RequestError::Busy { .. } | RequestError::Conflict => CompletionCode::NODE_BUSY,
        RequestError::Invalid { .. } => CompletionCode::INVALID_DATA_FIELD,
        RequestError::Watchdog(WatchdogRefusal::NotSet) => CompletionCode(WATCHDOG_NOT_SET),
        RequestError::Watchdog(WatchdogRefusal::PreTimeoutReached) => CompletionCode::NOT_IN_PRESENT_STATE,
        RequestError::NoSpace { .. } => CompletionCode::OUT_OF_SPACE,
        RequestError::Missing { .. } => CompletionCode::NOT_PRESENT,
        RequestError::Backend(error) => backend(error.kind),
        RequestError::Media(_) => CompletionCode::UNSPECIFIED,
        RequestError::Store(_) => CompletionCode::UNSPECIFIED,
        RequestError::Removed => CompletionCode::DESTINATION_UNAVAILABLE,
    }
}

/// The completion code for a backend's failure.
///
/// | kind | code | why |
/// |---|---|---|
/// | not found | `CBh` | "requested data not present": the machine is gone, the hypervisor is not |
/// | unsupported | `CCh` | the request names what this machine does not have, for instance a boot device |
/// | invalid state | `D5h` | as the core's own wrong state |
/// | busy | `C0h` | try again |
/// | timeout | `C3h` | may have happened; power commands may be repeated safely |
/// | unavailable | `D3h` | "destination unavailable": the hypervisor cannot be reached |
/// | permission denied | `D6h` | "disabled or unavailable": the hypervisor forbids it to us. Not `D4h`, which would blame the user's level |
/// | no space | `C4h` | the hypervisor's storage is full |
/// | internal | `FFh` | nothing better is known |
pub fn backend(kind: BackendErrorKind) -> CompletionCode {
    match kind {
        BackendErrorKind::NotFound => CompletionCode::NOT_PRESENT,
        BackendErrorKind::Unsupported => CompletionCode::INVALID_DATA_FIELD,
        BackendErrorKind::InvalidState => CompletionCode::NOT_IN_PRESENT_STATE,
        BackendErrorKind::Busy => CompletionCode::NODE_BUSY,
        BackendErrorKind::Timeout => CompletionCode::TIMEOUT,
        BackendErrorKind::Unavailable => CompletionCode::DESTINATION_UNAVAILABLE,
        BackendErrorKind::PermissionDenied => CompletionCode::SUBFUNCTION_DISABLED,
        BackendErrorKind::NoSpace => CompletionCode::OUT_OF_SPACE,
        BackendErrorKind::Internal => CompletionCode::UNSPECIFIED,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bmc_core::error::BackendError;
    use bmc_core::media::{MediaError, MediaErrorKind};
    use bmc_core::power::{PowerAction, PowerState};

    use super::*;

    #[test]
    fn every_request_error_has_its_code() {
        let wrong = RequestError::WrongState { action: PowerAction::Reset, state: PowerState::Off };
        let invalid = RequestError::Invalid { field: "boot", reason: String::new() };
        let rows = [
            (wrong, 0xd5),
            (RequestError::Busy { retry_after: Duration::from_secs(1) }, 0xc0),
            (RequestError::Conflict, 0xc0),
            (WatchdogRefusal::NotSet.into(), 0x80),
            (WatchdogRefusal::PreTimeoutReached.into(), 0xd5),
            (invalid, 0xcc),
            (RequestError::Store(String::new()), 0xff),
            (RequestError::Removed, 0xd3),
            (RequestError::NoSpace { what: "log" }, 0xc4),
            (RequestError::Missing { what: "entry" }, 0xcb),
            (RequestError::InUse { what: "drive 1".to_owned() }, 0xd5),
            (MediaError::new(MediaErrorKind::Broken, "", "").into(), 0xff),
        ];
        for (error, code) in rows {
            assert_eq!(request(&error), CompletionCode(code), "{error:?}");
        }
    }

    #[test]
    fn every_backend_error_has_its_code() {
        let codes = [0xcb, 0xcc, 0xd5, 0xc0, 0xc3, 0xd3, 0xd6, 0xc4, 0xff];
        for (kind, code) in BackendErrorKind::ALL.into_iter().zip(codes) {
            assert_eq!(backend(kind), CompletionCode(code), "{kind:?}");
            assert_eq!(request(&BackendError::new(kind, "").into()), CompletionCode(code), "{kind:?}");
        }
    }
}
