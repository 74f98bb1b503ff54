//! Legs in a mix, and what they hear of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use opentact_media::leg::Input;
use opentact_media::{Audience, Command, Event, LegKey, MixKey, Mixer};

use super::Worker;

impl Worker {
    /// Takes a leg into a mix, to whose thread it goes when that is not this one.
    pub(super) fn join_mix(&mut self, now: Instant, index: usize, mix: MixKey, audience: Audience) {
        self.part(now, index);
        if self.slots[index].as_ref().is_some_and(|slot| slot.mix != Some(mix)) {
            self.leave_mix(now, index);
        }
        let thread = (mix.0 % self.queues.len() as u64) as usize;
        if thread != self.index {
            return self.move_to(thread, index, Command::Join { mix, audience });
        }
        let Some(slot) = &mut self.slots[index] else { return };
        let mixer = self.mixes.entry(mix).or_insert_with(|| Mixer::new(now, self.delay, self.mix_parties));
        if !mixer.join(slot.key, slot.leg.hearing(), audience) {
            return (self.events)(slot.key, Event::MixFull { mix });
        }
        if slot.mix.replace(mix).is_none() {
            self.handle(now, index, Input::Command(Command::Join { mix, audience }));
            self.drain(now, index);
        }
    }

    /// Takes a leg out of its mix, which ends with the last.
    pub(super) fn leave_mix(&mut self, now: Instant, index: usize) {
        if self.forget_mix(index) {
            self.handle(now, index, Input::Command(Command::Leave));
            self.drain(now, index);
        }
    }

    pub(super) fn forget_mix(&mut self, index: usize) -> bool {
        let Some(slot) = &mut self.slots[index] else { return false };
        let Some(mix) = slot.mix.take() else { return false };
        if let Some(mixer) = self.mixes.get_mut(&mix) {
            mixer.leave(slot.key);
            if mixer.is_empty() {
                self.mixes.remove(&mix);
            }
        }
        true
    }

    pub(super) fn with_mix(&mut self, index: usize, tell: impl FnOnce(&mut Mixer, LegKey)) {
        let Some(slot) = &self.slots[index] else { return };
        if let Some(mixer) = slot.mix.and_then(|mix| self.mixes.get_mut(&mix)) {
            tell(mixer, slot.key);
        }
    }

    /// Gives a leg that is due what it hears of its mix.
    pub(super) fn feed(&mut self, now: Instant, index: usize) {
        let Some(slot) = &mut self.slots[index] else { return };
        let Some(mixer) = slot.mix.and_then(|mix| self.mixes.get_mut(&mix)) else { return };
        slot.clock = slot.clock.max(now);
        let (now, leg) = (slot.clock, &mut slot.leg);
        let fed = catch_unwind(AssertUnwindSafe(|| {
            if let Some(need) = leg.needs(now)
                && let Some((rate, samples)) = mixer.give(slot.key, need)
            {
                leg.handle(now, Input::Mixed { rate, samples });
            }
        }));
        if fed.is_err() {
            self.end_mix(now, index);
        }
    }

    /// A fault in a mix ends that mix only: its parties hear nothing more of it.
    pub(super) fn end_mix(&mut self, now: Instant, index: usize) {
        let Some(mix) = self.slots[index].as_ref().and_then(|slot| slot.mix) else { return };
        tracing::error!(%mix, "mix panicked and is ended");
        let Some(mixer) = self.mixes.remove(&mix) else { return };
        let places: Vec<usize> = mixer.keys().filter_map(|key| self.places.get(&key).copied()).collect();
        for place in places {
            self.leave_mix(now, place);
        }
    }
}
