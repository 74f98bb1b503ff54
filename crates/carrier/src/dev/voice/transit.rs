//! A call to a number the platform leases: the network sends it back to the platform, and stays in between as a
//! carrier does (B2BUA): both halves have their own dialog and leg, the legs are bridged.

use std::time::Instant;

use opentact_media::control::Command as MediaCommand;
use opentact_sip::message::Response;
use opentact_sip::sdp::Session;
use opentact_sip::ua::{Command, SessionId};
use opentact_sip::uri::{NameAddr, Uri};

use super::exchange::Exchange;
use super::party::{Media, Party, Waiting};

impl<M: Media> Exchange<M> {
    /// Calls the platform on behalf of the caller of `first`.
    pub(super) fn pass_on(&mut self, now: Instant, first: SessionId) {
        if !self.open_leg(now, first, None) {
            return;
        }
        let second = self.ua.new_session();
        let Some(party) = self.parties.get_mut(&first) else { return };
        party.waiting = Waiting::Peer;
        party.peer = Some(second);
        let (number, near) = (party.number, party.leg.as_ref().map(|leg| leg.key));
        let from = self.calling_line(first);
        self.parties.insert(second, Party { peer: Some(first), waiting: Waiting::Peer, ..Party::calling(number) });
        if self.open_leg(now, second, near) {
            self.invite(now, second, from, None, Vec::new());
        } else {
            self.reject(now, first, 503, Vec::new());
        }
    }

    /// The caller's number and name at our address, as carriers hand them over.
    fn calling_line(&self, session: SessionId) -> NameAddr {
        let caller = self.parties.get(&session).and_then(|party| party.caller.as_ref());
        let user = caller.and_then(|caller| caller.uri.user_text());
        let from = NameAddr::new(Uri::from_addr(user.as_deref().or(Some("anonymous")), self.local()));
        match caller.and_then(|caller| caller.display.as_deref()) {
            Some(name) => from.with_display(name),
            None => from,
        }
    }

    /// The called half rings: so does the calling one, with its early media.
    pub(super) fn progress(&mut self, now: Instant, second: SessionId, response: &Response) {
        let Some(party) = self.parties.get_mut(&second) else { return };
        let (Some(first), Some(leg)) = (party.peer, &mut party.leg) else { return };
        let early = response.headers().is_content("application/sdp");
        if early && Session::parse(response.body()).and_then(|answer| leg.accept(&answer, &mut self.media)).is_ok() {
            let code = response.code();
            match self.early_answer(first) {
                Some(body) => {
                    let headers = Vec::new();
                    self.command(
                        now,
                        Command::Provisional { session: first, code, reason: None, headers, body: Some(body) },
                    );
                    self.join(first);
                }
                None => self.provisional(now, first, code),
            }
        } else {
            self.provisional(now, first, response.code());
        }
    }

    /// The answer to the caller's offer before the call is answered.
    fn early_answer(&mut self, first: SessionId) -> Option<opentact_sip::ua::Body> {
        let party = self.parties.get_mut(&first)?;
        let leg = party.leg.as_mut()?;
        if leg.is_started() {
            return leg.description();
        }
        leg.answer(party.offer.as_ref()?, &mut self.media).ok()
    }

    /// The called half is answered: so is the calling one.
    pub(super) fn peer_answered(&mut self, now: Instant, second: SessionId) {
        let Some(first) = self.parties.get(&second).and_then(|party| party.peer) else { return };
        if self.accept(now, first) {
            self.join(first);
        } else {
            self.hang_up(now, second, Vec::new());
        }
    }

    /// Bridges both halves once each has media.
    pub(super) fn join(&mut self, session: SessionId) {
        let leg_of = |id: SessionId| {
            let party = self.parties.get(&id)?;
            party.leg.as_ref().filter(|leg| leg.is_started()).map(|leg| leg.key)
        };
        let Some(peer) = self.parties.get(&session).filter(|party| !party.joined).and_then(|party| party.peer) else {
            return;
        };
        if let (Some(leg), Some(with)) = (leg_of(session), leg_of(peer)) {
            self.media.command(leg, MediaCommand::Bridge { with });
            for id in [session, peer] {
                if let Some(party) = self.parties.get_mut(&id) {
                    party.joined = true;
                }
            }
        }
    }
}
