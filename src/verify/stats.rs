//! The gateway's own numbers, from `/stats`.

use std::time::Duration;

use http::Uri;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// More than any `/stats` is long.
const MAX_BYTES: u64 = 64 << 10;

/// The p50, p95 and p99 that the gateway measured; `None` where `/stats` cannot be asked here.
pub(super) async fn latency(web_socket_url: &str) -> Option<Result<[f64; 3], String>> {
    let body = tokio::time::timeout(Duration::from_secs(2), get(web_socket_url)).await;
    let stats: Value = serde_json::from_str(&body.ok()??).ok()?;
    let percentile = |name: &str| stats["latency"][name].as_f64();
    let all = ["p50Ms", "p95Ms", "p99Ms"].map(percentile);
    Some(match all {
        [Some(p50), Some(p95), Some(p99)] => Ok([p50, p95, p99]),
        _ => Err("/stats has no latency".to_owned()),
    })
}

/// The body of `/stats` of a gateway that is spoken to without TLS.
async fn get(web_socket_url: &str) -> Option<String> {
    let uri: Uri = web_socket_url.parse().ok()?;
    if uri.scheme_str() != Some("ws") {
        return None;
    }
    let authority = uri.authority()?;
    let mut stream = TcpStream::connect((
        authority.host().trim_matches(['[', ']']),
        authority.port_u16().unwrap_or(80),
    ))
    .await
    .ok()?;
    let request = format!("GET /stats HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
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
