//! Load for `bench/media`: calls whose packets are measured, the floor they are held against, and the bare codec.

mod call;
mod floor;
mod net;
mod party;
mod sdp;
mod sip;
mod stream;

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use opentact_media::codec::{Decoder, Encoder, OpusParams};
use opentact_media::control::Clip;
use opentact_media::{Codec, resample, wav};

use call::Plan;
use party::Role;
use sdp::Protection;

#[derive(Parser)]
enum Arguments {
    /// Makes calls, measures what comes, tells it as JSON.
    Call(CallArguments),
    /// Answers calls with the least there is.
    Floor {
        #[arg(long)]
        port: u16,
        #[arg(long, default_value_t = 2)]
        threads: usize,
        #[arg(long)]
        speech: PathBuf,
    },
    /// CPU seconds of a minute of Opus to PCMU and PCMU to Opus, by the codecs alone.
    Codec {
        #[arg(long)]
        speech: PathBuf,
    },
}

#[derive(clap::Args)]
struct CallArguments {
    #[arg(long)]
    server: SocketAddrV4,
    #[arg(long)]
    number: String,
    #[arg(long)]
    caller_port: u16,
    #[arg(long, default_value_t = 0)]
    callee_port: u16,
    /// Somebody is called, by way of the server.
    #[arg(long)]
    relay: bool,
    #[arg(long)]
    calls: usize,
    /// Calls a second.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    #[arg(long, default_value = "PCMU")]
    caller_codec: String,
    #[arg(long, default_value = "PCMU")]
    callee_codec: String,
    #[arg(long, value_enum, default_value_t = Protection::Plain)]
    caller_protection: Protection,
    #[arg(long, value_enum, default_value_t = Protection::Plain)]
    callee_protection: Protection,
    /// What is said: a WAV file.
    #[arg(long)]
    speech: PathBuf,
}

fn main() -> Result<()> {
    match Arguments::parse() {
        Arguments::Call(arguments) => measure(arguments),
        Arguments::Floor { port, threads, speech } => {
            floor::run(port, threads, &packets(Codec::Pcmu, &Speech::read(&speech)?)?)
        }
        Arguments::Codec { speech } => codec(&Speech::read(&speech)?),
    }
}

fn measure(arguments: CallArguments) -> Result<()> {
    let speech = Speech::read(&arguments.speech)?;
    let named = |name: &str| match name {
        "PCMU" => Ok(Codec::Pcmu),
        "G722" => Ok(Codec::G722),
        "opus" => Ok(Codec::Opus),
        _ => bail!("PCMU, G722 or opus, not {name}"),
    };
    let (one, other) = (named(&arguments.caller_codec)?, named(&arguments.callee_codec)?);
    let protected = [arguments.caller_protection, arguments.callee_protection] != [Protection::Plain; 2];
    let role = |codec, protection| -> Result<Role> {
        Ok(Role {
            codec,
            protection,
            speech: packets(codec, &speech)?,
            prompt: Clip::of(speech.samples.clone(), speech.rate),
            // A packet of Opus would be none with a time in it.
            stamped: arguments.relay && one == other && one != Codec::Opus && !protected,
        })
    };
    let plan = Plan {
        server: arguments.server,
        number: arguments.number.clone(),
        caller_port: arguments.caller_port,
        callee_port: arguments.callee_port,
        calls: arguments.calls,
        rate: arguments.rate,
        measure: Duration::from_secs(arguments.seconds),
        caller: role(one, arguments.caller_protection)?,
        callee: arguments.relay.then(|| role(other, arguments.callee_protection)).transpose()?,
    };
    let report = call::run(&plan)?;
    let seen = &report.seen;
    println!(
        "{{\"received\": {}, \"lost\": {}, \"late\": {}, \"jitter_p99\": {:.2}, \"delay_p99\": {:.2}, \"hearing\": {}, \
         \"behind_ms\": {:.1}, \"unsent\": {}}}",
        seen.received,
        report.lost,
        seen.late,
        seen.jitter.percentile(0.99),
        seen.delay.percentile(0.99),
        report.hearing,
        report.behind.as_secs_f64() * 1e3,
        report.unsent,
    );
    Ok(())
}

struct Speech {
    samples: Vec<i16>,
    rate: u32,
}

impl Speech {
    fn read(path: &Path) -> Result<Speech> {
        let octets = std::fs::read(path).with_context(|| path.display().to_string())?;
        let read = wav::read(&octets).context("no WAV file")?;
        Ok(Speech { samples: read.samples, rate: read.rate })
    }

    fn at(&self, rate: u32) -> Result<Vec<i16>> {
        resample::convert(&self.samples, self.rate, rate).context("a rate that cannot be converted")
    }
}

/// Speech in packets of 20 ms.
fn packets(codec: Codec, speech: &Speech) -> Result<Arc<[Vec<u8>]>> {
    let mut encoder = Encoder::new(codec, codec.sample_rate(), &OpusParams::default()).context("an encoder")?;
    let encoder_rate = encoder.rate();
    let samples = speech.at(encoder_rate)?;
    let packet = |piece: &[i16]| {
        let mut octets = [0; 1275];
        let length = encoder.encode(piece, &mut octets);
        octets[..length].to_vec()
    };
    let packets: Arc<[Vec<u8>]> = samples.chunks_exact(encoder_rate as usize / 50).map(packet).collect();
    if packets.is_empty() {
        bail!("no speech");
    }
    Ok(packets)
}

/// What both ways of a call between Opus and PCMU take of the codecs alone, at the rate that a node works at.
fn codec(speech: &Speech) -> Result<()> {
    let (opus, pcmu) = (packets(Codec::Opus, speech)?, packets(Codec::Pcmu, speech)?);
    let mut opus_in = Decoder::new(Codec::Opus, 8_000).context("a decoder")?;
    let mut opus_out = Encoder::new(Codec::Opus, 8_000, &OpusParams::default()).context("an encoder")?;
    let mut pcmu_in = Decoder::new(Codec::Pcmu, 8_000).context("a decoder")?;
    let mut pcmu_out = Encoder::new(Codec::Pcmu, 8_000, &OpusParams::default()).context("an encoder")?;
    let (mut samples, mut octets) = (Vec::new(), [0; 1275]);
    let begin = net::worked_ns();
    const PACKETS: usize = 3_000;
    for number in 0..PACKETS {
        samples.clear();
        opus_in.decode(&opus[number % opus.len()], &mut samples);
        std::hint::black_box(pcmu_out.encode(&samples, &mut octets));
        samples.clear();
        pcmu_in.decode(&pcmu[number % pcmu.len()], &mut samples);
        std::hint::black_box(opus_out.encode(&samples, &mut octets));
    }
    println!("{:.4}", (net::worked_ns() - begin) as f64 / 1e9);
    Ok(())
}
