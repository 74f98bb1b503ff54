//! What recording adds to a relayed call: CPU seconds a call-minute, legs with and without a recording side by side.
//!
//! `cargo bench -p opentact-media --bench recording`
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use opentact_media::codec::{Encoder, OpusParams};
use opentact_media::jitter::Delay;
use opentact_media::leg::{Input, Output, WallClock};
use opentact_media::rtp::Header;
use opentact_media::{Codec, Command, Leg, LegConfig, LegKey, LegParams, RecordOrder};

/// Of a call, and calls one after the other.
const MINUTES: u32 = 20;
const PACKET: Duration = Duration::from_millis(20);
/// Of a relayed call without recording nothing is measured but what this drives it with.
const NONE: u8 = 0;

struct Call {
    legs: [Leg; 2],
    now: Instant,
    samples: u64,
}

fn address(leg: u16) -> SocketAddr {
    ([192, 0, 2, 1], 4000 + 2 * leg).into()
}

impl Call {
    fn new(codec: Codec, channels: u8) -> Call {
        let now = Instant::now();
        let legs = [1, 2].map(|number: u16| {
            let mut leg = Leg::new(LegConfig {
                seed: number.into(),
                clock: WallClock::new(now, SystemTime::UNIX_EPOCH),
                latch: true,
                rtp_timeout: None,
                grain: Duration::from_millis(5),
                delay: Delay::default(),
                fill_silence: true,
                tap_wait: Duration::from_secs(60),
            });
            leg.handle(now, Input::Command(Command::Start(LegParams::of(address(number), codec))));
            leg.handle(now, Input::Command(Command::Bridge { with: LegKey(3 - u64::from(number)) }));
            leg
        });
        let mut call = Call { legs, now, samples: 0 };
        if channels != NONE {
            let order = RecordOrder { channels, ..RecordOrder::new(1, "x") };
            call.legs[0].handle(now, Input::Command(Command::Record(order)));
        }
        call
    }

    /// One packet each way, and the tick of each leg.
    fn pass(&mut self, header: Header, payload: &[u8]) {
        self.now += PACKET;
        let mut datagram = header.octets().to_vec();
        datagram.extend_from_slice(payload);
        for index in [0, 1] {
            let from = address(index as u16 + 1);
            self.legs[index].handle(self.now, Input::Rtp { from, datagram: &datagram });
            self.legs[index].handle(self.now, Input::Tick);
            let [one, other] = &mut self.legs;
            let (leg, peer) = if index == 0 { (one, other) } else { (other, one) };
            while let Some(output) = leg.poll() {
                match output {
                    Output::Relay(frame) => peer.handle(self.now, Input::Relayed(frame)),
                    Output::Recording(opentact_media::recorder::Recording::Samples { samples, .. }) => {
                        self.samples += samples.len() as u64;
                    }
                    _ => {}
                }
            }
        }
    }
}

/// CPU seconds of a call-minute.
fn measure(codec: Codec, channels: u8) -> f64 {
    let rate = codec.sample_rate();
    let mut encoder = Encoder::new(codec, rate, &OpusParams::default()).unwrap();
    let tone = |n: u32| (f64::from(n) * 440.0 * std::f64::consts::TAU / f64::from(rate)).sin() * 8_000.0;
    // One second, over and over.
    let packets: Vec<Vec<u8>> = (0..50)
        .map(|packet| {
            let samples: Vec<i16> = (0..rate / 50).map(|n| tone(packet * rate / 50 + n) as i16).collect();
            let mut octets = [0; 1280];
            let length = encoder.encode(&samples, &mut octets);
            octets[..length].to_vec()
        })
        .collect();
    let mut call = Call::new(codec, channels);
    let begun = Instant::now();
    for number in 0..MINUTES * 3_000 {
        let header = Header {
            marker: number == 0,
            payload_type: codec.payload_type(),
            sequence: number as u16,
            timestamp: number.wrapping_mul(codec.clock_rate() / 50),
            ssrc: 7,
        };
        call.pass(header, &packets[number as usize % packets.len()]);
    }
    let took = begun.elapsed().as_secs_f64() / f64::from(MINUTES);
    let expected = u64::from(MINUTES) * 60 * u64::from(codec.recording_rate()) * u64::from(channels);
    assert!(call.samples.abs_diff(expected) <= u64::from(codec.recording_rate()) * 2, "{} samples", call.samples);
    took
}

fn main() {
    // `cargo test --all-targets` runs this too: nothing is to be measured then.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("codec      relayed   mono adds  stereo adds   CPU s per call-minute");
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        // The best of three: the rest is what else the machine does.
        let best = |channels| (0..3).map(|_| measure(codec, channels)).fold(f64::INFINITY, f64::min);
        let (without, mono, stereo) = (best(NONE), best(1), best(2));
        println!("{:<8} {without:>9.4} {:>11.4} {:>12.4}", codec.name(), mono - without, stereo - without);
    }
}
