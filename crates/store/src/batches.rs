//! Batches of calls and their items.
//!
//! An item is marked as being called, with the id of the call, before the call begins: whatever happens to the process, the
//! mark and the record of that call say what became of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::bulk::{self, Conflict};
pub use crate::entity::batch::Model as Batch;
use crate::entity::batch::{Column, Entity};
use crate::entity::batch_item;
pub use crate::entity::batch_item::Model as BatchItem;
use crate::search::{Found, Search, mask, run, searchable, sortable};
use crate::types::{BatchState, ItemState, Json, RecordFormat, now, ordered_uuid, to_millis};
use crate::{Result, Store, StoreError, owned};

searchable!(batch, { "name" => Name, "state" => State, "total" => Total });

/// Rows written between two looks of others at the database.
const CHUNK: usize = 2_000;

/// How a batch is called: what of the request is for all of its numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    pub xml: Option<String>,
    pub sip_control_app: Option<Uuid>,
    pub call_flow_url: Option<String>,
    pub from: Option<String>,
    pub tn_lease: Option<Uuid>,
    pub outbound_voice_profile: Option<Uuid>,
    pub sip_connection: Option<Uuid>,
    /// Seconds a callee may ring.
    pub timeout: u64,
    /// Seconds a call may last.
    pub max_length: Option<u64>,
    pub record: Option<RecordTerms>,
    /// By what it is judged who has answered, as the engine reads it.
    pub amd: Option<Value>,
    pub meta: Map<String, Value>,
    /// Calls begun a second.
    pub cps: f64,
    pub max_concurrent: u32,
    pub schedule: Option<ScheduleTerms>,
    pub retries: RetryTerms,
}

/// A recording from the answer of a call to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordTerms {
    pub tag: Option<String>,
    pub channels: u8,
    pub format: RecordFormat,
}

/// When calls may begin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleTerms {
    /// `HH:MM`.
    pub from: Option<String>,
    /// `HH:MM`.
    pub to: Option<String>,
    pub days: Vec<String>,
    pub time_zone: String,
}

/// Which numbers are called again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryTerms {
    pub max: u32,
    /// Seconds.
    pub delay: u64,
    /// Q.850.
    pub on: Vec<u8>,
}

/// A batch to be.
#[derive(Debug, Clone)]
pub struct NewBatch {
    pub name: Option<String>,
    pub created_by: Option<Uuid>,
    pub expires_on: Option<DateTime<Utc>>,
    pub terms: Terms,
}

/// A number to be called.
#[derive(Debug, Clone)]
pub struct NewItem {
    pub to: String,
    pub vars: Map<String, Value>,
}

/// How many items of a batch are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub waiting: u64,
    pub calling: u64,
    pub done: u64,
    pub failed: u64,
}

#[derive(Debug, Clone, Default)]
pub struct BatchFilter {
    /// Mask.
    pub name: Option<String>,
    pub state: Option<BatchState>,
}

/// What was taken to be called, and what is left.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Marked as being called, each with the id its call is to have.
    pub items: Vec<BatchItem>,
    /// When the next of those that wait is due.
    pub next: Option<DateTime<Utc>>,
    /// That of the batch: only of one that runs somebody is taken.
    pub state: BatchState,
}

/// What has become of an item's call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Waiting, done or failed.
    pub state: ItemState,
    /// When it is called again, of one that waits.
    pub due_on: Option<DateTime<Utc>>,
    pub q850_cause: Option<u8>,
    pub reason: Option<String>,
    pub amd: Option<String>,
    /// The call was begun.
    pub attempted: bool,
}

impl Store {
    pub fn batches(&self) -> Batches<'_> {
        Batches { store: self }
    }
}

pub struct Batches<'a> {
    store: &'a Store,
}

impl Batches<'_> {
    /// Writes a batch in state `created` with its items, a part at a time; it is not there before all are. At least one.
    pub async fn create(&self, account: Uuid, new: NewBatch, items: Vec<NewItem>) -> Result<Batch> {
        let created_on = now();
        let mut batch = Batch {
            uuid: ordered_uuid(created_on),
            created_on,
            modified_on: created_on,
            account,
            created_by: new.created_by,
            name: new.name,
            state: BatchState::Created,
            reason: None,
            total: 0,
            expires_on: new.expires_on.map(to_millis),
            finished_on: None,
            terms: Json(new.terms),
        };
        owned::insert(self.store.writer(), batch.clone()).await?;
        let total = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let mut items = items.into_iter().zip(0_i64..).peekable();
        while items.peek().is_some() {
            let rows = items.by_ref().take(CHUNK).map(|(item, position)| BatchItem {
                uuid: ordered_uuid(created_on),
                modified_on: created_on,
                account,
                batch: batch.uuid,
                position,
                to: item.to,
                vars: Json(item.vars),
                state: ItemState::Waiting,
                due_on: created_on,
                attempts: 0,
                call: None,
                q850_cause: None,
                reason: None,
                amd: None,
            });
            let tx = self.store.begin().await?;
            bulk::insert::<batch_item::Entity, _>(&tx, rows.collect(), &Conflict::Refuse).await?;
            tx.commit().await?;
        }
        let whole = Entity::update_many().col_expr(Column::Total, Expr::value(total));
        whole.filter(Column::Uuid.eq(batch.uuid)).exec(self.store.writer()).await?;
        batch.total = total;
        Ok(batch)
    }

    /// Those of all accounts that were not written to the end: at start, when no other node runs.
    pub async fn forget_unwritten(&self) -> Result<()> {
        let tx = self.store.begin().await?;
        let unwritten = Query::select().column(Column::Uuid).from(Entity).and_where(Column::Total.eq(0)).to_owned();
        let items = batch_item::Entity::delete_many().filter(batch_item::Column::Batch.in_subquery(unwritten));
        items.exec(&tx).await?;
        Entity::delete_many().filter(Column::Total.eq(0)).exec(&tx).await?;
        Ok(tx.commit().await?)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<Batch> {
        let found = owned::get::<Entity>(self.store.reader(), account, uuid).await?;
        if found.total == 0 {
            return Err(StoreError::NotFound("Batch"));
        }
        Ok(found)
    }

    /// Fields that a search may be ordered by.
    pub fn sortable() -> Vec<&'static str> {
        sortable::<Entity>()
    }

    pub async fn search(&self, account: Uuid, filter: BatchFilter, search: Search) -> Result<Found<Batch>> {
        let filters = [filter.name.map(|v| mask(Column::Name, &v)), filter.state.map(|v| Column::State.eq(v))];
        let filters = filters.into_iter().flatten().collect();
        let written = Condition::all().add(Column::Total.gt(0));
        run::<Entity>(self.store.reader(), account, written, filters, search).await
    }

    /// How many items of each batch are in which state.
    pub async fn counts(&self, batches: &[Uuid]) -> Result<HashMap<Uuid, Counts>> {
        #[derive(FromQueryResult)]
        struct Row {
            batch: Uuid,
            state: ItemState,
            count: i64,
        }
        use batch_item::Column;
        let counted = batch_item::Entity::find()
            .select_only()
            .columns([Column::Batch, Column::State])
            .column_as(Column::Uuid.count(), "count")
            .filter(Column::Batch.is_in(batches.iter().copied()))
            .group_by(Column::Batch)
            .group_by(Column::State);
        let mut counts: HashMap<Uuid, Counts> = HashMap::new();
        for row in counted.into_model::<Row>().all(self.store.reader()).await? {
            let counts = counts.entry(row.batch).or_default();
            let count = u64::try_from(row.count).unwrap_or_default();
            match row.state {
                ItemState::Waiting => counts.waiting = count,
                ItemState::Calling => counts.calling = count,
                ItemState::Done => counts.done = count,
                ItemState::Failed => counts.failed = count,
            }
        }
        Ok(counts)
    }

    /// Items in the order of the request, and how many there are in all.
    pub async fn items(
        &self,
        account: Uuid,
        batch: Uuid,
        state: Option<ItemState>,
        skip: u64,
        take: u64,
    ) -> Result<(Vec<BatchItem>, u64)> {
        use batch_item::Column;
        let found = batch_item::Entity::find()
            .filter(Column::Account.eq(account))
            .filter(Column::Batch.eq(batch))
            .filter(Condition::all().add_option(state.map(|state| Column::State.eq(state))));
        let total = found.clone().count(self.store.reader()).await?;
        let page = found.order_by_asc(Column::Position).offset(skip).limit(take).all(self.store.reader()).await?;
        Ok((page, total))
    }

    /// Pauses, resumes or cancels a batch; who waits for a canceled one has failed. [`StoreError::Conflict`] where it is in
    /// no state for that. The same again changes nothing.
    pub async fn set_state(&self, account: Uuid, uuid: Uuid, state: BatchState) -> Result<Batch> {
        let tx = self.store.begin().await?;
        let mut batch = owned::get::<Entity>(&tx, account, uuid).await?;
        let allowed = match (batch.state, state) {
            (old, new) if old == new => return Ok(batch),
            (BatchState::Created | BatchState::Running, BatchState::Paused) => true,
            (BatchState::Paused | BatchState::Created, BatchState::Running) => true,
            (BatchState::Created | BatchState::Running | BatchState::Paused, BatchState::Canceled) => true,
            _ => false,
        };
        if !allowed || batch.total == 0 {
            return Err(StoreError::Conflict("Batch"));
        }
        let at = now();
        if state == BatchState::Canceled {
            batch.finished_on = Some(at);
            give_up(&tx, uuid, "Batch canceled").await?;
        }
        (batch.state, batch.reason, batch.modified_on) = (state, None, at);
        owned::update::<Entity>(&tx, account, uuid, batch.clone()).await?;
        tx.commit().await?;
        Ok(batch)
    }

    /// Of all accounts: those that somebody must drive, the oldest first: that run or are to, those that are over but for
    /// calls that last, and those that have expired while they were paused.
    pub async fn open(&self, limit: u64) -> Result<Vec<Batch>> {
        let calling = Query::select()
            .column(batch_item::Column::Batch)
            .from(batch_item::Entity)
            .and_where(batch_item::Column::State.eq(ItemState::Calling))
            .and_where(Expr::col((batch_item::Entity, batch_item::Column::Batch)).equals((Entity, Column::Uuid)))
            .to_owned();
        let due = Condition::any()
            .add(Column::State.is_in([BatchState::Created, BatchState::Running]))
            .add(Condition::all().add(Column::State.ne(BatchState::Finished)).add(Expr::exists(calling)))
            .add(Condition::all().add(Column::State.eq(BatchState::Paused)).add(Column::ExpiresOn.lte(now())));
        let open = Entity::find().filter(Column::Total.gt(0)).filter(due);
        Ok(open.order_by_asc(Column::CreatedOn).limit(limit).all(self.store.reader()).await?)
    }

    /// Where a batch of any account stands.
    pub async fn state(&self, batch: Uuid) -> Result<BatchState> {
        let found = Entity::find_by_id(batch).one(self.store.reader()).await?;
        found.map(|batch| batch.state).ok_or(StoreError::NotFound("Batch"))
    }

    /// Items of which a call is under way, or was when the process ended.
    pub async fn calling(&self, batch: Uuid) -> Result<Vec<BatchItem>> {
        use batch_item::Column;
        let calling = Column::Batch.eq(batch).and(Column::State.eq(ItemState::Calling));
        Ok(batch_item::Entity::find().filter(calling).order_by_asc(Column::Position).all(self.store.reader()).await?)
    }

    /// Marks up to `limit` items that are due as being called, the longest waiting first: all of them, or none. Nobody is
    /// taken of a batch that does not run.
    pub async fn claim(&self, batch: Uuid, limit: u64) -> Result<Claimed> {
        use batch_item::Column;
        let tx = self.store.begin().await?;
        let found = Entity::find_by_id(batch).one(&tx).await?.ok_or(StoreError::NotFound("Batch"))?;
        let at = now();
        let waiting = || {
            let waiting = Column::Batch.eq(batch).and(Column::State.eq(ItemState::Waiting));
            batch_item::Entity::find().filter(waiting).order_by_asc(Column::DueOn).order_by_asc(Column::Position)
        };
        let mut items = Vec::new();
        if found.state == BatchState::Running {
            items = waiting().filter(Column::DueOn.lte(at)).limit(limit).all(&tx).await?;
        }
        for item in &mut items {
            (item.state, item.call, item.modified_on) = (ItemState::Calling, Some(ordered_uuid(at)), at);
            item.attempts += 1;
            batch_item::Entity::update_many()
                .col_expr(Column::State, Expr::value(item.state))
                .col_expr(Column::Call, Expr::value(item.call))
                .col_expr(Column::Attempts, Expr::value(item.attempts))
                .col_expr(Column::ModifiedOn, Expr::value(at))
                .filter(Column::Uuid.eq(item.uuid))
                .exec(&tx)
                .await?;
        }
        let next = waiting().one(&tx).await?.map(|item| item.due_on);
        tx.commit().await?;
        Ok(Claimed { items, next, state: found.state })
    }

    /// Writes what has become of a call. Of a canceled batch nobody waits any more. Returns whether it is called again.
    pub async fn settle(&self, item: &BatchItem, outcome: Outcome) -> Result<bool> {
        use batch_item::Column;
        let Outcome { mut state, due_on, q850_cause, mut reason, amd, attempted } = outcome;
        let tx = self.store.begin().await?;
        let canceled = Entity::find_by_id(item.batch).one(&tx).await?;
        if state == ItemState::Waiting && canceled.is_none_or(|batch| batch.state == BatchState::Canceled) {
            (state, reason) = (ItemState::Failed, reason.or_else(|| Some("Batch canceled".to_owned())));
        }
        let call = item.call.filter(|_| attempted);
        batch_item::Entity::update_many()
            .col_expr(Column::State, Expr::value(state))
            .col_expr(Column::DueOn, Expr::value(due_on.map_or(item.due_on, to_millis)))
            .col_expr(Column::Attempts, Expr::value(item.attempts - i64::from(!attempted)))
            .col_expr(Column::Call, Expr::value(call))
            .col_expr(Column::Q850Cause, Expr::value(q850_cause.map(i64::from)))
            .col_expr(Column::Reason, Expr::value(reason))
            .col_expr(Column::Amd, Expr::value(amd))
            .col_expr(Column::ModifiedOn, Expr::value(now()))
            .filter(Column::Uuid.eq(item.uuid))
            .exec(&tx)
            .await?;
        tx.commit().await?;
        Ok(state == ItemState::Waiting)
    }

    /// The first of its calls are about to begin.
    pub async fn begin(&self, batch: Uuid) -> Result<()> {
        self.change(batch, &[BatchState::Created], BatchState::Running, None).await
    }

    /// Nothing goes on as it is: paused until somebody resumes it.
    pub async fn pause(&self, batch: Uuid, reason: &str) -> Result<()> {
        self.change(batch, &[BatchState::Created, BatchState::Running], BatchState::Paused, Some(reason)).await
    }

    /// Nobody waits and nobody is being called. One that was canceled stays so.
    pub async fn finish(&self, batch: Uuid) -> Result<()> {
        let open = [BatchState::Created, BatchState::Running, BatchState::Paused];
        self.change(batch, &open, BatchState::Finished, None).await
    }

    async fn change(&self, batch: Uuid, from: &[BatchState], to: BatchState, reason: Option<&str>) -> Result<()> {
        let at = now();
        let mut change = Entity::update_many()
            .col_expr(Column::State, Expr::value(to))
            .col_expr(Column::Reason, Expr::value(reason))
            .col_expr(Column::ModifiedOn, Expr::value(at));
        if to == BatchState::Finished {
            change = change.col_expr(Column::FinishedOn, Expr::value(Some(at)));
        }
        let mine = Column::Uuid.eq(batch).and(Column::State.is_in(from.iter().copied()));
        change.filter(mine).exec(self.store.writer()).await?;
        Ok(())
    }

    /// Nobody who waits is called.
    pub async fn drop_waiting(&self, batch: Uuid, reason: &str) -> Result<()> {
        Ok(give_up(self.store.writer(), batch, reason).await?)
    }
}

async fn give_up(db: &impl sea_orm::ConnectionTrait, batch: Uuid, reason: &str) -> Result<(), sea_orm::DbErr> {
    use batch_item::Column;
    batch_item::Entity::update_many()
        .col_expr(Column::State, Expr::value(ItemState::Failed))
        .col_expr(Column::Reason, Expr::value(Some(reason)))
        .col_expr(Column::ModifiedOn, Expr::value(now()))
        .filter(Column::Batch.eq(batch).and(Column::State.eq(ItemState::Waiting)))
        .exec(db)
        .await?;
    Ok(())
}
