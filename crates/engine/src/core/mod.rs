//! The core: the one owner of a shard's SIP user agent, registrar and calls. Everything that happens comes through its
//! inboxes and is handled to the end before the next, so nothing in here is locked.
//!
//! The invariant its parts keep: every leg the `call` machine knows is either in `legs`, or `LegEvent::Closed` has been
//! given for it.

mod amd;
mod asr;
mod bridge;
mod calls;
mod channels;
mod control;
mod credit;
pub(crate) mod described;
mod forwarding;
mod groups;
mod holding;
mod inbound;
mod leg;
mod media;
mod message;
mod negotiate;
mod open_ways;
mod outbound;
mod outside;
mod passing;
pub(crate) mod quality;
mod reason;
mod register;
mod replaces;
mod requests;
mod stats;
mod subscribe;
#[cfg(test)]
mod tests;
mod timers;
mod transfer;
mod trial;
mod trunks;
mod watched;

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use chrono::Utc;
use opentact_call::{DialTarget, Input as CallInput, LegId, Now};
use opentact_media::control::{Event as MediaEvent, LegKey};
use opentact_sip::flow::Flow;
use opentact_sip::registrar::Registrar;
use opentact_sip::sdp::SrtpPolicy;
use opentact_sip::ua::{self, Command, RequestId, SessionId, Ua};
use opentact_sip::uri::Uri;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::bindings::Desk;
use crate::control::ControlRequest;
use crate::engine::CodecOrder;
use crate::http::HttpClient;
use crate::journal::Journal;
use crate::media::MediaPool;
use crate::messages::Mailroom;
use crate::prompt::PromptLibrary;
use crate::recognition::Recognition;
use crate::recordings::Archive;
use crate::router::{Admission, DialFault, DialPlan, Newcomer, Referrer, Registration, Router};
use crate::trace::{Direction, Trace};
use crate::transport::{Inbound, Transports};

use self::calls::CallEntry;
use self::channels::Channels;
use self::described::Webrtc;
use self::leg::Leg;
pub(crate) use self::leg::new_leg;
pub(crate) use self::message::MessageStep;
use self::open_ways::OpenWays;
pub(crate) use self::outside::MediaFace;
pub(crate) use self::register::{Registered, restore};
pub(crate) use self::requests::ALLOW;
pub use self::stats::Stats;
pub use self::subscribe::SubscribeConfig;
use self::timers::Timers;
pub(crate) use self::trunks::Target;
pub use self::trunks::TrunkConfig;
use self::trunks::Trunks;

/// Inputs handled before the outputs of all of them are sent.
const BATCH: usize = 64;
/// What a refused call is told to wait, in seconds.
const RETRY_AFTER: u32 = 5;

/// Results of what the core had others do, and orders from the API.
pub(crate) enum Message {
    Admitted {
        session: SessionId,
        admission: Admission,
    },
    /// The same of one that is to take the place of a leg.
    Replacing {
        session: SessionId,
        admission: Result<Box<Newcomer>, Admission>,
    },
    Registered {
        id: RequestId,
        registration: Registration,
    },
    Dialled {
        leg: LegId,
        result: Result<Box<DialPlan>, DialFault>,
    },
    /// The members of a group and how they are dialled.
    Members {
        call: LegId,
        id: LegId,
        result: Result<Vec<(Uuid, DialTarget)>, DialFault>,
    },
    Call {
        call: LegId,
        input: CallInput,
    },
    PromptReady {
        call: LegId,
        leg: LegId,
        id: u64,
        loops: u32,
        source: Result<opentact_media::control::Source, String>,
    },
    /// Who has answered.
    Detected {
        call: LegId,
        leg: LegId,
        verdict: opentact_media::amd::Verdict,
    },
    /// What `held` may hear while `holder` does not want to.
    HoldMusic {
        holder: LegId,
        held: LegId,
        clip: Option<Arc<opentact_media::Clip>>,
    },
    Text(MessageStep),
    Watch(subscribe::WatchStep),
    /// The balance of this leg's account was read again.
    CreditLooked(LegId),
    /// The trunks that are to be watched from now on.
    Trunks(Vec<Target>),
    Control(ControlRequest),
}

/// Limits and settings of the core.
#[derive(Debug, Clone)]
pub(crate) struct CoreConfig {
    /// Calls (origin legs) at once; a further INVITE is answered 503.
    pub(crate) max_calls: usize,
    /// New calls are refused whose INVITE has waited longer.
    pub(crate) overload_delay: Duration,
    pub(crate) trunks: TrunkConfig,
    /// How often phones behind a NAT are asked, so that it keeps their way open; zero: never.
    pub(crate) phone_ping: Duration,
    pub(crate) codecs: CodecOrder,
    pub(crate) face: MediaFace,
    pub(crate) subscribe: SubscribeConfig,
    /// Whether audio is protected, where no trunk says otherwise.
    pub(crate) srtp: SrtpPolicy,
    pub(crate) webrtc: Webrtc,
}

/// What the core works with.
pub(crate) struct Drivers {
    pub(crate) transports: Arc<Transports>,
    pub(crate) media: MediaPool,
    pub(crate) router: Arc<Router>,
    pub(crate) prompts: PromptLibrary,
    pub(crate) recognition: Recognition,
    pub(crate) archive: Arc<Archive>,
    pub(crate) http: HttpClient,
    pub(crate) journal: Journal,
    /// Where changes of registrations are left to be written.
    pub(crate) bindings: Desk,
    /// What is kept of messages between SIP users.
    pub(crate) mailroom: Mailroom,
    /// For what takes longer than the core may.
    pub(crate) runtime: Handle,
}

/// The core's ears. All are bounded; who fills them says what happens at the limit.
pub(crate) struct Inboxes {
    pub(crate) sip: mpsc::Receiver<Inbound>,
    pub(crate) media: mpsc::Receiver<(LegKey, MediaEvent)>,
    pub(crate) messages: mpsc::Receiver<Message>,
}

/// What has come through one of them.
enum Arrival {
    Message(Message),
    Media(LegKey, MediaEvent),
    Sip(Inbound),
}

impl Inboxes {
    /// What has come already.
    fn next(&mut self) -> Option<Arrival> {
        if let Ok(message) = self.messages.try_recv() {
            return Some(Arrival::Message(message));
        }
        if let Ok((leg, event)) = self.media.try_recv() {
            return Some(Arrival::Media(leg, event));
        }
        self.sip.try_recv().ok().map(Arrival::Sip)
    }
}

pub(crate) struct Core {
    config: CoreConfig,
    drivers: Drivers,
    /// For the tasks that work for the core.
    own: mpsc::Sender<Message>,
    ua: Ua,
    registrar: Registrar,
    registered: Registered,
    calls: HashMap<LegId, CallEntry>,
    legs: HashMap<LegId, Leg>,
    sessions: HashMap<SessionId, LegId>,
    media_legs: HashMap<LegKey, LegId>,
    /// INVITEs whose routing is not decided yet.
    arriving: HashMap<SessionId, inbound::Arriving>,
    /// Routes of calls made by REST, found before the call was there.
    planned: HashMap<LegId, Box<DialPlan>>,
    registering: HashMap<RequestId, register::Registering>,
    trace: Trace,
    messages: message::Messages,
    /// Calls of trunks and profiles that have a limit.
    channels: Channels,
    subscriptions: subscribe::Subscriptions,
    /// REFERs whose outcome is not told yet, by the leg that has asked.
    referrals: HashMap<LegId, transfer::Referral>,
    /// Legs that are dialled for a transfer: on whose rights, and to whom.
    referred: HashMap<LegId, (Referrer, Uri)>,
    timers: Timers,
    /// When what is tried for a leg has had its time and the next is tried.
    trials: Timers,
    /// When a leg is told again that it is on hold, or is not.
    holds: Timers,
    /// When more of a balance must be held for a leg.
    credits: Timers,
    trunks: Trunks,
    open_ways: OpenWays,
    /// Inputs of calls that wait until the outputs before them are carried out.
    pending: VecDeque<(LegId, Option<CallInput>)>,
    settling: bool,
    /// What was asked for and known at once, in order; empty whenever something arrives.
    near: VecDeque<Message>,
    draining: bool,
    /// How long the SIP message at hand has waited to be handled.
    waited: Duration,
    /// Told when the last call has ended after a drain began.
    drained: Option<oneshot::Sender<()>>,
    /// Told when the last BYE is answered too.
    quiet: Option<oneshot::Sender<()>>,
}

impl Core {
    pub(crate) fn new(
        config: CoreConfig,
        drivers: Drivers,
        ua: Ua,
        registrar: Registrar,
        registered: Registered,
        own: mpsc::Sender<Message>,
        trace: Trace,
    ) -> Self {
        let open_ways =
            OpenWays::new(Instant::now(), Some(config.phone_ping).filter(|every| !every.is_zero()), &registrar);
        let trunks = Trunks::new(config.trunks.clone(), drivers.router.board().clone());
        Self {
            trace,
            config,
            drivers,
            own,
            ua,
            registrar,
            registered,
            calls: HashMap::new(),
            legs: HashMap::new(),
            sessions: HashMap::new(),
            media_legs: HashMap::new(),
            arriving: HashMap::new(),
            planned: HashMap::new(),
            registering: HashMap::new(),
            messages: message::Messages::default(),
            channels: Channels::default(),
            subscriptions: subscribe::Subscriptions::default(),
            referrals: HashMap::new(),
            referred: HashMap::new(),
            timers: Timers::default(),
            trials: Timers::default(),
            holds: Timers::default(),
            credits: Timers::default(),
            trunks,
            open_ways,
            pending: VecDeque::new(),
            settling: false,
            near: VecDeque::new(),
            draining: false,
            waited: Duration::ZERO,
            drained: None,
            quiet: None,
        }
    }

    /// Works until it is aborted.
    pub(crate) async fn run(mut self, mut inboxes: Inboxes) {
        loop {
            let deadline = self.deadline();
            let mut arrival = tokio::select! {
                biased;
                message = inboxes.messages.recv() => match message {
                    Some(message) => Some(Arrival::Message(message)),
                    None => return,
                },
                Some((leg, event)) = inboxes.media.recv() => Some(Arrival::Media(leg, event)),
                Some(inbound) = inboxes.sip.recv() => Some(Arrival::Sip(inbound)),
                () = sleep_until(deadline) => None,
            };
            // One wake-up takes what else has come, so that a busy core does not pay for the scheduler per message.
            for _ in 0..BATCH {
                let Some(arrived) = arrival.take().or_else(|| inboxes.next()) else { break };
                self.survive(|core| core.on_arrival(arrived));
                self.take_up_near();
            }
            self.survive(Self::on_time);
            self.take_up_near();
            self.tell_drained();
        }
    }

    fn take_up_near(&mut self) {
        while let Some(message) = self.near.pop_front() {
            self.survive(|core| core.on_message(message));
        }
    }

    fn on_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Message(message) => self.on_message(message),
            Arrival::Media(leg, event) => self.on_media(leg, event),
            Arrival::Sip(inbound) => self.on_sip(inbound),
        }
    }

    /// A fault in the handling of one message costs that message, not every call of the node.
    fn survive(&mut self, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            metrics::counter!("opentact_core_panics_total").increment(1);
            tracing::error!("the core panicked over one message and goes on without it");
            self.settling = false;
        }
    }

    fn now() -> Now {
        Now { instant: Instant::now(), utc: Utc::now() }
    }

    fn deadline(&self) -> Option<Instant> {
        [
            self.ua.deadline(),
            self.registrar.deadline(),
            self.timers.first(),
            self.trials.first(),
            self.holds.first(),
            self.credits.first(),
            self.trunks.deadline(),
            self.open_ways.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        if self.ua.deadline().is_some_and(|at| at <= now) {
            self.ua.handle(now, ua::Input::Tick);
        }
        if self.registrar.deadline().is_some_and(|at| at <= now) {
            self.expire_bindings(now);
        }
        if self.trunks.deadline().is_some_and(|at| at <= now) {
            self.trunks_on_time(now);
        }
        if self.open_ways.deadline().is_some_and(|at| at <= now) {
            self.keep_ways_open(now);
        }
        for leg in self.trials.take_due(now) {
            self.pass_over(leg);
        }
        for leg in self.holds.take_due(now) {
            self.tell_hold(leg);
        }
        for leg in self.credits.take_due(now) {
            self.on_credit_due(leg);
        }
        for call in self.timers.take_due(now) {
            self.tell_call(call, CallInput::Tick);
        }
        self.drain_ua();
    }

    fn on_sip(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Message { bytes, flow, at } => {
                let now = Instant::now();
                self.waited = now.duration_since(at);
                self.trace.record(Utc::now(), Direction::In, flow, bytes.clone());
                self.ua.handle(now, ua::Input::Received { message: bytes, flow });
            }
            Inbound::Failed { flow } => self.on_flow_failed(flow),
        }
        self.drain_ua();
    }

    fn on_flow_failed(&mut self, flow: Flow) {
        self.registrar.forget_flow(&flow);
        self.drain_registrar();
        self.ua.handle(Instant::now(), ua::Input::TransportFailed { flow });
    }

    fn command(&mut self, mut command: Command) {
        self.show_outside(&mut command);
        self.ua.handle(Instant::now(), ua::Input::Command(command));
    }

    /// Sends what the user agent wants sent and deals with what it tells, until it is silent.
    fn drain_ua(&mut self) {
        while let Some(output) = self.ua.poll() {
            match output {
                ua::Output::Transmit { flow, bytes } => {
                    self.trace.record(Utc::now(), Direction::Out, flow, bytes.clone());
                    if !self.drivers.transports.send(flow, bytes) {
                        self.on_flow_failed(flow);
                    }
                }
                ua::Output::Event(event) => self.on_event(event),
            }
        }
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Admitted { session, admission } => self.on_admitted(session, admission),
            Message::Replacing { session, admission } => self.on_replacing(session, admission),
            Message::Registered { id, registration } => self.on_registered(id, registration),
            Message::Dialled { leg, result } => self.on_dialled(leg, result),
            Message::Members { call, id, result } => self.on_members(call, id, result),
            Message::Call { call, input } => self.tell_call(call, input),
            Message::HoldMusic { holder, held, clip } => self.on_hold_music(holder, held, clip),
            Message::PromptReady { call, leg, id, loops, source } => self.on_prompt_ready(call, leg, id, loops, source),
            Message::Detected { call, leg, verdict } => self.on_detected(call, leg, &verdict),
            Message::Text(step) => self.on_message_step(step),
            Message::Watch(step) => self.on_watch_step(step),
            Message::CreditLooked(leg) => self.on_credit_looked(leg),
            Message::Trunks(targets) => self.on_trunks(targets),
            Message::Control(request) => self.on_control(request),
        }
        self.drain_ua();
    }

    fn on_event(&mut self, event: ua::Event) {
        use ua::Event;
        match event {
            Event::Invite { session, request, flow } => self.on_invite(session, request, flow),
            Event::Acked { session, request } | Event::Pracked { session, request } => self.on_acked(session, &request),
            Event::Cancelled { session, request } => self.on_cancelled(session, &request),
            Event::Progress { session, response } => self.on_progress(session, &response),
            Event::Answered { session, response } => self.on_answered(session, &response),
            Event::Failed { session, code, response } => self.on_failed(session, code, response.as_ref()),
            Event::Reinvite { session, request } => self.on_reinvite(session, &request),
            Event::ReinviteAnswered { session, response } => self.on_refreshed(session, &response),
            Event::ReinviteFailed { session, code, .. } => self.on_hold_failed(session, code),
            Event::Bye { session, request } => self.on_bye(session, &request),
            Event::Ended { session, code } => self.on_session_ended(session, code),
            Event::InDialog { session, id, request } => self.on_in_dialog(session, id, &request),
            Event::Request { id, request, flow } => self.on_request(id, request, flow),
            Event::NotifyDue { subscription } => self.on_notify_due(subscription),
            Event::SubscriptionRefreshed { subscription } => self.on_subscription_refreshed(subscription),
            Event::SubscriptionEnded { subscription } => self.on_subscription_ended(subscription),
            Event::Response { id, response } => self.on_response(id, response.code(), Some(&response)),
            Event::RequestFailed { id, code } => self.on_response(id, code, None),
            Event::Unreadable { flow } => self.drivers.transports.malformed(&flow),
        }
    }

    /// Does `work` beside the core and brings its result back as a message.
    fn spawn(&self, work: impl Future<Output = Message> + Send + 'static) -> AbortHandle {
        self.drivers.runtime.spawn(bring(self.own.clone(), work)).abort_handle()
    }

    /// The same for what is decided at once as a rule, because all it asks for is in memory: it is then taken up right
    /// after what has asked for it, and no task is made. What has to wait goes on beside the core.
    fn spawn_near(&mut self, work: impl Future<Output = Message> + Send + 'static) {
        let mut work = Box::pin(work);
        // The task below asks again, so nothing that happens in between is missed.
        match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(message) => self.near.push_back(message),
            Poll::Pending => drop(tokio::spawn(bring(self.own.clone(), work))),
        }
    }
}

async fn bring(own: mpsc::Sender<Message>, work: impl Future<Output = Message>) {
    let message = work.await;
    // The core gone means the node is stopping: nobody waits for the result.
    let _ = own.send(message).await;
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
