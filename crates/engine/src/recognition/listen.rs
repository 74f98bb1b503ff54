//! What a caller says, once.

use std::future::Future;
use std::time::Duration;

use opentact_callflow::Utterance as Said;
use opentact_media::utterance::Utterance;
use tokio::sync::mpsc;

use super::{PIECES, RATE, Recognition, Wish};
use crate::media::{Tap, Tapped};

/// What [`listen`] tells, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Speaking,
    /// And how long the engine has listened.
    Said(Result<Said, String>, Duration),
}

/// Listens until somebody has spoken and it is known what was said. Ends without a word with the leg.
pub(crate) async fn listen<F: Future<Output = ()>>(
    recognition: &Recognition,
    mut tap: Tap,
    wish: &Wish,
    tell: impl Fn(Heard) -> F,
) {
    let mut utterance = Utterance::new(recognition.utterance);
    let mut said = Vec::new();
    while !utterance.has_begun() {
        match tap.next().await {
            Some(Tapped::Heard { samples, .. }) => utterance.hear(&samples, &mut said),
            Some(_) => {}
            None => return,
        }
    }
    tell(Heard::Speaking).await;
    let (pieces, audio) = mpsc::channel(PIECES);
    let follow = async {
        let mut samples = said.len();
        // An engine that knows enough listens no more.
        while pieces.send(std::mem::take(&mut said)).await.is_ok() && !utterance.is_over() {
            match tap.next().await {
                Some(Tapped::Heard { samples, .. }) => utterance.hear(&samples, &mut said),
                Some(_) => {}
                None => break,
            }
            samples += said.len();
        }
        let _ = pieces.send(said).await;
        drop(pieces);
        Duration::from_millis(samples as u64 * 1000 / u64::from(RATE))
    };
    let (recognized, length) = tokio::join!(recognition.recognize(audio, wish), follow);
    let result = recognized.map(|heard| Said { confidence: heard.confidence(), text: heard.text });
    tell(Heard::Said(result.map_err(|error| error.to_string()), length)).await;
}
