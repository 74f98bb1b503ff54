//! A clip in the payloads of a codec, shared by every leg that plays it. It is read while it is still being made.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::clip::Clip;
use crate::codec::{Codec, Encoder, OpusParams, opus};
use crate::resample::Resampler;

/// Milliseconds of audio in a packet of a codec of frames.
pub const FRAME_MS: u8 = 20;
/// The longest packet of a codec of frames.
const MAX_FRAME: usize = 1275;
/// Milliseconds of one piece: whole frames.
const PIECE_MS: usize = 200;
/// Seconds of the clip that are encoded in one step.
const STEP: usize = 1;
/// Blocks of pieces, each twice as long as the one before it: 38 days.
const BLOCKS: usize = 24;

/// Encoded audio, whole or in the making.
#[derive(Debug)]
pub struct Prompt {
    codec: Codec,
    pieces: Pieces,
    /// Octets that are there, or frames for a codec of frames.
    ready: AtomicUsize,
    /// Nothing more comes.
    end: OnceLock<Result<(), Arc<str>>>,
    maker: Mutex<Maker>,
}

/// Appended to by one, read by many without a lock.
#[derive(Debug)]
struct Pieces([OnceLock<Box<[OnceLock<Piece>]>>; BLOCKS]);

#[derive(Debug)]
struct Piece {
    octets: Box<[u8]>,
    /// Where each frame ends in `octets`; none for codecs without frames.
    ends: Box<[u32]>,
}

/// Where the making of a prompt is.
#[derive(Debug, Default)]
struct Maker {
    voice: Option<(Encoder, Option<Resampler>)>,
    /// Samples of the clip taken.
    taken: usize,
    /// Samples at the encoder's rate that are not a piece yet.
    waiting: Vec<i16>,
    pieces: usize,
}

/// What [`Prompt::encode`] has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more of the clip.
    More,
    /// All that is there is encoded.
    Done,
}

impl Prompt {
    pub(crate) fn new(codec: Codec) -> Prompt {
        Prompt {
            codec,
            pieces: Pieces(Default::default()),
            ready: AtomicUsize::new(0),
            end: OnceLock::new(),
            maker: Mutex::default(),
        }
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Octets that can be played, or frames for a codec of frames.
    pub fn ready(&self) -> usize {
        self.ready.load(Ordering::Acquire)
    }

    /// Whether it has ended, and why where that is not as it should be.
    pub fn end(&self) -> Option<&Result<(), Arc<str>>> {
        self.end.get()
    }

    /// Nothing to play, and nothing to come.
    pub fn is_empty(&self) -> bool {
        self.end.get().is_some() && self.ready() == 0
    }

    /// Whether there is enough after `at` for `ms` milliseconds, or all there will be.
    pub(crate) fn holds(&self, at: usize, ms: u8) -> bool {
        let wanted = match self.codec.octets_per_ms() {
            Some(per_ms) => usize::from(ms) * per_ms,
            None => usize::from(ms.div_ceil(FRAME_MS)),
        };
        self.end.get().is_some() || self.ready() >= at + wanted
    }

    /// What follows from `at`, in octets, or in frames for a codec of frames: at most this many octets, at most one frame.
    /// It may be less before more follows; empty where nothing does yet, and at the end.
    pub(crate) fn after(&self, at: usize, at_most: usize) -> &[u8] {
        if at >= self.ready() {
            return &[];
        }
        let unit = match self.codec.octets_per_ms() {
            Some(per_ms) => per_ms * PIECE_MS,
            None => PIECE_MS / usize::from(FRAME_MS),
        };
        let Some(piece) = self.pieces.get(at / unit) else { return &[] };
        let at = at % unit;
        match self.codec.octets_per_ms() {
            Some(_) => {
                let rest = piece.octets.get(at..).unwrap_or_default();
                &rest[..rest.len().min(at_most)]
            }
            None => piece.frame(at).unwrap_or_default(),
        }
    }

    /// Whether everything before `at` is all, and it ended as it should.
    pub(crate) fn is_over(&self, at: usize) -> bool {
        self.end.get().is_some_and(Result::is_ok) && at >= self.ready()
    }

    /// Why nothing follows from `at` although more should.
    pub(crate) fn failure(&self, at: usize) -> Option<&Arc<str>> {
        let reason = self.end.get()?.as_ref().err()?;
        (at >= self.ready()).then_some(reason)
    }

    /// Whether a peer that asks for this is content with it as it is.
    pub(crate) fn suits(&self, codec: Codec, params: &OpusParams) -> bool {
        self.codec == codec && (codec != Codec::Opus || opus::is_default_enough(params))
    }

    /// Encodes the next of a clip, a second at most.
    pub(crate) fn encode(&self, clip: &Clip) -> Step {
        if self.end.get().is_some() {
            return Step::Done;
        }
        let maker = &mut *self.maker.lock();
        // In this order: what is there now is all when it has ended before.
        let end = clip.end();
        let step = match self.encode_step(maker, clip, end.is_some()) {
            Ok(Step::More) => return Step::More,
            Ok(Step::Done) => end.cloned(),
            Err(reason) => Some(Err(reason.into())),
        };
        if let Some(end) = step {
            self.end.get_or_init(|| end);
            *maker = Maker::default();
        }
        Step::Done
    }

    fn encode_step(&self, maker: &mut Maker, clip: &Clip, ended: bool) -> Result<Step, String> {
        let Some(rate) = clip.rate() else { return Ok(Step::Done) };
        if maker.voice.is_none() {
            let encoder = Encoder::new(self.codec, rate, &OpusParams::default()).ok_or("no encoder")?;
            let resampler = (rate != encoder.rate()).then(|| Resampler::new(rate, encoder.rate())).transpose();
            maker.voice = Some((encoder, resampler.map_err(|error| error.to_string())?));
        }
        let Some((encoder, resampler)) = &mut maker.voice else { return Ok(Step::Done) };
        let wanted = rate as usize * STEP;
        let mut samples = Vec::with_capacity(wanted);
        clip.read(maker.taken, wanted, &mut samples);
        let samples_read = samples.len();
        maker.taken += samples_read;
        let is_last = ended && samples_read < wanted;
        match resampler {
            Some(resampler) => resampler.process(&samples, &mut maker.waiting),
            None => maker.waiting.append(&mut samples),
        }
        if is_last && let Some(resampler) = resampler.take() {
            resampler.finish(&mut maker.waiting);
        }
        let length = encoder.rate() as usize * PIECE_MS / 1000;
        let whole = maker.waiting.len() / length * length;
        let until = if is_last { maker.waiting.len() } else { whole };
        for samples in maker.waiting[..until].chunks(length) {
            let piece = Piece::encode(self.codec, encoder, samples);
            clip.take(piece.octets.len()).map_err(|error| error.to_string())?;
            let units = if piece.ends.is_empty() { piece.octets.len() } else { piece.ends.len() };
            if !self.pieces.set(maker.pieces, piece) {
                return Err("longer than can be played".to_owned());
            }
            maker.pieces += 1;
            self.ready.fetch_add(units, Ordering::Release);
        }
        maker.waiting.drain(..until);
        // As much as was wanted: there may be more, or the end still to be told.
        Ok(if samples_read == wanted { Step::More } else { Step::Done })
    }

    #[cfg(test)]
    pub(crate) fn octets(&self) -> Vec<u8> {
        (0..).map_while(|index| self.pieces.get(index)).flat_map(|piece| piece.octets.to_vec()).collect()
    }
}

impl Pieces {
    fn place(index: usize) -> (usize, usize) {
        let block = (index + 1).ilog2() as usize;
        (block, index + 1 - (1 << block))
    }

    fn get(&self, index: usize) -> Option<&Piece> {
        let (block, at) = Self::place(index);
        self.0.get(block)?.get()?.get(at)?.get()
    }

    /// False where there is no place any more.
    fn set(&self, index: usize, piece: Piece) -> bool {
        let (block, at) = Self::place(index);
        let Some(block) = self
            .0
            .get(block)
            .map(|place| place.get_or_init(|| (0..1usize << block).map(|_| OnceLock::new()).collect()))
        else {
            return false;
        };
        block.get(at).is_some_and(|place| place.set(piece).is_ok())
    }
}

impl Piece {
    fn encode(codec: Codec, encoder: &mut Encoder, samples: &[i16]) -> Piece {
        let Some(octets_per_ms) = codec.octets_per_ms() else {
            let frame = encoder.rate() as usize * usize::from(FRAME_MS) / 1000;
            let (mut octets, mut ends) = (Vec::new(), Vec::new());
            let mut encode = |samples: &[i16]| {
                let mut packet = [0; MAX_FRAME];
                let length = encoder.encode(samples, &mut packet);
                octets.extend_from_slice(&packet[..length]);
                ends.push(octets.len() as u32);
            };
            let frames = samples.chunks_exact(frame);
            let mut rest = frames.remainder().to_vec();
            frames.for_each(&mut encode);
            if !rest.is_empty() {
                rest.resize(frame, 0);
                encode(&rest);
            }
            return Piece { octets: octets.into(), ends: ends.into() };
        };
        let mut octets = vec![0; (samples.len() * octets_per_ms).div_ceil(encoder.rate() as usize / 1000)];
        let length = encoder.encode(samples, &mut octets);
        octets.truncate(length);
        Piece { octets: octets.into(), ends: Box::default() }
    }

    fn frame(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |start| *start as usize);
        self.octets.get(start..end)
    }
}
