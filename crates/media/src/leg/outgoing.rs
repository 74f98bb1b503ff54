//! What a leg says: keys before its own playing, playing before what is relayed, silence last.

use std::time::Instant;

use super::player::Filled;
use super::{CLOCK_RATE, Leg, Route};
use crate::codec::Codec;
use crate::control::Event;
use crate::relay::{Frame, FrameKind, Numbers};
use crate::rtp;
use crate::telephone_event::{self, Packet, Payload};
use crate::tone::{ToneGenerator, ToneSpec};

/// How long a key sounds in the audio of a peer that takes no events, when the other leg's party pressed it.
const RELAYED_KEY_ON_MS: u16 = 100;
const RELAYED_KEY_GAP_MS: u16 = 60;
/// Samples of the longest packet time, 60 ms.
const MAX_SAMPLES: usize = 480;

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

    /// Fills `samples` with the tones of the queued keys. False when none are left.
    fn sound(&mut self, samples: &mut [i16]) -> bool {
        let mut made = 0;
        while made < samples.len() {
            if self.tone.is_none() {
                let Some((key, on, gap)) = self.sender.pop() else { break };
                let ms = |units: u32| units * 1000 / CLOCK_RATE;
                let spec = key
                    .and_then(|key| ToneSpec::dtmf(key, ms(on), ms(gap)))
                    .unwrap_or_else(|| ToneSpec::cadence(&[], 0, ms(gap), 0.0));
                self.tone = Some(ToneGenerator::new(spec, CLOCK_RATE));
            }
            if let Some(tone) = &mut self.tone {
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
    /// One packet time of `samples`, scheduled for `due`.
    pub(super) fn send_scheduled(&mut self, due: Instant, samples: u32) {
        let Some((codec, events)) = self.params.as_ref().map(|p| (p.codec, p.dtmf_payload_type)) else { return };
        if !self.keys_out.is_idle() {
            let sent = match events {
                Some(payload_type) => self.send_event(due, samples, payload_type),
                None => self.send_key_tone(due, samples, codec),
            };
            if self.keys_out.is_idle() && std::mem::take(&mut self.keys_out.owed) {
                self.outbox.event(Event::DtmfSent);
            }
            if sent {
                return;
            }
        }
        let mut octets = [0u8; MAX_SAMPLES];
        let octets = &mut octets[..(samples as usize).min(MAX_SAMPLES)];
        if let Some(beep) = &mut self.recordings.beep {
            let filled = beep.fill(codec, octets);
            self.send_audio(due, octets);
            if filled != Filled::Whole {
                self.begin_record();
            }
            return;
        }
        if let Some(player) = &mut self.player {
            match player.fill(codec, octets) {
                Filled::Whole => return self.send_audio(due, octets),
                Filled::Ended { octets: used } => {
                    if used > 0 {
                        self.send_audio(due, octets);
                    }
                    self.end_play(true);
                    if used > 0 {
                        return;
                    }
                }
                Filled::NotReady => {}
            }
        }
        if self.config.fill_silence && self.route == Route::Nowhere {
            octets.fill(codec.silence());
            self.send_audio(due, octets);
        }
    }

    fn send_audio(&mut self, due: Instant, octets: &[u8]) {
        let numbers = self.stream.local(due, octets.len() as u32);
        self.write_audio(numbers, octets);
    }

    fn send_key_tone(&mut self, due: Instant, samples: u32, codec: Codec) -> bool {
        let mut pcm = [0i16; MAX_SAMPLES];
        let pcm = &mut pcm[..(samples as usize).min(MAX_SAMPLES)];
        if !self.keys_out.sound(pcm) {
            return false;
        }
        let mut octets = [0u8; MAX_SAMPLES];
        codec.encode(pcm, &mut octets);
        self.send_audio(due, &octets[..pcm.len()]);
        true
    }

    fn send_event(&mut self, due: Instant, samples: u32, payload_type: u8) -> bool {
        let Some(packet) = self.keys_out.sender.next(samples) else { return false };
        let (payload, marker) = match packet {
            Packet::Begin { payload, marker } => {
                self.keys_out.timestamp = self.stream.begin_event(due, samples);
                (Some(payload), marker)
            }
            Packet::Segment { payload } => {
                self.keys_out.timestamp = self.stream.begin_event(due, samples);
                (Some(payload), false)
            }
            Packet::Continue { payload } => (Some(payload), false),
            Packet::Quiet => (None, false),
        };
        if let (Some(payload), Some(to)) = (payload, self.rtp_remote()) {
            let numbers = self.stream.event(self.keys_out.timestamp, marker);
            let header = self.header(numbers, payload_type);
            let octets = payload.octets();
            self.outbox.rtp(to, header, octets.len()).copy_from_slice(&octets);
            self.stream.count(octets.len());
        }
        self.stream.pass(due, samples);
        true
    }

    /// Sends what the bridged leg heard, unless this leg has something of its own to say.
    pub(super) fn send_relayed(&mut self, now: Instant, frame: Frame<'_>) {
        let Some(params) = self.params.as_ref().filter(|params| params.send) else { return };
        if self.player.is_some() || self.recordings.beep.is_some() || !self.keys_out.is_idle() {
            return;
        }
        match frame.kind {
            FrameKind::Audio(from) => {
                let (codec, payload_type) = (params.codec, params.payload_type);
                let Some(numbers) = self.stream.relayed(now, &frame, frame.payload.len() as u32) else { return };
                let Some(to) = self.rtp_remote() else { return };
                let header = self.header(numbers, payload_type);
                let payload = self.outbox.rtp(to, header, frame.payload.len());
                payload.copy_from_slice(frame.payload);
                from.transcode(codec, payload);
                if let Some(recorder) = &mut self.recordings.current {
                    recorder.say(header.sequence, header.timestamp, codec, payload);
                }
                self.stream.count(frame.payload.len());
            }
            FrameKind::TelephoneEvent { pressed } => {
                let Some(payload_type) = params.dtmf_payload_type else {
                    if let Some(key) = pressed {
                        let mut text = [0; 4];
                        let key: &str = key.encode_utf8(&mut text);
                        self.keys_out.sender.push(key, RELAYED_KEY_ON_MS, RELAYED_KEY_GAP_MS, CLOCK_RATE);
                    }
                    return;
                };
                let pressed_for = Payload::parse(frame.payload).map_or(0, |payload| payload.duration);
                let Some(numbers) = self.stream.relayed(now, &frame, u32::from(pressed_for)) else { return };
                let Some(to) = self.rtp_remote() else { return };
                let header = self.header(numbers, payload_type);
                self.outbox.rtp(to, header, frame.payload.len()).copy_from_slice(frame.payload);
                self.stream.count(frame.payload.len());
            }
        }
    }

    fn write_audio(&mut self, numbers: Numbers, octets: &[u8]) {
        let (Some(to), Some(params)) = (self.rtp_remote(), &self.params) else { return };
        let codec = params.codec;
        let header = self.header(numbers, params.payload_type);
        if let Some(recorder) = &mut self.recordings.current {
            recorder.say(header.sequence, header.timestamp, codec, octets);
        }
        self.outbox.rtp(to, header, octets.len()).copy_from_slice(octets);
        self.stream.count(octets.len());
    }

    fn header(&self, numbers: Numbers, payload_type: u8) -> rtp::Header {
        let Numbers { sequence, timestamp, marker } = numbers;
        rtp::Header { marker, payload_type, sequence, timestamp, ssrc: self.stream.ssrc }
    }
}
