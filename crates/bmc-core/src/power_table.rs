//! What a power action does, by state: the one table behind every protocol.
//!
//! | | Off | PoweringOn | On / Paused | PoweringOff |
//! |---|---|---|---|---|
//! | on | start | joins | nothing (Paused: resumes) | busy |
//! | off | nothing | stops | stops | stops now |
//! | soft | wrong state | kept until the OS is up | shutdown | joins |
//! | reset, cycle, graceful restart | wrong state | joins its own kind, else busy | does it | joins its own kind, else busy |
//! | NMI | wrong state | delivered | delivered | delivered |
//!
//! The power button is on when off, soft otherwise.

use crate::power::{PowerAction, PowerState};

/// What to do about an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Start the machine.
    Start,
    /// Remove power.
    Stop,
    /// Ask the operating system to shut down.
    Shutdown,
    /// Ask for a shutdown once the operating system is up.
    KeepShutdown,
    /// Reset.
    Reset,
    /// Stop, then start.
    Cycle,
    /// Shut down, then start.
    GracefulRestart,
    /// Deliver a diagnostic interrupt.
    Nmi,
    /// Let a paused machine run.
    Resume,
    /// The same is under way: become part of it.
    Join,
    /// The machine already is as asked.
    Nothing,
    /// Not possible in this state.
    WrongState,
    /// Not possible while another operation is under way.
    Busy,
}

/// Looks an action up. `restart` is the reset, cycle or graceful restart that is under way, if one is.
pub fn decide(state: PowerState, restart: Option<PowerAction>, action: PowerAction) -> Decision {
    use PowerState::{Off, On, Paused, PoweringOff, PoweringOn};
    match action {
        PowerAction::On => match state {
            Off => Decision::Start,
            PoweringOn => Decision::Join,
            On => Decision::Nothing,
            Paused => Decision::Resume,
            PoweringOff => Decision::Busy,
        },
        PowerAction::Off => match state {
            Off => Decision::Nothing,
            PoweringOn | On | Paused | PoweringOff => Decision::Stop,
        },
        PowerAction::Soft => match state {
            Off => Decision::WrongState,
            PoweringOn => Decision::KeepShutdown,
            On | Paused => Decision::Shutdown,
            PoweringOff => Decision::Join,
        },
        PowerAction::Reset | PowerAction::Cycle | PowerAction::GracefulRestart => match state {
            Off => Decision::WrongState,
            _ if restart == Some(action) => Decision::Join,
            PoweringOn | PoweringOff => Decision::Busy,
            On | Paused => match action {
                PowerAction::Reset => Decision::Reset,
                PowerAction::Cycle => Decision::Cycle,
                _ => Decision::GracefulRestart,
            },
        },
        PowerAction::Nmi => match state {
            Off => Decision::WrongState,
            PoweringOn | On | Paused | PoweringOff => Decision::Nmi,
        },
        PowerAction::PushButton => match state {
            Off => Decision::Start,
            PoweringOn | On | Paused | PoweringOff => decide(state, restart, PowerAction::Soft),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::Decision::*;
    use super::*;
    use PowerState::{Off, On, Paused, PoweringOff, PoweringOn};

    const STATES: [PowerState; 5] = [Off, PoweringOn, On, Paused, PoweringOff];

    /// The contract, row by row, in the order of `STATES`, with nothing else under way.
    const ROWS: [(PowerAction, [Decision; 5]); 8] = [
        (PowerAction::On, [Start, Join, Nothing, Resume, Busy]),
        (PowerAction::Off, [Nothing, Stop, Stop, Stop, Stop]),
        (PowerAction::Soft, [WrongState, KeepShutdown, Shutdown, Shutdown, Join]),
        (PowerAction::Reset, [WrongState, Busy, Reset, Reset, Busy]),
        (PowerAction::Cycle, [WrongState, Busy, Cycle, Cycle, Busy]),
        (PowerAction::GracefulRestart, [WrongState, Busy, GracefulRestart, GracefulRestart, Busy]),
        (PowerAction::Nmi, [WrongState, Nmi, Nmi, Nmi, Nmi]),
        (PowerAction::PushButton, [Start, KeepShutdown, Shutdown, Shutdown, Join]),
    ];

    #[test]
    fn every_row_of_the_table() {
        assert_eq!(ROWS.map(|(action, _)| action).len(), PowerAction::ALL.len());
        for (action, expected) in ROWS {
            assert_eq!(STATES.map(|state| decide(state, None, action)), expected, "{action:?}");
        }
    }

    #[test]
    fn a_restart_joins_its_own_kind_and_no_other() {
        let restarts = [PowerAction::Reset, PowerAction::Cycle, PowerAction::GracefulRestart];
        for under_way in restarts {
            for asked in restarts {
                for state in [PoweringOn, PoweringOff] {
                    let expected = if asked == under_way { Join } else { Busy };
                    assert_eq!(
                        decide(state, Some(under_way), asked),
                        expected,
                        "{under_way:?} {asked:?} {state:?}"
                    );
                }
                assert_eq!(decide(On, Some(under_way), asked) == Join, asked == under_way);
            }
            assert_eq!(decide(PoweringOff, Some(under_way), PowerAction::Off), Stop, "hard off always wins");
        }
    }
}
