//! Transactions: every change of a balance, and the only way to make one.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

use crate::bulk::{self, Conflict};
pub use crate::entity::transaction::Model as Transaction;
use crate::entity::transaction::{Column, Entity};
use crate::search::{Found, Search, mask, run, searchable, sortable};
use crate::types::{Money, RefType, now, ordered_uuid};
use crate::writer::Db;
use crate::{Result, Store, StoreError, accounts, owned};

searchable!(transaction, {
    "amount" => Amount,
    "account_balance_before" => AccountBalanceBefore,
    "account_balance_after" => AccountBalanceAfter,
    "ref_type" => RefType,
});

/// A change of a balance to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransaction {
    /// Signed: a charge is negative.
    pub amount: Money,
    pub ref_type: RefType,
    /// What it is for.
    pub ref_uuid: Option<Uuid>,
    pub description: Option<String>,
}

impl NewTransaction {
    /// Takes `price` (not negative) from the balance.
    pub fn charge(price: Money, ref_type: RefType, ref_uuid: Uuid, description: impl Into<String>) -> NewTransaction {
        NewTransaction { amount: -price, ref_type, ref_uuid: Some(ref_uuid), description: Some(description.into()) }
    }
}

#[derive(Debug, Clone, Default)]
pub struct TransactionFilter {
    pub amount: Option<Money>,
    pub account_balance_before: Option<Money>,
    pub account_balance_after: Option<Money>,
    pub ref_type: Option<RefType>,
    pub ref_uuid: Option<Uuid>,
    /// Mask.
    pub description: Option<String>,
}

/// What was booked for one kind over a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    pub ref_type: RefType,
    pub count: i64,
    pub amount: Money,
}

/// What was booked on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayRow {
    pub date: NaiveDate,
    pub count: i64,
    pub sum: Money,
}

/// The name that sums are grouped by.
const KEY: &str = "key";

impl Store {
    pub fn transactions(&self) -> Transactions<'_> {
        Transactions { store: self }
    }
}

pub struct Transactions<'a> {
    store: &'a Store,
}

impl Transactions<'_> {
    /// Books a change of the balance. A charge beyond the balance is [`StoreError::InsufficientBalance`].
    pub async fn book(&self, account: Uuid, new: NewTransaction) -> Result<Transaction> {
        let tx = self.store.begin().await?;
        let transaction = book(&tx, account, new).await?;
        tx.commit().await?;
        Ok(transaction)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<Transaction> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// Fields that a search may be ordered by.
    pub fn sortable() -> Vec<&'static str> {
        sortable::<Entity>()
    }

    pub async fn search(&self, account: Uuid, filter: TransactionFilter, search: Search) -> Result<Found<Transaction>> {
        let filters = [
            filter.amount.map(|v| Column::Amount.eq(v)),
            filter.account_balance_before.map(|v| Column::AccountBalanceBefore.eq(v)),
            filter.account_balance_after.map(|v| Column::AccountBalanceAfter.eq(v)),
            filter.ref_type.map(|v| Column::RefType.eq(v)),
            filter.ref_uuid.map(|v| Column::RefUuid.eq(v)),
            filter.description.map(|v| mask(Column::Description, &v)),
        ];
        let filters = filters.into_iter().flatten().collect();
        run::<Entity>(self.store.reader(), account, Condition::all(), filters, search).await
    }

    /// Sums by kind of what was booked in `from..=to`.
    pub async fn report(&self, account: Uuid, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Vec<ReportRow>> {
        let by_kind = sums(account, from, to, Expr::col(Column::RefType));
        let rows: Vec<(RefType, i64, Money)> = by_kind.into_tuple().all(self.store.reader()).await?;
        Ok(rows.into_iter().map(|(ref_type, count, amount)| ReportRow { ref_type, count, amount }).collect())
    }

    /// Sums by day (UTC) of what was booked of a kind in `from..=to`; days of nothing are left out.
    pub async fn daily(
        &self,
        account: Uuid,
        ref_type: RefType,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<DayRow>> {
        // Text, as SQLite has no dates; connections to PostgreSQL have UTC as their zone.
        let day = Expr::cust("CAST(DATE(created_on) AS TEXT)");
        let by_day = sums(account, from, to, day).filter(Column::RefType.eq(ref_type));
        let rows: Vec<(String, i64, Money)> = by_day.into_tuple().all(self.store.reader()).await?;
        let row = |(date, count, sum): (String, i64, Money)| {
            let date = date.parse().map_err(|_| DbErr::Type(format!("`{date}` is no date")))?;
            Ok(DayRow { date, count, sum })
        };
        rows.into_iter().map(row).collect()
    }
}

/// A key, how many bookings there were of it in `from..=to`, and their sum; by the key.
fn sums(account: Uuid, from: DateTime<Utc>, to: DateTime<Utc>, key: Expr) -> Select<Entity> {
    let booked = Column::Account.eq(account).and(Column::CreatedOn.gte(from)).and(Column::CreatedOn.lte(to));
    Entity::find()
        .select_only()
        .expr_as(key, KEY)
        .expr_as(Column::Uuid.count(), "count")
        // PostgreSQL's sum of BIGINT is NUMERIC.
        .expr_as(Column::Amount.sum().cast_as("BIGINT"), "sum")
        .filter(booked)
        .group_by(Expr::col(KEY))
        .order_by_asc(Expr::col(KEY))
}

/// Books several changes of one balance, in their order, whatever it was and becomes: what was used is owed. Returns the
/// balance after them.
pub(crate) async fn book_used(db: &impl Db, account: Uuid, used: Vec<NewTransaction>) -> Result<Money> {
    let mut balance = accounts::lock(db, account).await?.balance;
    let created_on = now();
    let rows = used.into_iter().map(|new| {
        let before = balance;
        balance = before + new.amount;
        row(account, new, before, created_on)
    });
    let rows = rows.collect();
    accounts::set_balance(db, account, balance).await?;
    bulk::insert::<Entity, _>(db, rows, &Conflict::Refuse).await?;
    Ok(balance)
}

/// Books within a transaction that also writes what is charged.
pub(crate) async fn book(db: &impl ConnectionTrait, account: Uuid, new: NewTransaction) -> Result<Transaction> {
    let before = accounts::lock(db, account).await?.balance;
    let after = before + new.amount;
    if new.amount.is_negative() && after.is_negative() {
        return Err(StoreError::InsufficientBalance);
    }
    accounts::set_balance(db, account, after).await?;
    let transaction = row(account, new, before, now());
    owned::insert(db, transaction.clone()).await?;
    Ok(transaction)
}

fn row(account: Uuid, new: NewTransaction, before: Money, created_on: DateTime<Utc>) -> Transaction {
    Transaction {
        uuid: ordered_uuid(created_on),
        created_on,
        modified_on: created_on,
        account,
        amount: new.amount,
        account_balance_before: before,
        account_balance_after: before + new.amount,
        ref_type: new.ref_type,
        ref_uuid: new.ref_uuid,
        description: new.description,
    }
}
