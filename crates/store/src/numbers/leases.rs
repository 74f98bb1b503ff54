use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use super::{Number, Numbers, TnLease};
use crate::entity::tn_lease::{Column, Entity};
use crate::entity::{
    messaging_profile, outbound_voice_profile, sip_connection, sip_control_app, sip_user, tcr_campaign, tn, tn_filter,
    tn_order,
};
use crate::error::OrConflict;
use crate::owned::{self, Authored as _};
use crate::search::{Found, Search, mask, run, searchable, sortable, tn_mask};
use crate::transactions::{self, NewTransaction, Transaction};
use crate::types::{Feature, Json, Tn, TnKind, now, to_millis};
use crate::{Result, StoreError};

searchable!(tn_lease, { "tn" => Tn, "expired_on" => ExpiredOn, "autorenew" => Autorenew });

/// A lease to be, with what the carrier says of its number.
#[derive(Debug, Clone)]
pub struct NewLease {
    pub tn: Tn,
    pub kind: TnKind,
    pub country: String,
    pub state: Option<String>,
    pub city: Option<String>,
    pub rate_center: Option<String>,
    /// What the carrier offers.
    pub features: Vec<Feature>,
    pub carrier: String,
    /// Price profile.
    pub profile: Uuid,
    pub order: Option<Uuid>,
    /// What the number is to be used for.
    pub subscriptions: Vec<Feature>,
    pub autorenew: bool,
    pub expired_on: DateTime<Utc>,
    pub created_by: Option<Uuid>,
}

#[derive(Debug, Clone, Default)]
pub struct LeaseFilter {
    /// Mask over the digits.
    pub tn: Option<String>,
    pub autorenew: Option<bool>,
    pub sip_connection: Option<Uuid>,
    pub sip_control_app: Option<Uuid>,
    pub sip_user: Option<Uuid>,
    /// Leases of these connections are left out, whatever the mode.
    pub sip_connections_skip: Vec<Uuid>,
    pub messaging_profile: Option<Uuid>,
    pub sms_campaign: Option<Uuid>,
    /// All of them must be subscribed.
    pub features: Vec<Feature>,
}

impl Numbers<'_> {
    /// Leases a number and books what it costs (the closure gets the new lease's id), both or neither.
    ///
    /// [`StoreError::Conflict`] when the number is leased, by whomever, or in quarantine.
    pub async fn lease(
        &self,
        account: Uuid,
        new: NewLease,
        charges: impl FnOnce(Uuid) -> Vec<NewTransaction> + Send,
    ) -> Result<(TnLease, Vec<Transaction>)> {
        let tx = self.store.begin().await?;
        let lease = insert(&tx, account, new, None).await?;
        let mut booked = Vec::new();
        for charge in charges(lease.uuid) {
            booked.push(transactions::book(&tx, account, charge).await?);
        }
        tx.commit().await?;
        Ok((lease, booked))
    }

    /// Leases numbers that cost nothing now, all or none; by number. Their messages are of this profile.
    ///
    /// [`StoreError::Conflict`] as of [`Numbers::lease`].
    pub async fn lease_all(
        &self,
        account: Uuid,
        mut new: Vec<NewLease>,
        messaging_profile: Option<Uuid>,
    ) -> Result<Vec<TnLease>> {
        // So that of two who want the same numbers neither holds one that the other waits for.
        new.sort_by_key(|new| new.tn);
        let tx = self.store.begin().await?;
        owned::check::<messaging_profile::Entity>(&tx, account, messaging_profile).await?;
        let mut leases = Vec::with_capacity(new.len());
        for new in new {
            leases.push(insert(&tx, account, new, messaging_profile).await?);
        }
        tx.commit().await?;
        Ok(leases)
    }

    /// The account's lease, unless released.
    pub async fn get_lease(&self, account: Uuid, uuid: Uuid) -> Result<TnLease> {
        let lease = owned::get::<Entity>(self.store.reader(), account, uuid).await?;
        if lease.released_on.is_none() { Ok(lease) } else { Err(StoreError::NotFound("TNLease")) }
    }

    /// The account's lease of this number.
    pub async fn get_lease_by_tn(&self, account: Uuid, tn: Tn) -> Result<TnLease> {
        let lease = self.active_lease(tn).await?;
        lease.filter(|lease| lease.account == account).ok_or(StoreError::NotFound("TNLease"))
    }

    /// Whoever's it is: for the router.
    pub async fn active_lease(&self, tn: Tn) -> Result<Option<TnLease>> {
        self.store.rows().leases.get(self.store, tn).await
    }

    /// The account's leases, by number.
    pub async fn leases(&self, account: Uuid) -> Result<Vec<TnLease>> {
        let mine = Entity::find().filter(Column::Account.eq(account)).filter(Column::ReleasedOn.is_null());
        Ok(mine.order_by_asc(Column::Tn).all(self.store.reader()).await?)
    }

    /// Fields that a search of leases may be ordered by.
    pub fn leases_sortable() -> Vec<&'static str> {
        sortable::<Entity>()
    }

    pub async fn search_leases(&self, account: Uuid, filter: LeaseFilter, search: Search) -> Result<Found<TnLease>> {
        let mut filters: Vec<Expr> = [
            filter.tn.map(|v| tn_mask(Column::Tn, &v)),
            filter.autorenew.map(|v| Column::Autorenew.eq(v)),
            filter.sip_connection.map(|v| Column::SipConnection.eq(v)),
            filter.sip_control_app.map(|v| Column::SipControlApp.eq(v)),
            filter.sip_user.map(|v| Column::SipUser.eq(v)),
            filter.messaging_profile.map(|v| Column::MessagingProfile.eq(v)),
            filter.sms_campaign.map(|v| Column::SmsCampaign.eq(v)),
        ]
        .into_iter()
        .flatten()
        .collect();
        filters.extend(filter.features.iter().map(|f| mask(Column::Subscriptions, &format!("*\"{f}\"*"))));
        let mut always = Condition::all().add(Column::ReleasedOn.is_null());
        if !filter.sip_connections_skip.is_empty() {
            let others = Column::SipConnection.is_not_in(filter.sip_connections_skip);
            always = always.add(Condition::any().add(Column::SipConnection.is_null()).add(others));
        }
        run::<Entity>(self.store.reader(), account, always, filters, search).await
    }

    /// Changes what the closure changes; id, account, number, order and creation stay.
    ///
    /// A lease has one voice target: a new one puts the old one out. Two new ones are
    /// [`StoreError::Invalid`].
    pub async fn update_lease(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut TnLease) + Send,
    ) -> Result<TnLease> {
        let tx = self.store.begin().await?;
        let old = active(&tx, account, uuid).await?;
        let mut row = old.clone();
        change(&mut row);
        Entity::sign(&mut row, &old, by);
        (row.tn, row.tn_order, row.released_on) = (old.tn, old.tn_order, None);
        row.expired_on = to_millis(row.expired_on);
        // What is told of a term's end depends on how it will end.
        if row.autorenew != old.autorenew {
            row.noticed_on = None;
        }
        one_voice_target(&old, &mut row)?;
        owned::check::<sip_connection::Entity>(&tx, account, row.sip_connection).await?;
        owned::check::<sip_control_app::Entity>(&tx, account, row.sip_control_app).await?;
        owned::check::<sip_user::Entity>(&tx, account, row.sip_user).await?;
        owned::check::<messaging_profile::Entity>(&tx, account, row.messaging_profile).await?;
        owned::check::<tcr_campaign::Entity>(&tx, account, row.sms_campaign).await?;
        owned::check::<tn_filter::Entity>(&tx, account, row.tn_profile).await?;
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Ends a lease; the number is not for sale for the time of `quarantine`.
    pub async fn release(&self, account: Uuid, uuid: Uuid, quarantine: Duration) -> Result<TnLease> {
        let tx = self.store.begin().await?;
        let lease = end(&tx, account, uuid, quarantine).await?;
        tx.commit().await?;
        Ok(lease)
    }

    /// Takes a lease back that the carrier would not deliver after all, and pays back what it cost.
    pub async fn revoke(&self, account: Uuid, uuid: Uuid, booked: &[Transaction]) -> Result<()> {
        let tx = self.store.begin().await?;
        end(&tx, account, uuid, Duration::ZERO).await?;
        for charge in booked {
            let refund = NewTransaction {
                amount: -charge.amount,
                ref_type: charge.ref_type,
                ref_uuid: charge.ref_uuid,
                description: Some("Refund".to_owned()),
            };
            transactions::book(&tx, account, refund).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// A number of the inventory, leased or not.
    pub async fn number(&self, tn: Tn) -> Result<Option<Number>> {
        self.store.rows().numbers.get(self.store, tn).await
    }

    /// Those of `tns` that the inventory has, in no order.
    pub async fn numbers(&self, tns: Vec<Tn>) -> Result<Vec<Number>> {
        Ok(tn::Entity::find().filter(tn::Column::Tn.is_in(tns)).all(self.store.reader()).await?)
    }

    /// Numbers that are not for sale: leased by anyone, or in quarantine.
    pub async fn taken(&self) -> Result<Vec<Tn>> {
        let db = self.store.reader();
        let leased = Entity::find().select_only().column(Column::Tn).filter(Column::ReleasedOn.is_null());
        let mut taken: Vec<Tn> = leased.into_tuple().all(db).await?;
        let resting =
            tn::Entity::find().select_only().column(tn::Column::Tn).filter(tn::Column::QuarantinedUntil.gt(now()));
        taken.extend(resting.into_tuple::<Tn>().all(db).await?);
        Ok(taken)
    }
}

async fn insert(
    tx: &impl ConnectionTrait,
    account: Uuid,
    new: NewLease,
    messaging_profile: Option<Uuid>,
) -> Result<TnLease> {
    owned::check::<tn_order::Entity>(tx, account, new.order).await?;
    let created_on = now();
    let known = tn::Entity::find_by_id(new.tn).lock_exclusive().one(tx).await?;
    if known.as_ref().is_some_and(|n| n.quarantined_until.is_some_and(|end| end > created_on)) {
        return Err(StoreError::Conflict("TN"));
    }
    let number = Number {
        tn: new.tn,
        created_on: known.map_or(created_on, |n| n.created_on),
        modified_on: created_on,
        kind: new.kind,
        country: new.country,
        state: new.state,
        city: new.city,
        rate_center: new.rate_center,
        features: Json(new.features),
        carrier: new.carrier,
        registered: true,
        profile: new.profile,
        quarantined_until: None,
        deleted_on: None,
    };
    upsert_number(tx, number).await?;
    let lease = TnLease {
        uuid: Uuid::new_v4(),
        created_on,
        modified_on: created_on,
        account,
        tn: new.tn,
        tn_order: new.order,
        expired_on: to_millis(new.expired_on),
        autorenew: new.autorenew,
        subscriptions: Json(new.subscriptions),
        sip_connection: None,
        sip_control_app: None,
        sip_user: None,
        messaging_profile,
        sms_campaign: None,
        tn_profile: None,
        released_on: None,
        noticed_on: None,
        created_by: new.created_by,
        modified_by: new.created_by,
    };
    // Its unique index is what decides between two orders.
    owned::insert(tx, lease.clone()).await.or_conflict("TN")?;
    Ok(lease)
}

async fn active(db: &impl ConnectionTrait, account: Uuid, uuid: Uuid) -> Result<TnLease> {
    let lease = owned::get::<Entity>(db, account, uuid).await?;
    if lease.released_on.is_none() { Ok(lease) } else { Err(StoreError::NotFound("TNLease")) }
}

/// Marks the lease released and lets go of all that pointed at it or that it pointed at.
pub(super) async fn end(tx: &impl ConnectionTrait, account: Uuid, uuid: Uuid, quarantine: Duration) -> Result<TnLease> {
    let released_on = now();
    let lease = TnLease {
        released_on: Some(released_on),
        modified_on: released_on,
        sip_connection: None,
        sip_control_app: None,
        sip_user: None,
        messaging_profile: None,
        sms_campaign: None,
        tn_profile: None,
        ..active(tx, account, uuid).await?
    };
    owned::update::<Entity>(tx, account, uuid, lease.clone()).await?;
    outbound_voice_profile::Entity::update_many()
        .col_expr(outbound_voice_profile::Column::TnLease, Expr::value(None::<Uuid>))
        .filter(outbound_voice_profile::Column::TnLease.eq(uuid))
        .exec(tx)
        .await?;
    sip_user::Entity::update_many()
        .col_expr(sip_user::Column::TnLease, Expr::value(None::<Uuid>))
        .filter(sip_user::Column::TnLease.eq(uuid))
        .exec(tx)
        .await?;
    let until = (!quarantine.is_zero()).then(|| released_on + quarantine);
    tn::Entity::update_many()
        .col_expr(tn::Column::QuarantinedUntil, Expr::value(until))
        .col_expr(tn::Column::ModifiedOn, Expr::value(released_on))
        .filter(tn::Column::Tn.eq(lease.tn))
        .exec(tx)
        .await?;
    Ok(lease)
}

async fn upsert_number(db: &impl ConnectionTrait, number: Number) -> Result<()> {
    use tn::Column::*;
    let all = [
        ModifiedOn,
        Kind,
        Country,
        State,
        City,
        RateCenter,
        Features,
        Carrier,
        Registered,
        Profile,
        QuarantinedUntil,
        DeletedOn,
    ];
    tn::Entity::insert(number.into_active_model().reset_all())
        .on_conflict(OnConflict::column(Tn).update_columns(all).to_owned())
        .exec_without_returning(db)
        .await?;
    Ok(())
}

fn one_voice_target(old: &TnLease, row: &mut TnLease) -> Result<()> {
    let changed = |old: Option<Uuid>, new: Option<Uuid>| new.is_some() && new != old;
    let connection = changed(old.sip_connection, row.sip_connection);
    let app = changed(old.sip_control_app, row.sip_control_app);
    let user = changed(old.sip_user, row.sip_user);
    match (connection, app, user) {
        (false, false, false) => {}
        (true, false, false) => (row.sip_control_app, row.sip_user) = (None, None),
        (false, true, false) => (row.sip_connection, row.sip_user) = (None, None),
        (false, false, true) => (row.sip_connection, row.sip_control_app) = (None, None),
        _ => return Err(StoreError::invalid("sip_control_app", "a number has one voice target")),
    }
    Ok(())
}
