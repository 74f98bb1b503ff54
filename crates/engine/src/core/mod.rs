//! The core: the one owner of a shard's SIP user agent, registrar and calls. Everything that happens comes through its
//! inboxes and is handled to the end before the next, so nothing in here is locked.
//!
//! The invariant its parts keep: every leg the `call` machine knows is either in `legs`, or `LegEvent::Closed` has been
//! given for it.

mod calls;
mod control;
mod inbound;
mod leg;
mod media;
mod negotiate;
mod outbound;
mod reason;
mod register;
mod requests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use opentact_call::{Input as CallInput, LegId, Now};
use opentact_media::control::{Event as MediaEvent, LegKey};
use opentact_sip::registrar::Registrar;
use opentact_sip::ua::{self, Command, RequestId, SessionId, Ua};
use tokio::sync::{mpsc, oneshot};

use crate::control::ControlRequest;
use crate::http::HttpClient;
use crate::journal::Journal;
use crate::media::MediaPool;
use crate::prompt::AudioLibrary;
use crate::router::{Admission, DialFault, DialPlan, Registration, Router};
use crate::speech::Speech;
use crate::transport::{Inbound, Transports};

use self::calls::CallEntry;
use self::leg::Leg;
pub(crate) use self::requests::ALLOW;

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
    Registered {
        id: RequestId,
        registration: Registration,
    },
    Dialled {
        leg: LegId,
        result: Result<Box<DialPlan>, DialFault>,
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
    Control(ControlRequest),
}

/// Limits and settings of the core.
#[derive(Debug, Clone)]
pub(crate) struct CoreConfig {
    /// Calls (origin legs) at once; a further INVITE is answered 503.
    pub(crate) max_calls: usize,
    pub(crate) recordings: PathBuf,
}

/// What the core works with.
pub(crate) struct Drivers {
    pub(crate) transports: Arc<Transports>,
    pub(crate) media: MediaPool,
    pub(crate) router: Arc<Router>,
    pub(crate) speech: Arc<dyn Speech>,
    pub(crate) audio: AudioLibrary,
    pub(crate) http: HttpClient,
    pub(crate) journal: Journal,
}

/// The core's ears. All are bounded; who fills them says what happens at the limit.
pub(crate) struct Inboxes {
    pub(crate) sip: mpsc::Receiver<Inbound>,
    pub(crate) media: mpsc::Receiver<(LegKey, MediaEvent)>,
    pub(crate) messages: mpsc::Receiver<Message>,
}

pub(crate) struct Core {
    config: CoreConfig,
    drivers: Drivers,
    /// For the tasks that work for the core.
    own: mpsc::Sender<Message>,
    ua: Ua,
    registrar: Registrar,
    registered: HashMap<uuid::Uuid, String>,
    calls: HashMap<LegId, CallEntry>,
    legs: HashMap<LegId, Leg>,
    sessions: HashMap<SessionId, LegId>,
    media_legs: HashMap<LegKey, LegId>,
    /// INVITEs whose routing is not decided yet.
    arriving: HashMap<SessionId, inbound::Arriving>,
    /// Routes of calls made by REST, found before the call was there.
    planned: HashMap<LegId, Box<DialPlan>>,
    registering: HashMap<RequestId, register::Registering>,
    timers: BinaryHeap<Reverse<(Instant, LegId)>>,
    /// Inputs of calls that wait until the outputs before them are carried out.
    pending: VecDeque<(LegId, Option<CallInput>)>,
    settling: bool,
    draining: bool,
    /// Told when the last call has ended after a drain began.
    drained: Option<oneshot::Sender<()>>,
}

impl Core {
    pub(crate) fn new(
        config: CoreConfig,
        drivers: Drivers,
        ua: Ua,
        registrar: Registrar,
        own: mpsc::Sender<Message>,
    ) -> Self {
        Self {
            config,
            drivers,
            own,
            ua,
            registrar,
            registered: HashMap::new(),
            calls: HashMap::new(),
            legs: HashMap::new(),
            sessions: HashMap::new(),
            media_legs: HashMap::new(),
            arriving: HashMap::new(),
            planned: HashMap::new(),
            registering: HashMap::new(),
            timers: BinaryHeap::new(),
            pending: VecDeque::new(),
            settling: false,
            draining: false,
            drained: None,
        }
    }

    /// Works until it is aborted.
    pub(crate) async fn run(mut self, mut inboxes: Inboxes) {
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                message = inboxes.messages.recv() => match message {
                    Some(message) => self.on_message(message),
                    None => return,
                },
                Some((leg, event)) = inboxes.media.recv() => self.on_media(leg, event),
                Some(inbound) = inboxes.sip.recv() => self.on_sip(inbound),
                () = sleep_until(deadline) => {}
            }
            // One wake-up takes what else has come, so that a busy core does not pay for the scheduler per message.
            for _ in 0..BATCH {
                if let Ok(message) = inboxes.messages.try_recv() {
                    self.on_message(message);
                } else if let Ok((leg, event)) = inboxes.media.try_recv() {
                    self.on_media(leg, event);
                } else if let Ok(inbound) = inboxes.sip.try_recv() {
                    self.on_sip(inbound);
                } else {
                    break;
                }
            }
            self.on_time();
        }
    }

    fn now() -> Now {
        Now { instant: Instant::now(), utc: Utc::now() }
    }

    fn deadline(&self) -> Option<Instant> {
        let call = self.timers.peek().map(|Reverse((at, _))| *at);
        [self.ua.deadline(), self.registrar.deadline(), call].into_iter().flatten().min()
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        if self.ua.deadline().is_some_and(|at| at <= now) {
            self.ua.handle(now, ua::Input::Tick);
            self.drain_ua();
        }
        if self.registrar.deadline().is_some_and(|at| at <= now) {
            self.expire_bindings(now);
        }
        while let Some(Reverse((at, call))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            // A timer outlives the deadline it was set for; the machine knows whether it is meant.
            if self.calls.get(&call).is_some_and(|entry| entry.call.deadline().is_some_and(|deadline| deadline <= now))
            {
                self.tell_call(call, CallInput::Tick);
            }
        }
    }

    fn on_sip(&mut self, inbound: Inbound) {
        let input = match inbound {
            Inbound::Message { bytes, flow } => ua::Input::Received { message: bytes, flow },
            Inbound::Failed { flow } => {
                self.registrar.forget_flow(&flow);
                self.drain_registrar();
                ua::Input::TransportFailed { flow }
            }
        };
        self.ua.handle(Instant::now(), input);
        self.drain_ua();
    }

    fn command(&mut self, command: Command) {
        self.ua.handle(Instant::now(), ua::Input::Command(command));
    }

    /// Sends what the user agent wants sent and deals with what it tells, until it is silent.
    fn drain_ua(&mut self) {
        while let Some(output) = self.ua.poll() {
            match output {
                ua::Output::Transmit { flow, bytes } => self.drivers.transports.send(flow, bytes),
                ua::Output::Event(event) => self.on_event(event),
            }
        }
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Admitted { session, admission } => self.on_admitted(session, admission),
            Message::Registered { id, registration } => self.on_registered(id, registration),
            Message::Dialled { leg, result } => self.on_dialled(leg, result),
            Message::Call { call, input } => self.tell_call(call, input),
            Message::PromptReady { call, leg, id, loops, source } => self.on_prompt_ready(call, leg, id, loops, source),
            Message::Control(request) => self.on_control(request),
        }
        self.drain_ua();
    }

    fn on_event(&mut self, event: ua::Event) {
        use ua::Event;
        match event {
            Event::Invite { session, request, flow } => self.on_invite(session, request, flow),
            Event::Acked { session, request } => self.on_acked(session, &request),
            Event::Cancelled { session, request } => self.on_cancelled(session, &request),
            Event::Progress { session, response } => self.on_progress(session, &response),
            Event::Answered { session, response } => self.on_answered(session, &response),
            Event::Failed { session, code, response } => self.on_failed(session, code, response.as_ref()),
            Event::Reinvite { session, request } => self.on_reinvite(session, &request),
            Event::ReinviteAnswered { .. } | Event::ReinviteFailed { .. } => {}
            Event::Bye { session, request } => self.on_bye(session, &request),
            Event::Ended { session, code } => self.on_session_ended(session, code),
            Event::InDialog { session, id, request } => self.on_in_dialog(session, id, &request),
            Event::Request { id, request, flow } => self.on_request(id, request, flow),
            Event::Response { .. } | Event::RequestFailed { .. } => {}
        }
    }

    /// Does `work` beside the core and brings its result back as a message.
    fn spawn(&self, work: impl Future<Output = Message> + Send + 'static) -> tokio::task::AbortHandle {
        let own = self.own.clone();
        tokio::spawn(async move {
            let message = work.await;
            // The core gone means the node is stopping: nobody waits for the result.
            let _ = own.send(message).await;
        })
        .abort_handle()
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
