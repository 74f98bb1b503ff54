//! One suite over both databases: SQLite always, PostgreSQL when `OPENTACT_TEST_POSTGRES` holds a URL of a
//! database in which schemas may be made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod batches;
mod calls;
mod messages;
mod numbers;
mod records;
mod registrations;
mod rest;
mod shaken;
mod sip;
mod sip_messages;
mod tcr;
mod world;
