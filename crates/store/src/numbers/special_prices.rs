//! Prices that one account has in place of those of a price profile.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Condition, ExprTrait as _};
use sea_orm::{ActiveModelTrait as _, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::{Numbers, Prices, TnProfile};
use crate::entity::tn_profile;
pub use crate::entity::tn_special_price::Model as SpecialPrice;
use crate::entity::tn_special_price::{Column, Entity};
use crate::types::{Json, now, to_millis};
use crate::{Result, Store, StoreError};

impl Numbers<'_> {
    /// Those of an account that have not expired, with their profiles, which cost what they say.
    pub async fn special_prices(&self, account: Uuid) -> Result<Vec<(TnProfile, SpecialPrice)>> {
        let mut special = Vec::new();
        for price in self.specials(account).await? {
            let profile = TnProfile { prices: price.prices.clone(), ..self.profile(price.profile).await? };
            special.push((profile, price));
        }
        special.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        Ok(special)
    }

    /// Active price profiles, by name, at what they cost this account.
    pub async fn profiles_for(&self, account: Uuid) -> Result<Vec<TnProfile>> {
        let mut profiles = self.profiles().await?;
        for special in self.specials(account).await? {
            if let Some(profile) = profiles.iter_mut().find(|profile| profile.uuid == special.profile) {
                profile.prices = special.prices;
            }
        }
        Ok(profiles)
    }

    /// What numbers of a price profile cost this account.
    pub async fn prices_for(&self, account: Uuid, profile: Uuid) -> Result<Prices> {
        let prices = self.store.rows().prices.get(self.store, (account, profile)).await?;
        prices.ok_or(StoreError::NotFound("TNProfile"))
    }

    async fn specials(&self, account: Uuid) -> Result<Vec<SpecialPrice>> {
        Ok(Entity::find().filter(in_force(account)).all(self.store.reader()).await?)
    }

    /// In place of what the account paid before; `expired_on` `None` for ever.
    pub async fn set_special_price(
        &self,
        account: Uuid,
        profile: Uuid,
        prices: Prices,
        expired_on: Option<DateTime<Utc>>,
    ) -> Result<SpecialPrice> {
        let created_on = now();
        let row = SpecialPrice {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            profile,
            prices: Json(prices),
            expired_on: expired_on.map(to_millis),
        };
        let tx = self.store.begin().await?;
        Entity::delete_many().filter(of(account, profile)).exec(&tx).await?;
        Entity::insert(row.clone().into_active_model().reset_all()).exec_without_returning(&tx).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// The account pays the profile's own prices again. Whether it paid others.
    pub async fn remove_special_price(&self, account: Uuid, profile: Uuid) -> Result<bool> {
        let deleted = Entity::delete_many().filter(of(account, profile)).exec(self.store.writer()).await?;
        Ok(deleted.rows_affected > 0)
    }

    /// Deletes what has expired, of all accounts.
    pub async fn purge_special_prices(&self) -> Result<u64> {
        let expired = Column::ExpiredOn.lte(now());
        Ok(Entity::delete_many().filter(expired).exec(self.store.writer()).await?.rows_affected)
    }
}

fn of(account: Uuid, profile: Uuid) -> Condition {
    Condition::all().add(Column::Account.eq(account)).add(Column::Profile.eq(profile))
}

fn in_force(account: Uuid) -> Condition {
    let open = Column::ExpiredOn.is_null().or(Column::ExpiredOn.gt(now()));
    Condition::all().add(Column::Account.eq(account)).add(open)
}

/// What numbers of price profiles cost accounts, by account and profile.
pub(crate) async fn prices(store: Store, keys: Vec<(Uuid, Uuid)>) -> Result<HashMap<(Uuid, Uuid), Prices>> {
    let profiles = keys.iter().map(|(_, profile)| *profile);
    let profiles = tn_profile::Entity::find().filter(tn_profile::Column::Uuid.is_in(profiles));
    let profiles = profiles.all(store.reader()).await?.into_iter().map(|profile| (profile.uuid, *profile.prices));
    let profiles: HashMap<Uuid, Prices> = profiles.collect();
    let one = |(account, profile): &(Uuid, Uuid)| in_force(*account).add(Column::Profile.eq(*profile));
    let any = keys.iter().map(one).fold(Condition::any(), Condition::add);
    let specials = Entity::find().filter(any).all(store.reader()).await?;
    let specials: HashMap<(Uuid, Uuid), Prices> =
        specials.into_iter().map(|special| ((special.account, special.profile), *special.prices)).collect();
    let of = |key: (Uuid, Uuid)| Some((key, specials.get(&key).or_else(|| profiles.get(&key.1)).copied()?));
    Ok(keys.into_iter().filter_map(of).collect())
}
