//! The ESME: keeps a transceiver bound to an SMSC and hands messages over.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use opentact_engine::ports::{CarrierMessage, CarrierSubmit, InboundSegment, MessageCarrier, ReceiptState, Submission};
use opentact_messaging::encoding;
use opentact_messaging::segment::{Segment, Segmented, segment};
use opentact_messaging::smpp::{
    Address, Bind, BindKind, Class, CloseReason, Config, Event, Failure, Input, MessageState, Outcome, Receipt, Role,
    ShortMessage, Status, VERSION_3_4,
};
use parking_lot::Mutex;
use rand::Rng;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::link::{ClientTls, Link};
use crate::incoming::{Incoming, NotPassedOn};

/// What waits for the session's task. The session's own queue is behind it.
const COMMANDS: usize = 256;
/// When to ask again where the SMSC had a fault of its own.
const AFTER_FAULT: Duration = Duration::from_secs(5);
const AFTER_THROTTLED: Duration = Duration::from_secs(10);
const AFTER_QUEUE_FULL: Duration = Duration::from_secs(1);
/// deliver_sm of an SMSC that wait until what they tell is written. One more is answered ESME_RTHROTTLED, after which not every
/// SMSC comes again.
const INBOUND: usize = 2_000;

/// An SMSC and how to bind to it.
#[derive(Debug, Clone)]
pub struct SmppConfig {
    /// The carrier's name in logs and on messages.
    pub name: Arc<str>,
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
    /// submit_sm a second; 0 is any number.
    pub rate: u32,
    /// Two sessions, a transmitter and a receiver, in place of one transceiver.
    pub split: bool,
    /// [`VERSION_3_4`] or [`VERSION_5_0`](opentact_messaging::smpp::VERSION_5_0): what is asked for.
    pub version: u8,
    /// Messages are submitted by data_sm, in place of submit_sm.
    pub data_sm: bool,
    pub response_timeout: Duration,
    pub enquire_link: Duration,
    /// Pause after the first ESME_RTHROTTLED; doubles.
    pub throttle_pause: Duration,
    /// Pause before the second attempt to connect; doubles up to `reconnect_max`, with jitter.
    pub reconnect_pause: Duration,
    pub reconnect_max: Duration,
    /// TLS, where the SMSC is reached by that.
    pub tls: Option<ClientTls>,
    /// Replace typographic characters where that makes a text fit GSM 03.38.
    pub smart_encoding: bool,
}

impl SmppConfig {
    pub fn new(name: &str, address: impl Into<String>, system_id: &str, password: &str) -> SmppConfig {
        SmppConfig {
            name: name.into(),
            address: address.into(),
            system_id: system_id.to_owned(),
            password: password.to_owned(),
            system_type: String::new(),
            window: 10,
            queue: 1_000,
            rate: 0,
            split: false,
            version: VERSION_3_4,
            data_sm: false,
            response_timeout: Duration::from_secs(10),
            enquire_link: Duration::from_secs(30),
            throttle_pause: Duration::from_millis(250),
            reconnect_pause: Duration::from_millis(250),
            reconnect_max: Duration::from_secs(30),
            tls: None,
            smart_encoding: true,
        }
    }

    fn session(&self, kind: BindKind) -> Config {
        let mut config = Config::new(Role::Esme(Bind {
            kind,
            system_id: self.system_id.clone(),
            password: self.password.clone(),
            system_type: self.system_type.clone(),
            version: self.version,
        }));
        config.window = self.window;
        config.inbound = INBOUND;
        config.queue = self.queue;
        config.rate = self.rate;
        config.data_sm = self.data_sm;
        config.response_timeout = self.response_timeout;
        config.enquire_link = self.enquire_link;
        config.throttle_pause = self.throttle_pause;
        config
    }
}

struct Command {
    message: ShortMessage,
    outcome: oneshot::Sender<Outcome>,
}

/// A message carrier behind SMPP: one transceiver session, or a transmitter and a receiver; each comes back after
/// every loss of its link. A receipt is asked for with every segment.
pub struct SmppCarrier {
    config: SmppConfig,
    commands: mpsc::Sender<Command>,
    /// Of the session that submits.
    bound: watch::Receiver<bool>,
    stop: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl SmppCarrier {
    /// Begins to connect. What the SMSC tells goes to `incoming`; when that is full, the SMSC is asked to wait.
    pub fn start(config: SmppConfig, incoming: mpsc::Sender<Incoming>) -> Arc<SmppCarrier> {
        let (commands, commanded) = mpsc::channel(COMMANDS);
        let (is_bound, bound) = watch::channel(false);
        let stop = CancellationToken::new();
        let client = |kind, commands, bound| Client {
            kind,
            config: config.clone(),
            commands,
            incoming: incoming.clone(),
            bound,
            stop: stop.clone(),
        };
        let mut clients = Vec::new();
        if config.split {
            // It has nothing to submit: its commands end only with it.
            let (none, nothing) = mpsc::channel(1);
            let receiver = client(BindKind::Receiver, nothing, watch::channel(false).0);
            clients.push(tokio::spawn(async move {
                receiver.run().await;
                drop(none);
            }));
        }
        let submits = if config.split { BindKind::Transmitter } else { BindKind::Transceiver };
        clients.push(tokio::spawn(client(submits, commanded, is_bound).run()));
        Arc::new(SmppCarrier { config, commands, bound, stop, tasks: Mutex::new(clients) })
    }

    /// Whether the session that submits is bound; changes are seen by waiting on the receiver.
    pub fn bound(&self) -> watch::Receiver<bool> {
        self.bound.clone()
    }

    /// Lets what is under way be answered, unbinds and ends. Later submissions are put off.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            if let Err(error) = task.await {
                warn!(carrier = %self.config.name, %error, "SMPP session task died");
            }
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
    fn name(&self) -> &str {
        &self.config.name
    }

    fn ready(&self) -> Option<watch::Receiver<bool>> {
        Some(self.bound())
    }

    async fn submit(&self, message: CarrierSubmit) -> Submission {
        let cut = match segment(&message.text, self.config.smart_encoding) {
            Ok(cut) => cut,
            Err(too_long) => return Submission::Refused { reason: too_long.to_string() },
        };
        // Segments the SMSC took in an earlier attempt are not sent again.
        let mut taken = message.taken.clone();
        taken.resize(cut.segments.len(), None);
        let missing = cut.segments.iter().zip(&mut taken).filter(|(_, taken)| taken.is_none());
        let mut under_way: FuturesUnordered<_> = missing
            .map(|(part, taken)| async {
                match self.hand_over(short_message(&message, &cut, part)).await {
                    Outcome::Accepted { message_id } => {
                        *taken = Some(message_id);
                        None
                    }
                    Outcome::Refused(status) => Some(of_status(status)),
                    Outcome::Failed(failure) => Some(of_failure(failure)),
                }
            })
            .collect();
        let mut worst = None;
        while let Some(fault) = under_way.next().await {
            worst = worst.max(fault);
        }
        drop(under_way);
        match worst {
            None => Submission::Accepted { references: taken.into_iter().flatten().collect() },
            Some(Fault::Final(reason)) => Submission::Refused { reason },
            Some(Fault::Unanswered) => Submission::Unanswered { reason: Failure::Unanswered.to_string(), taken },
            Some(Fault::Later(after, reason)) => Submission::Later { after, reason, taken },
        }
    }
}

/// Why a segment was not taken; of several the greatest decides about the message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Later(Duration, String),
    Unanswered,
    Final(String),
}

fn of_status(status: Status) -> Fault {
    match status.class() {
        Class::Throttled => Fault::Later(AFTER_THROTTLED, status.to_string()),
        Class::Temporary | Class::Elsewhere => Fault::Later(AFTER_FAULT, status.to_string()),
        Class::Accepted | Class::Permanent => Fault::Final(status.to_string()),
    }
}

fn of_failure(failure: Failure) -> Fault {
    match failure {
        Failure::QueueFull | Failure::NotSent => Fault::Later(AFTER_QUEUE_FULL, failure.to_string()),
        Failure::Throttled => Fault::Later(AFTER_THROTTLED, failure.to_string()),
        Failure::Unanswered => Fault::Unanswered,
        Failure::Unencodable => Fault::Final(failure.to_string()),
    }
}

/// The references, of the user data header and of the message, come from the message's id: a segment that is sent again
/// joins the same message at the handset, and an SMSC that looks can tell that it has it.
fn short_message(message: &CarrierSubmit, cut: &Segmented, part: &Segment) -> ShortMessage {
    let [.., high, low] = *message.id.as_bytes();
    let mut short = ShortMessage {
        source: Address::e164(message.from),
        destination: Address::e164(message.to),
        data_coding: cut.encoding.data_coding(),
        registered_delivery: 1,
        body: Bytes::from(part.user_data(low)),
        reference: Some(u16::from_be_bytes([high, low])),
        ..ShortMessage::default()
    };
    if part.has_header() {
        short.set_header();
    }
    short
}

/// The task that owns the connection.
struct Client {
    kind: BindKind,
    config: SmppConfig,
    commands: mpsc::Receiver<Command>,
    incoming: mpsc::Sender<Incoming>,
    bound: watch::Sender<bool>,
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
            let connecting = connect(&self.config, self.kind);
            let connected = tokio::select! {
                connected = tokio::time::timeout(self.config.response_timeout, connecting) => connected,
                () = self.stop.cancelled() => break,
            };
            let left = match connected {
                Ok(Ok(link)) => self.serve(link).await,
                Ok(Err(error)) => {
                    warn!(carrier = %self.config.name, address = %self.config.address, %error, "SMSC not reached");
                    Left::Refused
                }
                Err(_) => {
                    warn!(carrier = %self.config.name, address = %self.config.address, "SMSC does not answer");
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

    async fn serve(&mut self, mut link: Link) -> Left {
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
                        info!(carrier = %self.config.name, address = %self.config.address, smsc = peer, "bound to SMSC");
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
        metrics::gauge!("opentact_smpp_bound", "carrier" => self.config.name.to_string())
            .set(f64::from(u8::from(bound)));
        self.bound.send_replace(bound);
    }

    fn left(&self, reason: CloseReason, stopping: bool) {
        if stopping {
            debug!(carrier = %self.config.name, %reason, "SMSC session ended");
        } else {
            warn!(carrier = %self.config.name, %reason, "SMSC session lost");
        }
    }

    /// Hands what came upwards. `None`: nothing to wait for before it is acknowledged.
    fn pass_on(&self, message: &ShortMessage) -> Result<Option<oneshot::Receiver<bool>>, Status> {
        let message = if message.is_receipt() {
            let Some(receipt) = Receipt::of(message) else {
                warn!(carrier = %self.config.name, "unreadable delivery receipt");
                return Ok(None);
            };
            CarrierMessage::Receipt {
                reference: receipt.message_id,
                state: receipt_state(receipt.state),
                error: receipt.error.filter(|error| error.bytes().any(|digit| digit != b'0')),
            }
        } else {
            let (Some(from), Some(to)) = (message.source.number(), message.destination.number()) else {
                warn!(carrier = %self.config.name, from = %message.source, to = %message.destination, "message between no numbers");
                return Ok(None);
            };
            let Some(text) = text(message, from, to) else {
                let data_coding = message.data_coding;
                warn!(carrier = %self.config.name, data_coding, "message in no known alphabet");
                return Ok(None);
            };
            text
        };
        let passed_on = Incoming::pass_on(&self.incoming, &self.config.name, message);
        passed_on.map(Some).map_err(|failed| match failed {
            NotPassedOn::Full => Status::QUEUE_FULL,
            NotPassedOn::Closed => Status::TEMPORARY_APPLICATION_ERROR,
        })
    }
}

async fn connect(config: &SmppConfig, kind: BindKind) -> io::Result<Link> {
    let stream = TcpStream::connect(&config.address).await?;
    let Some(tls) = &config.tls else { return Link::new(stream, config.session(kind)) };
    stream.set_nodelay(true)?;
    let host = config.address.rsplit_once(':').map_or(&*config.address, |(host, _)| host);
    Ok(Link::over(tls.connect(host, stream).await?, config.session(kind)))
}

/// A message, or a part of one. `None` where it is in no alphabet spoken here, or its header does not parse.
fn text(message: &ShortMessage, from: u64, to: u64) -> Option<CarrierMessage> {
    let (place, octets) = message.split()?;
    let data_coding = message.data_coding;
    Some(match place {
        None => CarrierMessage::Inbound { from, to, text: encoding::decode(data_coding, octets)?, reference: None },
        Some(place) => CarrierMessage::Segment(InboundSegment {
            from,
            to,
            data_coding,
            reference: place.reference,
            total: place.total,
            number: place.number,
            octets: octets.to_vec(),
        }),
    })
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
