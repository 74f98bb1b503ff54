//! TN filter profiles: who may call a number.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryTrait};
use uuid::Uuid;

pub use crate::entity::tn_filter::Model as TnFilter;
use crate::entity::tn_filter::{Column, Entity};
use crate::entity::{sip_control_app, tn_lease};
use crate::types::{Json, OnReject, now};
use crate::writer::Db;
use crate::{Result, Store, StoreError, owned};

/// Entries of a list at most.
pub const LONGEST_LIST: usize = 10_000;
/// What matches a withheld number.
pub const ANONYMOUS: &str = "anonymous";

/// How many more calls a filter has rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectedCalls {
    pub account: Uuid,
    pub filter: Uuid,
    pub count: i64,
}

impl Store {
    pub fn tn_filters(&self) -> TnFilters<'_> {
        TnFilters { store: self }
    }
}

pub struct TnFilters<'a> {
    store: &'a Store,
}

impl TnFilters<'_> {
    /// One with empty lists: everybody may call.
    pub async fn create(
        &self,
        account: Uuid,
        by: Option<Uuid>,
        name: String,
        is_active: bool,
        on_reject: OnReject,
        sip_control_app: Option<Uuid>,
    ) -> Result<TnFilter> {
        let created_on = now();
        let filter = TnFilter {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            name,
            is_active,
            on_reject,
            sip_control_app,
            whitelist: Json::default(),
            blacklist: Json::default(),
            rejected: 0,
            created_by: by,
            modified_by: by,
        };
        let tx = self.store.begin().await?;
        check_app(&tx, &filter).await?;
        owned::insert(&tx, filter.clone()).await?;
        tx.commit().await?;
        Ok(filter)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<TnFilter> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The account's filters, oldest first.
    pub async fn list(&self, account: Uuid) -> Result<Vec<TnFilter>> {
        owned::list::<Entity>(self.store.reader(), account).await
    }

    /// Changes what the closure changes; id, account, count and creation stay. [`StoreError::Invalid`] where a list
    /// becomes longer than [`LONGEST_LIST`].
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut TnFilter) + Send,
    ) -> Result<TnFilter> {
        let tx = self.store.begin().await?;
        let (old, mut row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        row.rejected = old.rejected;
        for list in [&mut row.whitelist, &mut row.blacklist] {
            list.sort();
            list.dedup();
            if list.len() > LONGEST_LIST {
                return Err(StoreError::invalid("add", format!("a list has at most {LONGEST_LIST} entries")));
            }
        }
        check_app(&tx, &row).await?;
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// [`StoreError::InUse`] while a lease has it.
    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        let tx = self.store.begin().await?;
        let leased = tn_lease::Column::TnProfile.eq(uuid).and(tn_lease::Column::ReleasedOn.is_null());
        owned::refuse_if_used::<Entity, tn_lease::Entity>(&tx, leased).await?;
        owned::delete::<Entity>(&tx, account, uuid).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Adds up, in an order that two nodes have in common. Filters that are gone are passed over.
pub(crate) async fn count_rejected(db: &impl Db, mut rejected: Vec<RejectedCalls>) -> Result<(), DbErr> {
    rejected.sort_unstable_by_key(|calls| calls.filter);
    for RejectedCalls { account, filter, count } in rejected {
        let counted = Entity::update_many()
            .col_expr(Column::Rejected, Expr::col(Column::Rejected).add(count))
            .filter(Column::Account.eq(account))
            .filter(Column::Uuid.eq(filter));
        db.run(counted.build(db.backend())).await?;
    }
    Ok(())
}

async fn check_app(db: &impl ConnectionTrait, filter: &TnFilter) -> Result<()> {
    if filter.on_reject == OnReject::VoicemailApp && filter.sip_control_app.is_none() {
        return Err(StoreError::invalid("sip_control_app", "is required for voicemail_app"));
    }
    owned::check::<sip_control_app::Entity>(db, filter.account, filter.sip_control_app).await
}
