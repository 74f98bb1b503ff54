//! Segments of inbound messages: on disk before they are acknowledged, joined once all are there, given up when the others
//! do not come.

use std::time::Duration;

use opentact_engine::ports::InboundSegment;
use opentact_messaging::encoding;
use opentact_store::sms_inbound::{NewSegment, Segment, Unfinished};
use tokio::time::Instant;
use tracing::{error, warn};

use super::Shared;
use super::inbound::{Message, Missing, received};

/// Looks at what has waited too long within its patience.
const LOOKS: u32 = 20;
/// Pause from one look to the next.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(30);
/// Segments that come until it is counted again whether there are too many.
const UNCOUNTED: u64 = 100;

pub(super) struct Segments<'a> {
    shared: &'a Shared,
    /// When it is looked again.
    due: Instant,
    /// Segments since it was looked.
    since: u64,
}

impl<'a> Segments<'a> {
    /// What an earlier run has left is looked at at once.
    pub(super) fn new(shared: &'a Shared) -> Segments<'a> {
        Segments { shared, due: Instant::now(), since: 0 }
    }

    pub(super) fn due(&self) -> tokio::time::Sleep {
        tokio::time::sleep_until(self.due)
    }

    /// Whether it was taken. It is acknowledged before its message is whole: an SMSC with a window of one would wait for ever.
    pub(super) async fn take(&mut self, carrier: &str, segment: InboundSegment) -> bool {
        let InboundSegment { from, to, data_coding, reference, total, number, octets } = segment;
        let carrier = carrier.to_owned();
        let new = NewSegment { carrier, from, to, data_coding, reference, total, number, octets };
        match self.shared.store.sms().segment(new, self.shared.config.patience).await {
            Ok(None) => {
                self.since += 1;
                if self.since >= UNCOUNTED.min(self.shared.config.segments) {
                    self.due = Instant::now();
                }
                true
            }
            Ok(Some(whole)) => self.end(whole).await,
            Err(error) => {
                error!(from, to, %error, "inbound segment not written");
                false
            }
        }
    }

    /// Gives up what has waited too long, or has to make room.
    pub(super) async fn give_up(&mut self) {
        let config = &self.shared.config;
        self.since = 0;
        self.due = Instant::now() + (config.patience / LOOKS).clamp(SHORTEST, LONGEST);
        match self.shared.store.sms().unfinished(config.patience, config.segments).await {
            Ok(unfinished) => {
                for message in unfinished {
                    self.end(message).await;
                }
            }
            Err(error) => error!(%error, "unfinished inbound messages are not read"),
        }
    }

    /// A message of which no more segments are waited for.
    async fn end(&self, Unfinished { message, segments }: Unfinished) -> bool {
        let Some(first) = segments.first() else { return true };
        let (Ok(from), Ok(to)) = (u64::try_from(first.from), u64::try_from(first.to)) else { return true };
        let of = u8::try_from(first.total).unwrap_or(u8::MAX);
        let came = u8::try_from(segments.len()).unwrap_or(u8::MAX);
        let missing = (came < of).then(|| Missing { segments: of - came, of });
        if let Some(missing) = missing {
            warn!(carrier = first.carrier, from, to, missing = missing.segments, of, "incomplete message");
        }
        let Some(text) = text(&segments, missing.is_none()) else {
            warn!(carrier = first.carrier, data_coding = first.data_coding, "message in no known alphabet");
            return self.forget(message).await;
        };
        let carrier = &first.carrier;
        let joined = Some(message);
        received(self.shared, Message { carrier, reference: None, from, to, text, missing, joined }).await
    }

    async fn forget(&self, message: uuid::Uuid) -> bool {
        let forgotten = self.shared.store.sms().forget_unfinished(message).await;
        forgotten.inspect_err(|error| error!(%error, "inbound segments are not cleared away")).is_ok()
    }
}

/// Octets are joined before they are decoded, so that an escape or a surrogate pair cut in two by the sender is whole again;
/// with one missing each is decoded by itself.
fn text(segments: &[Segment], is_whole: bool) -> Option<String> {
    let decode = |segment: &Segment, octets: &[u8]| {
        encoding::decode(u8::try_from(segment.data_coding).unwrap_or(u8::MAX), octets)
    };
    let first = segments.first()?;
    if is_whole {
        let octets: Vec<u8> = segments.iter().flat_map(|segment| &segment.octets).copied().collect();
        return decode(first, &octets);
    }
    Some(segments.iter().filter_map(|segment| decode(segment, &segment.octets)).collect())
}
