//! What is written and told of messages between SIP users (RFC 3428): each is on disk before its sender hears 202.

use std::time::Duration;

use chrono::Utc;
use opentact_events::{Hub, NewEvent};
use opentact_store::Store;
use opentact_store::sip_messages::{Copy, NewSipMessage, SipMessage};
use opentact_store::types::{SmsState, to_millis};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::core::{Message, MessageStep};

/// How often messages that have waited long enough are given up.
const SWEEP: Duration = Duration::from_secs(30);
/// Why one was.
const EXPIRED: &str = "Expired";

/// Limits of messages between SIP users.
#[derive(Debug, Clone)]
pub struct MessageConfig {
    /// Octets of text; a longer message is refused with 413.
    pub max_octets: usize,
    /// Messages that wait for one user; one more is refused with 480.
    pub max_waiting: u64,
    /// How long a message waits at most, whatever its Expires says.
    pub keep: Duration,
}

impl Default for MessageConfig {
    fn default() -> Self {
        Self { max_octets: 8_192, max_waiting: 100, keep: Duration::from_secs(7 * 86_400) }
    }
}

/// The rows and the events of messages. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mailroom {
    store: Store,
    hub: Hub,
    pub(crate) config: MessageConfig,
}

impl Mailroom {
    pub(crate) fn new(store: Store, hub: Hub, config: MessageConfig) -> Self {
        Self { store, hub, config }
    }

    /// Writes a message that waits, or one that has been passed on already. `None` where too many wait for the recipient.
    pub(crate) async fn write(
        &self,
        account: Uuid,
        new: NewSipMessage,
        copy: Option<Copy>,
    ) -> opentact_store::Result<Option<SipMessage>> {
        let limit = self.config.max_waiting;
        let Some(written) = self.store.sip_messages().create(account, new, copy, limit).await? else {
            return Ok(None);
        };
        metrics::counter!("opentact_sip_messages_total").increment(1);
        for row in &written {
            if row.state != SmsState::Created {
                // Its whole life is one write, and two events as that of any other.
                let state = SmsState::Created;
                self.tell(&SipMessage {
                    state,
                    delivered: false,
                    reason: None,
                    modified_on: row.created_on,
                    ..row.clone()
                });
            }
            self.tell(row);
        }
        Ok(written.into_iter().next())
    }

    /// The first message that waits for a user.
    pub(crate) async fn next(&self, recipient: Uuid) -> opentact_store::Result<Option<SipMessage>> {
        self.store.sip_messages().next(recipient, Utc::now()).await
    }

    /// It was delivered, or `reason` says why it will not be.
    pub(crate) async fn settle(&self, message: Uuid, reason: Option<&str>) -> opentact_store::Result<()> {
        let rows = self.store.sip_messages().settle(message, reason).await?;
        rows.iter().for_each(|row| self.tell(row));
        Ok(())
    }

    /// The users for whom something waits since an earlier run.
    pub(crate) async fn awaited(&self) -> opentact_store::Result<Vec<Uuid>> {
        self.store.sip_messages().awaited().await
    }

    /// How many messages wait for a user.
    pub(crate) async fn waiting(&self, recipient: Uuid) -> opentact_store::Result<u64> {
        self.store.sip_messages().waiting(recipient, Utc::now()).await
    }

    /// Gives up what has waited long enough and tells the core for whom, until it is dropped.
    pub(crate) async fn sweep(self, core: mpsc::Sender<Message>) {
        let mut pace = tokio::time::interval(SWEEP);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            if let Err(error) = self.expire(&core).await {
                tracing::warn!(%error, "messages that have expired are not given up yet");
            }
        }
    }

    async fn expire(&self, core: &mpsc::Sender<Message>) -> opentact_store::Result<()> {
        loop {
            let expired = self.store.sip_messages().expired(to_millis(Utc::now())).await?;
            if expired.is_empty() {
                return Ok(());
            }
            for message in expired {
                self.settle(message.uuid, Some(EXPIRED)).await?;
                if let Some(recipient) = message.recipient {
                    // The core gone means the node is stopping.
                    let _ = core.send(Message::Text(MessageStep::Expired { recipient })).await;
                }
            }
        }
    }

    fn tell(&self, row: &SipMessage) {
        // Refused events are counted and logged by the hub.
        let _ = self.hub.publish(NewEvent::sip_message(row));
    }
}
