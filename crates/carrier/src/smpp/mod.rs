//! SMPP: the ESME that reaches any SMSC, and the SMSC that customers' ESMEs reach.

mod client;
pub(crate) mod delivery;
pub(crate) mod link;
mod server;

pub use client::{SmppCarrier, SmppConfig};
pub use link::ClientTls;
pub use server::{News, Server, ServerConfig, ServerTls};
