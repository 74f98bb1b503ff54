//! The settings themselves.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use uuid::Uuid;

use super::sms_carrier::SmsCarrier;
use super::value::{
    AsrEngine, CarrierName, CodecName, Digest, External, LogFormat, Ports, Secret, SignUp, Size, Span, SpeechFormat,
    SpeechVoice, Srtp, Value,
};
use super::{Layers, Setting};

/// Declares one section: a struct whose fields are settings, and their table.
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident $prefix:literal {
        $( $(#[doc = $doc:literal])+ $field:ident : $type:ty = $default:literal ),+ $(,)?
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $( $(#[doc = $doc])+ pub $field: $type, )+ }

        impl $name {
            pub const ABOUT: &'static str = concat!($($about),+);
            pub const SETTINGS: &'static [Setting] = &[ $( Setting {
                key: concat!($prefix, stringify!($field)),
                kind: <$type as Value>::KIND,
                default: $default,
                doc: concat!($($doc),+),
            } ),+ ];

            fn read(layers: &mut Layers) -> Option<Self> {
                let mut settings = Self::SETTINGS.iter();
                $( let $field: Option<$type> = settings.next().and_then(|setting| layers.value(setting)); )+
                Some(Self { $( $field: $field? ),+ })
            }

            fn show(&self) -> Vec<(&'static str, Option<toml::Value>)> {
                vec![ $( (concat!($prefix, stringify!($field)), self.$field.show()) ),+ ]
            }
        }
    };
}

section! {
    /// Outside any section.
    General "" {
        /// Folder of the database, certificates, recordings and keys; made when missing.
        data: PathBuf = "./data",
        /// Email of the user made on first start.
        admin_email: String = "admin@localhost",
        /// Password of the user made on first start, 8 to 255 characters; unset makes a random one, printed once.
        admin_password: Option<Secret> = "",
        /// Country of numbers written without a country code, ISO 3166 alpha-2.
        country: String = "US",
        /// How long live calls may go on after SIGTERM.
        drain_timeout: Span = "30s",
    }
}

section! {
    /// Plain HTTP in (redirects to HTTPS) and HTTP requests out.
    Http "http." {
        /// Address of the listener that answers 302 to the same path on HTTPS.
        listen: SocketAddr = "127.0.0.1:8080",
        /// Proxies that terminate TLS in front; their `X-Forwarded-Proto: https` counts as HTTPS.
        trusted_proxies: Vec<IpNet> = "",
        /// Private, loopback and link-local networks that callbacks, `Play` and other requests out may reach.
        egress_allow: Vec<IpNet> = "",
        /// Largest request body; a larger one is answered 413.
        body_limit: Size = "1MiB",
    }
}

section! {
    /// HTTPS: the REST API, the websocket and the API page.
    Https "https." {
        /// Address of the listener.
        listen: SocketAddr = "127.0.0.1:8443",
        /// `https://host[:port]` as clients reach it, for URLs in answers; unset: the listener's address.
        public_url: Option<String> = "",
        /// Origins of pages elsewhere that may call the API from browsers (CORS), and that links in mails may lead to.
        allowed_origins: Vec<String> = "",
        /// Further host names and addresses in the certificate, beside localhost, 127.0.0.1 and ::1.
        names: Vec<String> = "",
        /// PEM file of a certificate chain of your own; needs `https.key`. Unset: one of the local CA.
        certificate: Option<PathBuf> = "",
        /// PEM file of the private key of `https.certificate`.
        key: Option<PathBuf> = "",
    }
}

section! {
    /// SIP.
    Sip "sip." {
        /// Addresses of the UDP listeners, one at least. `[::]` is all addresses of IPv6 only.
        udp: Vec<SocketAddr> = "127.0.0.1:5060",
        /// Addresses of the TCP listeners; may be empty.
        tcp: Vec<SocketAddr> = "127.0.0.1:5060",
        /// Addresses of the TLS listeners, which show the certificate of HTTPS; may be empty.
        tls: Vec<SocketAddr> = "127.0.0.1:5061",
        /// File of certificates (PEM) of authorities that trunks over TLS are trusted by, besides those of the operating
        /// system and our own.
        tls_ca: Option<PathBuf> = "",
        /// File of certificates (PEM) of authorities by which who connects over TLS is believed: a trunk is then told by its
        /// `hostname` in its certificate. Unset: nobody is asked for one.
        tls_client_ca: Option<PathBuf> = "",
        /// Whether the plain HTTP listener serves SIP over WebSocket too (`ws://.../sip`), instead of redirecting it to HTTPS.
        ws: bool = "false",
        /// Connections over TCP, TLS and WebSocket at once; one more is closed, or answered 503 by HTTP.
        connections: u32 = "10000",
        /// Of them those that one peer's address (IPv6: /64) has made.
        connections_per_address: u32 = "1000",
        /// TLS handshakes at once that are not done; they are none of the connections. One more is closed.
        handshakes: u32 = "1000",
        /// Longest message; a longer one ends its connection, and is dropped and counted where it is a datagram.
        message_limit: Size = "64KiB",
        /// Longest request to a trunk or SIP address over UDP; a longer one goes over TCP where that is taken (RFC 3261 18.1.1).
        udp_request_limit: Size = "1300B",
        /// A connection over TCP or TLS that is silent for so long is closed.
        idle_timeout: Span = "10m",
        /// A connection over TCP or TLS that we have made and over which nothing comes for so long is pinged by CRLF (RFC 5626):
        /// that keeps ways through NAT open, and tells of peers that are gone. `0s`: never.
        keep_alive: Span = "30s",
        /// How often a WebSocket client is pinged; one that has been silent for twice as long is closed.
        ws_ping: Span = "30s",
        /// DNS servers asked for the hosts of trunks and SIP addresses; unset: those of /etc/resolv.conf.
        dns: Vec<SocketAddr> = "",
        /// How long finding out where a host leads may take in all.
        dns_timeout: Span = "5s",
        /// What stands behind the chosen label in a SIP domain: `home` becomes `home.sip.localhost`.
        domain: String = "sip.localhost",
        /// Digest algorithms that challenges offer, the most wanted first. Many phones, baresip 1 and sipp among them, give up
        /// when they see sha-256 at all, so it has to be asked for.
        digest: Vec<Digest> = "md5",
        /// Addresses that peers are told in place of the listeners' own, for a node behind NAT: one for everybody of its
        /// family, or by the peer's network, of which the smallest decides (`203.0.113.5,10.0.0.0/8=own`). Without it who
        /// comes to a listener on all addresses is told that of the default route.
        external_address: Vec<External> = "",
        /// How long a SIP user or trunk may ring where nothing else says.
        ring_timeout: Span = "60s",
        /// Session interval of calls (RFC 4028): a call that nobody has refreshed for so long is hung up; `0s`: no session timers.
        session_expires: Span = "1800s",
        /// Shortest session interval a peer may ask for, 90 seconds at least; a shorter one is refused with 422.
        min_se: Span = "90s",
        /// Numbers that are dialled for help; nothing that limits other calls keeps those to them. For other countries give
        /// the list they have.
        emergency_numbers: Vec<String> = "911, 112, 933",
        /// UUID of the SIP connection, of any account, that emergency calls go by where the outbound voice profile names none
        /// (`emergency_connection`); unset: those are refused with 503.
        emergency_trunk: Option<Uuid> = "",
        /// How long a call without a document waits for one by REST before it ends.
        park_timeout: Span = "30s",
        /// Shortest registration; a phone that wants less is told so with 423.
        register_min: Span = "60s",
        /// Registration of a phone that does not say how long.
        register_default: Span = "1h",
        /// Longest registration; a phone that wants more is given this.
        register_max: Span = "2h",
        /// Subscriptions at once to the calls, messages and contacts of SIP users; a further one is answered 503.
        subscriptions: u32 = "10000",
        /// Subscriptions of one SIP user; a further one is refused with 403.
        subscriptions_per_user: u32 = "100",
        /// Shortest subscription; a phone that wants less is told so with 423.
        subscribe_min: Span = "60s",
        /// Longest subscription, and that of a phone that does not say how long.
        subscribe_max: Span = "1h",
        /// Least time between two NOTIFYs of a subscription.
        notify_interval: Span = "1s",
        /// How often each carrier is tried for a call that it answers with 5xx before it has rung.
        carrier_attempts: u32 = "3",
        /// Newest SIP messages of calls, in and out, that are kept for `GET /rest/call/{uuid}/trace`; the oldest goes first. REGISTER,
        /// and OPTIONS outside of calls, take no room. 0: none.
        trace_messages: u32 = "20000",
        /// Octets those messages may have together; the oldest goes first.
        trace_bytes: Size = "64MiB",
        /// Requests a second taken from one address (IPv6: one /64); more are dropped without an answer. 0: any number.
        rate_limit: u32 = "2000",
        /// Requests that may come from one address at once.
        rate_burst: u32 = "4000",
        /// Requests a second of one SIP user outside of calls, whatever addresses they come from; more are answered 503 with
        /// Retry-After, but those for help. 0: any number.
        user_rate_limit: u32 = "100",
        /// Such requests of one user that may come at once.
        user_rate_burst: u32 = "200",
        /// Parts of the User-Agent headers of scanners: their requests get no answer, and their address is banned; for what
        /// came in a datagram, which may be forged, for at most 30 seconds and never where somebody is registered.
        scanners: Vec<String> = "friendly-scanner, sipvicious, sipcli, pplsip, sundayddr, VaxSIPUserAgent, sip-scan",
        /// Wrong passwords within a minute that ban their address; so many for one user lock the user there also where the
        /// address is trusted. Unknown users count as such. 0: any number.
        auth_failures: u32 = "20",
        /// How long nothing is taken from a banned address; 0: none is ever banned.
        ban: Span = "10m",
        /// How often a phone that is registered over UDP from behind a NAT is asked by OPTIONS, so that the NAT keeps the way to it
        /// open. 0: never.
        phone_ping: Span = "25s",
        /// From a trunk's answer to an OPTIONS to the next, where it is asked (`options_ping`).
        ping_interval: Span = "30s",
        /// OPTIONS without a good answer, one after the other, that make a trunk down; one good answer makes it up.
        ping_failures: u32 = "2",
        /// Registration asked for where we register with a trunk (`register`).
        trunk_expires: Span = "1h",
        /// Networks that are never limited or banned; nor are the addresses of SIP connections.
        trusted: Vec<IpNet> = "127.0.0.0/8, ::1",
    }
}

section! {
    /// STIR/SHAKEN: who vouches for a caller number.
    Stir "stir." {
        /// File of certificates (PEM) of the authorities that signatures of others must lead to; unset: none but the test
        /// authority is believed.
        trust_anchors: Option<PathBuf> = "",
        /// Make certificates for tests by REST, and believe them. Anybody with an account can then sign as anybody; unset:
        /// only while every listener is on loopback.
        test_ca: Option<bool> = "",
        /// How far the time of a signature may be from now, either way; what is older is stale.
        window: Span = "60s",
        /// How long a call waits for certificates that have to be fetched; then its identity counts as not valid.
        verify_timeout: Span = "2s",
        /// Identities remembered, so that none is used for a second call; at the limit the oldest is forgotten. 0: none.
        replays: u32 = "100000",
        /// File of certificates (PEM) of authorities that servers of certificates are trusted by, besides those of the
        /// operating system.
        x5u_ca: Option<PathBuf> = "",
    }
}

section! {
    /// RTP.
    Media "media." {
        /// Address that RTP sockets are bound to, and that peers are told; `::` is all addresses of both families, `0.0.0.0`
        /// all of IPv4: peers are then told that of the default route.
        address: IpAddr = "127.0.0.1",
        /// Addresses that peers are told in place of `media.address`, by where their signalling is; as in
        /// `sip.external_address`, which counts where this is empty.
        external_address: Vec<External> = "",
        /// UDP ports for RTP (even) and RTCP (the odd one above).
        ports: Ports = "20000-29999",
        /// Media threads; 0: one a core.
        threads: u32 = "0",
        /// SRTP, where a trunk does not say otherwise. `optional`: whoever offers it gets it, and it is offered where the
        /// signalling goes over TLS; `required`: a call without it is refused; `off`: it is not done.
        srtp: Srtp = "optional",
        /// ICE only answers the checks of browsers, and makes none of its own: less to do, for a node at an address that
        /// everybody reaches.
        ice_lite: bool = "false",
        /// STUN server, `host:port`, that is asked every 30 s how this node is seen from outside: browsers are then told that
        /// address too, as a server-reflexive candidate with the port of the call. For a node behind a NAT that passes the
        /// ports on as they are, and whose address nobody knows beforehand.
        stun: Option<String> = "",
        /// URLs of the STUN and TURN servers that browsers are to use, `stun:host`, `turn:host:port?transport=udp` or
        /// `turns:host`: pages ask for them at `GET /rest/sip/ice_server`.
        ice_servers: Vec<String> = "",
        /// Secret shared with those TURN servers (`static-auth-secret` of coturn): each who asks gets a password of its own.
        turn_secret: Option<Secret> = "",
        /// How long such a password is good.
        turn_ttl: Span = "1d",
        /// A leg that should receive and gets no RTP for this long is hung up.
        timeout: Span = "60s",
        /// Codecs spoken with phones and browsers of SIP users, the one liked best first. `L16` is offered at 16,000 and
        /// 8,000 Hz. `G729` is passed through between two who both speak it: such a call hears no prompts, and is
        /// recorded as silence.
        codecs: Vec<CodecName> = "opus,G722,PCMU,PCMA",
        /// Codecs spoken with trunks that have no `codecs` of their own, with the carrier and with SIP addresses elsewhere.
        trunk_codecs: Vec<CodecName> = "PCMU,PCMA,G722,opus",
        /// Milliseconds that packets wait at first where they are decoded to be encoded in another codec; more where they
        /// come unevenly, less where they do not.
        jitter: u32 = "40",
        /// Milliseconds that packets wait at most; what came before is dropped.
        jitter_max: u32 = "300",
        /// Legs that are let into one mix.
        mix_parties: u32 = "512",
        /// How much of what a party says waits for who taps its leg (a bot); beyond it the newest is dropped.
        tap_hear: Span = "2s",
        /// How much of what a tap says waits to be sent; what is beyond is dropped.
        tap_say: Span = "60s",
        /// Folder of audio files that `Play` names without a URL, or by a `file:` URL; any account may play them. Unset:
        /// `prompts` in the data folder.
        prompts: Option<PathBuf> = "",
        /// Octets of memory for all prompts and speech together, decoded and encoded. Those longest not asked for are dropped
        /// first; one that still has no room fails.
        prompt_memory: Size = "256MiB",
        /// Largest audio file, from disk or by HTTP; a larger one fails.
        prompt_size: Size = "64MiB",
        /// How long audio fetched by HTTP is used without asking for it again, where its server says nothing
        /// (`Cache-Control: max-age`).
        prompt_fresh: Span = "60s",
        /// A fetch of audio of which nothing comes for so long has failed.
        prompt_stall: Span = "10s",
        /// Audio file, or folder of such, that whoever is put on hold by the other party hears over and over; of a folder each
        /// hears the next file. Unset: what that party's phone sends.
        hold_music: Option<PathBuf> = "",
    }
}

section! {
    /// Recordings of calls.
    Recordings "recordings." {
        /// Folder that they are written to, made when missing; unset: `recordings` in the data folder.
        folder: Option<PathBuf> = "",
        /// Object store that they are uploaded to: `file:///FOLDER` or `s3://BUCKET/PREFIX`; unset: none is uploaded.
        upload: Option<String> = "",
        /// Server of `s3://`, `https://host[:port]`; unset: that of AWS in the region.
        s3_endpoint: Option<String> = "",
        /// Region of the bucket.
        s3_region: String = "us-east-1",
        /// Access key ID of `s3://`; unset: the role of the machine at AWS.
        s3_access_key: Option<String> = "",
        /// Secret access key of `s3://`.
        s3_secret_key: Option<Secret> = "",
        /// Whether the file also stays in the folder once it is uploaded.
        keep_local: bool = "true",
        /// Uploads at once.
        upload_parallel: u32 = "4",
        /// How long an upload that fails is tried again, ever more seldom up to every 10 minutes; the file stays in the folder.
        upload_give_up: Span = "5d",
    }
}

section! {
    /// Prometheus metrics.
    Metrics "metrics." {
        /// Address of the listener; the path is /metrics.
        listen: SocketAddr = "127.0.0.1:9090",
    }
}

section! {
    /// The database.
    Store "store." {
        /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME`; unset: `opentact.db` in the data folder.
        url: Option<Secret> = "",
        /// File of the key that seals SIP and trunk passwords; unset: `secret.key` in the data folder. Made when missing.
        key_file: Option<PathBuf> = "",
    }
}

section! {
    /// Events and the websocket.
    Events "events." {
        /// Events and records that may wait for the writer; new calls are refused before it is full.
        queue: u32 = "65536",
        /// From one write of events to the next at least; what comes meanwhile is written together, which costs far less.
        /// An event after a silence is written at once.
        commit_every: Span = "50ms",
        /// Events that a slow websocket reader may be behind before it is closed with 4408.
        websocket_buffer: u32 = "1024",
        /// Newest events of each account that the log keeps for replay.
        keep_count: u32 = "100000",
        /// How long the log keeps an event.
        keep_for: Span = "30d",
    }
}

section! {
    /// Webhooks: events told by HTTP.
    Webhooks "webhooks." {
        /// From the first octet of a request to the last of its answer, where an app says nothing else; 2m at most.
        timeout: Span = "10s",
        /// Requests at once.
        concurrent: u32 = "256",
        /// Requests at once to one webhook: one that is slow holds up no other.
        concurrent_per_hook: u32 = "16",
        /// Deliveries that wait in memory; the others wait in the database alone.
        in_memory: u32 = "50000",
        /// Of them those of one webhook.
        in_memory_per_hook: u32 = "1000",
        /// How long a delivery is tried before it is given up.
        retry_for: Span = "5d",
        /// How long deliveries that are over are kept to be looked at, from when they were first made.
        keep: Span = "7d",
    }
}

section! {
    /// Accounts.
    Accounts "accounts." {
        /// Who may sign up; unset: open while every listener is on loopback, else closed.
        sign_up: Option<SignUp> = "",
        /// Balance of an account that signed up. With the simulated network it is play money.
        sign_up_balance: u32 = "100",
        /// Largest image of a user or SIP user, PNG or JPEG; a larger one is answered 413.
        avatar_size: Size = "1MiB",
        /// Failed log-ins within the window that one address may make; then it is answered 429.
        failed_logins_per_address: u32 = "30",
        /// Failed log-ins within the window against one e-mail, from wherever; then it is answered 429.
        failed_logins_per_email: u32 = "100",
        /// How long failed log-ins count.
        failed_logins_window: Span = "15m",
        /// Client id at Google, whose users may then sign in with its ID tokens.
        google_client_id: Option<String> = "",
        /// Where Google publishes the keys that it signs with.
        google_keys_url: String = "https://www.googleapis.com/oauth2/v3/certs",
        /// App id at Facebook, whose users may then sign in with its access tokens; needs the secret.
        facebook_app_id: Option<String> = "",
        /// Secret of that app.
        facebook_app_secret: Option<Secret> = "",
        /// Where Facebook's Graph API is.
        facebook_url: String = "https://graph.facebook.com",
    }
}

section! {
    /// Facts of telephone numbers, for `/rest/lookup`.
    Lookup "lookup." {
        /// What an answer costs.
        price: String = "0.005",
        /// Who is asked, by HTTP, for what a number does not say itself: `{tn}` in the URL is the number. Answers 200 with `state`, `rate_center`, `lata`, `ocn`, `carrier`, `lrn`, `cnam` in JSON, or 404. Unset: the simulated network.
        url: Option<String> = "",
        /// Value of the header `Authorization` of those requests.
        authorization: Option<Secret> = "",
        /// Named as the source of what is answered.
        name: String = "provider",
        /// How long an answer is waited for; then it is a 503.
        timeout: Span = "5s",
        /// How long an answer is remembered.
        cache_ttl: Span = "1d",
        /// Numbers that are remembered; at the limit the least asked for is forgotten.
        cache_size: u32 = "100000",
    }
}

section! {
    /// Mail to people: password resets and invites.
    Mail "mail." {
        /// Server that takes it: `smtp://user:password@host:587?tls=required`, `smtps://…`, or `smtp://host` without TLS. Unset: each mail is a file in `mail` of the data folder, of which the newest 1,000 stay.
        smtp: Option<Secret> = "",
        /// Sender, `address` or `Name <address>`; unset: `opentact@` and the host of the public URL.
        from: Option<String> = "",
        /// Mails that may wait; what asks for one more is answered 503.
        queue: u32 = "10000",
        /// How long a mail is tried again that the server does not take.
        retry_for: Span = "1h",
        /// How long the token of a password reset is good.
        reset_ttl: Span = "1h",
        /// Mails that one address may have sent within an hour; beyond it: 429.
        per_address: u32 = "20",
        /// Mails that one e-mail may be sent within an hour, whoever asks.
        per_recipient: u32 = "3",
    }
}

section! {
    /// Structured logs, on standard error.
    Log "log." {
        /// Level, or directives such as `info,opentact_sip=debug`.
        level: String = "info",
        /// `text` for people, `json` for machines.
        format: LogFormat = "text",
    }
}

section! {
    /// Speech synthesis.
    Speech "speech." {
        /// Program for languages other than English.
        espeak: PathBuf = "espeak-ng",
        /// Program of festival, for the English voice `festival-slt`.
        festival: PathBuf = "text2wave",
        /// Server that speaks the speech API of OpenAI, before `/v1/audio/speech`, such as `https://api.openai.com` or
        /// `http://127.0.0.1:8880`; unset: none.
        url: Option<String> = "",
        /// Its key, sent as `Authorization: Bearer`.
        key: Option<Secret> = "",
        /// Its `model`.
        model: String = "tts-1",
        /// Its `response_format`: `wav`, `mp3` or `opus`.
        format: SpeechFormat = "wav",
        /// Its voices, such as `alloy:en-US:FEMALE`. Each is of type `WaveNet`, and its name is its code.
        voices: Vec<SpeechVoice> = "",
        /// Longest time that one text takes; of the server from one octet to the next.
        timeout: Span = "20s",
        /// Texts that are spoken at once.
        concurrent: u32 = "4",
        /// Texts that wait for their turn; more are refused.
        waiting: u32 = "256",
    }
}

section! {
    /// Speech recognition: `<Gather input="speech">` and `<Record asr="true">`.
    Asr "asr." {
        /// `pocketsphinx`: basic, offline, US English. `server`: `asr.url`. `stream`: `asr.stream`. `tones`: for tests. `off`.
        engine: AsrEngine = "pocketsphinx",
        /// Program of pocketsphinx.
        pocketsphinx: PathBuf = "pocketsphinx_continuous",
        /// Folder of its dictionary.
        pocketsphinx_model: PathBuf = "/usr/share/pocketsphinx/model/en-us",
        /// Server that speaks the transcription API of OpenAI, before `/v1/audio/transcriptions`, such as
        /// `https://api.openai.com`.
        url: Option<String> = "",
        /// Its `model`.
        model: String = "whisper-1",
        /// Websocket that speech is sent to while it is said, `wss://HOST/PATH`.
        stream: Option<String> = "",
        /// Key of either, sent as `Authorization: Bearer`.
        key: Option<Secret> = "",
        /// Longest time from the end of the speech to its text; of a server 2m at most.
        timeout: Span = "60s",
        /// What is recognised at once.
        concurrent: u32 = "4",
        /// What waits for its turn; more is refused.
        waiting: u32 = "256",
        /// Of a longer recording the rest is not transcribed.
        longest: Span = "30m",
        /// Silence that ends what a caller says to a `<Gather>`.
        silence: Span = "800ms",
        /// Longest that a caller may speak to a `<Gather>`.
        utterance: Span = "15s",
    }
}

section! {
    /// The way to the telephone network.
    Carrier "carrier." {
        /// `dev`: the simulated telephone network.
        name: CarrierName = "dev",
        /// UDP ports of the simulated network's own RTP, on loopback.
        media_ports: Ports = "30000-30999",
    }
}

section! {
    /// Telephone numbers.
    Numbers "numbers." {
        /// How long before the end of its term an account is told that a lease will not be renewed.
        lease_notice: Span = "3d",
        /// How long a lease goes on whose renewal the balance does not pay for; then the number is released.
        lease_grace: Span = "3d",
        /// How long a released number is not for sale.
        quarantine: Span = "0s",
    }
}

section! {
    /// SMS.
    Messaging "messaging." {
        /// How long a message may wait in the queue before it fails with `Queuing Timeout`.
        queue_timeout: Span = "10m",
        /// Ways that messages go, in the order they are tried: the next one where one is not bound, throttles or has a fault of
        /// its own. `dev` is the simulated network; an SMSC is `NAME=smpp://SYSTEM_ID:PASSWORD@HOST:PORT`, or `smpps` for TLS, with options as in
        /// `?window=10&rate=50&bind=split&system_type=X&version=5.0&submit=data_sm`: `window` submit_sm that wait for answers at once (1 to 1000),
        /// `rate` submit_sm a second (0: any number), `bind` `transceiver` or `split` into a transmitter and a receiver,
        /// `version` `3.4` or `5.0`, `submit` `submit_sm` or `data_sm`. The name stands in the messages and must stay.
        /// Providers with a JSON API are tables, in the file or as JSON: see [SMS](sms.md#providers-with-a-json-api).
        carriers: Vec<SmsCarrier> = "dev",
        /// Messages at carriers at once; the others wait in the database.
        concurrency: u32 = "64",
        /// How long the segments of an inbound message wait for those that are missing; then it is kept as `failed`.
        inbound_patience: Span = "10m",
        /// Segments of unfinished inbound messages that are kept; with more, the oldest message is given up.
        inbound_segments: u32 = "10000",
        /// A number of a pool is unhealthy when less of its latest 50 messages than so many percent have not failed.
        healthy: u32 = "50",
        /// Whether long codes of the United States and Canada need an active 10DLC campaign to send there. Off, as the
        /// simulated network asks for none.
        ten_dlc: bool = "false",
        /// How long the simulated registry takes to vet a brand or a campaign.
        ten_dlc_vetting: Span = "5s",
        /// Longest message between SIP users, in octets; a longer one is refused with 413.
        sip_size: u32 = "8192",
        /// Messages that wait for a SIP user who is not registered; one more is refused with 480.
        sip_queue: u32 = "100",
        /// How long such a message waits at most before it fails with `Expired`.
        sip_keep: Span = "7d",
    }
}

section! {
    /// SMPP for customers' own software.
    Smpp "smpp." {
        /// Addresses of the listeners; none: it is off. Port 2775 is that of SMPP.
        listen: Vec<SocketAddr> = "",
        /// Addresses of the listeners over TLS, which show the certificate of HTTPS.
        tls: Vec<SocketAddr> = "",
        /// Connections at once; one more is closed.
        connections: u32 = "1000",
        /// Binds of one account at once; one more is refused with ESME_RBINDFAIL.
        binds_per_account: u32 = "20",
        /// submit_sm of a bind that wait for their answers, and deliver_sm to it; one submit_sm more is answered ESME_RTHROTTLED.
        window: u32 = "100",
        /// submit_sm of a bind a second; more are answered ESME_RTHROTTLED. 0: any number.
        rate: u32 = "500",
        /// Failed binds of one address within a minute; then it is not let in. 0: any number.
        bind_failures: u32 = "20",
        /// How long receipts and inbound messages wait for a bind.
        keep: Span = "3d",
    }
}

section! {
    /// What is charged.
    Billing "billing." {
        /// What a call to or from the telephone network that is answered costs at least; whole seconds.
        voice_minimum: Span = "30s",
        /// Each begun one after that is charged; whole seconds, at least 1.
        voice_step: Span = "6s",
        /// Price of a minute of speech that is recognised (`<Gather input="speech">`, `asr` of recordings); each begun second
        /// counts.
        asr_minute: String = "0",
        /// Price of 1,000 characters that a `<Say>` speaks.
        tts_thousand: String = "0",
    }
}

section! {
    /// Answering-machine detection, where a request does not say otherwise.
    Amd "amd." {
        /// Nobody has spoken for so long after the answer: not sure.
        initial_silence: Span = "2500ms",
        /// A greeting that lasts longer is a machine's.
        greeting: Span = "1500ms",
        /// After words, nobody has spoken for so long: a human waits.
        after_greeting_silence: Span = "800ms",
        /// It is judged after so long at the latest.
        total: Span = "5s",
        /// What is shorter is no word.
        min_word: Span = "100ms",
        /// Silence that ends a word.
        between_words: Span = "60ms",
        /// More words are a machine's.
        max_words: u32 = "4",
        /// What is so many decibels below full scale, or softer, is silence; at most 90.
        threshold: u32 = "40",
        /// How long the beep of a machine is waited for, by calls that want it.
        beep_timeout: Span = "30s",
        /// A tone that is shorter is no beep.
        min_beep: Span = "120ms",
    }
}

section! {
    /// Batches: many calls made by one request.
    Batch "batch." {
        /// Numbers of one batch; more are answered 422.
        phones: u32 = "100000",
        /// Largest body of `POST /rest/batch`; a larger one is answered 413.
        body_limit: Size = "32MiB",
        /// Batches that are called at once; further ones wait in the order they were made.
        running: u32 = "100",
        /// Calls begun a second, of a batch that does not say.
        cps: u32 = "10",
        /// Calls begun a second that a batch may ask for.
        cps_max: u32 = "100",
        /// Calls at once, of a batch that does not say.
        concurrent: u32 = "100",
        /// Calls at once that a batch may ask for.
        concurrent_max: u32 = "1000",
    }
}

section! {
    /// Limits of this node.
    Limits "limits." {
        /// Live calls (legs); at the limit new ones are answered 503 with Retry-After.
        calls: u32 = "5000",
        /// A new call is answered 503 with Retry-After when its INVITE has waited longer to be handled: the node has more
        /// to do than it can. Calls for help are taken none the less.
        overload_delay: Span = "500ms",
        /// REST requests a minute and account, a fifteenth of them (at least one) at once; at the limit 429.
        requests_per_minute: u32 = "6000",
        /// The same for each address, of requests without valid credentials.
        stranger_requests_per_minute: u32 = "3000",
    }
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub general: General,
    pub http: Http,
    pub https: Https,
    pub sip: Sip,
    pub stir: Stir,
    pub media: Media,
    pub recordings: Recordings,
    pub metrics: Metrics,
    pub store: Store,
    pub events: Events,
    pub webhooks: Webhooks,
    pub accounts: Accounts,
    pub lookup: Lookup,
    pub mail: Mail,
    pub log: Log,
    pub speech: Speech,
    pub asr: Asr,
    pub carrier: Carrier,
    pub numbers: Numbers,
    pub messaging: Messaging,
    pub smpp: Smpp,
    pub billing: Billing,
    pub amd: Amd,
    pub batch: Batch,
    pub limits: Limits,
}

macro_rules! sections {
    ($($field:ident : $name:ident = $title:literal),+ $(,)?) => {
        /// Title, meaning and settings of each section.
        pub const SECTIONS: &[(&str, &str, &[Setting])] = &[ $( ($title, $name::ABOUT, $name::SETTINGS) ),+ ];

        impl Config {
            pub(super) fn read(layers: &mut Layers) -> Option<Self> {
                $( let $field = $name::read(layers); )+
                Some(Self { $( $field: $field? ),+ })
            }

            pub(super) fn show(&self) -> Vec<(&'static str, Option<toml::Value>)> {
                let mut all = Vec::new();
                $( all.extend(self.$field.show()); )+
                all
            }
        }
    };
}

sections! {
    general: General = "General",
    http: Http = "http",
    https: Https = "https",
    sip: Sip = "sip",
    stir: Stir = "stir",
    media: Media = "media",
    recordings: Recordings = "recordings",
    metrics: Metrics = "metrics",
    store: Store = "store",
    events: Events = "events",
    webhooks: Webhooks = "webhooks",
    accounts: Accounts = "accounts",
    lookup: Lookup = "lookup",
    mail: Mail = "mail",
    log: Log = "log",
    speech: Speech = "speech",
    asr: Asr = "asr",
    carrier: Carrier = "carrier",
    numbers: Numbers = "numbers",
    messaging: Messaging = "messaging",
    smpp: Smpp = "smpp",
    billing: Billing = "billing",
    amd: Amd = "amd",
    batch: Batch = "batch",
    limits: Limits = "limits",
}

/// Every setting of every section.
pub fn all_settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|(_, _, settings)| settings.iter())
}

impl Config {
    /// Whether nothing of this node can be reached from another machine.
    pub fn only_loopback(&self) -> bool {
        let sip = [&self.sip.udp, &self.sip.tcp, &self.sip.tls].into_iter().flatten();
        let http = [&self.http.listen, &self.https.listen, &self.metrics.listen];
        let smpp = self.smpp.listen.iter().chain(&self.smpp.tls);
        sip.chain(http).chain(smpp).all(|address| address.ip().is_loopback())
    }

    /// `https.public_url`, or where none is configured the listener's address, or a name when it listens on all.
    pub fn public_url(&self, https: SocketAddr) -> String {
        if let Some(url) = &self.https.public_url {
            return url.clone();
        }
        if !https.ip().is_unspecified() {
            return format!("https://{https}");
        }
        let name = self.https.names.first().map_or("localhost", String::as_str);
        format!("https://{name}:{}", https.port())
    }

    /// `stir.test_ca`, or its default for these listeners.
    pub fn test_ca(&self) -> bool {
        self.stir.test_ca.unwrap_or_else(|| self.only_loopback())
    }

    /// `mail.from`, or its default.
    pub fn mail_from(&self, https: SocketAddr) -> String {
        self.mail.from.clone().unwrap_or_else(|| {
            let url = url::Url::parse(&self.public_url(https)).ok();
            let name = url.as_ref().and_then(url::Url::domain).unwrap_or("localhost");
            format!("opentact@{name}")
        })
    }

    /// `accounts.sign_up`, or its default for these listeners.
    pub fn sign_up(&self) -> SignUp {
        let default = if self.only_loopback() { SignUp::Open } else { SignUp::Closed };
        self.accounts.sign_up.unwrap_or(default)
    }
}
