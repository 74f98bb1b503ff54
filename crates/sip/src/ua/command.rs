//! What a [`Ua`](super::Ua) can be told.

use bytes::Bytes;

use super::{EndReason, RequestId, SessionId, SubscriptionId};
use crate::digest::Credentials;
use crate::flow::Flow;
use crate::message::Method;
use crate::uri::{NameAddr, Uri};

/// Additional header fields, name and value, written as given. Those the stack writes itself (Via, From, To, Call-ID,
/// CSeq, Max-Forwards, Route, Content-Type, Content-Length and, unless given here, Contact, Allow, User-Agent or Server)
/// are left out where they would come twice.
pub type ExtraHeaders = Vec<(Bytes, Bytes)>;

/// A body and its media type (`application/sdp`).
pub type Body = (Bytes, Bytes);

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// One message: a datagram, or one cut out of a stream.
    Received {
        message: Bytes,
        flow: Flow,
    },
    /// Nothing but that time has passed: [`Ua::deadline`](super::Ua::deadline) has come.
    Tick,
    /// The transport could not deliver over this flow, or its connection has ended.
    TransportFailed {
        flow: Flow,
    },
    Command(Command),
}

/// An order of the layer above. One for a session or request that has ended is ignored: the two may have crossed.
#[derive(Debug, Clone)]
pub enum Command {
    /// Calls. `session` comes from [`Ua::new_session`](super::Ua::new_session).
    Invite { session: SessionId, invite: OutgoingInvite },
    /// Sends a 101..199 for an incoming call (100 is sent by itself).
    Provisional { session: SessionId, code: u16, reason: Option<String>, headers: ExtraHeaders, body: Option<Body> },
    /// Answers an incoming call or re-INVITE with 200. Without `contact` the one of the flow is written.
    Accept { session: SessionId, headers: ExtraHeaders, body: Option<Body>, contact: Option<Uri> },
    /// Refuses an incoming call or re-INVITE with 300..=699. A refused call's session ends without a further event.
    Reject { session: SessionId, code: u16, reason: Option<String>, headers: ExtraHeaders },
    /// Gives up an outgoing call that is not answered. [`Event::Failed`](super::Event::Failed) follows.
    Cancel { session: SessionId, headers: ExtraHeaders },
    /// Hangs up an answered call. [`Event::Ended`](super::Event::Ended) follows when the other side has agreed or is
    /// lost. For an outgoing call that is not answered it is a `Cancel`, for an incoming one a `Reject` with 480.
    Bye { session: SessionId, headers: ExtraHeaders },
    /// Offers again within an answered call.
    Reinvite { session: SessionId, headers: ExtraHeaders, body: Option<Body> },
    /// Sends any other request within a dialog. Answered by [`Event::Response`](super::Event::Response) or
    /// [`Event::RequestFailed`](super::Event::RequestFailed).
    InDialog { session: SessionId, id: RequestId, method: Method, headers: ExtraHeaders, body: Option<Body> },
    /// Sends a request outside of dialogs. `id` comes from [`Ua::new_request`](super::Ua::new_request).
    Request { id: RequestId, request: OutgoingRequest },
    /// Answers a SUBSCRIBE with 200 for so many seconds; 0 tells once. `subscription` comes from
    /// [`Ua::new_subscription`](super::Ua::new_subscription). [`Event::NotifyDue`](super::Event::NotifyDue) follows, or at
    /// once [`Event::SubscriptionEnded`](super::Event::SubscriptionEnded) where it cannot be had.
    AcceptSubscription { id: RequestId, subscription: SubscriptionId, seconds: u32 },
    /// What the subscription is to has changed.
    SubscriptionChanged { subscription: SubscriptionId },
    /// What [`Event::NotifyDue`](super::Event::NotifyDue) has asked for.
    Notify { subscription: SubscriptionId, body: Option<Body> },
    /// Ends a subscription with one more NOTIFY.
    EndSubscription { subscription: SubscriptionId, reason: EndReason },
    /// Answers [`Event::Request`](super::Event::Request) or [`Event::InDialog`](super::Event::InDialog). A code below 200
    /// leaves the request open.
    Respond { id: RequestId, code: u16, reason: Option<String>, headers: ExtraHeaders, body: Option<Body> },
}

/// A call to make.
#[derive(Debug, Clone)]
pub struct OutgoingInvite {
    pub flow: Flow,
    /// Request-URI.
    pub uri: Uri,
    /// A tag is added.
    pub from: NameAddr,
    pub to: NameAddr,
    /// Ours; `None` makes one of the flow's local address.
    pub contact: Option<Uri>,
    /// `None` makes a random one.
    pub call_id: Option<Bytes>,
    /// Route header values of a preloaded route set, in order.
    pub route: Vec<Bytes>,
    pub headers: ExtraHeaders,
    pub body: Option<Body>,
    /// To answer 401 and 407 with, inside.
    pub credentials: Option<Credentials>,
}

/// A request to send outside of dialogs.
#[derive(Debug, Clone)]
pub struct OutgoingRequest {
    pub flow: Flow,
    pub method: Method,
    pub uri: Uri,
    /// A tag is added.
    pub from: NameAddr,
    pub to: NameAddr,
    /// Written where given.
    pub contact: Option<Uri>,
    /// `None` makes a random one. Registrations keep theirs (RFC 3261 10.2).
    pub call_id: Option<Bytes>,
    /// `None` starts at 1. With a kept Call-ID it must rise.
    pub cseq: Option<u32>,
    pub route: Vec<Bytes>,
    /// Seconds; written as Expires where given.
    pub expires: Option<u32>,
    pub headers: ExtraHeaders,
    pub body: Option<Body>,
    pub credentials: Option<Credentials>,
}

impl OutgoingRequest {
    /// With nothing that may be left out.
    #[must_use]
    pub fn new(flow: Flow, method: Method, uri: Uri, from: NameAddr, to: NameAddr) -> Self {
        Self {
            flow,
            method,
            uri,
            from,
            to,
            contact: None,
            call_id: None,
            cseq: None,
            route: Vec::new(),
            expires: None,
            headers: Vec::new(),
            body: None,
            credentials: None,
        }
    }
}
