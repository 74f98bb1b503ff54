//! What a leg wants done, packets as ranges of one buffer that is used again and again.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use crate::control::Event;
use crate::recorder::Recording;
use crate::relay::{Frame, FrameKind};
use crate::rtp;
use crate::srtp::{MAX_TRAILER, SrtpError};
use crate::transport::Transport;

/// What is to be done.
#[derive(Debug)]
pub enum Output<'a> {
    /// Send on the RTP socket.
    Rtp {
        to: SocketAddr,
        packet: &'a [u8],
    },
    /// Send on the RTP socket: a message of ICE or DTLS.
    Connectivity {
        to: SocketAddr,
        packet: &'a [u8],
    },
    /// Send on the RTCP socket.
    Rtcp {
        to: SocketAddr,
        packet: &'a [u8],
    },
    /// Hand to the bridged leg.
    Relay(Frame<'a>),
    /// Write to a file.
    Recording(Recording),
    Event(Event),
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    buffer: Vec<u8>,
    queue: VecDeque<Queued>,
}

#[derive(Debug)]
enum Queued {
    Rtp { to: SocketAddr, range: Range<usize> },
    Rtcp { to: SocketAddr, range: Range<usize>, mux: bool },
    Connectivity { to: SocketAddr, range: Range<usize> },
    Relay { header: rtp::Header, kind: FrameKind, range: Range<usize> },
    Recording(Recording),
    Event(Event),
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn event(&mut self, event: Event) {
        self.queue.push_back(Queued::Event(event));
    }

    pub fn recording(&mut self, recording: Recording) {
        self.queue.push_back(Queued::Recording(recording));
    }

    /// Queues an RTP packet and gives its payload of `len` octets to be filled.
    pub fn rtp(&mut self, to: SocketAddr, header: rtp::Header, len: usize) -> &mut [u8] {
        self.make_room();
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&header.octets());
        let payload = self.buffer.len();
        // Room for what protects it.
        self.buffer.resize(payload + len + MAX_TRAILER, 0);
        self.queue.push_back(Queued::Rtp { to, range: start..payload + len });
        &mut self.buffer[payload..payload + len]
    }

    /// Queues a message of ICE or DTLS.
    pub fn connectivity(&mut self, to: SocketAddr, packet: &[u8]) {
        self.make_room();
        let start = self.buffer.len();
        self.buffer.extend_from_slice(packet);
        let range = start..self.buffer.len();
        self.queue.push_back(Queued::Connectivity { to, range });
    }

    /// Queues an RTCP compound that `write` appends; with `mux` for the RTP socket.
    pub fn rtcp(&mut self, to: SocketAddr, mux: bool, write: impl FnOnce(&mut Vec<u8>)) {
        self.make_room();
        let start = self.buffer.len();
        write(&mut self.buffer);
        let range = start..self.buffer.len();
        self.buffer.resize(range.end + MAX_TRAILER, 0);
        self.queue.push_back(Queued::Rtcp { to, range, mux });
    }

    pub fn relay(&mut self, header: rtp::Header, kind: FrameKind, payload: &[u8]) {
        self.make_room();
        let start = self.buffer.len();
        self.buffer.extend_from_slice(payload);
        let range = start..self.buffer.len();
        self.queue.push_back(Queued::Relay { header, kind, range });
    }

    /// The next, its packet protected. One that cannot be is not sent.
    pub fn pop(&mut self, transport: &mut Transport) -> Option<Output<'_>> {
        let queued = loop {
            let mut queued = self.queue.pop_front()?;
            let protected = match &mut queued {
                Queued::Rtp { range, .. } => {
                    protect(&mut self.buffer, range, |buffer, length| transport.protect_rtp(buffer, length))
                }
                Queued::Rtcp { range, .. } => {
                    protect(&mut self.buffer, range, |buffer, length| transport.protect_rtcp(buffer, length))
                }
                _ => Ok(()),
            };
            if protected.is_ok() {
                break queued;
            }
        };
        Some(match queued {
            Queued::Rtp { to, range } => Output::Rtp { to, packet: &self.buffer[range] },
            Queued::Rtcp { to, range, mux: true } => Output::Rtp { to, packet: &self.buffer[range] },
            Queued::Connectivity { to, range } => Output::Connectivity { to, packet: &self.buffer[range] },
            Queued::Rtcp { to, range, mux: false } => Output::Rtcp { to, packet: &self.buffer[range] },
            Queued::Event(event) => Output::Event(event),
            Queued::Recording(recording) => Output::Recording(recording),
            Queued::Relay { header, kind, range } => Output::Relay(Frame {
                ssrc: header.ssrc,
                sequence: header.sequence,
                timestamp: header.timestamp,
                marker: header.marker,
                kind,
                payload: &self.buffer[range],
            }),
        })
    }

    /// Everything was taken: the buffer is free again.
    fn make_room(&mut self) {
        if self.queue.is_empty() {
            self.buffer.clear();
        }
    }
}

/// Protects a packet in place; `range` is then longer by its trailer.
fn protect(
    buffer: &mut [u8],
    range: &mut Range<usize>,
    protect: impl FnOnce(&mut [u8], usize) -> Result<usize, SrtpError>,
) -> Result<(), SrtpError> {
    let length = protect(&mut buffer[range.start..range.end + MAX_TRAILER], range.len())?;
    range.end = range.start + length;
    Ok(())
}
