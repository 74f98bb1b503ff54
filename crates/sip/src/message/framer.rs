//! Messages out of a byte stream (RFC 3261 18.3, RFC 5626 3.5.1).

use bytes::{Buf, Bytes, BytesMut};

use super::Name;
use super::scan::{decimal, trim};

/// What a stream carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole message.
    Message(Bytes),
    /// CRLFCRLF between messages: to be answered with CRLF.
    KeepAlive,
}

/// The stream cannot be followed any further; the connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("message longer than the limit")]
    TooLarge,
    /// RFC 3261 18.3: Content-Length must be there on streams, and be a number.
    #[error("missing, repeated or malformed Content-Length")]
    ContentLength,
}

/// Cuts a stream into messages. Holds at most the limit plus what one `push` added.
#[derive(Debug)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// Octets already searched for the end of the headers.
    searched: usize,
    /// Whole length of the message that starts the buffer, once its headers are complete.
    length: Option<usize>,
    limit: usize,
    failed: Option<FrameError>,
}

impl StreamFramer {
    /// `limit`: longest message taken, in octets; at most 65,535.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            length: None,
            limit: limit.min(super::parse::MAX_MESSAGE),
            failed: None,
        }
    }

    pub fn push(&mut self, octets: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(octets);
        }
    }

    /// The next whole frame; `None` until more octets come. After an error only that error.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Result<Frame, FrameError>> {
        if let Some(error) = self.failed {
            return Some(Err(error));
        }
        match self.cut() {
            Ok(frame) => frame.map(Ok),
            Err(error) => {
                self.failed = Some(error);
                self.buffer = BytesMut::new();
                Some(Err(error))
            }
        }
    }

    /// Octets held that are no whole message yet.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.length.is_none() {
            if self.searched == 0 {
                if self.buffer.starts_with(b"\r\n\r\n") {
                    self.buffer.advance(4);
                    return Ok(Some(Frame::KeepAlive));
                }
                // A lone CRLF is the answer to our own keep-alive, unless its other half is still to come.
                while self.buffer.starts_with(b"\r\n") && !matches!(self.buffer.get(2), None | Some(b'\r')) {
                    self.buffer.advance(2);
                }
                if matches!(&self.buffer[..], b"" | b"\r" | b"\r\n" | b"\r\n\r") {
                    return Ok(None);
                }
            }
            let Some(body) = self.headers_end() else {
                return if self.buffer.len() > self.limit { Err(FrameError::TooLarge) } else { Ok(None) };
            };
            let content = content_length(&self.buffer[..body])?;
            let length =
                body.checked_add(content).filter(|length| *length <= self.limit).ok_or(FrameError::TooLarge)?;
            self.length = Some(length);
        }
        match self.length {
            Some(length) if self.buffer.len() >= length => {
                self.length = None;
                self.searched = 0;
                Ok(Some(Frame::Message(self.buffer.split_to(length).freeze())))
            }
            _ => Ok(None),
        }
    }

    /// Place after the empty line. Remembers how far it looked, so that octets dripping in cost linear time.
    fn headers_end(&mut self) -> Option<usize> {
        while let Some(feed) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
            let after = self.searched + feed + 1;
            match &self.buffer[after..] {
                [b'\n', ..] => return Some(after + 1),
                [b'\r', b'\n', ..] => return Some(after + 2),
                [] | [b'\r'] => return None,
                _ => self.searched = after,
            }
        }
        self.searched = self.buffer.len();
        None
    }
}

fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut found = None;
    let mut lines = head.split(|&b| b == b'\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        if matches!(line[0], b' ' | b'\t') || Name::parse(trim(&line[..colon])) != Some(Name::ContentLength) {
            continue;
        }
        let mut value = trim(&line[colon + 1..]);
        // A folded value stands on the next line.
        while let Some([b' ' | b'\t', rest @ ..]) = lines.peek()
            && value.is_empty()
        {
            value = trim(rest);
            lines.next();
        }
        let length = decimal(value, u64::from(u32::MAX)).ok_or(FrameError::ContentLength)?;
        if found.is_some_and(|other| other != length) {
            return Err(FrameError::ContentLength);
        }
        found = Some(length);
    }
    found.map(|length| length as usize).ok_or(FrameError::ContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nl: 4\r\n\r\nbody";

    #[test]
    fn messages_and_keep_alives_come_out_whatever_the_cuts() {
        let mut stream = Vec::new();
        stream.extend_from_slice(b"\r\n");
        stream.extend_from_slice(PING);
        stream.extend_from_slice(b"\r\n\r\n");
        stream.extend_from_slice(PING);
        for size in 1..stream.len() {
            let mut framer = StreamFramer::new(1000);
            let mut frames = Vec::new();
            for chunk in stream.chunks(size) {
                framer.push(chunk);
                while let Some(frame) = framer.next() {
                    frames.push(frame.unwrap());
                }
            }
            let ping = Frame::Message(Bytes::from_static(PING));
            assert_eq!(frames, [ping.clone(), Frame::KeepAlive, ping], "chunks of {size}");
            assert_eq!(framer.pending(), 0);
        }
    }

    #[test]
    fn a_stream_without_content_length_fails_and_stays_failed() {
        let mut framer = StreamFramer::new(1000);
        framer.push(b"OPTIONS sip:a SIP/2.0\r\n\r\n");
        assert_eq!(framer.next(), Some(Err(FrameError::ContentLength)));
        framer.push(PING);
        assert_eq!(framer.next(), Some(Err(FrameError::ContentLength)));
        assert_eq!(framer.pending(), 0);
    }

    #[test]
    fn the_limit_holds_for_headers_and_bodies() {
        let mut framer = StreamFramer::new(100);
        framer.push(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 100\r\n\r\n");
        assert_eq!(framer.next(), Some(Err(FrameError::TooLarge)));
        let mut framer = StreamFramer::new(100);
        framer.push(&[b'x'; 101]);
        assert_eq!(framer.next(), Some(Err(FrameError::TooLarge)));
    }

    #[test]
    fn two_lengths_that_differ_are_refused() {
        let mut framer = StreamFramer::new(100);
        framer.push(b"OPTIONS sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\nab");
        assert_eq!(framer.next(), Some(Err(FrameError::ContentLength)));
    }
}
