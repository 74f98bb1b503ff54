//! Keys for SRTP in a session description (RFC 4568, "SDES"), and who wants them.
//!
//! A session whose audio is protected is never made one in the clear, and an offer of RTP/SAVP is never answered in the
//! clear. RTP/AVP with keys (RFC 8643) is taken as protected by whoever protects at all.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Attribute, Media, SdpError, Session};

/// Some leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Lines of keys of a stream that are looked at; a stream with more is used with one of these or not at all.
const MAX_LINES: usize = 16;

/// A crypto-suite (RFC 4568 6.2, RFC 6188 4, RFC 7714 14.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CryptoSuite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AesCm256HmacSha1_80,
    AesCm256HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl CryptoSuite {
    const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// What we offer: the cheapest that is as good first, then what everybody has, then longer keys. A short tag last.
    const OFFERED: [Self; 5] = [
        Self::AeadAes128Gcm,
        Self::AesCm128HmacSha1_80,
        Self::AeadAes256Gcm,
        Self::AesCm256HmacSha1_80,
        Self::AesCm128HmacSha1_32,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Octets of master key and master salt together.
    pub fn key_length(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16 + 14,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 => 32 + 14,
            Self::AeadAes128Gcm => 16 + 12,
            Self::AeadAes256Gcm => 32 + 12,
        }
    }
}

/// One `a=crypto`: a key and what it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// By which the answer names what it takes.
    pub tag: u32,
    pub suite: CryptoSuite,
    /// Master key and master salt, as long as the suite wants.
    pub key: Vec<u8>,
}

/// Says of what kind the key is, and not the key.
impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({} {})", self.tag, self.suite.name())
    }
}

impl Crypto {
    /// `None` for what we cannot do: another suite, several keys or one with a master key identifier, a session
    /// parameter that changes what is protected (RFC 4568 6.3). What is malformed is passed over with them.
    fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split_ascii_whitespace();
        let (tag, suite, keys) = (fields.next()?, fields.next()?, fields.next()?);
        if tag.len() > 9 || !tag.bytes().all(|digit| digit.is_ascii_digit()) || keys.contains(';') {
            return None;
        }
        let suite = CryptoSuite::named(suite)?;
        let (method, info) = keys.split_once(':')?;
        if !method.eq_ignore_ascii_case("inline") {
            return None;
        }
        let mut parts = info.split('|');
        let key = BASE64.decode(parts.next()?).ok().filter(|key| key.len() == suite.key_length())?;
        // A lifetime at most; the other part there may be is a master key identifier, `1:4`.
        if !parts.next().is_none_or(is_lifetime) || parts.next().is_some() {
            return None;
        }
        // A hint for the size of the replay window, and what may be left aside.
        if !fields.all(|parameter| parameter.starts_with("WSH=") || parameter.starts_with('-')) {
            return None;
        }
        Some(Self { tag: tag.parse().ok()?, suite, key })
    }

    fn attribute(&self) -> Attribute {
        let (suite, key) = (self.suite.name(), BASE64.encode(&self.key));
        Attribute::new("crypto", format!("{} {suite} inline:{key}", self.tag))
    }

    /// Those of a stream that can be used, in the order they are preferred.
    fn of(media: &Media) -> impl Iterator<Item = Self> {
        let lines = media.attributes.iter().filter(|attribute| attribute.name == "crypto").take(MAX_LINES);
        lines.filter_map(|line| Self::parse(line.value.as_deref()?))
    }
}

/// RFC 4568 6.1: `2^20` or `1048576`.
fn is_lifetime(text: &str) -> bool {
    let digits = text.strip_prefix("2^").unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

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

/// One side's keys through all offers and answers of a session.
#[derive(Debug, Clone)]
pub struct Security {
    policy: SrtpPolicy,
    /// The signalling is encrypted.
    private: bool,
    random: Random,
    agreed: Option<SessionKeys>,
    /// The stream the keys are of was RTP/SAVP.
    strict: bool,
}

impl Security {
    /// `private`: the signalling goes over TLS.
    pub fn new(policy: SrtpPolicy, private: bool, random: Random) -> Self {
        Self { policy, private, random, agreed: None, strict: false }
    }

    /// Never any keys.
    pub fn none() -> Self {
        Self::new(SrtpPolicy::Off, false, |_| {})
    }

    pub fn agreed(&self) -> Option<&SessionKeys> {
        self.agreed.as_ref()
    }

    /// Makes our audio stream one with new keys, where we want any.
    pub(super) fn offer(&self, media: &mut Media) {
        let strict = match (self.policy, &self.agreed) {
            (SrtpPolicy::Off, _) => return,
            (_, Some(_)) => self.strict,
            (SrtpPolicy::Required, None) => true,
            (SrtpPolicy::Optional, None) if self.private => false,
            (SrtpPolicy::Optional, None) => return,
        };
        if strict {
            media.protocol = secured(&media.protocol).to_owned();
        }
        for (tag, suite) in (1..).zip(CryptoSuite::OFFERED) {
            media.attributes.push(self.key(tag, suite).attribute());
        }
    }

    fn key(&self, tag: u32, suite: CryptoSuite) -> Crypto {
        let mut key = vec![0; suite.key_length()];
        (self.random)(&mut key);
        Crypto { tag, suite, key }
    }

    /// The offer without the audio streams we must not take; where one is protected, without those in the clear. Those that
    /// are left read as if nothing protected them: what does is dealt with here.
    pub(super) fn admissible(&self, offer: &Session) -> Session {
        let mut offer = offer.clone();
        let takes = |media: &Media| match is_secured(media) {
            true => self.keys_of(media).is_some(),
            false => self.keys_of(media).is_some() || !self.must_secure(),
        };
        let any = offer.media.iter().any(|media| is_audio(media) && self.keys_of(media).is_some());
        for media in offer.media.iter_mut().filter(|media| is_audio(media)) {
            if !takes(media) || (any && self.keys_of(media).is_none()) {
                media.port = 0;
            } else {
                media.protocol = unsecured(&media.protocol).to_owned();
            }
        }
        offer
    }

    fn must_secure(&self) -> bool {
        self.policy == SrtpPolicy::Required || self.agreed.is_some()
    }

    fn keys_of(&self, media: &Media) -> Option<Crypto> {
        if self.policy == SrtpPolicy::Off { None } else { Crypto::of(media).next() }
    }

    /// Puts our key into the answer to a stream that has been admitted.
    pub(super) fn answer(&mut self, offered: &Media, answer: &mut Media) {
        answer.protocol.clone_from(&offered.protocol);
        let Some(remote) = self.keys_of(offered) else {
            self.agreed = None;
            return;
        };
        // Offered once more, the keys stay: packets on their way are of use, and counters go on.
        let local = match self.agreed.take() {
            Some(before) if before.remote == remote => before.local,
            _ => self.key(remote.tag, remote.suite),
        };
        answer.attributes.push(local.attribute());
        self.strict = is_secured(offered);
        self.agreed = Some(SessionKeys { local, remote });
    }

    /// What the answer to a stream of ours means. `within`: the offer was made within a session, and what that had agreed
    /// on holds; another answer to a first offer is one of another callee.
    pub(super) fn accept(&mut self, ours: &Media, theirs: &Media, within: bool) -> Result<(), SdpError> {
        let keys = Crypto::of(theirs).find_map(|remote| {
            let local = Crypto::of(ours).find(|local| (local.tag, local.suite) == (remote.tag, remote.suite))?;
            Some(SessionKeys { local, remote })
        });
        // Keys that nobody offered are no keys; of those offered some must be taken, or none.
        let in_the_clear = !is_secured(ours)
            && !is_secured(theirs)
            && (ours.attribute("crypto").is_none() || theirs.attribute("crypto").is_none());
        match keys {
            None if !in_the_clear || (within && self.agreed.is_some()) => Err(SdpError::Insecure),
            keys => {
                self.strict = is_secured(ours);
                self.agreed = keys;
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

/// The description as if nothing protected its audio.
pub(super) fn in_the_clear(session: &Session) -> Session {
    let mut session = session.clone();
    for media in session.media.iter_mut().filter(|media| is_secured(media)) {
        media.protocol = unsecured(&media.protocol).to_owned();
    }
    session
}

fn unsecured(protocol: &str) -> &str {
    match () {
        () if protocol.eq_ignore_ascii_case("RTP/SAVP") => "RTP/AVP",
        () if protocol.eq_ignore_ascii_case("RTP/SAVPF") => "RTP/AVPF",
        () => protocol,
    }
}

fn secured(protocol: &str) -> &str {
    match protocol {
        "RTP/AVPF" => "RTP/SAVPF",
        _ => "RTP/SAVP",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::super::{Agreed, Capabilities, Direction, Negotiator};
    use super::*;

    /// Other octets each time.
    fn counted(octets: &mut [u8]) {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        octets.fill(COUNT.fetch_add(1, Ordering::Relaxed));
    }

    fn side(policy: SrtpPolicy, private: bool) -> Negotiator {
        let negotiator = Negotiator::new(4, "192.0.2.1:4000".parse().unwrap(), Capabilities::default());
        negotiator.securing(Security::new(policy, private, counted))
    }

    fn described(protocol: &str, more: &str) -> Session {
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 5000 {protocol} 0\r\n{more}"
        );
        Session::parse(text.as_bytes()).unwrap()
    }

    /// 30 octets of one letter.
    const KEY: &str = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh";

    fn line(tag: u32, suite: &str) -> String {
        format!("a=crypto:{tag} {suite} inline:{KEY}|2^31\r\n")
    }

    fn agree(one: &mut Negotiator, other: &mut Negotiator) -> Result<Agreed, SdpError> {
        let offer = Session::parse(&one.offer(Direction::SendRecv).to_bytes()).unwrap();
        let (answer, _) = other.answer(&offer, Direction::SendRecv)?;
        one.accept(&Session::parse(&answer.to_bytes()).unwrap())
    }

    #[test]
    fn a_line_is_read_as_the_standard_writes_it() {
        let of = Crypto::parse;
        let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
        let read = of(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20")).unwrap();
        assert_eq!((read.tag, read.suite, read.key.len()), (1, CryptoSuite::AesCm128HmacSha1_80, 30));
        assert!(read.attribute().value.unwrap().ends_with(key));
        assert!(of(&format!("1 AES_CM_128_HMAC_SHA1_32 inline:{key} WSH=64 -X=1")).is_some());
        assert!(
            of(&format!("1 aead_aes_128_gcm INLINE:{}|1048576", &format!("{}YQ", &KEY[..36]))).is_some(),
            "without padding"
        );
    }

    #[test]
    fn a_line_we_cannot_do_is_passed_over() {
        let key = KEY;
        for wrong in [
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key};inline:{key}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTCP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} KDR=1"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", &key[..36]),
            format!("1 F8_128_HMAC_SHA1_80 inline:{key}"),
            format!("x AES_CM_128_HMAC_SHA1_80 inline:{key}"),
            format!("1234567890 AES_CM_128_HMAC_SHA1_80 inline:{key}"),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80 uri:https://example.com/key".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80 inline:***".to_owned(),
            String::new(),
        ] {
            assert_eq!(Crypto::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let crypto = Crypto::parse(&format!("7 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")).unwrap();
        assert_eq!(format!("{crypto:?}"), "Crypto(7 AES_CM_128_HMAC_SHA1_80)");
    }

    #[test]
    fn both_sides_come_to_the_same_keys() {
        for (one, private) in [(SrtpPolicy::Required, false), (SrtpPolicy::Optional, true)] {
            for other in [SrtpPolicy::Required, SrtpPolicy::Optional] {
                let (mut one, mut other) = (side(one, private), side(other, false));
                agree(&mut one, &mut other).unwrap();
                let (ours, theirs) = (one.keys().unwrap(), other.keys().unwrap());
                assert_eq!((&ours.local, &ours.remote), (&theirs.remote, &theirs.local));
                assert_ne!(ours.local.key, ours.remote.key);
            }
        }
    }

    #[test]
    fn who_never_protects_meets_only_who_need_not() {
        let (mut off, mut required) = (side(SrtpPolicy::Off, true), side(SrtpPolicy::Required, true));
        assert_eq!(agree(&mut off, &mut required).unwrap_err(), SdpError::NoCommonMedia);
        assert_eq!(agree(&mut required, &mut off).unwrap_err(), SdpError::NoCommonMedia);
        let mut optional = side(SrtpPolicy::Optional, true);
        agree(&mut optional, &mut off).unwrap();
        assert!(optional.keys().is_none() && off.keys().is_none());
    }

    #[test]
    fn keys_are_offered_in_secret_or_when_they_must_be() {
        let offer = |policy, private| side(policy, private).offer(Direction::SendRecv).media.remove(0);
        let count = |media: &Media| media.attributes.iter().filter(|attribute| attribute.name == "crypto").count();
        for (policy, private, protocol, lines) in [
            (SrtpPolicy::Off, true, "RTP/AVP", 0),
            (SrtpPolicy::Optional, false, "RTP/AVP", 0),
            (SrtpPolicy::Optional, true, "RTP/AVP", 5),
            (SrtpPolicy::Required, false, "RTP/SAVP", 5),
        ] {
            let media = offer(policy, private);
            assert_eq!((media.protocol.as_str(), count(&media)), (protocol, lines), "{policy:?} {private}");
        }
    }

    #[test]
    fn the_first_line_that_can_be_used_is_answered_with_its_tag() {
        let lines =
            [line(4, "F8_128_HMAC_SHA1_80"), line(9, "AES_CM_128_HMAC_SHA1_32"), line(1, "AES_CM_128_HMAC_SHA1_80")];
        for protocol in ["RTP/SAVP", "RTP/AVP", "RTP/SAVPF"] {
            let mut side = side(SrtpPolicy::Optional, false);
            let (answer, _) = side.answer(&described(protocol, &lines.concat()), Direction::SendRecv).unwrap();
            assert_eq!(answer.media[0].protocol, protocol);
            let crypto = answer.media[0].attribute("crypto").unwrap();
            assert!(crypto.starts_with("9 AES_CM_128_HMAC_SHA1_32 inline:"), "{crypto}");
            assert_eq!(side.keys().unwrap().remote.key, vec![b'a'; 30]);
        }
    }

    #[test]
    fn a_protected_offer_is_never_answered_in_the_clear() {
        for policy in [SrtpPolicy::Off, SrtpPolicy::Optional, SrtpPolicy::Required] {
            for lines in [String::new(), line(1, "F8_128_HMAC_SHA1_80")] {
                let answer = side(policy, true).answer(&described("RTP/SAVP", &lines), Direction::SendRecv);
                assert_eq!(answer.unwrap_err(), SdpError::NoCommonMedia);
            }
        }
        let keys = line(1, "AES_CM_128_HMAC_SHA1_80");
        let answer = side(SrtpPolicy::Off, true).answer(&described("RTP/SAVP", &keys), Direction::SendRecv);
        assert_eq!(answer.unwrap_err(), SdpError::NoCommonMedia);
        let answer = side(SrtpPolicy::Off, true).answer(&described("RTP/AVP", &keys), Direction::SendRecv);
        assert_eq!(answer.unwrap().0.media[0].attribute("crypto"), None);
    }

    #[test]
    fn of_two_streams_the_protected_one_is_taken() {
        let mut offer = described("RTP/AVP", "");
        let secured = described("RTP/SAVP", &line(1, "AES_CM_128_HMAC_SHA1_80"));
        offer.media.push(secured.media[0].clone());
        let (answer, agreed) = side(SrtpPolicy::Optional, false).answer(&offer, Direction::SendRecv).unwrap();
        assert_eq!((answer.media[0].port, agreed.index), (0, 1));
        let (answer, agreed) = side(SrtpPolicy::Off, false).answer(&offer, Direction::SendRecv).unwrap();
        assert_eq!((answer.media[1].port, agreed.index), (0, 0));
    }

    #[test]
    fn a_protected_call_stays_so() {
        let mut side = side(SrtpPolicy::Optional, true);
        let keys = line(1, "AES_CM_128_HMAC_SHA1_80");
        side.answer(&described("RTP/AVP", &keys), Direction::SendRecv).unwrap();
        let before = side.keys().unwrap().clone();
        let clear = side.answer(&described("RTP/AVP", ""), Direction::SendRecv);
        assert_eq!(clear.unwrap_err(), SdpError::NoCommonMedia);
        assert_eq!(side.keys(), Some(&before));
        side.offer(Direction::SendRecv);
        assert_eq!(side.accept(&described("RTP/AVP", "")).unwrap_err(), SdpError::Insecure);
        assert_eq!(side.keys(), Some(&before));
    }

    #[test]
    fn of_two_callees_each_answers_for_itself() {
        let mut side = side(SrtpPolicy::Optional, true);
        side.offer(Direction::SendRecv);
        side.accept(&described("RTP/AVP", &line(2, "AES_CM_128_HMAC_SHA1_80"))).unwrap();
        assert!(side.keys().is_some());
        side.accept(&described("RTP/AVP", "")).unwrap();
        assert!(side.keys().is_none());
    }

    #[test]
    fn a_key_is_new_with_each_new_offer_and_stays_with_the_same() {
        let (mut one, mut other) = (side(SrtpPolicy::Required, false), side(SrtpPolicy::Required, false));
        agree(&mut one, &mut other).unwrap();
        let first = one.keys().unwrap().clone();
        let repeated = one.description().unwrap().clone();
        let (answer, _) = other.answer(&repeated, Direction::SendRecv).unwrap();
        one.refreshed(&answer).unwrap();
        assert_eq!(one.keys(), Some(&first));
        agree(&mut one, &mut other).unwrap();
        assert_ne!(one.keys().unwrap().local.key, first.local.key);
        assert_ne!(one.keys().unwrap().remote.key, first.remote.key);
    }

    #[test]
    fn an_answer_must_take_what_was_offered() {
        for (protocol, lines) in [
            ("RTP/SAVP", String::new()),
            ("RTP/SAVP", line(9, "AES_CM_128_HMAC_SHA1_80")),
            ("RTP/SAVP", line(1, "AES_CM_128_HMAC_SHA1_80")),
            ("RTP/AVP", String::new()),
        ] {
            let mut side = side(SrtpPolicy::Required, false);
            side.offer(Direction::SendRecv);
            assert_eq!(
                side.accept(&described(protocol, &lines)).unwrap_err(),
                SdpError::Insecure,
                "{protocol} {lines}"
            );
        }
        let mut side = side(SrtpPolicy::Required, false);
        side.offer(Direction::SendRecv);
        assert!(side.accept(&described("RTP/SAVP", &line(2, "AES_CM_128_HMAC_SHA1_80"))).is_ok());
    }
}
