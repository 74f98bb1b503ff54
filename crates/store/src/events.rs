//! The event log, and the batches in which calls and events are written.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::bulk::{self, Conflict};
use crate::calls::{self, CallFlowLog, CallRecord};
pub use crate::entity::event::Model as Event;
use crate::entity::event::{Column, Entity};
use crate::records::{self, Record};
use crate::tn_filters::{self, RejectedCalls};
use crate::transactions::{self, NewTransaction};
use crate::transcripts::{self, Transcript};
use crate::webhooks::{self, WebhookDelivery};
use crate::{Money, Result, Store, sms_untold};

/// What one group commit writes, all or nothing.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The newest state of each call, each call once.
    pub calls: Vec<CallRecord>,
    pub flow_logs: Vec<CallFlowLog>,
    /// The newest state of each recording, each once.
    pub records: Vec<Record>,
    /// In the order they changed.
    pub transcripts: Vec<Transcript>,
    /// Calls that filters have rejected besides those counted before.
    pub rejected: Vec<RejectedCalls>,
    pub events: Vec<Event>,
    /// Changes of messages that these events tell of: [`crate::sms_untold`].
    pub told: Vec<Uuid>,
    /// Who is to be told of them.
    pub deliveries: Vec<WebhookDelivery>,
    /// What the calls have cost, by account.
    pub charges: BTreeMap<Uuid, Vec<NewTransaction>>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        let rows = self.calls.is_empty() && self.flow_logs.is_empty() && self.events.is_empty();
        let told = self.deliveries.is_empty() && self.rejected.is_empty() && self.charges.is_empty();
        rows && self.records.is_empty() && self.transcripts.is_empty() && told
    }
}

impl Store {
    pub fn events(&self) -> Events<'_> {
        Events { store: self }
    }
}

pub struct Events<'a> {
    store: &'a Store,
}

impl Events<'_> {
    /// Returns the balance of each account that was charged.
    pub async fn commit(&self, batch: Batch) -> Result<HashMap<Uuid, Money>> {
        self.store
            .write(move |tx| {
                async move {
                    calls::upsert(&tx, batch.calls).await?;
                    calls::insert_logs(&tx, batch.flow_logs).await?;
                    records::upsert(&tx, batch.records).await?;
                    transcripts::write(&tx, batch.transcripts).await?;
                    tn_filters::count_rejected(&tx, batch.rejected).await?;
                    bulk::insert::<Entity, _>(&tx, batch.events, &Conflict::Refuse).await?;
                    webhooks::insert(&tx, batch.deliveries).await?;
                    sms_untold::told(&tx, &batch.told).await?;
                    let mut balances = HashMap::with_capacity(batch.charges.len());
                    // In the order of accounts: nodes that charge the same two at once do not wait for each other.
                    for (account, charges) in batch.charges {
                        balances.insert(account, transactions::book_used(&tx, account, charges).await?);
                    }
                    Ok(balances)
                }
                .boxed()
            })
            .await
    }

    /// The account's events after `seq`, in order, up to `limit`.
    pub async fn after(&self, account: Uuid, seq: i64, limit: u64) -> Result<Vec<Event>> {
        let later = Entity::find().filter(Column::Account.eq(account)).filter(Column::Seq.gt(seq));
        Ok(later.order_by_asc(Column::Seq).limit(limit).all(self.store.reader()).await?)
    }

    /// Sequence number of the account's oldest kept event; `None` when it has none.
    pub async fn oldest(&self, account: Uuid) -> Result<Option<i64>> {
        let oldest = Entity::find().filter(Column::Account.eq(account)).order_by_asc(Column::Seq);
        Ok(oldest.one(self.store.reader()).await?.map(|event| event.seq))
    }

    /// Highest sequence number of each account.
    pub async fn heads(&self) -> Result<HashMap<Uuid, i64>> {
        let heads: Vec<(Uuid, i64)> = Entity::find()
            .select_only()
            .column(Column::Account)
            .column_as(Column::Seq.max(), "head")
            .group_by(Column::Account)
            .into_tuple()
            .all(self.store.reader())
            .await?;
        Ok(heads.into_iter().collect())
    }

    /// Deletes the account's events up to a sequence number.
    pub async fn prune_until(&self, account: Uuid, seq: i64) -> Result<u64> {
        let surplus = Entity::delete_many().filter(Column::Account.eq(account)).filter(Column::Seq.lte(seq));
        Ok(surplus.exec(self.store.writer()).await?.rows_affected)
    }

    /// Deletes what is older, of all accounts, the oldest first and no more than `limit`; the newest event of each stays.
    pub async fn prune_older(&self, than: DateTime<Utc>, limit: u64) -> Result<u64> {
        let newest = Query::select()
            .expr(Expr::col(("newer", Column::Seq)).max())
            .from_as(Entity, "newer")
            .and_where(Expr::col(("newer", Column::Account)).equals(("old", Column::Account)))
            .to_owned();
        let old = Query::select()
            .columns([("old", Column::Account), ("old", Column::Seq)])
            .from_as(Entity, "old")
            .and_where(Expr::col(("old", Column::CreatedOn)).lt(than))
            .and_where(Expr::col(("old", Column::Seq)).lt(Expr::SubQuery(None, Box::new(newest.into()))))
            .order_by(("old", Column::CreatedOn), Order::Asc)
            .limit(limit)
            .to_owned();
        let key = Expr::tuple([Expr::col(Column::Account), Expr::col(Column::Seq)]);
        let deleted = Entity::delete_many().filter(key.in_subquery(old));
        Ok(deleted.exec(self.store.writer()).await?.rows_affected)
    }
}
