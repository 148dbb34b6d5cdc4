//! Network function codes.

use core::fmt;

/// A six-bit network function code (IPMI 2.0 §5.1). Even codes are requests, the next odd code is the response.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetFn(u8);

impl NetFn {
    /// Chassis (`00h`).
    pub const CHASSIS: Self = Self(0x00);
    /// Bridge (`02h`).
    pub const BRIDGE: Self = Self(0x02);
    /// Sensor/Event (`04h`).
    pub const SENSOR_EVENT: Self = Self(0x04);
    /// Application (`06h`).
    pub const APP: Self = Self(0x06);
    /// Firmware transfer (`08h`).
    pub const FIRMWARE: Self = Self(0x08);
    /// Storage (`0Ah`).
    pub const STORAGE: Self = Self(0x0a);
    /// Transport (`0Ch`).
    pub const TRANSPORT: Self = Self(0x0c);
    /// Group extension (`2Ch`): the first data byte names the body, 00h PICMG, 03h VITA, DCh DCMI.
    pub const GROUP: Self = Self(0x2c);
    /// OEM group (`2Eh`): the first three data bytes are an IANA enterprise number, least significant first.
    pub const OEM_GROUP: Self = Self(0x2e);
    /// The first of the controller-specific OEM codes `30h..=3Eh`.
    pub const CONTROLLER_OEM_FIRST: Self = Self(0x30);

    /// The code in the low six bits of `raw`; the upper two are ignored.
    #[must_use]
    pub const fn new(raw: u8) -> Self {
        Self(raw & 0x3f)
    }

    /// The six-bit code.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether this is a response code (odd).
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & 1 == 1
    }

    /// The request code of this pair.
    #[must_use]
    pub const fn request(self) -> Self {
        Self(self.0 & 0x3e)
    }

    /// The response code of this pair.
    #[must_use]
    pub const fn response(self) -> Self {
        Self(self.0 | 1)
    }

    /// Whether the code belongs to the controller's maker (`30h..=3Fh`).
    #[must_use]
    pub const fn is_controller_oem(self) -> bool {
        self.0 >= Self::CONTROLLER_OEM_FIRST.0
    }

    /// How many data bytes name the body that defined the command, and are repeated at the front of every response:
    /// 1 for the group extension, 3 for the OEM group, else 0 (IPMI 2.0 table 5-1).
    #[must_use]
    pub const fn body_id_len(self) -> usize {
        match self.request() {
            Self::GROUP => 1,
            Self::OEM_GROUP => 3,
            _ => 0,
        }
    }

    /// The name that the specification uses for the request of the pair.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.request() {
            Self::CHASSIS => "Chassis",
            Self::BRIDGE => "Bridge",
            Self::SENSOR_EVENT => "Sensor/Event",
            Self::APP => "App",
            Self::FIRMWARE => "Firmware",
            Self::STORAGE => "Storage",
            Self::TRANSPORT => "Transport",
            Self::GROUP => "Group Extension",
            Self::OEM_GROUP => "OEM/Group",
            f if f.is_controller_oem() => "Controller-specific OEM",
            _ => "Reserved",
        }
    }
}

impl fmt::Debug for NetFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetFn({:#04x} {})", self.0, self.name())
    }
}

impl fmt::Display for NetFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}h", self.0)
    }
}
