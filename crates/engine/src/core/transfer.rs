//! Transfers by REFER (RFC 3515): who may hand on what, and what they are told of it.
//!
//! Only SIP users who have proved who they are may: by the digest of their call, or by the registration at which they were
//! called. To somebody new the call goes on their rights and their account, as if they had dialled it. With Replaces
//! (RFC 3891) in Refer-To the two whom one user talks to are joined; both calls are of this node.

use bytes::Bytes;
use opentact_call::{CallType, DialTarget, Input, LegId, TransferProgress, TransferStart};
use opentact_sip::message::{Method, Name, Request, reason_phrase};
use opentact_sip::ua::{Command, RequestId, SessionId};
use opentact_sip::uri::{NameAddr, Uri, unescape};

use super::Core;
use super::leg::{Role, new_leg};
use super::replaces::Replaces;
use crate::router::Referrer;

/// Seconds that the implicit subscription of a REFER is said to last; it ends with the transfer, which rings no longer.
const SUBSCRIBED: u32 = 300;

/// A REFER whose outcome is not told yet.
pub(super) struct Referral {
    session: SessionId,
    /// CSeq of the REFER, by which its NOTIFYs are known (RFC 3515 2.4.6).
    number: u32,
}

/// Whom a REFER names.
struct ReferTo {
    uri: Uri,
    replaces: Option<Replaces>,
}

impl Core {
    pub(super) fn on_refer(&mut self, session: SessionId, id: RequestId, request: &Request) {
        let Some((by, call)) =
            self.sessions.get(&session).and_then(|leg| self.legs.get(leg)).map(|leg| (leg.id, leg.call))
        else {
            return self.respond(id, 481, Vec::new());
        };
        let Some(refer_to) = refer_to(request) else { return self.respond(id, 400, Vec::new()) };
        let Some(referrer) = self.referrer(by) else { return self.respond(id, 403, Vec::new()) };
        let free = self.calls.get(&call).is_some_and(|entry| entry.call.may_transfer(by));
        if !free || self.referrals.contains_key(&by) {
            return self.respond(id, 491, Vec::new());
        }
        self.respond(id, 202, Vec::new());
        let number = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
        self.referrals.insert(by, Referral { session, number });
        metrics::counter!("opentact_transfers_total").increment(1);
        match refer_to.replaces {
            Some(replaces) => {
                let code = self.join_calls(by, call, &referrer, &replaces);
                self.notify_referrer(by, code, true);
                if code == 200 {
                    self.hand_over(by, call, &replaces);
                }
            }
            None => {
                self.notify_referrer(by, 100, false);
                let leg = new_leg();
                let from = referrer.address();
                let (target, kind) = (DialTarget::Uri(refer_to.uri.to_string()), CallType::User);
                let timeout = self.drivers.router.ring_timeout();
                self.referred.insert(leg, (referrer, refer_to.uri));
                self.tell_call(call, Input::Transfer(TransferStart { by, leg, target, from, kind, timeout }));
            }
        }
    }

    /// The SIP user a leg is of, where that is sure.
    fn referrer(&self, leg: LegId) -> Option<Referrer> {
        let leg = self.legs.get(&leg).filter(|leg| !leg.ended)?;
        let sip_user = leg.user()?;
        match &leg.role {
            Role::Inbound(_) => {
                Some(Referrer::Caller { account: leg.context.account, sip_user, address: self.party(leg)? })
            }
            Role::Outbound(outbound) => {
                let address = &outbound.to.as_ref()?.uri;
                let (login, domain) = (address.user_text()?.into_owned(), address.host().to_owned());
                Some(Referrer::Callee { login, domain })
            }
        }
    }

    /// The answer to a REFER with Replaces: 200 where the two can be joined.
    fn join_calls(&self, by: LegId, call: LegId, referrer: &Referrer, replaces: &Replaces) -> u16 {
        let Some((other, other_call)) = self.replaced(replaces) else { return 481 };
        let own = match (self.referrer(other), self.legs.get(&by), self.legs.get(&other)) {
            (Some(_), Some(one), Some(other)) => one.context.sip_user == other.context.sip_user,
            _ => false,
        };
        let free =
            other_call != call && self.calls.get(&other_call).is_some_and(|entry| entry.call.may_transfer(other));
        match (own, free) {
            (false, _) => {
                tracing::info!(leg = %by, ?referrer, "may not replace a dialog of somebody else");
                403
            }
            // Nobody is there yet, or no longer, to be handed on to.
            (true, false) => 480,
            (true, true) => 200,
        }
    }

    /// Joins those whom the two legs of one user talk to.
    fn hand_over(&mut self, by: LegId, call: LegId, replaces: &Replaces) {
        let Some((other, other_call)) = self.replaced(replaces) else { return };
        let partner = |core: &Self, call: LegId, leg| core.calls.get(&call).and_then(|entry| entry.call.partner(leg));
        let (Some(one), Some(another)) = (partner(self, call, by), partner(self, other_call, other)) else { return };
        self.tell_call(call, Input::HandOver { by, with: another, tells: true });
        self.tell_call(other_call, Input::HandOver { by: other, with: one, tells: false });
    }

    /// How a transfer goes.
    pub(super) fn on_transfer(&mut self, by: LegId, progress: TransferProgress) {
        match progress {
            TransferProgress::Ringing => self.notify_referrer(by, 180, false),
            TransferProgress::Done => self.notify_referrer(by, 200, true),
            TransferProgress::Failed { sip } => self.notify_referrer(by, sip, true),
        }
    }

    fn notify_referrer(&mut self, by: LegId, code: u16, last: bool) {
        let Some(Referral { session, number }) = self.referrals.get(&by) else { return };
        let (session, number) = (*session, *number);
        let state = match last {
            true => "terminated;reason=noresource".to_owned(),
            false => format!("active;expires={SUBSCRIBED}"),
        };
        let headers = vec![
            (Bytes::from_static(b"Event"), format!("refer;id={number}").into()),
            (Bytes::from_static(b"Subscription-State"), state.into()),
        ];
        let body = format!("SIP/2.0 {code} {}\r\n", reason_phrase(code));
        let body = Some((Bytes::from_static(b"message/sipfrag;version=2.0"), body.into()));
        let id = self.ua.new_request();
        self.command(Command::InDialog { session, id, method: Method::Notify, headers, body });
        if last {
            self.referrals.remove(&by);
        }
    }
}

/// Refer-To of a REFER; `None` unless it is one SIP address to be called.
fn refer_to(request: &Request) -> Option<ReferTo> {
    let mut values = request.headers().values(Name::ReferTo);
    let address = NameAddr::parse(values.next()?).ok()?;
    let calls = address.uri.param("method").is_none_or(|method| method.eq_ignore_ascii_case("INVITE"));
    if values.next().is_some() || !calls || !address.uri.is_sip() {
        return None;
    }
    let text = address.uri.as_str();
    let plain = text.split_once('?').map_or(text, |(plain, _)| plain);
    let uri = Uri::parse(plain.as_bytes()).ok()?.without_param("method");
    let header = address.uri.headers().into_iter().flat_map(|headers| headers.split('&')).find_map(|header| {
        let (name, value) = header.split_once('=')?;
        name.eq_ignore_ascii_case("Replaces").then(|| unescape(value).into_owned())
    });
    let replaces = match header {
        Some(value) => Some(Replaces::parse(&value)?),
        None => None,
    };
    Some(ReferTo { uri, replaces })
}

#[cfg(test)]
mod tests {
    use opentact_sip::message::RequestBuilder;

    use super::*;

    fn of(value: &str) -> Option<ReferTo> {
        let uri: Uri = "sip:x@192.0.2.1".parse().unwrap();
        refer_to(&RequestBuilder::new(Method::Refer, &uri).header(Name::ReferTo, value).build())
    }

    #[test]
    fn one_sip_address_is_taken() {
        assert_eq!(of("<sip:bob@example.com>").unwrap().uri.as_str(), "sip:bob@example.com");
        assert_eq!(of("\"Bob\" <sip:bob@example.com;method=INVITE>").unwrap().uri.as_str(), "sip:bob@example.com");
        for wrong in ["<sip:a@b>, <sip:c@d>", "<tel:+12025550123>", "<sip:bob@example.com;method=BYE>", "nobody"] {
            assert!(of(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn dialog_to_replace_is_read() {
        let to = of("<sip:bob@b.example?Replaces=a%40b%3Bto-tag%3Dx%3Bfrom-tag%3Dy&Require=replaces>").unwrap();
        let replaces = to.replaces.unwrap();
        assert_eq!((to.uri.as_str(), &replaces.call_id[..]), ("sip:bob@b.example", &b"a@b"[..]));
        assert_eq!((&replaces.to_tag[..], &replaces.from_tag[..]), (&b"x"[..], &b"y"[..]));
        assert!(of("<sip:bob@b.example?Replaces=a%3Bto-tag%3Dx>").is_none());
    }
}
