//! Mail to people. What waits is in the database; one worker on a node finds out who is written to, and what.
//!
//! A request does the same whether or not anybody has the address, so that neither its answer nor its time tells.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use opentact_engine::mail::{Letter, MailError, Post};
use opentact_store::mails::{Mail, NewMail};
use opentact_store::types::{MailKind, now};
use opentact_store::{Store, StoreError};
use tokio::sync::mpsc;

use crate::error::AppError;
use crate::settings::{MailSettings, Settings};

/// A mail that a worker took and did not come back with is sent by another after this.
const HOLD: Duration = Duration::from_secs(600);
/// The database is asked at least so often for mail that a stopped node left.
const SWEEP: TimeDelta = TimeDelta::seconds(60);
/// Between the first attempts; doubled each time, up to the longest.
const FIRST_DELAY: TimeDelta = TimeDelta::seconds(5);
const LONGEST_DELAY: TimeDelta = TimeDelta::minutes(15);
/// Where a callback has the token.
pub(crate) const PLACE: &str = "{token}";

/// Where mail is posted.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    store: Store,
    limit: u64,
    wake: mpsc::Sender<()>,
}

impl Outbox {
    /// Starts the worker, which ends with the last clone.
    pub(crate) fn start(store: Store, post: Arc<dyn Post>, settings: &Settings) -> Self {
        let (wake, woken) = mpsc::channel(1);
        let (public_url, mail) = (settings.public_url.clone(), settings.mail.clone());
        tokio::spawn(Worker { store: store.clone(), post, public_url, settings: mail }.run(woken));
        Self { store, limit: settings.mail.queue, wake }
    }

    /// Returns once it is on disk; 503 where too many wait.
    pub(crate) async fn queue(&self, mail: NewMail) -> Result<(), AppError> {
        if !self.store.mails().queue(mail, self.limit).await? {
            let reason = "Too many mails wait to be sent".to_owned();
            return Err(AppError::Unavailable { reason, retry_after: Duration::from_secs(60) });
        }
        // Full: it is awake.
        let _ = self.wake.try_send(());
        Ok(())
    }
}

struct Worker {
    store: Store,
    post: Arc<dyn Post>,
    public_url: String,
    settings: MailSettings,
}

impl Worker {
    async fn run(self, mut woken: mpsc::Receiver<()>) {
        loop {
            let wait = match self.work().await {
                Ok(next) => next.map_or(SWEEP, |next| (next - now()).min(SWEEP)),
                Err(error) => {
                    tracing::error!(%error, "mail is stuck, trying again later");
                    SWEEP
                }
            };
            tokio::select! {
                more = woken.recv() => if more.is_none() { return },
                () = tokio::time::sleep(wait.to_std().unwrap_or_default()) => {}
            }
        }
    }

    /// Sends what is due; returns when the next is.
    async fn work(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        while let Some(mail) = self.store.mails().claim(now(), HOLD).await? {
            self.send(mail).await?;
        }
        self.store.mails().next().await
    }

    async fn send(&self, mail: Mail) -> Result<(), StoreError> {
        let mails = self.store.mails();
        // The token of an attempt before is void then.
        let Some(letter) = self.letter(&mail).await? else { return mails.forget(mail.uuid).await };
        let (kind, delay) = (mail.kind.as_str(), delay(mail.attempts));
        match self.post.send(letter).await {
            Ok(()) => {
                metrics::counter!("opentact_mails_total", "kind" => kind, "result" => "sent").increment(1);
                mails.forget(mail.uuid).await
            }
            Err(MailError::Unsent(reason)) if now() + delay <= mail.created_on + self.settings.retry_for => {
                mails.postpone(mail.uuid, now() + delay).await?;
                tracing::warn!(mail = %mail.uuid, kind, reason, "mail was not taken, trying again later");
                Ok(())
            }
            Err(error) => {
                tracing::error!(mail = %mail.uuid, kind, %error, "mail is given up");
                metrics::counter!("opentact_mails_total", "kind" => kind, "result" => "failed").increment(1);
                mails.forget(mail.uuid).await
            }
        }
    }

    /// `None` where nobody is to be written to.
    async fn letter(&self, mail: &Mail) -> Result<Option<Letter>, StoreError> {
        match mail.kind {
            MailKind::PasswordReset => self.password_reset(mail).await,
        }
    }

    async fn password_reset(&self, mail: &Mail) -> Result<Option<Letter>, StoreError> {
        let Some(user) = self.store.users().by_email(&mail.recipient).await? else { return Ok(None) };
        let Some((user, _)) = self.store.users().active(user.uuid).await? else { return Ok(None) };
        let token = self.store.password_resets().create(user.account, user.uuid, self.settings.reset_ttl).await?;
        let how = match &mail.callback {
            Some(callback) => callback.replace(PLACE, &token),
            None => format!("{token}\n\nIt goes with the password to {}/rest/user/password_reset.", self.public_url),
        };
        let text = format!(
            "A new password was asked for, for {} at {}.\n\nSet it within {} minutes with this {}:\n\n{how}\n\nIf it was not you: nothing has \
             changed, and nothing need be done.\n",
            user.email,
            self.public_url,
            self.settings.reset_ttl.as_secs() / 60,
            if mail.callback.is_some() { "link" } else { "token" },
        );
        Ok(Some(Letter { to: user.email, subject: "A new password".to_owned(), text }))
    }
}

/// After so many attempts.
fn delay(attempts: i64) -> TimeDelta {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or_default().min(10);
    (FIRST_DELAY * 2_i32.pow(doublings)).min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_tried_again_ever_more_rarely() {
        let seconds: Vec<i64> = [1, 2, 3, 8, 9, i64::MAX].into_iter().map(|n| delay(n).num_seconds()).collect();
        assert_eq!(seconds, [5, 10, 20, 640, 900, 900]);
    }
}
