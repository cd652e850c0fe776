//! What a connection goes through before it is a WebSocket: TLS where it is asked for, then HTTP.
//!
//! A request for a WebSocket is routed on the shard itself, so that its socket stays on the event
//! loop it was accepted on. Every other request, whatever it wants to upgrade to, is routed on the
//! general runtime: rendering a page never holds up a delivery.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse as _, Response};
use http::{Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::metrics::Refused;

use super::ShardHandle;
use super::guests::{Guest, Guests};
use super::listen::{Door, Start};
use super::stream::{Kind, Stream};

/// The largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The most header fields of a request.
const MAX_HEADERS: usize = 100;
/// A connection that only ever speaks HTTP gets its last answer after this time.
const HTTP_LIFE: Duration = Duration::from_secs(3600);

/// What every new connection of a shard needs.
#[derive(Clone)]
pub(super) struct Entrance {
    pub(super) general: Handle,
    pub(super) door: Door,
    pub(super) start: Start,
    pub(super) own: ShardHandle,
    pub(super) guests: Arc<Guests>,
}

impl Entrance {
    /// A new connection: TLS first, where it is asked for.
    pub(super) async fn greet(self, tcp: TcpStream, peer: SocketAddr, guest: Arc<Guest>) {
        let start = &self.start;
        let kind = match &self.door.tls {
            None => Ok(Kind::Plain(tcp)),
            Some(tls) => match start.refuse.run_until_cancelled(tls.accept(tcp)).await {
                Some(kind) => kind,
                None => return,
            },
        };
        match kind {
            Ok(kind) => self.serve_http(kind, peer, guest).await,
            Err(error) => {
                start.gateway.shared_metrics().refused(Refused::Tls);
                tracing::debug!(%error, %peer, "no TLS connection");
            }
        }
    }

    async fn serve_http(self, kind: Kind, peer: SocketAddr, guest: Arc<Guest>) {
        let limits = self.start.limits;
        let in_time = Duration::from_millis(limits.message_timeout_ms);
        let stream = Stream::new(kind, in_time);
        let has_asked = Cell::new(false);
        let service = service_fn(|request| {
            has_asked.set(true);
            self.answer(request, peer, &guest)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(limits.session.setup_timeout_ms))
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Ok(ended),
            () = self.start.refuse.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(in_time, connection).await
            }
            () = sleep(HTTP_LIFE) => {
                connection.as_mut().graceful_shutdown();
                timeout(in_time, connection).await
            }
        };
        if let Ok(Err(error)) = ended {
            if !has_asked.get() {
                self.start.gateway.shared_metrics().refused(Refused::Head);
            }
            tracing::debug!(%error, "an HTTP connection ended early");
        }
    }

    /// Answers one request, in time and whatever happens.
    fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        guest: &Arc<Guest>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let upgrades = is_for_a_socket(request.uri().path());
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(peer));
        extensions.insert(self.own.clone());
        if upgrades {
            extensions.insert(guest.clone());
        }
        let too_many = guest.is_too_many();
        if too_many {
            let metrics = self.start.gateway.shared_metrics();
            metrics.refused(Refused::Address);
        }
        let answer = self.door.router.clone().oneshot(request.map(Body::new));
        let general = self.general.clone();
        let in_time = Duration::from_millis(self.start.limits.message_timeout_ms);
        async move {
            if too_many {
                return Ok(refusal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "NOT_AVAILABLE",
                    "too many connections from your address; close some, then try again",
                ));
            }
            let answer = timeout(in_time, answer);
            let answered = if upgrades {
                Ok(answer.await)
            } else {
                general.spawn(answer).await
            };
            Ok(match answered {
                Ok(Ok(Ok(response))) => response,
                Ok(Err(_)) => refusal(
                    StatusCode::REQUEST_TIMEOUT,
                    "BAD_REQUEST",
                    "the request did not come whole in time, or its answer took too long; try again",
                ),
                // A handler that panicked has been logged; its connection gets an answer all the same.
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            })
        }
    }
}

/// Whether what answers at this path is a WebSocket, or that it should be one.
fn is_for_a_socket(path: &str) -> bool {
    let topic = path.strip_prefix("/ws/sub/");
    path == "/ws" || topic.is_some_and(|topic| !topic.contains('/'))
}

/// An answer that ends the connection.
fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(r#"{{"error":{{"code":"{code}","message":"{message}"}}}}"#);
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONNECTION, "close"),
        (header::RETRY_AFTER, "1"),
    ];
    (status, headers, body).into_response()
}
