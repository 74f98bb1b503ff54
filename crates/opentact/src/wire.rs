//! Puts the rooms together, and takes them apart in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use opentact_api::{
    ApiState, FacebookSettings, GoogleSettings, IceSettings, LeaseSettings, LookupSettings, MailSettings,
    OrderSettings, Parts, RateLimit,
};
use opentact_carrier::dev::{DevNumbers, DevRegistry, DevVoice, SmscConfig, VoiceConfig};
use opentact_carrier::messages::MessagesConfig;
use opentact_carrier::messaging::{CarrierConfig, Messaging};
use opentact_carrier::smpp::{ClientTls, ServerConfig, ServerTls, SmppConfig};
use opentact_engine::defence::DefenceConfig;
use opentact_engine::dns::DnsConfig;
use opentact_engine::http::{EgressGuard, HttpClient};
use opentact_engine::ledger::{SpeechPrices, Steps};
use opentact_engine::mail::{self, MailConfig};
use opentact_engine::media::{Delay, MediaConfig};
use opentact_engine::number_data::HttpNumberData;
use opentact_engine::ports::NumberData;
use opentact_engine::prompt::PromptConfig;
use opentact_engine::recognition::{self, RecognitionConfig, SphinxConfig, StreamConfig, Utterance};
use opentact_engine::recordings::{RecordingsConfig, S3Config, UploadConfig};
use opentact_engine::router::{EmergencyConfig, RouterConfig};
use opentact_engine::speech::{Gender, RemoteConfig, RemoteVoice, SpeechConfig, SpeechEngines};
use opentact_engine::stir::StirConfig;
use opentact_engine::trace::{SipWatch, TraceConfig};
use opentact_engine::transport::{Outside, TcpLimits, TlsConfig, TransportConfig, View, WsDoor};
use opentact_engine::{
    BatchConfig, CodecOrder, Engine, EngineConfig, MessageConfig, PRODUCT, SubscribeConfig, TrunkConfig, WebhookConfig,
};
use opentact_events::Hub;
use opentact_messaging::smpp::VERSION_5_0;
use opentact_sip::digest::Algorithm;
use opentact_sip::flow::Transport;
use opentact_sip::registrar::RegistrarConfig;
use opentact_sip::sdp::SrtpPolicy;
use opentact_store::{Keyring, Store};

use crate::config::Config;
use crate::config::sms_carrier::SmsCarrier;
use crate::config::value::{AsrEngine, CodecName, Digest, External, Secret, SignUp, Span, SpeechVoice, Srtp};
use crate::first_start::{self, FirstStart};
use crate::stir;

/// SIP messages that wait while the core is busy.
const SIP_QUEUE: usize = 4096;
/// How long a row that the router read is used; a change by REST makes it forget at once.
const ROUTER_CACHE: Duration = Duration::from_secs(30);
/// Of the key that signs JWTs.
const JWT_KEY_OCTETS: usize = 32;

/// A running node, without its HTTP listeners.
pub struct Node {
    pub first: Option<FirstStart>,
    pub api: ApiState,
    store: Store,
    hub: Hub,
    engine: Engine,
    messaging: Messaging,
    voice: Arc<DevVoice>,
}

impl Node {
    /// Starts everything from the bottom up. `https` is where the API will be reached, `sip_tls` what SIP over TLS is
    /// served with.
    ///
    /// # Errors
    /// Whatever cannot be had: a port, the database, a file of the data folder.
    pub async fn start(config: &Config, https: SocketAddr, sip_tls: TlsConfig) -> anyhow::Result<Self> {
        let store = open_store(config).await?;
        let numbers = Arc::new(DevNumbers);
        let first = first_start::ensure(&store, config, numbers.as_ref()).await?;
        let hub = Hub::start(store.clone(), hub_settings(config)).await?;
        let speech = Arc::new(SpeechEngines::new(speech_config(config)).context("speech")?);
        let stir = stir::prepare(config, https, chrono::Utc::now().timestamp())?;
        let tls = (sip_tls.server.clone(), ClientTls(sip_tls.client.clone()));
        let engine =
            Engine::start(engine_config(config, sip_tls, stir.config)?, store.clone(), hub.clone(), speech.clone())
                .await?;

        let voice = DevVoice::connect(voice_config(config), &engine, store.clone()).await?;
        let (served, trust) = tls;
        let carriers = config.messaging.carriers.iter().map(|carrier| sms_carrier(carrier, &trust)).collect();
        let server = smpp_server(config, served);
        let messaging = Messaging::start(&store, &hub, carriers, messages_config(config), server).await?;

        let http = HttpClient::new(EgressGuard::new(config.http.egress_allow.clone()), PRODUCT)?;
        let api = ApiState::new(Parts {
            store: store.clone(),
            hub: hub.clone(),
            calls: engine.control(),
            messages: messaging.control(),
            number_data: number_data(config, &numbers, &http),
            numbers,
            registry: Arc::new(DevRegistry { vetting: config.messaging.ten_dlc_vetting.0 }),
            archive: engine.archive(),
            speech,
            http,
            post: mail::post(mail_config(config, https)).context("mail")?,
            authority: stir.authority,
            jwt_secret: jwt_key(&config.general.data)?,
            settings: api_settings(config, https),
            clock: Arc::new(Instant::now),
        });
        Ok(Self { first, api, store, hub, engine, messaging, voice })
    }

    /// Where SIP is listened for.
    pub fn sip_address(&self, transport: Transport) -> Option<SocketAddr> {
        self.engine.sip_address(transport)
    }

    /// Where customers' SMPP software binds.
    pub fn smpp_addresses(&self) -> &[SocketAddr] {
        self.messaging.server_addresses()
    }

    /// Where SIP messages can be watched.
    pub fn sip_watch(&self) -> SipWatch {
        self.engine.sip_watch()
    }

    /// SIP over WebSocket for the HTTP listener `local`, which takes the word of `http.trusted_proxies` for who a client is.
    pub fn websocket(&self, config: &Config, local: SocketAddr, secure: bool) -> axum::Router {
        let settings = api_settings(config, local);
        let client = Arc::new(move |peer, forwarded: Option<&str>| settings.client_address(peer, forwarded));
        self.engine.websocket(WsDoor { secure, local, client })
    }

    /// Takes nothing new; returns when the last live call has ended, by itself or at `timeout`.
    pub async fn drain(&self, timeout: Duration) {
        self.api.drain();
        if !self.engine.drain(timeout).await {
            tracing::warn!(?timeout, "calls were hung up at the drain timeout");
        }
    }

    /// Puts everything that was accepted on disk and ends the websockets, once calls have ended.
    pub async fn finish(&self) {
        self.messaging.drain().await;
        self.hub.close().await;
    }

    /// Stops what is left, from the top down.
    ///
    /// # Errors
    /// The database's.
    pub async fn stop(self) -> anyhow::Result<()> {
        drop(self.voice);
        self.engine.stop().await.finish().await;
        self.store.close().await?;
        Ok(())
    }
}

/// Who is asked for facts of numbers.
fn number_data(config: &Config, dev: &Arc<DevNumbers>, http: &HttpClient) -> Arc<dyn NumberData> {
    let lookup = &config.lookup;
    match &lookup.url {
        Some(url) => Arc::new(HttpNumberData {
            http: http.clone(),
            name: lookup.name.clone(),
            url: url.clone(),
            authorization: lookup.authorization.as_ref().map(|Secret(value)| value.clone()),
            timeout: lookup.timeout.0,
        }),
        None => dev.clone(),
    }
}

fn mail_config(config: &Config, https: SocketAddr) -> MailConfig {
    MailConfig {
        from: config.mail_from(https),
        smtp: config.mail.smtp.as_ref().map(|Secret(url)| url.clone()),
        folder: config.general.data.join("mail"),
    }
}

fn messages_config(config: &Config) -> MessagesConfig {
    let messaging = &config.messaging;
    MessagesConfig {
        queue_timeout: messaging.queue_timeout.0,
        concurrency: messaging.concurrency as usize,
        ten_dlc: messaging.ten_dlc,
        healthy: f64::from(messaging.healthy) / 100.0,
        patience: messaging.inbound_patience.0,
        segments: u64::from(messaging.inbound_segments),
        ..MessagesConfig::default()
    }
}

fn sms_carrier(carrier: &SmsCarrier, trust: &ClientTls) -> CarrierConfig {
    let smsc = match carrier {
        SmsCarrier::Dev => return CarrierConfig::Dev(SmscConfig::default()),
        SmsCarrier::Http(http) => return CarrierConfig::Http(http.clone()),
        SmsCarrier::Smpp(smsc) => smsc,
    };
    let mut smpp = SmppConfig::new(&smsc.name, &smsc.address, &smsc.system_id, &smsc.password.0);
    smpp.system_type.clone_from(&smsc.system_type);
    smpp.window = smsc.window as usize;
    smpp.rate = smsc.rate;
    smpp.split = smsc.split;
    smpp.data_sm = smsc.data_sm;
    if smsc.version_5 {
        smpp.version = VERSION_5_0;
    }
    smpp.tls = smsc.tls.then(|| trust.clone());
    CarrierConfig::Smpp(smpp)
}

/// `None` where it listens nowhere.
fn smpp_server(config: &Config, tls: ServerTls) -> Option<ServerConfig> {
    let smpp = &config.smpp;
    let server = ServerConfig {
        listen: smpp.listen.clone(),
        listen_tls: smpp.tls.clone(),
        tls: Some(tls),
        connections: smpp.connections as usize,
        binds_per_account: smpp.binds_per_account as usize,
        window: smpp.window as usize,
        rate: smpp.rate,
        failures: smpp.bind_failures,
        keep: smpp.keep.0,
    };
    (!server.listen.is_empty() || !server.listen_tls.is_empty()).then_some(server)
}

/// Connects to the database and brings its schema up to date.
///
/// # Errors
/// The key file or the database is not usable.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let data = &config.general.data;
    let key_file = config.store.key_file.clone().unwrap_or_else(|| data.join("secret.key"));
    let keyring = Keyring::open_or_create(&key_file)?;
    let url = match &config.store.url {
        Some(Secret(url)) => url.clone(),
        None => format!("sqlite:{}", data.join("opentact.db").display()),
    };
    let store = Store::connect(&opentact_store::Settings::new(url), keyring).await.context("store.url")?;
    store.migrate().await.context("store.url")?;
    Ok(store)
}

/// The key that signs JWTs, made once: what a user was given stays good over a restart.
fn jwt_key(data: &Path) -> anyhow::Result<Vec<u8>> {
    let path = data.join("jwt.key");
    match std::fs::read(&path) {
        Ok(key) if key.len() == JWT_KEY_OCTETS => return Ok(key),
        Ok(_) => anyhow::bail!("{}: not a key of {JWT_KEY_OCTETS} octets", path.display()),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {}
        Err(fault) => return Err(fault).context(path.display().to_string()),
    }
    let key = rand::random::<[u8; JWT_KEY_OCTETS]>();
    crate::files::replace(&path, &key, 0o600).with_context(|| path.display().to_string())?;
    Ok(key.to_vec())
}

fn hub_settings(config: &Config) -> opentact_events::Settings {
    let events = &config.events;
    opentact_events::Settings {
        queue: events.queue as usize,
        commit_every: events.commit_every.0,
        buffer: events.websocket_buffer as usize,
        keep_count: u64::from(events.keep_count),
        keep_for: events.keep_for.0,
        ..opentact_events::Settings::default()
    }
}

fn voice_config(config: &Config) -> VoiceConfig {
    let defaults = VoiceConfig::default();
    VoiceConfig { media: MediaConfig { ports: config.carrier.media_ports.0.clone(), ..defaults.media }, ..defaults }
}

fn speech_config(config: &Config) -> SpeechConfig {
    let speech = &config.speech;
    let voice = |voice: &SpeechVoice| RemoteVoice {
        name: voice.name.clone(),
        lang: voice.lang.clone(),
        gender: if voice.male { Gender::Male } else { Gender::Female },
    };
    SpeechConfig {
        espeak: speech.espeak.clone(),
        festival: speech.festival.clone(),
        remote: speech.url.as_ref().map(|url| RemoteConfig {
            url: url.clone(),
            key: speech.key.as_ref().map(|Secret(key)| key.clone()),
            model: speech.model.clone(),
            format: speech.format.word().to_owned(),
            voices: speech.voices.iter().map(voice).collect(),
        }),
        concurrency: speech.concurrent as usize,
        waiting: speech.waiting as usize,
        timeout: speech.timeout.0,
    }
}

fn recognition_config(config: &Config) -> RecognitionConfig {
    let asr = &config.asr;
    let key = asr.key.as_ref().map(|Secret(key)| key.clone());
    let millis = |span: Span| u32::try_from(span.0.as_millis()).unwrap_or(u32::MAX);
    RecognitionConfig {
        engine: match asr.engine {
            AsrEngine::Off => recognition::EngineConfig::Off,
            AsrEngine::Pocketsphinx => recognition::EngineConfig::Sphinx(SphinxConfig {
                program: asr.pocketsphinx.clone(),
                model: asr.pocketsphinx_model.clone(),
            }),
            AsrEngine::Server => recognition::EngineConfig::Server(recognition::ServerConfig {
                url: asr.url.clone().unwrap_or_default(),
                key,
                model: asr.model.clone(),
            }),
            AsrEngine::Stream => {
                recognition::EngineConfig::Stream(StreamConfig { url: asr.stream.clone().unwrap_or_default(), key })
            }
            AsrEngine::Tones => recognition::EngineConfig::Tones,
        },
        timeout: asr.timeout.0,
        concurrency: asr.concurrent as usize,
        waiting: asr.waiting as usize,
        longest: asr.longest.0,
        utterance: Utterance { silence: millis(asr.silence), longest: millis(asr.utterance) },
    }
}

fn recordings(config: &Config) -> anyhow::Result<RecordingsConfig> {
    let settings = &config.recordings;
    let folder = settings.folder.clone().unwrap_or_else(|| config.general.data.join("recordings"));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let upload = match &settings.upload {
        None => None,
        Some(url) => Some(UploadConfig {
            url: url.parse().context("recordings.upload")?,
            s3: S3Config {
                endpoint: settings.s3_endpoint.clone(),
                region: settings.s3_region.clone(),
                access_key: settings.s3_access_key.clone(),
                secret_key: settings.s3_secret_key.as_ref().map(|Secret(key)| key.clone()),
            },
            keep_local: settings.keep_local,
            parallel: settings.upload_parallel as usize,
            give_up: settings.upload_give_up.0,
        }),
    };
    Ok(RecordingsConfig { folder, upload })
}

fn prompts(config: &Config) -> PromptConfig {
    let media = &config.media;
    PromptConfig {
        folder: media.prompts.clone().unwrap_or_else(|| config.general.data.join("prompts")),
        memory: media.prompt_memory.0,
        file: media.prompt_size.0,
        fresh: media.prompt_fresh.0,
        stall: media.prompt_stall.0,
        hold_music: media.hold_music.clone(),
    }
}

fn engine_config(config: &Config, tls: TlsConfig, stir: StirConfig) -> anyhow::Result<EngineConfig> {
    let mut media = MediaConfig {
        address: config.media.address,
        ports: config.media.ports.0.clone(),
        rtp_timeout: config.media.timeout.0,
        jitter: Delay { initial_ms: config.media.jitter, max_ms: config.media.jitter_max },
        mix_parties: config.media.mix_parties as usize,
        tap_hear: config.media.tap_hear.0,
        tap_say: config.media.tap_say.0,
        ..MediaConfig::default()
    };
    if config.media.threads > 0 {
        media.threads = config.media.threads as usize;
    }
    let names = |codecs: &[CodecName]| codecs.iter().map(|codec| codec.word().to_owned()).collect();
    let algorithm = |digest: &Digest| match digest {
        Digest::Md5 => Algorithm::Md5,
        Digest::Sha256 => Algorithm::Sha256,
    };
    let router = RouterConfig {
        region: config.general.country.clone(),
        park_timeout: config.sip.park_timeout.0,
        ring_timeout: config.sip.ring_timeout.0,
        carrier_attempts: config.sip.carrier_attempts,
        realm: config.sip.domain.clone(),
        digest: config.sip.digest.iter().map(algorithm).collect(),
        cache_ttl: ROUTER_CACHE,
        emergency: EmergencyConfig { numbers: config.sip.emergency_numbers.clone(), trunk: config.sip.emergency_trunk },
        billing: Steps { first: config.billing.voice_minimum.0, each: config.billing.voice_step.0 },
        speech: SpeechPrices {
            asr_minute: config.billing.asr_minute.parse().unwrap_or_default(),
            tts_thousand: config.billing.tts_thousand.parse().unwrap_or_default(),
        },
    };
    let session_expires = config.sip.session_expires.0;
    let media_external = match &config.media.external_address[..] {
        [] => &config.sip.external_address,
        external => external,
    };
    let defence = DefenceConfig {
        rate_limit: config.sip.rate_limit,
        rate_burst: config.sip.rate_burst,
        user_rate_limit: config.sip.user_rate_limit,
        user_rate_burst: config.sip.user_rate_burst,
        scanners: config.sip.scanners.clone(),
        ban: config.sip.ban.0,
        auth_failures: config.sip.auth_failures,
        trusted: config.sip.trusted.clone(),
    };
    Ok(EngineConfig {
        session_expires: (!session_expires.is_zero()).then_some(session_expires),
        min_se: config.sip.min_se.0,
        transport: TransportConfig {
            udp: config.sip.udp.clone(),
            tcp: config.sip.tcp.clone(),
            tls: Some(tls),
            outside: outside(&config.sip.external_address),
            limits: TcpLimits {
                connections: config.sip.connections as usize,
                per_address: config.sip.connections_per_address as usize,
                handshakes: config.sip.handshakes as usize,
                message: config.sip.message_limit.0,
                udp_request: config.sip.udp_request_limit.0,
                idle: config.sip.idle_timeout.0,
                keep_alive: config.sip.keep_alive.0,
                ping: config.sip.ws_ping.0,
                ..TcpLimits::default()
            },
        },
        dns: DnsConfig { servers: config.sip.dns.clone(), timeout: config.sip.dns_timeout.0 },
        media,
        codecs: CodecOrder { phones: names(&config.media.codecs), trunks: names(&config.media.trunk_codecs) },
        media_outside: outside(media_external),
        srtp: match config.media.srtp {
            Srtp::Off => SrtpPolicy::Off,
            Srtp::Optional => SrtpPolicy::Optional,
            Srtp::Required => SrtpPolicy::Required,
        },
        ice_lite: config.media.ice_lite,
        stun: config.media.stun.clone(),
        trunks: TrunkConfig {
            interval: config.sip.ping_interval.0,
            failures: config.sip.ping_failures,
            expires: whole_seconds(config.sip.trunk_expires.0),
        },
        phone_ping: config.sip.phone_ping.0,
        router,
        defence,
        stir,
        egress_allow: config.http.egress_allow.clone(),
        max_calls: config.limits.calls as usize,
        overload_delay: config.limits.overload_delay.0,
        webhooks: WebhookConfig {
            timeout: config.webhooks.timeout.0,
            concurrent: config.webhooks.concurrent as usize,
            concurrent_per_hook: config.webhooks.concurrent_per_hook as usize,
            in_memory: config.webhooks.in_memory as usize,
            in_memory_per_hook: config.webhooks.in_memory_per_hook as usize,
            retry_for: config.webhooks.retry_for.0,
            keep: config.webhooks.keep.0,
        },
        batches: BatchConfig { max_running: config.batch.running as usize },
        recordings: recordings(config)?,
        trace: TraceConfig { messages: config.sip.trace_messages as usize, octets: config.sip.trace_bytes.0 },
        registration: RegistrarConfig {
            min_expires: whole_seconds(config.sip.register_min.0),
            default_expires: whole_seconds(config.sip.register_default.0),
            max_expires: whole_seconds(config.sip.register_max.0),
            ..RegistrarConfig::default()
        },
        subscribe: SubscribeConfig {
            max: config.sip.subscriptions as usize,
            max_per_user: config.sip.subscriptions_per_user as usize,
            min_expires: whole_seconds(config.sip.subscribe_min.0),
            max_expires: whole_seconds(config.sip.subscribe_max.0),
            interval: config.sip.notify_interval.0,
        },
        messages: MessageConfig {
            max_octets: config.messaging.sip_size as usize,
            max_waiting: u64::from(config.messaging.sip_queue),
            keep: config.messaging.sip_keep.0,
        },
        prompts: prompts(config),
        recognition: recognition_config(config),
        sip_queue: SIP_QUEUE,
    })
}

fn outside(views: &[External]) -> Outside {
    Outside::new(views.iter().map(|view| View { peers: view.peers, told: view.told }).collect())
}

/// As SIP counts; the configuration was checked to be in range.
fn whole_seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

fn amd(amd: &crate::config::Amd) -> opentact_media::amd::Settings {
    let millis = |span: crate::config::value::Span| u32::try_from(span.0.as_millis()).unwrap_or(u32::MAX);
    opentact_media::amd::Settings {
        initial_silence: millis(amd.initial_silence),
        greeting: millis(amd.greeting),
        after_greeting_silence: millis(amd.after_greeting_silence),
        total: millis(amd.total),
        min_word: millis(amd.min_word),
        between_words: millis(amd.between_words),
        max_words: amd.max_words,
        threshold: -(amd.threshold as f32),
        beep: false,
        beep_timeout: millis(amd.beep_timeout),
        min_beep: millis(amd.min_beep),
    }
}

fn api_settings(config: &Config, https: SocketAddr) -> opentact_api::Settings {
    let defaults = opentact_api::Settings::default();
    opentact_api::Settings {
        public_url: config.public_url(https),
        sip_domain: config.sip.domain.clone(),
        sign_up: match config.sign_up() {
            SignUp::Open => opentact_api::SignUp::Open,
            SignUp::Invite => opentact_api::SignUp::Invite,
            SignUp::Closed => opentact_api::SignUp::Closed,
        },
        sign_up_balance: config.accounts.sign_up_balance.into(),
        trusted_proxies: config.http.trusted_proxies.clone(),
        max_body: config.http.body_limit.0,
        ice: IceSettings {
            servers: config.media.ice_servers.clone(),
            turn_secret: config.media.turn_secret.as_ref().map(|Secret(secret)| secret.clone()),
            turn_ttl: config.media.turn_ttl.0,
        },
        avatar_size: config.accounts.avatar_size.0,
        guard_per_address: config.accounts.failed_logins_per_address,
        guard_per_login: config.accounts.failed_logins_per_email,
        guard_window: config.accounts.failed_logins_window.0,
        rate: RateLimit {
            account_per_minute: config.limits.requests_per_minute,
            address_per_minute: config.limits.stranger_requests_per_minute,
            ..defaults.rate
        },
        amd: amd(&config.amd),
        batches: opentact_api::BatchSettings {
            max_phones: config.batch.phones as usize,
            max_body: config.batch.body_limit.0,
            per_second: config.batch.cps,
            max_per_second: config.batch.cps_max,
            concurrent: config.batch.concurrent,
            max_concurrent: config.batch.concurrent_max,
        },
        orders: OrderSettings { quarantine: config.numbers.quarantine.0, ..defaults.orders },
        leases: LeaseSettings {
            notice: config.numbers.lease_notice.0,
            grace: config.numbers.lease_grace.0,
            ..defaults.leases
        },
        google: config.accounts.google_client_id.as_ref().map(|client_id| GoogleSettings {
            client_id: client_id.clone(),
            keys_url: config.accounts.google_keys_url.clone(),
        }),
        facebook: config.accounts.facebook_app_id.as_ref().zip(config.accounts.facebook_app_secret.as_ref()).map(
            |(app_id, Secret(app_secret))| FacebookSettings {
                app_id: app_id.clone(),
                app_secret: app_secret.clone(),
                url: config.accounts.facebook_url.clone(),
            },
        ),
        lookup: LookupSettings {
            price: config.lookup.price.parse().unwrap_or(defaults.lookup.price),
            cache_ttl: config.lookup.cache_ttl.0,
            cache_size: config.lookup.cache_size.into(),
        },
        mail: MailSettings {
            queue: config.mail.queue.into(),
            retry_for: config.mail.retry_for.0,
            reset_ttl: config.mail.reset_ttl.0,
            per_address: config.mail.per_address,
            per_recipient: config.mail.per_recipient,
            ..defaults.mail
        },
        allowed_origins: config.https.allowed_origins.iter().cloned().collect(),
        ..defaults
    }
}
