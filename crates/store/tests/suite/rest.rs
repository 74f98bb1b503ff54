use std::time::Duration;

use opentact_store::events::Batch;
use opentact_store::idempotency::Begun;
use opentact_store::subscriptions::NewSubscription;
use opentact_store::types::{Channel, DeliveryState, EventType, now};
use opentact_store::webhooks::{DeliveryFilter, WebhookAttempt, WebhookDelivery};
use opentact_store::{Search, Store, StoreError};
use uuid::Uuid;

use crate::world::{on_both, tenant};

on_both! {
    async fn a_key_is_answered_once(world: &World) {
        let keys = world.store.idempotency();
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        assert_eq!(keys.begin(a, "k", "POST /rest/call 1").await.unwrap(), Begun::New);
        assert_eq!(keys.begin(a, "k", "POST /rest/call 1").await.unwrap(), Begun::Running);
        assert_eq!(keys.begin(a, "k", "POST /rest/call 2").await.unwrap(), Begun::Differs);
        assert_eq!(keys.begin(b, "k", "POST /rest/call 2").await.unwrap(), Begun::New, "another account's");
        keys.finish(a, "k", 201, "{}").await.unwrap();
        let answered = Begun::Answered { status: 201, body: "{}".into() };
        assert_eq!(keys.begin(a, "k", "POST /rest/call 1").await.unwrap(), answered);
        assert_eq!(keys.begin(a, "k", "POST /rest/call 2").await.unwrap(), Begun::Differs);
        keys.abandon(a, "k").await.unwrap();
        assert_eq!(keys.begin(a, "k", "POST /rest/call 1").await.unwrap(), answered, "an answer stays");
        keys.abandon(b, "k").await.unwrap();
        assert_eq!(keys.begin(b, "k", "POST /rest/call 3").await.unwrap(), Begun::New);
        keys.abandon_running().await.unwrap();
        assert_eq!(keys.begin(b, "k", "POST /rest/call 4").await.unwrap(), Begun::New);
    }

    async fn of_many_at_once_one_is_first(world: &World) {
        let account = Uuid::new_v4();
        let attempts = (0..8).map(|_| {
            let store = world.store.clone();
            tokio::spawn(async move { store.idempotency().begin(account, "k", "same").await.unwrap() })
        });
        let begun: Vec<_> = futures_util::future::join_all(attempts).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(begun.iter().filter(|b| **b == Begun::New).count(), 1);
        assert_eq!(begun.iter().filter(|b| **b == Begun::Running).count(), 7);
    }

    async fn subscriptions_are_a_users_own(world: &World) {
        let subscriptions = world.store.subscriptions();
        let (ada, user) = tenant(&world.store, "ada", 0).await;
        let (bob, other) = tenant(&world.store, "bob", 0).await;
        let new = NewSubscription {
            channel: Channel::Wss,
            kind: EventType::CallState,
            is_active: true,
            expired_on: Some(now() + Duration::from_secs(60)),
            url: None,
            failover_url: None,
            secret: None,
            filters: None,
        };
        let theirs = subscriptions.create(bob.uuid, user.uuid, new.clone()).await;
        assert!(matches!(theirs, Err(StoreError::NotFound("User"))));
        let mine = subscriptions.create(ada.uuid, user.uuid, new).await.unwrap();
        assert_eq!(subscriptions.list(ada.uuid, user.uuid).await.unwrap(), std::slice::from_ref(&mine));
        assert_eq!(subscriptions.list(bob.uuid, other.uuid).await.unwrap(), []);
        let off = subscriptions.update(ada.uuid, user.uuid, mine.uuid, None, |s| s.is_active = false).await.unwrap();
        assert_eq!(subscriptions.get(ada.uuid, user.uuid, mine.uuid).await.unwrap(), off);
        assert!(subscriptions.delete(bob.uuid, other.uuid, mine.uuid).await.is_err());
        subscriptions.delete(ada.uuid, user.uuid, mine.uuid).await.unwrap();
        assert!(subscriptions.get(ada.uuid, user.uuid, mine.uuid).await.is_err());
    }

    async fn a_webhook_has_a_secret_of_its_own_or_ours(world: &World) {
        let subscriptions = world.store.subscriptions();
        let (ada, user) = tenant(&world.store, "ada", 0).await;
        let new = NewSubscription {
            channel: Channel::Webhook,
            kind: EventType::Sms,
            is_active: true,
            expired_on: None,
            url: Some("https://example.com/told".into()),
            failover_url: None,
            secret: Some("known to both of us".into()),
            filters: None,
        };
        let own = subscriptions.create(ada.uuid, user.uuid, new.clone()).await.unwrap();
        assert_eq!(subscriptions.secret(&own).unwrap(), "known to both of us");
        let made = subscriptions.create(ada.uuid, user.uuid, NewSubscription { secret: None, ..new }).await.unwrap();
        let secret = subscriptions.secret(&made).unwrap();
        assert!(secret.starts_with("whsec_") && secret.len() == 70, "{secret}");
        assert_eq!(subscriptions.secret(&made).unwrap(), secret, "the same each time");
        let changes = subscriptions.changes();
        let other = Some("another secret".to_owned());
        let changed = subscriptions.update(ada.uuid, user.uuid, own.uuid, other, |_| {}).await.unwrap();
        assert_eq!(subscriptions.secret(&changed).unwrap(), "another secret");
        assert!(subscriptions.changes() > changes);
        let mut found = subscriptions.webhooks(&[ada.uuid, Uuid::new_v4()]).await.unwrap();
        found.sort_by_key(|subscription| subscription.created_on);
        assert_eq!(found, [changed, made]);
    }

    async fn deliveries_wait_are_settled_made_again_and_pruned(world: &World) {
        let (webhooks, account, hook) = (world.store.webhooks(), Uuid::new_v4(), Uuid::new_v4());
        let noon = now() - Duration::from_secs(3600);
        let delivery = |seq: i64| WebhookDelivery {
            uuid: Uuid::new_v4(),
            created_on: noon,
            modified_on: noon,
            account,
            hook,
            subscription: Some(hook),
            sip_control_app: None,
            event: Uuid::new_v4(),
            seq,
            kind: EventType::Sms,
            ref_id: None,
            state: DeliveryState::Waiting,
            attempts: 0,
            since: noon,
            next_on: Some(noon),
            reason: None,
            body: "{\"type\":\"sms\"}".to_owned().into(),
            callback: false,
        };
        let (first, second) = (delivery(1), delivery(2));
        let batch = Batch { deliveries: vec![second.clone(), first.clone()], ..Batch::default() };
        world.store.events().commit(batch).await.unwrap();
        let mine = async || webhooks.waiting(hook, 1_000).await.unwrap();
        assert!(webhooks.hooks_waiting().await.unwrap().contains(&hook));
        assert_eq!(mine().await, [first.clone(), second.clone()]);
        assert_eq!(webhooks.redeliver(account, first.uuid).await.unwrap(), None, "it waits already");

        let attempt = |number| WebhookAttempt {
            delivery: first.uuid,
            number,
            created_on: noon,
            url: "https://example.com".into(),
            status: Some(503),
            reason: None,
            duration_ms: 5,
        };
        let later = WebhookDelivery { attempts: 1, reason: Some("answered 503".into()), ..first.clone() };
        webhooks.settle(vec![later], vec![attempt(1)]).await.unwrap();
        let told = WebhookDelivery { state: DeliveryState::Delivered, attempts: 2, next_on: None, ..first.clone() };
        webhooks.settle(vec![told.clone()], vec![attempt(2)]).await.unwrap();
        assert_eq!(webhooks.get(account, first.uuid).await.unwrap(), told);
        assert_eq!(webhooks.attempts(first.uuid).await.unwrap(), [attempt(1), attempt(2)]);
        assert_eq!(mine().await, std::slice::from_ref(&second));
        let state = Some(DeliveryState::Delivered);
        let filter = DeliveryFilter { state, ..DeliveryFilter::default() };
        assert_eq!(webhooks.search(account, filter, Search::first(10)).await.unwrap().data, std::slice::from_ref(&told));

        assert!(webhooks.redeliver(Uuid::new_v4(), first.uuid).await.is_err());
        let again = webhooks.redeliver(account, first.uuid).await.unwrap().unwrap();
        assert_eq!((again.state, again.attempts), (DeliveryState::Waiting, 2));
        assert!(again.since > noon && again.next_on == Some(again.since));
        webhooks.settle(vec![told], Vec::new()).await.unwrap();
        assert_eq!(webhooks.prune(noon, 10).await.unwrap(), 0);
        assert!(webhooks.prune(now(), 1_000).await.unwrap() >= 1);
        assert!(webhooks.get(account, first.uuid).await.is_err() && webhooks.attempts(first.uuid).await.unwrap().is_empty());
        assert_eq!(mine().await, [second], "what waits is not pruned");
    }
}

#[tokio::test]
async fn a_database_in_memory_is_whole() {
    let store = Store::in_memory().await.unwrap();
    store.ping().await.unwrap();
    let (account, _) = tenant(&store, "ada", 3).await;
    assert_eq!(store.accounts().get(account.uuid).await.unwrap().name, "ada");
}
