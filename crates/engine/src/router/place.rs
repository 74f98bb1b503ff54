//! Where a host leads, and where no account's call may be sent to.

use std::net::SocketAddr;

use opentact_sip::uri::Uri;
use uuid::Uuid;

use super::dial::unreadable;
use super::{About, DialFault, DialRequest, Router};
use crate::dns::{Hop, Target};

/// Whose word it is that a host may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// An account has made it a trunk of its own: private networks included.
    ByTrunk,
    /// Somebody has written a SIP address: public ones and those of `http.egress_allow`.
    ByAddress,
}

impl Router {
    /// Where a target leads, each place to be tried after the one before it failed.
    pub(super) async fn resolve(&self, account: Uuid, target: Target<'_>, named: Named) -> Result<Vec<Hop>, DialFault> {
        let host = target.host.trim_start_matches('[').trim_end_matches(']');
        let found = self.locator.locate(Target { host, ..target }).await;
        let found = found.map_err(|error| DialFault::new(503, error.to_string()))?;
        let mut admitted = Vec::new();
        for hop in found {
            let address = hop.remote;
            // Who sends from this node's address is trusted there: nobody borrows that trust.
            if self.is_carrier(address) || named == Named::ByAddress && self.is_foreign_trunk(account, address).await? {
                let reason = format!("{host} is a carrier or another account's trunk");
                return Err(DialFault::about(About::Callee, 403, reason));
            }
            if named == Named::ByTrunk || self.guard.admits(address.ip()) {
                admitted.push(hop);
            }
        }
        if admitted.is_empty() {
            return Err(DialFault::new(503, format!("{host} has no address that http.egress_allow admits")));
        }
        Ok(admitted)
    }

    /// Whether a carrier of the node is there. It takes the node's calls for the node's own: only numbers are called
    /// by it, and they are paid for.
    fn is_carrier(&self, address: SocketAddr) -> bool {
        self.carriers.load().iter().any(|carrier| same_place(carrier.address, address))
    }

    /// Whether accounts have a trunk there, and this one is not among them.
    async fn is_foreign_trunk(&self, account: Uuid, address: SocketAddr) -> Result<bool, DialFault> {
        let trunks = self.directory.trunks(&address.ip().to_string()).await.map_err(unreadable)?;
        let there = || {
            let port = |port: i64| u16::try_from(port).unwrap_or_default();
            trunks.iter().filter(move |trunk| same_place(SocketAddr::new(address.ip(), port(trunk.port)), address))
        };
        Ok(there().next().is_some() && there().all(|trunk| trunk.account != account))
    }

    /// A caller may be shown as anything but somebody of another account.
    pub(super) async fn check_caller(&self, request: &DialRequest) -> Result<(), DialFault> {
        let Some(from) = &request.from else { return Ok(()) };
        let uri = from.starts_with("sip:").then(|| Uri::parse(from.as_bytes()).ok()).flatten();
        let host = uri.as_ref().map(Uri::host).or_else(|| from.rsplit_once('@').map(|(_, host)| host));
        let Some(host) = host else { return Ok(()) };
        match self.directory.domain(host).await.map_err(unreadable)? {
            Some(domain) if domain.account != request.account => {
                let reason = format!("{} is a domain of another account", domain.domain);
                Err(DialFault::about(About::Caller, 403, reason))
            }
            _ => Ok(()),
        }
    }
}

/// A machine, or on this one, where many may be, a port of it.
fn same_place(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && (a.port() == b.port() || !a.ip().is_loopback())
}
