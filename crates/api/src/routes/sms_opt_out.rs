//! Who wants no messages.

use axum::extract::State;
use opentact_events::view;
use opentact_store::sms_opt_outs::OptOutFilter;
use opentact_store::types::{OptOutSource, Tn};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::search;
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, created, ok};
use crate::error::AppError;
use crate::extract::{Body, Query};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, add, remove))
}

#[derive(Debug, Default, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct OptOutQuery {
    messaging_profile: Option<Uuid>,
    /// Number, or mask with `*`.
    #[serde(deserialize_with = "types::text_or_number")]
    #[schema(schema_with = types::mask)]
    #[param(schema_with = types::mask)]
    tn: Option<String>,
    /// Who put it there.
    #[schema(schema_with = types::opt_out_source)]
    #[param(schema_with = types::opt_out_source)]
    source: Option<OptOutSource>,
    #[schema(minimum = 1, maximum = 100)]
    #[param(minimum = 1, maximum = 100)]
    take: Option<u64>,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[param(minimum = 0, maximum = 1_000_000_000)]
    skip: Option<u64>,
    /// `next_cursor` of the page before.
    #[schema(max_length = 200)]
    #[param(max_length = 200)]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct OptOutForm {
    /// Whose list; left out or null, that of the account's numbers without a profile.
    messaging_profile: Option<Uuid>,
    /// One number, or a list.
    #[schema(schema_with = types::tn_list)]
    tn: Value,
}

impl OptOutForm {
    async fn read(self, state: &ApiState, caller: &Caller) -> Result<(Option<Uuid>, Vec<Tn>), AppError> {
        if let Some(profile) = self.messaging_profile {
            let found = state.store.messaging_profiles().get(caller.account(), profile).await;
            visible(state, caller, profile, found).await?;
        }
        let list = match self.tn {
            Value::Array(list) => list,
            one => vec![one],
        };
        let read = |one: Value| {
            serde_json::from_value::<Tn>(one.clone()).map_err(|error| AppError::param("tn", error.to_string(), one))
        };
        Ok((self.messaging_profile, list.into_iter().map(read).collect::<Result<_, _>>()?))
    }
}

/// Numbers that want no messages, the newest first.
#[utoipa::path(get, path = "/rest/sms/optout", operation_id = "ListOptOuts", tag = "sms", params(OptOutQuery),
    responses((status = 200, body = Envelope<model::Page<model::OptOut>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller, Query(query): Query<OptOutQuery>) -> Reply {
    let page = search(query.take, query.skip, None, None, [None; 4], query.cursor, None)?;
    let filter = OptOutFilter { messaging_profile: query.messaging_profile, tn: query.tn, source: query.source };
    let found = state.store.opt_outs().search(caller.account(), filter, page).await?;
    ok(view::found(found.map(|row| view::opt_out(&row))))
}

/// Put numbers on a list: nothing is sent to them any more.
#[utoipa::path(post, path = "/rest/sms/optout", operation_id = "AddOptOut", tag = "sms", request_body = OptOutForm,
    responses((status = 201, body = Envelope<Vec<model::OptOut>>), Faults))]
async fn add(State(state): State<ApiState>, caller: Caller, Body(form): Body<OptOutForm>) -> Reply {
    let (profile, tns) = form.read(&state, &caller).await?;
    let rows = state.store.opt_outs().add(caller.account(), profile, &tns).await?;
    created(rows.iter().map(view::opt_out).collect::<Vec<_>>())
}

/// Take numbers off a list: they have said elsewhere that they want messages again.
#[utoipa::path(delete, path = "/rest/sms/optout", operation_id = "RemoveOptOut", tag = "sms", request_body = OptOutForm,
    responses((status = 200, body = Envelope<model::OptOutsRemoved>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Body(form): Body<OptOutForm>) -> Reply {
    let (profile, tns) = form.read(&state, &caller).await?;
    ok(json!({ "removed": state.store.opt_outs().remove(caller.account(), profile, &tns).await? }))
}
