//! The second layer: what a request that could be read does wrong, and the answer it gets for it.

use super::headers::address_params;
use super::scan::{Values, decimal, find_outside, trim};
use super::{Defect, HeaderError, Headers, Method, Name, Params, Request, Response, ResponseBuilder};
use crate::uri::{NameAddr, Scheme, Uri};

/// Methods the stack gives a meaning to.
pub const SUPPORTED_METHODS: &[Method] = &[
    Method::Invite,
    Method::Ack,
    Method::Bye,
    Method::Cancel,
    Method::Register,
    Method::Options,
    Method::Info,
    Method::Update,
    Method::Prack,
    Method::Message,
    Method::Subscribe,
    Method::Notify,
    Method::Refer,
    Method::Publish,
];

/// How a request is to be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: u16,
    pub reason: &'static str,
    /// Headers the answer must carry: Unsupported with 420, Accept with 415, Allow with 405.
    pub headers: Vec<(Name, String)>,
}

impl Refusal {
    pub fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason, headers: Vec::new() }
    }

    fn with(mut self, name: Name, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The response to start from: status, reason and the headers it must carry.
    pub fn reply(&self, request: &Request) -> ResponseBuilder {
        let mut reply = ResponseBuilder::reply(request, self.code).reason(self.reason);
        for (name, value) in &self.headers {
            reply = reply.header(*name, value);
        }
        reply
    }
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        let missing = matches!(error, HeaderError::Missing(_));
        Self::new(
            400,
            match (error.name(), missing) {
                (Name::Via, true) => "Missing Via header",
                (Name::From, true) => "Missing From header",
                (Name::To, true) => "Missing To header",
                (Name::CallId, true) => "Missing Call-ID header",
                (Name::CSeq, true) => "Missing CSeq header",
                (Name::Contact, true) => "Missing Contact header",
                (Name::Via, false) => "Malformed Via header",
                (Name::From, false) => "Malformed From header",
                (Name::To, false) => "Malformed To header",
                (Name::CallId, false) => "Malformed Call-ID header",
                (Name::CSeq, false) => "Malformed CSeq header",
                (Name::Contact, false) => "Malformed Contact header",
                (Name::MaxForwards, false) => "Malformed Max-Forwards header",
                (Name::Expires, false) => "Malformed Expires header",
                (Name::Route, false) => "Malformed Route header",
                (Name::RecordRoute, false) => "Malformed Record-Route header",
                (Name::Date, false) => "Malformed Date header",
                (_, true) => "Missing header",
                (_, false) => "Malformed header",
            },
        )
    }
}

/// What the one who asks understands.
#[derive(Debug, Clone, Copy)]
pub struct Support<'a> {
    /// Others get 405 when the stack knows them, 501 when it does not.
    pub methods: &'a [Method],
    /// Option tags for Require (RFC 3261 20.32).
    pub extensions: &'a [&'a str],
    /// Content types of INVITE bodies; empty takes any.
    pub content: &'a [&'a str],
}

impl Default for Support<'_> {
    fn default() -> Self {
        Self {
            methods: SUPPORTED_METHODS,
            extensions: &["path", "gruu", "outbound", "replaces", "100rel"],
            content: &["application/sdp", "multipart/mixed", "multipart/alternative", "multipart/signed"],
        }
    }
}

/// [`validate_with`] the stack's own support.
pub fn validate(request: &Request) -> Result<(), Refusal> {
    validate_with(request, &Support::default())
}

/// Checks a request as RFC 3261 8.2 orders: form, version, method, URI, mandatory headers, extensions, content.
/// ACK is checked too, but is never answered.
pub fn validate_with(request: &Request, support: &Support<'_>) -> Result<(), Refusal> {
    check_form(request)?;
    check_headers(request)?;
    check_method(request, support.methods)?;
    check_uri(request)?;
    check_extensions(request, support.extensions)?;
    check_content(request, support.content)
}

impl Response {
    /// Whether a response is one that can be given to a transaction (RFC 3261 8.1.3); others are discarded.
    pub fn is_sound(&self) -> bool {
        self.defect().is_none()
            && self.via().is_ok_and(|via| via.is_current())
            && self.cseq().is_ok()
            && check_address(self.headers(), Name::From).is_ok()
            && check_address(self.headers(), Name::To).is_ok()
            && self.call_id().is_some_and(|id| !id.is_empty())
    }
}

fn check_form(request: &Request) -> Result<(), Refusal> {
    Err(match request.defect() {
        None => return Ok(()),
        Some(Defect::Version) => Refusal::new(505, "Version Not Supported"),
        Some(Defect::RequestLine) => Refusal::new(400, "Malformed request line"),
        Some(Defect::HeaderLine) => Refusal::new(400, "Malformed header line"),
        Some(Defect::ContentLength) => Refusal::new(400, "Malformed Content-Length"),
        Some(Defect::ShortBody) => Refusal::new(400, "Body shorter than Content-Length"),
    })
}

fn check_headers(request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    // RFC 3261 7.3.1: these may stand only once (RFC 4475 3.3.8).
    for name in [Name::CallId, Name::CSeq, Name::From, Name::To, Name::MaxForwards] {
        if headers.get_all(name).nth(1).is_some() {
            return Err(Refusal::new(400, "Header field repeated that may stand only once"));
        }
    }
    let mut vias = 0;
    for via in headers.vias() {
        if !via?.is_current() {
            return Err(HeaderError::Malformed(Name::Via).into());
        }
        vias += 1;
    }
    if vias == 0 {
        return Err(HeaderError::Missing(Name::Via).into());
    }
    check_address(headers, Name::From)?;
    let to = check_address(headers, Name::To)?;
    // RFC 3261 10.2: the address of record is a SIP or SIPS URI.
    if *request.method() == Method::Register && !matches!(to, Scheme::Sip | Scheme::Sips) {
        return Err(HeaderError::Malformed(Name::To).into());
    }
    if headers.call_id().ok_or(HeaderError::Missing(Name::CallId))?.is_empty() {
        return Err(HeaderError::Malformed(Name::CallId).into());
    }
    let cseq = headers.cseq()?;
    if cseq.method != *request.method() {
        return Err(Refusal::new(400, "CSeq method does not match request method"));
    }
    headers.max_forwards()?;
    headers.expires()?;
    for name in [Name::Route, Name::RecordRoute] {
        for value in headers.values(name) {
            NameAddr::check(value).map_err(|_| HeaderError::Malformed(name))?;
        }
    }
    check_contacts(request)?;
    match headers.get(Name::Date) {
        Some(date) if !is_sip_date(date) => Err(HeaderError::Malformed(Name::Date).into()),
        _ => Ok(()),
    }
}

fn check_address(headers: &Headers, name: Name) -> Result<Scheme, HeaderError> {
    let value = headers.get(name).ok_or(HeaderError::Missing(name))?;
    NameAddr::check(value).map_err(|_| HeaderError::Malformed(name))
}

fn check_contacts(request: &Request) -> Result<(), Refusal> {
    let headers = request.headers();
    if *request.method() == Method::Register && headers.contact_star() {
        return Ok(());
    }
    let mut any = false;
    for contact in headers.values(Name::Contact) {
        NameAddr::check(contact).map_err(|_| HeaderError::Malformed(Name::Contact))?;
        any = true;
        let expires = Params::new(address_params(contact)).get("expires");
        if *request.method() == Method::Register
            && expires.is_some_and(|seconds| decimal(seconds, u64::from(u32::MAX)).is_none())
        {
            return Err(HeaderError::Malformed(Name::Contact).into());
        }
    }
    // RFC 2543 clients, known by their branch, may leave it out (RFC 4475 3.4.1).
    let new = headers.via()?.branch().is_some_and(|branch| branch.starts_with(b"z9hG4bK"));
    if *request.method() == Method::Invite && new && !any {
        return Err(HeaderError::Missing(Name::Contact).into());
    }
    Ok(())
}

fn check_method(request: &Request, methods: &[Method]) -> Result<(), Refusal> {
    if methods.contains(request.method()) {
        return Ok(());
    }
    let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let refusal = match request.method() {
        Method::Other(_) => Refusal::new(501, "Not Implemented"),
        _ => Refusal::new(405, "Method Not Allowed"),
    };
    Err(refusal.with(Name::Allow, allow))
}

fn check_uri(request: &Request) -> Result<(), Refusal> {
    let uri = request.uri_bytes();
    let scheme = Uri::check(uri).map_err(|_| Refusal::new(400, "Malformed Request-URI"))?;
    if scheme == Scheme::Other {
        return Err(Refusal::new(416, "Unsupported URI Scheme"));
    }
    // RFC 3261 19.1.1, table 1: no headers in a Request-URI.
    if memchr::memchr(b'?', uri).is_some() && Uri::parse(uri).is_ok_and(|uri| uri.headers().is_some()) {
        return Err(Refusal::new(400, "Headers in Request-URI"));
    }
    Ok(())
}

fn check_extensions(request: &Request, known: &[&str]) -> Result<(), Refusal> {
    // RFC 3261 8.2.2.3: Require is ignored in CANCEL and ACK.
    if matches!(request.method(), Method::Ack | Method::Cancel) {
        return Ok(());
    }
    let unsupported: Vec<_> = [Name::Require, Name::ProxyRequire]
        .into_iter()
        .flat_map(|name| request.headers().get_all(name))
        .flat_map(Values::new)
        .filter(|tag| !known.iter().any(|known| tag.eq_ignore_ascii_case(known.as_bytes())))
        .map(String::from_utf8_lossy)
        .collect();
    if unsupported.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(420, "Bad Extension").with(Name::Unsupported, unsupported.join(", ")))
}

fn check_content(request: &Request, known: &[&str]) -> Result<(), Refusal> {
    let headers = request.headers();
    if *request.method() != Method::Invite || known.is_empty() {
        return Ok(());
    }
    if !request.body().is_empty() {
        if let Some(encoding) = headers.get(Name::ContentEncoding)
            && !encoding.eq_ignore_ascii_case(b"identity")
        {
            return Err(Refusal::new(415, "Unsupported Media Type").with(Name::AcceptEncoding, "identity".to_owned()));
        }
        let content = headers.content_type().unwrap_or("application/sdp");
        // RFC 3261 20.11: a body that says it is optional may be passed over.
        let optional =
            headers.get(Name::ContentDisposition).is_some_and(|d| contains_ignore_case(d, b"handling=optional"));
        if !optional && !known.iter().any(|known| content.eq_ignore_ascii_case(known)) {
            return Err(Refusal::new(415, "Unsupported Media Type").with(Name::Accept, known.join(", ")));
        }
    }
    // RFC 3261 20.1: whoever takes no SDP cannot be answered.
    let mut accepts = headers.values(Name::Accept).peekable();
    if accepts.peek().is_some() && !accepts.any(accepts_sdp) {
        return Err(Refusal::new(406, "Not Acceptable"));
    }
    Ok(())
}

fn accepts_sdp(range: &[u8]) -> bool {
    let end = find_outside(range, b';').unwrap_or(range.len());
    let range = trim(&range[..end]);
    [&b"application/sdp"[..], b"application/*", b"*/*"].iter().any(|wanted| range.eq_ignore_ascii_case(wanted))
}

fn contains_ignore_case(octets: &[u8], wanted: &[u8]) -> bool {
    octets.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted))
}

/// RFC 3261 25.1 SIP-date: an RFC 1123 date in GMT.
fn is_sip_date(date: &[u8]) -> bool {
    date.len() == 29 && date.ends_with(b" GMT") && date[3..5] == *b", "
}
