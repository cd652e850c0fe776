//! Faults on purpose, for trying things out: what a browser cannot do to its own socket.

use std::time::Duration;

use axum::Json;
use axum::extract::{self, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::protocol::ErrorCode;
use crate::transport::{self, Fault};

use super::AppState;
use super::body::Body;
use super::demo::admit;
use super::error::{ApiError, ErrorBody, bad};

/// How long a socket may be stalled, in seconds.
const MAX_SECONDS: f64 = 60.0;
/// The most bytes that are read of a request.
const MAX_BODY_BYTES: usize = 4096;

/// What to do to whose socket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = FaultRequest)]
pub(super) struct Request {
    /// The session that the socket holds, from its `ready`. Who knows it is who was told it.
    #[schema(example = "0123456789abcdef0123456789abcdef")]
    session_id: String,
    /// What to do.
    fault: Kind,
    /// For a stall, for how many seconds: 30 when not given, at most 60.
    #[serde(default = "half_a_minute")]
    #[schema(minimum = 1, maximum = 60)]
    seconds: f64,
}

const fn half_a_minute() -> f64 {
    30.0
}

/// A fault.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Fault)]
enum Kind {
    /// TCP ends without a close frame.
    Cut,
    /// Nothing more is written to the socket, as if its client did not read: what it should get waits,
    /// until it is closed with 4108 or the time is over.
    Stall,
}

/// It was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Inflicted {
    /// Always true.
    ok: bool,
}

/// Treats a socket as a bad network would
///
/// The gateway itself then does what it does with a bad network. Only with demo-endpoints, only for a
/// session that the caller can name, and a page of another site cannot cause it.
#[utoipa::path(post, path = "/demo/faults", tag = "operate",
    request_body(content = Request),
    responses(
        (status = 200, description = "Done.", body = Inflicted),
        (status = 400, description = "Not well formed.", body = ErrorBody),
        (status = 403, description = "A page of another site asked.", body = ErrorBody),
        (status = 404, description = "The demo endpoints are off, or no socket of this gateway holds the session.", body = ErrorBody),
        (status = 503, description = "The gateway starts.", body = ErrorBody)))]
pub(super) async fn inflict(
    State(state): State<AppState>,
    request: extract::Request,
) -> Result<Json<Inflicted>, ApiError> {
    // Nothing is read of who may not ask.
    admit(&state, request.headers())?;
    let body = Body::of(request, MAX_BODY_BYTES).await?;
    let request: Request = body.json("{sessionId, fault, seconds?}")?;
    if !(1.0..=MAX_SECONDS).contains(&request.seconds) {
        return Err(bad(format!("seconds must be 1 to {MAX_SECONDS}")).into());
    }
    let fault = match request.fault {
        Kind::Cut => Fault::Cut,
        Kind::Stall => Fault::Stall(Duration::from_secs_f64(request.seconds)),
    };
    let shards = state.cluster()?.shards();
    if transport::inflict(&state.gateway, shards, &request.session_id, fault).await {
        tracing::info!(?fault, "a fault was asked for");
        Ok(Json(Inflicted { ok: true }))
    } else {
        let text = "no socket of this gateway holds that session";
        Err(ApiError::with_status(
            StatusCode::NOT_FOUND,
            ErrorCode::SessionExpired,
            text,
        ))
    }
}
