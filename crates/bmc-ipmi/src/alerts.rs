//! Alerts on their way: platform event traps to the destinations that an alert policy names, one after another, each repeated as it is
//! configured (IPMI 2.0 §17.11 to §17.17, table 23-4 parameters 18 and 19). Knows no socket and no clock.
//!
//! ```text
//!   submit ─► next destination ─► send ─┬─(acknowledged, or sent as often as wanted)─► delivered ─┐
//!     ▲                            ▲    └─(time over)─► tries left: send again; else failed ──────┤
//!     │                            └──────────────────────────────────────────────────────────────┘ next, as its policy entry says
//! ```

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bmc_core::settings::lan::AlertDestination;
use bmc_core::settings::pef::AlertPolicy;
use ipmi_wire::command::pef::{AlertImmediateStatus, PetAcknowledge};
use ipmi_wire::pet::{Pet, SOURCE_IPMI, Trap};

/// Alerts under way at a time; one more is lost, with a warning.
pub(crate) const ALERTS_IN_FLIGHT_MAX: usize = 32;

/// A trap to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ToSend {
    /// To whom.
    pub(crate) to: Ipv4Addr,
    /// The datagram.
    pub(crate) bytes: Vec<u8>,
}

/// One place that an alert is to go to.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// When it counts; see [`AlertPolicy::mode`].
    pub(crate) mode: u8,
    /// Where.
    pub(crate) destination: AlertDestination,
}

/// The places that a policy names, in the order of the table.
pub(crate) fn steps<'a>(
    policies: impl Iterator<Item = &'a AlertPolicy>,
    policy: u8,
    channel: u8,
    destination: impl Fn(u8) -> Option<AlertDestination>,
) -> VecDeque<Step> {
    policies
        .filter(|entry| entry.is_enabled() && entry.number() == policy && entry.channel() == channel)
        .filter_map(|entry| Some(Step { mode: entry.mode(), destination: destination(entry.destination())? }))
        .filter(|step| !step.destination.address.is_unspecified())
        .collect()
}

/// A trap that was sent and may have to be sent again.
#[derive(Debug)]
struct Sent {
    destination: AlertDestination,
    tries_left: u8,
}

#[derive(Debug)]
struct Job {
    trap: Trap,
    steps: VecDeque<Step>,
    sent: Option<Sent>,
    /// When there is something to do.
    due: Instant,
    /// Whether the last destination that was tried has got it.
    delivered: bool,
    immediate: bool,
}

/// All alerts of a BMC.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    jobs: Vec<Job>,
    last_sequence: u16,
    /// The address that is listened on, where it is one.
    listens: Option<Ipv4Addr>,
    /// How the last immediate alert ended.
    immediate: Option<bool>,
}

impl Alerts {
    /// Takes an alert; its number is given here. `false` when there are too many under way.
    pub(crate) fn submit(&mut self, now: Instant, mut trap: Trap, steps: VecDeque<Step>) -> bool {
        if steps.is_empty() {
            return true;
        }
        if self.jobs.len() >= ALERTS_IN_FLIGHT_MAX {
            return false;
        }
        trap.pet.sequence = self.next_sequence();
        if let ([0, 0, 0, 0], Some(listens)) = (trap.agent, self.listens) {
            trap.agent = listens.octets();
        }
        self.jobs.push(Job { trap, steps, sent: None, due: now, delivered: false, immediate: false });
        true
    }

    /// Takes an immediate alert; `false` while another one is under way.
    pub(crate) fn submit_immediate(
        &mut self,
        now: Instant,
        trap: Trap,
        destination: AlertDestination,
    ) -> bool {
        if self.immediate_status() == AlertImmediateStatus::IN_PROGRESS {
            return false;
        }
        let steps = VecDeque::from([Step { mode: 0, destination }]);
        let taken = self.submit(now, trap, steps);
        if let (true, Some(job)) = (taken, self.jobs.last_mut()) {
            job.immediate = true;
            self.immediate = None;
        }
        taken
    }

    /// Notes the address that is listened on: traps come from there unless clients have set another one.
    pub(crate) fn listens_on(&mut self, address: IpAddr) {
        self.listens = match address.to_canonical() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        };
    }

    /// One of the constants of [`AlertImmediateStatus`].
    pub(crate) fn immediate_status(&self) -> u8 {
        if self.jobs.iter().any(|job| job.immediate) {
            return AlertImmediateStatus::IN_PROGRESS;
        }
        match self.immediate {
            None => AlertImmediateStatus::NONE,
            Some(true) => AlertImmediateStatus::DELIVERED,
            Some(false) => AlertImmediateStatus::TIMED_OUT,
        }
    }

    /// Forgets how the last immediate alert ended.
    pub(crate) fn clear_immediate_status(&mut self) {
        self.immediate = None;
    }

    /// A receiver has got a trap.
    pub(crate) fn acknowledge(&mut self, now: Instant, ack: &PetAcknowledge) {
        let is_meant = |pet: &Pet| {
            pet.sequence == ack.sequence
                && pet.time == ack.time
                && ack.source == SOURCE_IPMI
                && pet.sensor_device == ack.sensor_device
                && pet.event.sensor_number == ack.sensor_number
                && pet.event.data == ack.data
        };
        for job in self.jobs.iter_mut().filter(|job| is_meant(&job.trap.pet)) {
            if job.sent.take_if(|sent| sent.destination.acknowledge).is_some() {
                (job.delivered, job.due) = (true, now);
            }
        }
    }

    /// When [`Alerts::poll`] is to be called.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.jobs.iter().map(|job| job.due).min()
    }

    /// What to send now.
    pub(crate) fn poll(&mut self, now: Instant) -> Vec<ToSend> {
        let mut out = Vec::new();
        let immediate = &mut self.immediate;
        self.jobs.retain_mut(|job| {
            let goes_on = job.due > now || job.advance(now, &mut out);
            if !goes_on && job.immediate {
                *immediate = Some(job.delivered);
            }
            goes_on
        });
        out
    }

    fn next_sequence(&mut self) -> u16 {
        self.last_sequence = self.last_sequence.checked_add(1).unwrap_or(1);
        self.last_sequence
    }
}

impl Job {
    /// Sends what is to be sent; `false` when there is nothing more to do.
    fn advance(&mut self, now: Instant, out: &mut Vec<ToSend>) -> bool {
        if let Some(sent) = &mut self.sent {
            if let Some(left) = sent.tries_left.checked_sub(1) {
                sent.tries_left = left;
                return self.send(now, out);
            }
            self.delivered = !sent.destination.acknowledge;
            self.sent = None;
        }
        while let Some(Step { mode, destination }) = self.steps.pop_front() {
            match (self.delivered, mode) {
                // The other channels and kinds of destination that modes 3 and 4 go on to do not exist.
                (true, 1 | 3 | 4) => {}
                (true, 2) => return false,
                _ => {
                    self.delivered = false;
                    self.sent = Some(Sent { tries_left: destination.retries, destination });
                    return self.send(now, out);
                }
            }
        }
        false
    }

    fn send(&mut self, now: Instant, out: &mut Vec<ToSend>) -> bool {
        let Some(sent) = &mut self.sent else { return false };
        out.push(ToSend { to: sent.destination.address, bytes: self.trap.encode() });
        let last = sent.tries_left == 0 && !sent.destination.acknowledge;
        // The field counts from one second. Nothing is waited for after the last of the unacknowledged.
        let wait = if last { 0 } else { u64::from(sent.destination.timeout_seconds) + 1 };
        self.due = now + Duration::from_secs(wait);
        true
    }
}

#[cfg(test)]
#[path = "alerts_tests.rs"]
mod tests;
