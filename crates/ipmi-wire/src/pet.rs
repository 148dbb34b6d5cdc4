//! Platform event traps: an event as a trap of SNMP version 1 (Platform Event Trap Format 1.0; IPMI 2.0 §17.17; RFC 1157 §4.1.6).
//!
//! The trap's own fields name the kind of event; its one variable carries the details. Numbers in the variable have their most significant
//! byte first, unlike everywhere else in IPMI.

use alloc::vec::Vec;

use crate::record::sel::EventMessage;
use crate::{DecodeError, Reader, Writer};

/// The UDP port of trap receivers.
pub const PORT: u16 = 162;
/// Longest community that a trap is encoded with: that of LAN parameter 16.
pub const COMMUNITY_MAX_BYTES: usize = 18;
/// 1998-01-01 00:00:00, from which traps count, in seconds since 1970.
pub const EPOCH_SECONDS: u32 = 883_612_800;
/// The UTC offset that says nothing.
pub const UTC_OFFSET_UNSPECIFIED: u16 = 0xffff;
/// Trap and event source type: a controller of IPMI 1.x and 2.0.
pub const SOURCE_IPMI: u8 = 0x20;

/// The enterprise 1.3.6.1.4.1.3183.1.1.
const ENTERPRISE: &[u8] = &[0x2b, 6, 1, 4, 1, 0x98, 0x6f, 1, 1];
/// The variable 1.3.6.1.4.1.3183.1.1.1.
const VARIABLE: &[u8] = &[0x2b, 6, 1, 4, 1, 0x98, 0x6f, 1, 1, 1];
/// SNMP version 1.
const VERSION_1: u32 = 0;
/// The generic trap that says to look at the specific one.
const ENTERPRISE_SPECIFIC: u32 = 6;
/// Ends the fields of the maker: there are none.
const NO_MORE_FIELDS: u8 = 0xc1;

/// Tags of the Basic Encoding Rules.
mod tag {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const OBJECT_ID: u8 = 0x06;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const IP_ADDRESS: u8 = 0x40;
    pub(super) const TIME_TICKS: u8 = 0x43;
    pub(super) const TRAP: u8 = 0xa4;
}

/// A trap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// The community.
    pub community: Vec<u8>,
    /// IPv4 address of the sender.
    pub agent: [u8; 4],
    /// Hundredths of a second since the sender started.
    pub uptime: u32,
    /// The event.
    pub pet: Pet,
}

/// What a trap tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pet {
    /// The system's GUID, most significant byte first.
    pub guid: [u8; 16],
    /// Numbers the trap; the same in repetitions. Never 0.
    pub sequence: u16,
    /// When, in seconds of local time since [`EPOCH_SECONDS`]; 0 is unspecified.
    pub time: u32,
    /// Minutes of local time ahead of UTC, as two's complement; or [`UTC_OFFSET_UNSPECIFIED`].
    pub utc_offset: u16,
    /// How bad: 0 unspecified, 1 monitor, 2 information, 4 OK, 8 non-critical, 10h critical, 20h non-recoverable.
    pub severity: u8,
    /// Address or software id of who saw it; FFh is unspecified.
    pub sensor_device: u8,
    /// The entity that the sensor watches, and which of its kind; 0 is unspecified.
    pub entity: [u8; 2],
    /// The event.
    pub event: EventMessage,
    /// IANA enterprise number of the controller's maker.
    pub manufacturer: u32,
    /// The maker's number of the system.
    pub system: u16,
}

impl Pet {
    /// The specific trap: type of the sensor, type of the event, direction and offset.
    #[must_use]
    pub const fn specific(&self) -> u32 {
        let event = &self.event;
        let direction = (event.deasserted as u32) << 7;
        (event.sensor_type as u32) << 16
            | ((event.event_type & 0x7f) as u32) << 8
            | direction
            | event.offset() as u32
    }

    fn variable(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.bytes(&self.guid);
        w.bytes(&self.sequence.to_be_bytes()).bytes(&self.time.to_be_bytes());
        w.bytes(&self.utc_offset.to_be_bytes());
        w.u8(SOURCE_IPMI).u8(SOURCE_IPMI).u8(self.severity);
        w.u8(self.sensor_device).u8(self.event.sensor_number).bytes(&self.entity);
        // Eight bytes of event data, of which IPMI has three.
        w.bytes(&self.event.data).bytes(&[0; 5]);
        // No language: there is no text.
        w.u8(0xff).bytes(&self.manufacturer.to_be_bytes()).bytes(&self.system.to_be_bytes());
        w.u8(NO_MORE_FIELDS);
        w.into_vec()
    }

    fn read(specific: u32, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let guid = r.array()?;
        let (sequence, time) = (u16::from_be_bytes(r.array()?), u32::from_be_bytes(r.array()?));
        let utc_offset = u16::from_be_bytes(r.array()?);
        let _sources: [u8; 2] = r.array()?;
        let severity = r.u8()?;
        let (sensor_device, sensor_number, entity) = (r.u8()?, r.u8()?, r.array()?);
        let [one, two, three, ..]: [u8; 8] = r.array()?;
        let _language = r.u8()?;
        let (manufacturer, system) = (u32::from_be_bytes(r.array()?), u16::from_be_bytes(r.array()?));
        let [_, sensor_type, kind, offset] = specific.to_be_bytes();
        let event = EventMessage {
            revision: crate::record::sel::EVM_REVISION,
            sensor_type,
            sensor_number,
            deasserted: offset & 0x80 != 0,
            event_type: kind & 0x7f,
            data: [one, two, three],
        };
        Ok(Self {
            guid,
            sequence,
            time,
            utc_offset,
            severity,
            sensor_device,
            entity,
            event,
            manufacturer,
            system,
        })
    }
}

impl Trap {
    /// The datagram. A longer community than [`COMMUNITY_MAX_BYTES`] is cut.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let variable =
            [field(tag::OBJECT_ID, VARIABLE), field(tag::OCTET_STRING, &self.pet.variable())].concat();
        let variables = field(tag::SEQUENCE, &field(tag::SEQUENCE, &variable));
        let trap = [
            field(tag::OBJECT_ID, ENTERPRISE),
            field(tag::IP_ADDRESS, &self.agent),
            number(tag::INTEGER, ENTERPRISE_SPECIFIC),
            number(tag::INTEGER, self.pet.specific()),
            number(tag::TIME_TICKS, self.uptime),
            variables,
        ];
        let community = self.community.get(..COMMUNITY_MAX_BYTES).unwrap_or(&self.community);
        let message = [
            number(tag::INTEGER, VERSION_1),
            field(tag::OCTET_STRING, community),
            field(tag::TRAP, &trap.concat()),
        ];
        field(tag::SEQUENCE, &message.concat())
    }

    /// Reads a datagram as [`Trap::encode`] makes them.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else, other traps of SNMP included.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let mut message = Reader::new(take(&mut r, tag::SEQUENCE)?);
        expect(&mut message, tag::INTEGER, &[0])?;
        let community = take(&mut message, tag::OCTET_STRING)?.to_vec();
        let mut trap = Reader::new(take(&mut message, tag::TRAP)?);
        expect(&mut trap, tag::OBJECT_ID, ENTERPRISE)?;
        let agent = Reader::new(take(&mut trap, tag::IP_ADDRESS)?).array()?;
        expect(&mut trap, tag::INTEGER, &[6])?;
        let specific = take_number(&mut trap, tag::INTEGER)?;
        let uptime = take_number(&mut trap, tag::TIME_TICKS)?;
        let mut variables = Reader::new(take(&mut trap, tag::SEQUENCE)?);
        let mut variable = Reader::new(take(&mut variables, tag::SEQUENCE)?);
        expect(&mut variable, tag::OBJECT_ID, VARIABLE)?;
        let pet = Pet::read(specific, &mut Reader::new(take(&mut variable, tag::OCTET_STRING)?))?;
        Ok(Self { community, agent, uptime, pet })
    }
}

/// A field. None here is longer than 255 bytes.
fn field(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len().saturating_add(3));
    out.push(tag);
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    if length >= 0x80 {
        out.push(0x81);
    }
    out.push(length);
    out.extend(value.iter().take(length.into()));
    out
}

/// A number in as few bytes as it needs, the first of which is no sign.
fn number(tag: u8, value: u32) -> Vec<u8> {
    let [a, b, c, d] = value.to_be_bytes();
    let bytes = [0, a, b, c, d];
    let skip = bytes.windows(2).take_while(|pair| matches!(pair, [0, next] if next & 0x80 == 0)).count();
    field(tag, bytes.get(skip..).unwrap_or(&bytes))
}

fn take<'a>(r: &mut Reader<'a>, tag: u8) -> Result<&'a [u8], DecodeError> {
    let found = r.u8()?;
    if found != tag {
        return Err(DecodeError::value("tag of a trap's field", found));
    }
    let length = match r.u8()? {
        0x81 => r.u8()?,
        short @ 0..=0x7f => short,
        long => return Err(DecodeError::value("length of a trap's field", long)),
    };
    r.bytes(length.into())
}

fn expect(r: &mut Reader<'_>, tag: u8, value: &[u8]) -> Result<(), DecodeError> {
    if take(r, tag)? == value { Ok(()) } else { Err(DecodeError::value("value of a trap's field", tag)) }
}

fn take_number(r: &mut Reader<'_>, tag: u8) -> Result<u32, DecodeError> {
    let bytes = take(r, tag)?;
    if bytes.len() > 5 {
        return Err(DecodeError::value("length of a trap's number", tag));
    }
    Ok(bytes.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trap() -> Trap {
        let event = EventMessage {
            revision: 4,
            sensor_type: 9,
            sensor_number: 0xe0,
            deasserted: true,
            event_type: 0x6f,
            data: [0x00, 0xff, 0xff],
        };
        let pet = Pet {
            guid: [0x11; 16],
            sequence: 0x0102,
            time: 0x0304_0506,
            utc_offset: 60,
            severity: 0x10,
            sensor_device: 0x20,
            entity: [7, 1],
            event,
            manufacturer: 0x0000_c0de,
            system: 0x0708,
        };
        Trap { community: b"public".to_vec(), agent: [127, 0, 0, 1], uptime: 0x80, pet }
    }

    #[test]
    fn golden_bytes() {
        let bytes = trap().encode();
        let variable = trap().pet.variable();
        assert_eq!(
            hex::encode(&variable),
            concat!(
                "11111111111111111111111111111111",
                "0102",
                "03040506",
                "003c",
                "2020",
                "10",
                "20",
                "e0",
                "0701",
                "00ffff0000000000",
                "ff",
                "0000c0de",
                "0708",
                "c1"
            )
        );
        let frame = &bytes[..bytes.len() - variable.len()];
        assert_eq!(
            hex::encode(frame),
            concat!(
                "306b",
                "020100",
                "04067075626c6963",
                "a45e",
                "06092b06010401986f0101",
                "40047f000001",
                "020106",
                "0203096f80",
                "43020080",
                "303f",
                "303d",
                "060a2b06010401986f010101",
                "042f"
            )
        );
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let trap = trap();
        let bytes = trap.encode();
        assert_eq!(Trap::decode(&bytes).unwrap(), trap);
        for end in 0..bytes.len() {
            assert!(Trap::decode(&bytes[..end]).is_err());
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0xff;
            let _ = Trap::decode(&other);
        }
    }

    #[test]
    fn numbers_are_as_short_as_can_be_and_never_negative() {
        for (value, wanted) in [
            (0, "020100"),
            (0x7f, "02017f"),
            (0x80, "02020080"),
            (0x0100, "02020100"),
            (u32::MAX, "020500ffffffff"),
        ] {
            assert_eq!(hex::encode(number(tag::INTEGER, value)), wanted);
        }
    }
}
