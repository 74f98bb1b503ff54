//! SIP, SIPS and tel URIs (RFC 3261 19.1, RFC 3966) and addresses with a name (RFC 3261 20.10).

mod escape;
mod name_addr;
mod uri_text;

pub use escape::{escape_user, unescape};
pub use name_addr::NameAddr;
pub(crate) use uri_text::is_host;
pub use uri_text::{Scheme, Uri, UriError};

#[cfg(test)]
mod tests;
