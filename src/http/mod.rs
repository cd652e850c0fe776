//! The HTTP surface: every route on one screen, and one file for what answers it.
//!
//! Uses: protocol, session, backbone, gateway, transport, cluster, websocket, auth, config, histogram, metrics, slo, app.

mod answers;
mod api;
pub mod assets;
mod asyncapi;
mod bearer;
mod body;
mod demo;
mod error;
mod faults;
mod health;
mod metrics;
mod names;
mod operate;
mod origin;
mod pages;
mod rates;
mod stats;
mod traced;
mod ws;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::middleware;
use axum::response::Redirect;
use axum::routing::{any, get};
use axum::{Json, Router};
use http::header::{HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};
use leptos::config::LeptosOptions;
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::backbone::Now;
use crate::cluster::Cluster;
use crate::config::AllowedOrigins;
use crate::gateway::Gateway;
use crate::metrics::Refused;
use crate::protocol::{ErrorCode, Refusal};

use bearer::Scheme;
pub use rates::Rates;
pub use stats::MAX_STREAMS;

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// This gateway and the others, once it has joined them.
    pub cluster: Arc<OnceLock<Cluster>>,
    /// What requests are judged by now.
    pub rules: Arc<RwLock<Arc<Rules>>>,
    /// Whether this door is https; operators' own never is.
    pub tls: bool,
    /// What each user may still publish over HTTP.
    pub rates: Arc<Rates>,
    /// Room for streams of numbers.
    pub streams: Arc<Semaphore>,
    /// The largest payload, in bytes.
    pub max_message_bytes: usize,
    /// How long a messageId is remembered.
    pub dedup_ttl: Duration,
    /// How the page finds its files.
    pub leptos: LeptosOptions,
}

/// What requests are judged by. Replaced as a whole when the settings are read again.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Pages that may connect and call.
    pub allowed_origins: AllowedOrigins,
    /// Whether `GET /demo/publish/{topic}` and `POST /demo/faults` answer.
    pub demo_endpoints: bool,
    /// Publishes per second of one user over HTTP; 0 is no limit. A burst of twice that is allowed.
    pub publish_rate: u32,
}

impl AppState {
    /// What a request is judged by that begins now.
    fn rules(&self) -> Arc<Rules> {
        self.rules.read().clone()
    }

    /// Whether a request of the page that it says it comes from may act.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        origin::check(headers, &self.rules().allowed_origins, self.tls)
            .inspect_err(|_| self.gateway.shared_metrics().refused(Refused::Origin))
    }

    /// Whether this user may publish one message more.
    fn within_rate(&self, now: Now, user: &Arc<str>) -> Result<(), Refusal> {
        let rate = self.rules().publish_rate;
        if self.rates.take(now.mono_ms(), user, rate) {
            return Ok(());
        }
        let code = ErrorCode::TooManyRequests;
        self.gateway.shared_metrics().publish_refused(code);
        let text = format!("at most {rate} publishes a second of one user over HTTP");
        Err(Refusal::new(code, text))
    }

    /// This gateway and the others.
    fn cluster(&self) -> Result<&Cluster, Refusal> {
        let starting = || Refusal::new(ErrorCode::NotAvailable, "the gateway starts; try again");
        self.cluster.get().ok_or_else(starting)
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Micro Socket",
        description = "HTTP side of the gateway. The WebSocket protocol is described by /asyncapi.json and spoken at /docs.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "publish", description = "Send messages"),
        (name = "read", description = "Look at topics and at the gateway"),
        (name = "operate", description = "Act on the gateway"),
        (name = "health", description = "For load balancers and supervisors")
    ),
    modifiers(&Scheme)
)]
struct Document;

/// What answers at each door.
pub struct Routers {
    /// Clients and browsers; operators too, where they have no door of their own.
    pub public: Router,
    /// Operators alone.
    pub admin: Router,
}

/// Every route; with a door for operators, each is at one door only.
pub fn routers(state: &AppState, admin_door: bool) -> Routers {
    let everybody = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(stats::stats))
        .routes(routes!(stats::stream))
        .routes(routes!(demo::publish))
        .routes(routes!(faults::inflict));
    let operators = OpenApiRouter::new()
        .routes(routes!(metrics::metrics))
        .routes(routes!(api::publish))
        .routes(routes!(api::history))
        .routes(routes!(operate::topics))
        .routes(routes!(operate::connections))
        .routes(routes!(operate::unsubscribe))
        .routes(routes!(operate::disconnect))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz));
    let pages = Router::new()
        .route("/", get(|| async { Redirect::temporary("/docs") }))
        .route("/docs", get(pages::docs(state.leptos.clone())))
        .route("/openapi", get(pages::openapi))
        .route(
            "/asyncapi.json",
            get(|| async { Json(asyncapi::document()) }),
        );
    let (public, pages) = if admin_door {
        let paths = operators.get_openapi().paths.paths.keys();
        let elsewhere = paths.fold(pages, |pages, path| {
            pages.route(path, any(assets::elsewhere))
        });
        (everybody, elsewhere)
    } else {
        (everybody.merge(operators.clone()), pages)
    };
    let operators = OpenApiRouter::with_openapi(Document::openapi()).merge(operators);
    // Upgrades pass no layer: they are answered on the shard that accepted the socket.
    let sockets = Router::new()
        .route("/ws", get(ws::multi))
        .route("/ws/sub/{topic}", get(ws::single))
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(state.clone());
    Routers {
        public: wrapped(public, pages.fallback(assets::serve), state).merge(sockets),
        admin: wrapped(
            operators,
            Router::new().fallback(assets::nothing),
            &AppState {
                tls: false,
                ..state.clone()
            },
        ),
    }
}

/// Routes with the document that describes them, and what every answer has.
fn wrapped(
    documented: OpenApiRouter<AppState>,
    others: Router<AppState>,
    state: &AppState,
) -> Router {
    let (documented, mut openapi) = documented.split_for_parts();
    answers::describe(&mut openapi);
    let fixed = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value))
    };
    documented
        .route_layer(middleware::from_fn_with_state(
            state.clone(),
            traced::traced,
        ))
        .route("/openapi.json", get(|| async move { Json(openapi) }))
        .merge(others)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(CompressionLayer::new())
        .layer(fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(REFERRER_POLICY, "no-referrer"))
        .layer(CatchPanicLayer::new())
        .with_state(state.clone())
}
