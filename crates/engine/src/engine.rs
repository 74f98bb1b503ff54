//! The engine put together and started: transports, media threads, router, core.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chrono::Utc;
use ipnet::IpNet;
use opentact_events::Hub;
use opentact_media::control::DtlsIdentity;
use opentact_sip::digest::Challenger;
use opentact_sip::flow::Transport;
use opentact_sip::registrar::{Registrar, RegistrarConfig};
use opentact_sip::sdp::SrtpPolicy;
use opentact_sip::ua::{Ua, UaConfig};
use opentact_store::Store;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use crate::batch::{BatchConfig, Batches};
use crate::bindings::Writer;
use crate::control::{Control, ControlRequest};
use crate::core::described::Webrtc;
use crate::core::{
    ALLOW, Core, CoreConfig, Drivers, Inboxes, MediaFace, Message, Stats, SubscribeConfig, TrunkConfig, restore,
};
use crate::defence::{DefenceConfig, Gate, SharedGate};
use crate::dns::{DnsConfig, Locator};
use crate::http::{EgressGuard, HttpClient};
use crate::journal::Journal;
use crate::lost::{end_lost_calls, end_lost_recordings, transcribe_left};
use crate::media::{MediaConfig, MediaPool};
use crate::messages::{Mailroom, MessageConfig};
use crate::ports::{CallControl, DevCaller, VoiceCarrier};
use crate::prompt::{PromptConfig, PromptLibrary};
use crate::recognition::{Recognition, RecognitionConfig};
use crate::recordings::{Archive, ArchiveError, RecordingsConfig};
use crate::reflexive::Reflexive;
use crate::router::{Router, RouterConfig};
use crate::signalling::Signalling;
use crate::speech::Speech;
use crate::stir::{Stir, StirConfig};
use crate::trace::{SipWatch, Trace, TraceConfig};
use crate::transport::{self, Outside, TransportConfig, Transports, WsDoor};
use crate::webhook::{Dispatcher, WebhookConfig};

/// SIP transactions for each call that may be there, tombstones of half a minute included.
const TRANSACTIONS: usize = 16;
/// Option tags that a request may require.
const EXTENSIONS: &[&str] = &["path", "outbound", "gruu", "100rel", "replaces"];
const MIN_TRANSACTIONS: usize = 65_536;
/// Longer than the call machines let anybody ring (600 s), so that it is theirs to say when it is enough.
const RING_TIMEOUT: Duration = Duration::from_secs(660);
/// How long a drained node waits for the answers to its last BYEs.
const FAREWELL: Duration = Duration::from_secs(2);
/// What the key of digest nonces is derived for.
const NONCES: &str = "sip digest nonces";
/// How often the gauges of `/metrics` are set, and how late a new trunk may be known to the gate.
const GAUGES: Duration = Duration::from_secs(5);

/// What we call ourselves to other systems.
pub const PRODUCT: &str = concat!("Opentact/", env!("CARGO_PKG_VERSION"));

/// Names of the codecs that are offered and taken, the first first: `PCMU`, `PCMA`, `G722`, `opus`, `L16`, `G729`, in any
/// case. Others are passed over.
#[derive(Debug, Clone)]
pub struct CodecOrder {
    /// With phones and browsers of SIP users.
    pub phones: Vec<String>,
    /// With trunks that say nothing of their own, and everybody else.
    pub trunks: Vec<String>,
}

impl Default for CodecOrder {
    /// The best first for phones; for carriers what they have without turning it into something else.
    fn default() -> Self {
        let names = |names: [&str; 4]| names.map(str::to_owned).to_vec();
        Self { phones: names(["opus", "G722", "PCMU", "PCMA"]), trunks: names(["PCMU", "PCMA", "G722", "opus"]) }
    }
}

/// Everything the engine can be told at start.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Session interval asked for and granted (RFC 4028); `None` for no session timers.
    pub session_expires: Option<Duration>,
    /// The shortest session interval taken.
    pub min_se: Duration,
    pub transport: TransportConfig,
    pub dns: DnsConfig,
    pub media: MediaConfig,
    pub codecs: CodecOrder,
    /// What networks are told of the address of media, in place of its own.
    pub media_outside: Outside,
    /// `host:port` of a STUN server that is asked how media is seen from outside.
    pub stun: Option<String>,
    /// Whether audio is protected, where no trunk says otherwise.
    pub srtp: SrtpPolicy,
    /// ICE only answers: for a node at an address that everybody reaches.
    pub ice_lite: bool,
    pub router: RouterConfig,
    pub defence: DefenceConfig,
    pub trunks: TrunkConfig,
    /// How often phones behind a NAT are asked by OPTIONS, so that it keeps their way open; zero: never.
    pub phone_ping: Duration,
    pub stir: StirConfig,
    /// Networks outgoing HTTP and `sip:` URIs may reach although they are not public.
    pub egress_allow: Vec<IpNet>,
    /// Calls (origin legs) at once.
    pub max_calls: usize,
    pub recordings: RecordingsConfig,
    /// How many SIP messages are kept to be looked at.
    pub trace: TraceConfig,
    /// Seconds.
    pub registration: RegistrarConfig,
    /// Subscriptions to calls, messages and contacts of SIP users.
    pub subscribe: SubscribeConfig,
    /// Messages between SIP users.
    pub messages: MessageConfig,
    pub prompts: PromptConfig,
    pub recognition: RecognitionConfig,
    /// SIP messages that wait while the core is busy; more datagrams are dropped, and streams wait.
    pub sip_queue: usize,
    /// A new call is refused with 503 when its INVITE has waited longer, unless it is for help.
    pub overload_delay: Duration,
    pub webhooks: WebhookConfig,
    pub batches: BatchConfig,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] opentact_store::StoreError),
    #[error("certificate for DTLS: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("recordings: {0}")]
    Recordings(#[from] ArchiveError),
    #[error("outgoing HTTP: {0}")]
    Http(#[from] crate::http::HttpError),
}

/// A running engine.
pub struct Engine {
    pub(crate) control: Arc<Control>,
    transports: Arc<Transports>,
    media: MediaPool,
    router: Arc<Router>,
    http: HttpClient,
    prompts: PromptLibrary,
    core: tokio::task::JoinHandle<()>,
    bindings: Writer,
    watch: SipWatch,
    sweep: tokio::task::JoinHandle<()>,
    archive: Arc<Archive>,
    uploads: tokio::task::JoinHandle<()>,
    /// Of nodes that are gone.
    transcripts: tokio::task::JoinHandle<()>,
    stun: Option<tokio::task::JoinHandle<()>>,
    signalling: Signalling,
    webhooks: Option<tokio::task::JoinHandle<()>>,
    batches: Batches,
}

/// What goes on until the last event is written. Dropped, it ends at once.
#[must_use]
pub struct Farewell(Option<tokio::task::JoinHandle<()>>);

impl Farewell {
    /// After [`Hub::close`]: waits until webhooks are told of the last events, 2 s at most. What is not told by then is after
    /// the next start.
    pub async fn finish(mut self) {
        if let Some(webhooks) = self.0.take() {
            let _ = webhooks.await;
        }
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if let Some(webhooks) = &self.0 {
            webhooks.abort();
        }
    }
}

impl Engine {
    /// Binds the SIP listeners, starts the media threads and the core.
    ///
    /// # Errors
    /// A listener or the media ports cannot be had.
    pub async fn start(
        config: EngineConfig,
        store: Store,
        hub: Hub,
        speech: Arc<dyn Speech>,
    ) -> Result<Self, EngineError> {
        let guard = EgressGuard::new(config.egress_allow);
        let http = HttpClient::new(guard.clone(), PRODUCT)?;
        let prompts = PromptLibrary::start(config.prompts, http.clone(), speech)?;
        let recognition = Recognition::new(config.recognition)?;
        let signalling = Signalling::start()?;
        let (sip_sender, sip) = mpsc::channel(config.sip_queue);
        // A leg has few media events open at a time; what a full channel would drop are keys pressed faster than that.
        let (media_sender, media_events) = mpsc::channel(config.max_calls.saturating_mul(8).clamp(1024, 1 << 20));
        let (messages_sender, messages) = mpsc::channel(config.sip_queue);

        let listeners = config.transport.listeners();
        let (ipv4, ipv6) = (listeners.iter().any(SocketAddr::is_ipv4), listeners.iter().any(SocketAddr::is_ipv6));
        let locator = Locator::new(&config.dns, ipv4, ipv6)?;
        let gate: SharedGate = Arc::new(Mutex::new(Gate::new(config.defence)));
        let transports = Transports::bind(config.transport, signalling.handle(), sip_sender, gate.clone()).await?;
        let reflexive = Reflexive::default();
        let stun = config.stun.map(|server| tokio::spawn(reflexive.clone().follow(server, config.media.address)));
        let face = MediaFace::new(config.media.address, config.media_outside, reflexive);
        let media = MediaPool::start(config.media, move |leg, event| {
            if media_sender.try_send((leg, event)).is_err() {
                metrics::counter!("opentact_media_events_dropped_total").increment(1);
                tracing::error!(%leg, "the core does not keep up; a media event is lost");
            }
        })?;
        let started = Utc::now().timestamp_nanos_opt().unwrap_or_default();
        let challenger = Challenger::new(store.derived_key(NONCES), started.unsigned_abs());
        let park_timeout = config.router.park_timeout;
        let archive = Arc::new(Archive::open(config.recordings)?);
        let lost = end_lost_recordings(&store, &hub, &archive, Utc::now()).await?;
        if lost > 0 {
            tracing::warn!(recordings = lost, "recordings of a run that was killed are closed");
        }
        let lost = end_lost_calls(&store, &hub, Utc::now()).await?;
        if lost > 0 {
            tracing::warn!(calls = lost, "calls of a run that was killed are ended");
            hub.flush().await;
        }
        let stored = store.registrations().load(Utc::now()).await?;
        let bindings = Writer::start(store.clone());
        let mailroom = Mailroom::new(store.clone(), hub.clone(), config.messages);
        let awaited = mailroom.awaited().await?;
        let stir = Stir::new(config.stir, store.clone(), guard.clone(), config.router.cache_ttl)?;
        let outbox = hub.outbox();
        let (webhook_store, batch_store) = (store.clone(), store.clone());
        let uploads = tokio::spawn(archive.clone().run(store.clone()));
        let journal = Journal::new(hub, archive.uploads());
        let guard = Arc::new(guard);
        let router = Router::new(config.router, store, challenger, guard, gate.clone(), locator, stir, journal.clone());
        let router = Arc::new(router);
        trust_trunks(&gate, &router).await?;
        router.restore_spending().await?;
        let left = transcribe_left(recognition.clone(), router.clone(), journal.clone(), archive.clone());
        let transcripts = tokio::spawn(left);

        let ua = UaConfig {
            product: PRODUCT.into(),
            allow: ALLOW,
            extensions: EXTENSIONS,
            max_sessions: config.max_calls.saturating_mul(4),
            max_transactions: config.max_calls.saturating_mul(TRANSACTIONS).max(MIN_TRANSACTIONS),
            ring_timeout: RING_TIMEOUT,
            session_expires: config.session_expires,
            min_se: config.min_se,
            max_subscriptions: config.subscribe.max,
            subscribe_min: config.subscribe.min_expires,
            subscribe_max: config.subscribe.max_expires,
            notify_interval: config.subscribe.interval,
            ..UaConfig::default()
        };
        let ua = Ua::new(ua, rand::random());
        let mut registrar = Registrar::new(config.registration);
        let registered = restore(&stored, &mut registrar, &transports);
        let drivers = Drivers {
            transports: transports.clone(),
            media: media.clone(),
            router: router.clone(),
            prompts: prompts.clone(),
            recognition,
            archive: archive.clone(),
            http: http.clone(),
            journal,
            bindings: bindings.desk(),
            mailroom: mailroom.clone(),
            runtime: Handle::current(),
        };
        let core = CoreConfig {
            max_calls: config.max_calls,
            overload_delay: config.overload_delay,
            trunks: config.trunks,
            phone_ping: config.phone_ping,
            codecs: config.codecs,
            face,
            subscribe: config.subscribe,
            srtp: config.srtp,
            webrtc: Webrtc { identity: identity()?, lite: config.ice_lite },
        };
        let watch = SipWatch::new();
        let trace = Trace::new(config.trace, watch.clone());
        let mut core = Core::new(core, drivers, ua, registrar, registered, messages_sender.clone(), trace);
        core.take_up_messages(awaited);
        let sweeper = messages_sender.clone();
        let core = signalling.handle().spawn(core.run(Inboxes { sip, media: media_events, messages }));
        let control = Arc::new(Control {
            core: messages_sender,
            router: router.clone(),
            park_timeout,
            dev: OnceLock::new(),
            batches: watch::Sender::new(()),
        });
        tokio::spawn(follow_trunks(control.clone(), gate.clone()));
        tokio::spawn(gauge(control.clone(), gate));
        let sweep = tokio::spawn(mailroom.sweep(sweeper));
        let webhooks = outbox.map(|outbox| Dispatcher::start(config.webhooks, webhook_store, http.clone(), outbox));
        let batches = Batches::start(batch_store, control.clone(), config.batches).await?;
        Ok(Self {
            control,
            batches,
            transports,
            media,
            router,
            http,
            prompts,
            core,
            bindings,
            watch,
            sweep,
            archive,
            uploads,
            transcripts,
            stun,
            signalling,
            webhooks,
        })
    }

    pub fn control(&self) -> Arc<dyn CallControl> {
        self.control.clone()
    }

    /// Every address that a transport listens on, in the order of its settings.
    pub fn sip_addresses(&self, transport: Transport) -> &[SocketAddr] {
        self.transports.listeners(transport)
    }

    /// The first address that a transport listens on.
    pub fn sip_address(&self, transport: Transport) -> Option<SocketAddr> {
        self.sip_addresses(transport).first().copied()
    }

    /// SIP over WebSocket at `/sip`, for an HTTP listener; to be served with the peers' `SocketAddr` as connect info.
    pub fn websocket(&self, door: WsDoor) -> axum::Router {
        transport::websocket(self.transports.clone(), door)
    }

    pub fn media(&self) -> MediaPool {
        self.media.clone()
    }

    pub fn http(&self) -> HttpClient {
        self.http.clone()
    }

    /// Everything that can be played.
    pub fn prompts(&self) -> PromptLibrary {
        self.prompts.clone()
    }

    /// The files of recordings.
    pub fn archive(&self) -> Arc<Archive> {
        self.archive.clone()
    }

    /// Where SIP messages can be watched as they come and go.
    pub fn sip_watch(&self) -> SipWatch {
        self.watch.clone()
    }

    /// A way to the telephone network.
    pub fn add_carrier(&self, carrier: VoiceCarrier) {
        self.router.add_carrier(carrier);
    }

    /// Who places the calls of `POST /rest/dev/call`. The first one given stays.
    pub fn set_dev_caller(&self, caller: Arc<dyn DevCaller>) {
        let _ = self.control.dev.set(caller);
    }

    /// Takes no new calls and waits for the live ones, up to `timeout`; then hangs them up and waits a little more.
    /// True when every call had ended by itself.
    pub async fn drain(&self, timeout: Duration) -> bool {
        self.batches.stop();
        let (drained, mut done) = oneshot::channel();
        let (quiet, mut silence) = oneshot::channel();
        if self.control.core.send(Message::Control(ControlRequest::Drain { drained, quiet })).await.is_err() {
            return true;
        }
        let by_itself = tokio::time::timeout(timeout, &mut done).await.is_ok();
        if !by_itself {
            let _ = self.control.core.send(Message::Control(ControlRequest::HangUpAll)).await;
        }
        // BYEs are answered within a round trip by peers that are there at all.
        let _ = tokio::time::timeout(FAREWELL, &mut silence).await;
        by_itself
    }

    /// What the core holds at the moment; `None` once it has stopped.
    pub async fn stats(&self) -> Option<Stats> {
        self.control.stats().await
    }

    /// Stops everything but webhooks, and has written what registrations have changed. Calls that are still there are lost:
    /// drain first.
    pub async fn stop(self) -> Farewell {
        self.sweep.abort();
        self.batches.finish(FAREWELL).await;
        // What is not uploaded or transcribed yet is at the next start.
        self.uploads.abort();
        self.transcripts.abort();
        if let Some(stun) = &self.stun {
            stun.abort();
        }
        self.core.abort();
        // Only then has the core left everything, and heard of no connection that ends with the node.
        let _ = self.core.await;
        self.bindings.finish().await;
        self.transports.close();
        self.media.shutdown();
        self.signalling.end();
        Farewell(self.webhooks)
    }
}

/// Tells the gate where trunks are.
async fn trust_trunks(gate: &SharedGate, router: &Router) -> Result<(), opentact_store::StoreError> {
    let networks = router.trunk_networks().await?;
    gate.lock().set_trunks(networks);
    Ok(())
}

/// Sets the gauges until the core has stopped.
async fn gauge(control: Arc<Control>, gate: SharedGate) {
    let mut pace = tokio::time::interval(GAUGES);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        match control.stats().await {
            Some(stats) => stats.gauge(),
            None => return,
        }
        let banned = gate.lock().banned(Instant::now());
        metrics::gauge!("opentact_sip_banned").set(banned as f64);
    }
}

/// Keeps the gate and the watch up to date with the trunks, until the core has stopped: at once after a change by the API,
/// and every few seconds, as names may lead elsewhere and other nodes may have changed something.
async fn follow_trunks(control: Arc<Control>, gate: SharedGate) {
    let mut pace = tokio::time::interval(GAUGES);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = pace.tick() => {}
            () = control.router.changed() => {}
        }
        if let Err(error) = trust_trunks(&gate, &control.router).await {
            tracing::error!(%error, "the addresses of the trunks could not be read; those known stay");
        }
        match control.router.watched().await {
            Ok(targets) => {
                if control.core.send(Message::Trunks(targets)).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::error!(%error, "the trunks could not be read; those known are watched"),
        }
    }
}

/// A certificate for DTLS of this run: who we are the session descriptions say (RFC 8827 6.5), not an authority.
fn identity() -> Result<DtlsIdentity, EngineError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "opentact");
    // Firefox keeps certificates of one name and number apart by nothing else.
    params.serial_number = Some(rand::random::<[u8; 16]>().to_vec().into());
    let certificate = params.self_signed(&key)?;
    Ok(DtlsIdentity::new(certificate.der(), &key.serialize_der()))
}
