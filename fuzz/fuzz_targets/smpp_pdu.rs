//! An SMPP stream at a bound SMSC: PDUs, user data headers, alphabets, receipts, and the session that reads them.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use opentact_messaging::Reassembler;
use opentact_messaging::smpp::pdu::{Deframer, Pdu};
use opentact_messaging::smpp::{Assembler, Config, Event, Input, Output, Receipt, Role, Session};

fuzz_target!(|octets: &[u8]| {
    let now = Instant::now();
    let mut deframer = Deframer::default();
    deframer.push(octets);
    let mut assembler = Assembler::new(Reassembler::new(4, Duration::from_secs(60)));
    while let Some(next) = deframer.next_frame() {
        let Ok(mut frame) = next else { continue };
        // Of a time of delivery it is only known that there was one: it is not written again.
        if let Pdu::Submit(message) | Pdu::Deliver(message) = &mut frame.pdu {
            message.scheduled = false;
        }
        // Nor is what a submit says of a receipt: SMPP 3.4 4.4.1 knows it of a delivery only.
        if let Pdu::Submit(message) = &mut frame.pdu {
            (message.receipted_message_id, message.message_state) = (None, None);
        }
        // What was read can be written, and then means the same. Not the status of a request: it has none.
        if let Ok(written) = frame.encode() {
            let mut again = Deframer::default();
            again.push(&written);
            match again.next_frame() {
                Some(Ok(again)) if frame.status.is_ok() => assert_eq!(again, frame),
                Some(Ok(_)) => {}
                other => panic!("{frame:?} was written as {other:?}"),
            }
        }
        if let Pdu::Submit(message) | Pdu::Deliver(message) | Pdu::Data(message) = &frame.pdu {
            let _ = assembler.push(now, message);
            if let Some(receipt) = Receipt::of(message) {
                let _ = Receipt::parse(&receipt.to_text());
            }
        }
    }

    let mut session = Session::new(now, Config::new(Role::Smsc { system_id: "fuzz".to_owned() }));
    for piece in octets.chunks(7) {
        session.handle(now, Input::Received(piece));
        while let Some(output) = session.poll() {
            match output {
                Output::Event(Event::Bind(_)) => session.handle(now, Input::AnswerBind(Ok(()))),
                Output::Event(Event::Message { sequence, .. }) => {
                    session.handle(now, Input::Answer { sequence, result: Ok("1".to_owned()) });
                }
                _ => {}
            }
        }
    }
    session.handle(now, Input::Disconnected);
    assert!(session.is_closed() && session.pending() == 0);
});
