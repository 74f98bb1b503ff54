//! espeak-ng as a child process: text in, WAV out, one process a text.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use opentact_media::wav;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::{Gender, Pcm, SpeechError, VoiceInfo};

/// Samples per second of its WAV.
pub(super) const RATE: u32 = 22_050;
/// Octets of its answer: ten minutes of speech.
const MAX_OUTPUT: u64 = 32 << 20;

pub(super) struct Espeak {
    program: PathBuf,
    timeout: Duration,
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
    pub fn new(program: PathBuf, timeout: Duration) -> Espeak {
        Espeak { program, timeout, languages: OnceCell::new() }
    }

    pub async fn languages(&self) -> Result<&[Language], SpeechError> {
        let languages = self.languages.get_or_try_init(|| async {
            let listing = self.run(&["--voices"], "").await?;
            Ok(parse_voices(&String::from_utf8_lossy(&listing)))
        });
        languages.await.map(Vec::as_slice)
    }

    pub async fn speak(&self, voice: &VoiceInfo, text: &str) -> Result<Pcm, SpeechError> {
        // Its variants of the one voice per language.
        let variant = match voice.gender {
            Gender::Female => "+f3",
            Gender::Male => "+m3",
        };
        let name = format!("{}{variant}", voice.lang.to_ascii_lowercase());
        // `-b 1`: the text is UTF-8.
        let file = self.run(&["-b", "1", "-v", &name, "--stdin", "--stdout"], text).await?;
        let clip = wav::read(&file).map_err(|error| SpeechError::Failed(format!("espeak-ng: {error}")))?;
        Ok(Pcm { samples: clip.samples.into(), rate: clip.rate })
    }

    /// Runs the program and gives what it writes. It is killed when it takes too long or nobody waits any more.
    async fn run(&self, arguments: &[&str], input: &str) -> Result<Vec<u8>, SpeechError> {
        let mut child = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.not_started(error))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let input = Arc::<[u8]>::from(input.as_bytes());
        let talk = async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // It may end before it read all: its exit status tells.
                    let _ = stdin.write_all(&input).await;
                }
            };
            let read = async {
                let mut output = Vec::new();
                match stdout {
                    Some(stdout) => stdout.take(MAX_OUTPUT).read_to_end(&mut output).await.map(|_| output),
                    None => Ok(output),
                }
            };
            let ((), output) = tokio::join!(write, read);
            let output = output?;
            Ok::<_, io::Error>((child.wait().await?, output))
        };
        match tokio::time::timeout(self.timeout, talk).await {
            Err(_) => Err(SpeechError::Timeout(self.timeout)),
            Ok(Err(error)) => Err(SpeechError::Failed(format!("espeak-ng: {error}"))),
            Ok(Ok((status, _))) if !status.success() => Err(SpeechError::Failed(format!("espeak-ng: {status}"))),
            Ok(Ok((_, output))) => Ok(output),
        }
    }

    fn not_started(&self, error: io::Error) -> SpeechError {
        let program = self.program.display().to_string();
        match error.kind() {
            io::ErrorKind::NotFound => SpeechError::NotInstalled { program, package: "espeak-ng" },
            _ => SpeechError::Failed(format!("{program}: {error}")),
        }
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
        let espeak = Espeak::new("/nonexistent/espeak-ng".into(), Duration::from_secs(5));
        let error = espeak.languages().await.unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent/espeak-ng is not installed (Debian package espeak-ng)");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_given_up() {
        // `tail` waits for more input than it is ever given, on a terminal it does not have.
        let espeak = Espeak::new("tail".into(), Duration::from_millis(50));
        let error = espeak.run(&["-f", "/dev/null"], "").await.unwrap_err();
        assert_eq!(error, SpeechError::Timeout(Duration::from_millis(50)));
    }
}
