//! Changes of messages whose events are not in the log yet: each is written with the change itself and deleted with the
//! event, so that who dies in between tells of it at the next start.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::Utc;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::Result;
use crate::bulk::{self, Conflict};
pub use crate::entity::sms_untold::Model as Untold;
use crate::entity::sms_untold::{Column, Entity};
use crate::sms::{Messages, Sms};
use crate::types::SmsState;
use crate::writer::Db;

/// The last place given out.
static PLACE: AtomicI64 = AtomicI64::new(0);

impl Untold {
    /// The message as it was then.
    pub fn of(self, sms: Sms) -> Sms {
        let Untold { state, delivered, reason, modified_on, .. } = self;
        Sms { state, delivered, reason, modified_on, ..sms }
    }
}

/// Names a message and what it has become.
pub fn untold_id(sms: &Sms) -> Uuid {
    let step = match (sms.state, sms.delivered) {
        (SmsState::Created, _) => 1,
        (SmsState::Sending, _) => 2,
        (SmsState::Success, false) => 3,
        (SmsState::Success, true) => 4,
        (SmsState::Failed, _) => 5,
    };
    Uuid::from_u128(sms.uuid.as_u128() ^ step)
}

impl Messages<'_> {
    /// What is not told yet, in its order, after a place.
    pub async fn untold(&self, after: i64, limit: u64) -> Result<Vec<Untold>> {
        let later = Entity::find().filter(Column::Place.gt(after)).order_by_asc(Column::Place).limit(limit);
        Ok(later.all(self.store.reader()).await?)
    }
}

/// The events of these messages, as they are now, are to be told.
pub(crate) async fn note<'a>(db: &impl Db, messages: impl Iterator<Item = &'a Sms> + Send) -> Result<()> {
    let rows = messages.map(|sms| Untold {
        uuid: untold_id(sms),
        sms: sms.uuid,
        account: sms.account,
        state: sms.state,
        delivered: sms.delivered,
        reason: sms.reason.clone(),
        modified_on: sms.modified_on,
        place: place(),
    });
    let conflict = Conflict::Update { key: Column::Uuid, keep: &[] };
    bulk::insert::<Entity, _>(db, rows.collect(), &conflict).await?;
    Ok(())
}

/// In the transaction that writes the events.
pub(crate) async fn told(db: &impl Db, events: &[Uuid]) -> Result<()> {
    bulk::delete::<Entity>(db, Column::Uuid, events).await?;
    Ok(())
}

/// Microseconds since 1970, or one more than the last.
fn place() -> i64 {
    let now = Utc::now().timestamp_micros();
    let next = |last: i64| now.max(last + 1);
    let last = PLACE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    last.map_or(now, next)
}
