//! Transcripts of recordings.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, sea_query::Expr,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use crate::entity::transcript::Model as Transcript;
use crate::entity::transcript::{Column, Entity};
use crate::records::Record;
use crate::types::{Json, TranscriptState, now, ordered_uuid};
use crate::writer::Db;
use crate::{Result, Store, StoreError, owned};

/// Milliseconds since the beginning of the audio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    pub text: String,
    pub from_ms: u64,
    pub to_ms: u64,
    /// 0..=1.
    pub confidence: Option<f32>,
}

impl Transcript {
    /// A recording is to be transcribed, in this language (BCP 47).
    pub fn waiting(record: &Record, language: String) -> Transcript {
        let created_on = now();
        Transcript {
            uuid: ordered_uuid(created_on),
            created_on,
            modified_on: created_on,
            account: record.account,
            record: record.uuid,
            state: TranscriptState::Waiting,
            language,
            engine: None,
            text: None,
            words: Json(Vec::new()),
            error: None,
        }
    }
}

impl Store {
    pub fn transcripts(&self) -> Transcripts<'_> {
        Transcripts { store: self }
    }
}

pub struct Transcripts<'a> {
    store: &'a Store,
}

impl Transcripts<'_> {
    /// That of a recording, the newest.
    pub async fn of_record(&self, account: Uuid, record: Uuid) -> Result<Transcript> {
        let found = Entity::find().filter(Column::Account.eq(account)).filter(Column::Record.eq(record));
        let found = found.order_by_desc(Column::CreatedOn).one(self.store.reader()).await?;
        found.ok_or(StoreError::NotFound("Transcript"))
    }

    /// Of all accounts: those that are still to be made and that nobody has held since `before`, the oldest first.
    pub async fn left(&self, before: DateTime<Utc>, limit: u64) -> Result<Vec<Transcript>> {
        // As the index says it: of a parameter it is not known what it will be.
        let left = Entity::find().filter(Expr::cust("state = 'waiting'")).filter(Column::ModifiedOn.lt(before));
        Ok(left.order_by_asc(Column::CreatedOn).limit(limit).all(self.store.reader()).await?)
    }

    /// Holds one that is still to be made, as it was when it was read or last held, for the caller alone. `None` where
    /// another has taken it meanwhile, or it is made or gone.
    pub async fn hold(&self, waiting: &Transcript) -> Result<Option<Transcript>> {
        // Later than it was, whatever the clock says: by that others see that it is held.
        let modified_on = now().max(waiting.modified_on + TimeDelta::milliseconds(1));
        let held = Entity::update_many()
            .col_expr(Column::ModifiedOn, Expr::value(modified_on))
            .filter(Column::Uuid.eq(waiting.uuid))
            .filter(Column::State.eq(TranscriptState::Waiting))
            .filter(Column::ModifiedOn.eq(waiting.modified_on))
            .exec(self.store.writer())
            .await?;
        Ok((held.rows_affected == 1).then(|| Transcript { modified_on, ..waiting.clone() }))
    }

    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        owned::delete::<Entity>(self.store.writer(), account, uuid).await
    }
}

/// Writes them in this order. What has become of one whose recording was deleted meanwhile is not kept.
pub(crate) async fn write(db: &impl Db, transcripts: Vec<Transcript>) -> Result<(), DbErr> {
    for transcript in transcripts {
        let uuid = transcript.uuid;
        match transcript.state {
            TranscriptState::Waiting => owned::insert(db, transcript).await?,
            TranscriptState::Done | TranscriptState::Failed => {
                let row = transcript.into_active_model().reset_all();
                let changed = Entity::update_many().set(row).filter(Column::Uuid.eq(uuid));
                db.run(changed.build(db.backend())).await?;
            }
        }
    }
    Ok(())
}

/// With their recording.
pub(crate) async fn delete_of(db: &impl ConnectionTrait, account: Uuid, record: Uuid) -> Result<(), DbErr> {
    let theirs = Entity::delete_many().filter(Column::Account.eq(account)).filter(Column::Record.eq(record));
    theirs.exec(db).await.map(drop)
}
