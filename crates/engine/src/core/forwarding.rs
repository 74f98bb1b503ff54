//! Who a call was for before it was sent on: Diversion (RFC 5806) and History-Info (RFC 7044), read of carriers and trunks
//! and told to those whom the call goes on to; and how far it may still fork (RFC 5393).
//!
//! A call is sent on when a flow dials somebody for it. That a number rings the phone it is for is no diversion.

use bytes::Bytes;
use opentact_call::{CallType, LegId};
use opentact_sip::message::{Headers as Received, Name, Request};
use opentact_sip::uri::{NameAddr, Uri};

use super::Core;
use super::leg::{Leg, Role};
use super::negotiate::Headers;
use crate::router::{LegContext, is_history_withheld, party};

/// Diversions and entries of History-Info that are passed on; of more the oldest diversions, and the history as a whole,
/// are left out.
const MAX_ENTRIES: usize = 10;
/// RFC 5393 5.3.3.1, for a call that does not say.
const MAX_BREADTH: u32 = 60;
/// A branch gets this part of the breadth that is left, so that those after it get some too.
const SHARE: u32 = 10;

/// Why a call was sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Unconditional,
    Busy,
    NoAnswer,
    Unavailable,
}

impl Why {
    /// Of the answer to whoever was dialled last.
    fn after(failure: Option<u16>) -> Why {
        match failure {
            None => Why::Unconditional,
            Some(486 | 600) => Why::Busy,
            Some(408 | 480 | 487) => Why::NoAnswer,
            Some(_) => Why::Unavailable,
        }
    }

    /// RFC 5806 section 4.
    fn diversion(self) -> &'static str {
        match self {
            Why::Unconditional => "unconditional",
            Why::Busy => "user-busy",
            Why::NoAnswer => "no-answer",
            Why::Unavailable => "unavailable",
        }
    }

    /// RFC 4458 2.1, as RFC 7544 7.1 has the two headers agree.
    fn cause(self) -> u16 {
        match self {
            Why::Unconditional => 302,
            Why::Busy => 486,
            Why::NoAnswer => 408,
            Why::Unavailable => 503,
        }
    }
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    /// Is told everything, and told what not to tell (RFC 3325 section 7).
    Carrier,
    /// Is told nothing that is private.
    Other,
}

impl Core {
    /// What a new leg of a call says of where the call has been.
    pub(super) fn history(&self, id: LegId) -> Headers {
        let Some(leg) = self.legs.get(&id) else { return Headers::new() };
        let Role::Outbound(outbound) = &leg.role else { return Headers::new() };
        let Some(entry) = self.calls.get(&leg.call) else { return Headers::new() };
        let Some(origin) = entry.book.snapshot(leg.call) else { return Headers::new() };
        let Some(Leg { role: Role::Inbound(inbound), context, .. }) = self.legs.get(&leg.call) else {
            return Headers::new();
        };
        let Some(to) = &outbound.to else { return Headers::new() };
        // Numbers that no trunk was named for go to a carrier.
        let carrier = leg.context.tn.is_some() && leg.context.sip_connection.is_none();
        let listener = if carrier { Listener::Carrier } else { Listener::Other };
        // What a phone says of itself is not believed.
        let known = if is_user(context) { None } else { Some(&inbound.request) };
        let sent_on = (origin.kind == CallType::Sca)
            .then(|| (address(&origin.to, to.uri.host()), Why::after(entry.last_failure)));
        compose(known, sent_on, &to.uri, listener)
    }

    /// A leg that rang is given up: nobody answered, unless another did.
    pub(super) fn given_up(&mut self, id: LegId) {
        let Some(call) = self.legs.get(&id).map(|leg| leg.call) else { return };
        let answered = self.legs_of(call).any(|leg| leg.id != call && leg.is_answered());
        if !answered && let Some(entry) = self.calls.get_mut(&call) {
            entry.last_failure = Some(408);
        }
    }

    /// The legs of a call that are there.
    fn legs_of(&self, call: LegId) -> impl Iterator<Item = &Leg> {
        let known = self.calls.get(&call).into_iter().flat_map(|entry| entry.book.legs());
        known.filter_map(|leg| self.legs.get(&leg))
    }

    /// Breadths for the branches of a leg, `None` where so many are not allowed any more.
    pub(super) fn breadths(&self, id: LegId, branches: usize) -> Option<Vec<u32>> {
        let call = self.legs.get(&id)?.call;
        let Some(Leg { role: Role::Inbound(inbound), .. }) = self.legs.get(&call) else {
            return Some(share(MAX_BREADTH, branches)).filter(|shares| shares.len() == branches);
        };
        let allowed = breadth(inbound.request.headers());
        let given: u32 = self
            .legs_of(call)
            .filter(|leg| leg.id != id && !leg.ended)
            .map(|leg| match &leg.role {
                Role::Outbound(outbound) => outbound.breadth,
                Role::Inbound(_) => 0,
            })
            .sum();
        let shares = share(allowed.saturating_sub(given), branches);
        (shares.len() == branches).then_some(shares)
    }
}

/// RFC 5393 5.3.3: the sum of what the branches get is at most what there is.
fn share(mut left: u32, branches: usize) -> Vec<u32> {
    let mut shares = Vec::new();
    while shares.len() < branches && left > 0 {
        let share = (left / SHARE).max(1);
        left -= share;
        shares.push(share);
    }
    shares
}

fn breadth(headers: &Received) -> u32 {
    let value = headers.get_by_name("Max-Breadth").and_then(|value| std::str::from_utf8(value).ok());
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(MAX_BREADTH).min(MAX_BREADTH)
}

/// Only who calls as a user calls from a domain.
fn is_user(context: &LegContext) -> bool {
    context.sip_user.is_some() && context.domain.is_some()
}

/// A number, or `login@domain`.
fn address(text: &str, host: &str) -> Uri {
    if text.contains('@') {
        return party(text);
    }
    let user = if text.bytes().all(|octet| octet.is_ascii_digit()) { format!("+{text}") } else { text.to_owned() };
    Uri::sip(Some(&user), host, None).unwrap_or_else(|_| party(text))
}

fn compose(known: Option<&Request>, sent_on: Option<(Uri, Why)>, to: &Uri, listener: Listener) -> Headers {
    let mut headers = diversions(known, sent_on.as_ref(), listener);
    headers.extend(entries(known, sent_on.as_ref(), to, listener));
    headers
}

/// The newest first (RFC 5806 section 5).
fn diversions(known: Option<&Request>, sent_on: Option<&(Uri, Why)>, listener: Listener) -> Headers {
    let ours = sent_on.map(|(from, why)| {
        format!("<{from}>;reason={};counter=1;privacy=off;screen=yes", why.diversion()).into_bytes().into()
    });
    let theirs = known.into_iter().flat_map(|request| request.headers().values(Name::Diversion));
    let theirs = theirs.filter(|value| {
        let entry = NameAddr::parse(value).ok();
        entry.is_some_and(|entry| {
            let open =
                entry.param("privacy").is_none_or(|privacy| privacy.trim_matches('"').eq_ignore_ascii_case("off"));
            open || listener == Listener::Carrier
        })
    });
    let theirs = theirs.map(Bytes::copy_from_slice);
    let all = ours.into_iter().chain(theirs).take(MAX_ENTRIES);
    all.map(|value: Bytes| (Bytes::from_static(b"Diversion"), value)).collect()
}

/// The oldest first (RFC 7044 section 9). Nothing where there is no history to tell, or not all of it may be told and the
/// rest would not hang together.
fn entries(known: Option<&Request>, sent_on: Option<&(Uri, Why)>, to: &Uri, listener: Listener) -> Headers {
    let mut values: Vec<Bytes> = Vec::new();
    if let Some(request) = known {
        let withheld = is_history_withheld(request.headers());
        for value in request.headers().values(Name::HistoryInfo) {
            let private = withheld || value.windows(8).any(|part| part.eq_ignore_ascii_case(b"Privacy="));
            values.push(match private && listener == Listener::Other {
                true => Bytes::from(anonymized(value)),
                false => Bytes::copy_from_slice(value),
            });
        }
    }
    if values.len() >= MAX_ENTRIES || values.is_empty() && sent_on.is_none() {
        return Headers::new();
    }
    if values.is_empty()
        && let Some((from, _)) = sent_on
    {
        values.push(format!("<{from}>;index=1").into());
    }
    let Some(last) = values.last().and_then(|value| index(value)) else { return Headers::new() };
    let entry = match sent_on {
        Some((_, why)) => {
            let target = to.clone().with_param("cause", Some(&why.cause().to_string()));
            format!("<{target}>;index={last}.1;mp={last}")
        }
        None => format!("<{to}>;index={last}.1;rc={last}"),
    };
    values.push(entry.into());
    values.into_iter().map(|value| (Bytes::from_static(b"History-Info"), value)).collect()
}

/// RFC 7044 10.1.2: whoever wants to be private keeps a place in the history, and no name.
fn anonymized(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let params = text.rsplit_once('>').map_or("", |(_, params)| params);
    format!("<sip:anonymous@anonymous.invalid>{params}")
}

/// `index` of an entry: numbers between dots.
fn index(value: &[u8]) -> Option<String> {
    let entry = NameAddr::parse(value).ok()?;
    let index = entry.param("index")?;
    let numbers = !index.is_empty()
        && index.len() <= 64
        && index.split('.').all(|number| !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit()));
    numbers.then(|| index.to_owned())
}

#[cfg(test)]
mod tests {
    use opentact_sip::message::{Method, RequestBuilder};

    use super::*;

    fn invite(headers: &[(&str, &str)]) -> Request {
        let uri = Uri::parse(b"sip:12025550100@127.0.0.1").unwrap();
        let with = |builder: RequestBuilder, (name, value): &(&str, &str)| builder.header_named(name, value);
        headers.iter().fold(RequestBuilder::new(Method::Invite, &uri), with).build()
    }

    fn told(known: &[(&str, &str)], why: Option<Why>, listener: Listener) -> Vec<String> {
        let sent_on = why.map(|why| (address("12025550100", "pbx"), why));
        let to = Uri::parse(b"sip:+12125550001@carrier").unwrap();
        let headers = compose(Some(&invite(known)), sent_on, &to, listener);
        let text = |octets: &Bytes| String::from_utf8(octets.to_vec()).unwrap();
        headers.iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
    }

    #[test]
    fn a_call_that_is_sent_on_says_by_whom_and_why() {
        assert_eq!(
            told(&[], Some(Why::after(Some(486))), Listener::Other),
            [
                "Diversion: <sip:+12025550100@pbx>;reason=user-busy;counter=1;privacy=off;screen=yes",
                "History-Info: <sip:+12025550100@pbx>;index=1",
                "History-Info: <sip:+12125550001@carrier;cause=486>;index=1.1;mp=1",
            ]
        );
        assert_eq!(told(&[], None, Listener::Other), [""; 0], "that a number rings its phone is no diversion");
    }

    #[test]
    fn what_came_with_a_call_goes_on_with_it_unless_it_is_private() {
        let known = [
            ("Diversion", "<sip:a@x>;reason=user-busy, <sip:secret@x>;privacy=full"),
            ("History-Info", "<sip:secret@x?Privacy=history>;index=1, <sip:a@x>;index=1.1"),
        ];
        assert_eq!(
            told(&known, Some(Why::Unconditional), Listener::Other),
            [
                "Diversion: <sip:+12025550100@pbx>;reason=unconditional;counter=1;privacy=off;screen=yes",
                "Diversion: <sip:a@x>;reason=user-busy",
                "History-Info: <sip:anonymous@anonymous.invalid>;index=1",
                "History-Info: <sip:a@x>;index=1.1",
                "History-Info: <sip:+12125550001@carrier;cause=302>;index=1.1.1;mp=1.1",
            ]
        );
        let carrier = told(&known, None, Listener::Carrier);
        assert_eq!(carrier[1], "Diversion: <sip:secret@x>;privacy=full");
        assert_eq!(carrier[2], "History-Info: <sip:secret@x?Privacy=history>;index=1");
        assert_eq!(carrier[4], "History-Info: <sip:+12125550001@carrier>;index=1.1.1;rc=1.1");
    }

    #[test]
    fn a_history_that_makes_no_sense_or_has_no_end_is_not_told_on() {
        assert_eq!(told(&[("History-Info", "<sip:a@x>;index=one")], None, Listener::Other), [""; 0]);
        let long: Vec<String> = (0..20).map(|n| format!("<sip:a@x>;index=1.{n}")).collect();
        let diversions = ["<sip:a@x>"; 20].join(", ");
        let long = [("History-Info", long.join(", ")), ("Diversion", diversions)];
        let long: Vec<(&str, &str)> = long.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(told(&long, None, Listener::Other), vec!["Diversion: <sip:a@x>"; MAX_ENTRIES]);
    }

    #[test]
    fn branches_share_the_breadth_there_is() {
        assert_eq!(share(60, 3), [6, 5, 4]);
        assert_eq!(share(2, 3), [1, 1], "one too many");
        assert!(share(60, 100).iter().sum::<u32>() <= 60);
        assert_eq!(breadth(invite(&[("Max-Breadth", "7")]).headers()), 7);
        assert_eq!((breadth(invite(&[]).headers()), breadth(invite(&[("Max-Breadth", "999")]).headers())), (60, 60));
    }
}
