//! Recordings of calls.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use crate::bulk::{self, Conflict};
pub use crate::entity::record::Model as Record;
use crate::entity::record::{Column, Entity};
use crate::search::{Found, Search, mask, run, searchable, sortable};
use crate::types::{RecordFormat, RecordState, now, to_millis};
use crate::writer::Db;
use crate::{Result, Store, owned, transcripts};

searchable!(record, {
    "tag" => Tag, "state" => State, "format" => Format, "duration" => DurationMs, "size" => Size,
});

#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    pub call: Option<Uuid>,
    /// Mask.
    pub tag: Option<String>,
    pub state: Option<RecordState>,
    pub format: Option<RecordFormat>,
    /// Seconds.
    pub duration_min: Option<i64>,
    /// Seconds.
    pub duration_max: Option<i64>,
}

impl Store {
    pub fn records(&self) -> Records<'_> {
        Records { store: self }
    }
}

pub struct Records<'a> {
    store: &'a Store,
}

impl Records<'_> {
    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<Record> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// Writes a row, new or again. The batch writer of events does this for calls in progress.
    pub async fn save(&self, record: Record) -> Result<()> {
        Ok(upsert(self.store.writer(), vec![record]).await?)
    }

    /// Those of a call, in the order they began.
    pub async fn of_call(&self, account: Uuid, call: Uuid) -> Result<Vec<Record>> {
        let found = Entity::find().filter(Column::Account.eq(account)).filter(Column::Call.eq(call));
        Ok(found.order_by_asc(Column::CreatedOn).order_by_asc(Column::Uuid).all(self.store.reader()).await?)
    }

    /// Fields that a search may be ordered by.
    pub fn sortable() -> Vec<&'static str> {
        sortable::<Entity>()
    }

    pub async fn search(&self, account: Uuid, filter: RecordFilter, search: Search) -> Result<Found<Record>> {
        let filters = [
            filter.call.map(|v| Column::Call.eq(v)),
            filter.tag.map(|v| mask(Column::Tag, &v)),
            filter.state.map(|v| Column::State.eq(v)),
            filter.format.map(|v| Column::Format.eq(v)),
            filter.duration_min.map(|v| Column::DurationMs.gte(v.saturating_mul(1000))),
            filter.duration_max.map(|v| Column::DurationMs.lt(v.saturating_add(1).saturating_mul(1000))),
        ];
        let filters = filters.into_iter().flatten().collect();
        run::<Entity>(self.store.reader(), account, Condition::all(), filters, search).await
    }

    /// Of all accounts: those that a node left behind while they were recorded, to be closed at start.
    pub async fn unfinished(&self) -> Result<Vec<Record>> {
        // As the index says it: of a parameter it is not known what it will be.
        let unfinished = Entity::find().filter(Expr::cust("state = 'recording'"));
        Ok(unfinished.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// Of all accounts: those to be uploaded by now, the longest waiting first, `limit` at most.
    pub async fn due(&self, now: DateTime<Utc>, limit: u64) -> Result<Vec<Record>> {
        let due = Entity::find().filter(Column::UploadDue.lte(now));
        Ok(due.order_by_asc(Column::UploadDue).limit(limit).all(self.store.reader()).await?)
    }

    /// It is in the object store. False when it is there no more.
    pub async fn uploaded(&self, uuid: Uuid) -> Result<bool> {
        let now = now();
        let columns = [
            (Column::UploadedOn, Expr::value(Some(now))),
            (Column::UploadDue, Expr::value(None::<DateTime<Utc>>)),
            (Column::UploadError, Expr::value(None::<String>)),
            (Column::ModifiedOn, Expr::value(now)),
        ];
        self.update(uuid, columns).await
    }

    /// It is to be uploaded later.
    pub async fn postpone(&self, uuid: Uuid, due: DateTime<Utc>) -> Result<bool> {
        self.update(uuid, [(Column::UploadDue, Expr::value(Some(to_millis(due))))]).await
    }

    /// Its file is in the folder of recordings no more.
    pub async fn not_local(&self, uuid: Uuid) -> Result<bool> {
        self.update(uuid, [(Column::IsLocal, Expr::value(false))]).await
    }

    /// An attempt has failed; the next is `due`, or never.
    pub async fn upload_failed(&self, record: &Record, error: &str, due: Option<DateTime<Utc>>) -> Result<bool> {
        let columns = [
            (Column::UploadDue, Expr::value(due.map(to_millis))),
            (Column::UploadAttempts, Expr::value(record.upload_attempts.saturating_add(1))),
            (Column::UploadError, Expr::value(Some(error.to_owned()))),
            (Column::ModifiedOn, Expr::value(now())),
        ];
        self.update(record.uuid, columns).await
    }

    async fn update(&self, uuid: Uuid, columns: impl IntoIterator<Item = (Column, Expr)>) -> Result<bool> {
        let mut update = Entity::update_many().filter(Column::Uuid.eq(uuid));
        for (column, value) in columns {
            update = update.col_expr(column, value);
        }
        Ok(update.exec(self.store.writer()).await?.rows_affected > 0)
    }

    /// With what it says.
    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        let tx = self.store.begin().await?;
        owned::delete::<Entity>(&tx, account, uuid).await?;
        transcripts::delete_of(&tx, account, uuid).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Writes rows, new or again; each at most once in `records`.
pub(crate) async fn upsert(db: &impl Db, records: Vec<Record>) -> Result<(), DbErr> {
    let conflict = Conflict::Update { key: Column::Uuid, keep: &[Column::Account, Column::CreatedOn] };
    bulk::insert::<Entity, _>(db, records, &conflict).await
}
