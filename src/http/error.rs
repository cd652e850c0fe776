//! Refusals as HTTP answers: `{"error":{"code","message"}}`, with the codes of the socket.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::protocol::{ErrorCode, Refusal};

/// The body of every refused request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// What went wrong.
    pub(super) error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorDetail {
    /// Which kind of refusal; the same codes as on the socket.
    pub(super) code: ErrorCode,
    /// The cause and the mend, for people.
    pub(super) message: String,
}

impl From<Refusal> for ErrorBody {
    fn from(refusal: Refusal) -> Self {
        Self {
            error: ErrorDetail {
                code: refusal.code,
                message: refusal.message.into_owned(),
            },
        }
    }
}

/// The request says something that it must not.
pub(super) fn bad(text: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::BadRequest, text.into())
}

/// A refusal on its way out.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    refusal: Refusal,
}

impl ApiError {
    /// A refusal with another status than its code's own.
    pub(super) fn with_status(
        status: StatusCode,
        code: ErrorCode,
        message: impl Into<String>,
    ) -> Self {
        let refusal = Refusal::new(code, message.into());
        Self { status, refusal }
    }
}

/// Answers a path that exists when it is asked with another method.
pub(super) async fn method_not_allowed(method: http::Method, uri: http::Uri) -> ApiError {
    let text = format!(
        "{} does not take {method}; /openapi lists the endpoints",
        uri.path()
    );
    ApiError::with_status(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadRequest, text)
}

/// The answer to a HEAD where only a GET does something (RFC 9110 section 15.5.6).
pub(super) fn only_get(text: &str) -> Response {
    let error = ApiError::with_status(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadRequest, text);
    let allow = [(header::ALLOW, HeaderValue::from_static("GET"))];
    (allow, error).into_response()
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.code.http_status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, refusal }
    }
}

impl From<crate::backbone::Unavailable> for ApiError {
    fn from(error: crate::backbone::Unavailable) -> Self {
        Refusal::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(ErrorBody::from(self.refusal))).into_response();
        let mut add = |name, value| {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        };
        match status {
            StatusCode::UNAUTHORIZED => add(header::WWW_AUTHENTICATE, "Bearer"),
            // RFC 9110 section 15.5.22 and RFC 6455 section 4.4: which protocol, which version.
            StatusCode::UPGRADE_REQUIRED => {
                add(header::UPGRADE, "websocket");
                add(header::CONNECTION, "upgrade");
                add(header::SEC_WEBSOCKET_VERSION, "13");
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                add(header::RETRY_AFTER, "1");
            }
            _ => {}
        }
        response
    }
}
