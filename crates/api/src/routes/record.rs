//! Recordings. So far their files, as `call_record` events name them; search and deletion come with the recordings' table.

use std::path::PathBuf;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::error::AppError;
use crate::extract::Id;
use crate::openapi::Faults;
use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(file))
}

/// The WAV file of a recording. Range requests (RFC 9110 14) are answered with 206.
#[utoipa::path(get, path = "/rest/record/{uuid}/file", operation_id = "GetRecordFile", tag = "record",
    params(("uuid" = Uuid, Path)),
    responses((status = 200, content_type = "audio/wav", body = Vec<u8>), (status = 206, content_type = "audio/wav", body = Vec<u8>), Faults))]
async fn file(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    request: Request,
) -> Result<Response, AppError> {
    // Files lie in their account's folder: another account's are not found.
    let folder: PathBuf = state.settings.recordings.join(caller.account().to_string());
    let path = folder.join(format!("{uuid}.wav"));
    let response = match ServeFile::new(path).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if response.status() == StatusCode::NOT_FOUND {
        return Err(AppError::NotFound("Record"));
    }
    Ok(response.map(Body::new).into_response())
}
