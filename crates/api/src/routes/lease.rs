//! Leases: the numbers an account holds, and where their calls and messages go.

use axum::extract::State;
use opentact_events::view;
use opentact_store::numbers::{LeaseFilter, TnLease};
use opentact_store::types::{Feature, Tn};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::forms::{AssignLeases, PageQuery, search_form};
use crate::auth::Caller;
use crate::conditional::{IfMatch, IfNoneMatch};
use crate::envelope::{Envelope, Reply, Tagged, ok};
use crate::error::{AppError, Fields};
use crate::expand;
use crate::extract::{Body, Query, Segments};
use crate::model;
use crate::openapi::Faults;
use crate::state::ApiState;
use crate::store_error::visible;
use crate::terms;
use crate::types::{self, Change};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, remove_many))
        .routes(routes!(search))
        .routes(routes!(get, modify, remove))
        .routes(routes!(get_2021))
        .routes(routes!(subscribe, unsubscribe))
}

/// The lease in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
pub(super) struct LeasePath {
    /// Uuid of the lease, or the number.
    #[param(pattern = r"^(\+?[1-9][0-9]{6,14}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$")]
    uuid: String,
}

/// Leases of one request to assign or release.
const MAX_LEASES: u64 = 100;

/// What rings for the calls of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VoiceTarget {
    App(Uuid),
    Connection(Uuid),
}

impl VoiceTarget {
    fn filter(self) -> LeaseFilter {
        match self {
            Self::App(uuid) => LeaseFilter { sip_control_app: Some(uuid), ..LeaseFilter::default() },
            Self::Connection(uuid) => LeaseFilter { sip_connection: Some(uuid), ..LeaseFilter::default() },
        }
    }

    fn holds(self, lease: &TnLease) -> bool {
        match self {
            Self::App(uuid) => lease.sip_control_app == Some(uuid),
            Self::Connection(uuid) => lease.sip_connection == Some(uuid),
        }
    }
}

/// Every lease that meets the filter, by number.
pub(super) async fn matching(state: &ApiState, caller: &Caller, filter: LeaseFilter) -> Result<Vec<TnLease>, AppError> {
    let mut search = opentact_store::Search { take: MAX_LEASES, count: false, ..Default::default() };
    let mut leases = Vec::new();
    loop {
        let found = state.store.numbers().search_leases(caller.account(), filter.clone(), search.clone()).await?;
        leases.extend(found.data);
        match found.next_cursor {
            Some(cursor) => search.cursor = Some(cursor),
            None => break,
        }
    }
    leases.sort_by_key(|lease| lease.tn);
    Ok(leases)
}

/// The same as an answer.
pub(super) async fn all(state: &ApiState, caller: &Caller, filter: LeaseFilter) -> Reply {
    let leases = matching(state, caller, filter).await?;
    ok(expand::leases(&state.store, &caller.account, &leases).await?)
}

pub(super) async fn of_target(state: &ApiState, caller: &Caller, target: VoiceTarget) -> Reply {
    all(state, caller, target.filter()).await
}

/// Assigns and takes off; nothing is done when one of the leases is not there.
pub(super) async fn assign(
    state: &ApiState,
    caller: &Caller,
    target: VoiceTarget,
    form: &AssignLeases,
) -> Result<Vec<TnLease>, AppError> {
    let numbers = state.store.numbers();
    for uuid in form.add.iter().chain(&form.remove) {
        visible(state, caller, *uuid, numbers.get_lease(caller.account(), *uuid).await).await?;
    }
    for uuid in &form.add {
        numbers
            .update_lease(caller.account(), *uuid, caller.by(), |lease| match target {
                VoiceTarget::App(app) => lease.sip_control_app = Some(app),
                VoiceTarget::Connection(connection) => lease.sip_connection = Some(connection),
            })
            .await?;
    }
    for uuid in &form.remove {
        numbers
            .update_lease(caller.account(), *uuid, caller.by(), |lease| {
                if target.holds(lease) {
                    (lease.sip_control_app, lease.sip_connection) = (None, None);
                }
            })
            .await?;
    }
    state.calls.invalidate(caller.account());
    matching(state, caller, target.filter()).await
}

/// The account's lease of a number; another account's number is as unknown as one that is not leased.
pub(super) async fn by_number(state: &ApiState, caller: &Caller, tn: Tn) -> Result<TnLease, AppError> {
    Ok(state.store.numbers().get_lease_by_tn(caller.account(), tn).await?)
}

/// The lease that a path names by uuid or by number.
pub(super) async fn find(state: &ApiState, caller: &Caller, path: &Segments) -> Result<TnLease, AppError> {
    let text = path.text("uuid");
    if let Ok(tn) = text.parse::<Tn>() {
        return match state.store.numbers().active_lease(tn).await? {
            Some(lease) if lease.account == caller.account() => Ok(lease),
            Some(_) => Err(AppError::Forbidden),
            None => Err(AppError::NotFound("TNLease")),
        };
    }
    if text.len() != 36 || Uuid::try_parse(text).is_err() {
        let mut fields = Fields::default();
        fields.push("path.uuid", "invalid UUID or telephone number", Value::from(text));
        return Err(AppError::Invalid(fields));
    }
    let uuid = path.uuid("uuid")?;
    visible(state, caller, uuid, state.store.numbers().get_lease(caller.account(), uuid).await).await
}

/// All numbers of the account.
#[utoipa::path(get, path = "/rest/lease/tn", operation_id = "ListTNLeases", tag = "lease",
    responses((status = 200, body = Envelope<Vec<model::TnLease>>), Faults))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Reply {
    let leases = state.store.numbers().leases(caller.account()).await?;
    ok(expand::leases(&state.store, &caller.account, &leases).await?)
}

search_form! {
    /// Filters of leases.
    pub struct LeaseSearch {
        #[serde(deserialize_with = "types::text_or_number")]
        #[schema(schema_with = types::mask)]
        pub tn: Option<String>,
        pub autorenew: Option<bool>,
        pub sip_connection: Option<Uuid>,
        pub sip_control_app: Option<Uuid>,
        pub sip_user: Option<Uuid>,
        pub messaging_profile: Option<Uuid>,
        pub sms_campaign: Option<Uuid>,
        /// Leases of these connections are left out.
        #[schema(max_items = 100)]
        pub sip_connections_skip: Vec<Uuid>,
        /// All of them.
        #[schema(schema_with = types::features)]
        pub features: Vec<Feature>,
    }
}

/// Search the numbers of the account.
#[utoipa::path(post, path = "/rest/lease/tn/search", operation_id = "SearchTNLeases", tag = "lease", params(PageQuery),
    request_body = LeaseSearch, responses((status = 200, body = Envelope<model::Page<model::TnLease>>), Faults))]
async fn search(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<PageQuery>,
    Body(form): Body<LeaseSearch>,
) -> Reply {
    let search = form.search(&query)?;
    let filter = LeaseFilter {
        tn: form.tn,
        autorenew: form.autorenew,
        sip_connection: form.sip_connection,
        sip_control_app: form.sip_control_app,
        sip_user: form.sip_user,
        sip_connections_skip: form.sip_connections_skip,
        messaging_profile: form.messaging_profile,
        sms_campaign: form.sms_campaign,
        features: form.features,
    };
    let found = state.store.numbers().search_leases(caller.account(), filter, search).await?;
    let mut shown = expand::leases(&state.store, &caller.account, &found.data).await?.into_iter();
    ok(view::found(found.map(|_| shown.next().unwrap_or_default())))
}

/// One number of the account.
#[utoipa::path(get, path = "/rest/lease/tn/{uuid}", operation_id = "GetTNLeaseByUUID", tag = "lease",
    params(IfNoneMatch, LeasePath),
    responses((status = 200, body = Envelope<model::TnLease>), Faults))]
async fn get(State(state): State<ApiState>, caller: Caller, path: Segments) -> Result<Tagged, AppError> {
    let lease = find(&state, &caller, &path).await?;
    Ok(Tagged(expand::lease(&state.store, &caller.account, &lease).await?))
}

/// One number of the account; the 2021 path.
#[utoipa::path(get, path = "/rest/lease/tn/{uuid}/tn", operation_id = "GetTNLeaseByTN", tag = "lease",
    params(IfNoneMatch, LeasePath),
    responses((status = 200, body = Envelope<model::TnLease>), Faults))]
async fn get_2021(State(state): State<ApiState>, caller: Caller, path: Segments) -> Result<Tagged, AppError> {
    let lease = find(&state, &caller, &path).await?;
    Ok(Tagged(expand::lease(&state.store, &caller.account, &lease).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
struct LeaseChange {
    autorenew: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    messaging_profile: Change<Uuid>,
    /// 10DLC campaign of what the number sends.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    sms_campaign: Change<Uuid>,
    /// One voice target: a new one puts the old one out.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    sip_connection: Change<Uuid>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    sip_control_app: Change<Uuid>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    sip_user: Change<Uuid>,
    /// Who may call it.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    tn_profile: Change<Uuid>,
    voice: Option<bool>,
    sms: Option<bool>,
    mms: Option<bool>,
    fax: Option<bool>,
    emergency: Option<bool>,
}

impl LeaseChange {
    fn features(&self) -> [(Option<bool>, Feature); 5] {
        [
            (self.voice, Feature::Voice),
            (self.sms, Feature::Sms),
            (self.mms, Feature::Mms),
            (self.fax, Feature::Fax),
            (self.emergency, Feature::Emergency),
        ]
    }

    /// A feature can only be switched on that the number has.
    async fn check(&self, state: &ApiState, lease: &TnLease) -> Result<(), AppError> {
        let offered = offered(state, lease).await?;
        let mut fields = Fields::default();
        let targets = [
            ("sip_connection", self.sip_connection),
            ("sip_control_app", self.sip_control_app),
            ("sip_user", self.sip_user),
        ];
        for (name, target) in targets.iter().filter(|(_, target)| target.set().is_some()).skip(1) {
            fields.param(name, "a number has one voice target", json!(target.set()));
        }
        for (wanted, feature) in self.features() {
            if wanted == Some(true) && !offered.contains(&feature) {
                fields.param(feature.as_str(), "the number does not have this feature", true);
            }
        }
        fields.check()
    }
}

/// What the number of a lease can do.
async fn offered(state: &ApiState, lease: &TnLease) -> Result<Vec<Feature>, AppError> {
    let number = state.store.numbers().number(lease.tn).await?;
    Ok(number.map(|number| number.features.0).unwrap_or_default())
}

fn switch(lease: &mut TnLease, feature: Feature, on: bool) {
    lease.subscriptions.retain(|one| *one != feature);
    if on {
        lease.subscriptions.push(feature);
    }
}

#[derive(Debug, Default, Deserialize, ToSchema)]
struct Subscribe {
    /// Whose messages they are, where the feature is `sms` or `mms`; null detaches.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    messaging_profile: Change<Uuid>,
    /// The 10DLC campaign they are sent for, where the feature is `sms`; null detaches.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    sms_campaign: Change<Uuid>,
}

fn feature(path: &Segments) -> Result<Feature, AppError> {
    let text = path.text("feature");
    text.parse().map_err(|_| {
        let mut fields = Fields::default();
        let words: Vec<&str> = Feature::ALL.iter().map(|feature| feature.as_str()).collect();
        fields.push("path.feature", format!("must be one of {}", words.join(", ")), Value::from(text));
        AppError::Invalid(fields)
    })
}

/// Switch a feature of a number on.
#[utoipa::path(post, path = "/rest/lease/tn/{uuid}/subscription/{feature}", operation_id = "SubscribeTNLease", tag = "lease",
    params(LeasePath,
        ("feature" = String, Path, description = "`voice`, `sms`, `mms`, `fax` or `emergency`", example = "sms",
            pattern = "^(voice|sms|mms|fax|emergency)$")),
    request_body = Subscribe, responses((status = 200, body = Envelope<model::TnLease>), Faults))]
async fn subscribe(
    State(state): State<ApiState>,
    caller: Caller,
    path: Segments,
    Body(form): Body<Subscribe>,
) -> Reply {
    let feature = feature(&path)?;
    let lease = find(&state, &caller, &path).await?;
    if !offered(&state, &lease).await?.contains(&feature) {
        return Err(AppError::Conflict("The number does not have this feature".to_owned()));
    }
    if form.messaging_profile.set().is_some() && !matches!(feature, Feature::Sms | Feature::Mms) {
        return Err(AppError::param("messaging_profile", "is of messages", json!(form.messaging_profile.set())));
    }
    if form.sms_campaign.set().is_some() && feature != Feature::Sms {
        return Err(AppError::param("sms_campaign", "is of SMS", json!(form.sms_campaign.set())));
    }
    let numbers = state.store.numbers();
    let changed = numbers.update_lease(caller.account(), lease.uuid, caller.by(), |lease| {
        switch(lease, feature, true);
        form.messaging_profile.apply(&mut lease.messaging_profile);
        form.sms_campaign.apply(&mut lease.sms_campaign);
    });
    let lease = changed.await?;
    state.calls.invalidate(caller.account());
    ok(expand::lease(&state.store, &caller.account, &lease).await?)
}

/// Switch a feature of a number off.
#[utoipa::path(delete, path = "/rest/lease/tn/{uuid}/subscription/{feature}", operation_id = "UnsubscribeTNLease",
    tag = "lease", params(LeasePath,
        ("feature" = String, Path, description = "`voice`, `sms`, `mms`, `fax` or `emergency`", example = "sms",
            pattern = "^(voice|sms|mms|fax|emergency)$")),
    responses((status = 200, body = Envelope<model::TnLease>), Faults))]
async fn unsubscribe(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let feature = feature(&path)?;
    let lease = find(&state, &caller, &path).await?;
    let numbers = state.store.numbers();
    let changed =
        numbers.update_lease(caller.account(), lease.uuid, caller.by(), |lease| switch(lease, feature, false));
    let lease = changed.await?;
    state.calls.invalidate(caller.account());
    ok(expand::lease(&state.store, &caller.account, &lease).await?)
}

/// Change where the calls and messages of a number go; null detaches.
#[utoipa::path(patch, path = "/rest/lease/tn/{uuid}", operation_id = "ModifyTNLease", tag = "lease",
    params(IfMatch, LeasePath), request_body = LeaseChange,
    responses((status = 200, body = Envelope<model::TnLease>), Faults))]
async fn modify(
    State(state): State<ApiState>,
    caller: Caller,
    path: Segments,
    if_match: IfMatch,
    Body(form): Body<LeaseChange>,
) -> Result<Tagged, AppError> {
    let lease = find(&state, &caller, &path).await?;
    if_match.check(&expand::lease(&state.store, &caller.account, &lease).await?)?;
    form.check(&state, &lease).await?;
    let features = form.features();
    let numbers = state.store.numbers();
    let changed = numbers.update_lease(caller.account(), lease.uuid, caller.by(), |lease| {
        lease.autorenew = form.autorenew.unwrap_or(lease.autorenew);
        form.messaging_profile.apply(&mut lease.messaging_profile);
        form.sms_campaign.apply(&mut lease.sms_campaign);
        form.sip_connection.apply(&mut lease.sip_connection);
        form.sip_control_app.apply(&mut lease.sip_control_app);
        form.sip_user.apply(&mut lease.sip_user);
        form.tn_profile.apply(&mut lease.tn_profile);
        for (wanted, feature) in features {
            if let Some(wanted) = wanted {
                switch(lease, feature, wanted);
            }
        }
    });
    let lease = changed.await?;
    state.calls.invalidate(caller.account());
    Ok(Tagged(expand::lease(&state.store, &caller.account, &lease).await?))
}

async fn release(state: &ApiState, caller: &Caller, lease: &TnLease) -> Result<(), AppError> {
    let quarantine = state.settings.orders.quarantine;
    let ended = state.store.numbers().release(caller.account(), lease.uuid, quarantine).await?;
    terms::give_back(&state.store, &*state.numbers, &*state.calls, &ended).await;
    Ok(())
}

/// Give a number back.
#[utoipa::path(delete, path = "/rest/lease/tn/{uuid}", operation_id = "RemoveTNLeaseByUUID", tag = "lease",
    params(LeasePath),
    responses((status = 200, body = Envelope<model::TnLease>), Faults))]
async fn remove(State(state): State<ApiState>, caller: Caller, path: Segments) -> Reply {
    let lease = find(&state, &caller, &path).await?;
    let payload = expand::lease(&state.store, &caller.account, &lease).await?;
    release(&state, &caller, &lease).await?;
    ok(payload)
}

#[derive(Debug, Deserialize, ToSchema)]
struct ReleaseMany {
    /// Numbers to give back.
    #[schema(schema_with = tns)]
    item: Vec<Tn>,
}

pub(super) fn tns() -> utoipa::openapi::schema::Array {
    use utoipa::openapi::schema::ArrayBuilder;
    ArrayBuilder::new().items(types::tn()).min_items(Some(1)).max_items(Some(100)).build()
}

/// Give several numbers back; nothing is done when one of them is not the account's.
#[utoipa::path(delete, path = "/rest/lease/tn", operation_id = "RemoveTNLeases", tag = "lease", request_body = ReleaseMany,
    responses((status = 200, body = Envelope<Vec<model::TnLease>>), Faults))]
async fn remove_many(State(state): State<ApiState>, caller: Caller, Body(form): Body<ReleaseMany>) -> Reply {
    let mut leases = Vec::new();
    let mut fields = Fields::default();
    for (index, tn) in form.item.iter().enumerate() {
        match state.store.numbers().get_lease_by_tn(caller.account(), *tn).await {
            Ok(lease) => leases.push(lease),
            Err(opentact_store::StoreError::NotFound(_)) => {
                fields.param(&format!("item[{index}]"), "is not a number of the account", tn.get());
            }
            Err(error) => return Err(error.into()),
        }
    }
    fields.check()?;
    leases.dedup_by_key(|lease| lease.uuid);
    let payload = expand::leases(&state.store, &caller.account, &leases).await?;
    for lease in &leases {
        release(&state, &caller, lease).await?;
    }
    ok(payload)
}
