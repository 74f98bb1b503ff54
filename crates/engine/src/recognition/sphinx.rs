//! pocketsphinx as a child process, one for each text: US English, from a grammar of the hints, or whatever its language
//! model has.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use super::{Audio, RecognitionError, Recognizer, Transcript, Wish, Word, wav, whole};
use crate::program::{Program, ProgramError};

const NAME: &str = "pocketsphinx";
/// Of the folder of its model.
const DICTIONARY: &str = "cmudict-en-us.dict";

#[derive(Debug, Clone)]
pub struct SphinxConfig {
    /// `pocketsphinx_continuous`, looked for in `PATH` when it is a bare name.
    pub program: PathBuf,
    /// Folder of the model `en-us` and its dictionary.
    pub model: PathBuf,
}

impl Default for SphinxConfig {
    fn default() -> SphinxConfig {
        SphinxConfig { program: "pocketsphinx_continuous".into(), model: "/usr/share/pocketsphinx/model/en-us".into() }
    }
}

pub(super) struct Sphinx {
    program: Program,
    dictionary: PathBuf,
}

impl Sphinx {
    pub fn new(config: SphinxConfig, timeout: Duration) -> Sphinx {
        Sphinx { program: Program::new(&config.program, timeout), dictionary: config.model.join(DICTIONARY) }
    }
}

#[async_trait]
impl Recognizer for Sphinx {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn recognize(&self, audio: Audio, wish: &Wish) -> Result<Transcript, RecognitionError> {
        let failed = |reason: String| RecognitionError::failed(NAME, reason);
        let english = wish.lang.get(..2).is_some_and(|lang| lang.eq_ignore_ascii_case("en"));
        if !english {
            return Err(failed(format!("it speaks no {}", wish.lang)));
        }
        let samples = whole(audio).await;
        let (dictionary, phrases) = (self.dictionary.clone(), phrases(&wish.hints));
        // Two files that are gone when this ends, however it does.
        let files = tokio::task::spawn_blocking(move || {
            check(&dictionary, &phrases)?;
            let sound = written(&wav(&samples)?)?;
            let grammar = grammar(&phrases).map(|grammar| written(grammar.as_bytes())).transpose()?;
            Ok((sound, grammar))
        });
        let files: Result<_, String> = files.await.map_err(|error| failed(error.to_string()))?;
        let (sound, grammar) = files.map_err(failed)?;
        let path = |file: &tempfile::NamedTempFile| file.path().display().to_string();
        let dictionary = self.dictionary.display().to_string();
        let sound = path(&sound);
        let mut arguments = vec!["-infile", &sound, "-time", "yes", "-logfn", "/dev/null", "-dict", &dictionary];
        let grammar_path = grammar.as_ref().map(path);
        arguments.extend(grammar_path.iter().flat_map(|grammar| ["-jsgf", grammar.as_str()]));
        match self.program.run(&arguments, b"").await {
            Ok(output) => Ok(read(&String::from_utf8_lossy(&output))),
            Err(ProgramError::NotFound) => {
                Err(RecognitionError::NotInstalled { program: self.program.path.display().to_string() })
            }
            Err(ProgramError::Timeout) => Err(RecognitionError::Timeout { engine: NAME, after: self.program.timeout }),
            Err(ProgramError::Failed(reason)) => Err(failed(reason)),
        }
    }
}

fn written(octets: &[u8]) -> Result<tempfile::NamedTempFile, String> {
    let file = tempfile::NamedTempFile::new().and_then(|file| {
        std::fs::write(file.path(), octets)?;
        Ok(file)
    });
    file.map_err(|error| error.to_string())
}

/// The hints as words in small letters; what has no letters, as keys have none, is left out.
fn phrases(hints: &[String]) -> Vec<Vec<String>> {
    let words = |hint: &String| -> Vec<String> {
        let is_part = |c: char| c.is_ascii_alphabetic() || c == '\'';
        hint.split(|c| !is_part(c)).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
    };
    hints.iter().map(words).filter(|words| !words.is_empty()).collect()
}

/// Every word must be in the dictionary: it would take no grammar with another.
fn check(dictionary: &Path, phrases: &[Vec<String>]) -> Result<(), String> {
    let mut unknown: HashSet<&str> = phrases.iter().flatten().map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let text = std::fs::read_to_string(dictionary)
        .map_err(|error| format!("{}: {error} (Debian package pocketsphinx-en-us)", dictionary.display()))?;
    for line in text.lines() {
        unknown.remove(line.split(' ').next().unwrap_or_default());
    }
    let mut unknown: Vec<&str> = unknown.into_iter().collect();
    unknown.sort_unstable();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(format!("its dictionary has no `{}`", unknown.join("`, `"))),
    }
}

/// JSGF; `None` where anything may be said.
fn grammar(phrases: &[Vec<String>]) -> Option<String> {
    let phrases: Vec<String> = phrases.iter().map(|words| words.join(" ")).collect();
    (!phrases.is_empty()).then(|| format!("#JSGF V1.0;\ngrammar hints;\npublic <phrase> = {};\n", phrases.join(" | ")))
}

/// A line of text, then one for each word: `hours(2) 0.440 0.910 1.000000`. What it hears besides words stands in `<>` or
/// `[]`.
fn read(output: &str) -> Transcript {
    let mut words = Vec::new();
    for line in output.lines() {
        let columns: Vec<&str> = line.split(' ').collect();
        let [word, from, to, confidence] = columns[..] else { continue };
        let (Ok(from), Ok(to)) = (from.parse::<f64>(), to.parse::<f64>()) else { continue };
        if word.starts_with(['<', '[']) || word.starts_with("++") {
            continue;
        }
        words.push(Word {
            text: word.split('(').next().unwrap_or_default().to_owned(),
            from_ms: (from * 1000.0).round() as u64,
            to_ms: (to * 1000.0).round() as u64,
            confidence: confidence.parse().ok(),
        });
    }
    let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    Transcript { text, language: Some("en-US".into()), words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_output_is_read() {
        let heard = read(
            "opening hours\n<s> 0.000 0.020 0.999100\nopening 0.020 0.430 1.000000\nhours(2) 0.440 0.910 0.5\n[NOISE] 0.920 1.060 1.0\n",
        );
        assert_eq!(heard.text, "opening hours");
        let words: Vec<_> = heard.words.iter().map(|word| (word.from_ms, word.to_ms, word.confidence)).collect();
        assert_eq!(words, [(20, 430, Some(1.0)), (440, 910, Some(0.5))]);
        assert_eq!(read("").text, "");
    }

    #[test]
    fn hints_become_a_grammar_and_nothing_else() {
        let hints = ["Sales; public <x> = y".into(), "opening hours!".into(), "12".into()];
        let grammar = grammar(&phrases(&hints)).unwrap();
        assert!(grammar.ends_with("= sales public x y | opening hours;\n"), "{grammar}");
        assert_eq!(super::grammar(&phrases(&["1".into()])), None);
    }

    #[test]
    fn words_it_does_not_know_are_named() {
        let dictionary = written(b"hours AW ER Z\nhours(2) AW R Z\nsales S EY L Z\n").unwrap();
        let check = |hint: &str| check(dictionary.path(), &phrases(&[hint.into()]));
        assert_eq!(check("sales hours"), Ok(()));
        assert_eq!(check("Opentact sales"), Err("its dictionary has no `opentact`".into()));
    }
}
