//! The drivers: SIP transports, media threads, HTTP client, TTS, timers. Runs `call` machines and routes calls.
//!
//! Not here: XML semantics (`callflow`), JSON shapes (`events::view`), what a call does next (`call`).

/// The world of the integration tests is also that of the tests in here.
#[cfg(test)]
extern crate self as opentact_engine;

mod batch;
mod bindings;
mod control;
mod core;
mod decode;
pub mod defence;
pub mod dns;
mod engine;
mod fetch;
pub mod http;
mod journal;
mod kept;
pub mod ledger;
mod lost;
pub mod mail;
pub mod media;
mod messages;
pub mod number;
pub mod number_data;
mod openai;
pub mod ports;
mod program;
pub mod prompt;
pub mod recognition;
pub mod recordings;
mod reflexive;
pub mod router;
mod signalling;
pub mod signature;
pub mod speech;
mod spend;
pub mod stir;
mod tone;
pub mod trace;
pub mod transport;
mod trunk_board;
mod webhook;

pub use self::batch::BatchConfig;
pub use self::core::{Stats, SubscribeConfig, TrunkConfig};
pub use engine::{CodecOrder, Engine, EngineConfig, EngineError, Farewell, PRODUCT};
pub use messages::MessageConfig;
pub use webhook::WebhookConfig;
