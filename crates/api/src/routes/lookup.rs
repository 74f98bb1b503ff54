//! What is known of a telephone number, for a price.

use axum::extract::State;
use opentact_events::NewEvent;
use opentact_store::transactions::NewTransaction;
use opentact_store::types::RefType;
use opentact_store::{Money, Tn};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::error::{AppError, Fields};
use crate::extract::Segments;
use crate::openapi::{Faults, NoBalance};
use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(lookup))
}

/// A telephone number and what is known of it.
#[derive(ToSchema)]
#[allow(dead_code)]
struct NumberLookup {
    #[schema(example = 12_015_550_100_u64)]
    tn: u64,
    #[schema(example = "+12015550100")]
    e164: String,
    /// Whether it is of a range that its country gives out.
    is_valid: bool,
    /// ISO 3166 alpha-2.
    country: TextFact,
    country_code: NumberFact,
    /// `fixed_line`, `mobile`, `fixed_line_or_mobile`, `toll_free`, `premium_rate`, `shared_cost`, `voip`,
    /// `personal_number`, `pager`, `uan`, `voicemail`, `unknown`.
    r#type: TextFact,
    /// Area code, of North American numbers.
    npa: TextFact,
    /// Exchange, of North American numbers.
    nxx: TextFact,
    /// Two letters of the state or province.
    state: TextFact,
    rate_center: TextFact,
    /// In the United States.
    county: TextFact,
    /// Local access and transport area.
    lata: TextFact,
    /// Operating company number.
    ocn: TextFact,
    carrier: TextFact,
    /// Location routing number, E.164.
    lrn: NumberFact,
    /// Calling name.
    cnam: TextFact,
    /// What was charged.
    price: f64,
}

/// What is known, and who says so: `libphonenumber`, `area_code`, `exchange`, `lerg` or the provider's name.
#[derive(ToSchema)]
#[allow(dead_code)]
struct TextFact {
    value: Option<String>,
    source: Option<String>,
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct NumberFact {
    value: Option<u64>,
    source: Option<String>,
}

/// What is known of a number, each fact with its source.
///
/// Each answer is charged (`lookup.price`), remembered facts too. What cannot be answered is not.
#[utoipa::path(get, path = "/rest/lookup/{tn}", operation_id = "LookupTN", tag = "lookup",
    params(("tn" = String, Path, description = "E.164, with or without the plus", example = "12015550100",
        pattern = r"^\+?[1-9][0-9]{6,14}$")),
    responses((status = 200, body = Envelope<NumberLookup>), NoBalance, Faults))]
async fn lookup(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    caller.enabled()?;
    let tn = read(path.text("tn"))?;
    let price = state.settings.lookup.price;
    if caller.account.balance < price {
        return Err(AppError::InsufficientBalance { code: None });
    }
    let mut facts = state.lookup.facts(tn).await?;
    charge(&state, &caller, tn, price).await?;
    facts["price"] = json!(price);
    ok(facts)
}

fn read(text: &str) -> Result<Tn, AppError> {
    text.parse().map_err(|_| {
        let mut fields = Fields::default();
        fields.push("path.tn", "invalid telephone number", Value::from(text));
        AppError::Invalid(fields)
    })
}

async fn charge(state: &ApiState, caller: &Caller, tn: Tn, price: Money) -> Result<(), AppError> {
    if price.is_zero() {
        return Ok(());
    }
    let description = Some(format!("Lookup of {}", tn.plus()));
    let charge = NewTransaction { amount: -price, ref_type: RefType::Lookup, ref_uuid: None, description };
    let booked = state.store.transactions().book(caller.account(), charge).await?;
    let event = NewEvent::balance(&caller.account, booked.account_balance_after, "lookup");
    if let Some(Err(refused)) = event.map(|event| state.hub.publish(event)) {
        tracing::error!(transaction = %booked.uuid, %refused, "balance event");
    }
    Ok(())
}
