//! Who writes.
//!
//! SQLite takes one writer at a time. What is written all the time goes to a thread of its own ([`group`]), which runs
//! whatever waits in one transaction, without a wake-up a statement; everything else goes through the pool's one writing
//! connection. They take turns, so that none has to try again and again for the file's lock. PostgreSQL, and a database in
//! memory, have the pool only.

mod direct;
mod group;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait, ExecResult, QueryResult,
    Select, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, TryIntoModel,
};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

pub(crate) use self::direct::{Direct, Opening};
use self::group::{Ended, Group};
use crate::{Result, StoreError, bulk};

/// Held by who writes to a file of SQLite.
type Turn = Arc<Mutex<()>>;

/// Writes single statements, and begins transactions.
#[derive(Debug)]
pub(crate) struct Writer {
    pool: DatabaseConnection,
    /// With a thread of its own: SQLite in a file.
    group: Option<(Group, Turn)>,
}

/// A transaction that writes. Rolled back when dropped.
#[derive(Debug)]
pub(crate) struct Transaction {
    // Dropped in this order.
    pooled: DatabaseTransaction,
    _turn: Option<OwnedMutexGuard<()>>,
}

/// The transaction that a job of [`Writer::write`] is part of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Writing<'a> {
    Pooled(&'a Transaction),
    Direct(&'a Direct),
}

/// Who runs statements.
pub(crate) trait Db: Sync {
    fn backend(&self) -> DbBackend;

    /// How many rows a statement has changed.
    fn run(&self, statement: Statement) -> impl Future<Output = Result<u64, DbErr>> + Send;

    fn all<E: Readable>(&self, select: Select<E>) -> impl Future<Output = Result<Vec<E::Model>, DbErr>> + Send;

    /// Rows that are best inserted by one statement: a power of two.
    fn rows_together(&self) -> usize {
        bulk::ROWS
    }
}

/// An entity whose rows can be made of the values of their columns.
pub(crate) trait Readable: EntityTrait<Model: Send, ActiveModel: TryIntoModel<Self::Model>> {}
impl<E: EntityTrait<Model: Send, ActiveModel: TryIntoModel<E::Model>>> Readable for E {}

impl Writer {
    /// `opening`: of the file that a thread is to write to.
    pub(crate) fn new(pool: DatabaseConnection, opening: Option<&Opening>) -> Result<Writer> {
        let group = match opening {
            None => None,
            Some(opening) => {
                let turn = Turn::default();
                Some((Group::start(opening, turn.clone())?, turn))
            }
        };
        Ok(Writer { pool, group })
    }

    /// The pool, for what knows nothing of turns: nothing else may write meanwhile.
    pub(crate) fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    pub(crate) async fn begin(&self) -> Result<Transaction, DbErr> {
        let turn = self.turn().await;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Transaction { pooled: self.pool.begin_with_options(options).await?, _turn: turn })
    }

    /// Runs `job` in a transaction, with others where SQLite has a thread for that: all of what it writes, or nothing where it
    /// fails, and what it returns once that is on disk. It may wait for the database only.
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(Writing<'a>) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        let Some((group, _)) = &self.group else {
            let tx = self.begin().await?;
            let result = job(Writing::Pooled(&tx)).await?;
            tx.commit().await?;
            return Ok(result);
        };
        let (answer, written) = oneshot::channel();
        let job = move |direct: std::result::Result<&Direct, String>| {
            let result = direct.map_err(custom).and_then(|direct| {
                let result = job(Writing::Direct(direct)).now_or_never();
                let result = result.unwrap_or_else(|| Err(custom("a write waits for something else")));
                result.map_err(|error| direct.meant(error))
            });
            let kept = result.is_ok();
            let tell = move |committed: std::result::Result<(), String>| {
                // Who asked may have gone; it is written all the same.
                let _ = answer.send(committed.map_err(custom).and(result));
            };
            Ended { kept, tell: Box::new(tell) }
        };
        group.run(Box::new(job)).await?;
        written.await.map_err(|_| custom("a write died"))?
    }

    /// Ends once everything is written.
    pub(crate) async fn close(&self) -> Result<(), DbErr> {
        if let Some((group, _)) = &self.group {
            group.close().await;
        }
        self.pool.close_by_ref().await
    }

    async fn turn(&self) -> Option<OwnedMutexGuard<()>> {
        match &self.group {
            Some((_, turn)) => Some(turn.clone().lock_owned().await),
            None => None,
        }
    }
}

fn custom(reason: impl Into<String>) -> StoreError {
    StoreError::Database(DbErr::Custom(reason.into()))
}

impl Transaction {
    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        self.pooled.commit().await
    }
}

#[async_trait]
impl ConnectionTrait for Writer {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let _turn = self.turn().await;
        self.pool.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let _turn = self.turn().await;
        self.pool.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let _turn = self.turn().await;
        self.pool.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let _turn = self.turn().await;
        self.pool.query_all_raw(statement).await
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.pooled.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.pooled.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.pooled.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.pooled.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.pooled.query_all_raw(statement).await
    }
}

impl<C: ConnectionTrait> Db for C {
    fn backend(&self) -> DbBackend {
        self.get_database_backend()
    }

    async fn run(&self, statement: Statement) -> Result<u64, DbErr> {
        Ok(self.execute_raw(statement).await?.rows_affected())
    }

    async fn all<E: Readable>(&self, select: Select<E>) -> Result<Vec<E::Model>, DbErr> {
        select.all(self).await
    }
}

impl Db for Writing<'_> {
    fn backend(&self) -> DbBackend {
        match self {
            Writing::Pooled(tx) => tx.get_database_backend(),
            Writing::Direct(_) => DbBackend::Sqlite,
        }
    }

    fn rows_together(&self) -> usize {
        match self {
            Writing::Pooled(_) => bulk::ROWS,
            // A statement that is there already costs less than its rows put together.
            Writing::Direct(_) => 1,
        }
    }

    async fn run(&self, statement: Statement) -> Result<u64, DbErr> {
        match self {
            Writing::Pooled(tx) => Db::run(*tx, statement).await,
            Writing::Direct(direct) => direct.execute(statement),
        }
    }

    async fn all<E: Readable>(&self, select: Select<E>) -> Result<Vec<E::Model>, DbErr> {
        match self {
            Writing::Pooled(tx) => select.all(*tx).await,
            Writing::Direct(direct) => direct.all(select),
        }
    }
}

#[cfg(test)]
mod tests;
