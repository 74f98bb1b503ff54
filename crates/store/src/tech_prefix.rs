//! Technical prefixes: six digits that tell trunks, apps and profiles apart where an address does not.

use rand::Rng;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::entity::tech_prefix::{ActiveModel, Column, Entity};
use crate::{Result, StoreError};

const RANGE: std::ops::RangeInclusive<i64> = 100_000..=999_999;
/// At half of all prefixes given out, this many attempts fail once in four thousand million.
const ATTEMPTS: usize = 32;

/// Gives out a free prefix.
pub(crate) async fn assign(db: &impl ConnectionTrait, owner: Uuid) -> Result<i64> {
    for _ in 0..ATTEMPTS {
        let prefix = rand::rng().random_range(RANGE);
        let written = Entity::insert(ActiveModel { prefix: Set(prefix), owner: Set(owner) })
            .on_conflict(OnConflict::column(Column::Prefix).do_nothing().to_owned())
            .exec_without_returning(db)
            .await?;
        if written == 1 {
            return Ok(prefix);
        }
    }
    Err(StoreError::Conflict("Tech prefix"))
}

/// Takes back what the owner had.
pub(crate) async fn release(db: &impl ConnectionTrait, owner: Uuid) -> Result<()> {
    Entity::delete_many().filter(Column::Owner.eq(owner)).exec(db).await?;
    Ok(())
}
