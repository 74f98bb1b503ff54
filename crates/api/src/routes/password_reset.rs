//! A forgotten password, set anew by who reads the user's mail.

use std::net::IpAddr;

use axum::extract::State;
use opentact_store::mails::NewMail;
use opentact_store::types::MailKind;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::envelope::{Envelope, Reply, ok};
use crate::error::AppError;
use crate::extract::{Body, ClientAddress, Query};
use crate::mail::PLACE;
use crate::model;
use crate::openapi::Faults;
use crate::settings::Settings;
use crate::state::ApiState;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(request, set))
}

#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ResetQuery {
    #[schema(schema_with = types::email)]
    #[param(schema_with = types::email, required)]
    pub(super) email: String,
    /// The link of the mail, with `{token}` where the token belongs: of this server or of an allowed origin. Without it
    /// the mail has the token alone.
    #[schema(schema_with = types::callback_url)]
    #[param(schema_with = types::callback_url)]
    pub(super) callback: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewPassword {
    /// From the mail.
    #[schema(min_length = 1, max_length = 255)]
    pub(super) token: String,
    #[schema(min_length = 8, max_length = 255)]
    pub(super) password: String,
}

/// Whether a mail may have this link: no stranger's, which would be handed the token.
pub(super) fn check_callback(settings: &Settings, callback: Option<&str>) -> Result<(), AppError> {
    let Some(callback) = callback else { return Ok(()) };
    let fault = |message| Err(AppError::param("callback", message, callback));
    if !callback.contains(PLACE) {
        return fault("must contain {token}");
    }
    match Url::parse(&callback.replace(PLACE, "token")) {
        Ok(url) if settings.is_own_origin(&url) => Ok(()),
        _ => fault("must be of this server or of an allowed origin"),
    }
}

/// Answers the same, and does the same, whether anybody has the address or not.
pub(super) async fn ask(state: &ApiState, address: IpAddr, kind: MailKind, query: ResetQuery) -> Reply {
    check_callback(&state.settings, query.callback.as_deref())?;
    state.mail_guard.admit(address, &query.email).await?;
    state.outbox.queue(NewMail { kind, recipient: query.email, callback: query.callback, subject: None }).await?;
    ok(json!({}))
}

/// Have a mail sent with a token that sets a new password.
///
/// The answer is the same whether anybody has the address or not. The newest token is good, once and for an hour
/// (`mail.reset_ttl`), and void when the password changes.
#[utoipa::path(get, path = "/rest/user/password_reset", operation_id = "RequestUserPasswordResetEmail", tag = "user",
    params(ResetQuery), security(()), responses((status = 200, body = Envelope<model::Nothing>), Faults))]
async fn request(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    Query(query): Query<ResetQuery>,
) -> Reply {
    ask(&state, address, MailKind::PasswordReset, query).await
}

/// Set the password by the token of a mail.
///
/// The JWTs issued so far are void then; API tokens are not.
#[utoipa::path(post, path = "/rest/user/password_reset", operation_id = "ChangeUserPasswordViaResetToken", tag = "user",
    request_body = NewPassword, security(()), responses((status = 200, body = Envelope<model::Nothing>), Faults))]
async fn set(State(state): State<ApiState>, Body(form): Body<NewPassword>) -> Reply {
    let reset = state.store.password_resets().find(&form.token).await?;
    state.passwords.bounded(state.store.users().reset_password(&reset, &form.password)).await?;
    ok(json!({}))
}
