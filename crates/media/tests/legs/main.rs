//! Legs in virtual time, joined by a network that loses, doubles and delays, from a seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod connecting;
mod keys;
mod playing;
mod recording;
mod relaying;
mod reports;
mod securing;
mod transcoding;
mod world;
