//! Groups of a domain's SIP users, which `<Dial>` rings as `group:<uuid>`.

use axum::extract::State;
use opentact_events::view;
use opentact_store::domains::SipDomain;
use opentact_store::sip_user_groups::SipUserGroup;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::sip_domain;
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::AppError;
use crate::extract::{Body, Segments};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewSipUserGroup {
    #[schema(min_length = 3, max_length = 80)]
    pub(super) name: String,
    /// SIP users of the domain.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub(super) users: Vec<Uuid>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SipUserGroupChange {
    #[schema(min_length = 3, max_length = 80)]
    name: Option<String>,
    /// All of them from now on.
    #[schema(max_items = 20)]
    users: Option<Vec<Uuid>>,
}

impl SipUserGroupChange {
    pub(super) fn apply(self, group: &mut SipUserGroup) {
        group.name = self.name.unwrap_or_else(|| std::mem::take(&mut group.name));
        if let Some(users) = self.users {
            group.users = users.into();
        }
    }
}

async fn find(state: &ApiState, caller: &Caller, path: &Segments) -> Result<(SipDomain, SipUserGroup), AppError> {
    let domain = sip_domain::find(state, caller, path.text("domain")).await?;
    let uuid = path.uuid("uuid")?;
    let group = visible(state, caller, uuid, state.store.sip_user_groups().get(caller.account(), uuid).await).await?;
    if group.sip_domain == domain.uuid { Ok((domain, group)) } else { Err(AppError::NotFound("SIPUserGroup")) }
}

async fn show(state: &ApiState, domain: &SipDomain, groups: &[SipUserGroup]) -> Result<Vec<Value>, AppError> {
    let users = state.store.sip_users().list(domain.account, domain.uuid).await?;
    Ok(groups.iter().map(|group| view::sip_user_group(group, domain, &users)).collect())
}

async fn show_one(state: &ApiState, domain: &SipDomain, group: &SipUserGroup) -> Result<Value, AppError> {
    Ok(show(state, domain, std::slice::from_ref(group)).await?.pop().unwrap_or_default())
}

/// All groups of a domain.
#[utoipa::path(get, path = "/rest/sip/domain/{domain}/group", operation_id = "ListSIPUserGroups", tag = "sip user group",
    params(("domain" = String, Path, description = "Label or full name")),
    responses((status = 200, body = Envelope<Vec<model::SipUserGroup>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let domain = sip_domain::find(&state, &caller, path.text("domain")).await?;
    let groups = state.store.sip_user_groups().list(caller.account(), domain.uuid).await?;
    ok(show(&state, &domain, &groups).await?)
}

/// Make a group.
#[utoipa::path(post, path = "/rest/sip/domain/{domain}/group", operation_id = "CreateSIPUserGroup", tag = "sip user group",
    params(("domain" = String, Path, description = "Label or full name")), request_body = NewSipUserGroup,
    responses((status = 201, body = Envelope<model::SipUserGroup>), Faults))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    path: Segments,
    Body(form): Body<NewSipUserGroup>,
) -> Reply {
    let domain = sip_domain::find(&state, &caller, path.text("domain")).await?;
    let groups = state.store.sip_user_groups();
    let group = groups.create(caller.account(), caller.by(), domain.uuid, form.name, form.users, None).await?;
    state.calls.invalidate(caller.account());
    created(show_one(&state, &domain, &group).await?)
}

/// One group.
#[utoipa::path(get, path = "/rest/sip/domain/{domain}/group/{uuid}", operation_id = "GetSIPUserGroup", tag = "sip user group",
    params(IfNoneMatch, ("domain" = String, Path, description = "Label or full name"), ("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::SipUserGroup>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, path: Segments) -> Result<Tagged, AppError> {
    let (domain, group) = find(&state, &caller, &path).await?;
    Ok(Tagged(show_one(&state, &domain, &group).await?))
}

/// Change a group's name or who is in it.
#[utoipa::path(patch, path = "/rest/sip/domain/{domain}/group/{uuid}", operation_id = "ModifySIPUserGroup",
    tag = "sip user group",
    params(IfMatch, ("domain" = String, Path, description = "Label or full name"), ("uuid" = Uuid, Path)),
    request_body = SipUserGroupChange, responses((status = 200, body = Envelope<model::SipUserGroup>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    path: Segments,
    if_match: IfMatch,
    Body(form): Body<SipUserGroupChange>,
) -> Result<Tagged, AppError> {
    let (domain, group) = find(&state, &caller, &path).await?;
    if_match.check(&show_one(&state, &domain, &group).await?)?;
    let groups = state.store.sip_user_groups();
    let group = groups.update(caller.account(), group.uuid, caller.by(), |group| form.apply(group)).await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(show_one(&state, &domain, &group).await?))
}

/// Delete a group; its users stay.
#[utoipa::path(delete, path = "/rest/sip/domain/{domain}/group/{uuid}", operation_id = "RemoveSIPUserGroup",
    tag = "sip user group",
    params(("domain" = String, Path, description = "Label or full name"), ("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::SipUserGroup>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let (domain, group) = find(&state, &caller, &path).await?;
    let payload = show_one(&state, &domain, &group).await?;
    state.store.sip_user_groups().delete(caller.account(), group.uuid).await?;
    state.calls.invalidate(caller.account());
    ok(payload)
}
