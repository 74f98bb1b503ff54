//! Numbers for sale.

use std::collections::{HashMap, HashSet};

use axum::extract::State;
use opentact_engine::ports::{NumberQuery, Offer};
use opentact_store::numbers::TnProfile;
use opentact_store::types::{Feature, TnKind};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::error::AppError;
use crate::extract::{Body, Query};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(search)).routes(routes!(countries))
}

const DEFAULT_TAKE: u64 = 10;

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct NumberSearch {
    #[schema(schema_with = types::tn_kind)]
    r#type: Option<TnKind>,
    /// ISO 3166 alpha-2.
    #[schema(schema_with = types::country)]
    country: Option<String>,
    /// Two letters.
    #[schema(min_length = 2, max_length = 3)]
    state: Option<String>,
    #[schema(max_length = 64)]
    city: Option<String>,
    #[schema(max_length = 64)]
    rate_center: Option<String>,
    /// Area code, 3 digits.
    #[serde(deserialize_with = "types::text_or_number")]
    #[schema(schema_with = types::npa)]
    npa: Option<String>,
    /// Exchange, 3 digits.
    #[serde(deserialize_with = "types::text_or_number")]
    #[schema(schema_with = types::npa)]
    nxx: Option<String>,
    /// Last four places, `x` = any digit.
    #[serde(deserialize_with = "types::text_or_number")]
    #[schema(schema_with = types::line)]
    line: Option<String>,
    /// Of the national number: `*` any run of digits, `%` and `x` one digit. 7 places for toll-free numbers.
    #[serde(deserialize_with = "types::text_or_number")]
    #[schema(schema_with = types::tn_pattern)]
    pattern: Option<String>,
    /// All of them.
    #[schema(schema_with = types::features)]
    features: Vec<Feature>,
    #[schema(minimum = 1, maximum = 100)]
    take: Option<u64>,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    skip: Option<u64>,
    /// As 2021 clients say `rate_center`.
    #[serde(rename = "rateCenter")]
    #[schema(rename = "rateCenter", max_length = 64)]
    rate_center_2021: Option<String>,
    /// As 2021 clients say `state`.
    #[schema(min_length = 2, max_length = 3)]
    province: Option<String>,
    /// Name of a price profile, as 2021 clients say `type`.
    #[schema(max_length = 255)]
    profile: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
struct NumberPage {
    #[schema(minimum = 1, maximum = 100)]
    #[param(minimum = 1, maximum = 100)]
    take: Option<u64>,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[param(minimum = 0, maximum = 1_000_000_000)]
    skip: Option<u64>,
    /// 2021: from 1.
    #[schema(minimum = 0, maximum = 10_000_000)]
    #[param(minimum = 0, maximum = 10_000_000)]
    page: Option<u64>,
    /// 2021: items of a page.
    #[schema(minimum = 1, maximum = 100)]
    #[param(minimum = 1, maximum = 100)]
    size: Option<u64>,
}

impl NumberSearch {
    fn query(&self, profiles: &[TnProfile]) -> Result<NumberQuery, AppError> {
        let kind = match (&self.r#type, &self.profile) {
            (Some(kind), _) => Some(kind.as_str()),
            (None, Some(name)) => {
                let profile = profiles.iter().find(|profile| profile.name == *name);
                let profile = profile.ok_or(AppError::NotFound("Profile"))?;
                Some(if profile.toll_free { "toll_free" } else { "long_code" })
            }
            (None, None) => None,
        };
        Ok(NumberQuery {
            kind: kind.map(str::to_owned),
            country: self.country.as_deref().map(str::to_ascii_uppercase),
            state: self.state.as_deref().or(self.province.as_deref()).map(str::to_ascii_uppercase),
            city: self.city.clone(),
            rate_center: self.rate_center.clone().or_else(|| self.rate_center_2021.clone()),
            npa: self.npa.clone(),
            nxx: self.nxx.clone(),
            line: self.line.clone(),
            pattern: self.pattern.clone(),
            features: self.features.iter().map(|feature| feature.as_str().to_owned()).collect(),
        })
    }
}

/// The price profile of an offer: of its country if there is one, else of its kind.
pub(crate) fn profile_of<'a>(profiles: &'a [TnProfile], offer: &Offer) -> Option<&'a TnProfile> {
    let fitting = profiles.iter().filter(|profile| profile.toll_free == (offer.kind == "toll_free"));
    fitting.min_by_key(|profile| (profile.country != offer.country, profile.priority))
}

fn offer_json(offer: &Offer, profiles: &[TnProfile]) -> Value {
    let profile = profile_of(profiles, offer);
    let national = offer.tn.to_string();
    // NANP: country code 1, then area code and exchange.
    let nanp = national.len() == 11 && national.starts_with('1');
    let part = |range: std::ops::Range<usize>| nanp.then(|| national.get(range)).flatten();
    json!({
        "tn": offer.tn,
        "type": offer.kind,
        "country": offer.country,
        "state": offer.state,
        "city": offer.city,
        "rate_center": offer.rate_center,
        "npa": part(1..4),
        "nxx": part(4..7),
        "features": offer.features,
        "nrc": profile.map(|profile| profile.prices.nrc).unwrap_or_default(),
        "mrc": profile.map(|profile| profile.prices.mrc).unwrap_or_default(),
        "profile": profile.map(|profile| profile.name.as_str()).unwrap_or_default(),
    })
}

/// Numbers that nobody can buy now.
async fn taken(state: &ApiState) -> Result<HashSet<u64>, AppError> {
    Ok(state.store.numbers().taken().await?.into_iter().map(u64::from).collect())
}

/// Search for numbers to order.
#[utoipa::path(post, path = "/rest/tn/search", operation_id = "Search", tag = "tn", params(NumberPage),
    request_body = NumberSearch, responses((status = 200, body = Envelope<model::OfferPage>), Faults))]
async fn search(
    State(state): State<ApiState>,
    caller: Caller,
    Query(page): Query<NumberPage>,
    Body(form): Body<NumberSearch>,
) -> Reply {
    let profiles = state.store.numbers().profiles_for(caller.account()).await?;
    let query = form.query(&profiles)?;
    let take = form.take.or(page.take).or(page.size).unwrap_or(DEFAULT_TAKE);
    let by_page = page.page.map(|number| number.saturating_sub(1).saturating_mul(take));
    let skip = form.skip.or(page.skip).or(by_page).unwrap_or(0);
    let taken = taken(&state).await?;
    let (offers, total) = state.numbers.search(&query, &|tn| taken.contains(&tn), skip, take).await?;
    let data: Vec<Value> = offers.iter().map(|offer| offer_json(offer, &profiles)).collect();
    ok(json!({"take": take, "skip": skip, "total": total, "data": data}))
}

/// Countries with numbers for sale.
#[utoipa::path(get, path = "/rest/tn/search/countries", operation_id = "SearchCountries", tag = "tn",
    responses((status = 200, body = Envelope<Vec<model::OfferCountry>>), Faults))]
async fn countries(State(state): State<ApiState>, _: Caller) -> Reply {
    let taken = taken(&state).await?;
    let mut totals: HashMap<&str, u64> = HashMap::new();
    for country in state.numbers.countries().await? {
        let query = NumberQuery { country: Some(country.to_owned()), ..NumberQuery::default() };
        let (_, total) = state.numbers.search(&query, &|tn| taken.contains(&tn), 0, 1).await?;
        totals.insert(country, total);
    }
    let mut list: Vec<_> = totals.into_iter().filter(|(_, total)| *total > 0).collect();
    list.sort_unstable();
    ok(list.into_iter().map(|(a2, total)| json!({"a2": a2, "total": total})).collect::<Vec<_>>())
}
