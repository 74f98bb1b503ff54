//! The drivers: SIP transports, media threads, HTTP client, TTS, timers. Runs `call` machines and routes calls.
//!
//! Not here: XML semantics (`callflow`), JSON shapes (`events::view`), what a call does next (`call`).

pub mod http;
pub mod media;
pub mod number;
pub mod ports;
pub mod speech;
