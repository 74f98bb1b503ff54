//! Messages: send, read, look for.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::HeaderMap;
use opentact_engine::ports::{ControlError, PreviewMessage, SendMessage, Sender};
use opentact_events::view;
use opentact_store::sms::{Sms, SmsFilter};
use opentact_store::types::{Priority, SmsState, SmsType, Tn};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::{PageQuery, search_form};
use super::lease;
use crate::auth::Caller;
use crate::csv;
use crate::envelope::{Envelope, Reply, created, ok};
use crate::error::{AppError, Fields};
use crate::expand;
use crate::extract::{Body, Check, Checked, Id, Query, has, refuse};
use crate::model;
use crate::openapi::{Faults, NoBalance};
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(send))
        .routes(routes!(send_alias))
        .routes(routes!(find))
        .routes(routes!(find_outbound))
        .routes(routes!(find_inbound))
        .routes(routes!(preview))
        .routes(routes!(queue))
        .routes(routes!(get, cancel))
        .routes(routes!(get_outbound))
        .routes(routes!(get_inbound, modify_inbound))
}

/// Recipients of one request.
const MAX_RECIPIENTS: usize = 100;

#[derive(Debug, Deserialize, ToSchema)]
struct SendSms {
    /// The account's number to send from.
    #[schema(schema_with = types::tn)]
    from: Option<Tn>,
    /// The same, as 2021 clients call it.
    #[schema(schema_with = types::tn)]
    tn: Option<Tn>,
    /// In place of `from`: one of the numbers of this messaging profile sends it.
    messaging_profile: Option<Uuid>,
    /// One recipient, or a list of at most 100.
    #[schema(schema_with = recipients)]
    to: Value,
    /// The text: 6 segments at most.
    #[schema(min_length = 1, max_length = 918)]
    message: Option<String>,
    /// The same.
    #[schema(min_length = 1, max_length = 918)]
    text: Option<String>,
    /// Told of the message's state instead of the messaging profile's URLs.
    #[schema(schema_with = types::callback_url)]
    custom_callback_url: Option<String>,
    /// Not to be sent before; at most 90 days ahead.
    send_at: Option<DateTime<Utc>>,
    /// Seconds it may wait to be handed over, from `send_at` on where that is given.
    #[schema(minimum = 1, maximum = 604_800)]
    validity: Option<u64>,
    /// What is sent first when much waits; `normal` when left out.
    #[schema(schema_with = types::priority)]
    priority: Option<Priority>,
}

fn recipients() -> utoipa::openapi::schema::Schema {
    use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder, Schema};
    let list = ArrayBuilder::new().items(types::tn()).min_items(Some(1)).max_items(Some(MAX_RECIPIENTS));
    Schema::OneOf(OneOfBuilder::new().item(types::tn()).item(list).build())
}

impl Check for SendSms {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        check_sender_and_text(body, fields);
        refuse(body, &["media_urls"], fields);
    }
}

fn check_sender_and_text(body: &Map<String, Value>, fields: &mut Fields) {
    let senders = ["from", "tn", "messaging_profile"].iter().filter(|name| has(body, name)).count();
    if senders == 0 {
        fields.param("from", "is required", Value::Null);
    }
    if senders > 1 && has(body, "messaging_profile") {
        fields.param("messaging_profile", "cannot stand beside from", body["messaging_profile"].clone());
    }
    if !has(body, "message") && !has(body, "text") {
        fields.param("message", "is required", Value::Null);
    }
}

/// Whom a message is from.
fn sender(from: Option<Tn>, profile: Option<Uuid>) -> Result<Sender, AppError> {
    match (from, profile) {
        (Some(from), _) => Ok(Sender::Number(from.get())),
        (None, Some(profile)) => Ok(Sender::Pool(profile)),
        (None, None) => Err(AppError::param("from", "is required", Value::Null)),
    }
}

fn read_recipients(to: Value) -> Result<Vec<Tn>, AppError> {
    let list = match to {
        Value::Null => Vec::new(),
        Value::Array(list) => list,
        one => vec![one],
    };
    let read = |one: Value| {
        serde_json::from_value::<Tn>(one.clone()).map_err(|error| AppError::param("to", error.to_string(), one))
    };
    list.into_iter().map(read).collect()
}

/// 402 and 403 of a message also carry the product's code.
fn refused(error: ControlError) -> AppError {
    match error {
        ControlError::InsufficientBalance => AppError::InsufficientBalance { code: Some(405) },
        other => other.into(),
    }
}

async fn submit(state: &ApiState, caller: &Caller, form: SendSms) -> Reply {
    caller.enabled()?;
    state.accepting()?;
    let many = form.to.is_array();
    let to = read_recipients(form.to)?;
    let from = sender(form.from.or(form.tn), form.messaging_profile)?;
    known_sender(state, caller, from).await?;
    let text = form.message.or(form.text);
    let request = SendMessage {
        account: caller.account(),
        created_by: caller.by(),
        from,
        to: to.iter().map(|tn| tn.get()).collect(),
        text: text.ok_or_else(|| AppError::param("message", "is required", Value::Null))?,
        custom_callback_url: form.custom_callback_url,
        send_at: form.send_at,
        validity: form.validity.map(Duration::from_secs),
        priority: form.priority.unwrap_or(Priority::Normal),
        submits: Vec::new(),
    };
    let mut results = state.messages.send(request).await.map_err(refused)?;
    if !many {
        return match results.pop() {
            Some(result) => created(result.map_err(refused)?),
            None => Err(AppError::Internal("no result for the recipient".to_owned())),
        };
    }
    // One result each: what one recipient is refused for must not hide that the others were sent to.
    let results: Vec<Value> = results
        .into_iter()
        .zip(to)
        .map(|(result, to)| match result {
            Ok(sms) => sms,
            Err(error) => {
                let error = refused(error);
                json!({"to": to, "state": "failed", "reason": error.to_string(), "status": error.status().as_u16()})
            }
        })
        .collect();
    created(results)
}

/// What is not the account's is 401 or 404, as everywhere.
async fn known_sender(state: &ApiState, caller: &Caller, from: Sender) -> Result<(), AppError> {
    match from {
        Sender::Number(number) => {
            let number = Tn::new(number).map_err(|error| AppError::param("from", error.to_string(), number))?;
            lease::by_number(state, caller, number).await?;
        }
        Sender::Pool(profile) => {
            let found = state.store.messaging_profiles().get(caller.account(), profile).await;
            visible(state, caller, profile, found).await?;
        }
    }
    Ok(())
}

/// Send a message.
#[utoipa::path(post, path = "/rest/sms", operation_id = "SendSMS", tag = "sms", request_body = SendSms,
    responses((status = 201, body = Envelope<model::SmsSent>), NoBalance, Faults))]
async fn send(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<SendSms>) -> Reply {
    submit(&state, &caller, form).await
}

/// Send a message; another path of the same.
#[utoipa::path(post, path = "/rest/sms/o", operation_id = "SendOutboundSMS", tag = "sms", request_body = SendSms,
    responses((status = 201, body = Envelope<model::SmsSent>), NoBalance, Faults))]
async fn send_alias(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<SendSms>) -> Reply {
    submit(&state, &caller, form).await
}

#[derive(Debug, Deserialize, ToSchema)]
struct PreviewSms {
    /// The account's number to send from.
    #[schema(schema_with = types::tn)]
    from: Option<Tn>,
    #[schema(schema_with = types::tn)]
    tn: Option<Tn>,
    /// In place of `from`; of its numbers the dearest counts.
    messaging_profile: Option<Uuid>,
    /// Recipients, of which only the number counts.
    #[serde(default)]
    #[schema(schema_with = recipients, required = false)]
    to: Value,
    /// The text, of any number of segments.
    #[schema(min_length = 1, max_length = 40_000)]
    message: Option<String>,
    #[schema(min_length = 1, max_length = 40_000)]
    text: Option<String>,
}

impl Check for PreviewSms {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        check_sender_and_text(body, fields);
    }
}

/// Look at what a message would be cut into and cost.
#[utoipa::path(post, path = "/rest/sms/preview", operation_id = "PreviewSMS", tag = "sms", request_body = PreviewSms,
    responses((status = 200, body = Envelope<model::SmsPreview>), Faults))]
async fn preview(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<PreviewSms>) -> Reply {
    let from = sender(form.from.or(form.tn), form.messaging_profile)?;
    known_sender(&state, &caller, from).await?;
    let text = form.message.or(form.text);
    let request = PreviewMessage {
        account: caller.account(),
        from,
        to: read_recipients(form.to)?.iter().map(|tn| tn.get()).collect(),
        text: text.ok_or_else(|| AppError::param("message", "is required", Value::Null))?,
    };
    ok(state.messages.preview(request).await?)
}

/// How much waits to be sent.
#[utoipa::path(get, path = "/rest/sms/queue", operation_id = "GetSMSQueue", tag = "sms",
    responses((status = 200, body = Envelope<model::SmsQueue>), Faults))]
async fn queue(State(state): State<ApiState>, caller: Caller) -> Reply {
    let queue = state.store.sms().queue_state(caller.account()).await?;
    ok(json!({
        "waiting": queue.waiting,
        "scheduled": queue.scheduled,
        "sending": queue.sending,
        "oldest": queue.oldest.map(view::date),
    }))
}

/// Take a message back that waits to be sent.
#[utoipa::path(delete, path = "/rest/sms/{uuid}", operation_id = "CancelSMS", tag = "sms", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::Sms>), Faults))]
async fn cancel(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    one(&state, &caller, uuid, Some(false)).await?;
    ok(state.messages.cancel(caller.account(), uuid).await?)
}

search_form! {
    /// Filters of the message log.
    pub struct SmsSearch {
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub from: Option<String>,
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub to: Option<String>,
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub message: Option<String>,
        /// The account's own number.
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub tn: Option<String>,
        /// Also `sent`, as in 2021.
        #[schema(schema_with = types::sms_state_filter)]
        pub state: Option<String>,
        pub delivered: Option<bool>,
        pub readed: Option<bool>,
        #[schema(max_length = 255)]
        pub reference_id: Option<String>,
        #[schema(max_length = 64)]
        pub thread: Option<String>,
        pub messaging_profile: Option<Uuid>,
        /// Why it failed.
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub reason: Option<String>,
        /// Name of a carrier.
        #[schema(max_length = 64)]
        pub carrier: Option<String>,
        /// Replies made by the product.
        pub automated: Option<bool>,
    }
}

/// What an export has of each message.
const COLUMNS: &[&str] = &[
    "uuid",
    "type",
    "created_on",
    "modified_on",
    "from",
    "to",
    "message",
    "state",
    "delivered",
    "readed",
    "automated",
    "reason",
    "reference_id",
    "segments",
    "encoding",
    "thread",
    "send_at",
    "priority",
    "carrier",
    "attempts",
    "repeated",
];

async fn search(
    state: &ApiState,
    caller: &Caller,
    headers: &HeaderMap,
    kinds: Vec<SmsType>,
    form: SmsSearch,
    query: &PageQuery,
) -> Result<Response, AppError> {
    let search = form.search(query)?;
    let filter = SmsFilter {
        kinds,
        from: form.from,
        to: form.to,
        message: form.message,
        tn: form.tn,
        state: form.state.as_deref().and_then(|word| match word {
            "sent" => Some(SmsState::Success),
            word => word.parse().ok(),
        }),
        delivered: form.delivered,
        readed: form.readed,
        reference_id: form.reference_id,
        thread: form.thread,
        messaging_profile: form.messaging_profile,
        reason: form.reason,
        carrier: form.carrier,
        automated: form.automated,
    };
    let page = |search| {
        let (store, account, filter) = (state.store.clone(), caller.account.clone(), filter.clone());
        async move {
            let found = store.sms().search(account.uuid, filter, search).await?;
            Ok(expand::messages(&account, found))
        }
    };
    if csv::is_wanted(headers) {
        return csv::export(COLUMNS, form.take.or(query.take), search, page).await;
    }
    Ok(ok(view::found(page(search).await?))?.into_response())
}

/// Search all messages; as CSV with `Accept: text/csv`.
#[utoipa::path(post, path = "/rest/sms/search", operation_id = "SearchSMSISMS", tag = "sms", params(PageQuery),
    request_body = SmsSearch, responses((status = 200, body = Envelope<model::Page<model::Sms>>), Faults))]
async fn find(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
    Body(form): Body<SmsSearch>,
) -> Result<Response, AppError> {
    search(&state, &caller, &headers, Vec::new(), form, &query).await
}

/// Search what went out; as CSV with `Accept: text/csv`.
#[utoipa::path(post, path = "/rest/sms/search/outbound", operation_id = "SearchOutboundSMS", tag = "sms", params(PageQuery),
    request_body = SmsSearch, responses((status = 200, body = Envelope<model::Page<model::Sms>>), Faults))]
async fn find_outbound(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
    Body(form): Body<SmsSearch>,
) -> Result<Response, AppError> {
    search(&state, &caller, &headers, vec![SmsType::Outbound, SmsType::Pool], form, &query).await
}

/// Search what came in; as CSV with `Accept: text/csv`.
#[utoipa::path(post, path = "/rest/sms/search/inbound", operation_id = "SearchInboundSMS", tag = "sms", params(PageQuery),
    request_body = SmsSearch, responses((status = 200, body = Envelope<model::Page<model::Sms>>), Faults))]
async fn find_inbound(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
    Body(form): Body<SmsSearch>,
) -> Result<Response, AppError> {
    search(&state, &caller, &headers, vec![SmsType::Inbound], form, &query).await
}

async fn one(state: &ApiState, caller: &Caller, uuid: Uuid, inbound: Option<bool>) -> Result<Sms, AppError> {
    let sms = visible(state, caller, uuid, state.store.sms().get(caller.account(), uuid).await).await?;
    match inbound {
        Some(inbound) if inbound != (sms.kind == SmsType::Inbound) => {
            Err(AppError::NotFound(if inbound { "SMSI" } else { "SMS" }))
        }
        _ => Ok(sms),
    }
}

/// One message.
#[utoipa::path(get, path = "/rest/sms/{uuid}", operation_id = "GetSMS", tag = "sms", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::Sms>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let sms = one(&state, &caller, uuid, None).await?;
    ok(expand::message(&state.store, &caller.account, &sms).await?)
}

/// One message that went out.
#[utoipa::path(get, path = "/rest/sms/outbound/{uuid}", operation_id = "GetSMSByUUID", tag = "sms",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Sms>), Faults))]
async fn get_outbound(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let sms = one(&state, &caller, uuid, Some(false)).await?;
    ok(expand::message(&state.store, &caller.account, &sms).await?)
}

/// One message that came in.
#[utoipa::path(get, path = "/rest/sms/inbound/{uuid}", operation_id = "GetSMSIByUUID", tag = "sms",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::Sms>), Faults))]
async fn get_inbound(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let sms = one(&state, &caller, uuid, Some(true)).await?;
    ok(expand::message(&state.store, &caller.account, &sms).await?)
}

#[derive(Debug, Deserialize, ToSchema)]
struct InboundChange {
    /// Whether somebody has read it.
    readed: bool,
}

/// Mark a message that came in as read.
#[utoipa::path(patch, path = "/rest/sms/inbound/{uuid}", operation_id = "ModifySMSI", tag = "sms",
    params(("uuid" = Uuid, Path)), request_body = InboundChange,
    responses((status = 200, body = Envelope<model::Sms>), Faults))]
async fn modify_inbound(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    Body(form): Body<InboundChange>,
) -> Reply {
    one(&state, &caller, uuid, Some(true)).await?;
    let sms = state.store.sms().change(caller.account(), uuid, |sms| sms.readed = form.readed).await?;
    ok(expand::message(&state.store, &caller.account, &sms).await?)
}
