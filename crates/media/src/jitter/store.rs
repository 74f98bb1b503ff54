//! The packets that wait, each in the slot of its sequence number.

use crate::rtp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// How long it lasts, in timestamp units.
    Sound(u32),
    Noise,
}

#[derive(Debug, Clone)]
pub(super) struct Store {
    slots: Vec<Slot>,
    held: usize,
    /// The place of what came last: what is held lies before it as a rule.
    last: usize,
}

#[derive(Debug, Clone)]
struct Slot {
    held: bool,
    sequence: u16,
    timestamp: u32,
    kind: Kind,
    payload: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Held<'a> {
    pub sequence: u16,
    pub timestamp: u32,
    pub kind: Kind,
    pub payload: &'a [u8],
}

impl Default for Store {
    fn default() -> Self {
        let slot = Slot { held: false, sequence: 0, timestamp: 0, kind: Kind::Noise, payload: Vec::new() };
        Store { slots: vec![slot; Store::LEN as usize], held: 0, last: 0 }
    }
}

impl Store {
    /// Packets held; a power of two. At 20 ms that is 1.28 s, far beyond the largest delay.
    pub const LEN: i16 = 64;

    pub fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.held = false);
        self.held = 0;
    }

    /// False when it is there already.
    pub fn put(&mut self, sequence: u16, timestamp: u32, kind: Kind, payload: &[u8]) -> bool {
        let place = usize::from(sequence % Self::LEN as u16);
        let slot = &mut self.slots[place];
        if slot.held && slot.sequence == sequence {
            return false;
        }
        self.held += usize::from(!slot.held);
        slot.held = true;
        slot.sequence = sequence;
        slot.timestamp = timestamp;
        slot.kind = kind;
        slot.payload.clear();
        slot.payload.extend_from_slice(payload);
        self.last = place;
        true
    }

    pub fn at(&self, sequence: u16) -> Option<Held<'_>> {
        let slot = &self.slots[usize::from(sequence % Self::LEN as u16)];
        (slot.held && slot.sequence == sequence).then_some(Held {
            sequence,
            timestamp: slot.timestamp,
            kind: slot.kind,
            payload: &slot.payload,
        })
    }

    pub fn remove(&mut self, sequence: u16) {
        let slot = &mut self.slots[usize::from(sequence % Self::LEN as u16)];
        if slot.held && slot.sequence == sequence {
            slot.held = false;
            self.held -= 1;
        }
    }

    /// The earliest from `next` on.
    pub fn first(&self, next: u16) -> Option<Held<'_>> {
        if self.held == 0 {
            return None;
        }
        (0..Self::LEN as u16).find_map(|ahead| self.at(next.wrapping_add(ahead)))
    }

    /// The timestamp after the last packet; `from` when there is none after it.
    pub fn end(&self, from: u32) -> u32 {
        let (mut end, mut left) = (from, self.held);
        // Asked with every packet that comes and goes: no more places are looked at than it takes to find what is held.
        for back in 0..Self::LEN as usize {
            let slot = &self.slots[(self.last + Self::LEN as usize - back) % Self::LEN as usize];
            if left == 0 {
                break;
            }
            if slot.held {
                left -= 1;
                let units = if let Kind::Sound(units) = slot.kind { units } else { 0 };
                let slot_end = slot.timestamp.wrapping_add(units);
                if rtp::timestamp_distance(end, slot_end) > 0 {
                    end = slot_end;
                }
            }
        }
        end
    }
}
