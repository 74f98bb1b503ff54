//! Where the host of a SIP URI leads (RFC 3263): transport, address and port, in the order they are to be tried.
//!
//! Answers are kept for as long as their TTL says, those that there is nothing too. What a lookup takes in all is limited;
//! who asks waits in a task of its own.

mod order;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, RecordType};
use opentact_sip::flow::Transport;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Places of one host that are tried.
const MAX_HOPS: usize = 8;
/// Services of one host that are asked for.
const MAX_SERVICES: usize = 4;
/// Answers that are kept.
const CACHE: u64 = 4_096;
/// The longest an answer is kept, whatever it says of itself.
const MAX_TTL: Duration = Duration::from_secs(3_600);
/// Before a server that does not answer is asked again, and after that the next.
const QUERY: Duration = Duration::from_millis(1_500);

/// Who is asked, and for how long.
#[derive(Debug, Clone)]
pub struct DnsConfig {
    /// Empty: those of `/etc/resolv.conf`, as it is when the node starts.
    pub servers: Vec<SocketAddr>,
    /// For all the questions that one host takes.
    pub timeout: Duration,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self { servers: Vec::new(), timeout: Duration::from_secs(5) }
    }
}

/// What a URI says.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// A name, or an address without brackets.
    pub host: &'a str,
    /// A port that is written keeps SRV records out of it (RFC 3263 4.2).
    pub port: Option<u16>,
    /// A transport that is written keeps NAPTR records out of it (RFC 3263 4.1).
    pub transport: Option<Transport>,
    /// Where neither a port nor an SRV record says.
    pub usual_port: u16,
}

/// One place to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    pub transport: Transport,
    pub remote: SocketAddr,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    #[error("{0} cannot be resolved: {1}")]
    Unknown(String, String),
    #[error("{0} cannot be resolved in time")]
    Timeout(String),
    /// RFC 2782: the one SRV record names `.` as its target.
    #[error("{0} says that it has no such service")]
    NoService(String),
}

/// Asks the DNS.
pub struct Locator {
    resolver: TokioResolver,
    timeout: Duration,
}

impl Locator {
    /// `ipv4` and `ipv6`: which addresses this node has listeners of. Without servers, given or in `/etc/resolv.conf`, only
    /// addresses and the names of `/etc/hosts` are known.
    ///
    /// # Errors
    /// The resolver cannot be made.
    pub fn new(config: &DnsConfig, ipv4: bool, ipv6: bool) -> io::Result<Self> {
        let provider = TokioRuntimeProvider::default;
        let system = config.servers.is_empty().then(|| TokioResolver::builder(provider()));
        let mut builder = if let Some(Ok(system)) = system {
            system
        } else {
            if let Some(Err(error)) = system {
                tracing::warn!(%error, "no DNS: /etc/resolv.conf");
            }
            let servers = config.servers.iter().map(|server| {
                let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
                    let mut connection = ConnectionConfig::new(protocol);
                    connection.port = server.port();
                    connection
                });
                NameServerConfig::new(server.ip(), true, connections.into())
            });
            TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers.collect()), provider())
        };
        let options: &mut ResolverOpts = builder.options_mut();
        options.timeout = QUERY;
        options.attempts = 1;
        options.cache_size = CACHE;
        options.positive_max_ttl = Some(MAX_TTL);
        options.negative_max_ttl = Some(MAX_TTL);
        options.ip_strategy = match (ipv4, ipv6) {
            (_, false) => LookupIpStrategy::Ipv4Only,
            (false, true) => LookupIpStrategy::Ipv6Only,
            (true, true) => LookupIpStrategy::Ipv6AndIpv4,
        };
        Ok(Self { resolver: builder.build().map_err(io::Error::other)?, timeout: config.timeout })
    }

    /// At least one place, at most eight.
    ///
    /// # Errors
    /// There is none, or nobody has said so in time.
    pub async fn locate(&self, target: Target<'_>) -> Result<Vec<Hop>, LocateError> {
        let found = tokio::time::timeout(self.timeout, self.find(target)).await;
        let mut hops = found.unwrap_or_else(|_| Err(LocateError::Timeout(target.host.to_owned())))?;
        hops.truncate(MAX_HOPS);
        Ok(hops)
    }

    /// Every address that a host stands for over some transport: who calls from there may be it.
    ///
    /// # Errors
    /// There is none.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LocateError> {
        let over = |transport| Target { host, port: None, transport: Some(transport), usual_port: 5060 };
        let found = [Transport::Udp, Transport::Tcp, Transport::Tls].map(|transport| self.locate(over(transport)));
        let (mut addresses, mut fault) = (Vec::new(), None);
        for found in join_all(found).await {
            match found {
                Ok(hops) => addresses.extend(hops.iter().map(|hop| hop.remote.ip().to_canonical())),
                Err(error) => fault = Some(error),
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        match fault {
            Some(error) if addresses.is_empty() => Err(error),
            _ => Ok(addresses),
        }
    }

    async fn find(&self, target: Target<'_>) -> Result<Vec<Hop>, LocateError> {
        let usual = target.transport.unwrap_or(Transport::Udp);
        if target.port.is_some() || target.host.parse::<IpAddr>().is_ok() {
            return self.hosts(target.host, target.port.unwrap_or(target.usual_port), usual).await;
        }
        let host = rooted(target.host);
        let services = match target.transport {
            Some(transport) => vec![(transport, service(transport, &host))],
            None => self.services(&host).await,
        };
        let answers = services.into_iter().map(async |(transport, name)| (transport, self.servers(&name).await));
        let (mut hops, mut known) = (Vec::new(), false);
        for (transport, servers) in join_all(answers).await {
            known |= !servers.is_empty();
            let hosts = servers.iter().filter(|server| !server.target.is_root());
            for server in hosts.take(MAX_HOPS.saturating_sub(hops.len())) {
                let name = server.target.to_utf8();
                hops.extend(self.hosts(&name, server.port, transport).await.unwrap_or_default());
            }
        }
        match (hops.is_empty(), known) {
            (false, _) => Ok(hops),
            (true, true) => Err(LocateError::NoService(target.host.to_owned())),
            (true, false) => self.hosts(target.host, target.usual_port, usual).await,
        }
    }

    /// The SRV names of what a host offers and we speak, the most wanted first (RFC 3263 4.1).
    async fn services(&self, host: &str) -> Vec<(Transport, String)> {
        let found = self.resolver.lookup(host, RecordType::NAPTR).await;
        let answers = found.iter().flat_map(|found| found.answers());
        let records = answers.filter_map(|record| match &record.data {
            RData::NAPTR(record) => Some(record),
            _ => None,
        });
        let mut offered = order::naptr(records);
        offered.truncate(MAX_SERVICES);
        if offered.is_empty() {
            // None of TLS: whoever writes sip: and nothing else has not asked for it.
            offered = [Transport::Udp, Transport::Tcp].map(|transport| (transport, service(transport, host))).into();
        }
        offered
    }

    /// SRV records, in the order of a fresh draw of lots (RFC 2782).
    async fn servers(&self, name: &str) -> Vec<SRV> {
        let found = self.resolver.lookup(name, RecordType::SRV).await;
        let answers = found.iter().flat_map(|found| found.answers());
        let records = answers.filter_map(|record| match &record.data {
            RData::SRV(record) => Some(record.clone()),
            _ => None,
        });
        order::srv(records.collect(), &mut StdRng::seed_from_u64(rand::rng().random()))
    }

    /// Addresses of a host.
    async fn hosts(&self, host: &str, port: u16, transport: Transport) -> Result<Vec<Hop>, LocateError> {
        let hop = |ip| Hop { transport, remote: SocketAddr::new(ip, port) };
        if let Ok(ip) = host.parse() {
            return Ok(vec![hop(ip)]);
        }
        let found = self.resolver.lookup_ip(rooted(host)).await;
        match found {
            Ok(found) => Ok(found.iter().map(hop).collect()),
            Err(error) => Err(LocateError::Unknown(host.to_owned(), error.to_string())),
        }
    }
}

/// A name with a dot in it is a whole one; those without are looked for in the domains that `/etc/resolv.conf` names.
fn rooted(host: &str) -> String {
    if host.contains('.') && !host.ends_with('.') { format!("{host}.") } else { host.to_owned() }
}

/// RFC 3263 4.1: what the SRV records of a transport stand under.
fn service(transport: Transport, host: &str) -> String {
    match transport {
        Transport::Udp => format!("_sip._udp.{host}"),
        Transport::Tcp => format!("_sip._tcp.{host}"),
        Transport::Tls => format!("_sips._tcp.{host}"),
        // RFC 7118 5.3 has names for them, and nobody who answers can be called there.
        Transport::Ws | Transport::Wss => format!("_sip._ws.{host}"),
    }
}
