//! A call flow's tone as the media threads take it.

use opentact_call::Tone;
use opentact_media::control::{Source, ToneSpec, ToneStep};

pub(crate) fn source(tone: &Tone) -> Source {
    let steps = tone
        .steps
        .iter()
        .map(|step| ToneStep { hz: step.hz.clone(), on_ms: step.on_ms, off_ms: step.off_ms })
        .collect();
    Source::Tone(ToneSpec { steps, level_db: tone.volume_db })
}
