//! Answering-machine detection as a request asks for it.

use opentact_engine::ports::Amd;
use opentact_media::amd::Settings;
use serde::Deserialize;
use utoipa::ToSchema;

/// When the flow of the call runs.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum AmdMode {
    /// Once it is known who has answered.
    Sync,
    /// At the answer; an event of type `call_amd` tells who it was.
    Async,
}

/// Whether a human or a machine has answered, and by what that is judged: milliseconds, each with a default among the settings.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
pub(super) struct AmdForm {
    mode: AmdMode,
    /// Nobody has spoken for so long after the answer: `not_sure`.
    #[schema(minimum = 100, maximum = 60_000)]
    initial_silence: Option<u32>,
    /// A greeting that lasts longer is a machine's.
    #[schema(minimum = 100, maximum = 60_000)]
    greeting: Option<u32>,
    /// After words, nobody has spoken for so long: a human waits.
    #[schema(minimum = 100, maximum = 60_000)]
    after_greeting_silence: Option<u32>,
    /// It is judged after so long at the latest.
    #[schema(minimum = 500, maximum = 60_000)]
    total: Option<u32>,
    /// What is shorter is no word.
    #[schema(minimum = 20, maximum = 1_000)]
    min_word: Option<u32>,
    /// Silence that ends a word.
    #[schema(minimum = 20, maximum = 1_000)]
    between_words: Option<u32>,
    /// More words are a machine's.
    #[schema(minimum = 1, maximum = 100)]
    max_words: Option<u32>,
    /// What is not as loud is silence: decibels of full scale.
    #[schema(minimum = -90, maximum = 0)]
    threshold: Option<f32>,
    /// Whether the beep of a machine is waited for: `beep` once it is over.
    beep: Option<bool>,
    /// How long.
    #[schema(minimum = 1_000, maximum = 120_000)]
    beep_timeout: Option<u32>,
    /// A tone that is shorter is no beep.
    #[schema(minimum = 40, maximum = 2_000)]
    min_beep: Option<u32>,
}

impl AmdForm {
    pub(super) fn read(&self, defaults: Settings) -> Amd {
        let settings = Settings {
            initial_silence: self.initial_silence.unwrap_or(defaults.initial_silence),
            greeting: self.greeting.unwrap_or(defaults.greeting),
            after_greeting_silence: self.after_greeting_silence.unwrap_or(defaults.after_greeting_silence),
            total: self.total.unwrap_or(defaults.total),
            min_word: self.min_word.unwrap_or(defaults.min_word),
            between_words: self.between_words.unwrap_or(defaults.between_words),
            max_words: self.max_words.unwrap_or(defaults.max_words),
            threshold: self.threshold.unwrap_or(defaults.threshold),
            beep: self.beep.unwrap_or(defaults.beep),
            beep_timeout: self.beep_timeout.unwrap_or(defaults.beep_timeout),
            min_beep: self.min_beep.unwrap_or(defaults.min_beep),
        };
        Amd { sync: matches!(self.mode, AmdMode::Sync), settings }
    }
}
