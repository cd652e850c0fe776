//! Requests that publish, read or act, as traces.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::AppState;

/// Answers a request within a span, if it is traced.
///
/// The caller's trace goes on for programs (`/api`) alone: a browser's address bar, `/demo`, has none.
pub(super) async fn traced(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    let for_programs = route.starts_with("/api/");
    if !for_programs && !route.starts_with("/demo/") {
        return next.run(request).await;
    }
    let name = format!("{} {route}", request.method());
    let header = request.headers().get("traceparent");
    let caller = header.and_then(|value| value.to_str().ok());
    let span = state
        .gateway
        .traces()
        .request(&name, caller.filter(|_| for_programs));
    let Some(span) = span else {
        return next.run(request).await;
    };
    let response = span.around(next.run(request)).await;
    let status = response.status();
    span.count("http.response.status_code", status.as_u16().into());
    if status.is_server_error() {
        span.failed(status.as_str());
    }
    response
}
