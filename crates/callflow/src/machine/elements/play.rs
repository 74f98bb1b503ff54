//! `<Say>`, `<Play>`, `<Tone>`: what is heard.

use std::time::Instant;

use super::{Cut, Cx, Flow, Music, Run};
use crate::language::Name;
use crate::machine::io::{Leg, OpResult, Output, Sound};
use crate::say::{Gender, Voice};
use crate::tone::{Signal, Tone, ToneStep};
use crate::variables::Encoding;

#[derive(Debug, Default)]
pub(super) struct Play {
    op: Option<u64>,
    until: Option<Instant>,
}

impl Run for Play {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        let mut loops = cx.args.number("loop").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        let sound = match cx.node.name {
            Some(Name::Say) => Sound::Say(voice(cx)),
            Some(Name::Tone) => {
                self.until = cx.args.duration("timeout").map(|timeout| cx.now.instant + timeout);
                let tone = tone(cx);
                if tone.is_none() {
                    // It goes on until the timeout.
                    loops = 0;
                }
                Sound::Tone(tone.unwrap_or_else(|| signal(cx)))
            }
            _ => match (cx.args.text("record"), cx.args.text("url")) {
                (Some(tag), _) => Sound::Recording(tag.into()),
                (None, url) => Sound::Url(url.unwrap_or_default().into()),
            },
        };
        // Music goes on as long as the hold does.
        if cx.music == Some(Music::Last) && !cx.args.is_written("loop") {
            loops = 0;
        }
        let leg = match cx.args.word("leg") {
            _ if cx.music.is_some() => Leg::B,
            Some("bleg") => Leg::B,
            Some("both") => Leg::Both,
            _ => Leg::A,
        };
        let op = cx.op();
        self.op = Some(op);
        cx.put(Output::Play { op, sound, leg, loops });
        Flow::Wait
    }

    fn result(&mut self, cx: &mut Cx<'_>, op: u64, result: &OpResult) -> Option<Flow> {
        let OpResult::Played(played) = result else { return None };
        (self.op == Some(op)).then(|| {
            self.op = None;
            match played {
                Ok(()) => Flow::done(ended(cx)),
                Err(reason) => Flow::fail(reason.clone()),
            }
        })
    }

    fn key(&mut self, cx: &mut Cx<'_>, key: char) -> Option<Flow> {
        cx.args.keys("dtmf_stop").contains(key).then(|| {
            self.stop(cx);
            Flow::done(Cut::Key(key).reason())
        })
    }

    fn deadline(&self) -> Option<Instant> {
        self.until
    }

    fn timeout(&mut self, cx: &mut Cx<'_>) -> Flow {
        self.until = None;
        self.stop(cx);
        Flow::done(ended(cx))
    }

    fn cut(&mut self, cx: &mut Cx<'_>, cut: Cut) -> bool {
        self.stop(cx);
        cut.is_success()
    }
}

impl Play {
    fn stop(&mut self, cx: &mut Cx<'_>) {
        if let Some(op) = self.op.take() {
            cx.put(Output::StopPlay { op });
        }
    }
}

fn ended(cx: &Cx<'_>) -> &'static str {
    match cx.node.name {
        Some(Name::Say) => "Text spoken",
        Some(Name::Tone) => "Tone played",
        _ => "Sound played",
    }
}

fn voice(cx: &Cx<'_>) -> Voice {
    let text = |name: &str| cx.args.text(name).map(str::to_owned);
    Voice {
        text: text("text").unwrap_or_default(),
        ssml: cx.node.markup.as_deref().map(|markup| cx.variables.interpolate_as(markup, Encoding::Markup)),
        lang: text("lang").unwrap_or_else(|| "en-US".into()),
        gender: if cx.args.word("gender") == Some("MALE") { Gender::Male } else { Gender::Female },
        kind: cx.args.word("type").unwrap_or("Standard"),
        code: text("code"),
    }
}

/// `None`: the element says nothing of frequency or cadence.
fn tone(cx: &Cx<'_>) -> Option<Tone> {
    let (on, off, hz) = (cx.args.durations("don"), cx.args.durations("doff"), cx.args.frequencies("hz"));
    if on.is_none() && off.is_none() && hz.is_none() {
        return None;
    }
    let on = on.unwrap_or(&[DEFAULT_ON_MS]);
    let off = off.unwrap_or(&[0]);
    let default_hz = vec![vec![DEFAULT_HZ]];
    let hz = hz.unwrap_or(&default_hz);
    // The lists go in step; a shorter one starts again.
    let steps = (0..on.len().max(off.len()).max(hz.len()))
        .map(|n| ToneStep { hz: hz[n % hz.len()].clone(), on_ms: on[n % on.len()], off_ms: off[n % off.len()] })
        .collect();
    Some(Tone { steps, volume_db: cx.args.decibel("volume").unwrap_or_default() })
}

/// A tone of the network: without a country the callee's.
fn signal(cx: &Cx<'_>) -> Tone {
    let signal = cx.args.word("signal").and_then(Signal::of).unwrap_or(Signal::RingBack);
    let country = cx.args.word("country").and_then(|country| Tone::of(signal, country));
    let mut tone = country.unwrap_or_else(|| Tone::of_number(signal, cx.variables.get("to").unwrap_or_default()));
    if cx.args.is_written("volume") {
        tone.volume_db = cx.args.decibel("volume").unwrap_or(tone.volume_db);
    }
    tone
}

/// Of a tone that says only part of what it is.
const DEFAULT_ON_MS: u32 = 1000;
const DEFAULT_HZ: f32 = 425.0;
