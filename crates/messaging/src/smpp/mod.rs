//! SMPP 3.4 and 5.0: sessions of both roles without I/O, over rusmpp's codec.
//!
//! [`Session`] is one connection, from bind to unbind. It frames, numbers, windows, times and throttles; who connects,
//! whom to let in and what to do with a message is its driver's.

mod address;
mod assembler;
pub mod pdu;
pub mod receipt;
mod session;
mod status;
mod window;

pub use address::Address;
pub use assembler::{Assembled, Assembler};
pub use pdu::{Bind, BindKind, ShortMessage, VERSION_3_4, VERSION_5_0};
pub use receipt::{MessageState, Receipt};
pub use session::{CloseReason, Config, Event, Failure, Input, Outcome, Output, Role, Session, Stats};
pub use status::{Class, Status};
