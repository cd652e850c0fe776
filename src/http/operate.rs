//! What operators look at and do: topics, a user's connections, topics taken away.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::protocol::{ErrorCode, Refusal, Topic};
use crate::transport::Seen;

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
/// The most connections of one answer.
const MAX_CONNECTIONS: usize = 100;

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

/// Topics with a subscriber, in the order of their bytes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TopicList {
    /// The topics.
    topics: Vec<TopicCount>,
    /// Where to go on: the `after` of the next request. Not there when these were all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
struct TopicCount {
    /// The topic.
    topic: String,
    /// Connections that subscribe it.
    subscribers: usize,
}

/// Topics with a subscriber on this gateway
///
/// In the order of their bytes, a page at a time. The token must have the claim `admin: true`; with
/// demo auth any token may, while the demo endpoints are on.
#[utoipa::path(get, path = "/api/topics", tag = "operate", security(("bearer" = [])), params(Page),
    responses(
        (status = 200, description = "The topics.", body = TopicList),
        (status = 400, description = "Not well formed.", body = ErrorBody),
        (status = 401, description = "No token, or a bad one.", body = ErrorBody),
        (status = 403, description = "The token is not an operator's.", body = ErrorBody),
        (status = 503, description = "The issuer's keys cannot be fetched.", body = ErrorBody)))]
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
    // One more tells whether there is more.
    let hub = state.gateway.hub();
    let mut names = hub.page(&page.prefix, &page.after, limit + 1);
    let more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| more);
    let next = next.map(|topic| topic.as_str().to_owned());
    let mut counts = vec![0; names.len()];
    for shard in state.shards.get().into_iter().flatten() {
        let here = shard.subscribers(names.as_slice().into()).await;
        for (count, here) in counts.iter_mut().zip(here) {
            *count += here;
        }
    }
    let topics = names
        .iter()
        .zip(counts)
        .map(|(topic, subscribers)| TopicCount {
            topic: topic.as_str().to_owned(),
            subscribers,
        });
    Ok(Json(TopicList {
        topics: topics.collect(),
        next,
    }))
}

/// A user's connections.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Connections {
    /// How many there are on this gateway.
    count: usize,
    /// The first 100 of them.
    connections: Vec<ConnectionInfo>,
}

/// One connection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConnectionInfo {
    /// The session that it holds.
    session_id: String,
    /// Where it comes from: a load balancer's address behind one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    address: Option<String>,
    /// The id of its token (claim jti).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    jti: Option<String>,
    /// Seconds until its token expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_in: Option<u64>,
    /// How many topics it subscribes.
    subscriptions: usize,
    /// The first 100 of them.
    topics: Vec<String>,
    /// Bytes that wait because the peer does not read.
    waiting_bytes: usize,
}

impl ConnectionInfo {
    fn of(seen: &Seen, unix_ms: u64) -> Self {
        let expires = seen.expires_unix_ms;
        Self {
            session_id: seen.session_id.clone(),
            address: seen.address.map(|address| address.to_string()),
            jti: seen.token_id.as_deref().map(str::to_owned),
            expires_in: expires.map(|at| at.saturating_sub(unix_ms) / 1000),
            subscriptions: seen.subscriptions,
            topics: seen.topics.iter().map(|t| t.as_str().to_owned()).collect(),
            waiting_bytes: seen.waiting_bytes,
        }
    }
}

/// A user's connections to this gateway
///
/// The token must have the claim `admin: true`; with demo auth any token may, while the demo
/// endpoints are on.
#[utoipa::path(get, path = "/api/users/{user}/connections", tag = "operate", security(("bearer" = [])),
    params(("user" = UserName, Path, description = "The user, percent-encoded.", example = "ann")),
    responses(
        (status = 200, description = "The connections; none when nobody has that name.", body = Connections),
        (status = 400, description = "Not well formed.", body = ErrorBody),
        (status = 401, description = "No token, or a bad one.", body = ErrorBody),
        (status = 403, description = "The token is not an operator's.", body = ErrorBody),
        (status = 503, description = "The issuer's keys cannot be fetched.", body = ErrorBody)))]
pub(super) async fn connections(
    State(state): State<AppState>,
    _: Operator,
    user: Result<Path<String>, PathRejection>,
) -> Result<Json<Connections>, ApiError> {
    let Ok(Path(user)) = user else {
        return Err(bad("the user in the path is not percent-encoded UTF-8").into());
    };
    check_name(&user)?;
    let unix_ms = state.gateway.now().unix_ms;
    let mut all = Connections {
        count: 0,
        connections: Vec::new(),
    };
    for shard in state.shards.get().into_iter().flatten() {
        let room = MAX_CONNECTIONS - all.connections.len();
        let found = shard.connections(&user, room).await;
        all.count += found.count;
        let seen = found.connections.iter().take(room);
        let seen = seen.map(|seen| ConnectionInfo::of(seen, unix_ms));
        all.connections.extend(seen);
    }
    Ok(Json(all))
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

/// How it went.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Unsubscribed {
    /// Connections that had subscribed it.
    unsubscribed: usize,
}

/// Takes a topic from a user
///
/// Each connection of the user that subscribes the topic gets `unsubscribed` and no message of it any
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
        (status = 503, description = "The issuer's keys cannot be fetched.", body = ErrorBody)))]
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
    let mut unsubscribed = 0;
    for shard in state.shards.get().into_iter().flatten() {
        unsubscribed += shard.unsubscribe(&request.user, &topic).await;
    }
    tracing::info!(by = %by.user, user = request.user, topic = request.topic, unsubscribed, "unsubscribed");
    Ok(Json(Unsubscribed { unsubscribed }))
}
