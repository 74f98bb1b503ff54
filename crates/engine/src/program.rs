//! A program that is run once for each text: input to its standard input, what it writes is the answer.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// Octets of its answer that are read: ten minutes of speech.
const MAX_OUTPUT: u64 = 32 << 20;

#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Looked for in `PATH` when it is a bare name.
    pub path: PathBuf,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProgramError {
    NotFound,
    Timeout,
    Failed(String),
}

impl Program {
    pub fn new(path: &Path, timeout: Duration) -> Program {
        Program { path: path.to_owned(), timeout }
    }

    /// Runs it. It is killed when it takes too long or nobody waits any more.
    pub async fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, ProgramError> {
        let mut child = Command::new(&self.path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => ProgramError::NotFound,
                _ => ProgramError::Failed(error.to_string()),
            })?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let talk = async {
            let write = async {
                if let Some(mut stdin) = stdin {
                    // It may end before it read all: its exit status tells.
                    let _ = stdin.write_all(input).await;
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
            Err(_) => Err(ProgramError::Timeout),
            Ok(Err(error)) => Err(ProgramError::Failed(error.to_string())),
            Ok(Ok((status, _))) if !status.success() => Err(ProgramError::Failed(status.to_string())),
            Ok(Ok((_, output))) => Ok(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_answers_what_it_is_given() {
        let cat = Program::new(Path::new("cat"), Duration::from_secs(20));
        assert_eq!(cat.run(&[], b"hello").await, Ok(b"hello".to_vec()));
    }

    #[tokio::test]
    async fn why_there_is_no_answer_is_told() {
        let missing = Program::new(Path::new("/nonexistent/program"), Duration::from_secs(5));
        assert_eq!(missing.run(&[], b"").await, Err(ProgramError::NotFound));
        let fails = Program::new(Path::new("false"), Duration::from_secs(5));
        assert_eq!(fails.run(&[], b"").await, Err(ProgramError::Failed("exit status: 1".into())));
        // `tail` waits for more than there ever is.
        let hangs = Program::new(Path::new("tail"), Duration::from_millis(50));
        assert_eq!(hangs.run(&["-f", "/dev/null"], b"").await, Err(ProgramError::Timeout));
    }
}
