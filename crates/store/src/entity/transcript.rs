//! What a recording says.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::Date;
use crate::transcripts::Word;
use crate::types::{Json, TranscriptState};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "transcripts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub uuid: Uuid,
    /// When it was asked for.
    pub created_on: Date,
    /// While it waits: when the node that makes it has last said so.
    pub modified_on: Date,
    pub account: Uuid,
    pub record: Uuid,
    pub state: TranscriptState,
    /// BCP 47 or ISO 639: as the engine tells it, else as was asked for.
    pub language: String,
    /// `None` where there is none, and while it waits.
    pub engine: Option<String>,
    pub text: Option<String>,
    /// In order; none where the engine gives no times.
    pub words: Json<Vec<Word>>,
    /// Why there is no text.
    pub error: Option<String>,
}

super::plain!();
