//! The ACK of a refused INVITE (RFC 3261 17.1.1.3): hop by hop, part of the client transaction.

use bytes::Bytes;

use crate::message::{CSeq, Method, Name, Request, RequestBuilder, Response};

/// Everything of the INVITE that makes the hops recognise it, and To with the tag of the response.
pub(super) fn of_refusal(invite: &Request, response: &Response) -> Bytes {
    let number = invite.cseq().map(|cseq| cseq.number).unwrap_or_default();
    hop_by_hop(invite, Method::Ack, number, response.header(Name::To)).build().bytes().clone()
}

/// A request on the very path of an INVITE: its ACK or its CANCEL (RFC 3261 9.1).
pub(crate) fn hop_by_hop(invite: &Request, method: Method, number: u32, to: Option<&[u8]>) -> RequestBuilder {
    let headers = invite.headers();
    let cseq = CSeq { number, method: method.clone() };
    let uri = String::from_utf8_lossy(invite.uri_bytes());
    let to = to.or_else(|| headers.get(Name::To)).unwrap_or_default();
    RequestBuilder::new(method, uri)
        .header(Name::Via, headers.get(Name::Via).unwrap_or_default())
        .header(Name::MaxForwards, b"70")
        .copy(headers, Name::Route)
        .header(Name::From, headers.get(Name::From).unwrap_or_default())
        .header(Name::To, to)
        .header(Name::CallId, headers.call_id().unwrap_or_default())
        .header_display(Name::CSeq, cseq)
}
