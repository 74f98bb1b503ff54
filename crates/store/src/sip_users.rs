//! SIP users: the logins of phones.

use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::domains::SipDomain;
pub use crate::entity::sip_user::Model as SipUser;
use crate::entity::sip_user::{Column, Entity};
use crate::entity::{sip_domain, tn_lease};
use crate::error::OrConflict;
use crate::password_resets::{self, PasswordReset};
use crate::types::{Gender, now};
use crate::{Ha1, Result, Store, StoreError, avatars, owned, sip_user_groups};

/// Rows of one transaction of [`digest_ha1bs`].
const DIGEST_PAGE: u64 = 500;

/// A SIP user to be.
#[derive(Debug, Clone, Default)]
pub struct NewSipUser {
    pub login: String,
    /// Not kept: only its HA1s are, sealed.
    pub password: String,
    pub same_domain_calls_only: bool,
    pub tn_lease: Option<Uuid>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone_number: Option<String>,
    pub avatar: Option<String>,
    pub gender: Option<Gender>,
    pub dob: Option<String>,
}

impl Store {
    pub fn sip_users(&self) -> SipUsers<'_> {
        SipUsers { store: self }
    }
}

pub struct SipUsers<'a> {
    store: &'a Store,
}

impl SipUsers<'_> {
    /// [`StoreError::Conflict`] when the domain has the login.
    pub async fn create(&self, account: Uuid, by: Option<Uuid>, domain: Uuid, new: NewSipUser) -> Result<SipUser> {
        let tx = self.store.begin().await?;
        let domain = owned::get::<sip_domain::Entity>(&tx, account, domain).await?;
        let uuid = Uuid::new_v4();
        let created_on = now();
        let sealed = self.seal(uuid, &Ha1::new(&new.login, &domain.domain, &new.password))?;
        let user = SipUser {
            uuid,
            created_on,
            modified_on: created_on,
            account,
            sip_domain: domain.uuid,
            login: new.login,
            ha1: sealed.md5,
            ha1_sha256: sealed.sha256,
            ha1b: sealed.md5_b,
            ha1b_digest: Some(sealed.digest),
            is_active: true,
            same_domain_calls_only: new.same_domain_calls_only,
            tn_lease: new.tn_lease,
            first_name: new.first_name,
            last_name: new.last_name,
            email: new.email,
            phone_number: new.phone_number,
            avatar: new.avatar,
            gender: new.gender,
            dob: new.dob,
            created_by: by,
            modified_by: by,
        };
        owned::check::<tn_lease::Entity>(&tx, account, user.tn_lease).await?;
        owned::insert(&tx, user.clone()).await.or_conflict("SIPUser")?;
        tx.commit().await?;
        Ok(user)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<SipUser> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The domain's users, oldest first.
    pub async fn list(&self, account: Uuid, domain: Uuid) -> Result<Vec<SipUser>> {
        let mine = Entity::find().filter(Column::Account.eq(account)).filter(Column::SipDomain.eq(domain));
        Ok(mine.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// The user `login@domain` and the domain, whoever's they are: for the registrar and the router.
    pub async fn by_address(&self, login: &str, domain: &str) -> Result<Option<(SipUser, SipDomain)>> {
        let Some(domain) = self.store.domains().by_name(domain).await? else { return Ok(None) };
        let user = Entity::find().filter(Column::SipDomain.eq(domain.uuid)).filter(Column::Login.eq(login));
        Ok(user.one(self.store.reader()).await?.map(|user| (user, domain)))
    }

    /// The active user, and the domain, whose HA1B this is, whoever's they are.
    pub async fn by_ha1b(&self, ha1b: &str) -> Result<Option<(SipUser, SipDomain)>> {
        let digest = self.digest(&ha1b.to_ascii_lowercase());
        let active = Entity::find().filter(Column::Ha1bDigest.eq(digest)).filter(Column::IsActive.eq(true));
        let Some(user) = active.one(self.store.reader()).await? else { return Ok(None) };
        let domain = self.store.domains().get(user.account, user.sip_domain).await?;
        Ok(Some((user, domain)))
    }

    /// The active users with this email address, of all accounts, oldest first, no more than `limit`.
    pub async fn by_email(&self, email: &str, limit: u64) -> Result<Vec<SipUser>> {
        let theirs = Expr::expr(Func::lower(Expr::col(Column::Email))).eq(email.to_lowercase());
        let active = Entity::find().filter(theirs).filter(Column::IsActive.eq(true));
        Ok(active.order_by_asc(Column::CreatedOn).limit(limit).all(self.store.reader()).await?)
    }

    /// The digest secrets in the clear.
    pub fn ha1(&self, user: &SipUser) -> Result<Ha1> {
        let open = |part: &str, sealed: &[u8]| {
            let plain = self.store.keyring().open(&context(user.uuid, part), sealed)?;
            String::from_utf8(plain).map_err(|_| StoreError::Sealed)
        };
        Ok(Ha1 {
            md5: open("md5", &user.ha1)?,
            sha256: open("sha256", &user.ha1_sha256)?,
            md5_b: open("md5_b", &user.ha1b)?,
        })
    }

    /// Changes what the closure changes; id, account, domain and creation stay.
    ///
    /// A new login needs the password too, because the HA1s are made of both.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        password: Option<&str>,
        change: impl FnOnce(&mut SipUser) + Send,
    ) -> Result<SipUser> {
        let tx = self.store.begin().await?;
        if password.is_some() {
            password_resets::void(&tx, uuid).await?;
        }
        let row = self.revise(&tx, account, uuid, by, password, change).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Sets the password of the SIP user whom a token of [`crate::password_resets`] was made for.
    pub async fn reset_password(&self, reset: &PasswordReset, password: &str) -> Result<SipUser> {
        let tx = self.store.begin().await?;
        password_resets::take(&tx, reset).await?;
        let row = self.revise(&tx, reset.account, reset.subject, None, Some(password), |_| {}).await?;
        tx.commit().await?;
        Ok(row)
    }

    async fn revise(
        &self,
        tx: &impl ConnectionTrait,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        password: Option<&str>,
        change: impl FnOnce(&mut SipUser) + Send,
    ) -> Result<SipUser> {
        let (old, mut row) = owned::revised::<Entity>(tx, account, uuid, by, change).await?;
        if row.login != old.login && password.is_none() {
            return Err(StoreError::invalid("password", "a new login needs the password"));
        }
        row.sip_domain = old.sip_domain;
        (row.ha1, row.ha1_sha256, row.ha1b) = (old.ha1, old.ha1_sha256, old.ha1b);
        row.ha1b_digest = old.ha1b_digest;
        if let Some(password) = password {
            let domain = owned::get::<sip_domain::Entity>(tx, account, row.sip_domain).await?;
            let sealed = self.seal(uuid, &Ha1::new(&row.login, &domain.domain, password))?;
            (row.ha1, row.ha1_sha256, row.ha1b) = (sealed.md5, sealed.sha256, sealed.md5_b);
            row.ha1b_digest = Some(sealed.digest);
        }
        owned::check::<tn_lease::Entity>(tx, account, row.tn_lease).await?;
        owned::update::<Entity>(tx, account, uuid, row.clone()).await.map_err(|e| match e {
            StoreError::Conflict(_) => StoreError::Conflict("SIPUser"),
            other => other,
        })?;
        if row.avatar != old.avatar {
            avatars::forget(tx, uuid, row.avatar.as_deref()).await?;
        }
        Ok(row)
    }

    /// Takes it out of its groups too. [`StoreError::InUse`] while a lease rings it.
    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        let tx = self.store.begin().await?;
        let leased = tn_lease::Column::SipUser.eq(uuid).and(tn_lease::Column::ReleasedOn.is_null());
        owned::refuse_if_used::<Entity, tn_lease::Entity>(&tx, leased).await?;
        sip_user_groups::forget_user(&tx, account, uuid).await?;
        password_resets::void(&tx, uuid).await?;
        avatars::forget(&tx, uuid, None).await?;
        owned::delete::<Entity>(&tx, account, uuid).await?;
        tx.commit().await?;
        Ok(())
    }

    fn seal(&self, uuid: Uuid, ha1: &Ha1) -> Result<Sealed> {
        let seal = |part: &str, plain: &str| self.store.keyring().seal(&context(uuid, part), plain.as_bytes());
        Ok(Sealed {
            md5: seal("md5", &ha1.md5)?,
            sha256: seal("sha256", &ha1.sha256)?,
            md5_b: seal("md5_b", &ha1.md5_b)?,
            digest: self.digest(&ha1.md5_b),
        })
    }

    fn digest(&self, ha1b: &str) -> String {
        hex::encode(self.store.derived_key(&format!("sip_users/ha1b/{ha1b}")))
    }
}

struct Sealed {
    md5: Vec<u8>,
    sha256: Vec<u8>,
    md5_b: Vec<u8>,
    digest: String,
}

/// Gives users from before a digest of their HA1B. What does not open with the key stays without.
pub(crate) async fn digest_ha1bs(store: &Store) -> Result<()> {
    let users = store.sip_users();
    let mut after = Uuid::nil();
    loop {
        let lacking = Entity::find().filter(Column::Ha1bDigest.is_null()).filter(Column::Uuid.gt(after));
        let page = lacking.order_by_asc(Column::Uuid).limit(DIGEST_PAGE).all(store.writer()).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.uuid;
        let tx = store.begin().await?;
        for user in page {
            if let Ok(ha1) = users.ha1(&user) {
                let digest = Some(users.digest(&ha1.md5_b));
                owned::update::<Entity>(&tx, user.account, user.uuid, SipUser { ha1b_digest: digest, ..user.clone() })
                    .await?;
            }
        }
        tx.commit().await?;
    }
}

fn context(uuid: Uuid, part: &str) -> Vec<u8> {
    format!("sip_users/{uuid}/{part}").into_bytes()
}
