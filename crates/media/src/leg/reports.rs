//! RTCP of a leg: its own reports about every 5 s, and what the peer's say.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::Rng;

use super::Leg;
use crate::quality::Conditions;
use crate::rtcp::{self, Packet, ReportBlock, SenderInfo};

/// RFC 3550 6.2: the minimum, which two parties never exceed; 6.3.1: half of it at first.
const INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Reports {
    cname: String,
    next: Option<Instant>,
    pub closed: bool,
    /// The peer's last sender report: middle 32 bits of its NTP time, and when it came.
    last_sender: Option<(u32, Instant)>,
    round_trip: Option<Duration>,
    remote: Option<ReportBlock>,
    /// Of the intervals between our reports.
    pub lowest_mos: Option<f32>,
}

impl Reports {
    pub fn new(cname: String) -> Reports {
        Reports {
            cname,
            next: None,
            closed: false,
            last_sender: None,
            round_trip: None,
            remote: None,
            lowest_mos: None,
        }
    }

    pub fn schedule_first(&mut self, now: Instant, rng: &mut impl Rng) {
        self.next = Some(now + INTERVAL.mul_f64(rng.random_range(0.25..0.75)));
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    pub fn round_trip_ms(&self) -> Option<f32> {
        self.round_trip.map(|time| time.as_secs_f32() * 1000.0)
    }

    pub fn remote_lost(&self) -> Option<i32> {
        self.remote.map(|block| block.reception.cumulative_lost)
    }

    pub fn remote_jitter_ms(&self, clock_rate: u32) -> Option<f32> {
        self.remote.map(|block| block.reception.jitter as f32 * 1000.0 / clock_rate as f32)
    }
}

impl Leg {
    pub(super) fn receive_rtcp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        if self.params.is_none() || self.rtp_remote().is_none_or(|remote| remote.ip() != from.ip()) {
            self.discarded += 1;
            return;
        }
        if self.is_video_report(datagram) {
            return self.take_video_report(datagram);
        }
        for packet in rtcp::parse(datagram) {
            match packet {
                Ok(Packet::Sender { info, blocks, .. }) => {
                    // RFC 3550 6.4.1 LSR: the middle 32 bits.
                    self.reports.last_sender = Some(((info.ntp >> 16) as u32, now));
                    self.take_blocks(now, blocks);
                }
                Ok(Packet::Receiver { blocks, .. }) => self.take_blocks(now, blocks),
                Ok(Packet::SourceDescription | Packet::Goodbye { .. } | Packet::Feedback { .. } | Packet::Other(_)) => {
                }
                Err(_) => {
                    self.discarded += 1;
                    return;
                }
            }
        }
        if self.config.latch {
            self.remote.rtcp.get_or_insert(from);
        }
    }

    fn take_blocks(&mut self, now: Instant, mut blocks: rtcp::Blocks<'_>) {
        let ssrc = self.stream.ssrc;
        let Some(block) = blocks.find(|block| block.reception.ssrc == ssrc) else { return };
        self.reports.remote = Some(block);
        if block.last_report != 0 {
            // RFC 3550 6.4.1: A - LSR - DLSR in 1/65536 s; a clock that is wrong makes it negative.
            let arrival = (self.config.clock.ntp(now) >> 16) as u32;
            let units = arrival.wrapping_sub(block.last_report).wrapping_sub(block.delay);
            if units < 1 << 31 {
                self.reports.round_trip = Some(Duration::from_nanos(u64::from(units) * 1_000_000_000 / 65_536));
            }
        }
    }

    /// How the party is heard.
    pub(super) fn heard_as(&self) -> Option<f32> {
        let (lost, received) = (self.reception.lost(), self.reception.received);
        let loss = 100.0 * lost as f64 / (lost + received) as f64;
        (received > 0).then(|| self.score(loss, f64::from(self.reception.jitter_ms())))
    }

    /// How the party hears us, as far as its reports tell.
    pub(super) fn hears_us_as(&self) -> Option<f32> {
        let reception = self.reports.remote?.reception;
        let (sent, _) = self.stream.sent();
        let loss = 100.0 * f64::from(reception.cumulative_lost.max(0)) / sent.max(1) as f64;
        let jitter = f64::from(self.reports.remote_jitter_ms(self.stream.clock_rate()).unwrap_or_default());
        Some(self.score(loss, jitter))
    }

    /// By the E-model: mouth to ear is half a round trip, a packet, and the buffer of whoever plays it, taken as twice the
    /// jitter.
    fn score(&self, loss: f64, jitter_ms: f64) -> f32 {
        let packet_ms = self.params.as_ref().map_or(20, |params| params.ptime_ms);
        let way = f64::from(self.reports.round_trip_ms().unwrap_or_default()) / 2.0;
        let delay_ms = way + f64::from(packet_ms) + 2.0 * jitter_ms;
        Conditions { codec: self.voice.codec(), loss, delay_ms }.mos()
    }

    pub(super) fn send_report(&mut self, now: Instant) {
        self.reports.next = Some(now + INTERVAL.mul_f64(self.rng.random_range(0.5..1.5)));
        self.write_compound(now, false);
    }

    pub(super) fn send_goodbye(&mut self, now: Instant) {
        // RFC 3550 6.6: who never sent does not say goodbye.
        if self.stream.sent().0 > 0 {
            self.write_compound(now, true);
        }
    }

    fn write_compound(&mut self, now: Instant, goodbye: bool) {
        let Some(to) = self.rtcp_remote() else { return };
        let (packets, octets) = self.stream.sent();
        let sender = (packets > 0).then(|| SenderInfo {
            ntp: self.config.clock.ntp(now),
            timestamp: self.stream.timestamp_at(now),
            packets: packets as u32,
            octets: octets as u32,
        });
        let last_sender = self.reports.last_sender;
        let reception = self.reception.report();
        if let Some(reception) = &reception {
            let mos = self.score(f64::from(reception.fraction_lost) / 2.56, f64::from(self.reception.jitter_ms()));
            self.reports.lowest_mos = Some(self.reports.lowest_mos.map_or(mos, |lowest| lowest.min(mos)));
        }
        let block = reception.map(|reception| ReportBlock {
            reception,
            last_report: last_sender.map_or(0, |(ntp, _)| ntp),
            delay: last_sender
                .map_or(0, |(_, at)| (now.saturating_duration_since(at).as_nanos() * 65_536 / 1_000_000_000) as u32),
        });
        let ssrc = self.stream.ssrc;
        let mux = self.rtcp_mux();
        let cname = &self.reports.cname;
        self.outbox.rtcp(to, mux, |out| {
            rtcp::write_report(out, ssrc, sender, block);
            rtcp::write_cname(out, ssrc, cname);
            if goodbye {
                rtcp::write_goodbye(out, ssrc);
            }
        });
    }
}
