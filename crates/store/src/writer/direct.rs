//! SQLite without a thread in between: a statement is a function call.
//!
//! Values are written as `sqlx` writes them, and read by the declared type of their column: the schema has UUID, TIMESTAMPTZ,
//! BOOLEAN, BIGINT, TEXT and BYTEA.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use parking_lot::Mutex;
use rusqlite::types::{Value as Stored, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ffi};
use sea_orm::{
    ActiveModelTrait, DbBackend, DbErr, IdenStatic, Iterable, QueryTrait, RuntimeErr, Select, Statement, TryIntoModel,
    Value,
};
use uuid::Uuid;

use super::Readable;
use crate::StoreError;

/// How a file is opened to be written to.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) path: PathBuf,
    pub(crate) busy_timeout: Duration,
    /// What is set first, by name.
    pub(crate) pragmas: Vec<(&'static str, &'static str)>,
    /// Statements that are kept prepared.
    pub(crate) statements: usize,
}

/// A connection that only its thread uses.
#[derive(Debug)]
pub(crate) struct Direct {
    connection: Mutex<Connection>,
    /// The constraint that was violated last.
    violated: Mutex<Option<Constraint>>,
}

#[derive(Debug, Clone, Copy)]
enum Constraint {
    Unique,
    ForeignKey,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Uuid,
    Timestamp,
    Boolean,
    Integer,
    Text,
    Octets,
}

impl Direct {
    pub(crate) fn open(opening: &Opening) -> rusqlite::Result<Direct> {
        let connection = Connection::open(&opening.path)?;
        connection.busy_timeout(opening.busy_timeout)?;
        for (name, value) in &opening.pragmas {
            connection.pragma_update(None, name, value)?;
        }
        connection.set_prepared_statement_cache_capacity(opening.statements);
        Ok(Direct { connection: Mutex::new(connection), violated: Mutex::new(None) })
    }

    /// A statement without parameters and rows.
    pub(super) fn run(&self, sql: &str) -> Result<(), String> {
        let connection = self.connection.lock();
        let run = connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        run.map(drop).map_err(|error| error.to_string())
    }

    /// Whether a transaction is open: some errors end it.
    pub(super) fn in_transaction(&self) -> bool {
        !self.connection.lock().is_autocommit()
    }

    /// How many rows it has changed.
    pub(super) fn execute(&self, statement: Statement) -> Result<u64, DbErr> {
        let connection = self.connection.lock();
        let mut prepared = self.prepare(&connection, statement)?;
        Ok(prepared.raw_execute().map_err(|error| self.failed(error))? as u64)
    }

    pub(super) fn all<E: Readable>(&self, select: Select<E>) -> Result<Vec<E::Model>, DbErr> {
        let connection = self.connection.lock();
        let mut prepared = self.prepare(&connection, select.build(DbBackend::Sqlite))?;
        let mut columns = Vec::with_capacity(prepared.column_count());
        for column in prepared.columns() {
            let known = E::Column::iter().find(|known| known.as_str() == column.name());
            let known = known.ok_or_else(|| DbErr::Type(format!("{} is no column", column.name())))?;
            columns.push((known, Kind::of(column.decl_type())?));
        }
        let mut rows = prepared.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.failed(error))? {
            let mut model = <E::ActiveModel as ActiveModelTrait>::default();
            for (at, (column, kind)) in columns.iter().enumerate() {
                let stored = row.get_ref(at).map_err(|error| self.failed(error))?;
                model.try_set(*column, kind.value(stored)?)?;
            }
            found.push(model.try_into_model()?);
        }
        Ok(found)
    }

    fn prepare<'a>(&self, connection: &'a Connection, statement: Statement) -> Result<CachedStatement<'a>, DbErr> {
        let mut prepared = connection.prepare_cached(&statement.sql).map_err(|error| self.failed(error))?;
        let values = statement.values.into_iter().flat_map(|values| values.0);
        for (at, value) in values.enumerate() {
            prepared.raw_bind_parameter(at + 1, stored(value)?).map_err(|error| self.failed(error))?;
        }
        Ok(prepared)
    }

    fn failed(&self, error: rusqlite::Error) -> DbErr {
        if let rusqlite::Error::SqliteFailure(failure, _) = &error
            && failure.code == ErrorCode::ConstraintViolation
        {
            *self.violated.lock() = match failure.extended_code {
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => Some(Constraint::Unique),
                ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Some(Constraint::ForeignKey),
                _ => None,
            };
        }
        DbErr::Exec(RuntimeErr::Internal(error.to_string()))
    }

    /// An error of a job, told as the pool's are: [`crate::StoreError`].
    pub(super) fn meant(&self, error: StoreError) -> StoreError {
        let violated = self.violated.lock().take();
        match (error, violated) {
            (StoreError::Database(_), Some(Constraint::Unique)) => StoreError::Conflict("Entity"),
            (StoreError::Database(_), Some(Constraint::ForeignKey)) => {
                StoreError::InUse { entity: "Entity", by: "another entity" }
            }
            (error, _) => error,
        }
    }
}

impl Kind {
    fn of(declared: Option<&str>) -> Result<Kind, DbErr> {
        Ok(match declared {
            Some("UUID") => Kind::Uuid,
            Some("TIMESTAMPTZ") => Kind::Timestamp,
            Some("BOOLEAN") => Kind::Boolean,
            Some("BIGINT") => Kind::Integer,
            Some("TEXT") => Kind::Text,
            Some("BYTEA" | "BLOB") => Kind::Octets,
            other => return Err(DbErr::Type(format!("a column is declared {other:?}"))),
        })
    }

    fn value(self, stored: ValueRef<'_>) -> Result<Value, DbErr> {
        let fault = |what: &dyn Display| DbErr::Type(format!("{self:?}: {what}"));
        let text = |text| std::str::from_utf8(text).map_err(|error| fault(&error));
        Ok(match (self, stored) {
            (Kind::Uuid, ValueRef::Null) => Value::Uuid(None),
            (Kind::Timestamp, ValueRef::Null) => Value::ChronoDateTimeUtc(None),
            (Kind::Boolean, ValueRef::Null) => Value::Bool(None),
            (Kind::Integer, ValueRef::Null) => Value::BigInt(None),
            (Kind::Text, ValueRef::Null) => Value::String(None),
            (Kind::Octets, ValueRef::Null) => Value::Bytes(None),
            (Kind::Uuid, ValueRef::Blob(octets)) => Uuid::from_slice(octets).map_err(|error| fault(&error))?.into(),
            (Kind::Timestamp, ValueRef::Text(at)) => {
                let at = DateTime::parse_from_rfc3339(text(at)?).map_err(|error| fault(&error))?;
                at.with_timezone(&Utc).into()
            }
            (Kind::Boolean, ValueRef::Integer(number)) => (number != 0).into(),
            (Kind::Integer, ValueRef::Integer(number)) => number.into(),
            (Kind::Text, ValueRef::Text(stored)) => text(stored)?.into(),
            (Kind::Octets, ValueRef::Blob(octets)) => octets.to_vec().into(),
            (_, stored) => return Err(fault(&stored.data_type())),
        })
    }
}

fn stored(value: Value) -> Result<Stored, DbErr> {
    let stored = match value {
        Value::Bool(value) => value.map(|value| Stored::Integer(value.into())),
        Value::Int(value) => value.map(|value| Stored::Integer(value.into())),
        Value::BigInt(value) => value.map(Stored::Integer),
        Value::BigUnsigned(value) => match value.map(i64::try_from) {
            None => None,
            Some(Ok(value)) => Some(Stored::Integer(value)),
            Some(Err(error)) => return Err(DbErr::Type(error.to_string())),
        },
        Value::Double(value) => value.map(Stored::Real),
        Value::String(value) => value.map(Stored::Text),
        Value::Bytes(value) => value.map(Stored::Blob),
        Value::Uuid(value) => value.map(|value| Stored::Blob(value.into_bytes().to_vec())),
        Value::ChronoDateTimeUtc(value) => {
            value.map(|value| Stored::Text(value.to_rfc3339_opts(SecondsFormat::AutoSi, false)))
        }
        other => return Err(DbErr::Type(format!("{other:?} has no column"))),
    };
    Ok(stored.unwrap_or(Stored::Null))
}
