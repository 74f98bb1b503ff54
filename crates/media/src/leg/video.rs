//! Video of a leg: passed on to the bridged leg and back as it comes, with its numbers and its source, and the reports
//! about it too. Nothing of it is looked into.

use std::net::SocketAddr;

use super::{Leg, Route};
use crate::control::VideoParams;
use crate::relay::{Frame, FrameKind};
use crate::rtcp;
use crate::rtp::{self, Packet};

/// Packets sent again for one report.
const MAX_AGAIN: usize = 64;

pub(super) struct Video {
    params: VideoParams,
    /// Where it comes from, where it has ports of its own.
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    /// Who sends it.
    source: Option<u32>,
}

impl Video {
    pub fn new(params: VideoParams) -> Video {
        Video { params, rtp: None, rtcp: None, source: None }
    }

    /// Goes on with other parameters.
    pub fn change(&mut self, params: VideoParams) {
        if self.params.remote != params.remote {
            (self.rtp, self.rtcp) = (None, None);
        }
        self.params = params;
    }

    /// The format a payload type is received as.
    fn format(&self, payload_type: u8) -> Option<u64> {
        let formats = self.params.formats.iter();
        formats.filter(|format| format.receive_payload_type == payload_type).map(|format| format.id).next()
    }
}

/// What latching knows of a socket: the first who is heard, until the address that was told is.
fn is_peer(latched: &mut Option<SocketAddr>, told: SocketAddr, from: SocketAddr, latch: bool) -> bool {
    if from == told {
        *latched = Some(from);
    }
    if latch { *latched.get_or_insert(from) == from } else { told.ip() == from.ip() }
}

impl Leg {
    pub(super) fn start_video(&mut self, params: Option<VideoParams>) {
        match (&mut self.video, params) {
            (Some(video), Some(params)) => video.change(params),
            (video, params) => *video = params.map(|params| Box::new(Video::new(params))),
        }
    }

    /// A datagram on the sockets that video has for itself.
    pub(super) fn receive_video(&mut self, from: SocketAddr, datagram: &[u8], is_rtcp: bool) {
        let latch = self.config.latch;
        if let Some(video) = &mut self.video
            && let Some((rtp, rtcp)) = video.params.remote
        {
            if is_rtcp || rtp::is_rtcp(datagram) {
                let sound = rtcp::parse(datagram).all(|packet| packet.is_ok());
                if sound && is_peer(&mut video.rtcp, rtcp, from, latch) {
                    return self.take_video_report(datagram);
                }
            } else if let Ok(packet) = Packet::parse(datagram)
                && video.format(packet.header.payload_type).is_some()
                && is_peer(&mut video.rtp, rtp, from, latch)
            {
                return self.take_video(&packet);
            }
        }
        self.discarded += 1;
    }

    /// Whether a packet that came the way of the audio is video.
    pub(super) fn is_video(&self, payload_type: u8) -> bool {
        let shared = self.video.as_ref().filter(|video| video.params.remote.is_none());
        shared.is_some_and(|video| video.format(payload_type).is_some())
    }

    pub(super) fn take_video(&mut self, packet: &Packet<'_>) {
        let Some(video) = self.video.as_mut().filter(|video| video.params.receive) else { return };
        let Some(format) = video.format(packet.header.payload_type) else { return };
        video.source = Some(packet.header.ssrc);
        if self.route == Route::Bridge {
            self.outbox.relay(packet.header, FrameKind::Video { format }, packet.payload);
        }
    }

    /// Whether RTCP that came the way of the audio is about video: its sender sends that, or what it reports on is not the
    /// audio.
    pub(super) fn is_video_report(&self, compound: &[u8]) -> bool {
        let Some(video) = self.video.as_ref().filter(|video| video.params.remote.is_none()) else { return false };
        let ours = self.stream.ssrc;
        let mut about_video = false;
        for packet in rtcp::parse(compound) {
            about_video |= match packet {
                Ok(rtcp::Packet::Sender { ssrc, mut blocks, .. } | rtcp::Packet::Receiver { ssrc, mut blocks }) => {
                    video.source == Some(ssrc) || blocks.any(|block| block.reception.ssrc != ours)
                }
                Ok(rtcp::Packet::Feedback { .. }) => true,
                Ok(_) => false,
                Err(_) => return false,
            };
        }
        about_video
    }

    /// Passes a report on, and sends again of what it misses what is still there.
    pub(super) fn take_video_report(&mut self, compound: &[u8]) {
        for packet in rtcp::parse(compound) {
            if let Ok(rtcp::Packet::Feedback { media, missing, .. }) = packet {
                missing.take(MAX_AGAIN).for_each(|sequence| self.send_video_again(media, sequence));
            }
        }
        if self.route == Route::Bridge {
            self.outbox.relay(self.header(self.stream.here(), 0), FrameKind::VideoReport, compound);
        }
    }

    fn send_video_again(&mut self, ssrc: u32, sequence: u16) {
        let Some(to) = self.video_remote() else { return };
        let Some(video) = &self.video else { return };
        self.outbox.again(to, video.params.remote.is_some(), ssrc, sequence);
    }

    /// Sends what the bridged leg's party shows.
    pub(super) fn send_video(&mut self, frame: &Frame<'_>, format: u64) {
        let Some(to) = self.video_remote() else { return };
        let Some(video) = self.video.as_ref().filter(|video| video.params.send && frame.ssrc != self.stream.ssrc)
        else {
            return;
        };
        let Some(format) = video.params.formats.iter().find(|known| known.id == format) else { return };
        let header = rtp::Header {
            marker: frame.marker,
            payload_type: format.payload_type,
            sequence: frame.sequence,
            timestamp: frame.timestamp,
            ssrc: frame.ssrc,
        };
        let own_socket = video.params.remote.is_some();
        self.outbox.video(to, header, own_socket, frame.payload);
    }

    /// Sends what the bridged leg's party reports.
    pub(super) fn send_video_report(&mut self, compound: &[u8]) {
        let Some(video) = &self.video else { return };
        match video.params.remote {
            Some((_, rtcp)) => self.outbox.video_report(video.rtcp.unwrap_or(rtcp), compound),
            None => {
                let Some(to) = self.rtcp_remote() else { return };
                self.outbox.rtcp(to, true, |out| out.extend_from_slice(compound));
            }
        }
    }

    fn video_remote(&self) -> Option<SocketAddr> {
        let video = self.video.as_ref()?;
        match video.params.remote {
            Some((rtp, _)) => Some(video.rtp.unwrap_or(rtp)),
            None => self.rtp_remote(),
        }
    }
}
