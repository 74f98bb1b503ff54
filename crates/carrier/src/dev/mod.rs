//! The simulated telephone network: numbers for sale, an SMSC, callees and callers. It is the default carrier, so that
//! everything works on a laptop, and it speaks the real protocols, so that the same code runs as with a real carrier.

mod numbers;
pub mod smsc;
pub mod voice;

pub use numbers::DevNumbers;
pub use smsc::{Smsc, SmscConfig};
pub use voice::{DevVoice, VoiceConfig};
