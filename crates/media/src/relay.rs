//! The outgoing RTP stream of a leg, one to the peer whatever feeds it: one SSRC, sequence numbers and timestamps
//! that go on without a break when a prompt follows a relayed stream and the other way round.

use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::rtp;

/// A packet on its way from one leg to the leg it is bridged to, still numbered by its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
    pub kind: FrameKind,
    pub payload: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    Audio(Codec),
    /// RFC 4733. `pressed`: the key, with the first packet seen of it. `clock_rate` of its duration, and the codec its
    /// timestamps are those of.
    TelephoneEvent {
        pressed: Option<char>,
        clock_rate: u32,
        audio: Codec,
    },
    /// RFC 3389.
    ComfortNoise,
    /// Video, in a format that both legs know by this number. It keeps its numbers and its source.
    Video {
        format: u64,
    },
    /// A compound of RTCP about video.
    VideoReport,
    /// A key that came by signalling. Without payload.
    Key(char),
    /// A key that is heard as tones in the audio is pressed, or let go. Without payload.
    Tones {
        pressed: Option<char>,
    },
}

/// Numbers given to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
}

/// A source's sequence number or timestamp may jump this far before its offsets are chosen anew.
const MAX_SEQUENCE_JUMP: i16 = 3000;
const MAX_TIMESTAMP_JUMP_SECONDS: i32 = 10;

/// Numbers every packet that leaves a leg.
#[derive(Debug, Clone)]
pub struct OutgoingStream {
    pub ssrc: u32,
    clock_rate: u32,
    next_sequence: u16,
    /// The timestamp that follows the last packet without a gap.
    next_timestamp: u32,
    /// When that follows, by the clock.
    expected: Option<Instant>,
    /// The next packet begins a talk spurt (RFC 3551 4.1).
    fresh: bool,
    source: Option<Mapping>,
    pub packets: u64,
    pub octets: u64,
    /// Of those, sent by sources before this one.
    before: (u64, u64),
}

/// How the numbers of the relayed source become ours.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    ssrc: u32,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// Ours, of the first packet relayed: earlier ones would fall into what was sent before.
    first_sequence: u16,
    /// The source's highest.
    last_sequence: u16,
    last_timestamp: u32,
}

impl OutgoingStream {
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32, clock_rate: u32) -> OutgoingStream {
        OutgoingStream {
            ssrc,
            clock_rate,
            next_sequence: sequence,
            next_timestamp: timestamp,
            expected: None,
            fresh: true,
            source: None,
            packets: 0,
            octets: 0,
            before: (0, 0),
        }
    }

    /// Units per second of its timestamps.
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// Goes on as another source, on another clock.
    pub fn change_clock(&mut self, ssrc: u32, timestamp: u32, clock_rate: u32) {
        self.ssrc = ssrc;
        self.clock_rate = clock_rate;
        self.next_timestamp = timestamp;
        self.expected = None;
        self.fresh = true;
        self.source = None;
        self.before = (self.packets, self.octets);
    }

    /// Packets and octets of this source, for its reports.
    pub fn sent(&self) -> (u64, u64) {
        (self.packets - self.before.0, self.octets - self.before.1)
    }

    /// The numbers of what would be sent next.
    pub fn here(&self) -> Numbers {
        Numbers { sequence: self.next_sequence, timestamp: self.next_timestamp, marker: false }
    }

    /// A packet of the relayed source that is not sent: no number is missing for it.
    pub fn leave_out(&mut self, frame: &Frame<'_>) {
        if let Some(mapping) = &mut self.source
            && mapping.ssrc == frame.ssrc
            && rtp::sequence_distance(mapping.last_sequence, frame.sequence) > 0
        {
            mapping.sequence_offset = mapping.sequence_offset.wrapping_sub(1);
            mapping.last_sequence = frame.sequence;
        }
    }

    /// Numbers for `samples` of audio of our own, scheduled for `due`. Schedules, unlike clocks, do not jitter: packets
    /// scheduled one after the other are numbered without a gap, however late they leave.
    pub fn local(&mut self, due: Instant, samples: u32) -> Numbers {
        self.source = None;
        self.catch_up(due, samples);
        let numbers = Numbers {
            sequence: self.next_sequence,
            timestamp: self.next_timestamp,
            marker: std::mem::take(&mut self.fresh),
        };
        self.next_sequence = self.next_sequence.wrapping_add(1);
        self.advance(due, samples);
        numbers
    }

    /// The timestamp audio scheduled for `due` would have; where a telephone event begins.
    pub fn begin_event(&mut self, due: Instant, samples: u32) -> u32 {
        self.source = None;
        self.catch_up(due, samples);
        self.next_timestamp
    }

    /// Numbers for a packet of an event that began at `timestamp` (RFC 4733 2.5.1: all share it). Time goes on
    /// separately, by [`OutgoingStream::pass`].
    pub fn event(&mut self, timestamp: u32, marker: bool) -> Numbers {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        self.fresh = false;
        Numbers { sequence, timestamp, marker }
    }

    /// `samples` of time scheduled for `due` in which the speaker pauses: what follows begins a talk spurt.
    pub fn pause(&mut self, due: Instant, samples: u32) {
        self.source = None;
        self.catch_up(due, samples);
        self.advance(due, samples);
        self.fresh = true;
    }

    /// `samples` of time scheduled for `due` without audio.
    pub fn pass(&mut self, due: Instant, samples: u32) {
        self.advance(due, samples);
    }

    /// Numbers for a relayed packet of `samples`: of audio, or for how long the key has been pressed. Gaps and order
    /// of the source are kept, so that the peer can tell loss. `None`: it belongs before what was sent last from elsewhere.
    pub fn relayed(&mut self, now: Instant, frame: &Frame<'_>, samples: u32) -> Option<Numbers> {
        let mapping = match self.source {
            Some(mapping) if mapping.follows(frame, self.clock_rate) => mapping,
            _ => {
                self.catch_up(now, samples);
                self.fresh = true;
                Mapping {
                    ssrc: frame.ssrc,
                    sequence_offset: self.next_sequence.wrapping_sub(frame.sequence),
                    timestamp_offset: self.next_timestamp.wrapping_sub(frame.timestamp),
                    first_sequence: self.next_sequence,
                    last_sequence: frame.sequence,
                    last_timestamp: frame.timestamp,
                }
            }
        };
        let sequence = frame.sequence.wrapping_add(mapping.sequence_offset);
        let timestamp = frame.timestamp.wrapping_add(mapping.timestamp_offset);
        if rtp::sequence_distance(mapping.first_sequence, sequence) < 0 {
            return None;
        }
        let ahead = rtp::sequence_distance(self.next_sequence, sequence) >= 0;
        let mut mapping = mapping;
        if ahead {
            mapping.last_sequence = frame.sequence;
            mapping.last_timestamp = frame.timestamp;
            self.next_sequence = sequence.wrapping_add(1);
            let end = timestamp.wrapping_add(samples);
            if rtp::timestamp_distance(self.next_timestamp, end) > 0 {
                self.next_timestamp = end;
            }
            self.expected = Some(match frame.kind {
                FrameKind::Audio(_) => now + self.duration(samples),
                FrameKind::TelephoneEvent { .. }
                | FrameKind::ComfortNoise
                | FrameKind::Video { .. }
                | FrameKind::VideoReport
                | FrameKind::Key(_)
                | FrameKind::Tones { .. } => now,
            });
        }
        self.source = Some(mapping);
        let marker = frame.marker || (ahead && self.fresh);
        if ahead {
            self.fresh = false;
        }
        Some(Numbers { sequence, timestamp, marker })
    }

    /// The relayed source ended: its next packet is mapped anew.
    pub fn forget_source(&mut self) {
        self.source = None;
    }

    pub fn count(&mut self, payload: usize) {
        self.packets += 1;
        self.octets += payload as u64;
    }

    /// The timestamp of `now`, for sender reports (RFC 3550 6.4.1).
    pub fn timestamp_at(&self, now: Instant) -> u32 {
        let Some(expected) = self.expected else { return self.next_timestamp };
        let ahead = self.units(now.saturating_duration_since(expected));
        let behind = self.units(expected.saturating_duration_since(now));
        self.next_timestamp.wrapping_add(ahead).wrapping_sub(behind)
    }

    /// Moves the timestamp over a silence longer than one packet of `samples`.
    fn catch_up(&mut self, at: Instant, samples: u32) {
        let Some(expected) = self.expected else { return };
        let gap = self.units(at.saturating_duration_since(expected));
        if gap >= samples.max(self.clock_rate / 50) {
            self.next_timestamp = self.next_timestamp.wrapping_add(gap);
            self.expected = Some(at);
            self.fresh = true;
        }
    }

    fn advance(&mut self, due: Instant, samples: u32) {
        self.next_timestamp = self.next_timestamp.wrapping_add(samples);
        self.expected = Some(due + self.duration(samples));
    }

    fn duration(&self, samples: u32) -> Duration {
        Duration::from_nanos(u64::from(samples) * 1_000_000_000 / u64::from(self.clock_rate))
    }

    fn units(&self, time: Duration) -> u32 {
        (time.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000) as u32
    }
}

impl Mapping {
    fn follows(&self, frame: &Frame<'_>, clock_rate: u32) -> bool {
        let sequence = rtp::sequence_distance(self.last_sequence, frame.sequence);
        let timestamp = rtp::timestamp_distance(self.last_timestamp, frame.timestamp);
        let limit = MAX_TIMESTAMP_JUMP_SECONDS * clock_rate as i32;
        self.ssrc == frame.ssrc
            && sequence.unsigned_abs() <= MAX_SEQUENCE_JUMP.unsigned_abs()
            && timestamp.unsigned_abs() <= limit.unsigned_abs()
            // Onward in sequence but back in time (an event's packets share their time): a new timeline.
            && !(sequence > 0 && timestamp < 0 && !matches!(frame.kind, FrameKind::TelephoneEvent { .. }))
    }
}
