//! The Reason header (RFC 3326), carried from leg to leg as a Q.850 cause, and Retry-After.

use bytes::Bytes;
use opentact_call::q850::Q850;
use opentact_sip::message::{Headers as SipHeaders, Name};

use super::RETRY_AFTER;
use super::negotiate::Headers;

/// `Q.850;cause=16;text="NORMAL_CLEARING"`.
pub(super) fn reason_header(cause: Q850) -> (Bytes, Bytes) {
    let value = format!("Q.850;cause={};text=\"{}\"", cause.value(), cause.text());
    (Bytes::from_static(b"Reason"), value.into())
}

/// RFC 3326 section 2, RFC 7433: the other phones show no missed call.
pub(super) fn answered_elsewhere() -> (Bytes, Bytes) {
    let value = Bytes::from_static(b"SIP;cause=200;text=\"Call completed elsewhere\"");
    (Bytes::from_static(b"Reason"), value)
}

/// Why a call is given up that was not answered.
pub(super) fn cancel_reasons(cause: Q850) -> Headers {
    let elsewhere = (cause == Q850::NON_SELECTED_USER).then(answered_elsewhere);
    elsewhere.into_iter().chain([reason_header(cause)]).collect()
}

pub(super) fn retry_after() -> (Bytes, Bytes) {
    (Bytes::from_static(b"Retry-After"), RETRY_AFTER.to_string().into())
}

/// The cause a message names, of however many reasons it gives: a Q.850 one, else what a SIP status stands for.
pub(super) fn q850_of(headers: &SipHeaders) -> Option<Q850> {
    let q850 = cause(headers, "Q.850").and_then(|cause| Q850::new(u8::try_from(cause).ok()?));
    q850.or_else(|| match cause(headers, "SIP")? {
        200 => Some(Q850::NON_SELECTED_USER),
        code @ 300..=699 => Some(Q850::from_sip(code)),
        _ => None,
    })
}

fn cause(headers: &SipHeaders, wanted: &str) -> Option<u16> {
    headers.values(Name::Reason).find_map(|reason| {
        let text = std::str::from_utf8(reason).ok()?;
        let mut parts = text.split(';').map(str::trim);
        let protocol = parts.next()?;
        let cause = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("cause").then(|| value.trim().parse().ok())?
        });
        cause.filter(|_| protocol.eq_ignore_ascii_case(wanted))
    })
}

#[cfg(test)]
mod tests {
    use opentact_sip::message::Message;

    use super::*;

    fn of(lines: &[&str]) -> Option<u8> {
        let mut text = String::from("SIP/2.0 487 Request Terminated\r\n");
        for line in lines {
            text += &format!("Reason: {line}\r\n");
        }
        let message = Message::parse(Bytes::from(text + "\r\n")).unwrap();
        q850_of(message.headers()).map(Q850::value)
    }

    #[test]
    fn a_q850_cause_goes_before_a_sip_status() {
        assert_eq!(of(&["SIP;cause=480, Q.850;cause=31;text=\"gone\""]), Some(31));
        assert_eq!(of(&["SIP ;cause=486", "q.850; cause = 17"]), Some(17));
    }

    #[test]
    fn a_sip_status_stands_for_its_cause() {
        assert_eq!(of(&["SIP;cause=200;text=\"Call completed elsewhere\""]), Some(26));
        assert_eq!(of(&["SIP;cause=486"]), Some(17));
    }

    #[test]
    fn what_is_no_cause_is_none() {
        for lines in
            [&[][..], &["Q.850"], &["Q.850;cause=0"], &["Q.850;cause=300"], &["SIP;cause=100"], &["X;cause=16"]]
        {
            assert_eq!(of(lines), None, "{lines:?}");
        }
    }
}
