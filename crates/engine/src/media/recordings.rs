//! The thread that writes recordings: a disk that is slow never holds up a media thread.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use opentact_media::recorder::{Recording, Stored};
use opentact_media::{Event, LegKey, RecordEnd, RecordFormat, mp3, wav};

use super::EventSink;

/// Jobs that may wait: at two a second and recording, seconds of a thousand recordings.
pub(super) const QUEUE: usize = 4096;
/// Samples of silence written at a time in place of lost ones.
const SILENCE: [i16; 8_000] = [0; 8_000];

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
    file: Writer,
    /// Samples in whose place there is silence.
    lost: u64,
}

/// Each write goes to the operating system at once: what was handed over survives this process.
enum Writer {
    Wav(wav::Writer<File>),
    Mp3(Box<mp3::Writer<File>>),
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
            Job::Recording(leg, Recording::Begin { id, path, format, channels, rate }) => {
                match Writer::create(&path, format, channels, rate) {
                    Ok(file) => drop(open.insert((leg, id), Open { path, rate, channels, file, lost: 0 })),
                    Err(error) => events(leg, failed(id, Stored { rate, ..Stored::default() }, &path, &error)),
                }
            }
            Job::Recording(leg, Recording::Samples { id, samples }) => {
                write(&mut open, events, (leg, id), |open| open.file.write(&samples));
            }
            Job::Recording(leg, Recording::End { id, reason }) => {
                if let Some(open) = open.remove(&(leg, id)) {
                    events(leg, open.end(id, reason));
                }
            }
            Job::Lost { leg, id, samples } => write(&mut open, events, (leg, id), |open| open.leave_out(samples)),
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

/// A file that cannot be written further ends there, and is told of at once.
fn write(
    open: &mut HashMap<(LegKey, u64), Open>,
    events: &EventSink,
    key: (LegKey, u64),
    work: impl FnOnce(&mut Open) -> io::Result<()>,
) {
    let Some(recording) = open.get_mut(&key) else { return };
    if let Err(error) = work(recording)
        && let Some(recording) = open.remove(&key)
    {
        events(key.0, recording.cut_off(key.1, &error));
    }
}

impl Open {
    /// Time stays true where samples were lost.
    fn leave_out(&mut self, samples: u64) -> io::Result<()> {
        self.lost += samples;
        let mut left = usize::try_from(samples).unwrap_or(usize::MAX);
        while left > 0 {
            let piece = &SILENCE[..left.min(SILENCE.len())];
            self.file.write(piece)?;
            left -= piece.len();
        }
        Ok(())
    }

    fn end(self, id: u64, reason: RecordEnd) -> Event {
        let format = self.file.format();
        let Open { path, rate, channels, file, lost } = self;
        let Stored { duration_ms, bytes, .. } = match file.finish() {
            Ok(stored) => stored,
            Err(error) => return cut_off(id, &path, format, rate, &error),
        };
        let error = (lost > 0).then(|| {
            let ms = lost * 1000 / (u64::from(rate) * u64::from(channels));
            format!("{ms} ms lost, the disk was too slow")
        });
        Event::RecordDone { id, duration_ms, rate, bytes, error, reason }
    }

    fn cut_off(self, id: u64, error: &io::Error) -> Event {
        let format = self.file.format();
        let Open { path, rate, file, .. } = self;
        drop(file);
        cut_off(id, &path, format, rate, error)
    }
}

impl Writer {
    fn create(path: &Path, format: RecordFormat, channels: u16, rate: u32) -> io::Result<Writer> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::create(path)?;
        Ok(match format {
            RecordFormat::Wav => Writer::Wav(wav::Writer::new(file, channels, rate)?),
            RecordFormat::Mp3 => Writer::Mp3(Box::new(mp3::Writer::new(file, channels, rate))),
        })
    }

    fn format(&self) -> RecordFormat {
        match self {
            Writer::Wav(_) => RecordFormat::Wav,
            Writer::Mp3(_) => RecordFormat::Mp3,
        }
    }

    fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        match self {
            Writer::Wav(file) => file.write(samples),
            Writer::Mp3(file) => file.write(samples),
        }
    }

    fn finish(self) -> io::Result<Stored> {
        match self {
            Writer::Wav(file) => file.finish(),
            Writer::Mp3(file) => file.finish(),
        }
    }
}

/// Makes a recording whole that was cut off, in place: it takes no room on the disk.
///
/// # Errors
/// The file is not there, is none of ours, or holds no whole header.
pub(crate) fn repair(path: &Path, format: RecordFormat) -> io::Result<Stored> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let stored = match format {
        RecordFormat::Wav => wav::repair(&mut file)?,
        RecordFormat::Mp3 => mp3::repair(&mut file)?,
    };
    file.set_len(stored.bytes)?;
    Ok(stored)
}

/// What is in the file up to where it could not be written stays.
fn cut_off(id: u64, path: &Path, format: RecordFormat, rate: u32, error: &io::Error) -> Event {
    let stored = repair(path, format).unwrap_or(Stored { rate, ..Stored::default() });
    failed(id, stored, path, error)
}

fn failed(id: u64, stored: Stored, path: &Path, error: &io::Error) -> Event {
    let Stored { duration_ms, rate, bytes, .. } = stored;
    tracing::error!(path = %path.display(), %error, "recording cannot be written");
    metrics::counter!("opentact_recordings_failed_total").increment(1);
    Event::RecordDone { id, duration_ms, rate, bytes, error: Some(error.to_string()), reason: RecordEnd::Failed }
}
