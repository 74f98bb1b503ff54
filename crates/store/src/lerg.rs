//! The Local Exchange Routing Guide: where blocks of North American numbers are, and whose. The same for all accounts.

use std::collections::HashMap;

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::bulk::{self, Conflict};
pub use crate::entity::lerg_block::Model as LergBlock;
use crate::entity::lerg_block::{Column, Entity};
use crate::types::Tn;
use crate::{Result, Store};

impl Store {
    pub fn lerg(&self) -> Lerg<'_> {
        Lerg { store: self }
    }
}

pub struct Lerg<'a> {
    store: &'a Store,
}

impl Lerg<'_> {
    /// Writes blocks, in place of what was known of each; of two of one block the last.
    pub async fn save(&self, blocks: Vec<LergBlock>) -> Result<()> {
        // PostgreSQL takes a row once in a statement.
        let once: HashMap<String, LergBlock> = blocks.into_iter().map(|block| (block.block.clone(), block)).collect();
        let tx = self.store.begin().await?;
        let update = Conflict::Update { key: Column::Block, keep: &[] };
        bulk::insert::<Entity, _>(&tx, once.into_values().collect(), &update).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether anything is known of blocks.
    pub async fn is_known(&self) -> Result<bool> {
        Ok(Entity::find().one(self.store.reader()).await?.is_some())
    }

    /// The block of a number: of its thousand where that is told apart, else of its exchange.
    pub async fn find(&self, tn: Tn) -> Result<Option<LergBlock>> {
        let Some(npa) = tn.npa() else { return Ok(None) };
        let (nxx, thousand) = (tn.get() / 10_000 % 1_000, tn.get() / 1_000 % 10);
        let exchange = format!("{npa:03}{nxx:03}");
        let either = Column::Block.eq(format!("{exchange}{thousand}")).or(Column::Block.eq(format!("{exchange}A")));
        // Digits come before letters.
        Ok(Entity::find().filter(either).order_by_asc(Column::Block).one(self.store.reader()).await?)
    }

    /// States and provinces of a country, in their order.
    pub async fn states(&self, country: &str) -> Result<Vec<String>> {
        let theirs = Entity::find().select_only().column(Column::State).distinct();
        let theirs = theirs.filter(Column::Country.eq(country)).order_by_asc(Column::State);
        Ok(theirs.into_tuple().all(self.store.reader()).await?)
    }

    /// Rate centers of a state, in their order.
    pub async fn rate_centers(&self, state: &str) -> Result<Vec<String>> {
        let theirs = Entity::find().select_only().column(Column::RateCenter).distinct();
        let theirs = theirs.filter(Column::State.eq(state)).order_by_asc(Column::RateCenter);
        Ok(theirs.into_tuple().all(self.store.reader()).await?)
    }
}
