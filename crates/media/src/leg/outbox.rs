//! What a leg wants done, packets as ranges of one buffer that is used again and again.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use crate::control::Event;
use crate::recorder::Recording;
use crate::relay::{Frame, FrameKind};
use crate::rtp::{self, HEADER_LEN};
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
    /// Send on the sockets that video has for itself.
    Video {
        to: SocketAddr,
        is_rtcp: bool,
        packet: &'a [u8],
    },
    /// Hand to the bridged leg.
    Relay(Frame<'a>),
    /// Write to a file.
    Recording(Recording),
    /// The next samples that the party says, to whoever taps the leg.
    Heard(Vec<i16>),
    Event(Event),
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    buffer: Vec<u8>,
    queue: VecDeque<Queued>,
    /// Of video, what was sent last.
    kept: VecDeque<Kept>,
}

/// Packets of video that may be asked for again: a second of 2.5 Mbit/s.
const KEPT: usize = 256;

/// A packet as it was sent: protected anew it would give away its key.
#[derive(Debug)]
struct Kept {
    ssrc: u32,
    sequence: u16,
    datagram: Vec<u8>,
}

#[derive(Debug)]
enum Queued {
    /// `keep`: it may be asked for again.
    Rtp {
        to: SocketAddr,
        range: Range<usize>,
        keep: bool,
    },
    Video {
        to: SocketAddr,
        is_rtcp: bool,
        range: Range<usize>,
        keep: bool,
    },
    Rtcp {
        to: SocketAddr,
        range: Range<usize>,
        mux: bool,
    },
    Connectivity {
        to: SocketAddr,
        range: Range<usize>,
    },
    Relay {
        header: rtp::Header,
        kind: FrameKind,
        range: Range<usize>,
    },
    Recording(Recording),
    Heard(Vec<i16>),
    Event(Event),
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn event(&mut self, event: Event) {
        self.queue.push_back(Queued::Event(event));
    }

    pub fn heard(&mut self, samples: Vec<i16>) {
        self.queue.push_back(Queued::Heard(samples));
    }

    pub fn recording(&mut self, recording: Recording) {
        self.queue.push_back(Queued::Recording(recording));
    }

    /// Queues an RTP packet and gives its payload of `len` octets to be filled.
    pub fn rtp(&mut self, to: SocketAddr, header: rtp::Header, len: usize) -> &mut [u8] {
        let range = self.write(header, len);
        let payload = range.start + HEADER_LEN..range.end;
        self.queue.push_back(Queued::Rtp { to, range, keep: false });
        &mut self.buffer[payload]
    }

    /// Queues a packet of video, for a socket of its own or for that of the audio.
    pub fn video(&mut self, to: SocketAddr, header: rtp::Header, own_socket: bool, payload: &[u8]) {
        let range = self.write(header, payload.len());
        self.buffer[range.start + HEADER_LEN..range.end].copy_from_slice(payload);
        self.queue.push_back(match own_socket {
            true => Queued::Video { to, is_rtcp: false, range, keep: true },
            false => Queued::Rtp { to, range, keep: true },
        });
    }

    /// Queues once more the packet of that source and number, as it was sent, where it is kept.
    pub fn again(&mut self, to: SocketAddr, own_socket: bool, ssrc: u32, sequence: u16) {
        self.make_room();
        let same = |kept: &&Kept| (kept.ssrc, kept.sequence) == (ssrc, sequence);
        let Some(kept) = self.kept.iter().rev().find(same) else { return };
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&kept.datagram);
        let range = start..self.buffer.len();
        self.queue.push_back(match own_socket {
            true => Queued::Video { to, is_rtcp: false, range, keep: false },
            // Protected already.
            false => Queued::Connectivity { to, range },
        });
    }

    fn keep(&mut self, range: Range<usize>) {
        let Ok(packet) = rtp::Packet::parse(&self.buffer[range.clone()]) else { return };
        let rtp::Header { ssrc, sequence, .. } = packet.header;
        let full = if self.kept.len() < KEPT { None } else { self.kept.pop_front() };
        let mut datagram = full.map_or_else(Vec::new, |kept| kept.datagram);
        datagram.clear();
        datagram.extend_from_slice(&self.buffer[range]);
        self.kept.push_back(Kept { ssrc, sequence, datagram });
    }

    /// Queues RTCP about video that has sockets of its own.
    pub fn video_report(&mut self, to: SocketAddr, compound: &[u8]) {
        self.make_room();
        let start = self.buffer.len();
        self.buffer.extend_from_slice(compound);
        self.queue.push_back(Queued::Video { to, is_rtcp: true, range: start..self.buffer.len(), keep: false });
    }

    /// A header, room for a payload, and behind it for what protects it.
    fn write(&mut self, header: rtp::Header, len: usize) -> Range<usize> {
        self.make_room();
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&header.octets());
        let end = self.buffer.len() + len;
        self.buffer.resize(end + MAX_TRAILER, 0);
        start..end
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
        if let Queued::Rtp { range, keep: true, .. } | Queued::Video { range, keep: true, .. } = &queued {
            self.keep(range.clone());
        }
        Some(match queued {
            Queued::Video { to, is_rtcp, range, .. } => Output::Video { to, is_rtcp, packet: &self.buffer[range] },
            Queued::Rtp { to, range, .. } => Output::Rtp { to, packet: &self.buffer[range] },
            Queued::Rtcp { to, range, mux: true } => Output::Rtp { to, packet: &self.buffer[range] },
            Queued::Connectivity { to, range } => Output::Connectivity { to, packet: &self.buffer[range] },
            Queued::Rtcp { to, range, mux: false } => Output::Rtcp { to, packet: &self.buffer[range] },
            Queued::Event(event) => Output::Event(event),
            Queued::Heard(samples) => Output::Heard(samples),
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
