//! Subscribes `prices`, publishes three of them and prints what arrives, until the gateway is gone
//! for good or Ctrl-C.
//!
//! `cargo run --no-default-features --features client --example prices [URL [TOKEN]]`

#![allow(clippy::print_stdout)] // printing is what it is for

use std::process::ExitCode;

use futures_util::StreamExt;
use micro_socket::client::{ConnectError, Event, Handle, PublishError, SubSocket};
use serde::Serialize;

#[derive(Serialize)]
struct Price {
    bid: u32,
    ask: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or_else(|| "ws://127.0.0.1:3000/ws".to_owned());
    let token = arguments.next().unwrap_or_else(|| "demo-user".to_owned());
    match run(&url, &token).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{url}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: &str, token: &str) -> Result<(), ConnectError> {
    let mut socket = SubSocket::by_topics(url, token, ["prices"]).await?;
    // Publishing and reading side by side: acks come in only while the stream is read.
    let publisher = tokio::spawn(publish(socket.handle()));
    while let Some(event) = socket.next().await {
        match event {
            Event::Ready(ready) => println!("ready as {}", ready.user_id),
            Event::Subscribed(topic) if topic.recovered == Some(false) => {
                println!("{}: messages up to #{} are lost", topic.topic, topic.seq_no);
            }
            Event::Subscribed(topic) => println!("{}: head #{}", topic.topic, topic.seq_no),
            Event::Message(message) => {
                println!("{} #{}: {}", message.topic, message.seq_no, message.data);
            }
            Event::Error(error) => eprintln!("refused: {}: {}", error.code.as_str(), error.message),
            Event::Closed {
                code,
                reason,
                reconnect_in,
                ..
            } => {
                let next = reconnect_in.map_or_else(
                    || "for good".to_owned(),
                    |wait| format!("again in {wait:?}"),
                );
                eprintln!("closed with {code} {reason}; {next}");
            }
            _ => {}
        }
    }
    publisher.abort();
    Ok(())
}

async fn publish(handle: Handle) {
    for bid in [100, 101, 102] {
        let price = Price { bid, ask: bid + 1 };
        match handle.publish("prices", &price).await {
            Ok(ack) => println!("accepted as #{}", ack.seq_no),
            Err(PublishError::Refused(error)) => eprintln!("publish refused: {}", error.message),
            Err(error) => eprintln!("publish failed: {error}"),
        }
    }
}
