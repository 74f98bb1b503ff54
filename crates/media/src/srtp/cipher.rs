//! What encrypts and authenticates: one for the RTP of a direction, one for its RTCP.

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes256Enc, Block};
use hmac::{Hmac, Mac};
use ring::aead;
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::derive::{Derivation, Label};
use super::{MasterKey, SrtpError, Suite};

const BLOCK: usize = 16;
/// Blocks of keystream made at a time.
const BATCH: usize = 8;
const NONCE: usize = 12;
/// Octets of the key of HMAC-SHA1 (RFC 3711 5.2).
const AUTHENTICATION_KEY: usize = 20;

/// AES, one way.
pub(super) enum Aes {
    Aes128(Aes128Enc),
    Aes256(Aes256Enc),
}

impl Aes {
    /// `key`: 16 or 32 octets; of another length what is missing is zero, and more than 32 are left out.
    pub fn new(key: &[u8]) -> Self {
        let mut whole = [0; 32];
        let length = key.len().min(32);
        whole[..length].copy_from_slice(&key[..length]);
        match length {
            17.. => Self::Aes256(Aes256Enc::new(&Array::from(whole))),
            _ => {
                let mut half = [0; 16];
                half.copy_from_slice(&whole[..16]);
                Self::Aes128(Aes128Enc::new(&Array::from(half)))
            }
        }
    }

    /// XORs the keystream that begins at `first` over the data; the lowest 16 bits of the block count (RFC 3711 4.1.1).
    pub fn apply_keystream(&self, first: [u8; BLOCK], data: &mut [u8]) {
        let mut count = u16::from_be_bytes([first[14], first[15]]);
        for part in data.chunks_mut(BATCH * BLOCK) {
            let mut blocks = [Block::from(first); BATCH];
            let blocks = &mut blocks[..part.len().div_ceil(BLOCK)];
            for block in &mut *blocks {
                block[14..].copy_from_slice(&count.to_be_bytes());
                count = count.wrapping_add(1);
            }
            match self {
                Self::Aes128(aes) => aes.encrypt_blocks(blocks),
                Self::Aes256(aes) => aes.encrypt_blocks(blocks),
            }
            for (octets, stream) in part.chunks_mut(BLOCK).zip(blocks) {
                octets.iter_mut().zip(stream.iter()).for_each(|(octet, key)| *octet ^= key);
            }
        }
    }
}

/// Which packet it is: keys and nonces are made of it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub ssrc: u32,
    /// 48 bits for RTP, 31 for RTCP.
    pub index: u64,
}

pub(super) enum Cipher {
    Counter { aes: Aes, salt: [u8; 14], mac: Hmac<Sha1>, tag: usize },
    Gcm { key: aead::LessSafeKey, salt: [u8; NONCE] },
}

impl Cipher {
    pub fn rtp(master: &MasterKey, derivation: &Derivation) -> Self {
        let labels = [Label::RtpCipher, Label::RtpAuthentication, Label::RtpSalt];
        Self::new(master.suite, derivation, labels, master.suite.rtp_tag())
    }

    pub fn rtcp(master: &MasterKey, derivation: &Derivation) -> Self {
        let labels = [Label::RtcpCipher, Label::RtcpAuthentication, Label::RtcpSalt];
        Self::new(master.suite, derivation, labels, master.suite.rtcp_tag())
    }

    fn new(suite: Suite, derivation: &Derivation, [cipher, authentication, salt]: [Label; 3], tag: usize) -> Self {
        // A shorter key is the beginning of a longer one of the same label.
        let key = derivation.derive::<32>(cipher);
        let key = &key[..suite.key_len()];
        let salt = derivation.derive::<14>(salt);
        match suite {
            Suite::AeadAes128Gcm => Self::gcm(&aead::AES_128_GCM, key, salt),
            Suite::AeadAes256Gcm => Self::gcm(&aead::AES_256_GCM, key, salt),
            _ => {
                // A key of a whole block is one that zeros follow (RFC 2104 2).
                let mut block = [0; 64];
                block[..AUTHENTICATION_KEY].copy_from_slice(&derivation.derive::<AUTHENTICATION_KEY>(authentication));
                Self::Counter { aes: Aes::new(key), salt, mac: Hmac::new(&Array::from(block)), tag }
            }
        }
    }

    #[cfg(test)]
    pub fn of_session(suite: Suite, key: &[u8], salt: [u8; NONCE]) -> Self {
        let mut whole = [0; 14];
        whole[..NONCE].copy_from_slice(&salt);
        let algorithm = if suite.key_len() == 16 { &aead::AES_128_GCM } else { &aead::AES_256_GCM };
        Self::gcm(algorithm, key, whole)
    }

    fn gcm(algorithm: &'static aead::Algorithm, key: &[u8], salt: [u8; 14]) -> Self {
        let mut short = [0; NONCE];
        short.copy_from_slice(&salt[..NONCE]);
        match aead::UnboundKey::new(algorithm, key) {
            Ok(key) => Self::Gcm { key: aead::LessSafeKey::new(key), salt: short },
            // The key has the algorithm's length by [`Suite::key_len`].
            Err(ring::error::Unspecified) => unreachable!("key length of {algorithm:?}"),
        }
    }

    /// Octets a packet is longer by its tag.
    pub fn tag(&self) -> usize {
        match self {
            Self::Counter { tag, .. } => *tag,
            Self::Gcm { .. } => aead::MAX_TAG_LEN,
        }
    }

    pub fn is_aead(&self) -> bool {
        matches!(self, Self::Gcm { .. })
    }

    /// Encrypts what is after `clear` octets of header and returns the tag's 16 octets, of which the first
    /// [`Cipher::tag`] count. `trailer` is authenticated too: of counter mode after the packet, of GCM after the header.
    pub fn seal(
        &self,
        place: Place,
        packet: &mut [u8],
        clear: usize,
        trailer: [u8; 4],
        is_rtcp: bool,
    ) -> Result<[u8; aead::MAX_TAG_LEN], SrtpError> {
        let mut tag = [0; aead::MAX_TAG_LEN];
        match self {
            Self::Counter { aes, salt, mac, .. } => {
                aes.apply_keystream(counter_block(salt, place), &mut packet[clear..]);
                tag.copy_from_slice(&authenticate(mac, packet, trailer)[..aead::MAX_TAG_LEN]);
            }
            Self::Gcm { key, salt } => {
                let (header, body) = packet.split_at_mut(clear);
                let nonce = aead::Nonce::assume_unique_for_key(nonce(salt, place));
                let sealed = match is_rtcp {
                    false => key.seal_in_place_separate_tag(nonce, aead::Aad::from(&*header), body),
                    true => key.seal_in_place_separate_tag(nonce, aead::Aad::from(rtcp_aad(header, trailer)), body),
                };
                // It fails for bodies of gigabytes only.
                tag.copy_from_slice(sealed.map_err(|_| SrtpError::NoRoom)?.as_ref());
            }
        }
        Ok(tag)
    }

    /// Authenticates and decrypts `packet`, which is header, body and tag, in place; returns its length without the tag.
    /// The octets of a packet that fails are undefined.
    pub fn open(
        &self,
        place: Place,
        packet: &mut [u8],
        clear: usize,
        trailer: [u8; 4],
        is_rtcp: bool,
    ) -> Result<usize, SrtpError> {
        let end = packet.len().checked_sub(self.tag()).filter(|end| *end >= clear).ok_or(SrtpError::Malformed)?;
        match self {
            Self::Counter { aes, salt, mac, .. } => {
                let (packet, tag) = packet.split_at_mut(end);
                let full = authenticate(mac, packet, trailer);
                if !bool::from(full[..tag.len()].ct_eq(tag)) {
                    return Err(SrtpError::Authentication);
                }
                aes.apply_keystream(counter_block(salt, place), &mut packet[clear..]);
            }
            Self::Gcm { key, salt } => {
                let (header, body) = packet.split_at_mut(clear);
                let nonce = aead::Nonce::assume_unique_for_key(nonce(salt, place));
                let opened = match is_rtcp {
                    false => key.open_in_place(nonce, aead::Aad::from(&*header), body),
                    true => key.open_in_place(nonce, aead::Aad::from(rtcp_aad(header, trailer)), body),
                };
                opened.map_err(|_| SrtpError::Authentication)?;
            }
        }
        Ok(end)
    }
}

/// By the crate that knows the processor's SHA instructions: with them a packet takes a quarter of what ring's takes.
fn authenticate(mac: &Hmac<Sha1>, packet: &[u8], trailer: [u8; 4]) -> [u8; 20] {
    let mut mac = mac.clone();
    mac.update(packet);
    mac.update(&trailer);
    mac.finalize().into_bytes().into()
}

/// RFC 3711 4.1.1: the salt, the SSRC and the index, above 16 bits that count blocks.
fn counter_block(salt: &[u8; 14], place: Place) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..14].copy_from_slice(salt);
    block[4..8].iter_mut().zip(place.ssrc.to_be_bytes()).for_each(|(octet, ssrc)| *octet ^= ssrc);
    block[8..14].iter_mut().zip(&place.index.to_be_bytes()[2..]).for_each(|(octet, index)| *octet ^= index);
    block
}

/// RFC 7714 8.1 and 9.1: for RTP and RTCP alike two zero octets, the SSRC and 48 bits of index, over the salt.
fn nonce(salt: &[u8; NONCE], place: Place) -> [u8; NONCE] {
    let mut nonce = *salt;
    nonce[2..6].iter_mut().zip(place.ssrc.to_be_bytes()).for_each(|(octet, ssrc)| *octet ^= ssrc);
    nonce[6..].iter_mut().zip(&place.index.to_be_bytes()[2..]).for_each(|(octet, index)| *octet ^= index);
    nonce
}

/// RFC 7714 9.2: the first eight octets, then the index with the E bit.
fn rtcp_aad(header: &[u8], trailer: [u8; 4]) -> [u8; 12] {
    let mut aad = [0; 12];
    let length = header.len().min(8);
    aad[..length].copy_from_slice(&header[..length]);
    aad[8..].copy_from_slice(&trailer);
    aad
}
