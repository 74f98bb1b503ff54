//! Headers that cross from the caller's INVITE to the callee's, where a trunk lets them.

use bytes::Bytes;
use opentact_sip::message::Request;

use super::negotiate::Headers;

/// Headers that cross at most; further ones stay behind.
const MOST: usize = 32;
/// Octets of a value that crosses; a longer one stays behind.
const LONGEST: usize = 1_024;

/// What of a request the names let pass; `X-*` names all that begin so.
pub(super) fn passing<'a>(request: &Request, names: impl Iterator<Item = &'a String> + Clone) -> Headers {
    let let_pass = |header: &[u8]| {
        names.clone().any(|name| match name.strip_suffix('*') {
            Some(start) => header.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes())),
            None => header.eq_ignore_ascii_case(name.as_bytes()),
        })
    };
    let crossing = request.headers().iter().filter(|(name, value)| let_pass(name) && value.len() <= LONGEST);
    crossing.take(MOST).map(|(name, value)| (Bytes::copy_from_slice(name), Bytes::copy_from_slice(value))).collect()
}
