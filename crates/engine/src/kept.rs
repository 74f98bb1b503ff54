//! What is read from the database and kept for a moment, until something has changed.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::future::Cache;

/// Which changes the caches beside it have seen. `invalidate_all` alone lets a read that is under way put back what it read
/// before the change.
#[derive(Debug, Default)]
pub(crate) struct Changes(AtomicU64);

impl Changes {
    /// Something has changed. For before caches are emptied.
    pub(crate) fn happened(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// For before something is read.
    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Keeps what was read, unless something has changed since that began: it may be older than the change.
    pub(crate) async fn keep<K, V>(&self, since: u64, cache: &Cache<K, V>, key: K, value: V)
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        if self.so_far() == since {
            cache.insert(key.clone(), value).await;
        }
        if self.so_far() != since {
            cache.invalidate(&key).await;
        }
    }

    /// What is kept, or else is read now.
    pub(crate) async fn cached<K, V, E>(
        &self,
        cache: &Cache<K, V>,
        key: K,
        read: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        if let Some(known) = cache.get(&key).await {
            return Ok(known);
        }
        let since = self.so_far();
        let value = read.await?;
        self.keep(since, cache, key, value.clone()).await;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (changes, cache) = (Changes::default(), Cache::new(10));
        let read = async {
            changes.happened();
            cache.invalidate_all();
            Ok::<_, Infallible>("old")
        };
        assert_eq!(changes.cached(&cache, (), read).await, Ok("old"));
        assert_eq!(cache.get(&()).await, None);
        assert_eq!(changes.cached(&cache, (), async { Ok::<_, Infallible>("new") }).await, Ok("new"));
        assert_eq!(changes.cached(&cache, (), async { Err("not read") }).await, Ok("new"));
    }
}
