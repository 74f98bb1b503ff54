//! Building messages: octets are written once, in wire form, and the places of the headers noted on the way.

use std::fmt::{self, Write};
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};

use super::headers::{Entry, Span};
use super::parse::Entries;
use super::scan::is_token;
use super::{Headers, Method, Name, Request, Response, Via, reason_phrase};

/// Header lines written so far.
struct Lines {
    octets: BytesMut,
    entries: Entries,
    content: Option<(String, Bytes)>,
}

impl Lines {
    fn new() -> Self {
        Self { octets: BytesMut::with_capacity(1024), entries: Entries::new(), content: None }
    }

    fn header(&mut self, known: Option<Name>, name: &[u8], value: &[u8]) {
        let name_span = self.begin(name);
        let start = self.octets.len();
        put_value(&mut self.octets, value);
        self.end(known, name_span, start);
    }

    fn begin(&mut self, name: &[u8]) -> Span {
        let start = self.octets.len();
        self.octets.put_slice(name);
        let span = Span::new(start, self.octets.len());
        self.octets.put_slice(b": ");
        span
    }

    fn end(&mut self, known: Option<Name>, name: Span, start: usize) {
        let value = Span::new(start, self.octets.len());
        self.octets.put_slice(b"\r\n");
        self.entries.push(Entry { known, name, value });
    }

    fn header_with(&mut self, name: Name, write: impl FnOnce(&mut OneLine<'_>) -> fmt::Result) {
        let span = self.begin(name.as_str().as_bytes());
        let start = self.octets.len();
        // Writing to a buffer in memory cannot fail.
        let _ = write(&mut OneLine(&mut self.octets));
        self.end(Some(name), span, start);
    }

    fn copy(&mut self, from: &Headers, name: Name) {
        for value in from.get_all(name) {
            self.header(Some(name), name.as_str().as_bytes(), value);
        }
    }

    fn finish(mut self) -> (Headers, Span) {
        let body = match self.content.take() {
            Some((content_type, body)) => {
                self.header(Some(Name::ContentType), b"Content-Type", content_type.as_bytes());
                body
            }
            None => Bytes::new(),
        };
        self.header_with(Name::ContentLength, |line| write!(line, "{}", body.len()));
        self.octets.put_slice(b"\r\n");
        let start = self.octets.len();
        self.octets.put_slice(&body);
        let body = Span::new(start, self.octets.len());
        (Headers { octets: self.octets.freeze(), entries: self.entries.as_slice().into() }, body)
    }
}

/// Line ends inside a value would let whoever gave it write headers of their own: they become spaces.
fn put_value(octets: &mut BytesMut, value: &[u8]) {
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        octets.put_slice(value);
    } else {
        octets.extend(value.iter().map(|&b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }));
    }
}

struct OneLine<'a>(&'a mut BytesMut);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        put_value(self.0, text.as_bytes());
        Ok(())
    }
}

macro_rules! header_methods {
    () => {
        /// Adds a header field. Line ends in the value become spaces.
        pub fn header(mut self, name: Name, value: impl AsRef<[u8]>) -> Self {
            self.lines.header(Some(name), name.as_str().as_bytes(), value.as_ref());
            self
        }

        /// Adds a header field, formatted straight into the message.
        pub fn header_display(mut self, name: Name, value: impl fmt::Display) -> Self {
            self.lines.header_with(name, |line| write!(line, "{value}"));
            self
        }

        /// Adds a header field of any name. A name that is no token is left out.
        pub fn header_named(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
            if is_token(name.as_bytes()) {
                self.lines.header(Name::parse(name.as_bytes()), name.as_bytes(), value.as_ref());
            }
            self
        }

        /// Adds all header fields of that name of another message.
        pub fn copy(mut self, from: &Headers, name: Name) -> Self {
            self.lines.copy(from, name);
            self
        }

        /// Sets the body and its Content-Type; the last call counts. Content-Length is written in any case.
        pub fn body(mut self, content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
            self.lines.content = Some((content_type.into(), body.into()));
            self
        }
    };
}

/// Builds a request. Headers come in the order they are added, Content-Type and Content-Length last.
pub struct RequestBuilder {
    method: Method,
    uri: Span,
    lines: Lines,
}

impl RequestBuilder {
    pub fn new(method: Method, uri: impl fmt::Display) -> Self {
        let mut lines = Lines::new();
        lines.octets.put_slice(method.as_bytes());
        lines.octets.put_u8(b' ');
        let start = lines.octets.len();
        let _ = write!(OneLine(&mut lines.octets), "{uri}");
        let uri = Span::new(start, lines.octets.len());
        lines.octets.put_slice(b" SIP/2.0\r\n");
        Self { method, uri, lines }
    }

    header_methods!();

    pub fn build(self) -> Request {
        let (headers, body) = self.lines.finish();
        Request { method: self.method, uri: self.uri, headers, body, defect: None }
    }
}

/// Builds a response to a request.
pub struct ResponseBuilder {
    code: u16,
    reason: Option<String>,
    to_tag: Option<String>,
    received: Option<SocketAddr>,
    record_route: bool,
    request: Headers,
    lines: Lines,
}

impl ResponseBuilder {
    /// A response with Via, From, To, Call-ID and CSeq of the request (RFC 3261 8.2.6), Timestamp too for 100.
    pub fn reply(request: &Request, code: u16) -> Self {
        Self {
            code: code.clamp(100, 699),
            reason: None,
            to_tag: None,
            received: None,
            record_route: false,
            request: request.headers().clone(),
            lines: Lines::new(),
        }
    }

    /// Another reason phrase than the usual one.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The tag To gets when the request's To has none.
    pub fn to_tag(mut self, tag: impl AsRef<[u8]>) -> Self {
        self.to_tag = Some(String::from_utf8_lossy(tag.as_ref()).into_owned());
        self
    }

    /// Where the request came from: fills `received` and `rport` of the topmost Via (RFC 3261 18.2.1, RFC 3581 4).
    pub fn received(mut self, from: SocketAddr) -> Self {
        self.received = Some(from);
        self
    }

    /// Copies Record-Route, as responses that make a dialog must (RFC 3261 12.1.1).
    pub fn record_route(mut self) -> Self {
        self.record_route = true;
        self
    }

    header_methods!();

    pub fn build(self) -> Response {
        let request = &self.request;
        let mut lines = Lines::new();
        let _ = write!(OneLine(&mut lines.octets), "SIP/2.0 {} ", self.code);
        let start = lines.octets.len();
        let reason = self.reason.as_deref().unwrap_or_else(|| reason_phrase(self.code));
        put_value(&mut lines.octets, reason.as_bytes());
        let reason = Span::new(start, lines.octets.len());
        lines.octets.put_slice(b"\r\n");

        let mut top = self.received;
        for value in request.values(Name::Via) {
            match (top.take(), Via::parse(value)) {
                (Some(from), Ok(via)) => lines.header_with(Name::Via, |line| write_received(line, via, from)),
                _ => lines.header(Some(Name::Via), b"Via", value),
            }
        }
        if self.record_route {
            lines.copy(request, Name::RecordRoute);
        }
        if let Some(from) = request.get(Name::From) {
            lines.header(Some(Name::From), b"From", from);
        }
        if let Some(to) = request.get(Name::To) {
            let span = lines.begin(b"To");
            let start = lines.octets.len();
            lines.octets.put_slice(to);
            if let Some(tag) = self.to_tag.as_deref().filter(|_| request.to_tag().is_none()) {
                lines.octets.put_slice(b";tag=");
                put_value(&mut lines.octets, tag.as_bytes());
            }
            lines.end(Some(Name::To), span, start);
        }
        if let Some(call_id) = request.call_id() {
            lines.header(Some(Name::CallId), b"Call-ID", call_id);
        }
        if let Some(cseq) = request.get(Name::CSeq) {
            lines.header(Some(Name::CSeq), b"CSeq", cseq);
        }
        if self.code == 100 {
            lines.copy(request, Name::Timestamp);
        }
        for entry in &self.lines.entries {
            let (name, value) = (entry.name.of(&self.lines.octets), entry.value.of(&self.lines.octets));
            lines.header(entry.known, name, value);
        }
        lines.content = self.lines.content;
        let (headers, body) = lines.finish();
        Response { code: self.code, reason, headers, body, defect: None }
    }
}

fn write_received(line: &mut OneLine<'_>, via: Via<'_>, from: SocketAddr) -> fmt::Result {
    write!(line, "SIP/{}/{} {}", via.version, via.transport, via.host)?;
    if let Some(port) = via.port {
        write!(line, ":{port}")?;
    }
    let asked = via.rport().is_some();
    for (name, value) in via.params.iter() {
        if name.eq_ignore_ascii_case(b"received") || name.eq_ignore_ascii_case(b"rport") {
            continue;
        }
        line.write_char(';')?;
        put_value(line.0, name);
        if let Some(value) = value {
            line.write_char('=')?;
            put_value(line.0, value);
        }
    }
    // RFC 3581 4: whoever asks for rport gets received too, even when it is the address of the Via.
    if asked || via.host_ip() != Some(from.ip()) {
        write!(line, ";received={}", from.ip())?;
    }
    if asked {
        write!(line, ";rport={}", from.port())?;
    }
    Ok(())
}
