//! Legs in virtual time, joined by a network that loses, doubles and delays, from a seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod connecting;
mod keys;
mod mixing;
mod playing;
mod recording;
mod relaying;
mod reports;
mod securing;
mod showing;
mod tapping;
mod transcoding;
mod world;
