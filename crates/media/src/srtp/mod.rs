//! SRTP and SRTCP (RFC 3711): AES in counter mode with HMAC-SHA1 (RFC 3711, RFC 6188) and AES-GCM (RFC 7714).
//!
//! Packets are protected and opened in place; nothing is allocated for one. Not here: where keys come from (SDES in an
//! SDP, or a DTLS handshake), nor key derivation rates and MKIs, which nobody offers.

mod cipher;
mod context;
mod derive;
mod replay;
#[cfg(test)]
mod tests;

pub use context::{Inbound, Outbound};

/// Octets a protected packet is longer at most: a tag of 16, and the index of SRTCP.
pub const MAX_TRAILER: usize = 20;

/// How packets are encrypted and authenticated, as RFC 4568, RFC 6188 and RFC 7714 name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    AesCm128HmacSha1_80,
    /// RTP has a tag of 32 bits, RTCP one of 80 (RFC 4568 6.2.2).
    AesCm128HmacSha1_32,
    AesCm256HmacSha1_80,
    AesCm256HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl Suite {
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// Octets of the master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Octets of the master salt.
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }

    /// Octets of the tag of an RTP packet.
    const fn rtp_tag(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm256HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    const fn rtcp_tag(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }
}

/// A master key and its salt, and what they are for. One direction's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    key: [u8; 32],
    salt: [u8; 14],
}

impl MasterKey {
    /// `octets`: the key and then the salt, exactly as long as the suite wants; else `None`.
    pub fn new(suite: Suite, octets: &[u8]) -> Option<Self> {
        let (key, salt) = octets.split_at_checked(suite.key_len())?;
        if salt.len() != suite.salt_len() {
            return None;
        }
        let mut master = Self { suite, key: [0; 32], salt: [0; 14] };
        master.key[..key.len()].copy_from_slice(key);
        // RFC 7714 12: a salt of 96 bits is the upper part of one of 112.
        master.salt[..salt.len()].copy_from_slice(salt);
        Some(master)
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    fn key(&self) -> &[u8] {
        &self.key[..self.suite.key_len()]
    }
}

/// Says of what kind it is, and not what it is.
impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterKey").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// The keys of both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SrtpKeys {
    /// What we send is protected with it.
    pub local: MasterKey,
    /// What the peer sends is.
    pub remote: MasterKey,
}

/// Why a packet was not protected or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    #[error("not a whole packet")]
    Malformed,
    #[error("not made with this key")]
    Authentication,
    /// Seen before, or too old to know; on the way out: sent before.
    #[error("replayed or too old")]
    Replayed,
    /// RTCP in the clear where encryption was agreed on.
    #[error("not encrypted")]
    Clear,
    /// More than 64 sources with one key.
    #[error("too many sources")]
    TooManySources,
    /// 2^48 RTP or 2^31 RTCP packets were sent with one key (RFC 3711 9.2).
    #[error("the key is used up")]
    Exhausted,
    #[error("no keys yet")]
    Keyless,
    #[error("no room for the tag")]
    NoRoom,
}
