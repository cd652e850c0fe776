//! Publishing by opening a URL, for trying things out.

use std::collections::HashSet;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::{Serialize, Serializer as _};
use utoipa::ToSchema;

use crate::auth::Principal;
use crate::backbone::Publication;
use crate::protocol::{ErrorCode, Refusal, SeqNo, Topic};

use super::error::{ApiError, ErrorBody, only_get};
use super::names::TopicName;
use super::{AppState, origin};

/// The user of messages that are published this way.
const USER: &str = "demo-endpoint";

/// A message was published.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DemoPublished {
    /// Always true.
    ok: bool,
    /// Where it is.
    topic: String,
    /// The id that was made for it.
    message_id: String,
    /// Its place in the topic.
    seq_no: SeqNo,
}

/// Publishes the query as an object
///
/// `?bid=100&ask=101` becomes `{"bid":"100","ask":"101"}`: values stay strings. Only with
/// demo-endpoints; a page of another site cannot cause it.
#[utoipa::path(get, path = "/demo/publish/{topic}", tag = "publish",
    params(
        ("topic" = TopicName, Path, description = "The topic, percent-encoded.", example = "prices"),
        ("fields" = std::collections::BTreeMap<String, String>, Query, description = "Any names and values.", style = Form, explode,
            example = json!({"bid": "100", "ask": "101"}))),
    responses(
        (status = 200, description = "Published.", body = DemoPublished),
        (status = 400, description = "The topic is not allowed.", body = ErrorBody),
        (status = 403, description = "A page of another site asked, or the topic is a user's own.", body = ErrorBody),
        (status = 404, description = "The demo endpoints are off.", body = ErrorBody),
        (status = 413, description = "The message is too large.", body = ErrorBody),
        (status = 429, description = "Faster than publish-rate, which all who publish here share.", body = ErrorBody),
        (status = 503, description = "The backbone is away.", body = ErrorBody)))]
pub(super) async fn publish(
    State(state): State<AppState>,
    topic: Result<Path<String>, PathRejection>,
    Query(fields): Query<Vec<(String, String)>>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if method != Method::GET {
        // HEAD is routed like GET, but whoever asks with it wants no effect.
        return Ok(only_get("only GET publishes here"));
    }
    admit(&state, &headers)?;
    let topic = topic_of(topic)?;
    let payload = object(&fields)?;
    if payload.len() > state.max_message_bytes {
        let text = format!("a message has at most {} bytes", state.max_message_bytes);
        return Err(Refusal::new(ErrorCode::LimitExceeded, text).into());
    }
    let message_id = uuid::Uuid::new_v4().to_string();
    let principal = Principal::demo(USER);
    let publication = Publication {
        user: USER,
        topic: topic.as_str(),
        message_id: &message_id,
        payload: &payload,
        sig: None,
    };
    let gateway = &state.gateway;
    let now = gateway.now();
    state.within_rate(now, &principal.user)?;
    let answer = gateway.publish(now, &principal, publication)?;
    let published = gateway.published_when(now, answer).await?;
    let mut response = Json(DemoPublished {
        ok: true,
        topic: topic.as_str().to_owned(),
        seq_no: published.seq_no,
        message_id,
    })
    .into_response();
    // A GET that has an effect must not be answered from a cache.
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

/// Whether a demo endpoint may answer this request.
///
/// # Errors
/// 404 where they are off, 403 for a page of another site.
pub(super) fn admit(state: &AppState, headers: &HeaderMap) -> Result<(), ApiError> {
    if !state.rules().demo_endpoints {
        let text = "the demo endpoints are off; start with --demo-endpoints true, or publish with POST /api/publish";
        return Err(ApiError::with_status(
            StatusCode::NOT_FOUND,
            ErrorCode::BadRequest,
            text,
        ));
    }
    origin::refuse_cross_site(headers)?;
    state.check_origin(headers)?;
    Ok(())
}

/// The fields as a JSON object of strings, in their order; of fields with one name the last counts.
fn object(fields: &[(String, String)]) -> Result<String, Refusal> {
    let mut out = Vec::new();
    let mut later = HashSet::new();
    let backwards = fields.iter().rev();
    let mut last: Vec<_> = backwards.filter(|(name, _)| later.insert(name)).collect();
    last.reverse();
    let members = last.into_iter().map(|(name, value)| (name, value));
    let written = serde_json::Serializer::new(&mut out).collect_map(members);
    let internal = |_| Refusal::new(ErrorCode::Internal, "the fields cannot be written");
    written.map_err(internal)?;
    String::from_utf8(out).map_err(|_| Refusal::new(ErrorCode::Internal, "not UTF-8"))
}

/// The topic in a path, percent-decoded.
///
/// # Errors
/// [`ErrorCode::BadTopic`].
pub(super) fn topic_of(path: Result<Path<String>, PathRejection>) -> Result<Topic, Refusal> {
    let Ok(Path(name)) = path else {
        let text = "the topic in the path is not percent-encoded UTF-8";
        return Err(Refusal::new(ErrorCode::BadTopic, text));
    };
    Topic::new(&name).map_err(Refusal::from)
}
