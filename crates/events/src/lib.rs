//! Events: their types and shapes, the log, and how they reach those who listen.
//!
//! It knows what an event looks like and who gets it; not who made it, and no socket.
//!
//! The one invariant: what a listener gets of an account is in the log already, in the order of `seq`,
//! without gaps.

mod event;
mod hub;
pub mod view;

pub use event::{NewEvent, auth};
pub use hub::{Booked, Charge, Ended, Filter, Hub, Outbox, Published, Refused, Settings, Stats, Subscription, Write};
pub use opentact_store::types::EventType;
