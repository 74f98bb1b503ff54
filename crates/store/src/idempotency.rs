//! Idempotency keys: the same POST under the same key is answered once.

use chrono::TimeDelta;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

pub use crate::entity::idempotency_key::Model as IdempotencyKey;
use crate::entity::idempotency_key::{Column, Entity};
use crate::types::now;
use crate::{Result, Store};

/// How long a key is remembered.
pub const KEPT: TimeDelta = TimeDelta::hours(24);

/// What to do with a request under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nobody had the key: run it, then [`Idempotency::finish`] or [`Idempotency::abandon`].
    New,
    /// Answered before: give this again.
    Answered { status: u16, body: String },
    /// The first request is still running.
    Running,
    /// The key was used for another request.
    Differs,
}

impl Store {
    pub fn idempotency(&self) -> Idempotency<'_> {
        Idempotency { store: self }
    }
}

pub struct Idempotency<'a> {
    store: &'a Store,
}

impl Idempotency<'_> {
    /// Takes the key, if it is free. `fingerprint` tells requests apart (a hash of method, path and body).
    pub async fn begin(&self, account: Uuid, key: &str, fingerprint: &str) -> Result<Begun> {
        let tx = self.store.begin().await?;
        let at = now();
        Entity::delete_many().filter(Column::CreatedOn.lt(at - KEPT)).exec(&tx).await?;
        let mine = IdempotencyKey {
            account,
            key: key.to_owned(),
            created_on: at,
            fingerprint: fingerprint.to_owned(),
            status: None,
            body: None,
        };
        let written = Entity::insert(mine.into_active_model().reset_all())
            .on_conflict(OnConflict::columns([Column::Account, Column::Key]).do_nothing().to_owned())
            .exec_without_returning(&tx)
            .await?;
        let begun = if written == 1 {
            Begun::New
        } else {
            match Entity::find_by_id((account, key.to_owned())).one(&tx).await? {
                Some(row) if row.fingerprint != fingerprint => Begun::Differs,
                Some(IdempotencyKey { status: Some(status), body, .. }) => {
                    Begun::Answered { status: u16::try_from(status).unwrap_or(500), body: body.unwrap_or_default() }
                }
                _ => Begun::Running,
            }
        };
        tx.commit().await?;
        Ok(begun)
    }

    /// Keeps the answer for those who ask again.
    pub async fn finish(&self, account: Uuid, key: &str, status: u16, body: &str) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::Status, Expr::value(i64::from(status)))
            .col_expr(Column::Body, Expr::value(body))
            .filter(Column::Account.eq(account))
            .filter(Column::Key.eq(key))
            .exec(self.store.writer())
            .await?;
        Ok(())
    }

    /// Frees a key whose request came to nothing (500, disconnected), so that it can be tried again.
    pub async fn abandon(&self, account: Uuid, key: &str) -> Result<()> {
        Entity::delete_many()
            .filter(Column::Account.eq(account))
            .filter(Column::Key.eq(key))
            .filter(Column::Status.is_null())
            .exec(self.store.writer())
            .await?;
        Ok(())
    }

    /// Frees keys that a stopped node was still working on: at start.
    pub async fn abandon_running(&self) -> Result<()> {
        Entity::delete_many().filter(Column::Status.is_null()).exec(self.store.writer()).await?;
        Ok(())
    }
}
