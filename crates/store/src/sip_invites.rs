//! Invites: who has the token of one becomes a SIP user of its domain, until it expires or is taken back.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::domains::SipDomain;
pub use crate::entity::sip_invite::Model as SipInvite;
use crate::entity::sip_invite::{Column, Entity};
use crate::entity::{sip_domain, sip_invite};
use crate::types::now;
use crate::{Result, Store, owned, secrets};

/// Hexadecimal digits of a token: those of the invite's uuid, and as many that only we know.
const HALF: usize = 32;

impl Store {
    pub fn sip_invites(&self) -> SipInvites<'_> {
        SipInvites { store: self }
    }
}

pub struct SipInvites<'a> {
    store: &'a Store,
}

impl SipInvites<'_> {
    pub async fn create(
        &self,
        account: Uuid,
        by: Option<Uuid>,
        domain: Uuid,
        name: String,
        email: Option<String>,
        expired_on: DateTime<Utc>,
    ) -> Result<SipInvite> {
        let created_on = now();
        let invite = SipInvite {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            sip_domain: domain,
            name,
            email,
            expired_on,
            created_by: by,
            modified_by: by,
        };
        let tx = self.store.begin().await?;
        owned::check::<sip_domain::Entity>(&tx, account, Some(domain)).await?;
        owned::insert(&tx, invite.clone()).await?;
        tx.commit().await?;
        Ok(invite)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<SipInvite> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The domain's invites, oldest first.
    pub async fn list(&self, account: Uuid, domain: Uuid) -> Result<Vec<SipInvite>> {
        let mine = Entity::find().filter(Column::Account.eq(account)).filter(Column::SipDomain.eq(domain));
        Ok(mine.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// Changes name and expiry.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut SipInvite) + Send,
    ) -> Result<SipInvite> {
        let tx = self.store.begin().await?;
        let (old, mut row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        (row.sip_domain, row.email) = (old.sip_domain, old.email);
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        owned::delete::<Entity>(self.store.writer(), account, uuid).await
    }

    /// What lets somebody in: the same as long as the key of the database is.
    pub fn token(&self, invite: Uuid) -> String {
        let mut token =
            format!("{}{}", invite.simple(), hex::encode(self.store.derived_key(&format!("invites/{invite}"))));
        token.truncate(2 * HALF);
        token
    }

    /// The invite with this token, whoever's it is, and its domain; `None` when it has expired.
    pub async fn by_token(&self, token: &str) -> Result<Option<(SipInvite, SipDomain)>> {
        let Some(Ok(uuid)) = token.get(..HALF).map(Uuid::try_parse) else { return Ok(None) };
        // Hashes: how long it takes tells nothing of the token.
        if secrets::token_hash(&self.token(uuid)) != secrets::token_hash(token) {
            return Ok(None);
        }
        match self.open(uuid).await? {
            Some(invite) => {
                let domain = self.store.domains().get(invite.account, invite.sip_domain).await?;
                Ok(Some((invite, domain)))
            }
            None => Ok(None),
        }
    }

    /// The invite of whatever account, unless it has expired.
    pub async fn open(&self, uuid: Uuid) -> Result<Option<SipInvite>> {
        let found = sip_invite::Entity::find_by_id(uuid).one(self.store.writer()).await?;
        Ok(found.filter(|invite| invite.expired_on > now()))
    }
}
