//! Opus (RFC 6716) by libopus, as RTP carries it (RFC 7587): a 48,000 Hz clock whatever the bandwidth, one channel sent,
//! either taken.

use opus::{Application, Bandwidth, Bitrate, Channels};

/// What the peer's `fmtp` asks of what is sent to it (RFC 7587 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusParams {
    /// `maxaveragebitrate`, bits per second; no limit when 0.
    pub max_bitrate: u32,
    /// `maxplaybackrate`, Hz: nothing above half of it is worth sending.
    pub max_playback_rate: u32,
    /// `useinbandfec`: the peer can make a lost frame of the next packet.
    pub fec: bool,
    /// `usedtx`: the peer would have pauses not sent.
    pub dtx: bool,
    /// `cbr`: constant bit rate.
    pub cbr: bool,
}

impl Default for OpusParams {
    /// The defaults of RFC 7587 6.1, but for FEC, which a decoder that does not know it ignores.
    fn default() -> Self {
        OpusParams { max_bitrate: 0, max_playback_rate: 48_000, fec: true, dtx: false, cbr: false }
    }
}

impl OpusParams {
    /// Reads `fmtp`. Unknown and unreadable parameters are passed over, as RFC 7587 6.1 asks for.
    pub fn parse(fmtp: &str) -> OpusParams {
        let mut params = OpusParams { fec: false, ..OpusParams::default() };
        for (name, value) in fmtp.split(';').filter_map(|pair| pair.trim().split_once('=')) {
            let number = value.trim().parse::<u32>().ok();
            let flag = number == Some(1);
            match (name.trim().to_ascii_lowercase().as_str(), number) {
                ("maxaveragebitrate", Some(bits @ 6_000..=510_000)) => params.max_bitrate = bits,
                ("maxplaybackrate", Some(hz @ 8_000..=48_000)) => params.max_playback_rate = hz,
                ("useinbandfec", _) => params.fec = flag,
                ("usedtx", _) => params.dtx = flag,
                ("cbr", _) => params.cbr = flag,
                _ => {}
            }
        }
        params
    }
}

/// Of 10: where speech gains little more and the cost is half of the highest.
const COMPLEXITY: i32 = 5;
/// Loss that FEC is dimensioned for, per cent.
const EXPECTED_LOSS: i32 = 10;
/// The longest packet (RFC 6716 3.2.5).
const MAX_PACKET_MS: usize = 120;

/// The rate of libopus closest to this one from above, samples per second.
pub const fn rate_for(wanted: u32) -> u32 {
    match wanted {
        0..=8_000 => 8_000,
        8_001..=12_000 => 12_000,
        12_001..=16_000 => 16_000,
        16_001..=24_000 => 24_000,
        _ => 48_000,
    }
}

/// Bits per second for speech of that bandwidth, FEC included (RFC 7587 3.1.1 and a quarter more).
const fn bitrate_for(rate: u32) -> u32 {
    match rate {
        0..=8_000 => 16_000,
        8_001..=16_000 => 24_000,
        16_001..=24_000 => 32_000,
        _ => 40_000,
    }
}

/// Whether what is made for nobody in particular is within what this peer asks for.
pub fn is_default_enough(params: &OpusParams) -> bool {
    !params.cbr && (params.max_bitrate == 0 || params.max_bitrate >= bitrate_for(48_000))
}

/// How long a packet lasts on the 48,000 Hz clock (RFC 6716 3.1); 0 for one that is malformed.
pub fn packet_units(packet: &[u8]) -> u32 {
    let [toc, rest @ ..] = packet else { return 0 };
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match (toc & 3, rest.first()) {
        (0, _) => 1,
        (1 | 2, _) => 2,
        (_, Some(count)) => u32::from(count & 0x3F),
        (_, None) => 0,
    };
    let units = frame * frames;
    if units > 48 * MAX_PACKET_MS as u32 { 0 } else { units }
}

pub struct Encoder {
    inner: opus::Encoder,
    rate: u32,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("opus::Encoder").field("rate", &self.rate).finish()
    }
}

impl Encoder {
    /// For samples at [`rate_for`] this rate. `None` where libopus cannot get memory.
    pub fn new(wanted: u32, params: &OpusParams) -> Option<Encoder> {
        let rate = rate_for(wanted);
        let mut inner = opus::Encoder::new(rate, Channels::Mono, Application::Voip).ok()?;
        let mut bits = bitrate_for(rate.min(params.max_playback_rate));
        if params.max_bitrate > 0 {
            bits = bits.min(params.max_bitrate);
        }
        let bandwidth = match params.max_playback_rate {
            0..=8_000 => Bandwidth::Narrowband,
            8_001..=12_000 => Bandwidth::Mediumband,
            12_001..=16_000 => Bandwidth::Wideband,
            16_001..=24_000 => Bandwidth::Superwideband,
            _ => Bandwidth::Fullband,
        };
        inner.set_bitrate(Bitrate::Bits(bits as i32)).ok()?;
        inner.set_max_bandwidth(bandwidth).ok()?;
        inner.set_complexity(COMPLEXITY).ok()?;
        inner.set_vbr(!params.cbr).ok()?;
        inner.set_dtx(params.dtx).ok()?;
        inner.set_inband_fec(params.fec).ok()?;
        inner.set_packet_loss_perc(if params.fec { EXPECTED_LOSS } else { 0 }).ok()?;
        Some(Encoder { inner, rate })
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// One packet of 10, 20, 40 or 60 ms. Returns its octets; 0 when nothing is to be sent (a pause, with DTX) or the
    /// length is none of these.
    pub fn encode(&mut self, samples: &[i16], octets: &mut [u8]) -> usize {
        match self.inner.encode(samples, octets) {
            // RFC 6716 2.1.9: of a pause only the TOC is left, which need not be sent.
            Ok(1 | 2) | Err(_) => 0,
            Ok(length) => length,
        }
    }
}

pub struct Decoder {
    inner: opus::Decoder,
    rate: u32,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("opus::Decoder").field("rate", &self.rate).finish()
    }
}

impl Decoder {
    /// Gives samples at [`rate_for`] this rate. `None` where libopus cannot get memory.
    pub fn new(wanted: u32) -> Option<Decoder> {
        let rate = rate_for(wanted);
        Some(Decoder { inner: opus::Decoder::new(rate, Channels::Mono).ok()?, rate })
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Makes all that follows louder, by `gain` / 256 dB.
    pub fn amplify(&mut self, gain: i16) {
        // No value of this range is refused.
        let _ = self.inner.set_gain(i32::from(gain));
    }

    /// Appends a packet's samples; none of one that is malformed.
    pub fn decode(&mut self, packet: &[u8], samples: &mut Vec<i16>) {
        // An empty packet would mean loss to libopus.
        if !packet.is_empty() {
            let most = self.rate as usize / 1000 * MAX_PACKET_MS;
            self.append(packet, most, false, samples);
        }
    }

    /// Appends `count` samples, a multiple of 2.5 ms, that go on from what was heard; comfort noise within a pause.
    pub fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) -> bool {
        self.append(&[], count, false, samples)
    }

    /// Appends the `count` samples before `packet` by what it carries of them (RFC 6716 2.1.7), made up where it carries
    /// nothing.
    pub fn recover(&mut self, packet: &[u8], count: usize, samples: &mut Vec<i16>) -> bool {
        !packet.is_empty() && self.append(packet, count, true, samples)
    }

    fn append(&mut self, packet: &[u8], count: usize, fec: bool, samples: &mut Vec<i16>) -> bool {
        let start = samples.len();
        samples.resize(start + count, 0);
        let made = self.inner.decode(packet, &mut samples[start..], fec);
        samples.truncate(start + made.as_ref().copied().unwrap_or(0));
        made.is_ok_and(|made| made > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn sine(hz: f64, rate: u32, count: usize) -> Vec<i16> {
        (0..count).map(|n| ((n as f64 * hz * TAU / f64::from(rate)).sin() * 8_000.0) as i16).collect()
    }

    fn level(samples: &[i16]) -> f64 {
        (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    fn packets(rate: u32, params: &OpusParams, samples: &[i16]) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(rate, params).unwrap();
        assert_eq!(encoder.rate(), rate);
        let packet = |piece: &[i16]| {
            let mut octets = [0; 1275];
            let length = encoder.encode(piece, &mut octets);
            octets[..length].to_vec()
        };
        samples.chunks_exact(rate as usize / 50).map(packet).collect()
    }

    #[test]
    fn a_tone_keeps_its_level_at_every_rate_and_from_one_to_another() {
        for (from, to) in [(8_000, 8_000), (16_000, 16_000), (48_000, 48_000), (48_000, 8_000), (8_000, 48_000)] {
            let mut decoder = Decoder::new(to).unwrap();
            let mut heard = Vec::new();
            for packet in packets(from, &OpusParams::default(), &sine(440.0, from, from as usize)) {
                assert_eq!(packet_units(&packet), 960);
                decoder.decode(&packet, &mut heard);
            }
            assert_eq!(heard.len(), to as usize);
            let middle = level(&heard[to as usize / 4..to as usize * 3 / 4]);
            assert!((20.0 * (middle * 2f64.sqrt() / 8_000.0).log10()).abs() < 1.0, "{from} to {to}: {middle}");
        }
    }

    #[test]
    fn a_lost_packet_is_made_of_the_next() {
        let params = OpusParams { fec: true, ..OpusParams::default() };
        let speech: Vec<i16> = sine(150.0, 16_000, 32_000)
            .iter()
            .zip(sine(1_300.0, 16_000, 32_000))
            .enumerate()
            .map(|(n, (low, high))| ((i32::from(*low) + i32::from(high)) * (n as i32 / 1600 % 3) / 3) as i16)
            .collect();
        let packets = packets(16_000, &params, &speech);
        let error = |recover: bool| {
            let (mut whole, mut lossy) = (Decoder::new(16_000).unwrap(), Decoder::new(16_000).unwrap());
            let (mut reference, mut heard) = (Vec::new(), Vec::new());
            for (index, packet) in packets.iter().enumerate() {
                whole.decode(packet, &mut reference);
                if index % 10 != 5 {
                    lossy.decode(packet, &mut heard);
                } else if recover {
                    assert!(lossy.recover(&packets[index + 1], 320, &mut heard));
                } else {
                    assert!(lossy.conceal(320, &mut heard));
                }
            }
            assert_eq!(heard.len(), reference.len());
            let differences: Vec<i16> = reference.iter().zip(&heard).map(|(a, b)| a.saturating_sub(*b)).collect();
            level(&differences)
        };
        assert!(error(true) < error(false) * 0.8, "{} with FEC, {} without", error(true), error(false));
    }

    #[test]
    fn pauses_are_not_sent_with_dtx() {
        let quiet = vec![0; 48_000];
        let sent = |dtx| {
            let params = OpusParams { dtx, ..OpusParams::default() };
            packets(16_000, &params, &quiet).iter().filter(|packet| !packet.is_empty()).count()
        };
        assert_eq!(sent(false), 150);
        assert!(sent(true) < 30, "{}", sent(true));
    }

    #[test]
    fn limits_of_the_peer_hold() {
        let params =
            OpusParams::parse("minptime=10; useinbandfec=1;maxaveragebitrate=12000;maxplaybackrate=8000;cbr=1");
        let expected = OpusParams { max_bitrate: 12_000, max_playback_rate: 8_000, fec: true, dtx: false, cbr: true };
        assert_eq!(params, expected);
        let sent = packets(48_000, &params, &sine(1_000.0, 48_000, 48_000));
        // Constant: 12,000 bits over 50 packets.
        assert!(sent.iter().all(|packet| packet.len() == 30));
        assert!(sent.iter().all(|packet| packet[0] >> 3 < 4), "narrowband SILK");
        let odd = "useinbandfec;maxaveragebitrate=9;usedtx=yes;=;stereo=1";
        assert_eq!(OpusParams::parse(odd), OpusParams { fec: false, ..OpusParams::default() });
    }

    #[test]
    fn the_length_of_a_packet_is_in_its_first_octets() {
        assert_eq!(packet_units(&[0b0000_0000]), 480);
        assert_eq!(packet_units(&[0b0001_1000]), 2880);
        assert_eq!(packet_units(&[0b0110_1001, 0]), 1920);
        assert_eq!(packet_units(&[0b1000_0011, 0b0000_1000]), 960);
        for malformed in [&[][..], &[0b0000_0011], &[0b0001_1011, 0b0011_1111], &[0b0000_0011, 0]] {
            assert_eq!(packet_units(malformed), 0);
        }
    }

    #[test]
    fn malformed_packets_are_silent() {
        let mut decoder = Decoder::new(8_000).unwrap();
        let mut samples = Vec::new();
        for packet in [&[][..], &[0xFF], &[0b0000_0011], &[3, 0x3F, 1, 2]] {
            decoder.decode(packet, &mut samples);
        }
        assert_eq!(samples, []);
    }
}
