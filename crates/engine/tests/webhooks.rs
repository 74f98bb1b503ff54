//! Webhooks beside each other.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod world;

use std::time::Duration;

use opentact_events::{EventType, NewEvent};
use opentact_store::Search;
use opentact_store::accounts::NewAccount;
use opentact_store::subscriptions::NewSubscription;
use opentact_store::types::{Channel, DeliveryState, Role};
use opentact_store::users::NewUser;
use opentact_store::webhooks::DeliveryFilter;
use uuid::Uuid;
use world::World;
use world::http::serve;

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_down_keeps_no_other_from_being_told_of_everything() {
    let world = World::with(|config| {
        config.webhooks.in_memory = 40;
        config.webhooks.in_memory_per_hook = 8;
        config.webhooks.concurrent_per_hook = 2;
    })
    .await;
    let (server, asked) = serve(|path, _| {
        let status = if path == "/down" { "503 Down" } else { "204 No Content" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    })
    .await;
    let account = NewAccount { name: "ada".into(), email: "ada@example.com".into(), ..NewAccount::default() };
    let user = NewUser::new("ada@example.com", "correct horse", Role::Admin);
    let (account, user) = world.store.users().sign_up(account, user).await.unwrap();
    let subscribe = async |path: &str| {
        let new = NewSubscription {
            channel: Channel::Webhook,
            kind: EventType::Sms,
            is_active: true,
            expired_on: None,
            url: Some(format!("http://{server}{path}")),
            failover_url: None,
            secret: None,
            filters: None,
        };
        world.store.subscriptions().create(account.uuid, user.uuid, new).await.unwrap().uuid
    };
    let (down, up) = (subscribe("/down").await, subscribe("/up").await);
    for number in 0..100 {
        let event = NewEvent::new(account.uuid, EventType::Sms, "told".to_owned(), &number, Uuid::new_v4());
        world.hub().publish(event).unwrap();
    }
    world.hub().flush().await;
    let count = async |subscription, state| {
        let filter =
            DeliveryFilter { subscription: Some(subscription), state: Some(state), ..DeliveryFilter::default() };
        let found = world.store.webhooks().search(account.uuid, filter, Search::first(1)).await.unwrap();
        found.total.unwrap()
    };
    let all = async {
        while count(up, DeliveryState::Delivered).await < 100 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.unwrap();
    assert_eq!(count(down, DeliveryState::Waiting).await, 100);
    assert_eq!(asked.lock().iter().filter(|path| *path == "/up").count(), 100);
}
