use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use sea_orm::sea_query::ColumnType;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::get_frame_content_size;

use super::column_through;

/// JSON text that fills little of its column: a Zstandard frame (RFC 8878) made with a dictionary of what such texts look
/// like, behind an octet that tells which. Text that would not get shorter stands as it is, and so do rows from before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed(Arc<str>);

/// First octet of a frame that was made with [`DICTIONARY`]. No JSON text begins with it.
const FORMAT: u8 = 1;
/// What events look like. Never edited: what is in databases can be read with these octets only. A better one is a new
/// file and a new format beside this one.
const DICTIONARY: &[u8] = include_bytes!("packed/dictionary-1.txt");
/// Of zstd's levels the fastest above 0: a third more than the fastest of all in time, a fifth less in size.
const LEVEL: i32 = 1;
/// Octets of a text at most: a broken row must not take all memory.
const LARGEST: u64 = 64 << 20;

static TO_PACK: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static TO_UNPACK: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

/// One thread's compressor and the memory it writes to.
struct Packer {
    compressor: Compressor<'static>,
    frame: Vec<u8>,
}

thread_local! {
    static PACKER: RefCell<Option<Packer>> = RefCell::new(Packer::new());
    static UNPACKER: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_prepared_dictionary(&TO_UNPACK).ok());
}

impl Packer {
    fn new() -> Option<Packer> {
        let compressor = Compressor::with_prepared_dictionary(&TO_PACK).ok()?;
        Some(Packer { compressor, frame: Vec::new() })
    }

    fn pack(&mut self, text: &str) -> Option<Vec<u8>> {
        self.frame.clear();
        self.frame.reserve(zstd::zstd_safe::compress_bound(text.len()));
        let length = self.compressor.compress_to_buffer(text.as_bytes(), &mut self.frame).ok()?;
        if length + 1 >= text.len() {
            return None;
        }
        let mut octets = Vec::with_capacity(length + 1);
        octets.push(FORMAT);
        octets.extend_from_slice(self.frame.get(..length)?);
        Some(octets)
    }
}

fn pack(text: &str) -> Vec<u8> {
    PACKER.with_borrow_mut(|packer| packer.as_mut()?.pack(text)).unwrap_or_else(|| text.into())
}

fn unpack(octets: &[u8]) -> Result<Packed, String> {
    let text = match octets {
        [FORMAT, frame @ ..] => {
            let size = get_frame_content_size(frame).map_err(|_| "not a Zstandard frame")?;
            let size = size.filter(|size| *size <= LARGEST).ok_or("a frame of unknown or impossible size")?;
            let size = usize::try_from(size).map_err(|_| "a frame larger than memory")?;
            let unpacked = UNPACKER.with_borrow_mut(|unpacker| Some(unpacker.as_mut()?.decompress(frame, size)));
            unpacked.ok_or("no memory for a decompressor")?.map_err(|error| error.to_string())?
        }
        plain => plain.to_vec(),
    };
    let text = String::from_utf8(text).map_err(|_| "not UTF-8")?;
    Ok(Packed(text.into()))
}

column_through!(Packed, Vec<u8>, ColumnType::Blob, |packed| pack(&packed.0), |octets| unpack(&octets));

impl From<String> for Packed {
    fn from(text: String) -> Packed {
        Packed(text.into())
    }
}

impl From<Packed> for Arc<str> {
    fn from(packed: Packed) -> Arc<str> {
        packed.0
    }
}

impl std::ops::Deref for Packed {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Packed, D::Error> {
        String::deserialize(deserializer).map(Packed::from)
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// A frame as it stands in databases, and the text it was made of.
    const KEPT: (&[u8], &str) = (include_bytes!("packed/frame-1.bin"), include_str!("packed/frame-1.json"));

    #[test]
    fn what_was_kept_stays_readable() {
        assert_eq!(&*unpack(KEPT.0).unwrap(), KEPT.1);
        let digest = hex::encode(Sha256::digest(DICTIONARY));
        assert_eq!(digest, "109849ff12d442dab7ff5d339e46e820e644dba5d3e2f023e6928ad4a9c5544f");
    }

    #[test]
    fn an_event_fills_a_fifth_of_its_text() {
        let octets = pack(KEPT.1);
        assert_eq!(octets[0], FORMAT);
        assert!(octets.len() * 5 < KEPT.1.len(), "{} of {}", octets.len(), KEPT.1.len());
        assert_eq!(&*unpack(&octets).unwrap(), KEPT.1);
    }

    #[test]
    fn any_text_comes_back() {
        for text in ["", "{}", "null", "\"x\"", "{\"message\":\"\u{1f4de} caf\u{e9}\"}", &"x".repeat(100_000)] {
            assert_eq!(&*unpack(&pack(text)).unwrap(), text);
        }
    }

    #[test]
    fn rows_from_before_are_plain() {
        assert_eq!(&*unpack(b"{\"seq\":1}").unwrap(), "{\"seq\":1}");
    }

    #[test]
    fn what_is_broken_is_an_error() {
        let (whole, _) = KEPT;
        for length in 1..whole.len() {
            assert!(unpack(&whole[..length]).is_err(), "{length}");
        }
        assert_eq!(unpack(&[FORMAT]).unwrap_err(), "not a Zstandard frame");
        assert_eq!(unpack(b"\xff").unwrap_err(), "not UTF-8");
        // Magic number; a frame header that says eight octets of content size follow; all bits set.
        let huge = [&[FORMAT, 0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000][..], &[0x7f; 8]].concat();
        assert_eq!(unpack(&huge).unwrap_err(), "a frame of unknown or impossible size");
    }
}
