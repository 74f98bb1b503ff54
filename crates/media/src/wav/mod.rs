//! WAV files: any PCM in, 16 bit PCM out.

mod reader;
mod writer;

pub(crate) use reader::from_float;
pub use reader::{End, Reader, Wav, WavError, read};
pub use writer::{Writer, repair};

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const ALAW: u16 = 6;
const ULAW: u16 = 7;
const EXTENSIBLE: u16 = 0xFFFE;

#[cfg(test)]
mod tests;
