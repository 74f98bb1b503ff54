//! What ends with time. A lease's term: renewed for a month where the account wants it and can pay, told of before, else
//! given back. Tokens and special prices: deleted.
//!
//! Each node looks; a lease is changed only as it was read, so that two nodes do not renew it twice.

use std::sync::Arc;

use chrono::{DateTime, Months, TimeDelta, Utc};
use opentact_engine::ports::{CallControl, NumberCarrier};
use opentact_events::{EventType, Hub, NewEvent};
use opentact_store::numbers::TnLease;
use opentact_store::transactions::NewTransaction;
use opentact_store::types::{RefType, now};
use opentact_store::{Store, StoreError};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::error::AppError;
use crate::settings::{LeaseSettings, OrderSettings};
use crate::{expand, orders};

/// Leases read at once.
const PAGE: u64 = 200;

/// What is done as time passes. Names are those of the 2021 scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    ExpiredTokens,
    ExpiredSpecialPrices,
    /// A lease that goes on is renewed; one that cannot be paid is told of, and given back after its grace.
    Autorenew,
    /// A lease that does not go on is told of.
    ReleaseNotification,
    /// And given back when it has ended.
    Autorelease,
}

impl Action {
    pub(crate) const ALL: [Self; 5] = [
        Self::ExpiredTokens,
        Self::ExpiredSpecialPrices,
        Self::Autorenew,
        Self::Autorelease,
        Self::ReleaseNotification,
    ];
    const OF_LEASES: [Self; 3] = [Self::Autorenew, Self::Autorelease, Self::ReleaseNotification];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ExpiredTokens => "expired_tokens",
            Self::ExpiredSpecialPrices => "expired_special_prices",
            Self::Autorenew => "tn_leases_autorenew",
            Self::ReleaseNotification => "tn_leases_release_notification",
            Self::Autorelease => "tn_autorelease",
        }
    }

    /// What is due of a lease.
    fn of(lease: &TnLease, now: DateTime<Utc>) -> Option<Self> {
        let over = lease.expired_on <= now;
        match (lease.autorenew, lease.noticed_on) {
            (true, _) => over.then_some(Self::Autorenew),
            (false, None) => Some(Self::ReleaseNotification),
            (false, Some(_)) => over.then_some(Self::Autorelease),
        }
    }
}

/// What can be said of the term of a lease.
#[derive(Debug, Clone, Copy)]
enum Term {
    Renewed,
    /// It is not to be renewed.
    Expiring,
    /// The balance does not suffice; tried again until the grace is over.
    RenewalFailed,
    Released,
}

impl Term {
    fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Expiring => "expiring",
            Self::RenewalFailed => "renewal_failed",
            Self::Released => "released",
        }
    }
}

pub(crate) struct Terms {
    pub store: Store,
    pub hub: Hub,
    pub numbers: Arc<dyn NumberCarrier>,
    pub calls: Arc<dyn CallControl>,
    pub settings: LeaseSettings,
    pub orders: OrderSettings,
}

impl Terms {
    /// Looks now and then; ends when what it returns is dropped.
    pub(crate) fn start(self: Arc<Self>) -> oneshot::Sender<()> {
        let (end, ended) = oneshot::channel();
        tokio::spawn(self.run(ended));
        end
    }

    async fn run(self: Arc<Self>, mut ended: oneshot::Receiver<()>) {
        let mut sweep = tokio::time::interval(self.settings.sweep);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut ended => return,
                _ = sweep.tick() => self.sweep().await,
            }
        }
    }

    async fn sweep(&self) {
        let done = [
            ("expired tokens", self.act(Action::ExpiredTokens).await),
            ("expired special prices", self.act(Action::ExpiredSpecialPrices).await),
            ("terms of leases", self.leases(&Action::OF_LEASES, now()).await),
        ];
        for (what, done) in done {
            if let Err(error) = done {
                tracing::error!(what, %error, "not done, trying again later");
            }
        }
    }

    /// Does at once what is due, of all accounts.
    pub(crate) async fn act(&self, action: Action) -> Result<(), StoreError> {
        match action {
            Action::ExpiredTokens => drop(self.store.tokens().purge_expired().await?),
            Action::ExpiredSpecialPrices => drop(self.store.numbers().purge_special_prices().await?),
            of_leases => self.leases(&[of_leases], now()).await?,
        }
        Ok(())
    }

    /// Does what is due of each lease, where it is one of these.
    async fn leases(&self, actions: &[Action], now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let ending = self.store.numbers().ending(now + self.settings.notice, after, PAGE).await?;
            for lease in &ending {
                let done = match Action::of(lease, now).filter(|due| actions.contains(due)) {
                    Some(Action::Autorenew) => self.go_on(lease, now).await,
                    Some(Action::ReleaseNotification) => self.notice(lease, Term::Expiring).await,
                    Some(_) => self.release(lease).await,
                    None => Ok(()),
                };
                if let Err(error) = done {
                    tracing::error!(lease = %lease.uuid, %error, "the term of a lease, trying again later");
                }
            }
            match ending.last() {
                Some(last) => after = Some(last.uuid),
                None => return Ok(()),
            }
        }
    }

    async fn go_on(&self, lease: &TnLease, now: DateTime<Utc>) -> Result<(), AppError> {
        match self.renew(lease).await {
            Err(AppError::InsufficientBalance { .. }) if lease.noticed_on.is_none() => {
                self.notice(lease, Term::RenewalFailed).await
            }
            Err(AppError::InsufficientBalance { .. }) if lease.expired_on + self.settings.grace <= now => {
                self.release(lease).await
            }
            Err(AppError::InsufficientBalance { .. }) => Ok(()),
            other => other,
        }
    }

    /// For another month, at the price of now.
    async fn renew(&self, lease: &TnLease) -> Result<(), AppError> {
        let numbers = self.store.numbers();
        let number = numbers.number(lease.tn).await?.ok_or(StoreError::NotFound("TN"))?;
        let prices = numbers.prices_for(lease.account, number.profile).await?;
        let (_, mrc) = prices.with_features(&lease.subscriptions);
        let month = format!("{}: month from {}", lease.tn.plus(), lease.expired_on.format("%Y-%m-%d"));
        let charge = NewTransaction::charge(mrc, RefType::TnLeaseMrc, lease.uuid, month);
        let charges = if mrc.is_zero() { Vec::new() } else { vec![charge] };
        let until = lease.expired_on.checked_add_months(Months::new(1));
        let until = until.unwrap_or(lease.expired_on + TimeDelta::days(30));
        if let Some((renewed, booked)) = numbers.renew(lease, until, charges).await? {
            orders::tell_balance(&self.store, &self.hub, lease.account, &booked).await?;
            self.tell(&renewed, Term::Renewed).await?;
        }
        Ok(())
    }

    async fn notice(&self, lease: &TnLease, term: Term) -> Result<(), AppError> {
        if let Some(told) = self.store.numbers().notice(lease).await? {
            self.tell(&told, term).await?;
        }
        Ok(())
    }

    async fn release(&self, lease: &TnLease) -> Result<(), AppError> {
        if let Some(ended) = self.store.numbers().lapse(lease, self.orders.quarantine).await? {
            give_back(&self.store, &*self.numbers, &*self.calls, &ended).await;
            self.tell(&ended, Term::Released).await?;
        }
        Ok(())
    }

    async fn tell(&self, lease: &TnLease, term: Term) -> Result<(), AppError> {
        let term = term.as_str();
        let owner = self.store.accounts().get(lease.account).await?;
        let shown = expand::lease(&self.store, &owner, lease).await?;
        let message = format!("TN lease: {}, {term}", lease.tn.plus());
        let payload = json!({"state": term, "tn_lease": shown});
        let event = NewEvent::new(lease.account, EventType::TnLease, message, &payload, lease.uuid);
        if let Err(refused) = self.hub.publish(event) {
            tracing::error!(lease = %lease.uuid, %refused, "tn_lease event");
        }
        Ok(())
    }
}

/// A lease has ended: no call is routed by it, and the carrier has its number back.
pub(crate) async fn give_back(store: &Store, numbers: &dyn NumberCarrier, calls: &dyn CallControl, lease: &TnLease) {
    calls.invalidate(lease.account);
    // Numbers of the operator's own are nobody's to take.
    if let Ok(Some(number)) = store.numbers().number(lease.tn).await
        && number.carrier != numbers.name()
    {
        return;
    }
    // Ours no longer, whatever the carrier says: it is asked again by nobody, so that it is told in the log.
    if let Err(error) = numbers.release(lease.tn.get()).await {
        tracing::error!(tn = lease.tn.get(), %error, "the carrier did not take a released number back");
    }
}
