//! What a call is: one origin leg, the flow that runs on it, the legs it dials; their states, bridge and causes.
//!
//! It is not a driver: no socket, clock, file or database. The caller must keep one rule: drain [`Call::poll`] after
//! every [`Call::handle`], do what it says in order, and call `handle` with [`Input::Tick`] at [`Call::deadline`].

pub mod batch;
mod call;
mod confirm;
mod flow;
mod fork;
mod hold;
mod io;
mod leg;
pub mod q850;
mod replacement;
mod transfer;

pub use call::{Call, PARK};
pub use io::*;
pub use leg::{CallState, CallType, Direction, LegId, LegSnapshot};
pub use q850::Q850;
pub use replacement::ReplacementStart;
pub use transfer::TransferStart;
