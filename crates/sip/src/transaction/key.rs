//! Compact keys of transactions and dialogs.
//!
//! What identifies a transaction comes from outside and is of any length. It is hashed with a secret to 128 bits: equal
//! keys are the same transaction, and nobody outside can make two different ones meet.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};

use crate::message::{Method, Request, Via};

/// What begins the branches of RFC 3261 (8.1.1.7).
const COOKIE: &[u8] = b"z9hG4bK";

/// A hashed identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(u128);

/// Makes keys; two makers with different secrets make different ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyMaker {
    secret: [u64; 2],
}

/// What separates the kinds of keys from each other.
#[derive(Debug, Clone, Copy)]
enum Domain {
    Client = 1,
    Server,
    Legacy,
    Merge,
    Dialog,
    Tag,
}

impl KeyMaker {
    pub(crate) fn new(secret: [u64; 2]) -> KeyMaker {
        KeyMaker { secret }
    }

    fn hash(&self, domain: Domain, parts: &[&[u8]]) -> Key {
        let half = |secret: u64| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(secret);
            hasher.write_u8(domain as u8);
            for part in parts {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
            hasher.finish()
        };
        let high = half(self.secret[0]);
        let low = half(self.secret[1]);
        Key(u128::from(high) << 64 | u128::from(low))
    }

    /// RFC 3261 17.1.3: the branch we made and the method of the CSeq.
    pub(crate) fn client(&self, branch: &[u8], method: &Method) -> Key {
        self.hash(Domain::Client, &[branch, method.as_bytes()])
    }

    /// RFC 3261 17.2.3: branch, sent-by and method; an ACK matches its INVITE. Without the magic cookie the matching of
    /// RFC 2543 takes its place.
    pub(crate) fn server(&self, request: &Request, via: &Via<'_>) -> Key {
        let method = match request.method() {
            Method::Ack => Method::Invite,
            method => method.clone(),
        };
        self.server_for(request, via, &method)
    }

    /// The key of the INVITE that a CANCEL is for (RFC 3261 9.2).
    pub(crate) fn cancelled(&self, cancel: &Request, via: &Via<'_>) -> Key {
        self.server_for(cancel, via, &Method::Invite)
    }

    fn server_for(&self, request: &Request, via: &Via<'_>, method: &Method) -> Key {
        match via.branch() {
            // Nothing behind the cookie tells nothing apart (RFC 4475 3.2.1).
            Some(branch) if branch.strip_prefix(COOKIE).is_some_and(|rest| !rest.is_empty()) => {
                let port = via.port.unwrap_or(0).to_be_bytes();
                self.hash(Domain::Server, &[branch, via.host.to_ascii_lowercase().as_bytes(), &port, method.as_bytes()])
            }
            _ => {
                // The To tag is left out for INVITE, whose ACK has one and which itself has none at first.
                let to_tag = if *method == Method::Invite { None } else { request.to_tag() };
                let number = request.cseq().map(|cseq| cseq.number).unwrap_or(0).to_be_bytes();
                self.hash(
                    Domain::Legacy,
                    &[
                        request.uri_bytes(),
                        request.from_tag().unwrap_or_default(),
                        to_tag.unwrap_or_default(),
                        request.call_id().unwrap_or_default(),
                        &number,
                        request.headers().get(crate::message::Name::Via).unwrap_or_default(),
                        method.as_bytes(),
                    ],
                )
            }
        }
    }

    /// RFC 3261 8.2.2.2: what two copies of one request that took different ways have in common.
    pub(crate) fn merge(&self, request: &Request) -> Key {
        let number = request.cseq().map(|cseq| cseq.number).unwrap_or(0).to_be_bytes();
        self.hash(
            Domain::Merge,
            &[
                request.call_id().unwrap_or_default(),
                request.from_tag().unwrap_or_default(),
                &number,
                request.method().as_bytes(),
            ],
        )
    }

    /// RFC 3261 section 12: a dialog's identity.
    pub(crate) fn dialog(&self, call_id: &[u8], local_tag: &[u8], remote_tag: &[u8]) -> Key {
        self.hash(Domain::Dialog, &[call_id, local_tag, remote_tag])
    }

    /// Tells the answers of forks apart.
    pub(crate) fn tag(&self, tag: &[u8]) -> u64 {
        self.hash(Domain::Tag, &[tag]).0 as u64
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn write_u64(&mut self, number: u64) {
        // Numbers in a row: spread them over all bits (Fibonacci hashing).
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

pub(crate) type KeyMap<K, V> = HashMap<K, V, BuildHasherDefault<KeyHasher>>;
