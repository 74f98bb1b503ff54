//! For balancers: is the process alive, does it take work.

use std::time::Duration;

use axum::extract::State;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::envelope::{Envelope, Reply, ok};
use crate::error::AppError;
use crate::state::ApiState;

/// How long the database may take to say that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// How it is.
#[derive(ToSchema)]
#[allow(dead_code)]
struct Health {
    #[schema(example = "ok")]
    state: String,
}

/// 200 while the process runs.
#[utoipa::path(get, path = "/rest/health/live", operation_id = "HealthLive", tag = "health", security(()),
    responses((status = 200, body = Envelope<Health>), (status = 429, body = crate::openapi::Error)))]
async fn live() -> Reply {
    ok(json!({"state": "ok"}))
}

/// 200 while the process takes new work: the database answers and nobody has asked it to end.
#[utoipa::path(get, path = "/rest/health/ready", operation_id = "HealthReady", tag = "health", security(()),
    responses((status = 200, body = Envelope<Health>), (status = 429, body = crate::openapi::Error),
        (status = 503, body = crate::openapi::Error)))]
async fn ready(State(state): State<ApiState>) -> Reply {
    let unavailable =
        |reason: &str| AppError::Unavailable { reason: reason.to_owned(), retry_after: Duration::from_secs(5) };
    if state.is_draining() {
        return Err(unavailable("draining"));
    }
    match tokio::time::timeout(PING_TIMEOUT, state.store.ping()).await {
        Ok(Ok(())) => ok(json!({"state": "ok"})),
        Ok(Err(error)) => {
            tracing::warn!(%error, "database is not ready");
            Err(unavailable("database does not answer"))
        }
        Err(_) => Err(unavailable("database does not answer")),
    }
}
