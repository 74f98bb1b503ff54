//! Two legs that are bridged: what one hears of such a network, and what the other sends on.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use opentact_media::codec::{Codec, Decoder};
use opentact_media::jitter::Delay;
use opentact_media::leg::{Input, Output, WallClock};
use opentact_media::rtp::{Header, Packet};
use opentact_media::{Command, Leg, LegConfig, LegKey, LegParams};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::network::{self, PACKET_US, Trace};
use crate::sound::{heard_in_order, payloads};

struct Sent {
    at: Duration,
    header: Header,
    payload: Vec<u8>,
}

struct Bridge {
    start: Instant,
    /// The one that hears, and the one that sends on.
    legs: [Leg; 2],
    sent: Vec<Sent>,
}

fn peer(leg: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 4000 + 2 * leg as u16))
}

impl Bridge {
    fn new(seed: u64, codecs: [Codec; 2]) -> Bridge {
        let start = Instant::now();
        let legs = [0, 1].map(|leg| {
            let mut made = Leg::new(LegConfig {
                seed: seed * 2 + leg,
                clock: WallClock::new(start, SystemTime::UNIX_EPOCH),
                latch: true,
                rtp_timeout: None,
                grain: Duration::ZERO,
                delay: Delay::default(),
                fill_silence: false,
                tap_wait: Duration::from_secs(60),
            });
            let params = LegParams::of(peer(leg as usize), codecs[leg as usize]);
            made.handle(start, Input::Command(Command::Start(params)));
            made.handle(start, Input::Command(Command::Bridge { with: LegKey(1 - leg) }));
            made
        });
        Bridge { start, legs, sent: Vec::new() }
    }

    /// Lets the one leg hear the trace, and both what time does.
    fn run(&mut self, trace: &Trace, codec: Codec, payloads: &[Vec<u8>], seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (ssrc, sequence, timestamp): (u32, u16, u32) = (rng.random(), rng.random(), rng.random());
        for (at, number) in trace.arrivals() {
            self.tick_until(self.start + Duration::from_micros(at));
            let header = Header {
                marker: number == 0,
                payload_type: codec.payload_type(),
                sequence: sequence.wrapping_add(number as u16),
                timestamp: timestamp.wrapping_add(number as u32 * codec.clock_rate() / 50),
                ssrc,
            };
            let datagram = [&header.octets()[..], &payloads[number]].concat();
            self.handle(0, self.start + Duration::from_micros(at), Input::Rtp { from: peer(0), datagram: &datagram });
        }
    }

    fn tick_until(&mut self, end: Instant) {
        loop {
            let due = |leg: &usize| self.legs[*leg].deadline();
            let Some(next) = [0, 1].into_iter().min_by_key(due).filter(|leg| due(leg).is_some_and(|due| due <= end))
            else {
                return;
            };
            if let Some(now) = due(&next) {
                self.handle(next, now, Input::Tick);
            }
        }
    }

    fn handle(&mut self, leg: usize, now: Instant, input: Input<'_>) {
        self.legs[leg].handle(now, input);
        let [one, other] = &mut self.legs;
        let (from, to) = if leg == 0 { (one, other) } else { (other, one) };
        while let Some(output) = from.poll() {
            match output {
                Output::Relay(frame) => to.handle(now, Input::Relayed(frame)),
                Output::Rtp { packet, .. } if leg == 1 => note(&mut self.sent, now - self.start, packet),
                _ => {}
            }
        }
        while let Some(output) = to.poll() {
            if let Output::Rtp { packet, .. } = output
                && leg == 0
            {
                note(&mut self.sent, now - self.start, packet);
            }
        }
    }
}

fn note(sent: &mut Vec<Sent>, at: Duration, packet: &[u8]) {
    let Packet { header, payload } = Packet::parse(packet).unwrap();
    sent.push(Sent { at, header, payload: payload.to_vec() });
}

#[test]
fn what_is_passed_on_is_passed_on_at_once_once_and_with_its_gaps() {
    let payloads = payloads(Codec::L16Narrow, 3_000);
    for seed in 0..5 {
        let mut rng = StdRng::seed_from_u64(seed);
        for trace in network::all(&mut rng, payloads.len()) {
            let mut bridge = Bridge::new(seed, [Codec::L16Narrow; 2]);
            bridge.run(&trace, Codec::L16Narrow, &payloads, seed);
            let told = |number: usize| format!("seed {seed}, {}: packet {number}", trace.name);
            let arrivals = trace.arrivals();
            assert_eq!(bridge.sent.len(), arrivals.len(), "{}", told(0));
            let first = &bridge.sent[0];
            for (sent, (at, number)) in bridge.sent.iter().zip(&arrivals) {
                assert_eq!(sent.at, Duration::from_micros(*at), "{}", told(*number));
                assert_eq!(sent.payload, payloads[*number], "{}", told(*number));
                // Numbered as by who has spoken: the other side can tell what is lost, and what is out of order.
                let after = *number - arrivals[0].1;
                assert_eq!(sent.header.sequence, first.header.sequence.wrapping_add(after as u16), "{}", told(*number));
                let timestamp = first.header.timestamp.wrapping_add(after as u32 * 160);
                assert_eq!(sent.header.timestamp, timestamp, "{}", told(*number));
            }
        }
    }
}

#[test]
fn what_is_encoded_anew_leaves_evenly_in_order_and_soon() {
    let payloads = payloads(Codec::L16Narrow, 3_000);
    let delay = Delay::default();
    for seed in 0..8 {
        let mut rng = StdRng::seed_from_u64(seed);
        for trace in network::all(&mut rng, payloads.len()) {
            let trace = trace.drifting([-200, 0, 200][seed as usize % 3]);
            let mut bridge = Bridge::new(seed, [Codec::L16Narrow, Codec::L16Wide]);
            bridge.run(&trace, Codec::L16Narrow, &payloads, seed);
            let told = || format!("seed {seed}, {}", trace.name);
            for pair in bridge.sent.windows(2) {
                assert_eq!(pair[1].at - pair[0].at, Duration::from_micros(PACKET_US), "{}", told());
                assert_eq!(pair[1].header.sequence, pair[0].header.sequence.wrapping_add(1), "{}", told());
                assert_eq!(pair[1].header.timestamp, pair[0].header.timestamp.wrapping_add(320), "{}", told());
            }
            let mut decoder = Decoder::new(Codec::L16Wide, 16_000).unwrap();
            let mut played = Vec::new();
            bridge.sent.iter().for_each(|sent| decoder.decode(&sent.payload, &mut played));
            heard_in_order(&played, &told());
            let stats = bridge.legs[1].stats();
            let playout = stats.playout.unwrap();
            let concealed = playout.concealed_us as f64 / playout.played_us as f64;
            let (lost, late) = (trace.lost(), trace.late(delay.initial_ms.into()));
            assert!(concealed <= 1.35 * lost + late + 0.02, "{}: {concealed}, lost {lost}, late {late}", told());
            assert!(stats.jitter_buffer_ms <= delay.initial_ms + 20, "{}: {} ms", told(), stats.jitter_buffer_ms);
        }
    }
}
