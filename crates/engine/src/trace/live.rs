//! SIP messages of the node as they come and go, for whoever watches.

use tokio::sync::broadcast::{self, error::RecvError};

use crate::ports::SipMessage;

/// Messages that a watcher may be behind; of one that is further behind the oldest are skipped, and it is told how many.
const BEHIND: usize = 4096;

/// Where a node's messages are watched. While nobody does, a message costs one atomic load.
#[derive(Debug, Clone)]
pub struct SipWatch {
    sender: broadcast::Sender<SipMessage>,
}

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Message(SipMessage),
    /// This many messages came faster than they were taken.
    Skipped(u64),
}

/// One who watches. It never slows the node.
#[derive(Debug)]
pub struct Watcher {
    receiver: broadcast::Receiver<SipMessage>,
}

impl SipWatch {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(BEHIND) }
    }

    /// Messages from now on.
    #[must_use]
    pub fn watch(&self) -> Watcher {
        Watcher { receiver: self.sender.subscribe() }
    }

    /// Watchers at the moment.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.sender.receiver_count()
    }

    pub(super) fn show(&self, message: impl FnOnce() -> SipMessage) {
        if self.watchers() > 0 {
            // The last watcher may have gone meanwhile.
            let _ = self.sender.send(message());
        }
    }
}

impl Watcher {
    /// The next message; `None` once the node has stopped.
    pub async fn next(&mut self) -> Option<Seen> {
        match self.receiver.recv().await {
            Ok(message) => Some(Seen::Message(message)),
            Err(RecvError::Lagged(skipped)) => Some(Seen::Skipped(skipped)),
            Err(RecvError::Closed) => None,
        }
    }
}
