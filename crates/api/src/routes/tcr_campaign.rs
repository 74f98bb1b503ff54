//! Campaigns of 10DLC: what messages from long codes of the United States and Canada are for.

use std::collections::HashMap;

use axum::extract::State;
use opentact_engine::ports::Filing;
use opentact_events::view;
use opentact_store::numbers::LeaseFilter;
use opentact_store::tcr::{Brand, Campaign, CampaignDetails};
use opentact_store::types::Vetting;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::lease;
use super::tcr_brand::{self, changed, details, sent};
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::{AppError, Fields};
use crate::extract::{Body, Check, Checked, Id, checked};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove)).routes(routes!(leases))
}

sent! {
    CampaignForm as model::NewCampaign;
    CampaignChangeForm as model::CampaignChange;
}

/// What a campaign is for stays as it was made.
const FIXED: [&str; 3] = ["brandId", "usecase", "subUsecases"];

impl Check for CampaignForm {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        let several = matches!(body.get("usecase").and_then(Value::as_str), Some("MIXED" | "LOW_VOLUME"));
        let sub = body.get("subUsecases").and_then(Value::as_array).map_or(0, Vec::len);
        let sent = body.get("subUsecases").cloned().unwrap_or_default();
        if several && sub < 2 {
            fields.param("subUsecases", "must have 2 to 5 use cases", sent);
        } else if !several && sub > 0 {
            fields.param("subUsecases", "is of MIXED and LOW_VOLUME only", sent);
        }
    }
}

async fn find(state: &ApiState, caller: &Caller, uuid: Uuid) -> Result<(Campaign, Brand), AppError> {
    let campaign = state.store.campaigns().get(caller.account(), uuid).await;
    let campaign = visible(state, caller, uuid, campaign).await?;
    let brand = state.store.brands().get(caller.account(), campaign.brand).await?;
    Ok((campaign, brand))
}

/// The brand that is called this by the registry, or by us.
async fn brand(state: &ApiState, caller: &Caller, id: &str) -> Result<Brand, AppError> {
    match Uuid::try_parse(id) {
        Ok(uuid) => tcr_brand::find(state, caller, uuid).await,
        Err(_) => state.store.brands().called(caller.account(), id).await?.ok_or(AppError::NotFound("Brand")),
    }
}

/// All campaigns of the account.
#[utoipa::path(get, path = "/rest/tcr/campaign", operation_id = "ListCampaigns", tag = "10DLC",
    responses((status = 200, body = Envelope<model::Campaigns>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let campaigns = state.store.campaigns().list(caller.account()).await?;
    let brands = state.store.brands().list(caller.account()).await?;
    let brands: HashMap<Uuid, &Brand> = brands.iter().map(|brand| (brand.uuid, brand)).collect();
    let shown = campaigns.iter().filter_map(|one| Some(view::tcr_campaign(one, brands.get(&one.brand)?)));
    ok(shown.collect::<Vec<_>>())
}

/// Make a campaign of a verified brand, to be vetted.
#[utoipa::path(post, path = "/rest/tcr/campaign", operation_id = "CreateCampaign", tag = "10DLC",
    request_body = model::NewCampaign, responses((status = 201, body = Envelope<model::Campaign>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<CampaignForm>) -> Reply {
    let brand = brand(&state, &caller, form.0.get("brandId").and_then(Value::as_str).unwrap_or_default()).await?;
    if brand.status != Vetting::Approved {
        return Err(AppError::Conflict("The brand is not verified".to_owned()));
    }
    let details: CampaignDetails = details(form.0)?;
    let campaign = state.store.campaigns().create(caller.account(), caller.by(), brand.uuid, details).await?;
    let campaign = state.vetting.file_campaign(campaign, &brand, true).await?;
    created(view::tcr_campaign(&campaign, &brand))
}

/// One campaign.
#[utoipa::path(get, path = "/rest/tcr/campaign/{uuid}", operation_id = "GetCampaign", tag = "10DLC",
    params(IfNoneMatch, ("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Campaign>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    let (campaign, brand) = find(&state, &caller, uuid).await?;
    Ok(Tagged(view::tcr_campaign(&campaign, &brand)))
}

/// Change what a campaign says, to be vetted anew; it stays active until the registry has decided.
#[utoipa::path(patch, path = "/rest/tcr/campaign/{uuid}", operation_id = "ModifyCampaign", tag = "10DLC",
    params(IfMatch, ("uuid" = Uuid, Path)), request_body = model::CampaignChange,
    responses((status = 200, body = Envelope<model::Campaign>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<CampaignChangeForm>,
) -> Result<Tagged, AppError> {
    let (old, brand) = find(&state, &caller, uuid).await?;
    if_match.check(&view::tcr_campaign(&old, &brand))?;
    let brand_id = brand.registry_id.clone().unwrap_or_else(|| brand.uuid.to_string());
    let of_brand = Map::from_iter([("brandId".to_owned(), Value::from(brand_id))]);
    let current = changed(serde_json::to_value(&old.details).unwrap_or_default(), of_brand);
    let mut fields = Fields::default();
    for name in FIXED {
        if let Some(value) = form.0.get(name).filter(|value| Some(*value) != current.get(name)) {
            fields.param(name, "cannot be changed", value.clone());
        }
    }
    fields.check()?;
    let details = details(checked::<CampaignForm>(changed(current, form.0))?.0)?;
    let campaign = state.store.campaigns().update(caller.account(), uuid, caller.by(), details).await?;
    let tell = old.status == Vetting::Rejected;
    let campaign = state.vetting.file_campaign(campaign, &brand, tell).await?;
    Ok(Tagged(view::tcr_campaign(&campaign, &brand)))
}

/// Delete a campaign that no number sends for.
#[utoipa::path(delete, path = "/rest/tcr/campaign/{uuid}", operation_id = "RemoveCampaign", tag = "10DLC",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Campaign>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let (campaign, brand) = find(&state, &caller, uuid).await?;
    state.store.campaigns().delete(caller.account(), uuid).await?;
    state.vetting.withdraw(Filing::Campaign { campaign: &campaign, brand: &brand }).await;
    ok(view::tcr_campaign(&campaign, &brand))
}

/// Numbers that send for the campaign.
#[utoipa::path(get, path = "/rest/tcr/campaign/{uuid}/tnleases", operation_id = "GetCampaignLeases", tag = "10DLC",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<Vec<model::TnLease>>), Faults))]
async fn leases(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    find(&state, &caller, uuid).await?;
    lease::all(&state, &caller, LeaseFilter { sms_campaign: Some(uuid), ..LeaseFilter::default() }).await
}
