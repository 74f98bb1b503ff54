//! Who has answered: what the callee says is listened to beside the call.

use std::time::Duration;

use opentact_call::{CallState, Input, LegId};
use opentact_media::amd::{Answer, Beep, Detector, Measures, RATE, Settings, Verdict};
use serde_json::{Value, json};

use super::{Core, Message};
use crate::media::{Tap, Tapped};

/// A verdict comes so much later than what is heard allows, at most: audio is on its way, and may not come at all.
const LATE: Duration = Duration::from_secs(3);

impl Core {
    pub(super) fn detect(&mut self, call: LegId, leg: LegId) {
        let Some(settings) = self.calls.get(&call).and_then(|entry| entry.amd) else { return };
        let tap = self.media_key(leg).map(|key| self.drivers.media.tap(key, RATE));
        self.spawn(async move { Message::Detected { call, leg, verdict: listen(tap, settings).await } });
    }

    /// Nobody is told of one who has hung up meanwhile.
    pub(super) fn on_detected(&mut self, call: LegId, leg: LegId, verdict: &Verdict) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        if entry.book.snapshot(leg).is_none_or(|leg| leg.state != CallState::Live) {
            return;
        }
        let answer = verdict.answer.as_str();
        metrics::counter!("opentact_amd_total", "answer" => answer).increment(1);
        entry.book.detected(leg, view(verdict));
        self.tell_call(call, Input::Detected { answer: answer.to_owned() });
    }
}

/// The verdict, whatever is heard.
async fn listen(tap: Option<Tap>, settings: Settings) -> Verdict {
    let mut detector = Detector::new(settings);
    let longest = Duration::from_millis(settings.longest().into()) + LATE;
    let heard = async {
        let mut tap = tap?;
        while let Some(told) = tap.next().await {
            let Tapped::Heard { samples, lost } = told else { continue };
            // What found no room took its time too.
            let verdict = detector.listen(&vec![0; lost]).or_else(|| detector.listen(&samples));
            if verdict.is_some() {
                return verdict;
            }
        }
        None
    };
    match tokio::time::timeout(longest, heard).await {
        Ok(Some(verdict)) => verdict,
        _ => Verdict { answer: Answer::NotSure, reason: "nothing was heard", measures: Measures::default() },
    }
}

/// As calls and events show it.
fn view(verdict: &Verdict) -> Value {
    let Measures { initial_silence, greeting, words, longest_word, silence, total, beep } = verdict.measures;
    let beep = beep.map(|Beep { at, length, hz }| json!({ "at": at, "length": length, "hz": hz.round() }));
    json!({
        "result": verdict.answer.as_str(),
        "reason": verdict.reason,
        "initial_silence": initial_silence,
        "greeting": greeting,
        "words": words,
        "longest_word": longest_word,
        "silence": silence,
        "total": total,
        "beep": beep,
    })
}
