//! User agents that call, register and hang up at random over a network that loses, doubles, delays and reorders, in
//! virtual time. Everything follows from the seed: `SIM_SEED=n cargo test -p opentact-sip --test simulation -- --nocapture`
//! replays one and shows what was said. `OPENTACT_SEEDS=n` runs another number of them.

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

use ledger::{KINDS, Tally};
use world::World;

const SEEDS: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What happened with a seed, or what went wrong.
fn run(seed: u64, shown: bool) -> Result<Tally, String> {
    let life = catch_unwind(|| {
        let mut world = World::new(seed, shown);
        world.run().map(|()| world.tally())
    });
    life.unwrap_or_else(|_| Err("panicked".into()))
}

#[test]
fn every_call_ends_once_on_both_sides_and_nothing_is_left() {
    if let Some(seed) = number("SIM_SEED") {
        match run(seed, true) {
            Ok(tally) => println!("{tally:#?}"),
            Err(fault) => panic!("seed {seed}: {fault}"),
        }
        return;
    }
    let seeds = number("OPENTACT_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let faults = Mutex::new(Vec::new());
    let total = Mutex::new(Tally::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    match run(seed, false) {
                        Ok(tally) => {
                            let mut total = total.lock().unwrap();
                            for (kind, count) in tally {
                                *total.entry(kind).or_default() += count;
                            }
                        }
                        Err(fault) => faults.lock().unwrap().push((seed, fault)),
                    }
                }
            });
        }
    });
    let mut faults = faults.into_inner().unwrap();
    faults.sort();
    if let Some((seed, fault)) = faults.first() {
        let some: Vec<u64> = faults.iter().map(|(seed, _)| *seed).take(20).collect();
        panic!(
            "{} of {seeds} seeds fail, {some:?}, the first with: {fault}\n\
             replay: SIM_SEED={seed} cargo test -p opentact-sip --test simulation -- --nocapture",
            faults.len()
        );
    }
    let total = total.into_inner().unwrap();
    println!("{total:#?}");
    let never: Vec<_> = KINDS.iter().filter(|kind| !total.contains_key(*kind)).collect();
    assert!(never.is_empty() || seeds < SEEDS, "never happened: {never:?}");
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
