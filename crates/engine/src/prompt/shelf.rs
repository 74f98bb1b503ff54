//! What is kept of prompts: found again by what they are, bounded by the octets they have in memory together, encoded by
//! threads of their own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::{Instant, SystemTime};
use std::{io, thread};

use metrics::{Gauge, gauge};
use opentact_media::clip::{Clip, Keeper};
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use crate::speech::SayRequest;

/// A thread that encodes for so many cores.
const CORES_A_THREAD: usize = 4;

/// What a prompt is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Url(String),
    File(PathBuf),
    Said(SayRequest),
}

/// A prompt that was got.
pub(super) struct Kept {
    pub clip: Arc<Clip>,
    pub origin: Origin,
}

impl Kept {
    /// Not one that broke off.
    pub fn is_sound(&self) -> bool {
        self.clip.end().is_none_or(Result::is_ok)
    }
}

/// How to tell whether a prompt is still what it was.
#[derive(PartialEq, Eq)]
pub(super) enum Origin {
    Web {
        etag: Option<String>,
        last_modified: Option<String>,
        /// When the server answered, and until when that counts.
        told: Instant,
        until: Instant,
    },
    File {
        modified: Option<SystemTime>,
        octets: u64,
    },
    Speech,
}

/// Locked by whoever gets the prompt; others who want the same wait for it.
pub(super) type Slot = Arc<AsyncMutex<Option<Kept>>>;

pub(super) struct Shelf {
    /// Octets at most.
    limit: usize,
    used: AtomicUsize,
    gauge: Gauge,
    slots: Mutex<HashMap<Key, Place>>,
    /// Counts accesses.
    clock: AtomicU64,
    /// Clips to be encoded, each at most once: it is no longer than there are clips.
    queue: Sender<Arc<Clip>>,
}

struct Place {
    slot: Slot,
    used: u64,
}

impl Shelf {
    /// `limit`: octets of all clips together, decoded and encoded.
    pub fn start(limit: usize) -> io::Result<Arc<Shelf>> {
        let (queue, clips) = channel::<Arc<Clip>>();
        let clips = Arc::new(StdMutex::new(clips));
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        for _ in 0..cores.div_ceil(CORES_A_THREAD) {
            let clips = clips.clone();
            // Ends when the shelf and every clip is gone.
            thread::Builder::new().name("prompts".into()).spawn(move || encode(&clips))?;
        }
        Ok(Arc::new(Shelf {
            limit,
            used: AtomicUsize::new(0),
            gauge: gauge!("opentact_prompt_bytes"),
            slots: Mutex::default(),
            clock: AtomicU64::new(0),
            queue,
        }))
    }

    /// The place of a prompt.
    pub fn slot(&self, key: Key) -> Slot {
        let used = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.slots.lock();
        let place = slots.entry(key).or_insert_with(|| Place { slot: Slot::default(), used });
        place.used = used;
        place.slot.clone()
    }

    /// Forgets a place where nothing is and that nobody else waits for.
    pub fn sweep(&self, key: &Key) {
        let mut slots = self.slots.lock();
        let empty = |place: &Place| {
            Arc::strong_count(&place.slot) <= 2 && place.slot.try_lock().is_ok_and(|kept| kept.is_none())
        };
        if slots.get(key).is_some_and(empty) {
            slots.remove(key);
        }
    }

    /// Drops prompts that nobody plays, the one longest not asked for first, until so much is free.
    fn make_room(&self, octets: usize) {
        let mut slots = self.slots.lock();
        let idle = |place: &Place| {
            let kept = place.slot.try_lock().ok()?;
            (Arc::strong_count(&kept.as_ref()?.clip) == 1).then_some(place.used)
        };
        let mut idle: Vec<(u64, Key)> =
            slots.iter().filter_map(|(key, place)| Some((idle(place)?, key.clone()))).collect();
        idle.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in idle {
            if self.used.load(Ordering::Relaxed) + octets <= self.limit {
                break;
            }
            slots.remove(&key);
        }
    }
}

impl Keeper for Shelf {
    fn take(&self, octets: usize) -> bool {
        for attempt in 0..2 {
            let used = self.used.fetch_add(octets, Ordering::Relaxed) + octets;
            if used <= self.limit {
                self.gauge.set(used as f64);
                return true;
            }
            self.used.fetch_sub(octets, Ordering::Relaxed);
            if attempt == 0 {
                self.make_room(octets);
            }
        }
        false
    }

    fn give_back(&self, octets: usize) {
        let before = self.used.fetch_sub(octets, Ordering::Relaxed);
        self.gauge.set(before.saturating_sub(octets) as f64);
    }

    fn wake(&self, clip: Arc<Clip>) {
        // Refused only once the threads are gone, and with them whoever would listen.
        let _ = self.queue.send(clip);
    }
}

/// Encodes a step of one clip after the other: a long one does not hold up the rest.
fn encode(clips: &StdMutex<Receiver<Arc<Clip>>>) {
    loop {
        let next = clips.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(clip) = next else { return };
        if clip.encode() {
            clip.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use opentact_media::Codec;
    use opentact_media::clip::NoRoom;

    use super::*;

    fn clip(shelf: &Arc<Shelf>, samples: usize) -> Result<Arc<Clip>, NoRoom> {
        Clip::whole(vec![0; samples].into(), 8000, shelf.clone())
    }

    async fn put(shelf: &Arc<Shelf>, name: &str, samples: usize) -> Result<Arc<Clip>, NoRoom> {
        let clip = clip(shelf, samples)?;
        let slot = shelf.slot(Key::Url(name.to_owned()));
        *slot.lock().await = Some(Kept { clip: clip.clone(), origin: Origin::Speech });
        Ok(clip)
    }

    async fn has(shelf: &Shelf, name: &str) -> bool {
        let key = Key::Url(name.to_owned());
        let slot = shelf.slots.lock().get(&key).map(|place| place.slot.clone());
        match slot {
            Some(slot) => slot.lock().await.is_some(),
            None => false,
        }
    }

    #[tokio::test]
    async fn what_is_longest_not_asked_for_gives_way_and_what_is_played_stays() {
        let shelf = Shelf::start(100_000).unwrap();
        let played = put(&shelf, "played", 10_000).await.unwrap();
        drop(put(&shelf, "old", 10_000).await.unwrap());
        drop(put(&shelf, "new", 10_000).await.unwrap());
        shelf.slot(Key::Url("old".to_owned()));
        // There is room for four of them and not for five.
        drop(put(&shelf, "third", 10_000).await.unwrap());
        drop(put(&shelf, "fourth", 10_000).await.unwrap());
        for (name, there) in [("played", true), ("old", true), ("new", false), ("third", true), ("fourth", true)] {
            assert_eq!(has(&shelf, name).await, there, "{name}");
        }
        assert!(shelf.used.load(Ordering::Relaxed) <= 100_000);
        // What cannot be made room for is refused, and nothing is left of it.
        assert_eq!(clip(&shelf, 50_000).unwrap_err(), NoRoom);
        drop(played);
        let all = clip(&shelf, 40_000).unwrap();
        assert!(!has(&shelf, "played").await);
        drop(all);
        assert_eq!(shelf.used.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn encodings_count_and_are_made_elsewhere() {
        let shelf = Shelf::start(1 << 20).unwrap();
        let clip = clip(&shelf, 80_000).unwrap();
        let before = shelf.used.load(Ordering::Relaxed);
        let prompts = [Codec::Pcmu, Codec::G722].map(|codec| clip.prompt(codec));
        while prompts.iter().any(|prompt| prompt.end().is_none()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(shelf.used.load(Ordering::Relaxed) - before, 160_000);
    }

    #[tokio::test]
    async fn a_place_where_nothing_came_is_forgotten() {
        let shelf = Shelf::start(1 << 20).unwrap();
        let key = Key::Url("nothing".to_owned());
        let slot = shelf.slot(key.clone());
        let other = shelf.slot(key.clone());
        shelf.sweep(&key);
        assert_eq!(shelf.slots.lock().len(), 1);
        drop(other);
        shelf.sweep(&key);
        assert_eq!(shelf.slots.lock().len(), 0);
        drop(slot);
    }
}
