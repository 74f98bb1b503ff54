//! Ogg (RFC 3533): pages to packets of the first stream of sound in it.

use super::logical::Logical;
use super::{FileError, Format};

const CAPTURE: &[u8; 4] = b"OggS";
/// Octets of a page before its segment table.
const HEADER: usize = 27;
/// Octets of one packet; the books of Vorbis are the longest, a few tens of thousands.
const MAX_PACKET: usize = 1 << 20;

// Flags of a page (RFC 3533 6).
const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

pub(super) struct Reader {
    pending: Vec<u8>,
    stream: Option<Stream>,
    rate: Option<u32>,
}

struct Stream {
    serial: u32,
    logical: Logical,
    /// What has come of a packet that goes on on the next page.
    packet: Vec<u8>,
    /// A packet has begun and not ended.
    open: bool,
    ended: bool,
}

impl Reader {
    pub fn new() -> Reader {
        Reader { pending: Vec::new(), stream: None, rate: None }
    }

    /// Octets of the page that `pending` begins with; `None` until it is whole.
    fn page(pending: &[u8]) -> Result<Option<usize>, FileError> {
        let Some(header) = pending.first_chunk::<HEADER>() else { return Ok(None) };
        if !header.starts_with(CAPTURE) || header[4] != 0 {
            return Err(FileError::Damaged("no Ogg page where one should begin"));
        }
        let segments = usize::from(header[26]);
        let Some(table) = pending.get(HEADER..HEADER + segments) else { return Ok(None) };
        let length = HEADER + segments + table.iter().map(|lace| usize::from(*lace)).sum::<usize>();
        Ok((pending.len() >= length).then_some(length))
    }

    fn take(&mut self, page: &[u8], samples: &mut Vec<i16>) -> Result<(), FileError> {
        let (Some(header), Some(rest)) = (page.first_chunk::<HEADER>(), page.get(HEADER..)) else { return Ok(()) };
        let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if checksum(page) != number(22) {
            return Err(FileError::Damaged("checksum of an Ogg page"));
        }
        let (flags, serial) = (header[5], number(14));
        let granule = u64::from(number(10)) << 32 | u64::from(number(6));
        let (table, mut body) = rest.split_at(usize::from(header[26]).min(rest.len()));
        if flags & FIRST != 0 && self.stream.as_ref().is_none_or(|stream| stream.ended) {
            // Streams of sound may follow one another; others are passed over.
            if let Some(logical) = Logical::of(body) {
                let stream = Stream { serial, logical, packet: Vec::new(), open: false, ended: false };
                self.stream = Some(stream);
            }
        }
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.serial == serial && !stream.ended) else {
            return Ok(());
        };
        if flags & LAST != 0 {
            stream.ended = true;
            // All ones: no packet ends on this page.
            if granule != u64::MAX {
                stream.logical.ends_at(granule);
            }
        }
        let continued = flags & CONTINUED != 0;
        let mut dropped = continued && !stream.open;
        if !continued {
            stream.packet.clear();
        }
        stream.open = false;
        for lace in table {
            let (segment, after) = body.split_at(usize::from(*lace).min(body.len()));
            body = after;
            stream.open = *lace == 255;
            // Comments may have pictures in them: they are not kept.
            if !dropped && stream.logical.wants_packet() {
                stream.packet.extend_from_slice(segment);
                if stream.packet.len() > MAX_PACKET {
                    return Err(FileError::Damaged("an Ogg packet without end"));
                }
            }
            if !stream.open {
                if !std::mem::take(&mut dropped) {
                    stream.logical.packet(&stream.packet, samples)?;
                }
                stream.packet.clear();
            }
        }
        match (self.rate, stream.logical.rate()) {
            (Some(before), Some(now)) if before != now => Err(FileError::Damaged("its sample rate changes")),
            (before, now) => {
                self.rate = before.or(now);
                Ok(())
            }
        }
    }
}

impl Format for Reader {
    fn push(&mut self, octets: &[u8], samples: &mut Vec<i16>) -> Result<(), FileError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(octets);
        let mut at = 0;
        while let Some(length) = Self::page(&pending[at..])? {
            self.take(&pending[at..at + length], samples)?;
            at += length;
        }
        pending.drain(..at);
        self.pending = pending;
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<i16>) -> Result<(), FileError> {
        match &self.stream {
            None => Err(FileError::NotAudio),
            Some(stream) if !stream.ended || self.rate.is_none() => Err(FileError::Truncated),
            Some(_) => Ok(()),
        }
    }

    fn rate(&self) -> Option<u32> {
        self.rate
    }
}

/// Of a page whose own checksum counts as zero (RFC 3533 6): CRC-32 with the polynomial 04c11db7, nothing reflected.
pub(super) fn checksum(page: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut octet = 0;
        while octet < 256 {
            let mut rest = (octet as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                rest = rest << 1 ^ if rest >> 31 == 1 { 0x04C1_1DB7 } else { 0 };
                bit += 1;
            }
            table[octet] = rest;
            octet += 1;
        }
        table
    };
    page.iter().enumerate().fold(0u32, |sum, (at, octet)| {
        let octet = if (22..26).contains(&at) { 0 } else { *octet };
        sum << 8 ^ TABLE[usize::from((sum >> 24) as u8 ^ octet)]
    })
}
