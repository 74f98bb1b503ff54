//! What a call looked like on the wire.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use opentact_engine::ports::{LegMessage, SipMessage};
use opentact_engine::trace::{ladder, pcap};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::call::one;
use crate::auth::Caller;
use crate::envelope::{Envelope, ok};
use crate::error::AppError;
use crate::extract::{Id, Query};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::types;

/// The registered type of a capture file.
const PCAP: &str = "application/vnd.tcpdump.pcap";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(trace))
}

#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
struct TraceQuery {
    /// `json` (the default), `ladder` (text for people) or `pcap` (a capture file).
    #[schema(schema_with = types::trace_format)]
    #[param(schema_with = types::trace_format)]
    format: Option<String>,
}

/// The SIP messages of a call and of the legs it dialled, and how their audio is.
///
/// Of the messages those that the node still keeps (`sip.trace_messages`, `sip.trace_bytes`), oldest first; of a dialled leg only its own.
/// Credentials are starred out. A capture file is also had by `Accept: application/vnd.tcpdump.pcap`.
#[utoipa::path(get, path = "/rest/call/{uuid}/trace", operation_id = "GetCallTrace", tag = "call",
    params(("uuid" = Uuid, Path), TraceQuery),
    responses((status = 200, content(
        (Envelope<model::CallTrace> = "application/json"),
        (String = "text/plain"),
        (Vec<u8> = "application/vnd.tcpdump.pcap"))), Faults))]
async fn trace(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    Query(query): Query<TraceQuery>,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let call = one(&state, &caller, uuid).await?;
    let messages = state.calls.trace(caller.account(), uuid).await?;
    let accepts_pcap =
        headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains(PCAP));
    let wire = || messages.iter().map(|traced| &traced.message);
    Ok(match query.format.as_deref() {
        Some("pcap") => ([(header::CONTENT_TYPE, PCAP)], pcap::write(wire())).into_response(),
        None if accepts_pcap => ([(header::CONTENT_TYPE, PCAP)], pcap::write(wire())).into_response(),
        Some("ladder") => lines(wire()).into_response(),
        _ => {
            let media = media(&call, state.calls.quality(caller.account(), uuid).await?);
            ok(json!({"sip": messages.iter().map(shape).collect::<Vec<_>>(), "media": media})).into_response()
        }
    })
}

/// How the audio is on each leg that is there, and was on each that has ended.
fn media(call: &Value, live: Vec<(Uuid, Value)>) -> Vec<Value> {
    let legs = std::iter::once(call).chain(call["children"].as_array().into_iter().flatten());
    let ended = legs.filter_map(|leg| Some((leg["uuid"].as_str()?.parse().ok()?, leg.get("media")?.clone())));
    let live = live.into_iter().map(|(leg, media)| (leg, media, true));
    let all = live.chain(ended.map(|(leg, media)| (leg, media, false)));
    all.map(|(leg, mut media, live)| {
        media["leg"] = json!(leg);
        media["live"] = json!(live);
        media
    })
    .collect()
}

fn shape(LegMessage { leg, message }: &LegMessage) -> Value {
    json!({
        "time": message.at,
        "direction": message.direction,
        "transport": message.transport,
        "local": message.local,
        "remote": message.remote,
        "summary": ladder::summary(message),
        "call_id": message.call_id,
        "leg": leg,
        "text": String::from_utf8_lossy(&message.octets),
    })
}

/// One line a message.
fn lines<'a>(messages: impl Iterator<Item = &'a SipMessage>) -> String {
    messages.map(|message| ladder::line(message) + "\n").collect()
}
