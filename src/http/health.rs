//! For load balancers and supervisors.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::error::{ApiError, ErrorBody};

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always true: a process that is not well does not answer.
    ok: bool,
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, description = "It lives.", body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { ok: true })
}

/// The gateway can serve: its backbone is reachable, it has joined the others, and it is not going away.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "It can serve.", body = Health),
    (status = 503, description = "It cannot, and why.", body = ErrorBody)))]
pub(super) async fn readyz(State(state): State<AppState>) -> Result<Json<Health>, ApiError> {
    state.gateway.ready()?;
    state.cluster()?;
    Ok(Json(Health { ok: true }))
}
