//! What `deploy/` says about the gateway is true: metrics, labels and settings exist, and a
//! supervisor waits longer than a drain takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use micro_socket::config::{RawSettings, Settings};
use micro_socket::protocol::reference::SETTINGS;
use serde_json::{Value, json};

use crate::harness::{Request, TestGateway};

/// Labels that Prometheus itself puts onto every sample.
const SCRAPE_LABELS: [&str; 2] = ["job", "instance"];
/// The series that Prometheus itself makes for every target.
const SCRAPE_SERIES: [&str; 1] = ["up"];

fn read(path: &str) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(top.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// For each label its values.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// A label, an operator and what it is compared with.
type Matcher = (String, String, String);

/// The series of `/metrics`, each with its labels.
struct Live(BTreeMap<String, Labels>);

impl Live {
    fn parse(text: &str) -> Self {
        let mut series = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.rsplit_once(' ').unwrap().0;
            let (name, labels) = match name.split_once('{') {
                None => (name, Vec::new()),
                Some((name, labels)) => (name, matchers(labels.trim_end_matches('}'))),
            };
            let known: &mut Labels = series.entry(name.to_owned()).or_default();
            for (label, _, value) in labels {
                known.entry(label).or_default().insert(value);
            }
        }
        Self(series)
    }

    /// What is wrong with the series and labels that an expression names.
    fn faults(&self, expression: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, matchers) in selectors(expression) {
            if SCRAPE_SERIES.contains(&name.as_str()) {
                continue;
            }
            let Some(labels) = self.0.get(&name) else {
                faults.push(format!("no series {name}: {expression}"));
                continue;
            };
            for (label, operator, value) in matchers {
                if SCRAPE_LABELS.contains(&label.as_str()) {
                    continue;
                }
                let values: Vec<&str> = match operator.as_str() {
                    "=~" | "!~" => value.split('|').collect(),
                    _ => vec![&value],
                };
                let known = labels.get(&label);
                for value in values {
                    if !known.is_some_and(|known| known.contains(value)) {
                        faults.push(format!("no {name}{{{label}={value:?}}}: {expression}"));
                    }
                }
            }
        }
        for label in grouped(expression) {
            let scraped = SCRAPE_LABELS.contains(&label.as_str());
            if !scraped && !self.0.values().any(|labels| labels.contains_key(&label)) {
                faults.push(format!("no label {label}: {expression}"));
            }
        }
        faults
    }
}

/// `a="x",b=~"y|z"` as label, operator and value.
fn matchers(text: &str) -> Vec<Matcher> {
    let mut parts = text.split('"');
    let mut matchers = Vec::new();
    while let (Some(before), Some(value)) = (parts.next(), parts.next()) {
        let before = before.trim_matches([',', ' ']);
        let end = before.find(['=', '!']).expect("an operator");
        let (label, operator) = before.split_at(end);
        matchers.push((label.to_owned(), operator.to_owned(), value.to_owned()));
    }
    matchers
}

/// The series that a PromQL expression selects, each with its matchers: every name that is neither a
/// function, a word of the language nor a label to group by.
fn selectors(expression: &str) -> Vec<(String, Vec<Matcher>)> {
    let mut selectors = Vec::new();
    let mut rest = expression;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    while let Some(at) = rest.find(is_name) {
        rest = &rest[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        let next = after.trim_start();
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        if ["by", "without", "on", "ignoring"].contains(&name) {
            rest = &next[next.find(')').expect("labels in brackets")..];
        } else if let Some(inside) = next.strip_prefix('{') {
            let (inside, after) = inside.split_once('}').expect("a closed selector");
            selectors.push((name.to_owned(), matchers(inside)));
            rest = after;
        } else if !next.starts_with('(') && !["and", "or", "unless", "bool"].contains(&name) {
            let aggregates = ["sum", "max", "min", "avg", "count"];
            if !aggregates.contains(&name) {
                selectors.push((name.to_owned(), Vec::new()));
            }
        }
        // A range such as [5m] is no name.
        if let Some(range) = rest.strip_prefix('[') {
            rest = range.split_once(']').expect("a closed range").1;
        }
    }
    selectors
}

/// The labels that an expression groups by.
fn grouped(expression: &str) -> Vec<String> {
    let groups = expression.split(" by (").skip(1);
    groups
        .flat_map(|rest| rest.split(')').next().unwrap().split(','))
        .map(|label| label.trim().to_owned())
        .collect()
}

/// Every `expr` of the dashboard, wherever it stands, and what its variables are made of.
fn of_the_dashboard() -> Vec<String> {
    fn walk(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, into)),
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::String(text) if name == "expr" => into.push(text.clone()),
                        Value::String(text) if text.starts_with("label_values(") => {
                            let inside = text["label_values(".len()..].trim_end_matches(')');
                            into.push(inside.split(',').next().unwrap().to_owned());
                        }
                        member => walk(member, into),
                    }
                }
            }
            _ => {}
        }
    }
    let dashboard = read("deploy/grafana/dashboards/micro-socket.json");
    let mut expressions = Vec::new();
    walk(&serde_json::from_str(&dashboard).unwrap(), &mut expressions);
    assert!(expressions.len() > 40, "{}", expressions.len());
    expressions
}

/// Every `expr` of the alert rules; each stands on one line.
fn of_the_alerts() -> Vec<String> {
    let rules = read("deploy/prometheus/alerts.yml");
    let expressions: Vec<String> = rules
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("expr: "))
        .map(str::to_owned)
        .collect();
    assert_eq!(expressions.len(), rules.matches("- alert: ").count());
    assert_eq!(expressions.len(), rules.matches(" summary: ").count());
    assert_eq!(expressions.len(), rules.matches(" action: ").count());
    assert!(expressions.len() > 10);
    expressions
}

/// What an operator reads in the documentation.
fn of_the_documentation() -> Vec<String> {
    let text = read("docs/metrics.md");
    let mut inside = false;
    text.lines()
        .filter(|line| {
            inside ^= line.starts_with("```");
            inside && !line.starts_with("```")
        })
        .map(str::to_owned)
        .collect()
}

/// A scrape of a gateway after a bit of everything.
async fn scrape(topics: usize) -> String {
    let gateway = TestGateway::start().await;
    for at in 0..topics {
        let topic = format!("topic-{at}");
        let mut user = gateway.user(&format!("user-{at}"), &[&topic]).await;
        user.publish(&topic, &format!("id-{at}"), json!({"at": at}))
            .await;
        user.messages(1).await;
        user.send(json!({"type": "subscribe", "topic": ""})).await;
        user.expect_error("BAD_TOPIC").await;
    }
    let body = r#"{"topic":"prices","payload":1}"#;
    Request::publish("ann", body).send(gateway.addr).await;
    gateway.get("/metrics").await.text().to_owned()
}

#[tokio::test]
async fn dashboard_alerts_and_documentation_name_only_series_that_exist() {
    let live = Live::parse(&scrape(3).await);
    let expressions = [of_the_dashboard(), of_the_alerts(), of_the_documentation()].concat();
    let faults: Vec<String> = expressions
        .iter()
        .flat_map(|expression| live.faults(expression))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    // The reader of expressions finds what it is to find.
    let wrong =
        r#"sum by (nobody) (rate(micro_socket_closes_total{code="1"}[5m])) / micro_socket_x > 1"#;
    assert_eq!(live.faults(wrong).len(), 3, "{:?}", live.faults(wrong));
}

#[tokio::test]
async fn the_documentation_lists_every_series_and_no_other() {
    let text = scrape(1).await;
    let live: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let documentation = read("docs/metrics.md");
    let listed: BTreeSet<&str> = documentation
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|cell| cell.split(", "))
        .map(|name| name.trim_matches('`').split('{').next().unwrap())
        .collect();
    assert_eq!(live, listed);
}

#[tokio::test]
async fn the_series_are_as_many_whatever_passes_through() {
    let names = |text: &str| -> BTreeSet<String> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
            .collect()
    };
    let (quiet, busy) = (names(&scrape(0).await), names(&scrape(20).await));
    assert_eq!(quiet, busy);
    assert!(busy.len() < 200, "{} series", busy.len());
}

#[test]
fn every_setting_that_deploy_names_exists() {
    let mut named = 0;
    for file in [
        "deploy/Dockerfile",
        "deploy/compose.yaml",
        "deploy/systemd/micro-socket.service",
        "deploy/README.md",
    ] {
        for part in read(file).split("MICRO_SOCKET_").skip(1) {
            let end = part.find(|c: char| !c.is_ascii_uppercase() && c != '_');
            let variable = format!("MICRO_SOCKET_{}", &part[..end.unwrap_or(part.len())]);
            let known = SETTINGS.iter().any(|s| s.environment() == variable);
            assert!(known, "{file} names {variable}");
            named += 1;
        }
    }
    assert!(named > 8);
}

#[test]
fn a_supervisor_waits_longer_than_a_drain() {
    let defaults = Settings::resolve(&RawSettings::default(), None).unwrap();
    let seconds = |file: &str, key: &str| {
        let text = read(file);
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
        let number = line.unwrap_or_else(|| panic!("{file} has no {key}"));
        Duration::from_secs(number.trim_end_matches('s').parse().unwrap())
    };
    // Besides the drain itself: the last answers, and bringing the backbone to its end.
    let least = defaults.drain_timeout + Duration::from_secs(5);
    assert!(seconds("deploy/systemd/micro-socket.service", "TimeoutStopSec=") > least);
    let compose = read("deploy/compose.yaml");
    let gateway = compose.split("x-gateway:").nth(1).unwrap();
    let grace = gateway.split("stop_grace_period: ").nth(1).unwrap();
    let grace = grace.lines().next().unwrap().trim_end_matches('s');
    assert!(Duration::from_secs(grace.parse().unwrap()) > least);
}
