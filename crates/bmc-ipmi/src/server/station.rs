//! One BMC at work: sessions, handlers and time, but no socket. A socket that serves many BMCs has one station for each of its
//! local addresses.
//!
//! Every datagram enters at [`Station::datagram`]; every answer leaves as a [`Transmit`], from there or from
//! [`Station::finished`]; every command passes [`Station::execute`] decoded, and its reply [`Station::reply`]. What is to see or
//! disturb the traffic goes there.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bmc_core::account::{Account, Accounts};
use bmc_core::alert::Alert;
use bmc_core::clock::Clock;
use bmc_core::disable::{disable, held};
use bmc_core::event::EventKind;
use bmc_core::fleet::{Fleet, MachineHandle};
use bmc_core::lockout::{Lockouts, UNKNOWN_USER};
use bmc_core::settings::ChannelAccess;
use bmc_core::snapshot::Snapshot;
use ipmi_session::event::Sent;
use ipmi_session::{
    ConfigError, DropReason, Endpoint, Event, Received, RequestToken, SessionInfo, SolPolicy, Transmit,
};
use ipmi_wire::CompletionCode;
use rand_core::CryptoRng;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::{JoinError, JoinSet};

use super::config::{IpmiConfig, is_loopback};
use super::ending::Ending;
use super::sol::{self, SolView};
use super::users::Users;
use crate::context::LanView;
use crate::dispatch::{Command, may_wait};
use crate::handlers::boot::clear_unused;
use crate::table::{shown_request, shown_response};
use crate::{Bmc, Caller, Context, LanChannel, Reply, dispatch};

/// Requests of one BMC that wait for the machine's owner; one more is told "node busy" at once.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 64;

/// The source of randomness for session ids, challenges and initialisation vectors.
pub(crate) type Random = Box<dyn CryptoRng + Send>;

/// A command that was carried out.
#[derive(Debug)]
pub(crate) struct Finished {
    token: RequestToken,
    /// The session that it came over.
    session: Option<u32>,
    /// The address of this host that it came to.
    local: Option<IpAddr>,
    /// What to answer.
    pub(crate) reply: Reply,
}

/// A datagram to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// To whom, and the bytes.
    pub(crate) transmit: Transmit,
    /// From which address of this host; `None` leaves the choice to the system.
    pub(crate) local: Option<IpAddr>,
}

/// One BMC at work.
pub(crate) struct Station {
    config: IpmiConfig,
    /// Where it listens.
    address: SocketAddr,
    endpoint: Endpoint,
    bmc: Arc<Bmc>,
    lan: Arc<LanChannel>,
    users: Users,
    /// The machine as it was when its settings were last taken up.
    known: Arc<Snapshot>,
    /// Access to the channel as it holds.
    access: ChannelAccess,
    lockouts: Arc<Lockouts>,
    clock: Arc<dyn Clock>,
    random: Random,
    in_flight: JoinSet<Option<Finished>>,
    sol: SolView,
    alerts: Option<broadcast::Receiver<Alert>>,
    ending: Ending,
}

/// Something that did not come over the network.
#[derive(Debug)]
pub(crate) enum Work {
    /// The machine's owner has answered a command.
    Finished(Result<Option<Finished>, JoinError>),
    /// The machine has printed something that a session wants to see.
    Printed,
    /// An event filter calls for an alert.
    Alert(Alert),
}

impl Station {
    pub(crate) fn new(
        machine: MachineHandle,
        fleet: &Fleet,
        config: IpmiConfig,
        address: SocketAddr,
        random: Random,
    ) -> Result<Self, ConfigError> {
        let known = machine.snapshot();
        let alerts = machine.alerts();
        let bmc = Arc::new(Bmc::new(machine, config.profile.clone(), Arc::clone(fleet.clock())));
        let users = Users {
            bmc: Arc::clone(&bmc),
            lockouts: Arc::clone(fleet.lockouts()),
            clock: Arc::clone(fleet.clock()),
            loopback: is_loopback(address.ip()),
        };
        let access = bmc.channel_access();
        let sessions = config.for_sessions(&known, &access, is_loopback(address.ip()))?;
        let mut station = Self {
            lan: Arc::new(config.channel_of(&sessions, address)),
            endpoint: Endpoint::new(sessions),
            known,
            access,
            bmc,
            config,
            address,
            users,
            lockouts: Arc::clone(fleet.lockouts()),
            clock: Arc::clone(fleet.clock()),
            random,
            in_flight: JoinSet::new(),
            sol: SolView::default(),
            alerts,
            ending: Ending::default(),
        };
        station.endpoint.set_sol_policy(station.sol_policy());
        station.show_lan();
        Ok(station)
    }

    /// What the doors of this BMC share.
    pub(crate) fn bmc(&self) -> &Arc<Bmc> {
        &self.bmc
    }

    /// Lets other doors know what the LAN is like.
    fn show_lan(&self) {
        let address = Some(self.address.ip()).filter(|address| !address.is_unspecified());
        let view = LanView { lan: Arc::clone(&self.lan), sessions_active: self.sessions_active(), address };
        self.bmc.with_lan_view(|shown| *shown = Some(view));
    }

    fn sessions_active(&self) -> u8 {
        u8::try_from(self.endpoint.sessions().count()).unwrap_or(u8::MAX)
    }

    /// Notes the address that is listened on, from which alerts come.
    pub(crate) fn listens_on(&self, address: IpAddr) {
        self.bmc.with_alerts(|alerts| alerts.listens_on(address));
    }

    /// Takes one datagram from `peer` that came to `local`; returns what to send now. Never waits for the machine's owner.
    pub(crate) async fn datagram(
        &mut self,
        local: Option<IpAddr>,
        peer: SocketAddr,
        bytes: &[u8],
    ) -> Vec<Outgoing> {
        // What has changed holds from now on, whether or not the shell has come to tell of it.
        let mut outgoing = self.refresh().await;
        let now = self.clock.now();
        let output = self.endpoint.handle_datagram(now, peer, bytes, &self.users, &mut *self.random);
        tracing::trace!(bmc = %self.name(), %peer, bytes = bytes.len(), received = ?output.received, "datagram");
        self.bmc.counters().received(!matches!(
            output.received,
            Received::Dropped(DropReason::Malformed(_) | DropReason::TooLong)
        ));
        let mut transmits = output.transmits;
        transmits.extend(self.heed(local, output.events).await);
        outgoing.extend(transmits.into_iter().map(|transmit| Outgoing { transmit, local }));
        outgoing.extend(self.serial());
        outgoing.iter().for_each(|_| self.bmc.counters().sent());
        outgoing
    }

    /// How long until [`Station::wake`] is to be called; `None` while there is nothing to wait for.
    pub(crate) fn next_wake(&self) -> Option<Duration> {
        if self.bmc.is_reset_due() {
            return Some(Duration::ZERO);
        }
        let next = [
            self.endpoint.next_timeout(),
            self.bmc.boot_flags_expire_at(),
            self.ending.next_due(),
            self.bmc.with_alerts(|alerts| alerts.next_due()),
        ]
        .into_iter()
        .flatten()
        .min();
        next.map(|at| at.saturating_duration_since(self.clock.now()))
    }

    /// Lets go of what has waited too long; returns what to send now.
    pub(crate) async fn wake(&mut self) -> Vec<Outgoing> {
        let now = self.clock.now();
        // The limit is gone before the owner has been asked: the next turn has nothing to wait for.
        if let Some(set) = self.bmc.take_expired_boot_flags() {
            let machine = self.bmc.machine().clone();
            self.in_flight.spawn(async move {
                clear_unused(&machine, &set).await;
                None
            });
        }
        let events = self.endpoint.handle_timeout(now);
        self.heed(None, events).await;
        self.end_sessions().await;
        let mut outgoing = self.serial();
        outgoing.extend(self.traps());
        outgoing
    }

    /// Waits for the next command that the machine's owner has answered; `None` when none is under way.
    pub(crate) async fn next_finished(&mut self) -> Option<Result<Option<Finished>, JoinError>> {
        self.in_flight.join_next().await
    }

    /// Waits for the next thing to do that does not come over the network; for ever while there is none.
    pub(crate) async fn next_work(&mut self) -> Work {
        tokio::select! {
            Some(finished) = self.in_flight.join_next() => Work::Finished(finished),
            () = self.sol.changed() => Work::Printed,
            alert = next_alert(&mut self.alerts) => Work::Alert(alert),
            else => std::future::pending().await,
        }
    }

    /// Does it; returns what to send now.
    pub(crate) fn work(&mut self, work: Work) -> Vec<Outgoing> {
        match work {
            Work::Finished(finished) => self.finished(finished).into_iter().collect(),
            Work::Printed => self.serial(),
            Work::Alert(alert) => {
                self.bmc.send_alert(&alert, self.lan.number);
                self.traps()
            }
        }
    }

    /// The traps to send now.
    fn traps(&self) -> Vec<Outgoing> {
        let traps = self.bmc.with_alerts(|alerts| alerts.poll(self.clock.now()));
        let outgoing = traps.into_iter().map(|trap| {
            let to = SocketAddr::from((trap.to, self.config.trap_port));
            self.bmc.counters().sent();
            Outgoing { transmit: Transmit { to, bytes: trap.bytes, what: Sent::Alert }, local: None }
        });
        outgoing.collect()
    }

    /// Moves Serial over LAN on; returns what to send now.
    fn serial(&mut self) -> Vec<Outgoing> {
        let now = self.clock.now();
        self.sol.fill(now, &mut self.endpoint);
        let local = self.sol.local;
        let transmits = self.endpoint.sol_transmits(now, &mut *self.random);
        transmits.into_iter().map(|transmit| Outgoing { transmit, local }).collect()
    }

    /// The rules of Serial over LAN as they are now.
    fn sol_policy(&self) -> SolPolicy {
        let machine = self.bmc.machine();
        sol::policy(&machine.snapshot(), machine.console().is_some(), self.lan.port)
    }

    /// Whether a command is under way.
    pub(crate) fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Turns a finished command into its answer; `None` when its session has gone.
    pub(crate) fn finished(&mut self, finished: Result<Option<Finished>, JoinError>) -> Option<Outgoing> {
        match finished {
            Ok(Some(Finished { token, session, local, reply })) => {
                if let Some(session) = session {
                    self.ending.answered(session, self.clock.now());
                }
                let transmit = self.reply(token, &reply)?;
                self.bmc.counters().sent();
                Some(Outgoing { transmit, local })
            }
            Ok(None) => None,
            Err(error) => {
                tracing::error!(bmc = %self.name(), %error, "a command handler ended abnormally");
                self.ending.lost();
                None
            }
        }
    }

    /// Takes up what has changed of the machine: its UUID and what clients set hold for new logins; sessions and handshakes end
    /// whose users are no longer as they were.
    pub(crate) async fn refresh(&mut self) -> Vec<Outgoing> {
        self.bmc.heed_resets();
        let new = self.bmc.snapshot();
        let old = std::mem::replace(&mut self.known, Arc::clone(&new));
        let access = self.bmc.channel_access();
        if old.uuid != new.uuid || !Arc::ptr_eq(&old.settings, &new.settings) || self.access != access {
            self.access = access;
            self.reconfigure(&new);
        }
        let policy = self.sol_policy();
        if *self.endpoint.sol_policy() != policy {
            let events = self.endpoint.set_sol_policy(policy);
            self.heed(None, events).await;
        }
        if !Arc::ptr_eq(&old.accounts, &new.accounts) {
            let changed = |id: u8| find(&old.accounts, id) != find(&new.accounts, id);
            for user in old.accounts.iter().filter(|user| changed(user.id)) {
                self.lockouts.forgive_user(self.name(), user.name.as_bytes());
            }
            self.endpoint.drop_handshakes(|user, _| changed(user));
            let other = |id: u8| match (find(&old.accounts, id), find(&new.accounts, id)) {
                (Some(old), Some(new)) => !old.logs_in_as(new),
                (old, new) => old.is_some() || new.is_some(),
            };
            let changed = self.endpoint.sessions().filter(|session| other(session.user_id));
            self.ending.end(changed.map(|session| session.id), self.clock.now());
        }
        self.end_sessions().await;
        self.serial()
    }

    /// Ends the sessions whose time has come: those of changed users, and all of them after a reset of the BMC.
    async fn end_sessions(&mut self) {
        let now = self.clock.now();
        if self.bmc.take_reset() {
            self.endpoint.drop_handshakes(|_, _| true);
            self.ending.end(self.endpoint.sessions().map(|session| session.id), now);
        }
        let ending = &self.ending;
        let mut events = self.endpoint.retire_sessions(|session| ending.is_ending(session.id));
        events.extend(self.endpoint.close_sessions(|session| ending.is_due(session.id, now)));
        self.heed(None, events).await;
    }

    /// Lets the settings of a machine hold for new logins.
    fn reconfigure(&mut self, snapshot: &Snapshot) {
        match self.config.for_sessions(snapshot, &self.access, self.lan.loopback) {
            Ok(sessions) => {
                self.lan = Arc::new(self.config.channel_of(&sessions, self.address));
                self.endpoint.set_config(sessions);
                self.show_lan();
            }
            // The server's own part was right at the start, and settings only take from it.
            Err(error) => tracing::error!(bmc = %self.name(), %error, "the settings cannot be applied"),
        }
    }

    /// Ends all sessions.
    pub(crate) async fn close(&mut self) {
        let events = self.endpoint.close_sessions(|_| true);
        self.heed(None, events).await;
        self.in_flight.shutdown().await;
    }

    async fn heed(&mut self, local: Option<IpAddr>, events: Vec<Event>) -> Vec<Transmit> {
        let mut transmits = Vec::new();
        for event in events {
            if matches!(event, Event::SessionOpened(_) | Event::SessionClosed { .. }) {
                self.show_lan();
            }
            match event {
                Event::Request(request) => transmits.extend(self.execute(local, request).await),
                Event::SessionOpened(session) => self.opened(&session),
                Event::SessionClosed { session, reason } => {
                    self.bmc.session_closed(session.id);
                    if self.endpoint.sol_session().is_none() {
                        self.sol.close();
                    }
                    self.ending.closed(session.id);
                    let (user, source) = audited(&session);
                    self.bmc.machine().note(EventKind::SessionClosed { user, source });
                    tracing::debug!(bmc = %self.name(), user = %session.user_name, peer = %session.peer, ?reason, "IPMI session closed");
                }
                Event::SolActivated { session } => {
                    self.sol.open(self.bmc.machine().console(), local);
                    tracing::info!(bmc = %self.name(), user = %session.user_name, peer = %session.peer, "Serial over LAN activated");
                }
                Event::SolDeactivated { reason, .. } => {
                    self.sol.close();
                    tracing::info!(bmc = %self.name(), ?reason, "Serial over LAN deactivated");
                }
                Event::SolInput { characters, send_break, .. } => {
                    self.sol.local = local;
                    let (taken, available) =
                        sol::type_in(self.bmc.machine().console(), characters, send_break);
                    self.endpoint.sol_accept(taken, available);
                }
                Event::SolFlush { .. } => self.sol.flush(self.bmc.machine().console()),
                Event::LoginFailed { user_name, user_id, peer, reason } => {
                    tracing::warn!(bmc = %self.name(), user = %user_name, %peer, ?reason, "IPMI login failed");
                    if reason.is_audited() {
                        self.note_failure(user_name.as_bytes(), peer);
                    }
                    if reason.counts() {
                        let locks = self.count_failure(user_name.as_bytes(), user_id, peer);
                        // Guesses that were begun beforehand would otherwise be free.
                        let source = source_of(peer);
                        self.endpoint.drop_handshakes(|user, from| {
                            Some(user) == user_id
                                && (locks.everywhere || locks.here && source_of(from) == source)
                        });
                    }
                }
            }
        }
        transmits
    }

    fn opened(&mut self, session: &SessionInfo) {
        let user = session.user_name.as_bytes();
        self.lockouts.succeeded(self.name(), user, source_of(session.peer));
        self.lockouts.forgive_user(self.name(), user);
        let (user, source) = audited(session);
        self.bmc.machine().note(EventKind::SessionOpened { user, source });
        let privilege = session.max_privilege;
        tracing::info!(bmc = %self.name(), user = %session.user_name, peer = %session.peer, %privilege, "IPMI session opened");
    }

    /// Tells the machine's owner of a wrong name or password, before what may follow from it.
    fn note_failure(&self, user: &[u8], peer: SocketAddr) {
        let user = user.escape_ascii().to_string();
        self.bmc.machine().note(EventKind::LoginFailed { user, source: source_of(peer).to_string() });
    }

    /// Counts a wrong password, by source and by the BMC's own rule; `true` when it locks the user out.
    fn count_failure(&mut self, user: &[u8], user_id: Option<u8>, peer: SocketAddr) -> Locks {
        let now = self.clock.now();
        let machine = self.bmc.machine();
        let source = source_of(peer);
        let counted = if user_id.is_some() { user } else { UNKNOWN_USER };
        let here = self.lockouts.failed(now, machine.name(), counted, source);
        let threshold = machine.snapshot().settings.lan.bad_password;
        let rule = threshold.rule().filter(|_| user_id.is_some());
        let everywhere = rule.is_some_and(|rule| {
            let locks = self.lockouts.user_failed(now, machine.name(), user, held(rule));
            if let (true, None, Some(id)) = (locks, rule.lock_for, user_id) {
                let (lockouts, clock) = (Arc::clone(&self.lockouts), Arc::clone(&self.clock));
                let disabling = disable(machine.clone(), lockouts, clock, id, user.to_vec());
                self.in_flight.spawn(async move {
                    disabling.await;
                    None
                });
            }
            locks
        });
        if here || everywhere {
            let (user, log) = (user.escape_ascii().to_string(), here || threshold.audit);
            machine.note(EventKind::LockedOut { user, source: source.to_string(), log });
        }
        Locks { here, everywhere }
    }

    /// Where every command enters. What needs the machine's owner is answered later, so that nothing else waits for it.
    async fn execute(&mut self, local: Option<IpAddr>, request: ipmi_session::Request) -> Option<Transmit> {
        let session = request.session.as_ref().map(|session| session.id);
        if session.is_some_and(|id| self.ending.is_ending(id)) {
            // What it may do has changed; it is only to be closed.
            let completion = CompletionCode::INSUFFICIENT_PRIVILEGE;
            return self.reply(request.token, &Reply { completion, data: Vec::new() });
        }
        let context = self.context(local, &request);
        let ipmi_session::Request { token, netfn, lun, cmd, data, .. } = request;
        let command = Command { netfn, lun, cmd, data };
        tracing::trace!(
            bmc = %self.name(), %netfn, cmd = %format_args!("{cmd:02x}h"), data = shown_request(netfn, cmd, &command.data), "command"
        );
        if !may_wait(&command) {
            let reply = dispatch(&context, &command).await;
            return self.reply(token, &reply);
        }
        if self.in_flight.len() >= REQUESTS_IN_FLIGHT_MAX {
            return self.reply(token, &Reply { completion: CompletionCode::NODE_BUSY, data: Vec::new() });
        }
        if let Some(id) = session {
            self.ending.asked(id);
        }
        self.in_flight.spawn(async move {
            let reply = dispatch(&context, &command).await;
            Some(Finished { token, session, local, reply })
        });
        None
    }

    /// Where every reply leaves.
    fn reply(&mut self, token: RequestToken, reply: &Reply) -> Option<Transmit> {
        let now = self.clock.now();
        let transmit = self.endpoint.respond(now, token, reply.completion, &reply.data, &mut *self.random)?;
        if let Sent::Response { netfn, cmd, completion, .. } = transmit.what {
            tracing::trace!(
                bmc = %self.name(), to = %transmit.to, %netfn, cmd = %format_args!("{cmd:02x}h"), code = %completion,
                data = shown_response(netfn, cmd, &reply.data), "reply"
            );
        }
        Some(transmit)
    }

    fn context(&self, local: Option<IpAddr>, request: &ipmi_session::Request) -> Context {
        let caller = match &request.session {
            Some(session) => Caller::Session { id: session.id, privilege: session.privilege },
            None => Caller::Unauthenticated,
        };
        Context {
            bmc: Arc::clone(&self.bmc),
            caller,
            channel: request.channel,
            lan: Arc::clone(&self.lan),
            sessions_active: self.sessions_active(),
            local,
        }
    }

    fn name(&self) -> &str {
        self.bmc.machine().name()
    }
}

/// Whose a session is, and from where, as the session audit tells it.
fn audited(session: &SessionInfo) -> (String, String) {
    (session.user_name.to_string(), source_of(session.peer).to_string())
}

/// Waits for the next alert; for ever where there are none.
async fn next_alert(alerts: &mut Option<broadcast::Receiver<Alert>>) -> Alert {
    while let Some(receiver) = alerts {
        match receiver.recv().await {
            Ok(alert) => return alert,
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "alerts came faster than they could be sent")
            }
            Err(RecvError::Closed) => *alerts = None,
        }
    }
    std::future::pending().await
}

/// A peer's address as lock-outs know it: an IPv4 peer of an IPv6 socket by its IPv4 address, so that it is one with the same
/// host on other sockets, and loopback is seen as such.
pub(crate) fn source_of(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

/// What a wrong password has led to.
#[derive(Clone, Copy, Debug)]
struct Locks {
    /// The user is locked out from this source.
    here: bool,
    /// The user is locked out.
    everywhere: bool,
}

fn find(accounts: &Accounts, id: u8) -> Option<&Account> {
    accounts.iter().find(|account| account.id == id)
}
