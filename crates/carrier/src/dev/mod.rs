//! The simulated telephone network: numbers for sale, an SMSC, callees and callers, a registry of 10DLC. It is the default carrier, so that
//! everything works on a laptop, and it speaks the real protocols, so that the same code runs as with a real carrier.

mod numbers;
mod registry;
pub mod smsc;
pub mod voice;

pub use numbers::DevNumbers;
pub use registry::DevRegistry;
pub use smsc::{LeaseLookup, Smsc, SmscConfig};
pub use voice::{DevVoice, VoiceConfig};
