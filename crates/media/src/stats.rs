//! What a leg counts: reception as RFC 3550 appendix A does, and the totals told at its end.

use std::time::Instant;

use crate::codec::Codec;
use crate::jitter::Playout;
use crate::rtp;

/// Totals of a leg.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LegStats {
    pub packets_sent: u64,
    /// Octets of payload.
    pub octets_sent: u64,
    pub packets_received: u64,
    pub octets_received: u64,
    /// Expected and never received (RFC 3550 A.3).
    pub packets_lost: u64,
    /// Received twice.
    pub packets_duplicate: u64,
    /// Received after a later one.
    pub packets_reordered: u64,
    /// Malformed, of another source, or of a payload type that was not agreed.
    pub packets_discarded: u64,
    /// Interarrival jitter (RFC 3550 A.8) at the end, and its highest value, in milliseconds.
    pub jitter_ms: f32,
    pub max_jitter_ms: f32,
    /// From the peer's last report (RFC 3550 6.4.1); `None` without one that names a report of ours.
    pub round_trip_ms: Option<f32>,
    /// What the peer says it lost of ours, and its jitter.
    pub remote_lost: Option<i32>,
    pub remote_jitter_ms: Option<f32>,
    /// Keys received.
    pub dtmf_received: u32,
    /// What was spoken last; `None` for a leg that never began.
    pub codec: Option<Codec>,
    /// Where what is heard is encoded again for the bridged leg: what became of it, and milliseconds of it that wait.
    pub playout: Option<Playout>,
    pub jitter_buffer_ms: u32,
    /// Mean opinion score of what the party is heard as, by the E-model ([`crate::quality`]), and its lowest value of an
    /// interval between two reports. `None` before anything was received.
    pub mos: Option<f32>,
    pub lowest_mos: Option<f32>,
    /// The same of what the party hears, by its last report.
    pub remote_mos: Option<f32>,
}

/// RFC 3550 A.1: how far ahead a sequence number may be and still be of the same stream.
const MAX_DROPOUT: i16 = 3000;
/// RFC 3550 A.1: how far behind, counted as reordered.
const MAX_MISORDER: i16 = 100;

/// What arrived is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The next, or one later: those between are missing so far.
    InOrder,
    /// Later packets came before it.
    Reordered,
    Duplicate,
    /// The sequence jumped or the source changed: a new stream.
    Restart,
}

/// Reception of one RTP source at a time. The last 64 sequence numbers are remembered to tell duplicates.
#[derive(Debug, Clone)]
pub struct Reception {
    clock_rate: u32,
    source: Option<Source>,
    /// Totals of sources that were before.
    lost_before: u64,
    pub received: u64,
    pub octets: u64,
    pub duplicates: u64,
    pub reordered: u64,
    max_jitter: f64,
    /// On clocks that were before, in milliseconds.
    max_jitter_before: f32,
}

#[derive(Debug, Clone)]
struct Source {
    ssrc: u32,
    /// First and highest sequence number, extended by the wraps.
    base: u32,
    highest: u32,
    /// Bit n: `highest - n` was received.
    window: u64,
    received: u32,
    /// In timestamp units.
    jitter: f64,
    last_transit: Option<(Instant, u32)>,
    /// Number expected and received at the last report.
    reported_expected: u32,
    reported_received: u32,
}

/// What a report block says of reception (RFC 3550 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceptionReport {
    pub ssrc: u32,
    /// Of 256, since the last report.
    pub fraction_lost: u8,
    pub cumulative_lost: i32,
    pub highest_sequence: u32,
    /// In timestamp units.
    pub jitter: u32,
}

impl Reception {
    pub fn new(clock_rate: u32) -> Reception {
        Reception {
            clock_rate,
            source: None,
            lost_before: 0,
            received: 0,
            octets: 0,
            duplicates: 0,
            reordered: 0,
            max_jitter: 0.0,
            max_jitter_before: 0.0,
        }
    }

    /// The timestamps of what comes from now on have this many units per second.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        if self.clock_rate != clock_rate {
            self.clock_rate = clock_rate;
            self.max_jitter_before = self.max_jitter_before.max(self.max_jitter_ms());
            self.max_jitter = 0.0;
            if let Some(source) = &mut self.source {
                source.jitter = 0.0;
                source.last_transit = None;
            }
        }
    }

    /// Counts a packet. `timed`: its timestamp is its sampling instant, which is not so for telephone events.
    pub fn receive(&mut self, now: Instant, header: &rtp::Header, octets: usize, timed: bool) -> Arrival {
        let clock_rate = self.clock_rate;
        let source = match &mut self.source {
            Some(source) if source.ssrc == header.ssrc => source,
            _ => return self.restart(now, header, octets, timed),
        };
        let distance = rtp::sequence_distance(source.highest as u16, header.sequence);
        let arrival = if distance > 0 {
            if distance > MAX_DROPOUT {
                return self.restart(now, header, octets, timed);
            }
            source.highest = source.highest.wrapping_add(distance as u32);
            source.window = source.window.checked_shl(distance as u32).unwrap_or(0) | 1;
            Arrival::InOrder
        } else if distance >= -MAX_MISORDER {
            let behind = u32::from(distance.unsigned_abs());
            let bit = 1u64.checked_shl(behind).unwrap_or(0);
            if source.window & bit != 0 {
                self.duplicates += 1;
                return Arrival::Duplicate;
            }
            source.window |= bit;
            // Late by more than the window remembers: counted, and taken for new.
            self.reordered += 1;
            Arrival::Reordered
        } else {
            return self.restart(now, header, octets, timed);
        };
        source.received += 1;
        self.received += 1;
        self.octets += octets as u64;
        if timed && arrival == Arrival::InOrder {
            if let Some((last_at, last_timestamp)) = source.last_transit {
                let elapsed = now.saturating_duration_since(last_at).as_secs_f64() * f64::from(clock_rate);
                let sampled = f64::from(rtp::timestamp_distance(last_timestamp, header.timestamp));
                let difference = (elapsed - sampled).abs();
                // A pause in talking moves the timestamp as much as the clock; a jump of seconds is a new timeline.
                if difference < f64::from(clock_rate) * 2.0 {
                    source.jitter += (difference - source.jitter) / 16.0;
                    self.max_jitter = self.max_jitter.max(source.jitter);
                }
            }
            source.last_transit = Some((now, header.timestamp));
        }
        arrival
    }

    fn restart(&mut self, now: Instant, header: &rtp::Header, octets: usize, timed: bool) -> Arrival {
        self.lost_before = self.lost();
        self.source = Some(Source {
            ssrc: header.ssrc,
            base: u32::from(header.sequence),
            highest: u32::from(header.sequence),
            window: 1,
            received: 1,
            jitter: 0.0,
            last_transit: timed.then_some((now, header.timestamp)),
            reported_expected: 0,
            reported_received: 0,
        });
        self.received += 1;
        self.octets += octets as u64;
        Arrival::Restart
    }

    /// Packets lost so far, of all sources.
    pub fn lost(&self) -> u64 {
        let current = self.source.as_ref().map_or(0, |source| source.expected().saturating_sub(source.received));
        self.lost_before + u64::from(current)
    }

    pub fn jitter_ms(&self) -> f32 {
        self.source.as_ref().map_or(0.0, |source| self.milliseconds(source.jitter))
    }

    pub fn max_jitter_ms(&self) -> f32 {
        self.milliseconds(self.max_jitter).max(self.max_jitter_before)
    }

    /// The block for the next report; `None` before the first packet. Begins the next interval.
    pub fn report(&mut self) -> Option<ReceptionReport> {
        let source = self.source.as_mut()?;
        let expected = source.expected();
        let expected_interval = expected.wrapping_sub(source.reported_expected);
        let received_interval = source.received.wrapping_sub(source.reported_received);
        source.reported_expected = expected;
        source.reported_received = source.received;
        let lost_interval = i64::from(expected_interval) - i64::from(received_interval);
        let fraction_lost = if expected_interval == 0 || lost_interval <= 0 {
            0
        } else {
            (lost_interval * 256 / i64::from(expected_interval)).min(255) as u8
        };
        // RFC 3550 6.4.1: a signed 24 bit number.
        let cumulative = (i64::from(expected) - i64::from(source.received)).clamp(-0x80_0000, 0x7F_FFFF) as i32;
        Some(ReceptionReport {
            ssrc: source.ssrc,
            fraction_lost,
            cumulative_lost: cumulative,
            highest_sequence: source.highest,
            jitter: source.jitter as u32,
        })
    }

    fn milliseconds(&self, timestamp_units: f64) -> f32 {
        (timestamp_units * 1000.0 / f64::from(self.clock_rate)) as f32
    }
}

impl Source {
    fn expected(&self) -> u32 {
        self.highest.wrapping_sub(self.base).wrapping_add(1)
    }
}
