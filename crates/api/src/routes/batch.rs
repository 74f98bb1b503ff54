//! Batches: many calls made by one request.

use std::time::Duration;

use axum::extract::State;
use chrono::Utc;
use opentact_call::DialTarget;
use opentact_call::batch::Window;
use opentact_events::view;
use opentact_store::StoreError;
use opentact_store::batches::{Batch, BatchFilter, Counts, NewBatch, NewItem, RetryTerms, ScheduleTerms, Terms};
use opentact_store::types::{BatchState, ItemState};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Type};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::amd_form::AmdForm;
use super::call::one_source;
use super::call_form::{CallForm, RecordForm, call_form};
use super::forms::{PageQuery, search_form};
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, created, ok};
use crate::error::{AppError, Fields};
use crate::extract::{Body, Check, Checked, Id, Query};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(find)).routes(routes!(get, modify))
}

/// Items of one answer.
const ITEMS: u64 = 100;
/// Variables of one number, and the longest value of one.
const MAX_VARS: usize = 50;
const MAX_VALUE: usize = 8 * 1024;
/// What a flow knows already.
const TAKEN: [&str; 9] = ["from", "to", "call", "direction", "type", "tn", "sca", "time_zone", "state"];
/// Busy, nobody there, nobody answers.
const RETRIED: [u8; 3] = [17, 18, 19];
/// The time zone of accounts that have none.
const UTC: &str = "UTC";
/// Seconds between two calls to one number.
const RETRY_DELAY: u64 = 300;

call_form! {
    struct MakeBatch {
        /// For people.
        #[schema(min_length = 1, max_length = 255)]
        name: Option<String>,
        /// Whom to call, in this order: a number, `sip:` URI or `user@domain`; or `{"to": ..., "vars": {...}}` with variables
        /// of its call's flow: `{{NAME}}`.
        #[schema(schema_with = phones, required = true)]
        phones: Vec<Phone>,
        /// What runs on each call once it is answered. One of these three.
        #[schema(min_length = 1)]
        xml: Option<String>,
        sip_control_app: Option<Uuid>,
        #[schema(schema_with = types::url)]
        call_flow_url: Option<String>,
        /// Finds out of each call whether a human or a machine has answered: `amd` of its item, and of its flow.
        amd: Option<AmdForm>,
        /// Calls begun a second.
        #[schema(schema_with = per_second)]
        cps: Option<f64>,
        /// Calls at once.
        #[schema(minimum = 1)]
        max_concurrent: Option<u32>,
        /// Seconds after which who still waits is not called any more.
        #[schema(minimum = 1, maximum = 31_536_000)]
        ttl: Option<u64>,
        schedule: Option<ScheduleForm>,
        retries: Option<RetryForm>,
    }
}

/// When calls may begin, on the clocks of a time zone; calls that live then go on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct ScheduleForm {
    /// `HH:MM`, from midnight by default.
    #[schema(min_length = 5, max_length = 5, example = "09:00")]
    from: Option<String>,
    /// `HH:MM`, to midnight by default; before `from`: on the next day.
    #[schema(min_length = 5, max_length = 5, example = "17:30")]
    to: Option<String>,
    /// `mon` to `sun`; all by default.
    #[schema(max_items = 7)]
    days: Vec<String>,
    /// IANA name; the account's by default, else UTC.
    #[schema(min_length = 1, max_length = 64)]
    time_zone: Option<String>,
}

/// Which numbers are called again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct RetryForm {
    /// Further calls to one number.
    #[schema(minimum = 0, maximum = 10, required = true)]
    max: u32,
    /// Seconds from the end of one call to the next, 300 by default.
    #[schema(minimum = 0, maximum = 604_800)]
    delay: Option<u64>,
    /// Q.850 causes after which a number is called again: 17, 18 and 19 by default.
    #[schema(schema_with = causes)]
    on: Option<Vec<u8>>,
}

/// One number, with or without variables.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Phone {
    Text(String),
    Number(u64),
    Told {
        #[serde(deserialize_with = "types::text_or_number")]
        to: Option<String>,
        #[serde(default)]
        vars: Map<String, Value>,
    },
}

fn phones() -> Array {
    let vars =
        ObjectBuilder::new().schema_type(Type::Object).description(Some("Text, numbers, true or false; 50 at most"));
    let told = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("to", types::destination())
        .required("to")
        .property("vars", vars);
    let phone = OneOfBuilder::new().item(types::destination()).item(told);
    ArrayBuilder::new().items(phone).min_items(Some(1)).build()
}

fn per_second() -> Object {
    ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0.1)).description(Some("Calls begun a second")).build()
}

fn causes() -> Array {
    let cause = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(127));
    ArrayBuilder::new().items(cause).max_items(Some(127)).build()
}

impl Check for MakeBatch {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        one_source(body, fields);
    }
}

impl Phone {
    /// Its destination and variables; what is wrong with it is told under `at`.
    fn read(self, at: &str, fields: &mut Fields) -> NewItem {
        let (to, vars, place) = match self {
            Self::Text(to) => (to, Map::new(), at.to_owned()),
            Self::Number(number) => (number.to_string(), Map::new(), at.to_owned()),
            Self::Told { to, vars } => (to.unwrap_or_default(), vars, format!("{at}.to")),
        };
        match DialTarget::parse(&to) {
            Ok(DialTarget::Group(_)) => fields.param(&place, "a group is called by <Dial> only", to.as_str()),
            Ok(_) => {}
            Err(reason) => fields.param(&place, reason, to.as_str()),
        }
        if vars.len() > MAX_VARS {
            fields.param(&format!("{at}.vars"), format!("must be at most {MAX_VARS} variables"), Value::Null);
        }
        for (name, value) in &vars {
            if let Some(fault) = var_fault(name, value) {
                fields.param(&format!("{at}.vars.{name}"), fault, value.clone());
            }
        }
        NewItem { to, vars }
    }
}

fn var_fault(name: &str, value: &Value) -> Option<&'static str> {
    let is_name = (1..=64).contains(&name.len())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.'));
    if !is_name {
        return Some("a name is 1 to 64 letters, digits, `_`, `-` and `.`");
    }
    let head = name.split('.').next().unwrap_or_default();
    if TAKEN.contains(&head) || matches!(head, "meta" | "geo") {
        return Some("the call has a variable of this name");
    }
    match value {
        Value::String(text) if text.len() > MAX_VALUE => Some("must be at most 8192 octets long"),
        Value::String(_) | Value::Number(_) | Value::Bool(_) => None,
        _ => Some("must be text, a number, true or false"),
    }
}

impl MakeBatch {
    /// How it is called, and whom; all that is wrong with it.
    fn read(mut self, state: &ApiState, caller: &Caller) -> Result<(NewBatch, Vec<NewItem>), AppError> {
        let limits = &state.settings.batches;
        let mut fields = Fields::default();
        let phones = std::mem::take(&mut self.phones);
        if phones.len() > limits.max_phones {
            let count = Value::from(phones.len());
            fields.param("phones", format!("must be at most {} items long", limits.max_phones), count);
        }
        let cps = self.cps.unwrap_or(limits.per_second.into());
        if cps > limits.max_per_second.into() {
            fields.param("cps", format!("must be at most {}", limits.max_per_second), cps);
        }
        let max_concurrent = self.max_concurrent.unwrap_or(limits.concurrent);
        if max_concurrent > limits.max_concurrent {
            fields.param("max_concurrent", format!("must be at most {}", limits.max_concurrent), max_concurrent);
        }
        let schedule = self.schedule.take().map(|schedule| schedule.read(caller, &mut fields));
        let items = phones.into_iter().enumerate();
        let items = items.map(|(index, phone)| phone.read(&format!("phones[{index}]"), &mut fields)).collect();
        fields.check()?;
        let retries = self.retries.take().unwrap_or_default();
        let terms = Terms {
            timeout: self.ring().as_secs(),
            xml: self.xml,
            sip_control_app: self.sip_control_app,
            call_flow_url: self.call_flow_url,
            from: self.from,
            tn_lease: self.tn_lease,
            outbound_voice_profile: self.outbound_voice_profile,
            sip_connection: self.sip_connection,
            max_length: self.max_length,
            record: self.record.as_ref().and_then(RecordForm::terms),
            amd: self.amd.as_ref().map(|amd| serde_json::json!(amd.read(state.settings.amd))),
            meta: self.meta,
            cps,
            max_concurrent,
            schedule,
            retries: RetryTerms {
                max: retries.max,
                delay: retries.delay.unwrap_or(RETRY_DELAY),
                on: retries.on.unwrap_or_else(|| RETRIED.to_vec()),
            },
        };
        let expires_on = self.ttl.map(|ttl| Utc::now() + Duration::from_secs(ttl));
        Ok((NewBatch { name: self.name, created_by: caller.by(), expires_on, terms }, items))
    }
}

impl ScheduleForm {
    fn read(self, caller: &Caller, fields: &mut Fields) -> ScheduleTerms {
        let Self { from, to, days, time_zone } = self;
        let time_zone = time_zone.or_else(|| caller.account.time_zone.clone()).unwrap_or_else(|| UTC.to_owned());
        // One by one, so that each is told.
        let windows = [
            Window::new(from.as_deref(), None, &[], UTC),
            Window::new(None, to.as_deref(), &[], UTC),
            Window::new(None, None, &days, UTC),
            Window::new(None, None, &[], &time_zone),
        ];
        for wrong in windows.into_iter().filter_map(Result::err) {
            let (message, value) = match wrong {
                "from" => ("must be HH:MM", Value::from(from.clone())),
                "to" => ("must be HH:MM", Value::from(to.clone())),
                "days" => ("must be days of the week, mon to sun", Value::from(days.clone())),
                _ => ("must be a time zone such as America/New_York", Value::from(time_zone.clone())),
            };
            fields.param(&format!("schedule.{wrong}"), message, value);
        }
        ScheduleTerms { from, to, days, time_zone }
    }
}

/// Make bulk call.
///
/// The numbers are called one after the other, as fast as `cps` and `max_concurrent` allow, over restarts of the server, and
/// none twice but by `retries`. The answer is the batch in state `created`; its calls are of type `CallBatch`, with
/// `batch_item`.
#[utoipa::path(post, path = "/rest/batch", operation_id = "MakeBatch", tag = "batch", request_body = MakeBatch,
    responses((status = 201, body = Envelope<model::Batch>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<MakeBatch>) -> Reply {
    caller.enabled()?;
    state.accepting()?;
    let (new, items) = form.read(&state, &caller)?;
    let account = caller.account();
    let (store, terms) = (&state.store, &new.terms);
    if let Some(app) = terms.sip_control_app {
        visible(&state, &caller, app, store.apps().get(account, app).await).await?;
    }
    if let Some(profile) = terms.outbound_voice_profile {
        visible(&state, &caller, profile, store.voice_profiles().get(account, profile).await).await?;
    }
    if let Some(trunk) = terms.sip_connection {
        visible(&state, &caller, trunk, store.connections().get(account, trunk).await).await?;
    }
    if let Some(lease) = terms.tn_lease {
        visible(&state, &caller, lease, store.numbers().get_lease(account, lease).await).await?;
    }
    let waiting = items.len() as u64;
    let batch = store.batches().create(account, new, items).await?;
    state.calls.batches_changed();
    created(view::batch(&batch, Counts { waiting, ..Counts::default() }))
}

search_form! {
    /// Filters of batches.
    pub struct BatchSearch {
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub name: Option<String>,
        #[schema(schema_with = types::batch_state)]
        pub state: Option<BatchState>,
    }
}

/// Search batches.
#[utoipa::path(post, path = "/rest/batch/search", operation_id = "SearchBatches", tag = "batch", params(PageQuery),
    request_body = BatchSearch, responses((status = 200, body = Envelope<model::Page<model::Batch>>), Faults))]
async fn find(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<BatchSearch>,
) -> Reply {
    let search = form.search(&query)?;
    let filter = BatchFilter { name: form.name, state: form.state };
    let found = state.store.batches().search(caller.account(), filter, search).await?;
    let uuids: Vec<Uuid> = found.data.iter().map(|batch| batch.uuid).collect();
    let counts = state.store.batches().counts(&uuids).await?;
    ok(view::found(found.map(|batch| view::batch(&batch, counts.get(&batch.uuid).copied().unwrap_or_default()))))
}

#[derive(Debug, Default, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
struct ItemQuery {
    /// Items in the answer, 0..1000, default 100.
    #[schema(minimum = 0, maximum = 1_000)]
    #[param(minimum = 0, maximum = 1_000)]
    take: Option<u64>,
    /// Items before them.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    #[param(minimum = 0, maximum = 1_000_000_000)]
    skip: Option<u64>,
    /// Only items in this state.
    #[schema(schema_with = types::item_state)]
    #[param(schema_with = types::item_state)]
    state: Option<ItemState>,
}

async fn one(state: &ApiState, caller: &Caller, uuid: Uuid) -> Result<Batch, AppError> {
    visible(state, caller, uuid, state.store.batches().get(caller.account(), uuid).await).await
}

/// One batch, with what became of its numbers.
#[utoipa::path(get, path = "/rest/batch/{uuid}", operation_id = "GetBatch", tag = "batch",
    params(("uuid" = Uuid, Path), ItemQuery), responses((status = 200, body = Envelope<model::Batch>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id, Query(query): Query<ItemQuery>) -> Reply {
    let batch = one(&state, &caller, uuid).await?;
    let batches = state.store.batches();
    let (take, skip) = (query.take.unwrap_or(ITEMS), query.skip.unwrap_or_default());
    let (items, found) = batches.items(caller.account(), uuid, query.state, skip, take).await?;
    let counts = batches.counts(&[uuid]).await?.remove(&uuid).unwrap_or_default();
    ok(view::batch_full(&batch, counts, &items, found))
}

#[derive(Debug, Deserialize, ToSchema)]
struct ModifyBatch {
    /// `paused`: nobody more is called, calls that live go on. `running`: on with it. `canceled`: who waits has failed.
    #[schema(schema_with = wanted_state)]
    state: BatchState,
}

fn wanted_state() -> Object {
    let words = [BatchState::Paused, BatchState::Running, BatchState::Canceled].map(BatchState::as_str);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// Pause, resume or cancel a batch. 409 once it is over.
#[utoipa::path(patch, path = "/rest/batch/{uuid}", operation_id = "ModifyBatch", tag = "batch",
    params(("uuid" = Uuid, Path)), request_body = ModifyBatch,
    responses((status = 200, body = Envelope<model::Batch>), Faults))]
async fn modify(State(state): State<ApiState>, caller: Caller, Id(uuid): Id, Body(form): Body<ModifyBatch>) -> Reply {
    one(&state, &caller, uuid).await?;
    let batch = match state.store.batches().set_state(caller.account(), uuid, form.state).await {
        Err(StoreError::Conflict(_)) => {
            let is = one(&state, &caller, uuid).await?.state;
            return Err(AppError::Conflict(format!("Batch is {is}")));
        }
        batch => batch?,
    };
    state.calls.batches_changed();
    let counts = state.store.batches().counts(&[uuid]).await?.remove(&uuid).unwrap_or_default();
    ok(view::batch(&batch, counts))
}
