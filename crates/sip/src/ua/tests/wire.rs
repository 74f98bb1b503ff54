//! The messages as they stand on the wire.

use super::*;

/// Random parts replaced, one message after the other.
fn shown(messages: &[Message]) -> String {
    let mut text = String::new();
    for message in messages {
        let octets = String::from_utf8_lossy(message.bytes()).replace("\r\n", "\n");
        text.push_str(octets.trim_end());
        text.push_str("\n----\n");
    }
    for (mark, with, digits) in [("z9hG4bK", "<branch>", 24), ("tag=", "<tag>", 16)] {
        let mut masked = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(mark) {
            let end = at + mark.len();
            masked.push_str(&rest[..end]);
            masked.push_str(with);
            rest = &rest[end + digits..];
        }
        masked.push_str(rest);
        text = masked;
    }
    text
}

#[test]
fn messages_of_a_call() {
    let mut line = Line::new();
    let (a, _) = line.connect();
    line.bye(A, a);
    line.settle();
    insta::assert_snapshot!("caller", shown(&line.a.sent));
    insta::assert_snapshot!("callee", shown(&line.b.sent));
}

#[test]
fn messages_of_a_cancelled_call() {
    let mut line = Line::new();
    let (a, _) = line.ring();
    let headers = vec![("Reason".into(), "SIP;cause=200;text=\"Call completed elsewhere\"".into())];
    line.command(A, Command::Cancel { session: a, headers });
    line.settle();
    insta::assert_snapshot!("cancelled_caller", shown(&line.a.sent[1..]));
    insta::assert_snapshot!("cancelled_callee", shown(&line.b.sent[2..]));
}
