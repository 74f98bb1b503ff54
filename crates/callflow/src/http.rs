//! Requests a flow makes. It makes none itself: it says which, and takes the answer.

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// A request for XML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub url: String,
    pub method: Method,
    /// Added to the query the URL has.
    pub query: Vec<(String, String)>,
    pub body: HttpBody,
    /// `None`: as long as it takes.
    pub timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpBody {
    Empty,
    /// The call object as JSON.
    Call,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    pub content_type: Option<String>,
    /// At most 1 MiB: [`crate::MAX_BYTES`].
    pub body: String,
}
