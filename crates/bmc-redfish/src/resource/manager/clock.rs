//! `DateTime` and `DateTimeLocalOffset`: the controller's one clock, which IPMI calls that of the SEL. Its numbers are the local time, and its offset says how far
//! ahead of UTC that is (IPMI 2.0 §31.10, §31.11a); unspecified counts as UTC.

use bmc_core::request::ClockChange;
use bmc_core::snapshot::Snapshot;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::message::{self, Message};
use crate::patch::Faults;

const SECONDS_PER_MINUTE: i64 = 60;
const MINUTES_PER_HOUR: i16 = 60;
/// Farthest offset that can be written, in minutes: the format ends with 19:59.
const OFFSET_MAX: i16 = 20 * MINUTES_PER_HOUR - 1;

/// By how many minutes the clock is ahead of UTC.
fn offset_of(snapshot: &Snapshot) -> i16 {
    snapshot.sel.state().utc_offset.unwrap_or(0)
}

/// By how many minutes what is shown is ahead of UTC: as the clock, or not at all where the format cannot say so.
fn shown_offset(snapshot: &Snapshot) -> i16 {
    Some(offset_of(snapshot)).filter(|offset| offset.abs() <= OFFSET_MAX).unwrap_or(0)
}

/// A time of the clock, in seconds since 1970 as it counted when it was said to be so many minutes ahead of UTC, as Redfish writes it: the same moment, told in
/// the present offset.
pub(in crate::resource) fn written(snapshot: &Snapshot, seconds: u32, utc_offset: i16) -> String {
    let shown = shown_offset(snapshot);
    let local = i64::from(seconds) + i64::from(shown - utc_offset) * SECONDS_PER_MINUTE;
    let Ok(time) = Timestamp::from_second(local) else { return String::new() };
    let local = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    match shown {
        0 => format!("{local}Z"),
        offset => format!("{local}{}", offset_text(offset)),
    }
}

fn offset_text(offset: i16) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs();
    format!("{sign}{:02}:{:02}", minutes / MINUTES_PER_HOUR, minutes % MINUTES_PER_HOUR)
}

/// Puts both properties into a resource.
pub(in crate::resource) fn put(object: &mut Map<String, Value>, snapshot: &Snapshot, now: Timestamp) {
    object
        .insert("DateTime".to_owned(), written(snapshot, snapshot.sel.time(now), offset_of(snapshot)).into());
    object.insert("DateTimeLocalOffset".to_owned(), offset_text(shown_offset(snapshot)).into());
}

/// What a PATCH asks of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    time: Option<Timestamp>,
    offset: Option<i16>,
}

impl Wanted {
    /// Takes a property if it is one of these.
    pub(super) fn take(&mut self, name: &str, pointer: &str, value: &Value, faults: &mut Faults) -> bool {
        match name {
            "DateTime" => self.take_time(pointer, value, faults),
            "DateTimeLocalOffset" => self.take_offset(pointer, value, faults),
            _ => return false,
        }
        true
    }

    fn take_time(&mut self, pointer: &str, value: &Value, faults: &mut Faults) {
        let Some(text) = faults.string(pointer, value) else { return };
        let Ok(time) = text.parse::<Timestamp>() else {
            faults.push(Message::new(message::PropertyValueFormatError, [text, pointer]).about(pointer));
            return;
        };
        // What IPMI's clock can show whatever the offset; its greatest value means "unknown".
        let day = 24 * 60 * SECONDS_PER_MINUTE;
        if (day..i64::from(u32::MAX) - day).contains(&time.as_second()) {
            self.time = Some(time);
        } else {
            faults.push(Message::new(message::PropertyValueOutOfRange, [text, pointer]).about(pointer));
        }
    }

    fn take_offset(&mut self, pointer: &str, value: &Value, faults: &mut Faults) {
        let Some(text) = faults.string(pointer, value) else { return };
        self.offset = parse_offset(text);
        if self.offset.is_none() {
            faults.push(Message::new(message::PropertyValueFormatError, [text, pointer]).about(pointer));
        }
    }

    /// Whether it says anything.
    pub(super) fn is_some(&self) -> bool {
        *self != Self::default()
    }

    /// The change of the clock. An offset alone keeps the moment and moves the hands.
    pub(super) fn change(&self, snapshot: &Snapshot, now: Timestamp) -> Option<ClockChange> {
        if !self.is_some() {
            return None;
        }
        let before = offset_of(snapshot);
        let after = self.offset.unwrap_or(before);
        let moment = match self.time {
            Some(time) => time.as_second(),
            None => i64::from(snapshot.sel.time(now)) - i64::from(before) * SECONDS_PER_MINUTE,
        };
        let local = moment + i64::from(after) * SECONDS_PER_MINUTE;
        let time = u32::try_from(local.clamp(0, i64::from(u32::MAX - 1))).ok();
        Some(ClockChange { time, utc_offset: self.offset.map(Some) })
    }
}

/// `+01:00` in minutes.
fn parse_offset(text: &str) -> Option<i16> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let number = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        plain.then(|| digits.parse::<i16>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let offset = hours * MINUTES_PER_HOUR + minutes;
    let offset = (minutes < MINUTES_PER_HOUR && offset <= OFFSET_MAX).then_some(offset)?;
    match text.get(..1)? {
        "+" => Some(offset),
        "-" => Some(-offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_as_they_are_written() {
        for (text, minutes) in
            [("+00:00", 0), ("-00:30", -30), ("+05:45", 345), ("-12:00", -720), ("+19:59", 1199)]
        {
            assert_eq!(parse_offset(text), Some(minutes), "{text}");
            assert_eq!(offset_text(minutes), text);
        }
        for broken in
            ["", "Z", "01:00", "+1:00", "+01:60", "+20:00", "+01", "+0a:00", "é1:00", "+ 1:00", "+01:00Z"]
        {
            assert_eq!(parse_offset(broken), None, "{broken}");
        }
    }
}
