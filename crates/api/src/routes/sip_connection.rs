//! SIP Connections: trunks.

use axum::extract::State;
use opentact_events::view;
use opentact_store::connections::{NewConnection, SipConnection};
use opentact_store::products::DEFAULT_PRODUCT;
use opentact_store::types::{Attestation, Dtmf, NumberRule, SipTransport, Srtp, TrunkRouting};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::forms::AssignLeases;
use super::lease::{self, VoiceTarget};
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Live, Reply, Tagged, created, ok};
use crate::error::{AppError, Fields};
use crate::extract::{Body, Check, Checked, Id, has};
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
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewTrunk {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    is_active: Option<bool>,
    /// Id of a SIP product, default 1.
    product: Option<i64>,
    /// Either this or `hostname`.
    #[schema(schema_with = types::ip)]
    ip: Option<String>,
    #[schema(schema_with = types::hostname)]
    hostname: Option<String>,
    /// Default 5060.
    #[schema(minimum = 1, maximum = 65535)]
    port: Option<u16>,
    #[schema(schema_with = types::sip_transport)]
    transport: Option<SipTransport>,
    /// Whether audio is protected by SRTP; none given: as the setting `media.srtp` says.
    #[schema(schema_with = types::srtp)]
    srtp: Option<Srtp>,
    /// In order of preference; none means all.
    #[serde(default)]
    #[schema(schema_with = types::codecs)]
    codecs: Vec<String>,
    /// Digest to and from the trunk.
    #[schema(min_length = 1, max_length = 255)]
    username: Option<String>,
    #[schema(min_length = 1, max_length = 255)]
    password: Option<String>,
    /// Register with the trunk.
    register: Option<bool>,
    /// Calls at once.
    #[schema(minimum = 1)]
    channel_limit: Option<i64>,
    /// Calls per second.
    #[schema(minimum = 1)]
    cps_limit: Option<i64>,
    /// The lowest is tried first.
    #[schema(minimum = 0, maximum = 65535)]
    priority: Option<i64>,
    /// Share among trunks of the same priority.
    #[schema(minimum = 0, maximum = 65535)]
    weight: Option<i64>,
    options_ping: Option<bool>,
    /// Where calls come from besides `ip` and `hostname`: addresses, networks, host names.
    #[serde(default)]
    #[schema(schema_with = types::sources)]
    sources: Vec<String>,
    /// Calls come from anywhere and prove themselves by digest with `username` and `password`.
    authenticate: Option<bool>,
    #[serde(default)]
    #[schema(max_items = 32)]
    number_rules: Vec<model::NumberRule>,
    /// Headers of the caller's INVITE that the callee gets, to and from the trunk; `X-*` is all that begin so.
    #[serde(default)]
    #[schema(schema_with = types::header_names)]
    pass_headers: Vec<String>,
    /// SIP codes after which the next trunk is tried; none given: 408 and 500 to 599.
    #[schema(schema_with = types::sip_codes)]
    failover_codes: Option<Vec<u16>>,
    /// Seconds without a ring (101..199) after which the next trunk is tried, default 32.
    #[schema(minimum = 1, maximum = 32)]
    progress_timeout: Option<u16>,
    /// Seconds without an answer after which the next trunk is tried; none given: as long as the call may ring.
    #[schema(minimum = 1, maximum = 600)]
    ring_timeout: Option<u16>,
    /// How keys are sent: `auto` (the default), as events (RFC 4733) where the other side takes them, else as tones in the
    /// audio; `inband`, as tones; `info`, by SIP INFO. Keys that come are taken by INFO and by what is agreed on.
    #[schema(schema_with = types::dtmf_mode)]
    dtmf: Option<Dtmf>,
    #[schema(minimum = 0, maximum = 3)]
    shaken_verify_policy: Option<i64>,
    #[schema(schema_with = types::attestation)]
    shaken_minimum_accepted_attest_lvl: Option<Attestation>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct TrunkChange {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    is_active: Option<bool>,
    product: Option<i64>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::ip)]
    ip: Change<String>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::hostname)]
    hostname: Change<String>,
    #[schema(minimum = 1, maximum = 65535)]
    port: Option<u16>,
    #[schema(schema_with = types::sip_transport)]
    transport: Option<SipTransport>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::srtp)]
    srtp: Change<Srtp>,
    #[schema(schema_with = types::codecs)]
    codecs: Option<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    username: Change<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    password: Change<String>,
    register: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1)]
    channel_limit: Change<i64>,
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1)]
    cps_limit: Change<i64>,
    #[schema(minimum = 0, maximum = 65535)]
    priority: Option<i64>,
    #[schema(minimum = 0, maximum = 65535)]
    weight: Option<i64>,
    options_ping: Option<bool>,
    #[schema(schema_with = types::sources)]
    sources: Option<Vec<String>>,
    authenticate: Option<bool>,
    #[schema(max_items = 32)]
    number_rules: Option<Vec<model::NumberRule>>,
    #[schema(schema_with = types::header_names)]
    pass_headers: Option<Vec<String>>,
    #[serde(default)]
    #[schema(schema_with = types::sip_codes)]
    failover_codes: Change<Vec<u16>>,
    #[serde(default)]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 32)]
    progress_timeout: Change<u16>,
    #[serde(default)]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 600)]
    ring_timeout: Change<u16>,
    #[schema(schema_with = types::dtmf_mode)]
    dtmf: Option<Dtmf>,
    #[schema(minimum = 0, maximum = 3)]
    shaken_verify_policy: Option<i64>,
    #[serde(default)]
    #[schema(schema_with = types::or_null::attestation)]
    shaken_minimum_accepted_attest_lvl: Change<Attestation>,
}

/// What a trunk must have together.
struct Whole {
    /// Somewhere to send to, or digest to be told by.
    address: bool,
    username: bool,
    password: bool,
    register: bool,
    authenticate: bool,
}

impl Check for NewTrunk {
    fn check(body: &Map<String, Value>, fields: &mut Fields) {
        let on = |name: &str| body.get(name) == Some(&Value::Bool(true));
        let whole = Whole {
            address: has(body, "ip") || has(body, "hostname"),
            username: has(body, "username"),
            password: has(body, "password"),
            register: on("register"),
            authenticate: on("authenticate"),
        };
        whole.check(fields);
    }
}

impl Whole {
    fn check(&self, fields: &mut Fields) {
        if !self.address {
            fields.param("ip", "either ip or hostname is required", Value::Null);
        }
        if self.register && !self.username {
            fields.param("username", "is required to register", Value::Null);
        }
        if self.authenticate && !self.username {
            fields.param("username", "is required to authenticate", Value::Null);
        }
        if self.authenticate && !self.password {
            fields.param("password", "is required to authenticate", Value::Null);
        }
    }
}

fn number_rules(rules: Vec<model::NumberRule>) -> Vec<NumberRule> {
    let rule = |rule: model::NumberRule| NumberRule {
        direction: rule.direction,
        party: rule.party,
        prefix: rule.prefix,
        min_digits: rule.min_digits,
        max_digits: rule.max_digits,
        strip: rule.strip,
        prepend: rule.prepend,
    };
    rules.into_iter().map(rule).collect()
}

/// A trunk and how it does on this node.
fn with_health(state: &ApiState, trunk: &SipConnection) -> Value {
    let mut shown = view::sip_connection(trunk);
    if let Value::Object(shown) = &mut shown {
        let health = state.calls.trunk_health(trunk.uuid);
        let registration = health
            .registration
            .map(|one| json!({ "state": one.state, "code": one.code, "expires_on": one.expires_on.map(view::date) }));
        let health = json!({
            "state": health.state,
            "since": health.since.map(view::date),
            "registration": registration,
            "calls": health.calls,
            "asr": health.asr,
            "acd": health.acd,
            "pdd": health.pdd,
        });
        shown.insert("health".to_owned(), health);
    }
    shown
}

/// All SIP connections of the account.
#[utoipa::path(get, path = "/rest/sip/connection", operation_id = "ListSIPConnections", tag = "sip connection",
    responses((status = 200, body = Envelope<Vec<model::SipConnection>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let trunks = state.store.connections().list(caller.account()).await?;
    ok(trunks.iter().map(|trunk| with_health(&state, trunk)).collect::<Vec<_>>())
}

/// Make a SIP connection.
#[utoipa::path(post, path = "/rest/sip/connection", operation_id = "CreateSIPConnection", tag = "sip connection",
    request_body = NewTrunk, responses((status = 201, body = Envelope<model::SipConnection>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Checked(form): Checked<NewTrunk>) -> Reply {
    let register = form.register.unwrap_or(false);
    let defaults = NewConnection::new(form.name);
    let new = NewConnection {
        is_active: form.is_active.unwrap_or(true),
        product: form.product.unwrap_or(DEFAULT_PRODUCT),
        ip: form.ip,
        hostname: form.hostname,
        port: form.port.unwrap_or(defaults.port),
        transport: form.transport.unwrap_or(defaults.transport),
        srtp: form.srtp,
        codecs: form.codecs,
        username: form.username,
        password: form.password,
        register,
        channel_limit: form.channel_limit,
        cps_limit: form.cps_limit,
        priority: form.priority.unwrap_or(defaults.priority),
        weight: form.weight.unwrap_or(defaults.weight),
        options_ping: form.options_ping.unwrap_or(false),
        shaken_verify_policy: form.shaken_verify_policy.unwrap_or(0),
        shaken_minimum_accepted_attest_lvl: form.shaken_minimum_accepted_attest_lvl,
        sources: form.sources,
        authenticate: form.authenticate.unwrap_or(false),
        routing: TrunkRouting {
            number_rules: number_rules(form.number_rules),
            pass_headers: form.pass_headers,
            failover_codes: form.failover_codes,
            progress_timeout: form.progress_timeout,
            ring_timeout: form.ring_timeout,
            dtmf: form.dtmf,
        },
        ..defaults
    };
    let trunk = state.store.connections().create(caller.account(), caller.by(), new).await?;
    state.calls.invalidate(caller.account());
    created(view::sip_connection(&trunk))
}

/// One SIP connection.
#[utoipa::path(get, path = "/rest/sip/connection/{uuid}", operation_id = "GetSIPConnectionByUUID", tag = "sip connection",
    params(IfNoneMatch, ("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::SipConnection>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Result<Live, AppError> {
    let trunk = state.store.connections().get(caller.account(), uuid).await;
    let trunk = visible(&state, &caller, uuid, trunk).await?;
    Ok(Live { shown: with_health(&state, &trunk), version: view::sip_connection(&trunk) })
}

/// Change a SIP connection.
#[utoipa::path(patch, path = "/rest/sip/connection/{uuid}", operation_id = "ModifySIPConnection", tag = "sip connection",
    params(IfMatch, ("uuid" = Uuid, Path)), request_body = TrunkChange,
    responses((status = 200, body = Envelope<model::SipConnection>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Id(uuid): Id,
    if_match: IfMatch,
    Body(form): Body<TrunkChange>,
) -> Result<Tagged, AppError> {
    let mut after = visible(&state, &caller, uuid, state.store.connections().get(caller.account(), uuid).await).await?;
    if_match.check(&view::sip_connection(&after))?;
    form.ip.clone().apply(&mut after.ip);
    form.hostname.clone().apply(&mut after.hostname);
    form.username.clone().apply(&mut after.username);
    let register = form.register.unwrap_or(after.register);
    let authenticate = form.authenticate.unwrap_or(after.authenticate);
    let password = form.password.into_option();
    let mut fields = Fields::default();
    let whole = Whole {
        address: after.ip.is_some() || after.hostname.is_some(),
        username: after.username.is_some(),
        password: password.as_ref().map_or(after.password.is_some(), Option::is_some),
        register,
        authenticate,
    };
    whole.check(&mut fields);
    fields.check()?;
    let connections = state.store.connections();
    let changed = connections.update(caller.account(), uuid, caller.by(), password, |trunk| {
        trunk.name = form.name.unwrap_or_else(|| std::mem::take(&mut trunk.name));
        trunk.is_active = form.is_active.unwrap_or(trunk.is_active);
        trunk.product = form.product.unwrap_or(trunk.product);
        trunk.port = form.port.map_or(trunk.port, i64::from);
        trunk.transport = form.transport.unwrap_or(trunk.transport);
        form.srtp.apply(&mut trunk.srtp);
        if let Some(codecs) = form.codecs {
            trunk.codecs = codecs.into();
        }
        trunk.register = register;
        trunk.authenticate = authenticate;
        if let Some(sources) = form.sources {
            trunk.sources = sources.into();
        }
        if let Some(rules) = form.number_rules {
            trunk.routing.number_rules = number_rules(rules);
        }
        if let Some(names) = form.pass_headers {
            trunk.routing.pass_headers = names;
        }
        form.failover_codes.apply(&mut trunk.routing.failover_codes);
        form.progress_timeout.apply(&mut trunk.routing.progress_timeout);
        form.ring_timeout.apply(&mut trunk.routing.ring_timeout);
        trunk.routing.dtmf = form.dtmf.or(trunk.routing.dtmf);
        trunk.priority = form.priority.unwrap_or(trunk.priority);
        trunk.weight = form.weight.unwrap_or(trunk.weight);
        trunk.options_ping = form.options_ping.unwrap_or(trunk.options_ping);
        trunk.shaken_verify_policy = form.shaken_verify_policy.unwrap_or(trunk.shaken_verify_policy);
        form.ip.apply(&mut trunk.ip);
        form.hostname.apply(&mut trunk.hostname);
        form.username.apply(&mut trunk.username);
        form.channel_limit.apply(&mut trunk.channel_limit);
        form.cps_limit.apply(&mut trunk.cps_limit);
        form.shaken_minimum_accepted_attest_lvl.apply(&mut trunk.shaken_minimum_accepted_attest_lvl);
    });
    let trunk = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(view::sip_connection(&trunk)))
}

/// Delete a SIP connection that nothing points at.
#[utoipa::path(delete, path = "/rest/sip/connection/{uuid}", operation_id = "RemoveSIPConnectionByID", tag = "sip connection",
    params(("uuid" = Uuid, Path)), responses((status = 200, body = Envelope<model::SipConnection>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    let trunk = visible(&state, &caller, uuid, state.store.connections().get(caller.account(), uuid).await).await?;
    state.store.connections().delete(caller.account(), uuid).await?;
    state.calls.invalidate(caller.account());
    ok(view::sip_connection(&trunk))
}

/// Numbers whose calls go to the connection.
#[utoipa::path(get, path = "/rest/sip/connection/{uuid}/tnlease", operation_id = "GetSIPConnectionTNLeasesList",
    tag = "sip connection", params(("uuid" = Uuid, Path)),
    responses((status = 200, body = Envelope<Vec<model::TnLease>>), Faults))]
async fn leases(State(state): State<ApiState>, caller: Caller, Id(uuid): Id) -> Reply {
    visible(&state, &caller, uuid, state.store.connections().get(caller.account(), uuid).await).await?;
    lease::of_target(&state, &caller, VoiceTarget::Connection(uuid)).await
}

/// Give numbers to the connection, or take them off; the answer lists the uuids of its leases.
#[utoipa::path(post, path = "/rest/sip/connection/{uuid}/tnlease", operation_id = "AssignTNLeasesToSIPConnection",
    tag = "sip connection", params(("uuid" = Uuid, Path)), request_body = AssignLeases,
    responses((status = 200, body = Envelope<Vec<Uuid>>), Faults))]
async fn assign(State(state): State<ApiState>, caller: Caller, Id(uuid): Id, Body(form): Body<AssignLeases>) -> Reply {
    visible(&state, &caller, uuid, state.store.connections().get(caller.account(), uuid).await).await?;
    let leases = lease::assign(&state, &caller, VoiceTarget::Connection(uuid), &form).await?;
    ok(leases.iter().map(|lease| Value::from(lease.uuid.to_string())).collect::<Vec<_>>())
}
