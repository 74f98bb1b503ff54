//! Flows that a device keeps open for calls to it (RFC 5626).

use bytes::Bytes;

use crate::flow::Flow;
use crate::message::{Name, Refusal, Request};
use crate::uri::NameAddr;

/// Seconds of silence on a connection after which its device may be gone, RFC 5626 4.4: the device sends CRLF within them.
const FLOW_TIMER: &str = "120";

/// RFC 5626 6: a device behind proxies is only held by the flow of the first of them, which must have said that it knows
/// (`ob` in the Path it added, the last one listed).
pub(super) fn check_first_hop(request: &Request) -> Result<(), Refusal> {
    if request.vias().nth(1).is_none() {
        return Ok(());
    }
    let edge = request.headers().values(Name::Path).last().and_then(|route| NameAddr::parse(route).ok());
    match edge.is_some_and(|edge| edge.uri.params().has("ob")) {
        true => Ok(()),
        false => Err(Refusal::new(439, "First Hop Lacks Outbound Support")),
    }
}

/// What the 200 of a REGISTER with a numbered flow says. Flow-Timer only on connections, where CRLF keeps them open; over
/// UDP the device keeps its own pace.
pub(super) fn headers(flow: &Flow) -> Vec<(Bytes, Bytes)> {
    let mut headers = vec![(Bytes::from_static(b"Require"), Bytes::from_static(b"outbound"))];
    if flow.is_reliable() {
        headers.push((Bytes::from_static(b"Flow-Timer"), Bytes::from_static(FLOW_TIMER.as_bytes())));
    }
    headers
}
