//! flite, linked statically. The only place its functions are called.
//!
//! It keeps reference counts and caches without locks, so one text is spoken at a time; at about a hundredth of the
//! time the speech takes, that is some thirty short sentences a second.

use std::ffi::{CString, c_char, c_int, c_short, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::text;
use super::{SpeechError, Track};

pub(super) const NAME: &str = "flite";
/// Samples per second of both voices.
pub(super) const RATE: u32 = 16_000;
/// flite's time grows with the square of a text: a piece of this many octets takes some 0.1 s.
const MAX_PIECE: usize = 200;
const MAX_WORD: usize = 40;

/// A voice that is linked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Voice {
    /// `cmu_us_slt`, female.
    Slt,
    /// `cmu_us_rms`, male.
    Rms,
}

/// `cst_wave.h`.
#[repr(C)]
struct CstWave {
    kind: *const c_char,
    sample_rate: c_int,
    num_samples: c_int,
    num_channels: c_int,
    samples: *mut c_short,
}

/// The head of `cst_voice`, `cst_voice.h`.
#[repr(C)]
struct CstVoice {
    name: *const c_char,
    features: *mut c_void,
}

unsafe extern "C" {
    fn flite_init() -> c_int;
    fn register_cmu_us_slt(voxdir: *const c_char) -> *mut c_void;
    fn register_cmu_us_rms(voxdir: *const c_char) -> *mut c_void;
    fn flite_text_to_wave(text: *const c_char, voice: *mut c_void) -> *mut CstWave;
    fn delete_wave(wave: *mut CstWave);
    fn feat_set_float(features: *mut c_void, name: *const c_char, value: f32);
}

/// flite can play to a sound card through libasound. It is never asked to: these take the place of those functions, so
/// that the library is not needed.
mod silent_card {
    use std::ffi::{c_int, c_void};

    macro_rules! silent {
        ($($name:ident)*) => {
            $(
                /// Always fails.
                #[unsafe(no_mangle)]
                extern "C" fn $name(_: *mut c_void) -> c_int {
                    -1
                }
            )*
        };
    }

    silent!(audio_close_alsa audio_write_alsa audio_drain_alsa audio_flush_alsa);

    /// Always fails: no device.
    #[unsafe(no_mangle)]
    extern "C" fn audio_open_alsa(_: c_int, _: c_int, _: c_int) -> *mut c_void {
        std::ptr::null_mut()
    }
}

/// The voices once registered. They live as long as the process; only who holds the lock uses them.
struct Voices {
    slt: *mut c_void,
    rms: *mut c_void,
}

// SAFETY: the pointers are used under the lock only, and flite does not tie them to a thread.
unsafe impl Send for Voices {}

static VOICES: Mutex<Option<Voices>> = Mutex::new(None);

/// Speaks on a blocking thread, piece by piece, `rate` in per cent of its own. Given up, it ends with the piece it is at.
pub(super) async fn speak(
    voice: Voice,
    text: String,
    rate: u16,
    timeout: Duration,
    track: Track,
) -> Result<Track, SpeechError> {
    let given_up = GivenUp(Arc::new(AtomicBool::new(false)));
    let flag = given_up.0.clone();
    let task = tokio::task::spawn_blocking(move || speak_pieces(voice, &text, rate, &flag, track));
    match tokio::time::timeout(timeout, task).await {
        Ok(Ok(track)) => track,
        Ok(Err(error)) => Err(SpeechError::failed(NAME, error)),
        Err(_) => Err(SpeechError::Timeout { engine: NAME, after: timeout }),
    }
}

/// Tells the blocking thread when nobody waits for it any more.
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn speak_pieces(
    voice: Voice,
    text: &str,
    rate: u16,
    given_up: &AtomicBool,
    mut track: Track,
) -> Result<Track, SpeechError> {
    for piece in text::pieces(&text::to_ascii(text), MAX_PIECE, MAX_WORD) {
        if given_up.load(Ordering::Relaxed) {
            return Err(SpeechError::failed(NAME, "given up"));
        }
        let samples = speak_piece(voice, piece, rate)?;
        track.push(&samples, RATE)?;
    }
    Ok(track)
}

fn speak_piece(voice: Voice, piece: String, rate: u16) -> Result<Vec<i16>, SpeechError> {
    let piece = CString::new(piece).map_err(|error| SpeechError::failed(NAME, error))?;
    let mut voices = VOICES.lock();
    let voices = voices.get_or_insert_with(|| {
        // SAFETY: called once, before anything else of flite, under the lock; a null folder means the data linked in.
        unsafe {
            flite_init();
            Voices { slt: register_cmu_us_slt(std::ptr::null()), rms: register_cmu_us_rms(std::ptr::null()) }
        }
    });
    let voice = match voice {
        Voice::Slt => voices.slt,
        Voice::Rms => voices.rms,
    };
    if voice.is_null() {
        return Err(SpeechError::failed(NAME, "no such voice"));
    }
    let stretch = 100.0 / f32::from(rate);
    // SAFETY: a voice of flite's own, whose features are its own too, and texts that end with a zero, under the lock.
    let wave = unsafe {
        feat_set_float((*voice.cast::<CstVoice>()).features, c"duration_stretch".as_ptr(), stretch);
        flite_text_to_wave(piece.as_ptr(), voice)
    };
    if wave.is_null() {
        return Err(SpeechError::failed(NAME, "it gave no sound"));
    }
    let mut samples = Vec::new();
    // SAFETY: not null, made by flite, ours until deleted; the samples are as many as it says (one channel).
    unsafe {
        let CstWave { num_samples, num_channels, samples: first, sample_rate, .. } = *wave;
        let usable = !first.is_null() && num_channels == 1 && sample_rate == RATE as c_int;
        if let (true, Ok(count)) = (usable, usize::try_from(num_samples)) {
            samples.extend_from_slice(std::slice::from_raw_parts(first, count));
        }
        delete_wave(wave);
    }
    Ok(samples)
}
