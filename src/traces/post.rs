//! How the exporter posts: one short HTTP exchange on the gateway's runtime, for each batch.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{Request, Response, header};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Posts to a collector over plain HTTP.
#[derive(Debug)]
pub(super) struct Post {
    runtime: Handle,
    patience: Duration,
}

impl Post {
    pub(super) const fn new(runtime: Handle, patience: Duration) -> Self {
        Self { runtime, patience }
    }
}

impl HttpClient for Post {
    fn send_bytes<'s, 'f>(
        &'s self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        // The exporter has a thread of its own, which waits here; the work is the runtime's.
        let patience = self.patience;
        let post = async move { timeout(patience, post(request)).await };
        let task = self.runtime.spawn(post);
        Box::pin(async move { task.await?? })
    }
}

async fn post(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut parts, body) = request.into_parts();
    let host = parts.uri.host().unwrap_or_default().to_owned();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = parts.uri.port_u16().unwrap_or(80);
    let authority = parts.uri.authority().map(ToString::to_string);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse()?;
    let authority = authority.unwrap_or_else(|| host.clone()).parse()?;
    parts.headers.insert(header::HOST, authority);
    let socket = TcpStream::connect((bare, port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    let driven = tokio::spawn(connection);
    let request = Request::from_parts(parts, Body::from(body));
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = to_bytes(Body::new(body), MAX_ANSWER).await?;
    driven.abort();
    Ok(Response::from_parts(parts, body))
}
