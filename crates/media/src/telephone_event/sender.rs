//! Sends keys as event packets, one every packet time, the last three times (RFC 4733 2.5.1.4).

use std::collections::VecDeque;

use super::{Payload, event_of};

/// Keys and pauses that may wait.
const MAX_QUEUE: usize = 128;
/// Times the end is sent.
const END_PACKETS: u8 = 3;
/// RFC 4733 2.5.1.1 leaves the rest to Q.24: 40 ms at least for a receiver to be sure.
const MIN_ON_MS: u32 = 40;
/// Room for the repeated ends; more than 10 s is taken for an error.
const MIN_GAP_MS: u32 = 40;
const MAX_MS: u32 = 10_000;
const PAUSE_MS: u32 = 500;

#[derive(Debug, Clone, Default)]
pub struct Sender {
    queue: VecDeque<Item>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum Item {
    Key { key: char, on: u32, gap: u32 },
    Pause { left: u32 },
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Idle,
    /// Sent `elapsed` of `on` timestamp units, began a segment `segment` units ago.
    On {
        event: u8,
        elapsed: u32,
        on: u32,
        gap: u32,
        segment: u32,
    },
    /// `ends` end packets are still to be sent in the gap.
    Gap {
        event: u8,
        duration: u16,
        ends: u8,
        left: u32,
    },
    Pause {
        left: u32,
    },
}

/// What goes out in one packet time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// The first packet of a key: takes a new timestamp, and the marker bit when `marker`.
    Begin { payload: Payload, marker: bool },
    /// A segment of a very long key begins (RFC 4733 2.5.1.3): a new timestamp, no marker.
    Segment { payload: Payload },
    /// Further packets keep the timestamp of the first.
    Continue { payload: Payload },
    /// Nothing but time passes.
    Quiet,
}

impl Sender {
    /// Queues keys; the rest is dropped when 128 wait. Times are brought into 40..=10,000 ms. `clock_rate` in units per
    /// second. False when nothing was queued.
    pub fn push(&mut self, digits: &str, on_ms: u16, gap_ms: u16, clock_rate: u32) -> bool {
        let units = |ms: u32| ms * clock_rate / 1000;
        let before = self.queue.len();
        for digit in digits.chars() {
            if self.queue.len() >= MAX_QUEUE {
                break;
            }
            if event_of(digit).is_some() {
                self.queue.push_back(Item::Key {
                    key: digit.to_ascii_uppercase(),
                    on: units(u32::from(on_ms).clamp(MIN_ON_MS, MAX_MS)),
                    gap: units(u32::from(gap_ms).clamp(MIN_GAP_MS, MAX_MS)),
                });
            } else if matches!(digit, 'w' | 'W' | ',') {
                self.queue.push_back(Item::Pause { left: units(PAUSE_MS) });
            }
        }
        self.queue.len() > before
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.queue.is_empty()
    }

    /// The next key and its times in units, for a peer that takes no events and hears tones instead; pauses as
    /// `None`. Only for a sender that is never asked [`Sender::next`].
    pub fn pop(&mut self) -> Option<(Option<char>, u32, u32)> {
        self.queue.pop_front().map(|item| match item {
            Item::Key { key, on, gap } => (Some(key), on, gap),
            Item::Pause { left } => (None, 0, left),
        })
    }

    /// The packet for a packet time of `samples` units. `None` when all is sent. `scale`: how many units of the peer's clock
    /// one of ours is.
    pub fn next(&mut self, samples: u32, scale: u32) -> Option<Packet> {
        let clamp = |units: u32| u16::try_from(units * scale).unwrap_or(u16::MAX);
        match self.state {
            State::Idle => match self.queue.pop_front()? {
                Item::Pause { left } => {
                    self.state = State::Pause { left: left.saturating_sub(samples) };
                    Some(Packet::Quiet)
                }
                Item::Key { key, on, gap } => {
                    let event = event_of(key)?;
                    self.state = State::On { event, elapsed: samples, on, gap, segment: samples };
                    let payload = Payload { event, end: false, duration: clamp(samples) };
                    Some(Packet::Begin { payload, marker: true })
                }
            },
            State::On { event, elapsed, on, gap, segment } => {
                let elapsed = elapsed + samples;
                if (segment + samples) * scale > 0xFFFF {
                    self.state = State::On { event, elapsed, on, gap, segment: samples };
                    return Some(Packet::Segment { payload: Payload { event, end: false, duration: clamp(samples) } });
                }
                let segment = segment + samples;
                let payload = Payload { event, end: elapsed >= on, duration: clamp(segment) };
                self.state = if payload.end {
                    State::Gap { event, duration: payload.duration, ends: END_PACKETS - 1, left: gap }
                } else {
                    State::On { event, elapsed, on, gap, segment }
                };
                Some(Packet::Continue { payload })
            }
            State::Gap { event, duration, ends, left } => {
                let packet = if ends > 0 {
                    Packet::Continue { payload: Payload { event, end: true, duration } }
                } else {
                    Packet::Quiet
                };
                let left = left.saturating_sub(samples);
                let ends = ends.saturating_sub(1);
                self.state =
                    if left == 0 && ends == 0 { State::Idle } else { State::Gap { event, duration, ends, left } };
                Some(packet)
            }
            State::Pause { left } => {
                let left = left.saturating_sub(samples);
                self.state = if left == 0 { State::Idle } else { State::Pause { left } };
                Some(Packet::Quiet)
            }
        }
    }
}
