//! Objects with what they point at: reads the rows that [`opentact_events::view`] shows inside others.

use std::collections::HashMap;

use opentact_events::view::{self, CallContext, DomainContext, LeaseContext, SipUserContext, SmsContext};
use opentact_store::accounts::Account;
use opentact_store::calls::CallRecord;
use opentact_store::domains::SipDomain;
use opentact_store::numbers::{TnLease, TnOrder};
use opentact_store::sip_users::SipUser;
use opentact_store::sms::Sms;
use opentact_store::voice_profiles::OutboundVoiceProfile;
use opentact_store::{Found, Store, StoreError};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::AppError;
use crate::state::ApiState;

type Result<T> = std::result::Result<T, StoreError>;

/// A row that may have gone in between is shown as its uuid, not as an error.
fn gone_is_none<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(row) => Ok(Some(row)),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn by_uuid<T>(rows: Vec<T>, uuid: fn(&T) -> Uuid) -> HashMap<Uuid, T> {
    rows.into_iter().map(|row| (uuid(&row), row)).collect()
}

/// Leases of one account, in the order given.
pub(crate) async fn leases(store: &Store, owner: &Account, leases: &[TnLease]) -> Result<Vec<Value>> {
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    let account = owner.uuid;
    let numbers = store.numbers().numbers(leases.iter().map(|lease| lease.tn).collect()).await?;
    let numbers: HashMap<_, _> = numbers.into_iter().map(|number| (number.tn, number)).collect();
    let any = |which: fn(&TnLease) -> Option<Uuid>| leases.iter().any(|lease| which(lease).is_some());
    let apps = if any(|lease| lease.sip_control_app) { store.apps().list(account).await? } else { Vec::new() };
    let trunks = if any(|lease| lease.sip_connection) { store.connections().list(account).await? } else { Vec::new() };
    let profiles =
        if any(|lease| lease.messaging_profile) { store.messaging_profiles().list(account).await? } else { Vec::new() };
    let (apps, trunks) = (by_uuid(apps, |app| app.uuid), by_uuid(trunks, |trunk| trunk.uuid));
    let profiles = by_uuid(profiles, |profile| profile.uuid);
    let mut users: HashMap<Uuid, SipUser> = HashMap::new();
    for uuid in leases.iter().filter_map(|lease| lease.sip_user) {
        if !users.contains_key(&uuid)
            && let Some(user) = gone_is_none(store.sip_users().get(account, uuid).await)?
        {
            users.insert(uuid, user);
        }
    }
    let shown = leases.iter().map(|lease| {
        let context = LeaseContext {
            number: numbers.get(&lease.tn),
            account: Some(owner),
            sip_connection: lease.sip_connection.and_then(|uuid| trunks.get(&uuid)),
            sip_control_app: lease.sip_control_app.and_then(|uuid| apps.get(&uuid)),
            sip_user: lease.sip_user.and_then(|uuid| users.get(&uuid)),
            messaging_profile: lease.messaging_profile.and_then(|uuid| profiles.get(&uuid)),
        };
        view::lease(lease, context)
    });
    Ok(shown.collect())
}

pub(crate) async fn lease(store: &Store, owner: &Account, lease: &TnLease) -> Result<Value> {
    Ok(leases(store, owner, std::slice::from_ref(lease)).await?.pop().unwrap_or_default())
}

/// An order with its items, errors and the leases it brought.
pub(crate) async fn order(store: &Store, order: &TnOrder) -> Result<Value> {
    let brought = store.numbers().order_leases(order.account, order.uuid).await?;
    let owner = store.accounts().get(order.account).await?;
    Ok(view::order(order, leases(store, &owner, &brought).await?))
}

pub(crate) async fn domain(store: &Store, domain: &SipDomain) -> Result<Value> {
    let account = domain.account;
    let trunk = match domain.sip_connection {
        Some(uuid) => gone_is_none(store.connections().get(account, uuid).await)?,
        None => None,
    };
    let app = match domain.sip_control_app {
        Some(uuid) => gone_is_none(store.apps().get(account, uuid).await)?,
        None => None,
    };
    let profile = match domain.outbound_voice_profile {
        Some(uuid) => gone_is_none(store.voice_profiles().get(account, uuid).await)?,
        None => None,
    };
    let context = DomainContext {
        sip_connection: trunk.as_ref(),
        sip_control_app: app.as_ref(),
        outbound_voice_profile: profile.as_ref(),
    };
    Ok(view::sip_domain(domain, context))
}

async fn optional_lease(store: &Store, account: Uuid, lease: Option<Uuid>) -> Result<Option<TnLease>> {
    match lease {
        Some(uuid) => gone_is_none(store.numbers().get_lease(account, uuid).await),
        None => Ok(None),
    }
}

pub(crate) async fn voice_profile(store: &Store, profile: &OutboundVoiceProfile) -> Result<Value> {
    let lease = optional_lease(store, profile.account, profile.tn_lease).await?;
    Ok(view::outbound_voice_profile(profile, lease.as_ref()))
}

/// A SIP user with its registrations.
pub(crate) async fn sip_user(
    state: &ApiState,
    domain: &SipDomain,
    user: &SipUser,
) -> std::result::Result<Value, AppError> {
    let lease = optional_lease(&state.store, user.account, user.tn_lease).await?;
    let registrations = state.calls.registrations(user.uuid).await.into_iter().map(|one| {
        json!({
            "contact": one.contact,
            "user_agent": one.user_agent,
            "transport": one.transport,
            "expires_on": view::date(one.expires_on),
        })
    });
    let context =
        SipUserContext { domain: Some(domain), lease: lease.as_ref(), registrations: registrations.collect() };
    Ok(view::sip_user(user, context))
}

pub(crate) async fn message(store: &Store, account: &Account, sms: &Sms) -> Result<Value> {
    let number = store.numbers().number(sms.tn).await?;
    let lease = optional_lease(store, sms.account, sms.tn_lease).await?;
    let profile = match sms.messaging_profile.or(lease.as_ref().and_then(|lease| lease.messaging_profile)) {
        Some(uuid) => gone_is_none(store.messaging_profiles().get(sms.account, uuid).await)?,
        None => None,
    };
    let context = SmsContext {
        account: Some(account),
        number: number.as_ref(),
        lease: lease.as_ref(),
        profile: profile.as_ref(),
    };
    Ok(view::sms(sms, context))
}

/// A page of messages: numbers and leases are told by what the message itself knows.
pub(crate) fn messages(account: &Account, found: Found<Sms>) -> Found<Value> {
    found.map(|sms| view::sms(&sms, SmsContext { account: Some(account), ..SmsContext::default() }))
}

/// A call record with its parent, children and log.
pub(crate) async fn call(store: &Store, account: &Account, record: &CallRecord) -> Result<Value> {
    let parent = match record.parent {
        Some(uuid) => gone_is_none(store.calls().get(record.account, uuid).await)?,
        None => None,
    };
    let children = store.calls().children(record.account, record.uuid).await?;
    let logs = store.calls().logs(record.account, record.uuid).await?;
    let children: Vec<&CallRecord> = children.iter().collect();
    let records = store.records().of_call(record.account, record.uuid).await?;
    let context = CallContext {
        account: Some(account),
        parent: parent.as_ref(),
        children: &children,
        logs: &logs,
        records: &records.iter().map(view::record).collect::<Vec<_>>(),
    };
    Ok(view::call(record, context))
}

/// A page of call records, without logs and children.
pub(crate) fn calls(account: &Account, found: Found<CallRecord>) -> Found<Value> {
    found.map(|record| view::call(&record, CallContext { account: Some(account), ..CallContext::default() }))
}
