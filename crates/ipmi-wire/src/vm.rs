//! The protocol between a virtual machine's IPMI device and a BMC outside of the emulator: QEMU's `ipmi-bmc-extern` on the one side; on the
//! other what plays the BMC. It is the codec `VM` of `ipmi_sim` (OpenIPMI, `lanserv/serial_ipmi.c`), over a stream of bytes.
//!
//! ```text
//! message:  sequence | netFn/LUN | cmd | data...   | checksum | A0h      both ways; a response's data begin with the completion code
//! command:  code     | argument                               | A1h      what is no IPMI message: attention, power, versions
//! ```
//!
//! `A0h`, `A1h` and `AAh` inside of either travel as `AAh` and the byte with bit 4 set. The checksum makes the sum of all bytes of a
//! message zero. Sequence numbers are the machine's, and come back as they were.

use alloc::vec::Vec;

use crate::message::checksum;
use crate::{DecodeError, NetFn, Reader, Writer};

/// Ends a message.
pub const END_OF_MESSAGE: u8 = 0xa0;
/// Ends a command.
pub const END_OF_COMMAND: u8 = 0xa1;
/// Bit 4 of the next byte is to be cleared.
pub const ESCAPE: u8 = 0xaa;
/// The bit that an escaped byte travels with.
const ESCAPED: u8 = 0x10;
/// The version of the protocol that there is.
pub const VERSION: u8 = 1;

/// Most bytes of a message's network function, command and data together: those of QEMU's devices (`MAX_IPMI_MSG_SIZE`).
pub const MESSAGE_MAX: usize = 300;
/// Most bytes of a frame without its escapes and its end: a sequence number, a message and a checksum.
pub const FRAME_MAX: usize = 302;
/// Sequence number, network function, command and checksum.
const OVERHEAD: usize = 4;

/// An IPMI message. What of its data is a completion code its direction tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The machine's number for the request, the same in the response.
    pub sequence: u8,
    /// The network function: even in a request, odd in a response.
    pub netfn: NetFn,
    /// The logical unit, 0 to 3.
    pub lun: u8,
    /// The command.
    pub cmd: u8,
    /// The data; in a response the completion code and what follows it.
    pub data: Vec<u8>,
}

impl Message {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() < OVERHEAD {
            return Err(DecodeError::Truncated);
        }
        if checksum(bytes) != 0 {
            return Err(DecodeError::Checksum);
        }
        let mut r = Reader::new(bytes);
        let [sequence, netfn_lun, cmd] = r.array()?;
        let (data, _) = r.rest().split_last_chunk::<1>().ok_or(DecodeError::Truncated)?;
        Ok(Self { sequence, netfn: NetFn::new(netfn_lun >> 2), lun: netfn_lun & 3, cmd, data: data.into() })
    }

    /// Whether the other side has room for it: [`MESSAGE_MAX`].
    #[must_use]
    pub fn fits(&self) -> bool {
        self.data.len().saturating_add(2) <= MESSAGE_MAX
    }

    /// The bytes that travel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(self.data.len().saturating_add(OVERHEAD));
        w.u8(self.sequence).u8(self.netfn.get() << 2 | self.lun & 3).u8(self.cmd).bytes(&self.data);
        let check = checksum(w.as_slice());
        w.u8(check);
        frame(w.as_slice(), END_OF_MESSAGE)
    }
}

/// What a machine's device can do, as it tells the BMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(pub u8);

impl Capabilities {
    /// Its power can be removed: [`Command::PowerOff`].
    pub const POWER: u8 = 0x01;
    /// It can be reset: [`Command::Reset`].
    pub const RESET: u8 = 0x02;
    /// Its interrupt can be switched: [`Command::EnableInterrupt`].
    pub const INTERRUPT: u8 = 0x04;
    /// It takes non-maskable interrupts: [`Command::Nmi`].
    pub const NMI: u8 = 0x08;
    /// It shows attention: [`Command::Attention`].
    pub const ATTENTION: u8 = 0x10;
    /// It can be asked to shut down: [`Command::GracefulShutdown`].
    pub const GRACEFUL_SHUTDOWN: u8 = 0x20;

    /// Whether all of these are there.
    #[must_use]
    pub const fn has(self, all: u8) -> bool {
        self.0 & all == all
    }
}

/// What travels beside messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// To the machine: nothing waits (any longer).
    NoAttention,
    /// To the machine: a message flag is set, which its device shows in a status bit.
    Attention,
    /// The same, with an interrupt.
    AttentionInterrupt,
    /// To the machine: its power goes.
    PowerOff,
    /// To the machine: it is to be reset. From the machine: it was reset.
    Reset,
    /// To the machine: its device may interrupt for answers.
    EnableInterrupt,
    /// To the machine: it may not.
    DisableInterrupt,
    /// To the machine: a non-maskable interrupt.
    Nmi,
    /// From the machine: what its device can do.
    Capabilities(Capabilities),
    /// To the machine: its operating system is to shut down (of a later date than the others).
    GracefulShutdown,
    /// The first word of either side: the version of the protocol, [`VERSION`].
    Version(u8),
    /// One that this crate does not know.
    Other(u8),
}

impl Command {
    const CAPABILITIES: u8 = 0x08;
    const VERSION: u8 = 0xff;
    /// Those without an argument, at their codes.
    const PLAIN: [(u8, Self); 9] = [
        (0x00, Self::NoAttention),
        (0x01, Self::Attention),
        (0x02, Self::AttentionInterrupt),
        (0x03, Self::PowerOff),
        (0x04, Self::Reset),
        (0x05, Self::EnableInterrupt),
        (0x06, Self::DisableInterrupt),
        (0x07, Self::Nmi),
        (0x09, Self::GracefulShutdown),
    ];

    /// Arguments that are not there are an error, more than there should be are passed over, as the other programs do.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let code = r.u8()?;
        Ok(match code {
            Self::CAPABILITIES => Self::Capabilities(Capabilities(r.u8()?)),
            Self::VERSION => Self::Version(r.u8()?),
            _ => {
                let plain = Self::PLAIN.iter().find(|(plain, _)| *plain == code);
                plain.map_or(Self::Other(code), |(_, command)| *command)
            }
        })
    }

    /// The bytes that travel.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let plain = || Self::PLAIN.iter().find(|(_, command)| *command == self).map_or(0, |(code, _)| *code);
        match self {
            Self::Capabilities(Capabilities(bits)) => frame(&[Self::CAPABILITIES, bits], END_OF_COMMAND),
            Self::Version(version) => frame(&[Self::VERSION, version], END_OF_COMMAND),
            Self::Other(code) => frame(&[code], END_OF_COMMAND),
            _ => frame(&[plain()], END_OF_COMMAND),
        }
    }
}

fn frame(bytes: &[u8], end: u8) -> Vec<u8> {
    let mut w = Writer::with_capacity(bytes.len().saturating_add(OVERHEAD));
    for byte in bytes {
        match *byte {
            END_OF_MESSAGE | END_OF_COMMAND | ESCAPE => w.u8(ESCAPE).u8(*byte | ESCAPED),
            plain => w.u8(plain),
        };
    }
    w.u8(end);
    w.into_vec()
}

/// What a [`Decoder`] has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Message(Message),
    /// A command.
    Command(Command),
}

/// Takes a stream apart, byte for byte. After an error it goes on with the next frame; it never keeps more than [`FRAME_MAX`] bytes.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    escaped: bool,
    too_long: bool,
}

impl Decoder {
    /// Takes the next byte; returns what it ends, or why what it ends is none.
    ///
    /// # Errors
    /// `Length` for a frame of more than [`FRAME_MAX`] bytes, `Truncated` for one that is too short or ends within an escape, `Checksum`.
    pub fn push(&mut self, byte: u8) -> Option<Result<Frame, DecodeError>> {
        match byte {
            END_OF_MESSAGE | END_OF_COMMAND => {
                let Self { bytes, escaped, too_long } = core::mem::take(self);
                if bytes.is_empty() && !escaped {
                    return None;
                }
                Some(match (too_long, escaped) {
                    (true, _) => Err(DecodeError::Length),
                    (_, true) => Err(DecodeError::Truncated),
                    _ if byte == END_OF_MESSAGE => Message::decode(&bytes).map(Frame::Message),
                    _ => Command::decode(&bytes).map(Frame::Command),
                })
            }
            ESCAPE => {
                self.escaped = true;
                None
            }
            _ => {
                let escaped = core::mem::take(&mut self.escaped);
                if self.bytes.len() < FRAME_MAX {
                    self.bytes.push(if escaped { byte & !ESCAPED } else { byte });
                } else {
                    self.too_long = true;
                }
                None
            }
        }
    }

    /// How many bytes of an unfinished frame are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> Vec<Result<Frame, DecodeError>> {
        let mut decoder = Decoder::default();
        bytes.iter().filter_map(|byte| decoder.push(*byte)).collect()
    }

    fn golden(frame: &Frame, hex: &str) {
        let bytes = hex::decode(hex.replace(' ', "")).unwrap();
        let encoded = match frame {
            Frame::Message(message) => message.encode(),
            Frame::Command(command) => command.encode(),
        };
        assert_eq!(hex::encode(encoded), hex::encode(&bytes), "{frame:?}");
        assert_eq!(decode(&bytes), [Ok(frame.clone())]);
    }

    fn message(sequence: u8, netfn: NetFn, cmd: u8, data: &[u8]) -> Frame {
        Frame::Message(Message { sequence, netfn, lun: 0, cmd, data: data.into() })
    }

    #[test]
    fn messages() {
        // Get Device ID as QEMU sends it for Linux, and an answer.
        golden(&message(0x00, NetFn::APP, 0x01, &[]), "00 18 01 e7 a0");
        golden(&message(0x05, NetFn::APP.response(), 0x01, &[0x00, 0x20]), "05 1c 01 00 20 be a0");
        // Every byte that has to be escaped, as a sequence number, as data and as a checksum.
        golden(&message(0xa0, NetFn::APP, 0x35, &[0xa1, 0xaa]), "aab0 18 35 aab1 aaba c8 a0");
        golden(&message(0x40, NetFn::APP, 0x08, &[]), "40 18 08 aab0 a0");
        let on_lun = Message { sequence: 1, netfn: NetFn::APP, lun: 2, cmd: 1, data: vec![] };
        golden(&Frame::Message(on_lun), "01 1a 01 e4 a0");
    }

    #[test]
    fn commands() {
        // QEMU's first words.
        golden(&Frame::Command(Command::Version(1)), "ff 01 a1");
        golden(&Frame::Command(Command::Capabilities(Capabilities(0x3f))), "08 3f a1");
        for (code, command) in Command::PLAIN {
            golden(&Frame::Command(command), &hex::encode([code, 0xa1]));
        }
        golden(&Frame::Command(Command::Other(0x20)), "20 a1");
        assert!(Capabilities(0x3f).has(Capabilities::NMI | Capabilities::ATTENTION));
        assert!(!Capabilities(0x1f).has(Capabilities::GRACEFUL_SHUTDOWN));
    }

    #[test]
    fn what_is_broken_is_refused_and_what_follows_is_read() {
        let good = message(1, NetFn::APP, 0x01, &[]);
        let Frame::Message(bytes) = &good else { unreachable!() };
        let bytes = bytes.encode();
        for (broken, error) in [
            (&[0x01, 0x18, 0x01, 0x00, 0xa0][..], DecodeError::Checksum),
            (&[0x01, 0x18, 0xe7, 0xa0], DecodeError::Truncated),
            (&[0x01, 0x18, 0x01, 0xaa, 0xa0], DecodeError::Truncated),
            (&[0xaa, 0xa1], DecodeError::Truncated),
            (&[0x08, 0xa1], DecodeError::Truncated),
            (&[0xff, 0xa1], DecodeError::Truncated),
        ] {
            let read = decode(&[broken, &bytes].concat());
            assert_eq!(read, [Err(error), Ok(good.clone())], "{broken:02x?}");
        }
        // Ends without a beginning are nothing.
        assert_eq!(decode(&[0xa0, 0xa1, 0xa0]), []);
    }

    #[test]
    fn a_frame_has_a_longest() {
        let longest = message(1, NetFn::APP, 0x01, &[0xaa; MESSAGE_MAX - 2]);
        let Frame::Message(message) = &longest else { unreachable!() };
        assert!(message.fits());
        assert_eq!(decode(&message.encode()), [Ok(longest.clone())]);
        let longer = Message { data: vec![0; MESSAGE_MAX - 1], ..message.clone() };
        assert!(!longer.fits());
        assert_eq!(decode(&longer.encode()), [Err(DecodeError::Length)]);
        let mut decoder = Decoder::default();
        for _ in 0..100_000 {
            assert_eq!(decoder.push(0x55), None);
            assert!(decoder.kept() <= FRAME_MAX);
        }
        assert_eq!(decoder.push(END_OF_COMMAND), Some(Err(DecodeError::Length)));
    }

    proptest! {
        #[test]
        fn messages_come_back(
            sequence: u8, netfn: u8, lun in 0..4_u8, cmd: u8, data in prop::collection::vec(any::<u8>(), 0..MESSAGE_MAX - 2)
        ) {
            let message = Message { sequence, netfn: NetFn::new(netfn), lun, cmd, data };
            prop_assert_eq!(decode(&message.encode()), [Ok(Frame::Message(message))]);
        }

        #[test]
        fn any_stream_is_read(bytes in prop::collection::vec(any::<u8>(), 0..1024)) {
            for frame in decode(&bytes).into_iter().flatten() {
                let again = match &frame {
                    Frame::Message(message) => message.encode(),
                    Frame::Command(command) => command.encode(),
                };
                prop_assert_eq!(decode(&again), [Ok(frame)]);
            }
        }
    }
}
