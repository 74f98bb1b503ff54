//! When an account's office is closed.

use uuid::Uuid;

use crate::entity::office_hours::Entity;
pub use crate::entity::office_hours::Model as OfficeHours;
use crate::types::{DayOfWeek, OfficeHoursType, now};
use crate::{Result, Store, StoreError, owned};

/// Entries of one account at most: every call of its apps reads them all.
pub const MOST: u64 = 200;
/// The last second of a day.
pub const LAST_SECOND: i64 = 86_399;

/// An entry to be.
#[derive(Debug, Clone)]
pub struct NewOfficeHours {
    pub name: Option<String>,
    pub kind: OfficeHoursType,
    pub dow: DayOfWeek,
    /// Seconds from midnight, 0 to [`LAST_SECOND`].
    pub time_from: i64,
    /// Not before `time_from`.
    pub time_to: i64,
}

impl Store {
    pub fn office_hours(&self) -> AllOfficeHours<'_> {
        AllOfficeHours { store: self }
    }
}

pub struct AllOfficeHours<'a> {
    store: &'a Store,
}

impl AllOfficeHours<'_> {
    /// [`StoreError::Invalid`] when the account has [`MOST`], or the entry ends before it begins.
    pub async fn create(&self, account: Uuid, by: Option<Uuid>, new: NewOfficeHours) -> Result<OfficeHours> {
        let created_on = now();
        let hours = OfficeHours {
            uuid: Uuid::new_v4(),
            created_on,
            modified_on: created_on,
            account,
            name: new.name,
            kind: new.kind,
            dow: new.dow,
            time_from: new.time_from,
            time_to: new.time_to,
            created_by: by,
            modified_by: by,
        };
        check(&hours)?;
        let tx = self.store.begin().await?;
        owned::refuse_beyond::<Entity>(&tx, account, MOST, "dow", "entries").await?;
        owned::insert(&tx, hours.clone()).await?;
        tx.commit().await?;
        Ok(hours)
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<OfficeHours> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// The account's entries, oldest first.
    pub async fn list(&self, account: Uuid) -> Result<Vec<OfficeHours>> {
        owned::list::<Entity>(self.store.reader(), account).await
    }

    /// Changes what the closure changes; id, account and creation stay. [`StoreError::Invalid`] when it would end before
    /// it begins.
    pub async fn update(
        &self,
        account: Uuid,
        uuid: Uuid,
        by: Option<Uuid>,
        change: impl FnOnce(&mut OfficeHours) + Send,
    ) -> Result<OfficeHours> {
        let tx = self.store.begin().await?;
        let (_, row) = owned::revised::<Entity>(&tx, account, uuid, by, change).await?;
        check(&row)?;
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn delete(&self, account: Uuid, uuid: Uuid) -> Result<()> {
        owned::delete::<Entity>(self.store.writer(), account, uuid).await
    }
}

fn check(hours: &OfficeHours) -> Result<()> {
    if hours.time_to < hours.time_from {
        return Err(StoreError::invalid("time_to", "must not be before time_from; past midnight is the next day's"));
    }
    Ok(())
}
