//! `GET` for native programs, without TLS: enough for `/stats`.

use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// More than any `/stats` is long.
const MAX_BYTES: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(2);

/// The body of a URL; the error says why there is none.
pub(super) async fn get(url: String) -> Result<String, String> {
    let body = tokio::time::timeout(PATIENCE, ask(&url)).await;
    body.ok()
        .flatten()
        .ok_or_else(|| format!("{url} does not answer"))
}

async fn ask(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    if uri.scheme_str() != Some("http") {
        return None;
    }
    let (authority, path) = (uri.authority()?, uri.path());
    let mut stream = TcpStream::connect((
        authority.host().trim_matches(['[', ']']),
        authority.port_u16().unwrap_or(80),
    ))
    .await
    .ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream
        .take(MAX_BYTES)
        .read_to_string(&mut answer)
        .await
        .ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}
