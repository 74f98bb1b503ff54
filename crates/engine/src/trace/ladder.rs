//! Messages as text for people.

use super::glance::{Glance, Start};
use crate::ports::SipMessage;

/// `INVITE sip:alice@example.com` or `180 Ringing`: the start line without its version.
#[must_use]
pub fn summary(message: &SipMessage) -> String {
    let line = message.octets.split(|octet| *octet == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line.trim_ascii());
    let line = line.strip_prefix("SIP/2.0 ").unwrap_or(&line);
    line.strip_suffix(" SIP/2.0").unwrap_or(line).to_owned()
}

/// The method that a message is about: its own, or of a response that of CSeq.
#[must_use]
pub fn method(message: &SipMessage) -> Option<&str> {
    let glance = Glance::of(&message.octets)?;
    let method = match glance.start {
        Start::Request { method } => method,
        Start::Response { .. } => glance.method?,
    };
    std::str::from_utf8(method).ok()
}

/// One line, without its end. The arrow points to who receives; this node stands on the left.
#[must_use]
pub fn line(message: &SipMessage) -> String {
    let arrow = if message.direction == "in" { "<--" } else { "-->" };
    let time = message.at.format("%H:%M:%S%.6f");
    let (local, remote, transport) = (message.local, message.remote, message.transport);
    format!("{time}  {local} {arrow} {remote}  {transport}  {}", summary(message))
}
