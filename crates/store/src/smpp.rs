//! What customers' own SMPP software submits and is to be told.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

pub use crate::entity::smpp_submit::Model as Submit;
use crate::entity::smpp_submit::{Column, Entity};
use crate::entity::{smpp_inbound, sms};
use crate::sms::Sms;
use crate::types::{Tn, now};
use crate::writer::Db;
use crate::{Result, Store, bulk, owned};

/// A submit_sm to be.
#[derive(Debug, Clone)]
pub struct NewSubmit {
    pub uuid: Uuid,
    pub token: Uuid,
    pub from: Tn,
    pub to: Tn,
    pub data_coding: u8,
    /// Reference, total and number of a segment; `None` for a message of one.
    pub place: Option<(u16, u8, u8)>,
    /// User data without header.
    pub octets: Vec<u8>,
    /// SMPP 3.4 5.2.17, its two lowest bits.
    pub receipt: u8,
}

impl Store {
    pub fn smpp(&self) -> Smpp<'_> {
        Smpp { store: self }
    }
}

pub struct Smpp<'a> {
    store: &'a Store,
}

impl Smpp<'_> {
    /// Writes a submit_sm. Returns it, and all segments in order once the message is whole. A segment that comes again takes
    /// the place of the first, which was not answered.
    pub async fn submit(&self, account: Uuid, new: NewSubmit) -> Result<(Submit, Option<Vec<Submit>>)> {
        let (reference, total, number) = new.place.unwrap_or((0, 1, 1));
        let row = Submit {
            uuid: new.uuid,
            created_on: now(),
            account,
            token: new.token,
            from: new.from,
            to: new.to,
            data_coding: new.data_coding.into(),
            reference: reference.into(),
            total: total.into(),
            number: number.into(),
            octets: new.octets,
            receipt: new.receipt.into(),
            sms: None,
            due: false,
        };
        let tx = self.store.begin().await?;
        if total == 1 {
            owned::insert(&tx, row.clone()).await?;
            tx.commit().await?;
            return Ok((row.clone(), Some(vec![row])));
        }
        let same = Condition::all()
            .add(Column::Token.eq(new.token))
            .add(Column::From.eq(row.from))
            .add(Column::To.eq(row.to))
            .add(Column::DataCoding.eq(row.data_coding))
            .add(Column::Reference.eq(row.reference))
            .add(Column::Total.eq(row.total))
            .add(Column::Sms.is_null())
            .add(Column::Due.eq(false));
        Entity::delete_many().filter(same.clone().add(Column::Number.eq(row.number))).exec(&tx).await?;
        owned::insert(&tx, row.clone()).await?;
        let parts = Entity::find().filter(same).order_by_asc(Column::Number).all(&tx).await?;
        tx.commit().await?;
        let whole = parts.len() == usize::from(total);
        Ok((row, whole.then_some(parts)))
    }

    /// What came of it is told otherwise.
    pub async fn forget(&self, submits: &[Uuid]) -> Result<()> {
        Entity::delete_many().filter(Column::Uuid.is_in(submits.to_vec())).exec(self.store.writer()).await?;
        Ok(())
    }

    /// Of segments that were answered before their message was refused, or never became whole: each that wants a receipt is
    /// to be told that it failed.
    pub async fn fail(&self, submits: &[Uuid]) -> Result<()> {
        let tx = self.store.begin().await?;
        settle(&tx, Column::Uuid.is_in(submits.to_vec()).into_condition(), false).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Fails what has waited for its other segments for longer; the accounts that are to be told.
    pub async fn give_up(&self, patience: Duration) -> Result<Vec<Uuid>> {
        let late = Column::Sms.is_null().and(Column::Due.eq(false)).and(Column::CreatedOn.lt(now() - patience));
        let late = Entity::find().filter(late).limit(1_000).all(self.store.reader()).await?;
        let ids: Vec<Uuid> = late.iter().map(|row| row.uuid).collect();
        if !ids.is_empty() {
            self.fail(&ids).await?;
        }
        let mut accounts: Vec<Uuid> = late.into_iter().map(|row| row.account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        Ok(accounts)
    }

    /// Receipts that a token's binds are to be told, the oldest first, with their messages as they are now.
    pub async fn receipts(&self, token: Uuid, limit: u64) -> Result<Vec<(Submit, Option<Sms>)>> {
        let due = Entity::find().filter(Column::Token.eq(token)).filter(Column::Due.eq(true));
        let due = due.order_by_asc(Column::CreatedOn).limit(limit).all(self.store.reader()).await?;
        let ids: Vec<Uuid> = due.iter().filter_map(|row| row.sms).collect();
        let messages = sms::Entity::find().filter(sms::Column::Uuid.is_in(ids)).all(self.store.reader()).await?;
        let of = |row: &Submit| messages.iter().find(|sms| Some(sms.uuid) == row.sms).cloned();
        Ok(due.into_iter().map(|row| (row.clone(), of(&row))).collect())
    }

    /// Inbound messages that the account's binds are to be told, the oldest first.
    pub async fn inbound(&self, account: Uuid, limit: u64) -> Result<Vec<Sms>> {
        let due = smpp_inbound::Entity::find().filter(smpp_inbound::Column::Account.eq(account));
        let due = due.order_by_asc(smpp_inbound::Column::CreatedOn).limit(limit).all(self.store.reader()).await?;
        let ids: Vec<Uuid> = due.into_iter().map(|row| row.sms).collect();
        let messages = sms::Entity::find().filter(sms::Column::Uuid.is_in(ids)).order_by_asc(sms::Column::CreatedOn);
        Ok(messages.all(self.store.reader()).await?)
    }

    /// An ESME has it.
    pub async fn inbound_told(&self, sms: Uuid) -> Result<()> {
        let told = smpp_inbound::Entity::delete_many().filter(smpp_inbound::Column::Sms.eq(sms));
        told.exec(self.store.writer()).await?;
        Ok(())
    }

    /// Deletes what nobody has fetched for so long.
    pub async fn prune(&self, keep: Duration) -> Result<()> {
        let old = now() - keep;
        Entity::delete_many()
            .filter(Column::Due.eq(true).and(Column::CreatedOn.lt(old)))
            .exec(self.store.writer())
            .await?;
        let inbound = smpp_inbound::Entity::delete_many().filter(smpp_inbound::Column::CreatedOn.lt(old));
        inbound.exec(self.store.writer()).await?;
        Ok(())
    }
}

/// Segments have become a message, in the transaction that queues it.
pub(crate) async fn link(db: &impl Db, submits: &[Uuid], sms: Uuid) -> Result<()> {
    if submits.is_empty() {
        return Ok(());
    }
    let nothing: Vec<u8> = Vec::new();
    let linked = Entity::update_many()
        .col_expr(Column::Sms, Expr::value(sms))
        .col_expr(Column::Octets, Expr::value(nothing))
        .filter(Column::Uuid.is_in(submits.to_vec()));
    db.run(linked.build(db.backend())).await?;
    Ok(())
}

/// Messages have come to an end, in the transaction that says so.
pub(crate) async fn ended(db: &impl Db, messages: Vec<Uuid>, delivered: bool) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    settle(db, Column::Sms.is_in(bulk::padded(messages)).into_condition(), delivered).await
}

async fn settle(db: &impl Db, which: Condition, delivered: bool) -> Result<()> {
    let wanted = if delivered { [1, 3] } else { [1, 2] };
    let due = Entity::update_many()
        .col_expr(Column::Due, Expr::value(true))
        .filter(which.clone().add(Column::Receipt.is_in(wanted)));
    db.run(due.build(db.backend())).await?;
    let over = Entity::delete_many().filter(which.add(Column::Due.eq(false)));
    db.run(over.build(db.backend())).await?;
    Ok(())
}

/// An inbound message is to be told to whoever of the account binds.
pub(crate) async fn tell(db: &impl ConnectionTrait, account: Uuid, sms: Uuid) -> Result<()> {
    owned::insert(db, smpp_inbound::Model { sms, account, created_on: now() }).await?;
    Ok(())
}
