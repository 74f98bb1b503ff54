//! 10DLC: brands (who sends) and campaigns (what for), by the names of The Campaign Registry (TCR), and how far a registry is
//! with them.
//!
//! A row says when the registry is asked next (`look_on`), so that a vetting goes on after a restart; it is written only as it was
//! read (`revision`), so that of two that ask one writes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use crate::entity::tcr_brand::Model as Brand;
pub use crate::entity::tcr_campaign::Model as Campaign;
use crate::entity::{tcr_brand, tcr_campaign, tn_lease};
use crate::owned::{self, Authored};
use crate::types::{BrandEntity, Json, Usecase, Vertical, Vetting, now};
use crate::{Result, Store};

/// Brands of one account at most.
pub const MOST_BRANDS: u64 = 100;
/// Campaigns of one account at most.
pub const MOST_CAMPAIGNS: u64 = 1_000;
/// Who changes a row files it at once; when it died over that, somebody else does after this.
const UNFILED: Duration = Duration::from_secs(30);

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrandDetails {
    pub entity_type: BrandEntity,
    pub display_name: String,
    pub company_name: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// Tax number.
    pub ein: Option<String>,
    pub ein_issuing_country: Option<String>,
    pub phone: String,
    pub email: String,
    pub street: Option<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub postal_code: Option<String>,
    pub country: String,
    pub website: Option<String>,
    pub vertical: Vertical,
    pub stock_symbol: Option<String>,
    pub stock_exchange: Option<String>,
    pub reference_id: Option<String>,
}

impl BrandDetails {
    /// By what it is told whether it is who it says it is.
    fn identity(&self) -> impl PartialEq {
        let who = (&self.company_name, &self.first_name, &self.last_name);
        (self.entity_type, who, &self.ein, &self.ein_issuing_country, &self.country)
    }
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignDetails {
    pub usecase: Usecase,
    #[serde(default)]
    pub sub_usecases: Vec<Usecase>,
    pub description: String,
    /// How recipients come to want the messages.
    pub message_flow: String,
    pub sample1: String,
    pub sample2: Option<String>,
    pub sample3: Option<String>,
    pub sample4: Option<String>,
    pub sample5: Option<String>,
    pub help_message: Option<String>,
    pub optin_message: Option<String>,
    pub optout_message: Option<String>,
    /// Words, with commas between them.
    pub help_keywords: Option<String>,
    pub optin_keywords: Option<String>,
    pub optout_keywords: Option<String>,
    pub privacy_policy_link: Option<String>,
    pub terms_and_conditions_link: Option<String>,
    #[serde(default)]
    pub embedded_link: bool,
    #[serde(default)]
    pub embedded_phone: bool,
    #[serde(default)]
    pub number_pool: bool,
    #[serde(default)]
    pub age_gated: bool,
    #[serde(default)]
    pub direct_lending: bool,
    #[serde(default)]
    pub affiliate_marketing: bool,
    #[serde(default)]
    pub subscriber_optin: bool,
    #[serde(default)]
    pub subscriber_optout: bool,
    #[serde(default)]
    pub subscriber_help: bool,
    #[serde(default)]
    pub terms_and_conditions: bool,
    #[serde(default)]
    pub auto_renewal: bool,
    pub reference_id: Option<String>,
}

impl Store {
    pub fn brands(&self) -> Brands<'_> {
        Brands { store: self }
    }

    pub fn campaigns(&self) -> Campaigns<'_> {
        Campaigns { store: self }
    }
}

pub struct Brands<'a> {
    store: &'a Store,
}

pub struct Campaigns<'a> {
    store: &'a Store,
}

/// What a registry vets.
trait Vetted: Authored {
    const LOOK_ON: Self::Column;
    const REVISION: Self::Column;

    fn version(row: &Self::Model) -> (Uuid, i64);
    /// It reads otherwise than what the registry has.
    fn changed(row: &mut Self::Model);
}

macro_rules! vetted {
    ($($entity:ident, $model:ident, $functions:ident;)+) => {$(
        impl Vetted for $entity::Entity {
            const LOOK_ON: Self::Column = $entity::Column::LookOn;
            const REVISION: Self::Column = $entity::Column::Revision;

            fn version(row: &$model) -> (Uuid, i64) {
                (row.uuid, row.revision)
            }

            fn changed(row: &mut $model) {
                if row.status == Vetting::Rejected {
                    (row.status, row.reason) = (Vetting::Pending, None);
                }
                (row.filed_on, row.look_on) = (None, Some(now() + UNFILED));
                row.revision += 1;
            }
        }

        impl $functions<'_> {
            pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<$model> {
                owned::get::<$entity::Entity>(self.store.reader(), account, uuid).await
            }

            /// The account's, oldest first.
            pub async fn list(&self, account: Uuid) -> Result<Vec<$model>> {
                owned::list::<$entity::Entity>(self.store.reader(), account).await
            }

            /// Those of all accounts that the registry is to be asked of, those that wait longest first.
            pub async fn due(&self, until: DateTime<Utc>, limit: u64) -> Result<Vec<$model>> {
                due::<$entity::Entity>(self.store.reader(), Some(until), limit).await
            }

            /// When it is to be asked of any next.
            pub async fn next_look(&self) -> Result<Option<DateTime<Utc>>> {
                let next = due::<$entity::Entity>(self.store.reader(), None, 1).await?;
                Ok(next.first().and_then(|row| row.look_on))
            }

            /// Writes how far it is with the registry; `None` where it has changed since it was read.
            pub async fn settle(&self, read: &$model, change: impl FnOnce(&mut $model) + Send) -> Result<Option<$model>> {
                let mut row = read.clone();
                change(&mut row);
                (row.revision, row.modified_on) = (read.revision + 1, now());
                let written = write::<$entity::Entity>(self.store.writer(), read, row.clone()).await?;
                Ok(written.then_some(row))
            }
        }
    )+};
}

vetted! {
    tcr_brand, Brand, Brands;
    tcr_campaign, Campaign, Campaigns;
}

/// Rows that are not decided.
async fn due<E: Vetted>(db: &impl ConnectionTrait, until: Option<DateTime<Utc>>, limit: u64) -> Result<Vec<E::Model>> {
    let undecided = E::find().filter(match until {
        Some(until) => E::LOOK_ON.lte(until),
        None => E::LOOK_ON.is_not_null(),
    });
    Ok(undecided.order_by_asc(E::LOOK_ON).limit(limit).all(db).await?)
}

/// Whether the row was still as it was read.
async fn write<E: Vetted>(
    db: &impl ConnectionTrait,
    read: &E::Model,
    row: impl IntoActiveModel<E::ActiveModel>,
) -> Result<bool> {
    let set = row.into_active_model().reset_all();
    let (uuid, revision) = E::version(read);
    let same = E::UUID.eq(uuid).and(E::REVISION.eq(revision));
    Ok(E::update_many().set(set).filter(same).exec(db).await?.rows_affected == 1)
}

impl Brands<'_> {
    /// [`StoreError::Invalid`](crate::StoreError::Invalid) when the account has [`MOST_BRANDS`].
    pub async fn create(&self, account: Uuid, by: Option<Uuid>, details: BrandDetails) -> Result<Brand> {
        let created_on = now();
        let brand = Brand {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            registry_id: None,
            status: Vetting::Pending,
            reason: None,
            filed_on: None,
            look_on: Some(created_on + UNFILED),
            revision: 0,
            details: Json(details),
            created_by: by,
            modified_by: by,
        };
        let tx = self.store.begin().await?;
        owned::refuse_beyond::<tcr_brand::Entity>(&tx, account, MOST_BRANDS, "displayName", "brands").await?;
        owned::insert(&tx, brand.clone()).await?;
        tx.commit().await?;
        Ok(brand)
    }

    /// The account's brand that the registry calls this.
    pub async fn called(&self, account: Uuid, registry_id: &str) -> Result<Option<Brand>> {
        let mine = tcr_brand::Column::Account.eq(account).and(tcr_brand::Column::RegistryId.eq(registry_id));
        Ok(tcr_brand::Entity::find().filter(mine).one(self.store.reader()).await?)
    }

    /// Says it otherwise, to be vetted anew. Who it is must not change while it has campaigns:
    /// [`StoreError::InUse`](crate::StoreError::InUse).
    pub async fn update(&self, account: Uuid, uuid: Uuid, by: Option<Uuid>, details: BrandDetails) -> Result<Brand> {
        let tx = self.store.begin().await?;
        let change = |brand: &mut Brand| {
            brand.details = Json(details);
            tcr_brand::Entity::changed(brand);
        };
        let (old, brand) = owned::revised::<tcr_brand::Entity>(&tx, account, uuid, by, change).await?;
        if old.details.identity() != brand.details.identity() {
            refuse_with_campaigns(&tx, uuid).await?;
        }
        owned::update::<tcr_brand::Entity>(&tx, account, uuid, brand.clone()).await?;
        tx.commit().await?;
        Ok(brand)
    }

    /// [`StoreError::InUse`](crate::StoreError::InUse) while it has campaigns.
    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        let tx = self.store.begin().await?;
        refuse_with_campaigns(&tx, uuid).await?;
        owned::delete::<tcr_brand::Entity>(&tx, account, uuid).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn refuse_with_campaigns(db: &impl ConnectionTrait, brand: Uuid) -> Result<()> {
    let its = tcr_campaign::Column::Brand.eq(brand);
    owned::refuse_if_used::<tcr_brand::Entity, tcr_campaign::Entity>(db, its).await
}

impl Campaigns<'_> {
    /// [`StoreError::Invalid`](crate::StoreError::Invalid) when the account has [`MOST_CAMPAIGNS`].
    pub async fn create(
        &self,
        account: Uuid,
        by: Option<Uuid>,
        brand: Uuid,
        details: CampaignDetails,
    ) -> Result<Campaign> {
        let created_on = now();
        let campaign = Campaign {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            brand,
            registry_id: None,
            status: Vetting::Pending,
            reason: None,
            filed_on: None,
            look_on: Some(created_on + UNFILED),
            revision: 0,
            details: Json(details),
            created_by: by,
            modified_by: by,
        };
        let tx = self.store.begin().await?;
        owned::refuse_beyond::<tcr_campaign::Entity>(&tx, account, MOST_CAMPAIGNS, "brandId", "campaigns").await?;
        owned::check::<tcr_brand::Entity>(&tx, account, Some(brand)).await?;
        owned::insert(&tx, campaign.clone()).await?;
        tx.commit().await?;
        Ok(campaign)
    }

    /// Says it otherwise, to be vetted anew; what was approved stays so until then.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        details: CampaignDetails,
    ) -> Result<Campaign> {
        let tx = self.store.begin().await?;
        let change = |campaign: &mut Campaign| {
            campaign.details = Json(details);
            tcr_campaign::Entity::changed(campaign);
        };
        let (_, campaign) = owned::revised::<tcr_campaign::Entity>(&tx, account, uuid, by, change).await?;
        owned::update::<tcr_campaign::Entity>(&tx, account, uuid, campaign.clone()).await?;
        tx.commit().await?;
        Ok(campaign)
    }

    /// [`StoreError::InUse`](crate::StoreError::InUse) while numbers send for it.
    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        let tx = self.store.begin().await?;
        let leased = tn_lease::Column::SmsCampaign.eq(uuid).and(tn_lease::Column::ReleasedOn.is_null());
        owned::refuse_if_used::<tcr_campaign::Entity, tn_lease::Entity>(&tx, leased).await?;
        owned::delete::<tcr_campaign::Entity>(&tx, account, uuid).await?;
        tx.commit().await?;
        Ok(())
    }
}
