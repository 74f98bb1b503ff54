use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Numbers, TnLease, TnOrder};
use crate::entity::tn_lease;
use crate::entity::tn_order::{Column, Entity};
use crate::search::{Found, Search, run, searchable, sortable};
use crate::types::{Feature, Json, OrderState, Tn, now};
use crate::{Result, owned};

searchable!(tn_order, { "state" => State, "total" => Total });

/// One number of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    pub tn: Tn,
    #[serde(default)]
    pub features: Vec<Feature>,
    #[serde(default)]
    pub autorenew: bool,
}

/// An item that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderError {
    pub item: OrderItem,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An order to be.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// As it came, to be shown again.
    pub request: Value,
    pub items: Vec<OrderItem>,
    pub created_by: Option<Uuid>,
}

#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    pub state: Option<OrderState>,
}

impl Numbers<'_> {
    /// Writes an order in state `created`.
    pub async fn create_order(&self, account: Uuid, new: NewOrder) -> Result<TnOrder> {
        let created_on = now();
        let order = TnOrder {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            state: OrderState::Created,
            request: Json(new.request),
            total: new.items.len() as i64,
            items: Json(new.items),
            errors: Json(Vec::new()),
            success: 0,
            processing: 0,
            failed: 0,
            created_by: new.created_by,
        };
        owned::insert(self.store.writer(), order.clone()).await?;
        Ok(order)
    }

    pub async fn order(&self, account: Uuid, uuid: Uuid) -> Result<TnOrder> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// Changes state, counts, items and errors.
    pub async fn update_order(
        &self,
        account: Uuid,
        uuid: Uuid,
        change: impl FnOnce(&mut TnOrder) + Send,
    ) -> Result<TnOrder> {
        let tx = self.store.begin().await?;
        let old = owned::get::<Entity>(&tx, account, uuid).await?;
        let mut row = old.clone();
        change(&mut row);
        row = TnOrder {
            uuid: old.uuid,
            account: old.account,
            created_on: old.created_on,
            request: old.request,
            modified_on: now(),
            ..row
        };
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// The leases that an order brought, released ones too.
    pub async fn order_leases(&self, account: Uuid, order: Uuid) -> Result<Vec<TnLease>> {
        let brought = tn_lease::Entity::find()
            .filter(tn_lease::Column::Account.eq(account))
            .filter(tn_lease::Column::TnOrder.eq(order))
            .order_by_asc(tn_lease::Column::Tn);
        Ok(brought.all(self.store.reader()).await?)
    }

    /// Orders of all accounts that are not finished, oldest first: to go on with after a restart.
    pub async fn unfinished_orders(&self) -> Result<Vec<TnOrder>> {
        let unfinished = Column::State.is_not_in([OrderState::Success, OrderState::Failed]);
        Ok(Entity::find().filter(unfinished).order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// Fields that a search of orders may be ordered by.
    pub fn orders_sortable() -> Vec<&'static str> {
        sortable::<Entity>()
    }

    pub async fn search_orders(&self, account: Uuid, filter: OrderFilter, search: Search) -> Result<Found<TnOrder>> {
        let filters = filter.state.map(|v| Column::State.eq(v)).into_iter().collect();
        run::<Entity>(self.store.reader(), account, Condition::all(), filters, search).await
    }
}
