//! The serial line of a simulated machine: what its terminal shows goes into the console's ring, what is typed comes straight here. Neither
//! needs a task or a queue.

use std::sync::Arc;
use std::time::Instant;

use bmc_core::console::{
    Console, ConsoleInput, ConsolePort, ConsoleState, TakeInput, Viewer, direct_console,
};

use crate::machine::{SimMachine, Stage};
use crate::terminal::{Action, Moment, Terminal};

/// One machine's line.
#[derive(Debug)]
pub(crate) struct Serial {
    console: Console,
    port: ConsolePort,
    terminal: Terminal,
    /// What was shown last: a phase of a run, and the interrupts.
    stage: Stage,
    run: u64,
    interrupts: u64,
    /// Sees what was shown since the firmware began, which is when the screen was cleared.
    since_start: Viewer,
}

impl Serial {
    /// The line of a machine that is off; `take` is called with what is typed.
    pub(crate) fn new(take: Arc<TakeInput>) -> Self {
        let (console, port) = direct_console(take);
        let since_start = console.view();
        Self {
            console,
            port,
            terminal: Terminal::default(),
            stage: Stage::Off,
            run: 0,
            interrupts: 0,
            since_start,
        }
    }

    /// The line's other end.
    pub(crate) fn console(&self) -> Console {
        self.console.clone()
    }

    /// What the machine has shown since it started, as far as that is kept: its screen shows the same as its line.
    pub(crate) fn shown(&self) -> Vec<u8> {
        self.since_start.clone().take(usize::MAX).bytes
    }

    /// Shows what has happened to the machine since the last call.
    pub(crate) fn follow(&mut self, now: Instant, machine: &SimMachine) {
        if machine.interrupts() != self.interrupts {
            self.interrupts = machine.interrupts();
            self.show(now, Moment::Interrupt);
        }
        let (stage, run) = (machine.stage(), machine.runs());
        if (stage, run) == (self.stage, self.run) {
            return;
        }
        if stage == Stage::Off {
            self.show(now, Moment::Off);
            self.port.set_state(ConsoleState::Closed("the machine is off".to_owned()));
        } else {
            self.port.set_state(ConsoleState::Open);
            if run != self.run {
                self.since_start = self.console.view_from_now();
                self.show(now, Moment::Post(machine.info()));
            }
            match stage {
                Stage::Off | Stage::Post => {}
                Stage::Loading => self.show(now, Moment::Booting(machine.booted_from().unwrap_or("nothing"))),
                Stage::Setup => self.show(now, Moment::Setup),
                Stage::Up => self.show(now, Moment::Up(&machine.info().name)),
                Stage::GoingDown => self.show(now, Moment::GoingDown),
            }
        }
        (self.stage, self.run) = (stage, run);
    }

    /// Takes what is typed; returns what it makes the machine do.
    pub(crate) fn types(&mut self, now: Instant, input: &ConsoleInput) -> Option<Action> {
        match input {
            ConsoleInput::Bytes(typed) => {
                let (shown, action) = self.terminal.types(now, typed);
                self.put(&shown);
                action
            }
            ConsoleInput::Break => {
                let shown = self.terminal.breaks();
                self.put(shown.as_bytes());
                None
            }
        }
    }

    fn show(&mut self, now: Instant, moment: Moment<'_>) {
        let shown = self.terminal.shows(now, moment);
        self.put(shown.as_bytes());
    }

    fn put(&self, shown: &[u8]) {
        if !shown.is_empty() {
            self.port.output(shown);
        }
    }
}
