//! Where a leg's audio comes in, and what was said and agreed about it.

use std::net::SocketAddr;

use bytes::Bytes;
use opentact_media::control::{DtlsIdentity, LegKey};
use opentact_sip::flow::Flow;
use opentact_sip::sdp::{
    Capabilities, CertificateFingerprint, CertificateHash, Codec, DtlsSide, Negotiator, Passed, Security, SrtpPolicy,
};
use opentact_sip::ua::SessionId;
use opentact_sip::uri::Uri;
use opentact_store::types::Dtmf;
use rand::RngCore;

/// How we describe ourselves to a peer: it depends on the way to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// Nobody reads it on its way.
    private: bool,
    /// It is a browser's.
    browser: bool,
}

impl Manner {
    pub(super) fn over(flow: &Flow) -> Self {
        Self { private: flow.transport.is_secure(), browser: flow.transport.is_websocket() }
    }

    /// To a phone that has registered this contact: behind a proxy the contact alone tells of a browser (RFC 7118 5.2).
    pub(super) fn to(flow: &Flow, contact: &Uri) -> Self {
        let over = Self::over(flow);
        let browser = contact.param("transport").is_some_and(|transport| transport.eq_ignore_ascii_case("ws"));
        Self { browser: over.browser || browser, ..over }
    }
}

/// How DTLS and ICE are done, on all legs alike.
#[derive(Debug, Clone)]
pub(crate) struct Webrtc {
    pub(crate) identity: DtlsIdentity,
    /// ICE answers only.
    pub(crate) lite: bool,
}

/// What is described, whatever the manner.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// Where RTP is received.
    pub(super) address: SocketAddr,
    /// What may be spoken, in our order.
    pub(super) codecs: Vec<Codec>,
    pub(super) srtp: SrtpPolicy,
    pub(super) webrtc: Webrtc,
    /// How keys are sent.
    pub(super) dtmf: Dtmf,
    /// Video that is passed on, and where it is received where it has ports of its own.
    pub(super) passed: Vec<Passed>,
    pub(super) video: Option<SocketAddr>,
}

impl Terms {
    pub(super) fn negotiator(&self, manner: Manner) -> Negotiator {
        let security = Security::new(self.srtp, manner.private, |octets| rand::rng().fill_bytes(octets));
        let fingerprint = self.webrtc.identity.fingerprint();
        let fingerprint = CertificateFingerprint { hash: CertificateHash::Sha256, octets: fingerprint.octets };
        let security = security.with_dtls(DtlsSide { fingerprint, lite: self.webrtc.lite, browser: manner.browser });
        let mut capabilities = Capabilities { codecs: self.codecs.clone(), ..Capabilities::default() };
        if self.dtmf != Dtmf::Auto {
            capabilities.telephone_event = None;
        }
        let mut negotiator = Negotiator::new(rand::random(), self.address, capabilities).securing(security);
        negotiator.pass(self.passed.clone());
        if let Some(video) = self.video {
            negotiator.video_at(video);
        }
        negotiator
    }
}

pub(super) struct Media {
    pub(super) key: LegKey,
    pub(super) sdp: Negotiator,
    /// Our description as sent: what 183 said, 200 says again.
    pub(super) described: Option<Bytes>,
    /// Our offer went out in a 2xx; the ACK answers it.
    pub(super) awaits_answer: bool,
    /// The peer is to hear us and not to be heard.
    pub(super) held: bool,
    pub(super) terms: Terms,
    manner: Manner,
    /// Who else was offered what: only one of them will be heard.
    others: Vec<(Manner, Negotiator)>,
    /// To whom was offered in which manner.
    offered: Vec<(SessionId, Manner)>,
}

impl Media {
    pub(super) fn new(key: LegKey, terms: Terms, manner: Manner) -> Self {
        let sdp = terms.negotiator(manner);
        let (others, offered) = (Vec::new(), Vec::new());
        Self { key, sdp, described: None, awaits_answer: false, held: false, terms, manner, others, offered }
    }

    /// The negotiation with a session to which we offer first; all sessions of one manner share it.
    pub(super) fn approach(&mut self, session: SessionId, manner: Manner) -> &mut Negotiator {
        if self.offered.is_empty() {
            self.sdp = self.terms.negotiator(manner);
            self.manner = manner;
        }
        self.offered.push((session, manner));
        if manner == self.manner {
            return &mut self.sdp;
        }
        let place = self.others.iter().position(|(other, _)| *other == manner).unwrap_or_else(|| {
            self.others.push((manner, self.terms.negotiator(manner)));
            self.others.len() - 1
        });
        &mut self.others[place].1
    }

    /// From now on the negotiation with this session counts.
    pub(super) fn take_up(&mut self, session: SessionId) {
        let manner = self.offered.iter().find(|(offered, _)| *offered == session).map(|(_, manner)| *manner);
        let other = self.others.iter_mut().find(|(other, _)| Some(*other) == manner && *other != self.manner);
        if let Some((other, sdp)) = other {
            std::mem::swap(sdp, &mut self.sdp);
            std::mem::swap(other, &mut self.manner);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentact_sip::sdp::Direction;
    use opentact_sip::ua::{Ua, UaConfig};

    use super::*;

    fn terms(srtp: SrtpPolicy) -> Terms {
        let webrtc = Webrtc { identity: DtlsIdentity::new(&[], &[]), lite: false };
        let address = "127.0.0.1:20000".parse().unwrap();
        Terms { webrtc, address, codecs: vec![Codec::PCMU], srtp, dtmf: Dtmf::Auto, passed: Vec::new(), video: None }
    }

    #[test]
    fn each_is_offered_what_its_way_allows_and_the_one_who_answers_counts() {
        let mut ua = Ua::new(UaConfig::default(), 1);
        let [open, private, browser] =
            [(false, false), (true, false), (true, true)].map(|(private, browser)| Manner { private, browser });
        let mut media = Media::new(LegKey(1), terms(SrtpPolicy::Optional), open);
        let sessions = [ua.new_session(), ua.new_session(), ua.new_session(), ua.new_session()];
        let offers = [private, open, private, browser].into_iter().zip(sessions).map(|(manner, session)| {
            let sdp = media.approach(session, manner);
            match sdp.description() {
                Some(offer) => offer.clone(),
                None => sdp.offer(Direction::SendRecv),
            }
        });
        let offers: Vec<_> = offers.collect();
        assert_eq!(offers[0], offers[2]);
        assert!(offers[0].media[0].attribute("crypto").is_some() && offers[1].media[0].attribute("crypto").is_none());
        assert_eq!(offers[3].media[0].protocol, "UDP/TLS/RTP/SAVPF");
        for session in [sessions[1], sessions[1], sessions[2]] {
            media.take_up(session);
            let secured = media.sdp.description().unwrap().media[0].attribute("crypto").is_some();
            assert_eq!(secured, session != sessions[1]);
        }
    }
}
