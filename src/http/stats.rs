//! What the gateway is doing.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::sse::{Event, Sse};
use futures_util::stream::{Stream, unfold};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use utoipa::{IntoParams, ToSchema};

use crate::cluster::{Cluster, Counts, NodeCounts};
use crate::gateway::Gateway;
use crate::histogram::{Distribution, LATENCY_BOUNDS_US};
use crate::protocol::{ErrorCode, Refusal};
use crate::slo::{Counted, Window};

use super::AppState;
use super::error::{ApiError, ErrorBody};

/// Streams of numbers open at once: each costs a connection and a look at every counter a second.
pub const MAX_STREAMS: usize = 64;

/// Whose numbers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// Of this gateway, or of all gateways added up.
    #[serde(default)]
    #[param(inline)]
    scope: Scope,
}

/// Whose numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Scope {
    /// This gateway.
    #[default]
    Node,
    /// All gateways.
    Cluster,
}

/// The gateway now, and since it started.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stats {
    /// The gateway that answers (setting node).
    node: String,
    /// WebSockets open now.
    connections: u64,
    /// Topics with a subscriber now; of all gateways, one counts for each gateway that has a subscriber.
    topics: u64,
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
    /// How long the gateway that answers remembers a messageId, in milliseconds (setting dedup-ttl).
    dedup_ttl_ms: u64,
    /// Seconds since the start; of all gateways, since that of the oldest.
    uptime_s: u64,
    /// The version of the gateway that answers.
    version: &'static str,
    /// With scope cluster: each gateway, and whether it answered. The numbers of one that did not are missing
    /// from the sums.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    nodes: Option<Vec<NodeStats>>,
}

/// One of the gateways.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NodeStats {
    /// Its name (setting node).
    node: String,
    /// Whether it answered in time.
    ok: bool,
    /// Its numbers; not there when it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stats: Option<NodeNumbers>,
}

/// Its numbers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NodeNumbers {
    /// WebSockets open now.
    connections: u64,
    /// Topics with a subscriber now.
    topics: u64,
    /// Pairs of topic and connection now.
    subscriptions: u64,
    /// Messages accepted.
    published: u64,
    /// Messages written into subscribers' sockets.
    delivered: u64,
    /// Seconds since the start.
    uptime_s: u64,
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
    /// How many took how long, in steps up to ten seconds; those that took longer are in none.
    buckets: Vec<Bucket>,
}

/// Deliveries that took about as long as each other.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    /// They took at most this many milliseconds, and more than those of the bucket before.
    le_ms: f64,
    /// How many they are.
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
    /// How many deliveries these are. Below 1 / (1 - objective) a single late one is a miss.
    deliveries: u64,
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
///
/// Or with scope=cluster all gateways added up, at most a second old; they have three seconds to answer, and
/// nodes says which of them did.
#[utoipa::path(get, path = "/stats", tag = "read", params(Question),
    responses(
        (status = 200, description = "The numbers.", body = Stats),
        (status = 400, description = "No such scope.", body = ErrorBody),
        (status = 503, description = "The other gateways cannot be asked.", body = ErrorBody)))]
pub(super) async fn stats(
    State(state): State<AppState>,
    question: Result<Query<Question>, QueryRejection>,
) -> Result<Json<Stats>, ApiError> {
    let text = "scope is node or cluster";
    let Query(question) = question.map_err(|_| Refusal::new(ErrorCode::BadRequest, text))?;
    let cluster = state.cluster()?;
    let (counts, nodes) = match question.scope {
        Scope::Node => (cluster.counts(), None),
        Scope::Cluster => {
            let everywhere = cluster.everywhere().await?;
            let nodes = everywhere.nodes.iter().map(NodeStats::of).collect();
            (everywhere.sum.clone(), Some(nodes))
        }
    };
    Ok(Json(Stats::of(&state, cluster, &counts, nodes)))
}

/// The numbers of this gateway, every second
///
/// A stream of events (`text/event-stream`) without an end; the data of each is what GET /stats answers. It
/// ends when the gateway drains.
#[utoipa::path(get, path = "/stats/stream", tag = "read",
    responses(
        (status = 200, description = "An event each second.", body = String, content_type = "text/event-stream"),
        (status = 429, description = "As many streams as there may be are open.", body = ErrorBody),
        (status = 503, description = "The gateway starts.", body = ErrorBody)))]
pub(super) async fn stream(
    State(state): State<AppState>,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, ApiError> {
    state.cluster()?;
    let full = |_| {
        let text = format!("{MAX_STREAMS} streams are open; close one or ask GET /stats");
        Refusal::new(ErrorCode::TooManyRequests, text)
    };
    let permit = state.streams.clone().try_acquire_owned().map_err(full)?;
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = unfold(
        (ticks, state, permit),
        |(mut ticks, state, permit)| async move {
            ticks.tick().await;
            if state.gateway.is_draining() {
                return None;
            }
            let cluster = state.cluster().ok()?;
            let stats = Stats::of(&state, cluster, &cluster.counts(), None);
            Some((Event::default().json_data(stats), (ticks, state, permit)))
        },
    );
    Ok(Sse::new(events))
}

impl Stats {
    fn of(
        state: &AppState,
        cluster: &Cluster,
        counts: &Counts,
        nodes: Option<Vec<NodeStats>>,
    ) -> Self {
        let mut latency = Distribution::default();
        latency.fill(&counts.latency);
        Self {
            node: cluster.node().to_owned(),
            connections: counts.connections,
            topics: counts.topics,
            subscriptions: counts.subscriptions,
            published: counts.published,
            duplicates: counts.duplicates,
            delivered: counts.delivered,
            latency: Latency::of(&latency),
            slo: Slo::of(&state.gateway, counts.recent()),
            resumes: Resumes {
                ok: counts.resumed,
                failed: counts.not_resumed,
            },
            dedup_ttl_ms: state.dedup_ttl.as_millis() as u64,
            uptime_s: counts.uptime_s,
            version: env!("CARGO_PKG_VERSION"),
            nodes,
        }
    }
}

impl NodeStats {
    fn of(node: &NodeCounts) -> Self {
        let numbers = |counts: &Counts| NodeNumbers {
            connections: counts.connections,
            topics: counts.topics,
            subscriptions: counts.subscriptions,
            published: counts.published,
            delivered: counts.delivered,
            uptime_s: counts.uptime_s,
        };
        Self {
            node: node.node.clone(),
            ok: node.counts.is_some(),
            stats: node.counts.as_ref().map(numbers),
        }
    }
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
            buckets: LATENCY_BOUNDS_US
                .into_iter()
                .zip(latency.split(LATENCY_BOUNDS_US.map(|us| us * 1000)))
                .map(|(us, count)| Bucket {
                    le_ms: us as f64 / 1000.0,
                    count,
                })
                .collect(),
        }
    }
}

impl Slo {
    fn of(gateway: &Gateway, recent: Counted) -> Self {
        let slo = gateway.slo();
        let burn_rate = recent.burn_rate(slo.objective);
        Self {
            target_ms: slo.target.as_millis() as u64,
            objective: slo.objective.as_f64(),
            met: burn_rate <= 1.0,
            burn_rate: (burn_rate * 1000.0).round() / 1000.0,
            window_s: Window::LENGTH_MS / 1000,
            deliveries: recent.all,
        }
    }
}
