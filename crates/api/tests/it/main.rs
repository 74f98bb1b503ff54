//! The API through its real router, on a database of its own, with fakes behind the engine's ports.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod auth;
mod avatars;
mod batches;
mod calls;
mod conventions;
mod document;
mod events;
mod idempotency;
mod isolation;
mod lookup;
mod messages;
mod numbers;
mod own_numbers;
mod passwords;
mod phones;
mod records;
mod shaken;
mod sip;
mod social;
mod tcr;
mod tokens;
mod transactions;
mod users;
mod websocket;
mod world;
