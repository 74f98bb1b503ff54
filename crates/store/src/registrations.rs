//! Where SIP users are to be found, kept over a restart. The registrar in memory is the truth; this is its shadow, written
//! in batches and read once, at start.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::bulk::{self, Conflict};
pub use crate::entity::registration::Model as Registration;
use crate::entity::registration::{Column, Entity};
use crate::entity::sip_user;
use crate::{Result, Store};

impl Store {
    pub fn registrations(&self) -> Registrations<'_> {
        Registrations { store: self }
    }
}

pub struct Registrations<'a> {
    store: &'a Store,
}

impl Registrations<'_> {
    /// Puts `rows` in the place of whatever these users had, all or nothing. A user without a row has no contact any more.
    pub async fn replace(&self, users: &[Uuid], rows: Vec<Registration>) -> Result<()> {
        let tx = self.store.begin().await?;
        bulk::delete::<Entity>(&tx, Column::SipUser, users).await?;
        bulk::insert::<Entity, _>(&tx, rows, &Conflict::Refuse).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What has not expired by `now`, of users that are still there. Deletes the rest.
    pub async fn load(&self, now: DateTime<Utc>) -> Result<Vec<Registration>> {
        let users = || Query::select().column(sip_user::Column::Uuid).from(sip_user::Entity).to_owned();
        let over = Condition::any().add(Column::ExpiresOn.lte(now)).add(Column::SipUser.not_in_subquery(users()));
        Entity::delete_many().filter(over).exec(self.store.writer()).await?;
        let rows = Entity::find().order_by_asc(Column::SipUser).order_by_asc(Column::Position);
        Ok(rows.all(self.store.writer()).await?)
    }
}
