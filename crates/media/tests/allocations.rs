//! What is said 50 times a second by every party allocates nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentact_media::control::{Clip, MasterKey, Security, SrtpKeys, Suite};
use opentact_media::jitter::Delay;
use opentact_media::leg::{Input, Output, WallClock};
use opentact_media::mixer::{Hearing, Need};
use opentact_media::relay::{Frame, FrameKind};
use opentact_media::rtp::Header;
use opentact_media::{Audience, Codec, Command, Leg, LegConfig, LegKey, LegParams, Mixer, Source};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is the system allocator's, as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps what `alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: it came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_mix_that_runs_allocates_nothing() {
    let start = Instant::now();
    let mut mixer = Mixer::new(start, Delay::default(), 512);
    let parties = [(Codec::Pcmu, 8_000), (Codec::G722, 16_000), (Codec::L16Wide, 16_000), (Codec::Pcma, 8_000)];
    let hearing = |rate| Hearing { rate, flexible: false };
    for (key, (_, rate)) in (0..).zip(parties) {
        mixer.join(LegKey(key), hearing(rate), Audience::All);
    }
    let mut before = 0;
    for sequence in 0..400u16 {
        if sequence == 200 {
            before = COUNT.get();
        }
        let due = start + Duration::from_millis(20) * u32::from(sequence);
        for (key, (codec, rate)) in (0..).zip(parties) {
            let payload = [0x55; 640];
            let payload = &payload[..codec.octets_per_ms().unwrap() * 20];
            let timestamp = codec.clock_rate() / 50 * u32::from(sequence);
            let frame = Frame { ssrc: 1, sequence, timestamp, marker: false, kind: FrameKind::Audio(codec), payload };
            mixer.hear(LegKey(key), &frame);
            mixer.give(LegKey(key), Need { due, ms: 20, hearing: hearing(rate) });
        }
    }
    assert_eq!(COUNT.get() - before, 0);
}

fn peer(of: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 4000 + 2 * of as u16))
}

/// Two legs, which hear a packet every 20 ms from peers that speak these codecs, after one was given each of these commands.
fn allocated(codecs: [Codec; 2], security: &Security, commands: &dyn Fn(usize) -> Command) -> u64 {
    let start = Instant::now();
    let mut legs = [0, 1].map(|place| {
        let mut leg = Leg::new(LegConfig {
            seed: place as u64,
            clock: WallClock::new(start, SystemTime::UNIX_EPOCH),
            latch: true,
            rtp_timeout: Some(Duration::from_secs(60)),
            grain: Duration::from_millis(5),
            delay: Delay::default(),
            fill_silence: true,
            tap_wait: Duration::ZERO,
        });
        let params = LegParams { security: security.clone(), ..LegParams::of(peer(place), codecs[place]) };
        leg.handle(start, Input::Command(Command::Start(params)));
        leg.handle(start, Input::Command(commands(place)));
        leg
    });
    // What comes is in the clear, or as the other leg has protected it: both use one key.
    let mut sent = [const { Vec::<u8>::new() }; 2];
    let (mut before, mut packets) = (0, 0);
    for number in 0..500u16 {
        if number == 200 {
            before = COUNT.get();
            packets = 0;
        }
        let now = start + Duration::from_millis(20) * u32::from(number);
        for place in [0, 1] {
            let codec = codecs[place];
            let header = Header {
                marker: false,
                payload_type: codec.payload_type(),
                sequence: number,
                timestamp: codec.clock_rate() / 50 * u32::from(number),
                ssrc: 7,
            };
            let mut datagram = [0x55; 172];
            datagram[..12].copy_from_slice(&header.octets());
            let secured = &sent[1 - place];
            let datagram = if matches!(security, Security::Plain) { &datagram[..] } else { &secured[..] };
            legs[place].handle(now, Input::Rtp { from: peer(place), datagram });
            legs[place].handle(now, Input::Tick);
            let [one, other] = &mut legs;
            let (leg, other) = if place == 0 { (one, other) } else { (other, one) };
            let mut take = |leg: &mut Leg, place: usize, other: Option<&mut Leg>| {
                let mut other = other;
                while let Some(output) = leg.poll() {
                    match (output, &mut other) {
                        (Output::Relay(frame), Some(other)) => other.handle(now, Input::Relayed(frame)),
                        (Output::Rtp { packet, .. }, _) => {
                            packets += 1;
                            sent[place].clear();
                            sent[place].extend_from_slice(packet);
                        }
                        _ => {}
                    }
                }
            };
            take(leg, place, Some(other));
            take(other, 1 - place, None);
        }
    }
    assert!((590..=620).contains(&packets), "{packets} packets");
    COUNT.get() - before
}

#[test]
fn legs_that_talk_allocate_nothing() {
    let bridge = |place: usize| Command::Bridge { with: LegKey(1 - place as u64) };
    let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[7; 30]).unwrap();
    let secured = Security::Srtp(Arc::new(SrtpKeys { local: key, remote: key }));
    let clip = Clip::of(vec![1000; 8_000], 8_000);
    let play = |_| Command::Play { id: 1, source: Source::Clip(clip.clone()), loops: 0 };
    for (name, count) in [
        ("passed on", allocated([Codec::Pcmu, Codec::Pcma], &Security::Plain, &bridge)),
        ("encoded anew", allocated([Codec::Pcmu, Codec::G722], &Security::Plain, &bridge)),
        ("prompt", allocated([Codec::Pcmu, Codec::G722], &Security::Plain, &play)),
        ("protected prompt", allocated([Codec::Pcmu; 2], &secured, &play)),
    ] {
        assert_eq!(count, 0, "{name}");
    }
}
