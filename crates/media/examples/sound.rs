//! What is said through a node between two phones: every pair of codecs, over a network that loses, delays and drifts.
//!
//! `sound SAID.wav FOLDER CODECS JITTERS`, both lists with commas (`PCMU,opus 0,80`), writes a WAV file of 16,000 samples
//! per second for each case, and a line with its name. `bench/media/sound` gives them marks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a program for the bench")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use opentact_media::codec::{Codec, Encoder, OpusParams};
use opentact_media::jitter::{Delay, JitterBuffer};
use opentact_media::{resample, wav};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const RATE: u32 = 16_000;

/// Of each of the two networks.
#[derive(Clone, Copy)]
struct Network {
    /// Per cent.
    loss: f64,
    jitter_ms: u64,
    /// Of the sender's clock, parts per million.
    drift_ppm: i64,
}

struct Packet {
    number: u64,
    payload: Vec<u8>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, said, folder, codecs, jitters] = &arguments[..] else {
        eprintln!("sound SAID.wav FOLDER CODECS JITTERS");
        std::process::exit(2);
    };
    let said = wav::read(&std::fs::read(said).expect("what is said")).expect("a WAV file");
    let said = resample::convert(&said.samples, said.rate, RATE).expect("a rate that can be converted");
    let named = |name: &str| {
        let codec = [8_000, 16_000, 48_000].into_iter().rev().find_map(|clock| Codec::of(name, clock));
        codec.unwrap_or_else(|| panic!("no codec {name}"))
    };
    let codecs: Vec<Codec> = codecs.split(',').map(named).collect();
    let jitters: Vec<u64> = jitters.split(',').map(|jitter| jitter.parse().expect("milliseconds")).collect();
    for (one, other) in codecs.iter().flat_map(|one| codecs.iter().map(|other| (*one, *other))) {
        for loss in [0.0, 1.0, 5.0, 10.0] {
            for jitter_ms in jitters.iter().copied() {
                let network = Network { loss, jitter_ms, drift_ppm: 200 };
                let heard = call(&said, one, other, network);
                let name = format!("{}-{}-{loss}-{jitter_ms}.wav", one.name(), other.name());
                write(&Path::new(folder).join(&name), &heard);
                println!("{name}");
            }
        }
    }
}

/// What the phone at the other end plays. Loss and jitter are on the way to the node; the way on is good.
fn call(said: &[i16], one: Codec, other: Codec, network: Network) -> Vec<i16> {
    let sent = encode(said, one);
    if one == other {
        // Passed on as it is: the phone's buffer has it all.
        return play(&sent, one, RATE, network);
    }
    let rate = one.sample_rate().min(Encoder::new(other, one.sample_rate(), &OpusParams::default()).unwrap().rate());
    let rate = Encoder::new(other, rate, &OpusParams::default()).unwrap().rate();
    let at_node = play(&sent, one, rate, network);
    let sent_on = encode_at(&at_node, rate, other);
    play(&sent_on, other, RATE, Network { loss: 0.0, jitter_ms: 0, drift_ppm: 0 })
}

fn encode(said: &[i16], codec: Codec) -> Vec<Packet> {
    let rate = Encoder::new(codec, RATE, &OpusParams::default()).unwrap().rate();
    encode_at(&resample::convert(said, RATE, rate).unwrap(), rate, codec)
}

fn encode_at(samples: &[i16], rate: u32, codec: Codec) -> Vec<Packet> {
    let mut encoder = Encoder::new(codec, rate, &OpusParams::default()).unwrap();
    assert_eq!(encoder.rate(), rate);
    let packet = |(number, piece): (usize, &[i16])| {
        let mut octets = [0; 1275];
        let length = encoder.encode(piece, &mut octets);
        Packet { number: number as u64, payload: octets[..length].to_vec() }
    };
    samples.chunks_exact(rate as usize / 50).enumerate().map(packet).collect()
}

fn play(packets: &[Packet], codec: Codec, rate: u32, network: Network) -> Vec<i16> {
    let mut rng = StdRng::seed_from_u64(7);
    let mut flying = BinaryHeap::new();
    let between = (20_000 * (1_000_000 - network.drift_ppm) / 1_000_000) as u64;
    for packet in packets {
        if !rng.random_bool(network.loss / 100.0) {
            let at = packet.number * between + rng.random_range(0..=network.jitter_ms * 1000);
            flying.push(Reverse((at, packet.number)));
        }
    }
    let mut buffer = JitterBuffer::new(rate, Delay::default());
    let mut heard = Vec::new();
    // And half a second for what waits.
    for tick in 0..packets.len() as u64 + 25 {
        while let Some(Reverse((_, number))) = flying.peek().copied().filter(|Reverse((at, _))| *at <= tick * 20_000) {
            flying.pop();
            let timestamp = number as u32 * (codec.clock_rate() / 50);
            buffer.push(number as u16, timestamp, codec, &packets[number as usize].payload);
        }
        let mut out = vec![0; rate as usize / 50];
        buffer.pull(&mut out);
        heard.extend(out);
    }
    heard
}

fn write(path: &Path, samples: &[i16]) {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec).expect("a file in the folder");
    samples.iter().for_each(|sample| writer.write_sample(*sample).expect("room on the disk"));
    writer.finalize().expect("room on the disk");
}
