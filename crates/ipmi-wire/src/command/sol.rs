//! Serial over LAN: its configuration parameters (IPMI 2.0 §26.2 to §26.4).

use alloc::vec::Vec;

use crate::command::boot::SetInProgress;
use crate::command::{Payload, bit, command, flag};
use crate::{CompletionCode, DecodeError, PrivilegeLevel, Reader, Writer};

/// The revision of the parameters that Get SOL Configuration Parameters reports: 1.1, which is also the oldest that it is compatible with.
pub const PARAMETER_REVISION: u8 = 0x11;

impl CompletionCode {
    /// `82h` of the parameter commands: an attempt to write a parameter that can only be read.
    pub const PARAMETER_READ_ONLY: Self = Self(0x82);
}

/// Set SOL Configuration Parameters (IPMI 2.0 §26.2). The answer carries no data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSolConfiguration {
    /// The channel, 0 to 15.
    pub channel: u8,
    /// What to write.
    pub value: SolParameter,
}

command!(SetSolConfiguration, TRANSPORT, 0x21, "Set SOL Configuration Parameters", ());

impl Payload for SetSolConfiguration {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        let parameter = r.u8()?;
        Ok(Self { channel, value: SolParameter::read(parameter, r)? })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f).u8(self.value.parameter());
        self.value.write(w);
    }
}

/// Get SOL Configuration Parameters (IPMI 2.0 §26.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetSolConfiguration {
    /// Only the revision is wanted.
    pub revision_only: bool,
    /// The channel, 0 to 15.
    pub channel: u8,
    /// The parameter's number.
    pub parameter: u8,
    /// Which set of the parameter; none has several.
    pub set_selector: u8,
    /// Which block of the set; none has several.
    pub block_selector: u8,
}

command!(GetSolConfiguration, TRANSPORT, 0x22, "Get SOL Configuration Parameters", SolConfiguration);

impl Payload for GetSolConfiguration {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let first = r.u8()?;
        Ok(Self {
            revision_only: bit(first, 7),
            channel: first & 0x0f,
            parameter: r.u8()?,
            set_selector: r.u8()?,
            block_selector: r.u8()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.revision_only, 7) | self.channel & 0x0f).u8(self.parameter);
        w.u8(self.set_selector).u8(self.block_selector);
    }
}

/// The answer to [`GetSolConfiguration`]. Which parameter it is only the request tells, so the value stays as bytes here; see
/// [`SolParameter::decode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolConfiguration {
    /// [`PARAMETER_REVISION`].
    pub revision: u8,
    /// The value's bytes; none when only the revision was wanted.
    pub value: Vec<u8>,
}

impl Payload for SolConfiguration {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { revision: r.u8()?, value: r.rest().into() })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.revision).bytes(&self.value);
    }
}

/// A parameter with its value (IPMI 2.0 table 26-5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SolParameter {
    /// 0: guards a group of writes.
    SetInProgress(SetInProgress),
    /// 1: whether the payload can be activated.
    Enable(bool),
    /// 2: who may activate it, and how it is protected.
    Authentication {
        /// Only in sessions that encrypt.
        force_encryption: bool,
        /// Only in sessions that authenticate.
        force_authentication: bool,
        /// The lowest level that may.
        privilege: PrivilegeLevel,
    },
    /// 3: when characters are sent.
    Accumulate {
        /// How long they may wait, in units of 5 ms, 1 to 255.
        interval: u8,
        /// From how many on they do not wait.
        threshold: u8,
    },
    /// 4: how often and when a packet is sent again.
    Retry {
        /// How often, 0 to 7.
        count: u8,
        /// How long after it was sent, in units of 10 ms.
        interval: u8,
    },
    /// 5: the bit rate after a restart of the BMC, a value of [`BIT_RATES`].
    NonVolatileBitRate(u8),
    /// 6: the present bit rate, a value of [`BIT_RATES`].
    VolatileBitRate(u8),
    /// 7: the channel that the payload is on. Can only be read.
    Channel(u8),
    /// 8: the UDP port of the payload.
    Port(u16),
    /// A parameter that this crate does not know.
    Other {
        /// Its number, 9 to 255.
        parameter: u8,
        /// Its bytes.
        data: Vec<u8>,
    },
}

/// The bit rates: as the serial port itself is set, 9600, 19200, 38400, 57600 and 115200 bit/s (IPMI 2.0 table 26-5).
pub const BIT_RATES: [u8; 6] = [0, 6, 7, 8, 9, 10];

impl SolParameter {
    /// The parameter's number.
    #[must_use]
    pub const fn parameter(&self) -> u8 {
        match self {
            Self::SetInProgress(_) => 0,
            Self::Enable(_) => 1,
            Self::Authentication { .. } => 2,
            Self::Accumulate { .. } => 3,
            Self::Retry { .. } => 4,
            Self::NonVolatileBitRate(_) => 5,
            Self::VolatileBitRate(_) => 6,
            Self::Channel(_) => 7,
            Self::Port(_) => 8,
            Self::Other { parameter, .. } => *parameter,
        }
    }

    /// The value of the parameter with this number from its bytes, as [`SolConfiguration::value`] has them.
    ///
    /// # Errors
    /// As [`Payload::decode`].
    pub fn decode(parameter: u8, value: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(value);
        let value = Self::read(parameter, &mut r)?;
        r.finish()?;
        Ok(value)
    }

    /// The bytes of the value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.into_vec()
    }

    fn read(parameter: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match parameter {
            0 => Self::SetInProgress(match r.u8()? & 3 {
                0 => SetInProgress::Complete,
                1 => SetInProgress::InProgress,
                2 => SetInProgress::Commit,
                raw => return Err(DecodeError::value("set in progress", raw)),
            }),
            1 => Self::Enable(bit(r.u8()?, 0)),
            2 => {
                let byte = r.u8()?;
                let privilege = match PrivilegeLevel::try_from(byte & 0x0f)? {
                    PrivilegeLevel::Callback => return Err(DecodeError::value("SOL privilege level", byte)),
                    level => level,
                };
                Self::Authentication {
                    force_encryption: bit(byte, 7),
                    force_authentication: bit(byte, 6),
                    privilege,
                }
            }
            3 => {
                let [interval, threshold] = r.array()?;
                if interval == 0 {
                    return Err(DecodeError::value("character accumulate interval", interval));
                }
                Self::Accumulate { interval, threshold }
            }
            4 => Self::Retry { count: r.u8()? & 0x07, interval: r.u8()? },
            5 => Self::NonVolatileBitRate(bit_rate(r)?),
            6 => Self::VolatileBitRate(bit_rate(r)?),
            7 => Self::Channel(r.u8()? & 0x0f),
            8 => Self::Port(r.u16_le()?),
            _ => Self::Other { parameter, data: r.rest().into() },
        })
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::SetInProgress(state) => w.u8(*state as u8),
            Self::Enable(on) => w.u8(flag(*on, 0)),
            Self::Authentication { force_encryption, force_authentication, privilege } => {
                w.u8(flag(*force_encryption, 7) | flag(*force_authentication, 6) | privilege.get())
            }
            Self::Accumulate { interval, threshold } => w.u8(*interval).u8(*threshold),
            Self::Retry { count, interval } => w.u8(count & 0x07).u8(*interval),
            Self::NonVolatileBitRate(rate) | Self::VolatileBitRate(rate) => w.u8(rate & 0x0f),
            Self::Channel(channel) => w.u8(channel & 0x0f),
            Self::Port(port) => w.u16_le(*port),
            Self::Other { data, .. } => w.bytes(data),
        };
    }
}

fn bit_rate(r: &mut Reader<'_>) -> Result<u8, DecodeError> {
    let rate = r.u8()? & 0x0f;
    if BIT_RATES.contains(&rate) { Ok(rate) } else { Err(DecodeError::value("bit rate", rate)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn requests_as_ipmitool_sends_them() {
        let get = GetSolConfiguration {
            revision_only: false,
            channel: 0x0e,
            parameter: 4,
            set_selector: 0,
            block_selector: 0,
        };
        golden(&get, "0e 04 00 00", &[]);
        golden(
            &SolConfiguration { revision: PARAMETER_REVISION, value: [7, 50].into() },
            "11 07 32",
            &(1..23).collect::<Vec<_>>(),
        );
        for (value, hex) in [
            (SolParameter::SetInProgress(SetInProgress::Commit), "0e 00 02"),
            (SolParameter::Enable(true), "0e 01 01"),
            (
                SolParameter::Authentication {
                    force_encryption: true,
                    force_authentication: false,
                    privilege: PrivilegeLevel::Operator,
                },
                "0e 02 83",
            ),
            (SolParameter::Accumulate { interval: 12, threshold: 96 }, "0e 03 0c 60"),
            (SolParameter::Retry { count: 7, interval: 50 }, "0e 04 07 32"),
            (SolParameter::NonVolatileBitRate(10), "0e 05 0a"),
            (SolParameter::VolatileBitRate(6), "0e 06 06"),
            (SolParameter::Channel(1), "0e 07 01"),
            (SolParameter::Port(623), "0e 08 6f 02"),
        ] {
            assert_eq!(SolParameter::decode(value.parameter(), &value.encode()), Ok(value.clone()));
            // Zeros behind the number are a value of most parameters, so only the exact bytes and other lengths are tried.
            let bytes = hex::decode(hex.replace(' ', "")).unwrap();
            let set = SetSolConfiguration { channel: 0x0e, value };
            assert_eq!(set.encode(), bytes);
            assert_eq!(SetSolConfiguration::decode(&bytes), Ok(set));
            for n in 0..bytes.len() {
                assert_eq!(SetSolConfiguration::decode(&bytes[..n]), Err(DecodeError::Truncated), "{n}");
            }
            let long = [bytes, [0].into()].concat();
            assert_eq!(SetSolConfiguration::decode(&long), Err(DecodeError::Trailing));
        }
    }

    #[test]
    fn undefined_values_are_refused() {
        for bytes in
            [&[1, 0, 3][..], &[1, 2, 0x80], &[1, 2, 1], &[1, 2, 6], &[1, 3, 0, 9], &[1, 5, 1], &[1, 6, 11]]
        {
            let read = SetSolConfiguration::decode(bytes);
            assert!(matches!(read, Err(DecodeError::Value { .. })), "{bytes:?}: {read:?}");
        }
        for parameter in 0..=255 {
            stable::<SetSolConfiguration>(&[1, parameter, 0x03, 0x02]);
            stable::<SetSolConfiguration>(&[1, parameter, 0x03]);
        }
    }
}
