//! `/metrics` of SIP messages. Labels are of bounded sets, so that no peer can fill the recorder.

use std::collections::HashMap;

use metrics::Counter;

use super::Direction;
use super::glance::{Glance, Start};

/// The counters met so far. To find one again by its labels' text costs more than the rest of a message's tracing.
#[derive(Default)]
pub(super) struct Counts {
    requests: HashMap<(Direction, &'static str), Counter>,
    responses: HashMap<(Direction, &'static str, u16), Counter>,
}

impl Counts {
    /// One more message.
    pub(super) fn count(&mut self, direction: Direction, glance: &Glance<'_>) {
        let way = direction.as_str();
        match glance.start {
            Start::Request { method } => {
                let method = known(method);
                let counter = self.requests.entry((direction, method)).or_insert_with(
                    || metrics::counter!("opentact_sip_requests_total", "direction" => way, "method" => method),
                );
                counter.increment(1);
            }
            Start::Response { code } => {
                let method = known(glance.method.unwrap_or_default());
                let counter = self.responses.entry((direction, method, code)).or_insert_with(|| {
                    let status = code.to_string();
                    metrics::counter!("opentact_sip_responses_total", "direction" => way, "method" => method, "status" => status)
                });
                counter.increment(1);
            }
        }
    }
}

/// A method as a label; methods are case-sensitive (RFC 3261 7.1).
fn known(method: &[u8]) -> &'static str {
    const METHODS: [&str; 14] = [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "REGISTER",
        "OPTIONS",
        "INFO",
        "PRACK",
        "UPDATE",
        "REFER",
        "NOTIFY",
        "SUBSCRIBE",
        "MESSAGE",
        "PUBLISH",
    ];
    METHODS.into_iter().find(|known| known.as_bytes() == method).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_nobody_knows_is_other() {
        assert_eq!(known(b"INVITE"), "INVITE");
        assert_eq!(known(b"invite"), "other");
        assert_eq!(known(b"X1"), "other");
    }
}
