//! Changes of the balance.

use axum::extract::State;
use chrono::{DateTime, Datelike as _, Days, Months, NaiveTime, Utc};
use opentact_events::view;
use opentact_store::Money;
use opentact_store::transactions::TransactionFilter;
use opentact_store::types::{RefType, now};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::{PageQuery, search_form};
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::error::{AppError, Fields};
use crate::extract::{Body, Id, Query, Segments};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(find)).routes(routes!(invoice)).routes(routes!(dashboard)).routes(routes!(get))
}

search_form! {
    /// Filters of the transactions.
    pub struct TransactionSearch {
        #[schema(schema_with = types::money)]
        pub amount: Option<Money>,
        #[schema(schema_with = types::money)]
        pub account_balance_before: Option<Money>,
        #[schema(schema_with = types::money)]
        pub account_balance_after: Option<Money>,
        #[schema(schema_with = types::ref_type)]
        pub ref_type: Option<RefType>,
        /// What was charged: a call, a message, a lease.
        pub ref_uuid: Option<Uuid>,
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub description: Option<String>,
    }
}

/// Search the changes of the balance.
#[utoipa::path(post, path = "/rest/transaction/search", operation_id = "SearchTransactions", tag = "transaction",
    params(PageQuery), request_body = TransactionSearch,
    responses((status = 200, body = Envelope<model::Page<model::Transaction>>), Faults))]
async fn find(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<TransactionSearch>,
) -> Reply {
    let search = form.search(&query)?;
    let filter = TransactionFilter {
        amount: form.amount,
        account_balance_before: form.account_balance_before,
        account_balance_after: form.account_balance_after,
        ref_type: form.ref_type,
        ref_uuid: form.ref_uuid,
        description: form.description,
    };
    let found = state.store.transactions().search(caller.account(), filter, search).await?;
    ok(view::found(found.map(|transaction| view::transaction(&transaction))))
}

/// One change of the balance.
#[utoipa::path(get, path = "/rest/transaction/{uuid}", operation_id = "GetTransaction", tag = "transaction",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Transaction>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let transaction = state.store.transactions().get(caller.account(), uuid).await;
    ok(view::transaction(&visible(&state, &caller, uuid, transaction).await?))
}

/// What a report is of; both ends are in it.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
struct Period {
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

/// Longest period of a report.
const LONGEST: Days = Days::new(400);

impl Period {
    fn or(self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), AppError> {
        let (from, to) = (self.from.unwrap_or(from), self.to.unwrap_or(to));
        let mut fields = Fields::default();
        if from > to {
            fields.param("from", "must not be after `to`", view::date(from));
        } else if from.checked_add_days(LONGEST).is_some_and(|end| end < to) {
            fields.param("from", "a report is of 400 days at most", view::date(from));
        }
        fields.check().map(|()| (from, to))
    }
}

/// The first moment of a month, so many before that of `day`.
fn month(day: DateTime<Utc>, before: u32) -> DateTime<Utc> {
    let first = day.date_naive().with_day(1).and_then(|first| first.checked_sub_months(Months::new(before)));
    first.map_or(day, |first| first.and_time(NaiveTime::MIN).and_utc())
}

/// What was booked, by kind. Of the last month where nothing else is said.
#[utoipa::path(get, path = "/rest/transaction/report/invoice", operation_id = "GetTransactionInvoiceReport",
    tag = "transaction", params(Period), responses((status = 200, body = Envelope<model::Invoice>), Faults))]
async fn invoice(State(state): State<ApiState>, caller: Caller, Query(period): Query<Period>) -> Reply {
    let today = now();
    let (from, to) = period.or(month(today, 1), month(today, 0))?;
    let rows = state.store.transactions().report(caller.account(), from, to).await?;
    let rows = rows.iter().map(|row| json!({"ref_type": row.ref_type, "count": row.count, "amount": row.amount}));
    ok(json!({"from": view::date(from), "to": view::date(to), "report": rows.collect::<Vec<_>>()}))
}

/// What was booked of a kind, day by day (UTC). Of the last 30 days where nothing else is said.
#[utoipa::path(get, path = "/rest/transaction/report/dashboard/{ref_type}",
    operation_id = "GetTransactionDashboardReport", tag = "transaction",
    params(("ref_type" = String, Path, description = "What was charged, such as `sms_outgoing`"), Period),
    responses((status = 200, body = Envelope<model::Dashboard>), Faults))]
async fn dashboard(
    State(state): State<ApiState>,
    caller: Caller,
    path: Segments,
    Query(period): Query<Period>,
) -> Reply {
    let word = path.text("ref_type");
    let Ok(ref_type) = word.parse::<RefType>() else {
        let mut fields = Fields::default();
        fields.push("path.ref_type", "unknown kind of transaction", Value::from(word));
        return Err(AppError::Invalid(fields));
    };
    let today = now();
    let (from, to) = period.or(today.checked_sub_days(Days::new(30)).unwrap_or(today), today)?;
    let rows = state.store.transactions().daily(caller.account(), ref_type, from, to).await?;
    let rows = rows.iter().map(|row| json!({"date": row.date.to_string(), "count": row.count, "sum": row.sum}));
    let report = rows.collect::<Vec<_>>();
    ok(json!({"from": view::date(from), "to": view::date(to), "ref_type": ref_type, "report": report}))
}
