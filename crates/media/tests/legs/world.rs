//! A clock that jumps, a network with a seed, legs and what became of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use opentact_media::codec::{Codec, Decoder};
use opentact_media::jitter::Delay;
use opentact_media::leg::{Input, Output, WallClock};
use opentact_media::recorder::Recording;
use opentact_media::relay::{Frame, FrameKind};
use opentact_media::rtp::{Header, Packet};
use opentact_media::{Audience, Command, Event, Leg, LegConfig, LegKey, LegParams, MixKey, Mixer};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What the network does to each packet.
#[derive(Clone, Copy, Default)]
pub struct Network {
    /// 0..=1.
    pub loss: f64,
    pub duplication: f64,
    /// Milliseconds, from and to; wider than a packet time it reorders.
    pub delay: (u64, u64),
}

/// A packet some leg sent, before the network.
#[derive(Clone)]
pub struct Sent {
    pub at: Duration,
    pub header: Header,
    pub payload: Vec<u8>,
}

/// First port of video.
const VIDEO: u16 = 6000;

type Flight = Reverse<(Instant, u64, SocketAddr, SocketAddr, Vec<u8>)>;

pub struct World {
    pub now: Instant,
    start: Instant,
    network: Network,
    rng: StdRng,
    pub legs: Vec<Leg>,
    peers: HashMap<usize, usize>,
    pub mixer: Mixer,
    mixed: HashSet<usize>,
    flying: BinaryHeap<Flight>,
    flights: u64,
    pub events: Vec<(usize, Event)>,
    pub sent: Vec<Vec<Sent>>,
    /// RTP of each leg as it left.
    pub datagrams: Vec<Vec<Vec<u8>>>,
    pub rtcp_sent: Vec<Vec<u8>>,
    /// What each leg gave to its tap.
    pub tapped: Vec<Vec<i16>>,
    /// Video, and reports about it, that each leg without a peer would have passed on: kind, source, number, payload.
    pub shown: Vec<Vec<(FrameKind, u32, u16, Vec<u8>)>>,
    pub recordings: BTreeMap<(usize, u64), Vec<i16>>,
    pub ended: Vec<(usize, Recording)>,
    config: LegConfig,
}

impl World {
    pub fn new(seed: u64, network: Network) -> World {
        let start = Instant::now();
        let config = LegConfig {
            seed,
            clock: WallClock::new(start, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
            latch: true,
            rtp_timeout: Some(Duration::from_secs(30)),
            grain: Duration::ZERO,
            delay: Delay::default(),
            fill_silence: false,
            tap_wait: Duration::from_secs(60),
        };
        World {
            now: start,
            start,
            network,
            rng: StdRng::seed_from_u64(seed),
            legs: Vec::new(),
            peers: HashMap::new(),
            mixer: Mixer::new(start, config.delay, 512),
            mixed: HashSet::new(),
            flying: BinaryHeap::new(),
            flights: 0,
            events: Vec::new(),
            sent: Vec::new(),
            datagrams: Vec::new(),
            rtcp_sent: Vec::new(),
            tapped: Vec::new(),
            shown: Vec::new(),
            recordings: BTreeMap::new(),
            ended: Vec::new(),
            config,
        }
    }

    /// RTP on an even port of its own, RTCP on the next.
    pub fn address(leg: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 4000 + 2 * leg as u16))
    }

    /// Of the video of a leg that has ports for it.
    pub fn video_address(leg: usize, is_rtcp: bool) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], VIDEO + 2 * leg as u16 + u16::from(is_rtcp)))
    }

    /// Has a leg send a frame as if its bridged leg had heard it.
    pub fn relay(&mut self, leg: usize, frame: Frame<'_>) {
        self.legs[leg].handle(self.now, Input::Relayed(frame));
        self.drain(leg);
    }

    pub fn add(&mut self) -> usize {
        self.add_with(|_| {})
    }

    pub fn add_with(&mut self, change: impl FnOnce(&mut LegConfig)) -> usize {
        let mut config = self.config.clone();
        config.seed = self.rng.random();
        change(&mut config);
        self.legs.push(Leg::new(config));
        self.sent.push(Vec::new());
        self.datagrams.push(Vec::new());
        self.tapped.push(Vec::new());
        self.shown.push(Vec::new());
        self.legs.len() - 1
    }

    /// A leg of the product and the phone at its other end, both started.
    pub fn call(&mut self) -> (usize, usize) {
        self.call_with(|_| {})
    }

    pub fn call_in(&mut self, codec: Codec) -> (usize, usize) {
        self.call_with(|params| *params = LegParams::of(params.remote, codec))
    }

    pub fn call_with(&mut self, change: impl Fn(&mut LegParams)) -> (usize, usize) {
        let (leg, phone) = (self.add(), self.add());
        for (one, other) in [(leg, phone), (phone, leg)] {
            let mut params = LegParams::pcmu(World::address(other));
            change(&mut params);
            self.command(one, Command::Start(params));
        }
        (leg, phone)
    }

    pub fn command(&mut self, leg: usize, command: Command) {
        self.legs[leg].handle(self.now, Input::Command(command));
        self.drain(leg);
    }

    pub fn bridge(&mut self, a: usize, b: usize) {
        self.peers.extend([(a, b), (b, a)]);
        self.command(a, Command::Bridge { with: LegKey(b as u64) });
        self.command(b, Command::Bridge { with: LegKey(a as u64) });
    }

    pub fn unbridge(&mut self, a: usize) {
        if let Some(b) = self.peers.remove(&a) {
            self.peers.remove(&b);
            self.command(a, Command::Unbridge);
            self.command(b, Command::Unbridge);
        }
    }

    /// Takes a leg into the one mix of this world.
    pub fn join(&mut self, leg: usize, audience: Audience) {
        self.mixed.insert(leg);
        assert!(self.mixer.join(LegKey(leg as u64), self.legs[leg].hearing(), audience));
        self.command(leg, Command::Join { mix: MixKey(0), audience });
    }

    pub fn leave(&mut self, leg: usize) {
        self.mixed.remove(&leg);
        self.mixer.leave(LegKey(leg as u64));
        self.command(leg, Command::Leave);
    }

    fn feed(&mut self, leg: usize) {
        if let Some(need) = self.legs[leg].needs(self.now)
            && let Some((rate, samples)) = self.mixer.give(LegKey(leg as u64), need)
        {
            self.legs[leg].handle(self.now, Input::Mixed { rate, samples });
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.now.duration_since(self.start)
    }

    /// Lets `ms` pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let tick = self.legs.iter().filter_map(Leg::deadline).min();
            let arrival = self.flying.peek().map(|Reverse((at, ..))| *at);
            let next = tick.into_iter().chain(arrival).min().filter(|next| *next <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                self.arrive();
                continue;
            }
            for leg in 0..self.legs.len() {
                if self.legs[leg].deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.feed(leg);
                    self.legs[leg].handle(self.now, Input::Tick);
                    self.drain(leg);
                }
            }
        }
        self.now = end;
    }

    /// A stall: time passes and nobody is woken.
    pub fn stall(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// Wakes one leg at a time after the start, whether it is due or not.
    pub fn wake(&mut self, leg: usize, at: Duration) {
        self.now = self.start + at;
        self.legs[leg].handle(self.now, Input::Tick);
        self.drain(leg);
    }

    fn arrive(&mut self) {
        let Some(Reverse((_, _, from, to, datagram))) = self.flying.pop() else { return };
        let (video, leg) = (to.port() >= VIDEO, leg_of(to));
        let Some(receiver) = self.legs.get_mut(leg) else { return };
        let input = if video {
            Input::Video { from, is_rtcp: to.port() % 2 == 1, datagram: &datagram }
        } else if to.port() % 2 == 0 {
            Input::Rtp { from, datagram: &datagram }
        } else {
            Input::Rtcp { from, datagram: &datagram }
        };
        receiver.handle(self.now, input);
        self.drain(leg);
    }

    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let copies = if self.rng.random_bool(self.network.loss) {
            0
        } else if self.rng.random_bool(self.network.duplication) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let (least, most) = self.network.delay;
            let delay = Duration::from_micros(self.rng.random_range(least * 1000..=most * 1000));
            self.flights += 1;
            self.flying.push(Reverse((self.now + delay, self.flights, from, to, datagram.to_vec())));
        }
    }

    fn drain(&mut self, index: usize) {
        let address = World::address(index);
        let rtcp_address = SocketAddr::new(address.ip(), address.port() + 1);
        let peer = self.peers.get(&index).copied();
        let mixed = self.mixed.contains(&index);
        let mut flights = Vec::new();
        while let Some((leg, peer)) = pair(&mut self.legs, index, peer)
            && let Some(output) = leg.poll()
        {
            match output {
                Output::Rtp { to, packet } => {
                    let Packet { header, payload } = Packet::parse(packet).unwrap();
                    let at = self.now.duration_since(self.start);
                    self.sent[index].push(Sent { at, header, payload: payload.to_vec() });
                    self.datagrams[index].push(packet.to_vec());
                    flights.push((address, to, packet.to_vec()));
                }
                Output::Connectivity { to, packet } => flights.push((address, to, packet.to_vec())),
                Output::Rtcp { to, packet } => {
                    self.rtcp_sent.push(packet.to_vec());
                    flights.push((rtcp_address, to, packet.to_vec()));
                }
                Output::Video { to, is_rtcp, packet } => {
                    let from = World::video_address(index, is_rtcp);
                    flights.push((from, to, packet.to_vec()));
                }
                Output::Relay(frame) if mixed => self.mixer.hear(LegKey(index as u64), &frame),
                Output::Relay(frame) => {
                    let is_video = matches!(frame.kind, FrameKind::Video { .. } | FrameKind::VideoReport);
                    if is_video && peer.is_none() {
                        self.shown[index].push((frame.kind, frame.ssrc, frame.sequence, frame.payload.to_vec()));
                    }
                    if let Some(peer) = peer {
                        peer.handle(self.now, Input::Relayed(frame));
                    }
                }
                Output::Heard(samples) => self.tapped[index].extend(samples),
                Output::Recording(Recording::Samples { id, samples }) => {
                    self.recordings.entry((index, id)).or_default().extend(samples);
                }
                Output::Recording(other) => self.ended.push((index, other)),
                Output::Event(event) => self.events.push((index, event)),
            }
        }
        for (from, to, datagram) in flights {
            self.send(from, to, &datagram);
        }
        if let Some(peer) = peer
            && self.legs[peer].has_output()
        {
            self.drain(peer);
        }
    }

    /// The keys a leg was told of.
    pub fn keys(&self, leg: usize) -> String {
        self.events
            .iter()
            .filter_map(|(of, event)| match event {
                Event::Dtmf { digit, .. } if *of == leg => Some(*digit),
                _ => None,
            })
            .collect()
    }

    /// All audio a leg sent, decoded at 8,000 samples per second, or at 16,000 in G.722 and wide L16.
    pub fn audio(&self, leg: usize) -> Vec<i16> {
        const ALL: [Codec; 6] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16Narrow, Codec::L16Wide];
        let mut decoders: HashMap<u8, Decoder> =
            ALL.iter().map(|codec| (codec.payload_type(), Decoder::new(*codec, 8000).unwrap())).collect();
        let mut samples = Vec::new();
        for sent in &self.sent[leg] {
            if let Some(decoder) = decoders.get_mut(&sent.header.payload_type) {
                decoder.decode(&sent.payload, &mut samples);
            }
        }
        samples
    }
}

/// Whose port that is; nobody's is the last.
fn leg_of(to: SocketAddr) -> usize {
    let first = if to.port() >= VIDEO { VIDEO } else { 4000 };
    to.port().checked_sub(first).map_or(usize::MAX, |port| usize::from(port / 2))
}

fn pair(legs: &mut [Leg], index: usize, peer: Option<usize>) -> Option<(&mut Leg, Option<&mut Leg>)> {
    match peer {
        None => legs.get_mut(index).map(|leg| (leg, None)),
        Some(peer) => {
            let [leg, peer] = legs.get_disjoint_mut([index, peer]).ok()?;
            Some((leg, Some(peer)))
        }
    }
}

/// Hertz, by rising zero crossings with their places between samples interpolated.
pub fn frequency(samples: &[i16]) -> f64 {
    frequency_at(samples, 8000)
}

pub fn frequency_at(samples: &[i16], rate: u32) -> f64 {
    let crossings: Vec<f64> = samples
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0] < 0 && pair[1] >= 0)
        .map(|(at, pair)| at as f64 + f64::from(-pair[0]) / (f64::from(pair[1]) - f64::from(pair[0])))
        .collect();
    let turns = crossings.len().saturating_sub(1) as f64;
    turns * f64::from(rate) / (crossings[crossings.len() - 1] - crossings[0])
}

/// How loud a tone is among others: the peak of its sine, in decibels below full scale.
pub fn tone_db(samples: &[i16], rate: u32, hz: f64) -> f64 {
    let turn = |at: usize| (at as f64 * hz * std::f64::consts::TAU / f64::from(rate)).sin_cos();
    let (mut re, mut im) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let (sin, cos) = turn(at);
        re += f64::from(*sample) * cos;
        im += f64::from(*sample) * sin;
    }
    20.0 * ((re.hypot(im) * 2.0 / samples.len() as f64).max(0.01) / 32767.0).log10()
}

/// The peak of a sine as loud, in decibels below full scale.
pub fn level_db(samples: &[i16]) -> f64 {
    let power: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64;
    20.0 * ((power * 2.0).sqrt() / 32767.0).log10()
}
