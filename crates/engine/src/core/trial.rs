//! One attempt of a leg that has several: what it says of itself, and how long it may take before the next is tried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentact_call::LegId;
use opentact_call::q850::Q850;
use opentact_sip::ua::Command;
use opentact_sip::uri::NameAddr;
use opentact_store::types::Dtmf;

use super::Core;
use super::described::{Manner, Media, Terms};
use super::leg::{Leg, Outbound, Role};
use super::negotiate::{self, Headers};
use super::passing::passing;
use super::reason::reason_header;
use crate::router::Over;
use crate::trunk_board::Outcome;

impl Outbound {
    /// Whether what has answered so is passed over for what is to be tried next.
    pub(super) fn is_passed_over(&self, code: u16) -> bool {
        let codes = self.over.as_ref().and_then(|(over, _)| over.failover_codes.as_ref());
        codes.map_or(matches!(code, 408 | 500..=599), |codes| codes.contains(&code))
    }

    /// When the attempt has had its time. `rung`: a 101..199 has come.
    fn deadline(&self, rung: bool) -> Option<Instant> {
        let (over, since) = self.over.as_ref()?;
        let progress = over.progress_timeout.filter(|_| !rung);
        [progress, over.ring_timeout].into_iter().flatten().min().map(|time| *since + time)
    }
}

/// In what order its app wants codecs, where it has one.
fn app_codecs(leg: &Leg) -> Option<&[String]> {
    Some(leg.context.app_codecs.as_slice()).filter(|codecs| !codecs.is_empty())
}

impl Core {
    /// Sets a leg to what it says over a trunk, or over none: its offers will be of the codecs that are spoken there, first
    /// what the caller speaks. `phones`: the places are those of a SIP user.
    pub(super) fn begin_attempt(&mut self, id: LegId, over: Option<&Arc<Over>>, phones: bool) {
        self.trials.set(id, None);
        self.count_attempt(id);
        let names = match over {
            Some(over) if !over.codecs.is_empty() => &over.codecs,
            _ if phones => &self.config.codecs.phones,
            _ => &self.config.codecs.trunks,
        };
        // A leg that is called by REST has an app of its own, a dialled one that of who has dialled.
        let leg = self.legs.get(&id);
        let app = leg.and_then(app_codecs).or_else(|| app_codecs(self.legs.get(&leg?.call)?)).unwrap_or_default();
        let mut codecs = negotiate::codecs(names, app);
        let mut passed = Vec::new();
        let origin = self.legs.get(&id).and_then(|leg| self.legs.get(&leg.call)).filter(|origin| origin.id != id);
        if let Some(origin) = origin
            && let Some(media) = &origin.media
        {
            let offer = origin.offer();
            negotiate::suit(&mut codecs, media, offer.as_ref());
            if phones {
                passed = negotiate::showable(media, offer.as_ref());
            }
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Leg { role: Role::Outbound(outbound), media: Some(media), context, call, .. } = leg else { return };
        let Some(address) = outbound.address else { return };
        outbound.over = over.map(|over| (over.clone(), Instant::now()));
        // A new dialog: nothing of what was offered and agreed with another place holds for it.
        let srtp = over.and_then(|over| over.srtp).unwrap_or(self.config.srtp);
        let dtmf = over.map_or(Dtmf::Auto, |over| over.dtmf);
        let video = match media.terms.video {
            None if !passed.is_empty() => self.drivers.media.open_video(media.key).ok(),
            opened => opened,
        };
        let terms = Terms { address, codecs, srtp, webrtc: self.config.webrtc.clone(), dtmf, passed, video };
        *media = Media::new(media.key, terms, Manner::default());
        outbound.early = None;
        if let Some(over) = over {
            outbound.from = Some(NameAddr::new(over.from.clone()));
            outbound.to = Some(NameAddr::new(over.to.clone()));
            outbound.identity.clone_from(&over.identity);
            context.sip_connection = Some(over.uuid);
            context.related.sip_connection = Some(over.shown.clone());
            let (call, context) = (*call, context.clone());
            if let Some(entry) = self.calls.get_mut(&call) {
                entry.book.set_context(id, context);
            }
        }
    }

    /// What was tried has come to its end: it counts for its trunk.
    pub(super) fn count_attempt(&mut self, id: LegId) {
        let Some(Leg { role: Role::Outbound(outbound), .. }) = self.legs.get_mut(&id) else { return };
        let (rang_at, answered_at) = (outbound.rang_at.take(), outbound.answered_at.take());
        let Some((over, since)) = outbound.over.take() else { return };
        let outcome = Outcome {
            post_dial_delay: rang_at.or(answered_at).map(|at| at.saturating_duration_since(since)),
            talked: answered_at.map(|at| at.elapsed()),
        };
        self.trunks.board().ended(over.uuid, outcome);
    }

    /// Headers of the caller's INVITE that the trunk it came over, or the one it goes over, lets pass.
    pub(super) fn passed(&self, id: LegId, over: Option<&Over>) -> Headers {
        let origin = self.legs.get(&id).and_then(|leg| self.legs.get(&leg.call)).filter(|origin| origin.id != id);
        let Some(Leg { role: Role::Inbound(inbound), context, .. }) = origin else { return Vec::new() };
        let names = context.pass_headers.iter().chain(over.iter().flat_map(|over| &over.pass_headers));
        passing(&inbound.request, names)
    }

    /// Sets when the next is to be tried instead.
    pub(super) fn time_attempt(&mut self, id: LegId, rung: bool) {
        if let Some(Leg { role: Role::Outbound(outbound), ended: false, .. }) = self.legs.get(&id) {
            self.trials.set(id, outbound.deadline(rung));
        }
    }

    /// What is tried has had its time: the next is tried. What was heard of it stays the only thing that is.
    pub(super) fn pass_over(&mut self, id: LegId) {
        let Some(Leg { role: Role::Outbound(outbound), ended: false, .. }) = self.legs.get_mut(&id) else { return };
        if outbound.answered.is_some() {
            return;
        }
        let since = outbound.over.as_ref().map_or(Duration::ZERO, |(_, since)| since.elapsed());
        let reason = format!("no answer after {} s", since.as_secs());
        outbound.failure.get_or_insert((408, Q850::NO_ANSWER, reason));
        if outbound.heard {
            outbound.attempts.clear();
        }
        for session in std::mem::take(&mut outbound.branches) {
            // Whatever it still says is nobody's any more; a late 200 is answered by a BYE.
            self.sessions.remove(&session);
            self.command(Command::Cancel { session, headers: vec![reason_header(Q850::NO_ANSWER)] });
        }
        self.next_attempt(id);
    }
}
