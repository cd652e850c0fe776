//! Disconnecting users and tokens, for operators.

use std::borrow::Cow;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use serde::Deserialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::cluster::Disconnected;
use crate::protocol::{ErrorCode, Refusal};

use super::AppState;
use super::bearer::Operator;
use super::error::{ApiError, ErrorBody};
use super::names::{UserName, one_of};
use super::operate::MAX_NAME_BYTES;

/// Whom to disconnect.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = DisconnectRequest)]
pub(super) struct Request {
    /// Every socket of this user.
    #[schema(value_type = Option<UserName>, example = "ann")]
    user: Option<String>,
    /// Every socket that was opened with the token of this id (claim jti).
    #[schema(value_type = Option<UserName>)]
    jti: Option<String>,
    /// Whether the user's tokens issued until now, and the token of this id, are refused from now
    /// on: true when not given. Does nothing with demo auth, where a token is only a name.
    #[serde(default = "yes")]
    revoke: bool,
}

/// The request as the document describes it.
struct Described;

impl PartialSchema for Described {
    fn schema() -> RefOr<Schema> {
        one_of(&Request::name(), &["user", "jti"])
    }
}

impl ToSchema for Described {
    fn name() -> Cow<'static, str> {
        "Disconnect".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Request::name().into(), Request::schema()));
        Request::schemas(schemas);
    }
}

const fn yes() -> bool {
    true
}

/// Disconnects a user or a token
///
/// Give user, jti, or both: every socket to any gateway that either of them names is closed with 4003.
/// What is revoked is refused by gateways that start later, too. Doing it again does no harm. The token
/// must have the claim `admin: true`; with demo auth any token may, while the demo endpoints are on.
#[utoipa::path(post, path = "/api/disconnect", tag = "operate", security(("bearer" = [])),
    request_body(content = Described),
    responses(
        (status = 200, description = "Done.", body = Disconnected),
        (status = 400, description = "Not well formed.", body = ErrorBody),
        (status = 401, description = "No token, or a bad one.", body = ErrorBody),
        (status = 403, description = "The token may not disconnect anybody.", body = ErrorBody),
        (status = 503, description = "The issuer's keys cannot be fetched, or it is not known to be done on the other gateways.", body = ErrorBody)))]
pub(super) async fn disconnect(
    State(state): State<AppState>,
    Operator(principal): Operator,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Disconnected>, ApiError> {
    let bad = |text: String| Refusal::new(ErrorCode::BadRequest, text);
    let body = body.map_err(|_| bad("the body could not be read".to_owned()))?;
    // Read without regard to Content-Type, as publishing is.
    let request: Request = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("expected {{user?, jti?, revoke?}}: {error}")))?;
    let names = [request.user.as_deref(), request.jti.as_deref()];
    if names
        .iter()
        .flatten()
        .any(|name| name.len() > MAX_NAME_BYTES || name.is_empty())
    {
        return Err(bad("user and jti are 1 to 255 bytes".to_owned()).into());
    }
    let [user, jti] = names;
    if user.or(jti).is_none() {
        return Err(bad("give user, jti or both".to_owned()).into());
    }
    let cluster = state.cluster()?;
    let done = cluster.disconnect(user, jti, request.revoke).await;
    let disconnected = done.as_ref().ok().map(|done| done.disconnected);
    tracing::info!(by = %principal.user, user, jti, revoked = request.revoke, disconnected, "disconnected");
    Ok(Json(done?))
}
