//! Media threads against real sockets on loopback. Nothing is timed but by the packets that come.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use opentact_engine::media::{
    Audience, Command, Event, LegKey, LegParams, MediaConfig, MediaPool, RecordEnd, RecordOrder, Source, Tap, Tapped,
    ToneSpec,
};
use opentact_media::codec::Codec;
use opentact_media::codec::g711::{decode_ulaw, encode_ulaw};
use opentact_media::rtp::{Header, Packet};
use opentact_media::wav;

/// Far longer than anything takes; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    pool: MediaPool,
    events: Receiver<(LegKey, Event)>,
}

fn world(threads: usize) -> World {
    let (sender, events) = channel();
    let config = MediaConfig { threads, together: 1, ports: free_ports(), ..MediaConfig::default() };
    let pool = MediaPool::start(config, move |leg, event| {
        let _ = sender.send((leg, event));
    })
    .unwrap();
    World { pool, events }
}

/// A range around a port that was free a moment ago; ports in use are passed over by the pool.
fn free_ports() -> RangeInclusive<u16> {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let first = port.min(65_000);
    first..=first + 199
}

impl World {
    /// A leg and the phone it talks to.
    fn call(&self, near: Option<LegKey>) -> (LegKey, Phone) {
        let (leg, address) = self.pool.open(near).unwrap();
        let phone = Phone::new(address);
        self.pool.command(leg, Command::Start(LegParams::pcmu(phone.address())));
        (leg, phone)
    }

    fn event(&self) -> (LegKey, Event) {
        self.events.recv_timeout(PATIENCE).expect("an event")
    }
}

struct Phone {
    socket: UdpSocket,
    leg: SocketAddr,
    sequence: u16,
}

impl Phone {
    fn new(leg: SocketAddr) -> Phone {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Phone { socket, leg, sequence: 0 }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn hear(&self) -> (Header, Vec<u8>) {
        self.hear_in_time().expect("a packet")
    }

    /// What comes within the patience of the socket.
    fn hear_in_time(&self) -> std::io::Result<(Header, Vec<u8>)> {
        let mut buffer = [0; 2000];
        loop {
            let (length, from) = self.socket.recv_from(&mut buffer)?;
            // A leg of another test may still send to who had this port before.
            if from == self.leg {
                let packet = Packet::parse(&buffer[..length]).unwrap();
                return Ok((packet.header, packet.payload.to_vec()));
            }
        }
    }

    fn say(&mut self, payload: &[u8]) {
        self.say_type(0, 160 * u32::from(self.sequence), payload);
    }

    fn say_type(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let header =
            Header { marker: self.sequence == 0, payload_type, sequence: self.sequence, timestamp, ssrc: 0xCAFE };
        self.sequence += 1;
        let mut packet = header.octets().to_vec();
        packet.extend_from_slice(payload);
        self.socket.send_to(&packet, self.leg).unwrap();
    }
}

/// Frequency by counting rising zero crossings, with their places between samples interpolated.
fn frequency(samples: &[i16]) -> f64 {
    let crossings: Vec<f64> = samples
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0] < 0 && pair[1] >= 0)
        .map(|(at, pair)| at as f64 + f64::from(-pair[0]) / (f64::from(pair[1]) - f64::from(pair[0])))
        .collect();
    let turns = (crossings.len() - 1) as f64;
    turns * 8000.0 / (crossings[crossings.len() - 1] - crossings[0])
}

fn level_db(samples: &[i16]) -> f64 {
    let power: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64;
    // Of the peak of a sine of this power.
    20.0 * ((power * 2.0).sqrt() / 32767.0).log10()
}

#[test]
fn a_tone_of_440_hz_arrives_without_a_gap_at_its_level() {
    let world = world(1);
    let (leg, phone) = world.call(None);
    let source = Source::Tone(ToneSpec::cadence(&[440.0], 1000, 0, -10.0));
    world.pool.command(leg, Command::Play { id: 7, source, loops: 0 });
    // Silence may precede it.
    let first = loop {
        let packet = phone.hear();
        if packet.1.iter().any(|octet| Some(*octet) != Codec::Pcmu.silence()) {
            break packet;
        }
    };
    let decode = |payload: &[u8]| payload.iter().map(|octet| decode_ulaw(*octet)).collect::<Vec<i16>>();
    let mut samples = decode(&first.1);
    let mut last = first.0;
    for _ in 1..100 {
        let (header, payload) = phone.hear();
        assert_eq!(header.sequence, last.sequence.wrapping_add(1));
        assert_eq!(header.timestamp, last.timestamp.wrapping_add(160));
        assert_eq!((header.ssrc, header.payload_type, payload.len()), (last.ssrc, 0, 160));
        samples.extend(decode(&payload));
        last = header;
    }
    let measured = frequency(&samples);
    assert!((measured - 440.0).abs() < 1.0, "{measured} Hz");
    let measured = level_db(&samples);
    assert!((measured + 10.0).abs() < 0.2, "{measured} dB");
    world.pool.command(leg, Command::Close);
    assert_eq!(world.event(), (leg, Event::PlayDone { id: 7, completed: false }));
    assert!(matches!(world.event(), (closed, Event::Closed(stats)) if closed == leg && stats.packets_sent >= 100));
}

/// Speaks `octet` until `to` hears it.
fn assert_hears(from: &mut Phone, to: &Phone, octet: u8) {
    to.socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = [0; 2000];
    for _ in 0..1000 {
        from.say(&[octet; 160]);
        while let Ok((length, sender)) = to.socket.recv_from(&mut buffer) {
            if sender == to.leg && buffer[length - 1] == octet {
                to.socket.set_read_timeout(Some(PATIENCE)).unwrap();
                return;
            }
        }
    }
    panic!("nothing heard");
}

#[test]
fn what_is_said_is_echoed() {
    let world = world(1);
    let (leg, mut phone) = world.call(None);
    world.pool.command(leg, Command::Echo { on: true });
    let ear = Phone { socket: phone.socket.try_clone().unwrap(), leg: phone.leg, sequence: 0 };
    assert_hears(&mut phone, &ear, 0x41);
    assert_hears(&mut phone, &ear, 0x42);
}

#[test]
fn bridged_legs_hear_each_other_on_one_thread_and_on_two() {
    for near in [true, false] {
        let world = world(2);
        let (a, mut alice) = world.call(None);
        let (b, mut bob) = world.call(near.then_some(a));
        // Either may be told; the leg opened later moves.
        let (told, with) = if near { (a, b) } else { (b, a) };
        world.pool.command(told, Command::Bridge { with });
        assert_hears(&mut alice, &bob, 0x11);
        assert_hears(&mut bob, &alice, 0x22);
        assert_eq!(world.pool.stats().legs, 2);
        world.pool.command(b, Command::Close);
        world.pool.command(a, Command::Close);
        let mut closed = [world.event().0, world.event().0];
        closed.sort();
        assert_eq!(closed, [a, b]);
        assert_eq!(world.pool.stats().legs, 0);
    }
}

#[test]
fn three_legs_of_three_threads_are_joined_one_after_the_other() {
    let world = world(3);
    let (a, mut alice) = world.call(None);
    let (b, mut bob) = world.call(None);
    let (c, mut carol) = world.call(None);
    world.pool.command(c, Command::Bridge { with: b });
    assert_hears(&mut carol, &bob, 0x31);
    world.pool.command(a, Command::Bridge { with: c });
    assert_hears(&mut carol, &alice, 0x32);
    assert_hears(&mut alice, &carol, 0x33);
    world.pool.command(b, Command::Bridge { with: a });
    assert_hears(&mut bob, &alice, 0x34);
    assert_hears(&mut alice, &bob, 0x35);
    for leg in [a, b, c] {
        world.pool.command(leg, Command::Close);
        assert!(matches!(world.event(), (closed, Event::Closed(_)) if closed == leg));
    }
}

#[test]
fn keys_are_sent_and_heard_as_events() {
    let world = world(1);
    let (a, mut alice) = world.call(None);
    world.pool.command(a, Command::SendDtmf { digits: "5#".into(), on_ms: 60, gap_ms: 60 });
    assert_eq!(world.event(), (a, Event::DtmfSent));
    let mut keys = Vec::new();
    while keys.len() < 2 {
        let (header, payload) = alice.hear();
        if header.payload_type == 101 && header.marker {
            keys.push(payload[0]);
        }
    }
    assert_eq!(keys, [5, 11]);
    for (duration, end) in [(160u16, false), (320, false), (480, true), (480, true), (480, true)] {
        let [d0, d1] = duration.to_be_bytes();
        alice.say_type(101, 9000, &[9, if end { 0x8A } else { 10 }, d0, d1]);
    }
    assert_eq!(world.event(), (a, Event::Dtmf { digit: '9', duration_ms: 60 }));
}

#[test]
fn shutdown_closes_every_leg_and_frees_its_ports() {
    let world = world(2);
    let before = world.pool.stats().ports_free;
    let legs: Vec<_> = (0..4).map(|_| world.call(None)).collect();
    assert_eq!(world.pool.stats().ports_free, before - 8);
    world.pool.shutdown();
    for _ in &legs {
        assert!(matches!(world.event().1, Event::Closed(_)));
    }
    assert_eq!(world.pool.stats().ports_free, before);
}

#[test]
fn a_recording_is_readable_when_it_is_told_and_the_leg_ends_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a").join("b.wav");
    let world = world(1);
    let (leg, _phone) = world.call(None);
    let source = Source::Tone(ToneSpec::cadence(&[440.0], 1000, 0, -10.0));
    world.pool.command(leg, Command::Play { id: 1, source, loops: 0 });
    let record = |id, path: std::path::PathBuf, max_ms| {
        Command::Record(RecordOrder { channels: 2, max_ms, ..RecordOrder::new(id, path) })
    };
    world.pool.command(leg, record(2, path.clone(), Some(500)));
    let (_, done) = world.event();
    let reason = RecordEnd::MaxLength;
    assert_eq!(
        done,
        Event::RecordDone { id: 2, duration_ms: 500, rate: 8000, bytes: 44 + 4 * 4000, error: None, reason }
    );
    let clip = wav::read(&std::fs::read(&path).unwrap()).unwrap();
    // Right what the party heard, left nothing: mixed down half as loud.
    let steady = &clip.samples[1000..];
    assert!((frequency(steady) - 440.0).abs() < 2.0);
    assert!((level_db(steady) + 16.0).abs() < 0.3);
    world.pool.command(leg, record(3, path.join("below/a/file.wav"), None));
    world.pool.command(leg, record(4, path, None));
    let failed = world.event().1;
    let Event::RecordDone { id: 3, error: Some(error), reason: RecordEnd::Failed, .. } = failed else {
        panic!("{failed:?}");
    };
    assert!(error.contains("Not a directory"), "{error}");
    world.pool.command(leg, Command::Close);
    assert_eq!(world.event().1, Event::PlayDone { id: 1, completed: false });
    assert!(matches!(world.event().1, Event::RecordDone { id: 4, reason: RecordEnd::Closed, .. }));
    assert!(matches!(world.event().1, Event::Closed(_)));
}

/// How loud a tone is in samples at 8,000 a second, decibels below full scale.
fn tone_db(samples: &[i16], hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let (sin, cos) = (at as f64 * hz * std::f64::consts::TAU / 8000.0).sin_cos();
        re += f64::from(*sample) * cos;
        im += f64::from(*sample) * sin;
    }
    20.0 * ((re.hypot(im) * 2.0 / samples.len() as f64).max(0.01) / 32767.0).log10()
}

/// A phone that says a tone.
struct Caller {
    leg: LegKey,
    phone: Phone,
    hz: f64,
    heard: Vec<i16>,
}

impl Caller {
    fn new(world: &World, hz: f64) -> Caller {
        let (leg, phone) = world.call(None);
        phone.socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Caller { leg, phone, hz, heard: Vec::new() }
    }

    /// Hears a packet and says one: whom it talks to gives the pace. Two who both wait for the other's would wait for ever, so
    /// that it speaks when none has come in the time of one.
    fn turn(&mut self) {
        if let Ok((header, payload)) = self.phone.hear_in_time()
            && header.payload_type == 0
        {
            self.heard.extend(payload.iter().map(|octet| decode_ulaw(*octet)));
        }
        let at = usize::from(self.phone.sequence) * 160;
        let sample = |n: usize| ((at + n) as f64 * self.hz * std::f64::consts::TAU / 8000.0).sin() * 3277.0;
        let payload: Vec<u8> = (0..160).map(|n| encode_ulaw(sample(n) as i16)).collect();
        self.phone.say(&payload);
    }

    /// The last 300 ms.
    fn hears(&self, hz: f64) -> bool {
        self.heard.len() >= 2400 && (tone_db(&self.heard[self.heard.len() - 2400..], hz) + 20.0).abs() < 2.0
    }

    fn is_spared(&self, hz: f64) -> bool {
        self.heard.len() >= 2400 && tone_db(&self.heard[self.heard.len() - 2400..], hz) < -45.0
    }
}

/// All talk until each hears of the others just whom it should.
fn until_heard(callers: &mut [Caller], wanted: &[&[usize]]) {
    for _ in 0..3000 {
        callers.iter_mut().for_each(Caller::turn);
        let tones: Vec<f64> = callers.iter().map(|caller| caller.hz).collect();
        let right = |caller: &Caller, wanted: &[usize]| {
            let heard = |(place, hz): (usize, &f64)| match wanted.contains(&place) {
                true => caller.hears(*hz),
                false => caller.is_spared(*hz),
            };
            tones.iter().enumerate().all(heard)
        };
        if callers.iter().zip(wanted).all(|(caller, wanted)| right(caller, wanted)) {
            return;
        }
    }
    panic!("not heard: {wanted:?}");
}

#[test]
fn legs_of_several_threads_meet_in_a_mix() {
    let world = world(3);
    let mut callers: Vec<Caller> = [400.0, 530.0, 670.0, 810.0].map(|hz| Caller::new(&world, hz)).into();
    let legs: Vec<LegKey> = callers.iter().map(|caller| caller.leg).collect();
    let mix = world.pool.mix();
    let tell = |place: usize, command: Command| world.pool.command(legs[place], command);
    for place in 0..3 {
        tell(place, Command::Join { mix, audience: Audience::All });
    }
    until_heard(&mut callers, &[&[1, 2], &[0, 2], &[0, 1], &[]]);
    // The fourth listens in, then whispers to the first.
    tell(3, Command::Join { mix, audience: Audience::Nobody });
    until_heard(&mut callers, &[&[1, 2], &[0, 2], &[0, 1], &[0, 1, 2]]);
    tell(3, Command::Speak { to: Audience::One(legs[0]) });
    until_heard(&mut callers, &[&[1, 2, 3], &[0, 2], &[0, 1], &[0, 1, 2]]);
    tell(1, Command::Mute { on: true });
    until_heard(&mut callers, &[&[2, 3], &[0, 2], &[0], &[0, 2]]);
    // Two leave for a call of their own.
    tell(1, Command::Bridge { with: legs[2] });
    until_heard(&mut callers, &[&[3], &[2], &[1], &[0]]);
    tell(3, Command::Leave);
    until_heard(&mut callers, &[&[], &[2], &[1], &[]]);
    assert_eq!(world.pool.stats().legs, 4);
    legs.iter().for_each(|leg| world.pool.command(*leg, Command::Close));
    let mut closed: Vec<LegKey> = legs.iter().map(|_| world.event().0).collect();
    closed.sort();
    assert_eq!(closed, legs);
}

/// What the tap tells next. The caller talks meanwhile.
fn next(tap: &mut Tap, caller: &mut Caller) -> Tapped {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    caller.turn();
    runtime.block_on(tap.next()).expect("the leg goes on")
}

#[test]
fn a_tap_hears_the_party_speaks_to_it_and_is_told_what_was_played() {
    let world = world(2);
    let mut caller = Caller::new(&world, 440.0);
    let mut tap = world.pool.tap(caller.leg, 16_000);
    let sine = |ms: usize| {
        let sample = |n: usize| ((n as f64 * 1000.0 * std::f64::consts::TAU / 16000.0).sin() * 3277.0) as i16;
        (0..ms * 16).map(sample).collect::<Vec<i16>>()
    };
    tap.say(sine(2_000));
    tap.mark(1);
    let (mut heard, mut played) = (Vec::new(), false);
    let mut heard_of_tap = false;
    while !played || heard.len() < 48_000 {
        match next(&mut tap, &mut caller) {
            Tapped::Heard { samples, lost } => {
                assert_eq!(lost, 0);
                heard.extend(samples);
            }
            told => {
                assert_eq!(told, Tapped::Marked { id: 1, played: true });
                played = true;
            }
        }
        heard_of_tap |= caller.hears(1000.0);
        // It is not played before it was sent.
        assert!(!played || caller.heard.len() >= 8_000);
    }
    assert!(heard_of_tap);
    // Every other sample: a tone of 440 Hz at 8,000 a second.
    let narrow: Vec<i16> = heard[heard.len() - 16_000..].iter().step_by(2).copied().collect();
    assert!((tone_db(&narrow, 440.0) + 20.0).abs() < 3.0, "{} dB", tone_db(&narrow, 440.0));
    assert!((frequency(&narrow) - 440.0).abs() < 5.0, "{} Hz", frequency(&narrow));
    // What is cut off is not heard, and said to be.
    tap.say(sine(20_000));
    tap.mark(2);
    tap.hush();
    while !matches!(next(&mut tap, &mut caller), Tapped::Marked { id: 2, played: false }) {}
    for _ in 0..3000 {
        if caller.is_spared(1000.0) {
            break;
        }
        next(&mut tap, &mut caller);
    }
    assert!(caller.is_spared(1000.0));
    // Another takes its place.
    let mut other = world.pool.tap(caller.leg, 8_000);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { while tap.next().await.is_some() {} });
    assert!(matches!(next(&mut other, &mut caller), Tapped::Heard { .. }));
    world.pool.command(caller.leg, Command::Close);
    runtime.block_on(async { while other.next().await.is_some() {} });
}

#[test]
fn who_does_not_take_what_a_tap_hears_loses_some_and_is_told_how_much() {
    let world = world(1);
    let mut caller = Caller::new(&world, 440.0);
    let mut tap = world.pool.tap(caller.leg, 8_000);
    for id in 0..10 {
        tap.mark(id);
    }
    // More than may wait; the marks have places of their own.
    for _ in 0..150 {
        caller.turn();
    }
    tap.mark(10);
    let (mut packets, mut marks, mut lost_samples) = (0, Vec::new(), 0);
    while lost_samples == 0 {
        match next(&mut tap, &mut caller) {
            Tapped::Heard { samples, lost } => {
                packets += 1;
                lost_samples += lost;
                assert_eq!(samples.len(), 160);
            }
            Tapped::Marked { id, played: true } => marks.push(id),
            told => panic!("{told:?}"),
        }
    }
    assert_eq!(lost_samples % 160, 0);
    assert!(packets > 90);
    assert_eq!(marks, (0..=10).collect::<Vec<u64>>());
}
