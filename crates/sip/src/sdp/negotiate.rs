//! Offer/answer (RFC 3264) for one audio stream. Other streams of an offer are refused with port 0, in their places.

use std::net::SocketAddr;

use super::{Attribute, Codec, Connection, Direction, Line, Media, Origin, RtpMap, SdpError, Session};

/// What our media can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// In our order of preference.
    pub codecs: Vec<Codec>,
    /// Payload type of telephone-event (RFC 4733) at 8000 Hz in our offers, 96..=110; those above it are for the other
    /// clocks of our codecs. `None` neither offers nor takes it.
    pub telephone_event: Option<u8>,
    /// Packet length we ask for, milliseconds.
    pub ptime: u8,
    /// Whose order decides which codec an answer takes.
    pub preference: Preference,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preference {
    /// The first of ours that is offered.
    #[default]
    Ours,
    /// The first of the offer that we can do.
    Offer,
}

impl Default for Capabilities {
    /// PCMU, PCMA and telephone-event at 20 ms.
    fn default() -> Self {
        Self {
            codecs: vec![Codec::PCMU, Codec::PCMA],
            telephone_event: Some(101),
            ptime: 20,
            preference: Preference::Ours,
        }
    }
}

/// What our side writes into its descriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Where we receive RTP.
    pub rtp: SocketAddr,
    /// `o=` session id, the same for the life of the session.
    pub session_id: u64,
    /// `o=` version.
    pub version: u64,
    /// What we want to do; an answer narrows it to what the offer lets us.
    pub direction: Direction,
}

/// What both sides agreed on for the audio stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    pub codec: Codec,
    /// Payload type we send with.
    pub payload_type: u8,
    /// Payload type we receive.
    pub receive_payload_type: u8,
    /// All that may come, `codec` among them: any codec of the answer (RFC 3264 6.1), by the payload type it comes with.
    pub receive: Vec<(u8, Codec)>,
    /// `a=fmtp` of the other side for `codec`.
    pub fmtp: Option<String>,
    /// How keys are told; `None` when the other side takes no telephone-event.
    pub telephone_event: Option<Events>,
    /// Where RTP goes.
    pub remote: SocketAddr,
    /// Where RTCP goes (RFC 3605, else the next port).
    pub remote_rtcp: SocketAddr,
    /// Milliseconds of audio in a packet we send, 10..=60.
    pub ptime: u8,
    /// As we see it: whether we send and whether we receive.
    pub direction: Direction,
    /// Place of the stream among the `m=` lines.
    pub index: usize,
}

/// telephone-event as agreed on (RFC 4733).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// Payload type we send with.
    pub payload_type: u8,
    /// Payload type we receive.
    pub receive_payload_type: u8,
    /// Hz.
    pub clock: u32,
}

impl Agreed {
    /// Whether the other side has put us on hold.
    pub fn is_held(&self) -> bool {
        !self.direction.sends()
    }
}

/// An answer and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub session: Session,
    pub agreed: Agreed,
}

/// Our offer of one audio stream.
pub fn offer(capabilities: &Capabilities, local: &Local) -> Session {
    let mut session = skeleton(local);
    session.media.push(audio(capabilities, local));
    session
}

/// Our answer: the first audio stream with something common is taken, every other stream refused with port 0.
pub fn answer(offer: &Session, capabilities: &Capabilities, local: &Local) -> Result<Answer, SdpError> {
    let mut reason = SdpError::NoCommonMedia;
    let mut taken = None;
    let mut session = skeleton(local);
    for (index, media) in offer.media.iter().enumerate() {
        if taken.is_none() {
            match take(offer, index, media, capabilities, local) {
                Ok((agreed, answer)) => {
                    session.media.push(answer);
                    taken = Some(agreed);
                    continue;
                }
                Err(SdpError::NoCommonMedia) => {}
                Err(error) => reason = error,
            }
        }
        session.media.push(refused(media));
    }
    let agreed = taken.ok_or(reason)?;
    Ok(Answer { session, agreed })
}

/// What an answer to our offer means.
pub fn accept(our_offer: &Session, answer: &Session, capabilities: &Capabilities) -> Result<Agreed, SdpError> {
    if our_offer.media.len() != answer.media.len() {
        return Err(SdpError::Mismatch);
    }
    let streams = our_offer.media.iter().zip(&answer.media).enumerate();
    let mut reason = SdpError::NoCommonMedia;
    for (index, (ours, theirs)) in streams {
        if !ours.kind.eq_ignore_ascii_case(&theirs.kind) {
            return Err(SdpError::Mismatch);
        }
        if ours.port == 0 || theirs.port == 0 || !is_rtp_audio(theirs) {
            continue;
        }
        let common: Vec<(&Codec, u8, u8)> = theirs
            .payload_types()
            .filter_map(|pt| {
                let map = theirs.rtpmap(pt)?;
                let codec = capabilities.codecs.iter().find(|codec| codec.is(&map))?;
                let receive = ours.payload_types().find(|pt| ours.rtpmap(*pt).is_some_and(|map| codec.is(&map)))?;
                Some((codec, pt, receive))
            })
            .collect();
        let Some(&(codec, payload_type, receive_payload_type)) = common.first() else { continue };
        match remote_addresses(answer, theirs) {
            Ok((remote, remote_rtcp)) => {
                let direction = our_offer.direction(ours).and(answer.direction(theirs).reversed());
                return Ok(Agreed {
                    codec: codec.clone(),
                    payload_type,
                    receive_payload_type,
                    receive: common.iter().map(|(codec, _, receive)| (*receive, (*codec).clone())).collect(),
                    fmtp: theirs.fmtp(payload_type).map(str::to_owned),
                    telephone_event: events_of(ours, theirs, codec.clock),
                    remote,
                    remote_rtcp,
                    ptime: ptime(theirs, capabilities),
                    direction: sendable(direction, remote),
                    index,
                });
            }
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

fn skeleton(local: &Local) -> Session {
    let address = Connection::ip(local.rtp.ip());
    Session {
        origin: Origin {
            username: "-".into(),
            session_id: local.session_id,
            version: local.version,
            address: address.clone(),
        },
        name: "-".into(),
        connection: Some(address),
        lines: vec![Line { letter: 't', value: "0 0".into() }],
        attributes: Vec::new(),
        media: Vec::new(),
    }
}

/// Our audio stream with everything we can do.
pub(super) fn audio(capabilities: &Capabilities, local: &Local) -> Media {
    let mut media = stream(local.rtp.port(), "RTP/AVP");
    for codec in &capabilities.codecs {
        describe(&mut media, codec.payload_type, &codec.rtpmap(), codec.fmtp.as_deref());
    }
    if let Some(first) = capabilities.telephone_event {
        for (pt, clock) in (first..).zip(event_clocks(capabilities)) {
            describe(&mut media, pt, &telephone_event_map(clock), Some("0-15"));
        }
    }
    media.attributes.push(Attribute::new("ptime", capabilities.ptime.to_string()));
    media.attributes.push(Attribute::flag(local.direction.as_str()));
    media
}

/// The stream as its refusal: port 0, the rest as little as RFC 3264 6 asks for.
pub(super) fn refused(media: &Media) -> Media {
    Media {
        port: 0,
        ports: None,
        connection: None,
        lines: Vec::new(),
        attributes: Vec::new(),
        kind: media.kind.clone(),
        protocol: media.protocol.clone(),
        formats: media.formats.clone(),
    }
}

fn take(
    offer: &Session,
    index: usize,
    media: &Media,
    capabilities: &Capabilities,
    local: &Local,
) -> Result<(Agreed, Media), SdpError> {
    if media.port == 0 || !is_rtp_audio(media) {
        return Err(SdpError::NoCommonMedia);
    }
    let (codec, payload_type) = choose(media, capabilities).ok_or(SdpError::NoCommonMedia)?;
    let (remote, remote_rtcp) = remote_addresses(offer, media)?;
    let direction = sendable(offer.direction(media).reversed().and(local.direction), remote);
    let event = capabilities.telephone_event.and_then(|_| telephone_event(media, codec.clock));
    let event = event.map(|(pt, clock)| Events { payload_type: pt, receive_payload_type: pt, clock });
    let ptime = ptime(media, capabilities);

    let mut answer = stream(local.rtp.port(), &media.protocol);
    // RFC 3264 6.1: the payload types of the offer, so that they mean the same both ways.
    describe(&mut answer, payload_type, &codec.rtpmap(), codec.fmtp.as_deref());
    if let Some(events) = event {
        describe(&mut answer, events.payload_type, &telephone_event_map(events.clock), Some("0-15"));
    }
    answer.attributes.push(Attribute::new("ptime", ptime.to_string()));
    answer.attributes.push(Attribute::flag(direction.as_str()));
    let agreed = Agreed {
        codec: codec.clone(),
        payload_type,
        receive_payload_type: payload_type,
        receive: vec![(payload_type, codec.clone())],
        fmtp: media.fmtp(payload_type).map(str::to_owned),
        telephone_event: event,
        remote,
        remote_rtcp,
        ptime,
        direction,
        index,
    };
    Ok((agreed, answer))
}

fn choose<'a>(media: &Media, capabilities: &'a Capabilities) -> Option<(&'a Codec, u8)> {
    let offered = || media.payload_types().filter_map(|pt| Some((pt, media.rtpmap(pt)?)));
    match capabilities.preference {
        Preference::Ours => capabilities
            .codecs
            .iter()
            .find_map(|codec| offered().find(|(_, map)| codec.is(map)).map(|(pt, _)| (codec, pt))),
        Preference::Offer => {
            offered().find_map(|(pt, map)| Some((capabilities.codecs.iter().find(|codec| codec.is(&map))?, pt)))
        }
    }
}

fn is_rtp_audio(media: &Media) -> bool {
    media.kind.eq_ignore_ascii_case("audio")
        && ["RTP/AVP", "RTP/AVPF"].iter().any(|protocol| media.protocol.eq_ignore_ascii_case(protocol))
}

fn stream(port: u16, protocol: &str) -> Media {
    Media {
        kind: "audio".into(),
        port,
        ports: None,
        protocol: protocol.to_owned(),
        formats: Vec::new(),
        connection: None,
        lines: Vec::new(),
        attributes: Vec::new(),
    }
}

fn describe(media: &mut Media, payload_type: u8, map: &RtpMap, fmtp: Option<&str>) {
    media.formats.push(payload_type.to_string());
    media.attributes.push(Attribute::new("rtpmap", format!("{payload_type} {map}")));
    if let Some(fmtp) = fmtp {
        media.attributes.push(Attribute::new("fmtp", format!("{payload_type} {fmtp}")));
    }
}

fn telephone_event_map(clock: u32) -> RtpMap {
    RtpMap { name: "telephone-event".into(), clock, channels: 1 }
}

/// RFC 4733 2.1: events run on the clock of the audio, so every clock of our codecs needs its own; 8000 first, which all
/// know.
fn event_clocks(capabilities: &Capabilities) -> Vec<u32> {
    let mut clocks = vec![8_000];
    for codec in &capabilities.codecs {
        if !clocks.contains(&codec.clock) {
            clocks.push(codec.clock);
        }
    }
    clocks
}

/// The events of a stream, by payload type and clock.
fn telephone_events(media: &Media) -> impl Iterator<Item = (u8, u32)> {
    media
        .payload_types()
        .filter_map(|pt| Some((pt, media.rtpmap(pt)?)))
        .filter(|(_, map)| map.is_telephone_event() && map.clock % 8_000 == 0)
        .map(|(pt, map)| (pt, map.clock))
}

/// The events on the clock of the audio; 8000 is taken from those who offer only that.
fn telephone_event(media: &Media, clock: u32) -> Option<(u8, u32)> {
    let of = |wanted| telephone_events(media).find(|(_, clock)| *clock == wanted);
    of(clock).or_else(|| of(8_000))
}

/// The events of our offer that the answer takes.
fn events_of(ours: &Media, theirs: &Media, clock: u32) -> Option<Events> {
    let both = |wanted| {
        let (payload_type, clock) = telephone_events(theirs).find(|(_, clock)| *clock == wanted)?;
        let (receive_payload_type, _) = telephone_events(ours).find(|(_, clock)| *clock == wanted)?;
        Some(Events { payload_type, receive_payload_type, clock })
    };
    both(clock).or_else(|| both(8_000))
}

/// The packet length the other side asks for, in steps media can do.
fn ptime(media: &Media, capabilities: &Capabilities) -> u8 {
    let read = |name| media.attribute(name).and_then(|value| value.trim().parse::<f32>().ok());
    let asked = read("ptime").unwrap_or(f32::from(capabilities.ptime)).min(read("maxptime").unwrap_or(60.0));
    [60, 40, 30, 20].into_iter().find(|step| f32::from(*step) <= asked).unwrap_or(10)
}

pub(super) fn remote_addresses(session: &Session, media: &Media) -> Result<(SocketAddr, SocketAddr), SdpError> {
    let ip = session.connection(media).and_then(Connection::to_ip).ok_or(SdpError::NoAddress)?;
    let rtp = SocketAddr::new(ip, media.port);
    let mut rtcp = SocketAddr::new(ip, media.port.checked_add(1).unwrap_or(media.port));
    // RFC 3605: `a=rtcp:53020` or `a=rtcp:53020 IN IP4 192.0.2.1`.
    if let Some(value) = media.attribute("rtcp") {
        let mut fields = value.split_ascii_whitespace();
        if let Some(port) = fields.next().and_then(|port| port.parse().ok()) {
            rtcp.set_port(port);
        }
        if let Some(ip) = fields.nth(2).and_then(|ip| ip.parse().ok()) {
            rtcp.set_ip(ip);
        }
    }
    Ok((rtp, rtcp))
}

/// RFC 3264 8.4: 0.0.0.0 is how RFC 2543 put on hold; nothing is sent there.
pub(super) fn sendable(direction: Direction, remote: SocketAddr) -> Direction {
    if remote.ip().is_unspecified() { direction.and(Direction::RecvOnly) } else { direction }
}
