//! Keys agreed on with the peer by a DTLS handshake (RFC 5764), the peer being known by the fingerprint of its
//! certificate (RFC 8122).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, Dtls, DtlsCertificate, KeyingMaterial, Output, SrtpProfile};
use ring::digest;

use crate::control::{Fingerprint, FingerprintHash};
use crate::srtp::{MasterKey, SrtpKeys, Suite};

/// Octets of a datagram of the handshake.
const MTU: usize = 1500;
/// Handshakes that are begun anew after one that failed, whoever made it fail.
const MAX_FAILURES: u8 = 8;

/// Our certificate, one of a node, and how its handshakes are made. Cheap to clone.
#[derive(Clone)]
pub struct DtlsIdentity {
    config: Arc<Config>,
    certificate: Arc<[u8]>,
    /// PKCS #8.
    key: Arc<[u8]>,
}

impl DtlsIdentity {
    /// `certificate`: DER, of a key on P-256 or P-384; `key`: that key as PKCS #8, DER.
    pub fn new(certificate: &[u8], key: &[u8]) -> Self {
        let config = Arc::new(Config::default());
        Self { config, certificate: certificate.into(), key: key.into() }
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        let hash = FingerprintHash::Sha256;
        Fingerprint { hash, octets: digest_of(hash, &self.certificate) }
    }
}

impl PartialEq for DtlsIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate
    }
}

impl Eq for DtlsIdentity {}

impl std::fmt::Debug for DtlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsIdentity").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

pub(super) struct Association {
    identity: DtlsIdentity,
    pub active: bool,
    pub expected: Fingerprint,
    dtls: Dtls,
    /// The certificate is the one that was told.
    known: bool,
    keys: Option<SrtpKeys>,
    failures: u8,
    out: VecDeque<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Association {
    /// An active one begins at its first [`Association::tick`].
    pub fn new(now: Instant, identity: &DtlsIdentity, active: bool, expected: &Fingerprint) -> Self {
        Self {
            identity: identity.clone(),
            active,
            expected: expected.clone(),
            dtls: begin(now, identity, active),
            known: false,
            keys: None,
            failures: 0,
            out: VecDeque::new(),
            buffer: vec![0; MTU],
        }
    }

    /// The keys, once the handshake is over and the peer is who it should be. Given once.
    pub fn keys(&mut self) -> Option<SrtpKeys> {
        if self.known { self.keys.take() } else { None }
    }

    pub fn receive(&mut self, now: Instant, datagram: &[u8]) {
        if self.failures > MAX_FAILURES {
            return;
        }
        let handled = self.dtls.handle_timeout(now).and_then(|()| self.dtls.handle_packet(datagram));
        self.advance(now, handled.is_ok());
    }

    pub fn tick(&mut self, now: Instant) {
        if self.failures > MAX_FAILURES {
            return;
        }
        let handled = self.dtls.handle_timeout(now);
        self.advance(now, handled.is_ok());
    }

    pub fn poll(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    fn advance(&mut self, now: Instant, mut sound: bool) {
        while sound {
            match self.dtls.poll_output(&mut self.buffer) {
                Output::Packet(packet) => self.out.push_back(packet.to_vec()),
                Output::BufferTooSmall { needed } => self.buffer.resize(needed, 0),
                Output::PeerCert(certificate) => {
                    self.known = digest_of(self.expected.hash, certificate) == self.expected.octets;
                    sound = self.known;
                }
                Output::KeyingMaterial(material, profile) => {
                    self.keys = split(&material, profile, self.active);
                    sound = self.keys.is_some();
                }
                Output::Timeout(_) => return,
                Output::Connected | Output::ApplicationData(_) | Output::CloseNotify => {}
                _ => {}
            }
        }
        // Somebody else's certificate, a broken handshake, or none in time: who should come may come yet.
        self.failures += 1;
        self.known = false;
        self.keys = None;
        self.dtls = begin(now, &self.identity, self.active);
    }
}

fn begin(now: Instant, identity: &DtlsIdentity, active: bool) -> Dtls {
    let certificate =
        DtlsCertificate { certificate: identity.certificate.to_vec(), private_key: identity.key.to_vec() };
    let mut dtls = Dtls::new_12(identity.config.clone(), certificate, now);
    dtls.set_active(active);
    dtls
}

/// RFC 5764 4.2: the client's key, the server's, then their salts. The client is who begins.
fn split(material: &KeyingMaterial, profile: SrtpProfile, active: bool) -> Option<SrtpKeys> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        _ => return None,
    };
    let (keys, salts) = material.split_at_checked(suite.key_len() * 2)?;
    let (client_key, server_key) = keys.split_at(suite.key_len());
    let (client_salt, server_salt) = salts.split_at_checked(suite.salt_len())?;
    let client = MasterKey::new(suite, &[client_key, client_salt].concat())?;
    let server = MasterKey::new(suite, &[server_key, server_salt].concat())?;
    Some(match active {
        true => SrtpKeys { local: client, remote: server },
        false => SrtpKeys { local: server, remote: client },
    })
}

fn digest_of(hash: FingerprintHash, octets: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        FingerprintHash::Sha256 => &digest::SHA256,
        FingerprintHash::Sha384 => &digest::SHA384,
        FingerprintHash::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, octets).as_ref().to_vec()
}
