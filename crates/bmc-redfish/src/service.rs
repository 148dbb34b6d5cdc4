//! One Redfish service: what it shows, its settings, its sessions; and the router in front of it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::routing::any;
use bmc_core::fleet::MachineHandle;
use bmc_core::snapshot::Snapshot;
use uuid::Uuid;

use crate::config::{Profile, RedfishConfig};
use crate::door;
use crate::error::Problem;
use crate::routes::ROUTES;
use crate::scope::Scope;
use crate::session::Sessions;

/// One service root and everything under it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) scope: Scope,
    pub(crate) config: RedfishConfig,
    pub(crate) sessions: Sessions,
}

impl Service {
    pub(crate) fn new(scope: Scope, config: RedfishConfig) -> Self {
        let sessions = Sessions::new(config.sessions_max, config.session_timeout);
        Self { scope, config, sessions }
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

/// The variable parts of a URI; empty where there are none.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    /// The first: a machine, mostly.
    pub(crate) id: String,
    /// The second: something of that machine.
    pub(crate) member: String,
}

/// The service as a tower service: every route of the table, with and without a trailing slash, and 404 for the rest.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let handler = move |State(service): State<Arc<Service>>,
                            params: Result<RawPathParams, RawPathParamsRejection>,
                            request: Request| async move {
            // An id that is not UTF-8 once decoded names nothing.
            let route = (params.is_ok()).then_some(route);
            let mut ids = params.iter().flatten().map(|(_, id)| id.to_owned());
            let ids = Ids { id: ids.next().unwrap_or_default(), member: ids.next().unwrap_or_default() };
            door::pass(service, route, ids, request).await
        };
        router = router.route(route.path, any(handler)).route(&format!("{}/", route.path), any(handler));
    }
    let nothing = |State(service): State<Arc<Service>>, request: Request| async move {
        door::pass(service, None, Ids::default(), request).await
    };
    router.fallback(nothing).with_state(service)
}
