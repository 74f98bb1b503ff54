use super::Name;

/// Why octets are no SIP message at all. Nothing can be answered; the datagram is dropped or the connection closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Only line ends: a keep-alive (RFC 5626 4.4.1), or nothing.
    #[error("keep-alive without a message")]
    KeepAlive,
    #[error("no SIP start line")]
    StartLine,
    /// The version of a response is not 2.0, or its status code is not 100..=699.
    #[error("status line of another protocol or code out of range")]
    StatusLine,
    /// The octets end before the empty line that ends the headers.
    #[error("headers do not end")]
    Truncated,
    /// More than 65,535 octets, or more than 512 header lines.
    #[error("message too large")]
    TooLarge,
}

/// What is wrong with a message that could still be read. A request gets the answer [`super::validate`] names,
/// a response is discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    #[error("Malformed request line")]
    RequestLine,
    #[error("Version not supported")]
    Version,
    #[error("Malformed header line")]
    HeaderLine,
    #[error("Malformed Content-Length")]
    ContentLength,
    /// The body is shorter than Content-Length says.
    #[error("Body shorter than Content-Length")]
    ShortBody,
}

/// A header that is missing or not of its grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("missing {0} header")]
    Missing(Name),
    #[error("malformed {0} header")]
    Malformed(Name),
}

impl HeaderError {
    pub fn name(self) -> Name {
        match self {
            Self::Missing(name) | Self::Malformed(name) => name,
        }
    }
}
