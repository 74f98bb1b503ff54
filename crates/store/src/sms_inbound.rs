//! Segments of inbound messages until these are whole, or given up.

use std::time::Duration;

use sea_orm::sea_query::IntoCondition;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

pub use crate::entity::sms_inbound_segment::Model as Segment;
use crate::entity::sms_inbound_segment::{Column, Entity};
use crate::sms::Messages;
use crate::types::now;
use crate::{Result, owned};

/// Messages of one look at what has waited too long, at most.
const TOGETHER: u64 = 256;

/// A segment that has come.
#[derive(Debug, Clone)]
pub struct NewSegment {
    pub carrier: String,
    pub from: u64,
    pub to: u64,
    pub data_coding: u8,
    pub reference: u16,
    /// At least 2.
    pub total: u8,
    /// 1..=total.
    pub number: u8,
    pub octets: Vec<u8>,
}

/// Segments of one message, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfinished {
    pub message: Uuid,
    pub segments: Vec<Segment>,
}

impl Messages<'_> {
    /// Writes a segment, in place of the same one that came before. The last one is not written but given back with the
    /// others, which [`Messages::receive`] forgets in the transaction that writes the message. Those before it count for
    /// `patience`.
    pub async fn segment(&self, new: NewSegment, patience: Duration) -> Result<Option<Unfinished>> {
        let wide = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut row = Segment {
            uuid: Uuid::new_v4(),
            message: Uuid::new_v4(),
            created_on: now(),
            carrier: new.carrier,
            from: wide(new.from),
            to: wide(new.to),
            data_coding: new.data_coding.into(),
            reference: new.reference.into(),
            total: new.total.into(),
            number: new.number.into(),
            octets: new.octets,
        };
        let tx = self.store.begin().await?;
        let same = Condition::all()
            .add(Column::From.eq(row.from))
            .add(Column::To.eq(row.to))
            .add(Column::Carrier.eq(row.carrier.as_str()))
            .add(Column::DataCoding.eq(row.data_coding))
            .add(Column::Reference.eq(row.reference))
            .add(Column::Total.eq(row.total))
            .add(Column::CreatedOn.gt(row.created_on - patience));
        let mut segments = Entity::find().filter(same).all(&tx).await?;
        if let Some(first) = segments.first() {
            row.message = first.message;
        }
        let before = segments.iter().find(|segment| segment.number == row.number).map(|segment| segment.uuid);
        segments.retain(|segment| segment.number != row.number);
        segments.push(row.clone());
        if segments.len() == usize::from(new.total) {
            segments.sort_by_key(|segment| segment.number);
            return Ok(Some(Unfinished { message: row.message, segments }));
        }
        if let Some(before) = before {
            Entity::delete_by_id(before).exec(&tx).await?;
        }
        owned::insert(&tx, row).await?;
        tx.commit().await?;
        Ok(None)
    }

    /// Messages whose first segment has waited for longer, and the oldest of all where more than `keep` segments are there.
    pub async fn unfinished(&self, patience: Duration, keep: u64) -> Result<Vec<Unfinished>> {
        let db = self.store.reader();
        let late = Entity::find()
            .filter(Column::CreatedOn.lte(now() - patience))
            .order_by_asc(Column::CreatedOn)
            .limit(TOGETHER)
            .all(db)
            .await?;
        let surplus = owned::count::<Entity>(db, Condition::all()).await?.saturating_sub(keep);
        let oldest = match surplus {
            0 => Vec::new(),
            _ => Entity::find().order_by_asc(Column::CreatedOn).limit(surplus.min(TOGETHER)).all(db).await?,
        };
        let mut ids: Vec<Uuid> = Vec::new();
        for segment in late.iter().chain(&oldest) {
            if !ids.contains(&segment.message) {
                ids.push(segment.message);
            }
        }
        let of = Column::Message.is_in(ids.clone()).into_condition();
        let all = Entity::find().filter(of).order_by_asc(Column::Number).all(db).await?;
        let message = |message| Unfinished {
            message,
            segments: all.iter().filter(|segment| segment.message == message).cloned().collect(),
        };
        Ok(ids.into_iter().map(message).collect())
    }

    /// Forgets the segments of a message that is not to be received.
    pub async fn forget_unfinished(&self, message: Uuid) -> Result<()> {
        forget(self.store.writer(), message).await
    }
}

pub(crate) async fn forget(db: &impl ConnectionTrait, message: Uuid) -> Result<()> {
    Entity::delete_many().filter(Column::Message.eq(message)).exec(db).await?;
    Ok(())
}
