//! Nonces that need no storage, and the memory of those in use.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::Realm;

const CHECK: usize = 16;
const LENGTH: usize = 16 + CHECK;

/// What a nonce of ours says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonce {
    /// Unix time of its making, seconds.
    pub made: u64,
    /// Grows with every nonce of one challenger.
    pub serial: u64,
}

impl Nonce {
    pub fn seal(self, key: &[u8; 32], realm: Realm<'_>) -> String {
        let mut octets = [0; LENGTH];
        octets[..8].copy_from_slice(&self.made.to_be_bytes());
        octets[8..16].copy_from_slice(&self.serial.to_be_bytes());
        let check = check(key, &octets[..16], realm);
        octets[16..].copy_from_slice(&check);
        hex::encode(octets)
    }

    /// `None` when it is not one of ours for this realm and client.
    pub fn open(text: &str, key: &[u8; 32], realm: Realm<'_>) -> Option<Self> {
        let mut octets = [0; LENGTH];
        hex::decode_to_slice(text, &mut octets).ok()?;
        let (said, found) = octets.split_at(16);
        if !bool::from(check(key, said, realm).ct_eq(found)) {
            return None;
        }
        let (made, serial) = said.split_at(8);
        Some(Self {
            made: u64::from_be_bytes(made.try_into().ok()?),
            serial: u64::from_be_bytes(serial.try_into().ok()?),
        })
    }
}

fn check(key: &[u8; 32], said: &[u8], realm: Realm<'_>) -> [u8; CHECK] {
    let mut out = [0; CHECK];
    // HMAC takes a key of any length; 32 octets never fail.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) {
        mac.update(said);
        // Of fixed length, so that no realm's end can be taken for it.
        let client = match realm.client.map(|client| client.to_canonical()) {
            None => Ipv6Addr::UNSPECIFIED,
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped(),
            Some(IpAddr::V6(address)) => address,
        };
        mac.update(&client.octets());
        mac.update(realm.name.as_bytes());
        out.copy_from_slice(&mac.finalize().into_bytes()[..CHECK]);
    }
    out
}

/// Which counts of one nonce were used: the highest, and the 64 up to it.
#[derive(Debug, Clone, Copy)]
struct Used {
    made: u64,
    highest: u32,
    /// Bit n: `highest - n` was used.
    window: u64,
}

/// The counts used with each nonce. At the limit the oldest nonce is forgotten, and counts as stale from then on.
#[derive(Debug)]
pub(super) struct UsedNonces {
    used: BTreeMap<u64, Used>,
    limit: usize,
    /// Serials up to this one that are not in `used` may have been forgotten.
    forgotten: u64,
}

impl UsedNonces {
    /// Counts of nonces up to the serial `start` are unknown from the beginning.
    pub fn new(limit: usize, start: u64) -> Self {
        Self { used: BTreeMap::new(), limit: limit.max(1), forgotten: start }
    }

    /// Notes a use; false when it is a repetition, or might be one.
    pub fn take(&mut self, nonce: Nonce, count: u32) -> bool {
        if let Some(used) = self.used.get_mut(&nonce.serial) {
            return used.take(count);
        }
        if nonce.serial <= self.forgotten {
            return false;
        }
        if self.used.len() >= self.limit
            && let Some((oldest, _)) = self.used.pop_first()
        {
            self.forgotten = self.forgotten.max(oldest);
            if nonce.serial < oldest {
                return false;
            }
        }
        self.used.insert(nonce.serial, Used { made: nonce.made, highest: count, window: 1 });
        true
    }

    /// Forgets nonces made before this time; they are too old to be used anyway.
    pub fn expire(&mut self, before: u64) {
        while let Some(oldest) = self.used.first_entry() {
            if oldest.get().made >= before {
                break;
            }
            oldest.remove();
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.used.len()
    }
}

impl Used {
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let ahead = count - self.highest;
            self.window = self.window.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if behind >= 64 || self.window & (1 << behind) != 0 {
            return false;
        }
        self.window |= 1 << behind;
        true
    }
}
