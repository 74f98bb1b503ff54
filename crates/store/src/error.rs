use sea_orm::{DbErr, SqlErr};

/// What a store function can fail with; each says what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row does not exist or belongs to another account: `<Entity> not found`.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// Something that must be unique is taken.
    #[error("{0} already exists")]
    Conflict(&'static str),
    /// Another row still points at it.
    #[error("{entity} is in use by {by}")]
    InUse { entity: &'static str, by: &'static str },
    /// The account would be without an active user who may administrate it.
    #[error("The account needs another Admin first")]
    LastAdmin,
    /// The balance is smaller than the charge; nothing was written.
    #[error("Not enough account balance")]
    InsufficientBalance,
    /// A value no row can hold, by the name of its field.
    #[error("{field}: {message}")]
    Invalid { field: &'static str, message: String },
    /// A sealed value does not open with the key in use.
    #[error("a sealed value does not open with this key")]
    Sealed,
    /// The key file, or the random source.
    #[error("key file: {0}")]
    Key(String),
    #[error("database: {0}")]
    Database(DbErr),
}

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A word that is not of the set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} `{word}`")]
pub struct UnknownWord {
    pub kind: &'static str,
    pub word: String,
}

impl StoreError {
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> StoreError {
        StoreError::Invalid { field, message: message.into() }
    }
}

/// Constraint violations that no function checked for beforehand come through here as what they mean.
impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> StoreError {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => StoreError::Conflict("Entity"),
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => {
                StoreError::InUse { entity: "Entity", by: "another entity" }
            }
            _ => StoreError::Database(error),
        }
    }
}

/// Names the entity that a unique constraint protects.
pub(crate) trait OrConflict<T> {
    fn or_conflict(self, entity: &'static str) -> Result<T>;
}

impl<T> OrConflict<T> for std::result::Result<T, DbErr> {
    fn or_conflict(self, entity: &'static str) -> Result<T> {
        self.map_err(|e| match StoreError::from(e) {
            StoreError::Conflict(_) => StoreError::Conflict(entity),
            other => other,
        })
    }
}
