//! `GET` for native programs, without TLS: enough for `/stats`.

use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// More than any `/stats` is long.
const MAX_BYTES: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(2);

/// The body of a URL; `None` where it cannot be asked: over TLS, or nobody is there. The error says
/// what is wrong with the answer.
pub(super) async fn get(url: String) -> Result<Option<String>, String> {
    let Some(uri) = url
        .parse::<Uri>()
        .ok()
        .filter(|uri| uri.scheme_str() == Some("http"))
    else {
        return Ok(None);
    };
    let Some(authority) = uri.authority() else {
        return Ok(None);
    };
    let host = authority.host().trim_matches(['[', ']']);
    let port = authority.port_u16().unwrap_or(80);
    let Ok(Ok(stream)) = timeout(PATIENCE, TcpStream::connect((host, port))).await else {
        return Ok(None);
    };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n",
        uri.path()
    );
    let answer = timeout(PATIENCE, ask(stream, &request)).await;
    let answer = answer.ok().and_then(Result::ok).unwrap_or_default();
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(Some(body.to_owned())),
        Some((head, _)) => Err(format!(
            "{url}: {}",
            head.lines().next().unwrap_or_default()
        )),
        None => Err(format!("{url} does not answer")),
    }
}

async fn ask(mut stream: TcpStream, request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_BYTES).read_to_string(&mut answer).await?;
    Ok(answer)
}
