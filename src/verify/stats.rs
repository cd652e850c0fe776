//! The gateway's own numbers, from `/stats`.

use serde_json::Value;

/// The p50, p95 and p99 that the gateway measured; `None` where `/stats` cannot be asked here. The error
/// says what is wrong with the answer of a gateway that has just delivered.
pub(super) async fn latency(
    web_socket_url: &str,
    get: &impl AsyncFn(String) -> Result<Option<String>, String>,
) -> Result<Option<[f64; 3]>, String> {
    let body = match url(web_socket_url) {
        Some(url) => get(url).await?,
        None => None,
    };
    body.as_deref().map(percentiles).transpose()
}

/// Of the same gateway.
fn url(web_socket_url: &str) -> Option<String> {
    let host = web_socket_url.strip_prefix("ws")?;
    let end = host.get(4..)?.find('/').map_or(host.len(), |at| at + 4);
    Some(format!("http{}/stats", host.get(..end)?))
}

fn percentiles(body: &str) -> Result<[f64; 3], String> {
    let stats: Value = serde_json::from_str(body).map_err(|_| "/stats is no JSON")?;
    let latency = &stats["latency"];
    let all = ["p50Ms", "p95Ms", "p99Ms"].map(|name| latency[name].as_f64());
    match (all, latency["count"].as_u64()) {
        (_, Some(0)) => Err("/stats counts no delivery".to_owned()),
        ([Some(p50), Some(p95), Some(p99)], Some(_)) => Ok([p50, p95, p99]),
        _ => Err("/stats has no latency".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_say_nothing_are_wrong() {
        let latency =
            |count| format!(r#"{{"latency":{{"p50Ms":1,"p95Ms":2.5,"p99Ms":3,"count":{count}}}}}"#);
        assert_eq!(percentiles(&latency(7)), Ok([1.0, 2.5, 3.0]));
        for (body, why) in [
            (latency(0), "/stats counts no delivery"),
            ("<html>".to_owned(), "/stats is no JSON"),
            ("{}".to_owned(), "/stats has no latency"),
        ] {
            assert_eq!(percentiles(&body), Err(why.to_owned()));
        }
    }

    #[test]
    fn the_same_gateway_is_asked() {
        for (web_socket, stats) in [
            ("ws://a.example:1/x/ws", "http://a.example:1/stats"),
            ("wss://a.example/ws", "https://a.example/stats"),
        ] {
            assert_eq!(url(web_socket).as_deref(), Some(stats));
        }
    }
}
