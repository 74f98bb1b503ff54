//! SMPP: the ESME that reaches any SMSC.

mod client;
pub(crate) mod link;

pub use client::{Incoming, SmppCarrier, SmppConfig};
