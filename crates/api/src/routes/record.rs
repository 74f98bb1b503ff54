//! Recordings: search, read, delete; their files, wherever they are.

use std::time::Duration;

use axum::body::Body as Octets;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use opentact_engine::recordings::{ArchiveError, Source};
use opentact_events::view;
use opentact_store::StoreError;
use opentact_store::records::{Record, RecordFilter};
use opentact_store::types::{RecordFormat, RecordState};
use serde_json::json;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::{PageQuery, search_form};
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, etag, ok};
use crate::error::AppError;
use crate::extract::{Body, Id, Query};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(find))
        .routes(routes!(get, delete))
        .routes(routes!(file))
        .routes(routes!(transcript))
}

search_form! {
    /// Filters of recordings.
    pub struct RecordSearch {
        pub call: Option<Uuid>,
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub tag: Option<String>,
        #[schema(schema_with = types::record_state)]
        pub state: Option<RecordState>,
        #[schema(schema_with = types::record_format)]
        pub format: Option<RecordFormat>,
        /// Seconds.
        #[schema(minimum = 0)]
        pub duration_min: Option<i64>,
        /// Seconds.
        #[schema(minimum = 0)]
        pub duration_max: Option<i64>,
    }
}

/// Search recordings.
#[utoipa::path(post, path = "/rest/record/search", operation_id = "SearchRecords", tag = "record", params(PageQuery),
    request_body = RecordSearch, responses((status = 200, body = Envelope<model::Page<model::Record>>), Faults))]
async fn find(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<RecordSearch>,
) -> Reply {
    let search = form.search(&query)?;
    let RecordSearch { call, tag, state: is, format, duration_min, duration_max, .. } = form;
    let filter = RecordFilter { call, tag, state: is, format, duration_min, duration_max };
    let found = state.store.records().search(caller.account(), filter, search).await?;
    ok(view::found(found.map(|record| view::record(&record))))
}

/// A recording.
#[utoipa::path(get, path = "/rest/record/{uuid}", operation_id = "GetRecord", tag = "record",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Record>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    ok(view::record(&one(&state, &caller, uuid).await?))
}

/// Delete a recording and its file, wherever that is. One that is being recorded: 409.
#[utoipa::path(delete, path = "/rest/record/{uuid}", operation_id = "DeleteRecord", tag = "record",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Record>), Faults))]
async fn delete(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let record = one(&state, &caller, uuid).await?;
    if record.state == RecordState::Recording {
        return Err(AppError::Conflict("Record is being recorded".to_owned()));
    }
    state.archive.delete(&record).await.map_err(away)?;
    state.store.records().delete(caller.account(), uuid).await?;
    ok(view::record(&record))
}

/// The file of a recording, WAV or MP3. Range requests (RFC 9110 14) are answered with 206.
#[utoipa::path(get, path = "/rest/record/{uuid}/file", operation_id = "GetRecordFile", tag = "record",
    params(IfMatch, IfNoneMatch, ("uuid" = Uuid, Path)),
    responses((status = 200, content_type = "audio/wav", body = Vec<u8>), (status = 206, content_type = "audio/wav", body = Vec<u8>),
        (status = 416, description = "The file has no such range"), Faults))]
async fn file(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    request: Request,
) -> Result<Response, AppError> {
    let record = one(&state, &caller, uuid).await?;
    if record.state == RecordState::Failed {
        return Err(AppError::NotFound("Record"));
    }
    match state.archive.find(&record).await.map_err(away)? {
        Source::File(path) => {
            let response = match ServeFile::new(path).oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            Ok(response.map(Octets::new).into_response())
        }
        Source::Object => from_store(&state, &record, &if_match, request.headers()).await,
    }
}

/// What a recording says that was made with `asr`. 404 of one that was not.
#[utoipa::path(get, path = "/rest/record/{uuid}/transcript", operation_id = "GetRecordTranscript", tag = "record",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Transcript>), Faults))]
async fn transcript(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let record = one(&state, &caller, uuid).await?;
    let transcript = state.store.transcripts().of_record(caller.account(), uuid).await?;
    ok(view::transcript(&transcript, &record))
}

/// The account's recording. One that has just ended may still be on its way to disk: what waits is written first.
async fn one(state: &ApiState, caller: &Caller, uuid: Uuid) -> Result<Record, AppError> {
    let mut found = state.store.records().get(caller.account(), uuid).await;
    if matches!(found, Err(StoreError::NotFound(_))) {
        state.hub.flush().await;
        found = state.store.records().get(caller.account(), uuid).await;
    }
    visible(state, caller, uuid, found).await
}

/// The file, or the part of it that is asked for; several parts at once are answered with the whole.
async fn from_store(
    state: &ApiState,
    record: &Record,
    if_match: &IfMatch,
    headers: &HeaderMap,
) -> Result<Response, AppError> {
    let size = u64::try_from(record.size).unwrap_or(0);
    // A recording that is uploaded does not change any more.
    let version = json!([record.uuid, size]);
    if_match.check(&version)?;
    let response = Response::builder().header(header::ACCEPT_RANGES, "bytes").header(header::ETAG, etag(&version));
    let mut response = response.header(
        header::CONTENT_TYPE,
        match record.format {
            RecordFormat::Wav => "audio/wav",
            RecordFormat::Mp3 => "audio/mpeg",
        },
    );
    let asked =
        headers.get(header::RANGE).and_then(|range| http_range_header::parse_range_header(range.to_str().ok()?).ok());
    let range = match asked.map(|ranges| ranges.validate(size)) {
        None => 0..size,
        Some(Ok(ranges)) if ranges.len() == 1 => {
            let (first, last) = (*ranges[0].start(), *ranges[0].end());
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}"));
            first..last + 1
        }
        Some(Ok(_)) => 0..size,
        Some(Err(_)) => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                response.headers_mut().insert(header::CONTENT_RANGE, value);
            }
            return Ok(response);
        }
    };
    let octets = state.archive.read(record, range.clone()).await.map_err(away)?;
    response
        .header(header::CONTENT_LENGTH, range.end - range.start)
        .body(Octets::from_stream(octets))
        .map_err(|error| AppError::Internal(error.to_string()))
}

fn away(error: ArchiveError) -> AppError {
    match error {
        ArchiveError::Gone => AppError::NotFound("Record"),
        ArchiveError::Store(_) => {
            tracing::warn!(%error, "a recording cannot be read or deleted");
            let reason = "The object store cannot be reached".to_owned();
            AppError::Unavailable { reason, retry_after: Duration::from_secs(30) }
        }
        ArchiveError::File(_) | ArchiveError::Url(_) => AppError::Internal(error.to_string()),
    }
}
