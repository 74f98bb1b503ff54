//! One leg's audio: packets in, a tick every packet time, packets out.

mod inband;
mod incoming;
mod outbox;
mod outgoing;
mod player;
mod recording;
mod reports;
mod tap;
mod transcoding;
mod video;
mod voice;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::codec::{Codec, OpusParams};
use crate::control::{Command, Event, LegParams, Source};
use crate::jitter::{Delay, Playout};
use crate::mixer::{Hearing, Need};
use crate::prompt::FRAME_MS;
use crate::relay::{Frame, FrameKind, OutgoingStream};
use crate::stats::{LegStats, Reception};
use crate::telephone_event;
use crate::transport::{Opened, Transport};
use inband::Ear;
use outbox::Outbox;
pub use outbox::Output;
use outgoing::Keys;
use player::Player;
use recording::Recordings;
use reports::Reports;
use tap::Tap;
use transcoding::{RelayedKey, Transcoding};
use video::Video;
use voice::Voice;

/// Behind schedule by more, packet times are left out instead of sent late.
const MAX_LAG: Duration = Duration::from_millis(100);
/// Units per second of keys that wait to be sent.
const CLOCK_RATE: u32 = 8_000;

/// How a leg behaves whatever it is told.
#[derive(Debug, Clone)]
pub struct LegConfig {
    /// SSRC, first sequence number and timestamp, CNAME and report times come from it: for every leg another.
    pub seed: u64,
    pub clock: WallClock,
    /// Symmetric RTP: answer where the first valid packet comes from, whatever the SDP said, and hear only that source.
    /// Else packets are taken from the address of the SDP, any port.
    pub latch: bool,
    /// Silence of the peer after which [`Event::Timeout`] is told.
    pub rtp_timeout: Option<Duration>,
    /// How often the leg is looked after. What is due within half of it is due: a schedule that lies just where the
    /// wake-ups lie would flutter between two of them.
    pub grain: Duration,
    /// How long packets wait where they are decoded to be encoded again.
    pub delay: Delay,
    /// Send silence while there is nothing else to send, so that NATs and the peer's own timeout stay content.
    pub fill_silence: bool,
    /// How much of what a tap says waits to be sent; what is beyond is dropped, and told of.
    pub tap_wait: Duration,
}

/// Tells the time of day of an instant, as RTCP needs it.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    origin: Instant,
    /// NTP time of the origin (RFC 5905 6): seconds since 1900, and their fraction in the lower 32 bits.
    ntp: u64,
}

impl WallClock {
    pub fn new(origin: Instant, time_of_day: SystemTime) -> WallClock {
        let unix = time_of_day.duration_since(UNIX_EPOCH).unwrap_or_default();
        // 70 years, of which 17 were leap years.
        let seconds = unix.as_secs() + 2_208_988_800;
        WallClock { origin, ntp: (seconds << 32).wrapping_add(fraction(unix.subsec_nanos())) }
    }

    pub fn ntp(&self, at: Instant) -> u64 {
        let elapsed = at.saturating_duration_since(self.origin);
        self.ntp.wrapping_add((elapsed.as_secs() << 32).wrapping_add(fraction(elapsed.subsec_nanos())))
    }
}

fn fraction(nanoseconds: u32) -> u64 {
    (u64::from(nanoseconds) << 32) / 1_000_000_000
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram on the RTP socket.
    Rtp { from: SocketAddr, datagram: &'a [u8] },
    /// A datagram on the RTCP socket.
    Rtcp { from: SocketAddr, datagram: &'a [u8] },
    /// A datagram on one of the sockets that video has for itself.
    Video { from: SocketAddr, is_rtcp: bool, datagram: &'a [u8] },
    /// The bridged leg heard this.
    Relayed(Frame<'a>),
    /// What [`Leg::needs`] of its mix, at `rate` samples per second; then comes the tick.
    Mixed { rate: u32, samples: &'a [i16] },
    /// The deadline is reached.
    Tick,
    /// `Bridge` and `Unbridge` are handed to both legs of the pair.
    Command(Command),
}

/// Where what the leg hears goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Nowhere,
    Bridge,
    Mix,
    Echo,
}

pub struct Leg {
    config: LegConfig,
    rng: StdRng,
    /// `None` until started and again once closed.
    params: Option<LegParams>,
    remote: Remote,
    route: Route,
    stream: OutgoingStream,
    voice: Voice,
    /// What the bridged leg hears and this one does not speak.
    transcoding: Option<Box<Transcoding>>,
    key_relayed: Option<RelayedKey>,
    /// What it hears of its mix in the packet time to come.
    mixed: Vec<i16>,
    tap: Option<Box<Tap>>,
    video: Option<Box<Video>>,
    /// Of what was transcoded before.
    played: Option<Playout>,
    /// Listens for keys that come as tones.
    ear: Option<Box<Ear>>,
    /// The bridged leg's party presses a key that its leg hears as tones and this one sends as events.
    hears_tones: bool,
    reception: Reception,
    keys_in: telephone_event::Receiver,
    keys_out: Keys,
    player: Option<Player>,
    /// On hold: goes on from where it is when a prompt has ended.
    music: Option<Player>,
    recordings: Recordings,
    reports: Reports,
    next_tick: Option<Instant>,
    /// The last packet heard, or the start.
    last_heard: Option<Instant>,
    /// When the peer was heard last, or its silence was told.
    silent_since: Option<Instant>,
    discarded: u64,
    keys_received: u32,
    transport: Transport,
    outbox: Outbox,
}

/// Where packets go, once the peer's address is known better than by its SDP.
#[derive(Debug, Clone, Copy, Default)]
struct Remote {
    rtp: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
}

impl Leg {
    pub fn new(config: LegConfig) -> Leg {
        let mut rng = StdRng::seed_from_u64(config.seed);
        // RFC 3550 5.1: all three random. RFC 3711 3.3.1: a sequence that soon begins anew, and loses packets there, would
        // leave a receiver of SRTP behind for good.
        let stream = OutgoingStream::new(rng.random(), rng.random_range(0..1 << 15), rng.random(), CLOCK_RATE);
        // RFC 7022 4.2: a short-term persistent CNAME is 96 random bits.
        let reports = Reports::new(format!("{:016x}{:08x}", rng.random::<u64>(), rng.random::<u32>()));
        Leg {
            config,
            rng,
            params: None,
            remote: Remote::default(),
            route: Route::Nowhere,
            stream,
            voice: Voice::new(Codec::Pcmu, OpusParams::default()),
            transcoding: None,
            key_relayed: None,
            mixed: Vec::new(),
            tap: None,
            video: None,
            played: None,
            ear: None,
            hears_tones: false,
            reception: Reception::new(CLOCK_RATE),
            keys_in: telephone_event::Receiver::new(CLOCK_RATE),
            keys_out: Keys::default(),
            player: None,
            music: None,
            recordings: Recordings::default(),
            reports,
            next_tick: None,
            last_heard: None,
            silent_since: None,
            discarded: 0,
            keys_received: 0,
            transport: Transport::default(),
            outbox: Outbox::default(),
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Rtp { from, datagram } if self.transport.is_plain() => self.receive_rtp(now, from, datagram),
            Input::Rtcp { from, datagram } if self.transport.is_plain() => self.receive_rtcp(now, from, datagram),
            // RFC 5764 4.1: what shares one port shares one handshake; for another there is none.
            Input::Rtcp { .. } if self.transport.is_one_port() => self.discarded += 1,
            Input::Rtp { from, datagram } | Input::Rtcp { from, datagram } => self.receive_secured(now, from, datagram),
            Input::Video { from, is_rtcp, datagram } => self.receive_video(from, datagram, is_rtcp),
            Input::Relayed(frame) => self.send_relayed(now, frame),
            Input::Mixed { rate, samples } => self.take_mixed(rate, samples),
            Input::Tick => self.tick(now),
            Input::Command(command) => self.command(now, command),
        }
    }

    /// What is to be done next, in order; drain to `None` after every `handle`.
    pub fn poll(&mut self) -> Option<Output<'_>> {
        self.outbox.pop(&mut self.transport)
    }

    /// Whether [`Leg::poll`] has something.
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// When [`Input::Tick`] is due. `None`: nothing to do until started.
    pub fn deadline(&self) -> Option<Instant> {
        let tick = self.next_tick?;
        Some(tick.checked_sub(self.config.grain / 2).unwrap_or(tick))
    }

    /// What it hears is waited for: by the bridged leg, or by a handshake. Else it is soon enough to hand it over with the
    /// next tick.
    pub fn is_live(&self) -> bool {
        self.route != Route::Nowhere || self.params.is_some() && self.transport.is_agreeing()
    }

    /// The codec in force; `None` before the start.
    pub fn codec(&self) -> Option<Codec> {
        self.params.as_ref().map(|params| params.codec)
    }

    pub fn stats(&self) -> LegStats {
        LegStats {
            packets_sent: self.stream.packets,
            octets_sent: self.stream.octets,
            packets_received: self.reception.received,
            octets_received: self.reception.octets,
            packets_lost: self.reception.lost(),
            packets_duplicate: self.reception.duplicates,
            packets_reordered: self.reception.reordered,
            packets_discarded: self.discarded,
            jitter_ms: self.reception.jitter_ms(),
            max_jitter_ms: self.reception.max_jitter_ms(),
            round_trip_ms: self.reports.round_trip_ms(),
            remote_lost: self.reports.remote_lost(),
            remote_jitter_ms: self.reports.remote_jitter_ms(self.stream.clock_rate()),
            dtmf_received: self.keys_received,
            codec: self.last_heard.map(|_| self.voice.codec()),
            playout: self.playout(),
            jitter_buffer_ms: self.transcoding.as_ref().map_or(0, |transcoding| transcoding.delay_ms()),
            mos: self.heard_as(),
            lowest_mos: self.reports.lowest_mos,
            remote_mos: self.hears_us_as(),
        }
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Start(params) => self.start(now, params),
            Command::Play { id, source, loops } => self.play(id, source, loops),
            Command::StopPlay { id } => {
                if self.player.as_ref().is_some_and(|player| player.id == id) {
                    self.end_play(false);
                }
            }
            Command::Music { source } => {
                let codec = self.codec().unwrap_or(Codec::Pcmu);
                self.music = source.map(|source| Player::new(0, source, 0, codec));
            }
            Command::Bridge { .. } => self.route = Route::Bridge,
            Command::Unbridge => {
                if self.route == Route::Bridge {
                    self.part();
                }
            }
            Command::Join { .. } => {
                self.part();
                self.route = Route::Mix;
            }
            Command::Leave => {
                if self.route == Route::Mix {
                    self.part();
                }
            }
            Command::Candidates { lines } => {
                self.transport.learn(now, &lines);
                self.connect();
            }
            Command::Tap { rate } => self.tap(rate),
            Command::Untap => self.untap(),
            Command::Say { samples } => self.say(&samples),
            Command::Mark { id } => self.mark(id),
            Command::Hush => self.hush(),
            // Done by the mix.
            Command::Speak { .. } | Command::Volume { .. } | Command::Mute { .. } => {}
            Command::Echo { on } => {
                if on {
                    self.route = Route::Echo;
                } else if self.route == Route::Echo {
                    self.part();
                }
            }
            Command::Record(order) => self.record(order),
            Command::StopRecord { id } => self.stop_record(id),
            Command::SendDtmf { digits, on_ms, .. } if self.signals_keys() => {
                for digit in digits.chars().filter(|digit| telephone_event::event_of(*digit).is_some()) {
                    self.outbox.event(Event::SignalKey { digit, duration_ms: u32::from(on_ms) });
                }
                self.outbox.event(Event::DtmfSent);
            }
            Command::PassKey { digit } => {
                if self.route == Route::Bridge {
                    self.outbox.relay(self.header(self.stream.here(), 0), FrameKind::Key(digit), &[]);
                }
            }
            Command::SendDtmf { digits, on_ms, gap_ms } => {
                if !self.keys_out.push(&digits, on_ms, gap_ms) {
                    self.outbox.event(Event::DtmfSent);
                }
            }
            Command::Close => self.close(now),
        }
    }

    fn part(&mut self) {
        self.route = Route::Nowhere;
        self.music = None;
        self.stream.forget_source();
        self.end_transcoding();
        self.key_relayed = None;
        self.hears_tones = false;
    }

    fn start(&mut self, now: Instant, mut params: LegParams) {
        let most = match params.codec {
            // RFC 7587 6.1: a packet time is what the peer would like; prompts are made once for all.
            Codec::Opus => FRAME_MS,
            // A longer packet would not fit into a datagram.
            Codec::L16Wide => 40,
            _ => 60,
        };
        let least = if params.codec == Codec::Opus { FRAME_MS } else { 10 };
        params.ptime_ms = params.ptime_ms.clamp(least, most) / 10 * 10;
        let (clock_rate, format) = (params.codec.clock_rate(), params.dtmf);
        if self.stream.clock_rate() != clock_rate {
            // RFC 7160 4.1: another clock, another source.
            self.stream.change_clock(self.rng.random(), self.rng.random(), clock_rate);
        }
        self.reception.set_clock_rate(clock_rate);
        self.keys_in.set_clock_rate(format.map_or(CLOCK_RATE, |format| format.clock_rate));
        if self.voice.codec() != params.codec {
            self.end_transcoding();
        }
        self.voice.change(params.codec, params.opus);
        let same_remote = self.params.as_ref().is_some_and(|before| before.remote == params.remote);
        if !same_remote {
            self.remote = Remote::default();
        }
        self.transport.secure(now, &params.security);
        if self.next_tick.is_none() {
            self.next_tick = Some(now);
            self.recordings.fresh = true;
            self.reports.schedule_first(now, &mut self.rng);
        }
        // A peer taken off hold has the whole time again.
        self.last_heard = Some(now);
        self.silent_since = Some(now);
        self.start_video(params.video.take());
        self.params = Some(params);
        self.begin_records();
        self.connect();
    }

    /// Sends what ICE and DTLS have to say.
    fn connect(&mut self) {
        let told = self.rtp_remote();
        while let Some((to, packet)) = self.transport.poll(told) {
            self.outbox.connectivity(to, &packet);
        }
    }

    fn play(&mut self, id: u64, source: Source, loops: u32) {
        self.end_play(false);
        let codec = self.codec().unwrap_or(Codec::Pcmu);
        self.player = Some(Player::new(id, source, loops, codec));
    }

    fn end_play(&mut self, completed: bool) {
        if let Some(player) = self.player.take() {
            self.outbox.event(Event::PlayDone { id: player.id, completed });
        }
    }

    /// What is played cannot go on.
    fn fail_play(&mut self) {
        if let Some(player) = self.player.take() {
            let reason = player.failure().unwrap_or_default();
            self.outbox.event(Event::PlayFailed { id: player.id, reason });
        }
    }

    fn close(&mut self, now: Instant) {
        if self.reports.closed {
            return;
        }
        self.reports.closed = true;
        self.end_play(false);
        self.untap();
        self.close_records();
        if self.params.is_some() {
            self.send_goodbye(now);
        }
        self.params = None;
        self.next_tick = None;
        self.outbox.event(Event::Closed(self.stats()));
    }

    fn tick(&mut self, now: Instant) {
        if self.params.is_none() || self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if !self.transport.is_plain() {
            self.transport.tick(now);
            self.connect();
        }
        let (Some(params), Some((due, left_out))) = (&self.params, self.scheduled(now)) else { return };
        let ms = params.ptime_ms;
        let sending = params.send;
        self.next_tick = Some(due + Duration::from_millis(u64::from(ms)));
        // Of the time before this packet: a recording that begins with it has recorded nothing yet.
        self.tick_records(u64::from(ms) * (1 + u64::from(left_out)));
        self.tick_tap(ms, left_out);
        if sending {
            self.send_scheduled(due, ms);
        }
        self.mixed.clear();
        if let Some(press) = self.keys_in.expire(now) {
            self.tell_press(press);
        }
        self.expire_tones(now);
        self.check_timeout(now);
        if self.reports.is_due(now) {
            self.send_report(now);
        }
    }

    /// When the packet to be sent now was due, and how many before it are left out.
    fn scheduled(&self, now: Instant) -> Option<(Instant, u32)> {
        let (params, due) = (self.params.as_ref()?, self.next_tick?);
        let packet_time = Duration::from_millis(u64::from(params.ptime_ms));
        let lag = now.saturating_duration_since(due);
        if lag <= MAX_LAG {
            return Some((due, 0));
        }
        let left_out = (lag.as_nanos() / packet_time.as_nanos()) as u32;
        Some((due + packet_time * left_out, left_out))
    }

    /// What its tick, which is due, takes of its mix.
    pub fn needs(&self, now: Instant) -> Option<Need> {
        let params = self.params.as_ref().filter(|params| params.send && self.route == Route::Mix)?;
        if self.deadline().is_none_or(|deadline| now < deadline) || self.speaks() {
            return None;
        }
        let (due, _) = self.scheduled(now)?;
        Some(Need { due, ms: params.ptime_ms, hearing: self.hearing() })
    }

    /// What its codec lets it hear of a mix.
    pub fn hearing(&self) -> Hearing {
        self.voice.hearing()
    }

    fn check_timeout(&mut self, now: Instant) {
        let (Some(limit), Some(since)) = (self.config.rtp_timeout, self.silent_since) else { return };
        let wanted = self.params.as_ref().is_some_and(|params| params.receive);
        if wanted && now.saturating_duration_since(since) >= limit {
            self.silent_since = Some(now);
            self.outbox.event(Event::Timeout);
        }
    }
}
