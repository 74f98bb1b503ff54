//! What a leg hears.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Leg, Opened, Route};
use crate::codec::Codec;
use crate::control::{Event, LegParams};
use crate::relay::{Frame, FrameKind};
use crate::rtp::{self, Packet};
use crate::stats::Arrival;
use crate::telephone_event::{Payload, Press};

/// After so much silence another port of the peer's address is taken for the peer: its NAT gave it a new one.
const REBOUND: Duration = Duration::from_secs(1);
/// RFC 3389: comfort noise, which some send without having agreed on it.
const COMFORT_NOISE: u8 = 13;

/// What a packet is, by its payload type.
enum Meaning {
    Audio(Codec),
    Event { clock_rate: u32 },
    ComfortNoise,
}

impl Meaning {
    fn of(params: &LegParams, payload_type: u8) -> Option<Meaning> {
        if let Some((_, codec)) = params.receive_codecs.iter().find(|(known, _)| *known == payload_type) {
            return Some(Meaning::Audio(*codec));
        }
        match params.dtmf {
            Some(format) if format.receive_payload_type == payload_type => {
                Some(Meaning::Event { clock_rate: format.clock_rate })
            }
            _ => (payload_type == COMFORT_NOISE).then_some(Meaning::ComfortNoise),
        }
    }
}

impl Leg {
    /// Of what is not protected by the agreed keys nothing is heard, and nothing is learned.
    pub(super) fn receive_secured(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let (buffer, opened) = self.transport.open(now, from, datagram);
        match opened {
            Ok(Opened::Rtp(length)) => self.receive_rtp(now, from, &buffer[..length]),
            Ok(Opened::Rtcp(length)) => self.receive_rtcp(now, from, &buffer[..length]),
            Ok(Opened::Nothing) => {}
            Err(_) => self.discarded += 1,
        }
        self.transport.put_back(buffer);
        self.connect();
    }

    pub(super) fn receive_rtp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        if rtp::is_rtcp(datagram) {
            return self.receive_rtcp(now, from, datagram);
        }
        let Some(params) = &self.params else { return };
        let receive = params.receive;
        let Ok(packet) = Packet::parse(datagram) else {
            self.discarded += 1;
            return;
        };
        if self.is_video(packet.header.payload_type) && self.is_peer(now, from) {
            return self.take_video(&packet);
        }
        let Some(params) = &self.params else { return };
        let Some(meaning) = Meaning::of(params, packet.header.payload_type).filter(|_| self.is_peer(now, from)) else {
            self.discarded += 1;
            return;
        };
        // A codec on another clock than ours of this call says nothing about jitter.
        let timed = matches!(meaning, Meaning::Audio(codec) if codec.clock_rate() == self.stream.clock_rate());
        let arrival = self.reception.receive(now, &packet.header, packet.payload.len(), timed);
        if arrival == Arrival::Duplicate {
            return;
        }
        self.last_heard = Some(now);
        self.silent_since = Some(now);
        if !receive {
            return;
        }
        let rtp::Header { sequence, timestamp, .. } = packet.header;
        match meaning {
            Meaning::Audio(codec) => {
                for recorder in &mut self.recordings.current {
                    recorder.hear(arrival == Arrival::Restart, sequence, timestamp, codec, packet.payload);
                }
                if let Some(tap) = &mut self.tap {
                    if arrival == Arrival::Restart {
                        tap.heard.restart();
                    }
                    tap.heard.push(sequence, timestamp, codec, packet.payload);
                }
                self.listen_for_keys(codec, &packet);
                self.pass_on(now, &packet, FrameKind::Audio(codec));
            }
            Meaning::Event { clock_rate } => self.receive_event(now, &packet, clock_rate),
            Meaning::ComfortNoise => {
                for recorder in &mut self.recordings.current {
                    recorder.hear_comfort_noise(sequence, timestamp, packet.payload);
                }
                if let Some(tap) = &mut self.tap {
                    tap.heard.push_comfort_noise(sequence, timestamp, packet.payload);
                }
                self.pass_on(now, &packet, FrameKind::ComfortNoise);
            }
        }
    }

    /// Takes a packet of a key. Its press is told once; the packet itself goes on to the bridged leg.
    fn receive_event(&mut self, now: Instant, packet: &Packet<'_>, clock_rate: u32) {
        let Some(payload) = Payload::parse(packet.payload) else {
            self.discarded += 1;
            return;
        };
        let (pressed, over) = self.keys_in.receive(now, packet.header.timestamp, payload);
        if let Some(press) = over {
            self.tell_press(press);
        }
        // Not echoed: it would come back as a key of the party at the other end.
        if self.route == Route::Bridge {
            let audio = self.voice.codec();
            self.pass_on(now, packet, FrameKind::TelephoneEvent { pressed, clock_rate, audio });
        }
    }

    pub(super) fn tell_press(&mut self, press: Press) {
        self.keys_received += 1;
        self.outbox.event(Event::Dtmf { digit: press.key, duration_ms: press.duration_ms });
    }

    fn pass_on(&mut self, now: Instant, packet: &Packet<'_>, kind: FrameKind) {
        match self.route {
            Route::Nowhere => {}
            Route::Bridge | Route::Mix => self.outbox.relay(packet.header, kind, packet.payload),
            Route::Echo => {
                let rtp::Header { ssrc, sequence, timestamp, marker, .. } = packet.header;
                self.send_relayed(now, Frame { ssrc, sequence, timestamp, marker, kind, payload: packet.payload });
            }
        }
    }

    /// Whether `from` is the one to hear. The first is latched to; those after it that are others are not heard,
    /// so that nobody can put himself into a call by guessing its port. Who was first gives way to the address that the
    /// peer has told, which nobody else can have.
    fn is_peer(&mut self, now: Instant, from: SocketAddr) -> bool {
        if self.transport.way().is_some() {
            // Where its packets may come from ICE has found, and that they are its own SRTP has.
            return true;
        }
        if !self.config.latch {
            return self.params.as_ref().is_some_and(|params| params.remote.ip() == from.ip());
        }
        let told = self.params.as_ref().is_some_and(|params| params.remote == from);
        let latched = self.remote.rtp.get_or_insert(from);
        if told && *latched != from {
            *latched = from;
            self.remote.rtcp = None;
        }
        let silent = self.last_heard.is_some_and(|last| now.saturating_duration_since(last) >= REBOUND);
        if *latched != from && latched.ip() == from.ip() && silent {
            *latched = from;
            self.remote.rtcp = None;
        }
        *latched == from
    }

    /// Who alone is to be heard and spoken to: the address that the peer has told, where it comes from there. `None` while
    /// another may take its place.
    pub fn partner(&self, now: Instant) -> Option<SocketAddr> {
        let told = self.params.as_ref()?.remote;
        let is_heard = self.last_heard.is_some_and(|last| now.saturating_duration_since(last) < REBOUND);
        let settled = self.config.latch && self.remote.rtp == Some(told) && self.transport.way().is_none();
        (is_heard && settled).then_some(told)
    }

    pub(super) fn rtp_remote(&self) -> Option<SocketAddr> {
        let params = self.params.as_ref()?;
        self.transport.way().unwrap_or_else(|| Some(self.remote.rtp.unwrap_or(params.remote)))
    }

    pub(super) fn rtcp_mux(&self) -> bool {
        self.params.as_ref().is_some_and(|params| params.rtcp_mux)
    }

    /// RFC 3550 11: the port after the RTP port, until RTCP came from elsewhere.
    pub(super) fn rtcp_remote(&self) -> Option<SocketAddr> {
        let mut remote = self.rtp_remote()?;
        if self.rtcp_mux() {
            return Some(remote);
        }
        if self.transport.is_one_port() {
            return None;
        }
        if let Some(latched) = self.remote.rtcp {
            return Some(latched);
        }
        remote.set_port(remote.port().checked_add(1)?);
        Some(remote)
    }
}
