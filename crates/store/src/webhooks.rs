//! Webhooks: what is still to be told, and what became of it.

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::bulk::{self, Conflict};
use crate::entity::webhook_attempt;
pub use crate::entity::webhook_attempt::Model as WebhookAttempt;
pub use crate::entity::webhook_delivery::Model as WebhookDelivery;
use crate::entity::webhook_delivery::{Column, Entity};
use crate::search::{Found, Search, run, searchable, sortable};
use crate::types::{DeliveryState, EventType, now};
use crate::writer::Db;
use crate::{Result, Store, owned};

searchable!(webhook_delivery, { "state" => State, "type" => Kind, "attempts" => Attempts });

/// Every field narrows, or widens with the mode OR.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub subscription: Option<Uuid>,
    pub sip_control_app: Option<Uuid>,
    pub event: Option<Uuid>,
    pub kind: Option<EventType>,
    pub ref_id: Option<Uuid>,
    pub state: Option<DeliveryState>,
}

impl Store {
    pub fn webhooks(&self) -> Webhooks<'_> {
        Webhooks { store: self }
    }
}

pub struct Webhooks<'a> {
    store: &'a Store,
}

impl Webhooks<'_> {
    /// What a webhook is signed with that has no secret of its own: the same as long as the key of the database is.
    pub fn secret(&self, hook: Uuid) -> String {
        format!("whsec_{}", hex::encode(self.store.derived_key(&format!("webhooks/{hook}"))))
    }

    /// Those, of all accounts, who wait to be told of something.
    pub async fn hooks_waiting(&self) -> Result<Vec<Uuid>> {
        let waiting = Entity::find().select_only().column(Column::Hook).filter(Column::NextOn.is_not_null());
        Ok(waiting.group_by(Column::Hook).into_tuple().all(self.store.reader()).await?)
    }

    /// What one waits to be told, the oldest first.
    pub async fn waiting(&self, hook: Uuid, limit: u64) -> Result<Vec<WebhookDelivery>> {
        let waiting = Entity::find().filter(Column::Hook.eq(hook)).filter(Column::NextOn.is_not_null());
        let oldest = waiting.order_by_asc(Column::CreatedOn).order_by_asc(Column::Seq).limit(limit);
        Ok(oldest.all(self.store.reader()).await?)
    }

    /// Writes deliveries as they are now, with the attempts that made them so.
    pub async fn settle(&self, deliveries: Vec<WebhookDelivery>, attempts: Vec<WebhookAttempt>) -> Result<()> {
        self.store
            .write(move |tx| {
                async move {
                    bulk::insert::<webhook_attempt::Entity, _>(&tx, attempts, &Conflict::Refuse).await?;
                    let keep = [
                        Column::CreatedOn,
                        Column::Account,
                        Column::Hook,
                        Column::Subscription,
                        Column::SipControlApp,
                        Column::Event,
                        Column::Seq,
                        Column::Kind,
                        Column::RefId,
                        Column::Since,
                        Column::Body,
                        Column::Callback,
                    ];
                    bulk::insert::<Entity, _>(&tx, deliveries, &Conflict::Update { key: Column::Uuid, keep: &keep })
                        .await?;
                    Ok(())
                }
                .boxed()
            })
            .await
    }

    pub async fn get(&self, account: Uuid, uuid: Uuid) -> Result<WebhookDelivery> {
        owned::get::<Entity>(self.store.reader(), account, uuid).await
    }

    /// Of one delivery, in their order.
    pub async fn attempts(&self, delivery: Uuid) -> Result<Vec<WebhookAttempt>> {
        use webhook_attempt::{Column, Entity};
        let its = Entity::find().filter(Column::Delivery.eq(delivery)).order_by_asc(Column::Number);
        Ok(its.all(self.store.reader()).await?)
    }

    /// Fields that a search may be ordered by.
    pub fn sortable() -> Vec<&'static str> {
        sortable::<Entity>()
    }

    pub async fn search(
        &self,
        account: Uuid,
        filter: DeliveryFilter,
        search: Search,
    ) -> Result<Found<WebhookDelivery>> {
        let filters = [
            filter.subscription.map(|v| Column::Subscription.eq(v)),
            filter.sip_control_app.map(|v| Column::SipControlApp.eq(v)),
            filter.event.map(|v| Column::Event.eq(v)),
            filter.kind.map(|v| Column::Kind.eq(v)),
            filter.ref_id.map(|v| Column::RefId.eq(v)),
            filter.state.map(|v| Column::State.eq(v)),
        ];
        let filters = filters.into_iter().flatten().collect();
        run::<Entity>(self.store.reader(), account, Condition::all(), filters, search).await
    }

    /// Lets something that is over be told again; `None` while it waits to be told anyway.
    pub async fn redeliver(&self, account: Uuid, uuid: Uuid) -> Result<Option<WebhookDelivery>> {
        let tx = self.store.begin().await?;
        let old = owned::get::<Entity>(&tx, account, uuid).await?;
        if old.state == DeliveryState::Waiting {
            return Ok(None);
        }
        let since = now();
        let state = DeliveryState::Waiting;
        let row = WebhookDelivery { state, since, modified_on: since, next_on: Some(since), ..old };
        owned::update::<Entity>(&tx, account, uuid, row.clone()).await?;
        tx.commit().await?;
        Ok(Some(row))
    }

    /// Deletes what is over and older, of all accounts, no more than `limit`. Returns how many.
    pub async fn prune(&self, than: DateTime<Utc>, limit: u64) -> Result<usize> {
        let old = Query::select()
            .column(Column::Uuid)
            .from(Entity)
            .and_where(Expr::col(Column::CreatedOn).lt(than))
            .and_where(Expr::col(Column::NextOn).is_null())
            .order_by(Column::CreatedOn, Order::Asc)
            .limit(limit)
            .to_owned();
        let tx = self.store.begin().await?;
        let backend = tx.get_database_backend();
        let rows = tx.query_all_raw(backend.build(&old)).await?;
        let old: Vec<Uuid> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<std::result::Result<_, _>>()?;
        bulk::delete::<webhook_attempt::Entity>(&tx, webhook_attempt::Column::Delivery, &old).await?;
        bulk::delete::<Entity>(&tx, Column::Uuid, &old).await?;
        tx.commit().await?;
        Ok(old.len())
    }
}

/// What is to be told of events that are written in the same transaction.
pub(crate) async fn insert(db: &impl Db, rows: Vec<WebhookDelivery>) -> Result<()> {
    bulk::insert::<Entity, _>(db, rows, &Conflict::Refuse).await?;
    Ok(())
}
