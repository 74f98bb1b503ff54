//! Two legs joined, and music for the one that the other puts on hold.

use std::sync::Arc;

use opentact_call::LegId;
use opentact_media::control::{Clip, Command, LegParams, Source};

use super::{Core, Message};

impl Core {
    pub(super) fn bridge(&mut self, a: LegId, b: LegId) {
        let (Some(key), Some(with)) = (self.media_key(a), self.media_key(b)) else { return };
        for (one, other) in [(a, b), (b, a)] {
            self.part(one, Some(other));
        }
        self.drivers.media.command(key, Command::Bridge { with });
        for (one, other) in [(a, b), (b, a)] {
            if self.legs.get(&one).is_some_and(|leg| leg.holds) {
                self.begin_music(one, other);
            }
        }
    }

    pub(super) fn unbridge(&mut self, leg: LegId) {
        self.part(leg, None);
        self.media_command(leg, Command::Unbridge);
    }

    /// Each leg leaves the one it was joined with.
    fn part(&mut self, leg: LegId, with: Option<LegId>) {
        let before = self.legs.get_mut(&leg).and_then(|leg| std::mem::replace(&mut leg.with, with));
        if let Some(other) =
            before.and_then(|before| self.legs.get_mut(&before)).filter(|other| other.with == Some(leg))
        {
            other.with = None;
        }
    }

    /// Media as it was agreed on anew. A party that does not want to hear any more has put the other on hold (RFC 3264 8.4);
    /// one that never wanted to, as who pages others, has not.
    pub(super) fn restart_media(&mut self, id: LegId, params: LegParams) {
        if let Some(leg) = self.legs.get_mut(&id)
            && std::mem::replace(&mut leg.holds, !params.send) == params.send
            && let Some(other) = leg.with
        {
            match params.send {
                true => self.media_command(other, Command::Music { source: None }),
                false => self.begin_music(id, other),
            }
        }
        self.media_command(id, Command::Start(params));
    }

    fn begin_music(&self, holder: LegId, held: LegId) {
        let prompts = self.drivers.prompts.clone();
        if prompts.has_hold_music() {
            self.spawn(async move { Message::HoldMusic { holder, held, clip: prompts.hold_music().await } });
        }
    }

    pub(super) fn on_hold_music(&mut self, holder: LegId, held: LegId, clip: Option<Arc<Clip>>) {
        let still = self.legs.get(&holder).is_some_and(|leg| leg.holds && leg.with == Some(held));
        if let Some(clip) = clip.filter(|_| still) {
            self.media_command(held, Command::Music { source: Some(Source::Clip(clip)) });
        }
    }
}
