//! RTCP (RFC 3550 6): compound packets of reports, source descriptions and goodbyes.

use crate::stats::ReceptionReport;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// RFC 4585 6.1.
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const GENERIC_NACK: usize = 1;
const CNAME: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    #[error("shorter than its length says")]
    Truncated,
    #[error("RTCP version {0}, not 2")]
    Version(u8),
    #[error("first packet of type {0}, not a report")]
    NoReport(u8),
}

/// A report block as it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    pub reception: ReceptionReport,
    /// Middle 32 bits of the NTP time of the last sender report, 0 without one.
    pub last_report: u32,
    /// Since its reception, in 1/65536 s.
    pub delay: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// Seconds since 1900 in the upper 32 bits, fraction in the lower.
    pub ntp: u64,
    pub timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    Sender {
        ssrc: u32,
        info: SenderInfo,
        blocks: Blocks<'a>,
    },
    Receiver {
        ssrc: u32,
        blocks: Blocks<'a>,
    },
    SourceDescription,
    Goodbye {
        ssrc: Option<u32>,
    },
    /// RFC 4585 6.1: a report about packets or a picture, of a source. `missing` of the former, of pairs of a number and the
    /// 16 after it.
    Feedback {
        sender: u32,
        media: u32,
        missing: Missing<'a>,
    },
    /// APP, extended reports: skipped.
    Other(u8),
}

/// The report blocks of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks<'a>(&'a [u8]);

/// The sequence numbers that a generic NACK (RFC 4585 6.2.1) asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing<'a> {
    rest: &'a [u8],
    at: u16,
    /// Which of the 16 after it, and the next itself in the lowest bit.
    mask: u32,
}

impl Iterator for Missing<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.mask == 0 {
            let ([p0, p1, b0, b1], rest) = self.rest.split_first_chunk::<4>()?;
            self.rest = rest;
            self.at = u16::from_be_bytes([*p0, *p1]);
            self.mask = u32::from(u16::from_be_bytes([*b0, *b1])) << 1 | 1;
        }
        let ahead = self.mask.trailing_zeros();
        self.mask &= self.mask - 1;
        Some(self.at.wrapping_add(ahead as u16))
    }
}

const BLOCK_LEN: usize = 24;

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.0.split_at_checked(BLOCK_LEN)?;
        self.0 = rest;
        let lost = word(block, 4)?;
        // A signed 24 bit number.
        let cumulative_lost = ((lost << 8) as i32) >> 8;
        Some(ReportBlock {
            reception: ReceptionReport {
                ssrc: word(block, 0)?,
                fraction_lost: (lost >> 24) as u8,
                cumulative_lost,
                highest_sequence: word(block, 8)?,
                jitter: word(block, 12)?,
            },
            last_report: word(block, 16)?,
            delay: word(block, 20)?,
        })
    }
}

/// Iterates the packets of a compound. A broken packet ends it with an error.
#[derive(Debug, Clone)]
pub struct Compound<'a> {
    rest: &'a [u8],
    first: bool,
}

/// Reads `datagram` packet by packet. RFC 3550 A.2 checks on the way: version, a report first, lengths that add up.
/// Reduced-size RTCP (RFC 5506), which begins with others, is refused as it was not agreed.
pub fn parse(datagram: &[u8]) -> Compound<'_> {
    Compound { rest: datagram, first: true }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<Packet<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() && !self.first {
            return None;
        }
        let result = self.read();
        if result.is_err() {
            self.rest = &[];
        }
        self.first = false;
        Some(result)
    }
}

impl<'a> Compound<'a> {
    fn read(&mut self) -> Result<Packet<'a>, RtcpError> {
        let [first, kind, l0, l1] = *self.rest.first_chunk::<4>().ok_or(RtcpError::Truncated)?;
        if first >> 6 != 2 {
            return Err(RtcpError::Version(first >> 6));
        }
        if self.first && kind != SENDER_REPORT && kind != RECEIVER_REPORT {
            return Err(RtcpError::NoReport(kind));
        }
        let length = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
        let (packet, rest) = self.rest.split_at_checked(length).ok_or(RtcpError::Truncated)?;
        self.rest = rest;
        let count = usize::from(first & 0x1F);
        let blocks = |from: usize| packet.get(from..from + count * BLOCK_LEN).map(Blocks).ok_or(RtcpError::Truncated);
        match kind {
            SENDER_REPORT => {
                let field = |at| word(packet, at).ok_or(RtcpError::Truncated);
                let ntp = (u64::from(field(8)?) << 32) | u64::from(field(12)?);
                let info = SenderInfo { ntp, timestamp: field(16)?, packets: field(20)?, octets: field(24)? };
                Ok(Packet::Sender { ssrc: field(4)?, info, blocks: blocks(28)? })
            }
            RECEIVER_REPORT => {
                let ssrc = word(packet, 4).ok_or(RtcpError::Truncated)?;
                Ok(Packet::Receiver { ssrc, blocks: blocks(8)? })
            }
            TRANSPORT_FEEDBACK | PAYLOAD_FEEDBACK => {
                let field = |at| word(packet, at).ok_or(RtcpError::Truncated);
                let is_nack = kind == TRANSPORT_FEEDBACK && count == GENERIC_NACK;
                let rest = packet.get(12..).filter(|_| is_nack).unwrap_or_default();
                Ok(Packet::Feedback { sender: field(4)?, media: field(8)?, missing: Missing { rest, at: 0, mask: 0 } })
            }
            SOURCE_DESCRIPTION => Ok(Packet::SourceDescription),
            GOODBYE => Ok(Packet::Goodbye { ssrc: if count == 0 { None } else { word(packet, 4) } }),
            other => Ok(Packet::Other(other)),
        }
    }
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    let octets = octets.get(at..at + 4)?;
    Some(u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]]))
}

/// Appends a report: a sender report when there is something to say of sending (RFC 3550 6.4).
pub fn write_report(out: &mut Vec<u8>, ssrc: u32, sender: Option<SenderInfo>, block: Option<ReportBlock>) {
    let words = 1 + if sender.is_some() { 5 } else { 0 } + if block.is_some() { 6 } else { 0 };
    let kind = if sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    header(out, u8::from(block.is_some()), kind, words);
    out.extend_from_slice(&ssrc.to_be_bytes());
    if let Some(info) = sender {
        out.extend_from_slice(&info.ntp.to_be_bytes());
        out.extend_from_slice(&info.timestamp.to_be_bytes());
        out.extend_from_slice(&info.packets.to_be_bytes());
        out.extend_from_slice(&info.octets.to_be_bytes());
    }
    if let Some(ReportBlock { reception, last_report, delay }) = block {
        out.extend_from_slice(&reception.ssrc.to_be_bytes());
        let lost = (u32::from(reception.fraction_lost) << 24) | (reception.cumulative_lost as u32 & 0xFF_FFFF);
        out.extend_from_slice(&lost.to_be_bytes());
        out.extend_from_slice(&reception.highest_sequence.to_be_bytes());
        out.extend_from_slice(&reception.jitter.to_be_bytes());
        out.extend_from_slice(&last_report.to_be_bytes());
        out.extend_from_slice(&delay.to_be_bytes());
    }
}

/// Appends a source description with the CNAME every compound must have (RFC 3550 6.5.1). Longer than 255 octets
/// is cut.
pub fn write_cname(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let text = &cname.as_bytes()[..cname.len().min(255)];
    // SSRC, item type and length, text, and one to four zeroes to the next word.
    let words = 1 + (2 + text.len()) / 4 + 1;
    let end = out.len() + 4 + words * 4;
    header(out, 1, SOURCE_DESCRIPTION, words);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[CNAME, text.len() as u8]);
    out.extend_from_slice(text);
    out.resize(end, 0);
}

/// Appends a goodbye (RFC 3550 6.6).
pub fn write_goodbye(out: &mut Vec<u8>, ssrc: u32) {
    header(out, 1, GOODBYE, 1);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

fn header(out: &mut Vec<u8>, count: u8, kind: u8, words: usize) {
    out.extend_from_slice(&[0x80 | count, kind]);
    out.extend_from_slice(&(words as u16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEPTION: ReceptionReport = ReceptionReport {
        ssrc: 0x0A0B_0C0D,
        fraction_lost: 64,
        cumulative_lost: -3,
        highest_sequence: 0x0001_FFFF,
        jitter: 17,
    };
    const BLOCK: ReportBlock = ReportBlock { reception: RECEPTION, last_report: 0x1234_5678, delay: 65_536 };
    const INFO: SenderInfo = SenderInfo { ntp: 0xE000_0000_8000_0000, timestamp: 160, packets: 2, octets: 320 };

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        write_report(&mut out, 7, Some(INFO), Some(BLOCK));
        write_cname(&mut out, 7, "cname");
        write_goodbye(&mut out, 7);
        let packets: Vec<_> = parse(&out).map(Result::unwrap).collect();
        let [Packet::Sender { ssrc: 7, info, blocks }, Packet::SourceDescription, Packet::Goodbye { ssrc: Some(7) }] =
            packets[..]
        else {
            panic!("{packets:?}");
        };
        assert_eq!(info, INFO);
        assert_eq!(blocks.collect::<Vec<_>>(), [BLOCK]);
    }

    #[test]
    fn who_sends_nothing_writes_receiver_reports() {
        let mut out = Vec::new();
        write_report(&mut out, 7, None, None);
        assert_eq!(out, [0x80, 201, 0, 1, 0, 0, 0, 7]);
        let Some(Ok(Packet::Receiver { ssrc: 7, mut blocks })) = parse(&out).next() else { panic!() };
        assert_eq!(blocks.next(), None);
    }

    #[test]
    fn descriptions_end_on_a_word_with_at_least_one_zero() {
        for length in 0..=9 {
            let mut out = Vec::new();
            write_cname(&mut out, 7, &"x".repeat(length));
            assert_eq!(out.len() % 4, 0);
            assert_eq!(out.last(), Some(&0));
            assert_eq!(out.len(), (usize::from(u16::from_be_bytes([out[2], out[3]])) + 1) * 4);
        }
    }

    #[test]
    fn feedback_tells_who_misses_what_of_whom() {
        let mut out = Vec::new();
        write_report(&mut out, 7, None, None);
        // A generic NACK of 65,535 and the second after it, and of 9; then a picture loss indication.
        out.extend_from_slice(&[0x81, 205, 0, 4, 0, 0, 0, 7, 0, 0, 0, 9, 0xFF, 0xFF, 0, 2, 0, 9, 0, 0]);
        out.extend_from_slice(&[0x81, 206, 0, 2, 0, 0, 0, 7, 0, 0, 0, 9]);
        let packets: Vec<_> = parse(&out).map(Result::unwrap).collect();
        let [_, Packet::Feedback { sender: 7, media: 9, missing }, Packet::Feedback { missing: none, .. }] =
            packets[..]
        else {
            panic!("{packets:?}");
        };
        assert_eq!(missing.collect::<Vec<_>>(), [0xFFFF, 1, 9]);
        assert_eq!(none.count(), 0);
        let length = out.len();
        assert_eq!(parse(&out[..length - 1]).last(), Some(Err(RtcpError::Truncated)));
        // Too short to say of whom.
        out.truncate(8);
        out.extend_from_slice(&[0x81, 206, 0, 1, 0, 0, 0, 7]);
        assert_eq!(parse(&out).last(), Some(Err(RtcpError::Truncated)));
    }

    #[test]
    fn broken_compounds_end_with_an_error() {
        let mut out = Vec::new();
        write_report(&mut out, 7, Some(INFO), Some(BLOCK));
        fn first(datagram: &[u8]) -> Option<Result<Packet<'_>, RtcpError>> {
            parse(datagram).next()
        }
        for length in 0..out.len() {
            assert_eq!(first(&out[..length]), Some(Err(RtcpError::Truncated)));
        }
        assert_eq!(first(&[0x40, 200, 0, 0]), Some(Err(RtcpError::Version(1))));
        assert_eq!(first(&[0x81, 203, 0, 1, 0, 0, 0, 7]), Some(Err(RtcpError::NoReport(203))));
        // More blocks than its length has room for.
        out[0] = 0x82;
        assert_eq!(first(&out), Some(Err(RtcpError::Truncated)));
        let mut tail = Vec::new();
        write_report(&mut tail, 7, None, None);
        tail.extend_from_slice(&[1, 2]);
        assert_eq!(parse(&tail).map(|packet| packet.is_ok()).collect::<Vec<_>>(), [true, false]);
    }
}
