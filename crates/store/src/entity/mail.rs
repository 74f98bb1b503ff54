//! Who is to be written to, and why.

use sea_orm::entity::prelude::*;

use super::Date;
use crate::types::MailKind;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mails")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    pub created_on: Date,
    pub kind: MailKind,
    /// E-mail address, lower case.
    pub recipient: String,
    /// URL with `{token}` in it.
    pub callback: Option<String>,
    /// What it is about, where the kind says so.
    pub subject: Option<Uuid>,
    pub attempts: i64,
    /// Not before.
    pub next_on: Date,
}

super::plain!();
