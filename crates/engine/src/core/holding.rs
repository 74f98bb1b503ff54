//! Legs that a flow puts on hold: by a re-INVITE that says what we do (RFC 3264 8.4). What they hear then is the flow's.

use std::time::{Duration, Instant};

use bytes::Bytes;
use opentact_call::LegId;
use opentact_sip::sdp::Direction;
use opentact_sip::ua::{Command, SessionId};

use super::Core;
use super::leg::{Leg, Outbound, Role};
use super::negotiate::SDP;

/// RFC 3261 14.1: after a 491 the side that made the call waits longer than any wait of the other.
const CALLER_WAITS: Duration = Duration::from_millis(2100);
const CALLEE_WAITS: Duration = Duration::from_millis(200);

impl Core {
    pub(super) fn hold(&mut self, leg: LegId, held: bool) {
        let Some(Leg { media: Some(media), .. }) = self.legs.get_mut(&leg) else { return };
        media.held = held;
        self.holds.set(leg, None);
        self.tell_hold(leg);
    }

    /// Offers anew, as the leg is to be.
    pub(super) fn tell_hold(&mut self, leg: LegId) {
        let Some(Leg { media: Some(media), role, ended: false, .. }) = self.legs.get_mut(&leg) else { return };
        let session = match role {
            Role::Inbound(inbound) => inbound.session,
            Role::Outbound(Outbound { answered: Some(session), .. }) => *session,
            Role::Outbound(_) => return,
        };
        let direction = if media.held { Direction::SendOnly } else { Direction::SendRecv };
        let offer = Bytes::from(media.sdp.offer(direction).to_string());
        self.command(Command::Reinvite { session, headers: Vec::new(), body: Some((SDP, offer)) });
    }

    /// A leg was not told. With 491 both sides have offered at once; any other answer is its last word.
    pub(super) fn on_hold_failed(&mut self, session: SessionId, code: u16) {
        let leg = self.sessions.get(&session).and_then(|leg| self.legs.get_mut(leg)).filter(|leg| !leg.ended);
        let Some(Leg { id, media: Some(media), role, .. }) = leg else { return };
        media.sdp.withdraw();
        let id = *id;
        if code == 491 {
            let wait = if matches!(role, Role::Outbound(_)) { CALLER_WAITS } else { CALLEE_WAITS };
            self.holds.set(id, Some(Instant::now() + wait));
        } else {
            tracing::info!(leg = %id, code, "a hold, or its end, was refused");
        }
    }
}
