//! The watchdog timer: reset, set, get (IPMI 2.0 §27.5 to §27.7).

use crate::command::{Payload, bare_request, bit, command, flag};
use crate::{DecodeError, Reader, Writer};

/// Reset Watchdog Timer (IPMI 2.0 §27.5): starts it, or starts it over. No data, and none in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetWatchdogTimer;

bare_request!(ResetWatchdogTimer);
command!(ResetWatchdogTimer, APP, 0x22, "Reset Watchdog Timer", ());

/// What the timer is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TimerUse {
    /// Fault-resilient booting, phase 2.
    BiosFrb2 = 1,
    /// The firmware's self-test.
    BiosPost = 2,
    /// Loading the operating system.
    OsLoad = 3,
    /// The operating system, or its management software.
    SmsOs = 4,
    /// The maker's own.
    Oem = 5,
}

impl TimerUse {
    /// Every use; the first has number 1.
    pub const ALL: [Self; 5] = [Self::BiosFrb2, Self::BiosPost, Self::OsLoad, Self::SmsOs, Self::Oem];
}

/// What warns the system before the timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PreTimeoutInterrupt {
    /// Nothing.
    None = 0,
    /// A system management interrupt.
    Smi = 1,
    /// A non-maskable interrupt.
    Nmi = 2,
    /// The messaging interrupt.
    Messaging = 3,
}

impl PreTimeoutInterrupt {
    /// Every interrupt, by number.
    pub const ALL: [Self; 4] = [Self::None, Self::Smi, Self::Nmi, Self::Messaging];
}

/// What happens at the timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TimeoutAction {
    /// Nothing.
    None = 0,
    /// The system is reset.
    HardReset = 1,
    /// Its power is removed.
    PowerDown = 2,
    /// Its power is removed and comes back.
    PowerCycle = 3,
}

impl TimeoutAction {
    /// Every action, by number.
    pub const ALL: [Self; 4] = [Self::None, Self::HardReset, Self::PowerDown, Self::PowerCycle];
}

/// The bits of expiration flags that mean something, one for each use.
pub const EXPIRATION_FLAGS: u8 = 0x3e;

/// Set Watchdog Timer (IPMI 2.0 §27.6). The answer carries no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetWatchdogTimer {
    /// The next timeout is not to be logged.
    pub dont_log: bool,
    /// A timer that runs is not stopped but goes on from the new countdown.
    pub dont_stop: bool,
    /// What for.
    pub timer_use: TimerUse,
    /// What warns before the timeout.
    pub interrupt: PreTimeoutInterrupt,
    /// What happens at the timeout.
    pub action: TimeoutAction,
    /// How many seconds before the timeout the warning comes.
    pub pre_timeout: u8,
    /// Which expiration flags to clear, among [`EXPIRATION_FLAGS`].
    pub clear: u8,
    /// From where to count down, in units of 100 ms.
    pub initial: u16,
}

command!(SetWatchdogTimer, APP, 0x24, "Set Watchdog Timer", ());

fn read_use(raw: u8) -> Result<TimerUse, DecodeError> {
    let at = usize::from(raw & 7).checked_sub(1);
    let found = at.and_then(|at| TimerUse::ALL.get(at)).copied();
    found.ok_or(DecodeError::value("watchdog timer use", raw))
}

fn read_actions(raw: u8) -> Result<(PreTimeoutInterrupt, TimeoutAction), DecodeError> {
    let interrupt = PreTimeoutInterrupt::ALL.get(usize::from(raw >> 4 & 7)).copied();
    let action = TimeoutAction::ALL.get(usize::from(raw & 7)).copied();
    Ok((
        interrupt.ok_or(DecodeError::value("watchdog pre-timeout interrupt", raw))?,
        action.ok_or(DecodeError::value("watchdog timeout action", raw))?,
    ))
}

impl Payload for SetWatchdogTimer {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (first, actions) = (r.u8()?, r.u8()?);
        let (pre_timeout, clear, initial) = (r.u8()?, r.u8()? & EXPIRATION_FLAGS, r.u16_le()?);
        // A wrong length is to be told before a wrong value.
        if !r.is_empty() {
            return Err(DecodeError::Trailing);
        }
        let (interrupt, action) = read_actions(actions)?;
        Ok(Self {
            dont_log: bit(first, 7),
            dont_stop: bit(first, 6),
            timer_use: read_use(first)?,
            interrupt,
            action,
            pre_timeout,
            clear,
            initial,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.dont_log, 7) | flag(self.dont_stop, 6) | self.timer_use as u8)
            .u8((self.interrupt as u8) << 4 | self.action as u8)
            .u8(self.pre_timeout)
            .u8(self.clear & EXPIRATION_FLAGS)
            .u16_le(self.initial);
    }
}

/// Get Watchdog Timer (IPMI 2.0 §27.7). No data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetWatchdogTimer;

bare_request!(GetWatchdogTimer);
command!(GetWatchdogTimer, APP, 0x25, "Get Watchdog Timer", WatchdogTimer);

/// The answer to [`GetWatchdogTimer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchdogTimer {
    /// The next timeout is not to be logged.
    pub dont_log: bool,
    /// The timer runs.
    pub running: bool,
    /// What for.
    pub timer_use: TimerUse,
    /// What warns before the timeout.
    pub interrupt: PreTimeoutInterrupt,
    /// What happens at the timeout.
    pub action: TimeoutAction,
    /// How many seconds before the timeout the warning comes.
    pub pre_timeout: u8,
    /// Which uses have expired, among [`EXPIRATION_FLAGS`].
    pub expired: u8,
    /// From where it counts down, in units of 100 ms.
    pub initial: u16,
    /// What is left, in units of 100 ms.
    pub present: u16,
}

impl Payload for WatchdogTimer {
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let first = r.u8()?;
        let (interrupt, action) = read_actions(r.u8()?)?;
        Ok(Self {
            dont_log: bit(first, 7),
            running: bit(first, 6),
            timer_use: read_use(first)?,
            interrupt,
            action,
            pre_timeout: r.u8()?,
            expired: r.u8()? & EXPIRATION_FLAGS,
            initial: r.u16_le()?,
            present: r.u16_le()?,
        })
    }

    fn write(&self, w: &mut Writer) {
        w.u8(flag(self.dont_log, 7) | flag(self.running, 6) | self.timer_use as u8)
            .u8((self.interrupt as u8) << 4 | self.action as u8)
            .u8(self.pre_timeout)
            .u8(self.expired & EXPIRATION_FLAGS)
            .u16_le(self.initial)
            .u16_le(self.present);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::{golden, stable};

    const SET: SetWatchdogTimer = SetWatchdogTimer {
        dont_log: true,
        dont_stop: false,
        timer_use: TimerUse::SmsOs,
        interrupt: PreTimeoutInterrupt::Nmi,
        action: TimeoutAction::PowerCycle,
        pre_timeout: 10,
        clear: 0x10,
        initial: 600,
    };

    #[test]
    fn reset_and_set() {
        golden(&ResetWatchdogTimer, "", &[]);
        golden(&SET, "84 23 0a 10 58 02", &[]);
        let rows = [(0_u8, 1_usize), (0xc1, 0), (0xc5, 0), (0x06, 1), (0x07, 1)];
        for (first, faults) in rows {
            assert_eq!(
                usize::from(SetWatchdogTimer::decode(&[first, 0, 0, 0, 0, 0]).is_err()),
                faults,
                "{first:02x}"
            );
        }
        for actions in 0..=u8::MAX {
            let read = SetWatchdogTimer::decode(&[4, actions, 0, 0, 0, 0]);
            assert_eq!(read.is_ok(), actions & 0x44 == 0, "{actions:02x}");
        }
    }

    #[test]
    fn get() {
        golden(&GetWatchdogTimer, "", &[]);
        let timer = WatchdogTimer {
            dont_log: false,
            running: true,
            timer_use: TimerUse::BiosFrb2,
            interrupt: PreTimeoutInterrupt::Messaging,
            action: TimeoutAction::HardReset,
            pre_timeout: 1,
            expired: 0x3e,
            initial: 0x1234,
            present: 0x0102,
        };
        golden(&timer, "41 31 01 3e 34 12 02 01", &[]);
    }

    proptest! {
        #[test]
        fn stable_under_any_input(bytes in prop::collection::vec(any::<u8>(), 0..10)) {
            stable::<SetWatchdogTimer>(&bytes);
            stable::<WatchdogTimer>(&bytes);
        }
    }
}
