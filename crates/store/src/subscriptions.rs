//! Event subscriptions.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

pub use crate::entity::subscription::Model as Subscription;
use crate::entity::subscription::{Column, Entity};
use crate::types::{Channel, EventType, Filters, Json, now, to_millis};
use crate::{Result, Store, StoreError, entity, owned};

/// A subscription to be.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    pub channel: Channel,
    pub kind: EventType,
    pub is_active: bool,
    /// Nothing is delivered from here on; `None` never ends.
    pub expired_on: Option<DateTime<Utc>>,
    /// For the channel `webhook`.
    pub url: Option<String>,
    pub failover_url: Option<String>,
    /// Ours where it is `None`.
    pub secret: Option<String>,
    pub filters: Option<Filters>,
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
        let uuid = Uuid::new_v4();
        let subscription = Subscription {
            uuid,
            created_on,
            modified_on: created_on,
            account,
            user,
            channel: new.channel,
            kind: new.kind,
            is_active: new.is_active,
            expired_on: new.expired_on.map(to_millis),
            url: new.url,
            failover_url: new.failover_url,
            secret: new.secret.map(|secret| self.seal(uuid, &secret)).transpose()?,
            filters: new.filters.map(Json),
        };
        owned::insert(self.store.writer(), subscription.clone()).await?;
        self.changed();
        Ok(subscription)
    }

    /// What its webhooks are signed with.
    pub fn secret(&self, subscription: &Subscription) -> Result<String> {
        let Some(sealed) = &subscription.secret else { return Ok(self.store.webhooks().secret(subscription.uuid)) };
        let secret = self.store.keyring().open(&context(subscription.uuid), sealed)?;
        String::from_utf8(secret).map_err(|_| StoreError::Key("a webhook secret that is no text".to_owned()))
    }

    fn seal(&self, uuid: Uuid, secret: &str) -> Result<Vec<u8>> {
        self.store.keyring().seal(&context(uuid), secret.as_bytes())
    }

    /// Those of channel `webhook` that these accounts have.
    pub async fn webhooks(&self, accounts: &[Uuid]) -> Result<Vec<Subscription>> {
        let theirs = Entity::find().filter(Column::Account.is_in(accounts.iter().copied()));
        Ok(theirs.filter(Column::Url.is_not_null()).all(self.store.reader()).await?)
    }

    /// A subscription as the node sees it, whoever's it is.
    pub async fn find(&self, account: Uuid, uuid: Uuid) -> Result<Subscription> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// Rises with each change that this process has made to any subscription.
    pub fn changes(&self) -> u64 {
        self.store.subscription_changes().load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.store.subscription_changes().fetch_add(1, Ordering::Release);
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

    /// Changes type, channel, activity, expiry, addresses or filters. `secret`: `None` keeps it.
    pub async fn update(
        &self,
        account: Uuid,
        user: Uuid,
        uuid: Uuid,
        secret: Option<String>,
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
            url: row.url,
            failover_url: row.failover_url,
            filters: row.filters,
            secret: match secret {
                Some(secret) => Some(self.seal(uuid, &secret)?),
                None => old.secret,
            },
            ..old
        };
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        self.changed();
        Ok(row)
    }

    pub async fn delete(&self, account: Uuid, user: Uuid, uuid: Uuid) -> Result<()> {
        self.get(account, user, uuid).await?;
        owned::delete::<Entity>(self.store.writer(), account, uuid).await?;
        self.changed();
        Ok(())
    }
}

fn context(uuid: Uuid) -> Vec<u8> {
    format!("subscriptions/{uuid}").into_bytes()
}
