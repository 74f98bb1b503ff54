//! The jitter buffer and bridged legs over networks that were recorded, or made from a seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod bridge;
mod buffer;
mod network;
mod sound;
