//! Addresses of the host names that trunks are known by.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::dns::Locator;

/// How long the addresses of a name are used before they are looked up again.
const FRESH: Duration = Duration::from_secs(60);
/// Names remembered at most.
const NAMES: u64 = 10_000;

type Addresses = Arc<Vec<IpAddr>>;

/// Each name is looked up once a minute as long as somebody asks for it; while it cannot be, it keeps its last addresses.
pub(super) struct Names {
    fresh: Cache<String, Addresses>,
    last: Cache<String, Addresses>,
}

impl Names {
    pub(super) fn new() -> Self {
        let fresh = Cache::builder().max_capacity(NAMES).time_to_live(FRESH).build();
        Self { fresh, last: Cache::builder().max_capacity(NAMES).build() }
    }

    pub(super) async fn addresses(&self, locator: &Locator, host: &str) -> Addresses {
        self.fresh.get_with_by_ref(host, self.look_up(locator, host)).await
    }

    async fn look_up(&self, locator: &Locator, host: &str) -> Addresses {
        let fault = match locator.addresses(host).await {
            Ok(found) => {
                let addresses = Arc::new(found);
                self.last.insert(host.to_owned(), Arc::clone(&addresses)).await;
                return addresses;
            }
            Err(error) => error.to_string(),
        };
        tracing::warn!(host, fault, "the name of a trunk cannot be resolved; its last addresses stay");
        self.last.get(host).await.unwrap_or_default()
    }
}
