//! Messages and the durable queue of outbound ones.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType};
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

pub use crate::entity::sms::Model as Sms;
use crate::entity::sms::{Column, Entity};
use crate::entity::sms_queue;
pub use crate::entity::sms_queue::Model as Queued;
use crate::search::{Found, Search, digits_mask, mask, run, searchable, sortable, tn_mask};
use crate::transactions::{self, NewTransaction, Transaction};
use crate::types::{SmsState, SmsType, Tn, now, to_millis};
use crate::{Result, Store, StoreError, owned};

searchable!(sms, {
    "from" => From, "to" => To, "tn" => Tn, "message" => Message, "state" => State, "delivered" => Delivered,
    "reference_id" => ReferenceId,
});

/// A message to be.
#[derive(Debug, Clone)]
pub struct NewSms {
    pub kind: SmsType,
    pub from: String,
    pub to: String,
    /// The account's own number.
    pub tn: Tn,
    pub tn_lease: Option<Uuid>,
    pub messaging_profile: Option<Uuid>,
    pub thread: String,
    pub message: String,
    pub automated: bool,
    pub reference_id: Option<String>,
    pub segments: u8,
    /// `gsm` or `ucs2`.
    pub encoding: String,
    pub custom_callback_url: Option<String>,
    pub created_by: Option<Uuid>,
}

#[derive(Debug, Clone, Default)]
pub struct SmsFilter {
    /// Only these types, whatever the mode; empty means all.
    pub kinds: Vec<SmsType>,
    /// Mask.
    pub from: Option<String>,
    /// Mask.
    pub to: Option<String>,
    /// Mask.
    pub message: Option<String>,
    /// Mask.
    pub tn: Option<String>,
    pub state: Option<SmsState>,
    pub delivered: Option<bool>,
    pub readed: Option<bool>,
    pub reference_id: Option<String>,
    pub thread: Option<String>,
}

impl Store {
    pub fn sms(&self) -> Messages<'_> {
        Messages { store: self }
    }
}

pub struct Messages<'a> {
    store: &'a Store,
}

impl Messages<'_> {
    /// Writes a message in state `created` that no queue holds: an inbound one.
    pub async fn create(&self, account: Uuid, new: NewSms) -> Result<Sms> {
        let sms = row(account, new, SmsState::Created);
        owned::insert(self.store.writer(), sms.clone()).await?;
        Ok(sms)
    }

    /// Writes an inbound message in state `success` and books what it costs (the closure gets its id), both or
    /// neither. [`StoreError::InsufficientBalance`] writes nothing.
    pub async fn receive(
        &self,
        account: Uuid,
        new: NewSms,
        charge: impl FnOnce(Uuid) -> Option<NewTransaction> + Send,
    ) -> Result<(Sms, Option<Transaction>)> {
        let sms = row(account, new, SmsState::Success);
        let tx = self.store.begin().await?;
        owned::insert(&tx, sms.clone()).await?;
        let booked = match charge(sms.uuid) {
            Some(charge) => Some(transactions::book(&tx, account, charge).await?),
            None => None,
        };
        tx.commit().await?;
        Ok((sms, booked))
    }

    /// Writes messages in state `created` and queues them, all or none. Each is due at once; from
    /// `expires_on` on it is not to be handed over any more.
    pub async fn enqueue(&self, account: Uuid, new: Vec<NewSms>, expires_on: DateTime<Utc>) -> Result<Vec<Sms>> {
        let tx = self.store.begin().await?;
        let mut written = Vec::with_capacity(new.len());
        for new in new {
            let sms = row(account, new, SmsState::Created);
            let queued = Queued {
                sms: sms.uuid,
                account,
                due_on: sms.created_on,
                expires_on: to_millis(expires_on),
                attempts: 0,
                leased_until: None,
            };
            owned::insert(&tx, sms.clone()).await?;
            owned::insert(&tx, queued).await?;
            written.push(sms);
        }
        tx.commit().await?;
        Ok(written)
    }

    /// Takes up to `limit` due messages out of the sight of other workers for the time of `lease`, the longest
    /// waiting first, and counts the attempt. A worker that dies lets go of them by that.
    pub async fn claim(&self, limit: u64, lease: Duration) -> Result<Vec<(Sms, Queued)>> {
        use sms_queue::Column;
        let tx = self.store.begin().await?;
        let at = now();
        let free = Condition::any().add(Column::LeasedUntil.is_null()).add(Column::LeasedUntil.lte(at));
        let mut queued = sms_queue::Entity::find()
            .filter(Column::DueOn.lte(at))
            .filter(free)
            .order_by_asc(Column::DueOn)
            .limit(limit)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .all(&tx)
            .await?;
        if queued.is_empty() {
            return Ok(Vec::new());
        }
        let until = to_millis(at + lease);
        let ids: Vec<Uuid> = queued.iter().map(|q| q.sms).collect();
        sms_queue::Entity::update_many()
            .col_expr(Column::LeasedUntil, Expr::value(until))
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .filter(Column::Sms.is_in(ids.clone()))
            .exec(&tx)
            .await?;
        let messages = Entity::find().filter(self::Column::Uuid.is_in(ids)).all(&tx).await?;
        tx.commit().await?;
        let mut messages: std::collections::HashMap<Uuid, Sms> = messages.into_iter().map(|m| (m.uuid, m)).collect();
        for entry in &mut queued {
            entry.attempts += 1;
            entry.leased_until = Some(until);
        }
        Ok(queued.into_iter().filter_map(|q| messages.remove(&q.sms).map(|m| (m, q))).collect())
    }

    /// When the next message is due or a lease ends; `None` when the queue is empty.
    pub async fn next_due(&self) -> Result<Option<DateTime<Utc>>> {
        use sms_queue::Column;
        let free = sms_queue::Entity::find().filter(Column::LeasedUntil.is_null()).order_by_asc(Column::DueOn);
        let leased =
            sms_queue::Entity::find().filter(Column::LeasedUntil.is_not_null()).order_by_asc(Column::LeasedUntil);
        let free = free.one(self.store.reader()).await?.map(|q| q.due_on);
        let leased = leased.one(self.store.reader()).await?.and_then(|q| q.leased_until);
        Ok([free, leased].into_iter().flatten().min())
    }

    /// How many messages wait.
    pub async fn queue_length(&self) -> Result<u64> {
        Ok(owned::count::<sms_queue::Entity>(self.store.reader(), Condition::all()).await?)
    }

    /// Lets go of every claim: at start, when no other node runs.
    pub async fn unclaim_all(&self) -> Result<()> {
        sms_queue::Entity::update_many()
            .col_expr(sms_queue::Column::LeasedUntil, Expr::value(None::<DateTime<Utc>>))
            .exec(self.store.writer())
            .await?;
        Ok(())
    }

    /// Puts a claimed message back, to be tried again at `due_on`.
    pub async fn retry(&self, sms: Uuid, due_on: DateTime<Utc>) -> Result<()> {
        use sms_queue::Column;
        sms_queue::Entity::update_many()
            .col_expr(Column::LeasedUntil, Expr::value(None::<DateTime<Utc>>))
            .col_expr(Column::DueOn, Expr::value(to_millis(due_on)))
            .filter(Column::Sms.eq(sms))
            .exec(self.store.writer())
            .await?;
        Ok(())
    }

    /// A worker hands the message to the carrier now.
    pub async fn sending(&self, account: Uuid, uuid: Uuid) -> Result<Sms> {
        self.change(account, uuid, |sms| sms.state = SmsState::Sending).await
    }

    /// The carrier took it: leaves the queue, is charged. All or nothing.
    ///
    /// [`StoreError::InsufficientBalance`] leaves it queued: ask [`Messages::can_pay`] before handing over.
    pub async fn accepted(
        &self,
        account: Uuid,
        uuid: Uuid,
        reference_id: &str,
        charge: Option<NewTransaction>,
    ) -> Result<(Sms, Option<Transaction>)> {
        let tx = self.store.begin().await?;
        let mut sms = owned::get::<Entity>(&tx, account, uuid).await?;
        sms.state = SmsState::Success;
        sms.reference_id = Some(reference_id.to_owned());
        sms.modified_on = now();
        owned::update::<Entity>(&tx, account, uuid, sms.clone()).await?;
        dequeue(&tx, uuid).await?;
        let booked = match charge {
            Some(charge) => Some(transactions::book(&tx, account, charge).await?),
            None => None,
        };
        tx.commit().await?;
        Ok((sms, booked))
    }

    /// It will not be sent: leaves the queue in state `failed`.
    pub async fn failed(&self, account: Uuid, uuid: Uuid, reason: &str) -> Result<Sms> {
        let tx = self.store.begin().await?;
        let mut sms = owned::get::<Entity>(&tx, account, uuid).await?;
        sms.state = SmsState::Failed;
        sms.reason = Some(reason.to_owned());
        sms.modified_on = now();
        owned::update::<Entity>(&tx, account, uuid, sms.clone()).await?;
        dequeue(&tx, uuid).await?;
        tx.commit().await?;
        Ok(sms)
    }

    /// Whether the balance covers a price.
    pub async fn can_pay(&self, account: Uuid, price: crate::Money) -> Result<bool> {
        Ok(self.store.accounts().get(account).await?.balance >= price)
    }

    /// Changes what the closure changes of state, flags, reason and reference.
    pub async fn change(&self, account: Uuid, uuid: Uuid, change: impl FnOnce(&mut Sms) + Send) -> Result<Sms> {
        let tx = self.store.begin().await?;
        let old = owned::get::<Entity>(&tx, account, uuid).await?;
        let mut row = old.clone();
        change(&mut row);
        let row = Sms {
            modified_on: now(),
            state: row.state,
            delivered: row.delivered,
            readed: row.readed,
            reason: row.reason,
            reference_id: row.reference_id,
            ..old
        };
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<Sms> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The newest outbound message with this id of the carrier, of whatever account: for receipts.
    pub async fn by_reference(&self, reference_id: &str) -> Result<Option<Sms>> {
        let named = Entity::find()
            .filter(Column::ReferenceId.eq(reference_id))
            .filter(Column::Kind.ne(SmsType::Inbound))
            .order_by_desc(Column::CreatedOn);
        Ok(named.one(self.store.reader()).await?)
    }

    /// Fields that a search may be ordered by.
    pub fn sortable() -> Vec<&'static str> {
        sortable::<Entity>()
    }

    pub async fn search(&self, account: Uuid, filter: SmsFilter, search: Search) -> Result<Found<Sms>> {
        let filters = [
            filter.from.map(|v| digits_mask(Column::From, &v)),
            filter.to.map(|v| digits_mask(Column::To, &v)),
            filter.message.map(|v| mask(Column::Message, &v)),
            filter.tn.map(|v| tn_mask(Column::Tn, &v)),
            filter.state.map(|v| Column::State.eq(v)),
            filter.delivered.map(|v| Column::Delivered.eq(v)),
            filter.readed.map(|v| Column::Readed.eq(v)),
            filter.reference_id.map(|v| Column::ReferenceId.eq(v)),
            filter.thread.map(|v| Column::Thread.eq(v)),
        ];
        let filters = filters.into_iter().flatten().collect();
        let mut always = Condition::all();
        if !filter.kinds.is_empty() {
            always = always.add(Column::Kind.is_in(filter.kinds));
        }
        run::<Entity>(self.store.reader(), account, always, filters, search).await
    }
}

async fn dequeue(tx: &DatabaseTransaction, sms: Uuid) -> Result<(), StoreError> {
    sms_queue::Entity::delete_many().filter(sms_queue::Column::Sms.eq(sms)).exec(tx).await?;
    Ok(())
}

fn row(account: Uuid, new: NewSms, state: SmsState) -> Sms {
    let created_on = now();
    Sms {
        uuid: Uuid::new_v4(),
        created_on,
        modified_on: created_on,
        account,
        kind: new.kind,
        from: new.from,
        to: new.to,
        tn: new.tn,
        tn_lease: new.tn_lease,
        messaging_profile: new.messaging_profile,
        thread: new.thread,
        message: new.message,
        state,
        delivered: false,
        automated: new.automated,
        readed: false,
        reason: None,
        reference_id: new.reference_id,
        segments: new.segments.into(),
        encoding: new.encoding,
        custom_callback_url: new.custom_callback_url,
        created_by: new.created_by,
    }
}
