//! What NOTIFYs say: RFC 4235 dialog-info, RFC 3842 message summaries, RFC 3680 reginfo. Each time all of it, so that a
//! watcher needs nothing of what came before.

use std::fmt::Write;
use std::time::Instant;

use opentact_call::{CallState, Direction, LegId};
use opentact_sip::registrar::Binding;

use crate::router::{ANONYMOUS, Package};

/// One call of a user, as a lamp shows it.
pub(super) struct Lamp {
    pub(super) state: CallState,
    /// In: the user calls.
    pub(super) direction: Direction,
    /// The other side: a number, `login@domain` or `anonymous`.
    pub(super) remote: String,
}

pub(super) fn content_type(package: Package) -> &'static str {
    match package {
        Package::Dialog => "application/dialog-info+xml",
        Package::MessageSummary => "application/simple-message-summary",
        Package::Registration => "application/reginfo+xml",
    }
}

/// Each call with Call-ID, local and remote tag as the user's phone knows them.
pub(super) fn dialog_info<'a>(
    address: &str,
    version: u32,
    lamps: impl Iterator<Item = (LegId, &'a Lamp, Option<[String; 3]>)>,
) -> String {
    let entity = escape(&format!("sip:{address}"));
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
         version=\"{version}\" state=\"full\" entity=\"{entity}\">\r\n"
    );
    for (leg, lamp, dialog) in lamps {
        let state = match lamp.state {
            CallState::Init => "trying",
            CallState::Ringing => "early",
            CallState::Live => "confirmed",
            CallState::Hangup | CallState::Destroyed => "terminated",
        };
        let direction = if lamp.direction == Direction::In { "initiator" } else { "recipient" };
        // Writing to a String cannot fail.
        let _ = write!(text, "<dialog id=\"{leg}\"");
        if let Some([call_id, local_tag, remote_tag]) = dialog {
            for (name, value) in [("call-id", call_id), ("local-tag", local_tag), ("remote-tag", remote_tag)] {
                let _ = write!(text, " {name}=\"{}\"", escape(&value));
            }
        }
        let remote = escape(&remote_uri(&lamp.remote, address));
        let _ = write!(
            text,
            " direction=\"{direction}\"><state>{state}</state><local><identity>{entity}</identity></local>\
             <remote><identity>{remote}</identity></remote></dialog>\r\n"
        );
    }
    text.push_str("</dialog-info>\r\n");
    text
}

/// `count` messages wait.
pub(super) fn message_summary(address: &str, count: u64) -> String {
    let waiting = if count > 0 { "yes" } else { "no" };
    format!("Messages-Waiting: {waiting}\r\nMessage-Account: sip:{address}\r\nText-Message: {count}/0\r\n")
}

pub(super) fn reginfo(address: &str, version: u32, now: Instant, bindings: &[&Binding]) -> String {
    let state = if bindings.is_empty() { "terminated" } else { "active" };
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" \
         version=\"{version}\" state=\"full\">\r\n<registration aor=\"{}\" id=\"a\" state=\"{state}\">\r\n",
        escape(&format!("sip:{address}"))
    );
    for (position, binding) in bindings.iter().enumerate() {
        let _ = write!(
            text,
            "<contact id=\"{:x}-{position}\" state=\"active\" event=\"registered\" expires=\"{}\" q=\"{}.{:03}\">\
             <uri>{}</uri></contact>\r\n",
            binding.call_id,
            binding.remaining(now),
            binding.q / 1000,
            binding.q % 1000,
            escape(binding.contact.as_str())
        );
    }
    text.push_str("</registration>\r\n</reginfo>\r\n");
    text
}

fn remote_uri(remote: &str, address: &str) -> String {
    if remote == ANONYMOUS {
        return "sip:anonymous@anonymous.invalid".to_owned();
    }
    if remote.starts_with("sip:") {
        return remote.to_owned();
    }
    let domain = address.rsplit_once('@').map_or(address, |(_, domain)| domain);
    if remote.contains('@') { format!("sip:{remote}") } else { format!("sip:{remote}@{domain}") }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 has no place for the others, not even escaped.
            '\u{0}'..='\u{1f}' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn calls_are_told_as_the_phone_of_the_user_sees_them() {
        let lamp = |state, direction, remote: &str| Lamp { state, direction, remote: remote.to_owned() };
        let (out, gone) =
            (lamp(CallState::Live, Direction::In, "+12125550001"), lamp(CallState::Hangup, Direction::Out, ANONYMOUS));
        let known = Some(["a\"&<b".to_owned(), "ours".to_owned(), "theirs".to_owned()]);
        let lamps = [(LegId(Uuid::from_u128(1)), &out, known), (LegId(Uuid::from_u128(2)), &gone, None)];
        insta::assert_snapshot!(dialog_info("desk@home", 3, lamps.into_iter()).replace('\r', ""), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="3" state="full" entity="sip:desk@home">
        <dialog id="00000000-0000-0000-0000-000000000001" call-id="a&quot;&amp;&lt;b" local-tag="ours" remote-tag="theirs" direction="initiator"><state>confirmed</state><local><identity>sip:desk@home</identity></local><remote><identity>sip:+12125550001@home</identity></remote></dialog>
        <dialog id="00000000-0000-0000-0000-000000000002" direction="recipient"><state>terminated</state><local><identity>sip:desk@home</identity></local><remote><identity>sip:anonymous@anonymous.invalid</identity></remote></dialog>
        </dialog-info>
        "#);
    }

    #[test]
    fn messages_wait_or_do_not() {
        assert!(message_summary("desk@home", 2).starts_with("Messages-Waiting: yes\r\n"));
        assert!(message_summary("desk@home", 0).ends_with("\r\nText-Message: 0/0\r\n"));
    }
}
