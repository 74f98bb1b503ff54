//! Mail out: by an SMTP server, or into a folder where none is configured. One letter to one recipient, in plain text.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::response::{Category, Severity};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use uuid::Uuid;

/// Letters that the folder keeps; beyond it the oldest go.
const MAX_LETTERS: usize = 1_000;

#[derive(Debug, Clone)]
pub struct MailConfig {
    /// `address` or `Name <address>`.
    pub from: String,
    /// `smtp://[user:password@]host[:port][?tls=required|opportunistic]` or `smtps://…`.
    pub smtp: Option<String>,
    /// Where letters are written to without a server, each to a file of its own; made when missing.
    pub folder: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// E-mail address.
    pub to: String,
    pub subject: String,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// It will not be taken later either.
    #[error("refused: {0}")]
    Refused(String),
    /// It may be taken later.
    #[error("not sent: {0}")]
    Unsent(String),
}

/// What takes letters.
#[async_trait]
pub trait Post: Send + Sync {
    /// Returns once somebody else answers for the letter.
    async fn send(&self, letter: Letter) -> Result<(), MailError>;
}

/// # Errors
/// [`MailError::Refused`] for a sender or a URL that is none.
pub fn post(config: MailConfig) -> Result<Arc<dyn Post>, MailError> {
    let from = sender(&config.from)?;
    Ok(match config.smtp {
        Some(url) => Arc::new(Smtp { from, server: server(&url)? }),
        None => Arc::new(Folder { from, path: config.folder }),
    })
}

/// Whether a text can be [`MailConfig::from`].
pub fn is_sender(text: &str) -> bool {
    sender(text).is_ok()
}

/// Whether a text can be [`MailConfig::smtp`].
pub fn is_server(url: &str) -> bool {
    server(url).is_ok()
}

fn sender(text: &str) -> Result<Mailbox, MailError> {
    text.parse().map_err(|error| MailError::Refused(format!("sender: {error}")))
}

fn server(url: &str) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    // The URL holds a password: the fault is told without it.
    let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
    Ok(transport.map_err(|_| MailError::Refused("not a URL of an SMTP server".to_owned()))?.build())
}

fn message(from: &Mailbox, letter: Letter) -> Result<Message, MailError> {
    let refused = |error: &dyn std::fmt::Display| MailError::Refused(error.to_string());
    let to: Address = letter.to.parse().map_err(|error| refused(&error))?;
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(letter.subject)
        .message_id(Some(format!("<{}@{}>", Uuid::new_v4(), from.email.domain())))
        .header(ContentType::TEXT_PLAIN)
        .body(letter.text)
        .map_err(|error| refused(&error))
}

struct Smtp {
    from: Mailbox,
    server: AsyncSmtpTransport<Tokio1Executor>,
}

#[async_trait]
impl Post for Smtp {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let message = message(&self.from, letter)?;
        let Err(error) = self.server.send(message).await else { return Ok(()) };
        // RFC 5321 4.2.1: x5z is of the mail system, so that 550 is said of the recipient, and 535 of our password.
        let of_the_letter = error.status().is_some_and(|code| {
            code.severity == Severity::PermanentNegativeCompletion && code.category == Category::MailSystem
        });
        Err(if of_the_letter { MailError::Refused(error.to_string()) } else { MailError::Unsent(error.to_string()) })
    }
}

struct Folder {
    from: Mailbox,
    path: PathBuf,
}

#[async_trait]
impl Post for Folder {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let message = message(&self.from, letter)?.formatted();
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || put(&path, &message)).await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|error| MailError::Unsent(format!("{}: {error}", self.path.display())))
    }
}

/// Writes a letter whole, for the operator alone: it lets who reads it in.
fn put(folder: &Path, letter: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let name = format!("{}-{}", Utc::now().format("%Y%m%dT%H%M%S%.3fZ"), Uuid::new_v4());
    let part = folder.join(format!("{name}.part"));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(letter)?;
    file.sync_all()?;
    std::fs::rename(&part, folder.join(format!("{name}.eml")))?;
    // By name is by time.
    let mut letters: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    letters.sort_unstable();
    let surplus = letters.len().saturating_sub(MAX_LETTERS);
    letters.iter().take(surplus).try_for_each(std::fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(to: &str) -> Letter {
        Letter { to: to.to_owned(), subject: "Grüße".to_owned(), text: "Hello,\n\nabc\n".to_owned() }
    }

    fn config(folder: &Path) -> MailConfig {
        MailConfig { from: "Opentact <opentact@example.com>".to_owned(), smtp: None, folder: folder.to_owned() }
    }

    #[tokio::test]
    async fn a_folder_keeps_letters_as_files() {
        let folder = tempfile::tempdir().unwrap();
        let post = post(config(&folder.path().join("mail"))).unwrap();
        post.send(letter("ada@example.org")).await.unwrap();
        let file = std::fs::read_dir(folder.path().join("mail")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(file.extension().unwrap(), "eml");
        let text = std::fs::read_to_string(&file).unwrap();
        for line in ["From: Opentact <opentact@example.com>", "To: ada@example.org", "Message-ID: <", "\r\n\r\nHello,"]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn the_oldest_letters_go_when_there_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..MAX_LETTERS {
            std::fs::write(folder.path().join(format!("2020{index:04}.eml")), "").unwrap();
        }
        post(config(folder.path())).unwrap().send(letter("ada@example.org")).await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), MAX_LETTERS);
        assert!(!folder.path().join("20200000.eml").exists() && folder.path().join("20200001.eml").exists());
    }

    #[tokio::test]
    async fn what_is_no_address_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let post = post(config(folder.path())).unwrap();
        for to in ["nobody", "a@b\r\nBcc: c@d"] {
            assert!(matches!(post.send(letter(to)).await, Err(MailError::Refused(_))), "{to}");
        }
        assert!(!is_sender("nobody") && is_sender("a@b.example"));
        assert!(!is_server("http://mail.example.com") && is_server("smtps://u:p@mail.example.com"));
    }
}
