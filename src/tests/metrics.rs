//! `/metrics` is well-formed Prometheus text that agrees with `/stats` and with what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use micro_socket::metrics::EndCause;
use micro_socket::protocol::{CloseCode, ErrorCode};
use serde_json::json;

use crate::harness::{Request, TestGateway, soon};

/// One scrape: samples by their name with labels, and each family's kind.
struct Scrape {
    samples: BTreeMap<String, f64>,
    kinds: BTreeMap<String, String>,
}

impl Scrape {
    /// Reads the text and holds it to the format: a family's HELP, then its TYPE, then its samples.
    fn parse(text: &str) -> Self {
        let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
        let mut family = "";
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = help.split_once(' ').expect("a help text").0;
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, family, "TYPE follows HELP");
                let second = kinds.insert(name.to_owned(), kind.to_owned());
                assert!(second.is_none(), "{name} comes twice");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let bare = name.split('{').next().unwrap();
                let suffix = bare.strip_prefix(family).expect("a sample of its family");
                let allowed: &[&str] = match kinds[family].as_str() {
                    "histogram" => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                assert!(allowed.contains(&suffix), "{line}");
                let second = samples.insert(name.to_owned(), value.parse().unwrap());
                assert!(second.is_none(), "{name} comes twice");
            }
        }
        assert!(text.ends_with('\n'));
        Self { samples, kinds }
    }

    #[track_caller]
    fn get(&self, name: &str) -> f64 {
        let found = self.samples.get(&format!("micro_socket_{name}"));
        *found.unwrap_or_else(|| panic!("no {name}"))
    }

    /// The latency's cumulative buckets by their bounds.
    fn buckets(&self) -> Vec<(f64, f64)> {
        let prefix = "micro_socket_delivery_latency_seconds_bucket{le=\"";
        let mut buckets: Vec<(f64, f64)> = self
            .samples
            .iter()
            .filter_map(|(name, value)| {
                let bound = name.strip_prefix(prefix)?.strip_suffix("\"}")?;
                let bound = bound.replace("+Inf", "inf");
                Some((bound.parse().unwrap(), *value))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }
}

async fn scrape(gateway: &TestGateway) -> Scrape {
    let answer = gateway.get("/metrics").await;
    assert_eq!(answer.status, 200);
    let content_type = answer.header("content-type");
    assert_eq!(
        content_type,
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    Scrape::parse(answer.text())
}

#[tokio::test]
async fn the_numbers_are_those_of_stats_and_of_what_happened() {
    let gateway = TestGateway::start().await;
    let before = scrape(&gateway).await;
    assert_eq!(before.get("published_total"), 0.0);
    assert_eq!(before.get("backbone_up"), 1.0);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        before.get(&format!("build_info{{version=\"{version}\"}}")),
        1.0
    );

    let mut ann = gateway.user("ann", &["a", "b"]).await;
    let mut bob = gateway.user("bob", &["a"]).await;
    for i in 0..50 {
        ann.publish("a", &i.to_string(), json!({"i": i})).await;
    }
    ann.publish("a", "0", json!("again")).await;
    bob.messages(50).await;
    bob.send(json!({"type": "subscribe", "topic": ""})).await;
    bob.expect_error("BAD_TOPIC").await;

    // A delivery is counted in one place after the other.
    let (after, stats) = soon("the numbers to agree", async {
        loop {
            let (after, stats) = (scrape(&gateway).await, gateway.stats().await);
            if stats["delivered"] == 100
                && stats["latency"]["count"] == 100
                && after.get("deliveries_total") == 100.0
                && after.get("delivery_latency_seconds_count") == 100.0
            {
                return (after, stats);
            }
        }
    })
    .await;
    for (name, member) in [
        ("connections", "connections"),
        ("topics", "topics"),
        ("subscriptions", "subscriptions"),
        ("published_total", "published"),
        ("duplicates_total", "duplicates"),
        ("deliveries_total", "delivered"),
    ] {
        assert_eq!(json!(after.get(name) as u64), stats[member], "{name}");
    }
    assert_eq!(after.get("duplicates_total"), 1.0);
    let slo = &stats["slo"];
    assert_eq!(slo["targetMs"], 50);
    assert_eq!(slo["windowS"], 300);
    assert_eq!(slo["deliveries"], stats["latency"]["count"]);
    assert_eq!(json!(after.get("slo_objective_ratio")), slo["objective"]);
    assert_eq!(after.get("slo_target_seconds"), 0.05);
    let burn_rate = slo["burnRate"].as_f64().unwrap();
    assert!((after.get("slo_burn_rate") - burn_rate).abs() < 0.001);
    assert_eq!(slo["met"], burn_rate <= 1.0);
    assert_eq!(after.get("errors_total{code=\"BAD_TOPIC\"}"), 1.0);
    assert!(after.get("bytes_in_total") > 50.0 * 60.0);
    assert!(after.get("bytes_out_total") > 100.0 * 60.0);

    let buckets = after.buckets();
    assert_eq!(buckets.len(), 17);
    assert!(buckets.is_sorted_by_key(|(_, count)| *count), "cumulative");
    assert_eq!(buckets[16], (f64::INFINITY, 100.0));
    let sum = after.get("delivery_latency_seconds_sum");
    assert!(sum > 0.0 && sum < 1000.0, "{sum}");

    // Nothing goes back but what is counted now.
    let names = |scrape: &Scrape| scrape.samples.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&before), names(&after), "series do not come and go");
    for (name, value) in &before.samples {
        let family = name.split('{').next().unwrap();
        if after.kinds.get(family).is_none_or(|kind| kind != "gauge") {
            assert!(after.samples[name] >= *value, "{name}");
        }
    }
}

#[tokio::test]
async fn closes_are_counted_by_the_gateways_own_codes() {
    let gateway = TestGateway::with(&[("setup-timeout", "2s")]).await;
    gateway.socket("/ws").await.expect_close(4002).await;
    let mut refused = gateway.socket("/ws").await;
    refused.send(json!({"type": "setup", "token": ""})).await;
    refused.expect_error("AUTH_FAILED").await;
    refused.expect_close(4001).await;
    // The peer's own close is none of the gateway's.
    gateway.user("ann", &[]).await.close(3000, "").await;
    let after = scrape(&gateway).await;
    assert_eq!(after.get("closes_total{code=\"4002\"}"), 1.0);
    assert_eq!(after.get("closes_total{code=\"4001\"}"), 1.0);
    assert_eq!(after.get("errors_total{code=\"AUTH_FAILED\"}"), 1.0);
    let total = |family: &str| -> f64 {
        let of_it = after
            .samples
            .iter()
            .filter(|(name, _)| name.contains(family));
        of_it.map(|(_, value)| value).sum()
    };
    assert_eq!(total("closes_total"), 2.0);
}

#[tokio::test]
async fn labels_are_few_whatever_clients_say() {
    let gateway = TestGateway::start().await;
    let evil = "t\"} 1\n# HELP x";
    let mut ann = gateway.user("a\"b\\c", &["plain"]).await;
    ann.send(json!({"type": "subscribe", "topic": evil})).await;
    ann.expect("error").await;
    ann.publish("plain", "x\"y", json!(1)).await;
    let text = gateway.get("/metrics").await.text().to_owned();
    for word in ["plain", "x\"y", "a\"b", "HELP x"] {
        assert!(!text.contains(word), "{word}");
    }
    let labels: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('{')?.1.split_once('=')?.0))
        .collect();
    let known = BTreeSet::from(["le", "result", "code", "cause", "version"]);
    assert_eq!(labels, known);
    let codes = text.matches("{code=").count();
    let publishes = 3;
    assert_eq!(
        codes,
        CloseCode::ALL.len() + ErrorCode::ALL.len() + publishes
    );
}

#[tokio::test]
async fn sockets_are_pending_until_they_are_set_up() {
    let gateway = TestGateway::with(&[("max-pending", "50")]).await;
    let becomes = async |value: f64| {
        let what = format!("{value} pending");
        soon(&what, async {
            while scrape(&gateway).await.get("pending") != value {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    };
    assert_eq!(scrape(&gateway).await.get("pending_limit"), 50.0);
    let silent = tokio::net::TcpStream::connect(gateway.addr).await.unwrap();
    let mut waits = gateway.socket("/ws").await;
    let _ann = gateway.user("ann", &[]).await;
    // Who asks for the metrics is one of them.
    becomes(3.0).await;
    waits.setup("bob", &[]).await;
    becomes(2.0).await;
    drop(silent);
    becomes(1.0).await;
}

/// Waits until one socket has ended for this cause and nobody is connected, and returns the scrape that says so.
async fn ended(gateway: &TestGateway, cause: &str) -> Scrape {
    soon(cause, async {
        loop {
            let scrape = scrape(gateway).await;
            if scrape.get(&disconnects(cause)) == 1.0 && scrape.get("connections") == 0.0 {
                return scrape;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

fn disconnects(cause: &str) -> String {
    format!("disconnects_total{{cause=\"{cause}\"}}")
}

#[tokio::test]
async fn every_socket_that_ends_is_counted_once_with_its_cause() {
    let gateway = TestGateway::with(&[("ping-interval", "1s"), ("pong-timeout", "1s")]).await;
    // Closed by the gateway: the token is none.
    let mut refused = gateway.socket("/ws").await;
    refused.send(json!({"type": "setup", "token": ""})).await;
    refused.expect_error("AUTH_FAILED").await;
    refused.expect_close(4001).await;
    ended(&gateway, "closed").await;
    // Closed by the peer.
    gateway.user("ann", &[]).await.close(3000, "").await;
    ended(&gateway, "peer").await;
    // Gone without a word.
    drop(gateway.raw("/ws").await);
    ended(&gateway, "lost").await;
    // There, but not answering: no close code is ever sent to it.
    let mut dead = gateway.raw("/ws").await;
    dead.setup("ann", "t").await;
    dead.expect_end().await;
    let after = ended(&gateway, "silent").await;
    for cause in EndCause::ALL {
        let expected = match cause {
            EndCause::QueueFull | EndCause::Stalled | EndCause::Unfinished | EndCause::Flooded => {
                0.0
            }
            _ => 1.0,
        };
        assert_eq!(
            after.get(&disconnects(cause.as_str())),
            expected,
            "{cause:?}"
        );
    }
    assert_eq!(after.get("connections_total"), 4.0);
}

#[tokio::test]
async fn who_is_not_let_in_is_counted_by_cause() {
    let gateway = TestGateway::with(&[("max-connections", "1")]).await;
    let _only = gateway.user("ann", &[]).await;
    let full = Request::upgrade("/ws").send(gateway.addr).await;
    full.expect_error(503, "NOT_AVAILABLE");
    let foreign = Request::upgrade("/ws").header("Origin", "https://evil.example");
    let foreign = foreign.send(gateway.addr).await;
    foreign.expect_error(403, "ACL_DENIED");
    let after = scrape(&gateway).await;
    assert_eq!(after.get("connections_limit"), 1.0);
    assert_eq!(after.get("refused_total{cause=\"full\"}"), 1.0);
    assert_eq!(after.get("refused_total{cause=\"origin\"}"), 1.0);
    assert_eq!(after.get("refused_total{cause=\"draining\"}"), 0.0);
}

#[tokio::test]
async fn publishes_that_wait_for_the_disk_are_timed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("backbone", "disk"),
        ("data-dir", dir.path().to_str().unwrap()),
    ];
    let gateway = TestGateway::with(&settings).await;
    let mut ann = gateway.user("ann", &[]).await;
    ann.publish("t", "socket", json!(1)).await;
    let body = r#"{"topic":"t","payload":2}"#;
    let answer = Request::publish("ann", body).send(gateway.addr).await;
    assert_eq!(answer.status, 200);
    let after = scrape(&gateway).await;
    assert_eq!(after.get("published_total"), 2.0);
    assert_eq!(after.get("publish_latency_seconds_count"), 2.0);
    let sum = after.get("publish_latency_seconds_sum");
    assert!(sum > 0.0 && sum < 20.0, "{sum}");
}

#[tokio::test]
async fn the_process_is_described_under_the_usual_names() {
    let gateway = TestGateway::start().await;
    let answer = gateway.get("/metrics").await;
    let after = Scrape::parse(answer.text());
    let value = |name: &str| after.samples[name];
    let mib = value("process_resident_memory_bytes") / f64::from(1 << 20);
    assert!(mib > 1.0 && mib < 65_536.0, "{mib} MiB");
    let (open, most) = (value("process_open_fds"), value("process_max_fds"));
    assert!(open > 5.0 && open < most, "{open} of {most}");
    assert!(value("process_cpu_seconds_total") >= 0.0);
}
