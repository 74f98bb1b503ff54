//! Where calls and messages to a number go, step by step, as the router and the messaging worker decide.

use axum::extract::State;
use opentact_store::apps::SipControlApp;
use opentact_store::numbers::TnLease;
use opentact_store::tn_filters::TnFilter;
use opentact_store::types::{Feature, OnReject};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::lease::{self, LeasePath};
use crate::auth::Caller;
use crate::envelope::{Envelope, Reply, ok};
use crate::error::AppError;
use crate::extract::Segments;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::types;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(route))
}

/// Where what comes to a number goes.
#[derive(Serialize, ToSchema)]
struct LeaseRoute {
    #[schema(schema_with = types::tn_out)]
    tn: u64,
    /// Of a call, in order.
    voice: Vec<Step>,
    /// Of a message, in order.
    sms: Vec<Step>,
}

/// One step of the way.
#[derive(Serialize, ToSchema)]
struct Step {
    /// `tn_profile`, `stir_shaken`, `sip_control_app`, `call_flow`, `parked`, `sip_user`, `registration`, `sip_connection`,
    /// `messaging_profile`, `webhook`, `stored`, or `refused`, which is the last.
    #[schema(example = "sip_control_app")]
    step: &'static str,
    /// Of the object it is about.
    uuid: Option<Uuid>,
    /// What it is called, or where it goes: a name, a SIP address, a URL.
    name: Option<String>,
    /// What happens there, for people to read.
    detail: String,
    /// SIP status, where calls are refused.
    code: Option<u16>,
}

impl Step {
    fn new(step: &'static str, detail: impl Into<String>) -> Self {
        Self { step, uuid: None, name: None, detail: detail.into(), code: None }
    }

    fn of(step: &'static str, uuid: Uuid, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { uuid: Some(uuid), name: Some(name.into()), ..Self::new(step, detail) }
    }

    fn to(step: &'static str, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::new(step, detail) }
    }

    fn refused(code: u16, detail: &str) -> Self {
        Self { code: Some(code), ..Self::new("refused", detail) }
    }
}

/// Where a call or a message to a number of the account goes, step by step, as things are now.
#[utoipa::path(get, path = "/rest/lease/tn/{uuid}/route", operation_id = "GetTNLeaseRoute", tag = "lease",
    params(LeasePath),
    responses((status = 200, body = Envelope<LeaseRoute>), Faults))]
async fn route(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let lease = lease::find(&state, &caller, &path).await?;
    let route = LeaseRoute {
        tn: lease.tn.get(),
        voice: voice(&state, &caller, &lease).await?,
        sms: sms(&state, &caller, &lease).await?,
    };
    ok(json!(route))
}

async fn voice(state: &ApiState, caller: &Caller, lease: &TnLease) -> Result<Vec<Step>, AppError> {
    if caller.account.disabled_on.is_some() {
        return Ok(vec![Step::refused(403, "Account Disabled")]);
    }
    if !lease.subscriptions.contains(&Feature::Voice) {
        return Ok(vec![Step::refused(404, "Number Has No Voice")]);
    }
    let (store, account) = (&state.store, caller.account());
    let mut steps = Vec::new();
    if let Some(uuid) = lease.tn_profile {
        let filter = store.tn_filters().get(account, uuid).await?;
        if filter.is_active {
            steps.push(Step::of("tn_profile", uuid, filter.name.clone(), kept_out(&filter)));
        }
    }
    if let Some(uuid) = lease.sip_control_app {
        through_app(&store.apps().get(account, uuid).await?, &mut steps);
    } else if let Some(uuid) = lease.sip_user {
        let user = store.sip_users().get(account, uuid).await?;
        let domain = store.domains().get(account, user.sip_domain).await?.domain;
        let all = "rings all its registrations at once";
        steps.push(Step::of("sip_user", uuid, format!("{}@{domain}", user.login), all));
        let registrations = state.calls.registrations(uuid).await;
        if registrations.is_empty() {
            steps.push(Step::refused(480, "it has not registered"));
        }
        steps.extend(registrations.into_iter().map(|one| {
            let until = one.expires_on.format("%Y-%m-%dT%H:%M:%SZ");
            Step::to("registration", one.contact, format!("over {}, until {until}: {}", one.transport, one.user_agent))
        }));
    } else if let Some(uuid) = lease.sip_connection {
        let trunk = store.connections().get(account, uuid).await?;
        let host = trunk.hostname.or(trunk.ip).unwrap_or_default();
        let health = state.calls.trunk_health(uuid).state;
        let detail = format!("dialled at {host}:{} over {}; its state is {health}", trunk.port, trunk.transport);
        steps.push(Step::of("sip_connection", uuid, trunk.name, detail));
        if !trunk.is_active {
            steps.push(Step::refused(503, "the connection is not active"));
        }
    } else {
        steps.push(Step::refused(480, "Number Has No Voice Target"));
    }
    Ok(steps)
}

fn kept_out(filter: &TnFilter) -> String {
    let fate = match filter.on_reject {
        OnReject::Busy => "are refused with 486",
        OnReject::VoicemailApp if filter.sip_control_app.is_some() => "get to another app",
        OnReject::VoicemailApp | OnReject::Decline => "are refused with 603",
    };
    let others = if filter.whitelist.is_empty() { "" } else { ", and whom its whitelist does not have," };
    format!("callers whom its blacklist of {} has{others} {fate}", filter.blacklist.len())
}

fn through_app(app: &SipControlApp, steps: &mut Vec<Step>) {
    match app.shaken_verify_policy {
        0 => {}
        3 => steps.push(Step::new("stir_shaken", "checked, and let through whatever comes of it")),
        policy => {
            let asked = if policy == 1 { "without an identity" } else { "without a valid identity" };
            let least = app.shaken_minimum_accepted_attest_lvl;
            let least = least.map(|level| format!(", or with less than {level},")).unwrap_or_default();
            steps.push(Step::new("stir_shaken", format!("calls {asked}{least} are refused")));
        }
    }
    let answered = if app.auto_answer { "answers, and runs its flow" } else { "runs its flow, which answers" };
    steps.push(Step::of("sip_control_app", app.uuid, app.name.clone(), answered));
    if !app.is_active {
        steps.push(Step::refused(480, "App Not Active"));
    } else if app.xml.is_some() {
        steps.push(Step::new("call_flow", "the app's static XML"));
    } else {
        let urls = app.call_flow_url.iter().chain(&app.call_flow_url2);
        let before = steps.len();
        steps.extend(urls.map(|url| Step::to("call_flow", url, format!("asked by {}", app.call_flow_method))));
        if steps.len() == before {
            steps.push(Step::new("parked", "until XML is sent to the call by REST"));
        }
    }
}

async fn sms(state: &ApiState, caller: &Caller, lease: &TnLease) -> Result<Vec<Step>, AppError> {
    let mut steps = Vec::new();
    if let Some(uuid) = lease.messaging_profile {
        let profile = state.store.messaging_profiles().get(caller.account(), uuid).await?;
        steps.push(Step::of("messaging_profile", uuid, profile.name, "keeps opt-outs and answers key words"));
        let details = ["told of each message", "told where the one before cannot be reached"];
        let urls = profile.callback_url.into_iter().chain(profile.callback_url2);
        steps.extend(urls.zip(details).map(|(url, detail)| Step::to("webhook", url, detail)));
    }
    steps.push(Step::new("stored", "in the SMS log, and told of by an event"));
    Ok(steps)
}
