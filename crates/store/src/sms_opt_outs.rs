//! Who wants no messages: a list for each messaging profile, and one for the account's numbers that have none.

use sea_orm::ActiveModelTrait;
use sea_orm::sea_query::{ExprTrait, IntoCondition, OnConflict};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use crate::entity::messaging_profile;
pub use crate::entity::sms_opt_out::Model as OptOut;
use crate::entity::sms_opt_out::{Column, Entity};
use crate::search::{Found, Search, run, searchable, sortable, tn_mask};
use crate::types::{OptOutSource, Tn, now};
use crate::{Result, Store, bulk, owned};

searchable!(sms_opt_out, { "tn" => Tn, "source" => Source });

#[derive(Debug, Clone, Default)]
pub struct OptOutFilter {
    pub messaging_profile: Option<Uuid>,
    /// Mask over the digits.
    pub tn: Option<String>,
    pub source: Option<OptOutSource>,
}

impl Store {
    pub fn opt_outs(&self) -> OptOuts<'_> {
        OptOuts { store: self }
    }
}

pub struct OptOuts<'a> {
    store: &'a Store,
}

impl OptOuts<'_> {
    /// Puts numbers on the list of a profile, or of the numbers without one. Those that are on it stay as they are.
    /// [`crate::StoreError::NotFound`] when the account has no such profile.
    pub async fn add(&self, account: Uuid, profile: Option<Uuid>, tns: &[Tn]) -> Result<Vec<OptOut>> {
        let tx = self.store.begin().await?;
        owned::check::<messaging_profile::Entity>(&tx, account, profile).await?;
        for tn in tns {
            add(&tx, account, profile, *tn, OptOutSource::Account, None).await?;
        }
        let rows =
            Entity::find().filter(on_list(account, profile).add(Column::Tn.is_in(tns.to_vec()))).all(&tx).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Takes numbers off a list; how many were on it.
    pub async fn remove(&self, account: Uuid, profile: Option<Uuid>, tns: &[Tn]) -> Result<u64> {
        let tx = self.store.begin().await?;
        owned::check::<messaging_profile::Entity>(&tx, account, profile).await?;
        let gone = on_list(account, profile).add(Column::Tn.is_in(tns.to_vec()));
        let gone = Entity::delete_many().filter(gone).exec(&tx).await?.rows_affected;
        tx.commit().await?;
        Ok(gone)
    }

    /// Which of `tns` are on a list.
    pub async fn among(&self, account: Uuid, profile: Option<Uuid>, tns: Vec<Tn>) -> Result<Vec<Tn>> {
        if let [tn] = tns[..] {
            let list = self.store.rows().opt_outs.get(self.store, (profile.unwrap_or(account), tn)).await?;
            return Ok(list.filter(|of| *of == account).map(|_| tn).into_iter().collect());
        }
        let rows = Entity::find().filter(on_list(account, profile).add(Column::Tn.is_in(bulk::padded(tns))));
        Ok(rows.all(self.store.reader()).await?.into_iter().map(|row| row.tn).collect())
    }

    /// Fields that a search may be ordered by.
    pub fn sortable() -> Vec<&'static str> {
        sortable::<Entity>()
    }

    pub async fn search(&self, account: Uuid, filter: OptOutFilter, search: Search) -> Result<Found<OptOut>> {
        let filters = [
            filter.messaging_profile.map(|v| Column::MessagingProfile.eq(v)),
            filter.tn.map(|v| tn_mask(Column::Tn, &v)),
            filter.source.map(|v| Column::Source.eq(v)),
        ];
        let filters = filters.into_iter().flatten().collect();
        run::<Entity>(self.store.reader(), account, Condition::all(), filters, search).await
    }
}

fn on_list(account: Uuid, profile: Option<Uuid>) -> Condition {
    Column::Account.eq(account).and(Column::Scope.eq(profile.unwrap_or(account))).into_condition()
}

pub(crate) async fn add(
    db: &impl ConnectionTrait,
    account: Uuid,
    profile: Option<Uuid>,
    tn: Tn,
    source: OptOutSource,
    keyword: Option<String>,
) -> Result<()> {
    let created_on = now();
    let row = OptOut {
        uuid: Uuid::new_v4(),
        created_on,
        modified_on: created_on,
        account,
        messaging_profile: profile,
        scope: profile.unwrap_or(account),
        tn,
        source,
        keyword,
    };
    Entity::insert(row.into_active_model().reset_all())
        .on_conflict(OnConflict::columns([Column::Scope, Column::Tn]).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(())
}

pub(crate) async fn remove(db: &impl ConnectionTrait, account: Uuid, profile: Option<Uuid>, tn: Tn) -> Result<()> {
    Entity::delete_many().filter(on_list(account, profile).add(Column::Tn.eq(tn))).exec(db).await?;
    Ok(())
}
