//! Outbound voice profiles.

use sea_orm::ColumnTrait;
use uuid::Uuid;

use crate::entity::outbound_voice_profile::Entity;
pub use crate::entity::outbound_voice_profile::Model as OutboundVoiceProfile;
use crate::entity::{sip_connection, sip_domain, tn_lease};
use crate::products::{self, DEFAULT_PRODUCT};
use crate::types::{Json, Money, RecordFormat, now};
use crate::{Result, Store, owned, tech_prefix};

/// A profile to be.
#[derive(Debug, Clone)]
pub struct NewVoiceProfile {
    pub name: String,
    pub is_active: bool,
    pub product: i64,
    pub tn_lease: Option<Uuid>,
    pub shaken_sign_policy: i64,
    pub channel_limit: Option<i64>,
    pub cps_limit: Option<i64>,
    pub max_rate: Option<Money>,
    pub daily_spend_limit: Option<Money>,
    pub hourly_spend_limit: Option<Money>,
    pub record_calls: i64,
    pub format: RecordFormat,
    pub allowed_countries: Vec<String>,
    pub sip_connections: Vec<Uuid>,
    pub emergency_connection: Option<Uuid>,
}

impl NewVoiceProfile {
    pub fn new(name: impl Into<String>) -> NewVoiceProfile {
        NewVoiceProfile {
            name: name.into(),
            is_active: true,
            product: DEFAULT_PRODUCT,
            tn_lease: None,
            shaken_sign_policy: 0,
            channel_limit: None,
            cps_limit: None,
            max_rate: None,
            daily_spend_limit: None,
            hourly_spend_limit: None,
            record_calls: 0,
            format: RecordFormat::Wav,
            allowed_countries: Vec::new(),
            sip_connections: Vec::new(),
            emergency_connection: None,
        }
    }
}

impl Store {
    pub fn voice_profiles(&self) -> VoiceProfiles<'_> {
        VoiceProfiles { store: self }
    }
}

pub struct VoiceProfiles<'a> {
    store: &'a Store,
}

impl VoiceProfiles<'_> {
    pub async fn create(&self, account: Uuid, by: Option<Uuid>, new: NewVoiceProfile) -> Result<OutboundVoiceProfile> {
        let tx = self.store.begin().await?;
        products::check(&tx, new.product).await?;
        owned::check::<tn_lease::Entity>(&tx, account, new.tn_lease).await?;
        for trunk in new.sip_connections.iter().chain(&new.emergency_connection) {
            owned::check::<sip_connection::Entity>(&tx, account, Some(*trunk)).await?;
        }
        let uuid = Uuid::new_v4();
        let created_on = now();
        let profile = OutboundVoiceProfile {
            uuid,
            created_on,
            modified_on: created_on,
            account,
            name: new.name,
            is_active: new.is_active,
            tech_prefix: tech_prefix::assign(&tx, uuid).await?,
            product: new.product,
            tn_lease: new.tn_lease,
            shaken_sign_policy: new.shaken_sign_policy,
            channel_limit: new.channel_limit,
            cps_limit: new.cps_limit,
            max_rate: new.max_rate,
            daily_spend_limit: new.daily_spend_limit,
            hourly_spend_limit: new.hourly_spend_limit,
            record_calls: new.record_calls,
            format: new.format,
            allowed_countries: Json(new.allowed_countries),
            sip_connections: Json(new.sip_connections),
            emergency_connection: new.emergency_connection,
            created_by: by,
            modified_by: by,
        };
        owned::insert(&tx, profile.clone()).await?;
        tx.commit().await?;
        Ok(profile)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<OutboundVoiceProfile> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The account's profiles, oldest first.
    pub async fn list(&self, account: Uuid) -> Result<Vec<OutboundVoiceProfile>> {
        owned::list::<Entity>(self.store.reader(), account).await
    }

    /// Changes what the closure changes; id, account, prefix and creation stay.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut OutboundVoiceProfile) + Send,
    ) -> Result<OutboundVoiceProfile> {
        let tx = self.store.begin().await?;
        let (old, mut row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        row.tech_prefix = old.tech_prefix;
        products::check(&tx, row.product).await?;
        owned::check::<tn_lease::Entity>(&tx, account, row.tn_lease).await?;
        for trunk in row.sip_connections.iter().chain(&row.emergency_connection) {
            owned::check::<sip_connection::Entity>(&tx, account, Some(*trunk)).await?;
        }
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// [`crate::StoreError::InUse`] while a domain points at it.
    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        let tx = self.store.begin().await?;
        let used = sip_domain::Column::OutboundVoiceProfile.eq(uuid);
        owned::refuse_if_used::<Entity, sip_domain::Entity>(&tx, used).await?;
        owned::delete::<Entity>(&tx, account, uuid).await?;
        tech_prefix::release(&tx, uuid).await?;
        tx.commit().await?;
        Ok(())
    }
}
