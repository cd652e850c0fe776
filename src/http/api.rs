//! Publishing and reading for programs, with a token.

use std::borrow::Cow;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::header;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Principal;
use crate::backbone::{Answer, Now, PageSize, Publication, Published, Unavailable};
use crate::protocol::message::AnyJson;
use crate::protocol::{AckStatus, ErrorCode, MessageId, Refusal, SeqNo, Topic, check_depth};

use super::AppState;
use super::bearer::{Bearer, Signed};
use super::demo::topic_of;
use super::error::{ApiError, ErrorBody, bad};
use super::names::{MessageName, TopicName};

/// Messages of one request.
const MAX_BATCH: usize = 1000;
/// Bytes of one request, or one largest message with its envelope where that is more.
const MAX_BODY_BYTES: usize = 8 << 20;
/// Messages of one page of history, when the request does not say.
const DEFAULT_PAGE: usize = 100;
/// The most messages of one page of history.
const MAX_PAGE: usize = 1000;
/// Bytes of messages on one page of history, where it has more than one message.
const MAX_PAGE_BYTES: usize = 1 << 20;
/// The largest seqNo: the largest whole number that every JSON reader keeps exact.
const MAX_SEQ_NO: SeqNo = (1 << 53) - 1;

/// The most bytes that `POST /api/publish` reads.
pub(super) fn max_body_bytes(max_message_bytes: usize) -> usize {
    MAX_BODY_BYTES.max(max_message_bytes + 4096)
}

/// A message to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PublishItem)]
struct Item<'a> {
    /// Where to.
    #[serde(borrow)]
    #[schema(value_type = TopicName, example = "prices")]
    topic: Cow<'a, str>,
    /// Any JSON value, at most 120 levels deep; it reaches subscribers byte for byte.
    #[serde(borrow)]
    #[schema(value_type = AnyJson, example = json!({"bid": 100, "ask": 101}))]
    payload: &'a RawValue,
    /// Your own name for the message, so that sending it again has no second effect. Made for you
    /// when you leave it out.
    #[serde(default)]
    #[schema(value_type = Option<MessageName>)]
    message_id: Option<String>,
    /// A signature that travels with the message unchanged.
    #[serde(default)]
    sig: Option<String>,
}

/// One message, or many.
#[derive(ToSchema)]
#[schema(as = PublishRequest)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "describes the body; it is read by hand to keep payloads as they are"
)]
enum Request<'a> {
    One(Item<'a>),
    Many(Vec<Item<'a>>),
}

/// What became of a message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PublishResult)]
pub(super) struct Accepted {
    /// Fresh, or published before.
    status: AckStatus,
    /// Where it is kept.
    topic: String,
    /// Its name.
    message_id: String,
    /// Its place in the topic.
    seq_no: SeqNo,
    /// The epoch of that number.
    epoch: String,
}

/// The results of many messages, in their order.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Outcome {
    Accepted(Accepted),
    Refused(ErrorBody),
}

/// One result, or as many as there were messages.
#[derive(ToSchema)]
#[schema(as = PublishResponse)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body")]
enum Response_ {
    One(Accepted),
    Many(Vec<Outcome>),
}

/// Publishes one message, or up to 1000
///
/// One message is answered by its result or its error. An array is answered by 200 and an array of
/// results and errors in the same order; a refused message does not hold up the others. With publish-rate
/// each message counts, and what is too many is refused with TOO_MANY_REQUESTS.
#[utoipa::path(post, path = "/api/publish", tag = "publish", security(("bearer" = [])),
    request_body(content = Request),
    responses(
        (status = 200, description = "Published.", body = Response_),
        (status = 400, description = "Not well formed, or a bad topic.", body = ErrorBody),
        (status = 401, description = "No token, or a bad one.", body = ErrorBody),
        (status = 403, description = "The token does not allow it.", body = ErrorBody),
        (status = 413, description = "Too many or too large.", body = ErrorBody),
        (status = 429, description = "Faster than publish-rate: the user's messages of this and other requests. In an array, each that is too many.", body = ErrorBody),
        (status = 503, description = "The backbone is away; send the same messageId again.", body = ErrorBody)))]
pub(super) async fn publish(
    State(state): State<AppState>,
    Signed(Bearer(principal), body): Signed<Bearer>,
) -> Result<Response, ApiError> {
    let expected = "{topic, payload, messageId?, sig?} or an array of them";
    if !body.0.trim_ascii_start().starts_with(b"[") {
        let begun = begin(&state, &principal, body.json(expected)?)?;
        return Ok(Json(begun.end(&state).await?).into_response());
    }
    let items: Vec<Item<'_>> = body.json(expected)?;
    if items.len() > MAX_BATCH {
        let text = format!("a request has at most {MAX_BATCH} messages");
        return Err(Refusal::new(ErrorCode::LimitExceeded, text).into());
    }
    // All are handed to the backbone before the first answer is waited for: one fsync serves many.
    let begun: Vec<_> = items
        .into_iter()
        .map(|item| begin(&state, &principal, item))
        .collect();
    let mut outcomes = Vec::with_capacity(begun.len());
    for begun in begun {
        let outcome = match begun {
            Ok(begun) => begun.end(&state).await,
            Err(refusal) => Err(refusal),
        };
        outcomes.push(match outcome {
            Ok(accepted) => Outcome::Accepted(accepted),
            Err(refusal) => Outcome::Refused(refusal.into()),
        });
    }
    Ok(Json(outcomes).into_response())
}

/// A message that was handed to the backbone.
struct Begun {
    since: Now,
    answer: Answer<Result<Published, Unavailable>>,
    topic: String,
    message_id: String,
}

impl Begun {
    async fn end(self, state: &AppState) -> Result<Accepted, Refusal> {
        let published = state.gateway.published_when(self.since, self.answer);
        let published = published.await?;
        Ok(Accepted {
            status: published.status,
            topic: match published.elsewhere {
                Some(first) => first.as_str().to_owned(),
                None => self.topic,
            },
            seq_no: published.seq_no,
            epoch: published.epoch.as_str().to_owned(),
            message_id: self.message_id,
        })
    }
}

fn begin(state: &AppState, principal: &Principal, item: Item<'_>) -> Result<Begun, Refusal> {
    Topic::check(&item.topic)?;
    let message_id = match item.message_id {
        Some(id) => {
            MessageId::check(&id).map_err(|error| bad(error.to_string()))?;
            id
        }
        None => uuid::Uuid::new_v4().to_string(),
    };
    let bytes = item.payload.get().len() + item.sig.as_ref().map_or(0, String::len);
    if bytes > state.max_message_bytes {
        let text = format!(
            "a payload with its sig has at most {} bytes",
            state.max_message_bytes
        );
        return Err(Refusal::new(ErrorCode::LimitExceeded, text));
    }
    check_depth(item.payload.get())?;
    let since = state.gateway.now();
    state.within_rate(since, &principal.user)?;
    let publication = Publication {
        user: &principal.user,
        topic: &item.topic,
        message_id: &message_id,
        payload: item.payload.get(),
        sig: item.sig.as_deref(),
    };
    let answer = state.gateway.publish(since, principal, publication)?;
    Ok(Begun {
        since,
        answer,
        topic: item.topic.into_owned(),
        message_id,
    })
}

/// Which part of the history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Only messages after this seqNo; 0 for all.
    #[serde(default)]
    #[param(value_type = u64, maximum = 9007199254740991_u64)]
    after: SeqNo,
    /// At most this many messages: 100 when not given, at most 1000. A page also ends before its
    /// messages have more than 1 MiB together; a larger one is alone on its page.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// A topic's end and its kept messages.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TopicHistory<'a> {
    /// The topic.
    topic: &'a str,
    /// The epoch of its numbers.
    epoch: &'a str,
    /// The newest number; 0 when there is none.
    seq_no: SeqNo,
    /// Kept messages after the asked number, oldest first, as on the socket.
    #[schema(value_type = Vec<crate::protocol::MessageFrame>)]
    messages: Vec<&'a RawValue>,
}

/// A topic's head and its kept messages
///
/// There may be more where the last message is before `seqNo`: ask again with `after` set to its number,
/// until no message comes.
#[utoipa::path(get, path = "/api/topics/{topic}/history", tag = "read", security(("bearer" = [])),
    params(("topic" = TopicName, Path, description = "The topic, percent-encoded.", example = "prices"), Page),
    responses(
        (status = 200, description = "The messages.", body = TopicHistory),
        (status = 400, description = "Not well formed, or a bad topic.", body = ErrorBody),
        (status = 401, description = "No token, or a bad one.", body = ErrorBody),
        (status = 403, description = "The token does not allow it.", body = ErrorBody),
        (status = 503, description = "The backbone is away.", body = ErrorBody)))]
pub(super) async fn history(
    State(state): State<AppState>,
    Bearer(principal): Bearer,
    topic: Result<Path<String>, PathRejection>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, ApiError> {
    let topic = topic_of(topic)?;
    let Query(page) = page.map_err(|_| bad("after and limit must be whole numbers from 0"))?;
    if page.after > MAX_SEQ_NO {
        return Err(bad("after must be below 2^53, as every seqNo is").into());
    }
    let size = PageSize {
        messages: page.limit.unwrap_or(DEFAULT_PAGE),
        bytes: MAX_PAGE_BYTES,
    };
    if !(1..=MAX_PAGE).contains(&size.messages) {
        return Err(bad("limit must be 1 to 1000").into());
    }
    let now = state.gateway.now();
    let answer = state
        .gateway
        .history(now, &principal, &topic, page.after, size)?;
    let history = answer.await?;
    let messages: Result<Vec<&RawValue>, _> = history
        .records
        .iter()
        .map(|record| serde_json::from_slice(record.json()))
        .collect();
    let internal = |_| Refusal::new(ErrorCode::Internal, "a kept message cannot be read");
    let body = serde_json::to_string(&TopicHistory {
        topic: topic.as_str(),
        epoch: history.head.epoch.as_str(),
        seq_no: history.head.seq_no,
        messages: messages.map_err(internal)?,
    });
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, body.map_err(internal)?).into_response())
}
