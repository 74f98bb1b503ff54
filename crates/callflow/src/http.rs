//! Requests a flow makes. It makes none itself: it says which, and takes the answer.

use std::time::Duration;

use crate::document::Document;
use crate::parse::{Mode, parse};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub url: String,
    pub method: Method,
    /// Added to the query the URL has.
    pub query: Vec<(String, String)>,
    /// Beside those every request has.
    pub headers: Vec<(String, String)>,
    pub body: HttpBody,
    /// `None`: as long as it takes.
    pub timeout: Option<Duration>,
}

impl HttpRequest {
    /// A GET with nothing but the URL.
    pub fn get(url: impl Into<String>) -> HttpRequest {
        let (query, headers) = (Vec::new(), Vec::new());
        HttpRequest { url: url.into(), method: Method::Get, query, headers, body: HttpBody::Empty, timeout: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpBody {
    Empty,
    Text {
        content_type: String,
        text: String,
    },
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

impl HttpAnswer {
    /// The document it brings, one without elements when the answer is empty.
    ///
    /// # Errors
    /// Why it brings none, for a person to read.
    pub fn document(&self) -> Result<Document, String> {
        if !(200..300).contains(&self.status) {
            return Err(format!("HTTP {}", self.status));
        }
        let text = if self.body.trim().is_empty() { "<Response/>" } else { self.body.as_str() };
        parse(text, Mode::Lenient).map_err(|faults| {
            faults.first().map_or_else(String::new, |fault| format!("the answer is no call flow: {fault}"))
        })
    }
}
