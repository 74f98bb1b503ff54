//! SIP users of a domain, with their registrations.

use axum::extract::State;
use opentact_store::domains::SipDomain;
use opentact_store::sip_users::{NewSipUser, SipUser};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::sip_domain;
use super::sip_person::{NewSipPerson, SipPersonChange};
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::AppError;
use crate::expand;
use crate::extract::{Body, Segments};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewPhone {
    #[serde(flatten)]
    person: NewSipPerson,
    is_active: Option<bool>,
    /// Only calls from and to the same domain.
    same_domain_calls_only: Option<bool>,
    /// Caller id and direct number.
    tn_lease: Option<Uuid>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct PhoneChange {
    /// A new login needs the password too.
    #[schema(schema_with = types::sip_login)]
    login: Option<String>,
    #[schema(min_length = 8, max_length = 255)]
    password: Option<String>,
    is_active: Option<bool>,
    same_domain_calls_only: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    tn_lease: Change<Uuid>,
    #[serde(flatten)]
    person: SipPersonChange,
}

async fn find(state: &ApiState, caller: &Caller, path: &Segments) -> Result<(SipDomain, SipUser), AppError> {
    let domain = sip_domain::find(state, caller, path.text("domain")).await?;
    let uuid = path.uuid("uuid")?;
    let user = visible(state, caller, uuid, state.store.sip_users().get(caller.account(), uuid).await).await?;
    if user.sip_domain == domain.uuid { Ok((domain, user)) } else { Err(AppError::NotFound("SIP User")) }
}

/// All SIP users of a domain.
#[utoipa::path(get, path = "/rest/sip/domain/{domain}/user", operation_id = "ListSIPUsersBySIPDomainUUID", tag = "sip user",
    params(("domain" = String, Path, description = "Label or full name")),
    responses((status = 200, body = Envelope<Vec<model::SipUser>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let domain = sip_domain::find(&state, &caller, path.text("domain")).await?;
    let mut users = Vec::new();
    for user in state.store.sip_users().list(caller.account(), domain.uuid).await? {
        users.push(expand::sip_user(&state, &domain, &user).await?);
    }
    ok(users)
}

/// Make a SIP user.
#[utoipa::path(post, path = "/rest/sip/domain/{domain}/user", operation_id = "CreateSIPUser", tag = "sip user",
    params(("domain" = String, Path, description = "Label or full name")), request_body = NewPhone,
    responses((status = 201, body = Envelope<model::SipUser>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, path: Segments, Body(form): Body<NewPhone>) -> Reply {
    let domain = sip_domain::find(&state, &caller, path.text("domain")).await?;
    let new = NewSipUser {
        same_domain_calls_only: form.same_domain_calls_only.unwrap_or(false),
        tn_lease: form.tn_lease,
        ..form.person.into()
    };
    let users = state.store.sip_users();
    let mut user = users.create(caller.account(), caller.by(), domain.uuid, new).await?;
    if form.is_active == Some(false) {
        user = users.update(caller.account(), user.uuid, caller.by(), None, |user| user.is_active = false).await?;
    }
    state.calls.invalidate(caller.account());
    created(expand::sip_user(&state, &domain, &user).await?)
}

/// One SIP user.
#[utoipa::path(get, path = "/rest/sip/domain/{domain}/user/{uuid}", operation_id = "GetSIPUserByUUID", tag = "sip user",
    params(IfNoneMatch, ("domain" = String, Path, description = "Label or full name"), ("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::SipUser>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, path: Segments) -> Result<Tagged, AppError> {
    let (domain, user) = find(&state, &caller, &path).await?;
    Ok(Tagged(expand::sip_user(&state, &domain, &user).await?))
}

/// Change a SIP user.
#[utoipa::path(patch, path = "/rest/sip/domain/{domain}/user/{uuid}", operation_id = "ModifySIPUser", tag = "sip user",
    params(IfMatch, ("domain" = String, Path, description = "Label or full name"), ("uuid" = Uuid, Path)),
    request_body = PhoneChange, responses((status = 200, body = Envelope<model::SipUser>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    path: Segments,
    if_match: IfMatch,
    Body(form): Body<PhoneChange>,
) -> Result<Tagged, AppError> {
    let (domain, user) = find(&state, &caller, &path).await?;
    if_match.check(&expand::sip_user(&state, &domain, &user).await?)?;
    let users = state.store.sip_users();
    let changed = users.update(caller.account(), user.uuid, caller.by(), form.password.as_deref(), |user| {
        user.login = form.login.unwrap_or_else(|| std::mem::take(&mut user.login));
        user.is_active = form.is_active.unwrap_or(user.is_active);
        user.same_domain_calls_only = form.same_domain_calls_only.unwrap_or(user.same_domain_calls_only);
        form.tn_lease.apply(&mut user.tn_lease);
        form.person.apply(user);
    });
    let user = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(expand::sip_user(&state, &domain, &user).await?))
}

/// Delete a SIP user that no number rings.
#[utoipa::path(delete, path = "/rest/sip/domain/{domain}/user/{uuid}", operation_id = "RemoveSIPUserByUUID", tag = "sip user",
    params(("domain" = String, Path, description = "Label or full name"), ("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::SipUser>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let (domain, user) = find(&state, &caller, &path).await?;
    let payload = expand::sip_user(&state, &domain, &user).await?;
    state.store.sip_users().delete(caller.account(), user.uuid).await?;
    state.calls.invalidate(caller.account());
    ok(payload)
}
