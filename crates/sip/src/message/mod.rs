//! SIP messages (RFC 3261 7, 20, 25): one buffer and the places of its headers.
//!
//! [`Message::parse`] makes one pass and takes all that can be answered, however wrong: what a request does wrong is
//! said by [`validate`], so that it gets its 400, 420 or 505. Values are typed on use; headers nobody knows and octets
//! that are not UTF-8 stay as they came.

mod builder;
mod error;
mod framer;
mod headers;
mod message_types;
mod method;
mod name;
mod params;
mod parse;
mod reason;
pub(crate) mod scan;
mod validate;
mod via;

pub use builder::{RequestBuilder, ResponseBuilder};
pub use error::{Defect, HeaderError, ParseError};
pub use framer::{Frame, FrameError, StreamFramer};
pub use headers::{CSeq, Headers};
pub use message_types::{Message, Request, Response};
pub use method::Method;
pub use name::Name;
pub use params::Params;
pub use reason::reason_phrase;
pub use scan::{Values, unquote};
pub use validate::{Refusal, SUPPORTED_METHODS, Support, validate, validate_with};
pub use via::Via;

#[cfg(test)]
mod tests;
