//! A carrier of `kind = "http"`, as it stands in the file: see `docs/sms.md`.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use opentact_carrier::http::{HttpConfig, STATES, Template};
use opentact_engine::http::Method;
use serde::Deserialize;

use super::sms_carrier::{check_name, wrong};
use super::value::{Span, Value};

/// Requests at once, at most.
const WINDOW: u32 = 1_000;
const RATE: u32 = 100_000;
/// Octets of a secret at least: a short one can be tried out.
const SECRET: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "kind")]
    _kind: String,
    name: String,
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    secret: Option<String>,
    callback_header: Option<BTreeMap<String, String>>,
    #[serde(default)]
    answer: Answer,
    #[serde(default)]
    receipt: Receipt,
    #[serde(default)]
    message: Message,
    #[serde(default)]
    statuses: BTreeMap<String, String>,
    window: Option<u32>,
    rate: Option<u32>,
    timeout: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Answer {
    id: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Receipt {
    id: Option<String>,
    status: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Message {
    id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    text: Option<String>,
}

/// Nothing of what is wrong shows a secret.
pub(super) fn read(table: toml::Table) -> Result<HttpConfig, String> {
    let table: Table = toml::Value::Table(table).try_into().map_err(|fault: toml::de::Error| wrong(fault.message()))?;
    check_name(&table.name)?;
    let of = |key: &str, fault: String| wrong(&format!("{key} of {}: {fault}", table.name));
    let web = url::Url::parse(&table.url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !web {
        return Err(of("url", "expected http:// or https://".to_owned()));
    }
    let mut http = HttpConfig::new(&table.name, &table.url).map_err(|fault| of("url", fault))?;
    http.method = match table.method.as_deref() {
        None | Some("POST") => Method::POST,
        Some("PUT") => Method::PUT,
        Some(_) => return Err(of("method", "expected POST or PUT".to_owned())),
    };
    for (name, value) in &table.headers {
        let header = header(name, value).map_err(|fault| of("headers", fault))?;
        if ["content-type", "content-length", "opentact-signature"].contains(&&*header) {
            return Err(of("headers", format!("{header} is ours to write")));
        }
        let value = Template::line(value).map_err(|fault| of("headers", fault))?;
        http.headers.retain(|(name, _)| *name != header);
        http.headers.push((header, value));
    }
    if let Some(body) = &table.body {
        http.body = Template::json(body).map_err(|fault| of("body", fault))?;
    }
    if table.secret.as_ref().is_some_and(|secret| secret.len() < SECRET) {
        return Err(of("secret", format!("expected {SECRET} characters at least")));
    }
    http.secret = table.secret;
    if let Some(known_by) = table.callback_header {
        let known_by: Vec<(String, String)> = known_by.into_iter().collect();
        let [(name, value)] = &known_by[..] else {
            return Err(of("callback_header", "expected one header".to_owned()));
        };
        let name = header(name, value).map_err(|fault| of("callback_header", fault))?;
        if value.len() < SECRET {
            return Err(of("callback_header", format!("expected {SECRET} characters at least")));
        }
        http.callback_header = Some((name, value.clone()));
    }
    for (place, key, given) in [
        (&mut http.answer.id, "answer.id", table.answer.id),
        (&mut http.answer.error, "answer.error", table.answer.error),
        (&mut http.receipt.id, "receipt.id", table.receipt.id),
        (&mut http.receipt.status, "receipt.status", table.receipt.status),
        (&mut http.receipt.error, "receipt.error", table.receipt.error),
        (&mut http.message.id, "message.id", table.message.id),
        (&mut http.message.from, "message.from", table.message.from),
        (&mut http.message.to, "message.to", table.message.to),
        (&mut http.message.text, "message.text", table.message.text),
    ] {
        let Some(given) = given else { continue };
        if !given.starts_with('/') {
            return Err(of(key, "expected a JSON pointer such as /messages/0/id".to_owned()));
        }
        *place = given;
    }
    for (word, meaning) in table.statuses {
        let state = STATES.iter().find(|(name, _)| *name == meaning).map(|(_, state)| *state);
        let state = state.ok_or_else(|| {
            let known: Vec<&str> = STATES.iter().map(|(name, _)| *name).collect();
            of("statuses", format!("a word means one of {}", known.join(", ")))
        })?;
        http.statuses.insert(word.to_lowercase(), state);
    }
    if let Some(window) = table.window {
        if !(1..=WINDOW).contains(&window) {
            return Err(of("window", format!("expected 1 to {WINDOW}")));
        }
        http.window = window as usize;
    }
    if let Some(rate) = table.rate {
        if rate > RATE {
            return Err(of("rate", format!("expected 0 to {RATE}")));
        }
        http.rate = rate;
    }
    if let Some(timeout) = table.timeout {
        let Span(timeout) = Span::from_text(&timeout).map_err(|fault| of("timeout", fault))?;
        if !(1..=60).contains(&timeout.as_secs()) {
            return Err(of("timeout", "expected 1s to 60s".to_owned()));
        }
        http.timeout = timeout;
    }
    Ok(http)
}

/// The name in lower case.
fn header(name: &str, value: &str) -> Result<String, String> {
    let parsed = name.parse::<HeaderName>().map_err(|_| format!("{name:?} is no name of a header"))?;
    HeaderValue::from_str(value).map_err(|_| format!("the value of {name} is none of a header"))?;
    Ok(parsed.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use opentact_engine::ports::ReceiptState;

    use super::*;

    fn http(more: &str) -> Result<HttpConfig, String> {
        let text = format!("kind = \"http\"\nname = \"east\"\nurl = \"https://api.example/v1\"\n{more}");
        read(text.parse().unwrap())
    }

    #[test]
    fn a_providers_own_contract() {
        let http = http(
            r#"
            method = "PUT"
            headers = { Authorization = "Bearer x", Idempotency-Key = "opentact-${id}" }
            body = '{"destination": "+${to}", "content": {"text": "${text}"}}'
            answer = { id = "/messages/0/id" }
            receipt = { status = "/state" }
            callback_header = { X-Api-Key = "0123456789abcdef" }
            statuses = { OK = "delivered" }
            window = 50
            timeout = "30s"
            "#,
        )
        .unwrap();
        let names: Vec<&str> = http.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["authorization", "idempotency-key"]);
        assert_eq!((&*http.answer.id, &*http.answer.error), ("/messages/0/id", "/error"));
        assert_eq!((&*http.receipt.status, &*http.message.text), ("/state", "/text"));
        assert_eq!(http.statuses["ok"], ReceiptState::Delivered);
        assert_eq!(http.statuses["rejected"], ReceiptState::Rejected);
        assert_eq!(http.callback_header, Some(("x-api-key".to_owned(), "0123456789abcdef".to_owned())));
        assert_eq!((http.window, http.timeout.as_secs()), (50, 30));
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_shown() {
        for (more, key) in [
            ("secret = \"hunter2\"", "secret"),
            ("callback_header = { X-Key = \"hunter2\" }", "callback_header"),
            ("callback_header = { A = \"0123456789abcdef\", B = \"0123456789abcdef\" }", "callback_header"),
            ("headers = { \"Bad Name\" = \"hunter2\" }", "headers"),
            ("headers = { Content-Type = \"text/hunter2\" }", "headers"),
            ("headers = { X = \"${text}\" }", "headers"),
            ("body = '{\"to\": }'", "body"),
            ("method = \"GET\"", "method"),
            ("window = 0", "window"),
            ("timeout = \"2m\"", "timeout"),
            ("statuses = { OK = \"fine\" }", "statuses"),
            ("answer = { id = \"id\" }", "answer.id"),
            ("color = \"red\"", "color"),
        ] {
            let fault = http(more).unwrap_err();
            assert!(fault.contains(key) && !fault.contains("hunter2"), "{fault}");
        }
        assert!(!format!("{:?}", http("secret = \"0123456789abcdef\"").unwrap()).contains("0123"));
        assert!(read("kind = \"http\"\nname = \"east\"\nurl = \"ftp://x\"".parse().unwrap()).is_err());
    }
}
