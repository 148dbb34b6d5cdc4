//! The routes: one table of what exists, and the router made from it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use http::Method;
use tokio_util::sync::CancellationToken;

use crate::server::{self, Shared};
use crate::{SharedAdmin, console, screen};

/// Largest request body in bytes.
pub const BODY_MAX_BYTES: usize = 64 * 1024;

/// One route: its method, its path as OpenAPI writes it, and its handler.
struct Route {
    method: Method,
    path: &'static str,
    handler: fn() -> MethodRouter<Shared>,
}

const fn route(method: Method, path: &'static str, handler: fn() -> MethodRouter<Shared>) -> Route {
    Route { method, path, handler }
}

/// Every route there is. `docs/control-api.yaml` describes exactly these.
static ROUTES: &[Route] = &[
    route(Method::GET, "/v1/version", || get(server::version)),
    route(Method::GET, "/v1/bmcs", || get(server::list)),
    route(Method::POST, "/v1/bmcs", || post(server::add)),
    route(Method::GET, "/v1/bmcs/{name}", || get(server::show)),
    route(Method::PATCH, "/v1/bmcs/{name}", || patch(server::set)),
    route(Method::DELETE, "/v1/bmcs/{name}", || delete(server::remove)),
    route(Method::POST, "/v1/bmcs/{name}/start", || post(server::start)),
    route(Method::POST, "/v1/bmcs/{name}/stop", || post(server::stop)),
    route(Method::GET, "/v1/bmcs/{name}/power", || get(server::power)),
    route(Method::POST, "/v1/bmcs/{name}/power", || post(server::set_power)),
    route(Method::GET, "/v1/bmcs/{name}/boot", || get(server::boot)),
    route(Method::PUT, "/v1/bmcs/{name}/boot", || put(server::set_boot)),
    route(Method::GET, "/v1/bmcs/{name}/media", || get(server::media)),
    route(Method::PUT, "/v1/bmcs/{name}/media/{drive}", || put(server::insert)),
    route(Method::DELETE, "/v1/bmcs/{name}/media/{drive}", || delete(server::eject)),
    route(Method::GET, "/v1/bmcs/{name}/sel", || get(server::sel)),
    route(Method::DELETE, "/v1/bmcs/{name}/sel", || delete(server::clear_sel)),
    route(Method::GET, "/v1/bmcs/{name}/console", || get(console::watch)),
    route(Method::POST, "/v1/bmcs/{name}/console", || post(console::type_in)),
    route(Method::GET, "/v1/bmcs/{name}/screenshot", || get(screen::take)),
    route(Method::GET, "/v1/bmcs/{name}/system-interface", || get(server::system_interface)),
    route(Method::PUT, "/v1/bmcs/{name}/system-interface", || put(server::set_system_interface)),
    route(Method::DELETE, "/v1/bmcs/{name}/system-interface", || delete(server::remove_system_interface)),
    route(Method::GET, "/v1/bmcs/{name}/sensors", || get(server::sensors)),
    route(Method::GET, "/v1/events", || get(server::events)),
    route(Method::POST, "/v1/reload", || post(server::reload)),
    route(Method::GET, "/v1/ready", || get(server::ready)),
];

/// Method and path of every route.
pub fn names() -> impl Iterator<Item = (Method, &'static str)> {
    ROUTES.iter().map(|route| (route.method.clone(), route.path))
}

/// The API over `admin`. Event streams end when `shutdown` is cancelled.
pub fn router(admin: SharedAdmin, shutdown: CancellationToken) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.handler)());
    }
    router
        .method_not_allowed_fallback(server::method_not_allowed)
        .fallback(server::no_such_route)
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(Shared { admin, shutdown })
}
