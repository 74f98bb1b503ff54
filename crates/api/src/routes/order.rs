//! Orders of numbers. Worked on by [`crate::orders`]; here they are taken, priced and shown.

use std::collections::HashSet;

use axum::extract::State;
use opentact_events::view;
use opentact_store::Money;
use opentact_store::numbers::{NewOrder, OrderFilter, OrderItem, TnOrder};
use opentact_store::search::Search;
use opentact_store::types::{Feature, OrderState, Tn};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::{PageQuery, search_form};
use super::tn;
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, created, ok};
use crate::error::{AppError, Fields};
use crate::expand;
use crate::extract::{Body, Check, Checked, Id, Query};
use crate::model;
use crate::openapi::{Faults, NoBalance};
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(create_2021))
        .routes(routes!(price))
        .routes(routes!(search))
        .routes(routes!(get))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewTnOrder {
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<NewOrderItem>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewOrderItem {
    #[schema(schema_with = types::tn)]
    tn: Tn,
    /// What the number is to be used for; none means voice.
    #[serde(default)]
    #[schema(schema_with = types::features)]
    features: Vec<Feature>,
    /// Renew the lease every month.
    #[serde(default)]
    autorenew: bool,
    /// The flags of 2020 and 2021 bodies.
    #[serde(default)]
    voice: bool,
    #[serde(default)]
    sms: bool,
    #[serde(default)]
    mms: bool,
    #[serde(default)]
    fax: bool,
    #[serde(default)]
    emergency: bool,
}

impl NewOrderItem {
    fn read(self) -> OrderItem {
        let flags = [
            (self.voice, Feature::Voice),
            (self.sms, Feature::Sms),
            (self.mms, Feature::Mms),
            (self.fax, Feature::Fax),
            (self.emergency, Feature::Emergency),
        ];
        let mut features = self.features;
        for (_, feature) in flags.into_iter().filter(|(set, _)| *set) {
            features.push(feature);
        }
        features.sort_unstable();
        features.dedup();
        if features.is_empty() {
            features.push(Feature::Voice);
        }
        OrderItem { tn: self.tn, features, autorenew: self.autorenew }
    }
}

impl Check for NewTnOrder {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        let mut seen = HashSet::new();
        for (index, item) in body.get("items").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let tn = item.get("tn").and_then(|tn| serde_json::from_value::<Tn>(tn.clone()).ok());
            if tn.is_some_and(|tn| !seen.insert(tn)) {
                fields.param(&format!("items[{index}].tn"), "stands twice in the order", item["tn"].clone());
            }
        }
    }
}

impl NewTnOrder {
    fn read(self, state: &ApiState) -> Result<Vec<OrderItem>, AppError> {
        let mut fields = Fields::default();
        let max = state.settings.orders.max_items;
        if self.items.len() > max {
            fields.param("items", format!("must be 1 to {max} items long"), self.items.len());
        }
        fields.check()?;
        Ok(self.items.into_iter().map(NewOrderItem::read).collect())
    }
}

/// Once and monthly price of each item that is for sale.
async fn prices(
    state: &ApiState,
    account: Uuid,
    items: &[OrderItem],
) -> Result<Vec<(OrderItem, Money, Money)>, AppError> {
    let profiles = state.store.numbers().profiles_for(account).await?;
    let mut priced = Vec::with_capacity(items.len());
    for item in items {
        let Some(offer) = state.numbers.offer(item.tn.get()).await? else { continue };
        if let Some(profile) = tn::profile_of(&profiles, &offer) {
            let (nrc, mrc) = profile.prices.with_features(&item.features);
            priced.push((item.clone(), nrc, mrc));
        }
    }
    Ok(priced)
}

async fn place(state: &ApiState, caller: &Caller, request: NewTnOrder) -> Reply {
    caller.enabled()?;
    state.accepting()?;
    let shown = json!({"items": request.items.iter().map(NewOrderItem::shown).collect::<Vec<_>>()});
    let items = request.read(state)?;
    let priced = prices(state, caller.account(), &items).await?;
    let total: Money = priced.iter().map(|(_, nrc, mrc)| *nrc + *mrc).sum();
    if total > caller.account.balance {
        return Err(AppError::InsufficientBalance { code: None });
    }
    let new = NewOrder { request: shown, items, created_by: caller.by() };
    created(short(&state.orders.place(caller.account(), new).await?))
}

impl NewOrderItem {
    /// As it came, in today's form.
    fn shown(&self) -> Value {
        json!({
            "tn": self.tn, "features": self.features, "autorenew": self.autorenew, "voice": self.voice, "sms": self.sms,
            "mms": self.mms, "fax": self.fax, "emergency": self.emergency,
        })
    }
}

fn short(order: &TnOrder) -> Value {
    view::order_short(order)
}

/// All orders of the account, the newest first.
#[utoipa::path(get, path = "/rest/order", operation_id = "ListOrders", tag = "order",
    responses((status = 200, body = Envelope<Vec<model::TnOrder>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let newest = Search { count: false, ..Search::first(100) };
    let found = state.store.numbers().search_orders(caller.account(), OrderFilter::default(), newest).await?;
    ok(found.data.iter().map(short).collect::<Vec<_>>())
}

/// Order numbers.
///
/// The order is worked on behind the scenes; `tn_order` events tell of each step.
#[utoipa::path(post, path = "/rest/order", operation_id = "CreateOrder", tag = "order", request_body = NewTnOrder,
    responses((status = 201, body = Envelope<model::TnOrder>), NoBalance, Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<NewTnOrder>) -> Reply {
    place(&state, &caller, form).await
}

/// Order numbers; the 2021 path.
#[utoipa::path(post, path = "/rest/order/tn", operation_id = "CreateTNOrder", tag = "order", request_body = NewTnOrder,
    responses((status = 201, body = Envelope<model::TnOrder>), NoBalance, Faults))]
async fn create_2021(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<NewTnOrder>) -> Reply {
    place(&state, &caller, form).await
}

/// What an order would cost.
#[utoipa::path(post, path = "/rest/order/price", operation_id = "GetOrderPrice", tag = "order", request_body = NewTnOrder,
    responses((status = 200, body = Envelope<model::OrderPrice>), Faults))]
async fn price(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<NewTnOrder>) -> Reply {
    let items = form.read(&state)?;
    let priced = prices(&state, caller.account(), &items).await?;
    let sum = |which: fn(&(OrderItem, Money, Money)) -> Money| priced.iter().map(which).sum::<Money>();
    let rows: Vec<Value> = priced
        .iter()
        .map(|(item, nrc, mrc)| {
            let features: Vec<&str> = item.features.iter().map(|feature| feature.as_str()).collect();
            json!({
                "id": item.tn.to_string(), "name": item.tn.plus(), "description": features.join(", "),
                "nrc": nrc, "mrc": mrc,
            })
        })
        .collect();
    ok(json!({"nrc": sum(|(_, nrc, _)| *nrc), "mrc": sum(|(_, _, mrc)| *mrc), "items": rows}))
}

search_form! {
    /// Filters of orders.
    pub struct OrderSearch {
        #[schema(schema_with = types::order_state)]
        pub state: Option<OrderState>,
    }
}

/// Search orders.
#[utoipa::path(post, path = "/rest/order/search", operation_id = "SearchOrders", tag = "order", params(PageQuery),
    request_body = OrderSearch, responses((status = 200, body = Envelope<model::Page<model::TnOrder>>), Faults))]
async fn search(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<OrderSearch>,
) -> Reply {
    let search = form.search(&query)?;
    let filter = OrderFilter { state: form.state };
    let found = state.store.numbers().search_orders(caller.account(), filter, search).await?;
    ok(view::found(found.map(|order| short(&order))))
}

/// One order with its items, what failed and why, and the leases it brought.
#[utoipa::path(get, path = "/rest/order/{uuid}", operation_id = "GetOrderByUUID", tag = "order",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::TnOrder>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let order = visible(&state, &caller, uuid, state.store.numbers().order(caller.account(), uuid).await).await?;
    ok(expand::order(&state.store, &order).await?)
}
