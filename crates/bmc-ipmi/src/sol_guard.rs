//! The volatile part of Serial over LAN's configuration: who is in the middle of a group of writes, and the present bit rate.

/// What no restart needs to know.
#[derive(Debug, Default)]
pub(crate) struct SolGuard {
    /// Who has set "set in progress"; the inner `None` is a door without sessions.
    holder: Option<Option<u32>>,
    /// The present bit rate, where one was set apart from the one that holds after a start.
    pub(crate) bit_rate: Option<u8>,
}

impl SolGuard {
    /// Whether somebody is in the middle of a group of writes.
    pub(crate) const fn in_progress(&self) -> bool {
        self.holder.is_some()
    }

    /// Takes the guard for `who`; `false` when another one has it.
    pub(crate) fn take(&mut self, who: Option<u32>) -> bool {
        let free = self.holder.is_none_or(|holder| holder == who);
        if free {
            self.holder = Some(who);
        }
        free
    }

    /// Gives the guard back if `who` has it, so that a console that died cannot keep it for ever.
    pub(crate) fn release(&mut self, who: Option<u32>) {
        if self.holder == Some(who) {
            self.holder = None;
        }
    }

    /// Gives the guard back, whoever has it.
    pub(crate) const fn release_any(&mut self) {
        self.holder = None;
    }
}
