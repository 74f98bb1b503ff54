//! Tells presses from event packets: each press once, though its packets are many, repeated, lost or out of order.

use std::time::{Duration, Instant};

use super::Payload;
use crate::rtp;

/// A key that was let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Press {
    pub key: char,
    pub duration_ms: u32,
}

/// Without a packet for so long a press is over: its three end packets were lost. Packets come every 20..=50 ms
/// (RFC 4733 2.5.1.2).
const LOST_END: Duration = Duration::from_millis(200);
/// A later packet of an ended event is told by its timestamp for so long; then timestamps may come round again.
const REMEMBER: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Receiver {
    clock_rate: u32,
    current: Option<Current>,
    /// Timestamps of the last events that ended, newest first: their late and repeated packets say nothing new.
    ended: [Option<(Instant, u32, u8)>; 4],
}

#[derive(Debug, Clone, Copy)]
struct Current {
    event: u8,
    key: Option<char>,
    timestamp: u32,
    /// Of segments before this one (RFC 4733 2.5.1.3), in timestamp units.
    before: u64,
    duration: u16,
    last: Instant,
}

impl Receiver {
    pub fn new(clock_rate: u32) -> Receiver {
        Receiver { clock_rate, current: None, ended: [None; 4] }
    }

    /// Durations of what comes from now on have this many units per second.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        self.clock_rate = clock_rate;
    }

    /// Takes a packet's payload. First: the key, when the packet is the first seen of its press. Then: a press that
    /// is over with it, which may be the one before when its end was lost.
    pub fn receive(&mut self, now: Instant, timestamp: u32, payload: Payload) -> (Option<char>, Option<Press>) {
        let known = |(at, t, event): &(Instant, u32, u8)| {
            *t == timestamp && *event == payload.event && now.saturating_duration_since(*at) < REMEMBER
        };
        if self.ended.iter().flatten().any(known) {
            return (None, None);
        }
        let mut over = None;
        let mut pressed = None;
        match &mut self.current {
            Some(current) if current.timestamp == timestamp && current.event == payload.event => {
                current.duration = current.duration.max(payload.duration);
                current.last = now;
            }
            // RFC 4733 2.5.1.3: longer than a duration can say, it goes on in a segment that begins where it stopped.
            Some(current)
                if current.event == payload.event
                    && continues(current.timestamp, timestamp, current.duration)
                    && current.duration >= 0xF000 =>
            {
                current.before += u64::from(timestamp.wrapping_sub(current.timestamp));
                current.timestamp = timestamp;
                current.duration = payload.duration;
                current.last = now;
            }
            // A packet from before the current press, whose own press was never seen, or ended long ago.
            Some(current) if rtp::timestamp_distance(current.timestamp, timestamp) < 0 => return (None, None),
            _ => {
                over = self.end(now);
                pressed = payload.key();
                self.current = Some(Current {
                    event: payload.event,
                    key: pressed,
                    timestamp,
                    before: 0,
                    duration: payload.duration,
                    last: now,
                });
            }
        }
        if payload.end {
            // Both at once only when the press before lost all its ends and this one all but its end. The earlier
            // is told now, this one when its lost end is noticed.
            if over.is_none() {
                over = self.end(now);
            } else if let Some(current) = &mut self.current {
                current.last = now.checked_sub(LOST_END).unwrap_or(now);
            }
        }
        (pressed, over)
    }

    /// Ends a press whose packets stopped coming.
    pub fn expire(&mut self, now: Instant) -> Option<Press> {
        match self.deadline() {
            Some(deadline) if deadline <= now => self.end(now),
            _ => None,
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.current.map(|current| current.last + LOST_END)
    }

    fn end(&mut self, now: Instant) -> Option<Press> {
        let current = self.current.take()?;
        self.ended.rotate_right(1);
        self.ended[0] = Some((now, current.timestamp, current.event));
        let units = current.before + u64::from(current.duration);
        let duration_ms = u32::try_from(units * 1000 / u64::from(self.clock_rate)).unwrap_or(u32::MAX);
        current.key.map(|key| Press { key, duration_ms })
    }
}

/// `next` begins where a segment at `timestamp` ends, give or take packets that were lost between.
fn continues(timestamp: u32, next: u32, duration: u16) -> bool {
    let distance = rtp::timestamp_distance(timestamp, next);
    distance >= i32::from(duration) && distance <= 0x1_0000
}
