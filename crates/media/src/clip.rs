//! Decoded audio, whole or still coming, that any number of legs play; each encoding of it is made once.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::codec::Codec;
use crate::prompt::{Prompt, Step};

/// What a clip takes before there is a sample.
const OVERHEAD: usize = 2048;

/// Who keeps clips: bounds the memory they have together, and has them encoded.
pub trait Keeper: Send + Sync {
    /// Octets more are wanted. False: there is no room for them.
    fn take(&self, octets: usize) -> bool;

    fn give_back(&self, octets: usize);

    /// There is something to encode: [`Clip::encode`] is to be called until it says that nothing is left. Called from
    /// media threads: must not take long.
    fn wake(&self, clip: Arc<Clip>);
}

/// Without a bound; encodes at once, wherever that is.
struct Unbounded;

impl Keeper for Unbounded {
    fn take(&self, _: usize) -> bool {
        true
    }

    fn give_back(&self, _: usize) {}

    fn wake(&self, clip: Arc<Clip>) {
        while clip.encode() {}
    }
}

/// The keeper has no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no room in memory for more of the prompt")]
pub struct NoRoom;

pub struct Clip {
    keeper: Arc<dyn Keeper>,
    /// Samples per second; set with the first samples, or never where there are none.
    rate: OnceLock<u32>,
    samples: Mutex<Samples>,
    /// Nothing more comes; why, where that is not as it should be.
    end: OnceLock<Result<(), Arc<str>>>,
    prompts: [OnceLock<Arc<Prompt>>; Codec::COUNT],
    /// Waits to be encoded.
    awake: AtomicBool,
    /// Taken of the keeper's room.
    octets: AtomicUsize,
}

#[derive(Default)]
struct Samples {
    pieces: Vec<Arc<[i16]>>,
    /// Samples before each piece, and in all.
    starts: Vec<usize>,
    count: usize,
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clip").field("rate", &self.rate).field("end", &self.end).finish_non_exhaustive()
    }
}

impl Clip {
    /// One whose samples are still to come.
    pub fn begin(keeper: Arc<dyn Keeper>) -> Arc<Clip> {
        // So little that it is not asked for.
        keeper.take(OVERHEAD);
        Arc::new(Clip {
            keeper,
            rate: OnceLock::new(),
            samples: Mutex::default(),
            end: OnceLock::new(),
            prompts: Default::default(),
            awake: AtomicBool::new(false),
            octets: AtomicUsize::new(OVERHEAD),
        })
    }

    /// Mono samples of `rate` per second that are all there is.
    pub fn whole(samples: Arc<[i16]>, rate: u32, keeper: Arc<dyn Keeper>) -> Result<Arc<Clip>, NoRoom> {
        let clip = Clip::begin(keeper);
        clip.push(samples, rate)?;
        clip.finish(Ok(()));
        Ok(clip)
    }

    /// As [`Clip::whole`], without a bound and encoded where it is asked for.
    pub fn of(samples: impl Into<Arc<[i16]>>, rate: u32) -> Arc<Clip> {
        let clip = Clip::begin(Arc::new(Unbounded));
        // There is room.
        let _ = clip.push(samples.into(), rate);
        clip.finish(Ok(()));
        clip
    }

    /// The next samples, as many a second as those before.
    pub fn push(self: &Arc<Self>, samples: Arc<[i16]>, rate: u32) -> Result<(), NoRoom> {
        if samples.is_empty() {
            return Ok(());
        }
        self.take(samples.len() * size_of::<i16>())?;
        self.rate.get_or_init(|| rate);
        {
            let mut all = self.samples.lock();
            let count = all.count;
            all.starts.push(count);
            all.count += samples.len();
            all.pieces.push(samples);
        }
        self.wake();
        Ok(())
    }

    /// Nothing more comes. The first call counts.
    pub fn finish(self: &Arc<Self>, end: Result<(), Arc<str>>) {
        self.end.get_or_init(|| end);
        self.wake();
    }

    /// Whether it has ended, and as it should.
    pub fn end(&self) -> Option<&Result<(), Arc<str>>> {
        self.end.get()
    }

    /// Samples per second.
    pub fn rate(&self) -> Option<u32> {
        self.rate.get().copied()
    }

    /// All samples that are there.
    pub fn samples(&self) -> Vec<i16> {
        self.samples.lock().pieces.concat()
    }

    /// The clip in a codec, in PCMU where that is only passed through: the same for all who ask.
    pub fn prompt(self: &Arc<Self>, codec: Codec) -> Arc<Prompt> {
        let codec = if codec == Codec::G729 { Codec::Pcmu } else { codec };
        let mut is_new = false;
        let prompt = self.prompts[codec as usize].get_or_init(|| {
            is_new = true;
            Arc::new(Prompt::new(codec))
        });
        if is_new {
            self.wake();
        }
        prompt.clone()
    }

    /// Goes a step on with every encoding. True: there is more to do.
    pub fn encode(&self) -> bool {
        // What comes from here on asks anew.
        self.awake.store(false, Ordering::Release);
        let mut more = false;
        for prompt in self.prompts.iter().filter_map(OnceLock::get) {
            more |= prompt.encode(self) == Step::More;
        }
        more
    }

    /// Has [`Clip::encode`] called.
    pub fn wake(self: &Arc<Self>) {
        if self.prompts.iter().any(|prompt| prompt.get().is_some()) && !self.awake.swap(true, Ordering::AcqRel) {
            self.keeper.wake(self.clone());
        }
    }

    /// Appends samples from `from` on, at most `count` of them.
    pub(crate) fn read(&self, from: usize, count: usize, samples: &mut Vec<i16>) {
        let all = self.samples.lock();
        let until = (from + count).min(all.count);
        let mut at = from;
        let first = all.starts.partition_point(|start| *start <= from).saturating_sub(1);
        for (piece, start) in all.pieces.iter().zip(&all.starts).skip(first) {
            if at >= until {
                break;
            }
            let part = piece.get(at - start..piece.len().min(until - start)).unwrap_or_default();
            samples.extend_from_slice(part);
            at += part.len();
        }
    }

    pub(crate) fn take(&self, octets: usize) -> Result<(), NoRoom> {
        if !self.keeper.take(octets) {
            return Err(NoRoom);
        }
        self.octets.fetch_add(octets, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Clip {
    fn drop(&mut self) {
        self.keeper.give_back(*self.octets.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Small {
        limit: usize,
        used: AtomicUsize,
        woken: AtomicUsize,
    }

    impl Keeper for Small {
        fn take(&self, octets: usize) -> bool {
            let fits = self.used.load(Ordering::Relaxed) + octets <= self.limit;
            self.used.fetch_add(if fits { octets } else { 0 }, Ordering::Relaxed);
            fits
        }

        fn give_back(&self, octets: usize) {
            self.used.fetch_sub(octets, Ordering::Relaxed);
        }

        fn wake(&self, _: Arc<Clip>) {
            self.woken.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_encoding_is_one_for_all_and_made_once() {
        let keeper = Arc::new(Small { limit: 1 << 20, ..Small::default() });
        let clip = Clip::whole(vec![1000; 8000].into(), 8000, keeper.clone()).unwrap();
        assert_eq!(keeper.woken.load(Ordering::Relaxed), 0);
        let prompt = clip.prompt(Codec::Pcmu);
        assert!(Arc::ptr_eq(&prompt, &clip.prompt(Codec::Pcmu)));
        assert!(Arc::ptr_eq(&prompt, &clip.prompt(Codec::G729)));
        assert!(!Arc::ptr_eq(&prompt, &clip.prompt(Codec::Pcma)));
        // It waits to be encoded already.
        assert_eq!(keeper.woken.load(Ordering::Relaxed), 1);
        while clip.encode() {}
        assert!(!clip.encode());
        assert_eq!((prompt.ready(), prompt.end()), (8000, Some(&Ok(()))));
    }

    #[test]
    fn what_comes_in_pieces_is_encoded_as_what_comes_at_once() {
        let samples: Vec<i16> = (0..44_100).map(|n| ((f64::from(n) * 0.05).sin() * 9_000.0) as i16).collect();
        for codec in [Codec::Pcmu, Codec::G722, Codec::Opus, Codec::L16Wide] {
            let whole = Clip::of(samples.clone(), 44_100).prompt(codec);
            let clip = Clip::begin(Arc::new(Unbounded));
            let prompt = clip.prompt(codec);
            let mut ready = 0;
            for piece in samples.chunks(3_333) {
                clip.push(piece.into(), 44_100).unwrap();
                assert!(prompt.ready() >= ready);
                ready = prompt.ready();
            }
            assert!(ready > 0 && prompt.end().is_none(), "{codec:?}");
            clip.finish(Ok(()));
            assert_eq!(prompt.end(), Some(&Ok(())));
            assert_eq!(prompt.octets(), whole.octets(), "{codec:?}");
            assert_eq!(prompt.ready(), whole.ready());
        }
    }

    #[test]
    fn no_more_is_taken_than_there_is_room_for_and_all_is_given_back() {
        let keeper = Arc::new(Small { limit: OVERHEAD + 16_000 + 4_000, ..Small::default() });
        let clip = Clip::begin(keeper.clone());
        clip.push(vec![0; 8000].into(), 8000).unwrap();
        assert_eq!(clip.push(vec![0; 8000].into(), 8000), Err(NoRoom));
        let prompt = clip.prompt(Codec::Pcmu);
        while clip.encode() {}
        assert!(prompt.end().is_some_and(|end| end.as_ref().is_err_and(|reason| reason.contains("no room"))));
        assert!(keeper.used.load(Ordering::Relaxed) <= keeper.limit);
        drop(clip);
        assert_eq!(keeper.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_failure_comes_after_all_that_was_there() {
        let clip = Clip::begin(Arc::new(Unbounded));
        let prompt = clip.prompt(Codec::Pcmu);
        clip.push(vec![100; 1000].into(), 8000).unwrap();
        clip.finish(Err("cut off".into()));
        assert_eq!((prompt.ready(), prompt.end()), (1000, Some(&Err("cut off".into()))));
    }
}
