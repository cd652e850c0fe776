//! The pages for people: `/docs` and `/openapi`.

use std::future::Future;

use axum::body::Body;
use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderValue, Request, header};
use leptos::config::LeptosOptions;
use leptos::context::use_context;
use leptos::nonce::use_nonce;
use leptos_axum::ResponseOptions;

use crate::app::shell;

/// The reference's page may not be put into another site's frame, and runs only the gateway's own
/// scripts. It may connect to any WebSocket, since its visitor may type any URL.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         img-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'self'; object-src 'none'"
    )
}

/// Scalar writes its styles into the page by itself.
const OPENAPI_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; \
    frame-ancestors 'none'; base-uri 'none'; object-src 'none'";

/// Renders `/docs`: readable as it comes, alive once its script runs.
pub(super) fn docs(
    options: LeptosOptions,
) -> impl Fn(Request<Body>) -> std::pin::Pin<Box<dyn Future<Output = Response<Body>> + Send>>
+ Clone
+ Send
+ Sync
+ 'static {
    leptos_axum::render_app_to_stream(move || {
        if let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) {
            if let Ok(policy) = HeaderValue::from_str(&policy(&nonce)) {
                response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
            }
            let no_cache = HeaderValue::from_static("no-cache");
            response.insert_header(header::CACHE_CONTROL, no_cache);
        }
        shell(options.clone())
    })
}

/// The HTTP API as an interactive page; everything it needs comes from the gateway.
pub(super) async fn openapi() -> Response {
    let mut response = Html(include_str!("scalar.html")).into_response();
    let policy = HeaderValue::from_static(OPENAPI_POLICY);
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
