//! What goes into a flow and what comes out of it.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::destination::Destination;
use crate::document::Document;
use crate::http::{HttpAnswer, HttpRequest};
use crate::report::StepReport;
use crate::say::Voice;
use crate::tone::Tone;

/// The present, on both clocks: one for deadlines, one for schedules and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    pub instant: Instant,
    pub utc: DateTime<Utc>,
}

/// What happened. A result whose operation is no longer awaited is ignored.
#[derive(Debug, Clone)]
pub enum Input {
    /// Runs a document; what runs ends.
    Run(Document),
    /// The call is joined with another: what runs ends, and nothing takes its place.
    Stop,
    /// The call is live.
    Answered,
    /// A key of the origin.
    Key(char),
    /// What became of the operation `op`.
    Result { op: u64, result: OpResult },
    /// The call is over: what runs ends, nothing runs after it.
    HungUp,
    /// [`crate::Machine::deadline`] is reached.
    Tick,
}

#[derive(Debug, Clone)]
pub enum OpResult {
    /// Of [`Output::Play`]: it ended, or why it could not play.
    Played(Result<(), String>),
    /// Of [`Output::Dial`] and [`Output::Unhold`]: somebody is joined. [`OpResult::Dialled`] follows.
    Joined,
    /// Of [`Output::Dial`] and [`Output::Unhold`].
    Dialled(DialEnd),
    /// Of [`Output::Hold`]: the other leg is on hold.
    Held,
    /// Of [`Output::Hold`] and [`Output::Unhold`]: there is no other leg, or it has left. Of [`Output::Dial`]: nobody can be
    /// dialled here.
    Alone(String),
    /// Of [`Output::Record`]: the file is stored, or why not.
    Recorded(Result<RecordEnd, String>),
    /// Of [`Output::Fetch`].
    Fetched(Result<HttpAnswer, String>),
    /// Of [`Output::Listen`]: somebody speaks. [`OpResult::Said`] follows.
    Speaking,
    /// Of [`Output::Listen`]: what was said, or why that is not known.
    Said(Result<Utterance, String>),
}

/// What somebody has said.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// Empty: it was no word.
    pub text: String,
    /// How sure the recogniser is, 0..=1, where it says so.
    pub confidence: Option<f32>,
}

/// How a dialling ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialEnd {
    /// They were joined and the dialled leg has hung up.
    HungUp,
    /// They were joined for `max_length`.
    Limit,
    /// Nobody answered: the cause of each destination by name (`USER_BUSY`), in order.
    Failed { causes: Vec<String> },
}

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordEnd {
    Stopped,
    Silence,
    Full,
}

/// What to do. Operation numbers are never used twice.
#[derive(Debug, Clone)]
pub enum Output {
    /// Answer the call; [`Input::Answered`] follows. Not asked of a live call.
    Answer,
    Play {
        op: u64,
        sound: Sound,
        leg: Leg,
        /// 0: until stopped.
        loops: u32,
    },
    StopPlay {
        op: u64,
    },
    Dial {
        op: u64,
        dial: Dial,
    },
    /// Hang up whom `op` rings or has joined.
    StopDial {
        op: u64,
    },
    Record {
        op: u64,
        record: Record,
    },
    StopRecord {
        op: u64,
    },
    /// Parts the call from the other leg, which is put on hold until [`Output::Unhold`] or the end of the flow.
    Hold {
        op: u64,
    },
    /// Joins the two again.
    Unhold {
        op: u64,
    },
    /// Hear what the origin says, once.
    Listen {
        op: u64,
        listen: Listen,
    },
    StopListen {
        op: u64,
    },
    Fetch {
        op: u64,
        request: HttpRequest,
    },
    DropFetch {
        op: u64,
    },
    /// Refuse a call that is not live. The flow has ended.
    Reject {
        /// SIP, 400..=699.
        code: u16,
    },
    /// The document is through, and so is the flow.
    End,
    /// End the call. The flow has ended.
    Hangup {
        /// Q.850, 1..=127.
        cause: u8,
        tag: Option<String>,
    },
    Step(StepReport),
}

/// Something to hear.
#[derive(Debug, Clone, PartialEq)]
pub enum Sound {
    Say(Voice),
    Url(String),
    Tone(Tone),
    /// The recording made under this tag.
    Recording(String),
}

/// What is listened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// BCP 47, `en-US`.
    pub lang: String,
    /// Words and phrases that may be said.
    pub hints: Vec<String>,
}

/// Who hears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    A,
    B,
    Both,
}

/// Whom to ring, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// 1..=20.
    pub targets: Vec<Destination>,
    pub from: Option<String>,
    pub timeout: Duration,
    /// One after another, each for `timeout`.
    pub sequential: bool,
    pub max_length: Option<Duration>,
    pub sip_connection: Option<String>,
    pub outbound_voice_profile: Option<String>,
    /// What the caller hears while they ring.
    pub ring_tone: Option<String>,
    /// For the document that whoever answers goes through before it is joined.
    pub confirm: Option<HttpRequest>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub tag: Option<String>,
    pub max: Option<Duration>,
    pub silence: Option<Duration>,
    pub beep: bool,
    /// 1: both sides mixed; 2: the leg left, what it hears right.
    pub channels: u8,
    pub format: RecordFormat,
    /// The language it is transcribed in, BCP 47; `None`: it is not.
    pub asr: Option<String>,
}

impl Record {
    /// Both sides apart in a WAV file, until it is stopped.
    pub fn background(tag: Option<String>) -> Record {
        Record { tag, max: None, silence: None, beep: false, channels: 2, format: RecordFormat::Wav, asr: None }
    }
}

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFormat {
    Wav,
    Mp3,
}

impl RecordFormat {
    pub const fn as_str(self) -> &'static str {
        match self {
            RecordFormat::Wav => "wav",
            RecordFormat::Mp3 => "mp3",
        }
    }
}
