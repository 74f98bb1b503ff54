/// Why a description is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// `line` counts from 1.
    #[error("malformed session description, line {line}: {what}")]
    Malformed { line: usize, what: &'static str },
    /// No stream is left that both sides can do.
    #[error("no common media")]
    NoCommonMedia,
    /// A stream without an IP address to send to.
    #[error("no usable media address")]
    NoAddress,
    /// RFC 3264 6: an answer has exactly the streams of the offer.
    #[error("answer does not match the offer")]
    Mismatch,
    /// An answer that leaves in the clear what has to be protected, or takes other keys than were offered.
    #[error("answer without the keys it needs")]
    Insecure,
    /// An answer without an offer before it.
    #[error("no offer is open")]
    NoOffer,
}

impl SdpError {
    /// The status code a request with such a body gets.
    pub fn code(self) -> u16 {
        match self {
            Self::Malformed { .. } => 400,
            Self::NoCommonMedia | Self::NoAddress | Self::Mismatch | Self::Insecure | Self::NoOffer => 488,
        }
    }
}
