//! Session descriptions (RFC 8866) and offer/answer (RFC 3264).
//!
//! Lines and attributes nobody here understands are kept, so that a description can be passed on. What it is not: a
//! description of what media can do; that comes in as [`Capabilities`].

mod codec;
mod dtls;
mod error;
mod fragment;
mod negotiate;
mod negotiator;
mod parse;
mod print;
mod sdes;
mod security;
mod session;
mod video;

pub use codec::{Codec, RtpMap};
pub use dtls::{CertificateFingerprint, CertificateHash, DtlsDescription, IceCredentials, IceDescription, Setup};
pub use error::SdpError;
pub use fragment::IceFragment;
pub use negotiate::{Agreed, Answer, Capabilities, Events, Local, Preference, accept, answer, offer};
pub use negotiator::Negotiator;
pub use sdes::{Crypto, CryptoSuite};
pub use security::{DtlsSession, DtlsSide, IceSession, Protection, Random, Security, SessionKeys, SrtpPolicy};
pub use session::{Attribute, Connection, Direction, Line, Media, Origin, Session};
pub use video::{AgreedFormat, AgreedVideo, Passed, VideoFormat, offered_video};

#[cfg(test)]
mod tests;
