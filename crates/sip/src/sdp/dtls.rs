//! What a description says of DTLS-SRTP (RFC 5763, RFC 8122) and of ICE (RFC 8839).

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use super::{Attribute, Media, Random, Session};

/// Candidates of a stream that are read, and the octets of one.
pub(super) const MAX_CANDIDATES: usize = 64;
pub(super) const MAX_CANDIDATE: usize = 512;
/// RFC 8839 5.4: octets of a user fragment and of a password at most.
const MAX_CREDENTIAL: usize = 256;

/// A hash of RFC 8122 5 that is still believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateHash {
    Sha256,
    Sha384,
    Sha512,
}

impl CertificateHash {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// By which a certificate is known (RFC 8122 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFingerprint {
    pub hash: CertificateHash,
    /// As long as the hash makes them.
    pub octets: Vec<u8>,
}

impl CertificateFingerprint {
    /// `sha-256 AB:CD:...`
    fn parse(value: &str) -> Option<Self> {
        let (name, octets) = value.trim().split_once(' ')?;
        let hash = CertificateHash::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))?;
        let octet = |text: &str| (text.len() == 2).then(|| u8::from_str_radix(text, 16).ok()).flatten();
        let octets: Option<Vec<u8>> = octets.trim().split(':').map(octet).collect();
        octets.filter(|octets| octets.len() == hash.length()).map(|octets| Self { hash, octets })
    }
}

impl fmt::Display for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        for (at, octet) in self.octets.iter().enumerate() {
            write!(f, "{}{octet:02X}", if at == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

/// Who begins the handshake (RFC 4145 4), as the one who wrote it sees itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    Active,
    Passive,
    Either,
}

impl Setup {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.trim() {
            "active" => Self::Active,
            "passive" => Self::Passive,
            "actpass" => Self::Either,
            _ => return None,
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Either => "actpass",
        }
    }
}

/// By which both sides of ICE know each other's questions.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    pub ufrag: String,
    pub password: String,
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceCredentials({})", self.ufrag)
    }
}

impl IceCredentials {
    /// 48 random bits of name, 144 of password (RFC 8445 5.3).
    pub(super) fn random(random: Random) -> Self {
        let (mut ufrag, mut password) = ([0; 6], [0; 18]);
        random(&mut ufrag);
        random(&mut password);
        let text = |octets: &[u8]| BASE64_STANDARD_NO_PAD.encode(octets);
        Self { ufrag: text(&ufrag), password: text(&password) }
    }
}

/// One side's ICE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceDescription {
    pub credentials: IceCredentials,
    /// `candidate:...` lines as they came.
    pub candidates: Vec<String>,
    /// It answers only, and asks nothing itself.
    pub lite: bool,
}

impl IceDescription {
    fn read(session: &Session, media: &Media) -> Option<Self> {
        let find = |name| media.attribute(name).or_else(|| session.attribute(name));
        let fits = |text: &&str, least| (least..=MAX_CREDENTIAL).contains(&text.len());
        let ufrag = find("ice-ufrag").map(str::trim).filter(|ufrag| fits(ufrag, 4))?;
        let password = find("ice-pwd").map(str::trim).filter(|password| fits(password, 22))?;
        let lines = media.attributes.iter().filter(|attribute| attribute.name == "candidate");
        let values = lines.filter_map(|line| line.value.as_deref()).filter(|value| value.len() <= MAX_CANDIDATE);
        Some(Self {
            credentials: IceCredentials { ufrag: ufrag.to_owned(), password: password.to_owned() },
            candidates: values.take(MAX_CANDIDATES).map(|value| format!("candidate:{value}")).collect(),
            lite: session.attribute("ice-lite").is_some(),
        })
    }
}

/// One side's DTLS-SRTP, and the ICE below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtlsDescription {
    pub fingerprint: CertificateFingerprint,
    pub setup: Setup,
    /// `None`: packets go where `c=` and `m=` say.
    pub ice: Option<IceDescription>,
}

impl DtlsDescription {
    /// What of a stream can be used; `None` when it has no fingerprint of a hash that is believed.
    pub(super) fn read(session: &Session, media: &Media) -> Option<Self> {
        // RFC 8122 5: a stream's own count, else the session's; of several hashes the strongest.
        let of = |attributes: &[Attribute]| {
            let lines = attributes.iter().filter(|attribute| attribute.name == "fingerprint");
            lines
                .filter_map(|line| CertificateFingerprint::parse(line.value.as_deref()?))
                .max_by_key(|print| print.hash)
        };
        let fingerprint = of(&media.attributes).or_else(|| of(&session.attributes))?;
        let setup = media.attribute("setup").or_else(|| session.attribute("setup"));
        // RFC 4145 4.1: an offer that says nothing is active; what it is not is refused with the rest.
        let setup = setup.map_or(Some(Setup::Active), Setup::parse)?;
        Some(Self { fingerprint, setup, ice: IceDescription::read(session, media) })
    }

    /// Writes our own; a candidate is where the stream is received.
    pub(super) fn write(&self, session: &mut Session, index: usize) {
        let ip = session.connection.as_ref().map(|connection| connection.address.clone());
        let Some(media) = session.media.get_mut(index) else { return };
        let mut attribute = |name, value: String| media.attributes.push(Attribute::new(name, value));
        if let Some(ice) = &self.ice {
            attribute("ice-ufrag", ice.credentials.ufrag.clone());
            attribute("ice-pwd", ice.credentials.password.clone());
        }
        attribute("fingerprint", self.fingerprint.to_string());
        attribute("setup", self.setup.as_str().to_owned());
        if let (Some(ice), Some(ip)) = (&self.ice, ip) {
            // RFC 8445 5.1.2.1: a host candidate of the one component there is.
            let port = media.port;
            media.attributes.push(Attribute::new("candidate", format!("1 1 udp 2130706431 {ip} {port} typ host")));
            media.attributes.push(Attribute::flag("end-of-candidates"));
            // RFC 8840 4.1: those of the other side may come later.
            media.attributes.push(Attribute::new("ice-options", "trickle"));
            if ice.lite {
                session.attributes.push(Attribute::flag("ice-lite"));
            }
        }
    }
}

/// RFC 5763 and RFC 5124 name it so; some still write RTP/SAVPF (RFC 8827 6.5 did not exist yet).
pub(super) fn is_dtls(media: &Media) -> bool {
    ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"].iter().any(|protocol| media.protocol.eq_ignore_ascii_case(protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_and_written() {
        let octets: Vec<String> = (0..32).map(|octet| format!("{octet:02X}")).collect();
        let text = format!("sha-256 {}", octets.join(":"));
        let read = CertificateFingerprint::parse(&text.replace("sha", "SHA")).unwrap();
        assert_eq!((read.to_string(), read.octets), (text.clone(), (0..32).collect()));
        for wrong in [&text[..text.len() - 3], &text.replace("256", "1"), &text.replace(":01", ":1"), "sha-256", ""] {
            assert_eq!(CertificateFingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
