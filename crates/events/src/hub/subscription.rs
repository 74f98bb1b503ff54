use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use opentact_store::StoreError;
use uuid::Uuid;

use super::listeners::Ear;
use super::{Filter, Published, Shared};

/// Events read from the log at once.
const PAGE: u64 = 256;

/// Why a subscription ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// It read too slowly (websocket close 4408). Subscribe again after this sequence number.
    #[error("too slow, last event was {after}")]
    Lagged { after: i64 },
    /// The hub was closed.
    #[error("closed")]
    Closed,
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A listener's place. Dropped, it listens no more.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    account: Uuid,
    ear: Ear,
    stage: Stage,
    /// Read from the log, not yet given out.
    page: VecDeque<Arc<Published>>,
    /// Sequence number up to which everything was given out or filtered.
    seen: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Reads the log; nothing is sent to it yet.
    Log,
    /// Is sent to, and reads what the log got in between.
    Gap,
    Live,
}

impl Subscription {
    pub(super) fn new(
        shared: Arc<Shared>,
        account: Uuid,
        user: Option<Uuid>,
        filter: Filter,
        after: Option<i64>,
    ) -> Subscription {
        let stage = if after.is_some() { Stage::Log } else { Stage::Live };
        let ear = shared.listeners.add(account, user, filter, stage == Stage::Log, shared.settings.buffer);
        Subscription { shared, account, ear, stage, page: VecDeque::new(), seen: after.unwrap_or(0) }
    }

    /// The next event. Nothing is lost when the future is dropped before it is ready.
    pub async fn recv(&mut self) -> Result<Arc<Published>, Ended> {
        loop {
            if self.ear.lagged.load(Ordering::Acquire) {
                return Err(Ended::Lagged { after: self.seen });
            }
            if let Some(event) = self.page.pop_front() {
                self.seen = event.seq;
                return Ok(event);
            }
            match self.stage {
                Stage::Live => {
                    let Some(event) = self.ear.receiver.recv().await else { return Err(self.end()) };
                    if event.seq > self.seen {
                        self.seen = event.seq;
                        return Ok(event);
                    }
                }
                Stage::Log | Stage::Gap => self.read_log().await?,
            }
        }
    }

    /// Sequence number after which to resume.
    pub fn seen(&self) -> i64 {
        self.seen
    }

    /// Another set of types from now on. What waits already is still given out.
    pub fn refilter(&self, filter: Filter) {
        self.shared.listeners.set_filter(self.account, self.ear.id, &filter);
    }

    async fn read_log(&mut self) -> Result<(), Ended> {
        let events = self.shared.replay(self.account, self.seen, PAGE).await?;
        let full = events.len() as u64 == PAGE;
        let filter = self.shared.listeners.filter(self.account, self.ear.id);
        if let Some(last) = events.last() {
            self.seen = last.seq;
        }
        let passes = |event: &Published| filter.as_ref().is_some_and(|f| f.passes(event.kind, event.created_on));
        self.page.extend(events.into_iter().filter(passes).map(Arc::new));
        if !full {
            self.stage = match self.stage {
                Stage::Log => {
                    self.shared.listeners.unpause(self.account, self.ear.id);
                    Stage::Gap
                }
                Stage::Gap | Stage::Live => Stage::Live,
            };
        }
        Ok(())
    }

    fn end(&self) -> Ended {
        if self.ear.lagged.load(Ordering::Acquire) { Ended::Lagged { after: self.seen } } else { Ended::Closed }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.listeners.remove(self.account, self.ear.id);
    }
}
