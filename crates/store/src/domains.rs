//! SIP domains.

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

pub use crate::entity::sip_domain::Model as SipDomain;
use crate::entity::sip_domain::{Column, Entity};
use crate::entity::{
    outbound_voice_profile, sip_connection, sip_control_app, sip_invite, sip_switch, sip_user, sip_user_group,
};
use crate::error::OrConflict;
use crate::types::now;
use crate::{Result, Store, StoreError, owned};

/// A domain to be.
#[derive(Debug, Clone, Default)]
pub struct NewDomain {
    /// Full name, `<label>.<sip.domain>`.
    pub domain: String,
    pub sip_connection: Option<Uuid>,
    pub sip_control_app: Option<Uuid>,
    pub outbound_voice_profile: Option<Uuid>,
}

impl Store {
    pub fn domains(&self) -> Domains<'_> {
        Domains { store: self }
    }
}

pub struct Domains<'a> {
    store: &'a Store,
}

impl Domains<'_> {
    /// [`StoreError::Conflict`] when the name is taken, in whatever account.
    pub async fn create(&self, account: Uuid, by: Option<Uuid>, new: NewDomain) -> Result<SipDomain> {
        let created_on = now();
        let domain = SipDomain {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            domain: new.domain.to_lowercase(),
            sip_connection: new.sip_connection,
            sip_control_app: new.sip_control_app,
            outbound_voice_profile: new.outbound_voice_profile,
            created_by: by,
            modified_by: by,
        };
        let tx = self.store.begin().await?;
        check_targets(&tx, &domain).await?;
        owned::insert(&tx, domain.clone()).await.or_conflict("SIPDomain")?;
        tx.commit().await?;
        Ok(domain)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<SipDomain> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The account's domain of this full name.
    pub async fn get_by_name(&self, account: Uuid, domain: &str) -> Result<SipDomain> {
        let found = self.by_name(domain).await?;
        found.filter(|d| d.account == account).ok_or(StoreError::NotFound("SIPDomain"))
    }

    /// Whoever's it is: for the router.
    pub async fn by_name(&self, domain: &str) -> Result<Option<SipDomain>> {
        Ok(Entity::find().filter(Column::Domain.eq(domain.to_lowercase())).one(self.store.reader()).await?)
    }

    /// The account's domains, oldest first.
    pub async fn list(&self, account: Uuid) -> Result<Vec<SipDomain>> {
        owned::list::<Entity>(self.store.reader(), account).await
    }

    /// Changes where the domain's calls go; the name stays, HA1s are made with it.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut SipDomain) + Send,
    ) -> Result<SipDomain> {
        let tx = self.store.begin().await?;
        let (old, mut row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        row.domain = old.domain;
        check_targets(&tx, &row).await?;
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// [`StoreError::InUse`] while it holds SIP users, groups or switches.
    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        let tx = self.store.begin().await?;
        owned::refuse_if_used::<Entity, sip_user::Entity>(&tx, sip_user::Column::SipDomain.eq(uuid)).await?;
        owned::refuse_if_used::<Entity, sip_switch::Entity>(&tx, sip_switch::Column::SipDomain.eq(uuid)).await?;
        owned::refuse_if_used::<Entity, sip_user_group::Entity>(&tx, sip_user_group::Column::SipDomain.eq(uuid))
            .await?;
        sip_invite::Entity::delete_many()
            .filter(sip_invite::Column::Account.eq(account).and(sip_invite::Column::SipDomain.eq(uuid)))
            .exec(&tx)
            .await?;
        owned::delete::<Entity>(&tx, account, uuid).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn check_targets(db: &impl ConnectionTrait, domain: &SipDomain) -> Result<()> {
    let account = domain.account;
    owned::check::<sip_connection::Entity>(db, account, domain.sip_connection).await?;
    owned::check::<sip_control_app::Entity>(db, account, domain.sip_control_app).await?;
    owned::check::<outbound_voice_profile::Entity>(db, account, domain.outbound_voice_profile).await
}
