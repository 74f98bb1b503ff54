//! Made voices, rooms and machines.

use super::*;

/// Noise and choices of the made sounds.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// -1..=1.
    fn noise(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }

    fn between(&mut self, least: u32, most: u32) -> u32 {
        least + (self.next() % u64::from(most - least + 1)) as u32
    }
}

/// What is heard after the answer.
struct Scene {
    random: Random,
    samples: Vec<f32>,
}

fn at(ms: u32) -> usize {
    ms as usize * RATE as usize / 1000
}

impl Scene {
    fn new(seed: u64) -> Scene {
        Scene { random: Random(seed.wrapping_mul(77) + 1), samples: Vec::new() }
    }

    fn silence(mut self, ms: u32) -> Scene {
        self.samples.resize(self.samples.len() + at(ms), 0.0);
        self
    }

    /// A voiced word: harmonics of a pitch that moves, under formants and an envelope.
    fn word(mut self, ms: u32) -> Scene {
        let count = at(ms);
        let pitch = self.random.between(90, 240) as f32;
        let formants = [self.random.between(300, 800) as f32, self.random.between(900, 2400) as f32];
        let (mut phase, level) = (0.0_f32, 6_000.0);
        for index in 0..count {
            let through = index as f32 / count as f32;
            let hz = pitch * (1.0 + 0.15 * (through * 5.0).sin());
            phase += std::f32::consts::TAU * hz / RATE as f32;
            let mut sample = 0.0;
            for harmonic in 1..18 {
                let at = hz * harmonic as f32;
                let near = |formant: f32| 1.0 / (1.0 + ((at - formant) / 180.0).powi(2));
                let weight = near(formants[0]) + 0.5 * near(formants[1]) + 0.03;
                sample += weight * (phase * harmonic as f32).sin();
            }
            // Loud but for its begin and its end.
            let envelope = (through.min(1.0 - through) * 12.0).min(1.0);
            self.samples.push(level * envelope * sample * 0.5);
        }
        self
    }

    /// Words with gaps of speech between them.
    fn words(mut self, count: u32) -> Scene {
        for index in 0..count {
            let (length, gap) = (self.random.between(180, 380), self.random.between(90, 160));
            if index > 0 {
                self = self.silence(gap);
            }
            self = self.word(length);
        }
        self
    }

    fn tone(mut self, hz: f32, ms: u32) -> Scene {
        let tone = (0..at(ms)).map(|n| 5_000.0 * (std::f32::consts::TAU * hz * n as f32 / RATE as f32).sin());
        self.samples.extend(tone);
        self
    }

    /// White noise over all of it, at decibels of full scale.
    fn noise(mut self, db: f32) -> Scene {
        // Of a uniform distribution the root mean square is 1/sqrt(3).
        let peak = 32_767.0 * 10_f32.powf(db / 20.0) * 3_f32.sqrt();
        for sample in &mut self.samples {
            *sample += peak * self.random.noise();
        }
        self
    }

    fn heard(self, settings: Settings) -> Option<Verdict> {
        let samples: Vec<i16> = self.samples.iter().map(|sample| sample.clamp(-32_768.0, 32_767.0) as i16).collect();
        let mut detector = Detector::new(settings);
        // In pieces that are no frames.
        samples.chunks(137).find_map(|piece| detector.listen(piece))
    }

    #[track_caller]
    fn is(self, settings: Settings, answer: Answer, reason: &str) -> Verdict {
        let verdict = self.heard(settings).unwrap();
        assert_eq!((verdict.answer, verdict.reason), (answer, reason), "{verdict:?}");
        verdict
    }
}

fn beep() -> Settings {
    Settings { beep: true, ..Settings::default() }
}

/// Rooms that are quiet, usual and loud.
const ROOMS: [f32; 3] = [-80.0, -55.0, -42.0];

#[test]
fn who_says_a_word_or_two_and_waits_is_human() {
    for seed in 0..40 {
        for room in ROOMS {
            let words = 1 + (seed % 2) as u32;
            let scene = Scene::new(seed).silence(300 + 20 * seed as u32).words(words).silence(2_000).noise(room);
            let verdict = scene.is(Settings::default(), Answer::Human, "silence after a short greeting");
            let Measures { initial_silence, words: heard, silence, greeting, .. } = verdict.measures;
            assert_eq!((heard, silence), (words, 800), "seed {seed}, noise {room}");
            assert!(initial_silence.abs_diff(300 + 20 * seed as u32) <= 60, "{verdict:?}");
            assert!((140..=950).contains(&greeting));
        }
    }
}

#[test]
fn who_answers_while_speaking_is_human_too() {
    for seed in 0..20 {
        Scene::new(seed).words(1).silence(2_000).noise(-60.0).is(
            Settings::default(),
            Answer::Human,
            "silence after a short greeting",
        );
    }
}

#[test]
fn who_talks_on_is_a_machine() {
    for seed in 0..40 {
        for room in ROOMS {
            let scene = Scene::new(seed).silence(500).words(14).silence(1_000).noise(room);
            let verdict = scene.heard(Settings::default()).unwrap();
            assert_eq!(verdict.answer, Answer::Machine, "seed {seed}, noise {room}: {verdict:?}");
            assert!(["long greeting", "many words"].contains(&verdict.reason));
            assert!(verdict.measures.total < 3_500);
        }
    }
}

#[test]
fn a_word_that_does_not_end_is_a_machine() {
    let verdict = Scene::new(1).silence(200).word(3_000).is(Settings::default(), Answer::Machine, "long greeting");
    assert!(verdict.measures.longest_word > 1_400 && verdict.measures.words == 1);
}

#[test]
fn the_beep_after_a_greeting_is_heard_when_it_is_over() {
    for seed in 0..30 {
        for hz in [440.0, 850.0, 1_000.0, 1_400.0] {
            let scene = Scene::new(seed).silence(500).words(9).silence(400);
            let begins = (scene.samples.len() / at(1)) as u32;
            let scene = scene.tone(hz, 400).silence(500).noise(ROOMS[seed as usize % 3]);
            let verdict = scene.is(beep(), Answer::Beep, "beep");
            let heard = verdict.measures.beep.unwrap();
            assert!((heard.hz - hz).abs() < 5.0, "{heard:?}");
            assert!(heard.at.abs_diff(begins) <= 40 && heard.length.abs_diff(400) <= 60, "{heard:?} at {begins}");
            // Nothing of the message is said into the beep.
            assert!(verdict.measures.total >= begins + 380 && verdict.measures.total <= begins + 480, "{verdict:?}");
        }
    }
}

#[test]
fn a_machine_that_only_beeps_is_one() {
    Scene::new(3).silence(700).tone(1_000.0, 500).silence(500).is(Settings::default(), Answer::Beep, "beep");
}

#[test]
fn voices_are_no_beeps() {
    for seed in 0..40 {
        let verdict = Scene::new(seed).words(30).silence(500).noise(-60.0).heard(beep());
        assert!(verdict.is_none_or(|verdict| verdict.answer != Answer::Beep), "seed {seed}: {verdict:?}");
    }
}

#[test]
fn tones_of_networks_are_no_beeps() {
    // Two frequencies at once, and one that does not end.
    let mut ringing = Scene::new(1).silence(100).tone(440.0, 2_000);
    for (index, sample) in ringing.samples.iter_mut().enumerate().skip(at(100)) {
        *sample += 5_000.0 * (std::f32::consts::TAU * 480.0 * index as f32 / RATE as f32).sin();
    }
    assert_ne!(ringing.silence(4_000).heard(Settings::default()).unwrap().answer, Answer::Beep);
    let carrier = Scene::new(1).silence(100).tone(2_100.0, 4_000).silence(2_000);
    assert_ne!(carrier.heard(Settings::default()).unwrap().answer, Answer::Beep);
    // Too short.
    let tick = Scene::new(1).silence(100).tone(1_000.0, 60).silence(4_000);
    assert_ne!(tick.heard(Settings::default()).unwrap().answer, Answer::Beep);
}

#[test]
fn a_machine_without_a_beep_is_a_machine_when_its_time_is_over() {
    let settings = Settings { beep_timeout: 6_000, ..beep() };
    let verdict = Scene::new(5).silence(300).words(10).silence(9_000).noise(-60.0).heard(settings).unwrap();
    assert_eq!(verdict.answer, Answer::Machine);
    assert!(verdict.measures.total < settings.longest() + 4_000);
}

#[test]
fn who_says_nothing_is_not_known() {
    for room in ROOMS {
        let verdict =
            Scene::new(6).silence(6_000).noise(room).is(Settings::default(), Answer::NotSure, "initial silence");
        assert_eq!((verdict.measures.total, verdict.measures.words), (2_500, 0));
    }
}

#[test]
fn each_measure_can_be_tuned() {
    let scene = || Scene::new(7).silence(400).words(3).silence(1_500);
    scene().is(Settings { max_words: 2, greeting: 5_000, ..Settings::default() }, Answer::Machine, "many words");
    scene().is(Settings { greeting: 300, ..Settings::default() }, Answer::Machine, "long greeting");
    let patient = Settings { after_greeting_silence: 1_400, ..Settings::default() };
    let verdict = scene().is(patient, Answer::Human, "silence after a short greeting");
    assert_eq!(verdict.measures.silence, 1_400);
    scene().is(Settings { initial_silence: 200, ..Settings::default() }, Answer::NotSure, "initial silence");
    scene().is(Settings { total: 600, ..Settings::default() }, Answer::NotSure, "analysis time over");
    scene().silence(4_000).is(Settings { threshold: -3.0, ..Settings::default() }, Answer::NotSure, "initial silence");
}

#[test]
fn nothing_is_judged_after_the_verdict() {
    let mut detector = Detector::new(Settings::default());
    let silence = vec![0_i16; at(3_000)];
    assert!(detector.listen(&silence).is_some());
    assert!(detector.listen(&silence).is_none());
}
