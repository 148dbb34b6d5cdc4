//! "Set in progress", parameter 0 of every group of parameters.

use ipmi_wire::CompletionCode;
use ipmi_wire::command::boot::SetInProgress;

use crate::table::Answer;

/// "Set in progress" of one group of parameters (IPMI 2.0 §23.1, parameter 0).
///
/// It only keeps a second console out of parameter 0 while the first has it, as the specification has it: writes hold at once and are
/// durable, so that a commit has nothing left to do. A session that ends gives back what it holds, so that a console that died cannot keep
/// it for ever.
#[derive(Debug, Default)]
pub(crate) struct SetGuard {
    /// Who has it; the inner `None` is a door without sessions.
    holder: Option<Option<u32>>,
}

impl SetGuard {
    /// Whether somebody is in the middle of a group of writes.
    pub(crate) fn in_progress(&self) -> bool {
        self.holder.is_some()
    }

    /// Takes a write of parameter 0 by `who`.
    ///
    /// # Errors
    /// `81h`: somebody else is in the middle of a group of writes.
    pub(crate) fn write(&mut self, state: SetInProgress, who: Option<u32>) -> Answer<()> {
        match state {
            SetInProgress::Complete => self.holder = None,
            SetInProgress::InProgress if self.holder.is_none_or(|holder| holder == who) => {
                self.holder = Some(who);
            }
            SetInProgress::InProgress => return Err(CompletionCode::SET_IN_PROGRESS),
            SetInProgress::Commit => {}
        }
        Ok(())
    }

    /// Gives the guard back if `who` has it.
    pub(crate) fn release(&mut self, who: Option<u32>) {
        if self.holder == Some(who) {
            self.holder = None;
        }
    }
}
