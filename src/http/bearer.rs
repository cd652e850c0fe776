//! The token of an HTTP request.

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header;
use http::request::Parts;
use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::auth::Principal;
use crate::protocol::{ErrorCode, Refusal};

use super::AppState;
use super::body::Body;
use super::error::ApiError;

/// Whoever sent `Authorization: Bearer <token>`.
pub(super) struct Bearer(pub(super) Principal);

impl FromRequestParts<AppState> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        // A page elsewhere cannot send the header without being asked first; it is refused all the same.
        state.check_origin(&parts.headers)?;
        let value = parts.headers.get(header::AUTHORIZATION);
        let token = value
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        match token {
            Some(token) => Ok(Self(state.gateway.authenticate(token).answer().await?)),
            None => {
                let text = "send the header Authorization: Bearer <token>";
                Err(Refusal::new(ErrorCode::AuthRequired, text).into())
            }
        }
    }
}

impl AsRef<Principal> for Bearer {
    fn as_ref(&self) -> &Principal {
        &self.0
    }
}

/// Whoever sent a token with the claim `admin: true`; with demo auth any token, while the demo endpoints
/// are on.
pub(super) struct Operator(pub(super) Principal);

impl FromRequestParts<AppState> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Bearer(principal) = Bearer::from_request_parts(parts, state).await?;
        let trying_out = state.gateway.is_demo() && state.rules().demo_endpoints;
        if !principal.admin && !trying_out {
            let text = "this needs a token with the claim admin: true";
            return Err(Refusal::new(ErrorCode::AclDenied, text).into());
        }
        Ok(Self(principal))
    }
}

impl AsRef<Principal> for Operator {
    fn as_ref(&self) -> &Principal {
        &self.0
    }
}

/// A request that says who sent it and has a body, which may come long after the token. Who is a stranger is refused
/// before the body is read; whose token expired or was revoked in the meantime, after.
pub(super) struct Signed<Who>(pub(super) Who, pub(super) Body);

impl<Who> FromRequest<AppState> for Signed<Who>
where
    Who: FromRequestParts<AppState, Rejection = ApiError> + AsRef<Principal> + Send,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let who = Who::from_request_parts(&mut parts, state).await?;
        let body = Body::from_request(Request::from_parts(parts, body), state).await?;
        state.gateway.still(who.as_ref())?;
        Ok(Self(who, body))
    }
}

/// Writes the scheme into the OpenAPI document.
pub(super) struct Scheme;

impl Modify for Scheme {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The same token as in setup. With demo auth any non-empty text.",
            ))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}
