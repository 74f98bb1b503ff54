//! The one pass over the octets.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::headers::{Entry, Span};
use super::scan::{decimal, is_space, is_token, trim};
use super::{Defect, Headers, Message, Method, Name, ParseError, Request, Response};

/// Largest message, in octets: what one UDP datagram can hold.
pub(super) const MAX_MESSAGE: usize = 65_535;
/// Most header lines of one message.
const MAX_HEADERS: usize = 512;

pub(super) type Entries = SmallVec<[Entry; 32]>;

enum StartLine {
    Request { method: Method, uri: Span },
    Response { code: u16, reason: Span },
}

pub(super) fn parse(datagram: Bytes) -> Result<Message, ParseError> {
    if datagram.len() > MAX_MESSAGE {
        return Err(ParseError::TooLarge);
    }
    // RFC 3261 7.5: empty lines before the start line are ignored.
    let start = datagram.iter().position(|&b| b != b'\r' && b != b'\n').ok_or(ParseError::KeepAlive)?;
    let mut octets = datagram.slice(start..);

    let line_end = memchr::memchr(b'\n', &octets).ok_or(ParseError::Truncated)?;
    let mut defect = None;
    let start_line = parse_start_line(&octets, without_cr(&octets, line_end), &mut defect)?;

    let mut lines = HeaderLines { folds: SmallVec::new(), entries: Entries::new() };
    let body_start = lines.read(&octets, line_end + 1, &mut defect)?;
    if !lines.folds.is_empty() {
        octets = unfold(&octets, &lines.folds);
    }

    let (body, length_defect) = find_body(&octets, &lines.entries, body_start);
    let defect = defect.or(length_defect);
    octets.truncate(body.end as usize);
    let headers = Headers { octets, entries: lines.entries.as_slice().into() };
    Ok(match start_line {
        StartLine::Request { method, uri } => Message::Request(Request { method, uri, headers, body, defect }),
        StartLine::Response { code, reason } => Message::Response(Response { code, reason, headers, body, defect }),
    })
}

/// End of a line whose line feed is at `feed`.
fn without_cr(octets: &[u8], feed: usize) -> usize {
    if feed > 0 && octets[feed - 1] == b'\r' { feed - 1 } else { feed }
}

fn parse_start_line(octets: &Bytes, end: usize, defect: &mut Option<Defect>) -> Result<StartLine, ParseError> {
    let line = &octets[..end];
    if line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"SIP/") {
        return parse_status_line(line);
    }
    // The first and the last space part it, so that a request with blanks in its URI can still be answered.
    let stripped_end = line.iter().rposition(|&b| !is_space(b)).ok_or(ParseError::StartLine)? + 1;
    let line = &line[..stripped_end];
    let method_end = memchr::memchr(b' ', line).ok_or(ParseError::StartLine)?;
    let version_start = memchr::memrchr(b' ', line).ok_or(ParseError::StartLine)? + 1;
    let version = &line[version_start..];
    if version.len() < 4 || !version[..4].eq_ignore_ascii_case(b"SIP/") || version_start <= method_end + 1 {
        return Err(ParseError::StartLine);
    }
    if !version[4..].eq(b"2.0") {
        *defect = Some(Defect::Version);
    }
    let token = &line[..method_end];
    let uri = Span::new(method_end + 1, version_start - 1);
    let uri_octets = uri.of(line);
    if !is_token(token) || uri_octets.is_empty() || uri_octets.iter().any(|&b| is_space(b)) || stripped_end != end {
        defect.get_or_insert(Defect::RequestLine);
    }
    let method = Method::known(token).unwrap_or_else(|| Method::Other(octets.slice(..method_end)));
    Ok(StartLine::Request { method, uri })
}

/// `SIP/2.0 SP 3DIGIT SP reason`; the last space is missing with some senders that give no reason.
fn parse_status_line(line: &[u8]) -> Result<StartLine, ParseError> {
    let (version, rest) = line.split_at(line.len().min(8));
    if !version.eq_ignore_ascii_case(b"SIP/2.0 ") || rest.len() < 3 || rest.get(3).is_some_and(|&b| b != b' ') {
        return Err(ParseError::StatusLine);
    }
    match decimal(&rest[..3], 699) {
        Some(code) if code >= 100 => {
            let reason = Span::new(line.len().min(12), line.len());
            Ok(StartLine::Response { code: code as u16, reason })
        }
        _ => Err(ParseError::StatusLine),
    }
}

struct HeaderLines {
    /// Where a line end is only a fold (RFC 3261 7.3.1).
    folds: SmallVec<[Span; 4]>,
    entries: Entries,
}

impl HeaderLines {
    /// Reads from `at` to the empty line; returns where the body starts.
    fn read(&mut self, octets: &[u8], mut at: usize, defect: &mut Option<Defect>) -> Result<usize, ParseError> {
        loop {
            let mut feed = at + memchr::memchr(b'\n', &octets[at..]).ok_or(ParseError::Truncated)?;
            let mut end = without_cr(octets, feed);
            if end == at {
                return Ok(feed + 1);
            }
            while let Some(b' ' | b'\t') = octets.get(feed + 1) {
                self.folds.push(Span::new(end, feed + 1));
                feed = feed + 1 + memchr::memchr(b'\n', &octets[feed + 1..]).ok_or(ParseError::Truncated)?;
                end = without_cr(octets, feed);
                if self.folds.len() > MAX_HEADERS {
                    return Err(ParseError::TooLarge);
                }
            }
            if self.entries.len() == MAX_HEADERS {
                return Err(ParseError::TooLarge);
            }
            match entry(octets, at, end) {
                Some(entry) => self.entries.push(entry),
                None => {
                    defect.get_or_insert(Defect::HeaderLine);
                }
            }
            at = feed + 1;
        }
    }
}

fn entry(octets: &[u8], start: usize, end: usize) -> Option<Entry> {
    let line = &octets[start..end];
    let colon = memchr::memchr(b':', line)?;
    let mut name_end = colon;
    // A fold before the colon is not in the grammar, but reads like the space it stands for.
    while name_end > 0 && is_space(line[name_end - 1]) {
        name_end -= 1;
    }
    let name = &line[..name_end];
    let known = Name::parse(name);
    if known.is_none() && !is_token(name) {
        return None;
    }
    let mut value_start = colon + 1;
    while value_start < line.len() && is_space(line[value_start]) {
        value_start += 1;
    }
    let mut value_end = line.len();
    while value_end > value_start && is_space(line[value_end - 1]) {
        value_end -= 1;
    }
    Some(Entry {
        known,
        name: Span::new(start, start + name_end),
        value: Span::new(start + value_start, start + value_end),
    })
}

/// Line ends of folds become spaces, so that every value is one line. The length stays.
fn unfold(octets: &[u8], folds: &[Span]) -> Bytes {
    let mut flat = BytesMut::from(octets);
    for fold in folds {
        flat[fold.start as usize..fold.end as usize].fill(b' ');
    }
    flat.freeze()
}

fn find_body(octets: &[u8], entries: &[Entry], start: usize) -> (Span, Option<Defect>) {
    let all = Span::new(start, octets.len());
    let mut lengths = entries.iter().filter(|entry| entry.known == Some(Name::ContentLength));
    let Some(first) = lengths.next() else {
        return (all, None);
    };
    let value = trim(first.value.of(octets));
    // RFC 4475 3.3.9: two Content-Length values cannot both be right.
    if lengths.any(|other| trim(other.value.of(octets)) != value) {
        return (all, Some(Defect::ContentLength));
    }
    match decimal(value, u64::from(u32::MAX)) {
        Some(length) if length as usize <= octets.len() - start => (Span::new(start, start + length as usize), None),
        Some(_) => (all, Some(Defect::ShortBody)),
        None => (all, Some(Defect::ContentLength)),
    }
}
