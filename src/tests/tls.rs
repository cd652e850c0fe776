//! https and wss: the same gateway, encrypted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use micro_socket::client::{Event, Options, SubSocket};
use micro_socket::config::{RawSettings, Settings};
use micro_socket::server::Server;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::MaybeTlsStream;

use crate::harness::raw::{CLOSE, FIN, masked};
use crate::harness::socket::{publish, seq_no};
use crate::harness::{Request, Socket, TestGateway, soon};

/// A self-signed certificate for `localhost`, in files, and who trusts it.
struct Certificate {
    folder: TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
        let der = made.cert.der().clone();
        Self { folder, der }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn gateway(&self, settings: &[(&'static str, &str)]) -> TestGateway {
        let (cert, key) = (self.path("cert.pem"), self.path("key.pem"));
        let files = [
            ("tls-cert", cert.to_str().unwrap()),
            ("tls-key", key.to_str().unwrap()),
        ];
        TestGateway::with(&[&files, settings].concat()).await
    }

    async fn handshake(&self, tcp: TcpStream) -> TlsStream<TcpStream> {
        self.handshake_with(tcp, rustls::ALL_VERSIONS).await
    }

    async fn handshake_with(
        &self,
        tcp: TcpStream,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        let stream = soon("the TLS handshake", handshake).await.unwrap();
        let protocol = stream.get_ref().1.alpn_protocol();
        assert_eq!(protocol, Some(&b"http/1.1"[..]));
        stream
    }

    async fn stream(&self, gateway: &TestGateway) -> TlsStream<TcpStream> {
        self.handshake(TcpStream::connect(gateway.addr).await.unwrap())
            .await
    }

    async fn user(&self, gateway: &TestGateway, token: &str, topics: &[&str]) -> Socket {
        let stream = MaybeTlsStream::Rustls(self.stream(gateway).await);
        let mut socket = Socket::over(stream, gateway.addr, "/ws").await;
        socket.setup(token, topics).await;
        socket
    }

    /// A user whose kernel takes little that was not read yet.
    async fn narrow(&self, gateway: &TestGateway, token: &str, topics: &[&str]) -> Socket {
        let tcp = Socket::narrow(gateway.addr, 4096).await;
        let stream = MaybeTlsStream::Rustls(self.handshake(tcp).await);
        let mut socket = Socket::over(stream, gateway.addr, "/ws").await;
        socket.setup(token, topics).await;
        socket
    }

    /// The numbers of `/stats`.
    async fn stats(&self, gateway: &TestGateway) -> Value {
        let answer = ask(self.stream(gateway).await, GET_STATS).await;
        let answer = String::from_utf8(answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

/// Sends a request and reads up to the end of TLS, which must be said.
async fn ask(mut stream: TlsStream<TcpStream>, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = soon("the answer", stream.read_to_end(&mut answer)).await;
    read.expect("an end that was said");
    answer
}

const GET_STATS: &[u8] = b"GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn https_answers_in_both_versions_of_tls() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[]).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let tcp = TcpStream::connect(gateway.addr).await.unwrap();
        let stream = certificate.handshake_with(tcp, &[version]).await;
        let answer = String::from_utf8(ask(stream, GET_STATS).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(r#""connections":0"#), "{answer}");
    }
}

#[tokio::test]
async fn an_http_page_is_not_of_the_same_host() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[("admin-addr", "127.0.0.1:0")]).await;
    for (page, answer) in [("https", "HTTP/1.1 101"), ("http", "HTTP/1.1 403")] {
        let host = format!("Host: a.example\r\nOrigin: {page}://a.example");
        let request = UPGRADE.replace("Host: localhost", &host);
        let mut stream = certificate.stream(&gateway).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        soon("the answer", stream.read_exact(&mut status))
            .await
            .unwrap();
        assert_eq!(str::from_utf8(&status).unwrap(), answer, "{page}");
    }
    // Operators' own address is plain http.
    let admin = gateway.admin_addr.unwrap();
    for (page, status) in [
        (format!("http://{admin}"), 200),
        (format!("http://{admin}0"), 403),
    ] {
        let history = Request::get("/api/topics/t/history").bearer("ann");
        let answer = history.header("Origin", &page).send(admin).await;
        assert_eq!(answer.status, status, "{page}");
    }
}

#[tokio::test]
async fn wss_carries_the_whole_protocol() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[]).await;
    let mut ann = certificate.user(&gateway, "ann", &["t"]).await;
    let mut bob = certificate.user(&gateway, "bob", &["t"]).await;
    for i in 1..=20_u64 {
        assert_eq!(ann.publish("t", &i.to_string(), json!(i)).await["seqNo"], i);
        assert_eq!(seq_no(&bob.expect("message").await), i);
    }
    // Many frames at once: one turn lays them together.
    let many = (21..=1020).map(|i| publish("t", &i.to_string(), json!({"n": i})));
    ann.send_together(many.collect()).await;
    for (at, (_, seq_no, _)) in (21..).zip(bob.messages(1000).await) {
        assert_eq!(seq_no, at);
    }
    bob.expect_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_replay_comes_whole() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[("history-size", "5000")]).await;
    let mut ann = certificate.user(&gateway, "ann", &[]).await;
    let payload = json!("x".repeat(10_000));
    for i in 1..=2000 {
        ann.publish("t", &i.to_string(), payload.clone()).await;
    }
    // 20 MB: far more than the kernels and the encryption hold.
    let mut late = certificate.narrow(&gateway, "late", &[]).await;
    assert_eq!(late.subscribe_after("t", 0).await["replayed"], 2000);
    ann.publish("t", "live", json!("live")).await;
    for (at, (_, seq_no, _)) in (1..).zip(late.messages(2001).await) {
        assert_eq!(seq_no, at);
    }
    late.expect_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_pauses_catches_up_to_the_last_byte() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[("send-queue-bytes", "64MiB")]).await;
    let mut paused = certificate.narrow(&gateway, "paused", &["t"]).await;
    let mut ann = certificate.user(&gateway, "ann", &[]).await;
    for round in 0..3 {
        for i in 1..=100 {
            let id = format!("{round}-{i}");
            ann.publish("t", &id, json!("x".repeat(60_000))).await;
        }
        let came = paused.messages(100).await;
        assert_eq!(came[99].1, (round + 1) * 100);
        assert!(came.is_sorted_by_key(|(_, seq_no, _)| *seq_no));
        // Nothing is left in the encryption's buffer once all is quiet.
        paused.expect_quiet().await;
    }
}

/// The socket fills up in a turn that has something of two topics, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_two_topics_that_pauses_catches_up_with_both() {
    let certificate = Certificate::new();
    let gateway = certificate
        .gateway(&[("send-queue-bytes", "64MiB"), ("history-size", "10")])
        .await;
    let mut paused = certificate.narrow(&gateway, "paused", &["a", "b"]).await;
    let mut ann = certificate.user(&gateway, "ann", &[]).await;
    let payload = json!("x".repeat(5_000));
    for round in 0..3_u64 {
        // Some 6 MB: more than the kernels and the encryption hold.
        for burst in 0..50 {
            let frames = (0..12).flat_map(|i| {
                let id = format!("{round}-{burst}-{i}");
                ["a", "b"].map(|topic| publish(topic, &format!("{topic}{id}"), payload.clone()))
            });
            ann.send_together(frames.collect()).await;
            for _ in 0..24 {
                ann.expect("ack").await;
            }
        }
        let came = paused.messages(1200).await;
        for topic in ["a", "b"] {
            let numbers = came.iter().filter(|(t, ..)| t == topic).map(|m| m.1);
            assert!(numbers.eq(round * 600 + 1..=round * 600 + 600));
        }
        paused.expect_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_too_slow_gets_whole_frames_and_then_4108() {
    let certificate = Certificate::new();
    let gateway = certificate
        .gateway(&[("send-queue-bytes", "256KiB"), ("history-size", "10")])
        .await;
    let mut slow = certificate.narrow(&gateway, "slow", &["t"]).await;
    let mut ann = certificate.user(&gateway, "ann", &[]).await;
    // At most some 15 MB; and a few messages after the slow one is let go of, which then has a time for its close.
    let (mut sent, mut most) = (0, 250);
    while sent < most {
        sent += 1;
        ann.publish("t", &sent.to_string(), json!("x".repeat(60_000)))
            .await;
        if sent % 10 == 0 && certificate.stats(&gateway).await["subscriptions"] == 0 {
            most = most.min(sent + 20);
        }
    }
    assert_eq!(slow.expect_close(4108).await, "slow consumer");
    ann.publish("t", "on", json!(1)).await;
}

#[tokio::test]
async fn both_sides_can_close_and_the_end_is_said() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[("setup-timeout", "2s")]).await;
    let ann = certificate.user(&gateway, "ann", &["t"]).await;
    assert_eq!(ann.close(3000, "bye").await, Some(3000));

    // The client's close, down to the end of TLS.
    let close = masked(FIN | CLOSE, &1000_u16.to_be_bytes());
    let request = [UPGRADE.as_bytes(), &close].concat();
    let answer = ask(certificate.stream(&gateway).await, &request).await;
    assert!(answer.ends_with(&[FIN | CLOSE, 2, 0x03, 0xe8]));

    // The gateway's.
    let stream = MaybeTlsStream::Rustls(certificate.stream(&gateway).await);
    let mut silent = Socket::over(stream, gateway.addr, "/ws").await;
    silent.expect_close(4002).await;
}

#[tokio::test]
async fn a_drain_tells_everyone() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[]).await;
    let mut ann = certificate.user(&gateway, "ann", &["t"]).await;
    let told = tokio::spawn(async move { ann.expect_close(1012).await });
    // Someone who never finishes the TLS handshake holds nothing up.
    let _mute = TcpStream::connect(gateway.addr).await.unwrap();
    soon("the drain", gateway.drain()).await;
    assert_eq!(told.await.unwrap(), "restarting");
}

#[tokio::test]
async fn one_who_does_not_speak_tls_is_let_go() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[]).await;
    let noise: [&[u8]; 3] = [GET_STATS, b"\x16\x03\x01\xff\xff garbage", &[0; 70_000]];
    for bytes in noise {
        let mut plain = TcpStream::connect(gateway.addr).await.unwrap();
        let _ = plain.write_all(bytes).await;
        // Some noise looks like the beginning of a record, which could go on.
        let _ = plain.shutdown().await;
        let mut answer = Vec::new();
        let _ = soon("the end", plain.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"));
    }
    let mute = TcpStream::connect(gateway.addr).await.unwrap();
    let answer = ask(certificate.stream(&gateway).await, GET_STATS).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    drop(mute);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_has_its_time() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[("message-timeout", "1s")]).await;
    let mut nobody = certificate.stream(&gateway).await;
    // More than both kernels take.
    let ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    nobody.write_all(&ask.repeat(2000)).await.unwrap();
    soon("an answer", nobody.read_u8()).await.unwrap();
    soon("the end of one who takes nothing", async {
        // What it asks once more is refused by its own kernel when the gateway has let go of it.
        while nobody.write_all(ask).await.is_ok() && nobody.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_vanishes_leaves_nothing_behind() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[]).await;
    let mut ann = certificate.user(&gateway, "ann", &["t"]).await;
    // Cut without the end of TLS.
    drop(certificate.user(&gateway, "bob", &["t"]).await);
    soon("one connection", async {
        while certificate.stats(&gateway).await["connections"] != 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    ann.publish("t", "1", json!(1)).await;
}

#[tokio::test]
async fn the_rust_client_speaks_wss_to_whom_it_trusts() {
    let certificate = Certificate::new();
    let gateway = certificate.gateway(&[]).await;
    let url = format!("wss://localhost:{}/ws/sub/t", gateway.addr.port());
    let options = |pem: Option<&str>| {
        let mut options = Options::new("ann");
        options.ca_certificates = pem.map(str::to_owned);
        options.reconnect = None;
        options
    };
    let pem = std::fs::read_to_string(certificate.path("cert.pem")).unwrap();
    let mut ann = SubSocket::open(&url, options(Some(&pem))).unwrap();
    soon("an ack", ann.handle().publish("t", &1)).await.unwrap();
    loop {
        let event = soon("the message", ann.next()).await.unwrap();
        if let Event::Message(message) = event {
            assert_eq!(message.data.get(), "1");
            break;
        }
    }
    for (pem, cause) in [(None, "certificate"), (Some("nonsense"), "ca_certificates")] {
        let mut refused = SubSocket::open(&url, options(pem)).unwrap();
        let mut told = String::new();
        while let Some(event) = soon("the end", refused.next()).await {
            assert!(!matches!(event, Event::Message(_) | Event::Ready { .. }));
            told = format!("{told} {event:?}");
        }
        assert!(told.contains(cause), "{told}");
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections() {
    let (certificate, new) = (Certificate::new(), Certificate::new());
    let gateway = certificate.gateway(&[]).await;
    let mut ann = certificate.user(&gateway, "ann", &["t"]).await;
    let (cert, key) = (certificate.path("cert.pem"), certificate.path("key.pem"));
    let files = [
        ("tls-cert", cert.to_str().unwrap()),
        ("tls-key", key.to_str().unwrap()),
    ];
    // Half of it is there: the old one stays.
    std::fs::copy(new.path("cert.pem"), &cert).unwrap();
    let error = gateway.reload(&files).unwrap_err().to_string();
    assert!(error.contains("is not the key of"), "{error}");
    certificate.user(&gateway, "old", &[]).await;
    std::fs::copy(new.path("key.pem"), &key).unwrap();
    assert!(gateway.reload(&files).unwrap().is_empty());
    let mut bob = new.user(&gateway, "bob", &["t"]).await;
    ann.publish("t", "1", json!(1)).await;
    assert_eq!(seq_no(&bob.expect("message").await), 1);
}

#[tokio::test]
async fn files_that_do_not_fit_refuse_to_start() {
    let (certificate, other) = (Certificate::new(), Certificate::new());
    let (cert, key) = (certificate.path("cert.pem"), certificate.path("key.pem"));
    let start = async |cert: &PathBuf, key: &PathBuf| {
        let mut raw = RawSettings::default();
        raw.add("addr", "127.0.0.1:0".to_owned(), String::new());
        raw.add("tls-cert", cert.display().to_string(), String::new());
        raw.add("tls-key", key.display().to_string(), String::new());
        let settings = Settings::resolve(&raw, None).unwrap();
        Server::start(&settings).await.map(drop)
    };
    start(&cert, &key).await.unwrap();
    let empty = certificate.path("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (cert, key, cause) in [
        (&cert, &other.path("key.pem"), "tls-key"),
        (&cert, &other.path("key.pem"), "is not the key of"),
        (&cert, &certificate.path("missing.pem"), "missing.pem"),
        (&certificate.path("missing.pem"), &key, "tls-cert"),
        (&empty, &key, "it holds no certificate"),
        (&key, &key, "it holds no certificate"),
        (&cert, &cert, "give a PEM file with its private key"),
    ] {
        let error = start(cert, key).await.unwrap_err().to_string();
        assert!(error.contains(cause), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
