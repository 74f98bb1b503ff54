//! Delivery receipts: the text of SMPP 3.4 appendix B, and the TLVs that say the same.

use chrono::NaiveDateTime;

use super::pdu::ShortMessage;
use crate::encoding;

/// What became of a message (SMPP 3.4 5.2.28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageState {
    Enroute,
    Delivered,
    Expired,
    Deleted,
    Undeliverable,
    Accepted,
    Unknown,
    Rejected,
}

impl MessageState {
    /// `message_state` TLV.
    pub fn code(self) -> u8 {
        match self {
            MessageState::Enroute => 1,
            MessageState::Delivered => 2,
            MessageState::Expired => 3,
            MessageState::Deleted => 4,
            MessageState::Undeliverable => 5,
            MessageState::Accepted => 6,
            MessageState::Unknown => 7,
            MessageState::Rejected => 8,
        }
    }

    /// Codes that are not in the standard are [`MessageState::Unknown`]; 0 (SMPP 5.0: scheduled) is under way.
    pub fn from_code(code: u8) -> MessageState {
        match code {
            0 | 1 => MessageState::Enroute,
            2 => MessageState::Delivered,
            3 => MessageState::Expired,
            4 => MessageState::Deleted,
            5 => MessageState::Undeliverable,
            6 => MessageState::Accepted,
            8 => MessageState::Rejected,
            _ => MessageState::Unknown,
        }
    }

    /// `stat` of the text form.
    pub fn stat(self) -> &'static str {
        match self {
            MessageState::Enroute => "ENROUTE",
            MessageState::Delivered => "DELIVRD",
            MessageState::Expired => "EXPIRED",
            MessageState::Deleted => "DELETED",
            MessageState::Undeliverable => "UNDELIV",
            MessageState::Accepted => "ACCEPTD",
            MessageState::Unknown => "UNKNOWN",
            MessageState::Rejected => "REJECTD",
        }
    }

    pub fn from_stat(stat: &str) -> MessageState {
        match stat.to_ascii_uppercase().as_str() {
            "ENROUTE" => MessageState::Enroute,
            "DELIVRD" | "DELIVERED" => MessageState::Delivered,
            "EXPIRED" => MessageState::Expired,
            "DELETED" => MessageState::Deleted,
            "UNDELIV" | "FAILED" => MessageState::Undeliverable,
            "ACCEPTD" | "ACCEPTED" => MessageState::Accepted,
            "REJECTD" | "REJECTED" => MessageState::Rejected,
            _ => MessageState::Unknown,
        }
    }

    /// No further receipt is to come.
    pub fn is_final(self) -> bool {
        !matches!(self, MessageState::Enroute | MessageState::Accepted)
    }
}

/// One receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The id that the answer to submit_sm gave.
    pub message_id: String,
    pub state: MessageState,
    /// Network or SMSC error, `000` for none.
    pub error: Option<String>,
    /// When the message was submitted and when its state became final, in the SMSC's local time.
    pub submitted: Option<NaiveDateTime>,
    pub done: Option<NaiveDateTime>,
    /// The first characters of the message.
    pub text: String,
}

/// Appendix B gives minutes; some SMSCs add seconds.
const DATES: [&str; 2] = ["%y%m%d%H%M", "%y%m%d%H%M%S"];
const KEYS: [&str; 8] = ["id:", "sub:", "dlvrd:", "submit date:", "done date:", "stat:", "err:", "text:"];

impl Receipt {
    /// The text of appendix B.
    pub fn to_text(&self) -> String {
        let date = |date: Option<NaiveDateTime>| match date {
            Some(date) => date.format(DATES[0]).to_string(),
            None => "0000000000".to_owned(),
        };
        format!(
            "id:{} sub:001 dlvrd:{} submit date:{} done date:{} stat:{} err:{} text:{}",
            self.message_id,
            if self.state == MessageState::Delivered { "001" } else { "000" },
            date(self.submitted),
            date(self.done),
            self.state.stat(),
            self.error.as_deref().unwrap_or("000"),
            self.text.chars().take(20).collect::<String>(),
        )
    }

    /// Reads the text of appendix B. Keys in any case and order, unknown ones skipped; `None` without `id` or `stat`.
    pub fn parse(text: &str) -> Option<Receipt> {
        let id = field(text, "id:")?;
        let stat = field(text, "stat:")?;
        let date = |key| {
            let value = field(text, key)?;
            DATES.iter().find_map(|format| NaiveDateTime::parse_from_str(value, format).ok())
        };
        Some(Receipt {
            message_id: id.to_owned(),
            state: MessageState::from_stat(stat),
            error: field(text, "err:").map(str::to_owned),
            submitted: date("submit date:"),
            done: date("done date:"),
            text: field(text, "text:").unwrap_or_default().to_owned(),
        })
    }

    /// The receipt a deliver_sm is; `None` when it is a message. TLVs (SMPP 3.4 5.3.2.12, 5.3.2.35) win over the text.
    pub fn of(message: &ShortMessage) -> Option<Receipt> {
        if !message.is_receipt() {
            return None;
        }
        let text = encoding::decode(message.data_coding, &message.body).unwrap_or_default();
        let spoken = Receipt::parse(&text);
        let message_id = message
            .receipted_message_id
            .clone()
            .or_else(|| spoken.as_ref().map(|receipt| receipt.message_id.clone()))?;
        let state = message.message_state.or_else(|| spoken.as_ref().map(|receipt| receipt.state))?;
        Some(Receipt {
            message_id,
            state,
            error: spoken.as_ref().and_then(|receipt| receipt.error.clone()),
            submitted: spoken.as_ref().and_then(|receipt| receipt.submitted),
            done: spoken.as_ref().and_then(|receipt| receipt.done),
            text: spoken.map(|receipt| receipt.text).unwrap_or_default(),
        })
    }
}

/// The value after a key that stands at the start or after white space; up to the next white space, for `text:` up to
/// the end.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    debug_assert!(KEYS.contains(&key));
    let lower = text.to_ascii_lowercase();
    let starts = |at: usize| at == 0 || lower.as_bytes()[at - 1].is_ascii_whitespace();
    // Nothing of the message itself may pass for a field.
    let limit = if key == "text:" { lower.len() } else { lower.find(" text:").unwrap_or(lower.len()) };
    let at = lower.match_indices(key).map(|(at, _)| at).find(|&at| starts(at) && at <= limit)?;
    let value = &text[at + key.len()..];
    if key == "text:" {
        return Some(value);
    }
    let value = value.split_ascii_whitespace().next().unwrap_or_default();
    let is_next_key =
        KEYS.iter().any(|key| value.get(..key.len()).is_some_and(|start| start.eq_ignore_ascii_case(key)));
    (!value.is_empty() && !is_next_key).then_some(value)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn at(hour: u32, minute: u32) -> Option<NaiveDateTime> {
        NaiveDate::from_ymd_opt(2026, 11, 3).and_then(|day| day.and_hms_opt(hour, minute, 0))
    }

    #[test]
    fn the_text_form_is_appendix_b() {
        let receipt = Receipt {
            message_id: "0000000042".to_owned(),
            state: MessageState::Delivered,
            error: None,
            submitted: at(10, 15),
            done: at(10, 16),
            text: "id:7 stat:UNDELIV is not a field here".to_owned(),
        };
        let text = receipt.to_text();
        assert_eq!(
            text,
            "id:0000000042 sub:001 dlvrd:001 submit date:2611031015 done date:2611031016 stat:DELIVRD err:000 \
             text:id:7 stat:UNDELIV is"
        );
        let parsed = Receipt::parse(&text).unwrap();
        assert_eq!(parsed.message_id, "0000000042");
        assert_eq!(parsed.state, MessageState::Delivered);
        assert_eq!((parsed.submitted, parsed.done), (at(10, 15), at(10, 16)));
        assert_eq!(parsed.text, "id:7 stat:UNDELIV is");
    }

    #[test]
    fn other_dialects_are_read() {
        let receipt = Receipt::parse("ID:ab-12 Stat:REJECTD done date:261103101530 Err:0A7 Text:").unwrap();
        assert_eq!(receipt.message_id, "ab-12");
        assert_eq!(receipt.state, MessageState::Rejected);
        assert_eq!(receipt.error.as_deref(), Some("0A7"));
        assert_eq!(receipt.done.map(|done| done.format("%S").to_string()).as_deref(), Some("30"));
    }

    #[test]
    fn what_is_no_receipt_is_none() {
        for text in ["", "hello", "id: stat:DELIVRD", "stat:DELIVRD", "paid:1 stat:DELIVRD", "text:id:1 stat:DELIVRD"] {
            assert_eq!(Receipt::parse(text), None, "{text}");
        }
    }

    #[test]
    fn states_come_back_in_both_forms() {
        for code in 1..=8 {
            let state = MessageState::from_code(code);
            assert_eq!(state.code(), code);
            assert_eq!(MessageState::from_stat(state.stat()), state);
        }
        assert_eq!(MessageState::from_code(200), MessageState::Unknown);
    }
}
