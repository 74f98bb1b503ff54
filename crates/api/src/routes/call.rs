//! Calls: make one, run other XML on it, end it, look for it.

use std::time::Duration;

use axum::extract::State;
use opentact_engine::ports::{ControlError, FlowSource, Originate};
use opentact_events::view;
use opentact_store::StoreError;
use opentact_store::calls::{CallFilter, CallRecord};
use opentact_store::types::{CallState, CallType, Direction};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::{PageQuery, search_form};
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, created, ok};
use crate::error::{AppError, Fields};
use crate::expand;
use crate::extract::{
    Body, Check, Checked, FlowFile, FlowForm, FlowXml, Id, Query, flow_faults, has, parse_flow, refuse,
};
use crate::model;
use crate::openapi::{Faults, NoBalance};
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(originate))
        .routes(routes!(run_flow))
        .routes(routes!(online))
        .routes(routes!(find))
        .routes(routes!(get, hangup))
        .routes(routes!(logs))
        .routes(routes!(online_2021))
        .routes(routes!(find_2021))
        .routes(routes!(get_2021, run_flow_2021))
}

/// Longest a callee may be rung.
const MAX_TIMEOUT: u64 = 600;

#[derive(Debug, Deserialize, ToSchema)]
struct MakeCall {
    /// Number, `sip:` URI or `user@domain`.
    #[serde(default, deserialize_with = "types::text_or_number")]
    #[schema(schema_with = types::destination, required = true)]
    to: Option<String>,
    /// Caller number; one of the account's, else the outbound voice profile's is used.
    #[serde(default, deserialize_with = "types::text_or_number")]
    #[schema(schema_with = types::destination)]
    from: Option<String>,
    /// The caller number by its lease.
    tn_lease: Option<Uuid>,
    outbound_voice_profile: Option<Uuid>,
    sip_connection: Option<Uuid>,
    /// What runs once the call is answered. One of these three; none parks the call.
    #[schema(min_length = 1)]
    xml: Option<String>,
    sip_control_app: Option<Uuid>,
    #[schema(schema_with = types::url)]
    call_flow_url: Option<String>,
    /// Seconds the callee may ring, default 60.
    #[schema(minimum = 1, maximum = 600)]
    timeout: Option<u64>,
    /// Seconds the call may last.
    #[schema(minimum = 1, maximum = 86_400)]
    max_length: Option<u64>,
    /// Variables of the flow: `{{meta.NAME}}`.
    #[serde(default)]
    #[schema(schema_with = types::any_object)]
    meta: Map<String, Value>,
}

impl Check for MakeCall {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        let sources = ["xml", "sip_control_app", "call_flow_url"];
        for name in sources.into_iter().filter(|name| has(body, name)).skip(1) {
            fields.param(name, "only one of xml, sip_control_app and call_flow_url", Value::Null);
        }
        if let Some(xml) = body.get("xml").and_then(Value::as_str).filter(|xml| !xml.is_empty()) {
            flow_faults(xml, fields);
        }
        refuse(body, &["amd", "record"], fields);
    }
}

impl MakeCall {
    fn flow(&self) -> Result<FlowSource, AppError> {
        Ok(match (&self.xml, self.sip_control_app, &self.call_flow_url) {
            (Some(xml), _, _) => FlowSource::Document(parse_flow(xml)?),
            (_, Some(app), _) => FlowSource::App(app),
            (_, _, Some(url)) => FlowSource::Url(url.clone()),
            _ => FlowSource::Park,
        })
    }
}

/// Make a single call.
///
/// The answer is the call in state `init`; what becomes of it is told by `call_state` events.
#[utoipa::path(post, path = "/rest/call", operation_id = "MakeCall", tag = "call", request_body = MakeCall,
    responses((status = 201, body = Envelope<model::Call>), NoBalance, Faults))]
async fn originate(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<MakeCall>) -> Reply {
    caller.enabled()?;
    state.accepting()?;
    let flow = form.flow()?;
    if let Some(app) = form.sip_control_app {
        visible(&state, &caller, app, state.store.apps().get(caller.account(), app).await).await?;
    }
    let request = Originate {
        account: caller.account(),
        to: form.to.unwrap_or_default(),
        from: form.from,
        tn_lease: form.tn_lease,
        outbound_voice_profile: form.outbound_voice_profile,
        sip_connection: form.sip_connection,
        flow,
        timeout: Duration::from_secs(form.timeout.unwrap_or(60).min(MAX_TIMEOUT)),
        max_length: form.max_length.map(Duration::from_secs),
        meta: form.meta,
    };
    created(state.calls.originate(request).await?)
}

async fn run(state: &ApiState, caller: &Caller, uuid: Uuid, xml: &FlowXml) -> Reply {
    let document = xml.parse()?;
    match state.calls.run_flow(caller.account(), uuid, document).await {
        Err(ControlError::NotFound(_)) => Err(over(state, caller, uuid).await),
        answer => ok(answer?),
    }
}

/// Why a call that is not in memory takes no orders: it has ended, or there never was one.
async fn over(state: &ApiState, caller: &Caller, uuid: Uuid) -> AppError {
    match past(state, caller, uuid).await {
        Ok(_) => AppError::Conflict("Call is not live".to_owned()),
        Err(fault) => fault,
    }
}

/// Run XML on a live call in place of what is running.
#[utoipa::path(post, path = "/rest/call/sca/{uuid}", operation_id = "ExecuteCallFlow", tag = "call",
    params(("uuid" = Uuid, Path, description = "The call")),
    request_body(content((String = "application/xml"), (FlowForm = "application/json"), (FlowFile = "multipart/form-data"))),
    responses((status = 200, body = Envelope<model::Call>), Faults))]
async fn run_flow(State(state): State<ApiState>, caller: Caller, Id(uuid): Id, xml: FlowXml) -> Reply {
    run(&state, &caller, uuid, &xml).await
}

/// Run XML on a live call; the 2021 path.
#[utoipa::path(post, path = "/rest/sip/app/call/{uuid}", operation_id = "ExecuteSIPControlAppCallExecuteCallFlow",
    tag = "call", params(("uuid" = Uuid, Path, description = "The call")),
    request_body(content((String = "application/xml"), (FlowForm = "application/json"), (FlowFile = "multipart/form-data"))),
    responses((status = 200, body = Envelope<model::Call>), Faults))]
async fn run_flow_2021(State(state): State<ApiState>, caller: Caller, Id(uuid): Id, xml: FlowXml) -> Reply {
    run(&state, &caller, uuid, &xml).await
}

async fn list_online(state: &ApiState, caller: &Caller) -> Reply {
    ok(state.calls.online(caller.account()).await?)
}

/// Calls that are not yet destroyed.
#[utoipa::path(get, path = "/rest/call/online", operation_id = "ListOnlineCalls", tag = "call",
    responses((status = 200, body = Envelope<Vec<model::Call>>), Faults))]
async fn online(State(state): State<ApiState>, caller: Caller) -> Reply {
    list_online(&state, &caller).await
}

/// Calls that are not yet destroyed; the 2021 path.
#[utoipa::path(get, path = "/rest/sip/app/call/online", operation_id = "GetSIPControlAppCallsList", tag = "call",
    responses((status = 200, body = Envelope<Vec<model::Call>>), Faults))]
async fn online_2021(State(state): State<ApiState>, caller: Caller) -> Reply {
    list_online(&state, &caller).await
}

search_form! {
    /// Filters of the call log.
    pub struct CallSearch {
        #[schema(schema_with = types::direction)]
        pub direction: Option<Direction>,
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub from: Option<String>,
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub to: Option<String>,
        /// The account's own number.
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub tn: Option<String>,
        /// Also `online` and `offline`, as in 2021.
        #[schema(schema_with = types::call_state_filter)]
        pub state: Option<String>,
        #[schema(schema_with = types::call_type)]
        pub r#type: Option<CallType>,
        /// Seconds.
        #[schema(minimum = 0)]
        pub duration_min: Option<i64>,
        /// Seconds.
        #[schema(minimum = 0)]
        pub duration_max: Option<i64>,
        pub sip_control_app: Option<Uuid>,
    }
}

async fn search(state: &ApiState, caller: &Caller, form: CallSearch, query: &PageQuery) -> Reply {
    let search = form.search(query)?;
    let filter = CallFilter {
        direction: form.direction,
        from: form.from,
        to: form.to,
        tn: form.tn,
        state: form.state.as_deref().and_then(|word| word.parse::<CallState>().ok()),
        online: match form.state.as_deref() {
            Some("online") => Some(true),
            Some("offline") => Some(false),
            _ => None,
        },
        kind: form.r#type,
        duration_min: form.duration_min,
        duration_max: form.duration_max,
        sip_control_app: form.sip_control_app,
    };
    let found = state.store.calls().search(caller.account(), filter, search).await?;
    ok(view::found(expand::calls(&caller.account, found)))
}

/// Search the call log.
#[utoipa::path(post, path = "/rest/call/search", operation_id = "SearchCalls", tag = "call", params(PageQuery),
    request_body = CallSearch, responses((status = 200, body = Envelope<model::Page<model::Call>>), Faults))]
async fn find(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<CallSearch>,
) -> Reply {
    search(&state, &caller, form, &query).await
}

/// Search the call log; the 2021 path.
#[utoipa::path(post, path = "/rest/sip/app/call/search", operation_id = "SearchSCACalls", tag = "call", params(PageQuery),
    request_body = CallSearch, responses((status = 200, body = Envelope<model::Page<model::Call>>), Faults))]
async fn find_2021(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<CallSearch>,
) -> Reply {
    search(&state, &caller, form, &query).await
}

/// The record of a call. One that has just ended may still be on its way to disk: what waits is written first.
async fn past(state: &ApiState, caller: &Caller, uuid: Uuid) -> Result<CallRecord, AppError> {
    let mut found = state.store.calls().get(caller.account(), uuid).await;
    if matches!(found, Err(StoreError::NotFound(_))) {
        state.hub.flush().await;
        found = state.store.calls().get(caller.account(), uuid).await;
    }
    visible(state, caller, uuid, found).await
}

/// The live call, else its record.
pub(super) async fn one(state: &ApiState, caller: &Caller, uuid: Uuid) -> Result<Value, AppError> {
    if let Some(call) = state.calls.get(caller.account(), uuid).await? {
        return Ok(call);
    }
    let record = past(state, caller, uuid).await?;
    Ok(expand::call(&state.store, &caller.account, &record).await?)
}

/// One call, live or past.
#[utoipa::path(get, path = "/rest/call/{uuid}", operation_id = "GetCall", tag = "call", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::Call>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    ok(one(&state, &caller, uuid).await?)
}

/// One call, live or past; the 2021 path.
#[utoipa::path(get, path = "/rest/sip/app/call/{uuid}", operation_id = "GetSIPControlAppCall", tag = "call",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Call>), Faults))]
async fn get_2021(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    ok(one(&state, &caller, uuid).await?)
}

#[derive(Debug, Deserialize, ToSchema)]
struct HangupForm {
    /// Q.850 cause, default 16 (normal call clearing).
    #[schema(minimum = 1, maximum = 127)]
    cause: Option<u8>,
}

#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
struct HangupQuery {
    /// As in the body, for clients that send none with DELETE.
    #[schema(minimum = 1, maximum = 127)]
    #[param(minimum = 1, maximum = 127)]
    cause: Option<u8>,
}

/// End a call.
#[utoipa::path(delete, path = "/rest/call/{uuid}", operation_id = "HangupCall", tag = "call",
    params(("uuid" = Uuid, Path), HangupQuery), request_body = HangupForm,
    responses((status = 200, body = Envelope<model::Call>), Faults))]
async fn hangup(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    Query(query): Query<HangupQuery>,
    Body(form): Body<HangupForm>,
) -> Reply {
    match state.calls.hangup(caller.account(), uuid, form.cause.or(query.cause)).await {
        Err(ControlError::NotFound(_)) => Err(over(&state, &caller, uuid).await),
        answer => ok(answer?),
    }
}

/// The elements that a call executed, in order.
#[utoipa::path(get, path = "/rest/call/{uuid}/logs", operation_id = "GetCallLogs", tag = "call",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<Vec<model::CallFlowLog>>), Faults))]
async fn logs(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    one(&state, &caller, uuid).await?;
    let logs = state.store.calls().logs(caller.account(), uuid).await?;
    ok(logs.iter().map(view::flow_log).collect::<Vec<_>>())
}
