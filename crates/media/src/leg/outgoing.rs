//! What a leg says: keys before its own playing, playing before what is relayed, silence last.

use std::time::Instant;

use super::player::Filled;
use super::voice::{MAX_PAYLOAD, MAX_SAMPLES};
use super::{CLOCK_RATE, Leg, Route};
use crate::control::{Event, EventFormat};
use crate::relay::{Frame, FrameKind, Numbers};
use crate::rtp;
use crate::telephone_event::{self, Packet, Payload};
use crate::tone::{ToneGenerator, ToneSpec};

/// How long a key is that goes on in another way than it came.
const RELAYED_KEY_ON_MS: u16 = 100;
const RELAYED_KEY_GAP_MS: u16 = 60;

/// Keys being sent, as events or, to a peer that takes none, as tones.
#[derive(Default)]
pub(super) struct Keys {
    sender: telephone_event::Sender,
    tone: Option<ToneGenerator>,
    /// Where the event being sent began.
    timestamp: u32,
    /// [`Event::DtmfSent`] is owed: the keys were commanded, not relayed.
    owed: bool,
}

impl Keys {
    pub fn push(&mut self, digits: &str, on_ms: u16, gap_ms: u16) -> bool {
        let pushed = self.sender.push(digits, on_ms, gap_ms, CLOCK_RATE);
        self.owed |= pushed;
        pushed
    }

    fn is_idle(&self) -> bool {
        self.sender.is_idle() && self.tone.is_none()
    }

    /// Fills `samples`, of which there are `rate` a second, with the tones of the queued keys. False when none are left.
    fn sound(&mut self, rate: u32, samples: &mut [i16]) -> bool {
        let mut made = 0;
        while made < samples.len() {
            if self.tone.is_none() {
                let Some((key, on, gap)) = self.sender.pop() else { break };
                let ms = |units: u32| units * 1000 / CLOCK_RATE;
                let spec = key
                    .and_then(|key| ToneSpec::dtmf(key, ms(on), ms(gap)))
                    .unwrap_or_else(|| ToneSpec::cadence(&[], 0, ms(gap), 0.0));
                self.tone = Some(ToneGenerator::new(spec, rate));
            }
            if let Some(tone) = &mut self.tone {
                tone.set_rate(rate);
                let count = tone.fill(&mut samples[made..]);
                made += count;
                if made < samples.len() || tone.is_over() {
                    self.tone = None;
                }
            }
        }
        samples[made..].fill(0);
        made > 0
    }
}

impl Leg {
    /// One packet time of `ms` milliseconds, scheduled for `due`.
    pub(super) fn send_scheduled(&mut self, due: Instant, ms: u8) {
        let Some(events) = self.params.as_ref().map(|params| params.dtmf) else { return };
        if !self.keys_out.is_idle() {
            let sent = match events {
                Some(format) => self.send_event(due, ms, format),
                None => self.send_key_tone(due, ms),
            };
            if self.keys_out.is_idle() && std::mem::take(&mut self.keys_out.owed) {
                self.outbox.event(Event::DtmfSent);
            }
            if sent {
                return;
            }
        }
        let mut octets = [0u8; MAX_PAYLOAD];
        if let Some(beep) = &mut self.recordings.beep {
            let filled = beep.fill(&mut self.voice, ms, &mut octets);
            if let Filled::Whole(length) | Filled::Ended(Some(length)) = filled {
                self.send_audio(due, ms, &octets[..length]);
            }
            if !matches!(filled, Filled::Whole(_)) {
                self.end_beep();
            }
            return;
        }
        if let Some(player) = &mut self.player {
            match player.fill(&mut self.voice, ms, &mut octets) {
                Filled::Whole(length) => return self.send_audio(due, ms, &octets[..length]),
                Filled::Ended(length) => {
                    if let Some(length) = length {
                        self.send_audio(due, ms, &octets[..length]);
                    }
                    self.end_play(true);
                    if length.is_some() {
                        return;
                    }
                }
                Filled::NotReady => {}
                Filled::Failed => self.fail_play(),
            }
        }
        if let Some(music) = &mut self.music {
            match music.fill(&mut self.voice, ms, &mut octets) {
                Filled::Whole(length) => return self.send_audio(due, ms, &octets[..length]),
                Filled::NotReady => return,
                // Without an end: there is nothing in it, or it broke off.
                Filled::Ended(_) | Filled::Failed => self.music = None,
            }
        }
        if self.send_said(due, ms) {
            return;
        }
        if self.transcoding.is_some() {
            return self.send_transcoded(due, ms);
        }
        if !self.mixed.is_empty() {
            let length = self.voice.encode(&self.mixed, &mut octets);
            return self.send_audio(due, ms, &octets[..length]);
        }
        if self.config.fill_silence && matches!(self.route, Route::Nowhere | Route::Mix) {
            let length = self.voice.silence(ms, &mut octets);
            self.send_audio(due, ms, &octets[..length]);
        }
    }

    /// Sends a packet of `ms` milliseconds; of an empty one only its time passes.
    pub(super) fn send_audio(&mut self, due: Instant, ms: u8, octets: &[u8]) {
        self.send_encoded(due, ms, octets, false);
    }

    /// The same; `relayed`: of what the bridged leg hears.
    pub(super) fn send_encoded(&mut self, due: Instant, ms: u8, octets: &[u8], relayed: bool) {
        let units = self.units(ms);
        if octets.is_empty() {
            return self.stream.pause(due, units);
        }
        let numbers = self.stream.local(due, units);
        let (Some(to), Some(params)) = (self.rtp_remote(), &self.params) else { return };
        let codec = params.codec;
        let header = self.header(numbers, params.payload_type);
        self.record_said(relayed, header.sequence, header.timestamp, codec, octets);
        self.outbox.rtp(to, header, octets.len()).copy_from_slice(octets);
        self.stream.count(octets.len());
    }

    /// Milliseconds in units of the outgoing timestamps.
    fn units(&self, ms: u8) -> u32 {
        u32::from(ms) * self.stream.clock_rate() / 1000
    }

    fn send_key_tone(&mut self, due: Instant, ms: u8) -> bool {
        let mut samples = [0i16; MAX_SAMPLES];
        let rate = self.voice.rate();
        let samples = &mut samples[..(rate as usize * usize::from(ms) / 1000).min(MAX_SAMPLES)];
        if !self.keys_out.sound(rate, samples) {
            return false;
        }
        let mut octets = [0u8; MAX_PAYLOAD];
        let length = self.voice.encode(samples, &mut octets);
        self.send_audio(due, ms, &octets[..length]);
        true
    }

    fn send_event(&mut self, due: Instant, ms: u8, format: EventFormat) -> bool {
        let units = self.units(ms);
        let scale = format.clock_rate / CLOCK_RATE;
        let Some(packet) = self.keys_out.sender.next(u32::from(ms) * CLOCK_RATE / 1000, scale) else { return false };
        let (payload, marker) = match packet {
            Packet::Begin { payload, marker } => {
                self.keys_out.timestamp = self.stream.begin_event(due, units);
                (Some(payload), marker)
            }
            Packet::Segment { payload } => {
                self.keys_out.timestamp = self.stream.begin_event(due, units);
                (Some(payload), false)
            }
            Packet::Continue { payload } => (Some(payload), false),
            Packet::Quiet => (None, false),
        };
        if let (Some(payload), Some(to)) = (payload, self.rtp_remote()) {
            let numbers = self.stream.event(self.keys_out.timestamp, marker);
            let header = self.header(numbers, format.payload_type);
            let octets = payload.octets();
            self.outbox.rtp(to, header, octets.len()).copy_from_slice(&octets);
            self.stream.count(octets.len());
        }
        self.stream.pass(due, units);
        true
    }

    /// Whether it has something of its own to say.
    pub(super) fn speaks(&self) -> bool {
        self.player.is_some()
            || self.music.is_some()
            || self.recordings.beep.is_some()
            || !self.keys_out.is_idle()
            || self.is_told_to_speak()
    }

    /// Takes what it hears of its mix in the packet that is sent next.
    pub(super) fn take_mixed(&mut self, rate: u32, samples: &[i16]) {
        self.voice.expect(rate);
        self.mixed.clear();
        // Of another rate than its codec's, which just changed, nothing is heard in this packet.
        if self.voice.rate() == rate {
            self.mixed.extend_from_slice(samples);
        }
    }

    /// Sends what the bridged leg heard, unless this leg has something of its own to say.
    pub(super) fn send_relayed(&mut self, now: Instant, frame: Frame<'_>) {
        match frame.kind {
            FrameKind::Video { format } => return self.send_video(&frame, format),
            FrameKind::VideoReport => return self.send_video_report(frame.payload),
            _ => {}
        }
        let Some(params) = self.params.as_ref().filter(|params| params.send) else { return };
        // Without another way the tones themselves go on.
        let translates = params.dtmf.is_some() || params.signals_keys;
        match frame.kind {
            FrameKind::Key(key) => return self.relay_key(key),
            FrameKind::Tones { pressed } => {
                self.hears_tones = pressed.is_some() && translates;
                if let Some(key) = pressed.filter(|_| translates) {
                    self.relay_key(key);
                }
                return;
            }
            _ => {}
        }
        let sounds = self.hears_tones && matches!(frame.kind, FrameKind::Audio(_));
        if sounds || self.speaks() {
            return self.drop_transcoded();
        }
        let (codec, payload_type, dtmf) = (params.codec, params.payload_type, params.dtmf);
        match frame.kind {
            FrameKind::Audio(from) if !from.passes_as(codec) => {
                self.record_relayed(from, &frame);
                self.transcode(from, &frame);
            }
            FrameKind::Audio(from) => {
                self.end_transcoding();
                let Some(numbers) = self.stream.relayed(now, &frame, codec.units(frame.payload)) else { return };
                let Some(to) = self.rtp_remote() else { return };
                let header = self.header(numbers, payload_type);
                let payload = self.outbox.rtp(to, header, frame.payload.len());
                payload.copy_from_slice(frame.payload);
                from.translate(codec, payload);
                for recorder in &mut self.recordings.current {
                    recorder.say(None, header.sequence, header.timestamp, codec, payload);
                }
                self.stream.count(frame.payload.len());
            }
            FrameKind::TelephoneEvent { pressed, clock_rate, audio } => {
                let Some(format) = dtmf else {
                    if let Some(key) = pressed {
                        self.relay_key(key);
                    }
                    return;
                };
                if clock_rate != format.clock_rate || !audio.passes_as(codec) {
                    return self.translate_event(now, &frame, clock_rate);
                }
                // In units of the audio: an event is taken on another clock where the peer has no better (RFC 4733 2.1).
                let pressed_for = Payload::parse(frame.payload).map_or(0, |payload| u32::from(payload.duration));
                let pressed_for = pressed_for * (self.stream.clock_rate() / format.clock_rate).max(1);
                let Some(numbers) = self.stream.relayed(now, &frame, pressed_for) else { return };
                let Some(to) = self.rtp_remote() else { return };
                let header = self.header(numbers, format.payload_type);
                self.outbox.rtp(to, header, frame.payload.len()).copy_from_slice(frame.payload);
                self.stream.count(frame.payload.len());
            }
            FrameKind::ComfortNoise => self.relay_comfort_noise(&frame),
            FrameKind::Tones { .. } | FrameKind::Key(_) | FrameKind::Video { .. } | FrameKind::VideoReport => {}
        }
    }

    pub(super) fn signals_keys(&self) -> bool {
        self.params.as_ref().is_some_and(|params| params.signals_keys)
    }

    /// Sends a key of the bridged leg's party the way this leg sends keys.
    fn relay_key(&mut self, key: char) {
        if self.signals_keys() {
            let duration_ms = u32::from(RELAYED_KEY_ON_MS);
            return self.outbox.event(Event::SignalKey { digit: key, duration_ms });
        }
        let mut text = [0; 4];
        let key: &str = key.encode_utf8(&mut text);
        self.keys_out.sender.push(key, RELAYED_KEY_ON_MS, RELAYED_KEY_GAP_MS, CLOCK_RATE);
    }

    pub(super) fn header(&self, numbers: Numbers, payload_type: u8) -> rtp::Header {
        let Numbers { sequence, timestamp, marker } = numbers;
        rtp::Header { marker, payload_type, sequence, timestamp, ssrc: self.stream.ssrc }
    }
}
