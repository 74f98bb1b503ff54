//! A node with one account, and a SIP peer outside of it.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on fails

pub mod dns;
pub mod http;
pub mod phones;
pub mod raw;
pub mod tcp;
pub mod tls;
pub mod ws;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentact_engine::defence::DefenceConfig;
use opentact_engine::dns::DnsConfig;
use opentact_engine::ledger::{SpeechPrices, Steps};
use opentact_engine::media::MediaConfig;
use opentact_engine::ports::{ControlError, FlowSource, Originate, VoiceCarrier};
use opentact_engine::prompt::PromptConfig;
use opentact_engine::recognition::{self, RecognitionConfig};
use opentact_engine::recordings::RecordingsConfig;
use opentact_engine::router::{EmergencyConfig, RouterConfig};
use opentact_engine::speech::{SpeechConfig, SpeechEngines};
use opentact_engine::stir::StirConfig;
use opentact_engine::trace::TraceConfig;
use opentact_engine::transport::{Outside, TcpLimits, TransportConfig};
use opentact_engine::{
    BatchConfig, CodecOrder, Engine, EngineConfig, MessageConfig, SubscribeConfig, TrunkConfig, WebhookConfig,
};
use opentact_events::{Filter, Hub, Subscription};
use opentact_sip::digest::{Algorithm, Credentials};
use opentact_sip::flow::{Flow, Transport};
use opentact_sip::message::{Method, Request};
use opentact_sip::registrar::RegistrarConfig;
use opentact_sip::sdp::SrtpPolicy;
use opentact_sip::ua::{Command, Event, Input, OutgoingInvite, OutgoingRequest, Output, SessionId, Ua, UaConfig};
use opentact_sip::uri::{NameAddr, Uri};
use opentact_store::accounts::NewAccount;
use opentact_store::apps::NewApp;
use opentact_store::connections::NewConnection;
use opentact_store::domains::NewDomain;
use opentact_store::numbers::{NewLease, TnLease};
use opentact_store::sip_users::NewSipUser;
use opentact_store::types::{Feature, SipTransport, TnKind, now};
use opentact_store::voice_profiles::NewVoiceProfile;
use opentact_store::{Keyring, Money, Settings, Store, Tn};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use uuid::Uuid;

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

pub const NUMBER: u64 = 12_015_550_150;

pub struct World {
    pub engine: Engine,
    pub store: Store,
    pub account: Uuid,
    pub sip: SocketAddr,
    /// Folder of recordings.
    pub recordings: std::path::PathBuf,
    events: Subscription,
    hub: Hub,
    config: EngineConfig,
    _folder: TempDir,
}

async fn start(config: &EngineConfig, store: &Store, hub: &Hub) -> Engine {
    let speech = std::sync::Arc::new(SpeechEngines::new(SpeechConfig::default()).unwrap());
    Engine::start(config.clone(), store.clone(), hub.clone(), speech).await.unwrap()
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A world whose engine is set up otherwise than most.
    pub async fn with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let store = Store::connect(&Settings::new(url), Keyring::ephemeral().unwrap()).await.unwrap();
        store.migrate().await.unwrap();
        let hub = Hub::start(store.clone(), opentact_events::Settings::default()).await.unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = EngineConfig {
            session_expires: Some(Duration::from_secs(1800)),
            min_se: Duration::from_secs(90),
            transport: TransportConfig {
                udp: vec![any],
                tcp: vec![any],
                tls: None,
                outside: Outside::default(),
                limits: TcpLimits::default(),
            },
            dns: DnsConfig::default(),
            media: MediaConfig { ports: 42_000..=43_999, ..MediaConfig::default() },
            codecs: CodecOrder::default(),
            media_outside: Outside::default(),
            srtp: SrtpPolicy::Optional,
            ice_lite: false,
            stun: None,
            router: RouterConfig {
                region: "US".to_owned(),
                park_timeout: Duration::from_secs(30),
                ring_timeout: Duration::from_secs(60),
                carrier_attempts: 3,
                realm: "sip.localhost".to_owned(),
                digest: vec![Algorithm::Md5],
                cache_ttl: Duration::from_secs(5),
                emergency: EmergencyConfig { numbers: vec!["911".to_owned(), "112".to_owned()], trunk: None },
                billing: Steps::default(),
                speech: SpeechPrices::default(),
            },
            defence: DefenceConfig {
                rate_limit: 2_000,
                rate_burst: 4_000,
                user_rate_limit: 100,
                user_rate_burst: 200,
                scanners: vec!["friendly-scanner".to_owned()],
                ban: Duration::from_secs(600),
                auth_failures: 5,
                trusted: vec!["127.0.0.0/8".parse().unwrap()],
            },
            trunks: TrunkConfig { interval: Duration::from_millis(50), failures: 2, expires: 600 },
            phone_ping: Duration::ZERO,
            stir: StirConfig::default(),
            egress_allow: vec!["127.0.0.0/8".parse().unwrap()],
            max_calls: 100,
            overload_delay: Duration::from_secs(5),
            webhooks: WebhookConfig::default(),
            batches: BatchConfig { max_running: 10 },
            recordings: RecordingsConfig { folder: folder.path().join("recordings"), upload: None },
            trace: TraceConfig { messages: 1000, octets: 1 << 20 },
            registration: RegistrarConfig::default(),
            subscribe: SubscribeConfig::default(),
            messages: MessageConfig::default(),
            recognition: RecognitionConfig { engine: recognition::EngineConfig::Tones, ..RecognitionConfig::default() },
            prompts: PromptConfig {
                folder: folder.path().join("prompts"),
                memory: 1 << 24,
                file: 1 << 22,
                fresh: Duration::from_secs(60),
                stall: Duration::from_secs(10),
                hold_music: None,
            },
            sip_queue: 1024,
        };
        change(&mut config);
        let recordings = config.recordings.folder.clone();
        let engine = start(&config, &store, &hub).await;
        let new = NewAccount {
            name: "Test".to_owned(),
            email: "test@example.com".to_owned(),
            phone: None,
            level: None,
            time_zone: None,
            balance: "100".parse::<Money>().unwrap(),
        };
        let account = store.accounts().create(new).await.unwrap().uuid;
        let events = hub.subscribe(account, None, Filter::all());
        let sip = engine.sip_address(Transport::Udp).unwrap();
        Self { engine, store, account, sip, recordings, events, hub, config, _folder: folder }
    }

    /// The same node after a stop and a start, on another port.
    pub async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn restart_with(mut self, change: impl FnOnce(&mut EngineConfig)) -> Self {
        drop(self.engine.stop().await);
        change(&mut self.config);
        let engine = start(&self.config, &self.store, &self.hub).await;
        let sip = engine.sip_address(Transport::Udp).unwrap();
        Self { engine, sip, ..self }
    }

    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The world's number runs this document.
    pub async fn number_with(&self, xml: &str) {
        self.number_that_runs(NUMBER, xml).await;
    }

    /// A number that runs this document.
    pub async fn number_that_runs(&self, tn: u64, xml: &str) {
        let app = NewApp { xml: Some(xml.to_owned()), ..NewApp::new(format!("app of {tn}")) };
        let app = self.store.apps().create(self.account, None, app).await.unwrap().uuid;
        self.number(tn, |lease| lease.sip_control_app = Some(app)).await;
    }

    /// A number of the account and where its calls go. Returns its lease.
    pub async fn number(&self, tn: u64, target: impl FnOnce(&mut TnLease) + Send) -> Uuid {
        let profile = self.store.numbers().profile_for(TnKind::LongCode, "US").await.unwrap().uuid;
        let lease = NewLease {
            tn: Tn::try_from(tn).unwrap(),
            kind: TnKind::LongCode,
            country: "US".to_owned(),
            state: None,
            city: None,
            rate_center: None,
            features: vec![Feature::Voice],
            carrier: "test".to_owned(),
            profile,
            order: None,
            subscriptions: vec![Feature::Voice],
            autorenew: false,
            expired_on: now() + Duration::from_secs(3600),
            created_by: None,
        };
        let (lease, _) = self.store.numbers().lease(self.account, lease, |_| Vec::new()).await.unwrap();
        self.store.numbers().update_lease(self.account, lease.uuid, None, target).await.unwrap();
        lease.uuid
    }

    /// A trunk from and to this peer.
    pub async fn trunk(&self, peer: &Peer) -> Uuid {
        self.trunk_at(peer.address, SipTransport::Udp).await
    }

    pub async fn trunk_at(&self, address: SocketAddr, transport: SipTransport) -> Uuid {
        let new = NewConnection {
            ip: Some(address.ip().to_string()),
            port: address.port(),
            transport,
            ..NewConnection::new(format!("trunk {}", address.port()))
        };
        let trunk = self.store.connections().create(self.account, None, new).await.unwrap().uuid;
        self.engine.control().invalidate(self.account);
        trunk
    }

    /// Returns once nothing is left of any call.
    pub async fn idle(&self) {
        let idle = async {
            while !self.engine.stats().await.unwrap().is_idle() {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(PATIENCE, idle).await.is_err() {
            panic!("something is left: {:?}", self.engine.stats().await);
        }
        let media = self.engine.media().stats();
        assert_eq!((media.legs, media.ports_free), (0, media.ports_total), "media");
    }

    /// A call by REST.
    pub async fn originate(&self, to: &str, xml: &str) -> Result<Value, ControlError> {
        self.originate_as(None, to, xml).await
    }

    pub async fn originate_as(&self, from: Option<&str>, to: &str, xml: &str) -> Result<Value, ControlError> {
        let flow = FlowSource::Document(opentact_callflow::parse(xml, opentact_callflow::Mode::Strict).unwrap());
        let request = Originate { from: from.map(str::to_owned), ..Originate::new(self.account, to, flow) };
        self.engine.control().originate(request).await
    }

    /// The next event of the account.
    pub async fn event(&mut self) -> Value {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("no event came").unwrap();
        serde_json::from_str(&event.body).unwrap()
    }

    /// The next event that says that a call is destroyed.
    pub async fn destroyed(&mut self) -> Value {
        loop {
            let event = self.event().await;
            if event["message"].as_str().unwrap().ends_with("- destroyed") {
                return event;
            }
        }
    }

    /// Messages of the events up to and with the one that says `destroyed`.
    pub async fn story(&mut self) -> Vec<String> {
        let mut story = Vec::new();
        loop {
            let event = self.event().await;
            let message = event["message"].as_str().unwrap().to_owned();
            let last = message.ends_with("- destroyed");
            story.push(message);
            if last {
                return story;
            }
        }
    }
}

/// A SIP user agent of the other side: a UDP socket and a `Ua`.
pub struct Peer {
    pub ua: Ua,
    pub address: SocketAddr,
    /// Login and password for challenges of its calls.
    pub credentials: Option<(&'static str, &'static str)>,
    /// Further headers of its REGISTERs.
    pub registers_with: Vec<(Bytes, Bytes)>,
    socket: UdpSocket,
}

impl Peer {
    pub async fn new() -> Self {
        Self::at(Ipv4Addr::LOCALHOST).await
    }

    /// One at an address of this machine.
    pub async fn at(ip: impl Into<IpAddr>) -> Self {
        let socket = UdpSocket::bind((ip.into(), 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let ua = Ua::new(UaConfig::default(), address.port().into());
        Self { ua, address, credentials: None, registers_with: Vec::new(), socket }
    }

    pub fn flow_to(&self, remote: SocketAddr) -> Flow {
        Flow::udp(self.address, remote)
    }

    pub fn command(&mut self, command: Command) {
        self.ua.handle(Instant::now(), Input::Command(command));
    }

    /// Works until something happens that the user agent tells of.
    pub async fn event(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.next()).await.expect("nothing happened at the peer")
    }

    /// Works until nothing of it is left, retransmissions included, or somebody calls it again.
    pub async fn settle(&mut self) {
        while self.ua.stats().sessions > 0 {
            self.event().await;
        }
        self.flush().await;
    }

    /// Sends what it has to say.
    pub async fn flush(&mut self) {
        while let Some(output) = self.ua.poll() {
            if let Output::Transmit { flow, bytes } = output {
                self.socket.send_to(&bytes, flow.remote).await.unwrap();
            }
        }
    }

    async fn next(&mut self) -> Event {
        let mut buffer = vec![0_u8; 65_535];
        loop {
            while let Some(output) = self.ua.poll() {
                match output {
                    Output::Transmit { flow, bytes } => drop(self.socket.send_to(&bytes, flow.remote).await.unwrap()),
                    Output::Event(event) => return event,
                }
            }
            let deadline = self.ua.deadline().unwrap_or_else(|| Instant::now() + PATIENCE);
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let (length, remote) = received.unwrap();
                    let flow = self.flow_to(remote);
                    let message = Bytes::copy_from_slice(&buffer[..length]);
                    self.ua.handle(Instant::now(), Input::Received { message, flow });
                }
                () = tokio::time::sleep_until(deadline.into()) => self.ua.handle(Instant::now(), Input::Tick),
            }
        }
    }
}

pub const DOMAIN: &str = "home.sip.localhost";
pub const PASSWORD: &str = "correct horse";

impl World {
    /// The account's domain with these users, all with [`PASSWORD`].
    pub async fn domain_with(&self, logins: &[&str]) {
        let domain = self.domain(DOMAIN, |_| {}).await;
        for login in logins {
            self.user(domain, login, |_| {}).await;
        }
    }

    /// A way to the telephone network that leads to this peer.
    pub fn carrier(&self, peer: &Peer) {
        self.engine.add_carrier(VoiceCarrier { name: "test", address: peer.address });
    }

    pub async fn profile(&self, tn_lease: Option<Uuid>) -> Uuid {
        let new = NewVoiceProfile { tn_lease, ..NewVoiceProfile::new("profile") };
        self.store.voice_profiles().create(self.account, None, new).await.unwrap().uuid
    }

    pub async fn domain(&self, name: &str, change: impl FnOnce(&mut NewDomain)) -> Uuid {
        let mut new = NewDomain {
            domain: name.to_owned(),
            sip_connection: None,
            sip_control_app: None,
            outbound_voice_profile: None,
        };
        change(&mut new);
        self.store.domains().create(self.account, None, new).await.unwrap().uuid
    }

    pub async fn user(&self, domain: Uuid, login: &str, change: impl FnOnce(&mut NewSipUser)) -> Uuid {
        let mut new = NewSipUser { login: login.to_owned(), password: PASSWORD.to_owned(), ..NewSipUser::default() };
        change(&mut new);
        self.store.sip_users().create(self.account, None, domain, new).await.unwrap().uuid
    }

    /// Another account, whose things are made from now on.
    pub async fn another_account(&mut self, balance: &str) {
        let new = NewAccount {
            name: format!("Not {}", self.account),
            email: format!("{}@example.com", Uuid::new_v4()),
            phone: None,
            level: None,
            time_zone: None,
            balance: balance.parse().unwrap(),
        };
        self.account = self.store.accounts().create(new).await.unwrap().uuid;
    }
}

pub fn address(user: &str) -> NameAddr {
    NameAddr::new(Uri::sip(Some(user), DOMAIN, None).unwrap())
}

pub fn offer(port: u16) -> Bytes {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
    .into()
}

pub fn sdp(port: u16) -> Option<(Bytes, Bytes)> {
    described(offer(port))
}

pub fn described(description: Bytes) -> Option<(Bytes, Bytes)> {
    Some((Bytes::from_static(b"application/sdp"), description))
}

impl Peer {
    /// Sends a REGISTER and returns the final answer's code.
    pub async fn register(&mut self, sip: SocketAddr, login: &str, password: &str, expires: u32) -> u16 {
        self.register_with(sip, address(login), password, expires).await
    }

    /// Registers with [`PASSWORD`] in another domain than the world's first.
    pub async fn register_at(&mut self, sip: SocketAddr, login: &str, domain: &str, expires: u32) -> u16 {
        let aor = NameAddr::new(Uri::sip(Some(login), domain, None).unwrap());
        self.register_with(sip, aor, PASSWORD, expires).await
    }

    async fn register_with(&mut self, sip: SocketAddr, aor: NameAddr, password: &str, expires: u32) -> u16 {
        let login = aor.uri.user().unwrap().to_owned();
        let id = self.ua.new_request();
        let uri = Uri::sip(None, aor.uri.host(), None).unwrap();
        let request = OutgoingRequest {
            contact: Some(Uri::from_addr(Some(&login), self.address)),
            expires: Some(expires),
            headers: self.registers_with.clone(),
            credentials: Some(Credentials::password(login, password)),
            ..OutgoingRequest::new(self.flow_to(sip), Method::Register, uri, aor.clone(), aor)
        };
        self.command(Command::Request { id, request });
        match self.event().await {
            Event::Response { response, .. } => response.code(),
            other => panic!("{other:?}"),
        }
    }

    /// Calls somebody; the answer comes as an event.
    pub fn call(&mut self, sip: SocketAddr, from: NameAddr, uri: Uri, rtp: u16) -> SessionId {
        self.call_with(sip, from, uri, rtp, &[])
    }

    /// The same with headers of its own.
    pub fn call_with(
        &mut self,
        sip: SocketAddr,
        from: NameAddr,
        uri: Uri,
        rtp: u16,
        headers: &[(&'static str, &str)],
    ) -> SessionId {
        self.call_describing(sip, from, uri, headers, offer(rtp))
    }

    /// The same with a session description of its own.
    pub fn call_describing(
        &mut self,
        sip: SocketAddr,
        from: NameAddr,
        uri: Uri,
        headers: &[(&'static str, &str)],
        description: Bytes,
    ) -> SessionId {
        let session = self.ua.new_session();
        let invite = OutgoingInvite {
            flow: self.flow_to(sip),
            uri: uri.clone(),
            from,
            to: NameAddr::new(uri),
            contact: None,
            call_id: None,
            route: Vec::new(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), value.to_string().into())).collect(),
            body: described(description),
            credentials: self.credentials.map(|(login, password)| Credentials::password(login, password)),
        };
        self.command(Command::Invite { session, invite });
        session
    }

    /// Calls the number of the world from outside.
    pub fn call_number(&mut self, sip: SocketAddr, rtp: u16) -> SessionId {
        self.call_tn(sip, NUMBER, rtp)
    }

    pub fn call_tn(&mut self, sip: SocketAddr, tn: u64, rtp: u16) -> SessionId {
        let from = NameAddr::new(Uri::from_addr(Some("+12025550123"), self.address));
        self.call(sip, from, Uri::from_addr(Some(&tn.to_string()), sip), rtp)
    }

    /// Waits to be called; what else happens is passed over.
    pub async fn invited(&mut self) -> SessionId {
        loop {
            if let Event::Invite { session, .. } = self.event().await {
                return session;
            }
        }
    }

    /// Refuses the next call with 486 and returns its INVITE.
    pub async fn refuse(&mut self) -> Request {
        loop {
            if let Event::Invite { session, request, .. } = self.event().await {
                self.command(Command::Reject { session, code: 486, reason: None, headers: Vec::new() });
                self.settle().await;
                return request;
            }
        }
    }

    /// Waits for a 101..199.
    pub async fn progress(&mut self) {
        while !matches!(self.event().await, Event::Progress { .. }) {}
    }
}
