//! Operations that take time (DSP0266, "Asynchronous operations").
//!
//! ```text
//!          run ──► hidden ──── done in time ────► answered directly, nothing is left
//!                    │
//!                    │ takes longer, or the client is gone
//!                    ▼           Ok, Err                              newer ones, DELETE
//!        start ──► Running ───────────────► Completed, Exception ─────────────────────────► gone
//!                    │                                          ▲
//!                    └──── DELETE, the service stops ──► Cancelled
//! ```
//!
//! An operation does not end with the connection of the client that asked for it. It is cancelled by dropping its future; from the moment it
//! says [`Progress::commit`] on it is not, because what it does could no longer be undone. Tasks live in memory and end with the service.

mod wait;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bmc_core::event::{EventKind, OperationStep};
use bmc_core::media::Transfer;
use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::background::Background;
use crate::error::Problem;
use crate::message::{self, Message};
use crate::resource::{Call, Content, Reply, task};
use crate::scope::Scope;
use crate::secret;
use uuid::Uuid;

/// Operations under way at once on one machine, and as many that belong to none in particular; one more is refused with 503.
pub(crate) const RUNNING_MAX: usize = 16;
/// Tasks that have ended and are kept, for each machine shown: those of a fleet end together, and who polls one has to find it. The oldest
/// makes room.
pub(crate) const ENDED_MAX: usize = 32;
/// The id of no task.
const NO_TASK: u64 = 0;
/// Messages a task keeps; the oldest makes room.
const MESSAGES_MAX: usize = 32;
/// When a client is told to come again after there were too many.
const TOO_MANY_RETRY_AFTER: Duration = Duration::from_secs(10);

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    /// Asked to end before it is done.
    Cancelling,
    Completed,
    Exception,
    Cancelled,
}

impl State {
    /// Whether nothing more will happen.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Exception | Self::Cancelled)
    }
}

/// One task, as shown.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: u64,
    /// What it does, in a few words.
    pub(crate) name: String,
    /// Who asked for it.
    pub(crate) user: String,
    pub(crate) method: Method,
    /// The URI that was asked.
    pub(crate) target: String,
    /// The body of the request without its secrets.
    pub(crate) body: Value,
    pub(crate) start: Timestamp,
    pub(crate) end: Option<Timestamp>,
    pub(crate) state: State,
    /// 0 to 100; none while that is not known.
    pub(crate) percent: Option<u8>,
    pub(crate) messages: Vec<Message>,
    /// What the operation answers, once it has ended.
    pub(crate) answer: Option<Reply>,
}

/// A task and what only its keeper needs to know.
#[derive(Debug)]
struct Kept {
    task: Task,
    /// The machine whose places it takes; none where it belongs to none in particular.
    machine: Option<Arc<str>>,
    /// Clients see it.
    shown: bool,
    /// It cannot be undone any more.
    committed: bool,
    cancel: CancellationToken,
    /// What tells whether another request asks for the same.
    key: Option<String>,
    /// Requests that wait for its answer.
    waiting: usize,
    /// It has ended.
    over: CancellationToken,
    /// What it fetches.
    transfer: Option<Transfer>,
}

impl Kept {
    /// The task as clients see it: one that fetches something has come as far as that.
    fn seen(&self) -> Task {
        let mut task = self.task.clone();
        let percent = self.transfer.as_ref().and_then(Transfer::percent);
        task.percent = percent.filter(|_| !task.state.has_ended()).or(task.percent);
        task
    }
}

#[derive(Debug, Default)]
struct Table {
    last_id: u64,
    tasks: BTreeMap<u64, Kept>,
}

/// The tasks of one service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tasks(Arc<Inner>);

struct Inner {
    table: Mutex<Table>,
    scope: Scope,
    background: Background,
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tasks").field(&self.lock()).finish()
    }
}

/// Why a task does not end on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndError {
    /// There is none with this id.
    Missing,
    /// What it does cannot be undone any more.
    Committed,
}

impl Tasks {
    pub(crate) fn new(scope: Scope, background: Background) -> Self {
        Self(Arc::new(Inner { table: Mutex::default(), scope, background }))
    }

    /// Carries an operation out that may take long. One that is done within [`RedfishConfig::direct_answer`](crate::config::RedfishConfig)
    /// is answered as if it were any other; else the answer is 202 with a task, and the operation goes on. `name` says in a few words what it
    /// does.
    ///
    /// # Errors
    /// Those of the operation, and 503 when too many are under way.
    pub(crate) async fn run<W>(
        &self,
        call: &Call<'_>,
        name: &str,
        work: impl FnOnce(Progress) -> W,
    ) -> Result<Reply, Problem>
    where
        W: Future<Output = Result<Reply, Problem>> + Send + 'static,
    {
        let (id, over) = self.begin(call, name, work, false)?;
        self.answer_in_time(call, id, over).await
    }

    /// Like [`run`](Self::run) for what ends other operations: with too many under way it is carried out without a task, however long it
    /// takes.
    ///
    /// # Errors
    /// Those of the operation, and 503 when the service stops.
    pub(crate) async fn run_even_if_full<W>(
        &self,
        call: &Call<'_>,
        name: &str,
        work: impl FnOnce(Progress) -> W,
    ) -> Result<Reply, Problem>
    where
        W: Future<Output = Result<Reply, Problem>> + Send + 'static,
    {
        let cancel = CancellationToken::new();
        match self.insert(call, name, false, cancel.clone()) {
            Ok(id) => {
                let over = self.go(id, cancel, work);
                self.answer_in_time(call, id, over).await
            }
            Err(problem) if self.0.background.is_stopping() => Err(problem),
            Err(_) => work(Progress { tasks: self.clone(), id: NO_TASK }).await,
        }
    }

    /// Begins an operation that is a task in any case, and answers 202.
    ///
    /// # Errors
    /// 503 when too many are under way.
    pub(crate) fn start<W>(
        &self,
        call: &Call<'_>,
        name: &str,
        work: impl FnOnce(Progress) -> W,
    ) -> Result<Reply, Problem>
    where
        W: Future<Output = Result<Reply, Problem>> + Send + 'static,
    {
        let (id, _) = self.begin(call, name, work, true)?;
        self.accepted(id)
    }

    /// The tasks that clients see, by id.
    pub(crate) fn all(&self) -> Vec<Task> {
        self.lock().tasks.values().filter(|kept| kept.shown).map(Kept::seen).collect()
    }

    /// The task with this id.
    pub(crate) fn by_id(&self, id: &str) -> Option<Task> {
        let kept_as: u64 = id.parse().ok()?;
        let table = self.lock();
        let kept = table.tasks.get(&kept_as).filter(|kept| kept.shown)?;
        // One task has one id: `+1` and `01` are none.
        (kept.task.id.to_string() == id).then(|| kept.seen())
    }

    /// Forgets a task that has ended; asks one that runs to end.
    ///
    /// # Errors
    /// See [`EndError`].
    pub(crate) fn end(&self, id: u64) -> Result<(), EndError> {
        let mut table = self.lock();
        let kept = table.tasks.get_mut(&id).filter(|kept| kept.shown).ok_or(EndError::Missing)?;
        if kept.task.state.has_ended() {
            if let Some(kept) = table.tasks.remove(&id) {
                self.tell(&kept.task, OperationStep::Removed);
            }
            return Ok(());
        }
        if kept.committed {
            return Err(EndError::Committed);
        }
        kept.task.state = State::Cancelling;
        kept.cancel.cancel();
        Ok(())
    }

    fn begin<W>(
        &self,
        call: &Call<'_>,
        name: &str,
        work: impl FnOnce(Progress) -> W,
        shown: bool,
    ) -> Result<(u64, CancellationToken), Problem>
    where
        W: Future<Output = Result<Reply, Problem>> + Send + 'static,
    {
        let cancel = CancellationToken::new();
        let id = self.insert(call, name, shown, cancel.clone())?;
        Ok((id, self.go(id, cancel, work)))
    }

    /// Carries a task out in the background; what it returns is cancelled at its end.
    fn go<W>(&self, id: u64, cancel: CancellationToken, work: impl FnOnce(Progress) -> W) -> CancellationToken
    where
        W: Future<Output = Result<Reply, Problem>> + Send + 'static,
    {
        let over = self.lock().tasks.get(&id).map(|kept| kept.over.clone()).unwrap_or_default();
        let mut ending = Ending {
            tasks: self.clone(),
            id,
            answer: Some(Err(Problem::internal())),
            _over: over.clone().drop_guard(),
        };
        let work = work(Progress { tasks: self.clone(), id });
        let background = self.0.background.clone();
        self.0.background.spawn(async move {
            let answer = tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                () = background.stopping() => None,
                answer = work => Some(answer),
            };
            ending.is(answer);
        });
        over
    }

    fn insert(
        &self,
        call: &Call<'_>,
        name: &str,
        shown: bool,
        cancel: CancellationToken,
    ) -> Result<u64, Problem> {
        let start = self.0.scope.fleet().clock().timestamp();
        let machine = self.machine(call);
        let mut table = self.lock();
        let takes = |kept: &&Kept| !kept.task.state.has_ended() && kept.machine == machine;
        let running = table.tasks.values().filter(takes).count();
        if running >= RUNNING_MAX || self.0.background.is_stopping() {
            return Err(too_many());
        }
        table.last_id += 1;
        let id = table.last_id;
        let task = Task {
            id,
            name: name.to_owned(),
            user: call.caller.as_ref().map(|caller| caller.user.clone()).unwrap_or_default(),
            method: call.verb.kind.method(),
            target: call.path.to_owned(),
            body: secret::masked(&call.body, call.verb.secrets),
            start,
            end: None,
            state: State::Running,
            percent: Some(0),
            messages: Vec::new(),
            answer: None,
        };
        if shown {
            self.tell(&task, OperationStep::Started);
        }
        let kept = Kept {
            task,
            machine,
            shown,
            committed: false,
            cancel,
            key: None,
            waiting: usize::from(!shown),
            over: CancellationToken::new(),
            transfer: None,
        };
        table.tasks.insert(id, kept);
        Ok(id)
    }

    /// The machine that a request is about.
    fn machine(&self, call: &Call<'_>) -> Option<Arc<str>> {
        let scope = &self.0.scope;
        let machine = scope.machine().cloned().or_else(|| scope.find(call.id));
        machine.map(|machine| Arc::clone(machine.name()))
    }

    /// Notes how a task ended; `None` when it was cancelled.
    fn note_end(&self, id: u64, answer: Option<Result<Reply, Problem>>) {
        let end = self.0.scope.fleet().clock().timestamp();
        let most = self.ended_max();
        let mut table = self.lock();
        let Some(kept) = table.tasks.get_mut(&id) else { return };
        let task = &mut kept.task;
        task.end = Some(end);
        match answer {
            None => task.state = State::Cancelled,
            Some(Ok(reply)) => {
                task.state = State::Completed;
                task.percent = Some(100);
                if task.messages.is_empty() {
                    task.messages.push(Message::new(message::Success, []));
                }
                task.answer = Some(reply);
            }
            Some(Err(problem)) => {
                task.state = State::Exception;
                task.messages.extend(problem.messages.iter().cloned());
                task.answer = Some(Reply::from(&problem));
            }
        }
        if kept.shown {
            self.tell(&kept.task, last_step(kept.task.state));
        }
        forget_oldest(&mut table, most);
    }

    /// How many ended tasks are kept.
    fn ended_max(&self) -> usize {
        ENDED_MAX.saturating_mul(self.0.scope.machines().len().max(1))
    }

    /// 202 with the monitor's URI and the task (DSP0266, "Asynchronous operations"). There is no Retry-After: sushy waits a second without
    /// one, and breaks on one in seconds.
    fn accepted(&self, id: u64) -> Result<Reply, Problem> {
        let task = self.lock().tasks.get(&id).map(Kept::seen);
        let task = task.ok_or_else(Problem::internal)?;
        Ok(accepted(&task))
    }

    /// Tells of a task that clients see.
    fn tell(&self, task: &Task, step: OperationStep) {
        let scope = &self.0.scope;
        let machine = scope.machine().map_or(Uuid::nil(), |machine| machine.snapshot().uuid);
        let event = EventKind::Operation { task: task.id, name: task.name.clone(), step };
        let fleet = scope.fleet();
        fleet.events().emit(fleet.clock().timestamp(), &scope.lockout_name(), machine, event);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many() -> Problem {
    Problem::retry(TOO_MANY_RETRY_AFTER, message::ServiceTemporarilyUnavailable)
}

/// The step that a state is.
fn last_step(state: State) -> OperationStep {
    match state {
        State::Running | State::Cancelling => OperationStep::Started,
        State::Completed => OperationStep::Completed,
        State::Exception => OperationStep::Failed,
        State::Cancelled => OperationStep::Cancelled,
    }
}

/// 202 with a task.
pub(crate) fn accepted(task: &Task) -> Reply {
    let location = HeaderValue::from_str(&task::monitor_uri(task.id)).ok();
    Reply {
        status: StatusCode::ACCEPTED,
        headers: location.into_iter().map(|location| (LOCATION, location)).collect(),
        content: Content::Resource(task::render(task)),
    }
}

/// Keeps no more ended tasks than it may; those that nobody sees yet are about to be taken or shown.
fn forget_oldest(table: &mut Table, most: usize) {
    let ended = |kept: &Kept| kept.shown && kept.task.state.has_ended();
    while table.tasks.values().filter(|kept| ended(kept)).count() > most {
        let oldest = table.tasks.iter().find(|(_, kept)| ended(kept)).map(|(id, _)| *id);
        let Some(oldest) = oldest else { return };
        table.tasks.remove(&oldest);
    }
}

/// Notes a task's end when it is dropped, also when the operation panicked.
struct Ending {
    tasks: Tasks,
    id: u64,
    answer: Option<Result<Reply, Problem>>,
    /// Wakes who waits, after the end was noted: fields are dropped after this value's own `drop`.
    _over: DropGuard,
}

impl Ending {
    /// How the operation ended.
    fn is(&mut self, answer: Option<Result<Reply, Problem>>) {
        self.answer = answer;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.tasks.note_end(self.id, self.answer.take());
    }
}

/// What an operation tells of itself. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    tasks: Tasks,
    id: u64,
}

impl Progress {
    /// What is fetched tells how much is done.
    pub(crate) fn transfer(&self, transfer: Transfer) {
        self.change(|kept| kept.transfer = Some(transfer));
    }

    /// Tells something about the operation.
    pub(crate) fn message(&self, message: Message) {
        self.change(|kept| {
            if kept.task.messages.len() == MESSAGES_MAX {
                kept.task.messages.remove(0);
            }
            kept.task.messages.push(message);
        });
    }

    /// Says that from here on the operation cannot be cancelled; `false` when it was already.
    #[must_use]
    pub(crate) fn commit(&self) -> bool {
        let mut committed = false;
        self.change(|kept| {
            committed = kept.task.state == State::Running;
            kept.committed = committed;
        });
        committed
    }

    fn change(&self, change: impl FnOnce(&mut Kept)) {
        if let Some(kept) = self.tasks.lock().tasks.get_mut(&self.id) {
            change(kept);
        }
    }
}
