//! What a call is: one origin leg, the flow that runs on it, the legs it dials; their states, bridge and causes.
//!
//! It is not a driver: no socket, clock, file or database. The caller must keep one rule: drain `poll` after
//! every `handle`, do what it says in order, and call `handle` with [`Input::Tick`] at the deadline.

mod io;
mod leg;
pub mod q850;

pub use io::*;
pub use leg::{CallState, CallType, Direction, LegId, LegSnapshot};
pub use q850::Q850;
