//! The program goes on and ends as it should where nobody reads what it says, and before it has begun.

use std::io::{BufRead, BufReader, pipe};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

use tokio::net::TcpListener;

use crate::harness::process::{program, signal};
use crate::harness::{Socket, soon};

/// The end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

async fn code(mut child: Child) -> Option<i32> {
    soon("the program's end", async {
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    for log_format in ["text", "json"] {
        let mut child = program()
            .args(["--addr=127.0.0.1:0", "--log-format", log_format])
            .stdout(Stdio::piped())
            .stderr(unread())
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut greeting)
            .unwrap();
        let addr: SocketAddr = greeting.trim().rsplit(' ').next().unwrap().parse().unwrap();
        let mut socket = Socket::connect(addr, "/ws").await;
        socket.setup("ann", &[]).await;
        // It says so each time.
        signal(child.id(), "HUP");
        socket.expect_quiet().await;
        signal(child.id(), "TERM");
        socket.expect_close(1012).await;
        drop(socket);
        assert_eq!(code(child).await, Some(0), "{log_format}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_no_failure() {
    for args in [&["--help"][..], &["check-config"], &["token", "--help"]] {
        let child = program().args(args).stdout(unread()).spawn().unwrap();
        assert_eq!(code(child).await, Some(0), "{args:?}");
    }
}

#[tokio::test]
async fn a_stop_is_heard_while_it_starts() {
    // It says nothing, as NATS would first.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let child = program()
        .args(["--addr=127.0.0.1:0", "--backbone=nats", "--nats-url", &url])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _asked = soon("a connection", silent.accept()).await.unwrap();
    signal(child.id(), "TERM");
    assert_eq!(code(child).await, Some(0));
}
