//! Dialogs: what two user agents remember of each other (RFC 3261 section 12).
//!
//! A [`Dialog`] builds the requests of its side and judges the order of the other's. Whether it is early, confirmed or
//! over is known to the session that holds it.

mod next_hop;

use std::fmt;

use bytes::Bytes;

pub(crate) use self::next_hop::of_response;
use crate::flow::Flow;
use crate::message::{CSeq, HeaderError, Method, Name, Request, RequestBuilder, Response};
use crate::uri::{NameAddr, Uri};

/// Routes of one dialog; a longer record is cut, as no request with it would fit a datagram.
const MAX_ROUTES: usize = 32;

/// One side's view of a dialog. Values are kept as they stand on the wire and hold on to no message.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub(crate) call_id: Bytes,
    /// From of our requests, with our tag.
    pub(crate) local: Bytes,
    /// To of our requests, with the other's tag, if it has one (RFC 2543).
    pub(crate) remote: Bytes,
    pub(crate) local_tag: Bytes,
    pub(crate) remote_tag: Bytes,
    /// Number of our last request.
    pub(crate) local_cseq: u32,
    /// Number of the other's last request.
    pub(crate) remote_cseq: Option<u32>,
    /// Where the other wants its requests (Contact).
    pub(crate) target: Uri,
    /// Proxies to pass, in the order of our requests.
    pub(crate) routes: Vec<NameAddr>,
    /// Where our requests go.
    pub(crate) flow: Flow,
    /// RSeq of the last reliable provisional response of it (RFC 3262 section 4).
    pub(crate) rseq: Option<u32>,
    /// The answer to our offer that such a response has brought: content type and octets.
    pub(crate) answer: Option<Box<(Bytes, Bytes)>>,
}

impl Dialog {
    /// The dialog an incoming request makes (RFC 3261 12.1.1). `None` without a usable remote target; that of an INVITE of RFC
    /// 2543, which may have no Contact, is its From URI.
    pub(crate) fn incoming(request: &Request, local_tag: &[u8], flow: Flow) -> Option<Dialog> {
        let old = || request.from().ok().filter(|_| *request.method() == Method::Invite).map(|from| from.uri);
        let target = contact(request.contacts()).or_else(old)?;
        let routes: Vec<NameAddr> = request.record_routes().filter_map(Result::ok).take(MAX_ROUTES).collect();
        let direct = request.vias().nth(1).is_none();
        let flow = next_hop::of_callee(flow, &routes, &target, direct);
        Some(Dialog {
            call_id: copy(request.call_id()),
            local: with_tag(request.header(Name::To).unwrap_or_default(), local_tag),
            remote: copy(request.header(Name::From)),
            local_tag: Bytes::copy_from_slice(local_tag),
            remote_tag: copy(request.from_tag()),
            local_cseq: 0,
            remote_cseq: request.cseq().ok().map(|cseq| cseq.number),
            target,
            routes,
            flow,
            rseq: None,
            answer: None,
        })
    }

    /// The dialog a response to our INVITE makes (RFC 3261 12.1.2). Everything is in the response, so this needs no state:
    /// the 2xx of a forgotten fork can still be acknowledged and hung up. Without a Contact the target is the To URI.
    pub(crate) fn outgoing(response: &Response, flow: Flow) -> Option<Dialog> {
        let target = contact(response.contacts()).or_else(|| response.to().ok().map(|to| to.uri))?;
        let mut routes: Vec<NameAddr> = response.record_routes().filter_map(Result::ok).take(MAX_ROUTES).collect();
        routes.reverse();
        let flow = next_hop::of_caller(flow, &routes, &target);
        Some(Dialog {
            call_id: copy(response.call_id()),
            local: copy(response.header(Name::From)),
            remote: copy(response.header(Name::To)),
            local_tag: copy(response.from_tag()),
            remote_tag: copy(response.to_tag()),
            local_cseq: response.cseq().ok()?.number,
            remote_cseq: None,
            target,
            routes,
            flow,
            rseq: None,
            answer: None,
        })
    }

    /// The final answer's route set and target replace those of its early dialog (RFC 3261 13.2.2.4).
    pub(crate) fn confirm(&mut self, response: &Response, flow: Flow) {
        if let Some(confirmed) = Dialog::outgoing(response, flow) {
            self.target = confirmed.target;
            self.routes = confirmed.routes;
            self.flow = confirmed.flow;
        }
    }

    /// A new target from the 2xx to our re-INVITE (RFC 3261 12.2.1.2).
    pub(crate) fn refresh_by_response(&mut self, response: &Response) {
        if let Some(target) = contact(response.contacts()) {
            self.target = target;
        }
    }

    /// A new target from a re-INVITE or UPDATE we accept (RFC 3261 12.2.2). The flow goes along: a phone that has changed
    /// its network.
    pub(crate) fn refresh_by_request(&mut self, request: &Request, flow: Flow) {
        if let Some(target) = contact(request.contacts()) {
            self.target = target;
            let direct = request.vias().nth(1).is_none();
            self.flow = next_hop::of_callee(flow, &self.routes, &self.target, direct);
        }
    }

    /// A request has come over a connection: a peer that has connected anew is reached there and nowhere else.
    pub(crate) fn follow(&mut self, flow: Flow) {
        if flow.is_reliable() && self.flow.is_reliable() {
            self.flow = flow;
        }
    }

    /// RFC 3261 12.2.2: false for a request that is older than the last one. ACK and CANCEL are not asked about.
    pub(crate) fn admits(&mut self, number: u32) -> bool {
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return false;
        }
        self.remote_cseq = Some(number);
        true
    }

    /// The next request of ours.
    pub(crate) fn request(&mut self, method: Method, branch: &str, max_forwards: Option<&[u8]>) -> RequestBuilder {
        self.local_cseq += 1;
        self.numbered(method, self.local_cseq, branch, max_forwards)
    }

    /// The Request-URI of our requests.
    pub(crate) fn request_uri(&self) -> &Uri {
        match self.routes.first() {
            // RFC 3261 12.2.1.1: a first route without `lr` is a strict router and wants to be the Request-URI.
            Some(first) if !first.uri.is_loose() => &first.uri,
            _ => &self.target,
        }
    }

    /// The ACK of the 2xx with this number (RFC 3261 13.2.2.4).
    pub(crate) fn ack(&self, number: u32, branch: &str) -> RequestBuilder {
        self.numbered(Method::Ack, number, branch, None)
    }

    fn numbered(&self, method: Method, number: u32, branch: &str, max_forwards: Option<&[u8]>) -> RequestBuilder {
        let cseq = CSeq { number, method: method.clone() };
        let strict = self.routes.first().is_some_and(|route| !route.uri.is_loose());
        let mut builder = RequestBuilder::new(method, self.request_uri())
            .header_display(Name::Via, Via { flow: &self.flow, branch })
            .header(Name::MaxForwards, max_forwards.unwrap_or(b"70"));
        for route in self.routes.iter().skip(usize::from(strict)) {
            builder = builder.header_display(Name::Route, route);
        }
        if strict {
            builder = builder.header_display(Name::Route, format_args!("<{}>", self.target));
        }
        builder
            .header(Name::From, &self.local)
            .header(Name::To, &self.remote)
            .header(Name::CallId, &self.call_id)
            .header_display(Name::CSeq, cseq)
    }
}

/// Our Via of a request over a flow.
pub(crate) struct Via<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) branch: &'a str,
}

impl fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {};branch={}", self.flow.transport, self.flow.local, self.branch)?;
        if self.flow.is_reliable() {
            return Ok(());
        }
        // RFC 3581: the answer comes to the port we send from, whatever stands between.
        f.write_str(";rport")
    }
}

fn contact(mut contacts: impl Iterator<Item = Result<NameAddr, HeaderError>>) -> Option<Uri> {
    contacts.next()?.ok().map(|contact| contact.uri)
}

fn copy(value: Option<&[u8]>) -> Bytes {
    Bytes::copy_from_slice(value.unwrap_or_default())
}

fn with_tag(value: &[u8], tag: &[u8]) -> Bytes {
    let mut octets = Vec::with_capacity(value.len() + tag.len() + 5);
    octets.extend_from_slice(value);
    octets.extend_from_slice(b";tag=");
    octets.extend_from_slice(tag);
    octets.into()
}
