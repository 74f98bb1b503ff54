//! Those who speak and hear: thousands in the clear on few sockets, or those with keys, each on a socket of its own.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use opentact_media::control::{Clip, DtlsIdentity, DtlsParams, IceCredentials, IceParams, Security, SrtpKeys};
use opentact_media::jitter::Delay;
use opentact_media::leg::{Input, Output, WallClock};
use opentact_media::{Codec, Command, Leg, LegConfig, LegParams, Source};
use rand::Rng;

use crate::net::{self, Inbox, Outbox};
use crate::sdp::{Browser, Description, Protection, master_key};
use crate::stream::{Seen, Stream};

/// Parties on one socket.
const GROUP: usize = 256;
const PACKET: Duration = Duration::from_millis(20);
/// How often the thread looks.
const SLICE: Duration = Duration::from_millis(1);
/// Octets looked at of what comes in the clear: the RTP header and when it was sent.
const HEAD: usize = 20;
const HEADER: usize = 12;
/// What is longer than this ago was not told by a packet.
const CREDIBLE: u64 = 10_000_000_000;

/// What one role of all calls does.
#[derive(Clone)]
pub struct Role {
    pub codec: Codec,
    pub protection: Protection,
    /// 20 ms each, said again and again.
    pub speech: Arc<[Vec<u8>]>,
    /// The same for those with keys.
    pub prompt: Arc<Clip>,
    /// The packets tell when they were sent: they come out as they went in.
    pub stamped: bool,
}

struct Group {
    rtp: UdpSocket,
    /// Only so that nobody is told that there is none.
    rtcp: UdpSocket,
}

enum Way {
    Plain {
        group: usize,
        sequence: u16,
        timestamp: u32,
        ssrc: u32,
    },
    /// `_rtcp`: only so that nobody is told that there is none.
    Secured {
        socket: UdpSocket,
        _rtcp: UdpSocket,
        leg: Box<Leg>,
        security: Option<Security>,
    },
}

struct Party {
    codec: Codec,
    stamped: bool,
    speech: Arc<[Vec<u8>]>,
    prompt: Arc<Clip>,
    said: usize,
    remote: Option<SocketAddrV4>,
    way: Way,
    stream: Stream,
}

pub enum Order {
    /// The other side is known.
    Start {
        index: usize,
        remote: Description,
    },
    Begin,
    End(Sender<Report>),
}

/// What was seen from `Begin` to `End`.
pub struct Report {
    pub seen: Seen,
    pub lost: u64,
    /// Parties that have heard something.
    pub hearing: usize,
    /// Most that the generator itself was behind.
    pub behind: Duration,
    /// Packets that it left out, being far behind.
    pub unsent: u64,
}

/// All parties of a run, callers first.
pub struct Parties {
    parties: Vec<Party>,
    groups: Vec<Group>,
    /// How many are on those.
    plain: usize,
    /// By the port of the server's leg.
    by_port: Vec<Option<usize>>,
    identity: DtlsIdentity,
}

impl Parties {
    pub fn new() -> Result<Parties> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = rcgen::CertificateParams::default().self_signed(&key)?;
        Ok(Parties {
            parties: Vec::new(),
            groups: Vec::new(),
            plain: 0,
            by_port: vec![None; 1 << 16],
            identity: DtlsIdentity::new(certificate.der(), key.serialized_der()),
        })
    }

    /// One more; returns how it describes itself. `offers`: else it will answer.
    pub fn add(&mut self, role: &Role, offers: bool) -> Result<Description> {
        let mut rng = rand::rng();
        let index = self.parties.len();
        let (way, description) = if role.protection == Protection::Plain {
            let group = self.plain / GROUP;
            self.plain += 1;
            if group == self.groups.len() {
                let (rtp, rtcp) = net::bind_pair()?;
                self.groups.push(Group { rtp, rtcp });
            }
            let port = self.groups.get(group).context("a group")?.rtp.local_addr()?.port();
            let way = Way::Plain { group, sequence: rng.random(), timestamp: rng.random(), ssrc: rng.random() };
            (way, Description::plain(port))
        } else {
            let (socket, _rtcp) = net::bind_pair()?;
            let mut description = Description::plain(socket.local_addr()?.port());
            match role.protection {
                Protection::Sdes => {
                    let octets: [u8; 30] = rng.random();
                    description.key = Some(("1".into(), octets.into()));
                }
                _ => description.browser = Some(self.browser(description.address, offers)),
            }
            let leg = Box::new(Leg::new(LegConfig {
                seed: rng.random(),
                clock: WallClock::new(Instant::now(), SystemTime::now()),
                latch: true,
                rtp_timeout: None,
                grain: PACKET,
                delay: Delay::default(),
                fill_silence: true,
                tap_wait: Duration::ZERO,
            }));
            (Way::Secured { socket, _rtcp, leg, security: None }, description)
        };
        self.parties.push(Party {
            codec: role.codec,
            stamped: role.stamped,
            speech: role.speech.clone(),
            prompt: role.prompt.clone(),
            // Not all say the same at the same time.
            said: index * 37,
            remote: None,
            way,
            stream: Stream::default(),
        });
        Ok(description)
    }

    fn browser(&self, address: SocketAddrV4, offers: bool) -> Browser {
        let mut rng = rand::rng();
        let credentials = IceCredentials {
            ufrag: format!("{:08x}", rng.random::<u32>()),
            password: format!("{:032x}", rng.random::<u128>()),
        };
        let candidate = format!("candidate:1 1 UDP 2130706431 {} {} typ host", address.ip(), address.port());
        let setup = if offers { "actpass" } else { "active" };
        let fingerprint = self.identity.fingerprint();
        Browser { credentials, candidates: vec![candidate], fingerprint, setup: setup.into() }
    }

    /// Speaks and hears until told by the end of `orders`. `own`: how each has described itself.
    pub fn run(mut self, own: &[Description], orders: &Receiver<Order>) {
        let (mut heads, mut whole, mut outbox) = (Inbox::new(HEAD), Inbox::new(1500), Outbox::new());
        let count = self.parties.len() as u128;
        let begin = Instant::now();
        let mut wake = begin;
        let mut turn = 0u128;
        let mut seen: Option<Seen> = None;
        let (mut behind, mut unsent) = (Duration::ZERO, 0);
        loop {
            loop {
                match orders.try_recv() {
                    Ok(Order::Start { index, remote }) => self.start(index, own, &remote),
                    Ok(Order::Begin) => {
                        seen = Some(Seen::new());
                        (behind, unsent) = (Duration::ZERO, 0);
                        self.parties.iter_mut().for_each(|party| party.stream.begin());
                    }
                    Ok(Order::End(reply)) => {
                        let lost = self.parties.iter().map(|party| party.stream.lost()).sum();
                        let hearing = self.parties.iter().filter(|party| party.stream.has_begun()).count();
                        let seen = seen.take().unwrap_or_else(Seen::new);
                        // Who has asked may be gone.
                        let _ = reply.send(Report { seen, lost, hearing, behind, unsent });
                    }
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                }
            }
            // Turns are spread evenly over a packet's time.
            let due = begin.elapsed().as_nanos() * count / PACKET.as_nanos();
            // What is more than five packets late is not sent any more.
            let first = due.saturating_sub(5 * count);
            unsent += first.saturating_sub(turn) as u64;
            turn = turn.max(first);
            let mut last = 0;
            while turn < due {
                let index = (turn % count) as usize;
                turn += 1;
                if let Some(Way::Plain { group, .. }) = self.parties.get(index).map(|party| &party.way) {
                    if *group != last || outbox.is_full() {
                        outbox.send(&self.groups[last].rtp);
                        last = *group;
                    }
                    self.say(index, &mut outbox);
                } else {
                    self.look_after(index, &mut whole, seen.as_mut());
                }
            }
            if let Some(group) = self.groups.get(last) {
                outbox.send(&group.rtp);
            }
            self.hear(&mut heads, seen.as_mut());
            wake += SLICE;
            match wake.checked_duration_since(Instant::now()) {
                Some(rest) => thread::sleep(rest),
                None => {
                    behind = behind.max(wake.elapsed());
                    wake = Instant::now();
                }
            }
        }
    }

    fn start(&mut self, index: usize, own: &[Description], remote: &Description) {
        let (Some(party), Some(own)) = (self.parties.get_mut(index), own.get(index)) else { return };
        party.remote = Some(remote.address);
        if let Some(place) = self.by_port.get_mut(usize::from(remote.address.port())) {
            *place = Some(index);
        }
        if let Way::Secured { security, .. } = &mut party.way {
            match secure(&self.identity, own, remote) {
                Ok(found) => *security = Some(found),
                Err(error) => eprintln!("party {index}: {error}"),
            }
        }
    }

    /// Puts the next packet of one in the clear.
    fn say(&mut self, index: usize, outbox: &mut Outbox) {
        let Some(party) = self.parties.get_mut(index) else { return };
        let (Some(to), Way::Plain { sequence, timestamp, ssrc, .. }) = (party.remote, &mut party.way) else { return };
        let payload = &party.speech[party.said % party.speech.len()];
        party.said += 1;
        *sequence = sequence.wrapping_add(1);
        *timestamp = timestamp.wrapping_add(party.codec.clock_rate() / 50);
        let packet = outbox.push(to, HEADER + payload.len());
        packet[0] = 0x80;
        packet[1] = party.codec.payload_type();
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        packet[HEADER..].copy_from_slice(payload);
        if party.stamped {
            packet[HEADER..HEAD].copy_from_slice(&net::now_ns().to_be_bytes());
        }
    }

    /// Hears what has come to those in the clear.
    fn hear(&mut self, inbox: &mut Inbox, mut seen: Option<&mut Seen>) {
        for group in &self.groups {
            loop {
                let count = inbox.receive(&group.rtp, |arrival| {
                    let Some(index) = self.by_port[usize::from(arrival.port)] else { return };
                    let Some(party) = self.parties.get_mut(index) else { return };
                    let sent = arrival.octets.get(HEADER..HEAD).filter(|_| party.stamped);
                    let sent = sent.and_then(|octets| octets.try_into().ok()).map(u64::from_be_bytes);
                    let sent = sent.filter(|sent| arrival.at.wrapping_sub(*sent) < CREDIBLE);
                    let clock_rate = party.codec.clock_rate();
                    party.stream.receive(arrival.octets, clock_rate, arrival.at, sent, seen.as_deref_mut());
                });
                if count < net::BATCH {
                    break;
                }
            }
            inbox.receive(&group.rtcp, |_| {});
        }
    }

    /// Everything for one with keys, once a packet's time.
    fn look_after(&mut self, index: usize, inbox: &mut Inbox, mut seen: Option<&mut Seen>) {
        let Some(party) = self.parties.get_mut(index) else { return };
        let (Some(remote), Way::Secured { socket, leg, security, .. }) = (party.remote, &mut party.way) else { return };
        let now = Instant::now();
        if let Some(security) = security.take() {
            let mut params = LegParams::of(remote.into(), party.codec);
            params.rtcp_mux = true;
            params.security = security;
            leg.handle(now, Input::Command(Command::Start(params)));
            let source = Source::Clip(party.prompt.clone());
            leg.handle(now, Input::Command(Command::Play { id: 1, source, loops: 0 }));
        }
        let from = SocketAddr::V4(remote);
        let (stream, clock_rate) = (&mut party.stream, party.codec.clock_rate());
        inbox.receive(socket, |arrival| {
            // The header is in the clear: RTP, and none of RTCP (RFC 7983, RFC 5761).
            if let [128..=191, kind, ..] = arrival.octets
                && !(192..=223).contains(kind)
            {
                stream.receive(arrival.octets, clock_rate, arrival.at, None, seen.as_deref_mut());
            }
            leg.handle(now, Input::Rtp { from, datagram: arrival.octets });
        });
        leg.handle(now, Input::Tick);
        while let Some(output) = leg.poll() {
            if let Output::Rtp { to, packet } | Output::Connectivity { to, packet } = output {
                // What is not taken is lost.
                let _ = socket.send_to(packet, to);
            }
        }
    }
}

fn secure(identity: &DtlsIdentity, own: &Description, remote: &Description) -> Result<Security> {
    if let (Some((_, ours)), Some((_, theirs))) = (&own.key, &remote.key) {
        return Ok(Security::Srtp(Arc::new(SrtpKeys { local: master_key(ours)?, remote: master_key(theirs)? })));
    }
    let (Some(ours), Some(theirs)) = (&own.browser, &remote.browser) else {
        anyhow::bail!("answered without keys: {remote:?}");
    };
    // Who offered has left it to the other who begins.
    let active = if ours.setup == "actpass" { theirs.setup == "passive" } else { ours.setup == "active" };
    let ice = IceParams {
        local: ours.credentials.clone(),
        remote: theirs.credentials.clone(),
        address: own.address.into(),
        candidates: theirs.candidates.clone(),
        controlling: ours.setup == "actpass",
        lite: false,
    };
    Ok(Security::Dtls(Arc::new(DtlsParams {
        identity: identity.clone(),
        active,
        fingerprint: theirs.fingerprint.clone(),
        ice: Some(ice),
    })))
}
