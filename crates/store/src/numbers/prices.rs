use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

use super::Numbers;
pub use crate::entity::tn_profile::Model as TnProfile;
use crate::entity::tn_profile::{Column, Entity};
use crate::types::{Feature, Json, Money, Priority, TnKind, now};
use crate::{Result, StoreError};

/// What a number costs. `nrc` is paid once, `mrc` every month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prices {
    pub nrc: Money,
    pub mrc: Money,
    pub voice_nrc: Money,
    pub voice_mrc: Money,
    pub voice_incoming_per_min_cost: Money,
    pub voice_outgoing_per_min_cost: Money,
    pub sms_nrc: Money,
    pub sms_mrc: Money,
    pub sms_per_send_cost: Money,
    pub sms_per_receive_cost: Money,
    pub mms_nrc: Money,
    pub mms_mrc: Money,
    pub mms_per_send_cost: Money,
    pub mms_per_receive_cost: Money,
    pub fax_nrc: Money,
    pub fax_mrc: Money,
    pub fax_incoming_per_min_cost: Money,
    pub fax_outgoing_per_min_cost: Money,
    pub emergency_nrc: Money,
    pub emergency_mrc: Money,
    pub emergency_incoming_per_min_cost: Money,
    pub emergency_outgoing_per_min_cost: Money,
}

impl Prices {
    /// Once and monthly price of one feature.
    pub fn feature(&self, feature: Feature) -> (Money, Money) {
        match feature {
            Feature::Voice => (self.voice_nrc, self.voice_mrc),
            Feature::Sms => (self.sms_nrc, self.sms_mrc),
            Feature::Mms => (self.mms_nrc, self.mms_mrc),
            Feature::Fax => (self.fax_nrc, self.fax_mrc),
            Feature::Emergency => (self.emergency_nrc, self.emergency_mrc),
        }
    }

    /// Once and monthly price of a number with these features.
    pub fn with_features(&self, features: &[Feature]) -> (Money, Money) {
        features.iter().map(|f| self.feature(*f)).fold((self.nrc, self.mrc), |(nrc, mrc), f| (nrc + f.0, mrc + f.1))
    }
}

/// The price profile of numbers that cost nothing here; not of any that is for sale.
pub const OWN: Uuid = uuid!("6f4c6b1e-7a53-4c1d-9c55-0f6f2a4f1003");

impl Numbers<'_> {
    /// Active price profiles, by name.
    pub async fn profiles(&self) -> Result<Vec<TnProfile>> {
        let active = Entity::find().filter(Column::IsActive.eq(true));
        Ok(active.order_by_asc(Column::Name).all(self.store.reader()).await?)
    }

    pub async fn profile(&self, uuid: Uuid) -> Result<TnProfile> {
        Entity::find_by_id(uuid).one(self.store.reader()).await?.ok_or(StoreError::NotFound("TNProfile"))
    }

    /// The profile that prices numbers of a kind: of the country if it has one, else of any.
    pub async fn profile_for(&self, kind: TnKind, country: &str) -> Result<TnProfile> {
        let fitting = self.profiles().await?.into_iter().filter(|p| p.toll_free == (kind == TnKind::TollFree));
        fitting.min_by_key(|p| (p.country != country, p.priority)).ok_or(StoreError::NotFound("TNProfile"))
    }
}

/// Writes the price profiles that a new database starts with; those that exist stay as they are.
pub(crate) async fn seed(db: &impl ConnectionTrait) -> Result<()> {
    let micros = Money::micros;
    let long_code = Prices {
        nrc: Money::units(1),
        mrc: Money::units(1),
        voice_incoming_per_min_cost: micros(8_500),
        voice_outgoing_per_min_cost: micros(14_000),
        sms_per_send_cost: micros(7_500),
        sms_per_receive_cost: micros(7_500),
        mms_per_send_cost: micros(20_000),
        mms_per_receive_cost: micros(10_000),
        fax_incoming_per_min_cost: micros(8_500),
        fax_outgoing_per_min_cost: micros(14_000),
        emergency_nrc: Money::units(1),
        emergency_mrc: micros(1_500_000),
        ..Prices::default()
    };
    let toll_free = Prices {
        nrc: Money::units(2),
        mrc: Money::units(2),
        voice_incoming_per_min_cost: micros(22_000),
        fax_incoming_per_min_cost: micros(22_000),
        emergency_nrc: Money::ZERO,
        emergency_mrc: Money::ZERO,
        ..long_code
    };
    let profiles = [
        (uuid!("6f4c6b1e-7a53-4c1d-9c55-0f6f2a4f1001"), "long_code", "Local numbers", false, long_code),
        (uuid!("6f4c6b1e-7a53-4c1d-9c55-0f6f2a4f1002"), "toll_free", "Toll-free numbers", true, toll_free),
        (OWN, "own", "Numbers of the operator's own", false, Prices::default()),
    ];
    for (uuid, name, description, toll_free, prices) in profiles {
        let created_on = now();
        let profile = TnProfile {
            uuid,
            created_on,
            modified_on: created_on,
            name: name.to_owned(),
            description: Some(description.to_owned()),
            is_active: uuid != OWN,
            priority: Priority::Normal,
            toll_free,
            country: "US".to_owned(),
            prices: Json(prices),
        };
        Entity::insert(profile.into_active_model().reset_all())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}
