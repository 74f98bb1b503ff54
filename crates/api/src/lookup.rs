//! Facts of telephone numbers, each with who says so, and for how long they are believed.

use std::sync::Arc;

use moka::future::Cache;
use opentact_engine::number;
use opentact_engine::ports::{ControlError, NumberData, NumberFacts};
use opentact_store::lerg::LergBlock;
use opentact_store::{Store, Tn};
use serde_json::{Value, json};

use crate::error::AppError;
use crate::settings::LookupSettings;

/// Of facts that are those of the number's plan.
const PLAN: &str = "libphonenumber";
/// Of what was uploaded.
const LERG: &str = "lerg";
/// Of what an area code says.
const AREA_CODE: &str = "area_code";
/// Of what an area code says together with the exchange.
const EXCHANGE: &str = "exchange";

pub(crate) struct Lookup {
    store: Store,
    /// Who is asked for more than a number says itself.
    data: Arc<dyn NumberData>,
    known: Cache<u64, Arc<NumberFacts>>,
}

impl Lookup {
    pub(crate) fn new(store: Store, data: Arc<dyn NumberData>, settings: &LookupSettings) -> Self {
        let known = Cache::builder().max_capacity(settings.cache_size).time_to_live(settings.cache_ttl).build();
        Self { store, data, known }
    }

    /// All that is known; 404 for what is no country's number, 503 when the provider does not answer.
    pub(crate) async fn facts(&self, tn: Tn) -> Result<Value, AppError> {
        let plan = number::plan(tn.get()).ok_or(AppError::NotFound("TN"))?;
        // Who asks for the same number at once waits for one answer.
        let ask = async { self.data.facts(tn.get()).await.map(Arc::new) };
        let facts = self.known.try_get_with(tn.get(), ask).await.map_err(|error| ControlError::clone(&error))?;
        let lerg = self.store.lerg().find(tn).await?;
        let provider = Some(self.data.name());
        let said = |value: &Option<String>| fact(value.as_deref().map(Value::from), provider);
        // Whoever serves a number now is the provider's to say, where it is, the LERG's.
        let placed =
            |known: fn(&LergBlock) -> Option<String>, value: &Option<String>| match lerg.as_ref().and_then(known) {
                Some(value) => fact(Some(value.into()), Some(LERG)),
                None => said(value),
            };
        let said_or = |value: &Option<String>, known: fn(&LergBlock) -> Option<String>| match value {
            Some(_) => said(value),
            None => fact(lerg.as_ref().and_then(known).map(Value::from), Some(LERG)),
        };
        let own = |value: Option<Value>| fact(value, Some(PLAN));
        let state = match number::state(tn.get()) {
            None => placed(|block| Some(block.state.clone()), &facts.state),
            Some(state) => fact(Some(state.into()), Some(AREA_CODE)),
        };
        let county = match lerg.as_ref().and_then(|block| block.county.clone()) {
            Some(county) => fact(Some(county.into()), Some(LERG)),
            None => fact(number::county(tn.get()).map(Value::from), Some(EXCHANGE)),
        };
        let north_american = plan.country_code == 1 && plan.national.len() == 10;
        let digits = |range| own(plan.national.get(range).filter(|_| north_american).map(Value::from));
        Ok(json!({
            "tn": tn,
            "e164": tn.plus(),
            "is_valid": plan.is_valid,
            "country": own(plan.country.clone().map(Value::from)),
            "country_code": own(Some(plan.country_code.into())),
            "type": own(Some(plan.kind.into())),
            "npa": digits(0..3),
            "nxx": digits(3..6),
            "state": state,
            "rate_center": placed(|block| Some(block.rate_center.clone()), &facts.rate_center),
            "county": county,
            "lata": placed(|block| block.lata.clone(), &facts.lata),
            "ocn": said_or(&facts.ocn, |block| block.ocn.clone()),
            "carrier": said_or(&facts.carrier, |block| block.carrier.clone()),
            "lrn": fact(facts.lrn.map(Value::from), provider),
            "cnam": said(&facts.cnam),
        }))
    }
}

/// What nobody says has no source.
fn fact(value: Option<Value>, source: Option<&str>) -> Value {
    let source = source.filter(|_| value.is_some());
    json!({"value": value, "source": source})
}
