//! Joins any number of legs, each of which hears all others and never itself.
//!
//! Every party is heard and hears at the rate of its codec; a codec that has several (Opus) at the highest that
//! somebody else has too. What a party says is decoded once, and turned into each rate that somebody hears at once.
//!
//! It has no clock of its own: it mixes as far as the leg that asks first has come, in blocks of 10 ms. Nothing is
//! allocated once every party has spoken, and who says nothing costs nothing.
//!
//! Not here: packets, and who may join whom.

mod limit;
mod party;
mod ring;

use std::time::{Duration, Instant};

use crate::control::{Audience, LegKey};
use crate::jitter::Delay;
use crate::relay::Frame;
use limit::limit;
use party::Party;
use ring::{Place, Ring};

/// Milliseconds mixed at a time.
const BLOCK_MS: u64 = 10;
/// Samples of the longest packet of a leg.
const MAX_SAMPLES: usize = 960;

/// Samples per second at which is mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rate {
    Narrow,
    Wide,
    SuperWide,
    Full,
}

impl Rate {
    const ALL: [Rate; 4] = [Rate::Narrow, Rate::Wide, Rate::SuperWide, Rate::Full];

    const fn hz(self) -> u32 {
        match self {
            Rate::Narrow => 8_000,
            Rate::Wide => 16_000,
            Rate::SuperWide => 24_000,
            Rate::Full => 48_000,
        }
    }

    /// Samples of a block.
    const fn block(self) -> usize {
        self.hz() as usize * BLOCK_MS as usize / 1000
    }

    /// The lowest that has all of `hz`.
    fn of(hz: u32) -> Rate {
        Rate::ALL.into_iter().find(|rate| rate.hz() >= hz).unwrap_or(Rate::Full)
    }
}

/// What the codec of a leg lets it hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hearing {
    /// Samples per second at most.
    pub rate: u32,
    /// It may be less.
    pub flexible: bool,
}

/// What a leg needs to be given before its tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// When its packet is scheduled for.
    pub due: Instant,
    /// Milliseconds of the packet, 10..=60.
    pub ms: u8,
    pub hearing: Hearing,
}

/// What everybody who is heard by all says, at one rate.
#[derive(Debug)]
struct Bus {
    ring: Ring,
    /// Somebody hears at this rate.
    wanted: bool,
}

#[derive(Debug)]
pub struct Mixer {
    /// Where time begins.
    origin: Instant,
    delay: Delay,
    /// Parties that are let in.
    most: usize,
    /// By key.
    parties: Vec<Party>,
    buses: [Bus; 4],
    /// Blocks that are mixed.
    mixed: u64,
    sum: Vec<f32>,
    out: Vec<i16>,
}

impl Mixer {
    /// `delay`: how long packets of a party wait; `most`: how many parties are let in.
    pub fn new(now: Instant, delay: Delay, most: usize) -> Mixer {
        // What is due a little before was not the beginning of time.
        let origin = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        let buses = Rate::ALL.map(|rate| Bus { ring: Ring::new(rate), wanted: false });
        let (parties, sum, out) = (Vec::new(), Vec::new(), Vec::new());
        let mut mixer = Mixer { origin, delay, most, parties, buses, mixed: 0, sum, out };
        mixer.mixed = mixer.block_of(now);
        mixer
    }

    pub fn is_empty(&self) -> bool {
        self.parties.is_empty()
    }

    /// The legs that are in it.
    pub fn keys(&self) -> impl Iterator<Item = LegKey> {
        self.parties.iter().map(|party| party.key)
    }

    /// Lets a leg in, or gives one that is in it another audience. False when it is full.
    pub fn join(&mut self, key: LegKey, hearing: Hearing, audience: Audience) -> bool {
        match self.place(key) {
            Ok(place) => self.parties[place].audience = audience,
            Err(_) if self.parties.len() >= self.most => return false,
            Err(place) => {
                self.parties.insert(place, Party::new(key, hearing, audience, self.delay, self.mixed));
                self.settle();
            }
        }
        true
    }

    pub fn leave(&mut self, key: LegKey) {
        if let Ok(place) = self.place(key) {
            self.parties.remove(place);
            self.settle();
        }
    }

    /// Who hears what the party says.
    pub fn speak(&mut self, key: LegKey, to: Audience) {
        if let Some(party) = self.party(key) {
            party.audience = to;
        }
    }

    /// How loud the others hear the party: decibels more or less than it is, -60..=20.
    pub fn volume(&mut self, key: LegKey, db: f32) {
        if let Some(party) = self.party(key) {
            party.turn(db);
        }
    }

    pub fn mute(&mut self, key: LegKey, on: bool) {
        if let Some(party) = self.party(key) {
            party.muted = on;
        }
    }

    /// The party's leg heard this.
    pub fn hear(&mut self, key: LegKey, frame: &Frame<'_>) {
        if let Some(party) = self.party(key) {
            party.hear(frame);
        }
    }

    /// What the party hears in the packet time before its `due`, and at how many samples per second; `None` where nobody
    /// else says anything.
    pub fn give(&mut self, key: LegKey, need: Need) -> Option<(u32, &[i16])> {
        let place = self.place(key).ok()?;
        if self.parties[place].hearing != need.hearing {
            self.parties[place].hearing = need.hearing;
            self.settle();
        }
        self.mix_until(self.block_of(need.due));
        let party = &self.parties[place];
        let hz = party.rate.hz();
        let end = (self.elapsed(need.due).as_nanos() * u128::from(hz) / 1_000_000_000) as u64;
        let count = (hz as usize * usize::from(need.ms) / 1000).min(MAX_SAMPLES);
        let from = Place { sample: end.saturating_sub(count as u64), blocks: party.since..self.mixed };
        let bus = &self.buses[party.rate as usize].ring;
        let length = party.rate.block() as u64;
        let mut blocks = from.sample / length..end.div_ceil(length);
        let speaks = |block| bus.voices(block) > party.own.voices(block) || party.aside.voices(block) > 0;
        if !blocks.any(|block| from.blocks.contains(&block) && speaks(block)) {
            return None;
        }
        self.sum.clear();
        self.sum.resize(count, 0.0);
        bus.add_to(&from, &mut self.sum, 1.0);
        party.own.add_to(&from, &mut self.sum, -1.0);
        party.aside.add_to(&from, &mut self.sum, 1.0);
        self.out.clear();
        self.out.extend(self.sum.iter().map(|sample| limit(*sample)));
        Some((hz, &self.out))
    }

    fn place(&self, key: LegKey) -> Result<usize, usize> {
        self.parties.binary_search_by_key(&key, |party| party.key)
    }

    fn party(&mut self, key: LegKey) -> Option<&mut Party> {
        self.place(key).ok().map(|place| &mut self.parties[place])
    }

    /// Nobody needs more than the best of the others has.
    fn settle(&mut self) {
        let best_but = |parties: &[Party], place: usize| {
            let others = parties.iter().enumerate().filter(|(other, _)| *other != place);
            others.map(|(_, party)| Rate::of(party.hearing.rate)).max()
        };
        let best = self.parties.iter().map(|party| Rate::of(party.hearing.rate)).max();
        let alone = self.parties.iter().filter(|party| Some(Rate::of(party.hearing.rate)) == best).count() == 1;
        for place in 0..self.parties.len() {
            let own = Rate::of(self.parties[place].hearing.rate);
            // Only for the one who is better than all others it makes a difference who is asked.
            let others = if alone && Some(own) == best { best_but(&self.parties, place) } else { best };
            let party = &mut self.parties[place];
            if party.hearing.flexible {
                party.change(others.map_or(Rate::Narrow, |others| others.min(own)), self.delay, self.mixed);
            } else {
                party.change(own, self.delay, self.mixed);
            }
        }
        for (bus, rate) in self.buses.iter_mut().zip(Rate::ALL) {
            bus.wanted = self.parties.iter().any(|party| party.rate == rate);
        }
    }

    fn elapsed(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.origin)
    }

    /// The block in which, or at whose end, that is.
    fn block_of(&self, at: Instant) -> u64 {
        self.elapsed(at).as_nanos().div_ceil(u128::from(BLOCK_MS) * 1_000_000) as u64
    }

    fn mix_until(&mut self, block: u64) {
        // Nobody has asked for a while, as all are on hold: what was said meanwhile is over.
        self.mixed = self.mixed.max(block.saturating_sub(ring::BLOCKS));
        while self.mixed < block {
            self.mix();
            self.mixed += 1;
        }
    }

    fn mix(&mut self) {
        let block = self.mixed;
        for place in 0..self.parties.len() {
            let Some((from, to)) = self.parties[place].pull() else { continue };
            match self.parties[place].audience {
                Audience::Nobody => {}
                Audience::All => {
                    let party = &mut self.parties[place];
                    for bus in self.buses.iter_mut().filter(|bus| bus.wanted) {
                        let rate = bus.ring.rate();
                        bus.ring.put(block, party.said(rate), from, to);
                    }
                    party.keep(block, from, to);
                }
                Audience::One(key) => {
                    let Ok(other) = self.place(key) else { continue };
                    if let Ok([party, other]) = self.parties.get_disjoint_mut([place, other]) {
                        other.aside.put(block, party.said(other.rate), from, to);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
