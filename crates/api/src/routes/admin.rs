//! What the operator does to the installation, by REST.

use axum::extract::State;
use chrono::Months;
use opentact_engine::number;
use opentact_store::numbers::{NewLease, OWN};
use opentact_store::types::{Feature, Tn, TnKind, now};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::lease::tns;
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::error::{AppError, Fields};
use crate::expand;
use crate::extract::{Body, Segments};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::terms::Action;
use crate::types;

/// Where the number comes from, in its row: from nobody who sells numbers.
const CARRIER: &str = "own";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create_leases)).routes(routes!(schedule))
}

/// Do at once what is done every hour as time passes. For Admins of service accounts.
///
/// `class4_products_sync` and `invoice_send` of 2021 are not among it: there is no other switch, and invoices are not mailed.
#[utoipa::path(get, path = "/rest/admin/schedule/{action}", operation_id = "ScheduleAction", tag = "admin",
    params(("action" = String, Path, description = "What to do", example = "tn_leases_autorenew",
        pattern = "^(expired_tokens|expired_special_prices|tn_leases_autorenew|tn_leases_release_notification|tn_autorelease)$")),
    responses((status = 200, body = Envelope<model::Nothing>), Faults))]
async fn schedule(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    caller.operates()?;
    let named = path.text("action");
    let action = Action::ALL.into_iter().find(|action| action.as_str() == named).ok_or_else(|| {
        let words: Vec<&str> = Action::ALL.into_iter().map(Action::as_str).collect();
        let mut fields = Fields::default();
        fields.push("path.action", format!("must be one of {}", words.join(", ")), json!(named));
        AppError::Invalid(fields)
    })?;
    state.terms.act(action).await?;
    ok(json!({}))
}

#[derive(Debug, Deserialize, ToSchema)]
struct OwnNumbers {
    /// Numbers that reach this installation by trunks of its operator.
    #[schema(schema_with = tns)]
    tns: Vec<Tn>,
    /// Name or uuid of the price profile by which months, messages and calls of the numbers are charged; free where it is left out.
    #[schema(min_length = 1, max_length = 255)]
    tn_profile: Option<String>,
    /// Whether the leases go on after their month; true where it is left out.
    autorenew: Option<bool>,
    /// Whose messages they are.
    messaging_profile: Option<Uuid>,
    /// Who gets them; the caller's account where it is left out.
    account: Option<Uuid>,
    /// What they can do, and are used for; voice and SMS where it is left out.
    #[serde(default)]
    #[schema(schema_with = types::features)]
    features: Vec<Feature>,
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct OwnLeases {
    tnleases: Vec<model::TnLease>,
}

/// Give an account numbers that no carrier has for sale: those of the operator's own trunks. For Admins of service accounts.
///
/// Nothing is charged for the first month. Nothing is done when one of the numbers cannot be had.
#[utoipa::path(post, path = "/rest/admin/tnlease/create", operation_id = "TnleaseCreate", tag = "admin",
    request_body = OwnNumbers, responses((status = 200, body = Envelope<OwnLeases>), Faults))]
async fn create_leases(State(state): State<ApiState>, caller: Caller, Body(form): Body<OwnNumbers>) -> Reply {
    caller.operates()?;
    let owner = match form.account {
        Some(uuid) => state.store.accounts().get(uuid).await?,
        None => caller.account.clone(),
    };
    let account = owner.uuid;
    if let Some(uuid) = form.messaging_profile {
        state.store.messaging_profiles().get(account, uuid).await?;
    }
    let profile = profile(&state, form.tn_profile.as_deref()).await?;
    let mut features = if form.features.is_empty() { vec![Feature::Voice, Feature::Sms] } else { form.features };
    features.sort_unstable();
    features.dedup();

    let mut fields = Fields::default();
    let mut wanted: Vec<NewLease> = Vec::new();
    for (index, tn) in form.tns.iter().enumerate() {
        let mut refuse = |message: &str| fields.param(&format!("tns[{index}]"), message, tn.get());
        let Some(country) = number::country(tn.get()) else {
            refuse("is no number of a country");
            continue;
        };
        if state.numbers.offer(tn.get()).await?.is_some() {
            refuse("is for sale: order it");
        } else if state.store.numbers().active_lease(*tn).await?.is_some() {
            refuse("is leased already");
        } else if wanted.iter().any(|other| other.tn == *tn) {
            refuse("stands twice in the list");
        }
        wanted.push(NewLease {
            tn: *tn,
            kind: if tn.is_toll_free() { TnKind::TollFree } else { TnKind::LongCode },
            country,
            state: number::state(tn.get()).map(str::to_owned),
            city: None,
            rate_center: None,
            features: features.clone(),
            carrier: CARRIER.to_owned(),
            profile,
            order: None,
            subscriptions: features.clone(),
            autorenew: form.autorenew.unwrap_or(true),
            expired_on: now() + Months::new(1),
            created_by: caller.by(),
        });
    }
    fields.check()?;
    let leases = state.store.numbers().lease_all(account, wanted, form.messaging_profile).await?;
    state.calls.invalidate(account);
    ok(json!({"tnleases": expand::leases(&state.store, &owner, &leases).await?}))
}

/// The price profile that is named by its name or uuid.
async fn profile(state: &ApiState, named: Option<&str>) -> Result<Uuid, AppError> {
    let Some(named) = named else { return Ok(OWN) };
    let profiles = state.store.numbers().profiles().await?;
    let found = profiles.iter().find(|profile| profile.name == named || named.parse() == Ok(profile.uuid));
    found.map(|profile| profile.uuid).ok_or(AppError::NotFound("TNProfile"))
}
