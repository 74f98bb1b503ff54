//! The durable queue of outbound messages.
//!
//! A message is marked `sending`, and its hand-over counted as not answered, in the transaction that gives it to a worker:
//! before the first octet leaves. What the carrier answered is written in one transaction for many messages. Who dies in
//! between leaves behind how often the message may have left.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition, LockBehavior, LockType};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use crate::bulk::{self, Conflict};
pub use crate::entity::sms_queue::Model as Queued;
use crate::entity::sms_queue::{Column, Entity};
use crate::entity::{sms, sms_segment};
use crate::sms::{Messages, NewSms, Sms, rewrite, row};
use crate::transactions::{self, NewTransaction};
use crate::types::{Json, Money, Priority, SmsState, now, to_millis};
use crate::writer::Db;
use crate::{Result, owned, smpp, sms_untold};

/// How a message is to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Not to be sent before; `None` is at once.
    pub send_at: Option<DateTime<Utc>>,
    /// From then on it is not to be handed over any more.
    pub expires_on: DateTime<Utc>,
    pub priority: Priority,
}

/// Messages to be queued. The first of them is what was submitted by SMPP in `submits`.
#[derive(Debug, Clone)]
pub struct Enqueue {
    pub account: Uuid,
    pub messages: Vec<NewSms>,
    pub waiting: Waiting,
    pub submits: Vec<Uuid>,
}

/// What came of handing a message over.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The carrier has it: it leaves the queue and is charged. `references` are the carrier's ids of its segments.
    Accepted { references: Vec<String>, charge: Option<NewTransaction> },
    /// It is tried again. `unanswered` is how often it left without an answer, `taken` which segments the carrier has.
    Later { due_on: DateTime<Utc>, unanswered: i64, taken: Vec<Option<String>> },
    /// It leaves the queue and will not be sent.
    Failed { reason: String },
}

/// One message and what came of it.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub account: Uuid,
    pub sms: Uuid,
    /// Whom it was handed to; `None` where it came to none.
    pub carrier: Option<String>,
    pub outcome: Outcome,
}

/// What was written.
#[derive(Debug, Clone, Default)]
pub struct Settled {
    /// Messages as they are now, in the order given; those whose row is gone are left out.
    pub messages: Vec<Sms>,
    /// Balances that changed.
    pub balances: HashMap<Uuid, Money>,
}

/// The queue of one account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueState {
    /// Due, or put off.
    pub waiting: u64,
    /// Not to be sent yet.
    pub scheduled: u64,
    /// At a carrier.
    pub sending: u64,
    /// Since when the longest waits that could be sent.
    pub oldest: Option<DateTime<Utc>>,
}

impl Messages<'_> {
    /// Writes messages in state `created` and queues them, all or none.
    pub async fn enqueue(&self, account: Uuid, new: Vec<NewSms>, waiting: Waiting) -> Result<Vec<Sms>> {
        let one = Enqueue { account, messages: new, waiting, submits: Vec::new() };
        Ok(self.enqueue_all(vec![one]).await?.pop().unwrap_or_default())
    }

    /// The same for several requests, in one transaction: their messages, in their order.
    pub async fn enqueue_all(&self, requests: Vec<Enqueue>) -> Result<Vec<Vec<Sms>>> {
        self.store
            .write(move |tx| {
                async move {
                    let (mut all, mut waits, mut written) =
                        (Vec::new(), Vec::new(), Vec::with_capacity(requests.len()));
                    let mut links = Vec::new();
                    for Enqueue { account, messages, waiting, submits } in requests {
                        let (rows, queued) =
                            messages.into_iter().map(|new| rows(account, new, waiting)).unzip::<_, _, Vec<_>, Vec<_>>();
                        links.extend(rows.first().map(|first| (submits, first.uuid)));
                        all.extend_from_slice(&rows);
                        waits.extend(queued);
                        written.push(rows);
                    }
                    bulk::insert::<sms::Entity, _>(&tx, all.clone(), &Conflict::Refuse).await?;
                    bulk::insert::<Entity, _>(&tx, waits, &Conflict::Refuse).await?;
                    sms_untold::note(&tx, all.iter()).await?;
                    for (submits, first) in links {
                        smpp::link(&tx, &submits, first).await?;
                    }
                    Ok(written)
                }
                .boxed()
            })
            .await
    }

    /// Takes up to `limit` due messages out of the sight of other workers for the time of `lease`: the most urgent first,
    /// of those the longest waiting. Each is now `sending`, and counts as one that left and was not answered, until
    /// [`Messages::settle`] says otherwise; rows show the counts from before. A worker that dies lets go by the lease.
    pub async fn claim(&self, limit: u64, lease: Duration) -> Result<Vec<(Sms, Queued)>> {
        self.store
            .write(move |tx| {
                async move {
                    let at = now();
                    let queued = Entity::find()
                        .filter(Column::DueOn.lte(at))
                        .filter(Column::ExpiresOn.gt(at))
                        .filter(free(at))
                        .order_by_asc(Column::Priority)
                        .order_by_asc(Column::DueOn)
                        .limit(limit)
                        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
                    let queued = tx.all(queued).await?;
                    let claimed = take(&tx, queued, at + lease, true).await?;
                    Ok(claimed)
                }
                .boxed()
            })
            .await
    }

    /// The same for messages that waited too long: they are to fail, and are not `sending`.
    pub async fn claim_expired(&self, limit: u64, lease: Duration) -> Result<Vec<(Sms, Queued)>> {
        self.store
            .write(move |tx| {
                async move {
                    let at = now();
                    let queued = Entity::find()
                        .filter(Column::ExpiresOn.lte(at))
                        .filter(free(at))
                        .order_by_asc(Column::ExpiresOn)
                        .limit(limit)
                        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
                    let queued = tx.all(queued).await?;
                    let claimed = take(&tx, queued, at + lease, false).await?;
                    Ok(claimed)
                }
                .boxed()
            })
            .await
    }

    /// When the next message is due or a lease ends; `None` when the queue is empty.
    pub async fn next_due(&self) -> Result<Option<DateTime<Utc>>> {
        let free = Entity::find().filter(Column::LeasedUntil.is_null()).order_by_asc(Column::DueOn);
        let leased = Entity::find().filter(Column::LeasedUntil.is_not_null()).order_by_asc(Column::LeasedUntil);
        let free = free.one(self.store.reader()).await?.map(|q| q.due_on);
        let leased = leased.one(self.store.reader()).await?.and_then(|q| q.leased_until);
        Ok([free, leased].into_iter().flatten().min())
    }

    /// When the next message has waited too long; `None` when none waits.
    pub async fn next_expiry(&self) -> Result<Option<DateTime<Utc>>> {
        let free = Entity::find().filter(Column::LeasedUntil.is_null()).order_by_asc(Column::ExpiresOn);
        Ok(free.one(self.store.reader()).await?.map(|q| q.expires_on))
    }

    /// How many messages wait, of all accounts.
    pub async fn queue_length(&self) -> Result<u64> {
        Ok(owned::count::<Entity>(self.store.reader(), Condition::all()).await?)
    }

    pub async fn queue_state(&self, account: Uuid) -> Result<QueueState> {
        let (db, at) = (self.store.reader(), now());
        let mine = || Condition::all().add(Column::Account.eq(account));
        let sending = owned::count::<Entity>(db, mine().add(Column::LeasedUntil.gt(at))).await?;
        let later = sms::Column::Account.eq(account).and(sms::Column::State.eq(SmsState::Created));
        let later = later.and(sms::Column::SendAt.gt(at)).into_condition();
        let scheduled = owned::count::<sms::Entity>(db, later).await?;
        let all = owned::count::<Entity>(db, mine()).await?;
        let oldest = Entity::find().filter(mine().add(Column::DueOn.lte(at))).order_by_asc(Column::DueOn).one(db);
        let oldest = oldest.await?.map(|queued| queued.due_on);
        Ok(QueueState { waiting: all.saturating_sub(sending + scheduled), scheduled, sending, oldest })
    }

    /// Lets go of every claim: at start, when no other node runs. What was `sending` still counts as not answered.
    pub async fn unclaim_all(&self) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::LeasedUntil, Expr::value(None::<DateTime<Utc>>))
            .filter(Column::LeasedUntil.is_not_null())
            .exec(self.store.writer())
            .await?;
        Ok(())
    }

    /// Takes a message out of the queue, as failed; `None` when it is not there any more, or a worker has it, or it may have
    /// left before.
    pub async fn cancel(&self, account: Uuid, uuid: Uuid, reason: &str) -> Result<Option<Sms>> {
        let tx = self.store.begin().await?;
        let mut row = owned::get::<sms::Entity>(&tx, account, uuid).await?;
        let waits = Column::Sms.eq(uuid).and(Column::Unanswered.eq(0)).into_condition().add(free(now()));
        if Entity::delete_many().filter(waits).exec(&tx).await?.rows_affected == 0 {
            return Ok(None);
        }
        (row.state, row.reason, row.modified_on) = (SmsState::Failed, Some(reason.to_owned()), now());
        owned::update::<sms::Entity>(&tx, account, uuid, row.clone()).await?;
        smpp::ended(&tx, vec![uuid], false).await?;
        sms_untold::note(&tx, [&row].into_iter()).await?;
        tx.commit().await?;
        Ok(Some(row))
    }

    /// Writes what came of messages that were claimed, all or nothing. A charge is booked whatever the balance: the carrier
    /// has the message. Who hands over asks before whether it can be paid.
    pub async fn settle(&self, settlements: Vec<Settlement>) -> Result<Settled> {
        self.store
            .write(move |tx| {
                async move {
                    let ids: Vec<Uuid> = bulk::padded(settlements.iter().map(|one| one.sms));
                    let rows = tx.all(sms::Entity::find().filter(sms::Column::Uuid.is_in(ids))).await?;
                    let mut rows: HashMap<Uuid, Sms> = rows.into_iter().map(|row| (row.uuid, row)).collect();
                    let mut settled = Settled::default();
                    let (mut gone, mut segments) = (Vec::new(), Vec::new());
                    let mut charges: HashMap<Uuid, Vec<NewTransaction>> = HashMap::new();
                    let modified_on = now();
                    for Settlement { account, sms, carrier, outcome } in settlements {
                        let Some(mut row) = rows.remove(&sms).filter(|row| row.account == account) else { continue };
                        row.modified_on = modified_on;
                        row.carrier = carrier.or(row.carrier);
                        match outcome {
                            Outcome::Accepted { references, charge } => {
                                row.state = SmsState::Success;
                                gone.push(sms);
                                charges.entry(account).or_default().extend(charge);
                                if references.len() > 1 {
                                    segments.extend(references.iter().zip(1..).map(|(reference, number)| {
                                        sms_segment::Model {
                                            sms,
                                            number,
                                            account,
                                            carrier: row.carrier.clone().unwrap_or_default(),
                                            reference_id: reference.clone(),
                                            created_on: modified_on,
                                            delivered: false,
                                        }
                                    }));
                                }
                                row.reference_id = references.into_iter().next_back();
                            }
                            Outcome::Failed { reason } => {
                                (row.state, row.reason) = (SmsState::Failed, Some(reason));
                                gone.push(sms);
                            }
                            Outcome::Later { due_on, unanswered, taken } => {
                                row.state = SmsState::Created;
                                let later = Entity::update_many()
                                    .col_expr(Column::LeasedUntil, Expr::value(None::<DateTime<Utc>>))
                                    .col_expr(Column::DueOn, Expr::value(to_millis(due_on)))
                                    .col_expr(Column::Unanswered, Expr::value(unanswered))
                                    .col_expr(Column::Carrier, Expr::value(row.carrier.clone()))
                                    .col_expr(Column::Taken, Expr::value(Json(taken)))
                                    .filter(Column::Sms.eq(sms));
                                tx.run(later.build(tx.backend())).await?;
                            }
                        }
                        settled.messages.push(row);
                    }
                    rewrite(&tx, settled.messages.clone()).await?;
                    bulk::insert::<sms_segment::Entity, _>(&tx, segments, &Conflict::Refuse).await?;
                    bulk::delete::<Entity>(&tx, Column::Sms, &gone).await?;
                    sms_untold::note(&tx, settled.messages.iter().filter(|sms| sms.state != SmsState::Created)).await?;
                    let failed =
                        settled.messages.iter().filter(|sms| sms.state == SmsState::Failed).map(|sms| sms.uuid);
                    smpp::ended(&tx, failed.collect(), false).await?;
                    // Always in one order: two nodes that settle must not wait for each other.
                    let mut charges: Vec<_> = charges.into_iter().filter(|(_, used)| !used.is_empty()).collect();
                    charges.sort_by_key(|(account, _)| *account);
                    for (account, used) in charges {
                        let balance = transactions::book_used(&tx, account, used).await?;
                        settled.balances.insert(account, balance);
                    }
                    Ok(settled)
                }
                .boxed()
            })
            .await
    }
}

/// Writes one message and queues it.
pub(crate) async fn write(db: &impl ConnectionTrait, account: Uuid, new: NewSms, waiting: Waiting) -> Result<Sms> {
    let (sms, queued) = rows(account, new, waiting);
    owned::insert(db, sms.clone()).await?;
    owned::insert(db, queued).await?;
    sms_untold::note(db, [&sms].into_iter()).await?;
    Ok(sms)
}

fn rows(account: Uuid, new: NewSms, waiting: Waiting) -> (Sms, Queued) {
    let send_at = waiting.send_at.map(to_millis);
    let sms = Sms { send_at, priority: waiting.priority, ..row(account, new, SmsState::Created) };
    let queued = Queued {
        sms: sms.uuid,
        account,
        due_on: send_at.unwrap_or(sms.created_on),
        expires_on: to_millis(waiting.expires_on),
        attempts: 0,
        leased_until: None,
        priority: match waiting.priority {
            Priority::High => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        },
        unanswered: 0,
        carrier: None,
        taken: Json(Vec::new()),
    };
    (sms, queued)
}

fn free(at: DateTime<Utc>) -> Condition {
    Condition::any().add(Column::LeasedUntil.is_null()).add(Column::LeasedUntil.lte(at))
}

async fn take(db: &impl Db, queued: Vec<Queued>, until: DateTime<Utc>, sends: bool) -> Result<Vec<(Sms, Queued)>> {
    if queued.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = bulk::padded(queued.iter().map(|q| q.sms));
    let mut claim = Entity::update_many()
        .col_expr(Column::LeasedUntil, Expr::value(to_millis(until)))
        .filter(Column::Sms.is_in(ids.clone()));
    if sends {
        claim = claim
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .col_expr(Column::Unanswered, Expr::col(Column::Unanswered).add(1));
    }
    db.run(claim.build(db.backend())).await?;
    if sends {
        let again = bulk::padded(queued.iter().filter(|q| q.unanswered > 0).map(|q| q.sms));
        let sending = sms::Entity::update_many()
            .col_expr(sms::Column::State, Expr::value(SmsState::Sending))
            .col_expr(sms::Column::Attempts, Expr::col(sms::Column::Attempts).add(1))
            .filter(sms::Column::Uuid.is_in(ids.clone()));
        db.run(sending.build(db.backend())).await?;
        if !again.is_empty() {
            let repeated = sms::Entity::update_many()
                .col_expr(sms::Column::Repeated, Expr::value(true))
                .filter(sms::Column::Uuid.is_in(again));
            db.run(repeated.build(db.backend())).await?;
        }
    }
    let messages = db.all(sms::Entity::find().filter(sms::Column::Uuid.is_in(ids))).await?;
    let mut messages: HashMap<Uuid, Sms> = messages.into_iter().map(|m| (m.uuid, m)).collect();
    Ok(queued.into_iter().filter_map(|q| messages.remove(&q.sms).map(|m| (m, q))).collect())
}
