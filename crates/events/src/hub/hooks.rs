use std::collections::HashSet;

use chrono::{DateTime, Utc};
use opentact_store::events::Event;
use opentact_store::subscriptions::Subscription;
use opentact_store::types::{DeliveryState, ordered_uuid};
use opentact_store::webhooks::WebhookDelivery;
use opentact_store::{Result, Store};
use serde_json::Value;
use uuid::Uuid;

use super::by_account::ByAccount;
use crate::event::Hook;

/// Who is told of events by HTTP.
#[derive(Default)]
pub(super) struct Hooks {
    known: ByAccount<Vec<Subscription>>,
}

impl Hooks {
    /// Reads the subscriptions of those accounts of which they are not known as they are now.
    pub(super) async fn look_up(&mut self, store: &Store, accounts: &HashSet<Uuid>) -> Result<()> {
        let (missing, now) = self.known.missing(accounts, store.subscriptions().changes());
        if missing.is_empty() {
            return Ok(());
        }
        let rows = store.subscriptions().webhooks(&missing).await?;
        for account in missing {
            self.known.put(account, Vec::new(), now);
        }
        for row in rows {
            if let Some(subscriptions) = self.known.get_mut(row.account) {
                subscriptions.push(row);
            }
        }
        Ok(())
    }

    /// Whom an event is to be told to. `hook` is told of it without having subscribed.
    pub(super) fn deliveries(
        &self,
        event: &Event,
        hook: Option<Hook>,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = WebhookDelivery> {
        let mut body = None;
        let subscribed = self.known.get(event.account).into_iter().flatten();
        let subscribed = subscribed.filter(move |subscription| {
            let lasts = subscription.expired_on.is_none_or(|end| end > now);
            let asked = subscription.is_active && lasts && subscription.kind == event.kind;
            asked
                && subscription.filters.as_ref().is_none_or(|filters| {
                    filters.admit(body.get_or_insert_with(|| serde_json::from_str(&event.body).unwrap_or(Value::Null)))
                })
        });
        let hooks = hook.map(|hook| match hook {
            Hook::App(app) => (app, None, Some(app), false),
            Hook::Callback(of) => (of, None, None, true),
        });
        let subscribed = subscribed.map(|subscription| (subscription.uuid, Some(subscription.uuid), None, false));
        hooks.into_iter().chain(subscribed).map(move |(hook, subscription, sip_control_app, callback)| {
            WebhookDelivery {
                uuid: ordered_uuid(now),
                created_on: now,
                modified_on: now,
                account: event.account,
                hook,
                subscription,
                sip_control_app,
                event: event.uuid,
                seq: event.seq,
                kind: event.kind,
                ref_id: event.ref_id,
                state: DeliveryState::Waiting,
                attempts: 0,
                since: now,
                next_on: Some(now),
                reason: None,
                body: event.body.clone(),
                callback,
            }
        })
    }
}
