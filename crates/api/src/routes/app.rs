//! What SIP users do by themselves: join by an invite, change what is said of them, see who is in their domain.

use axum::extract::State;
use opentact_events::view;
use opentact_store::domains::SipDomain;
use opentact_store::sip_invites::SipInvite;
use opentact_store::types::MailKind;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::password_reset::{NewPassword, ResetQuery, ask};
use super::sip_person::{NewSipPerson, SipPersonChange};
use crate::auth::Phone;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::AppError;
use crate::expand;
use crate::extract::{Body, ClientAddress, Query, Segments};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(invited, join))
        .routes(routes!(get, modify))
        .routes(routes!(request_reset, reset))
        .routes(routes!(colleagues))
}

/// What is left out stays; null takes it away. Login and what may be called are the account's to change.
#[derive(Debug, Deserialize, ToSchema)]
struct OwnChange {
    #[schema(min_length = 8, max_length = 255)]
    password: Option<String>,
    #[serde(flatten)]
    person: SipPersonChange,
}

/// The invite of the token in the path, and its domain.
async fn invite(state: &ApiState, path: &Segments) -> Result<(SipInvite, SipDomain), AppError> {
    let found = state.store.sip_invites().by_token(path.text("token")).await?;
    found.ok_or(AppError::NotFound("SIP User Invite"))
}

/// The domain that a token invites to.
#[utoipa::path(get, path = "/rest/app/invite/{token}", operation_id = "CheckSIPDomainByInviteApp", tag = "app",
    params(("token" = String, Path)), security(()),
    responses((status = 200, body = Envelope<model::SipDomainShort>), Faults))]
async fn invited(State(state): State<ApiState>, path: Segments) -> Reply {
    let (_, domain) = invite(&state, &path).await?;
    ok(view::sip_domain_short(&domain))
}

/// Become a SIP user of the domain that a token invites to.
#[utoipa::path(post, path = "/rest/app/invite/{token}", operation_id = "RegisterSIPUserByInviteApp", tag = "app",
    params(("token" = String, Path)), request_body = NewSipPerson, security(()),
    responses((status = 201, body = Envelope<model::SipUser>), Faults))]
async fn join(State(state): State<ApiState>, path: Segments, Body(form): Body<NewSipPerson>) -> Reply {
    let (invite, domain) = invite(&state, &path).await?;
    let user = state.store.sip_users().create(invite.account, invite.created_by, domain.uuid, form.into()).await?;
    state.calls.invalidate(invite.account);
    created(expand::sip_user(&state, &domain, &user).await?)
}

/// The SIP user who asks.
#[utoipa::path(get, path = "/rest/app", operation_id = "GetSIPUserApp", tag = "app", security(("ha1b" = [])),
    params(IfNoneMatch), responses((status = 200, body = Envelope<model::SipUser>), Faults))]
async fn get(State(state): State<ApiState>, phone: Phone) -> Result<Tagged, AppError> {
    Ok(Tagged(expand::sip_user(&state, &phone.domain, &phone.user).await?))
}

/// Change oneself.
#[utoipa::path(patch, path = "/rest/app", operation_id = "ModifySIPUserApp", tag = "app", request_body = OwnChange,
    security(("ha1b" = [])), params(IfMatch), responses((status = 200, body = Envelope<model::SipUser>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    phone: Phone,
    if_match: IfMatch,
    Body(form): Body<OwnChange>,
) -> Result<Tagged, AppError> {
    if_match.check(&expand::sip_user(&state, &phone.domain, &phone.user).await?)?;
    let users = state.store.sip_users();
    let changed = users.update(phone.account(), phone.user.uuid, None, form.password.as_deref(), |user| {
        form.person.apply(user);
    });
    let user = changed.await?;
    state.calls.invalidate(phone.account());
    Ok(Tagged(expand::sip_user(&state, &phone.domain, &user).await?))
}

/// Have a mail sent with tokens that set new passwords of the SIP users with this e-mail.
///
/// The answer is the same whether there are any or not.
#[utoipa::path(get, path = "/rest/app/password_reset", operation_id = "RequestSIPUserPasswordResetEmailApp", tag = "app",
    params(ResetQuery), security(()), responses((status = 200, body = Envelope<model::Nothing>), Faults))]
async fn request_reset(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    Query(query): Query<ResetQuery>,
) -> Reply {
    ask(&state, address, MailKind::SipPasswordReset, query).await
}

/// Set the password of a SIP user by the token of a mail.
#[utoipa::path(post, path = "/rest/app/password_reset", operation_id = "ChangeSIPUserPasswordViaResetTokenApp", tag = "app",
    request_body = NewPassword, security(()), responses((status = 200, body = Envelope<model::Nothing>), Faults))]
async fn reset(State(state): State<ApiState>, Body(form): Body<NewPassword>) -> Reply {
    let reset = state.store.password_resets().find(&form.token).await?;
    state.store.sip_users().reset_password(&reset, &form.password).await?;
    state.calls.invalidate(reset.account);
    ok(json!({}))
}

/// The active SIP users of the domain.
#[utoipa::path(get, path = "/rest/app/users", operation_id = "GetSIPUsersWithSameDomainApp", tag = "app",
    security(("ha1b" = [])), responses((status = 200, body = Envelope<Vec<model::SipUserShort>>), Faults))]
async fn colleagues(State(state): State<ApiState>, phone: Phone) -> Reply {
    let users = state.store.sip_users().list(phone.account(), phone.domain.uuid).await?;
    let active = users.iter().filter(|user| user.is_active);
    ok(active.map(|user| view::sip_user_short(user, Some(&phone.domain))).collect::<Vec<_>>())
}
