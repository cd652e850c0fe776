//! Settings are read again while the gateway runs, and no socket is dropped.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::harness::process::program;
use crate::harness::raw::PING;
use crate::harness::tokens::{SECRET, history, refused, signed, token};
use crate::harness::{PATIENCE, RawSocket, Request, Socket, TestGateway, soon};

const NEW: &str = "another HS256 secret of the tests, also long";

fn claims() -> serde_json::Value {
    json!({"topics": {"read": ["*"], "write": ["*"]}})
}

#[tokio::test]
async fn a_new_secret_holds_for_new_tokens_and_old_sockets_stay() {
    let gateway = TestGateway::with(&[("auth", "jwt"), ("jwt-secret", SECRET)]).await;
    let (old, new) = (token("ann", &claims()), signed(NEW, "bob", &claims()));
    let mut ann = gateway.user(&old, &["t"]).await;
    refused(&gateway, &new, "AUTH_FAILED", 4001).await;
    let left = gateway.reload(&[("auth", "jwt"), ("jwt-secret", NEW)]);
    assert!(left.unwrap().is_empty());
    refused(&gateway, &old, "AUTH_FAILED", 4001).await;
    assert_eq!(history(&gateway, &old, "t").await.status, 401);
    let mut bob = gateway.user(&new, &[]).await;
    bob.publish("t", "1", json!(1)).await;
    assert_eq!(ann.expect("message").await["data"], 1);
    ann.send(json!({"type": "refresh", "token": old})).await;
    ann.expect_error("AUTH_FAILED").await;

    // What tokens must say is read again too.
    let strict = [("auth", "jwt"), ("jwt-secret", NEW), ("jwt-issuer", "us")];
    gateway.reload(&strict).unwrap();
    refused(&gateway, &new, "AUTH_FAILED", 4001).await;
    // Whether tokens are checked at all is not.
    let left = gateway.reload(&[]).unwrap();
    assert_eq!(left, ["auth", "jwt-secret", "jwt-issuer", "demo-endpoints"]);
    let demo = gateway.get("/demo/publish/t?a=1").await;
    demo.expect_error(404, "BAD_REQUEST");
    refused(&gateway, "eve", "AUTH_FAILED", 4001).await;
}

#[tokio::test]
async fn new_limits_hold_for_the_sockets_that_are_open() {
    let gateway = TestGateway::start().await;
    let mut ann = gateway.user("ann", &["a", "b"]).await;
    let left = gateway.reload(&[
        ("max-topics", "2"),
        ("max-connections", "2"),
        ("history-size", "7"),
    ]);
    assert_eq!(left.unwrap(), ["history-size"]);
    // A shard hears of it in its own time, before anything that comes in after.
    let mut bob = gateway.user("bob", &["a", "b"]).await;
    for socket in [&mut ann, &mut bob] {
        socket
            .send(json!({"type": "subscribe", "topic": "c"}))
            .await;
        socket.expect_error("LIMIT_EXCEEDED").await;
    }
    let third = Request::upgrade("/ws").send(gateway.addr).await;
    third.expect_error(503, "NOT_AVAILABLE");
    gateway.reload(&[]).unwrap();
    gateway.user("carl", &["a", "b", "c"]).await;
}

#[tokio::test]
async fn a_new_ping_interval_holds_for_a_socket_that_waits() {
    let gateway = TestGateway::with(&[("ping-interval", "1h")]).await;
    let mut idle = RawSocket::connect(gateway.addr, "/ws", None).await;
    idle.setup("ann", "t").await;
    let changed = [("ping-interval", "200ms"), ("pong-timeout", "1m")];
    gateway.reload(&changed).unwrap();
    assert_eq!(idle.next().await.unwrap().opcode, PING);
}

#[tokio::test]
async fn a_new_time_for_a_request_head_holds_for_those_that_come() {
    let gateway = TestGateway::with(&[("setup-timeout", "5m")]).await;
    gateway.reload(&[("setup-timeout", "200ms")]).unwrap();
    // A shard hears of it in its own time.
    let silent_one_is_let_go = async {
        loop {
            let mut silent = TcpStream::connect(gateway.addr).await.unwrap();
            let mut byte = [0];
            let end = silent.read(&mut byte);
            if tokio::time::timeout(Duration::from_secs(2), end)
                .await
                .is_ok()
            {
                return;
            }
        }
    };
    soon("the end of one who is silent", silent_one_is_let_go).await;
}

#[tokio::test]
async fn origins_and_demo_endpoints_are_read_again() {
    let gateway = TestGateway::start().await;
    let from = |origin: &str| Request::upgrade("/ws").header("Origin", origin);
    let page = "https://page.test";
    from(page)
        .send(gateway.addr)
        .await
        .expect_error(403, "ACL_DENIED");
    let changed = [("allowed-origins", page), ("demo-endpoints", "off")];
    gateway.reload(&changed).unwrap();
    assert_eq!(from(page).send(gateway.addr).await.status, 101);
    let demo = gateway.get("/demo/publish/t?a=1").await;
    demo.expect_error(404, "BAD_REQUEST");
}

/// The real binary with a settings file, and the lines of its log.
struct Process {
    child: Child,
    addr: std::net::SocketAddr,
    log: Receiver<String>,
}

impl Process {
    fn start(config: &Path) -> Self {
        let mut child = program()
            .args(["--addr=127.0.0.1:0", "--log=info", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            let _ = stdout.read_to_end(&mut Vec::new());
        });
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let addr = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self { child, addr, log }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let kill = Command::new("kill").args([name, &id]).status();
        assert!(kill.unwrap().success());
    }

    /// The next line of the log with this text.
    fn expect_log(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {text:?} in the log"));
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reads_the_settings_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    let write = |text: &str| std::fs::write(&config, text).unwrap();
    let with = |secret: &str| format!("auth = 'jwt'\njwt-secret = '{secret}'\n");
    write(&with(SECRET));
    let mut process = Process::start(&config);
    let old = token("ann", &claims());
    let mut ann = Socket::connect(process.addr, "/ws").await;
    ann.setup(&old, &["t"]).await;

    // Broken settings change nothing.
    for (broken, cause) in [
        ("auth = 'jwt'\njwt-secret = 'short'\n", "can be guessed"),
        ("auth = ", "TOML"),
        ("auth = 'jwt'\nnonsense = 1\n", "nonsense"),
    ] {
        write(broken);
        process.signal("-HUP");
        let line = process.expect_log("the old ones stay");
        assert!(line.contains("ERROR") && line.contains(cause), "{line}");
        assert!(!line.contains("'short'"), "{line}");
        Socket::connect(process.addr, "/ws")
            .await
            .setup(&old, &[])
            .await;
    }

    write(&format!("{}history-size = 7\n", with(NEW)));
    process.signal("-HUP");
    let line = process.expect_log("need a restart");
    assert!(line.contains("history-size"), "{line}");
    let line = process.expect_log("read again");
    assert!(!line.contains(NEW), "{line}");
    let mut bob = Socket::connect(process.addr, "/ws").await;
    bob.setup(&signed(NEW, "bob", &claims()), &[]).await;
    let mut eve = Socket::connect(process.addr, "/ws").await;
    eve.send(json!({"type": "setup", "token": old})).await;
    eve.expect_error("AUTH_FAILED").await;
    eve.expect_close(4001).await;
    bob.publish("t", "1", json!(1)).await;
    assert_eq!(ann.expect("message").await["data"], 1);

    process.signal("-TERM");
    ann.expect_close(1012).await;
    drop((ann, bob));
    let ended = tokio::task::spawn_blocking(move || {
        let status = process.child.wait();
        drop(process);
        status
    });
    let status = tokio::time::timeout(Duration::from_secs(40), ended).await;
    assert_eq!(status.unwrap().unwrap().unwrap().code(), Some(0));
}
