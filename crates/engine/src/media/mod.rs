//! The media threads: each owns its legs and their sockets, wakes every 5 ms, reads what came, ticks what is due and
//! sends. Commands go down through one bounded queue a thread, events come up through a callback.
//!
//! Not here: what a packet means (`opentact_media`).

mod net;
mod ports;
mod recordings;
mod tap;
mod worker;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use std::{io, thread};

pub use opentact_media::jitter::Delay;
use opentact_media::leg::WallClock;
pub use opentact_media::{
    Audience, Codec, Command, Event, LegKey, LegParams, LegStats, MixKey, RecordEnd, RecordFormat, RecordOrder, Source,
    ToneSpec, ToneStep,
};
use opentact_media::{Leg, LegConfig};
use parking_lot::Mutex;
use ports::{PortPair, Ports};
pub(crate) use recordings::repair;
pub use tap::{Tap, Tapped};
use tokio::sync::oneshot;
use worker::{Message, Worker};

/// Commands that may wait for one thread. Beyond it [`MediaPool::open`] refuses and [`MediaPool::command`] waits.
const QUEUE: usize = 8192;

/// Settings of the media threads.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Media threads, at least 1.
    pub threads: usize,
    /// Legs that a thread has before one is given to the next: what waking up costs, few legs pay once.
    pub together: usize,
    /// Where RTP is received; `::` is all addresses of both families.
    pub address: IpAddr,
    /// UDP ports to use, in pairs: RTP on the even one, RTCP on the next. Two ports a leg.
    pub ports: RangeInclusive<u16>,
    /// Silence of a peer after which [`Event::Timeout`] comes.
    pub rtp_timeout: Duration,
    /// Symmetric RTP: answer where the packets come from.
    pub latch: bool,
    /// How long packets wait where one codec is turned into another.
    pub jitter: Delay,
    /// Send silence on a leg that has nothing else to send and is not bridged.
    pub fill_silence: bool,
    /// Legs that are let into one mix.
    pub mix_parties: usize,
    /// How much of what a party says waits to be taken of its tap; beyond it the newest is dropped.
    pub tap_hear: Duration,
    /// How much of what a tap says waits to be sent.
    pub tap_say: Duration,
}

impl Default for MediaConfig {
    fn default() -> MediaConfig {
        MediaConfig {
            threads: thread::available_parallelism().map_or(1, |n| n.get()),
            together: 100,
            address: IpAddr::from([127, 0, 0, 1]),
            ports: 20000..=29999,
            rtp_timeout: Duration::from_secs(60),
            latch: true,
            jitter: Delay::default(),
            fill_silence: true,
            mix_parties: 512,
            tap_hear: Duration::from_secs(2),
            tap_say: Duration::from_secs(60),
        }
    }
}

/// Why a leg was not opened.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// Every pair of the range is in use: more calls than `media.ports` allows.
    #[error("no free RTP port pair in {first}-{last}")]
    PortsExhausted { first: u16, last: u16 },
    /// The thread has too much to do; refuse the call.
    #[error("media thread is overloaded")]
    Busy,
    /// Shut down, or the thread died.
    #[error("media is shut down")]
    Closed,
    #[error("RTP socket: {0}")]
    Socket(#[from] io::Error),
}

/// Who hears the events. Called on a media thread: must neither block nor command legs itself (a queue full then would
/// wait for its own reader); pass the event on through a channel.
pub type EventSink = Arc<dyn Fn(LegKey, Event) + Send + Sync>;

/// The media threads of a node. Cheap to clone.
#[derive(Clone)]
pub struct MediaPool(Arc<Pool>);

struct Pool {
    config: MediaConfig,
    clock: WallClock,
    ports: Arc<Ports>,
    threads: Vec<Thread>,
    handles: Mutex<Vec<JoinHandle<()>>>,
    next_key: AtomicU64,
    seed: u64,
}

struct Thread {
    queue: SyncSender<Message>,
    /// Legs opened on it and not yet closed.
    legs: Arc<AtomicUsize>,
}

/// What the pool does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStats {
    pub legs: usize,
    pub ports_free: usize,
    pub ports_total: usize,
}

impl MediaPool {
    /// Starts the threads. Fails when the range holds no pair or a thread cannot be started.
    pub fn start(config: MediaConfig, events: impl Fn(LegKey, Event) + Send + Sync + 'static) -> io::Result<MediaPool> {
        let ports = Arc::new(Ports::new(config.ports.clone())?);
        let events: EventSink = Arc::new(events);
        let (jobs, recorder) = recordings::start(events.clone())?;
        let count = config.threads.max(1);
        let channels: Vec<(SyncSender<Message>, Receiver<Message>)> = (0..count).map(|_| sync_channel(QUEUE)).collect();
        let queues: Vec<SyncSender<Message>> = channels.iter().map(|(queue, _)| queue.clone()).collect();
        let mut threads = Vec::with_capacity(count);
        let mut handles = Vec::with_capacity(count);
        for (index, (queue, receiver)) in channels.into_iter().enumerate() {
            let legs = Arc::new(AtomicUsize::new(0));
            let worker = Worker::new(index, queues.clone(), events.clone(), jobs.clone(), legs.clone(), &config)?;
            handles.push(thread::Builder::new().name(format!("media-{index}")).spawn(move || worker.run(receiver))?);
            threads.push(Thread { queue, legs });
        }
        // Joined last: it ends when the media threads have.
        handles.push(recorder);
        let clock = WallClock::new(Instant::now(), SystemTime::now());
        let pool = Pool {
            config,
            clock,
            ports,
            threads,
            handles: Mutex::new(handles),
            next_key: AtomicU64::new(1),
            seed: rand::random(),
        };
        Ok(MediaPool(Arc::new(pool)))
    }

    /// Binds a leg's ports, on the thread of `near` when given (the leg it will be bridged to), else on one that has few
    /// legs, but some where that is enough. Returns the address of its RTP port for the SDP. The leg is silent until [`Command::Start`].
    pub fn open(&self, near: Option<LegKey>) -> Result<(LegKey, SocketAddr), MediaError> {
        let pool = &*self.0;
        let home = match near {
            Some(near) => pool.home(near),
            None => pool.roomy(),
        };
        let thread = &pool.threads[home];
        let pair = PortPair::bind(&pool.ports, pool.config.address)?;
        let address = pair.address;
        // The thread is a key's remainder: who holds a key needs no table to find it.
        let number = pool.next_key.fetch_add(1, Ordering::Relaxed);
        let key = LegKey(number * pool.threads.len() as u64 + home as u64);
        let leg = Leg::new(LegConfig {
            seed: pool.seed ^ key.0.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            clock: pool.clock,
            latch: pool.config.latch,
            rtp_timeout: Some(pool.config.rtp_timeout),
            grain: worker::SLICE,
            delay: pool.config.jitter,
            fill_silence: pool.config.fill_silence,
            tap_wait: pool.config.tap_say,
        });
        thread.legs.fetch_add(1, Ordering::Relaxed);
        thread.queue.try_send(Message::Open { key, leg: Box::new(leg), pair }).map_err(|error| {
            thread.legs.fetch_sub(1, Ordering::Relaxed);
            refused(&error)
        })?;
        Ok((key, address))
    }

    /// Binds ports for the video of a leg, where that does not share the way of its audio. Returns the address of its RTP
    /// port for the SDP.
    pub fn open_video(&self, leg: LegKey) -> Result<SocketAddr, MediaError> {
        let pool = &*self.0;
        let pair = PortPair::bind(&pool.ports, pool.config.address)?;
        let address = pair.address;
        pool.threads[pool.home(leg)]
            .queue
            .try_send(Message::Video { key: leg, pair })
            .map_err(|error| refused(&error))?;
        Ok(address)
    }

    /// The key of a mix that nobody is in yet ([`Command::Join`]), on the thread where a leg would be opened; those that join
    /// it go there.
    pub fn mix(&self) -> MixKey {
        let pool = &*self.0;
        let number = pool.next_key.fetch_add(1, Ordering::Relaxed);
        MixKey(number * pool.threads.len() as u64 + pool.roomy() as u64)
    }

    /// Tells a leg what to do. Commands to one leg take effect in their order, within 5 ms. When thousands wait
    /// already, this waits for room. A leg that is closed does not listen.
    pub fn command(&self, leg: LegKey, command: Command) {
        let pool = &*self.0;
        // Of a pair on two threads the younger moves to the older's: two who bridge to each other at once, or a chain
        // of bridges, cannot chase one another in circles.
        let (key, command) = match command {
            Command::Bridge { with } if with > leg => (with, Command::Bridge { with: leg }),
            command => (leg, command),
        };
        if pool.threads[pool.home(key)].queue.send(Message::Command { key, command }).is_err() {
            tracing::error!(leg = %key, "media thread is gone, command lost");
        }
    }

    /// Listens to a leg and speaks to it, in samples, `rate` a second: 8,000, 16,000 or 24,000. At another rate nothing is
    /// heard. It takes the place of a tap before.
    pub fn tap(&self, leg: LegKey, rate: u32) -> Tap {
        let (tap, end) = Tap::new(leg, self.clone(), self.0.config.tap_hear);
        if self.0.threads[self.0.home(leg)].queue.send(Message::Tap { key: leg, rate, end }).is_err() {
            tracing::error!(%leg, "media thread is gone, tap lost");
        }
        tap
    }

    /// Asks a leg what it has counted. It answers within 5 ms; one that is closed, or whose thread has too much to do, not.
    pub fn measure(&self, leg: LegKey) -> oneshot::Receiver<LegStats> {
        let (reply, answer) = oneshot::channel();
        let _ = self.0.threads[self.0.home(leg)].queue.try_send(Message::Measure { key: leg, reply });
        answer
    }

    pub fn stats(&self) -> PoolStats {
        let (ports_free, ports_total) = self.0.ports.pairs();
        PoolStats {
            legs: self.0.threads.iter().map(|thread| thread.legs.load(Ordering::Relaxed)).sum(),
            ports_free: ports_free * 2,
            ports_total: ports_total * 2,
        }
    }

    /// Closes every leg, as [`Command::Close`] does, and waits for the threads to end. Blocks up to about 100 ms, and
    /// for recordings to be written.
    pub fn shutdown(&self) {
        for thread in &self.0.threads {
            // A thread that is gone has nothing to close.
            let _ = thread.queue.send(Message::Shutdown);
        }
        let handles = std::mem::take(&mut *self.0.handles.lock());
        for handle in handles {
            if handle.join().is_err() {
                tracing::error!("media thread had panicked");
            }
        }
    }
}

fn refused(error: &TrySendError<Message>) -> MediaError {
    match error {
        TrySendError::Full(_) => MediaError::Busy,
        TrySendError::Disconnected(_) => MediaError::Closed,
    }
}

impl Drop for Pool {
    /// The last handle is gone: the threads end by themselves, closing what is open.
    fn drop(&mut self) {
        for thread in &self.threads {
            let _ = thread.queue.try_send(Message::Shutdown);
        }
    }
}

impl Pool {
    fn home(&self, key: LegKey) -> usize {
        (key.0 % self.threads.len() as u64) as usize
    }

    fn roomy(&self) -> usize {
        let load = |thread: &Thread| thread.legs.load(Ordering::Relaxed);
        let few = self.threads.iter().position(|thread| load(thread) < self.config.together);
        let idlest = || self.threads.iter().enumerate().min_by_key(|(_, thread)| load(thread)).map(|(index, _)| index);
        few.or_else(idlest).unwrap_or(0)
    }
}
