//! Groups that SIP users make of each other. Who is in the domain sees all of them; each changes their own.

use axum::extract::State;
use http::StatusCode;
use opentact_events::view;
use opentact_store::sip_user_groups::SipUserGroup;
use opentact_store::sip_users::SipUser;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::sip_group::{NewSipUserGroup, SipUserGroupChange};
use crate::auth::Phone;
use crate::conditional::IfMatch;
use crate::envelope::{Envelope, Reply, Tagged, ok};
use crate::error::AppError;
use crate::extract::{Body, Segments};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;

/// SIP users of one group.
const MOST: usize = 20;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(modify, remove))
        .routes(routes!(members, add))
        .routes(routes!(add_one, remove_one))
}

#[derive(Debug, Deserialize, ToSchema)]
struct Members {
    /// SIP users of the domain.
    #[schema(max_items = 20)]
    users: Vec<Uuid>,
}

async fn people(state: &ApiState, phone: &Phone) -> Result<Vec<SipUser>, AppError> {
    Ok(state.store.sip_users().list(phone.account(), phone.domain.uuid).await?)
}

async fn show(state: &ApiState, phone: &Phone, group: &SipUserGroup) -> Result<Value, AppError> {
    Ok(view::sip_user_group(group, &phone.domain, &people(state, phone).await?))
}

async fn show_members(state: &ApiState, phone: &Phone, group: &SipUserGroup) -> Result<Vec<Value>, AppError> {
    let people = people(state, phone).await?;
    let members = people.iter().filter(|user| group.users.contains(&user.uuid));
    Ok(members.map(|user| view::sip_user_short(user, Some(&phone.domain))).collect())
}

/// Of the caller's domain.
async fn find(state: &ApiState, phone: &Phone, path: &Segments) -> Result<SipUserGroup, AppError> {
    let group = state.store.sip_user_groups().get(phone.account(), path.uuid("uuid")?).await?;
    if group.sip_domain == phone.domain.uuid { Ok(group) } else { Err(AppError::NotFound("SIPUserGroup")) }
}

/// Changes a group that the caller has made.
async fn change(
    state: &ApiState,
    phone: &Phone,
    path: &Segments,
    change: impl FnOnce(&mut SipUserGroup) + Send,
) -> Result<SipUserGroup, AppError> {
    let group = own(find(state, phone, path).await?, phone)?;
    let mut changed = group.clone();
    change(&mut changed);
    if changed.users.len() > MOST {
        return Err(AppError::param("users", format!("a group has at most {MOST} users"), Value::Null));
    }
    let groups = state.store.sip_user_groups();
    let update = groups.update(phone.account(), group.uuid, None, |group| *group = changed);
    let group = update.await?;
    state.calls.invalidate(phone.account());
    Ok(group)
}

fn own(group: SipUserGroup, phone: &Phone) -> Result<SipUserGroup, AppError> {
    if group.owner == Some(phone.user.uuid) { Ok(group) } else { Err(AppError::Forbidden) }
}

/// The groups of the domain.
#[utoipa::path(get, path = "/rest/app/group", operation_id = "GetSIPGroupsListApp", tag = "app",
    security(("ha1b" = [])), responses((status = 200, body = Envelope<Vec<model::SipUserGroup>>), Faults))]
async fn list(State(state): State<ApiState>, phone: Phone) -> Reply {
    let people = people(&state, &phone).await?;
    let groups = state.store.sip_user_groups().list(phone.account(), phone.domain.uuid).await?;
    ok(groups.iter().map(|group| view::sip_user_group(group, &phone.domain, &people)).collect::<Vec<_>>())
}

/// Make a group.
#[utoipa::path(post, path = "/rest/app/group", operation_id = "CreateSIPUserGroupApp", tag = "app",
    request_body = NewSipUserGroup, security(("ha1b" = [])),
    responses((status = 201, body = Envelope<model::SipUserGroup>, headers(("ETag"))), Faults))]
async fn create(
    State(state): State<ApiState>,
    phone: Phone,
    Body(form): Body<NewSipUserGroup>,
) -> Result<(StatusCode, Tagged), AppError> {
    let groups = state.store.sip_user_groups();
    let owner = Some(phone.user.uuid);
    let group = groups.create(phone.account(), None, phone.domain.uuid, form.name, form.users, owner).await?;
    state.calls.invalidate(phone.account());
    Ok((StatusCode::CREATED, Tagged(show(&state, &phone, &group).await?)))
}

/// Change the name of a group of one's own, or who is in it.
#[utoipa::path(patch, path = "/rest/app/group/{uuid}", operation_id = "ModifySIPUserGroupApp", tag = "app",
    params(IfMatch, ("uuid" = Uuid, Path)), request_body = SipUserGroupChange, security(("ha1b" = [])),
    responses((status = 200, body = Envelope<model::SipUserGroup>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    phone: Phone,
    path: Segments,
    if_match: IfMatch,
    Body(form): Body<SipUserGroupChange>,
) -> Result<Tagged, AppError> {
    if_match.check(&show(&state, &phone, &find(&state, &phone, &path).await?).await?)?;
    let group = change(&state, &phone, &path, |group| form.apply(group)).await?;
    Ok(Tagged(show(&state, &phone, &group).await?))
}

/// Delete a group of one's own; its users stay.
#[utoipa::path(delete, path = "/rest/app/group/{uuid}", operation_id = "RemoveSIPUserGroupApp", tag = "app",
    params(("uuid" = Uuid, Path)), security(("ha1b" = [])),
    responses((status = 200, body = Envelope<model::SipUserGroup>), Faults))]
async fn remove(State(state): State<ApiState>, phone: Phone, path: Segments) -> Reply {
    let group = own(find(&state, &phone, &path).await?, &phone)?;
    let payload = show(&state, &phone, &group).await?;
    state.store.sip_user_groups().delete(phone.account(), group.uuid).await?;
    state.calls.invalidate(phone.account());
    ok(payload)
}

/// Who is in a group.
#[utoipa::path(get, path = "/rest/app/group/{uuid}/users", operation_id = "GetSIPUserGroupUsersApp", tag = "app",
    params(("uuid" = Uuid, Path)), security(("ha1b" = [])),
    responses((status = 200, body = Envelope<Vec<model::SipUserShort>>), Faults))]
async fn members(State(state): State<ApiState>, phone: Phone, path: Segments) -> Reply {
    let group = find(&state, &phone, &path).await?;
    ok(show_members(&state, &phone, &group).await?)
}

/// Take some into a group of one's own.
#[utoipa::path(post, path = "/rest/app/group/{uuid}/users", operation_id = "AddSIPUsersToSIPUserGroupApp", tag = "app",
    params(("uuid" = Uuid, Path)), request_body = Members, security(("ha1b" = [])),
    responses((status = 200, body = Envelope<Vec<model::SipUserShort>>), Faults))]
async fn add(State(state): State<ApiState>, phone: Phone, path: Segments, Body(form): Body<Members>) -> Reply {
    let group = change(&state, &phone, &path, |group| join(group, form.users)).await?;
    ok(show_members(&state, &phone, &group).await?)
}

fn join(group: &mut SipUserGroup, users: Vec<Uuid>) {
    for user in users {
        if !group.users.contains(&user) {
            group.users.push(user);
        }
    }
}

/// Take one into a group of one's own.
#[utoipa::path(patch, path = "/rest/app/group/{uuid}/users/{sip_user_uuid}", operation_id = "AddSIPUserToSIPUserGroupApp",
    tag = "app", params(("uuid" = Uuid, Path), ("sip_user_uuid" = Uuid, Path)), security(("ha1b" = [])),
    responses((status = 200, body = Envelope<model::SipUserGroup>), Faults))]
async fn add_one(State(state): State<ApiState>, phone: Phone, path: Segments) -> Reply {
    let user = path.uuid("sip_user_uuid")?;
    let group = change(&state, &phone, &path, |group| join(group, vec![user])).await?;
    ok(show(&state, &phone, &group).await?)
}

/// Take one out of a group of one's own.
#[utoipa::path(delete, path = "/rest/app/group/{uuid}/users/{sip_user_uuid}",
    operation_id = "RemoveSIPUserFromSIPUserGroupApp", tag = "app",
    params(("uuid" = Uuid, Path), ("sip_user_uuid" = Uuid, Path)), security(("ha1b" = [])),
    responses((status = 200, body = Envelope<model::SipUserGroup>), Faults))]
async fn remove_one(State(state): State<ApiState>, phone: Phone, path: Segments) -> Reply {
    let user = path.uuid("sip_user_uuid")?;
    let group = own(find(&state, &phone, &path).await?, &phone)?;
    if !group.users.contains(&user) {
        return Err(AppError::NotFound("SIP User"));
    }
    let group = change(&state, &phone, &path, |group| group.users.retain(|one| *one != user)).await?;
    ok(show(&state, &phone, &group).await?)
}
