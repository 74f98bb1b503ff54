//! A TCP stream: what comes out does not depend on how it was cut, and is bounded.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use opentact_fuzz::{SIP, mutate};
use opentact_sip::message::{Frame, FrameError, StreamFramer};

const LIMIT: usize = 4_096;

fn frames<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Result<Frame, FrameError>> {
    let mut framer = StreamFramer::new(LIMIT);
    let mut frames = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        while let Some(frame) = framer.next() {
            if let Ok(Frame::Message(message)) = &frame {
                assert!(message.len() <= LIMIT);
            }
            let failed = frame.is_err();
            frames.push(frame);
            if failed {
                return frames;
            }
        }
        assert!(framer.pending() <= LIMIT + chunk.len());
    }
    frames
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(&SIP, 1, data, size, max_size, seed)
});

fuzz_target!(|octets: &[u8]| {
    let Some((&size, stream)) = octets.split_first() else { return };
    let messages = |frames: Vec<Result<Frame, FrameError>>| -> Vec<_> {
        frames.into_iter().filter(|frame| matches!(frame, Ok(Frame::Message(_)))).collect()
    };
    let whole = messages(frames(std::iter::once(stream)));
    let cut = messages(frames(stream.chunks(usize::from(size) + 1)));
    assert_eq!(whole, cut);
});
