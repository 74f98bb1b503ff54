//! The voice side of the simulated telephone network: callees that behave by the last four digits of their number, and
//! callers for `POST /rest/dev/call`, over real SIP and RTP.
//!
//! [`Exchange`](exchange::Exchange) decides, without sockets or a clock; [`DevVoice`] is its driver: one UDP socket, one
//! pool of media threads of its own, as the other side of a trunk has.

mod driver;
mod exchange;
mod party;
mod script;
mod transit;
mod wiring;

pub use driver::{BoundVoice, DevVoice, Platform, VoiceConfig};

#[cfg(test)]
mod driver_tests;
#[cfg(test)]
mod tests;
