//! When the office is closed, for `<Schedule office_hours="true">`.

use axum::extract::State;
use opentact_events::view;
use opentact_store::office_hours::{NewOfficeHours, OfficeHours};
use opentact_store::types::{DayOfWeek, OfficeHoursType};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::AppError;
use crate::extract::{Body, Id, Query};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewOfficeHoursForm {
    #[schema(min_length = 1, max_length = 24)]
    name: Option<String>,
    #[schema(schema_with = types::office_hours_type)]
    r#type: OfficeHoursType,
    #[schema(schema_with = types::day_of_week)]
    dow: DayOfWeek,
    /// Seconds from 00:00:00 in the account's time zone.
    #[schema(minimum = 0, maximum = 86_399)]
    time_from: u32,
    /// The last second of it; not before `time_from`.
    #[schema(minimum = 0, maximum = 86_399)]
    time_to: u32,
}

#[derive(Debug, Deserialize, ToSchema)]
struct OfficeHoursChange {
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 24)]
    name: Change<String>,
    #[schema(schema_with = types::office_hours_type)]
    r#type: Option<OfficeHoursType>,
    #[schema(schema_with = types::day_of_week)]
    dow: Option<DayOfWeek>,
    #[schema(minimum = 0, maximum = 86_399)]
    time_from: Option<u32>,
    #[schema(minimum = 0, maximum = 86_399)]
    time_to: Option<u32>,
}

#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfOneDay {
    /// Those of one day of the week only.
    #[schema(schema_with = types::day_of_week)]
    #[param(schema_with = types::day_of_week, required = false)]
    dow: Option<DayOfWeek>,
}

async fn find(state: &ApiState, caller: &Caller, uuid: Uuid) -> Result<OfficeHours, AppError> {
    visible(state, caller, uuid, state.store.office_hours().get(caller.account(), uuid).await).await
}

/// The account's entries.
#[utoipa::path(get, path = "/rest/account/office_hours", operation_id = "GetAccountOfficeHoursList",
    tag = "office hours", params(OfOneDay), responses((status = 200, body = Envelope<Vec<model::OfficeHours>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller, Query(query): Query<OfOneDay>) -> Reply {
    let mut hours = state.store.office_hours().list(caller.account()).await?;
    hours.retain(|hours| query.dow.is_none_or(|dow| dow == hours.dow));
    ok(hours.iter().map(view::office_hours).collect::<Vec<_>>())
}

/// Say when the office is closed.
#[utoipa::path(post, path = "/rest/account/office_hours", operation_id = "CreateAccountOfficeHours",
    tag = "office hours", request_body = NewOfficeHoursForm,
    responses((status = 201, body = Envelope<model::OfficeHours>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewOfficeHoursForm>) -> Reply {
    let new = NewOfficeHours {
        name: form.name,
        kind: form.r#type,
        dow: form.dow,
        time_from: form.time_from.into(),
        time_to: form.time_to.into(),
    };
    let hours = state.store.office_hours().create(caller.account(), caller.by(), new).await?;
    state.calls.invalidate(caller.account());
    created(view::office_hours(&hours))
}

/// One entry.
#[utoipa::path(get, path = "/rest/account/office_hours/{uuid}", operation_id = "GetAccountOfficeHours",
    tag = "office hours", params(IfNoneMatch, ("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::OfficeHours>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    Ok(Tagged(view::office_hours(&find(&state, &caller, uuid).await?)))
}

/// Change an entry.
#[utoipa::path(patch, path = "/rest/account/office_hours/{uuid}", operation_id = "UpdateAccountOfficeHours",
    tag = "office hours", params(IfMatch, ("uuid" = Uuid, Path)), request_body = OfficeHoursChange,
    responses((status = 200, body = Envelope<model::OfficeHours>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<OfficeHoursChange>,
) -> Result<Tagged, AppError> {
    if_match.check(&view::office_hours(&find(&state, &caller, uuid).await?))?;
    let all = state.store.office_hours();
    let changed = all.update(caller.account(), uuid, caller.by(), |hours| {
        form.name.apply(&mut hours.name);
        hours.kind = form.r#type.unwrap_or(hours.kind);
        hours.dow = form.dow.unwrap_or(hours.dow);
        hours.time_from = form.time_from.map_or(hours.time_from, i64::from);
        hours.time_to = form.time_to.map_or(hours.time_to, i64::from);
    });
    let hours = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(view::office_hours(&hours)))
}

/// Delete an entry.
#[utoipa::path(delete, path = "/rest/account/office_hours/{uuid}", operation_id = "RemoveAccountOfficeHoursByUUID",
    tag = "office hours", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::OfficeHours>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let hours = find(&state, &caller, uuid).await?;
    state.store.office_hours().delete(caller.account(), uuid).await?;
    state.calls.invalidate(caller.account());
    ok(view::office_hours(&hours))
}
