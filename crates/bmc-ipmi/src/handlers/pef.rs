//! Platform event filtering: what a client configures of it. What it does is the core's.

use bmc_core::settings::Editable;
use bmc_core::settings::lan::ALERT_DESTINATIONS;
use bmc_core::settings::pef::{
    ALERT_POLICIES, ALERT_STRING_BLOCK_BYTES, ALERT_STRING_BLOCKS, ALERT_STRINGS, AlertPolicy, EVENT_FILTERS,
    EventFilter, PefSettings, action,
};
use ipmi_wire::CompletionCode;
use ipmi_wire::command::boot::SetInProgress;
use ipmi_wire::command::pef::{
    AlertImmediate, AlertImmediateStatus, AlertOperation, GetLastProcessedEvent, GetPefCapabilities,
    GetPefConfig, LastProcessedEvent, PefCapabilities, PefParameter, PetAcknowledge, SetLastProcessedEvent,
    SetPefConfig,
};
use ipmi_wire::command::sel::{LAST_RECORD, TIME_UNSPECIFIED};

use crate::Context;
use crate::alerts::Alerts;
use crate::table::{ADMINISTRATOR, Access, Act, Answer, Entry, OPERATOR, Read, USER};

/// Where the tests of these commands stand.
const TESTS: &str = "bmc-ipmi/src/handlers/pef_tests.rs";
/// Where those of the alerts stand.
const ALERT_TESTS: &str = "bmc-ipmi/src/alerts_tests.rs";

/// The commands of this room.
pub(crate) const COMMANDS: &[Entry] = &[
    Entry::read::<GetPefCapabilities>(USER, "30.1", (TESTS, "capabilities")),
    Entry::act::<SetPefConfig>(ADMINISTRATOR, "30.3", (TESTS, "parameters_")),
    Entry::read::<GetPefConfig>(OPERATOR, "30.4", (TESTS, "parameters_")),
    Entry::act::<SetLastProcessedEvent>(ADMINISTRATOR, "30.5", (TESTS, "last_processed")),
    Entry::read::<GetLastProcessedEvent>(ADMINISTRATOR, "30.6", (TESTS, "last_processed")),
    Entry::act::<AlertImmediate>(ADMINISTRATOR, "30.7", (TESTS, "alert_immediate")),
    Entry::read::<PetAcknowledge>(Access::Anybody, "30.8", (ALERT_TESTS, "an_acknowledged")),
];

/// The channel that a request came over.
const CHANNEL_OF_REQUEST: u8 = 0x0e;
/// `82h` of Set PEF Configuration Parameters: the parameter can only be read.
const READ_ONLY: CompletionCode = CompletionCode(0x82);
/// The command set's version: IPMI 1.5 and 2.0.
const VERSION: u8 = 0x51;

impl Read for GetPefCapabilities {
    fn answer(self, _: &Context) -> Answer<PefCapabilities> {
        Ok(PefCapabilities { version: VERSION, actions: action::ALL, filters: EVENT_FILTERS })
    }
}

async fn edit(context: &Context, change: impl Fn(&mut PefSettings) + Send + Sync + 'static) -> Answer<()> {
    let edit = move |editable: &mut Editable<'_>| {
        change(&mut editable.settings.pef);
        Ok(())
    };
    context.edit(edit).await
}

/// Refuses data of another length.
fn exactly<const N: usize>(data: &[u8]) -> Answer<[u8; N]> {
    data.try_into().map_err(|_| CompletionCode::REQUEST_LENGTH_INVALID)
}

/// The number of an entry of a table, and what else there is.
fn entry<const N: usize>(data: &[u8], entries: u8) -> Answer<(u8, [u8; N])> {
    let (number, rest) = data.split_first().ok_or(CompletionCode::REQUEST_LENGTH_INVALID)?;
    let rest = exactly(rest)?;
    match number & 0x7f {
        number if (1..=entries).contains(&number) => Ok((number, rest)),
        _ => Err(CompletionCode::PARAMETER_OUT_OF_RANGE),
    }
}

impl Act for SetPefConfig {
    async fn act(self, context: &Context) -> Answer<()> {
        let data = self.data.as_slice();
        match self.parameter {
            0 => {
                let [state] = exactly(data)?;
                let state = match state & 3 {
                    0 => SetInProgress::Complete,
                    1 => SetInProgress::InProgress,
                    2 => SetInProgress::Commit,
                    _ => return Err(CompletionCode::INVALID_DATA_FIELD),
                };
                let who = context.caller.session();
                context.bmc.with_volatile(|volatile| volatile.pef_guard.write(state, who))
            }
            1 => {
                let [control] = exactly(data)?;
                edit(context, move |pef| pef.control = control & 0x0f).await
            }
            2 => {
                let [actions] = exactly(data)?;
                edit(context, move |pef| pef.actions = actions & action::ALL).await
            }
            3 => {
                let [delay] = exactly(data)?;
                edit(context, move |pef| pef.startup_delay = delay).await
            }
            4 => {
                let [delay] = exactly(data)?;
                edit(context, move |pef| pef.alert_startup_delay = delay).await
            }
            5 | 8 | 11 => Err(READ_ONLY),
            6 => {
                let (number, filter) = entry(data, EVENT_FILTERS)?;
                edit(context, move |pef| {
                    pef.filters.insert(number, EventFilter(filter));
                })
                .await
            }
            7 => {
                let (number, [first]) = entry(data, EVENT_FILTERS)?;
                edit(context, move |pef| pef.filters.entry(number).or_default().0[0] = first).await
            }
            9 => {
                let (number, policy) = entry(data, ALERT_POLICIES)?;
                edit(context, move |pef| {
                    pef.policies.insert(number, AlertPolicy(policy));
                })
                .await
            }
            10 => {
                let [used, guid @ ..]: [u8; 17] = exactly(data)?;
                edit(context, move |pef| pef.guid = (used & 1 == 1).then_some(guid)).await
            }
            12 => {
                let (number, key) = string_entry(data)?;
                let key: [u8; 2] = exactly(key)?;
                edit(context, move |pef| {
                    pef.string_keys.insert(number, key);
                })
                .await
            }
            13 => {
                let (number, rest) = string_entry(data)?;
                let (block, text) = rest.split_first().ok_or(CompletionCode::REQUEST_LENGTH_INVALID)?;
                if !(1..=ALERT_STRING_BLOCKS).contains(block) {
                    return Err(CompletionCode::PARAMETER_OUT_OF_RANGE);
                }
                if text.is_empty() || text.len() > ALERT_STRING_BLOCK_BYTES {
                    return Err(CompletionCode::REQUEST_LENGTH_INVALID);
                }
                let (at, text) = (usize::from(*block - 1) * ALERT_STRING_BLOCK_BYTES, text.to_vec());
                edit(context, move |pef| {
                    let string = pef.strings.entry(number).or_default();
                    let end = at + text.len();
                    if string.len() < end {
                        string.resize(end, 0);
                    }
                    string.iter_mut().skip(at).zip(&text).for_each(|(to, from)| *to = *from);
                })
                .await
            }
            _ => Err(CompletionCode::PARAMETER_UNSUPPORTED),
        }
    }
}

/// The number of an alert string, 0 included, and what follows.
fn string_entry(data: &[u8]) -> Answer<(u8, &[u8])> {
    let (number, rest) = data.split_first().ok_or(CompletionCode::REQUEST_LENGTH_INVALID)?;
    match number & 0x7f {
        number @ 0..=ALERT_STRINGS => Ok((number, rest)),
        _ => Err(CompletionCode::PARAMETER_OUT_OF_RANGE),
    }
}

impl Read for GetPefConfig {
    fn answer(self, context: &Context) -> Answer<PefParameter> {
        let snapshot = context.bmc.snapshot();
        let pef = &snapshot.settings.pef;
        let number = self.set & 0x7f;
        let in_table = |first: u8, entries: u8| {
            if (first..=entries).contains(&number) && self.block == 0 {
                Ok(())
            } else {
                Err(CompletionCode::PARAMETER_OUT_OF_RANGE)
            }
        };
        let data = match self.parameter {
            0 => vec![u8::from(context.bmc.with_volatile(|volatile| volatile.pef_guard.in_progress()))],
            1 => vec![pef.control],
            2 => vec![pef.actions],
            3 => vec![pef.startup_delay],
            4 => vec![pef.alert_startup_delay],
            5 => vec![EVENT_FILTERS],
            6 | 7 if self.revision_only => Vec::new(),
            6 => {
                in_table(1, EVENT_FILTERS)?;
                let EventFilter(bytes) = pef.filters.get(&number).copied().unwrap_or_default();
                [&[number], bytes.as_slice()].concat()
            }
            7 => {
                in_table(1, EVENT_FILTERS)?;
                let EventFilter([first, ..]) = pef.filters.get(&number).copied().unwrap_or_default();
                vec![number, first]
            }
            8 => vec![ALERT_POLICIES],
            9 if self.revision_only => Vec::new(),
            9 => {
                in_table(1, ALERT_POLICIES)?;
                let AlertPolicy(bytes) = pef.policies.get(&number).copied().unwrap_or_default();
                [&[number], bytes.as_slice()].concat()
            }
            10 => match pef.guid {
                Some(guid) => [&[1], guid.as_slice()].concat(),
                None => vec![0; 17],
            },
            11 => vec![ALERT_STRINGS],
            12 | 13 if self.revision_only => Vec::new(),
            12 => {
                in_table(0, ALERT_STRINGS)?;
                let key = pef.string_keys.get(&number).copied().unwrap_or_default();
                [&[number], key.as_slice()].concat()
            }
            13 => {
                if number > ALERT_STRINGS || !(1..=ALERT_STRING_BLOCKS).contains(&self.block) {
                    return Err(CompletionCode::PARAMETER_OUT_OF_RANGE);
                }
                let at = usize::from(self.block - 1) * ALERT_STRING_BLOCK_BYTES;
                let string = pef.strings.get(&number).map(Vec::as_slice).unwrap_or_default();
                let text = string.iter().skip(at).take(ALERT_STRING_BLOCK_BYTES);
                [number, self.block].iter().chain(text).copied().collect()
            }
            _ => return Err(CompletionCode::PARAMETER_UNSUPPORTED),
        };
        let data = if self.revision_only { Vec::new() } else { data };
        Ok(PefParameter { revision: PefParameter::REVISION, data })
    }
}

impl Act for SetLastProcessedEvent {
    async fn act(self, context: &Context) -> Answer<()> {
        edit(context, move |pef| {
            let last = if self.by_bmc { &mut pef.last_by_bmc } else { &mut pef.last_by_software };
            *last = self.record;
        })
        .await
    }
}

impl Read for GetLastProcessedEvent {
    fn answer(self, context: &Context) -> Answer<LastProcessedEvent> {
        let snapshot = context.bmc.snapshot();
        let pef = &snapshot.settings.pef;
        Ok(LastProcessedEvent {
            last_addition: snapshot.sel.last_addition().unwrap_or(TIME_UNSPECIFIED),
            last_record: snapshot.sel.entries().last().map_or(LAST_RECORD, |entry| entry.record.id),
            by_software: pef.last_by_software,
            by_bmc: pef.last_by_bmc,
        })
    }
}

/// `81h` of Alert Immediate: one is under way.
const ALERT_IN_PROGRESS: CompletionCode = CompletionCode(0x81);

impl Act for AlertImmediate {
    async fn act(self, context: &Context) -> Answer<AlertImmediateStatus> {
        if self.channel != context.lan.number && self.channel != CHANNEL_OF_REQUEST {
            return Err(CompletionCode::INVALID_DATA_FIELD);
        }
        match self.operation {
            AlertOperation::Status => {
                Ok(AlertImmediateStatus(Some(context.bmc.with_alerts(|alerts| alerts.immediate_status()))))
            }
            AlertOperation::ClearStatus => {
                context.bmc.with_alerts(Alerts::clear_immediate_status);
                Ok(AlertImmediateStatus(None))
            }
            AlertOperation::Send => {
                let snapshot = context.bmc.snapshot();
                let destination = snapshot.settings.lan.destinations.get(&self.destination);
                let destination = destination.filter(|destination| !destination.address.is_unspecified());
                // A trap has no place for strings, and nobody to be sent to is a wrong number.
                let destination = destination.filter(|_| self.destination <= ALERT_DESTINATIONS);
                let destination = destination.ok_or(CompletionCode::INVALID_DATA_FIELD)?.clone();
                if self.string.is_some_and(|string| string > ALERT_STRINGS) {
                    return Err(CompletionCode::PARAMETER_OUT_OF_RANGE);
                }
                if !context.bmc.channel_access().alerting {
                    return Err(CompletionCode::NOT_IN_PRESENT_STATE);
                }
                if context.bmc.send_immediate(destination, self.event) {
                    Ok(AlertImmediateStatus(None))
                } else {
                    Err(ALERT_IN_PROGRESS)
                }
            }
        }
    }
}

impl Read for PetAcknowledge {
    fn answer(self, context: &Context) -> Answer<()> {
        let now = context.bmc.clock().now();
        // Whether the trap is still waited for is nobody's business.
        context.bmc.with_alerts(|alerts| alerts.acknowledge(now, &self));
        Ok(())
    }
}

#[cfg(test)]
#[path = "pef_tests.rs"]
mod tests;
