//! Those who wait for the answer of a task: who asked for it, and who asks for the same meanwhile.

use bmc_core::event::OperationStep;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Progress, State, Tasks, forget_oldest, last_step, too_many};
use crate::error::Problem;
use crate::resource::{Call, Reply};

impl Tasks {
    /// Like [`run`](Self::run) for what may be asked for again while it is carried out: another request with the same `key` for the same
    /// machine waits for the task that there is, and takes no place of its own.
    ///
    /// # Errors
    /// Those of the operation, and 503 when too many are under way.
    pub(crate) async fn run_or_join<W>(
        &self,
        call: &Call<'_>,
        name: &str,
        key: String,
        work: impl FnOnce(Progress) -> W,
    ) -> Result<Reply, Problem>
    where
        W: Future<Output = Result<Reply, Problem>> + Send + 'static,
    {
        let machine = self.machine(call);
        let joined = self.lock().tasks.iter_mut().find_map(|(id, kept)| {
            let same = kept.machine == machine && kept.key.as_ref() == Some(&key);
            let running = same && kept.task.state == State::Running;
            running.then(|| {
                kept.waiting += 1;
                (*id, kept.over.clone())
            })
        });
        let (id, over) = match joined {
            Some(joined) => joined,
            None => {
                let begun = self.begin(call, name, work, false)?;
                if let Some(kept) = self.lock().tasks.get_mut(&begun.0) {
                    kept.key = Some(key);
                }
                begun
            }
        };
        self.answer_in_time(call, id, over).await
    }

    /// The answer of a task for one who waits for it, or 202 with the task.
    pub(super) async fn answer_in_time(
        &self,
        call: &Call<'_>,
        id: u64,
        over: CancellationToken,
    ) -> Result<Reply, Problem> {
        // Also when the client goes away while this waits.
        let waiting = Waiting { tasks: self, id };
        let in_time = timeout(call.service.config.direct_answer, over.cancelled()).await.is_ok();
        if in_time {
            // Nobody can cancel what nobody has seen but the end of the service.
            return waiting.answer().ok_or_else(too_many);
        }
        drop(waiting);
        self.accepted(id)
    }
}

/// One who waits for a task's answer. Shows the task when it is dropped, unless it is gone by then.
struct Waiting<'a> {
    tasks: &'a Tasks,
    id: u64,
}

impl Waiting<'_> {
    /// The answer. The task is forgotten with the last who waits, unless somebody has seen it meanwhile.
    fn answer(self) -> Option<Reply> {
        let mut table = self.tasks.lock();
        let kept = table.tasks.get_mut(&self.id)?;
        kept.waiting = kept.waiting.saturating_sub(1);
        let answer = kept.task.answer.clone();
        if !kept.shown && kept.waiting == 0 {
            table.tasks.remove(&self.id);
        }
        drop(table);
        std::mem::forget(self);
        answer
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let most = self.tasks.ended_max();
        let mut table = self.tasks.lock();
        if let Some(kept) = table.tasks.get_mut(&self.id) {
            kept.waiting = kept.waiting.saturating_sub(1);
            if !kept.shown {
                kept.shown = true;
                self.tasks.tell(&kept.task, OperationStep::Started);
                if kept.task.state.has_ended() {
                    self.tasks.tell(&kept.task, last_step(kept.task.state));
                }
            }
            forget_oldest(&mut table, most);
        }
    }
}
