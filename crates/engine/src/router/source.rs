//! Who is told by where a call comes from: addresses, networks, host names.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Router;

/// What is told by networks and host names.
pub(super) struct Sources<T> {
    networks: Vec<(IpNet, Arc<T>)>,
    hosts: Vec<(String, Arc<T>)>,
}

impl<T> Sources<T> {
    pub(super) fn new() -> Self {
        Self { networks: Vec::new(), hosts: Vec::new() }
    }

    /// `source` is an address, a network or a host name.
    pub(super) fn add(&mut self, source: &str, told: &Arc<T>) {
        let network = source.parse::<IpNet>().ok().or_else(|| source.parse::<IpAddr>().ok().map(IpNet::from));
        match network {
            Some(network) => self.networks.push((network, told.clone())),
            None => self.hosts.push((source.to_ascii_lowercase(), told.clone())),
        }
    }
}

impl<T> Sources<T> {
    /// Everybody who has this host name, in lower case.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &Arc<T>> {
        self.hosts.iter().filter(move |(host, _)| host == name).map(|(_, told)| told)
    }
}

impl Router {
    /// Everybody who is told by this address; who is told by it twice comes twice.
    pub(super) async fn told_by<T>(&self, sources: &Sources<T>, address: IpAddr) -> Vec<Arc<T>> {
        let address = address.to_canonical();
        let within = sources.networks.iter().filter(|(network, _)| network.contains(&address));
        let mut found: Vec<Arc<T>> = within.map(|(_, told)| told.clone()).collect();
        for (host, told) in &sources.hosts {
            if self.names.addresses(&self.locator, host).await.contains(&address) {
                found.push(told.clone());
            }
        }
        found
    }

    /// Addresses and small networks that somebody is told by. Whoever names a larger one as theirs does not free it of the
    /// defence.
    pub(super) async fn small_networks<T>(&self, sources: &Sources<T>) -> Vec<IpNet> {
        let narrow = |network: &IpNet| network.prefix_len() >= if network.addr().is_ipv4() { 24 } else { 64 };
        let mut networks: Vec<IpNet> = sources.networks.iter().map(|(network, _)| *network).filter(narrow).collect();
        for (host, _) in &sources.hosts {
            networks.extend(self.names.addresses(&self.locator, host).await.iter().copied().map(IpNet::from));
        }
        networks
    }
}
