//! Messaging profiles.

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entity::messaging_profile::Entity;
pub use crate::entity::messaging_profile::Model as MessagingProfile;
use crate::entity::{sms_opt_out, tn_lease};
use crate::owned::Owned as _;
use crate::types::{Json, now};
use crate::{Result, Store, StoreError, owned};

/// How recipients opt out and in, besides the English words that always count. A text that is `None` is the product's, an
/// empty one is not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OptOutRules {
    pub out_keywords: Vec<String>,
    pub in_keywords: Vec<String>,
    pub help_keywords: Vec<String>,
    pub out_message: Option<String>,
    pub in_message: Option<String>,
    pub help_message: Option<String>,
}

/// A profile to be.
#[derive(Debug, Clone)]
pub struct NewMessagingProfile {
    pub name: String,
    pub callback_url: Option<String>,
    pub callback_url2: Option<String>,
    pub number_pool_enable: bool,
    /// 0..=9.
    pub long_code_weight: i64,
    /// 0..=9.
    pub tollfree_weight: i64,
    pub skip_unhealthy_tns: bool,
    pub sticky_sender: bool,
    pub smart_encoding: bool,
    pub geo_match: bool,
    /// ISO 3166 alpha-2, upper case; empty means anywhere.
    pub allowed_countries: Vec<String>,
    pub opt_out: OptOutRules,
}

impl NewMessagingProfile {
    pub fn new(name: impl Into<String>) -> NewMessagingProfile {
        NewMessagingProfile {
            name: name.into(),
            callback_url: None,
            callback_url2: None,
            number_pool_enable: false,
            long_code_weight: 1,
            tollfree_weight: 1,
            skip_unhealthy_tns: false,
            sticky_sender: false,
            smart_encoding: true,
            geo_match: false,
            allowed_countries: Vec::new(),
            opt_out: OptOutRules::default(),
        }
    }
}

impl Store {
    pub fn messaging_profiles(&self) -> MessagingProfiles<'_> {
        MessagingProfiles { store: self }
    }
}

pub struct MessagingProfiles<'a> {
    store: &'a Store,
}

impl MessagingProfiles<'_> {
    pub async fn create(&self, account: Uuid, by: Option<Uuid>, new: NewMessagingProfile) -> Result<MessagingProfile> {
        let created_on = now();
        let profile = MessagingProfile {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            name: new.name,
            callback_url: new.callback_url,
            callback_url2: new.callback_url2,
            number_pool_enable: new.number_pool_enable,
            long_code_weight: new.long_code_weight,
            tollfree_weight: new.tollfree_weight,
            skip_unhealthy_tns: new.skip_unhealthy_tns,
            sticky_sender: new.sticky_sender,
            smart_encoding: new.smart_encoding,
            geo_match: new.geo_match,
            allowed_countries: Json(new.allowed_countries),
            opt_out: Json(new.opt_out),
            created_by: by,
            modified_by: by,
        };
        owned::insert(self.store.writer(), profile.clone()).await?;
        Ok(profile)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<MessagingProfile> {
        let profile = self.store.rows().messaging_profiles.get(self.store, uuid).await?;
        profile.filter(|profile| profile.account == account).ok_or(StoreError::NotFound(Entity::NAME))
    }

    /// The account's profiles, oldest first.
    pub async fn list(&self, account: Uuid) -> Result<Vec<MessagingProfile>> {
        owned::list::<Entity>(self.store.reader(), account).await
    }

    /// Changes what the closure changes; id, account and creation stay.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut MessagingProfile) + Send,
    ) -> Result<MessagingProfile> {
        let tx = self.store.begin().await?;
        let (_, row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// [`crate::StoreError::InUse`] while a lease points at it. Its list of opt-outs goes with it.
    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        let tx = self.store.begin().await?;
        let leased = tn_lease::Column::MessagingProfile.eq(uuid).and(tn_lease::Column::ReleasedOn.is_null());
        owned::refuse_if_used::<Entity, tn_lease::Entity>(&tx, leased).await?;
        let its = sms_opt_out::Column::Account.eq(account).and(sms_opt_out::Column::MessagingProfile.eq(uuid));
        sms_opt_out::Entity::delete_many().filter(its).exec(&tx).await?;
        owned::delete::<Entity>(&tx, account, uuid).await?;
        tx.commit().await?;
        Ok(())
    }
}
