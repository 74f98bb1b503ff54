//! As much SIP as it takes to set up calls on loopback: text in, text out.

use std::fmt::Write as _;
use std::net::SocketAddrV4;

/// A message by its lines.
pub struct Message<'a> {
    pub first: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    pub body: &'a str,
}

impl<'a> Message<'a> {
    pub fn parse(text: &'a str) -> Option<Message<'a>> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?;
        let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim()));
        Some(Message { first, headers: headers.collect(), body })
    }

    pub fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    pub fn one(&self, name: &str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }

    /// Of a response.
    pub fn status(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    pub fn method(&self) -> &'a str {
        self.first.split(' ').next().unwrap_or_default()
    }

    /// The URI of the contact.
    fn contact(&self) -> &'a str {
        let contact = self.one("Contact");
        match contact.split_once('<') {
            Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
            None => contact,
        }
    }

    /// A response to this request, `body` an answer.
    pub fn answer(&self, status: &str, own: SocketAddrV4, body: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in self.all(name) {
                let tag = if name == "To" && !value.contains(";tag=") { ";tag=callee" } else { "" };
                let _ = write!(text, "{name}: {value}{tag}\r\n");
            }
        }
        let _ = write!(text, "Contact: <sip:load@{own}>\r\n");
        with_body(text, body)
    }
}

/// What a caller knows of its call.
pub struct Dialog {
    pub call_id: String,
    own: SocketAddrV4,
    server: SocketAddrV4,
    /// The request URI at first, then the other side's contact.
    target: String,
    to: String,
    routes: Vec<String>,
}

impl Dialog {
    pub fn new(call_id: String, own: SocketAddrV4, server: SocketAddrV4, number: &str) -> Dialog {
        let target = format!("sip:{number}@{server}");
        Dialog { call_id, own, server, to: format!("<{target}>"), target, routes: Vec::new() }
    }

    /// Takes what an answer tells.
    pub fn answered(&mut self, answer: &Message<'_>) {
        self.to = answer.one("To").into();
        self.target = answer.contact().into();
        self.routes = answer.all("Record-Route").rev().map(str::to_owned).collect();
    }

    pub fn own(&self) -> SocketAddrV4 {
        self.own
    }

    pub fn request(&self, method: &str, sequence: u32, body: &str) -> String {
        let Dialog { call_id, own, to, target, server, .. } = self;
        let mut text = format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {own};branch=z9hG4bK{call_id}{method}{sequence};rport\r\n\
             From: <sip:load@{server}>;tag={call_id}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {sequence} {method}\r\nMax-Forwards: 70\r\nContact: <sip:load@{own}>\r\n"
        );
        for route in &self.routes {
            let _ = write!(text, "Route: {route}\r\n");
        }
        with_body(text, body)
    }
}

fn with_body(mut text: String, body: &str) -> String {
    if !body.is_empty() {
        text.push_str("Content-Type: application/sdp\r\n");
    }
    let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
    text
}
