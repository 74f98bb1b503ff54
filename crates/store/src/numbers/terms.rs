//! The terms of leases: what ends, what is renewed, what is told of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::leases::end;
use super::{Numbers, TnLease};
use crate::Result;
use crate::entity::tn_lease::{Column, Entity};
use crate::transactions::{self, NewTransaction, Transaction};
use crate::types::{now, to_millis};

impl Numbers<'_> {
    /// Leases of all accounts whose terms end up to `until`, by uuid from behind `after` on: for the scheduler.
    pub async fn ending(&self, until: DateTime<Utc>, after: Option<Uuid>, limit: u64) -> Result<Vec<TnLease>> {
        let mut ending = Entity::find().filter(Column::ReleasedOn.is_null()).filter(Column::ExpiredOn.lte(until));
        if let Some(after) = after {
            ending = ending.filter(Column::Uuid.gt(after));
        }
        Ok(ending.order_by_asc(Column::Uuid).limit(limit).all(self.store.reader()).await?)
    }

    /// Lets a lease's term end at `until` and books what that costs, both or neither; `None` where the lease has changed
    /// since it was read: another node was first. [`StoreError::InsufficientBalance`](crate::StoreError) changes nothing.
    pub async fn renew(
        &self,
        lease: &TnLease,
        until: DateTime<Utc>,
        charges: Vec<NewTransaction>,
    ) -> Result<Option<(TnLease, Vec<Transaction>)>> {
        let renewed = TnLease { expired_on: to_millis(until), noticed_on: None, modified_on: now(), ..lease.clone() };
        let tx = self.store.begin().await?;
        if !change(&tx, lease, &renewed).await? {
            return Ok(None);
        }
        let mut booked = Vec::new();
        for charge in charges {
            booked.push(transactions::book(&tx, lease.account, charge).await?);
        }
        tx.commit().await?;
        Ok(Some((renewed, booked)))
    }

    /// Writes that the account was told; `None` where the lease has changed since it was read.
    pub async fn notice(&self, lease: &TnLease) -> Result<Option<TnLease>> {
        let told = TnLease { noticed_on: Some(now()), ..lease.clone() };
        let tx = self.store.begin().await?;
        if !change(&tx, lease, &told).await? {
            return Ok(None);
        }
        tx.commit().await?;
        Ok(Some(told))
    }

    /// Ends a lease whose term has; `None` where it has changed since it was read.
    pub async fn lapse(&self, lease: &TnLease, quarantine: Duration) -> Result<Option<TnLease>> {
        let tx = self.store.begin().await?;
        if !change(&tx, lease, lease).await? {
            return Ok(None);
        }
        let ended = end(&tx, lease.account, lease.uuid, quarantine).await?;
        tx.commit().await?;
        Ok(Some(ended))
    }
}

/// Whether the lease still was as it was read, and is now as it should be.
async fn change(db: &impl ConnectionTrait, read: &TnLease, to: &TnLease) -> Result<bool> {
    let noticed = match read.noticed_on {
        Some(on) => Column::NoticedOn.eq(on),
        None => Column::NoticedOn.is_null(),
    };
    let changed = Entity::update_many()
        .col_expr(Column::ExpiredOn, Expr::value(to.expired_on))
        .col_expr(Column::NoticedOn, Expr::value(to.noticed_on))
        .col_expr(Column::ModifiedOn, Expr::value(to.modified_on))
        .filter(Column::Uuid.eq(read.uuid))
        .filter(Column::Account.eq(read.account))
        .filter(Column::ReleasedOn.is_null())
        .filter(Column::Autorenew.eq(read.autorenew))
        .filter(Column::ExpiredOn.eq(read.expired_on))
        .filter(noticed)
        .exec(db)
        .await?;
    Ok(changed.rows_affected == 1)
}
