//! SIP Control Apps: what happens with the calls of a number.

use axum::extract::State;
use opentact_events::view;
use opentact_store::apps::{NewApp, SipControlApp};
use opentact_store::calls::FlowLogFilter;
use opentact_store::products::DEFAULT_PRODUCT;
use opentact_store::types::{Attestation, Method};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::{AssignLeases, PageQuery, search_form};
use super::lease::{self, VoiceTarget};
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::AppError;
use crate::expand;
use crate::extract::{Body, Id, Query};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, modify, remove))
        .routes(routes!(leases, assign))
        .routes(routes!(logs))
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewSipApp {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    is_active: Option<bool>,
    /// Id of a SIP product, default 1.
    product: Option<i64>,
    /// Answer before the flow begins.
    auto_answer: Option<bool>,
    /// Minutes.
    #[schema(minimum = 1, maximum = 1440)]
    max_call_length_min: Option<i64>,
    /// 0 do not check, 1 block without identity, 2 block when it is not valid, 3 verify and never block.
    #[schema(minimum = 0, maximum = 3)]
    shaken_verify_policy: Option<i64>,
    #[schema(schema_with = types::attestation)]
    shaken_minimum_accepted_attest_lvl: Option<Attestation>,
    /// Asked for XML at each call when there is no static XML.
    #[schema(schema_with = types::callback_url)]
    call_flow_url: Option<String>,
    /// Asked when the first brings no document.
    #[schema(schema_with = types::callback_url)]
    call_flow_url2: Option<String>,
    #[schema(schema_with = types::method)]
    call_flow_method: Option<Method>,
    /// Milliseconds; null and 0 mean none.
    #[schema(minimum = 0, maximum = 60_000)]
    call_flow_request_timeout: Option<i64>,
    /// Told of every state of the app's calls.
    #[schema(schema_with = types::callback_url)]
    webhook_url: Option<String>,
    #[schema(schema_with = types::method)]
    webhook_method: Option<Method>,
    /// Milliseconds; null and 0 mean none.
    #[schema(minimum = 0, maximum = 60_000)]
    webhook_request_timeout: Option<i64>,
    /// Codecs of its calls, in order of preference, of those that the trunk or phone may speak; none: as that has them.
    #[serde(default)]
    #[schema(schema_with = types::codecs)]
    codecs: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct SipAppChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    is_active: Option<bool>,
    product: Option<i64>,
    auto_answer: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1440)]
    max_call_length_min: Change<i64>,
    #[schema(minimum = 0, maximum = 3)]
    shaken_verify_policy: Option<i64>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::attestation)]
    shaken_minimum_accepted_attest_lvl: Change<Attestation>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::callback_url)]
    call_flow_url: Change<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::callback_url)]
    call_flow_url2: Change<String>,
    #[schema(schema_with = types::method)]
    call_flow_method: Option<Method>,
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 60_000)]
    call_flow_request_timeout: Change<i64>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::callback_url)]
    webhook_url: Change<String>,
    #[schema(schema_with = types::method)]
    webhook_method: Option<Method>,
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 60_000)]
    webhook_request_timeout: Change<i64>,
    #[schema(schema_with = types::codecs)]
    codecs: Option<Vec<String>>,
}

/// With what its webhooks are signed.
fn shown(state: &ApiState, app: &SipControlApp) -> Value {
    view::sip_control_app(app, &state.store.webhooks().secret(app.uuid))
}

/// All SIP control apps of the account.
#[utoipa::path(get, path = "/rest/sip/app", operation_id = "ListSIPControlApps", tag = "sip app",
    responses((status = 200, body = Envelope<Vec<model::SipControlApp>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let apps = state.store.apps().list(caller.account()).await?;
    ok(apps.iter().map(|app| shown(&state, app)).collect::<Vec<_>>())
}

/// Make a SIP control app.
#[utoipa::path(post, path = "/rest/sip/app", operation_id = "CreateSIPControlApp", tag = "sip app",
    request_body = NewSipApp, responses((status = 201, body = Envelope<model::SipControlApp>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewSipApp>) -> Reply {
    let new = NewApp {
        is_active: form.is_active.unwrap_or(true),
        product: form.product.unwrap_or(DEFAULT_PRODUCT),
        auto_answer: form.auto_answer.unwrap_or(false),
        max_call_length_min: form.max_call_length_min,
        shaken_verify_policy: form.shaken_verify_policy.unwrap_or(0),
        shaken_minimum_accepted_attest_lvl: form.shaken_minimum_accepted_attest_lvl,
        call_flow_url: form.call_flow_url,
        call_flow_url2: form.call_flow_url2,
        call_flow_method: form.call_flow_method.unwrap_or(Method::Get),
        call_flow_request_timeout: form.call_flow_request_timeout,
        webhook_url: form.webhook_url,
        webhook_method: form.webhook_method.unwrap_or(Method::Get),
        webhook_request_timeout: form.webhook_request_timeout,
        codecs: form.codecs,
        ..NewApp::new(form.name)
    };
    let app = state.store.apps().create(caller.account(), caller.by(), new).await?;
    created(shown(&state, &app))
}

/// One SIP control app.
#[utoipa::path(get, path = "/rest/sip/app/{uuid}", operation_id = "GetSIPControlAppByUUID", tag = "sip app",
    params(IfNoneMatch, ("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::SipControlApp>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Tagged, AppError> {
    let app = state.store.apps().get(caller.account(), uuid).await;
    Ok(Tagged(shown(&state, &visible(&state, &caller, uuid, app).await?)))
}

/// Change a SIP control app.
#[utoipa::path(patch, path = "/rest/sip/app/{uuid}", operation_id = "ModifySIPControlApp", tag = "sip app",
    params(IfMatch, ("uuid" = Uuid, Path)), request_body = SipAppChange,
    responses((status = 200, body = Envelope<model::SipControlApp>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<SipAppChange>,
) -> Result<Tagged, AppError> {
    let current = visible(&state, &caller, uuid, state.store.apps().get(caller.account(), uuid).await).await?;
    if_match.check(&shown(&state, &current))?;
    let apps = state.store.apps();
    let changed = apps.update(caller.account(), uuid, caller.by(), |app| {
        app.name = form.name.unwrap_or_else(|| std::mem::take(&mut app.name));
        app.is_active = form.is_active.unwrap_or(app.is_active);
        app.product = form.product.unwrap_or(app.product);
        app.auto_answer = form.auto_answer.unwrap_or(app.auto_answer);
        app.shaken_verify_policy = form.shaken_verify_policy.unwrap_or(app.shaken_verify_policy);
        app.call_flow_method = form.call_flow_method.unwrap_or(app.call_flow_method);
        app.webhook_method = form.webhook_method.unwrap_or(app.webhook_method);
        form.max_call_length_min.apply(&mut app.max_call_length_min);
        form.shaken_minimum_accepted_attest_lvl.apply(&mut app.shaken_minimum_accepted_attest_lvl);
        form.call_flow_url.apply(&mut app.call_flow_url);
        form.call_flow_url2.apply(&mut app.call_flow_url2);
        form.call_flow_request_timeout.apply(&mut app.call_flow_request_timeout);
        form.webhook_url.apply(&mut app.webhook_url);
        form.webhook_request_timeout.apply(&mut app.webhook_request_timeout);
        if let Some(codecs) = form.codecs {
            app.codecs = codecs.into();
        }
    });
    let app = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(shown(&state, &app)))
}

/// Delete a SIP control app that nothing points at.
#[utoipa::path(delete, path = "/rest/sip/app/{uuid}", operation_id = "RemoveSIPControlAppByUUID", tag = "sip app",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::SipControlApp>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let app = visible(&state, &caller, uuid, state.store.apps().get(caller.account(), uuid).await).await?;
    state.store.apps().delete(caller.account(), uuid).await?;
    state.calls.invalidate(caller.account());
    ok(shown(&state, &app))
}

/// Numbers whose calls the app handles.
#[utoipa::path(get, path = "/rest/sip/app/{uuid}/tnlease", operation_id = "GetSIPControlAppTNLeasesList", tag = "sip app",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<Vec<model::TnLease>>), Faults))]
async fn leases(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    visible(&state, &caller, uuid, state.store.apps().get(caller.account(), uuid).await).await?;
    lease::of_target(&state, &caller, VoiceTarget::App(uuid)).await
}

/// Give numbers to the app, or take them off.
#[utoipa::path(post, path = "/rest/sip/app/{uuid}/tnlease", operation_id = "AssignTNLeasesToSIPControlApp", tag = "sip app",
    params(("uuid" = Uuid, Path)), request_body = AssignLeases,
    responses((status = 200, body = Envelope<Vec<model::TnLease>>), Faults))]
async fn assign(State(state): State<ApiState>, caller: Caller, Id(uuid): Id, Body(form): Body<AssignLeases>) -> Reply {
    visible(&state, &caller, uuid, state.store.apps().get(caller.account(), uuid).await).await?;
    let leases = lease::assign(&state, &caller, VoiceTarget::App(uuid), &form).await?;
    ok(expand::leases(&state.store, &caller.account, &leases).await?)
}

search_form! {
    /// Filters of the app's log.
    pub struct AppLogSearch {
        /// Name of the element.
        #[schema(max_length = 64)]
        pub name: Option<String>,
        pub success: Option<bool>,
        pub call: Option<Uuid>,
    }
}

/// The elements that the app's calls executed.
#[utoipa::path(post, path = "/rest/sip/app/{uuid}/logs", operation_id = "SearchCallFlowLogs", tag = "sip app",
    params(("uuid" = Uuid, Path), PageQuery), request_body = AppLogSearch,
    responses((status = 200, body = Envelope<model::Page<model::CallFlowLog>>), Faults))]
async fn logs(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    Query(query): Query<PageQuery>,
    Body(form): Body<AppLogSearch>,
) -> Reply {
    visible(&state, &caller, uuid, state.store.apps().get(caller.account(), uuid).await).await?;
    let search = form.search(&query)?;
    let filter = FlowLogFilter { sip_control_app: Some(uuid), name: form.name, success: form.success, call: form.call };
    let found = state.store.calls().search_logs(caller.account(), filter, search).await?;
    ok(view::found(found.map(|log| view::flow_log(&log))))
}
