//! Answering challenges (RFC 3261 22, RFC 7616, RFC 8760): one credential, as many challenging hops as a request meets.

use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;
use smallvec::SmallVec;

use super::command::Body;
use crate::digest::{Challenge, Credentials};
use crate::message::{Method, Name, RequestBuilder, Response};

/// Times one request is sent again with credentials: a proxy, a second one and the far end, and a stale nonce each.
const MAX_TRIES: u8 = 6;
/// Challengers remembered at once.
const MAX_CHALLENGERS: usize = 4;

/// The credentials of a session or request and the challenges met so far. Later requests carry an answer from the start.
#[derive(Debug)]
pub(super) struct Auth {
    credentials: Credentials,
    challengers: SmallVec<[Challenger; 1]>,
}

#[derive(Debug)]
struct Challenger {
    /// Authorization or Proxy-Authorization.
    header: Name,
    challenge: Challenge,
    /// Uses of the nonce.
    count: u32,
    /// The present request has been sent with an answer to this challenger.
    answered: bool,
    /// The value sent last.
    last: Bytes,
}

impl Auth {
    pub(super) fn new(credentials: Credentials) -> Auth {
        Auth { credentials, challengers: SmallVec::new() }
    }

    /// Takes the challenges of a 401 or 407 to a request that has been sent again `tries` times. False when there is no
    /// point in sending it once more: nothing that can be answered, or the answer was refused. A challenger gets one
    /// answer a request, and one more each time it says that only the nonce was stale.
    pub(super) fn learn(&mut self, response: &Response, tries: u8) -> bool {
        if tries >= MAX_TRIES {
            return false;
        }
        if tries == 0 {
            // An answer sent unasked, to a nonce of an earlier request, is not one that was refused.
            for challenger in &mut self.challengers {
                challenger.answered = false;
            }
        }
        let challenges = Challenge::all(response.headers());
        for (header, challenge) in &challenges {
            let known = self
                .challengers
                .iter()
                .position(|known| known.header == *header && known.challenge.realm == challenge.realm);
            let challenger = Challenger {
                header: *header,
                challenge: challenge.clone(),
                count: 0,
                answered: true,
                last: Bytes::new(),
            };
            match known {
                Some(at) if self.challengers[at].answered && !challenge.stale => return false,
                Some(at) => self.challengers[at] = challenger,
                None if self.challengers.len() < MAX_CHALLENGERS => self.challengers.push(challenger),
                None => return false,
            }
        }
        !challenges.is_empty()
    }

    /// Writes the answers to all challenges met into a request.
    pub(super) fn write(
        &mut self,
        mut builder: RequestBuilder,
        method: &Method,
        uri: &str,
        body: Option<&Body>,
        random: &mut StdRng,
    ) -> RequestBuilder {
        for challenger in &mut self.challengers {
            challenger.count += 1;
            let cnonce = format!("{:016x}", random.random::<u64>());
            let body = body.map_or(&[][..], |(_, octets)| octets);
            let answer = challenger.challenge.answer(&self.credentials, method, uri, body, challenger.count, &cnonce);
            if let Some(value) = answer {
                challenger.last = value.into();
                builder = builder.header(challenger.header, &challenger.last);
            }
        }
        builder
    }

    /// Writes the answers of the last request once more: for its ACK.
    pub(super) fn repeat(&self, mut builder: RequestBuilder) -> RequestBuilder {
        for challenger in self.challengers.iter().filter(|challenger| !challenger.last.is_empty()) {
            builder = builder.header(challenger.header, &challenger.last);
        }
        builder
    }
}
