//! The watched domains of one connection, and the task that keeps the connection and what is known of them.
//!
//! ```text
//!                 open fails: wait, twice as long each time
//!                 ┌───────────┐
//!                 ▼           │
//!   start ──► connecting ─────┘
//!                 │ open: register for events, ask for every domain's state ─► Report::Available
//!                 ▼
//!             connected ──── close callback ──► Report::Unavailable, connecting
//! ```

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use bmc_core::backend::{MachineRef, Reports};
use bmc_core::discovery::Listing;
use bmc_core::error::{BackendError, BackendErrorKind};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use virt_sys as c;

use crate::connection::{CALL_TIMEOUT, Caller};
use crate::console::Streams;
use crate::discovery::{Lister, Look};
use crate::firmware::HostFirmware;
use crate::poll::poll;
use crate::storage::RaidOptions;
use crate::sys::{RawEvent, Sink};
use crate::track::{Instance, Step};
use crate::watch::{Asked, Watch, fetch, gone};

/// First wait after a failed connection attempt; doubles up to [`RECONNECT_MAX`].
const RECONNECT_MIN: Duration = Duration::from_millis(500);
/// Longest wait between connection attempts.
const RECONNECT_MAX: Duration = Duration::from_secs(15);
/// Wait before asking again for a domain whose state libvirt did not tell, other than for its absence.
pub(crate) const REFRESH_AGAIN: Duration = Duration::from_secs(10);
/// When a machine that boots is asked for its UEFI variables: after its firmware's work, and again after its system's.
const VARIABLES_SETTLE: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(150)];
/// How often an answer that events have overtaken is asked for anew before it is taken as it is.
const REFRESH_OVERTAKEN_MAX: u32 = 8;

/// Everything of one connection.
pub(crate) struct Hub {
    pub(crate) caller: Caller,
    /// What consoles share.
    pub(crate) streams: Arc<Streams>,
    /// The RAID controllers of its machines.
    pub(crate) raid: Arc<RaidOptions>,
    /// What firmware its machines can have.
    pub(crate) firmware: Arc<HostFirmware>,
    watches: Mutex<Watches>,
    /// Tells which domains there are, once somebody wants to know.
    lister: OnceLock<Lister>,
    /// Where tasks run: machines are attached from anywhere.
    pub(crate) runtime: Handle,
    /// Its drop ends the task.
    _alive: oneshot::Sender<()>,
}

/// Watches by what their events carry. Dropped ones are removed when the list they are in is next used.
#[derive(Default)]
struct Watches {
    bound: HashMap<Uuid, Vec<Weak<Watch>>>,
    unbound: HashMap<String, Vec<Weak<Watch>>>,
}

impl Watches {
    fn all(&mut self) -> Vec<Arc<Watch>> {
        let lists = self.bound.values_mut().chain(self.unbound.values_mut());
        let alive = lists.flat_map(live_of).collect();
        self.bound.retain(|_, list| !list.is_empty());
        self.unbound.retain(|_, list| !list.is_empty());
        alive
    }
}

fn live_of(list: &mut Vec<Weak<Watch>>) -> Vec<Arc<Watch>> {
    list.retain(|watch| watch.strong_count() > 0);
    list.iter().filter_map(Weak::upgrade).collect()
}

impl Hub {
    /// Starts the connection's tasks on the present tokio runtime; they end when the hub is dropped.
    pub(crate) fn start(
        uri: Arc<str>,
        statistics_interval: Duration,
        raid: RaidOptions,
        firmware: HostFirmware,
    ) -> Arc<Self> {
        let (alive, ended) = oneshot::channel();
        let caller = Caller::new(uri);
        let hub = Arc::new(Self {
            caller: caller.clone(),
            streams: Arc::default(),
            raid: Arc::new(raid),
            firmware: Arc::new(firmware),
            watches: Mutex::default(),
            lister: OnceLock::new(),
            runtime: Handle::current(),
            _alive: alive,
        });
        tokio::spawn(poll(Arc::downgrade(&hub), caller.clone(), statistics_interval));
        tokio::spawn(keep_connected(Arc::downgrade(&hub), caller, ended));
        hub
    }

    /// Watches a domain from now on.
    pub(crate) fn watch(self: &Arc<Self>, machine: MachineRef, reports: Reports) -> Arc<Watch> {
        let watch = Arc::new(Watch::new(machine, reports));
        self.file(&watch);
        self.refresh(&watch);
        watch
    }

    /// Which domains there are, kept up to date from now on.
    pub(crate) fn follow(self: &Arc<Self>) -> tokio::sync::watch::Receiver<Listing> {
        let start = || Lister::start(Arc::downgrade(self), self.caller.clone(), &self.runtime);
        self.lister.get_or_init(start).follow()
    }

    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, watch: &Arc<Watch>) {
        let mut watches = self.watches();
        let list = match watch.uuid() {
            Some(uuid) => watches.bound.entry(uuid).or_default(),
            None => watches.unbound.entry(watch.name().to_owned()).or_default(),
        };
        list.push(Arc::downgrade(watch));
    }

    /// A watch by name has found its domain: its events are found by UUID from now on.
    fn rebind(&self, watch: &Arc<Watch>) {
        let mut watches = self.watches();
        if let Some(list) = watches.unbound.get_mut(watch.name()) {
            list.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(watch)));
        }
        drop(watches);
        self.file(watch);
    }

    fn dispatch(self: &Arc<Self>, event: RawEvent) {
        let (uuid, name) = match &event {
            RawEvent::Lifecycle { uuid, name, .. } => (*uuid, Some(name.clone())),
            RawEvent::Reboot { uuid }
            | RawEvent::Watchdog { uuid, .. }
            | RawEvent::DiskError { uuid, .. }
            | RawEvent::Devices { uuid } => (*uuid, None),
            RawEvent::Metadata { uuid } => {
                self.look(Look::At(*uuid));
                return;
            }
            RawEvent::Closed { .. } => return,
        };
        if may_come_or_go(&event) {
            self.look(Look::At(uuid));
        }
        let mut watches = self.watches();
        let mut concerned = watches.bound.get_mut(&uuid).map(live_of).unwrap_or_default();
        concerned
            .extend(name.and_then(|name| watches.unbound.get_mut(&name)).map(live_of).unwrap_or_default());
        drop(watches);
        let now = Instant::now();
        for watch in concerned {
            let refresh = watch.on_event(|track| match &event {
                RawEvent::Lifecycle { event, detail, .. } => track.lifecycle(*event, *detail),
                RawEvent::Reboot { .. } => track.reboot(now),
                RawEvent::Watchdog { action, .. } => track.watchdog(*action),
                RawEvent::DiskError { path, alias, reason, .. } => track.disk_error(path, alias, reason),
                RawEvent::Devices { .. } => Step { refresh: true, ..Step::default() },
                RawEvent::Metadata { .. } | RawEvent::Closed { .. } => Step::default(),
            });
            if refresh || changes_variables(&event, &watch) {
                self.refresh(&watch);
            }
            if let RawEvent::Reboot { .. } | RawEvent::Lifecycle { event: c::VIR_DOMAIN_EVENT_STARTED, .. } =
                event
                && watch.is_uefi()
            {
                self.refresh_later(&watch);
            }
        }
    }

    fn look(&self, look: Look) {
        if let Some(lister) = self.lister.get() {
            lister.look(look);
        }
    }

    /// Asks again for a domain's state once its firmware and its system have had time to write their variables, of which no event tells.
    /// The boot that was waited for before is over: a guest that reboots in a loop is asked once it no longer does.
    fn refresh_later(self: &Arc<Self>, watch: &Arc<Watch>) {
        let instance = watch.running();
        let (hub, asked) = (Arc::downgrade(self), Arc::downgrade(watch));
        let task = self.runtime.spawn(async move {
            for wait in VARIABLES_SETTLE {
                tokio::time::sleep(wait).await;
                let (Some(hub), Some(watch)) = (hub.upgrade(), asked.upgrade()) else { return };
                if watch.running() != instance {
                    return;
                }
                hub.refresh(&watch);
            }
        });
        let mut settling = watch.settling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = settling.replace(task.abort_handle()) {
            before.abort();
        }
    }

    /// Asks for a domain's state and reports what is news, on a task of its own, unless one waits to do so already.
    fn refresh(self: &Arc<Self>, watch: &Arc<Watch>) {
        if watch.refresh_waits.swap(true, Ordering::AcqRel) {
            return;
        }
        let (hub, watch) = (Arc::downgrade(self), Arc::downgrade(watch));
        self.runtime.spawn(async move {
            loop {
                let (Some(hub), Some(watch)) = (hub.upgrade(), watch.upgrade()) else { return };
                match hub.refresh_now(&watch, Asked::ForMakeUp).await {
                    // Without a connection the next one refreshes everything; an absent domain announces itself.
                    Ok(()) => return,
                    Err(BackendErrorKind::NotFound | BackendErrorKind::Unavailable) => {
                        return;
                    }
                    Err(_) => {}
                }
                drop((hub, watch));
                tokio::time::sleep(REFRESH_AGAIN).await;
            }
        });
    }

    /// Asks for a domain's state and reports what is news.
    pub(crate) async fn refresh_now(
        self: &Arc<Self>,
        watch: &Arc<Watch>,
        why: Asked,
    ) -> Result<(), BackendErrorKind> {
        let _one = watch.refreshing.lock().await;
        // What happens from here on is not in the answer for certain.
        watch.refresh_waits.store(false, Ordering::Release);
        let was_bound = watch.uuid().is_some();
        for round in 0..=REFRESH_OVERTAKEN_MAX {
            let (asked_at, renewed) = {
                let track = watch.track();
                (track.events, track.renew_variables)
            };
            let (asked, raid, firmware) =
                (Arc::clone(watch), Arc::clone(&self.raid), Arc::clone(&self.firmware));
            let result = self.caller.call(CALL_TIMEOUT, "tell a domain's state", move |connect| {
                fetch(connect, &asked.look_up(connect)?, &raid, &firmware, (&asked.store, renewed))
            });
            match result.await {
                Ok(fetched) => {
                    if watch.apply(why, asked_at, &fetched, round == REFRESH_OVERTAKEN_MAX) {
                        break;
                    }
                }
                Err(error) => {
                    let kind = error.kind;
                    if kind == BackendErrorKind::NotFound {
                        watch.lose(gone(watch, self.caller.uri()));
                    } else {
                        watch.lose(error);
                    }
                    return Err(kind);
                }
            }
        }
        if !was_bound {
            self.rebind(watch);
        }
        Ok(())
    }

    /// The watched domains that have power, and since which start.
    pub(crate) fn running(&self) -> Vec<(Weak<Watch>, Instance)> {
        let watches = self.watches().all();
        watches.iter().filter_map(|watch| Some((Arc::downgrade(watch), watch.running().ok()?))).collect()
    }

    fn connected(self: &Arc<Self>) {
        self.look(Look::All);
        let watches = self.watches().all();
        for watch in watches {
            self.refresh(&watch);
        }
    }

    fn disconnected(&self, error: &BackendError) {
        let watches = self.watches().all();
        for watch in watches {
            watch.lose(error.clone());
        }
    }
}

/// Whether there may be a domain more, less, or one by another name after this event. A transient one comes with its start and goes with its
/// stop.
fn may_come_or_go(event: &RawEvent) -> bool {
    let RawEvent::Lifecycle { event, .. } = event else { return false };
    matches!(
        *event,
        c::VIR_DOMAIN_EVENT_DEFINED
            | c::VIR_DOMAIN_EVENT_UNDEFINED
            | c::VIR_DOMAIN_EVENT_STARTED
            | c::VIR_DOMAIN_EVENT_STOPPED
    )
}

/// Whether the guest's UEFI variables may have changed with what happened.
fn changes_variables(event: &RawEvent, watch: &Watch) -> bool {
    matches!(event, RawEvent::Lifecycle { event: c::VIR_DOMAIN_EVENT_STOPPED, .. } | RawEvent::Reboot { .. })
        && watch.is_uefi()
}

/// The connection's task.
async fn keep_connected(hub: Weak<Hub>, caller: Caller, mut ended: oneshot::Receiver<()>) {
    let mut wait = RECONNECT_MIN;
    loop {
        // Each connection has its own channel: what an earlier one still says is about a state that is no longer known.
        let (sender, mut events) = mpsc::unbounded_channel();
        let sink = move || -> Sink {
            let sender = sender.clone();
            Box::new(move |event| {
                // Without a receiver nobody wants to know any more.
                let _ = sender.send(event);
            })
        };
        let mut opening = caller.open(sink);
        let opened = loop {
            let opened = tokio::select! {
                opened = opening.end() => opened,
                _ = &mut ended => return,
            };
            if let Some(opened) = opened {
                break opened;
            }
            let error = BackendError::unavailable(format!(
                "libvirt at {} does not answer; waiting for it",
                caller.uri()
            ));
            tracing::warn!(uri = caller.uri(), %error, "no connection to libvirt");
            caller.set(Err(error.clone()));
            let Some(hub) = hub.upgrade() else { return };
            hub.disconnected(&error);
        };
        let error = match opened {
            Ok(live) => {
                tracing::info!(uri = caller.uri(), "connected to libvirt");
                caller.set(Ok(live));
                wait = RECONNECT_MIN;
                let Some(connected) = hub.upgrade() else { break };
                connected.connected();
                drop(connected);
                let reason = tokio::select! {
                    reason = serve(&hub, &mut events) => reason,
                    _ = &mut ended => break,
                };
                BackendError::unavailable(format!(
                    "the connection to libvirt at {} was lost ({reason}); trying again",
                    caller.uri()
                ))
            }
            Err(error) => error,
        };
        tracing::warn!(uri = caller.uri(), %error, "no connection to libvirt");
        caller.set(Err(error.clone()));
        let Some(lost) = hub.upgrade() else { break };
        lost.disconnected(&error);
        drop(lost);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = &mut ended => break,
        }
        wait = (wait * 2).min(RECONNECT_MAX);
    }
    caller.set(Err(BackendError::unavailable(format!("libvirt at {} is no longer used", caller.uri()))));
}

/// Passes events on until the connection is closed; returns why.
async fn serve(hub: &Weak<Hub>, events: &mut mpsc::UnboundedReceiver<RawEvent>) -> &'static str {
    while let Some(event) = events.recv().await {
        if let RawEvent::Closed { reason } = event {
            return match reason {
                c::VIR_CONNECT_CLOSE_REASON_EOF => "libvirt closed it",
                c::VIR_CONNECT_CLOSE_REASON_KEEPALIVE => "libvirt does not answer",
                c::VIR_CONNECT_CLOSE_REASON_CLIENT => "closed by us",
                _ => "transport error",
            };
        }
        if let Some(hub) = hub.upgrade() {
            hub.dispatch(event);
        }
    }
    "event loop ended"
}

#[cfg(test)]
mod tests;
