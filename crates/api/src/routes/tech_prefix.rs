//! By what prefix calls of a domain to a number are told.

use axum::extract::State;
use opentact_store::types::Tn;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::sip_domain;
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::error::{AppError, Fields};
use crate::extract::Segments;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get))
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct TechPrefixRoute {
    #[schema(schema_with = types::tn_out)]
    tn: u64,
    domain: String,
    #[schema(minimum = 100_000, maximum = 999_999)]
    tech_prefix: i64,
}

/// The tech prefix of what a call of a domain to a number goes through.
///
/// A number of the account: the SIP connection or app that its calls go to. Any other: the outbound voice profile of the domain.
/// 404 where there is none.
#[utoipa::path(get, path = "/rest/sip/tech_prefix/{tn}/{domain}", operation_id = "GetTechPrefixRoute", tag = "sip domain",
    params(("tn" = String, Path, pattern = r"^\+?[1-9][0-9]{6,14}$", example = "12017771234"),
        ("domain" = String, Path, description = "Label or full name")),
    responses((status = 200, body = Envelope<TechPrefixRoute>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let named = path.text("tn");
    let tn: Tn = named.parse().map_err(|_| {
        let mut fields = Fields::default();
        fields.push("path.tn", "must be a telephone number with country code", json!(named));
        AppError::Invalid(fields)
    })?;
    let domain = sip_domain::find(&state, &caller, path.text("domain")).await?;
    let (account, store) = (caller.account(), &state.store);
    let lease = store.numbers().active_lease(tn).await?.filter(|lease| lease.account == account);
    let prefix = match lease {
        Some(lease) => match (lease.sip_connection, lease.sip_control_app) {
            (Some(connection), _) => store.connections().get(account, connection).await?.tech_prefix,
            (None, Some(app)) => store.apps().get(account, app).await?.tech_prefix,
            (None, None) => return Err(AppError::NotFound("Tech prefix")),
        },
        None => {
            let profile: Uuid = domain.outbound_voice_profile.ok_or(AppError::NotFound("Tech prefix"))?;
            store.voice_profiles().get(account, profile).await?.tech_prefix
        }
    };
    ok(json!({"tn": tn, "domain": domain.domain, "tech_prefix": prefix}))
}
