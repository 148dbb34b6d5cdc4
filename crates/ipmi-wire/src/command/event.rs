//! Event messages: to whom a controller sends them, and one that a console sends (IPMI 2.0 §29.1 to §29.3).

use crate::command::{Payload, bare_request, command};
use crate::record::sel::{EventMessage, UNSPECIFIED};
use crate::{DecodeError, Reader, Writer};

/// Set Event Receiver (IPMI 2.0 §29.1): where the controller sends the events of its sensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetEventReceiver {
    /// The receiver.
    pub receiver: EventReceiver,
}

command!(SetEventReceiver, SENSOR_EVENT, 0x00, "Set Event Receiver", ());

impl Payload for SetEventReceiver {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { receiver: EventReceiver::read(r)? })
    }

    fn write(&self, w: &mut Writer) {
        self.receiver.write(w);
    }
}

/// Get Event Receiver (IPMI 2.0 §29.2). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetEventReceiver;

bare_request!(GetEventReceiver);
command!(GetEventReceiver, SENSOR_EVENT, 0x01, "Get Event Receiver", EventReceiver);

/// Who receives events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventReceiver {
    /// Address on the IPMB, an even number; [`EventReceiver::NOBODY`] for nobody.
    pub address: u8,
    /// Logical unit, 0 to 3.
    pub lun: u8,
}

impl EventReceiver {
    /// The address that means that no events are generated.
    pub const NOBODY: u8 = 0xff;
}

impl Payload for EventReceiver {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (address, lun) = (r.u8()?, r.u8()?);
        if address & 1 == 1 && address != Self::NOBODY {
            return Err(DecodeError::value("event receiver", address));
        }
        Ok(Self { address, lun: lun & 3 })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(self.address).u8(self.lun & 3);
    }
}

/// Platform Event Message (IPMI 2.0 §29.3): an event from outside, which goes the same way as one of the BMC's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlatformEventMessage {
    /// Who generated it, told only over the system interface; elsewhere the message's address tells.
    pub generator: Option<u8>,
    /// The event. Data bytes that are left out are unspecified.
    pub event: EventMessage,
}

command!(PlatformEventMessage, SENSOR_EVENT, 0x02, "Platform Event Message", ());

impl PlatformEventMessage {
    /// Bytes of an event whose data bytes are all there.
    const EVENT_LEN: usize = 7;
    /// Data bytes that may be left out.
    const OPTIONAL: usize = 2;
}

impl Payload for PlatformEventMessage {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let generator = if r.remaining() > Self::EVENT_LEN { Some(r.u8()?) } else { None };
        let missing = Self::EVENT_LEN.saturating_sub(r.remaining());
        if missing > Self::OPTIONAL {
            return Err(DecodeError::Truncated);
        }
        let mut whole = Writer::with_capacity(Self::EVENT_LEN);
        whole.bytes(r.rest());
        for _ in 0..missing {
            whole.u8(UNSPECIFIED);
        }
        Ok(Self { generator, event: EventMessage::decode(whole.as_slice())? })
    }

    fn write(&self, w: &mut Writer) {
        if let Some(generator) = self.generator {
            w.u8(generator);
        }
        self.event.write(w);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::golden;

    #[test]
    fn event_receiver() {
        let receiver = EventReceiver { address: 0x20, lun: 1 };
        golden(&SetEventReceiver { receiver }, "20 01", &[]);
        golden(&receiver, "20 01", &[]);
        golden(&EventReceiver { address: EventReceiver::NOBODY, lun: 0 }, "ff 00", &[]);
        golden(&GetEventReceiver, "", &[]);
        assert_eq!(EventReceiver::decode(&[0x21, 0]), Err(DecodeError::value("event receiver", 0x21)));
    }

    #[test]
    fn platform_event() {
        // ipmitool event 1: a temperature above its upper critical threshold.
        let event = EventMessage {
            revision: 4,
            sensor_type: 1,
            sensor_number: 0x30,
            deasserted: false,
            event_type: 1,
            data: [0x59, 0, 0],
        };
        golden(&PlatformEventMessage { generator: None, event }, "04 01 30 01 59 00 00", &[5, 6, 8]);
        golden(&PlatformEventMessage { generator: Some(0x41), event }, "41 04 01 30 01 59 00 00", &[5, 6, 7]);
        let short = PlatformEventMessage::decode(&[4, 1, 0x30, 0x81, 0x59]).unwrap();
        assert_eq!((short.event.data, short.event.deasserted), ([0x59, 0xff, 0xff], true));
    }
}
