//! The thread of two parties.

use sha2::{Digest, Sha256};

/// 32 hex digits, the same for every message between two numbers whichever way it goes. Both are E.164 without plus.
pub fn thread_id(one: u64, other: u64) -> String {
    let mut hash = Sha256::new();
    hash.update(b"opentact sms thread");
    hash.update(one.min(other).to_be_bytes());
    hash.update(one.max(other).to_be_bytes());
    hash.finalize().iter().take(16).map(|octet| format!("{octet:02x}")).collect()
}

/// The same for parties that need not be numbers, such as `login@domain`: letter case and a `+` do not count. Two numbers
/// have the thread of [`thread_id`], so that their calls and messages are found together.
pub fn thread_of(one: &str, other: &str) -> String {
    let plain = |party: &str| party.trim_start_matches('+').to_ascii_lowercase();
    let (one, other) = (plain(one), plain(other));
    if let (Ok(one), Ok(other)) = (one.parse(), other.parse()) {
        return thread_id(one, other);
    }
    let mut hash = Sha256::new();
    hash.update(b"opentact thread");
    for party in [one.as_str().min(&other), one.as_str().max(&other)] {
        hash.update(party.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(16).map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_one_thread() {
        let thread = thread_id(12025550100, 12125550199);
        assert_eq!(thread, thread_id(12125550199, 12025550100));
        assert_eq!(thread.len(), 32);
        assert!(thread.bytes().all(|octet| octet.is_ascii_hexdigit() && !octet.is_ascii_uppercase()));
        assert_ne!(thread, thread_id(12025550100, 12125550198));
        assert_eq!(thread, thread_of("+12125550199", "12025550100"));
        assert_eq!(thread_of("phone@home", "+12025550100"), thread_of("12025550100", "Phone@Home"));
    }
}
