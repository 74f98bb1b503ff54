//! One contact of one address of record.

use std::fmt::Write;
use std::time::Instant;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::flow::Flow;
use crate::message::{Name, Request};
use crate::uri::{NameAddr, Uri};

/// Characters of User-Agent that are kept.
const MAX_USER_AGENT: usize = 128;

/// Where a user is to be found. Holds on to no message; a few hundred octets, at most 2 KB.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Request-URI of calls to it.
    pub contact: Uri,
    /// The way it registered, and the only sure way back to it (NAT, connections).
    pub flow: Flow,
    /// Preference in thousandths, 0..=1000.
    pub q: u16,
    pub expires_at: Instant,
    /// When it registered first.
    pub since: Instant,
    /// `+sip.instance`: the device, whatever its address (RFC 5626 4.1).
    pub instance: Option<Box<str>>,
    /// `reg-id`: which of its flows (RFC 5626 4.2); only where the device asked for outbound.
    pub reg_id: Option<u32>,
    /// Route of calls to it (RFC 3327), in order.
    pub path: Box<[Bytes]>,
    pub user_agent: Option<Box<str>>,
    /// Call-ID and CSeq of its last REGISTER. Call-IDs are only compared with each other; 64 bits of their SHA-256, the
    /// same at every start, do for that.
    pub call_id: u64,
    pub cseq: u32,
}

/// A registration of one contact, before it is known whether it may be made.
pub(super) struct Wish {
    pub(super) binding: Binding,
    /// Seconds; 0 removes.
    pub(super) expires: u32,
}

impl Wish {
    /// RFC 5626 6: whether the device numbers its flows.
    pub(super) fn is_outbound(&self) -> bool {
        self.expires > 0 && self.binding.reg_id.is_some()
    }
}

impl Binding {
    /// Reads one Contact of a REGISTER.
    pub(super) fn read(contact: &NameAddr, request: &Request, now: Instant, flow: Flow) -> Binding {
        let path = request.headers().values(Name::Path).map(Bytes::copy_from_slice).collect();
        let user_agent = request.header(Name::UserAgent).map(|product| {
            let product = String::from_utf8_lossy(product);
            product.chars().take(MAX_USER_AGENT).collect::<String>().into_boxed_str()
        });
        let instance = contact.param("+sip.instance").map(|instance| instance.trim_matches('"').into());
        let reg_id = contact.param("reg-id").and_then(|id| id.parse().ok());
        // RFC 5626 6: a reg-id says nothing without the device, nor where the device knows nothing of outbound.
        let outbound = instance.is_some() && request.headers().lists(Name::Supported, "outbound");
        Binding {
            contact: contact.uri.clone(),
            flow,
            q: contact.q(),
            expires_at: now,
            since: now,
            instance,
            reg_id: reg_id.filter(|_| outbound),
            path,
            user_agent,
            call_id: hash_call_id(request),
            cseq: request.cseq().map(|cseq| cseq.number).unwrap_or_default(),
        }
    }

    /// Whether a registration of `new` is one of this binding. A device that names itself has one binding, or one for each
    /// flow it numbers (RFC 5626 6.1); others are told by their URI (RFC 3261 10.3).
    pub(super) fn is_replaced_by(&self, new: &Binding) -> bool {
        match (&self.instance, &new.instance) {
            (Some(mine), Some(theirs)) => mine == theirs && self.reg_id == new.reg_id,
            _ => self.contact.equivalent(&new.contact),
        }
    }

    /// RFC 3261 10.3 step 7: within one Call-ID the numbers rise.
    pub(super) fn admits(&self, request: &Request) -> bool {
        self.call_id != hash_call_id(request) || request.cseq().is_ok_and(|cseq| cseq.number > self.cseq)
    }

    /// Seconds left, rounded up.
    pub fn remaining(&self, now: Instant) -> u32 {
        let left = self.expires_at.saturating_duration_since(now);
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        u32::try_from(seconds).unwrap_or(u32::MAX)
    }

    /// Whether `gr` of a GRUU names the device (RFC 5627 section 3.1).
    pub fn is_instance(&self, gr: &str) -> bool {
        self.gr() == Some(gr)
    }

    /// The device as a parameter of a URI; `None` where it does not name itself, or by what no parameter can hold.
    fn gr(&self) -> Option<&str> {
        let instance = self.instance.as_deref()?.strip_prefix('<')?.strip_suffix('>')?;
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || b":-._".contains(&octet);
        (!instance.is_empty() && instance.bytes().all(plain)).then_some(instance)
    }

    /// Its Contact value in the answer to a REGISTER, with the device's public GRUU at the address of record where it is
    /// asked for (RFC 5627 5.2).
    pub(super) fn to_contact(&self, now: Instant, gruu: Option<&str>) -> Bytes {
        let mut value = format!("<{}>;expires={}", self.contact, self.remaining(now));
        // Writing to a String cannot fail.
        if self.q != 1000 {
            let _ = write!(value, ";q={}.{:03}", self.q / 1000, self.q % 1000);
        }
        if let Some(instance) = &self.instance {
            let _ = write!(value, ";+sip.instance=\"{instance}\"");
        }
        if let Some(id) = self.reg_id {
            let _ = write!(value, ";reg-id={id}");
        }
        if let (Some(aor), Some(gr)) = (gruu, self.gr()) {
            let _ = write!(value, ";pub-gruu=\"sip:{aor};gr={gr}\"");
        }
        value.into()
    }

    /// Octets it takes, without those of allocators.
    pub fn size(&self) -> usize {
        size_of::<Binding>()
            + self.contact.as_str().len()
            + self.instance.as_ref().map_or(0, |instance| instance.len())
            + self.user_agent.as_ref().map_or(0, |product| product.len())
            + self.path.iter().map(|route| route.len() + size_of::<Bytes>()).sum::<usize>()
    }
}

fn hash_call_id(request: &Request) -> u64 {
    let hash = Sha256::digest(request.call_id().unwrap_or_default());
    hash.iter().take(8).fold(0, |number, octet| (number << 8) | u64::from(*octet))
}
