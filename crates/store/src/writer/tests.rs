//! The thread that writes to SQLite, on a file.

use sea_orm::{ColumnTrait, QueryFilter};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::bulk::{self, Conflict};
use crate::entity::{event, sms_untold};
use crate::sms_untold::Untold;
use crate::types::{EventType, SmsState, now};
use crate::{Keyring, Settings, Store};

async fn store() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(format!("sqlite:{}", folder.path().join("store.db").display()));
    let store = Store::connect(&settings, Keyring::ephemeral().unwrap()).await.unwrap();
    store.migrate().await.unwrap();
    (store, folder)
}

fn row(place: i64) -> Untold {
    Untold {
        uuid: Uuid::new_v4(),
        sms: Uuid::new_v4(),
        account: Uuid::new_v4(),
        state: SmsState::Failed,
        delivered: place % 2 == 0,
        reason: (place % 2 == 0).then(|| "Canceled".to_owned()),
        modified_on: now(),
        place,
    }
}

async fn insert(db: &impl Db, rows: Vec<Untold>) -> Result<()> {
    Ok(bulk::insert::<sms_untold::Entity, _>(db, rows, &Conflict::Refuse).await?)
}

/// Writes rows, and then ends so.
async fn write(store: Store, rows: Vec<Untold>, end: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    store
        .write(move |tx| {
            async move {
                insert(&tx, rows).await?;
                end()
            }
            .boxed()
        })
        .await
}

async fn places(store: &Store) -> Vec<i64> {
    let mut places: Vec<i64> =
        sms_untold::Entity::find().all(store.reader()).await.unwrap().into_iter().map(|row| row.place).collect();
    places.sort_unstable();
    places
}

/// What each of these writes ends with, all in one transaction.
async fn together(store: &Store, ends: Vec<Box<dyn FnOnce() -> Result<()> + Send>>) -> Vec<Result<()>> {
    // Nobody writes before all wait.
    let turn = store.begin().await.unwrap();
    let mut writes = Vec::new();
    for (place, end) in (0..).zip(ends) {
        writes.push(Box::pin(write(store.clone(), vec![row(place)], end)));
    }
    for write in &mut writes {
        assert!(write.now_or_never().is_none());
    }
    drop(turn);
    futures_util::future::join_all(writes).await
}

#[tokio::test]
async fn one_that_fails_takes_back_what_it_wrote_and_nothing_else() {
    let (store, _folder) = store().await;
    let ends: Vec<Box<dyn FnOnce() -> Result<()> + Send>> = vec![
        Box::new(|| Ok(())),
        Box::new(|| Err(StoreError::NotFound("SMS"))),
        Box::new(|| panic!("a fault of the job")),
        Box::new(|| Ok(())),
    ];
    let results = together(&store, ends).await;
    assert!(matches!(
        results.as_slice(),
        [Ok(()), Err(StoreError::NotFound("SMS")), Err(StoreError::Database(_)), Ok(())]
    ));
    assert_eq!(places(&store).await, [0, 3]);
}

#[tokio::test]
async fn what_is_violated_is_named() {
    let (store, _folder) = store().await;
    let one = row(1);
    write(store.clone(), vec![one.clone()], || Ok(())).await.unwrap();
    let again = write(store.clone(), vec![row(2), one], || Ok(())).await;
    assert!(matches!(again, Err(StoreError::Conflict("Entity"))), "{again:?}");
    assert_eq!(places(&store).await, [1]);
    // A constraint of one job is not the next one's.
    let other = write(store.clone(), vec![row(3)], || Err(custom("of its own"))).await;
    assert!(matches!(other, Err(StoreError::Database(_))), "{other:?}");
}

#[tokio::test]
async fn values_are_what_the_pool_reads_and_writes() {
    let (store, _folder) = store().await;
    let rows = vec![row(1), row(2)];
    let events: Vec<event::Model> = (1..=3)
        .map(|seq| event::Model {
            account: Uuid::from_u128(1),
            seq,
            uuid: Uuid::new_v4(),
            created_on: now(),
            kind: EventType::Sms,
            ref_id: (seq == 2).then(Uuid::new_v4),
            body: format!("{{\"seq\":{seq}}}").into(),
        })
        .collect();
    let (written, bodies) = (rows.clone(), events.clone());
    let (read, few) = store
        .write(move |tx| {
            async move {
                insert(&tx, written).await?;
                bulk::insert::<event::Entity, _>(&tx, bodies, &Conflict::Refuse).await?;
                let untold = tx.all(sms_untold::Entity::find()).await?;
                Ok((untold, tx.all(event::Entity::find().filter(event::Column::Seq.gt(1))).await?))
            }
            .boxed()
        })
        .await
        .unwrap();
    let sorted = |mut rows: Vec<Untold>| {
        rows.sort_by_key(|row| row.place);
        rows
    };
    assert_eq!(sorted(read), rows);
    assert_eq!(few, events[1..]);
    assert_eq!(sorted(sms_untold::Entity::find().all(store.reader()).await.unwrap()), rows);
    assert_eq!(event::Entity::find().all(store.reader()).await.unwrap(), events);
    let tx = store.begin().await.unwrap();
    assert_eq!(sorted(tx.all(sms_untold::Entity::find()).await.unwrap()), rows);
}

#[tokio::test]
async fn a_job_waits_for_the_database_only() {
    let (store, _folder) = store().await;
    let waits: Result<()> = store.write(|_| std::future::pending().boxed()).await;
    assert!(matches!(waits, Err(StoreError::Database(_))));
    write(store.clone(), vec![row(1)], || Ok(())).await.unwrap();
}

#[tokio::test]
async fn what_waits_is_written_before_the_end_and_nothing_after_it() {
    let (store, folder) = store().await;
    let turn = store.begin().await.unwrap();
    let mut last = Box::pin(write(store.clone(), vec![row(1)], || Ok(())));
    assert!((&mut last).now_or_never().is_none());
    drop(turn);
    store.close().await.unwrap();
    last.await.unwrap();
    assert!(write(store.clone(), vec![row(2)], || Ok(())).await.is_err());
    let settings = Settings::new(format!("sqlite:{}", folder.path().join("store.db").display()));
    let store = Store::connect(&settings, Keyring::ephemeral().unwrap()).await.unwrap();
    assert_eq!(places(&store).await, [1]);
}
