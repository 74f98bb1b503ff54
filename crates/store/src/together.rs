//! Reads of one kind that are asked for at the same time become one statement.
//!
//! While one is under way, who asks waits for the next. A read begins after all who get its rows have asked: each sees what
//! was written before.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::{Result, Store, bulk};

/// Keys of one statement at most.
const KEYS: usize = 64;
/// How long who waits does so before they read themselves: a connection that hangs holds up nobody else.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads the rows of these keys; those without a row are left out.
type Read<K, V> = fn(Store, Vec<K>) -> BoxFuture<'static, Result<HashMap<K, V>>>;

/// Rows by a key.
pub(crate) struct Together<K, V> {
    read: Read<K, V>,
    asked: Mutex<Asked<K, V>>,
}

struct Asked<K, V> {
    /// Whether somebody reads.
    is_reading: bool,
    waiting: Vec<(K, oneshot::Sender<Option<V>>)>,
}

/// To be the one who reads. When it ends, however that is, who waits has theirs.
struct Turn<K: Key, V: Row> {
    rows: Arc<Together<K, V>>,
    store: Store,
}

pub(crate) trait Key: Clone + Eq + Hash + Send + 'static {}
impl<K: Clone + Eq + Hash + Send + 'static> Key for K {}

pub(crate) trait Row: Clone + Send + 'static {}
impl<V: Clone + Send + 'static> Row for V {}

impl<K: Key, V: Row> Together<K, V> {
    pub(crate) fn new(read: Read<K, V>) -> Arc<Together<K, V>> {
        Arc::new(Together { read, asked: Mutex::new(Asked { is_reading: false, waiting: Vec::new() }) })
    }

    /// The row of a key as it is now, or later.
    pub(crate) async fn get(self: &Arc<Self>, store: &Store, key: K) -> Result<Option<V>> {
        let waits = {
            let mut asked = self.asked.lock();
            if std::mem::replace(&mut asked.is_reading, true) {
                let (row, waits) = oneshot::channel();
                asked.waiting.push((key.clone(), row));
                Some(waits)
            } else {
                None
            }
        };
        let turn = || Turn { rows: self.clone(), store: store.clone() };
        let _turn = match waits {
            None => Some(turn()),
            Some(waits) => match timeout(PATIENCE, waits).await {
                Ok(Ok(row)) => return Ok(row),
                // What failed need not be this key's fault.
                Ok(Err(_)) => None,
                Err(_) => Some(turn()),
            },
        };
        Ok((self.read)(store.clone(), vec![key.clone()]).await?.remove(&key))
    }
}

impl<K: Key, V: Row> Turn<K, V> {
    async fn take(self) {
        let mut waiting = {
            let mut asked = self.rows.asked.lock();
            let count = asked.waiting.len().min(KEYS);
            asked.waiting.drain(..count).collect::<Vec<_>>()
        };
        // Nobody reads for who has gone.
        waiting.retain(|(_, row)| !row.is_closed());
        let keys: HashSet<K> = waiting.iter().map(|(key, _)| key.clone()).collect();
        if keys.is_empty() {
            return;
        }
        if let Ok(rows) = (self.rows.read)(self.store.clone(), bulk::padded(keys)).await {
            for (key, row) in waiting {
                let _ = row.send(rows.get(&key).cloned());
            }
        }
    }
}

impl<K: Key, V: Row> Drop for Turn<K, V> {
    fn drop(&mut self) {
        let mut asked = self.rows.asked.lock();
        match Handle::try_current() {
            Ok(runtime) if !asked.waiting.is_empty() => {
                let next = Turn { rows: self.rows.clone(), store: self.store.clone() };
                drop(asked);
                runtime.spawn(next.take());
            }
            // Without a runtime those who wait read for themselves.
            _ => *asked = Asked { is_reading: false, waiting: Vec::new() },
        }
    }
}

impl<K, V> fmt::Debug for Together<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use tokio::sync::Semaphore;
    use tokio::task::{JoinHandle, yield_now};

    use super::*;
    use crate::StoreError;

    /// Even keys have a row, ten times the key; 13 fails whoever asks for it.
    async fn read(keys: Vec<u32>) -> Result<HashMap<u32, u32>> {
        if keys.contains(&13) {
            return Err(StoreError::NotFound("13"));
        }
        Ok(keys.into_iter().filter(|key| key % 2 == 0).map(|key| (key, key * 10)).collect())
    }

    /// Asks for each key, in this order, after `first` is under way.
    async fn ask(rows: &Arc<Together<u32, u32>>, first: u32, then: &[u32]) -> Vec<JoinHandle<Result<Option<u32>>>> {
        let store = Store::in_memory().await.unwrap();
        let get = |key| {
            let (rows, store) = (rows.clone(), store.clone());
            tokio::spawn(async move { rows.get(&store, key).await })
        };
        let mut asked = vec![get(first)];
        while !rows.asked.lock().is_reading {
            yield_now().await;
        }
        for (count, key) in then.iter().enumerate() {
            asked.push(get(*key));
            while rows.asked.lock().waiting.len() <= count {
                yield_now().await;
            }
        }
        asked
    }

    async fn answers(asked: Vec<JoinHandle<Result<Option<u32>>>>) -> Vec<Option<Option<u32>>> {
        let mut answers = Vec::new();
        for one in asked {
            answers.push(one.await.unwrap().ok());
        }
        answers
    }

    #[tokio::test]
    async fn who_asks_while_others_read_is_read_for_with_those_who_wait() {
        static KEYS_READ: Mutex<Vec<Vec<u32>>> = Mutex::new(Vec::new());
        static GATE: Semaphore = Semaphore::const_new(0);
        let rows = Together::new(|_, mut keys| {
            async move {
                GATE.acquire().await.unwrap().forget();
                keys.sort_unstable();
                KEYS_READ.lock().push(keys.clone());
                read(keys).await
            }
            .boxed()
        });
        let asked = ask(&rows, 2, &[4, 5, 6, 4]).await;
        GATE.add_permits(2);
        assert_eq!(answers(asked).await, [Some(Some(20)), Some(Some(40)), Some(None), Some(Some(60)), Some(Some(40))]);
        let keys_read = KEYS_READ.lock().clone();
        assert_eq!(keys_read.len(), 2);
        assert_eq!(keys_read[0], [2]);
        // Three keys, and one of them again.
        assert_eq!(keys_read[1].len(), 4);
        assert_eq!(keys_read[1].iter().collect::<HashSet<_>>(), HashSet::from([&4, &5, &6]));
        assert!(!rows.asked.lock().is_reading);
    }

    #[tokio::test]
    async fn one_that_fails_fails_nobody_else() {
        static GATE: Semaphore = Semaphore::const_new(0);
        let rows = Together::new(|_, keys| {
            async move {
                GATE.acquire().await.unwrap().forget();
                read(keys).await
            }
            .boxed()
        });
        let asked = ask(&rows, 2, &[4, 13, 5]).await;
        GATE.add_permits(5);
        assert_eq!(answers(asked).await, [Some(Some(20)), Some(Some(40)), None, Some(None)]);
    }

    #[tokio::test]
    async fn who_gives_up_while_reading_leaves_nobody_waiting() {
        static GATE: Semaphore = Semaphore::const_new(0);
        let rows = Together::new(|_, keys| {
            async move {
                GATE.acquire().await.unwrap().forget();
                read(keys).await
            }
            .boxed()
        });
        let mut asked = ask(&rows, 2, &[4]).await;
        asked.remove(0).abort();
        GATE.add_permits(1);
        assert_eq!(answers(asked).await, [Some(Some(40))]);
    }

    #[tokio::test]
    async fn a_connection_that_hangs_holds_up_one_read() {
        static READS: AtomicUsize = AtomicUsize::new(0);
        let rows = Together::new(|_, keys| {
            async move {
                if READS.fetch_add(1, Ordering::Relaxed) == 0 {
                    std::future::pending::<()>().await;
                }
                read(keys).await
            }
            .boxed()
        });
        let mut asked = ask(&rows, 2, &[4, 6]).await;
        tokio::time::pause();
        let hangs = asked.remove(0);
        assert_eq!(answers(asked).await, [Some(Some(40)), Some(Some(60))]);
        assert!(!hangs.is_finished());
        hangs.abort();
    }
}
