//! Invites to become a SIP user of a domain, by the account that has it.

use axum::extract::State;
use chrono::{DateTime, Utc};
use http::StatusCode;
use opentact_events::view;
use opentact_store::domains::SipDomain;
use opentact_store::mails::NewMail;
use opentact_store::sip_invites::SipInvite;
use opentact_store::types::MailKind;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::password_reset::check_callback;
use super::sip_domain;
use crate::auth::Caller;
use crate::conditional::IfMatch;
use crate::envelope::{Envelope, Reply, Tagged, ok};
use crate::error::AppError;
use crate::extract::{Body, ClientAddress, Segments};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewInvite {
    #[schema(min_length = 3, max_length = 80)]
    name: String,
    expired_on: DateTime<Utc>,
    /// Who is sent the token by mail.
    #[schema(schema_with = types::email)]
    email: Option<String>,
    /// The link of that mail, with `{token}` where the token belongs: of this server or of an allowed origin. Without it
    /// the mail has the token alone.
    #[schema(schema_with = types::callback_url)]
    callback: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct InviteChange {
    #[schema(min_length = 3, max_length = 80)]
    name: Option<String>,
    expired_on: Option<DateTime<Utc>>,
}

async fn find(state: &ApiState, caller: &Caller, path: &Segments) -> Result<(SipDomain, SipInvite), AppError> {
    let domain = sip_domain::find(state, caller, path.text("domain")).await?;
    let uuid = path.uuid("uuid")?;
    let invite = visible(state, caller, uuid, state.store.sip_invites().get(caller.account(), uuid).await).await?;
    if invite.sip_domain == domain.uuid { Ok((domain, invite)) } else { Err(AppError::NotFound("SIP User Invite")) }
}

fn show(state: &ApiState, domain: &SipDomain, invite: &SipInvite) -> Value {
    view::sip_invite(invite, domain, &state.store.sip_invites().token(invite.uuid))
}

/// All invites of a domain.
#[utoipa::path(get, path = "/rest/sip/domain/{domain}/invite", operation_id = "ListSIPUserInvites", tag = "sip user invite",
    params(("domain" = String, Path, description = "Label or full name")),
    responses((status = 200, body = Envelope<Vec<model::SipInvite>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let domain = sip_domain::find(&state, &caller, path.text("domain")).await?;
    let invites = state.store.sip_invites().list(caller.account(), domain.uuid).await?;
    ok(invites.iter().map(|invite| show(&state, &domain, invite)).collect::<Vec<_>>())
}

/// Invite somebody to become a SIP user.
///
/// Whoever has the token can, as often as they like, until the invite expires or is deleted.
#[utoipa::path(post, path = "/rest/sip/domain/{domain}/invite", operation_id = "CreateSIPUserInvite",
    tag = "sip user invite", params(("domain" = String, Path, description = "Label or full name")),
    request_body = NewInvite,
    responses((status = 201, body = Envelope<model::SipInvite>, headers(("ETag"))), Faults))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    ClientAddress(address): ClientAddress,
    path: Segments,
    Body(form): Body<NewInvite>,
) -> Result<(StatusCode, Tagged), AppError> {
    let domain = sip_domain::find(&state, &caller, path.text("domain")).await?;
    check_callback(&state.settings, form.callback.as_deref())?;
    let email = form.email;
    if let Some(email) = &email {
        state.mail_guard.admit(address, email).await?;
    }
    let invites = state.store.sip_invites();
    let (name, by) = (form.name, caller.by());
    let invite = invites.create(caller.account(), by, domain.uuid, name, email.clone(), form.expired_on).await?;
    if let Some(recipient) = email {
        let subject = Some(invite.uuid);
        state.outbox.queue(NewMail { kind: MailKind::SipInvite, recipient, callback: form.callback, subject }).await?;
    }
    Ok((StatusCode::CREATED, Tagged(show(&state, &domain, &invite))))
}

/// Rename an invite or change when it expires.
#[utoipa::path(patch, path = "/rest/sip/domain/{domain}/invite/{uuid}", operation_id = "ModifySIPUserInvite",
    tag = "sip user invite",
    params(IfMatch, ("domain" = String, Path, description = "Label or full name"), ("uuid" = uuid::Uuid, Path)),
    request_body = InviteChange, responses((status = 200, body = Envelope<model::SipInvite>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    path: Segments,
    if_match: IfMatch,
    Body(form): Body<InviteChange>,
) -> Result<Tagged, AppError> {
    let (domain, invite) = find(&state, &caller, &path).await?;
    if_match.check(&show(&state, &domain, &invite))?;
    let invites = state.store.sip_invites();
    let changed = invites.update(caller.account(), invite.uuid, caller.by(), |invite| {
        invite.name = form.name.unwrap_or_else(|| std::mem::take(&mut invite.name));
        invite.expired_on = form.expired_on.unwrap_or(invite.expired_on);
    });
    Ok(Tagged(show(&state, &domain, &changed.await?)))
}

/// Take an invite back; who came by it stays.
#[utoipa::path(delete, path = "/rest/sip/domain/{domain}/invite/{uuid}", operation_id = "RemoveSIPUserInviteByUUID",
    tag = "sip user invite",
    params(("domain" = String, Path, description = "Label or full name"), ("uuid" = uuid::Uuid, Path)),
    responses((status = 200, body = Envelope<model::SipInvite>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let (domain, invite) = find(&state, &caller, &path).await?;
    state.store.sip_invites().delete(caller.account(), invite.uuid).await?;
    ok(show(&state, &domain, &invite))
}
