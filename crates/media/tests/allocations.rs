//! What is said 50 times a second by every party allocates nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use opentact_media::jitter::Delay;
use opentact_media::mixer::{Hearing, Need};
use opentact_media::relay::{Frame, FrameKind};
use opentact_media::{Audience, Codec, LegKey, Mixer};

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
