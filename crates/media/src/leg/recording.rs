//! A leg's recording: the beep before it, its ticks, its end.

use super::player::Player;
use super::{CLOCK_RATE, Leg};
use crate::control::{RecordEnd, Source};
use crate::recorder::{Order, Recorder, Recording};
use crate::tone::ToneSpec;

/// One at a time.
#[derive(Default)]
pub(super) struct Recordings {
    /// Waits for the beep to end.
    ordered: Option<Order>,
    pub beep: Option<Player>,
    pub current: Option<Recorder>,
}

impl Leg {
    pub(super) fn record(&mut self, order: Order, beep: bool) {
        self.end_record(RecordEnd::Stopped);
        // Who cannot be sent to hears no beep.
        let audible = self.params.as_ref().is_some_and(|params| params.send);
        self.recordings.ordered = Some(order);
        if beep && audible {
            self.recordings.beep = Some(Player::new(0, Source::Tone(ToneSpec::beep()), 1, self.voice.codec()));
        } else {
            self.begin_record();
        }
    }

    pub(super) fn begin_record(&mut self) {
        self.recordings.beep = None;
        let Some(order) = self.recordings.ordered.take() else { return };
        let recorder = Recorder::new(&order, CLOCK_RATE);
        self.outbox.recording(Recording::Begin {
            id: order.id,
            path: order.path,
            channels: recorder.channels(),
            rate: CLOCK_RATE,
        });
        self.recordings.current = Some(recorder);
    }

    pub(super) fn stop_record(&mut self, id: u64) {
        let recording = self.recordings.current.as_ref().is_some_and(|recorder| recorder.id == id);
        let ordered = self.recordings.ordered.as_ref().is_some_and(|order| order.id == id);
        if recording || ordered {
            self.end_record(RecordEnd::Stopped);
        }
    }

    /// `samples` of time passed.
    pub(super) fn tick_record(&mut self, samples: u64) {
        let Some(recorder) = &mut self.recordings.current else { return };
        let (id, outbox) = (recorder.id, &mut self.outbox);
        let end = recorder.tick(samples, &mut |samples| outbox.recording(Recording::Samples { id, samples }));
        if let Some(reason) = end {
            self.end_record(reason);
        }
    }

    /// Ends what is recorded; what only waits for its beep is an empty file.
    pub(super) fn end_record(&mut self, reason: RecordEnd) {
        if self.recordings.ordered.is_some() {
            self.begin_record();
        }
        let Some(mut recorder) = self.recordings.current.take() else { return };
        let (id, outbox) = (recorder.id, &mut self.outbox);
        recorder.finish(&mut |samples| outbox.recording(Recording::Samples { id, samples }));
        self.outbox.recording(Recording::End { id, reason });
    }
}
