//! Sans-IO SIP and SDP: messages, URIs, session descriptions, digest authentication and the machines that drive them.
//!
//! What it is not: a socket, a clock, an account. Whoever drives it gives octets, time and randomness and carries out
//! what comes back. The one invariant: nothing that arrives from outside can make it panic or grow without bound.

mod dialog;
pub mod digest;
pub mod flow;
pub mod message;
pub mod registrar;
pub mod registration;
pub mod sdp;
mod transaction;
pub mod ua;
pub mod uri;

pub use transaction::Timing;
