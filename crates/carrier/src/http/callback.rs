//! What a provider tells: receipts and messages.

use std::collections::HashMap;

use chrono::Utc;
use opentact_engine::ports::{Callback, CallbackError, CallbackKind, CarrierMessage, ReceiptState};
use opentact_engine::signature::verify;
use opentact_messaging::smpp::Address;
use serde_json::Value;
use subtle::ConstantTimeEq;
use tracing::warn;

use super::{HttpCarrier, fault, word};

/// Header with the signature of a callback.
const SIGNATURE: &str = "opentact-signature";
/// Octets of a provider's id that are kept.
const ID: usize = 255;

/// Words for the state of a message that are understood without being configured.
pub(super) fn statuses() -> HashMap<String, ReceiptState> {
    let names = STATES.iter().map(|(name, state)| (*name, *state));
    // SMPP 3.4 appendix B, which many providers took over.
    let short = [
        ("delivrd", ReceiptState::Delivered),
        ("expired", ReceiptState::Expired),
        ("deleted", ReceiptState::Deleted),
        ("undeliv", ReceiptState::Undeliverable),
        ("acceptd", ReceiptState::Accepted),
        ("rejectd", ReceiptState::Rejected),
    ];
    names.chain(short).map(|(word, state)| (word.to_owned(), state)).collect()
}

/// What the words of a provider can mean.
pub const STATES: [(&str, ReceiptState); 8] = [
    ("enroute", ReceiptState::Enroute),
    ("accepted", ReceiptState::Accepted),
    ("delivered", ReceiptState::Delivered),
    ("expired", ReceiptState::Expired),
    ("deleted", ReceiptState::Deleted),
    ("undeliverable", ReceiptState::Undeliverable),
    ("rejected", ReceiptState::Rejected),
    ("unknown", ReceiptState::Unknown),
];

impl HttpCarrier {
    /// Checked to be from the provider, and read.
    pub(super) fn read(&self, callback: &Callback) -> Result<CarrierMessage, CallbackError> {
        if !self.is_genuine(callback, Utc::now().timestamp()) {
            warn!(carrier = %self.config.name, kind = ?callback.kind, "callback that the carrier did not sign");
            return Err(CallbackError::Unauthorized);
        }
        let body: Value =
            serde_json::from_slice(&callback.body).map_err(|error| invalid(&format!("no JSON: {error}")))?;
        match callback.kind {
            CallbackKind::Receipt => self.receipt(&body),
            CallbackKind::Message => self.message(&body),
        }
    }

    fn is_genuine(&self, callback: &Callback, now: i64) -> bool {
        let header = |name: &str| callback.headers.get(name);
        match (&self.config.callback_header, &self.config.secret) {
            (Some((name, value)), _) => {
                header(name).is_some_and(|shown| shown.as_bytes().ct_eq(value.as_bytes()).into())
            }
            (None, Some(secret)) => header(SIGNATURE).is_some_and(|shown| verify(secret, shown, now, &callback.body)),
            // Nobody can be known.
            (None, None) => false,
        }
    }

    fn receipt(&self, body: &Value) -> Result<CarrierMessage, CallbackError> {
        let places = &self.config.receipt;
        let reference = id(body, &places.id)?.ok_or_else(|| missing(&places.id))?;
        let status = word(body, &places.status).ok_or_else(|| missing(&places.status))?;
        let state = self.config.statuses.get(&status.to_lowercase()).copied().unwrap_or_else(|| {
            warn!(carrier = %self.config.name, status, "status with no meaning: messaging.carriers, statuses");
            ReceiptState::Unknown
        });
        Ok(CarrierMessage::Receipt { reference, state, error: fault(body, &places.error) })
    }

    fn message(&self, body: &Value) -> Result<CarrierMessage, CallbackError> {
        let places = &self.config.message;
        let number = |place: &str| {
            let text = word(body, place).ok_or_else(|| missing(place))?;
            let number = Address { text, ..Address::default() }.number();
            number.ok_or_else(|| invalid(&format!("{place} is no number")))
        };
        let text = body.pointer(&places.text).and_then(Value::as_str).ok_or_else(|| missing(&places.text))?;
        Ok(CarrierMessage::Inbound {
            from: number(&places.from)?,
            to: number(&places.to)?,
            text: text.to_owned(),
            reference: id(body, &places.id)?,
        })
    }
}

fn id(body: &Value, place: &str) -> Result<Option<String>, CallbackError> {
    let id = word(body, place);
    match id.as_ref().is_some_and(|id| id.len() > ID) {
        true => Err(invalid(&format!("{place} is longer than {ID} octets"))),
        false => Ok(id),
    }
}

fn invalid(what: &str) -> CallbackError {
    CallbackError::Invalid(what.to_owned())
}

fn missing(place: &str) -> CallbackError {
    invalid(&format!("nothing at {place}"))
}
