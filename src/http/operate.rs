//! What operators look at and do: topics, a user's connections, topics taken away.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::cluster::{Connections, TopicList, Unsubscribed};
use crate::protocol::{ErrorCode, Refusal, Topic};

use super::AppState;
use super::bearer::Operator;
use super::error::{ApiError, ErrorBody};
use super::names::{TopicName, UserName};

/// The longest user and token id, in bytes: no longer one is ever accepted.
pub(super) const MAX_NAME_BYTES: usize = 255;
/// Topics of one answer, when the request does not say.
const DEFAULT_PAGE: usize = 100;
/// The most topics of one answer.
const MAX_PAGE: usize = 1000;

fn bad(text: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::BadRequest, text.into())
}

/// Which topics.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Only topics that begin with this.
    #[serde(default)]
    #[param(example = "prices.")]
    prefix: String,
    /// Only topics behind this one: the `next` of the answer before.
    #[serde(default)]
    after: String,
    /// At most this many topics: 100 when not given, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Topics with a subscriber
///
/// On any gateway, in the order of their bytes, a page at a time. The token must have the claim `admin: true`; with
/// demo auth any token may, while the demo endpoints are on.
#[utoipa::path(get, path = "/api/topics", tag = "operate", security(("bearer" = [])), params(Page),
    responses(
        (status = 200, description = "The topics.", body = TopicList),
        (status = 400, description = "Not well formed.", body = ErrorBody),
        (status = 401, description = "No token, or a bad one.", body = ErrorBody),
        (status = 403, description = "The token is not an operator's.", body = ErrorBody),
        (status = 503, description = "The issuer's keys cannot be fetched, or the other gateways cannot be asked.", body = ErrorBody)))]
pub(super) async fn topics(
    State(state): State<AppState>,
    _: Operator,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<TopicList>, ApiError> {
    let Query(page) = page.map_err(|_| bad("expected prefix, after and limit, 1 to 1000"))?;
    let limit = page.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(bad("limit must be 1 to 1000").into());
    }
    let cluster = state.cluster()?;
    let topics = cluster.topics(&page.prefix, &page.after, limit).await?;
    Ok(Json(topics))
}

/// A user's connections
///
/// To any gateway. The token must have the claim `admin: true`; with demo auth any token may, while the demo
/// endpoints are on.
#[utoipa::path(get, path = "/api/users/{user}/connections", tag = "operate", security(("bearer" = [])),
    params(("user" = UserName, Path, description = "The user, percent-encoded.", example = "ann")),
    responses(
        (status = 200, description = "The connections; none when nobody has that name.", body = Connections),
        (status = 400, description = "Not well formed.", body = ErrorBody),
        (status = 401, description = "No token, or a bad one.", body = ErrorBody),
        (status = 403, description = "The token is not an operator's.", body = ErrorBody),
        (status = 503, description = "The issuer's keys cannot be fetched, or the other gateways cannot be asked.", body = ErrorBody)))]
pub(super) async fn connections(
    State(state): State<AppState>,
    _: Operator,
    user: Result<Path<String>, PathRejection>,
) -> Result<Json<Connections>, ApiError> {
    let Ok(Path(user)) = user else {
        return Err(bad("the user in the path is not percent-encoded UTF-8").into());
    };
    check_name(&user)?;
    Ok(Json(state.cluster()?.connections(&user).await?))
}

/// A user's name, as every token may have it.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(bad("a user is 1 to 255 bytes"));
    }
    Ok(())
}

/// What to take from whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UnsubscribeRequest)]
pub(super) struct Request {
    /// From all connections of this user.
    #[schema(value_type = UserName, example = "ann")]
    user: String,
    /// This topic.
    #[schema(value_type = TopicName, example = "prices")]
    topic: String,
}

/// Takes a topic from a user
///
/// Each connection of the user, to any gateway, that subscribes the topic gets `unsubscribed` and no message of it any
/// more. Nothing keeps them from subscribing it again: what they may subscribe is what their token
/// says. The token of this request must have the claim `admin: true`; with demo auth any token may,
/// while the demo endpoints are on.
#[utoipa::path(post, path = "/api/unsubscribe", tag = "operate", security(("bearer" = [])),
    request_body(content = Request),
    responses(
        (status = 200, description = "Done.", body = Unsubscribed),
        (status = 400, description = "Not well formed, or a bad topic.", body = ErrorBody),
        (status = 401, description = "No token, or a bad one.", body = ErrorBody),
        (status = 403, description = "The token is not an operator's.", body = ErrorBody),
        (status = 503, description = "The issuer's keys cannot be fetched, or the other gateways cannot be asked.", body = ErrorBody)))]
pub(super) async fn unsubscribe(
    State(state): State<AppState>,
    Operator(by): Operator,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Unsubscribed>, ApiError> {
    let body = body.map_err(|_| bad("the body could not be read"))?;
    // Read without regard to Content-Type, as publishing is.
    let request: Request = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("expected {{user, topic}}: {error}")))?;
    check_name(&request.user)?;
    let topic = Topic::new(&request.topic).map_err(Refusal::from)?;
    let done = state.cluster()?.unsubscribe(&request.user, topic.as_str());
    let done = done.await?;
    tracing::info!(by = %by.user, user = request.user, topic = request.topic, unsubscribed = done.unsubscribed, "unsubscribed");
    Ok(Json(done))
}
