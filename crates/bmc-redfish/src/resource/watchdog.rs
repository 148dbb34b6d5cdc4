//! `HostWatchdogTimer` of a System: the same watchdog timer that IPMI sets.
//!
//! Redfish knows what the timer does, and whether its function is enabled: that is, whether it has been set. From where it counts, and
//! when it starts, is the host's business, which it does over IPMI.

use bmc_core::request::Change;
use bmc_core::snapshot::Snapshot;
use bmc_core::watchdog::{PreTimeoutInterrupt, TimeoutAction, WatchdogRequest, WatchdogSettings};
use serde_json::{Value, json};

use crate::message::{self, Message};
use crate::patch::{self, Faults};

/// From where a timer counts that Redfish sets and IPMI has not: 300 seconds, in units of 100 ms.
const INITIAL: u16 = 3_000;

const ACTIONS: [(&str, TimeoutAction); 4] = [
    ("None", TimeoutAction::None),
    ("ResetSystem", TimeoutAction::HardReset),
    ("PowerDown", TimeoutAction::PowerDown),
    ("PowerCycle", TimeoutAction::PowerCycle),
];

const WARNINGS: [(&str, PreTimeoutInterrupt); 4] = [
    ("None", PreTimeoutInterrupt::None),
    ("DiagnosticInterrupt", PreTimeoutInterrupt::Nmi),
    ("SMI", PreTimeoutInterrupt::Smi),
    ("MessagingInterrupt", PreTimeoutInterrupt::Messaging),
];

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names.iter().find(|(_, known)| known == value).map_or("None", |(name, _)| name)
}

/// The object.
pub(super) fn render(snapshot: &Snapshot) -> Value {
    let timer = snapshot.watchdog;
    let settings = timer.settings();
    json!({
        "FunctionEnabled": timer.is_set(),
        "TimeoutAction": name_of(&ACTIONS, &settings.action),
        "TimeoutAction@Redfish.AllowableValues": ACTIONS.map(|(name, _)| name),
        "WarningAction": name_of(&WARNINGS, &settings.interrupt),
        "WarningAction@Redfish.AllowableValues": WARNINGS.map(|(name, _)| name),
        "Status": {"State": if timer.is_counting() { "Enabled" } else { "Disabled" }},
    })
}

/// What a PATCH asks of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    enabled: Option<bool>,
    action: Option<TimeoutAction>,
    warning: Option<PreTimeoutInterrupt>,
}

impl Wanted {
    /// Whether it says anything.
    pub(super) fn is_some(&self) -> bool {
        *self != Self::default()
    }

    /// Reads the member of a PATCH.
    pub(super) fn read(pointer: &str, value: &Value, snapshot: &Snapshot, faults: &mut Faults) -> Self {
        let mut wanted = Self::default();
        let Some(object) = value.as_object() else {
            faults.wrong_type(pointer, value);
            return wanted;
        };
        patch::each_property(object, &render(snapshot), pointer, faults, |name, pointer, value, faults| {
            match name {
                "FunctionEnabled" => wanted.enabled = faults.boolean(pointer, value),
                "TimeoutAction" => wanted.action = faults.choice(pointer, value, &ACTIONS),
                "WarningAction" => wanted.warning = faults.choice(pointer, value, &WARNINGS),
                _ => return false,
            }
            true
        });
        wanted.refuse_what_would_be_forgotten(pointer, snapshot, faults);
        wanted
    }

    /// A timer that is not set has no actions: with one that is new, disabling says two things at once. One that is as it was is a client's that
    /// writes all back that it read.
    fn refuse_what_would_be_forgotten(&self, pointer: &str, snapshot: &Snapshot, faults: &mut Faults) {
        if self.enabled != Some(false) {
            return;
        }
        let settings = snapshot.watchdog.settings();
        let action = self.action.is_some_and(|it| it != TimeoutAction::None && it != settings.action);
        let warning =
            self.warning.is_some_and(|it| it != PreTimeoutInterrupt::None && it != settings.interrupt);
        for (name, _) in [("TimeoutAction", action), ("WarningAction", warning)].iter().filter(|(_, is)| *is)
        {
            let about = format!("{pointer}/{name}");
            let args = [about.as_str(), &format!("{pointer}/FunctionEnabled")];
            faults.push(Message::new(message::PropertyValueConflict, args).about(&about));
        }
    }

    /// Puts it into a change. What is disabled is forgotten, as by a reset of the BMC; an action alone does not stop a timer that counts.
    pub(super) fn put(&self, change: &mut Change, snapshot: &Snapshot) {
        if !self.is_some() {
            return;
        }
        if self.enabled == Some(false) {
            change.watchdog = Some(WatchdogRequest::Forget);
            return;
        }
        let timer = snapshot.watchdog;
        let mut settings = timer.settings();
        if !timer.is_set() {
            settings = WatchdogSettings { initial: INITIAL, ..settings };
        }
        settings.action = self.action.unwrap_or(settings.action);
        settings.interrupt = self.warning.unwrap_or(settings.interrupt);
        if timer.is_set() && settings == timer.settings() {
            return;
        }
        change.watchdog = Some(WatchdogRequest::Set { settings, keep_counting: true, clear: 0 });
    }
}
