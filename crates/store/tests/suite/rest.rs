use std::time::Duration;

use opentact_store::idempotency::Begun;
use opentact_store::subscriptions::NewSubscription;
use opentact_store::types::{Channel, EventType, now};
use opentact_store::{Store, StoreError};
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
        };
        let theirs = subscriptions.create(bob.uuid, user.uuid, new.clone()).await;
        assert!(matches!(theirs, Err(StoreError::NotFound("User"))));
        let mine = subscriptions.create(ada.uuid, user.uuid, new).await.unwrap();
        assert_eq!(subscriptions.list(ada.uuid, user.uuid).await.unwrap(), std::slice::from_ref(&mine));
        assert_eq!(subscriptions.list(bob.uuid, other.uuid).await.unwrap(), []);
        let off = subscriptions.update(ada.uuid, user.uuid, mine.uuid, |s| s.is_active = false).await.unwrap();
        assert_eq!(subscriptions.get(ada.uuid, user.uuid, mine.uuid).await.unwrap(), off);
        assert!(subscriptions.delete(bob.uuid, other.uuid, mine.uuid).await.is_err());
        subscriptions.delete(ada.uuid, user.uuid, mine.uuid).await.unwrap();
        assert!(subscriptions.get(ada.uuid, user.uuid, mine.uuid).await.is_err());
    }
}

#[tokio::test]
async fn a_database_in_memory_is_whole() {
    let store = Store::in_memory().await.unwrap();
    store.ping().await.unwrap();
    let (account, _) = tenant(&store, "ada", 3).await;
    assert_eq!(store.accounts().get(account.uuid).await.unwrap().name, "ada");
}
