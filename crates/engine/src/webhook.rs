//! Webhooks of SIP Control Apps: every state of their calls, told to the app's URL in order.
//!
//! A notice is tried again a few times and is then given up; what waits is lost when the node stops. (The event log and
//! `GET /rest/event` hold the same facts for those who must not miss one.)

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentact_store::apps::SipControlApp;
use opentact_store::types::Method;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use crate::http::{Body, Fetch, HttpClient};

/// Notices of one call that wait; a further one is dropped and counted (`opentact_webhook_dropped_total`).
const QUEUE: usize = 64;
/// Calls whose notices are being told, those of slow and silent servers long after the call. A further call's are dropped
/// and counted.
const LINES: usize = 20_000;
/// Pauses before a notice is tried again.
const RETRIES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(8)];
/// Octets of an answer read; its content is not used.
const ANSWER_LIMIT: usize = 64 << 10;

/// Where and how an app wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    url: String,
    method: Method,
    timeout: Option<Duration>,
}

impl Webhook {
    pub(crate) fn of(app: &SipControlApp) -> Option<Arc<Self>> {
        let timeout = app.webhook_request_timeout.and_then(|timeout| u64::try_from(timeout).ok());
        app.webhook_url.clone().map(|url| {
            let timeout = timeout.filter(|timeout| *timeout > 0).map(Duration::from_millis);
            Arc::new(Self { url, method: app.webhook_method, timeout })
        })
    }
}

/// One state of one leg.
pub(crate) struct Notice {
    pub(crate) state: &'static str,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) call: Value,
}

static FREE_LINES: Semaphore = Semaphore::const_new(LINES);

/// The line of notices of one call. Dropped, what waits is still delivered.
pub(crate) struct Line(mpsc::Sender<Notice>);

impl Line {
    pub(crate) fn open(runtime: &Handle, http: HttpClient, webhook: Arc<Webhook>) -> Self {
        let (sender, mut notices) = mpsc::channel::<Notice>(QUEUE);
        let Ok(place) = FREE_LINES.try_acquire() else {
            // Nobody listens at the other end: each notice is counted as dropped.
            return Self(sender);
        };
        runtime.spawn(async move {
            let _place = place;
            while let Some(notice) = notices.recv().await {
                deliver(&http, &webhook, notice).await;
            }
        });
        Self(sender)
    }

    pub(crate) fn tell(&self, notice: Notice) {
        if self.0.try_send(notice).is_err() {
            metrics::counter!("opentact_webhook_dropped_total").increment(1);
        }
    }
}

async fn deliver(http: &HttpClient, webhook: &Webhook, notice: Notice) {
    let posts = webhook.method == Method::Post;
    let body = posts
        .then(|| Body { content_type: "application/json".to_owned(), bytes: Bytes::from(notice.call.to_string()) });
    let fetch = Fetch {
        url: webhook.url.clone(),
        method: if posts { reqwest::Method::POST } else { reqwest::Method::GET },
        query: vec![
            ("state".to_owned(), notice.state.to_owned()),
            ("from".to_owned(), notice.from),
            ("to".to_owned(), notice.to),
        ],
        headers: Vec::new(),
        body,
        timeout: webhook.timeout,
        limit: ANSWER_LIMIT,
        etag: None,
    };
    let mut pauses = RETRIES.iter();
    loop {
        let again = match http.fetch(fetch.clone()).await {
            Ok(answer) if (200..300).contains(&answer.status) => return,
            Ok(answer) if matches!(answer.status, 408 | 429 | 500..=599) => format!("answered {}", answer.status),
            Ok(answer) => {
                tracing::warn!(url = %webhook.url, status = answer.status, "webhook refused");
                return;
            }
            Err(error) => error.to_string(),
        };
        let Some(pause) = pauses.next() else {
            tracing::warn!(url = %webhook.url, reason = %again, "webhook given up");
            metrics::counter!("opentact_webhook_failed_total").increment(1);
            return;
        };
        tokio::time::sleep(*pause).await;
    }
}
