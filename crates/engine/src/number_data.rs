//! Data of numbers from whoever sells it, by HTTP and JSON.

use std::time::Duration;

use async_trait::async_trait;

use crate::http::{Fetch, HttpClient};
use crate::ports::{ControlError, NumberData, NumberFacts};

/// Of an answer.
const MAX_ANSWER: usize = 64 * 1024;
/// What the URL has in place of the number.
const PLACE: &str = "{tn}";
/// When to ask again what was not answered.
const RETRY_AFTER: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct HttpNumberData {
    pub http: HttpClient,
    /// Named as the source.
    pub name: String,
    /// `{tn}` in it is the number, E.164 without the plus.
    pub url: String,
    /// Sent as `Authorization`.
    pub authorization: Option<String>,
    pub timeout: Duration,
}

#[async_trait]
impl NumberData for HttpNumberData {
    fn name(&self) -> &str {
        &self.name
    }

    /// `GET`, answered 200 with the fields of [`NumberFacts`], or 404 for a number that nothing is known of.
    async fn facts(&self, tn: u64) -> Result<NumberFacts, ControlError> {
        let fetch = Fetch {
            url: self.url.replace(PLACE, &tn.to_string()),
            method: reqwest::Method::GET,
            query: Vec::new(),
            headers: self.authorization.iter().map(|value| ("authorization".to_owned(), value.clone())).collect(),
            body: None,
            timeout: Some(self.timeout),
            limit: MAX_ANSWER,
            etag: None,
        };
        let silent = |why: String| {
            tracing::warn!(provider = self.name, tn, why, "number data");
            let reason = "Number data is not to be had".to_owned();
            ControlError::Unavailable { reason, retry_after: RETRY_AFTER }
        };
        let answer = self.http.fetch(fetch).await.map_err(|error| silent(error.to_string()))?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|error| silent(error.to_string())),
            404 => Ok(NumberFacts::default()),
            status => Err(silent(format!("status {status}"))),
        }
    }
}
