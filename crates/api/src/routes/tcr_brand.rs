//! Brands of 10DLC: who sends messages from long codes of the United States and Canada.

use axum::extract::State;
use opentact_engine::ports::Filing;
use opentact_events::view;
use opentact_store::tcr::{Brand, BrandDetails};
use opentact_store::types::Vetting;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::{AppError, Fields};
use crate::extract::{Body, Check, Checked, Id, checked, has};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove))
}

/// A body as it was sent, held against the schema of another type: what is kept of a brand or campaign is what is read of it.
macro_rules! sent {
    ($($name:ident as $schema:ty;)+) => {$(
        #[derive(Debug, serde::Deserialize)]
        #[serde(transparent)]
        pub(super) struct $name(pub(super) serde_json::Map<String, serde_json::Value>);

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                <$schema as utoipa::PartialSchema>::schema()
            }
        }

        impl utoipa::ToSchema for $name {}
    )+};
}
pub(super) use sent;

sent! {
    BrandForm as model::BrandDetails;
    BrandChangeForm as model::BrandChange;
}

/// Fails every property of these that was not sent.
fn require(body: &Map<String, Value>, names: &[&str], fields: &mut Fields) {
    for name in names.iter().filter(|name| !has(body, name)) {
        fields.param(name, "is required", Value::Null);
    }
}

impl Check for BrandForm {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        match body.get("entityType").and_then(Value::as_str) {
            Some("SOLE_PROPRIETOR") => require(body, &["firstName", "lastName"], fields),
            Some("PUBLIC_PROFIT") => {
                require(body, &["companyName", "ein", "stockSymbol", "stockExchange"], fields);
            }
            Some(_) => require(body, &["companyName", "ein"], fields),
            None => {}
        }
    }
}

/// What was found right is read; a null is what was left out.
pub(super) fn details<T: DeserializeOwned>(mut body: Map<String, Value>) -> Result<T, AppError> {
    body.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(body)).map_err(|error| AppError::Internal(error.to_string()))
}

/// What something reads like with the changes that were sent.
pub(super) fn changed(current: Value, change: Map<String, Value>) -> Value {
    match current {
        Value::Object(mut current) => {
            current.extend(change);
            Value::Object(current)
        }
        other => other,
    }
}

impl BrandForm {
    fn details(self) -> Result<BrandDetails, AppError> {
        let mut details: BrandDetails = details(self.0)?;
        details.country.make_ascii_uppercase();
        Ok(details)
    }
}

pub(super) async fn find(state: &ApiState, caller: &Caller, uuid: Uuid) -> Result<Brand, AppError> {
    visible(state, caller, uuid, state.store.brands().get(caller.account(), uuid).await).await
}

/// All brands of the account.
#[utoipa::path(get, path = "/rest/tcr/brand", operation_id = "ListBrands", tag = "10DLC",
    responses((status = 200, body = Envelope<model::Brands>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    ok(state.store.brands().list(caller.account()).await?.iter().map(view::tcr_brand).collect::<Vec<_>>())
}

/// Make a brand, to be vetted.
#[utoipa::path(post, path = "/rest/tcr/brand", operation_id = "CreateBrand", tag = "10DLC",
    request_body = model::BrandDetails, responses((status = 201, body = Envelope<model::Brand>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<BrandForm>) -> Reply {
    let brand = state.store.brands().create(caller.account(), caller.by(), form.details()?).await?;
    created(view::tcr_brand(&state.vetting.file_brand(brand, true).await?))
}

/// One brand.
#[utoipa::path(get, path = "/rest/tcr/brand/{uuid}", operation_id = "GetBrand", tag = "10DLC",
    params(IfNoneMatch, ("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Brand>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    Ok(Tagged(view::tcr_brand(&find(&state, &caller, uuid).await?)))
}

/// Change a brand, to be vetted anew. Who it is must not change while it has campaigns.
#[utoipa::path(patch, path = "/rest/tcr/brand/{uuid}", operation_id = "ModifyBrand", tag = "10DLC",
    params(IfMatch, ("uuid" = Uuid, Path)), request_body = model::BrandChange,
    responses((status = 200, body = Envelope<model::Brand>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<BrandChangeForm>,
) -> Result<Tagged, AppError> {
    let old = find(&state, &caller, uuid).await?;
    if_match.check(&view::tcr_brand(&old))?;
    let whole = changed(serde_json::to_value(&old.details).unwrap_or_default(), form.0);
    let details = checked::<BrandForm>(whole)?.details()?;
    let brand = state.store.brands().update(caller.account(), uuid, caller.by(), details).await?;
    let tell = old.status == Vetting::Rejected;
    Ok(Tagged(view::tcr_brand(&state.vetting.file_brand(brand, tell).await?)))
}

/// Delete a brand without campaigns.
#[utoipa::path(delete, path = "/rest/tcr/brand/{uuid}", operation_id = "RemoveBrand", tag = "10DLC",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Brand>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let brand = find(&state, &caller, uuid).await?;
    state.store.brands().delete(caller.account(), uuid).await?;
    state.vetting.withdraw(Filing::Brand(&brand)).await;
    ok(view::tcr_brand(&brand))
}
