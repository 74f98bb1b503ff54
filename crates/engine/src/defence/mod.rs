//! Who is let in at all: judged by the address a message comes from, before anything of it is parsed.
//!
//! Knows no socket and no clock. Its tables are bounded: at [`ADDRESSES`] addresses, or [`USERS`] users, the half seen least
//! recently is forgotten, bans included.
//!
//! The source of a datagram may be forged. What bans an address for long is therefore something only its owner can do:
//! speak over a connection, or answer a challenge that was sent there.

mod recent;
mod scan;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use opentact_sip::flow::Transport;
use parking_lot::Mutex;

use self::recent::Recent;

/// Addresses watched, addresses banned, and addresses with guesses at a user, at once.
const ADDRESSES: usize = 65_536;
/// SIP users whose requests are counted.
const USERS: usize = 65_536;
/// Addresses with a registration that are remembered.
const REGISTERED: usize = 262_144;
/// The longest ban for what has come in a datagram, whose source may be forged.
const FORGEABLE_BAN: Duration = Duration::from_secs(30);
/// Wrong passwords further back than this no longer count.
const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// Messages that are not SIP after which an address is worth a line in the log.
const NOISE_TOLD: u32 = 100;

/// Settings of the defence.
#[derive(Debug, Clone)]
pub struct DefenceConfig {
    /// Requests a second that one address may send; 0: any number.
    pub rate_limit: u32,
    /// Requests that may come at once.
    pub rate_burst: u32,
    /// Requests a second that one SIP user may make who has proved to be it, from whatever addresses; 0: any number.
    pub user_rate_limit: u32,
    /// Requests of one user that may come at once.
    pub user_rate_burst: u32,
    /// Parts of the User-Agent headers of scanners, in any case.
    pub scanners: Vec<String>,
    /// How long an address is banned; zero: none ever is.
    pub ban: Duration,
    /// Wrong passwords within a minute that ban their address; 0: any number.
    pub auth_failures: u32,
    /// Networks that are never limited or banned. So many wrong passwords for one user lock that user there, for as
    /// long as a ban.
    pub trusted: Vec<IpNet>,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Admit,
    /// Say nothing: an answer would tell a scanner that somebody is there, and a forged address would get it.
    Drop,
}

/// The gate as transports and router share it. Held for microseconds, never across an await.
pub(crate) type SharedGate = Arc<Mutex<Gate>>;

/// The watch over all addresses.
#[derive(Debug)]
pub struct Gate {
    config: DefenceConfig,
    /// Trunks: operators' switches, known by nothing but their addresses.
    trunks: HashSet<IpAddr>,
    /// Those that are known by a network.
    networks: Vec<IpNet>,
    watched: Recent<IpAddr, Watch>,
    bans: Recent<IpAddr, Ban>,
    /// What SIP users may still ask for.
    users: Recent<u64, Bucket>,
    /// Guesses at one user from one address.
    guesses: Recent<(IpAddr, u64), Guesses>,
    /// Addresses that somebody is registered from, and until when at most.
    registered: Recent<IpAddr, Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Ban {
    until: Instant,
    /// The address is whose it seems to be; else only datagrams are dropped, as one of them was to blame.
    sure: bool,
}

/// Requests that may still come; refilled with time.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    refilled: Instant,
}

impl Bucket {
    fn full(now: Instant, burst: u32) -> Self {
        Self { tokens: f64::from(burst.max(1)), refilled: now }
    }

    /// Takes one out, where there is one.
    fn take(&mut self, now: Instant, rate: u32, burst: u32) -> bool {
        let since = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.tokens = (self.tokens + since * f64::from(rate)).min(f64::from(burst.max(1)));
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

/// Wrong passwords for a user.
#[derive(Debug)]
struct Guesses {
    count: u32,
    since: Instant,
    locked_until: Option<Instant>,
}

#[derive(Debug)]
struct Watch {
    requests: Bucket,
    /// Wrong passwords by user name's hash, since `failing_since`.
    failures: HashMap<u64, u32>,
    failing_since: Instant,
    /// Messages that were not SIP.
    noise: u32,
}

impl Gate {
    pub fn new(mut config: DefenceConfig) -> Self {
        for scanner in &mut config.scanners {
            scanner.make_ascii_lowercase();
        }
        Self {
            config,
            trunks: HashSet::new(),
            networks: Vec::new(),
            watched: Recent::new(ADDRESSES),
            bans: Recent::new(ADDRESSES),
            users: Recent::new(USERS),
            guesses: Recent::new(ADDRESSES),
            registered: Recent::new(REGISTERED),
        }
    }

    /// Judges a message that has come from an address.
    pub fn admit(&mut self, now: Instant, from: IpAddr, over: Transport, message: &[u8]) -> Verdict {
        let sure = over != Transport::Udp;
        if self.is_trusted(from) {
            return Verdict::Admit;
        }
        let key = holder(from);
        if self.is_banned(now, key, sure) {
            return dropped("banned");
        }
        if !scan::is_sip(message) {
            // Keep-alives are for the transport; the parser would have nothing to say to the rest.
            if scan::is_keep_alive(message) {
                return Verdict::Admit;
            }
            self.malformed(now, from);
            return Verdict::Drop;
        }
        if !scan::is_request(message) {
            return Verdict::Admit;
        }
        let agent = scan::user_agent(message);
        if agent.is_some_and(|agent| self.config.scanners.iter().any(|word| scan::contains(agent, word.as_bytes()))) {
            if sure || !self.is_registered(now, key) {
                self.ban(now, key, "scanner", sure);
            }
            return dropped("scanner");
        }
        if self.config.rate_limit > 0 && !self.take_token(now, key) {
            return dropped("rate");
        }
        Verdict::Admit
    }

    /// Whether no connection is taken from an address.
    pub fn refuses(&mut self, now: Instant, from: IpAddr) -> bool {
        !self.is_trusted(from) && self.is_banned(now, holder(from), true)
    }

    /// Somebody has registered from an address: until then no forged datagram has it banned.
    pub fn registered(&mut self, from: IpAddr, until: Instant) {
        *self.registered.entry(holder(from), || until) = until;
    }

    /// Something came that is no SIP message or too long for one. What it was is nobody's business: it may be large
    /// and written to be read in a log.
    pub fn malformed(&mut self, now: Instant, from: IpAddr) {
        metrics::counter!("opentact_sip_malformed_total").increment(1);
        if self.is_trusted(from) {
            return;
        }
        let watch = self.watch(now, holder(from));
        watch.noise = watch.noise.saturating_add(1);
        if watch.noise == NOISE_TOLD {
            tracing::info!(address = %from, messages = NOISE_TOLD, "an address sends what is not SIP");
        }
    }

    /// A wrong password, or a user that does not exist: from outside they are the same. Only for answers to a challenge
    /// that was sent to this address.
    pub fn auth_failed(&mut self, now: Instant, from: IpAddr, user: &str) {
        metrics::counter!("opentact_sip_auth_failed_total").increment(1);
        let limit = self.config.auth_failures;
        if limit == 0 {
            return;
        }
        let key = holder(from);
        self.guessed(now, key, user);
        if self.is_trusted(from) {
            return;
        }
        let watch = self.watch(now, key);
        if now.saturating_duration_since(watch.failing_since) > FAILURE_WINDOW {
            watch.failures.clear();
        }
        if watch.failures.is_empty() {
            watch.failing_since = now;
        }
        let failures = watch.failures.entry(hash(user)).or_default();
        *failures = failures.saturating_add(1);
        // Of one user or of many: who tries one password with each user guesses as well.
        if watch.failures.values().sum::<u32>() >= limit {
            watch.failures.clear();
            self.ban(now, key, "auth", true);
        }
    }

    /// A right password forgives the wrong ones of the same user, and no others: else whoever has one account could
    /// guess at the rest for ever.
    pub fn auth_passed(&mut self, from: IpAddr, user: &str) {
        if let Some(guesses) = self.guesses.get_mut(&(holder(from), hash(user))) {
            guesses.count = 0;
        }
        if let Some(watch) = self.watched.get_mut(&holder(from)) {
            watch.failures.remove(&hash(user));
        }
    }

    /// Whether a user who has proved to be it may make one more request, wherever it comes from: an address that is trusted,
    /// such as that of a proxy in front, has many users, and one user may have many addresses.
    pub fn admits_user(&mut self, now: Instant, user: &str) -> bool {
        let (rate, burst) = (self.config.user_rate_limit, self.config.user_rate_burst);
        let admitted = rate == 0 || self.users.entry(hash(user), || Bucket::full(now, burst)).take(now, rate, burst);
        if !admitted {
            rejected("user_rate");
        }
        admitted
    }

    /// Whether a user has been guessed at from an address so often that no password is checked any more, which is also
    /// what protects users from addresses that are never banned.
    pub fn is_locked(&mut self, now: Instant, from: IpAddr, user: &str) -> bool {
        let guesses = self.guesses.get_mut(&(holder(from), hash(user)));
        guesses.and_then(|guesses| guesses.locked_until).is_some_and(|until| until > now)
    }

    /// Where all trunks are. They are trusted.
    pub fn set_trunks(&mut self, places: impl IntoIterator<Item = IpNet>) {
        let single = |place: &IpNet| place.prefix_len() == place.max_prefix_len();
        let (single, networks): (Vec<_>, Vec<_>) = places.into_iter().partition(single);
        self.trunks = single.iter().map(IpNet::addr).collect();
        self.networks = networks;
    }

    /// Addresses banned at the moment.
    pub fn banned(&mut self, now: Instant) -> usize {
        self.bans.retain(|ban| ban.until > now);
        self.bans.len()
    }

    fn is_trusted(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        let mut networks = self.config.trusted.iter().chain(&self.networks);
        self.trunks.contains(&from) || networks.any(|network| network.contains(&from))
    }

    /// `sure`: the address is whose it seems to be.
    fn is_banned(&mut self, now: Instant, key: IpAddr, sure: bool) -> bool {
        self.bans.get_mut(&key).is_some_and(|ban| ban.until > now && (ban.sure || !sure))
    }

    fn is_registered(&mut self, now: Instant, key: IpAddr) -> bool {
        self.registered.get_mut(&key).is_some_and(|until| *until > now)
    }

    fn ban(&mut self, now: Instant, key: IpAddr, reason: &'static str, sure: bool) {
        let time = if sure { self.config.ban } else { self.config.ban.min(FORGEABLE_BAN) };
        if time.is_zero() {
            return;
        }
        metrics::counter!("opentact_sip_bans_total", "reason" => reason).increment(1);
        tracing::warn!(address = %key, reason, seconds = time.as_secs(), "an address is banned from SIP");
        let ban = Ban { until: now + time, sure };
        let known = self.bans.entry(key, || ban);
        // A datagram does not shorten what its supposed sender has earned.
        if sure || !known.sure || known.until <= now {
            *known = ban;
        }
    }

    fn guessed(&mut self, now: Instant, key: IpAddr, user: &str) {
        let (limit, lock) = (self.config.auth_failures, self.config.ban);
        let guesses = self.guesses.entry((key, hash(user)), || Guesses { count: 0, since: now, locked_until: None });
        if guesses.count == 0 || now.saturating_duration_since(guesses.since) > FAILURE_WINDOW {
            (guesses.count, guesses.since) = (0, now);
        }
        guesses.count += 1;
        if guesses.count >= limit && !lock.is_zero() {
            guesses.count = 0;
            guesses.locked_until = Some(now + lock);
            metrics::counter!("opentact_sip_bans_total", "reason" => "user").increment(1);
            tracing::warn!(address = %key, seconds = lock.as_secs(), "a SIP user is locked for an address that guesses");
        }
    }

    fn watch(&mut self, now: Instant, key: IpAddr) -> &mut Watch {
        let burst = self.config.rate_burst;
        self.watched.entry(key, || Watch {
            requests: Bucket::full(now, burst),
            failures: HashMap::new(),
            failing_since: now,
            noise: 0,
        })
    }

    fn take_token(&mut self, now: Instant, key: IpAddr) -> bool {
        let (rate, burst) = (self.config.rate_limit, self.config.rate_burst);
        self.watch(now, key).requests.take(now, rate, burst)
    }
}

/// Whose address it is: an IPv6 subscriber has a whole /64 to choose from.
pub(crate) fn holder(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

/// User names are from outside and may be long: what is kept of them is not.
fn hash(user: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    hasher.finish()
}

fn dropped(reason: &'static str) -> Verdict {
    rejected(reason);
    Verdict::Drop
}

fn rejected(reason: &'static str) {
    metrics::counter!("opentact_sip_rejected_total", "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests;
