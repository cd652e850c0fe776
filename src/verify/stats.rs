//! The gateway's own numbers, from `/stats`.

use serde_json::Value;

/// The p50, p95 and p99 that the gateway measured; `None` where `/stats` cannot be asked here.
pub(super) async fn latency(
    web_socket_url: &str,
    get: &impl AsyncFn(String) -> Result<String, String>,
) -> Option<Result<[f64; 3], String>> {
    let host = web_socket_url.strip_prefix("ws")?;
    let end = host.get(4..)?.find('/').map_or(host.len(), |at| at + 4);
    let body = get(format!("http{}/stats", host.get(..end)?)).await.ok()?;
    let stats: Value = serde_json::from_str(&body).ok()?;
    let percentile = |name: &str| stats["latency"][name].as_f64();
    let all = ["p50Ms", "p95Ms", "p99Ms"].map(percentile);
    Some(match all {
        [Some(p50), Some(p95), Some(p99)] => Ok([p50, p95, p99]),
        _ => Err("/stats has no latency".to_owned()),
    })
}
