//! What the gateway is doing, for Prometheus: text exposition format 0.0.4.
//!
//! Every label has few values, known beforehand: nothing that a client names becomes a label.

use std::fmt::{Display, Write as _};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::gateway::Gateway;
use crate::metrics::Distribution;
use crate::protocol::{CloseCode, ErrorCode};

use super::AppState;

/// The upper bounds of the latency's buckets, in seconds.
const LATENCY_BOUNDS: [f64; 16] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

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
    let (published, duplicates) = gateway.published();
    let (resumed, lost) = gateway.resumes();
    let mut out = Exposition::default();
    out.gauge("connections", "WebSockets open now.", totals.connections);
    let topics = gateway.hub().topics();
    out.gauge("topics", "Topics with a subscriber now.", topics);
    out.gauge(
        "subscriptions",
        "Pairs of topic and connection now.",
        totals.subscriptions,
    );
    out.counter("published_total", "Messages accepted.", published);
    out.counter(
        "duplicates_total",
        "Publishes that repeated a messageId and had no effect.",
        duplicates,
    );
    out.counter(
        "deliveries_total",
        "Messages written into subscribers' sockets.",
        totals.delivered,
    );
    out.latency(
        "From accepting a message to writing it into a subscriber's socket.",
        &totals.latency,
    );
    let slo = gateway.slo();
    out.gauge(
        "slo_target_seconds",
        "What a delivery should take at most.",
        slo.target.as_secs_f64(),
    );
    out.gauge(
        "slo_objective_ratio",
        "The share of deliveries that must.",
        slo.objective,
    );
    out.gauge(
        "slo_burn_rate",
        "How fast the last 5 minutes used up the allowed misses; above 1 is too fast.",
        gateway.burn_rate(&totals.latency),
    );
    out.family("resumes_total", "counter", "Resumes that came to an end.");
    out.sample("resumes_total", Some(("result", "ok")), resumed);
    out.sample("resumes_total", Some(("result", "failed")), lost);
    out.family("closes_total", "counter", "Sockets closed by the gateway.");
    for (code, count) in CloseCode::ALL.iter().zip(totals.closes) {
        let number = code.code().to_string();
        out.sample("closes_total", Some(("code", &number)), count);
    }
    out.family("errors_total", "counter", "Error frames sent.");
    for (code, count) in ErrorCode::ALL.iter().zip(totals.errors) {
        out.sample("errors_total", Some(("code", code.as_str())), count);
    }
    out.counter(
        "slow_consumers_total",
        "Sockets closed because more was waiting than their queue holds.",
        totals.closed(CloseCode::SlowConsumer),
    );
    out.counter(
        "bytes_in_total",
        "Bytes read from WebSockets.",
        totals.bytes_in,
    );
    out.counter(
        "bytes_out_total",
        "Bytes written into WebSockets.",
        totals.bytes_out,
    );
    out.gauge(
        "backbone_up",
        "1 while the backbone can be reached.",
        u8::from(gateway.has_backbone()),
    );
    let uptime = gateway.mono_ns() as f64 / 1e9;
    out.gauge("uptime_seconds", "Time since the start.", uptime);
    out.family("build_info", "gauge", "Always 1; what runs is the label.");
    let version = Some(("version", env!("CARGO_PKG_VERSION")));
    out.sample("build_info", version, 1);
    out.0
}

/// The text as it grows. Names go without their prefix, label values need no escaping.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP micro_socket_{name} {help}");
        let _ = writeln!(self.0, "# TYPE micro_socket_{name} {kind}");
    }

    fn sample(&mut self, name: &str, label: Option<(&str, &str)>, value: impl Display) {
        let _ = match label {
            None => writeln!(self.0, "micro_socket_{name} {value}"),
            Some((label, text)) => {
                writeln!(self.0, "micro_socket_{name}{{{label}=\"{text}\"}} {value}")
            }
        };
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, None, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample(name, None, value);
    }

    fn latency(&mut self, help: &str, latency: &Distribution) {
        self.family("delivery_latency_seconds", "histogram", help);
        let bucket = "delivery_latency_seconds_bucket";
        for bound in LATENCY_BOUNDS {
            let count = latency.within((bound * 1e9) as u64);
            self.sample(bucket, Some(("le", &bound.to_string())), count);
        }
        let count = latency.count();
        self.sample(bucket, Some(("le", "+Inf")), count);
        let sum = latency.sum() / 1e9;
        self.sample("delivery_latency_seconds_sum", None, sum);
        self.sample("delivery_latency_seconds_count", None, count);
    }
}
