//! Switches of a SIP domain: systems whose calls are the domain's by where they come from.

use std::collections::HashMap;

use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::domains::SipDomain;
use crate::entity::sip_domain;
pub use crate::entity::sip_switch::Model as SipSwitch;
use crate::entity::sip_switch::{Column, Entity};
use crate::types::now;
use crate::{Result, Store, owned};

/// A switch to be.
#[derive(Debug, Clone)]
pub struct NewSwitch {
    pub name: String,
    pub description: Option<String>,
    /// Address or network.
    pub remote_ip: Option<String>,
    /// Host name.
    pub remote_domain: Option<String>,
    pub is_active: bool,
}

impl Store {
    pub fn sip_switches(&self) -> SipSwitches<'_> {
        SipSwitches { store: self }
    }
}

pub struct SipSwitches<'a> {
    store: &'a Store,
}

impl SipSwitches<'_> {
    pub async fn create(&self, account: Uuid, by: Option<Uuid>, domain: Uuid, new: NewSwitch) -> Result<SipSwitch> {
        let created_on = now();
        let switch = SipSwitch {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            sip_domain: domain,
            name: new.name,
            description: new.description,
            remote_ip: new.remote_ip,
            remote_domain: new.remote_domain.map(|host| host.to_lowercase()),
            is_active: new.is_active,
            created_by: by,
            modified_by: by,
        };
        let tx = self.store.begin().await?;
        owned::check::<sip_domain::Entity>(&tx, account, Some(domain)).await?;
        owned::insert(&tx, switch.clone()).await?;
        tx.commit().await?;
        Ok(switch)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<SipSwitch> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The domain's switches, oldest first.
    pub async fn list(&self, account: Uuid, domain: Uuid) -> Result<Vec<SipSwitch>> {
        let mine = Entity::find().filter(Column::Account.eq(account)).filter(Column::SipDomain.eq(domain));
        Ok(mine.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// The active switches of all accounts with their domains, oldest first: for the router.
    pub async fn active(&self) -> Result<Vec<(SipSwitch, SipDomain)>> {
        let active = Entity::find().filter(Column::IsActive.eq(true)).order_by_asc(Column::CreatedOn);
        let switches = active.all(self.store.reader()).await?;
        let theirs = Query::select().distinct().column(Column::SipDomain).from(Entity).to_owned();
        let domains = sip_domain::Entity::find().filter(sip_domain::Column::Uuid.in_subquery(theirs));
        let domains = domains.all(self.store.reader()).await?.into_iter();
        let domains: HashMap<Uuid, SipDomain> = domains.map(|domain| (domain.uuid, domain)).collect();
        let with_domain = |switch: SipSwitch| {
            let domain = domains.get(&switch.sip_domain)?.clone();
            Some((switch, domain))
        };
        Ok(switches.into_iter().filter_map(with_domain).collect())
    }

    /// Changes what the closure changes; id, account, domain and creation stay.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut SipSwitch) + Send,
    ) -> Result<SipSwitch> {
        let tx = self.store.begin().await?;
        let (old, mut row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        row.sip_domain = old.sip_domain;
        row.remote_domain = row.remote_domain.map(|host| host.to_lowercase());
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        owned::delete::<Entity>(self.store.writer(), account, uuid).await
    }
}
