//! Composing messages: what every request or response of ours carries besides what its dialog gives it.

use std::fmt::Write;
use std::net::SocketAddr;

use bytes::Bytes;

use super::command::{Body, ExtraHeaders};
use super::config::UaConfig;
use crate::flow::Flow;
use crate::message::{Name, Request, RequestBuilder, ResponseBuilder};
use crate::uri::Scheme;

/// RFC 3891: told to the other side where the layer above takes such INVITEs.
const REPLACES: &str = "replaces";
/// RFC 8840: candidates that come after the description; the option tag and the name of the package.
const TRICKLE: &[u8] = b"trickle-ice";

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
            // RFC 8840 4.3, RFC 6086 4.2.3: who says that candidates may come says how they are taken.
            if memchr::memmem::find(octets, b"\na=ice-options:trickle").is_some() {
                builder = builder.line("Supported", TRICKLE).line("Recv-Info", TRICKLE);
            }
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

/// The value of our Contact: `user` at the flow's local address.
pub(super) fn contact_value(user: Option<&str>, flow: &Flow, scheme: Scheme) -> Bytes {
    let mut text = String::with_capacity(64);
    let sips = scheme == Scheme::Sips && flow.transport.is_secure();
    text.push_str(if sips { "<sips:" } else { "<sip:" });
    // Writing to a String cannot fail.
    let _ = match user {
        Some(user) => write!(text, "{user}@{}", flow.local),
        None => write!(text, "{}", flow.local),
    };
    // RFC 5630 3.1.3: sips says TLS by itself, and `tls` is no transport of it.
    if let Some(transport) = flow.transport.uri_parameter().filter(|transport| !sips || *transport != "tls") {
        let _ = write!(text, ";transport={transport}");
    }
    text.push('>');
    text.into()
}

/// The scheme our Contact must have in the answer to a request that makes a dialog (RFC 3261 12.1.1): that of the
/// Request-URI, and SIPS too where the next hop of the dialog is known by such a URI. Nothing of that comes without TLS.
pub(super) fn contact_scheme(request: &Request, flow: &Flow) -> Scheme {
    if !flow.transport.is_secure() {
        return Scheme::Sip;
    }
    let hop = request.record_routes().next().or_else(|| request.contacts().next());
    let hop = hop.and_then(Result::ok).map(|hop| hop.uri);
    let asked = [request.uri().ok(), hop];
    if asked.iter().flatten().any(|uri| uri.scheme() == Scheme::Sips) { Scheme::Sips } else { Scheme::Sip }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Transport;
    use crate::message::Message;

    fn shown(uri: &str, record_route: &str, contact: &str, transport: Transport) -> String {
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.2;branch=z9hG4bK1\r\n{record_route}Contact: <{contact}>\r\n\r\n"
        );
        let Ok(Message::Request(request)) = Message::parse(text.into()) else { panic!("{uri} does not parse") };
        let (local, remote) = (([192, 0, 2, 1], 5061).into(), ([192, 0, 2, 2], 5061).into());
        let flow = Flow { transport, ..Flow::udp(local, remote) };
        String::from_utf8(contact_value(Some("a"), &flow, contact_scheme(&request, &flow)).to_vec()).unwrap()
    }

    #[test]
    fn contact_is_sips_where_the_request_or_its_next_hop_is() {
        let (sip, sips) = ("<sip:a@192.0.2.1:5061;transport=tls>", "<sips:a@192.0.2.1:5061>");
        let over_tls = |uri, route, contact| shown(uri, route, contact, Transport::Tls);
        assert_eq!(over_tls("sip:a@x", "", "sip:b@x"), sip);
        assert_eq!(over_tls("sips:a@x", "", "sip:b@x"), sips);
        assert_eq!(over_tls("sip:a@x", "", "sips:b@x"), sips);
        assert_eq!(over_tls("sip:a@x", "Record-Route: <sips:p;lr>\r\n", "sip:b@x"), sips);
        assert_eq!(over_tls("sip:a@x", "Record-Route: <sip:p;lr>\r\n", "sips:b@x"), sip);
        assert_eq!(shown("sips:a@x", "", "sip:b@x", Transport::Wss), "<sips:a@192.0.2.1:5061;transport=ws>");
        assert_eq!(shown("sip:a@x", "", "sips:b@x", Transport::Udp), "<sip:a@192.0.2.1:5061>");
    }
}
