//! From submit_sm to a message in the queue.

use opentact_engine::ports::{ControlError, SendMessage, Sender};
use opentact_messaging::encoding;
use opentact_messaging::smpp::{ShortMessage, Status};
use opentact_store::smpp::{NewSubmit, Submit};
use opentact_store::types::Priority;
use opentact_store::{StoreError, Tn};
use tracing::{error, warn};
use uuid::Uuid;

use super::Shared;

/// Longest user data of one submit_sm, octets: what six segments hold, and a little.
const LONGEST: usize = 1_000;

/// Who is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Esme {
    pub account: Uuid,
    pub token: Uuid,
    pub user: Uuid,
}

/// The message id, which is `uuid`, once it is on disk and, with the segments before it, in the queue.
pub(super) async fn submit(shared: &Shared, esme: Esme, uuid: Uuid, message: ShortMessage) -> Result<String, Status> {
    let number = |number: Option<u64>, wrong| number.and_then(|number| Tn::new(number).ok()).ok_or(wrong);
    let from = number(message.source.number(), Status::INVALID_SOURCE)?;
    let to = number(message.destination.number(), Status::INVALID_DESTINATION)?;
    let (place, octets) = message.split().ok_or(Status::INVALID_ESM_CLASS)?;
    if message.scheduled {
        return Err(Status::INVALID_SCHEDULE);
    }
    if octets.len() > LONGEST {
        return Err(Status::INVALID_MESSAGE_LENGTH);
    }
    let new = NewSubmit {
        uuid,
        token: esme.token,
        from,
        to,
        data_coding: message.data_coding,
        place: place.map(|place| (place.reference, place.total, place.number)),
        octets: octets.to_vec(),
        receipt: message.registered_delivery & 0x03,
    };
    let (this, whole) = shared.store.smpp().submit(esme.account, new).await.map_err(|error| broken(&error))?;
    let id = this.uuid.simple().to_string();
    let Some(parts) = whole else { return Ok(id) };
    let Err(status) = send(shared, esme, &message, &parts).await else { return Ok(id) };
    // This one is refused by its answer, those before it by their receipts.
    let before: Vec<Uuid> = parts.iter().map(|part| part.uuid).filter(|part| *part != this.uuid).collect();
    let smpp = shared.store.smpp();
    let cleared = async {
        smpp.forget(&[this.uuid]).await?;
        if before.is_empty() { Ok(()) } else { smpp.fail(&before).await }
    };
    if let Err(error) = cleared.await {
        error!(%error, "a refused submit_sm is not cleared away");
    }
    if !before.is_empty() {
        let _ = shared.news.send(esme.account);
    }
    Err(status)
}

async fn send(shared: &Shared, esme: Esme, message: &ShortMessage, parts: &[Submit]) -> Result<(), Status> {
    let octets: Vec<u8> = parts.iter().flat_map(|part| &part.octets).copied().collect();
    let text = encoding::decode(message.data_coding, &octets).ok_or(Status::SUBMIT_FAILED)?;
    let (Some(from), Some(to)) = (message.source.number(), message.destination.number()) else {
        return Err(Status::INVALID_DESTINATION);
    };
    let request = SendMessage {
        account: esme.account,
        created_by: Some(esme.user),
        from: Sender::Number(from),
        to: vec![to],
        text,
        custom_callback_url: None,
        send_at: None,
        validity: message.validity,
        priority: Priority::Normal,
        submits: parts.iter().map(|part| part.uuid).collect(),
    };
    match shared.messages.send(request).await {
        Ok(mut results) => match results.pop() {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(refusal(&error)),
            None => Err(Status::SYSTEM_ERROR),
        },
        Err(error) => Err(refusal(&error)),
    }
}

fn refusal(error: &ControlError) -> Status {
    match error {
        ControlError::NotFound(_) => Status::INVALID_SOURCE,
        ControlError::Invalid { field: "from", .. } => Status::INVALID_SOURCE,
        ControlError::Invalid { field: "to", .. } => Status::INVALID_DESTINATION,
        ControlError::Invalid { .. } => Status::INVALID_MESSAGE_LENGTH,
        ControlError::InsufficientBalance => Status::PERMANENT_APPLICATION_ERROR,
        ControlError::Forbidden { .. } => Status::REJECTED_APPLICATION_ERROR,
        ControlError::Unavailable { .. } => Status::THROTTLED,
        ControlError::Conflict(_) | ControlError::Internal(_) => {
            warn!(%error, "submit_sm failed");
            Status::SYSTEM_ERROR
        }
    }
}

fn broken(error: &StoreError) -> Status {
    error!(%error, "submit_sm not written");
    Status::SYSTEM_ERROR
}
