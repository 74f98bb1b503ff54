//! The thread that writes recordings: a disk that is slow never holds up a media thread.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use opentact_media::recorder::Recording;
use opentact_media::{Event, LegKey, RecordEnd, wav};

use super::EventSink;

/// Jobs that may wait: at one a second and recording, seconds of a thousand recordings.
pub(super) const QUEUE: usize = 4096;

/// What a media thread hands over.
pub(super) enum Job {
    Recording(LegKey, Recording),
    /// Samples of a recording were dropped because the queue was full.
    Lost {
        leg: LegKey,
        id: u64,
        samples: u64,
    },
    /// The leg is gone without having ended its recordings.
    Gone(LegKey),
    /// To be told after what was handed over before.
    Tell(LegKey, Event),
}

struct Open {
    path: PathBuf,
    rate: u32,
    channels: u16,
    /// `None` once it failed.
    file: Option<wav::Writer<BufWriter<File>>>,
    error: Option<String>,
    lost: u64,
}

/// Starts the thread. It ends when every sender is dropped, and finishes what is open.
pub(super) fn start(events: EventSink) -> io::Result<(SyncSender<Job>, JoinHandle<()>)> {
    let (jobs, queue) = sync_channel(QUEUE);
    let handle = thread::Builder::new().name("media-recordings".into()).spawn(move || run(&queue, &events))?;
    Ok((jobs, handle))
}

fn run(queue: &Receiver<Job>, events: &EventSink) {
    let mut open: HashMap<(LegKey, u64), Open> = HashMap::new();
    for job in queue {
        match job {
            Job::Recording(leg, Recording::Begin { id, path, channels, rate }) => {
                open.insert((leg, id), Open::begin(path, channels, rate));
            }
            Job::Recording(leg, Recording::Samples { id, samples }) => {
                if let Some(open) = open.get_mut(&(leg, id)) {
                    open.write(&samples);
                }
            }
            Job::Recording(leg, Recording::End { id, reason }) => {
                if let Some(open) = open.remove(&(leg, id)) {
                    events(leg, open.end(id, reason));
                }
            }
            Job::Lost { leg, id, samples } => {
                if let Some(open) = open.get_mut(&(leg, id)) {
                    open.lost += samples;
                }
            }
            Job::Gone(leg) => {
                for ((_, id), open) in open.extract_if(|(of, _), _| *of == leg) {
                    events(leg, open.end(id, RecordEnd::Closed));
                }
            }
            Job::Tell(leg, event) => events(leg, event),
        }
    }
    for ((leg, id), open) in open {
        events(leg, open.end(id, RecordEnd::Closed));
    }
}

impl Open {
    fn begin(path: PathBuf, channels: u16, rate: u32) -> Open {
        let (file, error) = match create(&path, channels, rate) {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Open { path, rate, channels, file, error, lost: 0 }
    }

    fn write(&mut self, samples: &[i16]) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write(samples)
        {
            self.error = Some(error.to_string());
            self.file = None;
        }
    }

    fn end(mut self, id: u64, reason: RecordEnd) -> Event {
        let (mut duration_ms, mut bytes) = (0, 0);
        if let Some(file) = self.file.take() {
            (duration_ms, bytes) = (file.duration_ms(), file.len());
            if let Err(error) = file.finish() {
                self.error = Some(error.to_string());
            }
        }
        if let Some(error) = &mut self.error {
            *error = format!("{}: {error}", self.path.display());
            tracing::error!(%error, "recording failed");
            return Event::RecordDone { id, duration_ms, bytes, error: self.error, reason: RecordEnd::Failed };
        }
        let error = (self.lost > 0).then(|| {
            let ms = self.lost * 1000 / (u64::from(self.rate) * u64::from(self.channels));
            format!("{}: {ms} ms lost, the disk was too slow", self.path.display())
        });
        Event::RecordDone { id, duration_ms, bytes, error, reason }
    }
}

fn create(path: &Path, channels: u16, rate: u32) -> io::Result<wav::Writer<BufWriter<File>>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    wav::Writer::new(BufWriter::new(File::create(path)?), channels, rate)
}
