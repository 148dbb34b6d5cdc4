//! The keys of a channel (IPMI 2.0 §22.25).

use alloc::vec::Vec;

use crate::command::{Payload, command};
use crate::{CompletionCode, DecodeError, Reader, Writer};

/// Length of K_R and K_G in bytes.
pub const CHANNEL_KEY_LEN: usize = 20;

/// Set Channel Security Keys, which also reads them (IPMI 2.0 §22.25).
#[derive(Clone, PartialEq, Eq)]
pub struct SetChannelSecurityKeys {
    /// The channel, 0 to 15; see [`super::channel::PRESENT_CHANNEL`].
    pub channel: u8,
    /// What to do.
    pub operation: KeyOperation,
    /// With which key.
    pub key: ChannelKey,
}

// By hand: the request may carry a key.
impl core::fmt::Debug for SetChannelSecurityKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let operation = match self.operation {
            KeyOperation::Read => "read",
            KeyOperation::Set(_) => "set",
            KeyOperation::Lock => "lock",
        };
        write!(f, "SetChannelSecurityKeys({} {:?} of channel {})", operation, self.key, self.channel)
    }
}

impl SetChannelSecurityKeys {
    /// The key is locked.
    pub const LOCKED: CompletionCode = CompletionCode(0x80);
    /// The key is shorter than [`CHANNEL_KEY_LEN`].
    pub const TOO_SHORT: CompletionCode = CompletionCode(0x81);
    /// The key is longer than [`CHANNEL_KEY_LEN`].
    pub const TOO_LONG: CompletionCode = CompletionCode(0x82);
}

/// What to do with a key.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyOperation {
    /// Tell it.
    Read,
    /// Set it to these bytes, whose number the receiver has to judge.
    Set(Vec<u8>),
    /// Let it be neither told nor set any more.
    Lock,
}

/// A key of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ChannelKey {
    /// K_R, for the random number of RAKP 2.
    R = 0,
    /// K_G, the BMC's key of two-key logins.
    G = 1,
}

command!(SetChannelSecurityKeys, APP, 0x56, "Set Channel Security Keys", ChannelSecurityKeys);

impl Payload for SetChannelSecurityKeys {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let channel = r.u8()? & 0x0f;
        let operation = r.u8()? & 0x03;
        let key = match r.u8()? {
            0 => ChannelKey::R,
            1 => ChannelKey::G,
            id => return Err(DecodeError::value("key id", id)),
        };
        let operation = match operation {
            0 => KeyOperation::Read,
            1 => KeyOperation::Set(r.rest().into()),
            2 => KeyOperation::Lock,
            operation => return Err(DecodeError::value("operation", operation)),
        };
        Ok(Self { channel, operation, key })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.channel & 0x0f);
        let (operation, value) = match &self.operation {
            KeyOperation::Read => (0, &[][..]),
            KeyOperation::Set(value) => (1, value.as_slice()),
            KeyOperation::Lock => (2, &[][..]),
        };
        w.u8(operation).u8(self.key as u8).bytes(value);
    }
}

/// Whether a key can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyLock {
    /// Always.
    NotLockable = 0,
    /// No more.
    Locked = 1,
    /// Until it is locked.
    Unlocked = 2,
}

/// The answer to [`SetChannelSecurityKeys`].
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelSecurityKeys {
    /// Whether the key is locked now.
    pub lock: KeyLock,
    /// The key, when it was asked for.
    pub value: Option<[u8; CHANNEL_KEY_LEN]>,
}

impl core::fmt::Debug for ChannelSecurityKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ChannelSecurityKeys").field("lock", &self.lock).finish_non_exhaustive()
    }
}

impl Payload for ChannelSecurityKeys {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let lock = match r.u8()? & 0x03 {
            0 => KeyLock::NotLockable,
            1 => KeyLock::Locked,
            2 => KeyLock::Unlocked,
            lock => return Err(DecodeError::value("lock status", lock)),
        };
        let value = if r.is_empty() { None } else { Some(r.array()?) };
        Ok(Self { lock, value })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.lock as u8);
        if let Some(value) = &self.value {
            w.bytes(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    #[test]
    fn keys() {
        let read = SetChannelSecurityKeys { channel: 1, operation: KeyOperation::Read, key: ChannelKey::G };
        golden(&read, "01 00 01", &[]);
        golden(&SetChannelSecurityKeys { operation: KeyOperation::Lock, ..read.clone() }, "01 02 01", &[]);
        let operation = KeyOperation::Set([0x5a; CHANNEL_KEY_LEN].into());
        let set = SetChannelSecurityKeys { operation, key: ChannelKey::R, ..read };
        assert_eq!(hex::encode(set.encode()), format!("010100{}", "5a".repeat(20)));
        for length in [3, 4, 22, 23, 24, 40] {
            let mut bytes = set.encode();
            bytes.resize(length, 0);
            assert!(SetChannelSecurityKeys::decode(&bytes).is_ok(), "the receiver judges the length");
        }
        assert!(!format!("{set:?}").contains("90"), "{set:?}");
        assert!(SetChannelSecurityKeys::decode(&[1, 3, 1]).is_err());
        assert!(SetChannelSecurityKeys::decode(&[1, 0, 2]).is_err());

        golden(&ChannelSecurityKeys { lock: KeyLock::Locked, value: None }, "01", &[21]);
        let told = ChannelSecurityKeys { lock: KeyLock::Unlocked, value: Some([0x5a; CHANNEL_KEY_LEN]) };
        golden(&told, &format!("02 {}", "5a".repeat(20)), &[1]);
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..30)) {
            stable::<SetChannelSecurityKeys>(&bytes);
            stable::<ChannelSecurityKeys>(&bytes);
        }
    }
}
