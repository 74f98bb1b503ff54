//! Video that is passed on between two sides as it is: which formats both know, and where it goes.
//!
//! What the one side offers is offered to the other, and what that takes is the answer to the first. Beside audio in the
//! clear it has ports of its own; with DTLS it shares the way of the audio (RFC 9143). Anything else is refused with port 0,
//! and never the audio for it.

use std::net::SocketAddr;

use super::dtls::is_dtls;
use super::negotiate::{remote_addresses, sendable};
use super::{Attribute, Direction, Media, Session};

/// Formats of one stream that are read.
const MAX_FORMATS: usize = 16;
const CLOCK: u32 = 90_000;
/// RFC 4585, RFC 5104 and what browsers do: reports that are passed on.
const FEEDBACK: [&str; 4] = ["nack", "nack pli", "ccm fir", "goog-remb"];
/// Payload types of our offers: none that audio has.
const PAYLOAD_TYPES: [std::ops::RangeInclusive<u8>; 2] = [96..=100, 114..=127];

/// A format of video as who offered it first described it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VideoFormat {
    /// `VP8` or `H264`.
    pub name: &'static str,
    pub fmtp: Option<String>,
}

impl VideoFormat {
    fn read(media: &Media, payload_type: u8) -> Option<Self> {
        let map = media.rtpmap(payload_type).filter(|map| map.clock == CLOCK)?;
        let name = ["VP8", "H264"].into_iter().find(|name| map.name.eq_ignore_ascii_case(name))?;
        Some(Self { name, fmtp: media.fmtp(payload_type).map(str::to_owned) })
    }

    /// RFC 6184 8.1: what a decoder of H.264 cannot do without.
    fn mode(fmtp: Option<&str>) -> &str {
        let parameters = fmtp.unwrap_or_default().split(';');
        parameters.filter_map(|one| one.trim().strip_prefix("packetization-mode=")).next().unwrap_or("0")
    }

    fn is_like(&self, other: &Self) -> bool {
        self.name == other.name && Self::mode(self.fmtp.as_deref()) == Self::mode(other.fmtp.as_deref())
    }
}

/// A format that may be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub format: VideoFormat,
    /// Its `a=fmtp` in our descriptions: that of who is at the other end.
    pub described: Option<String>,
}

/// A format both sides know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedFormat {
    pub passed: Passed,
    /// Payload type we send with.
    pub payload_type: u8,
    /// Payload type we receive.
    pub receive_payload_type: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedVideo {
    pub formats: Vec<AgreedFormat>,
    /// It goes the way of the audio. Else:
    pub bundled: bool,
    pub remote: SocketAddr,
    pub remote_rtcp: SocketAddr,
    pub direction: Direction,
}

/// One side's video through all offers and answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Video {
    /// What may be passed on.
    pub passed: Vec<Passed>,
    /// Where it is received, where it has ports of its own.
    pub rtp: Option<SocketAddr>,
    pub agreed: Option<AgreedVideo>,
    /// Its place among the streams, and its name.
    index: Option<usize>,
    mid: Option<String>,
}

/// What an offer has of video that can be passed on.
pub fn offered_video(offer: &Session) -> Vec<Passed> {
    let Some((_, media)) = stream(offer) else { return Vec::new() };
    let formats = media.payload_types().filter_map(|payload_type| VideoFormat::read(media, payload_type));
    formats.take(MAX_FORMATS).map(|format| Passed { described: format.fmtp.clone(), format }).collect()
}

fn stream(session: &Session) -> Option<(usize, &Media)> {
    let is_video = |media: &Media| media.kind.eq_ignore_ascii_case("video");
    // RFC 9143 6: a stream of port 0 may have the way of another.
    let is_open = |media: &Media| media.port != 0 || media.attribute("bundle-only").is_some();
    session.media.iter().enumerate().find(|(_, media)| is_video(media) && is_open(media))
}

fn is_plain(media: &Media) -> bool {
    let plain = ["RTP/AVP", "RTP/AVPF"].iter().any(|protocol| media.protocol.eq_ignore_ascii_case(protocol));
    plain && media.attribute("crypto").is_none()
}

impl Video {
    /// Adds video to our offer, whose audio is at `audio`, where there is some to pass on and a way for it.
    pub fn offer(&mut self, session: &mut Session, audio: usize, direction: Direction) {
        // What the other side has refused once is not asked for again.
        let wanted = !self.passed.is_empty() && (self.index.is_none() || self.agreed.is_some());
        let Some(sound) = session.media.get(audio).filter(|_| wanted) else { return };
        let (protocol, port) = match (is_dtls(sound), is_plain(sound), self.rtp) {
            (true, ..) => (sound.protocol.clone(), sound.port),
            (false, true, Some(rtp)) => ("RTP/AVP".to_owned(), rtp.port()),
            _ => return,
        };
        let mut media = blank(protocol, port);
        let free = PAYLOAD_TYPES.into_iter().flatten().filter(|free| sound.payload_types().all(|taken| taken != *free));
        for (payload_type, passed) in free.zip(&self.passed) {
            describe(&mut media, payload_type, passed);
            for feedback in FEEDBACK {
                media.attributes.push(Attribute::new("rtcp-fb", format!("{payload_type} {feedback}")));
            }
        }
        media.attributes.push(Attribute::flag(direction.as_str()));
        if is_dtls(sound) {
            let mid = self.mid.get_or_insert_with(|| "v".to_owned()).clone();
            share_way(&mut media, sound, &mid);
            bundle(session, &mid);
        }
        let index = *self.index.get_or_insert(session.media.len());
        match session.media.get_mut(index) {
            Some(place) => *place = media,
            None => session.media.push(media),
        }
    }

    /// Takes the video of an offer into its answer, which refuses it so far and has its audio at `audio`.
    pub fn answer(&mut self, offer: &Session, answer: &mut Session, audio: usize, direction: Direction) {
        self.agreed = None;
        let (Some((index, theirs)), Some(sound)) = (stream(offer), answer.media.get(audio)) else { return };
        let (bundled, port) = match (is_dtls(sound), self.rtp) {
            (true, _) if is_dtls(theirs) && is_one_way(offer, audio, index) => (true, sound.port),
            (false, Some(rtp)) if is_plain(sound) && is_plain(theirs) && theirs.port != 0 => (false, rtp.port()),
            _ => return,
        };
        let Ok((remote, remote_rtcp)) = remote_addresses(offer, theirs) else { return };
        let mut media = blank(theirs.protocol.clone(), port);
        let mut formats = Vec::new();
        for payload_type in theirs.payload_types() {
            let Some(format) = VideoFormat::read(theirs, payload_type) else { continue };
            let Some(passed) = self.passed.iter().find(|passed| passed.format == format) else { continue };
            describe(&mut media, payload_type, passed);
            let feedback = FEEDBACK.iter().filter(|feedback| takes(theirs, payload_type, feedback));
            for feedback in feedback {
                media.attributes.push(Attribute::new("rtcp-fb", format!("{payload_type} {feedback}")));
            }
            let passed = passed.clone();
            formats.push(AgreedFormat { passed, payload_type, receive_payload_type: payload_type });
        }
        if formats.is_empty() {
            return;
        }
        let wanted = offer.direction(theirs).reversed().and(direction);
        let direction = if bundled { wanted } else { sendable(wanted, remote) };
        media.attributes.push(Attribute::flag(direction.as_str()));
        self.mid = theirs.attribute("mid").map(str::to_owned);
        match &self.mid {
            Some(mid) if bundled => {
                share_way(&mut media, sound, mid);
                bundle(answer, mid);
            }
            Some(mid) => media.attributes.push(Attribute::new("mid", mid.clone())),
            None => {}
        }
        if let Some(place) = answer.media.get_mut(index) {
            *place = media;
        }
        self.index = Some(index);
        self.agreed = Some(AgreedVideo { formats, bundled, remote, remote_rtcp, direction });
    }

    /// What the answer to our offer says of it.
    pub fn accept(&mut self, ours: &Session, answer: &Session) {
        self.agreed = None;
        let Some((index, offered)) = stream(ours) else { return };
        let Some(theirs) = answer.media.get(index).filter(|media| media.port != 0) else { return };
        let bundled = is_dtls(offered);
        if bundled != is_dtls(theirs) || !bundled && !is_plain(theirs) {
            return;
        }
        let Ok((remote, remote_rtcp)) = remote_addresses(answer, theirs) else { return };
        let described = |payload_type: u8| {
            let VideoFormat { name, fmtp } = VideoFormat::read(offered, payload_type)?;
            let same = |passed: &&Passed| passed.format.name == name && passed.described == fmtp;
            self.passed.iter().find(same).map(|passed| (payload_type, passed))
        };
        let mine: Vec<(u8, &Passed)> = offered.payload_types().filter_map(described).collect();
        let formats = theirs.payload_types().filter_map(|payload_type| {
            let format = VideoFormat::read(theirs, payload_type)?;
            let same = mine.iter().find(|(mine, passed)| *mine == payload_type && passed.format.name == format.name);
            let (receive, passed) = same.or_else(|| mine.iter().find(|(_, passed)| passed.format.is_like(&format)))?;
            let passed = Passed { format: passed.format.clone(), described: format.fmtp };
            Some(AgreedFormat { passed, payload_type, receive_payload_type: *receive })
        });
        let formats: Vec<AgreedFormat> = formats.take(MAX_FORMATS).collect();
        let wanted = ours.direction(offered).and(answer.direction(theirs).reversed());
        let direction = if bundled { wanted } else { sendable(wanted, remote) };
        if !formats.is_empty() {
            self.agreed = Some(AgreedVideo { formats, bundled, remote, remote_rtcp, direction });
        }
    }
}

fn blank(protocol: String, port: u16) -> Media {
    Media {
        kind: "video".into(),
        port,
        ports: None,
        protocol,
        formats: Vec::new(),
        connection: None,
        lines: Vec::new(),
        attributes: Vec::new(),
    }
}

fn describe(media: &mut Media, payload_type: u8, passed: &Passed) {
    media.formats.push(payload_type.to_string());
    let map = format!("{payload_type} {}/{CLOCK}", passed.format.name);
    media.attributes.push(Attribute::new("rtpmap", map));
    if let Some(fmtp) = &passed.described {
        media.attributes.push(Attribute::new("fmtp", format!("{payload_type} {fmtp}")));
    }
}

fn takes(media: &Media, payload_type: u8, feedback: &str) -> bool {
    let lines = media.attributes.iter().filter(|attribute| attribute.name == "rtcp-fb");
    let mut lines = lines.filter_map(|line| line.value.as_deref()?.split_once(' '));
    lines.any(|(of, what)| (of == "*" || of.parse() == Ok(payload_type)) && what.trim() == feedback)
}

/// RFC 9143 7.1: what describes a way is the same for all streams that share it.
fn share_way(media: &mut Media, sound: &Media, mid: &str) {
    media.attributes.push(Attribute::new("mid", mid));
    let shared = ["rtcp-mux", "ice-ufrag", "ice-pwd", "fingerprint", "setup"];
    media.attributes.extend(sound.attributes.iter().filter(|one| shared.contains(&one.name.as_str())).cloned());
}

fn bundle(session: &mut Session, mid: &str) {
    let group = session.attributes.iter_mut().find(|attribute| attribute.name == "group");
    if let Some(Attribute { value: Some(value), .. }) = group {
        value.push(' ');
        value.push_str(mid);
    }
}

/// Whether both streams are offered to share one way.
fn is_one_way(offer: &Session, one: usize, other: usize) -> bool {
    let mid = |index: usize| offer.media.get(index).and_then(|media| media.attribute("mid"));
    let (Some(one), Some(other)) = (mid(one), mid(other)) else { return false };
    let groups = offer.attributes.iter().filter(|attribute| attribute.name == "group");
    let mut groups = groups.filter_map(|group| group.value.as_deref()?.strip_prefix("BUNDLE "));
    groups.any(|group| [one, other].iter().all(|mid| group.split_ascii_whitespace().any(|named| named == *mid)))
}

#[cfg(test)]
mod tests {
    use super::super::{Capabilities, Negotiator};
    use super::*;

    fn offer(video: &str) -> Session {
        let text =
            format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0\n{video}");
        Session::parse(text.as_bytes()).unwrap()
    }

    const VIDEO: &str = "m=video 5000 RTP/AVPF 96 97 98 99\na=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack pli\n\
        a=rtcp-fb:96 transport-cc\na=rtpmap:97 H264/90000\na=fmtp:97 packetization-mode=1;profile-level-id=42e01f\n\
        a=rtcp-fb:* ccm fir\na=rtpmap:98 rtx/90000\na=fmtp:98 apt=96\na=rtpmap:99 AV1/90000\n";

    fn negotiator(port: u16) -> Negotiator {
        let mut negotiator = Negotiator::new(1, ([192, 0, 2, 9], port).into(), Capabilities::default());
        negotiator.video_at(([192, 0, 2, 9], port + 2).into());
        negotiator
    }

    fn lines(media: &Media) -> String {
        let value =
            |one: &Attribute| one.value.as_ref().map_or(one.name.clone(), |value| format!("{}:{value}", one.name));
        let attributes: Vec<String> = media.attributes.iter().map(value).collect();
        format!("{} {} {} | {}", media.port, media.protocol, media.formats.join(" "), attributes.join(", "))
    }

    #[test]
    fn what_one_offers_is_offered_to_the_other_and_what_that_takes_is_answered() {
        let theirs = offer(VIDEO);
        let (mut caller, mut callee) = (negotiator(6000), negotiator(7000));
        callee.pass(offered_video(&theirs));
        let ours = callee.offer(Direction::SendRecv);
        assert_eq!(
            lines(&ours.media[1]),
            "7002 RTP/AVP 96 97 | rtpmap:96 VP8/90000, rtcp-fb:96 nack, rtcp-fb:96 nack pli, rtcp-fb:96 ccm fir, \
             rtcp-fb:96 goog-remb, rtpmap:97 H264/90000, fmtp:97 packetization-mode=1;profile-level-id=42e01f, \
             rtcp-fb:97 nack, rtcp-fb:97 nack pli, rtcp-fb:97 ccm fir, rtcp-fb:97 goog-remb, sendrecv"
        );
        // It has another number for it and another level.
        let answer = offer(
            "m=video 8000 RTP/AVP 120\na=rtpmap:120 H264/90000\n\
             a=fmtp:120 profile-level-id=42e014;packetization-mode=1\na=sendonly\n",
        );
        callee.accept(&answer).unwrap();
        let agreed = callee.video().unwrap().clone();
        assert_eq!((agreed.remote.port(), agreed.direction, agreed.bundled), (8000, Direction::RecvOnly, false));
        assert_eq!((agreed.formats[0].payload_type, agreed.formats[0].receive_payload_type), (120, 97));
        caller.pass(agreed.formats.into_iter().map(|format| format.passed).collect());
        let (answer, _) = caller.answer(&theirs, Direction::SendRecv).unwrap();
        assert_eq!(
            lines(&answer.media[1]),
            "6002 RTP/AVPF 97 | rtpmap:97 H264/90000, fmtp:97 profile-level-id=42e014;packetization-mode=1, \
             rtcp-fb:97 ccm fir, sendrecv"
        );
        assert_eq!(caller.video().unwrap().remote.port(), 5000);
        // Offered anew, each stream has its place.
        let again = callee.offer(Direction::SendOnly);
        assert_eq!((again.media.len(), again.media[1].port), (2, 7002));
        assert!(again.media[1].attribute("sendonly").is_some());
    }

    #[test]
    fn what_cannot_be_passed_on_is_refused_and_the_audio_taken() {
        let passed = offered_video(&offer(VIDEO));
        for (video, passed) in [
            (VIDEO.to_owned(), Vec::new()),
            (VIDEO.replace("RTP/AVPF", "RTP/SAVPF"), passed.clone()),
            (VIDEO.replace("RTP/AVPF", "UDP/TLS/RTP/SAVPF"), passed.clone()),
            (VIDEO.replace("VP8", "H263").replace("H264", "H265"), passed.clone()),
            ("m=application 5000 UDP/BFCP *\n".to_owned(), passed.clone()),
        ] {
            let mut negotiator = negotiator(6000);
            negotiator.pass(passed);
            let (answer, agreed) = negotiator.answer(&offer(&video), Direction::SendRecv).unwrap();
            assert_eq!((answer.media[0].port, answer.media[1].port, agreed.remote.port()), (6000, 0, 4000), "{video}");
            assert_eq!(negotiator.video(), None);
        }
        // And one whose offer of it is refused goes on without.
        let mut negotiator = negotiator(6000);
        negotiator.pass(passed);
        negotiator.offer(Direction::SendRecv);
        negotiator.accept(&offer("m=video 0 RTP/AVP 96\n")).unwrap();
        assert_eq!(negotiator.video(), None);
    }
}
