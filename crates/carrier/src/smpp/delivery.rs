//! What an SMSC tells its ESMEs: deliver_sm of messages and of receipts.

use bytes::Bytes;
use chrono::Utc;
use opentact_messaging::segment::{TooLong, segment};
use opentact_messaging::smpp::{Address, MessageState, Receipt, ShortMessage};

/// A text, in as many deliver_sm as it needs.
pub(crate) fn text(from: u64, to: u64, text: &str, reference: u8) -> Result<Vec<ShortMessage>, TooLong> {
    let cut = segment(text, false)?;
    let parts = cut.segments.iter().map(|part| {
        let mut message = ShortMessage {
            source: Address::e164(from),
            destination: Address::e164(to),
            data_coding: cut.encoding.data_coding(),
            body: Bytes::from(part.user_data(reference)),
            ..ShortMessage::default()
        };
        if part.has_header() {
            message.set_header();
        }
        message
    });
    Ok(parts.collect())
}

/// The deliver_sm that tells how a message from `source` to `destination` fared, with both the text and the TLVs. `text` is
/// the beginning of the message.
pub(crate) fn receipt(
    id: &str,
    state: MessageState,
    source: &Address,
    destination: &Address,
    text: &str,
) -> ShortMessage {
    let now = Utc::now().naive_utc();
    let receipt = Receipt {
        message_id: id.to_owned(),
        state,
        error: (state != MessageState::Delivered).then(|| "001".to_owned()),
        submitted: Some(now),
        done: Some(now),
        text: text.chars().filter(char::is_ascii).collect(),
    };
    let mut delivery = ShortMessage {
        source: destination.clone(),
        destination: source.clone(),
        data_coding: 1,
        body: Bytes::from(receipt.to_text()),
        receipted_message_id: Some(id.to_owned()),
        message_state: Some(state),
        ..ShortMessage::default()
    };
    delivery.set_receipt();
    delivery
}
