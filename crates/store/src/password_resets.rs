//! Tokens that set a password anew: one for each person, good once and for a while, void when the password changes.

use std::time::Duration;

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

pub use crate::entity::password_reset::Model as PasswordReset;
use crate::entity::password_reset::{Column, Entity};
use crate::types::now;
use crate::{Result, Store, StoreError, owned, secrets};

impl Store {
    pub fn password_resets(&self) -> PasswordResets<'_> {
        PasswordResets { store: self }
    }
}

pub struct PasswordResets<'a> {
    store: &'a Store,
}

impl PasswordResets<'_> {
    /// Makes a token for who has this id, in place of the one before. The text is returned once and kept nowhere.
    pub async fn create(&self, account: Uuid, subject: Uuid, ttl: Duration) -> Result<String> {
        let text = secrets::new_token();
        let row = PasswordReset { subject, account, hash: secrets::token_hash(&text), expired_on: now() + ttl };
        let tx = self.store.begin().await?;
        void(&tx, subject).await?;
        Entity::delete_many().filter(Column::ExpiredOn.lte(now())).exec(&tx).await?;
        owned::insert(&tx, row).await?;
        tx.commit().await?;
        Ok(text)
    }

    /// Whose password a token sets, while it is good.
    pub async fn find(&self, token: &str) -> Result<PasswordReset> {
        let good = Column::Hash.eq(secrets::token_hash(token)).and(Column::ExpiredOn.gt(now()));
        let found = Entity::find().filter(good).one(self.store.writer()).await?;
        found.ok_or(StoreError::NotFound("Reset token"))
    }
}

/// Whatever token there is of this person is good no more.
pub(crate) async fn void(db: &impl ConnectionTrait, subject: Uuid) -> Result<()> {
    Entity::delete_by_id(subject).exec(db).await?;
    Ok(())
}

/// Takes the token, which no other can take then.
pub(crate) async fn take(db: &impl ConnectionTrait, reset: &PasswordReset) -> Result<()> {
    let this = Column::Subject.eq(reset.subject).and(Column::Hash.eq(&reset.hash));
    match Entity::delete_many().filter(this).exec(db).await?.rows_affected {
        0 => Err(StoreError::NotFound("Reset token")),
        _ => Ok(()),
    }
}
