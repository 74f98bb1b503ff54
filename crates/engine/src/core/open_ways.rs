//! Phones behind a NAT are sent an OPTIONS now and then, whose answer keeps the way through it open: a NAT forgets what nobody
//! sends, over UDP often after half a minute. Only such phones are asked, and whatever they answer is good.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentact_sip::flow::Transport;
use opentact_sip::message::Method;
use opentact_sip::registrar::{Binding, Registrar};
use opentact_sip::ua::{Command, OutgoingRequest};
use opentact_sip::uri::{NameAddr, Uri};

use super::Core;

/// To whom a way leads: an address of record, and where its contact is seen.
type Way = (Arc<str>, SocketAddr);

/// When each way is used next. There are no more of them than registrations.
#[derive(Debug, Default)]
pub(super) struct OpenWays {
    /// `None`: nobody is asked.
    every: Option<Duration>,
    known: HashSet<Way>,
    due: BinaryHeap<Reverse<(Instant, Way)>>,
}

impl OpenWays {
    /// Those of an earlier run get their turns over one interval: all at once they would be a flood.
    pub(super) fn new(now: Instant, every: Option<Duration>, registrar: &Registrar) -> Self {
        let mut ways = Self { every, ..Self::default() };
        let Some(every) = every else { return ways };
        for (number, (aor, binding)) in registrar.bindings().enumerate() {
            let share = number as f64 / registrar.len().max(1) as f64;
            ways.enter(now + every.mul_f64(share), aor, binding);
        }
        ways
    }

    /// A contact has registered.
    pub(super) fn note(&mut self, now: Instant, aor: &Arc<str>, binding: &Binding) {
        if let Some(every) = self.every {
            self.enter(now + every, aor, binding);
        }
    }

    fn enter(&mut self, at: Instant, aor: &Arc<str>, binding: &Binding) {
        if closes(binding) {
            let way = (aor.clone(), binding.flow.remote);
            if self.known.insert(way.clone()) {
                self.due.push(Reverse((at, way)));
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// The next way whose time has come. It has its next turn, if `there` still finds a contact at its end.
    fn take<'a>(&mut self, now: Instant, there: impl Fn(&Way) -> Option<&'a Binding>) -> Option<&'a Binding> {
        while self.deadline().is_some_and(|at| at <= now) {
            let Reverse((_, way)) = self.due.pop()?;
            match (self.every, there(&way)) {
                (Some(every), Some(binding)) => {
                    self.due.push(Reverse((now + every, way)));
                    return Some(binding);
                }
                _ => drop(self.known.remove(&way)),
            }
        }
        None
    }
}

/// Whether the way to a contact closes by itself: by UDP, to another address than the contact knows itself by. What lies
/// behind a proxy is the proxy's to keep open.
fn closes(binding: &Binding) -> bool {
    let Binding { contact, flow, path, .. } = binding;
    let said = contact.host_ip().map(|ip| (ip, contact.port().unwrap_or(5060)));
    flow.transport == Transport::Udp && path.is_empty() && said != Some((flow.remote.ip(), flow.remote.port()))
}

impl Core {
    pub(super) fn keep_ways_open(&mut self, now: Instant) {
        let registrar = &self.registrar;
        let there = |(aor, remote): &Way| {
            let bindings = registrar.lookup(now, aor).into_iter();
            bindings.filter(|binding| closes(binding)).find(|binding| binding.flow.remote == *remote)
        };
        let mut requests = Vec::new();
        while let Some(binding) = self.open_ways.take(now, there) {
            let (flow, contact) = (binding.flow, &binding.contact);
            let from = NameAddr::new(Uri::from_addr(None, flow.local));
            let to = NameAddr::new(contact.clone());
            requests.push(OutgoingRequest::new(flow, Method::Options, contact.clone(), from, to));
        }
        for request in requests {
            let id = self.ua.new_request();
            self.command(Command::Request { id, request });
        }
    }
}

#[cfg(test)]
mod tests {
    use opentact_sip::flow::Flow;
    use opentact_sip::message::{Message, Request};
    use opentact_sip::registrar::RegistrarConfig;

    use super::*;

    const EVERY: Duration = Duration::from_secs(25);

    fn register(contact: &str, expires: u32) -> Request {
        let text = format!(
            "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK{expires}\r\nFrom: <sip:a@x>;tag=a\r\n\
             To: <sip:a@x>\r\nCall-ID: {contact}\r\nCSeq: 1 REGISTER\r\nContact: <{contact}>;expires={expires}\r\n\r\n"
        );
        match Message::parse(text.into()).unwrap() {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a response"),
        }
    }

    fn seen_at(remote: &str) -> Flow {
        Flow::udp("192.0.2.1:5060".parse().unwrap(), remote.parse().unwrap())
    }

    fn asked(ways: &mut OpenWays, now: Instant, registrar: &Registrar) -> Vec<String> {
        let there = |(aor, remote): &Way| registrar.lookup(now, aor).into_iter().find(|one| one.flow.remote == *remote);
        std::iter::from_fn(|| ways.take(now, there)).map(|binding| binding.contact.to_string()).collect()
    }

    #[test]
    fn who_is_seen_elsewhere_is_asked_as_long_as_it_is_registered() {
        let (now, mut registrar) = (Instant::now(), Registrar::new(RegistrarConfig::default()));
        for (contact, remote) in [
            ("sip:a@10.0.0.5", "203.0.113.7:40000"),
            ("sip:a@203.0.113.8", "203.0.113.8:5060"),
            ("sip:a@203.0.113.9:5062", "203.0.113.9:5060"),
            ("sip:a@phone.local", "203.0.113.9:5070"),
        ] {
            registrar.register(now, "a@x", &register(contact, 60), seen_at(remote)).unwrap();
        }
        let mut ways = OpenWays::new(now, None, &registrar);
        assert_eq!(ways.deadline(), None);
        ways = OpenWays { every: Some(EVERY), ..OpenWays::default() };
        for _ in 0..2 {
            registrar.bindings().for_each(|(aor, binding)| ways.note(now, aor, binding));
        }
        assert_eq!(ways.deadline(), Some(now + EVERY));
        let behind = ["sip:a@10.0.0.5", "sip:a@203.0.113.9:5062", "sip:a@phone.local"];
        for turn in [1, 2] {
            let mut contacts = asked(&mut ways, now + EVERY * turn, &registrar);
            contacts.sort();
            assert_eq!(contacts, behind, "turn {turn}");
        }
        // After 60 s nobody is there.
        assert_eq!(asked(&mut ways, now + EVERY * 3, &registrar), [""; 0]);
        assert!(ways.known.is_empty() && ways.due.is_empty());
    }

    #[test]
    fn those_of_an_earlier_run_have_their_turns_one_after_the_other() {
        let (now, mut registrar) = (Instant::now(), Registrar::new(RegistrarConfig::default()));
        for user in 0..50 {
            let remote = format!("203.0.113.7:{}", 40_000 + user);
            registrar.register(now, &format!("{user}@x"), &register("sip:a@10.0.0.5", 600), seen_at(&remote)).unwrap();
        }
        let mut ways = OpenWays::new(now, Some(EVERY), &registrar);
        let most = (0..25).map(|second| asked(&mut ways, now + Duration::from_secs(second), &registrar).len()).max();
        assert!(most <= Some(3), "{most:?} in one second");
        assert_eq!(ways.known.len(), 50);
    }
}
