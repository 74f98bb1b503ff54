//! One media thread: commands, then what came, then what is due, every 5 ms.
//!
//! What a leg hears is read when it is due, once a packet's time; that is soon enough for keys and counts, and costs one
//! system call. Whose audio somebody else waits for (a bridged leg's), and who still shakes hands, is watched by epoll and
//! read within 5 ms; so is RTCP.

mod handover;
mod joining;
mod mixing;
mod slot;

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};
use std::{io, thread};

use metrics::{Counter, Gauge, counter, gauge};
use opentact_media::jitter::Delay;
use opentact_media::leg::{Input, Output};
use opentact_media::{Codec, Command, Event, Leg, LegKey, LegStats, MixKey, Mixer};
use tokio::sync::oneshot;

use self::handover::Handover;
use self::slot::{KINDS, RTCP, RTP, Slot, VIDEO_RTCP, watch, with_peer};
use super::net::{Batch, Clocks, Epoll, Inbox, hurry};
use super::ports::PortPair;
use super::recordings::Job;
use super::tap::TapEnd;
use super::{EventSink, MediaConfig, QUEUE};

/// How often a thread wakes. Packets wait at most this long; a leg sends at most one packet of its own in it, so that
/// one that is late catches up without a burst.
pub(super) const SLICE: Duration = Duration::from_millis(5);
/// Datagrams read from one socket in one slice: a flood on one port does not starve the others.
const MAX_DATAGRAMS: usize = 128;
/// Behind a datagram that came since, hardly ever another lies: finding that out would cost a third of reading one. What does
/// lie there is read a packet time later, and with it all that has come meanwhile.
const NEW: Duration = Duration::from_millis(15);
/// How often a leg is looked at that is not started.
const IDLE: Duration = Duration::from_millis(20);

pub(super) enum Message {
    Open {
        key: LegKey,
        leg: Box<Leg>,
        pair: PortPair,
    },
    Command {
        key: LegKey,
        command: Command,
    },
    Measure {
        key: LegKey,
        reply: oneshot::Sender<LegStats>,
    },
    /// A leg has ports for video too.
    Video {
        key: LegKey,
        pair: PortPair,
    },
    /// What the party says goes to this end, `rate` samples a second.
    Tap {
        key: LegKey,
        rate: u32,
        end: TapEnd,
    },
    /// A leg comes from another thread to be bridged with one of this, or to join a mix of it, as that command says.
    Adopt {
        slot: Box<Slot>,
        to: Command,
    },
    /// A leg that once was on this thread is closed.
    Forget {
        key: LegKey,
    },
    Shutdown,
}

pub(super) struct Worker {
    index: usize,
    queues: Vec<SyncSender<Message>>,
    events: EventSink,
    recordings: Handover,
    /// Legs on this thread, as the pool sees it.
    legs: Arc<AtomicUsize>,
    slots: Vec<Option<Slot>>,
    /// When each place has to be looked at; side by side, for they are looked through every 5 ms.
    due: Vec<Option<Instant>>,
    vacant: Vec<usize>,
    places: HashMap<LegKey, usize>,
    /// Legs that went to another thread.
    moved: HashMap<LegKey, usize>,
    mixes: HashMap<MixKey, Mixer>,
    /// How long packets wait in a mix, and how many legs it has at most.
    delay: Delay,
    mix_parties: usize,
    /// Messages for threads whose queue was full.
    pending: VecDeque<(usize, Message)>,
    epoll: Epoll,
    inbox: Inbox,
    ready: Vec<u64>,
    rtp: Batch,
    rtcp: Batch,
    video: Batch,
    video_rtcp: Batch,
    /// Since the meters were told.
    counts: Counts,
    meters: Meters,
    ending: bool,
}

/// Packets.
#[derive(Default)]
struct Counts {
    received: u64,
    sent: u64,
    unsent: u64,
}

struct Meters {
    legs: Gauge,
    received: Counter,
    sent: Counter,
    unsent: Counter,
    late: Counter,
}

impl Meters {
    fn count(&self, counts: Counts) {
        self.received.increment(counts.received);
        self.sent.increment(counts.sent);
        self.unsent.increment(counts.unsent);
    }
}

impl Worker {
    pub fn new(
        index: usize,
        queues: Vec<SyncSender<Message>>,
        events: EventSink,
        recordings: SyncSender<Job>,
        legs: Arc<AtomicUsize>,
        config: &MediaConfig,
    ) -> io::Result<Worker> {
        let name = index.to_string();
        let meters = Meters {
            legs: gauge!("opentact_media_legs", "thread" => name.clone()),
            received: counter!("opentact_media_packets_received_total", "thread" => name.clone()),
            sent: counter!("opentact_media_packets_sent_total", "thread" => name.clone()),
            unsent: counter!("opentact_media_packets_unsent_total", "thread" => name.clone()),
            late: counter!("opentact_media_late_ticks_total", "thread" => name),
        };
        Ok(Worker {
            index,
            queues,
            events,
            recordings: Handover::new(recordings),
            legs,
            slots: Vec::new(),
            due: Vec::new(),
            vacant: Vec::new(),
            places: HashMap::new(),
            moved: HashMap::new(),
            mixes: HashMap::new(),
            delay: config.jitter,
            mix_parties: config.mix_parties,
            pending: VecDeque::new(),
            epoll: Epoll::new()?,
            inbox: Inbox::new(),
            ready: Vec::new(),
            rtp: Batch::default(),
            rtcp: Batch::default(),
            video: Batch::default(),
            video_rtcp: Batch::default(),
            counts: Counts::default(),
            meters,
            ending: false,
        })
    }

    pub fn run(mut self, queue: Receiver<Message>) {
        if !hurry() {
            tracing::debug!(thread = self.index, "no priority for the media thread: it takes CAP_SYS_NICE");
        }
        let mut wake = Instant::now();
        while !self.ending {
            if self.places.is_empty() && self.pending.is_empty() && self.recordings.is_empty() {
                // Nothing to tick and nothing to hear: sleep until told something.
                let Ok(message) = queue.recv() else { break };
                wake = Instant::now();
                self.take(wake, message);
            }
            for message in queue.try_iter().take(QUEUE) {
                self.take(Instant::now(), message);
            }
            self.pass_on_pending();
            self.recordings.give();
            self.hear();
            self.tick();
            self.meters.count(std::mem::take(&mut self.counts));
            // Absolute times: what one slice is late the next is not.
            wake += SLICE;
            let now = Instant::now();
            match wake.checked_duration_since(now) {
                Some(rest) => thread::sleep(rest),
                None => {
                    let behind = now.duration_since(wake);
                    let slices = (behind.as_nanos() / SLICE.as_nanos()) as u32;
                    if slices > 0 {
                        self.meters.late.increment(u64::from(slices));
                        wake += SLICE * slices;
                    }
                }
            }
        }
        let now = Instant::now();
        for index in 0..self.slots.len() {
            self.close(now, index);
        }
        self.recordings.finish();
    }

    fn take(&mut self, now: Instant, message: Message) {
        match message {
            Message::Open { key, leg, pair } => {
                self.settle(Slot {
                    key,
                    leg,
                    pair,
                    video: None,
                    peer: None,
                    watched: false,
                    partner: None,
                    clock: now,
                    mix: None,
                    tap: None,
                    visited: Vec::new(),
                    recorded: false,
                    farewell: None,
                });
            }
            Message::Command { key, command } => self.command(now, key, command),
            Message::Measure { key, reply } => self.measure(key, reply),
            Message::Video { key, pair } => self.take_video(key, pair),
            Message::Tap { key, rate, end } => self.tap(now, key, rate, end),
            Message::Adopt { slot, to } => self.adopt(now, *slot, to),
            Message::Forget { key } => {
                self.moved.remove(&key);
            }
            Message::Shutdown => self.ending = true,
        }
    }

    fn command(&mut self, now: Instant, key: LegKey, command: Command) {
        let Some(&index) = self.places.get(&key) else {
            // Neither here nor moved: closed, and not listening.
            if let Some(&thread) = self.moved.get(&key) {
                self.pass_on(thread, Message::Command { key, command });
            }
            return;
        };
        match command {
            Command::Bridge { with } => self.bridge(now, index, with),
            Command::Unbridge => self.part(now, index),
            Command::Join { mix, audience } => self.join_mix(now, index, mix, audience),
            Command::Leave => self.leave_mix(now, index),
            Command::Speak { to } => self.with_mix(index, |mixer, key| mixer.speak(key, to)),
            Command::Volume { db } => self.with_mix(index, |mixer, key| mixer.volume(key, db)),
            Command::Mute { on } => self.with_mix(index, |mixer, key| mixer.mute(key, on)),
            Command::Close => self.close(now, index),
            Command::Record(mut order) => {
                order.rate = order.rate.max(self.peer_codec(index).map_or(0, Codec::recording_rate));
                self.handle(now, index, Input::Command(Command::Record(order)));
                self.drain(now, index);
            }
            command => {
                self.handle(now, index, Input::Command(command));
                self.drain(now, index);
            }
        }
    }

    /// What the leg that this one is bridged to speaks.
    fn peer_codec(&self, index: usize) -> Option<Codec> {
        let peer = self.slots[index].as_ref()?.peer?;
        self.slots[peer].as_ref()?.leg.codec()
    }

    fn take_video(&mut self, key: LegKey, pair: PortPair) {
        match (self.places.get(&key), self.moved.get(&key)) {
            (Some(&index), _) => {
                if let Some(slot) = &mut self.slots[index] {
                    slot.video = Some(pair);
                    watch(&self.epoll, slot, index);
                }
            }
            (None, Some(&thread)) => self.pass_on(thread, Message::Video { key, pair }),
            (None, None) => {}
        }
    }

    fn tap(&mut self, now: Instant, key: LegKey, rate: u32, end: TapEnd) {
        match (self.places.get(&key), self.moved.get(&key)) {
            (Some(&index), _) => {
                // What the tap before is told of its end goes to it.
                self.command(now, key, Command::Untap);
                if let Some(slot) = &mut self.slots[index] {
                    slot.tap = Some(end);
                }
                self.command(now, key, Command::Tap { rate });
            }
            (None, Some(&thread)) => self.pass_on(thread, Message::Tap { key, rate, end }),
            (None, None) => {}
        }
    }

    fn measure(&mut self, key: LegKey, reply: oneshot::Sender<LegStats>) {
        match (self.places.get(&key), self.moved.get(&key)) {
            (Some(&index), _) => {
                if let Some(slot) = &self.slots[index] {
                    let _ = reply.send(slot.leg.stats());
                }
            }
            (None, Some(&thread)) => self.pass_on(thread, Message::Measure { key, reply }),
            (None, None) => {}
        }
    }

    fn close(&mut self, now: Instant, index: usize) {
        self.part(now, index);
        self.forget_mix(index);
        self.handle(now, index, Input::Command(Command::Close));
        self.drain(now, index);
        self.remove(index);
    }

    /// Gives a leg a place and watches its sockets.
    fn settle(&mut self, slot: Slot) {
        let index = self.vacant.pop().unwrap_or(self.slots.len());
        watch(&self.epoll, &slot, index);
        let due = Some(slot.clock);
        // The pool counts a leg when it is opened; one that moved is counted where it is.
        if !slot.visited.is_empty() {
            self.legs.fetch_add(1, Ordering::Relaxed);
        }
        self.places.insert(slot.key, index);
        if index == self.slots.len() {
            self.slots.push(Some(slot));
            self.due.push(due);
        } else {
            self.slots[index] = Some(slot);
            self.due[index] = due;
        }
        self.meters.legs.set(self.places.len() as f64);
    }

    fn vacate(&mut self, index: usize) -> Option<Slot> {
        let slot = self.slots[index].take()?;
        self.due[index] = None;
        self.vacant.push(index);
        self.places.remove(&slot.key);
        self.legs.fetch_sub(1, Ordering::Relaxed);
        self.meters.legs.set(self.places.len() as f64);
        Some(slot)
    }

    /// Reads every watched socket that has something, one datagram in turn.
    fn hear(&mut self) {
        let clocks = Clocks::read();
        let mut ready = std::mem::take(&mut self.ready);
        for _ in 0..MAX_DATAGRAMS {
            ready.clear();
            if let Err(error) = self.epoll.ready(&mut ready) {
                tracing::error!(%error, "epoll");
            }
            for token in &ready {
                self.read(clocks, (*token / KINDS) as usize, *token % KINDS);
            }
            if ready.is_empty() {
                break;
            }
        }
        self.ready = ready;
    }

    /// Reads one datagram from the socket of that kind. True where another may lie behind it: it was there, and not new.
    fn read(&mut self, clocks: Clocks, index: usize, kind: u64) -> bool {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else { return false };
        let Some((socket, _)) = slot.sockets().find(|(_, other)| *other == kind) else { return false };
        let received = match self.inbox.receive(socket, clocks) {
            Ok(Some(received)) => received,
            Ok(None) => return false,
            Err(error) => {
                tracing::warn!(leg = %slot.key, %error, "cannot read RTP socket");
                return false;
            }
        };
        let is_new = clocks.now.saturating_duration_since(received.at) < NEW;
        slot.clock = slot.clock.max(received.at);
        let (now, leg, from, datagram) = (slot.clock, &mut slot.leg, received.from, received.datagram);
        let input = match kind {
            RTP => Input::Rtp { from, datagram },
            RTCP => Input::Rtcp { from, datagram },
            kind => Input::Video { from, is_rtcp: kind == VIDEO_RTCP, datagram },
        };
        let handled = catch_unwind(AssertUnwindSafe(|| leg.handle(now, input)));
        self.counts.received += 1;
        if handled.is_err() {
            self.abandon(index);
        } else {
            self.drain(now, index);
        }
        !is_new
    }

    /// Reads what came to those whose time it is, and lets it pass.
    fn tick(&mut self) {
        let mut clocks = Clocks::read();
        for index in 0..self.slots.len() {
            if self.due[index].is_none_or(|due| due > clocks.now) {
                continue;
            }
            clocks = Clocks::read();
            if self.slots[index].as_ref().is_some_and(|slot| !slot.watched) {
                let mut left = MAX_DATAGRAMS;
                while left > 0 && self.read(clocks, index, RTP) {
                    left -= 1;
                }
            }
            self.feed(clocks.now, index);
            self.handle(clocks.now, index, Input::Tick);
            self.drain(clocks.now, index);
        }
    }

    fn handle(&mut self, now: Instant, index: usize, input: Input<'_>) {
        let Some(slot) = &mut self.slots[index] else { return };
        slot.clock = slot.clock.max(now);
        let (now, leg) = (slot.clock, &mut slot.leg);
        if catch_unwind(AssertUnwindSafe(|| leg.handle(now, input))).is_err() {
            self.abandon(index);
        }
    }

    /// A fault in one leg ends that leg only.
    fn abandon(&mut self, index: usize) {
        if let Some(peer) = self.slots[index].as_mut().and_then(|slot| slot.peer.take())
            && let Some(slot) = &mut self.slots[peer]
        {
            slot.peer = None;
        }
        self.forget_mix(index);
        if let Some(slot) = &mut self.slots[index] {
            tracing::error!(leg = %slot.key, "leg panicked and is closed");
            slot.farewell = Some(Event::Closed(slot.leg.stats()));
            self.recordings.push(Job::Gone(slot.key));
        }
        self.remove(index);
    }

    /// Frees a leg's place and ports, and only then says so.
    fn remove(&mut self, index: usize) {
        let Some(Slot { key, leg, pair, video, visited, recorded, farewell, .. }) = self.vacate(index) else { return };
        drop((leg, pair, video));
        for thread in visited {
            self.pass_on(thread, Message::Forget { key });
        }
        if let Some(event) = farewell {
            if recorded {
                self.recordings.push(Job::Tell(key, event));
            } else {
                (self.events)(key, event);
            }
        }
        self.recordings.give();
    }

    /// Does what a leg wants done, and what the leg it is bridged to wants done because of it.
    fn drain(&mut self, now: Instant, index: usize) {
        let Some((slot, mut peer)) = with_peer(&mut self.slots, index) else { return };
        let relayed_to = slot.peer;
        let mut mixer = slot.mix.and_then(|mix| self.mixes.get_mut(&mix));
        let (mut relayed, mut peer_panicked, mut mix_panicked) = (false, false, false);
        while let Some(output) = slot.leg.poll() {
            match output {
                Output::Rtp { to, packet } | Output::Connectivity { to, packet } => self.rtp.push(to, packet),
                Output::Rtcp { to, packet } => self.rtcp.push(to, packet),
                // Without sockets for it there is no video.
                Output::Video { .. } if slot.video.is_none() => {}
                Output::Video { to, is_rtcp: false, packet } => self.video.push(to, packet),
                Output::Video { to, is_rtcp: true, packet } => self.video_rtcp.push(to, packet),
                Output::Relay(frame) => {
                    if let Some(mixer) = mixer.as_mut().filter(|_| !mix_panicked) {
                        mix_panicked = catch_unwind(AssertUnwindSafe(|| mixer.hear(slot.key, &frame))).is_err();
                    } else if let Some(peer) = peer.as_mut().filter(|_| !peer_panicked) {
                        peer.clock = peer.clock.max(now);
                        let (now, leg) = (peer.clock, &mut peer.leg);
                        let handled = catch_unwind(AssertUnwindSafe(|| leg.handle(now, Input::Relayed(frame))));
                        peer_panicked = handled.is_err();
                        relayed = true;
                    }
                }
                Output::Recording(recording) => {
                    slot.recorded = true;
                    self.recordings.record(slot.key, recording);
                }
                Output::Heard(samples) => {
                    if let Some(tap) = &mut slot.tap {
                        tap.hear(samples);
                    }
                }
                Output::Event(event @ Event::Closed(_)) => slot.farewell = Some(event),
                Output::Event(event) if slot.tap.as_mut().is_some_and(|tap| tap.tell(&event)) => {}
                Output::Event(event) => (self.events)(slot.key, event),
            }
        }
        let video = slot.video.as_ref();
        for (batch, socket, partner) in [
            (&mut self.rtp, Some(&slot.pair.rtp), slot.partner),
            (&mut self.rtcp, Some(&slot.pair.rtcp), None),
            (&mut self.video, video.map(|pair| &pair.rtp), None),
            (&mut self.video_rtcp, video.map(|pair| &pair.rtcp), None),
        ] {
            if let Some(socket) = socket.filter(|_| !batch.is_empty()) {
                let (sent, unsent) = batch.send(socket, partner);
                self.counts.sent += sent;
                self.counts.unsent += unsent;
            }
        }
        let partner = slot.leg.partner(now);
        if slot.partner != partner {
            slot.meet(partner);
        }
        if slot.watched != slot.leg.is_live() {
            slot.watched = !slot.watched;
            if !slot.watched {
                self.epoll.remove(&slot.pair.rtp);
            } else if let Err(error) = self.epoll.add(&slot.pair.rtp, index as u64 * KINDS + RTP) {
                tracing::debug!(leg = %slot.key, %error, "cannot watch the socket of a leg: it hears later");
                slot.watched = false;
            }
        }
        self.due[index] = Some(slot.leg.deadline().unwrap_or(now + IDLE));
        let recorded = slot.recorded;
        let untapped = slot.tap.take_if(|tap| tap.is_over()).is_some();
        if recorded {
            self.recordings.give();
        }
        if mix_panicked {
            self.end_mix(now, index);
        }
        if untapped {
            self.handle(now, index, Input::Command(Command::Untap));
            self.drain(now, index);
        }
        if let Some(peer) = relayed_to.filter(|_| relayed) {
            if peer_panicked {
                self.abandon(peer);
            } else {
                self.drain(now, peer);
            }
        }
    }
}
