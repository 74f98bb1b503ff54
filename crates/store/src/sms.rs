//! Messages.

use sea_orm::sea_query::{ExprTrait, IntoCondition};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::bulk::{self, Conflict};
pub use crate::entity::sms::Model as Sms;
use crate::entity::sms::{Column, Entity};
use crate::owned::Owned as _;
use crate::search::{Found, Search, digits_mask, mask, run, searchable, sortable, tn_mask};
pub use crate::sms_queue::{Enqueue, Outcome, QueueState, Queued, Settled, Settlement, Waiting};
pub use crate::sms_receipts::{NewReceipt, Receipted};
use crate::transactions::{self, NewTransaction, Transaction};
use crate::types::{OptOutSource, Priority, SmsState, SmsType, Tn, now};
use crate::writer::Db;
use crate::{Result, Store, StoreError, owned, smpp, sms_inbound, sms_opt_outs, sms_queue, sms_untold, tokens};

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
    /// Whom an inbound message came from.
    pub carrier: Option<String>,
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
    pub messaging_profile: Option<Uuid>,
    /// Mask.
    pub reason: Option<String>,
    pub carrier: Option<String>,
    pub automated: Option<bool>,
}

impl Store {
    pub fn sms(&self) -> Messages<'_> {
        Messages { store: self }
    }
}

pub struct Messages<'a> {
    pub(crate) store: &'a Store,
}

/// What an inbound message brings about besides itself.
#[derive(Debug, Clone, Default)]
pub struct Consequences {
    /// What is charged for it; [`crate::StoreError::InsufficientBalance`] where the balance does not cover it.
    pub charge: Option<NewTransaction>,
    /// The sender opts out (true) or in, by this keyword.
    pub opt: Option<(bool, String)>,
    /// What it is answered, which waits in the queue.
    pub reply: Option<(NewSms, Waiting)>,
    /// The unfinished message that it was joined from, of which nothing is kept any more.
    pub joined: Option<Uuid>,
    /// Why it is kept as failed.
    pub failed: Option<String>,
}

/// What came of an inbound message.
#[derive(Debug, Clone)]
pub struct ReceivedSms {
    pub sms: Sms,
    pub booked: Option<Transaction>,
    pub reply: Option<Sms>,
}

impl Messages<'_> {
    /// Writes a message in state `created` that no queue holds: an inbound one.
    pub async fn create(&self, account: Uuid, new: NewSms) -> Result<Sms> {
        let sms = row(account, new, SmsState::Created);
        owned::insert(self.store.writer(), sms.clone()).await?;
        Ok(sms)
    }

    /// Writes an inbound message in state `success`, or `failed`, with all that it brings about (the closure gets its id), all or
    /// nothing. [`crate::StoreError::InsufficientBalance`] writes nothing. `None` where the carrier has told of it before, by
    /// the same reference.
    pub async fn receive(
        &self,
        account: Uuid,
        new: NewSms,
        consequences: impl FnOnce(Uuid) -> Consequences + Send,
    ) -> Result<Option<ReceivedSms>> {
        let (from, profile) = (new.from.parse::<Tn>(), new.messaging_profile);
        let mut sms = row(account, new, SmsState::Success);
        let Consequences { charge, opt, reply, joined, failed } = consequences(sms.uuid);
        if failed.is_some() {
            (sms.state, sms.reason) = (SmsState::Failed, failed);
        }
        let tx = self.store.begin().await?;
        if is_known(&tx, &sms).await? {
            return Ok(None);
        }
        if let Some(joined) = joined {
            sms_inbound::forget(&tx, joined).await?;
        }
        owned::insert(&tx, sms.clone()).await?;
        sms_untold::note(&tx, [&created(&sms), &sms].into_iter()).await?;
        let booked = match charge {
            Some(charge) => Some(transactions::book(&tx, account, charge).await?),
            None => None,
        };
        if let (Some((out, keyword)), Ok(from)) = (opt, from) {
            match out {
                true => {
                    let source = OptOutSource::Recipient;
                    sms_opt_outs::add(&tx, account, profile, from, source, Some(keyword)).await?;
                }
                false => {
                    sms_opt_outs::remove(&tx, account, profile, from).await?;
                }
            }
        }
        if tokens::receives_smpp(&tx, account).await? {
            smpp::tell(&tx, account, sms.uuid).await?;
        }
        let reply = match reply {
            Some((reply, waiting)) => Some(sms_queue::write(&tx, account, reply, waiting).await?),
            None => None,
        };
        tx.commit().await?;
        Ok(Some(ReceivedSms { sms, booked, reply }))
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
        let sms = self.store.rows().messages.get(self.store, uuid).await?;
        sms.filter(|sms| sms.account == account).ok_or(StoreError::NotFound(Entity::NAME))
    }

    /// The number of the profile's pool that a recipient heard from last.
    pub async fn last_sender(&self, account: Uuid, profile: Uuid, to: Tn) -> Result<Option<Tn>> {
        let last = Entity::find()
            .filter(Column::Account.eq(account))
            .filter(Column::MessagingProfile.eq(profile))
            .filter(Column::To.eq(to.to_string()))
            .filter(Column::Kind.eq(SmsType::Pool))
            .order_by_desc(Column::CreatedOn)
            .order_by_desc(Column::Uuid);
        Ok(last.one(self.store.reader()).await?.map(|sms| sms.tn))
    }

    /// How the newest outbound messages of a number fared at carriers, at most `newest`: how many they took, and how many
    /// of them all have not failed.
    pub async fn record_of(&self, account: Uuid, tn: Tn, newest: u64) -> Result<(u64, u64)> {
        let rows = Entity::find()
            .filter(Column::Account.eq(account))
            .filter(Column::Tn.eq(tn))
            .filter(Column::Kind.ne(SmsType::Inbound))
            .filter(Column::State.is_in([SmsState::Success, SmsState::Failed]))
            // What never was at a carrier says nothing of the number.
            .filter(Column::Attempts.gt(0))
            .order_by_desc(Column::CreatedOn)
            .limit(newest);
        let rows = rows.all(self.store.reader()).await?;
        let good = rows.iter().filter(|sms| sms.state == SmsState::Success).count();
        Ok((rows.len() as u64, good as u64))
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
            filter.messaging_profile.map(|v| Column::MessagingProfile.eq(v)),
            filter.reason.map(|v| mask(Column::Reason, &v)),
            filter.carrier.map(|v| Column::Carrier.eq(v)),
            filter.automated.map(|v| Column::Automated.eq(v)),
        ];
        let filters = filters.into_iter().flatten().collect();
        let mut always = Condition::all();
        if !filter.kinds.is_empty() {
            always = always.add(Column::Kind.is_in(filter.kinds));
        }
        run::<Entity>(self.store.reader(), account, always, filters, search).await
    }
}

/// An inbound message as it was before it was received: its life is one write, and two events as that of any other.
pub fn created(sms: &Sms) -> Sms {
    Sms { state: SmsState::Created, reason: None, modified_on: sms.created_on, ..sms.clone() }
}

/// Writes what became of messages that are there. What never changes is left alone, with its indexes.
pub(crate) async fn rewrite(db: &impl Db, messages: Vec<Sms>) -> Result<()> {
    use Column::{Carrier, Delivered, ModifiedOn, Reason, ReferenceId, State};
    let changes = |column: &Column| matches!(column, ModifiedOn | State | Delivered | Reason | ReferenceId | Carrier);
    let keep: Vec<Column> = Column::iter().filter(|column| !changes(column)).collect();
    bulk::insert::<Entity, _>(db, messages, &Conflict::Update { key: Column::Uuid, keep: &keep }).await?;
    Ok(())
}

/// Whether the carrier has told of an inbound message before.
async fn is_known(db: &impl ConnectionTrait, sms: &Sms) -> Result<bool> {
    let (Some(carrier), Some(reference)) = (&sms.carrier, &sms.reference_id) else { return Ok(false) };
    let same = Column::ReferenceId
        .eq(reference.as_str())
        .and(Column::Carrier.eq(carrier.as_str()))
        .and(Column::Kind.eq(SmsType::Inbound));
    Ok(owned::count::<Entity>(db, same.into_condition()).await? > 0)
}

/// A row to be; of what waits in the queue more is filled in there.
pub(crate) fn row(account: Uuid, new: NewSms, state: SmsState) -> Sms {
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
        send_at: None,
        priority: Priority::Normal,
        carrier: new.carrier,
        attempts: 0,
        repeated: false,
    }
}
