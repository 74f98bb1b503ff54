//! Calls: make one, run other XML on it, end it, look for it.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use opentact_engine::ports::{ControlError, FlowSource};
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

use super::amd_form::AmdForm;
use super::call_form::{CallForm, call_form};
use super::forms::{PageQuery, search_form};
use crate::auth::Caller;
use crate::csv;
use crate::envelope::{Envelope, Reply, created, ok};
use crate::error::{AppError, Fields};
use crate::expand;
use crate::extract::{Body, Check, Checked, FlowFile, FlowForm, FlowXml, Id, Query, flow_faults, has, parse_flow};
use crate::model;
use crate::openapi::{Faults, NoBalance};
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(originate))
        .routes(routes!(bridge))
        .routes(routes!(run_flow))
        .routes(routes!(online))
        .routes(routes!(find))
        .routes(routes!(get, hangup))
        .routes(routes!(logs))
        .routes(routes!(online_2021))
        .routes(routes!(find_2021))
        .routes(routes!(get_2021, run_flow_2021))
}

call_form! {
    struct MakeCall {
        /// Number, `sip:` URI or `user@domain`.
        #[serde(default, deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::destination, required = true)]
        to: Option<String>,
        /// What runs once the call is answered. One of these three; none parks the call.
        #[schema(min_length = 1)]
        xml: Option<String>,
        sip_control_app: Option<Uuid>,
        #[schema(schema_with = types::url)]
        call_flow_url: Option<String>,
        /// Finds out whether a human or a machine has answered.
        amd: Option<AmdForm>,
    }
}

impl Check for MakeCall {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        one_source(body, fields);
    }
}

/// One flow at most, and without faults where it is told.
pub(super) fn one_source(body: &Map<String, Value>, fields: &mut Fields) {
    let sources = ["xml", "sip_control_app", "call_flow_url"];
    for name in sources.into_iter().filter(|name| has(body, name)).skip(1) {
        fields.param(name, "only one of xml, sip_control_app and call_flow_url", Value::Null);
    }
    if let Some(xml) = body.get("xml").and_then(Value::as_str).filter(|xml| !xml.is_empty()) {
        flow_faults(xml, fields);
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
    let mut request = form.order(caller.account(), form.to.clone().unwrap_or_default(), flow);
    request.amd = form.amd.as_ref().map(|amd| amd.read(state.settings.amd));
    created(state.calls.originate(request).await?)
}

/// Whom to call.
#[derive(Debug, Deserialize, ToSchema)]
struct BridgeLeg {
    /// Number, `sip:` URI or `user@domain`.
    #[serde(default, deserialize_with = "types::text_or_number")]
    #[schema(schema_with = types::destination, required = true)]
    to: Option<String>,
}

call_form! {
    struct BridgeCalls {
        /// Two live calls to join, or `from_leg` and `to_leg`.
        #[schema(min_items = 2, max_items = 2)]
        calls: Option<Vec<Uuid>>,
        /// Who is called first.
        from_leg: Option<BridgeLeg>,
        /// Who is called once the first has answered, and joined with it.
        to_leg: Option<BridgeLeg>,
    }
}

impl Check for BridgeCalls {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        if !has(body, "calls") {
            for name in ["from_leg", "to_leg"].into_iter().filter(|name| !has(body, name)) {
                fields.param(name, "is required without calls", Value::Null);
            }
            return;
        }
        for name in body.keys().filter(|name| *name != "calls" && has(body, name)) {
            fields.param(name, "is for calls to be made, not for calls that live", Value::Null);
        }
        if let Some([one, other]) = body.get("calls").and_then(Value::as_array).map(Vec::as_slice)
            && one == other
        {
            fields.param("calls", "must be two different calls", one.clone());
        }
    }
}

/// Bridge two calls.
///
/// With `calls`, two live calls are joined in place of what they do: 200, and from then on one ends with the other. With
/// `from_leg` and `to_leg` both are called, the second once the first has answered: 201. The answer is the first call in
/// either case.
#[utoipa::path(post, path = "/rest/call/bridge", operation_id = "BridgeCalls", tag = "call", request_body = BridgeCalls,
    responses((status = 200, body = Envelope<model::Call>), (status = 201, body = Envelope<model::Call>), NoBalance, Faults))]
async fn bridge(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<BridgeCalls>) -> Reply {
    caller.enabled()?;
    if let Some(&[one, other]) = form.calls.as_deref() {
        return match state.calls.bridge(caller.account(), [one, other]).await {
            Err(ControlError::NotFound(_)) => Err(missing(&state, &caller, [one, other]).await),
            answer => ok(answer?),
        };
    }
    state.accepting()?;
    let to = |leg: &Option<BridgeLeg>| leg.as_ref().and_then(|leg| leg.to.clone()).unwrap_or_default();
    let flow = FlowSource::Dial { to: to(&form.to_leg), timeout: form.ring() };
    let request = form.order(caller.account(), to(&form.from_leg), flow);
    created(state.calls.originate(request).await.map_err(of_first_leg)?)
}

/// What is wrong with the first callee is wrong with `from_leg`.
fn of_first_leg(error: ControlError) -> ControlError {
    match error {
        ControlError::Invalid { field: "to", message, value } => {
            ControlError::Invalid { field: "from_leg.to", message, value }
        }
        other => other,
    }
}

/// Why one of two calls could not be joined: the first that is not in memory.
async fn missing(state: &ApiState, caller: &Caller, calls: [Uuid; 2]) -> AppError {
    for uuid in calls {
        match state.calls.get(caller.account(), uuid).await {
            Ok(Some(_)) => {}
            Ok(None) => return over(state, caller, uuid).await,
            Err(fault) => return fault.into(),
        }
    }
    AppError::Conflict("Call is not live".to_owned())
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
        /// Number of a batch.
        pub batch_item: Option<Uuid>,
    }
}

/// Columns of the log as CSV.
const COLUMNS: &[&str] = &[
    "uuid",
    "created_on",
    "direction",
    "type",
    "from",
    "to",
    "state",
    "duration",
    "init_on",
    "ring_on",
    "answer_on",
    "hangup_on",
    "q850_cause",
    "q850_cause_string",
    "thread",
];

async fn search(
    state: &ApiState,
    caller: &Caller,
    headers: &HeaderMap,
    form: CallSearch,
    query: &PageQuery,
) -> Result<Response, AppError> {
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
        batch_item: form.batch_item,
    };
    let page = |search| {
        let (store, account, filter) = (state.store.clone(), caller.account.clone(), filter.clone());
        async move {
            let found = store.calls().search(account.uuid, filter, search).await?;
            Ok(expand::calls(&account, found))
        }
    };
    if csv::is_wanted(headers) {
        return csv::export(COLUMNS, form.take.or(query.take), search, page).await;
    }
    Ok(ok(view::found(page(search).await?))?.into_response())
}

/// Search the call log; as CSV with `Accept: text/csv`.
#[utoipa::path(post, path = "/rest/call/search", operation_id = "SearchCalls", tag = "call", params(PageQuery),
    request_body = CallSearch, responses((status = 200, body = Envelope<model::Page<model::Call>>), Faults))]
async fn find(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
    Body(form): Body<CallSearch>,
) -> Result<Response, AppError> {
    search(&state, &caller, &headers, form, &query).await
}

/// Search the call log, as CSV with `Accept: text/csv`; the 2021 path.
#[utoipa::path(post, path = "/rest/sip/app/call/search", operation_id = "SearchSCACalls", tag = "call", params(PageQuery),
    request_body = CallSearch, responses((status = 200, body = Envelope<model::Page<model::Call>>), Faults))]
async fn find_2021(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
    Body(form): Body<CallSearch>,
) -> Result<Response, AppError> {
    search(&state, &caller, &headers, form, &query).await
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
