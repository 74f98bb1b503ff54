//! The answers' shapes as the OpenAPI tells them. The JSON itself is made by `opentact_events::view`; the tests hold
//! every answer against these.

#![allow(dead_code)]

mod account;
mod batch;
mod call;
mod event;
mod message;
mod number;
mod page;
mod record;
mod sip;
mod tcr;
mod transaction;

pub use account::*;
pub use batch::*;
pub use call::*;
pub use event::*;
pub use message::*;
pub use number::*;
pub use page::*;
pub use record::*;
pub use sip::*;
pub use tcr::*;
pub use transaction::*;
