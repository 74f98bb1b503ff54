//! What is wrong with settings that are good by themselves: limits, and what does not go together.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use opentact_store::Money;

use super::settings::Config;
use super::sms_carrier::SmsCarrier;
use super::value::{AsrEngine, Secret, Span};

/// How much of a tap may wait.
const TAP: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_mins(10);

impl Config {
    /// What is wrong with values that are good by themselves.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let minute = Duration::from_secs(60);
        let mut faults = Vec::new();
        let mut fault = |bad: bool, key, message: &str| {
            if bad {
                faults.push((key, message.to_owned()));
            }
        };
        if let Some(Secret(password)) = &self.general.admin_password {
            let length = password.chars().count();
            fault(!(8..=255).contains(&length), "admin_password", "expected 8 to 255 characters");
        }
        let email = &self.general.admin_email;
        let local = email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
        fault(!local || !(5..=80).contains(&email.len()), "admin_email", "expected an email of 5 to 80 characters");
        let country = self.general.country.as_bytes();
        fault(
            !(country.len() == 2 && country.iter().all(u8::is_ascii_uppercase)),
            "country",
            "expected two letters such as US",
        );
        fault(self.https.certificate.is_some() && self.https.key.is_none(), "https.certificate", "needs https.key");
        fault(self.https.key.is_some() && self.https.certificate.is_none(), "https.key", "needs https.certificate");
        if let Some(url) = &self.https.public_url {
            let good = url::Url::parse(url).is_ok_and(|url| {
                url.scheme() == "https" && url.has_host() && url.path() == "/" && url.query().is_none()
            });
            fault(!good || url.ends_with('/'), "https.public_url", "expected https://host or https://host:port");
        }
        for origin in &self.https.allowed_origins {
            let good = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            fault(!good, "https.allowed_origins", "expected origins such as https://console.example.com");
        }
        let accounts = &self.accounts;
        fault(
            accounts.facebook_app_id.is_some() != accounts.facebook_app_secret.is_some(),
            "accounts.facebook_app_id",
            "needs accounts.facebook_app_secret, and that needs it",
        );
        for (key, url) in
            [("accounts.google_keys_url", &accounts.google_keys_url), ("accounts.facebook_url", &accounts.facebook_url)]
        {
            let good = url::Url::parse(url).is_ok_and(|url| ["https", "http"].contains(&url.scheme()));
            fault(!good || url.ends_with('/'), key, "expected a URL without a slash at its end");
        }
        for (key, price) in [
            ("lookup.price", &self.lookup.price),
            ("billing.asr_minute", &self.billing.asr_minute),
            ("billing.tts_thousand", &self.billing.tts_thousand),
        ] {
            let price = price.parse::<Money>();
            fault(!price.is_ok_and(|price| price >= Money::ZERO), key, "expected an amount such as 0.005");
        }
        let provider = self.lookup.url.as_ref().map(|url| url::Url::parse(&url.replace("{tn}", "1")));
        fault(
            provider.is_some_and(|url| !url.is_ok_and(|url| ["https", "http"].contains(&url.scheme()))),
            "lookup.url",
            "expected a URL such as https://numbers.example.com/v1/{tn}",
        );
        let mail = &self.mail;
        fault(
            mail.smtp.as_ref().is_some_and(|Secret(url)| !opentact_engine::mail::is_server(url)),
            "mail.smtp",
            "expected smtp://host:port or smtps://host:port",
        );
        fault(
            mail.from.as_ref().is_some_and(|from| !opentact_engine::mail::is_sender(from)),
            "mail.from",
            "expected an address, or Name <address>",
        );
        fault(
            !(minute..=minute * 60 * 24 * 7).contains(&mail.reset_ttl.0),
            "mail.reset_ttl",
            "expected a minute at least and a week at most",
        );
        let domain = &self.sip.domain;
        let host = !domain.is_empty()
            && domain.len() <= 200
            && domain.split('.').all(|label| {
                !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            });
        let sip = &self.sip;
        fault(sip.connections == 0, "sip.connections", "must be at least 1");
        fault(sip.connections_per_address == 0, "sip.connections_per_address", "must be at least 1");
        fault(sip.handshakes == 0, "sip.handshakes", "must be at least 1");
        fault(
            !(2 << 10..=1 << 20).contains(&sip.message_limit.0),
            "sip.message_limit",
            "expected 2KiB at least and 1MiB at most",
        );
        fault(
            !(500..=65_535).contains(&sip.udp_request_limit.0),
            "sip.udp_request_limit",
            "expected 500B at least and 65535B at most",
        );
        fault(sip.idle_timeout.0 < minute, "sip.idle_timeout", "expected a minute at least");
        fault(
            !sip.keep_alive.0.is_zero() && sip.keep_alive.0 < Duration::from_secs(1),
            "sip.keep_alive",
            "expected 0s or a second at least",
        );
        fault(
            !(Duration::from_secs(1)..=minute * 60).contains(&sip.ws_ping.0),
            "sip.ws_ping",
            "expected a second at least and an hour at most",
        );
        let billing = &self.billing;
        for (key, steps, least) in
            [("billing.voice_minimum", billing.voice_minimum, 0), ("billing.voice_step", billing.voice_step, 1)]
        {
            let whole = steps.0.subsec_nanos() == 0 && steps.0 <= minute * 60;
            fault(
                !whole || steps.0.as_secs() < least,
                key,
                "expected whole seconds, an hour at most and a step of 1s at least",
            );
        }
        fault(self.amd.threshold > 90, "amd.threshold", "expected 0 to 90");
        let batch = &self.batch;
        for (key, value, most) in [
            ("batch.phones", batch.phones, 10_000_000),
            ("batch.running", batch.running, 100_000),
            ("batch.cps", batch.cps, batch.cps_max),
            ("batch.concurrent", batch.concurrent, batch.concurrent_max),
        ] {
            fault(!(1..=most).contains(&value), key, &format!("expected 1 to {most}"));
        }
        fault(sip.dns_timeout.0 < Duration::from_millis(100), "sip.dns_timeout", "expected 100ms at least");
        fault(sip.udp.is_empty(), "sip.udp", "must name at least one address");
        for (setting, listeners) in [("sip.udp", &sip.udp), ("sip.tcp", &sip.tcp), ("sip.tls", &sip.tls)] {
            let twice = |(index, one): (usize, &SocketAddr)| one.port() != 0 && listeners[..index].contains(one);
            fault(listeners.iter().enumerate().any(twice), setting, "names an address twice");
        }
        fault(!host, "sip.domain", "expected a host name such as sip.example.com");
        let whole = |span: &Span| span.0.subsec_nanos() == 0 && span.0.as_secs() <= 1_000_000_000;
        let good = |span: &Span| whole(span) && span.0.as_secs() >= 90;
        fault(!good(&self.sip.min_se), "sip.min_se", "expected whole seconds, 90 at least");
        let expires = &self.sip.session_expires;
        let fits = expires.0.is_zero() || (good(expires) && expires.0 >= self.sip.min_se.0);
        fault(!fits, "sip.session_expires", "expected 0s or whole seconds, sip.min_se at least");
        let window = self.stir.window.0;
        fault(window.as_secs() == 0 || window.subsec_nanos() != 0, "stir.window", "expected whole seconds, 1 at least");
        fault(self.stir.verify_timeout.0.is_zero(), "stir.verify_timeout", "must be more than 0s");
        let media = &self.media;
        for (key, codecs) in [("media.codecs", &media.codecs), ("media.trunk_codecs", &media.trunk_codecs)] {
            fault(codecs.is_empty(), key, "must name at least one codec");
        }
        fault(media.jitter > 200, "media.jitter", "must be at most 200");
        fault(
            !(media.jitter + 40..=1_000).contains(&media.jitter_max),
            "media.jitter_max",
            "must be from 40 more than media.jitter to 1000",
        );
        let server = |url: &String| {
            let (scheme, host) = url.split_once(':').unwrap_or_default();
            matches!(scheme, "stun" | "stuns" | "turn" | "turns") && !host.is_empty() && !host.starts_with('/')
        };
        fault(
            !media.ice_servers.iter().all(server),
            "media.ice_servers",
            "expected stun:, stuns:, turn: or turns: URLs",
        );
        fault(media.turn_ttl.0.as_secs() == 0, "media.turn_ttl", "must be at least 1s");
        fault(media.mix_parties == 0, "media.mix_parties", "must be at least 1");
        for (key, span) in [("media.tap_hear", media.tap_hear.0), ("media.tap_say", media.tap_say.0)] {
            fault(!TAP.contains(&span), key, "must be from 20ms to 10m");
        }
        let recordings = &self.recordings;
        if let Some(url) = &recordings.upload {
            let good = url::Url::parse(url).is_ok_and(|url| match url.scheme() {
                "file" => url.to_file_path().is_ok(),
                "s3" => url.has_host(),
                _ => false,
            });
            fault(!good, "recordings.upload", "expected file:///FOLDER or s3://BUCKET or s3://BUCKET/PREFIX");
        }
        if let Some(url) = &recordings.s3_endpoint {
            let web = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            fault(!web, "recordings.s3_endpoint", "expected https://host or https://host:port");
        }
        let speech = &self.speech;
        if let Some(url) = &speech.url {
            let web = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            fault(!web, "speech.url", "expected https://host or http://host:port");
            fault(speech.voices.is_empty(), "speech.url", "needs speech.voices");
        }
        let asr = &self.asr;
        let url = |text: &Option<String>, schemes: [&str; 2]| {
            let parsed = text.as_deref().and_then(|text| url::Url::parse(text).ok());
            parsed.is_some_and(|url| schemes.contains(&url.scheme()) && url.has_host())
        };
        let (http, websocket) = (url(&asr.url, ["http", "https"]), url(&asr.stream, ["ws", "wss"]));
        fault(asr.url.is_some() && !http, "asr.url", "expected https://host or http://host:port");
        fault(asr.stream.is_some() && !websocket, "asr.stream", "expected wss://host/path or ws://host:port/path");
        fault(asr.engine == AsrEngine::Server && asr.url.is_none(), "asr.engine", "server needs asr.url");
        fault(asr.engine == AsrEngine::Stream && asr.stream.is_none(), "asr.engine", "stream needs asr.stream");
        fault(asr.timeout.0.is_zero(), "asr.timeout", "must be more than 0s");
        fault(!(1..=1_000).contains(&asr.concurrent), "asr.concurrent", "must be 1 to 1000");
        let within = |span: Span, most: u64| (1..=most).contains(&(span.0.as_millis() as u64));
        fault(!within(asr.longest, 86_400_000), "asr.longest", "must be 1ms to 24h");
        fault(!within(asr.silence, 10_000), "asr.silence", "must be 1ms to 10s");
        fault(!within(asr.utterance, 60_000), "asr.utterance", "must be 1ms to 60s");
        fault(speech.timeout.0.is_zero(), "speech.timeout", "must be more than 0s");
        fault(!(1..=1_000).contains(&speech.concurrent), "speech.concurrent", "must be 1 to 1000");
        let (access, secret) = (recordings.s3_access_key.is_some(), recordings.s3_secret_key.is_some());
        fault(access && !secret, "recordings.s3_access_key", "needs recordings.s3_secret_key");
        fault(secret && !access, "recordings.s3_secret_key", "needs recordings.s3_access_key");
        fault(recordings.upload_parallel == 0, "recordings.upload_parallel", "must be at least 1");
        let heard = |told: IpAddr| told.is_ipv4() == media.address.is_ipv4() || media.address == Ipv6Addr::UNSPECIFIED;
        fault(
            media.external_address.iter().filter_map(|view| view.told).any(|told| !heard(told)),
            "media.external_address",
            "expected addresses of the family of media.address",
        );
        fault(self.sip.digest.is_empty(), "sip.digest", "must name at least one algorithm");
        let (least, usual, most) = (self.sip.register_min.0, self.sip.register_default.0, self.sip.register_max.0);
        fault(least.as_secs() == 0, "sip.register_min", "must be at least 1s");
        fault(
            usual < least || usual > most,
            "sip.register_default",
            "must be from sip.register_min to sip.register_max",
        );
        fault(most.as_secs() > u64::from(u32::MAX), "sip.register_max", "must be at most 4294967295s");
        let (least, most) = (self.sip.subscribe_min.0.as_secs(), self.sip.subscribe_max.0.as_secs());
        fault(least == 0, "sip.subscribe_min", "must be at least 1s");
        fault(!(least..=86_400).contains(&most), "sip.subscribe_max", "must be from sip.subscribe_min to 24h");
        fault(self.sip.notify_interval.0.as_secs() > 60, "sip.notify_interval", "must be at most 60s");
        let messaging = &self.messaging;
        let names: Vec<&str> = messaging.carriers.iter().map(SmsCarrier::name).collect();
        let twice = names.iter().enumerate().any(|(at, name)| names.iter().take(at).any(|other| other == name));
        fault(names.is_empty(), "messaging.carriers", "must name at least one");
        fault(twice, "messaging.carriers", "names one twice");
        fault(!(1..=10_000).contains(&messaging.concurrency), "messaging.concurrency", "must be 1 to 10000");
        let patience = messaging.inbound_patience.0.as_secs();
        fault(!(1..=86_400).contains(&patience), "messaging.inbound_patience", "must be 1s to 24h");
        fault(messaging.inbound_segments == 0, "messaging.inbound_segments", "must be at least 1");
        fault(messaging.healthy > 100, "messaging.healthy", "must be 0 to 100");
        let smpp = &self.smpp;
        for (key, number) in [
            ("smpp.connections", smpp.connections),
            ("smpp.binds_per_account", smpp.binds_per_account),
            ("smpp.window", smpp.window),
        ] {
            fault(!(1..=100_000).contains(&number), key, "must be 1 to 100000");
        }
        fault(!(60..=2_592_000).contains(&smpp.keep.0.as_secs()), "smpp.keep", "must be 1m to 30d");
        let size = self.messaging.sip_size;
        fault(!(1..=60_000).contains(&size), "messaging.sip_size", "must be 1 to 60000");
        let keep = self.messaging.sip_keep.0.as_secs();
        fault(!(1..=31_536_000).contains(&keep), "messaging.sip_keep", "must be 1s to 365d");
        fault(self.limits.calls == 0, "limits.calls", "must be at least 1");
        for (key, number) in [
            ("limits.requests_per_minute", self.limits.requests_per_minute),
            ("limits.stranger_requests_per_minute", self.limits.stranger_requests_per_minute),
            ("accounts.failed_logins_per_address", self.accounts.failed_logins_per_address),
            ("accounts.failed_logins_per_email", self.accounts.failed_logins_per_email),
        ] {
            fault(number == 0, key, "must be at least 1");
        }
        let window = self.accounts.failed_logins_window.0.as_secs();
        fault(!(1..=86_400).contains(&window), "accounts.failed_logins_window", "must be 1s to 24h");
        let webhooks = &self.webhooks;
        for (key, number) in [
            ("webhooks.concurrent", webhooks.concurrent),
            ("webhooks.concurrent_per_hook", webhooks.concurrent_per_hook),
            ("webhooks.in_memory", webhooks.in_memory),
            ("webhooks.in_memory_per_hook", webhooks.in_memory_per_hook),
        ] {
            fault(number == 0, key, "must be at least 1");
        }
        for (key, span) in [("webhooks.timeout", &webhooks.timeout), ("webhooks.retry_for", &webhooks.retry_for)] {
            fault(span.0.is_zero(), key, "must be more than 0s");
        }
        fault(self.events.queue < 100, "events.queue", "must be at least 100");
        fault(self.events.commit_every.0 > Duration::from_secs(1), "events.commit_every", "must be 1s or less");
        fault(self.events.keep_count == 0, "events.keep_count", "must be at least 1");
        fault(self.events.websocket_buffer < 16, "events.websocket_buffer", "must be at least 16");
        fault(
            tracing_subscriber::EnvFilter::try_new(&self.log.level).is_err(),
            "log.level",
            "expected a level or tracing directives",
        );
        if let Some(Secret(url)) = &self.store.url {
            let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
            fault(!known, "store.url", "expected sqlite://... or postgres://...");
        }
        faults
    }
}
