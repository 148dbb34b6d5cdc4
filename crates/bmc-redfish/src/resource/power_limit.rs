//! DCMI's power limit as Redfish writes it: `PowerLimit` of `Power`, and `PowerLimitWatts` of `EnvironmentMetrics`.

use bmc_core::request::Change;
use bmc_core::settings::Edit;
use bmc_core::settings::dcmi::{ExceptionAction, PowerLimit};
use serde_json::{Value, json};

use crate::message::{self, Message};
use crate::patch::{self, Faults};
use crate::resource::power::EXCEPTIONS;

/// Modes of the control: the limit is watched, or it is not.
const MODES: [(&str, bool); 2] = [("Automatic", true), ("Disabled", false)];

/// The control as `EnvironmentMetrics` shows it.
pub(super) fn render(limit: Option<PowerLimit>, draw: Option<u32>) -> Value {
    // Until somebody sets one there is none, and not the greatest that there could be.
    let set_point = limit.map(|limit| limit.watts);
    let limit = limit.unwrap_or_default();
    json!({
        "SetPoint": set_point,
        "AllowableMin": 1,
        "AllowableMax": u16::MAX,
        "ControlMode": if limit.active { "Automatic" } else { "Disabled" },
        "Reading": draw,
    })
}

/// What a PATCH asks of the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    watts: Option<u16>,
    active: Option<bool>,
    action: Option<ExceptionAction>,
    correction_ms: Option<u32>,
    /// There shall be no limit any more, nor what is kept of one.
    removed: bool,
}

impl Wanted {
    pub(super) fn is_some(&self) -> bool {
        *self != Self::default()
    }

    /// Takes `PowerLimit`.
    pub(super) fn take_limit(&mut self, pointer: &str, value: &Value, faults: &mut Faults) {
        let Value::Object(limit) = value else { return faults.wrong_type(pointer, value) };
        patch::each_property(limit, &Value::Null, pointer, faults, |name, pointer, value, faults| {
            match name {
                // Null says that there is no limit.
                "LimitInWatts" if value.is_null() => self.active = Some(false),
                "LimitInWatts" => self.take_watts(pointer, value, faults),
                "LimitException" => self.action = faults.choice(pointer, value, &EXCEPTIONS),
                "CorrectionInMs" => {
                    let (least, most) = (PowerLimit::CORRECTION_MIN, PowerLimit::CORRECTION_MAX);
                    let range = least.as_millis()..=most.as_millis();
                    let time = number(pointer, value, range, faults);
                    self.correction_ms = time.and_then(|time| u32::try_from(time).ok());
                }
                _ => return false,
            }
            true
        });
    }

    /// Takes `PowerLimitWatts`.
    pub(super) fn take_control(&mut self, pointer: &str, value: &Value, shown: &Value, faults: &mut Faults) {
        let Value::Object(control) = value else { return faults.wrong_type(pointer, value) };
        let mut mode = None;
        patch::each_property(control, shown, pointer, faults, |name, pointer, value, faults| {
            match name {
                // As it is shown while nobody has set one.
                "SetPoint" if value.is_null() => self.removed = true,
                "SetPoint" => self.take_watts(pointer, value, faults),
                "ControlMode" => mode = faults.choice(pointer, value, &MODES),
                _ => return false,
            }
            true
        });
        if self.removed && mode == Some(true) {
            let args = [format!("{pointer}/ControlMode"), format!("{pointer}/SetPoint")];
            let fault = Message::new(message::PropertyValueConflict, [&args[0], &args[1]]);
            faults.push(fault.about(&args[0]));
        }
        self.active = mode.or(self.active);
    }

    /// A limit that is set is watched, unless the request says otherwise.
    fn take_watts(&mut self, pointer: &str, value: &Value, faults: &mut Faults) {
        let watts = number(pointer, value, 1..=u16::MAX.into(), faults);
        self.watts = watts.and_then(|watts| u16::try_from(watts).ok());
        self.active = self.watts.map(|_| true);
    }

    /// The change.
    pub(super) fn change(self) -> Change {
        let edit = Edit::new(move |editable| {
            if self.removed {
                editable.settings.dcmi.power_limit = None;
                return Ok(());
            }
            let kept = editable.settings.dcmi.power_limit.unwrap_or_default();
            editable.settings.dcmi.power_limit = Some(PowerLimit {
                active: self.active.unwrap_or(kept.active),
                action: self.action.unwrap_or(kept.action),
                watts: self.watts.unwrap_or(kept.watts),
                correction_ms: self.correction_ms.unwrap_or(kept.correction_ms),
                sampling_seconds: kept.sampling_seconds,
            });
            Ok(())
        });
        Change { edit: Some(edit), ..Change::default() }
    }
}

/// A number within a range. The schema's are not all whole; the limit's are, so that a fraction is refused rather than rounded.
fn number(
    pointer: &str,
    value: &Value,
    range: std::ops::RangeInclusive<u128>,
    faults: &mut Faults,
) -> Option<u128> {
    let Some(number) = value.as_number() else {
        faults.wrong_type(pointer, value);
        return None;
    };
    let found = number.as_u64().map(u128::from).filter(|number| range.contains(number));
    if found.is_none() {
        let args = [&number.to_string(), pointer];
        faults.push(Message::new(message::PropertyValueOutOfRange, args).about(pointer));
    }
    found
}
