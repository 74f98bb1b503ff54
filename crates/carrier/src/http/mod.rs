//! A provider with a JSON API as a carrier: each message is a request, receipts and inbound messages come by callback.
//!
//! What the requests look like, and where in answers and callbacks things stand, is configuration; see `docs/sms.md`. The
//! rules of the queue hold as with SMPP: what was answered is never sent again, what left and was not answered is sent once
//! more with the same id.

mod callback;
mod template;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use opentact_engine::http::{Answer, Body, Fetch, HttpClient, HttpError, Method};
use opentact_engine::ports::{
    Callback, CallbackError, CarrierMessage, CarrierSubmit, MessageCarrier, ReceiptState, Submission,
};
use opentact_engine::signature::sign;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio::time::Instant;
use tracing::warn;

pub use callback::STATES;
pub use template::Template;

use crate::incoming::Incoming;

/// Octets of an answer that are read.
const ANSWER: usize = 64 << 10;
/// Characters of a reason that are kept.
const REASON: usize = 200;
/// How long a message may wait for its turn here; then it waits in the database.
const TURN: Duration = Duration::from_secs(10);
const AFTER_NO_TURN: Duration = Duration::from_secs(1);
/// When to ask again where the provider had a fault of its own.
const AFTER_FAULT: Duration = Duration::from_secs(5);
/// Pause where the provider asks for one and does not say for how long, and the longest that it may ask for.
const THROTTLED: Duration = Duration::from_secs(10);
const LONGEST_WISH: Duration = Duration::from_secs(300);
/// Pause after the provider was not reached; doubles.
const UNREACHED: Duration = Duration::from_secs(1);
const LONGEST_UNREACHED: Duration = Duration::from_secs(30);

/// A provider and how to speak to it.
#[derive(Clone, PartialEq)]
pub struct HttpConfig {
    /// The carrier's name in logs, on messages and in the address of its callbacks.
    pub name: Arc<str>,
    pub url: Template,
    pub method: Method,
    pub headers: Vec<(String, Template)>,
    /// JSON.
    pub body: Template,
    pub answer: AnswerPlaces,
    /// Signs requests, and checks the signature of callbacks.
    pub secret: Option<String>,
    /// A header, in lower case, and its value, by which callbacks are known in place of a signature.
    pub callback_header: Option<(String, String)>,
    pub receipt: ReceiptPlaces,
    /// What the provider's words for the state of a message mean; in lower case.
    pub statuses: HashMap<String, ReceiptState>,
    pub message: MessagePlaces,
    /// Requests that may wait for their answers at once, 1..=1000.
    pub window: usize,
    /// Requests a second, evenly spread; 0 is any number.
    pub rate: u32,
    /// From the first octet of a request to the last of its answer, 1 s..=60 s. A request that is not answered by then may
    /// have been taken.
    pub timeout: Duration,
}

/// Where in an answer things stand: JSON pointers (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerPlaces {
    /// The provider's id of the message, by which its receipts name it.
    pub id: String,
    /// Why the message is refused.
    pub error: String,
}

/// Where in a receipt things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptPlaces {
    pub id: String,
    pub status: String,
    pub error: String,
}

/// Where in an inbound message things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePlaces {
    pub id: String,
    pub from: String,
    pub to: String,
    pub text: String,
}

/// What is sent where nothing else is configured.
pub const BODY: &str = r#"{"id":"${id}","from":"${from}","to":"${to}","text":"${text}","encoding":"${encoding}","segments":${segments},"repeated":${repeated}}"#;

impl HttpConfig {
    /// The contract of `docs/sms.md`.
    ///
    /// # Errors
    /// The URL is none.
    pub fn new(name: &str, url: &str) -> Result<HttpConfig, String> {
        let at = |name: &str| format!("/{name}");
        Ok(HttpConfig {
            name: name.into(),
            url: Template::line(url)?,
            method: Method::POST,
            headers: vec![("idempotency-key".to_owned(), Template::line("${id}")?)],
            body: Template::json(BODY)?,
            answer: AnswerPlaces { id: at("id"), error: at("error") },
            secret: None,
            callback_header: None,
            receipt: ReceiptPlaces { id: at("id"), status: at("status"), error: at("error") },
            statuses: callback::statuses(),
            message: MessagePlaces { id: at("id"), from: at("from"), to: at("to"), text: at("text") },
            window: 10,
            rate: 0,
            timeout: Duration::from_secs(10),
        })
    }
}

/// Headers and secrets are not shown.
impl fmt::Debug for HttpConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HttpConfig").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A message carrier behind a JSON API.
pub struct HttpCarrier {
    config: HttpConfig,
    client: HttpClient,
    incoming: mpsc::Sender<Incoming>,
    window: Semaphore,
    /// When the next request may go, by the rate.
    next: Mutex<Instant>,
    gate: Arc<Gate>,
}

/// Whether messages are taken now.
struct Gate {
    pause: Mutex<Pause>,
    open: watch::Sender<bool>,
}

struct Pause {
    until: Instant,
    /// Times in a row that the provider was not reached.
    unreached: u32,
}

impl Gate {
    /// Takes nothing for so long from now on, at least.
    fn pause(self: &Arc<Self>, pause: &mut Pause, length: Duration) {
        pause.until = pause.until.max(Instant::now() + length);
        if !self.open.send_replace(false) {
            return;
        }
        let gate = self.clone();
        tokio::spawn(async move {
            loop {
                let until = {
                    let pause = gate.pause.lock();
                    if Instant::now() >= pause.until {
                        gate.open.send_replace(true);
                        return;
                    }
                    pause.until
                };
                tokio::time::sleep_until(until).await;
            }
        });
    }
}

impl HttpCarrier {
    /// What the provider tells goes to `incoming`; when that is full, it is asked to come again.
    ///
    /// # Errors
    /// TLS cannot be had.
    pub fn new(config: HttpConfig, incoming: mpsc::Sender<Incoming>) -> Result<HttpCarrier, HttpError> {
        let now = Instant::now();
        Ok(HttpCarrier {
            client: HttpClient::unguarded()?,
            incoming,
            window: Semaphore::new(config.window.max(1)),
            next: Mutex::new(now),
            gate: Arc::new(Gate {
                pause: Mutex::new(Pause { until: now, unreached: 0 }),
                open: watch::Sender::new(true),
            }),
            config,
        })
    }

    /// A place in the window, at the time that the rate allows; `None` where that takes too long.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let permit = tokio::time::timeout(TURN, self.window.acquire()).await.ok()?.ok()?;
        if self.config.rate > 0 {
            let at = {
                let mut next = self.next.lock();
                let at = (*next).max(Instant::now());
                if at > Instant::now() + TURN {
                    return None;
                }
                *next = at + Duration::from_secs(1) / self.config.rate;
                at
            };
            tokio::time::sleep_until(at).await;
        }
        Some(permit)
    }

    fn request(&self, message: &CarrierSubmit) -> Fetch {
        let bytes = Bytes::from(self.config.body.fill(message));
        let filled = |(name, value): &(String, Template)| (name.clone(), value.fill(message));
        let mut headers: Vec<(String, String)> = self.config.headers.iter().map(filled).collect();
        if let Some(secret) = &self.config.secret {
            headers.push(("opentact-signature".to_owned(), sign(secret, Utc::now().timestamp(), &bytes)));
        }
        Fetch {
            url: self.config.url.fill(message),
            method: self.config.method.clone(),
            query: Vec::new(),
            headers,
            body: Some(Body { content_type: "application/json".to_owned(), bytes }),
            timeout: Some(self.config.timeout),
            limit: ANSWER,
            etag: None,
        }
    }

    fn judge(&self, message: &CarrierSubmit, answer: &Answer) -> Submission {
        let status = answer.status;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let error = fault(&body, &self.config.answer.error);
        let reason: String = match &error {
            Some(error) => format!("HTTP {status}: {error}").chars().take(REASON).collect(),
            None => format!("HTTP {status}"),
        };
        let later = |after| Submission::Later { after, reason: reason.clone(), taken: Vec::new() };
        match status {
            200..=299 if error.is_some() => Submission::Refused { reason },
            // One that gives no id of its own may name the message by ours.
            200..=299 => {
                let reference = word(&body, &self.config.answer.id).unwrap_or_else(|| message.id.to_string());
                Submission::Accepted { references: vec![reference] }
            }
            429 | 503 => {
                let wish = answer.retry_after.map_or(THROTTLED, Duration::from_secs);
                let pause = wish.clamp(Duration::from_secs(1), LONGEST_WISH);
                warn!(carrier = %self.config.name, status, ?pause, "the provider wants less");
                self.gate.pause(&mut self.gate.pause.lock(), pause);
                later(pause)
            }
            // A gateway that got no answer, or a bad one: what is behind it may have the message.
            502 | 504 => Submission::Unanswered { reason, taken: Vec::new() },
            // It is we who are wrong, or the provider, and not the message.
            300..=399 | 401 | 407 | 408 | 425 | 500.. => {
                warn!(carrier = %self.config.name, reason, "the provider has a fault, or we have");
                later(AFTER_FAULT)
            }
            _ => Submission::Refused { reason },
        }
    }

    fn unreached(&self, reason: String) -> Submission {
        let mut pause = self.gate.pause.lock();
        let length = UNREACHED.saturating_mul(1 << pause.unreached.min(16)).min(LONGEST_UNREACHED);
        pause.unreached += 1;
        self.gate.pause(&mut pause, length);
        warn!(carrier = %self.config.name, reason, "provider not reached");
        Submission::Later { after: length, reason, taken: Vec::new() }
    }
}

#[async_trait]
impl MessageCarrier for HttpCarrier {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn ready(&self) -> Option<watch::Receiver<bool>> {
        Some(self.gate.open.subscribe())
    }

    async fn submit(&self, message: CarrierSubmit) -> Submission {
        let Some(_turn) = self.turn().await else {
            let reason = "too many messages wait for their turn".to_owned();
            return Submission::Later { after: AFTER_NO_TURN, reason, taken: Vec::new() };
        };
        match self.client.fetch(self.request(&message)).await {
            Ok(answer) => {
                self.gate.pause.lock().unreached = 0;
                self.judge(&message, &answer)
            }
            Err(HttpError::Connect(reason)) => self.unreached(reason),
            // It has not left.
            Err(error @ (HttpError::Url { .. } | HttpError::Refused { .. })) => self.unreached(error.to_string()),
            Err(error @ (HttpError::Timeout(_) | HttpError::TooLarge { .. } | HttpError::Transport(_))) => {
                Submission::Unanswered { reason: error.to_string(), taken: Vec::new() }
            }
        }
    }

    async fn callback(&self, callback: Callback) -> Result<(), CallbackError> {
        let message: CarrierMessage = self.read(&callback)?;
        let passed_on = Incoming::pass_on(&self.incoming, &self.config.name, message);
        let taken = passed_on.map_err(|_| CallbackError::Unavailable)?;
        if taken.await.unwrap_or(false) { Ok(()) } else { Err(CallbackError::Unavailable) }
    }
}

/// What stands at a place: a text, a number or `true`, or a value with members as JSON. Nothing, `null`, `false` and the
/// empty text are none.
fn word(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The same for what went wrong: zeros are no error.
fn fault(value: &Value, pointer: &str) -> Option<String> {
    word(value, pointer).filter(|fault| fault.bytes().any(|digit| digit != b'0'))
}

#[cfg(test)]
mod tests {
    use opentact_engine::ports::CallbackKind;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn carrier(config: HttpConfig) -> (HttpCarrier, mpsc::Receiver<Incoming>) {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (tell, incoming) = mpsc::channel(1);
        (HttpCarrier::new(config, tell).unwrap(), incoming)
    }

    fn config() -> HttpConfig {
        HttpConfig::new("east", "http://api.example/messages").unwrap()
    }

    fn message() -> CarrierSubmit {
        let (id, taken) = (Uuid::new_v4(), Vec::new());
        CarrierSubmit { id, from: 12_025_550_100, to: 12_025_550_199, text: "hi".to_owned(), taken, repeated: false }
    }

    fn answer(status: u16, retry_after: Option<u64>, body: &str) -> Answer {
        let (content_type, etag, cache_control) = (None, None, None);
        let body = Bytes::from(body.to_owned());
        Answer { status, content_type, etag, cache_control, retry_after, body }
    }

    #[tokio::test]
    async fn an_answer_means_what_its_status_says() {
        let (carrier, _incoming) = carrier(config());
        let message = message();
        let judge = |status, body| carrier.judge(&message, &answer(status, None, body));
        let accepted = |id: &str| Submission::Accepted { references: vec![id.to_owned()] };
        assert_eq!(judge(201, r#"{"id": "x1"}"#), accepted("x1"));
        assert_eq!(judge(200, r#"{"id": 7, "error": null}"#), accepted("7"));
        assert_eq!(judge(200, r#"{"id": 7, "error": "0"}"#), accepted("7"));
        // One that gives no id may name it by ours.
        assert_eq!(judge(202, "OK"), accepted(&message.id.to_string()));
        let refused = |reason: &str| Submission::Refused { reason: reason.to_owned() };
        assert_eq!(judge(200, r#"{"error": "no such number"}"#), refused("HTTP 200: no such number"));
        assert_eq!(judge(422, r#"{"error": {"code": 5}}"#), refused(r#"HTTP 422: {"code":5}"#));
        assert_eq!(judge(400, ""), refused("HTTP 400"));
        for status in [502, 504] {
            assert!(matches!(judge(status, ""), Submission::Unanswered { .. }), "{status}");
        }
        for status in [302, 401, 408, 500, 507] {
            let Submission::Later { after, .. } = judge(status, "") else { panic!("{status}") };
            assert_eq!(after, AFTER_FAULT);
        }
        assert!(*carrier.ready().unwrap().borrow());
    }

    #[tokio::test]
    async fn a_provider_that_wants_less_gets_nothing_for_as_long_as_it_says() {
        let (carrier, _incoming) = carrier(config());
        let ready = carrier.ready().unwrap();
        for (status, wish, length) in [(429, Some(20), 20), (503, None, 10), (429, Some(86_400), 300)] {
            let Submission::Later { after, .. } = carrier.judge(&message(), &answer(status, wish, "")) else {
                panic!()
            };
            assert_eq!(after.as_secs(), length);
            assert!(!*ready.borrow());
        }
        let left = carrier.gate.pause.lock().until - Instant::now();
        assert!(left > Duration::from_secs(200), "the longest counts: {left:?}");
    }

    #[tokio::test]
    async fn a_pause_ends_and_another_may_begin() {
        let (carrier, _incoming) = carrier(config());
        let mut ready = carrier.ready().unwrap();
        for _ in 0..3 {
            carrier.gate.pause(&mut carrier.gate.pause.lock(), Duration::from_millis(1));
            ready.wait_for(|open| *open).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_provider_that_is_not_reached_is_left_alone_for_longer_and_longer() {
        let (carrier, _incoming) = carrier(config());
        let lengths: Vec<u64> = (0..7)
            .map(|_| match carrier.unreached("no route".to_owned()) {
                Submission::Later { after, .. } => after.as_secs(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(lengths, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[tokio::test]
    async fn requests_are_spread_by_the_rate() {
        let (carrier, _incoming) = carrier(HttpConfig { rate: 1_000, ..config() });
        let begin = Instant::now();
        for _ in 0..11 {
            assert!(carrier.turn().await.is_some());
        }
        assert!(begin.elapsed() >= Duration::from_millis(10));
        // A turn that is too far away is none.
        *carrier.next.lock() = Instant::now() + TURN * 2;
        assert!(carrier.turn().await.is_none());
    }

    fn callback(kind: CallbackKind, headers: &[(&str, &str)], body: &Value) -> Callback {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Callback { kind, headers, body: Bytes::from(body.to_string()) }
    }

    #[tokio::test]
    async fn only_the_carrier_is_listened_to() {
        let body = json!({"id": "x1", "status": "DELIVRD", "error": 0});
        let told = |headers: &[(&str, &str)]| callback(CallbackKind::Receipt, headers, &body);
        let now = Utc::now().timestamp();
        let good = sign("secret of sixteen", now, body.to_string().as_bytes());
        let (signed, _incoming) = carrier(HttpConfig { secret: Some("secret of sixteen".into()), ..config() });
        let expected = CarrierMessage::Receipt { reference: "x1".into(), state: ReceiptState::Delivered, error: None };
        assert_eq!(signed.read(&told(&[("opentact-signature", &*good)])), Ok(expected.clone()));
        let old = sign("secret of sixteen", now - 1_000, body.to_string().as_bytes());
        let other = sign("another", now, body.to_string().as_bytes());
        for wrong in [&*old, &*other, ""] {
            let headers = [("opentact-signature", wrong)];
            assert_eq!(signed.read(&told(&headers)), Err(CallbackError::Unauthorized));
        }
        assert_eq!(signed.read(&told(&[])), Err(CallbackError::Unauthorized));
        let known = Some(("x-api-key".to_owned(), "0123456789abcdef".to_owned()));
        let (known, _incoming) = carrier(HttpConfig { callback_header: known, ..config() });
        assert_eq!(known.read(&told(&[("x-api-key", "0123456789abcdef")])), Ok(expected));
        assert_eq!(known.read(&told(&[("x-api-key", "0123456789abcdeF")])), Err(CallbackError::Unauthorized));
        let (nobody, _incoming) = carrier(config());
        assert_eq!(nobody.read(&told(&[("opentact-signature", &*good)])), Err(CallbackError::Unauthorized));
    }

    #[tokio::test]
    async fn what_it_tells_is_found_where_it_is_configured_to_be() {
        let mut config = config();
        config.callback_header = Some(("k".to_owned(), "v".to_owned()));
        config.message.from = "/source/number".to_owned();
        config.statuses.insert("gone".to_owned(), ReceiptState::Expired);
        let (carrier, _incoming) = carrier(config);
        let read = |kind, body| carrier.read(&callback(kind, &[("k", "v")], &body));
        let receipt = |status: &str| read(CallbackKind::Receipt, json!({"id": 5, "status": status}));
        for (status, expected) in [("Gone", ReceiptState::Expired), ("what?", ReceiptState::Unknown)] {
            let Ok(CarrierMessage::Receipt { reference, state, error: None }) = receipt(status) else { panic!() };
            assert_eq!((&*reference, state), ("5", expected));
        }
        let inbound = json!({"source": {"number": 12_025_550_199_u64}, "to": "+12025550100", "text": "Hé", "id": "m1"});
        let expected = CarrierMessage::Inbound {
            from: 12_025_550_199,
            to: 12_025_550_100,
            text: "Hé".to_owned(),
            reference: Some("m1".to_owned()),
        };
        assert_eq!(read(CallbackKind::Message, inbound.clone()), Ok(expected));
        for missing in ["/source/number", "/to", "/text"] {
            let mut body = inbound.clone();
            *body.pointer_mut(missing).unwrap() = Value::Null;
            let Err(CallbackError::Invalid(why)) = read(CallbackKind::Message, body) else { panic!("{missing}") };
            assert_eq!(why, format!("nothing at {missing}"));
        }
        assert!(matches!(read(CallbackKind::Receipt, json!({"id": "x".repeat(300)})), Err(CallbackError::Invalid(_))));
    }
}
