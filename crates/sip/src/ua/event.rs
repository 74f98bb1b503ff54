//! What a [`Ua`](super::Ua) tells and wants sent.

use bytes::Bytes;

use super::{RequestId, SessionId, SubscriptionId};
use crate::flow::Flow;
use crate::message::{Request, Response};

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send these octets.
    Transmit {
        flow: Flow,
        bytes: Bytes,
    },
    Event(Event),
}

/// What the layer above has to know. The last event of a session is exactly one of `Failed`, `Cancelled`, `Bye` and
/// `Ended`; only a call that is refused by `Reject`, or by `Bye` before its answer has gone out, ends without one.
#[derive(Debug, Clone)]
pub enum Event {
    /// A call comes in; 100 has been sent.
    Invite { session: SessionId, request: Request, flow: Flow },
    /// Outgoing: a 101..199. Each early dialog of a forked call shows by its To tag.
    Progress { session: SessionId, response: Response },
    /// Outgoing: a 2xx. The ACK has been sent and is sent again with each repeated 2xx.
    Answered { session: SessionId, response: Response },
    /// Outgoing: the final answer was 300..699; without a response 408 for none in time, 503 for a flow that failed, 487
    /// for a call given up by `Cancel`. The session is over.
    Failed { session: SessionId, code: u16, response: Option<Response> },
    /// Incoming: the ACK of our 2xx to the INVITE or to a re-INVITE, with its body.
    Acked { session: SessionId, request: Request },
    /// Incoming: the caller gave up (487 has been sent). The session is over.
    Cancelled { session: SessionId, request: Request },
    /// Incoming: the PRACK of a provisional response that carried an offer, with the answer (200 has been sent).
    Pracked { session: SessionId, request: Request },
    /// A re-INVITE, or an UPDATE with an offer, to be answered by `Accept` or `Reject`.
    Reinvite { session: SessionId, request: Request },
    /// The 2xx to our re-INVITE; acknowledged. Of a session refresh that has repeated our description too: what it answers is
    /// in force from now on.
    ReinviteAnswered { session: SessionId, response: Response },
    /// Our re-INVITE was refused; the session goes on as it was. 491 means that both sides tried at once: try again
    /// after the time of RFC 3261 14.1, 2.1..4 s for the side that made the call and 0..2 s for the other.
    ReinviteFailed { session: SessionId, code: u16, response: Option<Response> },
    /// The other side hung up (200 has been sent). The session is over.
    Bye { session: SessionId, request: Request },
    /// The dialog is over by our `Bye` (with the code that came back for it), or lost: 408 for no ACK, no answer or
    /// no session refresh in time, 481 for a peer that does not know it, 503 for a flow that failed. The session is over.
    Ended { session: SessionId, code: u16 },
    /// Any other request within a dialog, to be answered by `Respond`; before the answer to the call also a PRACK or UPDATE
    /// with an offer.
    InDialog { session: SessionId, id: RequestId, request: Request },
    /// A request outside of dialogs, to be answered by `Respond`.
    Request { id: RequestId, request: Request, flow: Flow },
    /// A response to a request of `Request` or `InDialog`; the last one of the request if its code is 200 or above.
    Response { id: RequestId, response: Response },
    /// A NOTIFY can be sent and is wanted: to be answered by `Notify` with the state as it is.
    NotifyDue { subscription: SubscriptionId },
    /// It goes on for some time, if the layer above still wants it to.
    SubscriptionRefreshed { subscription: SubscriptionId },
    /// The last one is sent, or the subscriber has refused one or is not there.
    SubscriptionEnded { subscription: SubscriptionId },
    /// What came is no SIP message, cut short or too long, a request without a way back, or a response with which nothing can
    /// be done. Nobody is answered.
    Unreadable { flow: Flow },
    /// The request got no answer: 408, or 503 for a flow that failed, or 481 with the end of its dialog.
    RequestFailed { id: RequestId, code: u16 },
}
