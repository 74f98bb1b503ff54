//! SIP products: route and price classes.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryOrder};

pub use crate::entity::sip_product::Model as SipProduct;
use crate::entity::sip_product::{Column, Entity};
use crate::types::{ProductType, now};
use crate::{Result, Store, StoreError};

/// Product `default`: always there, and what an omitted `product` means.
pub const DEFAULT_PRODUCT: i64 = 1;

impl Store {
    /// All products, by id.
    pub async fn products(&self) -> Result<Vec<SipProduct>> {
        Ok(Entity::find().order_by_asc(Column::Id).all(self.reader()).await?)
    }
}

pub(crate) async fn check(db: &impl ConnectionTrait, product: i64) -> Result<()> {
    Entity::find_by_id(product).one(db).await?.map(|_| ()).ok_or(StoreError::NotFound("SIPProduct"))
}

/// Writes product 1 if it is not there.
pub(crate) async fn seed(db: &impl ConnectionTrait) -> Result<()> {
    let created_on = now();
    let product = SipProduct {
        id: DEFAULT_PRODUCT,
        created_on,
        modified_on: created_on,
        name: "default".to_owned(),
        description: None,
        kind: ProductType::Public,
        tech_prefix: None,
        rate_table_id: None,
        route_plan_id: None,
    };
    Entity::insert(product.into_active_model().reset_all())
        .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(())
}
