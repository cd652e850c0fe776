//! What operators look at and do: topics, a user's connections, topics taken away, users and tokens
//! disconnected.

use std::borrow::Cow;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, IntoResponses, PartialSchema, ToSchema};

use crate::cluster::{Connections, Disconnected, TopicList, Unsubscribed};
use crate::protocol::{Refusal, Topic};

use super::AppState;
use super::bearer::{Operator, Signed};
use super::error::{ApiError, ErrorBody, bad};
use super::names::{MAX_NAME_BYTES, TopicName, UserName, one_of};

/// Topics of one answer, when the request does not say.
const DEFAULT_PAGE: usize = 100;
/// The most topics of one answer.
const MAX_PAGE: usize = 1000;

/// What an operator's request is refused with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes the answers")]
enum Refused {
    #[response(status = 400, description = "Not well formed.")]
    Malformed(ErrorBody),
    #[response(status = 401, description = "No token, or a bad one.")]
    Stranger(ErrorBody),
    #[response(status = 403, description = "The token is not an operator's.")]
    NoOperator(ErrorBody),
    #[response(
        status = 503,
        description = "The issuer's keys cannot be fetched, or the other gateways cannot be asked."
    )]
    Unknown(ErrorBody),
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
        Refused))]
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
        Refused))]
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
fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(bad("a user is 1 to 255 bytes"));
    }
    Ok(())
}

/// What to take from whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UnsubscribeRequest)]
pub(super) struct Unsubscribe {
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
    request_body(content = Unsubscribe),
    responses(
        (status = 200, description = "Done.", body = Unsubscribed),
        Refused,
        (status = 400, description = "Not well formed, or a bad topic.", body = ErrorBody)))]
pub(super) async fn unsubscribe(
    State(state): State<AppState>,
    Signed(Operator(by), body): Signed<Operator>,
) -> Result<Json<Unsubscribed>, ApiError> {
    let request: Unsubscribe = body.json("{user, topic}")?;
    check_name(&request.user)?;
    let topic = Topic::new(&request.topic).map_err(Refusal::from)?;
    let done = state.cluster()?.unsubscribe(&request.user, topic.as_str());
    let done = done.await?;
    tracing::info!(by = %by.user, user = request.user, topic = request.topic, unsubscribed = done.unsubscribed, "unsubscribed");
    Ok(Json(done))
}

/// Whom to disconnect.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = DisconnectRequest)]
pub(super) struct Disconnect {
    /// Every socket of this user.
    #[schema(value_type = Option<UserName>, example = "ann")]
    user: Option<String>,
    /// Every socket whose token has this id (claim jti): the one it was opened with, or that of its last refresh.
    #[schema(value_type = Option<UserName>)]
    jti: Option<String>,
    /// Whether the user's tokens issued until now, and the token of this id, are refused from now
    /// on: true when not given. Does nothing with demo auth, where a token is only a name.
    #[serde(default = "yes")]
    revoke: bool,
}

/// It as the document describes it.
struct Described;

impl PartialSchema for Described {
    fn schema() -> RefOr<Schema> {
        one_of(&Disconnect::name(), &["user", "jti"])
    }
}

impl ToSchema for Described {
    fn name() -> Cow<'static, str> {
        "Disconnect".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Disconnect::name().into(), Disconnect::schema()));
        Disconnect::schemas(schemas);
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
        Refused,
        (status = 403, description = "The token may not disconnect anybody.", body = ErrorBody),
        (status = 503, description = "The issuer's keys cannot be fetched, or it is not known to be done on the other gateways.", body = ErrorBody)))]
pub(super) async fn disconnect(
    State(state): State<AppState>,
    Signed(Operator(principal), body): Signed<Operator>,
) -> Result<Json<Disconnected>, ApiError> {
    let request: Disconnect = body.json("{user?, jti?, revoke?}")?;
    let names = [request.user.as_deref(), request.jti.as_deref()];
    if names
        .iter()
        .flatten()
        .any(|name| name.len() > MAX_NAME_BYTES || name.is_empty())
    {
        return Err(bad("user and jti are 1 to 255 bytes").into());
    }
    let [user, jti] = names;
    if user.or(jti).is_none() {
        return Err(bad("give user, jti or both").into());
    }
    let cluster = state.cluster()?;
    let done = cluster.disconnect(user, jti, request.revoke).await;
    let disconnected = done.as_ref().ok().map(|done| done.disconnected);
    tracing::info!(by = %principal.user, user, jti, revoked = request.revoke, disconnected, "disconnected");
    Ok(Json(done?))
}
