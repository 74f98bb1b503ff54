use std::net::SocketAddr;

use super::negotiate::{audio, refused};
use super::security::{Protection, Security, in_the_clear};
use super::video::{AgreedVideo, Passed, Video};
use super::{Agreed, Capabilities, Direction, IceFragment, Local, SdpError, Session, accept, answer, offer};

/// One side of one session through all its offers and answers: keeps the `o=` line and the order of streams true.
///
/// The `o=` version grows when, and only when, our description changes (RFC 3264 8).
#[derive(Debug, Clone)]
pub struct Negotiator {
    capabilities: Capabilities,
    security: Security,
    video: Video,
    local: Local,
    /// Our last description.
    description: Option<Session>,
    /// Our offer that has no answer yet, or the last one that had.
    open: Option<Session>,
    /// What our open offer is to take the place of.
    before: Option<Session>,
    agreed: Option<Agreed>,
}

impl Negotiator {
    /// `session_id` should be random, below 2^62. `rtp` is where we receive.
    pub fn new(session_id: u64, rtp: SocketAddr, capabilities: Capabilities) -> Self {
        let session_id = session_id >> 2;
        let local = Local { rtp, session_id, version: session_id, direction: Direction::SendRecv };
        let (security, video) = (Security::none(), Video::default());
        Self { capabilities, security, video, local, description: None, open: None, before: None, agreed: None }
    }

    /// The same, with keys for its audio.
    pub fn securing(self, security: Security) -> Self {
        Self { security, ..self }
    }

    /// What the description will be made of from now on.
    pub fn capabilities(&mut self) -> &mut Capabilities {
        &mut self.capabilities
    }

    /// Our offer: the first, or a new one that keeps every stream in its place.
    pub fn offer(&mut self, direction: Direction) -> Session {
        self.local.direction = direction;
        let mut session = offer(&self.capabilities, &self.local);
        if let Some(last) = &self.description {
            let index = self.agreed.as_ref().map_or(0, |agreed| agreed.index);
            session.media = last.media.iter().map(refused).collect();
            if let Some(stream) = session.media.get_mut(index) {
                *stream = audio(&self.capabilities, &self.local);
                if let Some(agreed) = &self.agreed {
                    // RFC 3264 8.3.2: a payload type keeps its meaning for the whole session.
                    keep_payload_types(stream, agreed);
                }
            }
        }
        let index = self.agreed.as_ref().map_or(0, |agreed| agreed.index);
        self.security.offer(&mut session, index);
        self.video.offer(&mut session, index, direction);
        self.before = self.description.clone();
        let session = self.describe(session);
        self.open = Some(session.clone());
        session
    }

    /// Our answer to an offer, with the direction we want.
    pub fn answer(&mut self, offer: &Session, direction: Direction) -> Result<(Session, Agreed), SdpError> {
        let local = Local { direction, ..self.local };
        let mut answer = answer(&self.security.admissible(offer), &self.capabilities, &local)?;
        let index = answer.agreed.index;
        self.security.answer(offer, &mut answer.session, index);
        self.video.answer(offer, &mut answer.session, index, direction);
        self.local.direction = direction;
        self.open = None;
        self.agreed = Some(answer.agreed.clone());
        Ok((self.describe(answer.session), answer.agreed))
    }

    /// What the answer to our open offer means. Early and final answers to one offer may both be given.
    pub fn accept(&mut self, answer: &Session) -> Result<Agreed, SdpError> {
        let open = self.open.as_ref().ok_or(SdpError::NoOffer)?;
        let agreed = accept(&in_the_clear(open), &in_the_clear(answer), &self.capabilities)?;
        self.security.accept(open, answer, agreed.index, self.before.is_some())?;
        self.video.accept(open, answer);
        self.agreed = Some(agreed.clone());
        Ok(agreed)
    }

    /// What the answer means that came to our last description sent once more (a session refresh, RFC 4028 7.4).
    pub fn refreshed(&mut self, answer: &Session) -> Result<Agreed, SdpError> {
        let last = self.description.as_ref().ok_or(SdpError::NoOffer)?;
        let agreed = accept(&in_the_clear(last), &in_the_clear(answer), &self.capabilities)?;
        self.security.accept(last, answer, agreed.index, true)?;
        self.video.accept(last, answer);
        self.agreed = Some(agreed.clone());
        Ok(agreed)
    }

    /// Our open offer was refused: the session goes on as it was (RFC 3261 14.1).
    pub fn withdraw(&mut self) {
        if self.open.take().is_some() && self.before.is_some() {
            self.description = self.before.take();
        }
    }

    /// Our last description; what is sent again in a refresh.
    pub fn description(&self) -> Option<&Session> {
        self.description.as_ref()
    }

    /// What protects the audio; `None`: nothing does.
    pub fn protection(&self) -> Option<&Protection> {
        self.security.agreed()
    }

    /// RTCP goes with RTP.
    pub fn rtcp_mux(&self) -> bool {
        self.security.rtcp_mux()
    }

    pub fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_ref()
    }

    /// Video in these formats is passed on from now on: offered and taken.
    pub fn pass(&mut self, formats: Vec<Passed>) {
        self.video.passed = formats;
    }

    /// Video that has ports of its own is received there.
    pub fn video_at(&mut self, rtp: SocketAddr) {
        self.video.rtp = Some(rtp);
    }

    /// What both sides know of video; `None`: there is none.
    pub fn video(&self) -> Option<&AgreedVideo> {
        self.video.agreed.as_ref()
    }

    /// Takes candidates that came after the description; gives those that are new.
    pub fn trickled(&mut self, fragment: &IceFragment) -> Vec<String> {
        self.security.trickled(fragment)
    }

    /// From now on we receive elsewhere.
    pub fn moved(&mut self, rtp: SocketAddr) {
        self.local.rtp = rtp;
    }

    fn describe(&mut self, mut session: Session) -> Session {
        if let Some(last) = &self.description {
            session.origin.version = last.origin.version;
            if session != *last {
                // Above that of a withdrawn offer too, which the other side has seen.
                self.local.version += 1;
                session.origin.version = self.local.version;
            }
        }
        self.description = Some(session.clone());
        session
    }
}

fn keep_payload_types(stream: &mut super::Media, agreed: &Agreed) {
    let ours = agreed.codec.payload_type;
    if ours == agreed.receive_payload_type {
        return;
    }
    let to = agreed.receive_payload_type;
    if stream.payload_types().any(|taken| taken == to) {
        // What has that number in our offers takes another.
        let free = (96..=127).rev().find(|free| *free != to && stream.payload_types().all(|taken| taken != *free));
        renumber(stream, to, free.unwrap_or(127));
    }
    renumber(stream, ours, to);
}

fn renumber(stream: &mut super::Media, from: u8, to: u8) {
    let (from, to) = (from.to_string(), to.to_string());
    for format in &mut stream.formats {
        if *format == from {
            format.clone_from(&to);
        }
    }
    for attribute in &mut stream.attributes {
        if !matches!(attribute.name.as_str(), "rtpmap" | "fmtp") {
            continue;
        }
        if let Some(rest) = attribute.value.as_deref().and_then(|value| value.strip_prefix(&format!("{from} "))) {
            attribute.value = Some(format!("{to} {rest}"));
        }
    }
}
