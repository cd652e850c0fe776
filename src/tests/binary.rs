//! The program itself: what it prints, how it ends, and what it never writes down.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::process::{program, without_settings};
use crate::harness::socket::publish;
use crate::harness::{RawSocket, Request, Socket, soon};

fn run(args: &[&str]) -> Output {
    program().args(args).output().unwrap()
}

/// A running program. Killed when dropped.
struct Running {
    child: Child,
    addr: SocketAddr,
    greeting: String,
    log: JoinHandle<String>,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut command = program();
        command.args(["--addr", "127.0.0.1:0"]).args(args);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("/openapi") {
            assert!(
                stdout.read_line(&mut greeting).unwrap() > 0,
                "no address: {greeting}"
            );
        }
        let addr = greeting.split("listens on ").nth(1).unwrap();
        let addr = addr.split_whitespace().next().unwrap().parse().unwrap();
        Self {
            child,
            addr,
            greeting,
            log,
        }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end; its exit code and everything it logged.
    async fn ended(mut self) -> (Option<i32>, String) {
        let status = soon("the program's end", async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let log = std::mem::replace(&mut self.log, std::thread::spawn(String::new));
        (status.code(), log.join().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[tokio::test]
async fn it_says_where_it_is_and_ends_politely() {
    for (signal, format) in [("TERM", "text"), ("INT", "json")] {
        let program = Running::start(&["--log-format", format]);
        let addr = program.addr;
        for url in ["http://ADDR/docs", "ws://ADDR/ws", "http://ADDR/openapi"] {
            let url = url.replace("ADDR", &addr.to_string());
            assert!(program.greeting.contains(&url), "{}", program.greeting);
        }
        assert_eq!(Request::get("/readyz").send(addr).await.status, 200);
        let mut socket = Socket::connect(addr, "/ws").await;
        socket.setup("ann", &["t"]).await;
        socket.publish("t", "1", json!(1)).await;
        program.signal(signal);
        socket.expect_close(1012).await;
        drop(socket);
        let (code, log) = program.ended().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("gone"), "{log}");
        if format == "json" {
            for line in log.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn it_survives_running_out_of_file_descriptors() {
    let mut command = without_settings(Command::new("sh"));
    command.args(["-c", "ulimit -n 64; exec \"$0\" --addr 127.0.0.1:0"]);
    command.arg(env!("CARGO_BIN_EXE_micro-socket"));
    let program = Running::spawn(command);
    let mut socket = Socket::connect(program.addr, "/ws").await;
    socket.setup("ann", &["t"]).await;
    // More than it can have; the kernel takes them all the same.
    let mut crowd = Vec::new();
    for _ in 0..100 {
        let stream = tokio::net::TcpStream::connect(program.addr).await.unwrap();
        crowd.push(stream);
    }
    for i in 0..20 {
        socket.publish("t", &i.to_string(), json!(i)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(crowd);
    // Who comes now is served, after those of the crowd that the kernel still holds.
    let mut late = Socket::connect(program.addr, "/ws").await;
    late.setup("bob", &["t"]).await;
    socket.publish("t", "last", json!(1)).await;
    late.messages(1).await;
    let metrics = Request::get("/metrics").send(program.addr).await;
    let refused = "micro_socket_refused_total{cause=\"accept\"} ";
    let refused = metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(refused));
    // Counted, and not tried without a pause.
    let refused: f64 = refused.unwrap().parse().unwrap();
    assert!((1.0..5000.0).contains(&refused), "{refused}");
    program.signal("TERM");
    drop((socket, late));
    let (code, log) = program.ended().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("could not be accepted"), "{log}");
}

#[tokio::test]
async fn neither_tokens_nor_payloads_are_logged() {
    // All that any library says, too.
    let program = Running::start(&["--log", "trace"]);
    let addr = program.addr;
    let mut socket = Socket::connect(addr, "/ws").await;
    socket.setup("SECRET-token", &["t"]).await;
    socket.publish("t", "1", json!("SECRET-payload")).await;
    for text in [
        r#"{"type":"publish","topic":"t","messageId":"2","payload":"SECRET-cut"#,
        r#"{"type":"refresh","token":"SECRET-other"}"#,
    ] {
        socket.send_text(text).await;
        while socket.next().await["type"] == "message" {}
    }
    let mut refused = Socket::connect(addr, "/ws").await;
    refused
        .send(json!({"type": "setup", "token": "SECRET".repeat(100)}))
        .await;
    refused.expect_error("AUTH_FAILED").await;
    let mut broken = RawSocket::connect(addr, "/ws", None).await;
    broken.frame(0xc1, b"SECRET").await;
    broken.expect_close(1002).await;
    let body = publish("t", "3", json!("SECRET")).to_string();
    Request::publish("SECRET-bearer", body).send(addr).await;
    Request::publish("SECRET-bearer", "SECRET, not JSON")
        .send(addr)
        .await;
    Request::get("/demo/publish/t?k=SECRET").send(addr).await;
    program.signal("TERM");
    drop((socket, refused, broken));
    let (code, log) = program.ended().await;
    assert_eq!(code, Some(0));
    assert!(log.contains("DEBUG"), "debug lines are expected: {log}");
    assert!(!log.contains("SECRET"), "{log}");
    assert!(!log.contains('\u{1b}'), "no colours in a file");
}

#[test]
fn check_config_prints_what_is_in_effect() {
    let good = run(&["check-config", "--max-topics", "7", "--history-ttl", "2m"]);
    assert_eq!(good.status.code(), Some(0));
    let text = String::from_utf8(good.stdout).unwrap();
    let settings: toml::Table = text.parse().unwrap();
    assert_eq!(settings["max-topics"].as_integer(), Some(7));
    assert_eq!(settings["addr"].as_str(), Some("127.0.0.1:3000"));
    // What it prints is itself a settings file with the same effect.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, &text).unwrap();
    let again = run(&["check-config", "--config", file.to_str().unwrap()]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text);
}

#[test]
fn what_is_wrong_is_told_with_the_mend() {
    for (args, told) in [
        (&["check-config", "--max-topics", "0"][..], "--max-topics"),
        (&["--setup-timeout", "10"], "10s"),
        (&["--backbone", "kafka"], "memory"),
        (&["--max-topic", "7"], "--max-topics"),
        (
            &["--config", "/nowhere/gateway.toml"],
            "/nowhere/gateway.toml",
        ),
        (&["--addr", "here"], "--addr"),
        (&["nonsense"], "nonsense"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(told), "{args:?} is answered by {errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(
        String::from_utf8(help.stdout)
            .unwrap()
            .contains("--max-topics")
    );
    let version = run(&["--version"]);
    assert!(
        String::from_utf8(version.stdout)
            .unwrap()
            .contains(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn an_address_in_use_is_told() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = holder.local_addr().unwrap().to_string();
    let output = run(&["--addr", &addr]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains(&addr) && errors.contains("listen"),
        "{errors}"
    );
}

/// Stands in front of the C library: beside a file of that name the kernel no longer tells the first
/// shard what is ready. It asks two queues: that of the runtime, which it waits in, and that of the sockets.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const BROKEN_EPOLL: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

static __thread int waits_in;

int epoll_wait(int queue, struct epoll_event *events, int most, int timeout) {
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    if (timeout != 0) waits_in = queue;
    const char *broken = getenv(queue == waits_in ? "BROKEN_RUNTIME" : "BROKEN_SOCKETS");
    if (broken && strcmp(name, "shard-0") == 0 && access(broken, F_OK) == 0) {
        errno = EBADF;
        return -1;
    }
    return epoll_pwait(queue, events, most, timeout, NULL);
}
"#;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn broken_epoll(folder: &Path) -> std::path::PathBuf {
    let (source, library) = (folder.join("epoll.c"), folder.join("epoll.so"));
    std::fs::write(&source, BROKEN_EPOLL).unwrap();
    let mut compiler = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library);
    let status = compiler.arg(&source).status();
    assert!(status.unwrap().success(), "the C compiler of the build");
    library
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[tokio::test]
async fn a_failed_shard_ends_the_program_with_status_1() {
    let folder = tempfile::tempdir().unwrap();
    let library = broken_epoll(folder.path());
    for (fault, told) in [
        (
            "BROKEN_SOCKETS",
            "a shard has ended; the gateway goes away shard=0",
        ),
        ("BROKEN_RUNTIME", "thread 'shard-0'"),
    ] {
        let broken = folder.path().join(fault);
        let mut command = program();
        command.args(["--addr=127.0.0.1:0", "--drain-timeout=2s"]);
        command.env("LD_PRELOAD", &library).env(fault, &broken);
        let mut program = Running::spawn(command);
        let addr = program.addr;
        let mut socket = Socket::connect(addr, "/ws").await;
        socket.setup("ann", &["t"]).await;
        std::fs::write(&broken, "").unwrap();
        // Each is somebody's, and each has a shard look at its sockets: at last it is the first one.
        let upgrade = format!(
            "GET /ws HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let mut sockets = Vec::new();
        soon("the end of the program with a failed shard", async {
            while program.child.try_wait().unwrap().is_none() {
                if let Ok(mut stream) = TcpStream::connect(addr).await {
                    let _ = stream.write_all(upgrade.as_bytes()).await;
                    sockets.push(stream);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let (code, log) = program.ended().await;
        assert_eq!(code, Some(1), "{fault}: {log}");
        for text in [told, "a part of it failed; the log says which"] {
            assert!(log.contains(text), "{fault}: {log}");
        }
    }
}
