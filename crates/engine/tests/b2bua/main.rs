//! Two nodes and four phones over a simulated network, in virtual time: calls that fork, cross both nodes, are held, handed
//! on, picked up, given up and hung up, while messages are lost, doubled, late and out of order. A node here is the `call`
//! machines and the user agent, joined as the core joins them. Everything follows from the seed: `SIM_SEED=n cargo test
//! --test b2bua -- --nocapture` replays one and shows what was said, `OPENTACT_SEEDS=n` runs another number of them.
//!
//! Always true: every call ends and every leg of it is recorded once, from `init` to `destroyed`; who is joined with whom
//! both sides say; no final answer is given twice, and each that arrives is acknowledged; nothing is told of a session
//! after its end; in the end no session, transaction, call, leg or timer is left.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[allow(dead_code, reason = "shared with the simulation of user agents")]
#[path = "../../../sip/tests/simulation/ledger.rs"]
mod ledger;
#[allow(dead_code, reason = "shared with the simulation of user agents")]
#[path = "../../../sip/tests/simulation/network.rs"]
mod network;
mod node;
mod phone;
mod world;

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use world::World;

const SEEDS: u64 = 300;

/// What must have happened in so many seeds: a world in which nothing happens proves nothing.
const KINDS: [&str; 12] = [
    "answered",
    "refused",
    "callee cancelled",
    "re-INVITE answered",
    "hung up by the other",
    "lost",
    "transfer done",
    "transfer failed",
    "two calls joined",
    "picked up",
    "replaced",
    "message passed on",
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run(seed: u64, shown: bool) -> Result<BTreeMap<&'static str, u64>, String> {
    catch_unwind(|| World::new(seed, shown).run()).unwrap_or_else(|_| Err("panicked".into()))
}

#[test]
fn every_call_over_two_nodes_ends_once_everywhere() {
    let only = number("SIM_SEED");
    let seeds = number("OPENTACT_SEEDS").unwrap_or(SEEDS);
    let (mut total, mut faults) = (BTreeMap::new(), Vec::new());
    for seed in only.map_or(0..seeds, |seed| seed..seed + 1) {
        match run(seed, only.is_some()) {
            Ok(tally) => tally.into_iter().for_each(|(kind, count)| *total.entry(kind).or_insert(0) += count),
            Err(fault) => faults.push((seed, fault)),
        }
    }
    println!("{total:#?}");
    let some: Vec<u64> = faults.iter().map(|(seed, _)| *seed).take(20).collect();
    assert!(faults.is_empty(), "{} seeds fail, {some:?}, the first with: {}", faults.len(), faults[0].1);
    let never: Vec<_> = KINDS.iter().filter(|kind| !total.contains_key(*kind)).collect();
    assert!(never.is_empty() || only.is_some() || seeds < SEEDS, "never happened: {never:?}");
}
