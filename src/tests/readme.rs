//! The README's tables are those of the catalogue. `UPDATE=1` writes them anew.

use std::fmt::Write as _;

use futures_util::StreamExt as _;
use micro_socket::client::SubSocket;
use micro_socket::protocol::reference::{Direction, ENDPOINTS, FRAMES, SETTINGS};
use serde_json::json;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

fn frames() -> String {
    let mut table = String::new();
    for (direction, title) in [
        (Direction::ToServer, "you send"),
        (Direction::ToClient, "you receive"),
    ] {
        let _ = writeln!(table, "| {title} | fields | |\n|---|---|---|");
        for frame in FRAMES.iter().filter(|f| f.direction == direction) {
            let fields: Vec<String> = frame
                .fields
                .iter()
                .map(|f| format!("`{}`{}", f.name, if f.required { "" } else { "?" }))
                .collect();
            let (name, summary) = (frame.name, frame.summary);
            let _ = writeln!(table, "| `{name}` | {} | {summary} |", fields.join(", "));
        }
        table.push('\n');
    }
    table.trim_end().to_owned()
}

fn settings() -> String {
    let mut table = "| setting | default | |\n|---|---|---|\n".to_owned();
    for s in SETTINGS {
        let _ = writeln!(table, "| `--{}` | {} | {} |", s.name, s.default, s.meaning);
    }
    table.trim_end().to_owned()
}

fn endpoints() -> String {
    let mut table = "| | | |\n|---|---|---|\n".to_owned();
    for e in ENDPOINTS.iter().filter(|e| e.method != "WS") {
        let _ = writeln!(table, "| {} | `{}` | {} |", e.method, e.path, e.summary);
    }
    table.trim_end().to_owned()
}

#[test]
fn the_readmes_tables_are_those_of_the_catalogue() {
    let readme = std::fs::read_to_string(README).unwrap();
    let mut wanted = readme.clone();
    for (name, table) in [
        ("frames", frames()),
        ("settings", settings()),
        ("endpoints", endpoints()),
    ] {
        let begin = wanted
            .find(&format!("<!-- {name}:"))
            .expect("the table's place");
        let begin = begin + wanted[begin..].find("-->").unwrap() + 3;
        let end = wanted
            .find(&format!("<!-- /{name} -->"))
            .expect("the table's end");
        wanted.replace_range(begin..end, &format!("\n{table}\n"));
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(README, wanted).unwrap();
    } else {
        assert!(
            readme == wanted,
            "run: UPDATE=1 cargo test --features ssr readme"
        );
    }
}

#[test]
fn the_lines_for_a_web_page_are_those_of_docs() {
    let lines = include_str!("../app/components/web_page.html");
    for path in ["README.md", "clients/js/README.md"] {
        let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
        let readme = std::fs::read_to_string(&path).unwrap();
        assert!(readme.contains(&format!("```html\n{lines}```")), "{path}");
    }
}

/// The README's lines for Rust, as far as they compile.
#[expect(dead_code, unused_variables)]
async fn lines_for_rust() -> Result<(), Box<dyn std::error::Error>> {
    let mut socket = SubSocket::by_topics("ws://127.0.0.1:3000/ws", "ann", ["prices"]).await?;
    let ack = socket
        .handle()
        .publish("prices", &json!({"bid": 100}))
        .await?;
    while let Some(event) = socket.next().await { /* messages, in order, across reconnects */ }
    Ok(())
}

#[test]
fn the_lines_for_rust_compile() {
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    let readme = std::fs::read_to_string(README).unwrap();
    let (_, lines) = readme.split_once("```rust\n").unwrap();
    let (lines, _) = lines.split_once("```").unwrap();
    let compiled = dense(include_str!("readme.rs"));
    assert!(compiled.contains(&dense(lines)), "{lines}");
}

#[test]
fn every_file_it_names_is_there() {
    let readme = std::fs::read_to_string(README).unwrap();
    for link in readme.split("](").skip(1) {
        let target = link.split(')').next().unwrap();
        if !target.starts_with("http") {
            let path = format!("{}/{target}", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&path).exists(), "{target}");
        }
    }
}
