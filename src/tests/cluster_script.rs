//! `deploy/cluster`, which `make cluster` runs: it starts, survives what it is for, and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::harness::process::{free_ports, signal, without_settings};
use crate::harness::{Request, Socket, nats, soon};

fn script(ports: &[u16; 8]) -> Command {
    let list = |ports: &[u16]| {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        ports.join(" ")
    };
    // Who runs the tests in the background may have them ignore what Ctrl-C sends, and a shell cannot undo that.
    let mut command = without_settings(Command::new("env"));
    command
        .arg("--default-signal=INT")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/cluster"))
        .env("GATEWAY", env!("CARGO_BIN_EXE_micro-socket"))
        .env("NATS_SERVER", nats::program())
        .env("GATEWAY_PORTS", list(&ports[..2]))
        .env("NATS_PORTS", list(&ports[2..5]))
        .env("ROUTE_PORTS", list(&ports[5..]))
        .stdin(Stdio::null());
    command
}

/// The script while it runs. It stops its own when it is told to, also when a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            signal(self.0.id(), "TERM");
            let _ = self.0.wait();
        }
    }
}

/// Tries again and again, and lets go of a try that takes long, until one comes to something.
async fn at_last<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Ok(Some(done)) = tokio::time::timeout(Duration::from_secs(5), attempt()).await {
                return done;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let tried = tokio::time::timeout(Duration::from_secs(60), trying).await;
    tried.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// What stands behind `kill -9` in the line that ends so.
fn process(told: &str, end: &str) -> u32 {
    let line = told.lines().find(|line| line.trim().ends_with(end));
    let line = line.unwrap_or_else(|| panic!("no line ends with {end:?}: {told}"));
    line.split_whitespace().nth(2).unwrap().parse().unwrap()
}

#[tokio::test]
async fn it_starts_goes_on_without_those_that_are_killed_and_leaves_nothing() {
    let ports = free_ports();
    let mut child = script(&ports).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut running = Running(child);
    let reading = tokio::task::spawn_blocking(move || {
        let mut told = String::new();
        while !told.contains("Ctrl-C") && lines.read_line(&mut told).unwrap() > 0 {}
        (told, lines)
    });
    let reading = tokio::time::timeout(Duration::from_secs(90), reading).await;
    let (told, mut lines) = reading.expect("it is ready in time").unwrap();
    let [a, b] = [ports[0], ports[1]].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    for url in [format!("http://{a}/docs"), format!("ws://{b}/ws")] {
        assert!(told.contains(&url), "{told}");
    }
    let folder = told
        .lines()
        .find_map(|line| line.trim().strip_prefix("logs: "));
    let folder = folder.unwrap().trim_end_matches("/*.log").to_owned();

    let mut ann = Socket::connect(a, "/ws").await;
    assert_eq!(ann.setup("ann", &["t"]).await["node"], "a");
    let mut bob = Socket::connect(b, "/ws").await;
    assert_eq!(bob.setup("bob", &[]).await["node"], "b");
    bob.publish("t", "1", json!(1)).await;
    assert_eq!(ann.messages(1).await[0].2, "1");
    signal(process(&told, "nats-1"), "KILL");
    // The servers that are left elect other leaders first.
    at_last("a publish", async || {
        let body = json!({"topic": "t", "messageId": "2", "payload": 2});
        let answer = Request::publish("bob", body.to_string()).send(b).await;
        (answer.status == 200).then_some(())
    })
    .await;
    let second = at_last("the message", async || Some(ann.messages(1).await)).await;
    assert_eq!(second[0].2, "2");
    signal(process(&told, "gateway a: its clients resume on b"), "KILL");
    let reading = tokio::task::spawn_blocking(move || {
        let mut told = String::new();
        let says = |told: &str, line| told.lines().any(|other| other == line);
        while !(says(&told, "nats-1 is gone") && says(&told, "a is gone")) {
            assert!(lines.read_line(&mut told).unwrap() > 0, "{told}");
        }
        lines
    });
    let _lines = soon("the news", reading).await.unwrap();
    assert_eq!(Request::get("/healthz").send(b).await.status, 200);

    signal(running.0.id(), "INT");
    let ended = tokio::time::timeout(Duration::from_secs(40), async {
        loop {
            if let Some(status) = running.0.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(ended.await.expect("it ends in time").success());
    assert!(!std::path::Path::new(&folder).exists(), "{folder}");
    for port in ports {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{port}");
    }
}

fn refused(output: Output) -> String {
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    errors
}

#[test]
fn what_is_missing_or_taken_is_named() {
    let ports = free_ports();
    let held = TcpListener::bind(("127.0.0.1", ports[3])).unwrap();
    let told = refused(script(&ports).output().unwrap());
    assert!(
        told.contains(&format!("port {} is taken", ports[3])),
        "{told}"
    );
    drop(held);
    for (variable, told) in [
        ("NATS_SERVER", "no-such-program is missing"),
        ("GATEWAY", "make build"),
    ] {
        let output = script(&ports).env(variable, "no-such-program").output();
        let refusal = refused(output.unwrap());
        assert!(refusal.contains(told), "{refusal}");
    }
    let output = script(&ports).env("GATEWAY_PORTS", "1").output().unwrap();
    assert!(refused(output).contains("two ports"));
}
