//! Keys that the party of a leg without telephone-event sends as tones.

use std::time::{Duration, Instant};

use super::Leg;
use crate::codec::{Codec, Decoder};
use crate::control::Event;
use crate::dtmf::{Detector, Heard, RATE};
use crate::relay::FrameKind;
use crate::resample::Resampler;
use crate::rtp::Packet;

/// Without a packet for so long a key is over.
const LOST_END: Duration = Duration::from_millis(200);

/// Decodes for the detector alone, as packets come: what is lost or out of order is a key of its own at worst.
pub(super) struct Ear {
    codec: Codec,
    decoder: Decoder,
    resampler: Option<Resampler>,
    decoded: Vec<i16>,
    samples: Vec<i16>,
    detector: Detector,
}

impl Ear {
    fn new(codec: Codec) -> Option<Ear> {
        let decoder = Decoder::new(codec, RATE)?;
        let rate = decoder.rate();
        let resampler = (rate != RATE).then(|| Resampler::live(rate, RATE)).transpose().ok()?;
        let (decoded, samples) = (Vec::new(), Vec::new());
        Some(Ear { codec, decoder, resampler, decoded, samples, detector: Detector::default() })
    }

    fn listen(&mut self, payload: &[u8], heard: impl FnMut(Heard)) {
        self.samples.clear();
        match &mut self.resampler {
            None => self.decoder.decode(payload, &mut self.samples),
            Some(resampler) => {
                self.decoded.clear();
                self.decoder.decode(payload, &mut self.decoded);
                resampler.process(&self.decoded, &mut self.samples);
            }
        }
        self.detector.listen(&self.samples, heard);
    }
}

impl Leg {
    /// Listens for keys in a packet of a party that has no other way to send them.
    pub(super) fn listen_for_keys(&mut self, codec: Codec, packet: &Packet<'_>) {
        if self.params.as_ref().is_none_or(|params| params.dtmf.is_some() || params.signals_keys) {
            self.ear = None;
            return;
        }
        if self.ear.as_ref().is_none_or(|ear| ear.codec != codec) {
            self.ear = Ear::new(codec).map(Box::new);
        }
        let Some(ear) = &mut self.ear else { return };
        // One packet begins or ends few keys.
        let mut told = [None; 4];
        let mut count = 0;
        ear.listen(packet.payload, |heard| {
            if let Some(place) = told.get_mut(count) {
                *place = Some(heard);
                count += 1;
            }
        });
        for heard in told.into_iter().flatten() {
            self.tell_heard(heard, packet);
        }
    }

    fn tell_heard(&mut self, heard: Heard, packet: &Packet<'_>) {
        let pressed = match heard {
            Heard::Pressed(key) => Some(key),
            Heard::Released(digit, duration_ms) => {
                self.keys_received += 1;
                self.outbox.event(Event::Dtmf { digit, duration_ms });
                None
            }
        };
        if self.route == super::Route::Bridge {
            self.outbox.relay(packet.header, FrameKind::Tones { pressed }, &[]);
        }
    }

    /// Ends a key whose packets have stopped.
    pub(super) fn expire_tones(&mut self, now: Instant) {
        let silent = self.last_heard.is_some_and(|last| now.saturating_duration_since(last) >= LOST_END);
        let Some(ear) = self.ear.as_mut().filter(|ear| silent && ear.detector.is_pressed()) else { return };
        if let Some(heard) = ear.detector.end() {
            let header = self.header(self.stream.here(), 0);
            self.tell_heard(heard, &Packet { header, payload: &[] });
        }
    }
}
