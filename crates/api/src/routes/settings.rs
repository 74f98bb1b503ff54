//! What a page must know before anybody has signed in.

use axum::extract::State;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::envelope::{Envelope, Reply, ok};
use crate::openapi::Faults;
use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(settings))
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct PublicSettings {
    auth: Vouchers,
}

/// Who vouches for users here; null who does not.
#[derive(ToSchema)]
#[allow(dead_code)]
struct Vouchers {
    google: Option<GoogleClient>,
    facebook: Option<FacebookApp>,
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct GoogleClient {
    client_id: String,
    #[schema(example = "email profile")]
    scope: String,
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct FacebookApp {
    app_id: String,
}

/// Ids of this installation for buttons that sign in elsewhere.
#[utoipa::path(get, path = "/rest/settings", operation_id = "GetSettings", tag = "settings", security(()),
    responses((status = 200, body = Envelope<PublicSettings>), Faults))]
async fn settings(State(state): State<ApiState>) -> Reply {
    let settings = &state.settings;
    let google =
        settings.google.as_ref().map(|google| json!({"client_id": google.client_id, "scope": "email profile"}));
    let facebook = settings.facebook.as_ref().map(|facebook| json!({"app_id": facebook.app_id}));
    ok(json!({"auth": {"google": google, "facebook": facebook}}))
}
