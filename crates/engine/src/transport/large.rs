//! Requests to servers that are too long for UDP go over TCP, and over UDP after all where nobody takes TCP
//! (RFC 3261 18.1.1). Their transactions stay those of UDP: they send again what nobody has answered.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentact_sip::flow::{Flow, Transport};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::udp::is_to_server;
use super::{Transports, tcp};

/// How long a server that takes no TCP is not asked for it again.
const REFUSED: Duration = Duration::from_secs(600);
/// Servers that are known to take none. Beyond that they are asked each time.
const MAX_REFUSED: usize = 1_024;
/// Branches of requests that went over TCP. What belongs to older ones goes over UDP.
const MAX_BRANCHES: usize = 4_096;

/// What is known of earlier requests.
#[derive(Default)]
pub(super) struct Large(Mutex<Known>);

#[derive(Default)]
struct Known {
    refused: HashMap<SocketAddr, Instant>,
    branches: HashSet<Box<[u8]>>,
    order: VecDeque<Box<[u8]>>,
}

impl Large {
    fn has_refused(&self, remote: SocketAddr, now: Instant) -> bool {
        self.0.lock().refused.get(&remote).is_some_and(|until| *until > now)
    }

    fn refuse(&self, remote: SocketAddr, now: Instant) {
        let refused = &mut self.0.lock().refused;
        refused.retain(|_, until| *until > now);
        if refused.len() < MAX_REFUSED {
            refused.insert(remote, now + REFUSED);
        }
    }

    /// Of a request that is being sent over TCP.
    fn note(&self, branch: &[u8]) {
        let mut known = self.0.lock();
        if known.branches.insert(branch.into()) {
            known.order.push_back(branch.into());
            if known.order.len() > MAX_BRANCHES
                && let Some(oldest) = known.order.pop_front()
            {
                known.branches.remove(&oldest);
            }
        }
    }

    fn forget(&self, branch: &[u8]) {
        let mut known = self.0.lock();
        known.branches.remove(branch);
        known.order.retain(|known| **known != *branch);
    }

    /// RFC 3261 9.1, 17.1.1.3: CANCEL and the ACK of a refusal go where their INVITE went. They carry its branch.
    fn knows(&self, branch: &[u8]) -> bool {
        let known = self.0.lock();
        !known.branches.is_empty() && known.branches.contains(branch)
    }
}

/// Sends a request over TCP where it belongs there. False where it is to go over UDP.
pub(super) fn send(transports: &Arc<Transports>, udp: Flow, bytes: &Bytes) -> bool {
    if !is_to_server(&udp) || bytes.starts_with(b"SIP/2.0 ") {
        return false;
    }
    let Some(branch) = branch(bytes) else { return false };
    let large = &transports.large;
    if bytes.len() <= transports.limits.udp_request && !large.knows(branch)
        || large.has_refused(udp.remote, Instant::now())
    {
        return false;
    }
    let number = transports.by_remote.get(&(Transport::Tcp, udp.remote)).map(|number| *number);
    let flow = number.and_then(|number| transports.connections.get(&number).map(|connection| connection.flow));
    let flow = flow.or_else(|| tcp::connect_or(transports, udp));
    let sent = flow.is_some_and(|flow| {
        let message = over(bytes, Transport::Tcp, flow.local);
        let connection = transports.connections.get(&flow.connection);
        message.zip(connection).is_some_and(|(message, connection)| connection.send(message))
    });
    if sent {
        large.note(branch);
    }
    sent
}

/// The connection has not come to be: what was to go over it goes over UDP, as does all for a while.
pub(super) fn give_up(transports: &Transports, udp: Flow, mut queue: mpsc::Receiver<Bytes>) {
    transports.large.refuse(udp.remote, Instant::now());
    while let Ok(bytes) = queue.try_recv() {
        if let Some(branch) = branch(&bytes) {
            transports.large.forget(branch);
        }
        if let Some(message) = over(&bytes, Transport::Udp, udp.local) {
            transports.send_datagram(udp, &message);
        }
    }
}

/// Where the topmost Via of a request of ours says how it is sent: from the transport to the end of sent-by.
fn sent_by(bytes: &[u8]) -> Option<(usize, usize)> {
    const VIA: &[u8] = b"\r\nVia: SIP/2.0/";
    let start = memchr::memmem::find(bytes, VIA)? + VIA.len();
    Some((start, start + memchr::memchr(b';', &bytes[start..])?))
}

fn branch(bytes: &[u8]) -> Option<&[u8]> {
    let (_, end) = sent_by(bytes)?;
    let rest = bytes[end..].strip_prefix(b";branch=")?;
    Some(&rest[..rest.iter().position(|octet| matches!(octet, b';' | b'\r'))?])
}

/// The same request by another transport.
fn over(bytes: &[u8], transport: Transport, local: SocketAddr) -> Option<Bytes> {
    let (start, end) = sent_by(bytes)?;
    let via = format!("{transport} {local}");
    Some([&bytes[..start], via.as_bytes(), &bytes[end..]].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:a@192.0.2.1;branch=x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK7;rport\r\n\
                          Route: <sip:192.0.2.1;lr>\r\n\r\nVia: SIP/2.0/UDP";

    #[test]
    fn the_topmost_via_says_how_a_request_is_sent() {
        let tcp = over(INVITE.as_bytes(), Transport::Tcp, "[2001:db8::9]:5070".parse().unwrap()).unwrap();
        let expected = INVITE.replacen("UDP 192.0.2.9:5060;", "TCP [2001:db8::9]:5070;", 1);
        assert_eq!(tcp, expected);
        assert_eq!(branch(&tcp), Some(&b"z9hG4bK7"[..]));
        assert_eq!(over(&tcp, Transport::Udp, "192.0.2.9:5060".parse().unwrap()).unwrap(), INVITE);
        assert_eq!(branch(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h"), None);
    }

    #[test]
    fn what_is_remembered_is_limited_and_passes() {
        let (large, now) = (Large::default(), Instant::now());
        let server = |port| SocketAddr::from(([192, 0, 2, 1], port));
        for port in 0..2_000 {
            large.refuse(server(port), now);
        }
        assert!(large.has_refused(server(0), now) && !large.has_refused(server(1_999), now));
        assert!(!large.has_refused(server(0), now + REFUSED));
        large.refuse(server(1_999), now + REFUSED);
        assert_eq!(large.0.lock().refused.len(), 1);
        for branch in 0..=MAX_BRANCHES as u32 {
            large.note(&branch.to_be_bytes());
        }
        assert!(!large.knows(&0_u32.to_be_bytes()) && large.knows(&1_u32.to_be_bytes()));
        large.forget(&1_u32.to_be_bytes());
        let known = large.0.lock();
        assert_eq!((known.branches.len(), known.order.len()), (MAX_BRANCHES - 1, MAX_BRANCHES - 1));
    }
}
