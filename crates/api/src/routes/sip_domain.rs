//! SIP domains.

use axum::extract::State;
use opentact_store::domains::{NewDomain, SipDomain};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, created, ok};
use crate::error::AppError;
use crate::expand;
use crate::extract::{Body, Segment};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::types::{Change, is_label};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, modify, remove))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewSipDomain {
    /// The first label of the name: letters, digits, hyphens.
    #[schema(min_length = 1, max_length = 63)]
    domain: String,
    /// Where calls that reach the domain are forwarded.
    sip_connection: Option<Uuid>,
    /// What handles them.
    sip_control_app: Option<Uuid>,
    /// Lets its users and switches call numbers.
    outbound_voice_profile: Option<Uuid>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct SipDomainChange {
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    sip_connection: Change<Uuid>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    sip_control_app: Change<Uuid>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    outbound_voice_profile: Change<Uuid>,
}

/// The full name of what a path or body calls a domain: its label, or the whole.
pub(super) fn full_name(state: &ApiState, domain: &str) -> String {
    let domain = domain.to_ascii_lowercase();
    if domain.contains('.') { domain } else { format!("{domain}.{}", state.settings.sip_domain) }
}

/// The caller's domain by label or full name; another account's is 401.
pub(super) async fn find(state: &ApiState, caller: &Caller, domain: &str) -> Result<SipDomain, AppError> {
    match state.store.domains().by_name(&full_name(state, domain)).await? {
        Some(domain) if domain.account == caller.account() => Ok(domain),
        Some(_) => Err(AppError::Forbidden),
        None => Err(AppError::NotFound("SIP Domain")),
    }
}

/// All SIP domains of the account.
#[utoipa::path(get, path = "/rest/sip/domain", operation_id = "ListSIPDomains", tag = "sip domain",
    responses((status = 200, body = Envelope<Vec<model::SipDomain>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let domains = state.store.domains().list(caller.account()).await?;
    let mut shown = Vec::with_capacity(domains.len());
    for domain in &domains {
        shown.push(expand::domain(&state.store, domain).await?);
    }
    ok(shown)
}

/// Make a SIP domain.
#[utoipa::path(post, path = "/rest/sip/domain", operation_id = "CreateSIPDomain", tag = "sip domain",
    request_body = NewSipDomain, responses((status = 201, body = Envelope<model::SipDomain>), Faults))]
async fn create(State(state): State<ApiState>, caller: Caller, Body(form): Body<NewSipDomain>) -> Reply {
    let own = format!(".{}", state.settings.sip_domain);
    let lower = form.domain.to_ascii_lowercase();
    let label = lower.strip_suffix(&own).unwrap_or(&lower);
    if !is_label(label) {
        let message = "must be one label of letters, digits and hyphens";
        return Err(AppError::param("domain", message, Value::from(form.domain)));
    }
    let new = NewDomain {
        domain: format!("{label}{own}"),
        sip_connection: form.sip_connection,
        sip_control_app: form.sip_control_app,
        outbound_voice_profile: form.outbound_voice_profile,
    };
    let domain = state.store.domains().create(caller.account(), caller.by(), new).await?;
    state.calls.invalidate(caller.account());
    created(expand::domain(&state.store, &domain).await?)
}

/// One SIP domain, by its label or full name.
#[utoipa::path(get, path = "/rest/sip/domain/{domain}", operation_id = "GetSIPDomainByDomainName", tag = "sip domain",
    params(IfNoneMatch, ("domain" = String, Path, description = "Label or full name")),
    responses((status = 200, body = Envelope<model::SipDomain>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, Segment(name): Segment) -> Result<Tagged, AppError> {
    let domain = find(&state, &caller, &name).await?;
    Ok(Tagged(expand::domain(&state.store, &domain).await?))
}

/// Change where the domain's calls go.
#[utoipa::path(patch, path = "/rest/sip/domain/{domain}", operation_id = "ModifySIPDomainByDomainName", tag = "sip domain",
    params(IfMatch, ("domain" = String, Path, description = "Label or full name")), request_body = SipDomainChange,
    responses((status = 200, body = Envelope<model::SipDomain>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(name): Segment,
    if_match: IfMatch,
    Body(form): Body<SipDomainChange>,
) -> Result<Tagged, AppError> {
    let domain = find(&state, &caller, &name).await?;
    if_match.check(&expand::domain(&state.store, &domain).await?)?;
    let domains = state.store.domains();
    let changed = domains.update(caller.account(), domain.uuid, caller.by(), |domain| {
        form.sip_connection.apply(&mut domain.sip_connection);
        form.sip_control_app.apply(&mut domain.sip_control_app);
        form.outbound_voice_profile.apply(&mut domain.outbound_voice_profile);
    });
    let domain = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(expand::domain(&state.store, &domain).await?))
}

/// Delete a SIP domain that has no users, groups or switches.
#[utoipa::path(delete, path = "/rest/sip/domain/{domain}", operation_id = "RemoveSIPDomainByDomainName", tag = "sip domain",
    params(("domain" = String, Path, description = "Label or full name")),
    responses((status = 200, body = Envelope<model::SipDomain>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, Segment(name): Segment) -> Reply {
    let domain = find(&state, &caller, &name).await?;
    let payload = expand::domain(&state.store, &domain).await?;
    state.store.domains().delete(caller.account(), domain.uuid).await?;
    state.calls.invalidate(caller.account());
    ok(payload)
}
