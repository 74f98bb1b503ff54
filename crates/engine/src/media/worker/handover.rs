//! What goes to the thread that writes recordings, while that keeps up and while it does not.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{SyncSender, TrySendError};

use opentact_media::LegKey;
use opentact_media::recorder::Recording;

use super::super::recordings::Job;

/// Jobs that wait here when the recordings' thread does not keep up; beyond it samples are dropped, and said to be.
const MAX_JOBS: usize = 1024;

pub(super) struct Handover {
    to: SyncSender<Job>,
    jobs: VecDeque<Job>,
    /// Samples that found no place, by recording, behind all of it that waits.
    lost: HashMap<(LegKey, u64), u64>,
}

impl Handover {
    pub fn new(to: SyncSender<Job>) -> Handover {
        Handover { to, jobs: VecDeque::new(), lost: HashMap::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.lost.is_empty()
    }

    pub fn record(&mut self, leg: LegKey, recording: Recording) {
        match &recording {
            Recording::Samples { id, samples } => {
                let count = samples.len() as u64;
                if let Some(lost) = self.lost.get_mut(&(leg, *id)) {
                    *lost += count;
                    return;
                }
                if self.jobs.len() >= MAX_JOBS {
                    self.lost.insert((leg, *id), count);
                    return;
                }
            }
            Recording::End { id, .. } => {
                if let Some(samples) = self.lost.remove(&(leg, *id)) {
                    self.jobs.push_back(Job::Lost { leg, id: *id, samples });
                }
            }
            Recording::Begin { .. } => {}
        }
        self.jobs.push_back(Job::Recording(leg, recording));
    }

    pub fn push(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    /// Gives what is taken.
    pub fn give(&mut self) {
        while let Some(job) = self.jobs.pop_front() {
            if let Err(TrySendError::Full(job)) = self.to.try_send(job) {
                return self.jobs.push_front(job);
            }
            if self.jobs.is_empty() {
                self.tell_lost();
            }
        }
    }

    /// Gives the rest. Nothing is left to be held up.
    pub fn finish(mut self) {
        self.tell_lost();
        for job in self.jobs {
            let _ = self.to.send(job);
        }
    }

    fn tell_lost(&mut self) {
        self.jobs.extend(self.lost.drain().map(|((leg, id), samples)| Job::Lost { leg, id, samples }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use opentact_media::RecordEnd;

    use super::*;

    #[test]
    fn what_a_slow_disk_does_not_take_is_silence_in_its_place_and_does_not_pile_up() {
        let (to, taken) = sync_channel(1);
        let mut handover = Handover::new(to);
        let (leg, id) = (LegKey(1), 7);
        let samples = |count| Recording::Samples { id, samples: vec![1; count] };
        for _ in 0..10 * MAX_JOBS {
            handover.record(leg, samples(10));
            handover.give();
        }
        assert_eq!(handover.jobs.len(), MAX_JOBS);
        let (mut written, mut lost, mut more) = (0, Vec::new(), 1);
        while let Ok(job) = taken.try_recv() {
            match job {
                Job::Recording(_, Recording::Samples { samples, .. }) => written += samples.len(),
                Job::Lost { samples, .. } => lost.push((written, samples)),
                _ => {}
            }
            handover.give();
            if handover.is_empty() && more > 0 {
                // The disk is quick again.
                more -= 1;
                handover.record(leg, samples(5));
                handover.record(leg, Recording::End { id, reason: RecordEnd::Stopped });
                handover.give();
            }
        }
        let before = (MAX_JOBS + 1) * 10;
        assert_eq!(lost, [(before, (10 * MAX_JOBS * 10 - before) as u64)]);
        assert_eq!(written, before + 5);
    }

    #[test]
    fn a_recording_that_ends_meanwhile_has_its_silence_before_its_end() {
        let (to, taken) = sync_channel(2 * MAX_JOBS);
        let mut handover = Handover::new(to);
        let leg = LegKey(1);
        for _ in 0..=MAX_JOBS {
            handover.record(leg, Recording::Samples { id: 1, samples: vec![1] });
        }
        handover.record(leg, Recording::End { id: 1, reason: RecordEnd::Closed });
        handover.finish();
        let jobs: Vec<Job> = taken.try_iter().collect();
        assert!(matches!(
            &jobs[MAX_JOBS..],
            [Job::Lost { samples: 1, .. }, Job::Recording(_, Recording::End { id: 1, .. })]
        ));
    }
}
