//! Requests and responses of single commands, grouped by network function.
//!
//! A command is a type that implements [`Command`]: the request with its typed fields, and behind
//! [`Command::Response`] what comes back after a completion code of `00h`. Both sides read and write both.
//!
//! Reading is strict about lengths (a wrong one is `C7h`) and about values that a field does not define (`CCh`), and
//! lenient about reserved bits: clients in the field leave rubbish in them, and a BMC is to ignore it.

use alloc::vec::Vec;

use crate::{DecodeError, NetFn, Reader, Writer};

pub mod access;
pub mod activation;
pub mod app;
pub mod boot;
pub mod channel;
pub mod chassis;
pub mod dcmi;
pub mod event;
pub mod fru;
pub mod lan;
pub mod login;
pub mod panel;
pub mod pef;
pub mod sdr;
pub mod security;
pub mod sel;
pub mod sensor;
pub mod session;
pub mod sol;
pub mod system;
pub mod system_interface;
pub mod user;
pub mod watchdog;

/// The data of a request, or of a response behind its completion code.
pub trait Payload: Sized {
    /// Takes the fields from the front of `r`. Optional trailing fields are taken when they are there.
    ///
    /// # Errors
    /// Too few bytes, or a value that the field does not define.
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Appends the fields.
    fn write(&self, w: &mut Writer);

    /// Reads the whole of `data`.
    ///
    /// # Errors
    /// As [`Payload::read`], and [`DecodeError::Trailing`] when bytes are left over.
    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(data);
        let payload = Self::read(&mut r)?;
        r.finish()?;
        Ok(payload)
    }

    /// The bytes of the fields.
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.write(&mut w);
        w.into_vec()
    }
}

/// A command: the request, and what answers it.
pub trait Command: Payload {
    /// The network function of the request.
    const NETFN: NetFn;
    /// The command code.
    const CODE: u8;
    /// The specification's name.
    const NAME: &'static str;
    /// The response data after a completion code of `00h`.
    type Response: Payload;
}

/// No data at all.
impl Payload for () {
    fn read(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }

    fn write(&self, _: &mut Writer) {}
}

/// Ties a request type to its codes and its response.
macro_rules! command {
    ($request:ty, $netfn:ident, $code:literal, $name:literal, $response:ty) => {
        impl $crate::command::Command for $request {
            const NETFN: $crate::NetFn = $crate::NetFn::$netfn;
            const CODE: u8 = $code;
            const NAME: &'static str = $name;
            type Response = $response;
        }
    };
}

/// A request without data.
macro_rules! bare_request {
    ($request:ty) => {
        impl $crate::command::Payload for $request {
            fn read(_: &mut $crate::Reader<'_>) -> Result<Self, $crate::DecodeError> {
                Ok(Self)
            }

            fn write(&self, _: &mut $crate::Writer) {}
        }
    };
}

use {bare_request, command};

/// Bit `n` of `byte`.
const fn bit(byte: u8, n: u8) -> bool {
    (byte >> (n & 7)) & 1 == 1
}

/// A byte with bit `n` as `on` says.
const fn flag(on: bool, n: u8) -> u8 {
    (on as u8) << (n & 7)
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    /// Golden bytes in both directions, and that every other length is refused. Lengths in `also` are legal too.
    pub(super) fn golden<P: Payload + PartialEq + Debug>(payload: &P, hex: &str, also: &[usize]) {
        let bytes = hex::decode(hex.replace(' ', "")).unwrap();
        assert_eq!(hex::encode(payload.encode()), hex::encode(&bytes), "{payload:?}");
        assert_eq!(P::decode(&bytes).as_ref(), Ok(payload));
        for n in 0..bytes.len() + 20 {
            let mut other = bytes.clone();
            other.resize(n, 0);
            let legal = n == bytes.len() || also.contains(&n);
            let read = P::decode(&other);
            assert_eq!(read.is_ok(), legal, "{payload:?} from {n} bytes: {read:?}");
            if let Err(error) = read {
                assert!(matches!(
                    error,
                    DecodeError::Truncated | DecodeError::Trailing | DecodeError::Length
                ));
            }
        }
    }

    /// What is decoded encodes to something that decodes to the same.
    pub(super) fn stable<P: Payload + PartialEq + Debug>(bytes: &[u8]) {
        if let Ok(payload) = P::decode(bytes) {
            assert_eq!(P::decode(&payload.encode()), Ok(payload));
        }
    }
}
