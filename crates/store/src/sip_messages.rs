//! Messages between SIP users, and those of them that wait for a user who is away.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

pub use crate::entity::sip_message::Model as SipMessage;
use crate::entity::sip_message::{Column, Entity};
use crate::search::{Found, Search, mask, run, searchable, sortable};
use crate::types::{SmsState, now, to_millis};
use crate::{Result, Store, owned};

searchable!(sip_message, {
    "from" => From, "to" => To, "message" => Message, "state" => State, "delivered" => Delivered,
});

/// Messages that one sweep ends at most.
const SWEEP: u64 = 500;

/// A message to be.
#[derive(Debug, Clone)]
pub struct NewSipMessage {
    /// SIP users.
    pub sender: Option<Uuid>,
    pub recipient: Option<Uuid>,
    pub position: i64,
    pub from: String,
    pub to: String,
    pub thread: String,
    pub content_type: String,
    pub message: String,
    pub hops: u8,
    /// `None`: it has been passed on already, with `reason` for a failure.
    pub waits_until: Option<DateTime<Utc>>,
    pub reason: Option<String>,
}

/// What another account than the receiver's sees of a message.
#[derive(Debug, Clone)]
pub struct Copy {
    pub account: Uuid,
    /// The sender may have withheld it from the receiver.
    pub from: String,
    pub thread: String,
}

/// Every field narrows, or widens with the mode OR.
#[derive(Debug, Clone, Default)]
pub struct SipMessageFilter {
    /// Mask.
    pub from: Option<String>,
    /// Mask.
    pub to: Option<String>,
    /// Mask.
    pub message: Option<String>,
    pub state: Option<SmsState>,
    pub delivered: Option<bool>,
    pub thread: Option<String>,
}

impl Store {
    pub fn sip_messages(&self) -> SipMessages<'_> {
        SipMessages { store: self }
    }
}

pub struct SipMessages<'a> {
    store: &'a Store,
}

impl SipMessages<'_> {
    /// Writes a message, with the sender's copy where that is another account; the message comes first. `None`, and
    /// nothing is written, where `limit` messages wait for the recipient already.
    pub async fn create(
        &self,
        account: Uuid,
        new: NewSipMessage,
        copy: Option<Copy>,
        limit: u64,
    ) -> Result<Option<Vec<SipMessage>>> {
        let tx = self.store.begin().await?;
        if new.waits_until.is_some()
            && let Some(recipient) = new.recipient
            && owned::count::<Entity>(&tx, waiting().add(Column::Recipient.eq(recipient))).await? >= limit
        {
            return Ok(None);
        }
        let message = row(account, new);
        let mut written = vec![message.clone()];
        if let Some(Copy { account, from, thread }) = copy {
            let (uuid, copy_of) = (Uuid::new_v4(), Some(message.uuid));
            written.push(SipMessage { uuid, account, copy_of, from, thread, waits_until: None, ..message });
        }
        for row in &written {
            owned::insert(&tx, row.clone()).await?;
        }
        tx.commit().await?;
        Ok(Some(written))
    }

    /// The first message that waits for a user, whatever the account.
    pub async fn next(&self, recipient: Uuid, now: DateTime<Utc>) -> Result<Option<SipMessage>> {
        let due = waiting().add(Column::Recipient.eq(recipient)).add(Column::WaitsUntil.gt(now));
        // The writer has what was written last.
        let first = Entity::find().filter(due).order_by_asc(Column::Position).limit(1);
        Ok(first.one(self.store.writer()).await?)
    }

    /// It was delivered (no `reason`), or will never be. Returns the message and its copies as they are now.
    pub async fn settle(&self, uuid: Uuid, reason: Option<&str>) -> Result<Vec<SipMessage>> {
        let tx = self.store.begin().await?;
        let all = Condition::any().add(Column::Uuid.eq(uuid)).add(Column::CopyOf.eq(uuid));
        let mut rows = Entity::find().filter(all).all(&tx).await?;
        rows.sort_by_key(|row| row.copy_of.is_some());
        for row in &mut rows {
            conclude(row, reason);
            owned::update::<Entity>(&tx, row.account, row.uuid, row.clone()).await?;
        }
        tx.commit().await?;
        Ok(rows)
    }

    /// The users for whom something waits, of all accounts.
    pub async fn awaited(&self) -> Result<Vec<Uuid>> {
        let users = Entity::find().select_only().column(Column::Recipient).distinct().filter(waiting());
        let users: Vec<Option<Uuid>> = users.into_tuple().all(self.store.reader()).await?;
        Ok(users.into_iter().flatten().collect())
    }

    /// How many messages wait for a user.
    pub async fn waiting(&self, recipient: Uuid, now: DateTime<Utc>) -> Result<u64> {
        let due = waiting().add(Column::Recipient.eq(recipient)).add(Column::WaitsUntil.gt(now));
        Ok(owned::count::<Entity>(self.store.writer(), due).await?)
    }

    /// Some of those that have waited long enough by `now`; empty when there are none. To be settled.
    pub async fn expired(&self, now: DateTime<Utc>) -> Result<Vec<SipMessage>> {
        let over = waiting().add(Column::WaitsUntil.lte(now));
        Ok(Entity::find().filter(over).order_by_asc(Column::Position).limit(SWEEP).all(self.store.reader()).await?)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<SipMessage> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// Fields that a search may be ordered by.
    pub fn sortable() -> Vec<&'static str> {
        sortable::<Entity>()
    }

    pub async fn search(&self, account: Uuid, filter: SipMessageFilter, search: Search) -> Result<Found<SipMessage>> {
        let filters = [
            filter.from.map(|v| mask(Column::From, &v)),
            filter.to.map(|v| mask(Column::To, &v)),
            filter.message.map(|v| mask(Column::Message, &v)),
            filter.state.map(|v| Column::State.eq(v)),
            filter.delivered.map(|v| Column::Delivered.eq(v)),
            filter.thread.map(|v| Column::Thread.eq(v)),
        ];
        let filters = filters.into_iter().flatten().collect();
        run::<Entity>(self.store.reader(), account, Condition::all(), filters, search).await
    }
}

fn waiting() -> Condition {
    Condition::all().add(Column::WaitsUntil.is_not_null())
}

fn conclude(row: &mut SipMessage, reason: Option<&str>) {
    row.state = if reason.is_none() { SmsState::Success } else { SmsState::Failed };
    row.delivered = reason.is_none();
    row.reason = reason.map(str::to_owned);
    row.waits_until = None;
    row.modified_on = now();
}

fn row(account: Uuid, new: NewSipMessage) -> SipMessage {
    let created_on = now();
    let mut row = SipMessage {
        uuid: Uuid::new_v4(),
        created_on,
        modified_on: created_on,
        account,
        copy_of: None,
        sender: new.sender,
        recipient: new.recipient,
        position: new.position,
        from: new.from,
        to: new.to,
        thread: new.thread,
        content_type: new.content_type,
        message: new.message,
        hops: new.hops.into(),
        state: SmsState::Created,
        delivered: false,
        reason: None,
        waits_until: new.waits_until.map(to_millis),
    };
    if row.waits_until.is_none() {
        conclude(&mut row, new.reason.as_deref());
    }
    row
}
