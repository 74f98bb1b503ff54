//! User agents that call, register and hang up at random over a network that loses, doubles, delays and reorders, in
//! virtual time. Everything follows from the seed: `SIM_SEED=n cargo test -p opentact-sip --test simulation -- --nocapture`
//! replays one and shows what was said. `SIM_SEEDS=n` runs another number of them.

// Clippy allows these in functions marked as tests, not in their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

mod endpoint;
mod ledger;
mod network;
mod world;

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use world::World;

const SEEDS: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What went wrong with a seed.
fn fault(seed: u64, shown: bool) -> Option<String> {
    match catch_unwind(|| World::new(seed, shown).run()) {
        Ok(Ok(())) => None,
        Ok(Err(fault)) => Some(fault),
        Err(_) => Some("panicked".into()),
    }
}

#[test]
fn every_call_ends_once_on_both_sides_and_nothing_is_left() {
    if let Some(seed) = number("SIM_SEED") {
        if let Some(fault) = fault(seed, true) {
            panic!("seed {seed}: {fault}");
        }
        return;
    }
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let faults = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    if let Some(fault) = fault(seed, false) {
                        faults.lock().unwrap().push((seed, fault));
                    }
                }
            });
        }
    });
    let mut faults = faults.into_inner().unwrap();
    faults.sort();
    if let Some((seed, fault)) = faults.first() {
        let all: Vec<u64> = faults.iter().map(|(seed, _)| *seed).collect();
        panic!(
            "seeds {all:?} of {seeds} fail, the first with: {fault}\n\
             replay: SIM_SEED={seed} cargo test -p opentact-sip --test simulation -- --nocapture"
        );
    }
}

#[test]
fn same_seed_tells_the_same_story() {
    for seed in [3, 14, 159] {
        let story = |_| {
            let mut world = World::new(seed, false);
            world.keep_story();
            let _ = world.run();
            world.story()
        };
        let [first, second] = [0, 1].map(story);
        assert!(!first.is_empty());
        assert_eq!(first, second, "seed {seed}");
    }
}
