use std::time::Duration;

use opentact_store::batches::{BatchFilter, Counts, NewBatch, NewItem, Outcome, Terms};
use opentact_store::types::{BatchState, ItemState, now};
use opentact_store::{Search, StoreError};
use serde_json::Map;
use uuid::Uuid;

use crate::world::{on_both, tenant};

fn new() -> NewBatch {
    let terms = Terms { cps: 1.5, max_concurrent: 3, timeout: 60, ..Terms::default() };
    NewBatch { name: Some("autumn".into()), created_by: None, expires_on: None, terms }
}

fn phones(count: u64) -> Vec<NewItem> {
    (0..count).map(|number| NewItem { to: (12_065_550_000 + number).to_string(), vars: Map::new() }).collect()
}

fn ended(state: ItemState) -> Outcome {
    Outcome { state, due_on: None, q850_cause: Some(16), reason: None, amd: None, attempted: true }
}

on_both! {
async fn items_are_taken_in_order_once_each_while_their_batch_runs(world: &World) {
    let batches = world.store.batches();
    let (account, _) = tenant(&world.store, "ada", 0).await;
    let batch = batches.create(account.uuid, new(), phones(5_000)).await.unwrap();
    assert_eq!((batch.state, batch.total), (BatchState::Created, 5_000));
    assert_eq!(batches.open(10).await.unwrap(), std::slice::from_ref(&batch));
    // Nobody is called before it has begun.
    let none = batches.claim(batch.uuid, 10).await.unwrap();
    assert_eq!((none.items.len(), none.state), (0, BatchState::Created));
    batches.begin(batch.uuid).await.unwrap();
    let first = batches.claim(batch.uuid, 2).await.unwrap();
    let second = batches.claim(batch.uuid, 2).await.unwrap();
    let positions: Vec<i64> = first.items.iter().chain(&second.items).map(|item| item.position).collect();
    assert_eq!(positions, [0, 1, 2, 3]);
    assert!(second.next.unwrap() <= now());
    assert!(first.items.iter().all(|item| item.attempts == 1 && item.call.is_some() && item.state == ItemState::Calling));
    assert_eq!(batches.calling(batch.uuid).await.unwrap().len(), 4);

    // One is over, one is to be called later, one could not be begun.
    assert!(!batches.settle(&first.items[0], ended(ItemState::Done)).await.unwrap());
    let later = Outcome { due_on: Some(now() + Duration::from_secs(3_600)), ..ended(ItemState::Waiting) };
    assert!(batches.settle(&first.items[1], later).await.unwrap());
    let not_begun = Outcome { attempted: false, q850_cause: None, ..ended(ItemState::Waiting) };
    assert!(batches.settle(&second.items[0], not_begun).await.unwrap());
    let counts = batches.counts(&[batch.uuid]).await.unwrap()[&batch.uuid];
    assert_eq!(counts, Counts { waiting: 4_998, calling: 1, done: 1, failed: 0 });
    let again = batches.claim(batch.uuid, 1).await.unwrap();
    assert_eq!((again.items[0].position, again.items[0].attempts), (2, 1));
    assert_ne!(again.items[0].call, second.items[0].call);
    let (page, found) = batches.items(account.uuid, batch.uuid, Some(ItemState::Waiting), 0, 2).await.unwrap();
    assert_eq!((page.iter().map(|item| item.position).collect::<Vec<_>>(), found), (vec![1, 4], 4_997));
}

async fn a_batch_is_paused_resumed_and_canceled_and_then_over(world: &World) {
    let batches = world.store.batches();
    let (account, _) = tenant(&world.store, "ada", 0).await;
    let batch = batches.create(account.uuid, new(), phones(3)).await.unwrap();
    batches.begin(batch.uuid).await.unwrap();
    let claimed = batches.claim(batch.uuid, 1).await.unwrap();
    batches.pause(batch.uuid, "Not enough account balance").await.unwrap();
    let paused = batches.get(account.uuid, batch.uuid).await.unwrap();
    assert_eq!((paused.state, paused.reason.as_deref()), (BatchState::Paused, Some("Not enough account balance")));
    assert!(batches.claim(batch.uuid, 1).await.unwrap().items.is_empty());
    // Somebody is being called still.
    assert_eq!(batches.open(10).await.unwrap().len(), 1);
    let running = batches.set_state(account.uuid, batch.uuid, BatchState::Running).await.unwrap();
    assert_eq!((running.state, running.reason), (BatchState::Running, None));
    batches.set_state(account.uuid, batch.uuid, BatchState::Canceled).await.unwrap();
    let counts = batches.counts(&[batch.uuid]).await.unwrap()[&batch.uuid];
    assert_eq!(counts, Counts { waiting: 0, calling: 1, done: 0, failed: 2 });
    assert_eq!(batches.open(10).await.unwrap().len(), 1);
    // Who would be called again is not.
    assert!(!batches.settle(&claimed.items[0], ended(ItemState::Waiting)).await.unwrap());
    assert!(batches.open(10).await.unwrap().is_empty());
    batches.finish(batch.uuid).await.unwrap();
    assert_eq!(batches.state(batch.uuid).await.unwrap(), BatchState::Canceled);
    let refused = batches.set_state(account.uuid, batch.uuid, BatchState::Running).await;
    assert!(matches!(refused, Err(StoreError::Conflict("Batch"))));
}

async fn one_that_expires_while_it_is_paused_is_driven_to_its_end(world: &World) {
    let batches = world.store.batches();
    let (account, _) = tenant(&world.store, "ada", 0).await;
    for (expires, open) in [(Duration::from_secs(3_600), 0), (Duration::ZERO, 1)] {
        let expires_on = Some(now() + expires);
        let batch = batches.create(account.uuid, NewBatch { expires_on, ..new() }, phones(1)).await.unwrap();
        batches.set_state(account.uuid, batch.uuid, BatchState::Paused).await.unwrap();
        assert_eq!(batches.open(10).await.unwrap().len(), open);
    }
}

async fn a_batch_is_seen_by_its_account_only(world: &World) {
    let batches = world.store.batches();
    let ((mine, _), (other, _)) = (tenant(&world.store, "ada", 0).await, tenant(&world.store, "bob", 0).await);
    let batch = batches.create(mine.uuid, new(), phones(1)).await.unwrap();
    let found = |account, name: &str| {
        let filter = BatchFilter { name: Some(name.into()), state: Some(BatchState::Created) };
        async move { batches_of(world, account, filter).await }
    };
    assert_eq!(found(mine.uuid, "aut*").await, [batch.uuid]);
    assert!(found(mine.uuid, "spring").await.is_empty() && found(other.uuid, "aut*").await.is_empty());
    assert!(matches!(batches.get(other.uuid, batch.uuid).await, Err(StoreError::NotFound("Batch"))));
    assert!(world.store.belongs_to_another(other.uuid, "Batch", batch.uuid).await.unwrap());
    let refused = batches.set_state(other.uuid, batch.uuid, BatchState::Canceled).await;
    assert!(matches!(refused, Err(StoreError::NotFound("Batch"))));
    // One that was not written to the end is none.
    let half = batches.create(mine.uuid, new(), Vec::new()).await.unwrap();
    assert!(matches!(batches.get(mine.uuid, half.uuid).await, Err(StoreError::NotFound("Batch"))));
    batches.forget_unwritten().await.unwrap();
    assert!(batches.state(half.uuid).await.is_err());
    assert_eq!(batches.items(mine.uuid, batch.uuid, None, 0, 10).await.unwrap().1, 1);
}
}

async fn batches_of(world: &crate::world::World, account: Uuid, filter: BatchFilter) -> Vec<Uuid> {
    let found = world.store.batches().search(account, filter, Search::first(10)).await.unwrap();
    found.data.iter().map(|batch| batch.uuid).collect()
}
