//! festival's `text2wave` as a child process: the HTS voice `slt`, the better English one. Text in, samples out.

use tokio::sync::OnceCell;

use super::{SpeechError, Track, text};
use crate::program::Program;

pub(super) const NAME: &str = "festival";
/// Samples per second.
pub(super) const RATE: u32 = 32_000;
const VOICE: &str = "voice_cmu_us_slt_arctic_hts";

pub(super) struct Festival {
    program: Program,
    /// The voice has spoken once. Asked again while it has not: it may be installed during the run.
    there: OnceCell<()>,
}

impl Festival {
    pub fn new(program: Program) -> Festival {
        Festival { program, there: OnceCell::new() }
    }

    /// Whether the program and its voice are installed.
    pub async fn is_there(&self) -> bool {
        self.there.get_or_try_init(|| async { self.run("Yes.", 100).await.map(drop) }).await.is_ok()
    }

    /// `rate`: per cent of its own.
    pub async fn speak(&self, text: &str, rate: u16, track: &mut Track) -> Result<(), SpeechError> {
        let octets = self.run(text, rate).await?;
        let samples: Vec<i16> = octets.as_chunks().0.iter().map(|octets| i16::from_le_bytes(*octets)).collect();
        track.push(&samples, RATE)
    }

    async fn run(&self, text: &str, rate: u16) -> Result<Vec<u8>, SpeechError> {
        // `-r` is a parameter of the HTS engine: how much faster. `Duration_Stretch` is of no effect on it.
        let speed = f32::from(rate) / 100.0;
        let script = format!(
            "(begin ({VOICE}) (set! hts_engine_params (append hts_engine_params (list (list \"-r\" {speed})))))"
        );
        let text = text::to_ascii(text);
        // Raw: the header of a WAV in a pipe would say that it is empty.
        let arguments = ["-otype", "raw", "-o", "/dev/stdout", "-eval", &script];
        let output = self.program.run(&arguments, text.as_bytes()).await;
        output.map_err(|error| SpeechError::program(NAME, &self.program, error, "festival, festvox-us-slt-hts"))
    }
}
