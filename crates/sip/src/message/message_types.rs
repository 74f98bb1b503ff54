use std::fmt;

use bytes::Bytes;

use super::headers::Span;
use super::parse::parse;
use super::{CSeq, Defect, HeaderError, Headers, Method, Name, ParseError, Via};
use crate::uri::{NameAddr, Uri, UriError};

/// A request or a response.
#[derive(Debug, Clone)]
pub enum Message {
    Request(Request),
    Response(Response),
}

/// A request. Clones share the octets.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) uri: Span,
    pub(super) headers: Headers,
    pub(super) body: Span,
    pub(super) defect: Option<Defect>,
}

/// A response. Clones share the octets.
#[derive(Clone)]
pub struct Response {
    pub(super) code: u16,
    pub(super) reason: Span,
    pub(super) headers: Headers,
    pub(super) body: Span,
    pub(super) defect: Option<Defect>,
}

impl Message {
    /// Parses one datagram, or one message cut out by [`super::StreamFramer`]. Without Content-Length the body is all
    /// that is left (RFC 3261 18.3); octets after Content-Length are dropped.
    pub fn parse(datagram: Bytes) -> Result<Self, ParseError> {
        parse(datagram)
    }

    pub fn bytes(&self) -> &Bytes {
        &self.headers().octets
    }

    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    pub fn body(&self) -> &[u8] {
        match self {
            Self::Request(request) => request.body(),
            Self::Response(response) => response.body(),
        }
    }
}

impl Request {
    pub fn method(&self) -> &Method {
        &self.method
    }

    pub fn uri(&self) -> Result<Uri, UriError> {
        Uri::parse(self.uri_bytes())
    }

    /// The Request-URI as written.
    pub fn uri_bytes(&self) -> &[u8] {
        self.uri.of(&self.headers.octets)
    }
}

impl Response {
    /// Status code, 100..=699.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Reason phrase, may be empty; not UTF-8 becomes U+FFFD.
    pub fn reason(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.reason.of(&self.headers.octets))
    }

    pub fn is_provisional(&self) -> bool {
        self.code < 200
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

macro_rules! shortcuts {
    ($type:ty) => {
        impl $type {
            pub fn headers(&self) -> &Headers {
                &self.headers
            }

            pub fn body(&self) -> &[u8] {
                self.body.of(&self.headers.octets)
            }

            /// The whole message in wire form.
            pub fn bytes(&self) -> &Bytes {
                &self.headers.octets
            }

            /// What the parser found wrong with it.
            pub fn defect(&self) -> Option<Defect> {
                self.defect
            }

            pub fn header(&self, name: Name) -> Option<&[u8]> {
                self.headers.get(name)
            }

            pub fn call_id(&self) -> Option<&[u8]> {
                self.headers.call_id()
            }

            pub fn cseq(&self) -> Result<CSeq, HeaderError> {
                self.headers.cseq()
            }

            pub fn from(&self) -> Result<NameAddr, HeaderError> {
                self.headers.from()
            }

            pub fn to(&self) -> Result<NameAddr, HeaderError> {
                self.headers.to()
            }

            pub fn from_tag(&self) -> Option<&[u8]> {
                self.headers.from_tag()
            }

            pub fn to_tag(&self) -> Option<&[u8]> {
                self.headers.to_tag()
            }

            /// The topmost Via.
            pub fn via(&self) -> Result<Via<'_>, HeaderError> {
                self.headers.via()
            }

            pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, HeaderError>> {
                self.headers.vias()
            }

            pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr, HeaderError>> {
                self.headers.contacts()
            }

            pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr, HeaderError>> {
                self.headers.routes()
            }

            pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr, HeaderError>> {
                self.headers.record_routes()
            }

            pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
                self.headers.max_forwards()
            }

            pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
                self.headers.expires()
            }

            pub fn content_type(&self) -> Option<&str> {
                self.headers.content_type()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&String::from_utf8_lossy(&self.headers.octets))
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.headers.octets == other.headers.octets
            }
        }

        impl Eq for $type {}
    };
}

shortcuts!(Request);
shortcuts!(Response);
