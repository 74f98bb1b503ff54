//! Switches of a SIP domain: systems whose calls are the domain's by where they come from.

use axum::extract::State;
use opentact_events::view;
use opentact_store::domains::SipDomain;
use opentact_store::sip_switches::{NewSwitch, SipSwitch};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::sip_domain;
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::{AppError, Fields};
use crate::extract::{Body, Check, Checked, Segments, has};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewSipSwitch {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    #[schema(max_length = 255)]
    description: Option<String>,
    /// Its address, or the network it is in; this or `remote_domain` is needed.
    #[schema(schema_with = types::network)]
    remote_ip: Option<String>,
    /// Its host name; every address of it is the switch's.
    #[schema(schema_with = types::hostname)]
    remote_domain: Option<String>,
    is_active: Option<bool>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct SipSwitchChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 255)]
    description: Change<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::network)]
    remote_ip: Change<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::hostname)]
    remote_domain: Change<String>,
    is_active: Option<bool>,
}

impl Check for NewSipSwitch {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        needs_address(has(body, "remote_ip") || has(body, "remote_domain"), fields);
    }
}

fn needs_address(has_one: bool, fields: &mut Fields) {
    if !has_one {
        fields.param("remote_ip", "either remote_ip or remote_domain is required", Value::Null);
    }
}

async fn find(state: &ApiState, caller: &Caller, path: &Segments) -> Result<(SipDomain, SipSwitch), AppError> {
    let domain = sip_domain::find(state, caller, path.text("domain")).await?;
    let uuid = path.uuid("uuid")?;
    let switch = visible(state, caller, uuid, state.store.sip_switches().get(caller.account(), uuid).await).await?;
    if switch.sip_domain == domain.uuid { Ok((domain, switch)) } else { Err(AppError::NotFound("SIP Switch")) }
}

/// All switches of a domain.
#[utoipa::path(get, path = "/rest/sip/domain/{domain}/switch", operation_id = "ListSIPSwitchesBySIPDomainUUID",
    tag = "sip switch", params(("domain" = String, Path, description = "Label or full name")),
    responses((status = 200, body = Envelope<Vec<model::SipSwitch>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let domain = sip_domain::find(&state, &caller, path.text("domain")).await?;
    let switches = state.store.sip_switches().list(caller.account(), domain.uuid).await?;
    ok(switches.iter().map(|switch| view::sip_switch(switch, &domain)).collect::<Vec<_>>())
}

/// Make a switch: its calls are the domain's.
#[utoipa::path(post, path = "/rest/sip/domain/{domain}/switch", operation_id = "CreateSIPSwitch",
    tag = "sip switch", params(("domain" = String, Path, description = "Label or full name")),
    request_body = NewSipSwitch, responses((status = 201, body = Envelope<model::SipSwitch>), Faults))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    path: Segments,
    Checked(form): Checked<NewSipSwitch>,
) -> Reply {
    let domain = sip_domain::find(&state, &caller, path.text("domain")).await?;
    let new = NewSwitch {
        name: form.name,
        description: form.description,
        remote_ip: form.remote_ip,
        remote_domain: form.remote_domain,
        is_active: form.is_active.unwrap_or(true),
    };
    let switch = state.store.sip_switches().create(caller.account(), caller.by(), domain.uuid, new).await?;
    state.calls.invalidate(caller.account());
    created(view::sip_switch(&switch, &domain))
}

/// One switch.
#[utoipa::path(get, path = "/rest/sip/domain/{domain}/switch/{uuid}", operation_id = "GetSIPSwitchByUUID",
    tag = "sip switch", params(IfNoneMatch, ("domain" = String, Path, description = "Label or full name"), ("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::SipSwitch>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, path: Segments) -> Result<Tagged, AppError> {
    let (domain, switch) = find(&state, &caller, &path).await?;
    Ok(Tagged(view::sip_switch(&switch, &domain)))
}

/// Change a switch.
#[utoipa::path(patch, path = "/rest/sip/domain/{domain}/switch/{uuid}", operation_id = "ModifySIPSwitch",
    tag = "sip switch", params(IfMatch, ("domain" = String, Path, description = "Label or full name"), ("uuid" = Uuid, Path)),
    request_body = SipSwitchChange, responses((status = 200, body = Envelope<model::SipSwitch>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    path: Segments,
    if_match: IfMatch,
    Body(form): Body<SipSwitchChange>,
) -> Result<Tagged, AppError> {
    let (domain, mut after) = find(&state, &caller, &path).await?;
    if_match.check(&view::sip_switch(&after, &domain))?;
    form.remote_ip.clone().apply(&mut after.remote_ip);
    form.remote_domain.clone().apply(&mut after.remote_domain);
    let mut fields = Fields::default();
    needs_address(after.remote_ip.is_some() || after.remote_domain.is_some(), &mut fields);
    fields.check()?;
    let switches = state.store.sip_switches();
    let changed = switches.update(caller.account(), after.uuid, caller.by(), |switch| {
        switch.name = form.name.unwrap_or_else(|| std::mem::take(&mut switch.name));
        switch.is_active = form.is_active.unwrap_or(switch.is_active);
        form.description.apply(&mut switch.description);
        form.remote_ip.apply(&mut switch.remote_ip);
        form.remote_domain.apply(&mut switch.remote_domain);
    });
    let switch = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(view::sip_switch(&switch, &domain)))
}

/// Delete a switch: who calls from its address is unknown again.
#[utoipa::path(delete, path = "/rest/sip/domain/{domain}/switch/{uuid}", operation_id = "RemoveSIPSwitchByUUID",
    tag = "sip switch", params(("domain" = String, Path, description = "Label or full name"), ("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<model::SipSwitch>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let (domain, switch) = find(&state, &caller, &path).await?;
    state.store.sip_switches().delete(caller.account(), switch.uuid).await?;
    state.calls.invalidate(caller.account());
    ok(view::sip_switch(&switch, &domain))
}
