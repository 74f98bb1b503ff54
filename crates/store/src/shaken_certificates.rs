//! Certificates that calls are signed with (STIR/SHAKEN).

use chrono::{DateTime, Utc};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::Value;
use uuid::Uuid;

pub use crate::entity::shaken_certificate::Model as ShakenCertificate;
use crate::entity::shaken_certificate::{Column, Entity};
use crate::types::{Json, now};
use crate::{Result, Store, StoreError, owned};

/// A certificate to be, already checked.
#[derive(Debug, Clone)]
pub struct NewShakenCertificate {
    pub name: String,
    pub is_active: bool,
    pub shared: bool,
    pub test: bool,
    /// PEM, the signing certificate first.
    pub chain: String,
    /// Private key in PEM.
    pub key: String,
    pub subject: String,
    pub issuer: String,
    pub serial: String,
    pub tn_auth_list: Vec<Value>,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
}

impl Store {
    pub fn shaken_certificates(&self) -> ShakenCertificates<'_> {
        ShakenCertificates { store: self }
    }
}

pub struct ShakenCertificates<'a> {
    store: &'a Store,
}

impl ShakenCertificates<'_> {
    pub async fn create(
        &self,
        account: Uuid,
        by: Option<Uuid>,
        new: NewShakenCertificate,
    ) -> Result<ShakenCertificate> {
        let uuid = Uuid::new_v4();
        let created_on = now();
        let certificate = ShakenCertificate {
            uuid,
            created_on,
            modified_on: created_on,
            account,
            name: new.name,
            is_active: new.is_active,
            shared: new.shared,
            test: new.test,
            chain: new.chain,
            key: self.store.keyring().seal(&context(uuid), new.key.as_bytes())?,
            subject: new.subject,
            issuer: new.issuer,
            serial: new.serial,
            tn_auth_list: Json(new.tn_auth_list),
            not_before: new.not_before,
            not_after: new.not_after,
            created_by: by,
            modified_by: by,
        };
        let tx = self.store.begin().await?;
        owned::insert(&tx, certificate.clone()).await?;
        tx.commit().await?;
        Ok(certificate)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<ShakenCertificate> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The account's certificates, oldest first.
    pub async fn list(&self, account: Uuid) -> Result<Vec<ShakenCertificate>> {
        owned::list::<Entity>(self.store.reader(), account).await
    }

    /// A certificate of whomever: what anybody may read to check a signature.
    pub async fn published(&self, uuid: Uuid) -> Result<Option<ShakenCertificate>> {
        Ok(Entity::find_by_id(uuid).one(self.store.reader()).await?)
    }

    /// What the account signs with: the newest active one that is valid at `at`, its own before shared ones.
    pub async fn signing(&self, account: Uuid, at: DateTime<Utc>) -> Result<Option<ShakenCertificate>> {
        let usable = Entity::find()
            .filter(Column::Account.eq(account).or(Column::Shared.eq(true)))
            .filter(Column::IsActive.eq(true))
            .filter(Column::NotBefore.lte(at))
            .filter(Column::NotAfter.gt(at))
            .order_by_desc(Column::CreatedOn);
        let usable = usable.all(self.store.reader()).await?;
        let own = usable.iter().position(|certificate| certificate.account == account).unwrap_or(0);
        Ok(usable.into_iter().nth(own))
    }

    /// The private key in PEM.
    pub fn key(&self, certificate: &ShakenCertificate) -> Result<String> {
        let plain = self.store.keyring().open(&context(certificate.uuid), &certificate.key)?;
        String::from_utf8(plain).map_err(|_| StoreError::Sealed)
    }

    /// Changes name, `is_active` and `shared`; what was certified stays.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut ShakenCertificate) + Send,
    ) -> Result<ShakenCertificate> {
        let tx = self.store.begin().await?;
        let (old, row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        let ShakenCertificate { name, is_active, shared, modified_on, modified_by, .. } = row;
        let row = ShakenCertificate { name, is_active, shared, modified_on, modified_by, ..old };
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        owned::delete::<Entity>(self.store.writer(), account, uuid).await
    }
}

fn context(uuid: Uuid) -> Vec<u8> {
    format!("shaken_certificates/{uuid}").into_bytes()
}
