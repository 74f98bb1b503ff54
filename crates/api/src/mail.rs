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
/// SIP users that one mail sets passwords of.
const SIP_USERS: u64 = 10;
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
            MailKind::SipPasswordReset => self.sip_password_reset(mail).await,
            MailKind::SipInvite => self.sip_invite(mail).await,
        }
    }

    async fn password_reset(&self, mail: &Mail) -> Result<Option<Letter>, StoreError> {
        let Some(user) = self.store.users().by_email(&mail.recipient).await? else { return Ok(None) };
        let Some((user, _)) = self.store.users().active(user.uuid).await? else { return Ok(None) };
        let token = self.store.password_resets().create(user.account, user.uuid, self.settings.reset_ttl).await?;
        let text = self.reset_text(&user.email, mail, &self.way(mail, &token, "/rest/user/password_reset"));
        Ok(Some(Letter { to: user.email, subject: "A new password".to_owned(), text }))
    }

    /// One letter for all the SIP users of somebody.
    async fn sip_password_reset(&self, mail: &Mail) -> Result<Option<Letter>, StoreError> {
        let (mut whom, mut ways) = (Vec::new(), Vec::new());
        for user in self.store.sip_users().by_email(&mail.recipient, SIP_USERS).await? {
            if self.store.accounts().get(user.account).await?.deleted_on.is_some() {
                continue;
            }
            let domain = self.store.domains().get(user.account, user.sip_domain).await?;
            let token = self.store.password_resets().create(user.account, user.uuid, self.settings.reset_ttl).await?;
            let address = format!("{}@{}", user.login, domain.domain);
            ways.push(format!("{address}:\n{}", self.way(mail, &token, "/rest/app/password_reset")));
            whom.push(address);
        }
        if whom.is_empty() {
            return Ok(None);
        }
        let text = self.reset_text(&whom.join(", "), mail, &ways.join("\n\n"));
        Ok(Some(Letter { to: mail.recipient.clone(), subject: "A new password".to_owned(), text }))
    }

    async fn sip_invite(&self, mail: &Mail) -> Result<Option<Letter>, StoreError> {
        let Some(uuid) = mail.subject else { return Ok(None) };
        let Some(invite) = self.store.sip_invites().open(uuid).await? else { return Ok(None) };
        let domain = self.store.domains().get(invite.account, invite.sip_domain).await?;
        let token = self.store.sip_invites().token(uuid);
        let text = format!(
            "You are invited to make calls as a user of {}.\n\nJoin until {} with this {}:\n\n{}\n",
            domain.domain,
            invite.expired_on.format("%F %R UTC"),
            word(mail),
            self.way(mail, &token, "/rest/app/invite/{token}"),
        );
        Ok(Some(Letter { to: mail.recipient.clone(), subject: format!("An invite to {}", domain.domain), text }))
    }

    fn reset_text(&self, whom: &str, mail: &Mail, ways: &str) -> String {
        format!(
            "A new password was asked for, for {whom} at {}.\n\nSet it within {} minutes with this {}:\n\n{ways}\n\nIf it was \
             not you: nothing has changed, and nothing need be done.\n",
            self.public_url,
            self.settings.reset_ttl.as_secs() / 60,
            word(mail),
        )
    }

    /// What is done with a token: a link is followed, else the token goes to a path of ours.
    fn way(&self, mail: &Mail, token: &str, path: &str) -> String {
        match &mail.callback {
            Some(callback) => callback.replace(PLACE, token),
            None => format!("{token}\n\nIt goes to {}{path}.", self.public_url),
        }
    }
}

fn word(mail: &Mail) -> &'static str {
    if mail.callback.is_some() { "link" } else { "token" }
}

/// After so many attempts.
fn delay(attempts: i64) -> TimeDelta {
    // 2^10 is more than the longest.
    let doublings = attempts.saturating_sub(1).clamp(0, 10);
    (FIRST_DELAY * (1 << doublings)).min(LONGEST_DELAY)
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
