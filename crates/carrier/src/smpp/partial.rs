//! What is remembered of messages in several segments.

use std::collections::{HashMap, VecDeque};

use opentact_messaging::smpp::{MessageState, Receipt};
use uuid::Uuid;

/// Messages remembered; the oldest are forgotten first.
const LIMIT: usize = 10_000;

/// Which segments of a message the SMSC took, when others it did not. A message that is forgotten is sent in full.
#[derive(Debug, Default)]
pub(super) struct Partials {
    accepted: HashMap<Uuid, Vec<Option<String>>>,
    order: VecDeque<Uuid>,
}

impl Partials {
    /// The ids of the segments taken before; `None` for each still to be sent.
    pub(super) fn take(&mut self, message: Uuid, segments: usize) -> Vec<Option<String>> {
        match self.accepted.remove(&message) {
            Some(accepted) if accepted.len() == segments => accepted,
            _ => vec![None; segments],
        }
    }

    pub(super) fn put(&mut self, message: Uuid, accepted: Vec<Option<String>>) {
        if accepted.iter().all(Option::is_none) {
            return;
        }
        while self.order.len() >= LIMIT {
            if let Some(oldest) = self.order.pop_front() {
                self.accepted.remove(&oldest);
            }
        }
        self.order.push_back(message);
        self.accepted.insert(message, accepted);
    }
}

/// Ids of segments that are not the last of their message, with the last's.
#[derive(Debug, Default)]
pub(super) struct SegmentReceipts {
    last: HashMap<String, String>,
    order: VecDeque<String>,
}

impl SegmentReceipts {
    pub(super) fn remember(&mut self, earlier: Vec<String>, last: &str) {
        for id in earlier {
            while self.order.len() >= LIMIT {
                if let Some(oldest) = self.order.pop_front() {
                    self.last.remove(&oldest);
                }
            }
            self.order.push_back(id.clone());
            self.last.insert(id, last.to_owned());
        }
    }

    /// The receipt under the message's reference. `None` when it says nothing of the whole message: an earlier segment
    /// arrived, as an SMSC may tell that was asked for failures only.
    pub(super) fn reference(&self, mut receipt: Receipt) -> Option<Receipt> {
        if let Some(last) = self.last.get(&receipt.message_id) {
            if receipt.state == MessageState::Delivered || !receipt.state.is_final() {
                return None;
            }
            receipt.message_id.clone_from(last);
        }
        Some(receipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(id: &str, state: MessageState) -> Receipt {
        Receipt { message_id: id.into(), state, error: None, submitted: None, done: None, text: String::new() }
    }

    #[test]
    fn only_missing_segments_are_sent_again() {
        let mut partials = Partials::default();
        let id = Uuid::new_v4();
        partials.put(id, vec![Some("a".into()), None]);
        assert_eq!(partials.take(id, 2), [Some("a".to_owned()), None]);
        assert_eq!(partials.take(id, 2), [None, None], "taken once");
    }

    #[test]
    fn memory_is_bounded() {
        let mut partials = Partials::default();
        for _ in 0..LIMIT + 5 {
            partials.put(Uuid::new_v4(), vec![Some("a".into()), None]);
        }
        assert_eq!((partials.accepted.len(), partials.order.len()), (LIMIT, LIMIT));
    }

    #[test]
    fn an_earlier_segment_speaks_only_of_failure() {
        let mut receipts = SegmentReceipts::default();
        receipts.remember(vec!["one".into()], "two");
        assert_eq!(receipts.reference(receipt("one", MessageState::Delivered)), None);
        let failed = receipts.reference(receipt("one", MessageState::Undeliverable));
        assert_eq!(failed, Some(receipt("two", MessageState::Undeliverable)));
        let last = receipt("two", MessageState::Delivered);
        assert_eq!(receipts.reference(last.clone()), Some(last));
    }
}
