//! What a leg can be told and what it tells. The only types a call needs to know of media.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use crate::clip::Clip;
pub use crate::codec::{Codec, OpusParams};
pub use crate::srtp::{MasterKey, SrtpKeys, Suite};
pub use crate::stats::LegStats;
pub use crate::tone::{ToneSpec, ToneStep};
pub use crate::transport::DtlsIdentity;

/// One leg of one process. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegKey(pub u64);

impl std::fmt::Display for LegKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One mix of one process. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MixKey(pub u64);

impl std::fmt::Display for MixKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who in a mix hears what a party says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audience {
    /// Everybody else.
    #[default]
    All,
    /// This one alone: a whisper.
    One(LegKey),
    /// Nobody: it only listens in.
    Nobody,
}

/// Marks of [`Command::Mark`] that wait at most.
pub const TAP_MARKS: usize = 256;

/// What offer and answer agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegParams {
    /// Where RTP goes, as the peer's SDP says. RTCP goes to the next port (RFC 3550 11).
    pub remote: SocketAddr,
    /// What is sent.
    pub codec: Codec,
    /// The payload type it is sent with, 0..=127.
    pub payload_type: u8,
    /// What may come, by payload type. RFC 3264 6.1: any codec of the answer, and each direction has numbers of its own.
    pub receive_codecs: Vec<(u8, Codec)>,
    /// How keys are told; `None`: they are sent as tones in the audio.
    pub dtmf: Option<EventFormat>,
    /// Keys are sent by signalling, and not listened for in the audio either: [`Event::SignalKey`].
    pub signals_keys: bool,
    /// Milliseconds of audio in one packet, 10..=60. Opus is sent in packets of 20.
    pub ptime_ms: u8,
    /// What the peer asks of Opus that is sent to it.
    pub opus: OpusParams,
    /// The peer wants to hear us (`sendrecv`, or `recvonly` from its side).
    pub send: bool,
    /// We want to hear the peer.
    pub receive: bool,
    pub security: Security,
    /// RTCP goes to where RTP goes, from the RTP socket (RFC 5761).
    pub rtcp_mux: bool,
    /// Video that goes on to the bridged leg as it comes, where that has it too.
    pub video: Option<VideoParams>,
}

/// What offer and answer agreed on for video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoParams {
    /// Where its RTP and its RTCP go, from sockets of its own; `None`: the way of the audio.
    pub remote: Option<(SocketAddr, SocketAddr)>,
    pub formats: Vec<VideoFormat>,
    pub send: bool,
    pub receive: bool,
}

/// A format that is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoFormat {
    /// The same for both legs of a bridge, where they mean the same.
    pub id: u64,
    /// It is sent and received with, 0..=127.
    pub payload_type: u8,
    pub receive_payload_type: u8,
}

/// How the packets are protected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    #[default]
    Plain,
    /// SRTP with keys that the session descriptions told (RFC 4568). What is not protected with them is not heard.
    Srtp(Arc<SrtpKeys>),
    /// SRTP with keys that a DTLS handshake on the RTP socket brings (RFC 5764). Nothing is sent or heard before.
    Dtls(Arc<DtlsParams>),
}

/// Who the peer of a handshake is, and how to get to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtlsParams {
    pub identity: DtlsIdentity,
    /// We begin.
    pub active: bool,
    /// Of the peer's certificate. Another one is nobody's.
    pub fingerprint: Fingerprint,
    /// `None`: the peer is where its description says, or where its packets come from.
    pub ice: Option<IceParams>,
}

/// The digest of a certificate (RFC 8122).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    pub hash: FingerprintHash,
    pub octets: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FingerprintHash {
    Sha256,
    Sha384,
    Sha512,
}

/// Both sides of ICE (RFC 8445).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceParams {
    pub local: IceCredentials,
    pub remote: IceCredentials,
    /// What the RTP socket is bound to.
    pub address: SocketAddr,
    /// The peer's, as `candidate:...` lines; the first 32 count.
    pub candidates: Vec<String>,
    /// We choose among the ways that are found.
    pub controlling: bool,
    /// We only answer the peer's checks.
    pub lite: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    pub ufrag: String,
    pub password: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// `telephone-event` as agreed on (RFC 4733).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFormat {
    pub payload_type: u8,
    pub receive_payload_type: u8,
    /// Units per second of durations, that of the audio's RTP clock as a rule (RFC 4733 2.1); a multiple of 8,000.
    pub clock_rate: u32,
}

impl EventFormat {
    /// One payload type both ways, on a clock of 8,000 units per second.
    pub const fn of(payload_type: u8) -> EventFormat {
        EventFormat { payload_type, receive_payload_type: payload_type, clock_rate: 8_000 }
    }
}

impl LegParams {
    /// PCMU as static payload type 0, telephone-event as 101, 20 ms, both ways.
    pub fn pcmu(remote: SocketAddr) -> LegParams {
        LegParams::of(remote, Codec::Pcmu)
    }

    /// One codec both ways with the payload type of our offers, telephone-event as 101, 20 ms.
    pub fn of(remote: SocketAddr, codec: Codec) -> LegParams {
        LegParams {
            remote,
            codec,
            payload_type: codec.payload_type(),
            receive_codecs: vec![(codec.payload_type(), codec)],
            dtmf: Some(EventFormat::of(101)),
            signals_keys: false,
            ptime_ms: 20,
            opus: OpusParams::default(),
            send: true,
            receive: true,
            security: Security::Plain,
            rtcp_mux: false,
            video: None,
        }
    }
}

/// What can be played.
#[derive(Debug, Clone)]
pub enum Source {
    /// Played by many legs, it is encoded once for each codec. Playing begins when enough of it is there.
    Clip(Arc<Clip>),
    Tone(ToneSpec),
    Silence {
        ms: u32,
    },
}

impl Source {
    /// Mono samples of `rate` per second, encoded where they are played.
    pub fn pcm(samples: impl Into<Arc<[i16]>>, rate: u32) -> Source {
        Source::Clip(Clip::of(samples, rate))
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    /// Begins, or goes on with other parameters after a re-INVITE; a new `remote` is latched anew.
    Start(LegParams),
    /// Plays `source` `loops` times (0: until stopped) in place of what is played now, which ends incomplete.
    Play {
        id: u64,
        source: Source,
        loops: u32,
    },
    /// Ends that play. Nothing when it is not the one being played.
    StopPlay {
        id: u64,
    },
    /// What is heard in place of the bridged leg, which has put this one on hold; `None`: that leg itself again. It ends
    /// with the bridge. What the leg plays goes before it.
    Music {
        source: Option<Source>,
    },
    /// Joins two legs, both ways; each leaves the leg it was joined to. Commanded to either of the two.
    /// What a leg plays itself goes before what comes from the other.
    Bridge {
        with: LegKey,
    },
    /// Parts both.
    Unbridge,
    /// Goes into a mix, and leaves the leg or the mix it was joined to. A mix begins with the first who joins it and
    /// ends with the last who leaves; beyond as many as are let in, further ones are told [`Event::MixFull`]. What a leg
    /// plays itself goes before what it hears of the mix. Keys stay with their leg.
    Join {
        mix: MixKey,
        audience: Audience,
    },
    /// Out of its mix.
    Leave,
    /// In its mix: who hears the party from now on.
    Speak {
        to: Audience,
    },
    /// In its mix: how loud the others hear the party, in decibels more or less than it is, -60..=20; 0 at first.
    Volume {
        db: f32,
    },
    /// In its mix: nobody hears the party while on.
    Mute {
        on: bool,
    },
    /// Sends back what it hears, keys excepted.
    Echo {
        on: bool,
    },
    /// Records into a file what the party says and hears. A leg records up to [`MAX_RECORDINGS`] files at once, one more
    /// fails. Before the first [`Command::Start`] it waits for that.
    Record(RecordOrder),
    StopRecord {
        id: u64,
    },
    /// Keys `0-9 * # A-D`; `w` or `,` waits 500 ms. Other characters are skipped. At most 128 wait to be sent.
    SendDtmf {
        digits: String,
        on_ms: u16,
        gap_ms: u16,
    },
    /// The party has pressed a key that signalling has told of: it goes on to the bridged leg.
    PassKey {
        digit: char,
    },
    /// Gives what the party says as samples, `rate` a second, 8,000, 16,000 or 24,000, at the pace of the leg: silence
    /// while the party says nothing ([`crate::leg::Output::Heard`]). Another tap takes the place of one before.
    Tap {
        rate: u32,
    },
    /// Ends the tap, and what it says.
    Untap,
    /// By the tap: says this, behind what it has said already. It goes before what comes from others and after what the
    /// leg plays. At most 60 s wait; of more [`Event::SaidTooMuch`] is told.
    Say {
        /// At the rate of the tap.
        samples: Arc<[i16]>,
    },
    /// By the tap: [`Event::Marked`] once what it has said so far is played by the clock of RTP.
    Mark {
        id: u64,
    },
    /// By the tap: nothing more of what it has said; the marks that wait are told as not played.
    Hush,
    /// Ways to the peer that it has found since [`Command::Start`], as `candidate:...` lines; of all the first 32 count.
    Candidates {
        lines: Vec<String>,
    },
    /// Ends the leg: RTCP BYE, recordings closed, [`Event::Closed`].
    Close,
}

/// Recordings of one leg at once.
pub const MAX_RECORDINGS: usize = 4;

/// A recording to be. It ends at `max_ms` of audio, after `silence_ms` without speech from the party, on
/// [`Command::StopRecord`] or with the leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordOrder {
    pub id: u64,
    pub path: PathBuf,
    pub format: RecordFormat,
    /// 1: both directions mixed; 2: what the party says left, what it hears right.
    pub channels: u8,
    /// Samples per second at least, 8,000 or 16,000; the codec in which the leg begins may ask for more.
    pub rate: u32,
    pub max_ms: Option<u32>,
    pub silence_ms: Option<u32>,
    /// A tone before it begins, itself not recorded.
    pub beep: bool,
}

impl RecordOrder {
    /// A mixed WAV file without limits.
    pub fn new(id: u64, path: impl Into<PathBuf>) -> RecordOrder {
        let format = RecordFormat::Wav;
        RecordOrder {
            id,
            path: path.into(),
            format,
            channels: 1,
            rate: 8_000,
            max_ms: None,
            silence_ms: None,
            beep: false,
        }
    }
}

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFormat {
    /// Linear 16 bits.
    Wav,
    /// MPEG audio layer III, 32 kbit/s a channel.
    Mp3,
}

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordEnd {
    /// [`Command::StopRecord`].
    Stopped,
    /// `max_ms` of audio.
    MaxLength,
    /// `silence_ms` without speech.
    Silence,
    /// The leg ended.
    Closed,
    /// The file could not be written, or not further; `error` says why.
    Failed,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The party pressed a key (RFC 4733). One event a press, when it is let go.
    Dtmf { digit: char, duration_ms: u32 },
    /// A key is to be sent by signalling.
    SignalKey { digit: char, duration_ms: u32 },
    /// All keys of [`Command::SendDtmf`] went out.
    DtmfSent,
    /// `completed`: played to its end; else stopped or replaced.
    PlayDone { id: u64, completed: bool },
    /// What was played has ended before its end: what came is not a whole prompt.
    PlayFailed { id: u64, reason: Arc<str> },
    /// The file is closed and readable. `duration_ms` of audio at `rate` samples per second, `bytes` of file. `error`: why
    /// it does not hold everything; it holds nothing where `duration_ms` is 0.
    RecordDone { id: u64, duration_ms: u64, rate: u32, bytes: u64, error: Option<String>, reason: RecordEnd },
    /// All that was said before that mark was sent and its time is over; or it was cut off, or more than [`TAP_MARKS`]
    /// waited.
    Marked { id: u64, played: bool },
    /// Samples that were dropped, as too much waits to be said.
    SaidTooMuch { samples: usize },
    /// It was to join a mix that has as many parties as it can have, and did not.
    MixFull { mix: MixKey },
    /// No RTP for the configured time, since the start or the last packet; told again each time it passes once more.
    Timeout,
    /// The last event of a leg.
    Closed(LegStats),
}
