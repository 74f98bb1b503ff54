//! Call records and the log of executed call-flow elements.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::bulk::{self, Conflict};
pub use crate::entity::call::Model as CallRecord;
use crate::entity::call::{Column, Entity};
use crate::entity::call_flow_log;
pub use crate::entity::call_flow_log::Model as CallFlowLog;
use crate::search::{Found, Search, digits_mask, run, searchable, sortable, tn_mask};
use crate::types::{CallState, CallType, Direction, Money, Shown};
use crate::writer::Db;
use crate::{Result, Store, owned};

searchable!(call, {
    "from" => From, "to" => To, "tn" => Tn, "state" => State, "type" => Kind, "direction" => Direction,
    "duration" => Duration,
});
searchable!(call_flow_log, { "name" => Name, "success" => Success, "position" => Position });

/// Objects of a call as they were when it began, in the form of events: later changes of the app do not
/// rewrite history. Cheap to clone: a call is told of in each of its states.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Related {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tn: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_control_app: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_connection: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_user: Option<Shown>,
    /// Who vouches for the caller (STIR/SHAKEN), and the Identity headers that say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stir_shaken: Option<Arc<Value>>,
    /// Who has answered, and by what that was judged, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amd: Option<Arc<Value>>,
    /// How its audio was, once that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Arc<Value>>,
}

#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    pub direction: Option<Direction>,
    /// Mask.
    pub from: Option<String>,
    /// Mask.
    pub to: Option<String>,
    /// Mask.
    pub tn: Option<String>,
    pub state: Option<CallState>,
    /// Instead of `state`: `Some(true)` only calls that are not destroyed, `Some(false)` only those that are.
    pub online: Option<bool>,
    pub kind: Option<CallType>,
    /// Seconds.
    pub duration_min: Option<i64>,
    /// Seconds.
    pub duration_max: Option<i64>,
    pub sip_control_app: Option<Uuid>,
    pub batch_item: Option<Uuid>,
}

/// What is left to know of a call that has cost something.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
pub struct SpentCall {
    pub uuid: Uuid,
    /// Whose spend limits it counts for.
    pub outbound_voice_profile: Uuid,
    pub minute_price: Money,
    pub answer_on: DateTime<Utc>,
    pub hangup_on: DateTime<Utc>,
}

#[derive(Debug, Clone, Default)]
pub struct FlowLogFilter {
    pub name: Option<String>,
    pub success: Option<bool>,
    pub call: Option<Uuid>,
    /// Only of this app, whatever the mode.
    pub sip_control_app: Option<Uuid>,
}

impl Store {
    pub fn calls(&self) -> Calls<'_> {
        Calls { store: self }
    }
}

pub struct Calls<'a> {
    store: &'a Store,
}

impl Calls<'_> {
    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<CallRecord> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// Writes a record, new or again. The batch writer of events does this for calls in progress.
    pub async fn save(&self, record: CallRecord) -> Result<()> {
        Ok(upsert(self.store.writer(), vec![record]).await?)
    }

    /// Legs that have this one as parent, in the order they began.
    pub async fn children(&self, account: Uuid, call: Uuid) -> Result<Vec<CallRecord>> {
        let children = Entity::find().filter(Column::Account.eq(account)).filter(Column::Parent.eq(call));
        Ok(children.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }

    /// Executed elements of a call, in order.
    pub async fn logs(&self, account: Uuid, call: Uuid) -> Result<Vec<CallFlowLog>> {
        let logs = call_flow_log::Entity::find()
            .filter(call_flow_log::Column::Account.eq(account))
            .filter(call_flow_log::Column::Call.eq(call))
            .order_by_asc(call_flow_log::Column::Position);
        Ok(logs.all(self.store.reader()).await?)
    }

    /// Fields that a search of calls may be ordered by.
    pub fn sortable() -> Vec<&'static str> {
        sortable::<Entity>()
    }

    pub async fn search(&self, account: Uuid, filter: CallFilter, search: Search) -> Result<Found<CallRecord>> {
        let filters = [
            filter.direction.map(|v| Column::Direction.eq(v)),
            filter.from.map(|v| digits_mask(Column::From, &v)),
            filter.to.map(|v| digits_mask(Column::To, &v)),
            filter.tn.map(|v| tn_mask(Column::Tn, &v)),
            filter.state.map(|v| Column::State.eq(v)),
            filter.online.map(|online| match online {
                true => Column::State.ne(CallState::Destroyed),
                false => Column::State.eq(CallState::Destroyed),
            }),
            filter.kind.map(|v| Column::Kind.eq(v)),
            filter.duration_min.map(|v| Column::Duration.gte(v)),
            filter.duration_max.map(|v| Column::Duration.lte(v)),
            filter.sip_control_app.map(|v| Column::SipControlApp.eq(v)),
            filter.batch_item.map(|v| Column::BatchItem.eq(v)),
        ];
        let filters = filters.into_iter().flatten().collect();
        run::<Entity>(self.store.reader(), account, Condition::all(), filters, search).await
    }

    /// Fields that a search of logs may be ordered by.
    pub fn logs_sortable() -> Vec<&'static str> {
        sortable::<call_flow_log::Entity>()
    }

    pub async fn search_logs(
        &self,
        account: Uuid,
        filter: FlowLogFilter,
        search: Search,
    ) -> Result<Found<CallFlowLog>> {
        use call_flow_log::Column;
        let filters = [
            filter.name.map(|v| Column::Name.eq(v)),
            filter.success.map(|v| Column::Success.eq(v)),
            filter.call.map(|v| Column::Call.eq(v)),
        ];
        let filters = filters.into_iter().flatten().collect();
        let always = Condition::all().add_option(filter.sip_control_app.map(|v| Column::SipControlApp.eq(v)));
        run::<call_flow_log::Entity>(self.store.reader(), account, always, filters, search).await
    }

    /// Answered calls that count for spend limits and have ended at `since` or later, of all accounts, in the order they
    /// ended: those after `after`, `limit` at most.
    pub async fn spent(&self, since: DateTime<Utc>, after: Option<&SpentCall>, limit: u64) -> Result<Vec<SpentCall>> {
        let later = after.map(|last| {
            let same = Condition::all().add(Column::HangupOn.eq(last.hangup_on)).add(Column::Uuid.gt(last.uuid));
            Condition::any().add(Column::HangupOn.gt(last.hangup_on)).add(same)
        });
        let spent = Condition::all()
            .add(Column::MinutePrice.is_not_null())
            .add(Column::OutboundVoiceProfile.is_not_null())
            .add(Column::AnswerOn.is_not_null())
            .add(Column::HangupOn.gte(since))
            .add_option(later);
        let columns =
            [Column::Uuid, Column::OutboundVoiceProfile, Column::MinutePrice, Column::AnswerOn, Column::HangupOn];
        let found = Entity::find().select_only().columns(columns).filter(spent);
        let found = found.order_by_asc(Column::HangupOn).order_by_asc(Column::Uuid).limit(limit);
        Ok(found.into_model::<SpentCall>().all(self.store.reader()).await?)
    }

    /// Records of all accounts that a node left behind unfinished: to be closed at start.
    pub async fn unfinished(&self) -> Result<Vec<CallRecord>> {
        let unfinished = Entity::find().filter(Column::State.ne(CallState::Destroyed));
        Ok(unfinished.order_by_asc(Column::CreatedOn).all(self.store.reader()).await?)
    }
}

/// Writes records, new or again; each call at most once in `records`.
pub(crate) async fn upsert(db: &impl Db, records: Vec<CallRecord>) -> Result<(), DbErr> {
    let conflict = Conflict::Update { key: Column::Uuid, keep: &[Column::Account, Column::CreatedOn] };
    bulk::insert::<Entity, _>(db, records, &conflict).await
}

pub(crate) async fn insert_logs(db: &impl Db, logs: Vec<CallFlowLog>) -> Result<(), DbErr> {
    bulk::insert::<call_flow_log::Entity, _>(db, logs, &Conflict::Refuse).await
}
