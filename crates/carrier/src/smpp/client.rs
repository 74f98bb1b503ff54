//! The ESME: keeps a transceiver bound to an SMSC and hands messages over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use opentact_engine::ports::{CarrierMessage, CarrierSubmit, MessageCarrier, ReceiptState, Submission};
use opentact_messaging::reassembly::Reassembler;
use opentact_messaging::segment::{Segment, Segmented, segment};
use opentact_messaging::smpp::{
    Address, Assembled, Assembler, Bind, BindKind, CloseReason, Config, Event, Failure, Input, MessageState, Outcome,
    Receipt, Role, ShortMessage, Status,
};
use parking_lot::Mutex;
use rand::Rng;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::link::Link;
use super::partial::{Partials, SegmentReceipts};

/// Messages whose segments are not all in yet, at most.
const REASSEMBLY_LIMIT: usize = 1_000;
const REASSEMBLY_PATIENCE: Duration = Duration::from_secs(600);
/// What waits for the session's task. The session's own queue is behind it.
const COMMANDS: usize = 256;
/// When to ask again for a message whose answer was lost with the link.
const AFTER_UNANSWERED: Duration = Duration::from_secs(5);
const AFTER_THROTTLED: Duration = Duration::from_secs(10);
const AFTER_QUEUE_FULL: Duration = Duration::from_secs(1);

/// An SMSC and how to bind to it.
#[derive(Debug, Clone)]
pub struct SmppConfig {
    /// The carrier's name in logs and on messages.
    pub name: &'static str,
    /// `host:port`; resolved at each connect.
    pub address: String,
    /// At most 15 ASCII characters.
    pub system_id: String,
    /// At most 8 ASCII characters.
    pub password: String,
    /// At most 12 ASCII characters.
    pub system_type: String,
    /// submit_sm that may wait for their answers at once, 1..=1000.
    pub window: usize,
    /// submit_sm that may wait for the window; more are put off.
    pub queue: usize,
    pub response_timeout: Duration,
    pub enquire_link: Duration,
    /// Pause after the first ESME_RTHROTTLED; doubles.
    pub throttle_pause: Duration,
    /// Pause before the second attempt to connect; doubles up to `reconnect_max`, with jitter.
    pub reconnect_pause: Duration,
    pub reconnect_max: Duration,
    /// Replace typographic characters where that makes a text fit GSM 03.38.
    pub smart_encoding: bool,
}

impl SmppConfig {
    pub fn new(name: &'static str, address: impl Into<String>, system_id: &str, password: &str) -> SmppConfig {
        SmppConfig {
            name,
            address: address.into(),
            system_id: system_id.to_owned(),
            password: password.to_owned(),
            system_type: String::new(),
            window: 10,
            queue: 1_000,
            response_timeout: Duration::from_secs(10),
            enquire_link: Duration::from_secs(30),
            throttle_pause: Duration::from_millis(250),
            reconnect_pause: Duration::from_millis(250),
            reconnect_max: Duration::from_secs(30),
            smart_encoding: true,
        }
    }

    fn session(&self) -> Config {
        let mut config = Config::new(Role::Esme(Bind {
            kind: BindKind::Transceiver,
            system_id: self.system_id.clone(),
            password: self.password.clone(),
            system_type: self.system_type.clone(),
        }));
        config.window = self.window;
        config.queue = self.queue;
        config.response_timeout = self.response_timeout;
        config.enquire_link = self.enquire_link;
        config.throttle_pause = self.throttle_pause;
        config
    }
}

/// Something the SMSC tells. It is acknowledged to the SMSC only after `taken` is sent `true`, so whoever takes it
/// makes it durable first; `false` or a drop asks the SMSC to come again.
#[derive(Debug)]
pub struct Incoming {
    pub message: CarrierMessage,
    pub taken: oneshot::Sender<bool>,
}

struct Command {
    message: ShortMessage,
    outcome: oneshot::Sender<Outcome>,
}

/// A message carrier behind SMPP 3.4. One transceiver session; comes back after every loss of the link.
///
/// Receipts: the last segment asks for one always and is what [`Submission::Accepted`] names; the others ask for one
/// on failure only, and theirs are told under the same reference as long as this process remembers them.
pub struct SmppCarrier {
    config: SmppConfig,
    commands: mpsc::Sender<Command>,
    bound: watch::Receiver<bool>,
    partials: Mutex<Partials>,
    receipts: Arc<Mutex<SegmentReceipts>>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl SmppCarrier {
    /// Begins to connect. What the SMSC tells goes to `incoming`; when that is full, the SMSC is asked to wait.
    pub fn start(config: SmppConfig, incoming: mpsc::Sender<Incoming>) -> Arc<SmppCarrier> {
        let (commands, commanded) = mpsc::channel(COMMANDS);
        let (is_bound, bound) = watch::channel(false);
        let stop = CancellationToken::new();
        let receipts = Arc::new(Mutex::new(SegmentReceipts::default()));
        let client = Client {
            config: config.clone(),
            commands: commanded,
            incoming,
            bound: is_bound,
            receipts: receipts.clone(),
            assembler: Assembler::new(Reassembler::new(REASSEMBLY_LIMIT, REASSEMBLY_PATIENCE)),
            stop: stop.clone(),
        };
        let task = tokio::spawn(client.run());
        let partials = Mutex::new(Partials::default());
        Arc::new(SmppCarrier { config, commands, bound, partials, receipts, stop, task: Mutex::new(Some(task)) })
    }

    /// Whether the session is bound; changes are seen by waiting on the receiver.
    pub fn bound(&self) -> watch::Receiver<bool> {
        self.bound.clone()
    }

    /// Lets what is under way be answered, unbinds and ends. Later submissions are put off.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            warn!(carrier = self.config.name, %error, "SMPP session task died");
        }
    }

    async fn hand_over(&self, message: ShortMessage) -> Outcome {
        let (outcome, answer) = oneshot::channel();
        match self.commands.try_send(Command { message, outcome }) {
            Ok(()) => answer.await.unwrap_or(Outcome::Failed(Failure::Unanswered)),
            Err(mpsc::error::TrySendError::Full(_)) => Outcome::Failed(Failure::QueueFull),
            Err(mpsc::error::TrySendError::Closed(_)) => Outcome::Failed(Failure::NotSent),
        }
    }
}

#[async_trait]
impl MessageCarrier for SmppCarrier {
    fn name(&self) -> &'static str {
        self.config.name
    }

    async fn submit(&self, message: CarrierSubmit) -> Submission {
        let cut = match segment(&message.text, self.config.smart_encoding) {
            Ok(cut) => cut,
            Err(too_long) => return Submission::Refused { reason: too_long.to_string() },
        };
        // Segments the SMSC took in an earlier attempt are not sent again.
        let mut accepted = self.partials.lock().take(message.id, cut.segments.len());
        let missing = cut.segments.iter().zip(&mut accepted).filter(|(_, accepted)| accepted.is_none());
        let mut under_way: FuturesUnordered<_> = missing
            .map(|(part, accepted)| async {
                match self.hand_over(short_message(&message, &cut, part)).await {
                    Outcome::Accepted { message_id } => {
                        *accepted = Some(message_id);
                        Ok(())
                    }
                    failed => Err(failed),
                }
            })
            .collect();
        let mut failed = None;
        while let Some(result) = under_way.next().await {
            if let Err(outcome) = result {
                failed = Some(worse(failed, outcome));
            }
        }
        drop(under_way);
        match failed {
            None => self.accepted(accepted),
            Some(Outcome::Refused(status)) => Submission::Refused { reason: status.to_string() },
            Some(Outcome::Failed(Failure::Unencodable)) => {
                Submission::Refused { reason: Failure::Unencodable.to_string() }
            }
            Some(outcome) => {
                self.partials.lock().put(message.id, accepted);
                later(&outcome)
            }
        }
    }
}

impl SmppCarrier {
    fn accepted(&self, ids: Vec<Option<String>>) -> Submission {
        let mut ids: Vec<String> = ids.into_iter().flatten().collect();
        let reference = ids.pop().unwrap_or_default();
        self.receipts.lock().remember(ids, &reference);
        Submission::Accepted { reference }
    }
}

/// The user data header's reference comes from the message's id, so that a segment that is sent again joins the same
/// message at the handset.
fn short_message(message: &CarrierSubmit, cut: &Segmented, part: &Segment) -> ShortMessage {
    let [.., reference] = *message.id.as_bytes();
    let is_last = part.number == part.total;
    let mut short = ShortMessage {
        source: Address::e164(message.from),
        destination: Address::e164(message.to),
        data_coding: cut.encoding.data_coding(),
        registered_delivery: if is_last { 1 } else { 2 },
        body: Bytes::from(part.user_data(reference)),
        ..ShortMessage::default()
    };
    if part.has_header() {
        short.set_header();
    }
    short
}

/// Of two failures the one that decides about the whole message: a refusal is final.
fn worse(one: Option<Outcome>, other: Outcome) -> Outcome {
    match one {
        Some(Outcome::Refused(status)) => Outcome::Refused(status),
        Some(one) if !matches!(other, Outcome::Refused(_)) => one,
        _ => other,
    }
}

fn later(outcome: &Outcome) -> Submission {
    let failure = match outcome {
        Outcome::Failed(failure) => *failure,
        Outcome::Accepted { .. } | Outcome::Refused(_) => Failure::Unanswered,
    };
    let after = match failure {
        Failure::QueueFull | Failure::NotSent => AFTER_QUEUE_FULL,
        Failure::Throttled => AFTER_THROTTLED,
        Failure::Unanswered | Failure::Unencodable => AFTER_UNANSWERED,
    };
    Submission::Later { after, reason: failure.to_string() }
}

/// The task that owns the connection.
struct Client {
    config: SmppConfig,
    commands: mpsc::Receiver<Command>,
    incoming: mpsc::Sender<Incoming>,
    bound: watch::Sender<bool>,
    receipts: Arc<Mutex<SegmentReceipts>>,
    assembler: Assembler,
    stop: CancellationToken,
}

/// Why a connection was left.
enum Left {
    Stopped,
    /// It had been bound.
    Lost,
    /// It never was.
    Refused,
}

impl Client {
    async fn run(mut self) {
        let mut failures = 0;
        while !self.stop.is_cancelled() {
            let connecting = TcpStream::connect(self.config.address.clone());
            let connected = tokio::select! {
                connected = tokio::time::timeout(self.config.response_timeout, connecting) => connected,
                () = self.stop.cancelled() => break,
            };
            let left = match connected {
                Ok(Ok(stream)) => self.serve(stream).await,
                Ok(Err(error)) => {
                    warn!(carrier = self.config.name, address = %self.config.address, %error, "SMSC not reached");
                    Left::Refused
                }
                Err(_) => {
                    warn!(carrier = self.config.name, address = %self.config.address, "SMSC does not answer");
                    Left::Refused
                }
            };
            failures = match left {
                Left::Stopped => break,
                Left::Lost => 1,
                Left::Refused => failures + 1,
            };
            self.pause(failures).await;
        }
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            // Whoever asked may have gone away.
            let _ = command.outcome.send(Outcome::Failed(Failure::NotSent));
        }
    }

    /// Waits before the next attempt. Nothing waits with it: messages are put off at once.
    async fn pause(&mut self, failures: u32) {
        let doubled = self.config.reconnect_pause.saturating_mul(1 << (failures - 1).min(16));
        let jitter = rand::rng().random_range(0.75..1.25);
        let pause = tokio::time::sleep(doubled.min(self.config.reconnect_max).mul_f64(jitter));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return,
                () = self.stop.cancelled() => return,
                command = self.commands.recv() => match command {
                    Some(command) => drop(command.outcome.send(Outcome::Failed(Failure::NotSent))),
                    None => return,
                },
            }
        }
    }

    async fn serve(&mut self, stream: TcpStream) -> Left {
        let mut link = match Link::new(stream, self.config.session()) {
            Ok(link) => link,
            Err(error) => {
                warn!(carrier = self.config.name, %error, "SMSC connection unusable");
                return Left::Refused;
            }
        };
        let mut waiting: HashMap<u64, oneshot::Sender<Outcome>> = HashMap::new();
        let mut next_id = 0;
        let mut was_bound = false;
        let mut stopping = false;
        let mut takings = FuturesUnordered::new();
        loop {
            tokio::select! {
                event = link.next() => match event {
                    None => break,
                    Some(Event::Bound { peer, .. }) => {
                        info!(carrier = self.config.name, address = %self.config.address, smsc = peer, "bound to SMSC");
                        was_bound = true;
                        self.is_bound(true);
                    }
                    Some(Event::Ended { id, outcome }) => {
                        if let Some(waiting) = waiting.remove(&id) {
                            // Whoever asked may have gone away.
                            let _ = waiting.send(outcome);
                        }
                    }
                    Some(Event::Message { sequence, message }) => match self.pass_on(&message) {
                        Ok(Some(taken)) => takings.push(async move { (sequence, taken.await.unwrap_or(false)) }),
                        Ok(None) => link.handle(Input::Answer { sequence, result: Ok(String::new()) }),
                        Err(status) => link.handle(Input::Answer { sequence, result: Err(status) }),
                    },
                    Some(Event::Closed(reason)) => self.left(reason, stopping),
                    // An ESME is never asked for a bind.
                    Some(Event::Bind(_)) => {}
                },
                command = self.commands.recv(), if !stopping => match command {
                    Some(command) => {
                        next_id += 1;
                        waiting.insert(next_id, command.outcome);
                        link.handle(Input::Send { id: next_id, message: command.message });
                    }
                    None => {
                        stopping = true;
                        link.handle(Input::Unbind);
                    }
                },
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    link.handle(Input::Unbind);
                }
                Some((sequence, taken)) = takings.next() => {
                    let result = if taken { Ok(String::new()) } else { Err(Status::TEMPORARY_APPLICATION_ERROR) };
                    link.handle(Input::Answer { sequence, result });
                }
            }
        }
        self.is_bound(false);
        match (stopping, was_bound) {
            (true, _) => Left::Stopped,
            (false, true) => Left::Lost,
            (false, false) => Left::Refused,
        }
    }

    fn is_bound(&self, bound: bool) {
        metrics::gauge!("opentact_smpp_bound", "carrier" => self.config.name).set(f64::from(u8::from(bound)));
        self.bound.send_replace(bound);
    }

    fn left(&self, reason: CloseReason, stopping: bool) {
        if stopping {
            debug!(carrier = self.config.name, %reason, "SMSC session ended");
        } else {
            warn!(carrier = self.config.name, %reason, "SMSC session lost");
        }
    }

    /// Hands what came upwards. `None`: nothing to wait for before it is acknowledged.
    fn pass_on(&mut self, message: &ShortMessage) -> Result<Option<oneshot::Receiver<bool>>, Status> {
        let message = if message.is_receipt() {
            let Some(receipt) = Receipt::of(message) else {
                warn!(carrier = self.config.name, "unreadable delivery receipt");
                return Ok(None);
            };
            match self.receipts.lock().reference(receipt) {
                Some(receipt) => CarrierMessage::Receipt {
                    reference: receipt.message_id,
                    state: receipt_state(receipt.state),
                    error: receipt.error.filter(|error| error.bytes().any(|digit| digit != b'0')),
                },
                None => return Ok(None),
            }
        } else {
            // A segment is acknowledged before its message is whole: an SMSC with a window of one would wait for ever.
            let (text, from, to) = match self.assembler.push(Instant::now(), message) {
                Assembled::Text { text, .. } => (text, message.source.number(), message.destination.number()),
                Assembled::Incomplete => return Ok(None),
                Assembled::Unreadable => {
                    warn!(
                        carrier = self.config.name,
                        data_coding = message.data_coding,
                        "message in no known alphabet"
                    );
                    return Ok(None);
                }
            };
            let (Some(from), Some(to)) = (from, to) else {
                warn!(carrier = self.config.name, from = %message.source, to = %message.destination, "message between no numbers");
                return Ok(None);
            };
            CarrierMessage::Inbound { from, to, text }
        };
        let (taken, answer) = oneshot::channel();
        match self.incoming.try_send(Incoming { message, taken }) {
            Ok(()) => Ok(Some(answer)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Status::QUEUE_FULL),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Status::TEMPORARY_APPLICATION_ERROR),
        }
    }
}

fn receipt_state(state: MessageState) -> ReceiptState {
    match state {
        MessageState::Enroute => ReceiptState::Enroute,
        MessageState::Delivered => ReceiptState::Delivered,
        MessageState::Expired => ReceiptState::Expired,
        MessageState::Deleted => ReceiptState::Deleted,
        MessageState::Undeliverable => ReceiptState::Undeliverable,
        MessageState::Accepted => ReceiptState::Accepted,
        MessageState::Unknown => ReceiptState::Unknown,
        MessageState::Rejected => ReceiptState::Rejected,
    }
}
