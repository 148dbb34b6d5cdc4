//! What the system interface keeps between requests: what its software has enabled, and what waits for it.

use bmc_core::sel::Sel;
use bmc_core::system_interface::SystemInterfaceKind;
use ipmi_wire::command::system::GlobalEnables;
use ipmi_wire::record::sel::SelBody;
use ipmi_wire::vm::Command;

use super::SYSTEM_INTERFACE_CHANNEL;

/// Bits of the message flags (IPMI 2.0 §22.4).
pub(crate) mod message_flag {
    /// An event waits in the event message buffer.
    pub(crate) const EVENT_BUFFER_FULL: u8 = 0x02;
    /// The watchdog timer warns.
    pub(crate) const WATCHDOG: u8 = 0x08;
}

/// The interface of one BMC. All of it but its kind is as good as new after a reset of the machine or the BMC.
#[derive(Debug, Default)]
pub(crate) struct Interface {
    /// Which kind it is; `None` where the machine has none.
    pub(crate) kind: Option<SystemInterfaceKind>,
    /// What its software has enabled; event logging is kept elsewhere.
    pub(crate) enables: GlobalEnables,
    /// The event message buffer: an event in the form of a SEL record.
    pub(crate) buffer: Option<[u8; 16]>,
    /// Messages of the LAN channel are not to be received.
    pub(crate) lan_disabled: bool,
    /// The number of the newest entry of the event log that was looked at.
    seen: u64,
}

/// What the machine's device shows its software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signals {
    /// It may interrupt for answers.
    interrupts: bool,
    /// A message flag is set; and whether that interrupts.
    attention: Option<bool>,
}

impl Signals {
    /// What to tell a device that was told `before`, or nothing yet.
    pub(crate) fn since(self, before: Option<Self>) -> Vec<Command> {
        let mut commands = Vec::new();
        if before.is_none_or(|before| before.interrupts != self.interrupts) {
            commands.push(if self.interrupts { Command::EnableInterrupt } else { Command::DisableInterrupt });
        }
        if before.is_none_or(|before| before.attention != self.attention) {
            commands.push(match self.attention {
                None => Command::NoAttention,
                Some(false) => Command::Attention,
                Some(true) => Command::AttentionInterrupt,
            });
        }
        commands
    }
}

/// Whether the machine's own software may not know of an entry: it is an event, and none that it has told over this channel.
fn is_news(body: &SelBody) -> bool {
    const CHANNEL_SHIFT: u32 = 12;
    const SOFTWARE: u16 = 1;
    match body {
        SelBody::Event { generator, .. } => {
            generator >> CHANNEL_SHIFT != u16::from(SYSTEM_INTERFACE_CHANNEL) || generator & SOFTWARE == 0
        }
        SelBody::OemTimestamped { .. } | SelBody::Oem { .. } => false,
    }
}

impl Interface {
    /// Forgets what software has set.
    pub(crate) fn reset(&mut self) {
        *self = Self { kind: self.kind, seen: self.seen, ..Self::default() };
    }

    /// The message flags, given that of the watchdog timer.
    pub(crate) fn flags(&self, watchdog: bool) -> u8 {
        let event = if self.buffer.is_some() { message_flag::EVENT_BUFFER_FULL } else { 0 };
        let watchdog = if watchdog { message_flag::WATCHDOG } else { 0 };
        event | watchdog
    }

    /// What the device is to show, given the flag of the watchdog timer. The timer's warning comes by the interrupt of messages.
    pub(crate) fn signals(&self, watchdog: bool) -> Signals {
        let by_message = self.enables.receive_message_interrupt && watchdog;
        let by_event = self.enables.event_message_buffer_interrupt && self.buffer.is_some();
        let attention = (self.flags(watchdog) != 0).then_some(by_message || by_event);
        Signals { interrupts: self.enables.receive_message_interrupt, attention }
    }

    /// Takes what was logged until now as known.
    pub(crate) fn know(&mut self, sel: &Sel) {
        self.seen = sel.entries().last().map_or(0, |entry| entry.number);
    }

    /// Looks at what was logged since: the first event goes into the buffer if that is enabled and empty; the others are in the log alone. What
    /// the machine's own software has told needs not be told back to it.
    pub(crate) fn heed(&mut self, sel: &Sel) {
        if self.enables.event_message_buffer && self.buffer.is_none() {
            let mut news = sel.entries().iter().rev().take_while(|entry| entry.number > self.seen);
            let first = news.by_ref().filter(|entry| is_news(&entry.record.body)).last();
            self.buffer = first.map(|entry| entry.record.to_bytes());
        }
        self.know(sel);
    }
}
