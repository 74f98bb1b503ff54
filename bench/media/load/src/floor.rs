//! The least that calls cost: a server that sends 50 packets a second to every caller and takes what comes, from a port
//! for each, and does nothing else.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use opentact_media::Codec;

use crate::net::{self, Inbox, Outbox};
use crate::sdp::Description;
use crate::sip::Message;

const SLICE: Duration = Duration::from_millis(5);
/// Slices of a packet's time: so many parts take their turn.
const PARTS: usize = 4;

struct Leg {
    socket: UdpSocket,
    _rtcp: UdpSocket,
    to: SocketAddrV4,
    said: usize,
}

/// Answers calls that come to `port`, until killed.
pub fn run(port: u16, threads: usize, speech: &Arc<[Vec<u8>]>) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    let here = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let media: Vec<Sender<Leg>> = (0..threads.max(1))
        .map(|_| {
            let (sender, receiver) = channel();
            let speech = speech.clone();
            thread::spawn(move || speak(&receiver, &speech));
            sender
        })
        .collect();
    let mut calls = 0;
    let mut buffer = [0; 8192];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        let Ok(text) = std::str::from_utf8(&buffer[..length]) else { continue };
        let Some(message) = Message::parse(text) else { continue };
        let mut body = String::new();
        match message.method() {
            "ACK" => continue,
            "INVITE" => {
                let (rtp, rtcp) = net::bind_pair()?;
                body = Description::plain(rtp.local_addr()?.port()).print(Codec::Pcmu);
                let leg = Leg { socket: rtp, _rtcp: rtcp, to: Description::parse(message.body)?.address, said: calls };
                let thread = media.get(calls % media.len()).context("a thread")?;
                calls += 1;
                thread.send(leg).context("a thread has ended")?;
            }
            _ => {}
        }
        socket.send_to(message.answer("200 OK", here, &body).as_bytes(), from)?;
    }
}

fn speak(calls: &Receiver<Leg>, speech: &[Vec<u8>]) {
    let (mut inbox, mut outbox) = (Inbox::new(1500), Outbox::new());
    let mut parts: [Vec<Leg>; PARTS] = Default::default();
    let (mut count, mut turn) = (0, 0);
    let mut wake = Instant::now();
    loop {
        while let Ok(leg) = calls.try_recv() {
            parts[count % PARTS].push(leg);
            count += 1;
        }
        for leg in &mut parts[turn % PARTS] {
            inbox.receive(&leg.socket, |_| {});
            let payload = &speech[leg.said % speech.len()];
            let packet = outbox.push(leg.to, 12 + payload.len());
            packet[0] = 0x80;
            packet[1] = 0;
            packet[2..4].copy_from_slice(&(leg.said as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(leg.said as u32 * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&1u32.to_be_bytes());
            packet[12..].copy_from_slice(payload);
            leg.said += 1;
            outbox.send(&leg.socket);
        }
        turn += 1;
        wake += SLICE;
        thread::sleep(wake.saturating_duration_since(Instant::now()));
    }
}
