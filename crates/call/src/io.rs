//! What goes into a call and what comes out of it.

use std::time::Duration;

pub use opentact_callflow::{
    Destination as DialTarget, Document, HttpAnswer, HttpBody, HttpRequest, Listen, Method, Now, Record, RecordFormat,
    StepReport, Tone, Utterance, Variables, Voice,
};

use crate::leg::{CallType, LegId, LegSnapshot};
use crate::q850::Q850;
use crate::replacement::ReplacementStart;
use crate::transfer::TransferStart;

/// What happens to a call once it is there (inbound) or answered (outbound).
#[derive(Debug, Clone)]
pub enum Target {
    Flow(Document),
    /// Ask for the document; the call rings meanwhile. When none comes, `fallback` is asked, with `error` in its query, the
    /// reason; when it brings none either, the call ends
    /// with cause 41.
    Fetch {
        request: HttpRequest,
        fallback: Option<HttpRequest>,
    },
    /// Wait for [`Input::Run`]; without one the call ends with cause 16 (102 if it was not answered).
    Park {
        timeout: Duration,
    },
    /// Ring through: B's 180 and 183 go to A, A is answered when B answers, B's refusal is A's refusal.
    Bridge {
        dial: DialSpec,
    },
}

/// Whom to ring, all at once, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialSpec {
    /// 1..=20; what is over is not dialled.
    pub targets: Vec<DialTarget>,
    /// Caller shown; `None`: the origin's caller.
    pub from: Option<String>,
    pub timeout: Duration,
    /// Longest time joined.
    pub max_length: Option<Duration>,
    pub options: DialOptions,
    /// A sound for the caller in place of the ring-back tone, and of what the callee plays before it answers.
    pub ring_tone: Option<String>,
    /// Asked when one answers, for the document it goes through before it is joined; at a `<Hangup>` in it, or without a
    /// document, it is not. The query gets `callee` and `callee_call`, its address and uuid.
    pub confirm: Option<HttpRequest>,
}

impl DialSpec {
    /// As the origin's caller, for as long as they like, with nothing else said.
    pub fn new(targets: Vec<DialTarget>, timeout: Duration) -> DialSpec {
        let options = DialOptions::default();
        DialSpec { targets, from: None, timeout, max_length: None, options, ring_tone: None, confirm: None }
    }
}

/// How to reach a target, where the document says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialOptions {
    pub sip_connection: Option<String>,
    pub outbound_voice_profile: Option<String>,
}

/// A call that came to us. The engine has sent 100 and nothing else.
#[derive(Debug, Clone)]
pub struct InboundStart {
    pub leg: LegId,
    pub from: String,
    pub to: String,
    pub kind: CallType,
    pub target: Target,
    /// Answer before the target runs. Without it the first element that needs both directions answers.
    pub auto_answer: bool,
    /// Longest time from the answer to the end of the call; it ends with cause 16.
    pub max_length: Option<Duration>,
    pub variables: Variables,
}

/// A call to make.
#[derive(Debug, Clone)]
pub struct OutboundStart {
    pub leg: LegId,
    pub from: String,
    pub dial: DialTarget,
    pub options: DialOptions,
    /// How long the callee may ring.
    pub timeout: Duration,
    pub kind: CallType,
    /// Runs when answered.
    pub target: Target,
    pub max_length: Option<Duration>,
    /// Recorded from the answer to the end.
    pub record: Option<Record>,
    /// It is found out who has answered, a human or a machine.
    pub detection: Option<Detection>,
    pub variables: Variables,
}

/// When the target of a call runs whose callee is listened to; the verdict is its variable `amd` either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detection {
    /// Once it is known who has answered.
    Sync,
    /// At the answer.
    Async,
}

/// What happened. Ids that are no longer awaited are ignored.
#[derive(Debug, Clone)]
pub enum Input {
    Leg {
        leg: LegId,
        event: LegEvent,
    },
    /// A [`Output::Play`] ended. `Err` is the reason, for a person to read.
    Prompt {
        id: u64,
        result: Result<PromptEnd, String>,
    },
    Dtmf {
        leg: LegId,
        digit: char,
        duration_ms: u32,
    },
    Fetched {
        id: u64,
        result: Result<HttpAnswer, String>,
    },
    /// Of [`Output::Listen`]: somebody speaks; [`Input::Said`] follows.
    Speaking {
        id: u64,
    },
    /// Of [`Output::Listen`]: what was said, or why that is not known.
    Said {
        id: u64,
        result: Result<Utterance, String>,
    },
    /// A recording's file is closed.
    Recorded {
        id: u64,
        result: Result<Recording, String>,
    },
    /// Replaces what runs (`POST /rest/call/sca/{uuid}`).
    Run(Document),
    /// Ends a leg at the wish of the API; the origin's end is the call's end.
    Hangup {
        leg: LegId,
        cause: Q850,
    },
    /// Whom the group of an [`Output::Members`] has that can be rung; `Err` where there is nobody.
    Members {
        id: LegId,
        result: Result<Vec<DialTarget>, NoMembers>,
    },
    /// Dials somebody to whom a leg hands the one it is joined with (REFER).
    Transfer(TransferStart),
    /// Somebody has called to take the place of a leg (RFC 3891).
    Replace(ReplacementStart),
    /// Joins the partner of `by` with a leg of another call and hangs `by` up; the other call is told the same of its own.
    HandOver {
        by: LegId,
        with: LegId,
        /// This call tells of the bridge.
        tells: bool,
    },
    /// Joins a leg with one of another call, in place of what it does ([`crate::Call::may_join`]); the other call is told the
    /// same of its own.
    Join {
        leg: LegId,
        with: LegId,
        /// This call tells of the bridge.
        tells: bool,
    },
    /// Of [`Output::Detect`]: who has answered.
    Detected {
        answer: String,
    },
    /// Whom a leg was joined with, of another call, has left it: the leg ends ([`Output::Leave`]).
    Left {
        leg: LegId,
        cause: Q850,
    },
    /// [`crate::Call::deadline`] is reached.
    Tick,
}

/// Why a group has nobody to ring: what the answer of a single callee would have been, and the reason for a person to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoMembers {
    pub sip: u16,
    pub q850: Q850,
    pub reason: String,
}

/// How a prompt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptEnd {
    /// To its end.
    Completed,
    /// By [`Output::StopPlay`].
    Stopped,
}

/// A recording as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    pub duration_ms: u64,
    /// Samples per second.
    pub rate: u32,
    pub bytes: u64,
    pub ended_by: RecordingEnd,
    /// Why it does not hold everything.
    pub incomplete: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingEnd {
    /// [`Output::StopRecord`], or the leg ended.
    Stopped,
    /// Nobody spoke for `silence`.
    Silence,
    /// `max` is reached.
    Full,
    /// It could not be written further; `incomplete` says why.
    CutOff,
}

/// What became of a leg. After its end ([`LegEvent::Failed`], [`LegEvent::HungUp`], [`LegCommand::Hangup`] or
/// [`LegCommand::Reject`]) the engine closes its media and then gives [`LegEvent::Closed`] once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent {
    /// Outbound: 180.
    Ringing,
    /// Outbound: a provisional answer with media (183, or 180 with SDP).
    EarlyMedia,
    /// Outbound: 2xx. Inbound: the 200 of [`LegCommand::Answer`] is on its way or acknowledged.
    Answered,
    /// Outbound: a final answer other than 2xx, or none (408), or no way there (503).
    Failed { sip: u16, q850: Q850, reason: String },
    /// The other side ended it: BYE, CANCEL, or the dialog was lost.
    HungUp { q850: Q850 },
    /// Media is closed.
    Closed,
}

/// What to do on a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegCommand {
    /// Make this new leg. `timeout` is also kept by the call; the engine may use it for `Expires`.
    Dial { target: DialTarget, from: Option<String>, timeout: Duration, parent: Option<LegId>, options: DialOptions },
    /// 180.
    Ring,
    /// 183 with SDP: audio flows to the caller from now on.
    Progress,
    /// 200; [`LegEvent::Answered`] follows. Also without a [`LegCommand::Ring`] before.
    Answer,
    /// A final answer; the leg has ended.
    Reject { code: u16, cause: Q850, reason: Option<String> },
    /// BYE, CANCEL or a final answer, whichever fits; the leg has ended.
    Hangup { cause: Q850 },
    /// It hears us and we do not hear it (RFC 3264 8.4).
    Hold,
    /// Back from [`LegCommand::Hold`].
    Resume,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferProgress {
    Ringing,
    /// The third has answered and talks; the leg that has asked is hung up.
    Done,
    /// The two go on as they were. `sip` is why: the answer there was, or what stands for its lack.
    Failed {
        sip: u16,
    },
}

/// Something to hear.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    Say(Voice),
    Url(String),
    Tone(Tone),
    /// The recording made under this tag on this call.
    Recording {
        tag: String,
    },
}

/// What is to be done. Ids are unique within the call.
#[derive(Debug, Clone)]
pub enum Output {
    Leg {
        leg: LegId,
        command: LegCommand,
    },
    /// Whom a group of [`DialTarget::Group`] has. Answer with [`Input::Members`] once.
    Members {
        id: LegId,
        group: String,
    },
    /// Answer with [`Input::Prompt`] once, whether it ran to its end, was stopped or failed.
    Play {
        leg: LegId,
        id: u64,
        prompt: Prompt,
        /// 0: until stopped.
        loops: u32,
    },
    StopPlay {
        leg: LegId,
        id: u64,
    },
    /// Relay audio between the two.
    Bridge {
        a: LegId,
        b: LegId,
    },
    Unbridge {
        a: LegId,
        b: LegId,
    },
    /// Answer with [`Input::Recorded`] once its file is closed, also when it could not start.
    Record {
        leg: LegId,
        id: u64,
        record: Record,
    },
    StopRecord {
        leg: LegId,
        id: u64,
    },
    /// Hear what the leg says, once. Answer with [`Input::Speaking`] when it begins to speak and [`Input::Said`] when it is
    /// known what it has said, unless stopped.
    Listen {
        leg: LegId,
        id: u64,
        listen: Listen,
    },
    StopListen {
        id: u64,
    },
    /// Find out who has answered. Answer with [`Input::Detected`] once, unless the leg ends before.
    Detect {
        leg: LegId,
    },
    /// Answer with [`Input::Fetched`] once, unless dropped.
    Fetch {
        id: u64,
        request: HttpRequest,
    },
    DropFetch {
        id: u64,
    },
    /// The leg entered a state: a `call_state` event.
    State {
        leg: LegSnapshot,
    },
    /// An element ended: a `call_flow` event and a log row.
    Step {
        leg: LegId,
        report: StepReport,
    },
    /// A `call_bridge` event.
    Bridged {
        a: LegId,
        b: LegId,
    },
    Unbridged {
        a: LegId,
        b: LegId,
    },
    /// How a transfer goes that `by` has asked for; the last is `Done` or `Failed`. Nothing is told to one that has left.
    Transfer {
        by: LegId,
        progress: TransferProgress,
    },
    /// The partner of a leg of another call has left: that call is to be given [`Input::Left`].
    Leave {
        leg: LegId,
        cause: Q850,
    },
    /// A recording is on disk: a `call_record` event.
    Recorded {
        leg: LegId,
        id: u64,
        tag: Option<String>,
        recording: Recording,
    },
    /// Every leg is destroyed and nothing more comes: drop the call.
    Finished,
}
