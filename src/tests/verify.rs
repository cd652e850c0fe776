//! `micro-socket verify`: passes on the real gateway, and sees each promise broken by a network that
//! lies.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use micro_socket::protocol::Token;
use micro_socket::verify::{Outcome, Report, Request, run};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, connect_async};

use crate::harness::TestGateway;
use crate::harness::process::program;

fn request(url: String) -> Request {
    Request {
        url,
        token: Token::new("ann"),
        denied_topic: None,
        timeout: Duration::from_secs(30),
    }
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    let findings = report.promises.iter();
    findings.map(|f| (f.id, f.outcome)).collect()
}

#[tokio::test]
async fn the_gateway_shows_its_evidence() {
    let gateway = TestGateway::start().await;
    let report = run(&request(format!("http://{}", gateway.addr))).await;
    let expected = ["I1", "I2", "I3", "I4", "I5", "I6", "I7"].map(|id| (id, Outcome::Pass));
    assert_eq!(outcomes(&report), expected, "{report}");
    assert!(report.ok);
    for (at, evidence) in [
        (0, "ACL_DENIED for subscribe and publish of a denied topic"),
        (1, "51 ids published 103 times"),
        (2, "the same 200 messages"),
        (3, "lastSeq 80 replayed exactly 20"),
        (4, "/stats, to the socket write: p50"),
        (5, "resume brought the 31 missed ones"),
        (6, "8 odd payloads byte for byte"),
    ] {
        let seen = &report.promises[at].evidence;
        assert!(seen.contains(evidence), "{evidence:?} in {seen:?}");
    }
}

#[tokio::test]
async fn without_a_gateway_all_of_it_fails() {
    let report = run(&request("127.0.0.1:1".to_owned())).await;
    assert!(!report.ok);
    assert_eq!(report.promises.len(), 7);
    assert!(
        report.promises[0].evidence.contains("cannot open"),
        "{report}"
    );
}

/// What a lying network makes of a frame from the gateway.
type Lie = fn(&str) -> Vec<String>;

/// Verifies the gateway through a network that lies.
async fn verify_through(lie: Lie) -> Report {
    let gateway = TestGateway::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    let carrying = tokio::spawn(carry_all(listener, gateway.addr, lie));
    let report = run(&request(url)).await;
    carrying.abort();
    report
}

async fn carry_all(listener: TcpListener, gateway: SocketAddr, lie: Lie) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            // `/stats` is asked here too, and is no WebSocket.
            let mut head = [0; 10];
            if stream.peek(&mut head).await.is_ok() && head.starts_with(b"GET /stats") {
                return carry_stats(stream, gateway, lie).await;
            }
            let Ok(client) = accept_async(stream).await else {
                return;
            };
            let (server, _) = connect_async(format!("ws://{gateway}/ws")).await.unwrap();
            let (mut to_client, mut from_client) = client.split();
            let (mut to_server, mut from_server) = server.split();
            let up = async {
                while let Some(Ok(message)) = from_client.next().await {
                    if to_server.send(message).await.is_err() {
                        break;
                    }
                }
            };
            let down = async {
                while let Some(Ok(message)) = from_server.next().await {
                    let told = match &message {
                        Message::Text(text) => lie(text).into_iter().map(Message::text).collect(),
                        _ => vec![message],
                    };
                    for message in told {
                        if to_client.send(message).await.is_err() {
                            return;
                        }
                    }
                }
            };
            tokio::select! {
                () = up => {}
                () = down => {}
            }
        });
    }
}

async fn carry_stats(mut stream: TcpStream, gateway: SocketAddr, lie: Lie) {
    let mut server = TcpStream::connect(gateway).await.unwrap();
    server
        .write_all(b"GET /stats HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    server.read_to_string(&mut answer).await.unwrap();
    // What is not read would make the end a reset.
    let _ = stream.read(&mut [0; 4096]).await;
    for text in lie(&answer) {
        let _ = stream.write_all(text.as_bytes()).await;
    }
}

/// The lie is seen, and by the right promise.
async fn seen(id: &str, lie: Lie, complaint: &str) {
    let report = verify_through(lie).await;
    assert!(!report.ok, "{report}");
    for finding in &report.promises {
        assert_eq!(
            finding.outcome == Outcome::Fail,
            finding.id == id,
            "{report}"
        );
    }
    let finding = report.promises.iter().find(|f| f.id == id).unwrap();
    assert!(finding.evidence.contains(complaint), "{report}");
}

fn is_message(text: &str, id: &str) -> bool {
    text.starts_with(r#"{"type":"message""#) && text.contains(&format!("{id}\""))
}

#[tokio::test]
async fn a_stranger_who_is_let_in_breaks_access() {
    let lie: Lie = |text| vec![text.replace("AUTH_REQUIRED", "BAD_REQUEST")];
    seen("I1", lie, "no AUTH_REQUIRED before setup").await;
}

#[tokio::test]
async fn an_id_that_is_accepted_twice_breaks_dedup() {
    let lie: Lie = |text| vec![text.replace(r#""status":"duplicate""#, r#""status":"ok""#)];
    seen("I2", lie, "was accepted").await;
}

#[tokio::test]
async fn messages_that_change_places_break_order() {
    // Their numbers do, which is the same to a reader.
    let lie: Lie = |text| {
        if !text.contains(".order-b-") || !text.contains(r#""type":"message""#) {
            return vec![text.to_owned()];
        }
        vec![
            text.replace(".order-b-7\"", ".order-b-x\"")
                .replace(".order-b-8\"", ".order-b-7\"")
                .replace(".order-b-x\"", ".order-b-8\""),
        ]
    };
    seen("I3", lie, "first difference").await;
}

#[tokio::test]
async fn a_message_that_is_lost_breaks_delivery() {
    let lie: Lie = |text| {
        if is_message(text, ".delivery-50") {
            return Vec::new();
        }
        vec![text.to_owned()]
    };
    seen("I4", lie, "99 messages came instead of 100").await;
}

#[tokio::test]
async fn numbers_that_are_none_break_latency() {
    let lie: Lie = |text| {
        let mut text = text.to_owned();
        if let Some(latency) = text.find("\"latency\":{") {
            let counts = text[latency..].replacen("\"count\":", "\"count\":0,\"was\":", 1);
            text.replace_range(latency.., &counts);
        }
        vec![text]
    };
    seen("I5", lie, "/stats counts no delivery").await;
    let lie: Lie = |text| vec![text.replacen("HTTP/1.1 200 OK", "HTTP/1.1 500 Oh", 1)];
    seen("I5", lie, "/stats: HTTP/1.1 500 Oh").await;
    let lie: Lie = |text| {
        let silent = text.starts_with("HTTP");
        if silent {
            Vec::new()
        } else {
            vec![text.to_owned()]
        }
    };
    seen("I5", lie, "/stats does not answer").await;
}

/// What becomes of the promises on a gateway that keeps or takes in little.
async fn verify_with(flags: &'static [(&'static str, &'static str)]) -> Report {
    let gateway = TestGateway::with(flags).await;
    run(&request(gateway.addr.to_string())).await
}

#[tokio::test]
async fn a_short_history_is_no_broken_promise() {
    let report = verify_with(&[("history-size", "5")]).await;
    for (at, needed) in [(3, 20), (5, 31), (6, 9)] {
        let finding = &report.promises[at];
        assert_eq!(finding.outcome, Outcome::Skipped, "{report}");
        let why = format!("the history is too short to replay {needed}");
        assert!(finding.evidence.contains(&why), "{report}");
    }
    assert!(report.ok, "{report}");
}

#[tokio::test]
async fn a_low_publish_rate_is_no_broken_promise() {
    let report = verify_with(&[("publish-rate", "5")]).await;
    for finding in &report.promises[1..6] {
        assert_eq!(finding.outcome, Outcome::Skipped, "{report}");
        assert!(
            finding.evidence.contains("at most 5 publishes a second"),
            "{report}"
        );
    }
    assert!(report.ok, "{report}");
}

#[tokio::test]
async fn a_message_that_comes_twice_after_a_resume_breaks_resume() {
    let lie: Lie = |text| {
        let count = if is_message(text, ".missed-3") { 2 } else { 1 };
        vec![text.to_owned(); count]
    };
    seen("I6", lie, "32 messages came instead of 31").await;
}

#[tokio::test]
async fn a_payload_that_is_written_anew_breaks_integrity() {
    let lie: Lie = |text| vec![text.replace(r#""data":[ ]"#, r#""data":[]"#)];
    seen("I7", lie, "[ ] became []").await;
    let lie: Lie = |text| vec![text.replace(r#""sig":"hmac-sha256:"#, r#""sig":"hmac-SHA256:"#)];
    seen("I7", lie, "signature").await;
}

/// Runs the binary; its exit status and what it printed.
async fn command(args: &[&str]) -> (i32, String) {
    let mut command = program();
    command.args(args);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text)
}

#[tokio::test]
async fn the_command_prints_a_line_or_an_object_a_promise_and_ends_with_0_or_1() {
    let gateway = TestGateway::start().await;
    let addr = gateway.addr.to_string();
    let (status, text) = command(&["verify", &addr]).await;
    assert_eq!((status, text.lines().count()), (0, 7), "{text}");
    let (status, text) = command(&["verify", &addr, "--json", "--denied-topic", "free"]).await;
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &report["ok"]), (1, &serde_json::json!(false)));
    assert_eq!(
        report["promises"][0]["outcome"], "fail",
        "demo auth allows it"
    );
    assert_eq!(report["promises"][1]["outcome"], "pass");
    let (status, text) = command(&["verify", "127.0.0.1:1"]).await;
    assert_eq!((status, text.lines().count()), (1, 1), "{text}");
    assert!(text.contains("nothing could be checked"), "{text}");
}
