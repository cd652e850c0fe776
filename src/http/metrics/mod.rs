//! What the gateway is doing, for Prometheus.
//!
//! Every label has few values, known beforehand: nothing that a client names becomes a label.

mod exposition;
mod process;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::gateway::Gateway;
use crate::metrics::{EndCause, Refused, Totals};
use crate::protocol::{CloseCode, ErrorCode};

use super::AppState;
use exposition::Exposition;

/// The gateway in numbers, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "read",
    responses((status = 200, description = "Prometheus text.", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(state): State<AppState>) -> Response {
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    let headers = [(header::CONTENT_TYPE, content_type)];
    (headers, expose(&state.gateway)).into_response()
}

fn expose(gateway: &Gateway) -> String {
    let totals = gateway.totals();
    let mut out = Exposition::default();
    sockets(&mut out, gateway, &totals);
    messages(&mut out, gateway, &totals);
    health(&mut out, gateway, &totals);
    process::expose(&mut out);
    out.0
}

/// Who comes, stays and goes.
fn sockets(out: &mut Exposition, gateway: &Gateway, totals: &Totals) {
    out.gauge(
        "micro_socket_connections",
        "WebSockets open now.",
        totals.connections,
    );
    out.gauge(
        "micro_socket_connections_limit",
        "How many WebSockets may be open; 0 is no limit.",
        gateway.max_connections(),
    );
    let (pending, most) = gateway.shared_metrics().pending_of();
    out.gauge(
        "micro_socket_pending",
        "Sockets that have not been set up yet, those that ask over HTTP among them.",
        pending,
    );
    out.gauge(
        "micro_socket_pending_limit",
        "How many sockets may be open that have not been set up yet; 0 is no limit.",
        most,
    );
    out.counter(
        "micro_socket_connections_total",
        "WebSockets opened.",
        totals.opened,
    );
    out.counters(
        "micro_socket_refused_total",
        "Connections that were not let in.",
        "cause",
        Refused::ALL
            .iter()
            .map(|cause| cause.as_str())
            .zip(gateway.shared_metrics().refusals()),
    );
    out.counters(
        "micro_socket_disconnects_total",
        "WebSockets that ended.",
        "cause",
        EndCause::ALL
            .iter()
            .map(|cause| cause.as_str())
            .zip(totals.ends),
    );
    out.counters(
        "micro_socket_closes_total",
        "WebSockets that the gateway closed with a close code.",
        "code",
        CloseCode::ALL
            .iter()
            .map(|code| code.code())
            .zip(totals.closes),
    );
    out.counters(
        "micro_socket_errors_total",
        "Error frames sent.",
        "code",
        ErrorCode::ALL
            .iter()
            .map(|code| code.as_str())
            .zip(totals.errors),
    );
    let (resumed, lost) = gateway.shared_metrics().resumes();
    out.counters(
        "micro_socket_resumes_total",
        "Resumes that came to an end.",
        "result",
        [("ok", resumed), ("failed", lost)],
    );
    out.counter(
        "micro_socket_slow_consumers_total",
        "Sockets closed because they took too little of what was waiting for them.",
        totals.closed(CloseCode::SlowConsumer),
    );
    out.counter(
        "micro_socket_bytes_in_total",
        "Bytes read from WebSockets.",
        totals.bytes_in,
    );
    out.counter(
        "micro_socket_bytes_out_total",
        "Bytes written into WebSockets.",
        totals.bytes_out,
    );
}

/// What passes through.
fn messages(out: &mut Exposition, gateway: &Gateway, totals: &Totals) {
    let shared = gateway.shared_metrics();
    let (published, duplicates) = shared.publishes();
    out.gauge(
        "micro_socket_topics",
        "Topics with a subscriber now.",
        gateway.hub().topics(),
    );
    out.gauge(
        "micro_socket_subscriptions",
        "Pairs of topic and connection now.",
        totals.subscriptions,
    );
    out.counter(
        "micro_socket_published_total",
        "Messages accepted.",
        published,
    );
    out.counter(
        "micro_socket_duplicates_total",
        "Publishes that repeated a messageId and had no effect.",
        duplicates,
    );
    out.counters(
        "micro_socket_publishes_refused_total",
        "Publishes that the token does not allow, that the backbone could not take, or that over HTTP were too many.",
        "code",
        shared
            .refused_publishes()
            .map(|(code, count)| (code.as_str(), count)),
    );
    out.latency(
        "micro_socket_publish_latency_seconds",
        "How long publishes waited for the backbone's disk or network.",
        &shared.publish_latency(),
    );
    out.counter(
        "micro_socket_deliveries_total",
        "Messages written into subscribers' sockets.",
        totals.delivered,
    );
    out.latency(
        "micro_socket_delivery_latency_seconds",
        "From accepting a message to writing it into a subscriber's socket.",
        &totals.latency,
    );
}

/// Whether all is well.
fn health(out: &mut Exposition, gateway: &Gateway, totals: &Totals) {
    let slo = gateway.slo();
    out.gauge(
        "micro_socket_slo_target_seconds",
        "What a delivery should take at most.",
        slo.target.as_secs_f64(),
    );
    out.gauge(
        "micro_socket_slo_objective_ratio",
        "The share of deliveries that must.",
        slo.objective,
    );
    out.gauge(
        "micro_socket_slo_burn_rate",
        "How fast the last 5 minutes used up the allowed misses; above 1 is too fast.",
        gateway.recent(&totals.latency).burn_rate(slo.objective),
    );
    out.gauge(
        "micro_socket_backbone_up",
        "1 while the backbone can be reached.",
        u8::from(gateway.has_backbone()),
    );
    out.gauge(
        "micro_socket_draining",
        "1 while the gateway is going away.",
        u8::from(gateway.is_draining()),
    );
    out.gauge(
        "micro_socket_uptime_seconds",
        "Time since the start.",
        gateway.mono_ns() as f64 / 1e9,
    );
    out.info(
        "micro_socket_build_info",
        "Always 1; what runs is the label.",
        "version",
        env!("CARGO_PKG_VERSION"),
    );
}
