//! The LERG: uploaded by the operator, read by all.

use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::extract::{CsvFile, FlowFile, Query};
use crate::lerg::Upload;
use crate::openapi::Faults;
use crate::state::ApiState;

#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfCountry {
    /// ISO 3166 alpha-2; US where it is left out.
    #[schema(min_length = 2, max_length = 2)]
    #[param(min_length = 2, max_length = 2)]
    country: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfState {
    /// Two letters.
    #[schema(min_length = 2, max_length = 2)]
    #[param(min_length = 2, max_length = 2)]
    state: String,
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct Progress {
    is_running: bool,
    upload: Upload,
}

/// States and provinces of which there are rate centers.
#[utoipa::path(get, path = "/rest/dict/lerg/states", operation_id = "ListDictLERGStates", tag = "dictionary",
    params(OfCountry), responses((status = 200, body = Envelope<Vec<String>>), Faults))]
pub(super) async fn states(State(state): State<ApiState>, _: Caller, Query(query): Query<OfCountry>) -> Reply {
    let country = query.country.unwrap_or_else(|| "US".to_owned()).to_ascii_uppercase();
    ok(state.store.lerg().states(&country).await?)
}

/// Rate centers of a state or province.
#[utoipa::path(get, path = "/rest/dict/lerg/ratecenters", operation_id = "ListDictLERGRatecenters", tag = "dictionary",
    params(OfState), responses((status = 200, body = Envelope<Vec<String>>), Faults))]
pub(super) async fn rate_centers(State(state): State<ApiState>, _: Caller, Query(query): Query<OfState>) -> Reply {
    ok(state.store.lerg().rate_centers(&query.state.to_ascii_uppercase()).await?)
}

/// Upload where blocks of numbers are, as CSV; for Admins of service accounts.
///
/// The first line names the columns: `npa`, `nxx`, `state`, `rate_center`, and as wanted `block` (`A` or the thousands
/// digit), `country`, `lata`, `ocn`, `carrier`, `county`. What is known of a block already is replaced; wrong lines are left out.
#[utoipa::path(post, path = "/rest/dict/lerg", operation_id = "UploadDictLERG", tag = "dictionary",
    request_body(content((FlowFile = "multipart/form-data"), (String = "text/csv"))),
    responses((status = 200, body = Envelope<Upload>), Faults))]
pub(super) async fn upload(State(state): State<ApiState>, caller: Caller, CsvFile(text): CsvFile) -> Reply {
    caller.operates()?;
    ok(json!(state.lerg.take(&state.store, &text).await?))
}

/// How far the upload is that runs on this node, else how the last went; for Admins of service accounts.
#[utoipa::path(get, path = "/rest/dict/lerg", operation_id = "GetDictLERGUpload", tag = "dictionary",
    responses((status = 200, body = Envelope<Progress>), Faults))]
pub(super) async fn progress(State(state): State<ApiState>, caller: Caller) -> Reply {
    caller.operates()?;
    let (is_running, upload) = state.lerg.progress();
    ok(json!({"is_running": is_running, "upload": upload}))
}
