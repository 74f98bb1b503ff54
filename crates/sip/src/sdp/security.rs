//! What protects the audio of a session, and what carries it: nothing, keys that are told (RFC 4568), or keys of a DTLS
//! handshake (RFC 5763), with ICE (RFC 8839) below; RTCP beside RTP or on its port (RFC 5761).
//!
//! A session whose audio is protected is never made one in the clear, and an offer of RTP/SAVP is never answered in the
//! clear. RTP/AVP with keys (RFC 8643) is taken as protected by whoever protects at all.

use super::dtls::{
    CertificateFingerprint, DtlsDescription, IceCredentials, IceDescription, MAX_CANDIDATES, Setup, is_dtls,
};
use super::sdes::{Crypto, CryptoSuite};
use super::{Attribute, Connection, IceFragment, Media, SdpError, Session};

/// The name of our stream in offers (RFC 5888).
const MID: &str = "0";

/// Whether audio is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SrtpPolicy {
    /// Never: RTP/SAVP is refused, and keys that come with RTP/AVP are passed over.
    #[default]
    Off,
    /// When the other side offers it. We offer it, as RTP/AVP with keys (RFC 8643), where nobody reads the offer on its
    /// way.
    Optional,
    /// Always: RTP/SAVP is offered, and an offer without keys refused.
    Required,
}

/// Fills with random octets, from a source fit for keys.
pub type Random = fn(&mut [u8]);

/// The keys of a session as agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeys {
    pub local: Crypto,
    pub remote: Crypto,
}

/// How the keys of a session are come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtlsSession {
    /// We begin the handshake.
    pub active: bool,
    pub fingerprint: CertificateFingerprint,
    /// `None`: packets go where the descriptions say.
    pub ice: Option<IceSession>,
}

/// How a way between both sides is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceSession {
    pub local: IceCredentials,
    pub remote: IceDescription,
    /// We choose the way (RFC 8445 6.1.1).
    pub controlling: bool,
    /// We answer only.
    pub lite: bool,
}

/// What protects a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    Keys(SessionKeys),
    Dtls(DtlsSession),
}

/// Our side of DTLS-SRTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtlsSide {
    pub fingerprint: CertificateFingerprint,
    /// Our address is one that everybody reaches: ICE answers only (RFC 8445 2.5).
    pub lite: bool,
    /// The other side is a browser: it is offered nothing else.
    pub browser: bool,
}

/// What one side does and has agreed on, through all offers and answers of a session.
#[derive(Debug, Clone)]
pub struct Security {
    policy: SrtpPolicy,
    /// The signalling is encrypted.
    private: bool,
    random: Random,
    dtls: Option<DtlsSide>,
    agreed: Option<Protection>,
    /// The stream the keys are of was RTP/SAVP.
    strict: bool,
    /// Of the offers we make, and of the answers until the other side begins anew.
    ice: Option<IceCredentials>,
    mux: bool,
    /// The stream's name, and whether it is told to be one of a bundle.
    mid: Option<String>,
}

/// What an offered stream may be protected by.
enum Offered {
    Keys(Crypto),
    Dtls(DtlsDescription),
}

impl Security {
    /// `private`: the signalling goes over TLS.
    pub fn new(policy: SrtpPolicy, private: bool, random: Random) -> Self {
        let (dtls, agreed, ice, mid) = (None, None, None, None);
        Self { policy, private, random, dtls, agreed, strict: false, ice, mux: false, mid }
    }

    /// Never any keys.
    pub fn none() -> Self {
        Self::new(SrtpPolicy::Off, false, |_| {})
    }

    /// The same, with a certificate for DTLS.
    pub fn with_dtls(self, side: DtlsSide) -> Self {
        Self { dtls: Some(side), ..self }
    }

    pub fn agreed(&self) -> Option<&Protection> {
        self.agreed.as_ref()
    }

    /// RTCP goes with RTP, in both directions (RFC 5761).
    pub fn rtcp_mux(&self) -> bool {
        self.mux
    }

    /// Makes the audio stream of our offer one that is protected, where we want that.
    pub(super) fn offer(&mut self, session: &mut Session, index: usize) {
        if self.policy == SrtpPolicy::Off {
            return;
        }
        let strict = match (&self.agreed, self.policy, &self.dtls) {
            (Some(Protection::Dtls(_)), _, Some(side)) => return self.offer_dtls(side.clone(), session, index),
            (None, _, Some(side)) if side.browser => return self.offer_dtls(side.clone(), session, index),
            (Some(_), ..) => self.strict,
            (None, SrtpPolicy::Required, _) => true,
            (None, ..) if self.private => false,
            (None, ..) => return,
        };
        let Some(media) = session.media.get_mut(index) else { return };
        if strict {
            media.protocol = secured(&media.protocol).to_owned();
        }
        for (tag, suite) in (1..).zip(CryptoSuite::OFFERED) {
            media.attributes.push(self.key(tag, suite).attribute());
        }
    }

    fn offer_dtls(&mut self, side: DtlsSide, session: &mut Session, index: usize) {
        let Some(media) = session.media.get_mut(index) else { return };
        let mid = self.mid.get_or_insert_with(|| MID.to_owned()).clone();
        media.protocol = "UDP/TLS/RTP/SAVPF".to_owned();
        media.attributes.push(Attribute::flag("rtcp-mux"));
        media.attributes.push(Attribute::new("mid", mid.clone()));
        session.attributes.push(Attribute::new("group", format!("BUNDLE {mid}")));
        let random = self.random;
        let credentials = self.ice.get_or_insert_with(|| IceCredentials::random(random)).clone();
        let ice = IceDescription { credentials, candidates: Vec::new(), lite: side.lite };
        let ours = DtlsDescription { fingerprint: side.fingerprint, setup: Setup::Either, ice: Some(ice) };
        ours.write(session, index);
    }

    fn key(&self, tag: u32, suite: CryptoSuite) -> Crypto {
        let mut key = vec![0; suite.key_length()];
        (self.random)(&mut key);
        Crypto { tag, suite, key }
    }

    /// The offer without the audio streams we must not take; where one is protected, without those in the clear. Those that
    /// are left read as if nothing protected them: what does is dealt with here.
    pub(super) fn admissible(&self, offer: &Session) -> Session {
        let protected: Vec<bool> = offer.media.iter().map(|media| self.offered(offer, media).is_some()).collect();
        let any = offer.media.iter().zip(&protected).any(|(media, protected)| is_audio(media) && *protected);
        let must = self.policy == SrtpPolicy::Required || self.agreed.is_some();
        let mut clear = in_the_clear(offer);
        for ((media, offered), protected) in clear.media.iter_mut().zip(&offer.media).zip(protected) {
            let refused = !protected && (any || must || is_secured(offered) || is_dtls(offered));
            if is_audio(media) && refused {
                media.port = 0;
            }
        }
        clear
    }

    /// What protects an offered stream, of what we can do.
    fn offered(&self, session: &Session, media: &Media) -> Option<Offered> {
        if self.policy == SrtpPolicy::Off {
            return None;
        }
        if is_dtls(media) {
            return self.dtls.as_ref().and_then(|_| DtlsDescription::read(session, media)).map(Offered::Dtls);
        }
        Crypto::of(media).next().map(Offered::Keys)
    }

    /// Makes the answer one to what was offered: our key, or our side of the handshake, and what goes with it.
    pub(super) fn answer(&mut self, offer: &Session, answer: &mut Session, index: usize) {
        for (offered, stream) in offer.media.iter().zip(&mut answer.media) {
            stream.protocol.clone_from(&offered.protocol);
            // RFC 9143 7.1.2: a refused stream keeps its name too.
            if let Some(mid) = offered.attribute("mid") {
                stream.attributes.push(Attribute::new("mid", mid));
            }
        }
        let (Some(offered), Some(stream)) = (offer.media.get(index), answer.media.get_mut(index)) else { return };
        self.mux = offered.attribute("rtcp-mux").is_some();
        if self.mux {
            stream.attributes.push(Attribute::flag("rtcp-mux"));
        }
        self.mid = offered.attribute("mid").map(str::to_owned);
        if let Some(mid) = self.mid.as_deref().filter(|mid| is_bundled(offer, mid)) {
            answer.attributes.push(Attribute::new("group", format!("BUNDLE {mid}")));
        }
        match self.offered(offer, offered) {
            None => self.agreed = None,
            Some(Offered::Keys(remote)) => {
                // Offered once more, the keys stay: packets on their way are of use, and counters go on.
                let local = match self.agreed.take() {
                    Some(Protection::Keys(before)) if before.remote == remote => before.local,
                    _ => self.key(remote.tag, remote.suite),
                };
                if let Some(stream) = answer.media.get_mut(index) {
                    stream.attributes.push(local.attribute());
                }
                self.strict = is_secured(offered);
                self.agreed = Some(Protection::Keys(SessionKeys { local, remote }));
            }
            Some(Offered::Dtls(theirs)) => {
                let Some(side) = self.dtls.clone() else { return };
                let before = match self.agreed.take() {
                    Some(Protection::Dtls(before)) => Some(before),
                    _ => None,
                };
                let dtls = self.join(&side, theirs, before, false);
                let ours = DtlsDescription {
                    fingerprint: side.fingerprint,
                    setup: if dtls.active { Setup::Active } else { Setup::Passive },
                    ice: dtls.ice.as_ref().map(|ice| IceDescription {
                        credentials: ice.local.clone(),
                        candidates: Vec::new(),
                        lite: ice.lite,
                    }),
                };
                ours.write(answer, index);
                self.agreed = Some(Protection::Dtls(dtls));
            }
        }
    }

    /// RFC 8840 4.4: candidates of the other side that it has found since.
    pub(super) fn trickled(&mut self, fragment: &IceFragment) -> Vec<String> {
        let Some(Protection::Dtls(DtlsSession { ice: Some(ice), .. })) = &mut self.agreed else { return Vec::new() };
        let mut new = fragment.candidates(self.mid.as_deref(), &ice.remote.credentials);
        let known = &mut ice.remote.candidates;
        new.retain(|candidate| !known.contains(candidate));
        new.truncate(MAX_CANDIDATES.saturating_sub(known.len()));
        known.extend_from_slice(&new);
        new
    }

    /// What both sides of a handshake come to. What was agreed on before stays as far as it is told again.
    fn join(
        &mut self,
        side: &DtlsSide,
        theirs: DtlsDescription,
        before: Option<DtlsSession>,
        offered: bool,
    ) -> DtlsSession {
        let same = before.as_ref().filter(|before| before.fingerprint == theirs.fingerprint);
        let active = match theirs.setup {
            Setup::Passive => true,
            Setup::Active => false,
            // RFC 8842 5.3: who has begun once has begun.
            Setup::Either => same.is_some_and(|before| before.active),
        };
        let before = before.and_then(|before| before.ice);
        let random = self.random;
        let ice = theirs.ice.map(|remote| {
            let same = before.filter(|before| before.remote.credentials == remote.credentials);
            if same.is_none() && !offered {
                // RFC 8839 4.4.1.1.1: who is asked to begin anew does so with a name of his own.
                self.ice = Some(IceCredentials::random(random));
            }
            let local = self.ice.get_or_insert_with(|| IceCredentials::random(random)).clone();
            // RFC 8445 6.1.1: who offers chooses, unless it answers only.
            let controlling = same.map_or(!side.lite && (offered || remote.lite), |before| before.controlling);
            IceSession { local, remote, controlling, lite: side.lite }
        });
        DtlsSession { active, fingerprint: theirs.fingerprint, ice }
    }

    /// What the answer to a stream of ours means. `within`: the offer was made within a session, and what that had agreed
    /// on holds; another answer to a first offer is one of another callee.
    pub(super) fn accept(
        &mut self,
        offer: &Session,
        answer: &Session,
        index: usize,
        within: bool,
    ) -> Result<(), SdpError> {
        let (Some(ours), Some(theirs)) = (offer.media.get(index), answer.media.get(index)) else {
            return Err(SdpError::Mismatch);
        };
        let mux = ours.attribute("rtcp-mux").is_some() && theirs.attribute("rtcp-mux").is_some();
        if is_dtls(ours) {
            let side = self.dtls.clone().ok_or(SdpError::Insecure)?;
            let theirs = DtlsDescription::read(answer, theirs).filter(|_| is_dtls(theirs));
            let theirs = theirs.filter(|theirs| theirs.setup != Setup::Either).ok_or(SdpError::Insecure)?;
            let before = match self.agreed.take().filter(|_| within) {
                Some(Protection::Dtls(before)) => Some(before),
                _ => None,
            };
            let dtls = self.join(&side, theirs, before, true);
            self.agreed = Some(Protection::Dtls(dtls));
            self.mux = mux;
            return Ok(());
        }
        let keys = Crypto::of(theirs).find_map(|remote| {
            let local = Crypto::of(ours).find(|local| (local.tag, local.suite) == (remote.tag, remote.suite))?;
            Some(SessionKeys { local, remote })
        });
        // Keys that nobody offered are no keys; of those offered some must be taken, or none.
        let in_the_clear = !is_secured(ours)
            && !is_secured(theirs)
            && !is_dtls(theirs)
            && (ours.attribute("crypto").is_none() || theirs.attribute("crypto").is_none());
        match keys {
            None if !in_the_clear || (within && self.agreed.is_some()) => Err(SdpError::Insecure),
            keys => {
                self.strict = is_secured(ours);
                self.agreed = keys.map(Protection::Keys);
                self.mux = mux;
                Ok(())
            }
        }
    }
}

fn is_audio(media: &Media) -> bool {
    media.kind.eq_ignore_ascii_case("audio")
}

/// RTP/SAVP or RTP/SAVPF (RFC 3711, RFC 5124).
fn is_secured(media: &Media) -> bool {
    ["RTP/SAVP", "RTP/SAVPF"].iter().any(|protocol| media.protocol.eq_ignore_ascii_case(protocol))
}

/// RFC 9143 7.1: whether the stream of that name shares its transport with others, were there any.
fn is_bundled(session: &Session, mid: &str) -> bool {
    let groups = session.attributes.iter().filter(|attribute| attribute.name == "group");
    let mut groups = groups.filter_map(|group| group.value.as_deref()?.strip_prefix("BUNDLE "));
    groups.any(|group| group.split_ascii_whitespace().any(|one| one == mid))
}

/// The description as if nothing protected its audio, and as if its addresses were where it is.
pub(super) fn in_the_clear(session: &Session) -> Session {
    let mut clear = session.clone();
    for media in clear.media.iter_mut().filter(|media| is_audio(media)) {
        media.protocol = unsecured(&media.protocol).to_owned();
        // RFC 8839 4.2.1: who knows no address yet writes 0.0.0.0 and 9, and does not hold by that.
        let unknown = media.connection.as_ref().or(session.connection.as_ref());
        let unknown = unknown.and_then(Connection::to_ip).is_some_and(|ip| ip.is_unspecified());
        if unknown && (media.attribute("ice-ufrag").is_some() || session.attribute("ice-ufrag").is_some()) {
            media.connection = Some(Connection::ip(std::net::Ipv4Addr::LOCALHOST.into()));
        }
    }
    clear
}

fn unsecured(protocol: &str) -> &str {
    match protocol.to_ascii_uppercase().as_str() {
        "RTP/SAVP" | "UDP/TLS/RTP/SAVP" => "RTP/AVP",
        "RTP/SAVPF" | "UDP/TLS/RTP/SAVPF" => "RTP/AVPF",
        _ => protocol,
    }
}

fn secured(protocol: &str) -> &str {
    match protocol {
        "RTP/AVPF" => "RTP/SAVPF",
        _ => "RTP/SAVP",
    }
}

#[cfg(test)]
mod tests;
