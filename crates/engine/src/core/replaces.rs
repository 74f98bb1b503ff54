//! INVITEs that take the place of a leg (RFC 3891): a ringing call is picked up, or one of two who talk is replaced, as
//! the third of an attended transfer does that the two phones have settled between them.
//!
//! The newcomer is a leg of the call it comes into, and never of another account's. Whom it may replace the router says.

use opentact_call::{Input, LegId, ReplacementStart};
use opentact_sip::message::{Name, Request};
use opentact_sip::ua::SessionId;

use super::Core;
use super::inbound::Arriving;
use super::leg::{Leg, Role, new_leg};
use crate::router::{Admission, Newcomer, Seat};

/// A dialog to be replaced, as the side that we are knows it (RFC 3891 section 3).
pub(super) struct Replaces {
    pub(super) call_id: Vec<u8>,
    pub(super) to_tag: Vec<u8>,
    pub(super) from_tag: Vec<u8>,
    /// Not one that is answered.
    early_only: bool,
}

/// A Replaces header that cannot be understood, or more than one.
pub(super) struct Unreadable;

impl Replaces {
    /// `call-id;to-tag=x;from-tag=y;early-only` (RFC 3891 section 6.1).
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split(';').map(str::trim);
        let call_id = parts.next().filter(|call_id| !call_id.is_empty())?.as_bytes().to_vec();
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            match part.split_once('=').map(|(name, tag)| (name.trim_end(), tag.trim_start())) {
                Some((name, tag)) if name.eq_ignore_ascii_case("to-tag") => to_tag = Some(tag.as_bytes().to_vec()),
                Some((name, tag)) if name.eq_ignore_ascii_case("from-tag") => from_tag = Some(tag.as_bytes().to_vec()),
                None if part.eq_ignore_ascii_case("early-only") => early_only = true,
                _ => {}
            }
        }
        Some(Self { call_id, to_tag: to_tag?, from_tag: from_tag?, early_only })
    }

    /// That of an INVITE. Two of them contradict each other, as does Join beside it (RFC 3891 section 3).
    pub(super) fn of(request: &Request) -> Result<Option<Self>, Unreadable> {
        let mut values = request.headers().get_all(Name::Replaces);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() || request.header(Name::Join).is_some() {
            return Err(Unreadable);
        }
        let value = std::str::from_utf8(value).ok().and_then(Self::parse);
        value.map(Some).ok_or(Unreadable)
    }
}

impl Core {
    /// The leg of this dialog and its call.
    pub(super) fn replaced(&self, replaces: &Replaces) -> Option<(LegId, LegId)> {
        let session = self.ua.find_session(&replaces.call_id, &replaces.to_tag, &replaces.from_tag)?;
        self.sessions.get(&session).and_then(|leg| self.legs.get(leg)).map(|leg| (leg.id, leg.call))
    }

    /// Whose place an INVITE wants to take, or the answer that refuses it (RFC 3891 section 3).
    pub(super) fn seat(&self, replaces: &Replaces) -> Result<Seat, u16> {
        let Replaces { call_id, to_tag, from_tag, early_only } = replaces;
        let Some(session) = self.ua.find_session(call_id, to_tag, from_tag) else {
            return Err(if self.ua.has_ended(call_id, to_tag, from_tag) { 603 } else { 481 });
        };
        if self.arriving.contains_key(&session) {
            return Err(481);
        }
        let leg = self.sessions.get(&session).and_then(|leg| self.legs.get(leg)).filter(|leg| !leg.ended);
        let leg = leg.ok_or(603_u16)?;
        match (leg.is_answered(), &leg.role) {
            (false, Role::Outbound(_)) => {}
            // A call that comes to us and that we have not answered is not ours to give away.
            (false, Role::Inbound(_)) => return Err(481),
            // Another phone of the leg has answered.
            (true, _) if !leg.is_carried_by(session) => return Err(603),
            (true, _) if *early_only => return Err(486),
            (true, _) => {}
        }
        match self.calls.get(&leg.call).is_some_and(|entry| entry.call.may_replace(leg.id)) {
            true => Ok(Seat { leg: leg.id, call: leg.call, account: leg.context.account, user: leg.user() }),
            // It talks to nobody, is handed on just now, or somebody else takes its place.
            false => Err(491),
        }
    }

    pub(super) fn on_replacing(&mut self, session: SessionId, admission: Result<Box<Newcomer>, Admission>) {
        let Newcomer { context, from, kind, limit } = match admission {
            Ok(newcomer) => *newcomer,
            Err(admission) => return self.on_admitted(session, admission),
        };
        // Cancelled meanwhile.
        let Some(Arriving { request, replaces: Some(replaces) }) = self.arriving.remove(&session) else { return };
        // What it names may have changed while the router looked.
        let Seat { leg: place, call, .. } = match self.seat(&replaces) {
            Ok(seat) => seat,
            Err(code) => return self.refuse(session, code, None, Vec::new()),
        };
        let partner =
            self.calls.get(&call).and_then(|entry| entry.call.faces(place)).and_then(|leg| self.legs.get(&leg));
        let (near, to) = match partner {
            Some(partner) => (partner.media.as_ref().map(|media| media.key), self.party(partner)),
            None => (None, None),
        };
        let id = new_leg();
        let Some(context) = self.take_in(session, request, context, limit, (id, call), near) else { return };
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.book.set_context(id, context);
        }
        metrics::counter!("opentact_replacements_total").increment(1);
        let start = ReplacementStart { place, leg: id, from, to: to.unwrap_or_default(), kind };
        self.tell_call(call, Input::Replace(start));
    }

    /// Who is at the other end of a leg: a number, `login@domain` or `anonymous`.
    pub(super) fn party(&self, leg: &Leg) -> Option<String> {
        self.calls.get(&leg.call)?.book.party(leg.id)
    }
}

#[cfg(test)]
mod tests {
    use opentact_sip::message::{Method, RequestBuilder};
    use opentact_sip::uri::Uri;

    use super::*;

    fn of(values: &[&str]) -> Result<Option<Replaces>, Unreadable> {
        let uri: Uri = "sip:x@192.0.2.1".parse().unwrap();
        let mut builder = RequestBuilder::new(Method::Invite, &uri);
        for value in values {
            builder = builder.header(Name::Replaces, value);
        }
        Replaces::of(&builder.build())
    }

    #[test]
    fn one_dialog_is_named_whatever_the_order_and_spaces() {
        let Ok(Some(named)) = of(&["a@b ; From-Tag=y; x=z;early-only ;to-tag = x"]) else { panic!("not read") };
        assert_eq!((&named.call_id[..], &named.to_tag[..], &named.from_tag[..]), (&b"a@b"[..], &b"x"[..], &b"y"[..]));
        assert!(named.early_only);
        assert!(of(&["a;to-tag=x;from-tag=y"]).is_ok_and(|named| named.is_some_and(|named| !named.early_only)));
        assert!(of(&[]).is_ok_and(|named| named.is_none()));
    }

    #[test]
    fn what_names_no_dialog_or_two_is_refused() {
        for wrong in [&["a;to-tag=x"][..], &[""], &[";to-tag=x;from-tag=y"], &["a;to-tag=x;from-tag=y"; 2]] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }
}
