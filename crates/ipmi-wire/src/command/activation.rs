//! Payloads of a session: switching them on and off, and who has them (IPMI 2.0 §24.1, §24.2, §24.4, §24.5).

use crate::command::{Payload, command};
use crate::{CompletionCode, DecodeError, Reader, Writer};

/// The payload type of Serial over LAN (IPMI 2.0 table 13-16).
pub const SOL: u8 = 1;

/// Bits of the first byte of [`ActivatePayload::aux`] for Serial over LAN (IPMI 2.0 table 24-2).
pub mod sol_aux {
    /// The payload is to be encrypted.
    pub const ENCRYPTION: u8 = 0x80;
    /// The payload is to be authenticated.
    pub const AUTHENTICATION: u8 = 0x40;
    /// A test mode is asked for.
    pub const TEST_MODE: u8 = 0x20;
}

impl CompletionCode {
    /// `80h` of Activate Payload: another session has the instance (IPMI 2.0 §24.1).
    pub const PAYLOAD_ACTIVE_ELSEWHERE: Self = Self(0x80);
    /// `80h` of Deactivate Payload: it is not active (IPMI 2.0 §24.2).
    pub const PAYLOAD_NOT_ACTIVE: Self = Self(0x80);
    /// `81h` of both: payloads of this type are switched off.
    pub const PAYLOAD_DISABLED: Self = Self(0x81);
    /// `82h` of Activate Payload: no more instances than there are can be active.
    pub const PAYLOAD_LIMIT: Self = Self(0x82);
    /// `83h` of Activate Payload: encryption is asked for and cannot be had.
    pub const PAYLOAD_NOT_WITH_ENCRYPTION: Self = Self(0x83);
    /// `84h` of Activate Payload: it is to be encrypted.
    pub const PAYLOAD_NOT_WITHOUT_ENCRYPTION: Self = Self(0x84);
}

/// Activate Payload (IPMI 2.0 §24.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivatePayload {
    /// The payload type, 0 to 63.
    pub payload_type: u8,
    /// Which instance of it, 1 to 15; 0 names none.
    pub instance: u8,
    /// What the payload type defines; for Serial over LAN see [`sol_aux`].
    pub aux: [u8; 4],
}

command!(ActivatePayload, APP, 0x48, "Activate Payload", PayloadActivated);

impl Payload for ActivatePayload {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { payload_type: r.u8()? & 0x3f, instance: r.u8()? & 0x0f, aux: r.array()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.payload_type & 0x3f).u8(self.instance & 0x0f).bytes(&self.aux);
    }
}

/// The answer to [`ActivatePayload`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadActivated {
    /// What the payload type defines; for Serial over LAN bit 0 of the first byte says that test mode is on.
    pub aux: [u8; 4],
    /// The longest payload, in bytes, that the BMC takes.
    pub inbound_size: u16,
    /// The longest payload, in bytes, that the BMC sends.
    pub outbound_size: u16,
    /// The UDP port of the payload.
    pub port: u16,
    /// The VLAN of the payload; [`PayloadActivated::NO_VLAN`] for none.
    pub vlan: u16,
}

impl PayloadActivated {
    /// The payload is in no VLAN.
    pub const NO_VLAN: u16 = 0xffff;
}

impl Payload for PayloadActivated {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            aux: r.array()?,
            inbound_size: r.u16_le()?,
            outbound_size: r.u16_le()?,
            port: r.u16_le()?,
            vlan: r.u16_le()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.bytes(&self.aux).u16_le(self.inbound_size).u16_le(self.outbound_size);
        w.u16_le(self.port).u16_le(self.vlan);
    }
}

/// Deactivate Payload (IPMI 2.0 §24.2). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeactivatePayload {
    /// The payload type, 0 to 63.
    pub payload_type: u8,
    /// Which instance of it, 1 to 15; 0 names none.
    pub instance: u8,
    /// What the payload type defines; Serial over LAN defines nothing.
    pub aux: [u8; 4],
}

command!(DeactivatePayload, APP, 0x49, "Deactivate Payload", ());

impl Payload for DeactivatePayload {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { payload_type: r.u8()? & 0x3f, instance: r.u8()? & 0x0f, aux: r.array()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.payload_type & 0x3f).u8(self.instance & 0x0f).bytes(&self.aux);
    }
}

/// Get Payload Activation Status (IPMI 2.0 §24.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetPayloadActivationStatus {
    /// The payload type, 0 to 63.
    pub payload_type: u8,
}

command!(GetPayloadActivationStatus, APP, 0x4a, "Get Payload Activation Status", PayloadActivationStatus);

impl Payload for GetPayloadActivationStatus {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { payload_type: r.u8()? & 0x3f })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.payload_type & 0x3f);
    }
}

/// The answer to [`GetPayloadActivationStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadActivationStatus {
    /// How many instances there can be, 1 to 15.
    pub capacity: u8,
    /// Bit `n` is set when instance `n + 1` is active.
    pub active: u16,
}

impl Payload for PayloadActivationStatus {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { capacity: r.u8()? & 0x0f, active: r.u16_le()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.capacity & 0x0f).u16_le(self.active);
    }
}

/// Get Payload Instance Info (IPMI 2.0 §24.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetPayloadInstanceInfo {
    /// The payload type, 0 to 63.
    pub payload_type: u8,
    /// Which instance of it, 1 to 15; 0 names none.
    pub instance: u8,
}

command!(GetPayloadInstanceInfo, APP, 0x4b, "Get Payload Instance Info", PayloadInstanceInfo);

impl Payload for GetPayloadInstanceInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { payload_type: r.u8()? & 0x3f, instance: r.u8()? & 0x0f })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.payload_type & 0x3f).u8(self.instance & 0x0f);
    }
}

/// The answer to [`GetPayloadInstanceInfo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadInstanceInfo {
    /// The BMC's id of the session that has the instance; 0 when it is not active.
    pub session_id: u32,
    /// What the payload type defines; the first byte of Serial over LAN is the number of the serial port.
    pub info: [u8; 8],
}

impl Payload for PayloadInstanceInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { session_id: r.u32_le()?, info: r.array()? })
    }

    fn write(&self, w: &mut Writer) {
        w.u32_le(self.session_id).bytes(&self.info);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::golden;

    #[test]
    fn activation_as_ipmitool_and_freeipmi_send_it() {
        // ipmitool asks for encryption, authentication, deferred alerts and no CTS yet; FreeIPMI for the first two.
        golden(
            &ActivatePayload { payload_type: SOL, instance: 1, aux: [0xc6, 0, 0, 0] },
            "01 01 c6 00 00 00",
            &[],
        );
        golden(&DeactivatePayload { payload_type: SOL, instance: 1, aux: [0; 4] }, "01 01 00 00 00 00", &[]);
        golden(
            &PayloadActivated {
                aux: [0; 4],
                inbound_size: 200,
                outbound_size: 259,
                port: 623,
                vlan: PayloadActivated::NO_VLAN,
            },
            "00 00 00 00 c8 00 03 01 6f 02 ff ff",
            &[],
        );
    }

    #[test]
    fn status_and_instance() {
        golden(&GetPayloadActivationStatus { payload_type: SOL }, "01", &[]);
        golden(&PayloadActivationStatus { capacity: 1, active: 1 }, "01 01 00", &[]);
        golden(&GetPayloadInstanceInfo { payload_type: SOL, instance: 1 }, "01 01", &[]);
        golden(
            &PayloadInstanceInfo { session_id: 0x0a0b_0c0d, info: [1, 0, 0, 0, 0, 0, 0, 0] },
            "0d 0c 0b 0a 01 00 00 00 00 00 00 00",
            &[],
        );
    }
}
