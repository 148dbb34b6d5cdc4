//! The event log in the hands of the machine: what feeds it, and what clients do to it.

use std::sync::Arc;

use ipmi_wire::record::sel::{EventMessage, SelBody, sensor_type};
use jiff::Timestamp;

use crate::alert::Alert;
use crate::control::{Control, Effect, Now};
use crate::error::RequestError;
use crate::event::EventKind;
use crate::request::{Outcome, SelRequest};
use crate::sel::{BMC_GENERATOR, Circumstances, LIMIT, SEL_AUDITS_MAX, Sel, SelWrites, events_for};
use crate::settings::pef::CONTROL_ENABLE;

/// Whether events may make event filters do something to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evaluation {
    /// They may.
    Filtered,
    /// They do nothing to the machine: an event filter's own action caused them, and would be caused by them again.
    OnlyLogged,
}

impl Control {
    /// Takes up the stored log.
    pub fn with_log(mut self, sel: Sel) -> Self {
        self.sel = Arc::new(sel);
        self
    }

    /// Entries that are still to be stored.
    pub(crate) fn log_writes(&self) -> &SelWrites {
        &self.sel_writes
    }

    /// Everything that was to be stored is.
    pub(crate) fn log_stored(&mut self) {
        self.sel_writes.clear();
    }

    /// Logs what has just happened. The one place that feeds the log from within.
    pub(super) fn log_events(&mut self, now: Now, evaluation: Evaluation, effects: &mut Vec<Effect>) {
        let kinds: Vec<EventKind> = effects
            .iter()
            .filter_map(|effect| if let Effect::Emit(kind) = effect { Some(kind.clone()) } else { None })
            .collect();
        for kind in &kinds {
            let of = Circumstances {
                restart: self.record.power.restart,
                accounts: &self.record.accounts,
                sensors: &self.sensors,
            };
            for event in events_for(kind, &of) {
                if self.generates(&event) {
                    // A full log has said so itself.
                    let _ = self.take_event(now, evaluation, BMC_GENERATOR, event, effects);
                }
            }
        }
    }

    /// Whether the BMC generates this event: events have a receiver that is here, and the sensor's event enables allow it.
    fn generates(&self, event: &EventMessage) -> bool {
        let settings = &self.record.settings;
        if !settings.event_receiver.is_own_log() {
            return false;
        }
        // A limit is set beside the sensor, and says itself what it does.
        if event.event_type == LIMIT {
            return true;
        }
        let Some(sensor) = self.sensors.iter().find(|sensor| sensor.number == event.sensor_number) else {
            return true;
        };
        let enables = settings.sensors.enables(sensor);
        let offsets = if event.deasserted { enables.deassertions } else { enables.assertions };
        enables.events && offsets >> event.offset() & 1 == 1
    }

    /// Takes an event message, the BMC's own or one from outside: it goes to the log, if the log is on, and through the filters.
    fn take_event(
        &mut self,
        now: Now,
        evaluation: Evaluation,
        generator: u16,
        event: EventMessage,
        effects: &mut Vec<Effect>,
    ) -> Result<Outcome, RequestError> {
        let logged = self.log_event(now, generator, event);
        let pef = &self.record.settings.pef;
        let restarted = self.record.power.restarted_at.filter(|_| self.lit);
        let started = restarted.map(|at| now.timestamp.as_second() - at.as_second());
        let verdict = pef.evaluate_after(started, generator, &event);
        if let (true, Ok(Outcome::Logged(id))) = (pef.control & CONTROL_ENABLE != 0, &logged) {
            Arc::make_mut(&mut self.record.settings).pef.last_by_bmc = *id;
        }
        if evaluation == Evaluation::Filtered
            && let Some(action) = verdict.power
        {
            self.filter_wants(action);
        }
        // An alert is no event: also what an action caused is worth one.
        let (time, utc_offset) = (self.sel.time(now.timestamp), self.sel.state().utc_offset);
        for (policy, severity) in verdict.alerts {
            effects.push(Effect::Alert(Alert { policy, severity, generator, event, time, utc_offset }));
        }
        logged
    }

    pub(super) fn log_event(
        &mut self,
        now: Now,
        generator: u16,
        event: EventMessage,
    ) -> Result<Outcome, RequestError> {
        let audits = generator == BMC_GENERATOR && event.sensor_type == sensor_type::SESSION_AUDIT;
        let share_is_used = audits && self.sel.audits() >= SEL_AUDITS_MAX;
        if !self.record.settings.system.event_logging || share_is_used {
            return Ok(Outcome::NothingToDo);
        }
        self.log(now.timestamp, SelBody::Event { timestamp: 0, generator, event }).map(Outcome::Logged)
    }

    /// What a client does to the log.
    pub(super) fn request_log(
        &mut self,
        now: Now,
        request: SelRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<Outcome, RequestError> {
        let erases = match &request {
            SelRequest::Delete { if_erasures, .. } | SelRequest::Clear { if_erasures } => *if_erasures,
            _ => None,
        };
        if erases.is_some_and(|erasures| erasures != self.sel.erasures()) {
            return Err(RequestError::Conflict);
        }
        match request {
            SelRequest::Add(body) => return self.log(now.timestamp, body).map(Outcome::Logged),
            SelRequest::Event { generator, event } => {
                return self.take_event(now, Evaluation::Filtered, generator, event, effects);
            }
            SelRequest::Delete { id, .. } => {
                let sel = Arc::make_mut(&mut self.sel);
                if !sel.delete(now.timestamp, id, &mut self.sel_writes) {
                    return Err(RequestError::Missing { what: "event log entry" });
                }
            }
            SelRequest::Clear { .. } => {
                Arc::make_mut(&mut self.sel).clear(now.timestamp, &mut self.sel_writes);
            }
            SelRequest::SetTime(time) => Arc::make_mut(&mut self.sel).set_time(now.timestamp, time),
            SelRequest::SetUtcOffset(minutes) => Arc::make_mut(&mut self.sel).set_utc_offset(minutes),
        }
        self.record.sel = *self.sel.state();
        Ok(Outcome::Done)
    }

    fn log(&mut self, now: Timestamp, body: SelBody) -> Result<u16, RequestError> {
        // The log is shared with what is published: it is not copied for nothing.
        if self.sel.is_shut() {
            return Err(RequestError::NoSpace { what: "event log" });
        }
        let added = Arc::make_mut(&mut self.sel).add(now, body, &mut self.sel_writes);
        self.record.sel = *self.sel.state();
        added.map_err(|_| RequestError::NoSpace { what: "event log" })
    }
}
