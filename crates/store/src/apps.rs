//! SIP Control Apps.

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, ConnectionTrait};
use uuid::Uuid;

use crate::entity::sip_control_app::Entity;
pub use crate::entity::sip_control_app::Model as SipControlApp;
use crate::entity::{sip_domain, tn_filter, tn_lease};
use crate::products::{self, DEFAULT_PRODUCT};
use crate::types::{Attestation, Json, Method, now};
use crate::{Result, Store, owned, tech_prefix};

/// An app to be.
#[derive(Debug, Clone)]
pub struct NewApp {
    pub name: String,
    pub is_active: bool,
    pub product: i64,
    pub auto_answer: bool,
    pub max_call_length_min: Option<i64>,
    pub shaken_verify_policy: i64,
    pub shaken_minimum_accepted_attest_lvl: Option<Attestation>,
    pub xml: Option<String>,
    pub call_flow_url: Option<String>,
    pub call_flow_url2: Option<String>,
    pub call_flow_method: Method,
    pub call_flow_request_timeout: Option<i64>,
    pub webhook_url: Option<String>,
    pub webhook_method: Method,
    pub webhook_request_timeout: Option<i64>,
    pub codecs: Vec<String>,
}

impl NewApp {
    pub fn new(name: impl Into<String>) -> NewApp {
        NewApp {
            name: name.into(),
            is_active: true,
            product: DEFAULT_PRODUCT,
            auto_answer: false,
            max_call_length_min: None,
            shaken_verify_policy: 0,
            shaken_minimum_accepted_attest_lvl: None,
            xml: None,
            call_flow_url: None,
            call_flow_url2: None,
            call_flow_method: Method::Get,
            call_flow_request_timeout: None,
            webhook_url: None,
            webhook_method: Method::Get,
            webhook_request_timeout: None,
            codecs: Vec::new(),
        }
    }
}

impl Store {
    pub fn apps(&self) -> Apps<'_> {
        Apps { store: self }
    }
}

pub struct Apps<'a> {
    store: &'a Store,
}

impl Apps<'_> {
    pub async fn create(&self, account: Uuid, by: Option<Uuid>, new: NewApp) -> Result<SipControlApp> {
        let tx = self.store.begin().await?;
        products::check(&tx, new.product).await?;
        let uuid = Uuid::new_v4();
        let created_on = now();
        let app = SipControlApp {
            uuid,
            created_on,
            modified_on: created_on,
            account,
            name: new.name,
            is_active: new.is_active,
            tech_prefix: tech_prefix::assign(&tx, uuid).await?,
            product: new.product,
            auto_answer: new.auto_answer,
            max_call_length_min: new.max_call_length_min,
            shaken_verify_policy: new.shaken_verify_policy,
            shaken_minimum_accepted_attest_lvl: new.shaken_minimum_accepted_attest_lvl,
            xml: new.xml,
            call_flow_url: new.call_flow_url,
            call_flow_url2: new.call_flow_url2,
            call_flow_method: new.call_flow_method,
            call_flow_request_timeout: new.call_flow_request_timeout,
            webhook_url: new.webhook_url,
            webhook_method: new.webhook_method,
            webhook_request_timeout: new.webhook_request_timeout,
            codecs: Json(new.codecs),
            created_by: by,
            modified_by: by,
        };
        owned::insert(&tx, app.clone()).await?;
        tx.commit().await?;
        Ok(app)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<SipControlApp> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The account's apps, oldest first.
    pub async fn list(&self, account: Uuid) -> Result<Vec<SipControlApp>> {
        owned::list::<Entity>(self.store.reader(), account).await
    }

    /// Changes what the closure changes; id, account, prefix and creation stay.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut SipControlApp) + Send,
    ) -> Result<SipControlApp> {
        let tx = self.store.begin().await?;
        let (old, mut row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        row.tech_prefix = old.tech_prefix;
        products::check(&tx, row.product).await?;
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// [`crate::StoreError::InUse`] while a lease, a domain or a filter points at it.
    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        let tx = self.store.begin().await?;
        refuse_if_used(&tx, uuid).await?;
        owned::delete::<Entity>(&tx, account, uuid).await?;
        tech_prefix::release(&tx, uuid).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn refuse_if_used(db: &impl ConnectionTrait, uuid: Uuid) -> Result<()> {
    let leased = tn_lease::Column::SipControlApp.eq(uuid).and(tn_lease::Column::ReleasedOn.is_null());
    owned::refuse_if_used::<Entity, tn_lease::Entity>(db, leased).await?;
    owned::refuse_if_used::<Entity, sip_domain::Entity>(db, sip_domain::Column::SipControlApp.eq(uuid)).await?;
    owned::refuse_if_used::<Entity, tn_filter::Entity>(db, tn_filter::Column::SipControlApp.eq(uuid)).await
}
