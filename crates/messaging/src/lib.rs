//! SMS without I/O: what a text becomes on the wire (GSM 03.38, UCS-2, segments), what a message goes through
//! (states, threads, opt-out words) and SMPP 3.4 and 5.0 sessions of both roles.
//!
//! Nothing here opens a socket, reads a clock or knows an account. Time comes in as [`std::time::Instant`], octets
//! come in by `handle` and go out by `poll`. The one invariant the driver must keep: drain [`smpp::Session::poll`]
//! after every [`smpp::Session::handle`], and call it with [`smpp::Input::Timeout`] when
//! [`smpp::Session::deadline`] has passed.

pub mod encoding;
pub mod gsm0338;
pub mod opt_out;
pub mod pool;
pub mod reassembly;
pub mod segment;
pub mod smpp;
pub mod state;
pub mod thread;

pub use encoding::Encoding;
pub use reassembly::Reassembler;
pub use segment::{Segment, Segmented};
pub use state::SmsState;
pub use thread::{thread_id, thread_of};
