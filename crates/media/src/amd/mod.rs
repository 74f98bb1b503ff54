//! Answering-machine detection: who has answered, by what is heard after the answer.
//!
//! People say a word or two and wait; machines talk on, and then beep. So the words of the greeting are counted and timed by
//! the energy of 20 ms frames, and a tone of a single frequency is looked for. It guesses: callers of strange machines and
//! talkative people are told [`Answer::NotSure`] or wrong, and the measures say by what.

mod beep;
#[cfg(test)]
mod tests;

use self::beep::Listener;
use crate::voice::Activity;

/// Samples per second that are listened to.
pub const RATE: u32 = 8_000;
/// Samples of a frame.
const FRAME: usize = 160;
/// Milliseconds of a frame.
const MS: u32 = 20;

/// Who has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Human,
    Machine,
    /// A machine, and its beep is over: what is said now is recorded.
    Beep,
    NotSure,
}

impl Answer {
    pub const fn as_str(self) -> &'static str {
        match self {
            Answer::Human => "human",
            Answer::Machine => "machine",
            Answer::Beep => "beep",
            Answer::NotSure => "not_sure",
        }
    }
}

/// By what it is judged; milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Nobody has spoken for so long after the answer: not sure.
    pub initial_silence: u32,
    /// A greeting that lasts longer, from its first word to its last, is a machine's.
    pub greeting: u32,
    /// After words, nobody has spoken for so long: a human waits.
    pub after_greeting_silence: u32,
    /// It is judged after so long at the latest.
    pub total: u32,
    /// What is shorter is no word.
    pub min_word: u32,
    /// Silence that ends a word.
    pub between_words: u32,
    /// More words are a machine's.
    pub max_words: u32,
    /// What is not as loud is silence: decibels of full scale, -90..=0. Where there is noise it rises with that.
    pub threshold: f32,
    /// Whether the beep of a machine is waited for.
    pub beep: bool,
    /// How long, from the verdict that it is one.
    pub beep_timeout: u32,
    /// A tone that is shorter is no beep.
    pub min_beep: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            initial_silence: 2_500,
            greeting: 1_500,
            after_greeting_silence: 800,
            total: 5_000,
            min_word: 100,
            between_words: 60,
            max_words: 4,
            threshold: -40.0,
            beep: false,
            beep_timeout: 30_000,
            min_beep: 120,
        }
    }
}

impl Settings {
    /// Milliseconds after which there is a verdict, whatever is heard.
    pub fn longest(&self) -> u32 {
        self.total.saturating_add(if self.beep { self.beep_timeout } else { 0 })
    }
}

/// What it was judged by; milliseconds since the answer, or of length.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measures {
    /// Until the first word, or until the verdict without one.
    pub initial_silence: u32,
    /// From the first word to the end of the last.
    pub greeting: u32,
    pub words: u32,
    pub longest_word: u32,
    /// Silence at the time of the verdict.
    pub silence: u32,
    pub total: u32,
    pub beep: Option<Beep>,
}

/// A tone of a single frequency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beep {
    /// When it began.
    pub at: u32,
    pub length: u32,
    pub hz: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    pub answer: Answer,
    /// Which measure has decided.
    pub reason: &'static str,
    pub measures: Measures,
}

/// Listens to one answered call. After its verdict it listens no more.
#[derive(Debug)]
pub struct Detector {
    settings: Settings,
    activity: Activity,
    listener: Listener,
    frame: Vec<i16>,
    measures: Measures,
    /// The word that is being said, and its pauses: begin and end of what was heard.
    word: Option<(u32, u32)>,
    /// The first word has begun.
    spoke: Option<u32>,
    /// It is a machine: why, as of when. Its beep is waited for.
    machine: Option<(&'static str, u32)>,
    over: bool,
}

impl Detector {
    pub fn new(settings: Settings) -> Detector {
        Detector {
            settings,
            activity: Activity::new(settings.threshold),
            listener: Listener::default(),
            frame: Vec::with_capacity(FRAME),
            measures: Measures::default(),
            word: None,
            spoke: None,
            machine: None,
            over: false,
        }
    }

    /// Takes what is said next, at [`RATE`]; the verdict, once there is one.
    pub fn listen(&mut self, mut samples: &[i16]) -> Option<Verdict> {
        while !self.over && !samples.is_empty() {
            let (taken, rest) = samples.split_at(samples.len().min(FRAME - self.frame.len()));
            self.frame.extend_from_slice(taken);
            samples = rest;
            if self.frame.len() == FRAME {
                let verdict = self.judge();
                self.frame.clear();
                if verdict.is_some() {
                    self.over = true;
                    return verdict;
                }
            }
        }
        None
    }

    fn judge(&mut self) -> Option<Verdict> {
        let now = self.measures.total;
        self.measures.total += MS;
        let voice = self.activity.is_voice(&self.frame);
        if let Some(beep) = self.listener.hear(&self.frame, voice, now, self.settings.min_beep) {
            self.measures.beep = Some(beep);
            return self.verdict(Answer::Beep, "beep");
        }
        if let Some((reason, since)) = self.machine {
            let waited = self.measures.total - since;
            return (waited >= self.settings.beep_timeout).then(|| self.verdict(Answer::Machine, reason)).flatten();
        }
        self.follow(voice, now);
        let Settings { initial_silence, greeting, after_greeting_silence, total, max_words, .. } = self.settings;
        let measures = &self.measures;
        if measures.greeting > greeting {
            return self.is_machine("long greeting");
        }
        if measures.words > max_words {
            return self.is_machine("many words");
        }
        if measures.words > 0 && measures.silence >= after_greeting_silence {
            return self.verdict(Answer::Human, "silence after a short greeting");
        }
        // A tone may be a beep that goes on.
        if self.listener.is_tone() {
            return None;
        }
        if measures.words == 0 && self.word.is_none() && measures.total >= initial_silence {
            return self.verdict(Answer::NotSure, "initial silence");
        }
        if measures.total >= total {
            return self.verdict(Answer::NotSure, "analysis time over");
        }
        None
    }

    /// Words and silences.
    fn follow(&mut self, voice: bool, now: u32) {
        let Settings { min_word, between_words, .. } = self.settings;
        let end = now + MS;
        if voice {
            let begin = match self.word {
                Some((begin, _)) => begin,
                None => now,
            };
            let length = end - begin;
            let was_word = self.word.is_some_and(|(begin, last)| last - begin >= min_word);
            self.word = Some((begin, end));
            if length >= min_word {
                self.measures.words += u32::from(!was_word);
                self.measures.longest_word = self.measures.longest_word.max(length);
                let first = *self.spoke.get_or_insert(begin);
                self.measures.greeting = end - first;
                self.measures.initial_silence = first;
                self.measures.silence = 0;
            }
        } else if let Some((_, last)) = self.word
            && end - last >= between_words
        {
            self.word = None;
        }
        if let Some(first) = self.spoke {
            // Noises that are no words are silence.
            self.measures.silence = end - (first + self.measures.greeting);
        } else {
            self.measures.initial_silence = end;
        }
    }

    fn is_machine(&mut self, reason: &'static str) -> Option<Verdict> {
        if self.settings.beep {
            self.machine = Some((reason, self.measures.total));
            return None;
        }
        self.verdict(Answer::Machine, reason)
    }

    fn verdict(&self, answer: Answer, reason: &'static str) -> Option<Verdict> {
        Some(Verdict { answer, reason, measures: self.measures })
    }
}
