//! Composing messages: what every request or response of ours carries besides what its dialog gives it.

use std::fmt::Write;
use std::net::SocketAddr;

use bytes::Bytes;

use super::command::{Body, ExtraHeaders};
use super::config::UaConfig;
use crate::flow::Flow;
use crate::message::{Name, Request, RequestBuilder, ResponseBuilder};
use crate::uri::Uri;

/// RFC 3891: told to the other side where the layer above takes such INVITEs.
const REPLACES: &str = "replaces";

/// Headers that the stack writes and nobody else.
fn is_own(name: Name) -> bool {
    matches!(
        name,
        Name::Via
            | Name::From
            | Name::To
            | Name::CallId
            | Name::CSeq
            | Name::MaxForwards
            | Name::Route
            | Name::RecordRoute
            | Name::ContentType
            | Name::ContentLength
    )
}

/// The first value of a header among the additional ones.
pub(super) fn given(headers: &ExtraHeaders, name: Name) -> Option<&Bytes> {
    headers.iter().find(|(given, _)| Name::parse(given) == Some(name)).map(|(_, value)| value)
}

/// What both builders can do.
trait Lines: Sized {
    fn line(self, name: &str, value: &[u8]) -> Self;
    fn content(self, content_type: String, octets: Bytes) -> Self;
}

impl Lines for RequestBuilder {
    fn line(self, name: &str, value: &[u8]) -> Self {
        self.header_named(name, value)
    }

    fn content(self, content_type: String, octets: Bytes) -> Self {
        self.body(content_type, octets)
    }
}

impl Lines for ResponseBuilder {
    fn line(self, name: &str, value: &[u8]) -> Self {
        self.header_named(name, value)
    }

    fn content(self, content_type: String, octets: Bytes) -> Self {
        self.body(content_type, octets)
    }
}

fn rest<B: Lines>(mut builder: B, headers: &ExtraHeaders, body: Option<&Body>) -> B {
    for (name, value) in headers {
        if Name::parse(name).is_some_and(is_own) {
            continue;
        }
        if let Ok(name) = std::str::from_utf8(name) {
            builder = builder.line(name, value);
        }
    }
    match body {
        Some((content_type, octets)) => {
            builder.content(String::from_utf8_lossy(content_type).into_owned(), octets.clone())
        }
        None => builder,
    }
}

/// Our defaults that the additional headers may replace.
pub(super) struct Defaults<'a> {
    pub(super) config: &'a UaConfig,
    /// Value of Contact, where the message needs one.
    pub(super) contact: Option<&'a Bytes>,
    pub(super) allow: bool,
}

impl Defaults<'_> {
    fn write<B: Lines>(&self, mut builder: B, product: Name, headers: &ExtraHeaders) -> B {
        let absent = |name| given(headers, name).is_none();
        if let Some(contact) = self.contact.filter(|_| absent(Name::Contact)) {
            builder = builder.line("Contact", contact);
        }
        if self.allow && absent(Name::Allow) {
            builder = builder.line("Allow", &self.config.allow);
            if self.config.extensions.contains(&REPLACES) {
                builder = builder.line("Supported", REPLACES.as_bytes());
            }
        }
        if !self.config.product.is_empty() && absent(product) {
            builder = builder.line(product.as_str(), &self.config.product);
        }
        builder
    }
}

pub(super) fn finish_request(
    builder: RequestBuilder,
    defaults: &Defaults<'_>,
    headers: &ExtraHeaders,
    body: Option<&Body>,
) -> Request {
    rest(defaults.write(builder, Name::UserAgent, headers), headers, body).build()
}

/// A response to `request`, which came from `source`.
pub(super) fn response(
    request: &Request,
    source: SocketAddr,
    code: u16,
    reason: Option<String>,
    to_tag: Option<&[u8]>,
    defaults: &Defaults<'_>,
    headers: &ExtraHeaders,
    body: Option<&Body>,
) -> Bytes {
    let mut builder = ResponseBuilder::reply(request, code).received(source);
    if let Some(reason) = reason {
        builder = builder.reason(reason);
    }
    if let Some(tag) = to_tag {
        builder = builder.to_tag(tag);
    }
    if defaults.contact.is_some() {
        // RFC 3261 12.1.1: a response that makes a dialog carries its route set back.
        builder = builder.record_route();
    }
    rest(defaults.write(builder, Name::Server, headers), headers, body).build().bytes().clone()
}

/// The value of our Contact: the given URI, or `user` at the flow's local address.
pub(super) fn contact_value(uri: Option<&Uri>, user: Option<&str>, flow: &Flow) -> Bytes {
    let mut text = String::with_capacity(64);
    // Writing to a String cannot fail.
    let _ = match (uri, user) {
        (Some(uri), _) => write!(text, "<{uri}>"),
        (None, Some(user)) => write!(text, "<sip:{user}@{}", flow.local),
        (None, None) => write!(text, "<sip:{}", flow.local),
    };
    if uri.is_none() {
        if let Some(transport) = flow.transport.uri_parameter() {
            let _ = write!(text, ";transport={transport}");
        }
        text.push('>');
    }
    text.into()
}
