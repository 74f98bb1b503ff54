//! Addresses of the account and its users.

use axum::extract::State;
use opentact_events::view;
use opentact_store::addresses::{Address, NewAddress};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::dict;
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::AppError;
use crate::extract::{Body, Id};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(of_account))
        .routes(routes!(of_user))
        .routes(routes!(get, modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewAddressForm {
    #[schema(min_length = 1, max_length = 24)]
    name: String,
    is_physical: bool,
    is_billing: bool,
    is_shipping: bool,
    #[schema(min_length = 1, max_length = 255)]
    address1: String,
    #[schema(max_length = 255)]
    address2: Option<String>,
    #[schema(min_length = 1, max_length = 12)]
    zip_code: String,
    #[schema(min_length = 1, max_length = 255)]
    city: String,
    #[schema(schema_with = types::country)]
    country: String,
}

#[derive(Debug, Deserialize, ToSchema)]
struct AddressChange {
    #[schema(min_length = 1, max_length = 24)]
    name: Option<String>,
    is_physical: Option<bool>,
    is_billing: Option<bool>,
    is_shipping: Option<bool>,
    #[schema(min_length = 1, max_length = 255)]
    address1: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 255)]
    address2: Change<String>,
    #[schema(min_length = 1, max_length = 12)]
    zip_code: Option<String>,
    #[schema(min_length = 1, max_length = 255)]
    city: Option<String>,
    #[schema(schema_with = types::country)]
    country: Option<String>,
}

fn shown(address: &Address) -> Value {
    view::address(address, dict::country(&address.country).unwrap_or_default())
}

/// Upper case, when there is such a country.
fn known(country: String) -> Result<String, AppError> {
    dict::country(&country).map(|_| country.to_ascii_uppercase()).ok_or(AppError::NotFound("Country"))
}

async fn find(state: &ApiState, caller: &Caller, uuid: Uuid) -> Result<Address, AppError> {
    visible(state, caller, uuid, state.store.addresses().get(caller.account(), uuid).await).await
}

/// Make an address of the caller's.
#[utoipa::path(post, path = "/rest/address", operation_id = "CreateAddress", tag = "address",
    request_body = NewAddressForm, responses((status = 201, body = Envelope<model::Address>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewAddressForm>) -> Reply {
    let new = NewAddress {
        name: form.name,
        is_physical: form.is_physical,
        is_billing: form.is_billing,
        is_shipping: form.is_shipping,
        address1: form.address1,
        address2: form.address2,
        zip_code: form.zip_code,
        city: form.city,
        country: known(form.country)?,
    };
    created(shown(&state.store.addresses().create(caller.account(), caller.user.uuid, new).await?))
}

/// All addresses of the account.
#[utoipa::path(get, path = "/rest/address/account", operation_id = "GetAddressListByAccount", tag = "address",
    responses((status = 200, body = Envelope<Vec<model::Address>>), Faults))]
async fn of_account(State(state): State<ApiState>, caller: Caller) -> Reply {
    ok(state.store.addresses().list(caller.account()).await?.iter().map(shown).collect::<Vec<_>>())
}

/// The caller's addresses.
#[utoipa::path(get, path = "/rest/address/user", operation_id = "GetAddressListByUser", tag = "address",
    responses((status = 200, body = Envelope<Vec<model::Address>>), Faults))]
async fn of_user(State(state): State<ApiState>, caller: Caller) -> Reply {
    let all = state.store.addresses().list(caller.account()).await?;
    ok(all.iter().filter(|address| address.user == caller.user.uuid).map(shown).collect::<Vec<_>>())
}

/// One address.
#[utoipa::path(get, path = "/rest/address/{uuid}", operation_id = "GetAddress", tag = "address",
    params(IfNoneMatch, ("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Address>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    Ok(Tagged(shown(&find(&state, &caller, uuid).await?)))
}

/// Change an address.
#[utoipa::path(patch, path = "/rest/address/{uuid}", operation_id = "UpdateAddress", tag = "address",
    params(IfMatch, ("uuid" = Uuid, Path)), request_body = AddressChange,
    responses((status = 200, body = Envelope<model::Address>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<AddressChange>,
) -> Result<Tagged, AppError> {
    if_match.check(&shown(&find(&state, &caller, uuid).await?))?;
    let country = form.country.map(known).transpose()?;
    let addresses = state.store.addresses();
    let changed = addresses.update(caller.account(), uuid, caller.by(), |address| {
        address.name = form.name.unwrap_or_else(|| std::mem::take(&mut address.name));
        address.is_physical = form.is_physical.unwrap_or(address.is_physical);
        address.is_billing = form.is_billing.unwrap_or(address.is_billing);
        address.is_shipping = form.is_shipping.unwrap_or(address.is_shipping);
        address.address1 = form.address1.unwrap_or_else(|| std::mem::take(&mut address.address1));
        form.address2.apply(&mut address.address2);
        address.zip_code = form.zip_code.unwrap_or_else(|| std::mem::take(&mut address.zip_code));
        address.city = form.city.unwrap_or_else(|| std::mem::take(&mut address.city));
        address.country = country.unwrap_or_else(|| std::mem::take(&mut address.country));
    });
    Ok(Tagged(shown(&changed.await?)))
}

/// Delete an address.
#[utoipa::path(delete, path = "/rest/address/{uuid}", operation_id = "RemoveAddressByUUID", tag = "address",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Address>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let address = find(&state, &caller, uuid).await?;
    state.store.addresses().delete(caller.account(), uuid).await?;
    ok(shown(&address))
}
