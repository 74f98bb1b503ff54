//! What somebody does with a phone.

use std::time::Duration;

use bytes::Bytes;
use opentact_sip::ua::{Event, RequestId, SessionId, Ua};
use rand::Rng;
use rand::rngs::StdRng;

#[derive(Debug, Clone)]
pub enum Act {
    /// The digits are the phones to be rung at once; with `f` before them one after the other.
    Call {
        to: String,
    },
    /// Takes the place of whoever else has a call at the node.
    TakePlace,
    Ring {
        session: SessionId,
        code: u16,
    },
    Accept {
        session: SessionId,
    },
    Reject {
        session: SessionId,
        code: u16,
    },
    Cancel {
        session: SessionId,
    },
    Bye {
        session: SessionId,
    },
    Hold {
        session: SessionId,
    },
    Say {
        session: SessionId,
    },
    HandOn {
        session: SessionId,
        to: u32,
    },
    /// Joins the two of whom it talks to.
    Join {
        session: SessionId,
    },
    Respond {
        id: RequestId,
    },
}

pub fn sdp() -> (Bytes, Bytes) {
    (Bytes::from_static(b"application/sdp"), Bytes::from_static(b"v=0\r\n"))
}

/// Value of Replaces that names the dialog of a session to the other side; `None` before it is one.
pub fn replaces(ua: &Ua, session: SessionId) -> Option<String> {
    let known = ua.session(session)?;
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let [call_id, theirs, ours] = [known.call_id(), known.remote_tag()?, known.local_tag()].map(text);
    Some(format!("{call_id};to-tag={theirs};from-tag={ours}"))
}

/// Call-ID, To tag and From tag of such a value.
pub fn replaces_of(value: &str) -> (&str, &str, &str) {
    let mut parts = value.split(';').map(|part| part.split_once('=').map_or(part, |(_, tag)| tag));
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
}

fn within(random: &mut StdRng, longest: u64) -> Duration {
    Duration::from_millis(random.random_range(0..longest))
}

/// What somebody will do about an event, and when.
pub fn react(random: &mut StdRng, event: &Event) -> Vec<(Duration, Act)> {
    match event {
        Event::Invite { session, .. } => {
            let session = *session;
            let mut acts = Vec::new();
            for _ in 0..random.random_range(0..3) {
                let code = if random.random_bool(0.7) { 180 } else { 183 };
                acts.push((within(random, 3_000), Act::Ring { session, code }));
            }
            let longest = if random.random_bool(0.2) { 30_000 } else { 6_000 };
            let decision = match random.random_range(0..4) {
                0 => Act::Reject { session, code: if random.random_bool(0.5) { 486 } else { 603 } },
                _ => Act::Accept { session },
            };
            acts.push((within(random, longest), decision));
            acts
        }
        Event::Answered { session, .. } | Event::Acked { session, .. } => {
            let session = *session;
            // Both sides hang up some time, so that nobody is left alone.
            let mut acts = vec![(within(random, 25_000), Act::Bye { session })];
            for _ in 0..random.random_range(0..4) {
                let act = match random.random_range(0..6) {
                    0 => Act::Hold { session },
                    1 | 2 => Act::Say { session },
                    3 => Act::Join { session },
                    _ => Act::HandOn { session, to: random.random_range(0..4) },
                };
                acts.push((within(random, 15_000), act));
            }
            acts
        }
        Event::ReinviteFailed { session, code: 491, .. } => {
            vec![(within(random, 4_000), Act::Hold { session: *session })]
        }
        Event::Reinvite { session, .. } => vec![(within(random, 1_000), Act::Accept { session: *session })],
        Event::InDialog { id, .. } => vec![(within(random, 1_000), Act::Respond { id: *id })],
        _ => Vec::new(),
    }
}
