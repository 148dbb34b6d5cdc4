//! The watchdog timer (IPMI 2.0 §27): counts down unless it is restarted in time, and then acts on the machine. A pure state machine; the
//! present time is an argument.
//!
//! ```text
//!              set                    reset                  pre-timeout                 timeout
//!   Untouched ─────► Stopped, full ──────────► Counting ────────────────► Warned ────────────────► Stopped, at zero
//!                      ▲      ▲                 │  ▲  │ reset                │                         │
//!                      │      └──── set ────────┘  └──┘                      │                         │
//!                      └───────────────────── set ───────────────────────────┴──── set or reset ───────┘
//! ```
//!
//! A set that says "do not stop" lets a counting timer count on, from its new start. Once the pre-timeout is reached only a set stops the
//! timer. A machine that goes off or is reset stops it too: what it watched is gone. Expiration flags stay until they are cleared.
//! Nothing of this is durable: to the timer, a restart of the daemon is a reset of the BMC.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The unit of the countdown.
pub const COUNTDOWN_UNIT: Duration = Duration::from_millis(100);

/// What the timer is used for; each use has an expiration flag of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimerUse {
    /// Fault-resilient booting, phase 2: the firmware's first steps.
    BiosFrb2,
    /// The firmware's self-test.
    BiosPost,
    /// Loading the operating system.
    OsLoad,
    /// The running operating system, or its management software.
    #[default]
    SmsOs,
    /// The maker's own.
    Oem,
}

impl TimerUse {
    /// Every use, in order of its number on the wire, which begins with 1.
    pub const ALL: [Self; 5] = [Self::BiosFrb2, Self::BiosPost, Self::OsLoad, Self::SmsOs, Self::Oem];

    /// The use's bit among the expiration flags: 1 to 5 (IPMI 2.0 §27.6, byte 4).
    pub fn flag(self) -> u8 {
        2 << self as u8
    }

    /// The name used in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BiosFrb2 => "bios-frb2",
            Self::BiosPost => "bios-post",
            Self::OsLoad => "os-load",
            Self::SmsOs => "sms-os",
            Self::Oem => "oem",
        }
    }
}

/// What happens to the machine when the time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeoutAction {
    /// Nothing.
    #[default]
    None,
    /// It is reset.
    HardReset,
    /// Its power is removed.
    PowerDown,
    /// Its power is removed and comes back.
    PowerCycle,
}

impl TimeoutAction {
    /// Every action, in order of its number on the wire.
    pub const ALL: [Self; 4] = [Self::None, Self::HardReset, Self::PowerDown, Self::PowerCycle];

    /// The name used in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::HardReset => "hard-reset",
            Self::PowerDown => "power-down",
            Self::PowerCycle => "power-cycle",
        }
    }
}

/// What warns the machine before the time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreTimeoutInterrupt {
    /// Nothing.
    #[default]
    None,
    /// A system management interrupt. A hypervisor cannot deliver one: it is told as an event, and that is all.
    Smi,
    /// A non-maskable interrupt.
    Nmi,
    /// The messaging interrupt of the system interface: a message flag.
    Messaging,
}

impl PreTimeoutInterrupt {
    /// Every interrupt, in order of its number on the wire.
    pub const ALL: [Self; 4] = [Self::None, Self::Smi, Self::Nmi, Self::Messaging];

    /// The name used in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Smi => "smi",
            Self::Nmi => "nmi",
            Self::Messaging => "messaging",
        }
    }
}

/// How the timer is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchdogSettings {
    /// What for.
    pub timer_use: TimerUse,
    /// The next timeout is not to be written to the event log. Holds for one timeout.
    pub dont_log: bool,
    /// What happens at the timeout.
    pub action: TimeoutAction,
    /// What warns before it.
    pub interrupt: PreTimeoutInterrupt,
    /// How long before it, in seconds; 0 for the same moment.
    pub pre_timeout_seconds: u8,
    /// From where it counts down, in units of [`COUNTDOWN_UNIT`].
    pub initial: u16,
}

impl WatchdogSettings {
    fn initial_time(&self) -> Duration {
        COUNTDOWN_UNIT * u32::from(self.initial)
    }

    /// How long before the timeout the warning comes, if one is wanted.
    fn warning(&self) -> Option<Duration> {
        let wanted = self.interrupt != PreTimeoutInterrupt::None;
        wanted.then(|| Duration::from_secs(self.pre_timeout_seconds.into()))
    }
}

/// What may be asked of the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchdogRequest {
    /// Sets it, and stops it.
    Set {
        /// How.
        settings: WatchdogSettings,
        /// A timer that counts is not stopped but counts on from the new start.
        keep_counting: bool,
        /// Which expiration flags to clear, as the bits that [`TimerUse::flag`] names.
        clear: u8,
    },
    /// Starts it, or starts it over.
    Reset,
    /// Clears the message flag of the warning, and nothing else.
    ClearFlag,
    /// Forgets everything, as a reset of the BMC does.
    Forget,
}

/// Why the timer could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchdogRefusal {
    /// It was not set since the BMC started.
    #[error("the watchdog timer has not been set")]
    NotSet,
    /// The pre-timeout is reached; only a set stops the timer now (IPMI 2.0 §27.5).
    #[error("the watchdog timer has reached its pre-timeout; only setting it anew stops it")]
    PreTimeoutReached,
}

/// What the passing of time brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchdogEvent {
    /// The warning is due.
    PreTimeout,
    /// The time is over. Whether to log it, which the timeout itself takes back.
    Timeout {
        /// The event belongs in the event log.
        log: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Countdown {
    Stopped { left: Duration },
    Counting { until: Instant },
}

/// The timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// How it is set; `None` until it is.
    settings: Option<WatchdogSettings>,
    countdown: Countdown,
    warned: bool,
    /// The message flag of the warning.
    flag: bool,
    expired: u8,
    last_action: TimeoutAction,
}

/// The offset of the warning among the states of the watchdog sensor.
const TIMER_INTERRUPT: u16 = 8;

impl Default for Watchdog {
    fn default() -> Self {
        let countdown = Countdown::Stopped { left: Duration::ZERO };
        Self {
            settings: None,
            countdown,
            warned: false,
            flag: false,
            expired: 0,
            last_action: TimeoutAction::None,
        }
    }
}

impl Watchdog {
    /// How it is set; the defaults until it is.
    pub fn settings(&self) -> WatchdogSettings {
        self.settings.unwrap_or_default()
    }

    /// Whether it was set since the BMC started.
    pub fn is_set(&self) -> bool {
        self.settings.is_some()
    }

    /// Whether it counts.
    pub fn is_counting(&self) -> bool {
        matches!(self.countdown, Countdown::Counting { .. })
    }

    /// Whether the pre-timeout was reached, since the timer was last set or started.
    pub fn pre_timeout_reached(&self) -> bool {
        self.warned
    }

    /// Whether the message flag of the warning is up (IPMI 2.0 §22.4, bit 3): from the pre-timeout until it is cleared, the timer is set, or
    /// the machine goes off or is reset.
    pub fn flag(&self) -> bool {
        self.flag
    }

    /// Clears that flag.
    pub fn clear_flag(&mut self) {
        self.flag = false;
    }

    /// Which uses have expired, as the bits that [`TimerUse::flag`] names.
    pub fn expired(&self) -> u8 {
        self.expired
    }

    /// The states of the watchdog sensor (IPMI 2.0 table 42-3, sensor type 23h), one bit for each offset: what the last timeout was to do, until
    /// all expiration flags are cleared, and whether the warning was given.
    pub fn states(&self) -> u16 {
        let timeout = if self.expired == 0 { 0 } else { 1 << self.last_action as u16 };
        timeout | u16::from(self.warned) << TIMER_INTERRUPT
    }

    /// The countdown at this moment, in units of [`COUNTDOWN_UNIT`], rounded up: a timer that counts does not read as 0.
    pub fn present(&self, now: Instant) -> u16 {
        let left = self.left(now).as_millis().div_ceil(COUNTDOWN_UNIT.as_millis());
        u16::try_from(left).unwrap_or(u16::MAX)
    }

    fn left(&self, now: Instant) -> Duration {
        match self.countdown {
            Countdown::Stopped { left } => left,
            Countdown::Counting { until } => until.saturating_duration_since(now),
        }
    }

    /// Sets it.
    pub fn set(&mut self, now: Instant, settings: WatchdogSettings, keep_counting: bool, clear: u8) {
        self.settings = Some(settings);
        self.expired &= !clear;
        if keep_counting && self.is_counting() {
            self.count(now, settings);
        } else {
            self.countdown = Countdown::Stopped { left: settings.initial_time() };
        }
        (self.warned, self.flag) = (false, false);
    }

    /// Starts it, or starts it over.
    ///
    /// # Errors
    /// It was not set, or its pre-timeout is reached.
    pub fn reset(&mut self, now: Instant) -> Result<(), WatchdogRefusal> {
        let settings = self.settings.ok_or(WatchdogRefusal::NotSet)?;
        if self.warned && self.is_counting() {
            return Err(WatchdogRefusal::PreTimeoutReached);
        }
        self.warned = false;
        self.count(now, settings);
        Ok(())
    }

    fn count(&mut self, now: Instant, settings: WatchdogSettings) {
        self.countdown = Countdown::Counting { until: now + settings.initial_time() };
    }

    /// Stops it where it is: the machine that it watched is gone.
    pub fn stop(&mut self, now: Instant) {
        self.countdown = Countdown::Stopped { left: self.left(now) };
        (self.warned, self.flag) = (false, false);
    }

    /// When [`expire`](Self::expire) is to be called next; `None` while it does not count.
    pub fn next(&self) -> Option<Instant> {
        let Countdown::Counting { until } = self.countdown else { return None };
        let warning = self.settings().warning().filter(|_| !self.warned);
        Some(warning.and_then(|before| until.checked_sub(before)).unwrap_or(until))
    }

    /// What is due by now, if anything is; to be called until nothing is.
    pub fn expire(&mut self, now: Instant) -> Option<WatchdogEvent> {
        let due = self.next()? <= now;
        let settings = self.settings.as_mut().filter(|_| due)?;
        if !self.warned && settings.warning().is_some() {
            (self.warned, self.flag) = (true, true);
            return Some(WatchdogEvent::PreTimeout);
        }
        self.expired |= settings.timer_use.flag();
        self.last_action = settings.action;
        self.countdown = Countdown::Stopped { left: Duration::ZERO };
        let log = !std::mem::take(&mut settings.dont_log);
        Some(WatchdogEvent::Timeout { log })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: WatchdogSettings = WatchdogSettings {
        timer_use: TimerUse::OsLoad,
        dont_log: false,
        action: TimeoutAction::HardReset,
        interrupt: PreTimeoutInterrupt::Nmi,
        pre_timeout_seconds: 2,
        initial: 100,
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_timer_that_was_not_set_does_not_start() {
        let mut watchdog = Watchdog::default();
        assert_eq!(watchdog.reset(Instant::now()), Err(WatchdogRefusal::NotSet));
        assert!(!watchdog.is_counting() && watchdog.next().is_none());
    }

    #[test]
    fn it_warns_and_then_expires_once() {
        let now = Instant::now();
        let mut watchdog = Watchdog::default();
        watchdog.set(now, WatchdogSettings { dont_log: true, ..SETTINGS }, false, 0);
        assert_eq!(
            (watchdog.present(now + seconds(5)), watchdog.next()),
            (100, None),
            "it has not been started"
        );
        watchdog.reset(now).unwrap();
        assert_eq!(watchdog.present(now + Duration::from_millis(150)), 99);
        assert_eq!(watchdog.next(), Some(now + seconds(8)));
        assert_eq!(watchdog.expire(now + seconds(7)), None);
        assert_eq!(watchdog.expire(now + seconds(8)), Some(WatchdogEvent::PreTimeout));
        assert_eq!(watchdog.reset(now + seconds(9)), Err(WatchdogRefusal::PreTimeoutReached));
        assert!(watchdog.flag());
        watchdog.clear_flag();
        assert!(!watchdog.flag() && watchdog.pre_timeout_reached(), "only the flag is cleared");
        assert_eq!(watchdog.next(), Some(now + seconds(10)));
        assert_eq!(watchdog.expire(now + seconds(10)), Some(WatchdogEvent::Timeout { log: false }));
        assert_eq!(watchdog.expire(now + seconds(11)), None);
        assert_eq!((watchdog.expired(), watchdog.present(now + seconds(11))), (0x08, 0));
        assert_eq!(watchdog.states(), 0x0102, "hard reset, timer interrupt");
        assert!(!watchdog.settings().dont_log, "logging is on again after a timeout");
        watchdog.reset(now + seconds(20)).unwrap();
        assert_eq!(watchdog.expired(), 0x08, "only a set clears the flags");
    }

    #[test]
    fn a_set_stops_it_unless_told_otherwise() {
        let now = Instant::now();
        let mut watchdog = Watchdog::default();
        for (keep_counting, counts) in [(true, true), (false, false)] {
            watchdog.set(now, SETTINGS, false, 0);
            watchdog.reset(now).unwrap();
            assert_eq!(watchdog.expire(now + seconds(9)), Some(WatchdogEvent::PreTimeout));
            watchdog.set(now + seconds(9), WatchdogSettings { initial: 50, ..SETTINGS }, keep_counting, 0x3e);
            assert_eq!(watchdog.is_counting(), counts);
            assert_eq!(watchdog.present(now + seconds(9)), 50);
            assert!(!watchdog.pre_timeout_reached());
            assert_eq!(watchdog.next(), counts.then_some(now + seconds(12)));
        }
        watchdog.set(now, SETTINGS, true, 0);
        assert!(!watchdog.is_counting(), "what was stopped stays so");
    }

    #[test]
    fn what_is_late_comes_in_order() {
        let now = Instant::now();
        let mut watchdog = Watchdog::default();
        watchdog.set(now, SETTINGS, false, 0);
        watchdog.reset(now).unwrap();
        let late = now + seconds(60);
        assert_eq!(watchdog.expire(late), Some(WatchdogEvent::PreTimeout));
        assert_eq!(watchdog.expire(late), Some(WatchdogEvent::Timeout { log: true }));
        assert_eq!(watchdog.expire(late), None);
    }

    #[test]
    fn each_use_has_its_flag() {
        assert_eq!(TimerUse::ALL.map(TimerUse::flag), [0x02, 0x04, 0x08, 0x10, 0x20]);
    }
}
