//! The frames of the websocket, `spec/events.md`: what a client may send and how its frame is read.

use opentact_store::types::EventType;
use serde_json::{Value, json};

/// Close codes of ours (RFC 6455 7.4.2: 4000..=4999 are for private use).
pub mod close {
    /// No valid auth frame in time, or bad credentials.
    pub const UNAUTHORIZED: u16 = 4401;
    /// The client reads too slowly; it can resume by `after`.
    pub const TOO_SLOW: u16 = 4408;
    /// Too many websockets of the account.
    pub const TOO_MANY: u16 = 4429;
    /// RFC 6455 7.4.1: the server goes down.
    pub const GOING_AWAY: u16 = 1001;
    /// RFC 6455 7.4.1: data that is not of the agreed kind.
    pub const UNSUPPORTED: u16 = 1003;
    /// RFC 6455 7.4.1: an unexpected condition.
    pub const INTERNAL: u16 = 1011;
}

/// One text frame of a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// JWT or API token.
    Auth(String),
    Subscribe {
        /// `None`: as subscribed before.
        types: Option<Vec<EventType>>,
        /// Replay what came after this sequence number.
        after: Option<u64>,
    },
    Ping(Value),
}

impl Frame {
    /// Err is a text for the client.
    pub fn read(text: &str) -> Result<Self, String> {
        let frame: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let payload = frame.get("payload").cloned().unwrap_or(Value::Null);
        match frame.get("type").and_then(Value::as_str) {
            Some("auth") => match payload {
                Value::String(credential) if !credential.is_empty() => Ok(Self::Auth(credential)),
                _ => Err("payload must be a JWT or an API token".to_owned()),
            },
            Some("subscribe") => Self::read_subscribe(&payload),
            Some("ping") => Ok(Self::Ping(payload)),
            Some(other) => Err(format!("unknown type `{other}`")),
            None => Err("type is required".to_owned()),
        }
    }

    fn read_subscribe(payload: &Value) -> Result<Self, String> {
        let types = match payload.get("types") {
            None | Some(Value::Null) => None,
            Some(Value::Array(list)) => Some(
                list.iter()
                    .map(|one| {
                        let word = one.as_str().ok_or_else(|| "types must be a list of strings".to_owned())?;
                        word.parse::<EventType>().map_err(|_| format!("unknown event type `{word}`"))
                    })
                    .collect::<Result<Vec<_>, _>>()?,
            ),
            Some(_) => return Err("types must be a list of strings".to_owned()),
        };
        let after = match payload.get("after") {
            None | Some(Value::Null) => None,
            Some(number) => Some(number.as_u64().ok_or_else(|| "after must be a sequence number".to_owned())?),
        };
        Ok(Self::Subscribe { types, after })
    }
}

/// Answer to a ping, with its payload back.
#[must_use]
pub fn pong(payload: Value) -> Value {
    if payload.is_null() { json!({"type": "pong"}) } else { json!({"type": "pong", "payload": payload}) }
}

/// Answer to a frame that makes no sense. The connection stays.
#[must_use]
pub fn error(message: &str) -> Value {
    json!({"type": "error", "message": message})
}

/// Answer to `subscribe`, before what it replays.
#[must_use]
pub fn subscribed(types: Option<&[EventType]>, after: Option<u64>) -> Value {
    let types: Vec<&str> = types.unwrap_or(EventType::ALL).iter().map(|one| one.as_str()).collect();
    json!({"type": "subscribed", "payload": {"types": types, "after": after}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read() {
        let read = |text| Frame::read(text).unwrap();
        assert_eq!(read(r#"{"type":"auth","payload":"abc"}"#), Frame::Auth("abc".to_owned()));
        assert_eq!(
            read(r#"{"type":"subscribe","payload":{"types":["sms","balance"],"after":7}}"#),
            Frame::Subscribe { types: Some(vec![EventType::Sms, EventType::Balance]), after: Some(7) }
        );
        assert_eq!(read(r#"{"type":"subscribe"}"#), Frame::Subscribe { types: None, after: None });
        assert_eq!(read(r#"{"type":"ping"}"#), Frame::Ping(Value::Null));
    }

    #[test]
    fn frames_that_make_no_sense_say_why() {
        let fault = |text| Frame::read(text).unwrap_err();
        assert!(fault("hello").starts_with("not JSON"));
        assert_eq!(fault("{}"), "type is required");
        assert_eq!(fault(r#"{"type":"auth","payload":7}"#), "payload must be a JWT or an API token");
        assert_eq!(fault(r#"{"type":"subscribe","payload":{"types":["smz"]}}"#), "unknown event type `smz`");
        assert_eq!(fault(r#"{"type":"subscribe","payload":{"after":-1}}"#), "after must be a sequence number");
        assert_eq!(fault(r#"{"type":"quit"}"#), "unknown type `quit`");
    }
}
