//! Event subscriptions.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

pub use crate::entity::subscription::Model as Subscription;
use crate::entity::subscription::{Column, Entity};
use crate::types::{Channel, EventType, now, to_millis};
use crate::{Result, Store, StoreError, entity, owned};

/// A subscription to be.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    pub channel: Channel,
    pub kind: EventType,
    pub is_active: bool,
    /// Nothing is delivered from here on; `None` never ends.
    pub expired_on: Option<DateTime<Utc>>,
}

impl Store {
    pub fn subscriptions(&self) -> Subscriptions<'_> {
        Subscriptions { store: self }
    }
}

pub struct Subscriptions<'a> {
    store: &'a Store,
}

impl Subscriptions<'_> {
    pub async fn create(&self, account: Uuid, user: Uuid, new: NewSubscription) -> Result<Subscription> {
        owned::check::<entity::user::Entity>(self.store.reader(), account, Some(user)).await?;
        let created_on = now();
        let subscription = Subscription {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            user,
            channel: new.channel,
            kind: new.kind,
            is_active: new.is_active,
            expired_on: new.expired_on.map(to_millis),
        };
        owned::insert(self.store.writer(), subscription.clone()).await?;
        Ok(subscription)
    }

    pub async fn get(&self, account: Uuid, user: Uuid, uuid: Uuid) -> Result<Subscription> {
        let subscription = owned::get::<Entity>(self.store.reader(), account, uuid).await?;
        if subscription.user == user { Ok(subscription) } else { Err(StoreError::NotFound("Subscription")) }
    }

    /// The user's subscriptions, oldest first; inactive and expired ones too.
    pub async fn list(&self, account: Uuid, user: Uuid) -> Result<Vec<Subscription>> {
        let mine = Entity::find().filter(Column::Account.eq(account)).filter(Column::User.eq(user));
        Ok(mine.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// Changes type, channel, activity or expiry.
    pub async fn update(
        &self,
        account: Uuid,
        user: Uuid,
        uuid: Uuid,
        change: impl FnOnce(&mut Subscription) + Send,
    ) -> Result<Subscription> {
        let tx = self.store.begin().await?;
        let old = owned::get::<Entity>(&tx, account, uuid).await?;
        if old.user != user {
            return Err(StoreError::NotFound("Subscription"));
        }
        let mut row = old.clone();
        change(&mut row);
        let row = Subscription {
            modified_on: now(),
            channel: row.channel,
            kind: row.kind,
            is_active: row.is_active,
            expired_on: row.expired_on.map(to_millis),
            ..old
        };
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn delete(&self, account: Uuid, user: Uuid, uuid: Uuid) -> Result<()> {
        self.get(account, user, uuid).await?;
        owned::delete::<Entity>(self.store.writer(), account, uuid).await
    }
}
