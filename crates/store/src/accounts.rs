//! Accounts: the tenants.

use std::sync::atomic::Ordering;

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use crate::entity::account::Model as Account;
use crate::entity::account::{Column, Entity};
use crate::types::{AccountLevel, Json, Money, RefType, now};
use crate::writer::Db;
use crate::{Result, Store, StoreError, owned, transactions};

/// Which notices an account wants. `balance` turns `balance` events on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notification {
    pub balance: bool,
}

impl Default for Notification {
    fn default() -> Notification {
        Notification { balance: true }
    }
}

/// An account to be.
#[derive(Debug, Clone, Default)]
pub struct NewAccount {
    pub name: String,
    pub email: String,
    pub phone: Option<String>,
    /// `None` is `Level0`.
    pub level: Option<AccountLevel>,
    pub time_zone: Option<String>,
    /// Paid in at once, as a transaction of type `payment`.
    pub balance: Money,
}

impl Store {
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts { store: self }
    }
}

pub struct Accounts<'a> {
    store: &'a Store,
}

impl Accounts<'_> {
    pub async fn create(&self, new: NewAccount) -> Result<Account> {
        let tx = self.store.begin().await?;
        let account = insert(&tx, new).await?;
        tx.commit().await?;
        Ok(account)
    }

    /// Whether there is any account at all, in use or not.
    pub async fn any(&self) -> Result<bool> {
        Ok(Entity::find().limit(1).one(self.store.reader()).await?.is_some())
    }

    pub async fn get(&self, account: Uuid) -> Result<Account> {
        self.store.rows().accounts.get(self.store, account).await?.ok_or(StoreError::NotFound("Account"))
    }

    /// Those of `accounts` that exist, in no order.
    pub async fn get_many(&self, accounts: Vec<Uuid>) -> Result<Vec<Account>> {
        Ok(Entity::find().filter(Column::Uuid.is_in(accounts)).all(self.store.reader()).await?)
    }

    /// Every account, oldest first. For administration, not for tenants.
    pub async fn all(&self) -> Result<Vec<Account>> {
        Ok(Entity::find().order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// Changes what the closure changes; id, dates of creation and balance stay.
    pub async fn update(&self, account: Uuid, change: impl FnOnce(&mut Account) + Send) -> Result<Account> {
        let tx = self.store.begin().await?;
        let old = lock(&tx, account).await?;
        let mut row = old.clone();
        change(&mut row);
        row = Account {
            uuid: old.uuid,
            created_on: old.created_on,
            balance: old.balance,
            email: row.email.to_lowercase(),
            modified_on: now(),
            ..row
        };
        write(&tx, row.clone()).await?;
        tx.commit().await?;
        self.store.account_changes().fetch_add(1, Ordering::Release);
        Ok(row)
    }

    /// Rises with each change that this process has made to any account, balances left out: for who keeps rows for a
    /// while.
    pub fn changes(&self) -> u64 {
        self.store.account_changes().load(Ordering::Acquire)
    }
}

pub(crate) async fn insert(db: &impl ConnectionTrait, new: NewAccount) -> Result<Account> {
    let created_on = now();
    let mut account = Account {
        uuid: Uuid::new_v4(),
        created_on,
        modified_on: created_on,
        name: new.name,
        email: new.email.to_lowercase(),
        level: new.level.unwrap_or(AccountLevel::Level0),
        balance: Money::ZERO,
        phone: new.phone,
        address1: None,
        address2: None,
        zip_code: None,
        city: None,
        time_zone: new.time_zone,
        notification: Json(Notification::default()),
        disabled_on: None,
        deleted_on: None,
    };
    owned::insert(db, account.clone()).await?;
    if !new.balance.is_zero() {
        let paid = transactions::NewTransaction {
            amount: new.balance,
            ref_type: RefType::Payment,
            ref_uuid: None,
            description: Some("Opening balance".to_owned()),
        };
        account.balance = transactions::book(db, account.uuid, paid).await?.account_balance_after;
    }
    Ok(account)
}

/// Reads the row and keeps others from changing it until the transaction ends. SQLite's transactions that
/// write exclude each other anyway.
pub(crate) async fn lock(db: &impl Db, account: Uuid) -> Result<Account> {
    db.all(Entity::find_by_id(account).lock_exclusive()).await?.pop().ok_or(StoreError::NotFound("Account"))
}

/// The only writer of a balance is [`transactions::book`]. `modified_on` stays: it tells of the account's data.
pub(crate) async fn set_balance(db: &impl Db, account: Uuid, balance: Money) -> Result<()> {
    let row = Entity::update_many().col_expr(Column::Balance, balance.into()).filter(Column::Uuid.eq(account));
    db.run(row.build(db.backend())).await?;
    Ok(())
}

async fn write(db: &impl ConnectionTrait, row: Account) -> Result<()> {
    let uuid = row.uuid;
    let row = row.into_active_model().reset_all();
    Entity::update_many().set(row).filter(Column::Uuid.eq(uuid)).exec(db).await?;
    Ok(())
}
