//! Prompts in the octets of a codec, made once for all legs that play the same samples, on a thread of its own: a long
//! prompt would hold up a media thread.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::{io, thread};

use opentact_media::{Codec, Prompt};
use parking_lot::Mutex;

/// Prompts that may wait to be encoded; the next is encoded where it is asked for.
const QUEUE: usize = 256;

struct Job {
    prompt: Arc<Prompt>,
    samples: Arc<[i16]>,
    rate: u32,
}

/// Encoded prompts by the identity of their samples. They live as long as the samples do, whose owner (a cache of
/// speech or of files) bounds them.
#[derive(Clone)]
pub(super) struct Prompts {
    entries: Arc<Mutex<Vec<Entry>>>,
    jobs: SyncSender<Job>,
}

struct Entry {
    /// Keeps the address from being used again, not the samples.
    samples: Weak<[i16]>,
    rate: u32,
    prompt: Arc<Prompt>,
}

impl Prompts {
    pub fn start() -> io::Result<Prompts> {
        let (jobs, queue) = sync_channel::<Job>(QUEUE);
        // Ends when the last pool and its threads have dropped their sender.
        thread::Builder::new().name("media-prompts".into()).spawn(move || {
            for job in queue {
                job.prompt.fill(&job.samples, job.rate);
            }
        })?;
        Ok(Prompts { entries: Arc::default(), jobs })
    }

    /// The prompt of `samples` in `codec`, now or later.
    pub fn get(&self, samples: &Arc<[i16]>, rate: u32, codec: Codec) -> Arc<Prompt> {
        let mut entries = self.entries.lock();
        entries.retain(|entry| entry.samples.strong_count() > 0);
        let found = entries.iter().find(|entry| {
            std::ptr::addr_eq(entry.samples.as_ptr(), Arc::as_ptr(samples))
                && entry.rate == rate
                && entry.prompt.codec() == codec
        });
        if let Some(entry) = found {
            return entry.prompt.clone();
        }
        let prompt = Prompt::pending(codec);
        entries.push(Entry { samples: Arc::downgrade(samples), rate, prompt: prompt.clone() });
        drop(entries);
        let job = Job { prompt: prompt.clone(), samples: samples.clone(), rate };
        if let Err(refused) = self.jobs.try_send(job) {
            let (std::sync::mpsc::TrySendError::Full(job) | std::sync::mpsc::TrySendError::Disconnected(job)) = refused;
            job.prompt.fill(&job.samples, job.rate);
        }
        prompt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_prompt_a_source_and_codec_for_as_long_as_the_source_lives() {
        let prompts = Prompts::start().unwrap();
        let samples: Arc<[i16]> = vec![1000; 16].into();
        let prompt = prompts.get(&samples, 8000, Codec::Pcmu);
        assert!(Arc::ptr_eq(&prompt, &prompts.get(&samples.clone(), 8000, Codec::Pcmu)));
        assert!(!Arc::ptr_eq(&prompt, &prompts.get(&samples, 8000, Codec::Pcma)));
        assert!(!Arc::ptr_eq(&prompt, &prompts.get(&samples, 16_000, Codec::Pcmu)));
        // Equal samples elsewhere are another source.
        let others: Arc<[i16]> = vec![1000; 16].into();
        assert!(!Arc::ptr_eq(&prompt, &prompts.get(&others, 8000, Codec::Pcmu)));
        drop(samples);
        // Those being encoded are held by the thread until it is done.
        while prompts.entries.lock().iter().filter(|entry| entry.samples.strong_count() > 0).count() > 1 {
            std::thread::yield_now();
        }
        prompts.get(&others, 8000, Codec::Pcmu);
        assert_eq!(prompts.entries.lock().len(), 1);
    }
}
