//! The body of a request, read without regard to its Content-Type.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use http::StatusCode;
use serde::Deserialize;

use crate::protocol::{ErrorCode, Refusal};

use super::AppState;
use super::api::max_body_bytes;
use super::error::{ApiError, bad};

/// All of it.
pub(super) struct Body(pub(super) Bytes);

impl FromRequest<AppState> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        Self::of(request, max_body_bytes(state.max_message_bytes)).await
    }
}

impl Body {
    /// The request's, of at most so many bytes.
    ///
    /// # Errors
    /// [`ErrorCode::LimitExceeded`]; [`ErrorCode::BadRequest`] when it does not come whole.
    pub(super) async fn of(mut request: Request, most: usize) -> Result<Self, ApiError> {
        DefaultBodyLimit::max(most).apply(&mut request);
        let body = Bytes::from_request(request, &()).await;
        let body = body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let text = format!("a request has at most {most} bytes");
                Refusal::new(ErrorCode::LimitExceeded, text)
            }
            _ => bad("the body could not be read"),
        });
        Ok(Self(body?))
    }

    /// What it says.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`], which says what was expected.
    pub(super) fn json<'a, T: Deserialize<'a>>(&'a self, expected: &str) -> Result<T, Refusal> {
        serde_json::from_slice(&self.0)
            .map_err(|error| bad(format!("expected {expected}: {error}")))
    }
}
