//! What networks do to a packet every 20 ms: each is lost, or comes so long after it was sent.

use rand::Rng;
use rand::rngs::StdRng;

pub const PACKET_US: u64 = 20_000;
const MS: u64 = 1_000;
/// Of what is made here, so many packets at the end find a calm network.
pub const CALM: usize = 15 * 50;

#[derive(Debug, Clone)]
pub struct Trace {
    pub name: String,
    /// By packet: microseconds on the way; `None`: lost.
    pub delays: Vec<Option<u64>>,
    /// From one packet to the next by the receiver's clock, microseconds.
    pub step_us: u64,
}

impl Trace {
    fn made(name: &str, count: usize, mut delay: impl FnMut(usize, u64) -> Option<u64>) -> Trace {
        let delays = (0..count).map(|number| delay(number, number as u64 * PACKET_US)).collect();
        Trace { name: name.into(), delays, step_us: PACKET_US }
    }

    /// The sender's clock is faster by so many parts per million.
    pub fn drifting(mut self, ppm: i64) -> Trace {
        self.step_us = (PACKET_US as i64 * (1_000_000 - ppm) / 1_000_000) as u64;
        self.name = format!("{}, {ppm} ppm", self.name);
        self
    }

    /// What comes, by when: microseconds and numbers.
    pub fn arrivals(&self) -> Vec<(u64, usize)> {
        let arrival = |(number, delay): (usize, &Option<u64>)| Some((number as u64 * self.step_us + (*delay)?, number));
        let mut arrivals: Vec<_> = self.delays.iter().enumerate().filter_map(arrival).collect();
        arrivals.sort_unstable();
        arrivals
    }

    /// The share of packets that are lost.
    pub fn lost(&self) -> f64 {
        self.delays.iter().filter(|delay| delay.is_none()).count() as f64 / self.delays.len() as f64
    }

    /// The share of packets that come more than `ms` after the quickest of the five seconds before.
    pub fn late(&self, ms: u64) -> f64 {
        let late = |number: &usize| {
            let before = &self.delays[number.saturating_sub(250)..=*number];
            let least = before.iter().flatten().min();
            self.delays[*number].zip(least).is_some_and(|(delay, least)| delay - least > ms * MS)
        };
        (0..self.delays.len()).filter(late).count() as f64 / self.delays.len() as f64
    }
}

/// What `record.py` has recorded, `name` for who reads of it.
fn recorded(name: &str, text: &str) -> Trace {
    let delays = text.lines().map(|line| line.parse().ok()).collect();
    Trace { name: name.into(), delays, step_us: PACKET_US }
}

/// Lines that TCP shares: a download over 1 Mbit/s with a queue of 200 ms, an upload over 384 kbit/s with one of 400 ms.
fn all_recorded() -> [Trace; 2] {
    [
        recorded("a line with a download", include_str!("dsl.txt")),
        recorded("a line with an upload", include_str!("uplink.txt")),
    ]
}

/// Each packet is lost by itself, or late by any time up to a limit, which reorders.
pub fn even(rng: &mut StdRng, count: usize, loss: f64, jitter_ms: u64) -> Trace {
    let name = format!("{} % lost, {jitter_ms} ms", loss * 100.0);
    Trace::made(&name, count, |_, _| (!rng.random_bool(loss)).then(|| rng.random_range(0..=jitter_ms * MS)))
}

/// Gilbert and Elliott: what is lost is lost together, three packets at a time.
pub fn losses_in_bursts(rng: &mut StdRng, count: usize) -> Trace {
    let mut bad = false;
    Trace::made("losses in bursts", count, |number, _| {
        bad = if bad { rng.random_bool(0.75) } else { rng.random_bool(0.018) };
        let lost = bad && rng.random_bool(0.8) && number < count - CALM;
        (!lost).then(|| 20 * MS + rng.random_range(0..4 * MS))
    })
}

/// For 150 to 250 ms nothing comes, then all of it at once.
pub fn stalls(rng: &mut StdRng, count: usize) -> Trace {
    let (mut until, mut next, mut free) = (0, 2_000 * MS, 0);
    Trace::made("stalls", count, |number, sent| {
        if sent >= next && number < count - CALM {
            until = sent + rng.random_range(150 * MS..250 * MS);
            next = sent + rng.random_range(3_000 * MS..8_000 * MS);
        }
        // What has waited leaves one after the other.
        let at = (sent.max(until) + 15 * MS + rng.random_range(0..2 * MS)).max(free);
        free = at + 500;
        Some(at - sent)
    })
}

/// The way becomes 80 ms longer, and later shorter: then packets overtake others.
pub fn another_way(rng: &mut StdRng, count: usize) -> Trace {
    let third = (count - CALM) / 3;
    Trace::made("another way", count, |number, _| {
        let way = if (third..2 * third).contains(&number) { 110 * MS } else { 30 * MS };
        Some(way + rng.random_range(0..3 * MS))
    })
}

/// Mostly quick, at times 20 to 120 ms late with all that is behind it, because somebody else speaks on the air.
pub fn wifi(rng: &mut StdRng, count: usize) -> Trace {
    let mut free = 0;
    Trace::made("wifi", count, |number, sent| {
        let waits = -(1.0 - rng.random::<f64>()).ln() * 2_000.0;
        let spike =
            if rng.random_bool(0.012) && number < count - CALM { rng.random_range(20 * MS..120 * MS) } else { 0 };
        let at = (sent + 5 * MS + waits as u64 + spike).max(free);
        free = at + 300;
        (!rng.random_bool(0.003)).then(|| at - sent)
    })
}

/// A line that is almost full: the delay wanders between 20 and 120 ms.
pub fn wandering(rng: &mut StdRng, count: usize) -> Trace {
    let (mut delay, mut free) = (40_000.0_f64, 0);
    Trace::made("wandering", count, |number, sent| {
        delay = (delay + rng.random_range(-3_000.0..3_000.0)).clamp(20_000.0, 120_000.0);
        if number >= count - CALM {
            delay = delay.min(30_000.0);
        }
        free = free.max(sent + delay as u64);
        Some(free - sent)
    })
}

/// All that become calm again: those that are made, and where there are as many packets those that were recorded.
pub fn all(rng: &mut StdRng, count: usize) -> Vec<Trace> {
    let made = [losses_in_bursts, stalls, another_way, wifi, wandering].map(|make| make(rng, count));
    made.into_iter().chain(all_recorded().into_iter().filter(|trace| trace.delays.len() == count)).collect()
}
