//! Ways to the telephone network: numbers, messages and (on the simulated network) callees.
//!
//! [`dev`] is the simulated telephone network, which speaks the real protocols on loopback; [`smpp`] reaches any SMSC,
//! [`http`] any provider with a JSON API; [`messages`] is the durable queue between the API and message carriers,
//! [`messaging`] puts them together. A carrier knows numbers and messages, never an account; only [`messages`], which owns
//! the queue's rules, does.

pub mod dev;
pub mod http;
mod incoming;
pub mod messages;
pub mod messaging;
pub mod smpp;

pub use incoming::Incoming;
