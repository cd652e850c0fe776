//! What any request may be answered with, whatever answers it: described in one place.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};

/// Adds it to every route that does not describe it itself.
pub(super) fn describe(document: &mut OpenApi) {
    for path in document.paths.paths.values_mut() {
        let PathItem { get, post, .. } = path;
        for operation in [get, post].into_iter().flatten() {
            add(
                operation,
                "408",
                "The request did not come whole in time (message-timeout), or its answer took too long.",
            );
            add(
                operation,
                "503",
                "Too many connections from your address (max-connections-per-address).",
            );
            if operation.request_body.is_some() {
                add(operation, "413", "The body is too large.");
            }
        }
    }
}

fn add(operation: &mut Operation, status: &str, text: &str) {
    let responses = &mut operation.responses.responses;
    responses.entry(status.to_owned()).or_insert_with(|| {
        let body = Ref::from_schema_name("ErrorBody");
        let content = ContentBuilder::new().schema(Some(body)).build();
        let response = ResponseBuilder::new().description(text);
        response.content("application/json", content).build().into()
    });
}
