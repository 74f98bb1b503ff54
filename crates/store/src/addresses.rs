//! Addresses of an account and its users.

use uuid::Uuid;

use crate::entity::address::Entity;
pub use crate::entity::address::Model as Address;
use crate::types::now;
use crate::{Result, Store, owned};

/// Addresses of one account at most.
pub const MOST: u64 = 1_000;

/// An address to be.
#[derive(Debug, Clone)]
pub struct NewAddress {
    pub name: String,
    pub is_physical: bool,
    pub is_billing: bool,
    pub is_shipping: bool,
    pub address1: String,
    pub address2: Option<String>,
    pub zip_code: String,
    pub city: String,
    /// ISO 3166 alpha-2.
    pub country: String,
}

impl Store {
    pub fn addresses(&self) -> Addresses<'_> {
        Addresses { store: self }
    }
}

pub struct Addresses<'a> {
    store: &'a Store,
}

impl Addresses<'_> {
    /// [`StoreError::Invalid`](crate::StoreError::Invalid) when the account has [`MOST`].
    pub async fn create(&self, account: Uuid, user: Uuid, new: NewAddress) -> Result<Address> {
        let created_on = now();
        let address = Address {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            user,
            name: new.name,
            is_physical: new.is_physical,
            is_billing: new.is_billing,
            is_shipping: new.is_shipping,
            address1: new.address1,
            address2: new.address2,
            zip_code: new.zip_code,
            city: new.city,
            country: new.country,
            created_by: Some(user),
            modified_by: Some(user),
        };
        let tx = self.store.begin().await?;
        owned::refuse_beyond::<Entity>(&tx, account, MOST, "name", "addresses").await?;
        owned::insert(&tx, address.clone()).await?;
        tx.commit().await?;
        Ok(address)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<Address> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The account's addresses, oldest first.
    pub async fn list(&self, account: Uuid) -> Result<Vec<Address>> {
        owned::list::<Entity>(self.store.reader(), account).await
    }

    /// Changes what the closure changes; id, account, user and creation stay.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut Address) + Send,
    ) -> Result<Address> {
        let tx = self.store.begin().await?;
        let (old, mut row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        row.user = old.user;
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        owned::delete::<Entity>(self.store.writer(), account, uuid).await
    }
}
