//! Orders of numbers on their way: created → verify → processing → success or failed.
//!
//! One worker on a node. What waits is in the database; the queue in memory only spares the waiting, so that neither
//! a full queue nor a restart loses an order. Each step can be repeated: a lease that the order has brought is found
//! again, and buying a number twice from the carrier is the carrier's no-op.

use std::sync::Arc;

use chrono::TimeDelta;
use opentact_engine::ports::{NumberCarrier, Offer};
use opentact_events::{Hub, NewEvent};
use opentact_store::accounts::Account;
use opentact_store::numbers::{NewLease, NewOrder, OrderError, OrderItem, TnLease, TnOrder, TnProfile};
use opentact_store::transactions::{NewTransaction, Transaction};
use opentact_store::types::{Feature, OrderState, RefType, TnKind, now};
use opentact_store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::error::AppError;
use crate::expand;
use crate::settings::OrderSettings;

/// An order to look at: account and uuid.
type Ticket = (Uuid, Uuid);

/// Where orders are placed.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    store: Store,
    hub: Hub,
    queue: mpsc::Sender<Ticket>,
}

impl Orders {
    /// Starts the worker, which goes on with what a stopped node left. It ends with the last clone.
    pub(crate) fn start(store: Store, hub: Hub, numbers: Arc<dyn NumberCarrier>, settings: OrderSettings) -> Self {
        let (queue, tickets) = mpsc::channel(settings.queue.max(1));
        let worker = Worker { store: store.clone(), hub: hub.clone(), numbers, settings };
        tokio::spawn(worker.run(tickets));
        Self { store, hub, queue }
    }

    /// Writes the order and hands it to the worker.
    pub(crate) async fn place(&self, account: Uuid, new: NewOrder) -> Result<TnOrder, AppError> {
        let order = self.store.numbers().create_order(account, new).await?;
        tell(&self.store, &self.hub, &order).await?;
        if self.queue.try_send((account, order.uuid)).is_err() {
            tracing::warn!(order = %order.uuid, "order queue is full, the next sweep takes the order");
        }
        Ok(order)
    }
}

/// The order's state as an event.
async fn tell(store: &Store, hub: &Hub, order: &TnOrder) -> Result<(), StoreError> {
    let view = expand::order(store, order).await?;
    // A full event queue refuses the event and must not stop the order.
    if let Err(refused) = hub.publish(NewEvent::tn_order(order, &view)) {
        tracing::error!(order = %order.uuid, %refused, "tn_order event");
    }
    Ok(())
}

/// Why an item is refused: the reason is stable, the description is for people.
struct Refusal {
    reason: &'static str,
    description: Option<String>,
}

struct Worker {
    store: Store,
    hub: Hub,
    numbers: Arc<dyn NumberCarrier>,
    settings: OrderSettings,
}

impl Worker {
    async fn run(self, mut tickets: mpsc::Receiver<Ticket>) {
        let mut sweep = tokio::time::interval(self.settings.sweep);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ticket = tickets.recv() => match ticket {
                    Some((account, order)) => self.attend(account, order).await,
                    None => return,
                },
                _ = sweep.tick() => self.sweep().await,
            }
        }
    }

    async fn sweep(&self) {
        match self.store.numbers().unfinished_orders().await {
            Ok(orders) => {
                for order in orders {
                    self.attend(order.account, order.uuid).await;
                }
            }
            Err(error) => tracing::error!(%error, "orders could not be read, trying again later"),
        }
    }

    async fn attend(&self, account: Uuid, order: Uuid) {
        if let Err(error) = self.work(account, order).await {
            // It stays unfinished and the next sweep takes it up again.
            tracing::error!(%order, %error, "order is stuck, trying again later");
        }
    }

    async fn work(&self, account: Uuid, uuid: Uuid) -> Result<(), AppError> {
        let order = self.store.numbers().order(account, uuid).await?;
        if matches!(order.state, OrderState::Success | OrderState::Failed) {
            return Ok(());
        }
        let order = self.enter(&order, OrderState::Verify, |_| {}).await?;
        let profiles = self.store.numbers().profiles_for(order.account).await?;
        let mut verified = Vec::new();
        let mut errors = Vec::new();
        for item in order.items.iter() {
            match self.verify(item, &profiles).await? {
                Ok((offer, profile)) => verified.push((item.clone(), offer, profile)),
                Err(refusal) => errors.push(refusal.of(item)),
            }
        }
        let open = verified.len();
        let order = self
            .enter(&order, OrderState::Processing, |order| {
                order.processing = count(open);
                order.failed = count(errors.len());
                order.errors = errors.clone().into();
            })
            .await?;
        let mut bought = 0;
        for (item, offer, profile) in verified {
            match self.lease(&order, &item, &offer, profile).await? {
                Ok(()) => bought += 1,
                Err(refusal) => errors.push(refusal.of(&item)),
            }
        }
        let state = if bought > 0 { OrderState::Success } else { OrderState::Failed };
        self.enter(&order, state, |order| {
            order.processing = 0;
            order.success = count(bought);
            order.failed = count(errors.len());
            order.items.retain(|item| !errors.iter().any(|error| error.item.tn == item.tn));
            order.errors = errors.into();
        })
        .await?;
        Ok(())
    }

    /// Writes the next state and tells of it. An order taken up again does not go back.
    async fn enter(
        &self,
        order: &TnOrder,
        state: OrderState,
        change: impl FnOnce(&mut TnOrder) + Send,
    ) -> Result<TnOrder, AppError> {
        let repeated = order.state >= state;
        let numbers = self.store.numbers();
        let changed = numbers.update_order(order.account, order.uuid, |row| {
            row.state = row.state.max(state);
            change(row);
        });
        let order = changed.await?;
        if !repeated {
            tell(&self.store, &self.hub, &order).await?;
        }
        Ok(order)
    }

    /// The carrier has the number with the features, and there is a price for it.
    async fn verify<'a>(
        &self,
        item: &OrderItem,
        profiles: &'a [TnProfile],
    ) -> Result<Result<(Offer, &'a TnProfile), Refusal>, AppError> {
        let refused = |reason, description| Ok(Err(Refusal { reason, description }));
        let Some(offer) = self.numbers.offer(item.tn.get()).await? else {
            return refused("Number is not for sale", None);
        };
        let lacking: Vec<&str> =
            item.features.iter().map(|feature| feature.as_str()).filter(|one| !offer.features.contains(one)).collect();
        if !lacking.is_empty() {
            return refused("Number does not have the feature", Some(lacking.join(", ")));
        }
        match crate::routes::tn_profile(profiles, &offer) {
            Some(profile) => Ok(Ok((offer, profile))),
            None => refused("Number has no price", None),
        }
    }

    /// Leases and charges in one transaction, then buys; what the carrier refuses is taken and paid back.
    async fn lease(
        &self,
        order: &TnOrder,
        item: &OrderItem,
        offer: &Offer,
        profile: &TnProfile,
    ) -> Result<Result<(), Refusal>, AppError> {
        let refused = |reason, description| Ok(Err(Refusal { reason, description }));
        let (lease, booked) = match self.own(order, item).await? {
            // An earlier attempt got this far; whether it also bought is not known, so that it is bought again.
            Some(lease) => (lease, Vec::new()),
            None => {
                let new = self.new_lease(order, item, offer, profile);
                match self.store.numbers().lease(order.account, new, |lease| charges(profile, item, lease)).await {
                    Ok(done) => done,
                    Err(StoreError::Conflict(_)) => return refused("Number is not for sale", None),
                    Err(StoreError::InsufficientBalance) => return refused("Not enough account balance", None),
                    Err(error) => return Err(error.into()),
                }
            }
        };
        if let Err(error) = self.numbers.buy(item.tn.get()).await {
            self.store.numbers().revoke(order.account, lease.uuid, &booked).await?;
            return refused("Carrier refused the number", Some(error.to_string()));
        }
        tell_balance(&self.store, &self.hub, order.account, &booked).await?;
        Ok(Ok(()))
    }

    /// The lease that this order has brought already.
    async fn own(&self, order: &TnOrder, item: &OrderItem) -> Result<Option<TnLease>, StoreError> {
        let brought = self.store.numbers().order_leases(order.account, order.uuid).await?;
        Ok(brought.into_iter().find(|lease| lease.tn == item.tn && lease.released_on.is_none()))
    }

    fn new_lease(&self, order: &TnOrder, item: &OrderItem, offer: &Offer, profile: &TnProfile) -> NewLease {
        NewLease {
            tn: item.tn,
            kind: if offer.kind == TnKind::TollFree.as_str() { TnKind::TollFree } else { TnKind::LongCode },
            country: offer.country.to_owned(),
            state: offer.state.map(str::to_owned),
            city: offer.city.map(str::to_owned),
            rate_center: offer.rate_center.map(str::to_owned),
            features: offer.features.iter().filter_map(|feature| feature.parse::<Feature>().ok()).collect(),
            carrier: self.numbers.name().to_owned(),
            profile: profile.uuid,
            order: Some(order.uuid),
            subscriptions: item.features.clone(),
            autorenew: item.autorenew,
            expired_on: now() + TimeDelta::days(self.settings.lease_days),
            created_by: order.created_by,
        }
    }
}

/// The balance after each of the charges for numbers, as events.
pub(crate) async fn tell_balance(
    store: &Store,
    hub: &Hub,
    account: Uuid,
    booked: &[Transaction],
) -> Result<(), StoreError> {
    if booked.is_empty() {
        return Ok(());
    }
    let account: Account = store.accounts().get(account).await?;
    for transaction in booked {
        let action = if transaction.ref_type == RefType::TnLeaseMrc { "mrc" } else { "nrc" };
        let event = NewEvent::balance(&account, transaction.account_balance_after, action);
        if let Some(Err(refused)) = event.map(|event| hub.publish(event)) {
            tracing::error!(transaction = %transaction.uuid, %refused, "balance event");
        }
    }
    Ok(())
}

impl Refusal {
    fn of(self, item: &OrderItem) -> OrderError {
        OrderError { item: item.clone(), reason: self.reason.to_owned(), description: self.description }
    }
}

/// What a number costs now: once, and the first month.
fn charges(profile: &TnProfile, item: &OrderItem, lease: Uuid) -> Vec<NewTransaction> {
    let (nrc, mrc) = profile.prices.with_features(&item.features);
    let tn = item.tn.plus();
    [(nrc, RefType::TnLeaseNrc, "set-up"), (mrc, RefType::TnLeaseMrc, "first month")]
        .into_iter()
        .filter(|(price, _, _)| !price.is_zero())
        .map(|(price, ref_type, what)| NewTransaction::charge(price, ref_type, lease, format!("{tn}: {what}")))
        .collect()
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
