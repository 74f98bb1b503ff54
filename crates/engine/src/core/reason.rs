//! The Reason header (RFC 3326) and Retry-After.

use bytes::Bytes;
use opentact_call::q850::Q850;
use opentact_sip::message::{Headers, Values};

use super::RETRY_AFTER;

/// `Q.850;cause=16;text="NORMAL_CLEARING"`.
pub(super) fn reason_header(cause: Q850) -> (Bytes, Bytes) {
    let value = format!("Q.850;cause={};text=\"{}\"", cause.value(), cause.text());
    (Bytes::from_static(b"Reason"), value.into())
}

pub(super) fn retry_after() -> (Bytes, Bytes) {
    (Bytes::from_static(b"Retry-After"), RETRY_AFTER.to_string().into())
}

/// The Q.850 cause a message names, of however many reasons it gives.
pub(super) fn q850_of(headers: &Headers) -> Option<Q850> {
    let lines = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"Reason"));
    lines.flat_map(|(_, value)| Values::new(value)).find_map(|reason| {
        let text = std::str::from_utf8(reason).ok()?;
        let mut parts = text.split(';').map(str::trim);
        let protocol = parts.next()?;
        let cause = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("cause").then(|| value.trim().parse::<u8>().ok())?
        });
        protocol.eq_ignore_ascii_case("Q.850").then_some(cause).flatten().and_then(Q850::new)
    })
}
