//! Offers and answers of one codec.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::ValueEnum;
use opentact_media::Codec;
use opentact_media::control::{Fingerprint, FingerprintHash, IceCredentials, MasterKey, Suite};

/// The suite of those who tell their keys.
const SUITE: (Suite, &str) = (Suite::AesCm128HmacSha1_80, "AES_CM_128_HMAC_SHA1_80");

/// How a party protects its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protection {
    Plain,
    /// By keys of the session description.
    Sdes,
    /// As a browser: ICE and DTLS.
    Dtls,
}

/// What one side's description says.
#[derive(Debug, Clone)]
pub struct Description {
    pub address: SocketAddrV4,
    /// Tag and octets of key and salt, of [`SUITE`].
    pub key: Option<(String, Vec<u8>)>,
    pub browser: Option<Browser>,
}

#[derive(Debug, Clone)]
pub struct Browser {
    pub credentials: IceCredentials,
    pub candidates: Vec<String>,
    pub fingerprint: Fingerprint,
    /// `a=setup`.
    pub setup: String,
}

impl Description {
    pub fn parse(text: &str) -> Result<Description> {
        let attribute = |name: &str| {
            text.lines().filter_map(|line| line.strip_prefix("a=")).find_map(|line| line.strip_prefix(name))
        };
        let connection = text.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")).context("no address")?;
        let media = text.lines().find_map(|line| line.strip_prefix("m=audio ")).context("no audio")?;
        let port = media.split(' ').next().context("no port")?;
        let address = SocketAddrV4::new(connection.trim().parse()?, port.parse()?);
        let lines = text.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
        let key = lines.filter_map(|line| {
            let mut words = line.split([' ', ':', '|']);
            let (tag, suite, _, key) = (words.next()?, words.next()?, words.next()?, words.next()?);
            (suite == SUITE.1).then(|| BASE64_STANDARD.decode(key).ok().map(|key| (tag.to_owned(), key)))?
        });
        let browser = attribute("fingerprint:sha-256 ").and_then(|fingerprint| {
            let octets = fingerprint.trim().split(':').map(|octet| u8::from_str_radix(octet, 16));
            let candidates =
                text.lines().filter_map(|line| line.strip_prefix("a=")).filter(|line| line.starts_with("candidate:"));
            Some(Browser {
                credentials: IceCredentials {
                    ufrag: attribute("ice-ufrag:")?.trim().into(),
                    password: attribute("ice-pwd:")?.trim().into(),
                },
                candidates: candidates.map(|line| line.trim().into()).collect(),
                fingerprint: Fingerprint {
                    hash: FingerprintHash::Sha256,
                    octets: octets.collect::<Result<_, _>>().ok()?,
                },
                setup: attribute("setup:")?.trim().into(),
            })
        });
        Ok(Description { address, key: key.into_iter().next(), browser })
    }

    pub fn print(&self, codec: Codec) -> String {
        let port = self.address.port();
        let profile = match (&self.browser, &self.key) {
            (Some(_), _) => "UDP/TLS/RTP/SAVPF",
            (None, Some(_)) => "RTP/SAVP",
            (None, None) => "RTP/AVP",
        };
        let payload_type = codec.payload_type();
        let format = match codec {
            Codec::Opus => "opus/48000/2".to_owned(),
            _ => format!("{}/{}", codec.name(), codec.clock_rate()),
        };
        let mut text = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} {profile} {payload_type} 101\r\na=rtpmap:{payload_type} {format}\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
        );
        if let Some((tag, key)) = &self.key {
            let _ = write!(text, "a=crypto:{tag} {} inline:{}\r\n", SUITE.1, BASE64_STANDARD.encode(key));
        }
        if let Some(browser) = &self.browser {
            let octets: Vec<String> = browser.fingerprint.octets.iter().map(|octet| format!("{octet:02X}")).collect();
            let _ = write!(
                text,
                "a=rtcp-mux\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:{}\r\n",
                browser.credentials.ufrag,
                browser.credentials.password,
                octets.join(":"),
                browser.setup,
            );
            for candidate in &browser.candidates {
                let _ = write!(text, "a={candidate}\r\n");
            }
        }
        text
    }

    /// A party in the clear.
    pub fn plain(port: u16) -> Description {
        Description { address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), key: None, browser: None }
    }
}

/// The key that these octets are.
pub fn master_key(octets: &[u8]) -> Result<MasterKey> {
    MasterKey::new(SUITE.0, octets).context("a key of another length")
}
