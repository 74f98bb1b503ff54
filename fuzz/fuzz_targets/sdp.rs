//! A session description: what is written from it means the same, and any offer gets an answer that fits it.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use opentact_fuzz::{SDP, mutate};
use opentact_sip::sdp::{Capabilities, Direction, Local, Negotiator, Session, accept, answer};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(&SDP, 0, data, size, max_size, seed)
});

fuzz_target!(|octets: &[u8]| {
    let Ok(session) = Session::parse(octets) else { return };
    let written = session.to_string();
    let again = Session::parse(written.as_bytes()).expect("a description that was written");
    assert_eq!(again.to_string(), written);
    // Lines may change places, streams and attributes do not.
    for (again, media) in again.media.iter().zip(&session.media) {
        assert_eq!((&again.formats, &again.attributes), (&media.formats, &media.attributes));
    }
    assert_eq!(again.media.len(), session.media.len());

    let capabilities = Capabilities::default();
    let rtp = ([192, 0, 2, 1], 20_000).into();
    let local = Local { rtp, session_id: 1, version: 1, direction: Direction::SendRecv };
    if let Ok(answer) = answer(&session, &capabilities, &local) {
        assert_eq!(answer.session.media.len(), session.media.len());
        assert!(Session::parse(answer.session.to_string().as_bytes()).is_ok());
        let _ = accept(&session, &answer.session, &capabilities);
    }
    let mut negotiator = Negotiator::new(1, rtp, capabilities);
    negotiator.offer(Direction::SendRecv);
    let _ = negotiator.accept(&session);
    let _ = negotiator.answer(&session, Direction::SendOnly);
    negotiator.offer(Direction::Inactive);
});
