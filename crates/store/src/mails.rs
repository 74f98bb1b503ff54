//! Mails that wait to be sent. They are of no account: whether somebody has one is found out when a mail is sent.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

pub use crate::entity::mail::Model as Mail;
use crate::entity::mail::{Column, Entity};
use crate::types::{MailKind, now};
use crate::{Result, Store, owned};

/// A mail to be.
#[derive(Debug, Clone)]
pub struct NewMail {
    pub kind: MailKind,
    pub recipient: String,
    pub callback: Option<String>,
    pub subject: Option<Uuid>,
}

impl Store {
    pub fn mails(&self) -> Mails<'_> {
        Mails { store: self }
    }
}

pub struct Mails<'a> {
    store: &'a Store,
}

impl Mails<'_> {
    /// Whether it waits now: not where `limit` mails wait already.
    pub async fn queue(&self, new: NewMail, limit: u64) -> Result<bool> {
        let tx = self.store.begin().await?;
        if owned::count::<Entity>(&tx, Condition::all()).await? >= limit {
            return Ok(false);
        }
        let created_on = now();
        let mail = Mail {
            uuid: Uuid::new_v4(),
            created_on,
            kind: new.kind,
            recipient: new.recipient.to_lowercase(),
            callback: new.callback,
            subject: new.subject,
            attempts: 0,
            next_on: created_on,
        };
        owned::insert(&tx, mail).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// One that is due, for the caller alone: it is due again after `hold`, should nothing be heard of it.
    pub async fn claim(&self, now: DateTime<Utc>, hold: Duration) -> Result<Option<Mail>> {
        loop {
            let due = Entity::find().filter(Column::NextOn.lte(now)).order_by_asc(Column::NextOn);
            let Some(mail) = due.one(self.store.writer()).await? else { return Ok(None) };
            let (attempts, next_on) = (mail.attempts + 1, now + hold);
            let claimed = Entity::update_many()
                .col_expr(Column::Attempts, Expr::value(attempts))
                .col_expr(Column::NextOn, Expr::value(next_on))
                .filter(Column::Uuid.eq(mail.uuid).and(Column::NextOn.eq(mail.next_on)))
                .exec(self.store.writer())
                .await?;
            // Else another node was faster.
            if claimed.rows_affected == 1 {
                return Ok(Some(Mail { attempts, next_on, ..mail }));
            }
        }
    }

    /// It is tried again from then on.
    pub async fn postpone(&self, uuid: Uuid, until: DateTime<Utc>) -> Result<()> {
        let again = Entity::update_many().col_expr(Column::NextOn, Expr::value(until));
        again.filter(Column::Uuid.eq(uuid)).exec(self.store.writer()).await?;
        Ok(())
    }

    /// It was sent, or never will be.
    pub async fn forget(&self, uuid: Uuid) -> Result<()> {
        Entity::delete_by_id(uuid).exec(self.store.writer()).await?;
        Ok(())
    }

    /// When the next one is due.
    pub async fn next(&self) -> Result<Option<DateTime<Utc>>> {
        let first = Entity::find().order_by_asc(Column::NextOn).one(self.store.writer()).await?;
        Ok(first.map(|mail| mail.next_on))
    }
}
