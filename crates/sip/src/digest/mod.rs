//! Digest authentication (RFC 7616, RFC 8760, RFC 2617): the server side that challenges and verifies, the client side
//! that answers.
//!
//! Nothing is stored for a challenge: a nonce carries its time and a keyed check. Only nonces that were used with the
//! right password are remembered, a bounded number of them, so that none is used twice with the same count.

mod algorithm;
mod client;
mod header;
mod nonce;
mod server;

pub use algorithm::{Algorithm, Ha1, Hash};
pub use client::{Challenge, Credentials, Secret, answer};
pub use server::{Authorization, Challenger, Realm, Verdict};

#[cfg(test)]
mod tests;
