//! One end of a call in the simulated network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use opentact_media::control::{Codec, Command, EventFormat, LegKey, LegParams};
use opentact_sip::sdp::{Agreed, Capabilities, Direction, Negotiator, SdpError, Session};
use opentact_sip::ua::{Body, SessionId};
use opentact_sip::uri::NameAddr;

use super::script::Step;

/// Media legs, as much of them as a call needs.
pub(super) trait Media {
    /// `None` when there is no room for another.
    fn open(&mut self, near: Option<LegKey>) -> Option<(LegKey, SocketAddr)>;
    fn command(&mut self, leg: LegKey, command: Command);
}

/// What a party waits for before its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Nothing: the next step can be taken.
    Nothing,
    /// Incoming: whether the number is leased.
    Lookup,
    /// Outgoing: the answer.
    Answer,
    /// Incoming: the ACK of our answer.
    Ack,
    /// The end of this alarm.
    Alarm(u64),
    /// Samples of what it is to say.
    Speech,
    /// The end of this play.
    Play(u64),
    /// The last key.
    Keys,
    /// The other half of a call passed on; it takes no steps of its own.
    Peer,
}

#[derive(Debug)]
pub(super) struct Party {
    /// Whom the platform calls, or is called by.
    pub number: u64,
    pub steps: VecDeque<Step>,
    pub waiting: Waiting,
    /// The other's offer that has no answer yet.
    pub offer: Option<Session>,
    pub leg: Option<Leg>,
    /// Incoming: the calling line, as the platform gave it.
    pub caller: Option<NameAddr>,
    /// The other half of a call passed on.
    pub peer: Option<SessionId>,
    /// Bridged to the other half.
    pub joined: bool,
    /// Outgoing: hangs up this long after the answer.
    pub duration: Option<Duration>,
}

impl Party {
    pub fn called(number: u64, offer: Option<Session>) -> Party {
        Party {
            number,
            steps: VecDeque::new(),
            waiting: Waiting::Lookup,
            offer,
            leg: None,
            caller: None,
            peer: None,
            joined: false,
            duration: None,
        }
    }

    pub fn calling(number: u64) -> Party {
        Party { waiting: Waiting::Answer, ..Party::called(number, None) }
    }
}

/// Its media: the leg and what was negotiated for it.
#[derive(Debug)]
pub(super) struct Leg {
    pub key: LegKey,
    negotiator: Negotiator,
}

impl Leg {
    pub fn open(media: &mut impl Media, near: Option<LegKey>, session_id: u64) -> Option<Leg> {
        let (key, address) = media.open(near)?;
        Some(Leg { key, negotiator: Negotiator::new(session_id, address, Capabilities::default()) })
    }

    /// Our offer; media starts with its answer.
    pub fn offer(&mut self) -> Body {
        sdp(&self.negotiator.offer(Direction::SendRecv))
    }

    /// Our answer; media starts, or goes on as it says.
    pub fn answer(&mut self, offer: &Session, media: &mut impl Media) -> Result<Body, SdpError> {
        let (answer, agreed) = self.negotiator.answer(offer, Direction::SendRecv)?;
        self.start(&agreed, media);
        Ok(sdp(&answer))
    }

    /// The answer to our offer: media starts.
    pub fn accept(&mut self, answer: &Session, media: &mut impl Media) -> Result<(), SdpError> {
        let agreed = self.negotiator.accept(answer)?;
        self.start(&agreed, media);
        Ok(())
    }

    /// Our last answer or offer again.
    pub fn description(&self) -> Option<Body> {
        self.negotiator.description().map(sdp)
    }

    pub fn is_started(&self) -> bool {
        self.negotiator.agreed().is_some()
    }

    /// Whether the other side is to be heard now.
    pub fn hears(&self) -> bool {
        self.negotiator.agreed().is_some_and(|agreed| agreed.direction.receives())
    }

    fn start(&self, agreed: &Agreed, media: &mut impl Media) {
        let codec = if agreed.codec.name.eq_ignore_ascii_case("PCMA") { Codec::Pcma } else { Codec::Pcmu };
        let dtmf = agreed.telephone_event.map(|events| EventFormat {
            payload_type: events.payload_type,
            receive_payload_type: events.receive_payload_type,
            clock_rate: events.clock,
        });
        media.command(
            self.key,
            Command::Start(LegParams {
                payload_type: agreed.payload_type,
                receive_codecs: vec![(agreed.receive_payload_type, codec)],
                dtmf,
                ptime_ms: agreed.ptime,
                send: agreed.direction.sends(),
                receive: agreed.direction.receives(),
                rtcp_mux: self.negotiator.rtcp_mux(),
                video: None,
                ..LegParams::of(agreed.remote, codec)
            }),
        );
    }
}

fn sdp(session: &Session) -> Body {
    (Bytes::from_static(b"application/sdp"), session.to_bytes())
}
