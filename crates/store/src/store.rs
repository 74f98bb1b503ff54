use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, SqlxSqliteConnector};
use sea_orm_migration::MigratorTrait;

use crate::migration::Migrator;
use crate::rows::Rows;
use crate::writer::{Opening, Transaction, Writer, Writing};
use crate::{Keyring, Result, StoreError, numbers, products, sip_users};

/// When SQLite waits for the disk. In WAL mode neither can corrupt the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// At every commit. The default: charges, messages and events are promised to be on disk before they are
    /// acknowledged, and commits are grouped, so that the wait is shared.
    #[default]
    Full,
    /// At checkpoints only: a power cut may take the last commits with it.
    Normal,
}

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `sqlite:PATH`, `sqlite::memory:` or `postgres://USER:PASSWORD@HOST/NAME`.
    pub url: String,
    /// Connections that read (SQLite), or all of them (PostgreSQL); 1..=256.
    pub connections: u32,
    /// How long a writer waits for another process's lock, and a query for a connection.
    pub busy_timeout: Duration,
    pub synchronous: Synchronous,
    /// PostgreSQL schema to work in, `None` for the role's own.
    pub schema: Option<String>,
}

impl Settings {
    pub fn new(url: impl Into<String>) -> Settings {
        Settings {
            url: url.into(),
            connections: 8,
            busy_timeout: Duration::from_secs(10),
            synchronous: Synchronous::default(),
            schema: None,
        }
    }
}

/// Memory that SQLite's writing connection keeps pages in: 16 MiB, as SQLite counts it (KiB, negative).
const CACHE: &str = "-16384";
/// Statements that each of SQLite's connections keeps prepared: more than there are texts of what is asked all the time.
const STATEMENTS: usize = 400;
/// Pages of SQLite's log before they go into the database file (16 MiB): what is written again and again until then
/// goes there once.
const CHECKPOINT: &str = "4096";

/// A connection to PostgreSQL that has not been used for so long is asked whether it lives before it is used: a restart of
/// the database breaks those that lie idle. One of SQLite's cannot die.
const ASK_AFTER: Duration = Duration::from_secs(1);

/// The database. Cheap to clone; every clone shares the connections.
///
/// SQLite has one connection that writes and a pool that reads: writers queue here and not on the file's lock,
/// and readers see the last commit without waiting (WAL).
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: Writer,
    reader: DatabaseConnection,
    keyring: Keyring,
    /// Changes of accounts by this process, their balances left out.
    account_changes: AtomicU64,
    subscription_changes: AtomicU64,
    rows: Rows,
}

impl Store {
    /// Connects; the schema may still be old: see [`Store::migrate`]. A missing SQLite file is made.
    pub async fn connect(settings: &Settings, keyring: Keyring) -> Result<Store> {
        let (writer, reader) = if settings.url.starts_with("sqlite:") {
            connect_sqlite(settings).await?
        } else {
            let pool = connect_postgres(settings).await?;
            (Writer::new(pool.clone(), None)?, pool)
        };
        let (account_changes, subscription_changes) = Default::default();
        let rows = Rows::new();
        Ok(Store { inner: Arc::new(Inner { writer, reader, keyring, account_changes, subscription_changes, rows }) })
    }

    /// A migrated database in memory that ends with the last clone. For tests; a single connection.
    pub async fn in_memory() -> Result<Store> {
        let store = Store::connect(&Settings::new("sqlite::memory:"), Keyring::ephemeral()?).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Brings the schema up to date and writes what must always be there (product 1, price profiles). Safe to
    /// call at every start.
    pub async fn migrate(&self) -> Result<()> {
        Migrator::up(self.inner.writer.pool(), None).await?;
        let tx = self.begin().await?;
        products::seed(&tx).await?;
        numbers::seed(&tx).await?;
        tx.commit().await?;
        sip_users::digest_ha1bs(self).await
    }

    /// Answers once the database does.
    pub async fn ping(&self) -> Result<()> {
        self.inner.reader.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// Ends every connection once its query is done.
    pub async fn close(&self) -> Result<()> {
        self.inner.reader.close_by_ref().await?;
        self.inner.writer.close().await?;
        Ok(())
    }

    /// A key for this purpose, made of the one that seals secrets: kept where that is kept, lost when that is.
    pub fn derived_key(&self, label: &str) -> [u8; 32] {
        self.keyring().derive(label)
    }

    pub(crate) fn subscription_changes(&self) -> &AtomicU64 {
        &self.inner.subscription_changes
    }

    pub(crate) fn account_changes(&self) -> &AtomicU64 {
        &self.inner.account_changes
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.inner.rows
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    /// For reads outside a transaction.
    pub(crate) fn reader(&self) -> &DatabaseConnection {
        &self.inner.reader
    }

    /// For single statements that write.
    pub(crate) fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    /// A transaction that writes. Rolled back when dropped.
    ///
    /// `BEGIN IMMEDIATE` on SQLite: the lock is taken where waiting is possible, never in the middle.
    /// Nothing may be read through [`Store::reader`] while it is open: in memory both are one connection.
    pub(crate) async fn begin(&self) -> Result<Transaction, DbErr> {
        self.inner.writer.begin().await
    }

    /// The same for what is written all the time: many of them become one transaction. See [`Writer::write`].
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(Writing<'a>) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        self.inner.writer.write(job).await
    }
}

async fn connect_sqlite(settings: &Settings) -> Result<(Writer, DatabaseConnection)> {
    let synchronous = match settings.synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Normal => SqliteSynchronous::Normal,
    };
    let options = SqliteConnectOptions::from_str(&settings.url)
        .map_err(|e| StoreError::invalid("store.url", e.to_string()))?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(settings.busy_timeout)
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let in_memory = settings.url.contains(":memory:") || settings.url.contains("mode=memory");
    // The only connection of a database in memory must not be closed for idleness: the data ends with it.
    let pool = |connections: u32| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .min_connections(1)
            .idle_timeout(None)
            .test_before_acquire(false)
            .max_lifetime(None)
            .acquire_timeout(settings.busy_timeout)
    };
    let connect = async |connections, options| {
        let pool = pool(connections).connect_with(options).await.map_err(|e| unreachable_database(&e))?;
        Ok::<_, StoreError>(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
    };
    let pool = connect(1, options.clone().pragma("cache_size", CACHE).pragma("wal_autocheckpoint", CHECKPOINT)).await?;
    if in_memory {
        return Ok((Writer::new(pool.clone(), None)?, pool));
    }
    let opening = Opening {
        path: options.get_filename().to_owned(),
        busy_timeout: settings.busy_timeout,
        pragmas: vec![
            (
                "synchronous",
                match settings.synchronous {
                    Synchronous::Full => "FULL",
                    Synchronous::Normal => "NORMAL",
                },
            ),
            ("foreign_keys", "ON"),
            ("cache_size", CACHE),
            ("wal_autocheckpoint", CHECKPOINT),
            // What a job that fails takes back is kept in memory.
            ("temp_store", "MEMORY"),
        ],
        statements: STATEMENTS,
    };
    let writer = Writer::new(pool, Some(&opening))?;
    let reader = connect(settings.connections, options.pragma("query_only", "ON")).await?;
    Ok((writer, reader))
}

async fn connect_postgres(settings: &Settings) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(&settings.url);
    options
        .max_connections(settings.connections)
        .acquire_timeout(settings.busy_timeout)
        .connect_timeout(settings.busy_timeout)
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(ASK_AFTER)
        .set_application_name("opentact")
        .sqlx_logging(false);
    if let Some(schema) = &settings.schema {
        options.set_schema_search_path(schema);
    }
    Ok(Database::connect(options).await?)
}

fn unreachable_database(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Database(DbErr::Custom(error.to_string()))
}
