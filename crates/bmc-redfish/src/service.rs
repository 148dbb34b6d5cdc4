//! One Redfish service: what it shows, its settings, its sessions; and the router in front of it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use bmc_core::fleet::MachineHandle;
use bmc_core::snapshot::Snapshot;
use uuid::Uuid;

use crate::background::Background;
use crate::config::{Profile, RedfishConfig};
use crate::door;
use crate::error::Problem;
use crate::event::Events;
use crate::scope::Scope;
use crate::session::Sessions;
use crate::tasks::Tasks;

/// One service root and everything under it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) scope: Scope,
    pub(crate) config: RedfishConfig,
    pub(crate) sessions: Sessions,
    /// What goes on between requests.
    pub(crate) background: Background,
    /// Operations that take time.
    pub(crate) tasks: Tasks,
    /// Who is told of events.
    pub(crate) events: Events,
}

/// A service that nobody asks any more has nothing more to do.
impl Drop for Service {
    fn drop(&mut self) {
        self.background.stop();
    }
}

impl Service {
    pub(crate) fn new(scope: Scope, config: RedfishConfig) -> Self {
        let sessions = Sessions::new(config.sessions_max, config.session_timeout);
        let background = Background::default();
        let tasks = Tasks::new(scope.clone(), background.clone());
        let events = Events::new(scope.clone(), background.clone(), config.delivery_timeout);
        let service = Self { scope, config, sessions, background, tasks, events };
        service.heed_resets();
        service
    }

    /// Ends all sessions if the BMC was reset, and forgets what a reset to defaults takes back. The root over all machines has none of a BMC's sessions.
    pub(crate) fn heed_resets(&self) {
        if let Some(machine) = self.scope.machine() {
            self.sessions.end_older(&machine.snapshot().bmc);
            self.events.heed_defaults();
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.scope.fleet().clock().now()
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.config.profile
    }

    /// The UUID of the service root; the Managers' `ServiceEntryPointUUID` too.
    pub(crate) fn uuid(&self) -> Uuid {
        match &self.scope {
            Scope::One { machine, .. } => machine.snapshot().uuid,
            Scope::All { .. } => self.config.aggregate_uuid,
        }
    }

    /// The machine an id in a URL means.
    ///
    /// # Errors
    /// 404, naming the kind of resource that was looked for.
    pub(crate) fn machine(&self, kind: &str, id: &str) -> Result<MachineHandle, Problem> {
        self.scope.find(id).ok_or_else(|| Problem::not_found(kind, id))
    }
}

/// Resource ids. All three of a machine's resources carry its UUID; this is the one place that says so.
pub(crate) fn resource_id(snapshot: &Snapshot) -> String {
    snapshot.uuid.to_string()
}

/// The service as a tower service: every route of the table, with and without a trailing slash, and 404 for the rest.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let all = |State(service): State<Arc<Service>>, request: Request| async move {
        door::pass(service, request).await
    };
    Router::new().fallback(all).with_state(service)
}
