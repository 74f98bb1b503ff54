//! The account's event log, for replay.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::error::AppError;
use crate::extract::Query;
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(log))
}

#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// `seq` of the last event known; 0 or none begins with the first.
    #[schema(minimum = 0)]
    #[param(minimum = 0)]
    after: Option<u64>,
    /// Default 100.
    #[schema(minimum = 1, maximum = 1000)]
    #[param(minimum = 1, maximum = 1000)]
    take: Option<u64>,
}

/// Events after a sequence number, oldest first.
#[utoipa::path(get, path = "/rest/event", operation_id = "ListEvents", tag = "event", params(LogQuery),
    responses((status = 200, body = Envelope<model::EventLog>), Faults))]
async fn log(State(state): State<ApiState>, caller: Caller, Query(query): Query<LogQuery>) -> Reply {
    let take = query.take.unwrap_or(100);
    let after = i64::try_from(query.after.unwrap_or(0)).unwrap_or(i64::MAX);
    let events = state.hub.replay(caller.account(), after, take).await?;
    let more = events.len() as u64 == take;
    let next = events.last().filter(|_| more).map(|event| event.seq);
    let data = events.iter().map(|event| serde_json::from_str::<Value>(&event.body));
    let data =
        data.collect::<Result<Vec<_>, _>>().map_err(|error| AppError::Internal(format!("event log: {error}")))?;
    ok(json!({"data": data, "next": next}))
}
