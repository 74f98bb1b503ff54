//! espeak-ng as a child process: text in, WAV out, one process a text.

use tokio::sync::OnceCell;

use super::{Gender, SpeechError, Track, VoiceInfo};
use crate::program::Program;

pub(super) const NAME: &str = "espeak-ng";
/// Samples per second of its WAV.
pub(super) const RATE: u32 = 22_050;
/// Words a minute it speaks by itself; it takes 80 to 450.
const WORDS: u32 = 175;

pub(super) struct Espeak {
    program: Program,
    /// What `--voices` lists. Asked once; an installation during the run is found when it was not there before.
    languages: OnceCell<Vec<Language>>,
}

/// A language it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Language {
    /// Lower case, as its `-v` takes it: `de`, `en-gb`.
    pub tag: String,
    pub name: String,
}

impl Espeak {
    pub fn new(program: Program) -> Espeak {
        Espeak { program, languages: OnceCell::new() }
    }

    pub async fn languages(&self) -> Result<&[Language], SpeechError> {
        let languages = self.languages.get_or_try_init(|| async {
            let listing = self.run(&["--voices"], "").await?;
            Ok(parse_voices(&String::from_utf8_lossy(&listing)))
        });
        languages.await.map(Vec::as_slice)
    }

    /// `rate`: per cent of its own.
    pub async fn speak(&self, voice: &VoiceInfo, text: &str, rate: u16, track: &mut Track) -> Result<(), SpeechError> {
        // Its variants of the one voice per language.
        let variant = match voice.gender {
            Gender::Female => "+f3",
            Gender::Male => "+m3",
        };
        let name = format!("{}{variant}", voice.lang.to_ascii_lowercase());
        let words = (WORDS * u32::from(rate) / 100).clamp(80, 450).to_string();
        // `-b 1`: the text is UTF-8.
        let file = self.run(&["-b", "1", "-v", &name, "-s", &words, "--stdin", "--stdout"], text).await?;
        track.wav(NAME, &file)
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Result<Vec<u8>, SpeechError> {
        let output = self.program.run(arguments, input.as_bytes()).await;
        output.map_err(|error| SpeechError::program(NAME, &self.program, error, "espeak-ng"))
    }
}

/// `Pty Language Age/Gender VoiceName File Other Languages`, one a line.
fn parse_voices(listing: &str) -> Vec<Language> {
    let mut languages: Vec<Language> = listing
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_ascii_whitespace().skip(1);
            let tag = columns.next()?.to_ascii_lowercase();
            let name = columns.nth(1)?.replace('_', " ");
            Some(Language { tag, name })
        })
        .collect();
    languages.sort_by(|a, b| a.tag.cmp(&b.tag));
    languages.dedup_by(|a, b| a.tag == b.tag);
    languages
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    #[test]
    fn its_list_of_voices_is_read() {
        let listing = "Pty Language       Age/Gender VoiceName          File                 Other Languages\n \
                       5  de              --/M      German             gmw/de               \n \
                       2  en-gb           --/M      English_(Great_Britain) gmw/en         (en 2)\n";
        let languages = parse_voices(listing);
        assert_eq!(languages.iter().map(|l| l.tag.as_str()).collect::<Vec<_>>(), ["de", "en-gb"]);
        assert_eq!(languages[1].name, "English (Great Britain)");
    }

    #[tokio::test]
    async fn a_missing_program_names_its_package() {
        let espeak = Espeak::new(Program::new(Path::new("/nonexistent/espeak-ng"), Duration::from_secs(5)));
        let error = espeak.languages().await.unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent/espeak-ng is not installed (Debian package espeak-ng)");
    }
}
