//! SIP Connections: trunks.

use sea_orm::sea_query::ExprTrait;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

pub use crate::entity::sip_connection::Model as SipConnection;
use crate::entity::sip_connection::{Column, Entity};
use crate::entity::{outbound_voice_profile, sip_domain, tn_lease};
use crate::products::{self, DEFAULT_PRODUCT};
use crate::types::{Attestation, Json, SipTransport, Srtp, TrunkRouting, now};
use crate::{Result, Store, StoreError, owned, tech_prefix};

/// A trunk to be.
#[derive(Debug, Clone)]
pub struct NewConnection {
    pub name: String,
    pub is_active: bool,
    pub product: i64,
    pub ip: Option<String>,
    pub hostname: Option<String>,
    pub port: u16,
    pub transport: SipTransport,
    pub srtp: Option<Srtp>,
    pub codecs: Vec<String>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub register: bool,
    pub channel_limit: Option<i64>,
    pub cps_limit: Option<i64>,
    pub priority: i64,
    pub weight: i64,
    pub options_ping: bool,
    pub shaken_verify_policy: i64,
    pub shaken_minimum_accepted_attest_lvl: Option<Attestation>,
    pub sources: Vec<String>,
    pub authenticate: bool,
    pub routing: TrunkRouting,
}

impl NewConnection {
    pub fn new(name: impl Into<String>) -> NewConnection {
        NewConnection {
            name: name.into(),
            is_active: true,
            product: DEFAULT_PRODUCT,
            ip: None,
            hostname: None,
            port: 5060,
            transport: SipTransport::Udp,
            srtp: None,
            codecs: Vec::new(),
            username: None,
            password: None,
            register: false,
            channel_limit: None,
            cps_limit: None,
            priority: 1,
            weight: 1,
            options_ping: false,
            shaken_verify_policy: 0,
            shaken_minimum_accepted_attest_lvl: None,
            sources: Vec::new(),
            authenticate: false,
            routing: TrunkRouting::default(),
        }
    }
}

impl Store {
    pub fn connections(&self) -> Connections<'_> {
        Connections { store: self }
    }
}

pub struct Connections<'a> {
    store: &'a Store,
}

impl Connections<'_> {
    pub async fn create(&self, account: Uuid, by: Option<Uuid>, new: NewConnection) -> Result<SipConnection> {
        let uuid = Uuid::new_v4();
        let password = new.password.as_deref().map(|p| self.seal(uuid, p)).transpose()?;
        let tx = self.store.begin().await?;
        products::check(&tx, new.product).await?;
        let created_on = now();
        let connection = SipConnection {
            uuid,
            created_on,
            modified_on: created_on,
            account,
            name: new.name,
            is_active: new.is_active,
            tech_prefix: tech_prefix::assign(&tx, uuid).await?,
            product: new.product,
            ip: new.ip,
            hostname: new.hostname.map(|h| h.to_lowercase()),
            port: new.port.into(),
            transport: new.transport,
            srtp: new.srtp,
            codecs: Json(new.codecs),
            username: new.username,
            password,
            register: new.register,
            channel_limit: new.channel_limit,
            cps_limit: new.cps_limit,
            priority: new.priority,
            weight: new.weight,
            options_ping: new.options_ping,
            shaken_verify_policy: new.shaken_verify_policy,
            shaken_minimum_accepted_attest_lvl: new.shaken_minimum_accepted_attest_lvl,
            sources: Json(new.sources),
            authenticate: new.authenticate,
            routing: Json(new.routing),
            created_by: by,
            modified_by: by,
        };
        owned::insert(&tx, connection.clone()).await?;
        tx.commit().await?;
        Ok(connection)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<SipConnection> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// Whoever's it is: for the router.
    pub async fn any(&self, uuid: Uuid) -> Result<SipConnection> {
        let found = Entity::find_by_id(uuid).one(self.store.reader()).await?;
        found.ok_or(StoreError::NotFound("SIPConnection"))
    }

    /// The account's trunks, oldest first.
    pub async fn list(&self, account: Uuid) -> Result<Vec<SipConnection>> {
        owned::list::<Entity>(self.store.reader(), account).await
    }

    /// Active trunks of all accounts that have this address: for the router, which tells them apart.
    pub async fn by_ip(&self, ip: &str) -> Result<Vec<SipConnection>> {
        let theirs = Entity::find().filter(Column::Ip.eq(ip)).filter(Column::IsActive.eq(true));
        Ok(theirs.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// Active trunks of all accounts whose calls are told by something else than their address: networks, host names,
    /// digest.
    pub async fn told_otherwise(&self) -> Result<Vec<SipConnection>> {
        let told = Column::Sources.ne("[]").or(Column::Hostname.is_not_null()).or(Column::Authenticate.eq(true));
        let theirs = Entity::find().filter(Column::IsActive.eq(true)).filter(told);
        Ok(theirs.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// Active trunks of all accounts that are asked whether they are there, or registered with.
    pub async fn watched(&self) -> Result<Vec<SipConnection>> {
        let asked = Column::Register.eq(true).or(Column::OptionsPing.eq(true));
        Ok(Entity::find().filter(Column::IsActive.eq(true)).filter(asked).all(self.store.reader()).await?)
    }

    /// Addresses of the active trunks of all accounts.
    pub async fn addresses(&self) -> Result<Vec<String>> {
        let active = Entity::find().filter(Column::IsActive.eq(true)).filter(Column::Ip.is_not_null());
        Ok(active.select_only().column(Column::Ip).distinct().into_tuple().all(self.store.reader()).await?)
    }

    /// The trunk's digest password in the clear.
    pub fn password(&self, connection: &SipConnection) -> Result<Option<String>> {
        let Some(sealed) = &connection.password else { return Ok(None) };
        let plain = self.store.keyring().open(&context(connection.uuid), sealed)?;
        String::from_utf8(plain).map(Some).map_err(|_| StoreError::Sealed)
    }

    /// Changes what the closure changes; id, account, prefix and creation stay. `password`: `None` keeps it,
    /// `Some(None)` removes it.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        password: Option<Option<String>>,
        change: impl FnOnce(&mut SipConnection) + Send,
    ) -> Result<SipConnection> {
        let password = match password {
            Some(new) => Some(new.as_deref().map(|p| self.seal(uuid, p)).transpose()?),
            None => None,
        };
        let tx = self.store.begin().await?;
        let (old, mut row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        row.tech_prefix = old.tech_prefix;
        row.password = password.unwrap_or(old.password);
        products::check(&tx, row.product).await?;
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// [`StoreError::InUse`] while a lease, a domain or an outbound voice profile points at it.
    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        let tx = self.store.begin().await?;
        let leased = tn_lease::Column::SipConnection.eq(uuid).and(tn_lease::Column::ReleasedOn.is_null());
        owned::refuse_if_used::<Entity, tn_lease::Entity>(&tx, leased).await?;
        owned::refuse_if_used::<Entity, sip_domain::Entity>(&tx, sip_domain::Column::SipConnection.eq(uuid)).await?;
        // UUIDs stand in the list as text, in one form only.
        let listed = outbound_voice_profile::Column::SipConnections.contains(uuid.to_string());
        let used = listed.or(outbound_voice_profile::Column::EmergencyConnection.eq(uuid));
        owned::refuse_if_used::<Entity, outbound_voice_profile::Entity>(&tx, used).await?;
        owned::delete::<Entity>(&tx, account, uuid).await?;
        tech_prefix::release(&tx, uuid).await?;
        tx.commit().await?;
        Ok(())
    }

    fn seal(&self, uuid: Uuid, password: &str) -> Result<Vec<u8>> {
        self.store.keyring().seal(&context(uuid), password.as_bytes())
    }
}

fn context(uuid: Uuid) -> Vec<u8> {
    format!("sip_connections/{uuid}").into_bytes()
}
