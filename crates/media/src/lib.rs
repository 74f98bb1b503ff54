//! Audio of a call, without a thread, a socket or a clock: RTP and RTCP, in the clear or as SRTP, codecs, telephone
//! events, tones, prompts and the files they come from,
//! recordings, the [`leg::Leg`] that joins them, and the [`mixer::Mixer`] that joins legs.
//!
//! Not here: who owns the sockets and wakes a leg (`engine::media`), SIP and SDP (`sip`), what a call plays (`call`).
//!
//! The invariant the caller keeps: after every [`leg::Leg::handle`] drain [`leg::Leg::poll`] to `None`, hand every
//! [`leg::Output::Relay`] to the bridged leg or the mix, give what [`leg::Leg::needs`] asks for of it, and call `handle` with [`leg::Input::Tick`] once
//! [`leg::Leg::deadline`] is reached. Time only moves forward.

pub mod amd;
pub mod clip;
pub mod codec;
pub mod conceal;
pub mod control;
pub mod dtmf;
pub mod file;
pub mod jitter;
pub mod leg;
pub mod mixer;
pub mod mp3;
pub mod prompt;
pub mod quality;
pub mod recorder;
pub mod relay;
pub mod resample;
pub mod rtcp;
pub mod rtp;
pub mod srtp;
pub mod stats;
pub mod telephone_event;
pub mod tone;
mod transport;
pub mod utterance;
mod voice;
pub mod wav;

pub use clip::Clip;
pub use codec::Codec;
pub use control::{
    Audience, Command, Event, EventFormat, LegKey, LegParams, MixKey, RecordEnd, RecordFormat, RecordOrder, Security,
    Source,
};
pub use leg::{Leg, LegConfig};
pub use mixer::Mixer;
pub use stats::LegStats;
pub use tone::{ToneSpec, ToneStep};
