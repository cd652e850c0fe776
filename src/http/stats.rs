//! What the gateway is doing.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::gateway::Gateway;
use crate::metrics::Distribution;
use crate::slo::Window;

use super::AppState;

/// The gateway now, and since it started.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    /// WebSockets open now.
    connections: u64,
    /// Topics with a subscriber now.
    topics: usize,
    /// Pairs of topic and connection now.
    subscriptions: u64,
    /// Messages accepted.
    published: u64,
    /// Publishes that were duplicates.
    duplicates: u64,
    /// Messages written into subscribers' sockets.
    delivered: u64,
    /// From accepting a message to writing it into a subscriber's socket.
    latency: Latency,
    /// How that compares with the target.
    slo: Slo,
    /// Sessions that went on.
    resumes: Resumes,
    /// Seconds since the start.
    uptime_s: u64,
    /// The gateway's version.
    version: &'static str,
}

/// Times of all deliveries since the start.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Latency {
    /// Half of them took at most this many milliseconds.
    p50_ms: f64,
    /// 95 of 100 took at most this.
    p95_ms: f64,
    /// 99 of 100 took at most this.
    p99_ms: f64,
    /// How many there were.
    count: u64,
}

/// How deliveries of the last minutes compare with what they should be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Slo {
    /// A delivery should take at most this many milliseconds.
    target_ms: u64,
    /// This share of deliveries must.
    objective: f64,
    /// Whether it does, within the window.
    met: bool,
    /// How fast the allowed share of misses is used up: 1 is just in time, below is good.
    burn_rate: f64,
    /// How many seconds of deliveries are judged.
    window_s: u64,
}

/// Attempts to go on with a session.
#[derive(Debug, Serialize, ToSchema)]
struct Resumes {
    /// Those that did.
    ok: u64,
    /// Those that could not.
    failed: u64,
}

/// The gateway in numbers
#[utoipa::path(get, path = "/stats", tag = "read",
    responses((status = 200, description = "The numbers.", body = Stats)))]
pub(super) async fn stats(State(state): State<AppState>) -> Json<Stats> {
    let gateway = &state.gateway;
    let totals = gateway.totals();
    let shared = gateway.shared_metrics();
    let (published, duplicates) = shared.publishes();
    let (ok, failed) = shared.resumes();
    Json(Stats {
        connections: totals.connections,
        topics: gateway.hub().topics(),
        subscriptions: totals.subscriptions,
        published,
        duplicates,
        delivered: totals.delivered,
        latency: Latency::of(&totals.latency),
        slo: Slo::of(gateway, &totals.latency),
        resumes: Resumes { ok, failed },
        uptime_s: gateway.mono_ns() / 1_000_000_000,
        version: env!("CARGO_PKG_VERSION"),
    })
}

impl Latency {
    fn of(latency: &Distribution) -> Self {
        // Microseconds are as fine as the histogram is.
        let ms = |share| (latency.quantile(share) / 1000) as f64 / 1000.0;
        Self {
            p50_ms: ms(0.5),
            p95_ms: ms(0.95),
            p99_ms: ms(0.99),
            count: latency.count(),
        }
    }
}

impl Slo {
    fn of(gateway: &Gateway, latency: &Distribution) -> Self {
        let slo = gateway.slo();
        let burn_rate = gateway.burn_rate(latency);
        Self {
            target_ms: slo.target.as_millis() as u64,
            objective: slo.objective.as_f64(),
            met: burn_rate <= 1.0,
            burn_rate: (burn_rate * 1000.0).round() / 1000.0,
            window_s: Window::LENGTH_MS / 1000,
        }
    }
}
