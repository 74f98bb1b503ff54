//! Every knob of the API, with the defaults of the product.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use opentact_store::Money;

/// Who may make an account by `POST /rest/user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignUp {
    Open,
    /// Only an Admin of an account adds users to it.
    Invite,
    #[default]
    Closed,
}

/// Settings of the REST API and the websocket. All values are already validated by the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://host[:port]` as clients reach it, no trailing slash. Goes into the URLs of answers and the OpenAPI.
    pub public_url: String,
    /// What a chosen SIP domain label is completed with: `<label>.<sip_domain>`.
    pub sip_domain: String,
    pub sign_up: SignUp,
    /// Balance of an account made by sign-up, in the product's currency.
    pub sign_up_balance: rust_decimal::Decimal,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Octets of a request body. Beyond it: 413.
    pub max_body: usize,
    /// How long a handler may take before the client gets 503.
    pub request_timeout: Duration,
    /// Life of a JWT of `GET /rest/auth`.
    pub jwt_ttl: Duration,
    /// How long a verified Basic credential is believed without argon2.
    pub credential_cache_ttl: Duration,
    pub credential_cache_size: u64,
    /// Argon2 verifications at once; the others wait. Each takes ~20 MiB and ~50 ms.
    pub password_checks_at_once: usize,
    /// Failed log-ins one address may make within `guard_window` before it gets 429.
    pub guard_per_address: u32,
    /// Failed log-ins against one e-mail within `guard_window`, from wherever.
    pub guard_per_login: u32,
    pub guard_window: Duration,
    pub rate: RateLimit,
    /// What the product runs with. Endpoints of an absent feature answer 503.
    pub dev_carrier: bool,
    pub websocket: WebsocketSettings,
    pub orders: OrderSettings,
    pub ice: IceSettings,
    pub batches: BatchSettings,
    /// Octets of an uploaded avatar. Beyond it: 413.
    pub avatar_size: usize,
    /// Octets of a LERG file, which has about 200,000 lines of 60. Beyond it: 413.
    pub lerg_max_body: usize,
    /// Of calls that do not say by what it is judged who has answered.
    pub amd: opentact_media::amd::Settings,
    pub leases: LeaseSettings,
    pub lookup: LookupSettings,
    pub mail: MailSettings,
    /// Google's users may sign in where it is there.
    pub google: Option<GoogleSettings>,
    /// Facebook's users may sign in where it is there.
    pub facebook: Option<FacebookSettings>,
    /// Browser origins that may call the API (CORS). Empty: none but the own.
    pub allowed_origins: BTreeSet<String>,
}

/// What browsers need to find their way through networks.
#[derive(Clone)]
pub struct IceSettings {
    /// URLs of STUN and TURN servers.
    pub servers: Vec<String>,
    /// Shared with the TURN servers.
    pub turn_secret: Option<String>,
    /// How long a password made of it is good.
    pub turn_ttl: Duration,
}

impl std::fmt::Debug for IceSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceSettings").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// Token buckets: those of four seconds (a fifteenth, at least one) at once, the others as time passes.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    pub account_per_minute: u32,
    /// For what carries no valid credential, per client address.
    pub address_per_minute: u32,
    /// Buckets kept; at the limit the coldest is forgotten (and starts full again).
    pub buckets: u64,
}

#[derive(Debug, Clone)]
pub struct WebsocketSettings {
    /// No valid auth frame within this: close 4401.
    pub auth_timeout: Duration,
    /// Longest frame a client may send, octets.
    pub max_frame: usize,
    /// A silent peer gets a ping after this, and is dropped after twice this.
    pub ping_interval: Duration,
    /// A write that takes longer drops the client with 4408.
    pub write_timeout: Duration,
    /// Websockets of one account. Beyond it: close 4429.
    pub per_account: usize,
}

/// Facts of telephone numbers.
#[derive(Debug, Clone)]
pub struct LookupSettings {
    /// Of one answer.
    pub price: Money,
    /// How long what a provider says is believed.
    pub cache_ttl: Duration,
    /// Numbers that are remembered; at the limit the least asked for is forgotten.
    pub cache_size: u64,
}

#[derive(Debug, Clone)]
pub struct GoogleSettings {
    /// Who the ID tokens must be for.
    pub client_id: String,
    /// Of the keys that they are signed with, a JSON Web Key Set.
    pub keys_url: String,
}

#[derive(Clone)]
pub struct FacebookSettings {
    /// Who the access tokens must be for.
    pub app_id: String,
    pub app_secret: String,
    /// Of the Graph API, no trailing slash.
    pub url: String,
}

impl std::fmt::Debug for FacebookSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FacebookSettings").field("app_id", &self.app_id).field("url", &self.url).finish_non_exhaustive()
    }
}

/// What is written to people.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Mails that wait to be sent. Beyond it: 503.
    pub queue: u64,
    /// How long a mail is tried again that was not taken.
    pub retry_for: Duration,
    /// Life of a token that sets a password anew.
    pub reset_ttl: Duration,
    /// Mails that one address may have sent within `window` before it gets 429.
    pub per_address: u32,
    /// Mails that one e-mail may be sent, whoever asks.
    pub per_recipient: u32,
    pub window: Duration,
}

/// The terms of leases.
#[derive(Debug, Clone)]
pub struct LeaseSettings {
    /// How often it is looked for leases whose term ends.
    pub sweep: Duration,
    /// An account is told so long before a lease ends that is not renewed.
    pub notice: Duration,
    /// How long a lease goes on that cannot be paid.
    pub grace: Duration,
}

#[derive(Debug, Clone)]
pub struct OrderSettings {
    /// Orders waiting for the worker in memory; what does not fit is found in the database by the next sweep.
    pub queue: usize,
    /// How often the database is asked for orders that nobody works on.
    pub sweep: Duration,
    /// Items of one order.
    pub max_items: usize,
    /// Life of a new lease.
    pub lease_days: i64,
    /// A released number is not for sale for this long.
    pub quarantine: Duration,
}

#[derive(Debug, Clone)]
pub struct BatchSettings {
    /// Numbers of one batch.
    pub max_phones: usize,
    /// Octets of the request that makes one. Beyond it: 413.
    pub max_body: usize,
    /// Calls begun a second, where a batch does not say.
    pub per_second: u32,
    pub max_per_second: u32,
    /// Calls at once, where a batch does not say.
    pub concurrent: u32,
    pub max_concurrent: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: "https://127.0.0.1:8443".to_owned(),
            sip_domain: "sip.localhost".to_owned(),
            sign_up: SignUp::Closed,
            sign_up_balance: rust_decimal::Decimal::ZERO,
            trusted_proxies: Vec::new(),
            max_body: 2 * 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            jwt_ttl: Duration::from_secs(86_400),
            credential_cache_ttl: Duration::from_secs(60),
            credential_cache_size: 10_000,
            password_checks_at_once: 4,
            guard_per_address: 30,
            guard_per_login: 100,
            guard_window: Duration::from_secs(15 * 60),
            rate: RateLimit { account_per_minute: 6_000, address_per_minute: 3_000, buckets: 50_000 },
            dev_carrier: true,
            websocket: WebsocketSettings::default(),
            orders: OrderSettings::default(),
            ice: IceSettings::default(),
            batches: BatchSettings::default(),
            avatar_size: 1024 * 1024,
            lerg_max_body: 64 * 1024 * 1024,
            amd: opentact_media::amd::Settings::default(),
            leases: LeaseSettings::default(),
            lookup: LookupSettings::default(),
            mail: MailSettings::default(),
            google: None,
            facebook: None,
            allowed_origins: BTreeSet::new(),
        }
    }
}

impl Default for WebsocketSettings {
    fn default() -> Self {
        Self {
            auth_timeout: Duration::from_secs(10),
            max_frame: 64 * 1024,
            ping_interval: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
            per_account: 100,
        }
    }
}

impl Default for LookupSettings {
    fn default() -> Self {
        Self { price: Money::micros(5_000), cache_ttl: Duration::from_secs(86_400), cache_size: 100_000 }
    }
}

impl Default for MailSettings {
    fn default() -> Self {
        let hour = Duration::from_secs(3_600);
        Self { queue: 10_000, retry_for: hour, reset_ttl: hour, per_address: 20, per_recipient: 3, window: hour }
    }
}

impl Default for LeaseSettings {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self { sweep: Duration::from_secs(3_600), notice: 3 * day, grace: 3 * day }
    }
}

impl Default for OrderSettings {
    fn default() -> Self {
        Self { queue: 256, sweep: Duration::from_secs(10), max_items: 100, lease_days: 30, quarantine: Duration::ZERO }
    }
}

impl Default for IceSettings {
    fn default() -> Self {
        Self { servers: Vec::new(), turn_secret: None, turn_ttl: Duration::from_secs(86_400) }
    }
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            max_phones: 100_000,
            max_body: 32 * 1024 * 1024,
            per_second: 10,
            max_per_second: 100,
            concurrent: 100,
            max_concurrent: 1_000,
        }
    }
}

/// Octets of a multipart body beside its file.
const ENVELOPE: usize = 16 * 1024;

impl Settings {
    /// Octets that the body of a request to this path may have.
    #[must_use]
    pub fn body_limit(&self, path: &str) -> usize {
        let most = match path {
            "/rest/batch" => self.batches.max_body,
            "/rest/dict/lerg" => self.lerg_max_body,
            path if path.ends_with("/avatar") => self.avatar_size + ENVELOPE,
            _ => 0,
        };
        most.max(self.max_body)
    }

    /// Whether a browser of ours may be sent there: to this server, or an origin that may call it.
    #[must_use]
    pub fn is_own_origin(&self, url: &url::Url) -> bool {
        let origin = url.origin();
        std::iter::once(&self.public_url)
            .chain(&self.allowed_origins)
            .any(|own| url::Url::parse(own).is_ok_and(|own| own.origin() == origin && origin.is_tuple()))
    }

    /// The client's address: the peer's, or what the nearest trusted proxy saw.
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, forwarded_for: Option<&str>) -> IpAddr {
        let trusted = |address: &IpAddr| self.trusted_proxies.iter().any(|net| net.contains(address));
        if !trusted(&peer) {
            return peer;
        }
        // Right to left: each trusted hop vouches for the one before it, what stands further left may be forged.
        forwarded_for
            .into_iter()
            .flat_map(|list| list.rsplit(','))
            .map_while(|hop| hop.trim().parse::<IpAddr>().ok())
            .find(|hop| !trusted(hop))
            .unwrap_or(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn browsers_are_sent_to_origins_of_ours_only() {
        let mut settings = Settings { public_url: "https://sms.example.com:8443".to_owned(), ..Settings::default() };
        settings.allowed_origins.insert("https://console.example.com".to_owned());
        let own = |url: &str| settings.is_own_origin(&url::Url::parse(url).unwrap());
        assert!(own("https://sms.example.com:8443/reset?t=1") && own("https://console.example.com/#/reset"));
        for other in [
            "https://sms.example.com/",
            "http://sms.example.com:8443/",
            "https://sms.example.com:8443@evil.example/",
            "https://console.example.com.evil.example/",
            "javascript:alert(1)",
        ] {
            assert!(!own(other), "{other}");
        }
    }

    #[test]
    fn forwarded_for_is_believed_only_from_trusted_proxies() {
        let mut settings = Settings::default();
        let forged = Some("8.8.8.8, 203.0.113.7, 10.0.0.2");
        assert_eq!(settings.client_address(ip("10.0.0.1"), forged), ip("10.0.0.1"));
        settings.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        assert_eq!(settings.client_address(ip("10.0.0.1"), forged), ip("203.0.113.7"));
        assert_eq!(settings.client_address(ip("10.0.0.1"), None), ip("10.0.0.1"));
        assert_eq!(settings.client_address(ip("198.51.100.1"), forged), ip("198.51.100.1"));
    }
}
