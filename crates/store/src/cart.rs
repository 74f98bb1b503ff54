//! The cart of a user: what a client keeps until it orders.

use std::time::Duration;

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use crate::entity::cart_entry::Model as CartEntry;
use crate::entity::cart_entry::{Column, Entity};
use crate::types::{Json, now};
use crate::{Result, Store, StoreError, owned};

/// Entries of one user at most.
pub const MOST: u64 = 200;

impl Store {
    /// The cart of this user.
    pub fn cart(&self, account: Uuid, user: Uuid) -> Cart<'_> {
        Cart { store: self, account, user }
    }
}

pub struct Cart<'a> {
    store: &'a Store,
    account: Uuid,
    user: Uuid,
}

impl Cart<'_> {
    /// `ttl` `None` stays. [`StoreError::Invalid`] when there are [`MOST`].
    pub async fn add(&self, payload: Map<String, Value>, ttl: Option<Duration>) -> Result<CartEntry> {
        let created_on = now();
        let entry = CartEntry {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account: self.account,
            user: self.user,
            payload: Json(payload),
            expired_on: ttl.map(|ttl| created_on + ttl),
        };
        let tx = self.store.begin().await?;
        Entity::delete_many().filter(self.mine().add(Column::ExpiredOn.lte(created_on))).exec(&tx).await?;
        if owned::count::<Entity>(&tx, self.mine()).await? >= MOST {
            return Err(StoreError::invalid("payload", format!("a cart has at most {MOST} entries")));
        }
        owned::insert(&tx, entry.clone()).await?;
        tx.commit().await?;
        Ok(entry)
    }

    /// Oldest first, without what has expired.
    pub async fn list(&self) -> Result<Vec<CartEntry>> {
        Ok(Entity::find().filter(self.live()).order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    pub async fn get(&self, uuid: Uuid) -> Result<CartEntry> {
        self.find(self.store.reader(), uuid).await
    }

    /// Puts something else in an entry's place; what `ttl` leaves out stays.
    pub async fn replace(
        &self,
        uuid: Uuid,
        payload: Map<String, Value>,
        ttl: Option<Option<Duration>>,
    ) -> Result<CartEntry> {
        let tx = self.store.begin().await?;
        let mut entry = self.find(&tx, uuid).await?;
        entry.modified_on = now();
        entry.payload = Json(payload);
        if let Some(ttl) = ttl {
            entry.expired_on = ttl.map(|ttl| entry.modified_on + ttl);
        }
        owned::update::<Entity>(&tx, self.account, uuid, entry.clone()).await?;
        tx.commit().await?;
        Ok(entry)
    }

    /// The entry as it was.
    pub async fn remove(&self, uuid: Uuid) -> Result<CartEntry> {
        let tx = self.store.begin().await?;
        let entry = self.find(&tx, uuid).await?;
        owned::delete::<Entity>(&tx, self.account, uuid).await?;
        tx.commit().await?;
        Ok(entry)
    }

    /// How many there were.
    pub async fn clear(&self) -> Result<u64> {
        Ok(Entity::delete_many().filter(self.mine()).exec(self.store.writer()).await?.rows_affected)
    }

    async fn find(&self, db: &impl ConnectionTrait, uuid: Uuid) -> Result<CartEntry> {
        let found = Entity::find().filter(self.live().add(Column::Uuid.eq(uuid))).one(db).await?;
        found.ok_or(StoreError::NotFound(NAME))
    }

    fn mine(&self) -> Condition {
        Condition::all().add(Column::Account.eq(self.account)).add(Column::User.eq(self.user))
    }

    fn live(&self) -> Condition {
        self.mine().add(Column::ExpiredOn.is_null().or(Column::ExpiredOn.gt(now())))
    }
}

const NAME: &str = "CartEntry";
