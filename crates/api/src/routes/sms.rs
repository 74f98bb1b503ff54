//! Messages: send, read, look for.

use std::time::Duration;

use axum::extract::State;
use opentact_engine::ports::{ControlError, SendMessage};
use opentact_events::view;
use opentact_store::sms::{Sms, SmsFilter};
use opentact_store::types::{SmsState, SmsType, Tn};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::{PageQuery, search_form};
use super::lease;
use crate::auth::Caller;
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
        .routes(routes!(get))
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
    /// Seconds it may wait to be handed over.
    #[schema(minimum = 1, maximum = 86_400)]
    validity: Option<u64>,
}

fn recipients() -> utoipa::openapi::schema::Schema {
    use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder, Schema};
    let list = ArrayBuilder::new().items(types::tn()).min_items(Some(1)).max_items(Some(MAX_RECIPIENTS));
    Schema::OneOf(OneOfBuilder::new().item(types::tn()).item(list).build())
}

impl Check for SendSms {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        for (name, alias) in [("from", "tn"), ("message", "text")] {
            if !has(body, name) && !has(body, alias) {
                fields.param(name, "is required", Value::Null);
            }
        }
        refuse(body, &["messaging_profile", "media_urls", "send_at"], fields);
    }
}

impl SendSms {
    /// Sender, recipients and text.
    fn read(self) -> Result<(Tn, Vec<Tn>, String), AppError> {
        let list = match self.to {
            Value::Array(list) => list,
            one => vec![one],
        };
        let read = |one: Value| {
            serde_json::from_value::<Tn>(one.clone()).map_err(|error| AppError::param("to", error.to_string(), one))
        };
        let to = list.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let from = self.from.or(self.tn).ok_or_else(|| AppError::param("from", "is required", Value::Null))?;
        let text = self.message.or(self.text);
        Ok((from, to, text.ok_or_else(|| AppError::param("message", "is required", Value::Null))?))
    }
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
    let custom_callback_url = form.custom_callback_url.clone();
    let validity = form.validity.map(Duration::from_secs);
    let (from, to, text) = form.read()?;
    lease::by_number(state, caller, from).await?;
    let request = SendMessage {
        account: caller.account(),
        created_by: caller.by(),
        from: from.get(),
        to: to.iter().map(|tn| tn.get()).collect(),
        text,
        custom_callback_url,
        validity,
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

search_form! {
    /// Filters of the message log.
    pub struct SmsSearch {
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub from: Option<String>,
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub to: Option<String>,
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
    }
}

async fn search(state: &ApiState, caller: &Caller, kinds: Vec<SmsType>, form: SmsSearch, query: &PageQuery) -> Reply {
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
    };
    let found = state.store.sms().search(caller.account(), filter, search).await?;
    ok(view::found(expand::messages(&caller.account, found)))
}

/// Search all messages.
#[utoipa::path(post, path = "/rest/sms/search", operation_id = "SearchSMSISMS", tag = "sms", params(PageQuery),
    request_body = SmsSearch, responses((status = 200, body = Envelope<model::Page<model::Sms>>), Faults))]
async fn find(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<SmsSearch>,
) -> Reply {
    search(&state, &caller, Vec::new(), form, &query).await
}

/// Search what went out.
#[utoipa::path(post, path = "/rest/sms/search/outbound", operation_id = "SearchOutboundSMS", tag = "sms", params(PageQuery),
    request_body = SmsSearch, responses((status = 200, body = Envelope<model::Page<model::Sms>>), Faults))]
async fn find_outbound(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<SmsSearch>,
) -> Reply {
    search(&state, &caller, vec![SmsType::Outbound, SmsType::Pool], form, &query).await
}

/// Search what came in.
#[utoipa::path(post, path = "/rest/sms/search/inbound", operation_id = "SearchInboundSMS", tag = "sms", params(PageQuery),
    request_body = SmsSearch, responses((status = 200, body = Envelope<model::Page<model::Sms>>), Faults))]
async fn find_inbound(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<SmsSearch>,
) -> Reply {
    search(&state, &caller, vec![SmsType::Inbound], form, &query).await
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
