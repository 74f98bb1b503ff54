//! Phones of the users of one domain, which call, talk and write to each other.

use bytes::Bytes;
use opentact_sip::message::{Method, Request};
use opentact_sip::ua::{Command, Event, SessionId};

use super::{PASSWORD, Peer, World, address, sdp};

/// Three users of one domain at their phones.
pub async fn phones(world: &World) -> [Peer; 3] {
    world.domain_with(&["alice", "bob", "carol"]).await;
    let mut phones = [Peer::new().await, Peer::new().await, Peer::new().await];
    for (phone, login) in phones.iter_mut().zip(["alice", "bob", "carol"]) {
        assert_eq!(phone.register(world.sip, login, PASSWORD, 300).await, 200);
        phone.credentials = Some((login, PASSWORD));
    }
    phones
}

pub async fn pick_up(peer: &mut Peer) -> (SessionId, Request) {
    loop {
        if let Event::Invite { session, request, .. } = peer.event().await {
            peer.command(Command::Accept { session, headers: Vec::new(), body: sdp(40_002), contact: None });
            while !matches!(peer.event().await, Event::Acked { .. }) {}
            return (session, request);
        }
    }
}

/// Two of them talk; the sessions of both.
pub async fn talk(world: &World, caller: &mut Peer, from: &str, callee: &mut Peer, to: &str) -> (SessionId, SessionId) {
    let calling = caller.call(world.sip, address(from), address(to).uri, 40_000);
    let answered = async { while !matches!(caller.event().await, Event::Answered { .. }) {} };
    let ((called, _), ()) = tokio::join!(pick_up(callee), answered);
    (calling, called)
}

pub async fn hung_up(peer: &mut Peer) {
    while !matches!(peer.event().await, Event::Bye { .. }) {}
}

pub fn hang_up(peer: &mut Peer, session: SessionId) {
    peer.command(Command::Bye { session, headers: Vec::new() });
}

impl Peer {
    /// Value of Replaces that names the dialog of a session to the node (RFC 3891 section 3).
    pub fn replaces(&self, session: SessionId) -> String {
        let known = self.ua.session(session).unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let [call_id, theirs, ours] = [known.call_id(), known.remote_tag().unwrap(), known.local_tag()].map(text);
        format!("{call_id};to-tag={theirs};from-tag={ours}")
    }

    /// Writes within a call.
    pub fn say(&mut self, session: SessionId, words: &str) {
        let id = self.ua.new_request();
        let body = Some((Bytes::from_static(b"text/plain"), words.to_owned().into()));
        self.command(Command::InDialog { session, id, method: Method::Message, headers: Vec::new(), body });
    }

    /// The next MESSAGE within a call, answered 200.
    pub async fn hear(&mut self) -> Request {
        loop {
            if let Event::InDialog { id, request, .. } = self.event().await
                && *request.method() == Method::Message
            {
                self.command(Command::Respond { id, code: 200, reason: None, headers: Vec::new(), body: None });
                self.flush().await;
                return request;
            }
        }
    }
}
