//! Groups of a domain's SIP users.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

pub use crate::entity::sip_user_group::Model as SipUserGroup;
use crate::entity::sip_user_group::{Column, Entity};
use crate::entity::{sip_domain, sip_user};
use crate::types::{Json, now};
use crate::{Result, Store, StoreError, owned};

impl Store {
    pub fn sip_user_groups(&self) -> SipUserGroups<'_> {
        SipUserGroups { store: self }
    }
}

pub struct SipUserGroups<'a> {
    store: &'a Store,
}

impl SipUserGroups<'_> {
    /// [`StoreError::NotFound`] where one of the users is not of the domain.
    pub async fn create(
        &self,
        account: Uuid,
        by: Option<Uuid>,
        domain: Uuid,
        name: String,
        users: Vec<Uuid>,
        owner: Option<Uuid>,
    ) -> Result<SipUserGroup> {
        let created_on = now();
        let group = SipUserGroup {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            sip_domain: domain,
            name,
            users: Json(once_each(users)),
            owner,
            created_by: by,
            modified_by: by,
        };
        let tx = self.store.begin().await?;
        owned::check::<sip_domain::Entity>(&tx, account, Some(domain)).await?;
        check_users(&tx, &group).await?;
        owned::insert(&tx, group.clone()).await?;
        tx.commit().await?;
        Ok(group)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<SipUserGroup> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The domain's groups, oldest first.
    pub async fn list(&self, account: Uuid, domain: Uuid) -> Result<Vec<SipUserGroup>> {
        let mine = Entity::find().filter(Column::Account.eq(account)).filter(Column::SipDomain.eq(domain));
        Ok(mine.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// Changes name and users.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut SipUserGroup) + Send,
    ) -> Result<SipUserGroup> {
        let tx = self.store.begin().await?;
        let (old, mut row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        (row.sip_domain, row.owner) = (old.sip_domain, old.owner);
        row.users = Json(once_each(row.users.0));
        check_users(&tx, &row).await?;
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        owned::delete::<Entity>(self.store.writer(), account, uuid).await
    }
}

/// A user who goes leaves the groups.
pub(crate) async fn forget_user(db: &impl ConnectionTrait, account: Uuid, user: Uuid) -> Result<()> {
    let mine = Entity::find().filter(Column::Account.eq(account));
    // UUIDs stand in the list as text, in one form only.
    for mut group in mine.filter(Column::Users.contains(user.to_string())).all(db).await? {
        group.users.retain(|one| *one != user);
        let uuid = group.uuid;
        owned::update::<Entity>(db, account, uuid, group).await?;
    }
    Ok(())
}

fn once_each(users: Vec<Uuid>) -> Vec<Uuid> {
    let mut seen = std::collections::HashSet::new();
    users.into_iter().filter(|user| seen.insert(*user)).collect()
}

async fn check_users(db: &impl ConnectionTrait, group: &SipUserGroup) -> Result<()> {
    for user in group.users.iter() {
        if owned::get::<sip_user::Entity>(db, group.account, *user).await?.sip_domain != group.sip_domain {
            return Err(StoreError::NotFound("SIPUser"));
        }
    }
    Ok(())
}
