//! The one timer structure of a shard.
//!
//! An owner has at most one [`Alarm`]: the earliest of its timers. Moving an alarm later leaves its queue entry where it
//! is; the entry is found too early when it comes up and is put back. So a retransmission or a state change costs no
//! search in the heap, and a heap holds about one entry an owner.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Whom an entry wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wake {
    Transaction(super::TransactionId),
    /// A number of the transaction user: one of its sessions.
    User(u64),
}

/// The next due time of one owner, and where its entry stands in the queue.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Alarm {
    due: Option<Instant>,
    queued: Option<Instant>,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Wake)>>,
}

impl Timers {
    /// Sets, moves or (with `None`) clears the alarm of `wake`.
    pub(crate) fn set(&mut self, alarm: &mut Alarm, wake: Wake, due: Option<Instant>) {
        alarm.due = due;
        if let Some(due) = due
            && alarm.queued.is_none_or(|queued| due < queued)
        {
            alarm.queued = Some(due);
            self.heap.push(Reverse((due, wake)));
        }
    }

    /// The earliest entry; it may turn out to be of an owner that is gone or has moved its alarm.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next entry that is due. The owner, if it still lives, asks [`Timers::rings`].
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, Wake)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// True when the entry popped for time `at` is the one of this alarm and the alarm is due. An alarm that has moved
    /// later is queued again.
    pub(crate) fn rings(&mut self, now: Instant, at: Instant, alarm: &mut Alarm, wake: Wake) -> bool {
        if alarm.queued != Some(at) {
            return false;
        }
        alarm.queued = None;
        match alarm.due {
            Some(due) if due <= now => {
                alarm.due = None;
                true
            }
            due => {
                self.set(alarm, wake, due);
                false
            }
        }
    }
}
