//! Completion codes.

use core::fmt;

/// The first byte of every response (IPMI 2.0 §5.2, table 5-2).
///
/// A newtype and not an enum: codes `01h..=7Eh` belong to the maker and `80h..=BEh` to the single command, so every
/// byte is legal. The command-specific constants here are named after the command that defines them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompletionCode(pub u8);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl CompletionCode {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The meaning of a generic code; `None` for command-specific and maker's codes.
            #[must_use]
            pub const fn text(self) -> Option<&'static str> {
                match self { $(Self::$name => Some($text),)* _ => None }
            }
        }
    };
}

codes! {
    /// `00h`: done.
    OK = 0x00, "completed normally";
    /// `C0h`: busy, the requester may try again.
    NODE_BUSY = 0xc0, "node busy";
    /// `C1h`: the command is unknown.
    INVALID_COMMAND = 0xc1, "invalid command";
    /// `C2h`: the command is unknown for this LUN.
    INVALID_FOR_LUN = 0xc2, "command invalid for given LUN";
    /// `C3h`: the work took too long.
    TIMEOUT = 0xc3, "timeout while processing the command";
    /// `C4h`: no space left for the operation.
    OUT_OF_SPACE = 0xc4, "out of space";
    /// `C5h`: the reservation is cancelled or unknown.
    RESERVATION_CANCELED = 0xc5, "reservation canceled or invalid reservation id";
    /// `C6h`: the request data was cut.
    REQUEST_TRUNCATED = 0xc6, "request data truncated";
    /// `C7h`: the request has the wrong length.
    REQUEST_LENGTH_INVALID = 0xc7, "request data length invalid";
    /// `C8h`: a field in the request is longer than its limit.
    REQUEST_FIELD_LENGTH_EXCEEDED = 0xc8, "request data field length limit exceeded";
    /// `C9h`: a parameter is out of range.
    PARAMETER_OUT_OF_RANGE = 0xc9, "parameter out of range";
    /// `CAh`: the requested number of bytes cannot be returned.
    CANNOT_RETURN_BYTES = 0xca, "cannot return the requested number of bytes";
    /// `CBh`: the sensor, record or other thing is not there.
    NOT_PRESENT = 0xcb, "requested sensor, data, or record not present";
    /// `CCh`: a data field is invalid.
    INVALID_DATA_FIELD = 0xcc, "invalid data field in request";
    /// `CDh`: the command is illegal for this sensor or record type.
    ILLEGAL_FOR_TYPE = 0xcd, "command illegal for the specified sensor or record type";
    /// `CEh`: no response could be made.
    RESPONSE_UNAVAILABLE = 0xce, "command response could not be provided";
    /// `CFh`: a duplicate of a request that cannot be answered twice.
    DUPLICATE_REQUEST = 0xcf, "cannot execute a duplicated request";
    /// `D0h`: the SDR repository is being updated.
    SDR_UPDATING = 0xd0, "SDR repository in update mode";
    /// `D1h`: the device is being updated.
    FIRMWARE_UPDATING = 0xd1, "device in firmware update mode";
    /// `D2h`: the controller is starting.
    INITIALIZING = 0xd2, "BMC initialization in progress";
    /// `D3h`: the destination cannot be reached.
    DESTINATION_UNAVAILABLE = 0xd3, "destination unavailable";
    /// `D4h`: the privilege level is too low, or another security rule forbids it.
    INSUFFICIENT_PRIVILEGE = 0xd4, "insufficient privilege level";
    /// `D5h`: not supported in the present state.
    NOT_IN_PRESENT_STATE = 0xd5, "command or parameter not supported in present state";
    /// `D6h`: the sub-function is disabled.
    SUBFUNCTION_DISABLED = 0xd6, "command sub-function disabled or unavailable";
    /// `FFh`: some other error.
    UNSPECIFIED = 0xff, "unspecified error";
}

impl CompletionCode {
    /// `80h` of the parameter commands (boot options, LAN, SOL, PEF): parameter not supported.
    pub const PARAMETER_UNSUPPORTED: Self = Self(0x80);
    /// `81h` of the parameter commands: a set is in progress and another requester holds it.
    pub const SET_IN_PROGRESS: Self = Self(0x81);

    /// `83h` of Set Channel Access: the channel has no such access mode.
    pub const ACCESS_MODE_UNSUPPORTED: Self = Self(0x83);
    /// `80h` of Set User Password: the tested password is another one (IPMI 2.0 §22.30).
    pub const PASSWORD_TEST_FAILED: Self = Self(0x80);
    /// `81h` of Set User Password: the password was tested in the wrong size.
    pub const PASSWORD_TEST_WRONG_SIZE: Self = Self(0x81);
    /// `80h` of Get Channel Payload Version: the channel has no such payload type (IPMI 2.0 §24.9). Of Get Channel OEM Payload Info:
    /// the same (§24.10).
    pub const PAYLOAD_UNSUPPORTED: Self = Self(0x80);
    /// `80h` of Get Message and of Read Event Message Buffer: there is none (IPMI 2.0 §22.6, §22.8).
    pub const QUEUE_EMPTY: Self = Self(0x80);

    /// `80h` of Set Session Privilege Level: the user may not have this level (IPMI 2.0 §22.18).
    pub const PRIVILEGE_NOT_AVAILABLE_FOR_USER: Self = Self(0x80);
    /// `81h` of Set Session Privilege Level: above what the channel, or the session's Open Session, allows.
    pub const PRIVILEGE_ABOVE_LIMIT: Self = Self(0x81);
    /// `87h` of Close Session: no such session id (IPMI 2.0 §22.19).
    pub const INVALID_SESSION_ID: Self = Self(0x87);
    /// `88h` of Close Session: no such session handle.
    pub const INVALID_SESSION_HANDLE: Self = Self(0x88);

    /// Whether the request was carried out.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for CompletionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompletionCode({self})")
    }
}

impl fmt::Display for CompletionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => write!(f, "{:02X}h {text}", self.0),
            None => write!(f, "{:02X}h", self.0),
        }
    }
}
