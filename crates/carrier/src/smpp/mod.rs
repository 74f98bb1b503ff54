//! SMPP: the ESME that reaches any SMSC.

mod client;
pub(crate) mod link;
mod partial;

pub use client::{Incoming, SmppCarrier, SmppConfig};
