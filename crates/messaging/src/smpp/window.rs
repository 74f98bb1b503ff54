//! Requests that wait for their answer, and requests that wait for room.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::pdu::ShortMessage;

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub id: u64,
    pub message: ShortMessage,
    /// How often the peer has throttled it.
    pub throttled: u32,
}

#[derive(Debug)]
struct Outstanding {
    request: Request,
    deadline: Instant,
}

/// Sequence numbers with a request behind them, at most `size`.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    outstanding: BTreeMap<u32, Outstanding>,
}

impl Window {
    pub fn new(size: usize) -> Window {
        Window { size: size.max(1), outstanding: BTreeMap::new() }
    }

    pub fn has_room(&self) -> bool {
        self.outstanding.len() < self.size
    }

    pub fn len(&self) -> usize {
        self.outstanding.len()
    }

    pub fn is_empty(&self) -> bool {
        self.outstanding.is_empty()
    }

    pub fn contains(&self, sequence: u32) -> bool {
        self.outstanding.contains_key(&sequence)
    }

    pub fn insert(&mut self, sequence: u32, request: Request, deadline: Instant) {
        self.outstanding.insert(sequence, Outstanding { request, deadline });
    }

    pub fn remove(&mut self, sequence: u32) -> Option<Request> {
        self.outstanding.remove(&sequence).map(|outstanding| outstanding.request)
    }

    /// The earliest deadline. Every request has the same patience, so it is that of some early one; the window is
    /// small enough to look at all.
    pub fn deadline(&self) -> Option<Instant> {
        self.outstanding.values().map(|outstanding| outstanding.deadline).min()
    }

    pub fn take_expired(&mut self, now: Instant) -> Vec<Request> {
        let expired: Vec<u32> = self
            .outstanding
            .iter()
            .filter(|(_, waiting)| waiting.deadline <= now)
            .map(|(&sequence, _)| sequence)
            .collect();
        expired.into_iter().filter_map(|sequence| self.remove(sequence)).collect()
    }

    pub fn take_all(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.outstanding).into_values().map(|outstanding| outstanding.request).collect()
    }
}

/// First in, first out, bounded; what was throttled goes back to the front.
#[derive(Debug)]
pub(super) struct Queue {
    limit: usize,
    waiting: VecDeque<Request>,
}

impl Queue {
    pub fn new(limit: usize) -> Queue {
        Queue { limit, waiting: VecDeque::new() }
    }

    pub fn has_room(&self) -> bool {
        self.waiting.len() < self.limit
    }

    /// After [`Queue::has_room`].
    pub fn push(&mut self, request: Request) {
        self.waiting.push_back(request);
    }

    /// Always finds room: what is put back was let in before, and at most a window's worth of it exists.
    pub fn put_back(&mut self, request: Request) {
        self.waiting.push_front(request);
    }

    pub fn pop(&mut self) -> Option<Request> {
        self.waiting.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn take_all(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.waiting).into()
    }
}
