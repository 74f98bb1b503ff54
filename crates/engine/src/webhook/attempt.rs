//! One attempt to tell somebody of an event.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use opentact_store::sms::Sms;
use opentact_store::types::{DeliveryState, Method, SmsType};
use opentact_store::webhooks::{WebhookAttempt, WebhookDelivery};
use opentact_store::{Store, StoreError};
use rand::Rng;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::line::Place;
use crate::http::{Body, Fetch, HttpClient, HttpError};
use crate::signature::sign;

/// Attempts at the first address before the failover address has its turn, which is every second one from then on.
const FIRST: i64 = 3;
/// Pause after the first attempt; each further one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// The longest pause that an answer may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(24 * 3600);
/// Octets of an answer read; its content is not used.
const ANSWER_LIMIT: usize = 64 << 10;
/// Characters of a reason kept.
const REASON: usize = 500;

/// Who attempts.
#[derive(Clone)]
pub(super) struct Attempting {
    pub(super) store: Store,
    pub(super) http: HttpClient,
    pub(super) timeout: Duration,
    pub(super) retry_for: Duration,
}

/// What came of an attempt.
pub(super) struct Tried {
    pub(super) place: Place,
    /// As it is now.
    pub(super) delivery: WebhookDelivery,
    /// `None` where nothing was sent.
    pub(super) attempt: Option<WebhookAttempt>,
    /// `None` when it is over.
    pub(super) again_in: Option<Duration>,
}

/// Where and how somebody wants to be told.
struct Hook {
    url: String,
    failover_url: Option<String>,
    method: Method,
    timeout: Option<Duration>,
    secret: String,
    /// It is told of an inbound message that nobody has taken yet.
    inbound: bool,
}

/// What a messaging profile is told: of a message, what an event of it carries.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// What an app is told of a state of a call.
#[derive(Deserialize)]
struct CallState<'a> {
    #[serde(borrow)]
    call: &'a RawValue,
}

#[derive(Deserialize)]
struct Parties {
    state: String,
    from: String,
    to: serde_json::Value,
}

/// How an attempt went.
enum Outcome {
    Delivered,
    /// It may go better later.
    Failed(String),
    /// It will not, at this address.
    Refused(String),
}

impl Attempting {
    pub(super) async fn attempt(self, place: Place, mut delivery: WebhookDelivery) -> Tried {
        let hook = match self.hook(&delivery).await {
            Ok(Some(hook)) => hook,
            Ok(None) => {
                over(&mut delivery, DeliveryState::Dead, Some("the webhook is not there any more".to_owned()));
                return Tried { place, delivery, attempt: None, again_in: None };
            }
            Err(error) => {
                tracing::warn!(%error, "a webhook is not read");
                return Tried { place, delivery, attempt: None, again_in: Some(PAUSE) };
            }
        };
        if delivery.body.is_empty() {
            match self.store.webhooks().get(delivery.account, delivery.uuid).await {
                Ok(stored) => delivery.body = stored.body,
                Err(error) => {
                    tracing::warn!(%error, "a delivery is not read");
                    return Tried { place, delivery, attempt: None, again_in: Some(PAUSE) };
                }
            }
        }
        delivery.attempts += 1;
        let second = delivery.attempts > FIRST && delivery.attempts % 2 == 0;
        let url = hook.failover_url.as_ref().filter(|_| second).unwrap_or(&hook.url).clone();
        let (begun_on, begun) = (Utc::now(), Instant::now());
        let answer = match self.request(&delivery, &hook, url.clone(), begun_on) {
            Ok(request) => self.http.fetch(request).await.map_err(|error| match error {
                HttpError::Url { .. } | HttpError::Refused { .. } => Outcome::Refused(error.to_string()),
                // Whoever answers too much has been told.
                HttpError::TooLarge { .. } => Outcome::Delivered,
                HttpError::Timeout(_) | HttpError::Connect(_) | HttpError::Transport(_) => {
                    Outcome::Failed(error.to_string())
                }
            }),
            Err(error) => Err(Outcome::Refused(format!("the event cannot be read: {error}"))),
        };
        let status = answer.as_ref().ok().map(|answer| answer.status);
        let wish = answer.as_ref().ok().and_then(|answer| answer.retry_after).map(Duration::from_secs);
        let outcome = match answer {
            Ok(answer) => match answer.status {
                200..=299 => Outcome::Delivered,
                408 | 429 | 500..=599 => Outcome::Failed(format!("answered {}", answer.status)),
                status => Outcome::Refused(format!("answered {status}")),
            },
            Err(outcome) => outcome,
        };
        let attempt = WebhookAttempt {
            delivery: delivery.uuid,
            number: delivery.attempts,
            created_on: begun_on,
            url,
            status: status.map(i64::from),
            reason: match (&outcome, status) {
                (Outcome::Failed(reason) | Outcome::Refused(reason), None) => Some(cut(reason)),
                _ => None,
            },
            duration_ms: i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX),
        };
        let again_in = match outcome {
            Outcome::Delivered => {
                over(&mut delivery, DeliveryState::Delivered, None);
                if hook.inbound {
                    self.received(&delivery).await;
                }
                None
            }
            Outcome::Failed(reason) => self.put_off(&mut delivery, reason, wish),
            // The other address has not had its turn.
            Outcome::Refused(reason) if hook.failover_url.is_some() && delivery.attempts <= FIRST => {
                self.put_off(&mut delivery, reason, None)
            }
            Outcome::Refused(reason) => {
                over(&mut delivery, DeliveryState::Dead, Some(cut(&reason)));
                None
            }
        };
        Tried { place, delivery, attempt: Some(attempt), again_in }
    }

    /// An inbound message counts as delivered once its callback has taken it.
    async fn received(&self, delivery: &WebhookDelivery) {
        let Some(message) = delivery.ref_id else { return };
        let mark = |sms: &mut Sms| sms.delivered = true;
        if let Err(error) = self.store.sms().change(delivery.account, message, mark).await {
            tracing::warn!(%error, "a message that a callback has taken is not marked");
        }
    }

    /// `None` where nobody wants to be told any more.
    async fn hook(&self, delivery: &WebhookDelivery) -> Result<Option<Hook>, StoreError> {
        let found = match (delivery.subscription, delivery.sip_control_app) {
            (Some(subscription), _) => self.subscription(delivery, subscription).await,
            (None, Some(app)) => self.app(delivery, app).await,
            (None, None) if delivery.callback => self.callback(delivery).await,
            (None, None) => Ok(None),
        };
        match found {
            Err(StoreError::NotFound(_)) => Ok(None),
            found => found,
        }
    }

    async fn subscription(&self, delivery: &WebhookDelivery, uuid: uuid::Uuid) -> Result<Option<Hook>, StoreError> {
        let subscriptions = self.store.subscriptions();
        let row = subscriptions.find(delivery.account, uuid).await?;
        let Some(url) = row.url.clone().filter(|_| row.is_active) else { return Ok(None) };
        let secret = subscriptions.secret(&row)?;
        Ok(Some(Hook {
            url,
            failover_url: row.failover_url,
            method: Method::Post,
            timeout: None,
            secret,
            inbound: false,
        }))
    }

    async fn app(&self, delivery: &WebhookDelivery, uuid: uuid::Uuid) -> Result<Option<Hook>, StoreError> {
        let app = self.store.apps().get(delivery.account, uuid).await?;
        let Some(url) = app.webhook_url else { return Ok(None) };
        let timeout = app.webhook_request_timeout.and_then(|timeout| u64::try_from(timeout).ok());
        let timeout = timeout.filter(|timeout| *timeout > 0).map(Duration::from_millis);
        let secret = self.store.webhooks().secret(uuid);
        Ok(Some(Hook { url, failover_url: None, method: app.webhook_method, timeout, secret, inbound: false }))
    }

    /// That of the message, else those of its profile.
    async fn callback(&self, delivery: &WebhookDelivery) -> Result<Option<Hook>, StoreError> {
        let Some(message) = delivery.ref_id else { return Ok(None) };
        let sms = self.store.sms().get(delivery.account, message).await?;
        let profile = match sms.messaging_profile {
            Some(profile) => Some(self.store.messaging_profiles().get(delivery.account, profile).await?),
            None => None,
        };
        let inbound = sms.kind == SmsType::Inbound && !sms.delivered;
        let secret = profile.as_ref().map(|profile| self.store.webhooks().secret(profile.uuid)).unwrap_or_default();
        let of_profile = profile.map(|profile| (profile.callback_url, profile.callback_url2)).unwrap_or_default();
        let (url, failover_url) = match (sms.custom_callback_url, of_profile) {
            (Some(url), _) | (None, (None, Some(url))) => (Some(url), None),
            (None, (url, failover_url)) => (url, failover_url),
        };
        Ok(url.map(|url| Hook { url, failover_url, method: Method::Post, timeout: None, secret, inbound }))
    }

    fn request(
        &self,
        delivery: &WebhookDelivery,
        hook: &Hook,
        url: String,
        now: DateTime<Utc>,
    ) -> Result<Fetch, serde_json::Error> {
        let (mut body, mut query) = (&*delivery.body, Vec::new());
        if delivery.sip_control_app.is_some() {
            // An app is told as it was before there were subscriptions: the call, and the most important of it in the query.
            body = serde_json::from_str::<CallState<'_>>(body)?.call.get();
            let Parties { state, from, to } = serde_json::from_str(body)?;
            let to = to.as_str().map_or_else(|| to.to_string(), str::to_owned);
            query = vec![("state".to_owned(), state), ("from".to_owned(), from), ("to".to_owned(), to)];
        }
        if delivery.callback {
            body = serde_json::from_str::<Message<'_>>(body)?.payload.get();
        }
        let posts = hook.method == Method::Post;
        let body = if posts { body } else { "" };
        let mut headers = vec![
            ("Opentact-Event".to_owned(), delivery.event.to_string()),
            ("Opentact-Delivery".to_owned(), delivery.uuid.to_string()),
            ("Opentact-Attempt".to_owned(), delivery.attempts.to_string()),
        ];
        // The message of a number without a profile: nobody knows a secret for it.
        if !hook.secret.is_empty() {
            headers.push(("Opentact-Signature".to_owned(), sign(&hook.secret, now.timestamp(), body.as_bytes())));
        }
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        Ok(Fetch {
            url,
            method: if posts { reqwest::Method::POST } else { reqwest::Method::GET },
            query,
            headers,
            body: posts.then(|| Body { content_type: "application/json".to_owned(), bytes }),
            timeout: Some(hook.timeout.unwrap_or(self.timeout)),
            limit: ANSWER_LIMIT,
            etag: None,
        })
    }

    /// Says when it is tried again; `None` when it has been tried long enough.
    fn put_off(&self, delivery: &mut WebhookDelivery, reason: String, wish: Option<Duration>) -> Option<Duration> {
        let pause = pause(delivery.attempts, &mut rand::rng()).max(wish.unwrap_or_default().min(LONGEST_WISH));
        let next_on = Utc::now() + pause;
        if next_on > delivery.since + self.retry_for {
            over(delivery, DeliveryState::Dead, Some(cut(&reason)));
            return None;
        }
        (delivery.next_on, delivery.reason, delivery.modified_on) = (Some(next_on), Some(cut(&reason)), Utc::now());
        Some(pause)
    }
}

/// After how long an attempt is followed by the next, give or take a fifth: those who have failed together do not come
/// together again.
fn pause(attempts: i64, random: &mut impl Rng) -> Duration {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(31);
    PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE).mul_f64(random.random_range(0.8..1.2))
}

fn over(delivery: &mut WebhookDelivery, state: DeliveryState, reason: Option<String>) {
    (delivery.state, delivery.reason) = (state, reason);
    (delivery.next_on, delivery.modified_on) = (None, Utc::now());
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let mut random = StdRng::seed_from_u64(1);
        for (attempts, seconds) in [(1, 1.0), (2, 2.0), (5, 16.0), (12, 2048.0), (13, 3600.0), (1_000, 3600.0)] {
            let pause = pause(attempts, &mut random).as_secs_f64() / seconds;
            assert!((0.8..1.2).contains(&pause), "{attempts}: {pause}");
        }
    }
}
