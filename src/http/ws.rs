//! `GET /ws` and `GET /ws/sub/{topic}`: the handshake (RFC 6455 section 4.2), then the socket is the
//! shard's.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::OnUpgrade;

use crate::protocol::{ErrorCode, Topic};
use crate::transport::{Guest, ShardHandle};
use crate::websocket::accept_key;

use super::AppState;
use super::demo::topic_of;
use super::error::{ApiError, only_get};

/// One connection, many topics.
pub(super) async fn multi(
    State(state): State<AppState>,
    shard: Option<Extension<ShardHandle>>,
    request: Request,
) -> Result<Response, ApiError> {
    upgrade(&state, shard, None, request)
}

/// One connection for the topic in the path.
pub(super) async fn single(
    State(state): State<AppState>,
    topic: Result<Path<String>, PathRejection>,
    shard: Option<Extension<ShardHandle>>,
    request: Request,
) -> Result<Response, ApiError> {
    upgrade(&state, shard, Some(topic_of(topic)?), request)
}

fn upgrade(
    state: &AppState,
    shard: Option<Extension<ShardHandle>>,
    topic: Option<Topic>,
    mut request: Request,
) -> Result<Response, ApiError> {
    if request.method() != Method::GET {
        return Ok(only_get("a WebSocket begins with GET"));
    }
    let accept = handshake(request.headers())?;
    state.check_origin(request.headers())?;
    let permit = state.gateway.admit()?;
    let extensions = request.extensions_mut();
    let (Some(Extension(shard)), Some(upgrade), Some(guest)) = (
        shard,
        extensions.remove::<OnUpgrade>(),
        extensions.remove::<Arc<Guest>>(),
    ) else {
        return Err(not_a_handshake("this connection cannot be upgraded"));
    };
    shard.adopt(upgrade, topic, permit, guest);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// Checks the client's handshake and computes the answer to its key.
fn handshake(headers: &HeaderMap) -> Result<HeaderValue, ApiError> {
    if !has_token(headers, header::UPGRADE, "websocket")
        || !has_token(headers, header::CONNECTION, "upgrade")
    {
        return Err(not_a_handshake(
            "this is a WebSocket endpoint: connect with a WebSocket client, or try it at /docs",
        ));
    }
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version != "13") {
        return Err(not_a_handshake("Sec-WebSocket-Version must be 13"));
    }
    headers
        .get(header::SEC_WEBSOCKET_KEY)
        .and_then(|key| accept_key(key.as_bytes()))
        .and_then(|accept| HeaderValue::from_str(&accept).ok())
        .ok_or_else(|| {
            let text = "Sec-WebSocket-Key must be 16 bytes in base64";
            ApiError::with_status(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, text)
        })
}

/// RFC 9110 section 15.5.22: the client should have asked for another protocol.
fn not_a_handshake(text: &str) -> ApiError {
    ApiError::with_status(StatusCode::UPGRADE_REQUIRED, ErrorCode::BadRequest, text)
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}
