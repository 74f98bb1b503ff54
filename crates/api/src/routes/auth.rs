//! `GET /rest/auth`: who the credential is, and a JWT for the ways that have none.

use std::time::Duration;

use axum::extract::State;
use opentact_store::types::now;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(auth))
}

/// Who the credential belongs to.
///
/// With e-mail and password, or a token of Google or Facebook, the answer also has `token`, a JWT for 24 hours.
#[utoipa::path(get, path = "/rest/auth", operation_id = "Auth", tag = "auth",
    responses((status = 200, body = Envelope<model::User>), Faults))]
async fn auth(State(state): State<ApiState>, caller: Caller) -> Reply {
    let mut user = super::user::full(&state, &caller);
    if caller.needs_jwt
        && let Some(user) = user.as_object_mut()
    {
        // `iat` is in whole seconds, and those of the second in which all were made void are void.
        let from = caller.user.signed_out_on.map(|on| on + Duration::from_secs(1));
        let issued = from.map_or_else(now, |from| from.max(now()));
        let token = state.jwt.issue(caller.user.uuid, caller.user.role.as_str(), issued)?;
        user.insert("token".to_owned(), Value::from(token));
    }
    ok(user)
}
