//! A leg's recordings: the beep before them, their ticks, their end.

use super::Leg;
use super::player::Player;
use crate::codec::Codec;
use crate::control::{Event, MAX_RECORDINGS, RecordEnd, RecordOrder, Source};
use crate::recorder::{Recorder, Recording};
use crate::relay::Frame;
use crate::tone::ToneSpec;

#[derive(Default)]
pub(super) struct Recordings {
    /// Wait for the leg to start, or for the beep to end.
    ordered: Vec<RecordOrder>,
    pub beep: Option<Player>,
    pub current: Vec<Recorder>,
    /// The leg has just begun: of its first tick no time has passed yet.
    pub fresh: bool,
}

impl Leg {
    pub(super) fn record(&mut self, order: RecordOrder) {
        let Recordings { ordered, current, .. } = &mut self.recordings;
        if ordered.len() + current.len() >= MAX_RECORDINGS {
            let error = Some(format!("a leg has at most {MAX_RECORDINGS} recordings at once"));
            let (duration_ms, rate, bytes, reason) = (0, order.rate, 0, RecordEnd::Failed);
            return self.outbox.event(Event::RecordDone { id: order.id, duration_ms, rate, bytes, error, reason });
        }
        ordered.push(order);
        self.begin_records();
    }

    /// Begins what waits for nothing any more.
    pub(super) fn begin_records(&mut self) {
        let Some(params) = &self.params else { return };
        let Recordings { ordered, beep, .. } = &mut self.recordings;
        // Who cannot be sent to hears no beep.
        let (waiting, ready): (Vec<_>, Vec<_>) = ordered.drain(..).partition(|order| order.beep && params.send);
        *ordered = waiting;
        match ordered.is_empty() {
            true => *beep = None,
            false if beep.is_none() => {
                *beep = Some(Player::new(0, Source::Tone(ToneSpec::beep()), 1, self.voice.codec()));
            }
            false => {}
        }
        ready.into_iter().for_each(|order| self.begin_record(order));
    }

    pub(super) fn end_beep(&mut self) {
        self.recordings.beep = None;
        let ordered = std::mem::take(&mut self.recordings.ordered);
        ordered.into_iter().for_each(|order| self.begin_record(order));
    }

    fn begin_record(&mut self, order: RecordOrder) {
        let own = self.codec().map_or(0, Codec::recording_rate);
        let recorder = Recorder::new(&order, own.max(order.rate));
        self.outbox.recording(Recording::Begin {
            id: order.id,
            path: order.path,
            format: order.format,
            channels: recorder.channels(),
            rate: recorder.rate(),
        });
        self.recordings.current.push(recorder);
    }

    /// Nothing when it is not recorded any more. What only waits to begin is an empty file.
    pub(super) fn stop_record(&mut self, id: u64) {
        let Recordings { ordered, .. } = &mut self.recordings;
        if let Some(index) = ordered.iter().position(|order| order.id == id) {
            let order = ordered.remove(index);
            self.begin_record(order);
            self.begin_records();
        }
        self.end_record(id, RecordEnd::Stopped);
    }

    /// `ms` of time passed.
    pub(super) fn tick_records(&mut self, ms: u64) {
        if std::mem::take(&mut self.recordings.fresh) {
            return;
        }
        let mut ended = Vec::new();
        for recorder in &mut self.recordings.current {
            let (id, outbox) = (recorder.id, &mut self.outbox);
            let end = recorder.tick(ms, &mut |samples| outbox.recording(Recording::Samples { id, samples }));
            ended.extend(end.map(|reason| (id, reason)));
        }
        for (id, reason) in ended {
            self.end_record(id, reason);
        }
    }

    /// A packet to the party as it leaves. `relayed`: made of what a recorder that wants more than this leg's codec has
    /// heard before it was encoded anew.
    pub(super) fn record_said(&mut self, relayed: bool, sequence: u16, timestamp: u32, codec: Codec, octets: &[u8]) {
        for recorder in &mut self.recordings.current {
            if !relayed || recorder.rate() <= codec.recording_rate() {
                recorder.say(None, sequence, timestamp, codec, octets);
            }
        }
    }

    /// What the bridged leg hears, before it is encoded anew in a codec that has less of it.
    pub(super) fn record_relayed(&mut self, from: Codec, frame: &Frame<'_>) {
        let own = self.voice.codec().recording_rate();
        for recorder in self.recordings.current.iter_mut().filter(|recorder| recorder.rate() > own) {
            recorder.say(Some(frame.ssrc), frame.sequence, frame.timestamp, from, frame.payload);
        }
    }

    pub(super) fn close_records(&mut self) {
        self.end_beep();
        while let Some(id) = self.recordings.current.first().map(|recorder| recorder.id) {
            self.end_record(id, RecordEnd::Closed);
        }
    }

    fn end_record(&mut self, id: u64, reason: RecordEnd) {
        let current = &mut self.recordings.current;
        let Some(index) = current.iter().position(|recorder| recorder.id == id) else { return };
        let mut recorder = current.remove(index);
        let outbox = &mut self.outbox;
        recorder.finish(&mut |samples| outbox.recording(Recording::Samples { id, samples }));
        self.outbox.recording(Recording::End { id, reason });
    }
}
