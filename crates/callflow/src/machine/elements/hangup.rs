//! `<Hangup>` and `<Reject>`.

use super::{Cut, Cx, Flow, Run};
use crate::language::Name;

#[derive(Debug)]
pub(super) struct Hangup;

/// RFC 3261 21.4.24 Busy Here, 21.6.2 Decline.
const BUSY_HERE: u16 = 486;
const DECLINE: u16 = 603;

impl Run for Hangup {
    fn start(&mut self, cx: &mut Cx<'_>) -> Flow {
        if cx.node.name == Some(Name::Reject) {
            if cx.live {
                return Flow::fail("Call is already answered");
            }
            let by_reason = if cx.args.word("reason") == Some("busy") { BUSY_HERE } else { DECLINE };
            let code = cx.args.number("code").and_then(|code| u16::try_from(code).ok());
            return Flow::Reject { code: code.unwrap_or(by_reason) };
        }
        let cause = cx.args.number("cause").and_then(|cause| u8::try_from(cause).ok()).unwrap_or(super::super::NORMAL);
        Flow::Hangup { cause, tag: cx.args.text("tag").map(Into::into) }
    }

    fn cut(&mut self, _cx: &mut Cx<'_>, cut: Cut) -> bool {
        cut.is_success()
    }
}
