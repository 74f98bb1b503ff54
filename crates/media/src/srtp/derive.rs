//! Session keys from master keys (RFC 3711 4.3, RFC 6188 3): the keystream of AES in counter mode.

use super::MasterKey;
use super::cipher::Aes;

/// What a key is derived for (RFC 3711 4.3.1 and 4.3.2).
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Label {
    RtpCipher = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpCipher = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

pub(super) struct Derivation {
    aes: Aes,
    salt: [u8; 14],
}

impl Derivation {
    pub fn new(master: &MasterKey) -> Self {
        Self { aes: Aes::new(master.key()), salt: master.salt }
    }

    /// The first `N` octets for a label, the key derivation rate being 0.
    pub fn derive<const N: usize>(&self, label: Label) -> [u8; N] {
        let mut block = [0; 16];
        block[..14].copy_from_slice(&self.salt);
        // RFC 3711 4.3.1: key_id is the label above 48 bits of index, aligned with the salt's end.
        block[7] ^= label as u8;
        let mut octets = [0; N];
        self.aes.apply_keystream(block, &mut octets);
        octets
    }
}
