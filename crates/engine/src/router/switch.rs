//! Calls of a domain's switches: systems that are told by their address and call as the domain (domain.md, inbound call 1).

use std::net::IpAddr;
use std::sync::Arc;

use opentact_sip::message::Method;
use opentact_store::StoreError;
use opentact_store::domains::SipDomain;
use opentact_store::sip_switches::SipSwitch;

use super::called::{Member, unreadable};
use super::source::Sources;
use super::{Admission, Inquiry, Plan, Refusal, Router};

/// The active switches of all accounts, each with its domain.
pub(super) type Switches = Sources<SipDomain>;

pub(super) fn switches(rows: Vec<(SipSwitch, SipDomain)>) -> Switches {
    let mut switches = Switches::new();
    for (switch, domain) in rows {
        let domain = Arc::new(domain);
        for source in switch.remote_ip.iter().chain(&switch.remote_domain) {
            switches.add(source, &domain);
        }
    }
    switches
}

impl Router {
    /// The domain whose switch calls, where it is one: of several domains with a switch at the address the one that From or
    /// else the Request-URI names, else the one whose account leases the number that calls. `beside_trunks`: the address is
    /// a trunk's too, whose call it then is unless the domain is named.
    pub(super) async fn switch_at(
        &self,
        inquiry: &Inquiry,
        address: IpAddr,
        beside_trunks: bool,
    ) -> Result<Option<Result<Arc<SipDomain>, Admission>>, StoreError> {
        // Everything else is a user's, who proves it, as does whoever shows a password.
        if inquiry.method != Method::Invite || !inquiry.authorization.is_empty() {
            return Ok(None);
        }
        let domains = self.told_by(&*self.directory.switches().await?, address).await;
        if domains.is_empty() {
            return Ok(None);
        }
        let from = inquiry.from.host();
        let named = |host: &str| domains.iter().find(|domain| domain.domain.eq_ignore_ascii_case(host));
        if let Some(domain) = named(from).or_else(|| named(inquiry.request_uri.host())) {
            return Ok(Some(Ok(domain.clone())));
        }
        // The phone of another domain, behind the same address.
        if beside_trunks || self.directory.domain(from).await?.is_some() {
            return Ok(None);
        }
        let identity = inquiry.asserted.as_ref().unwrap_or(&inquiry.from);
        let lease = self.lease_of(&identity.user_text().unwrap_or_default()).await?;
        let owners: Vec<_> = match lease {
            Some(lease) if domains.iter().any(|domain| domain.account == lease.account) => {
                domains.iter().filter(|domain| domain.account == lease.account).collect()
            }
            _ => domains.iter().collect(),
        };
        match owners.first() {
            Some(first) if owners.iter().all(|domain| domain.uuid == first.uuid) => Ok(Some(Ok((*first).clone()))),
            _ => Ok(Some(Err(Admission::Refuse(Refusal::new(403, "Name The SIP Domain"))))),
        }
    }

    /// A switch calls somebody of a domain, or a number.
    pub(super) async fn switch_calls(&self, inquiry: &Inquiry, domain: &SipDomain) -> Result<Plan, Refusal> {
        // It may speak for a user of its domain, whose rights it then has and no more.
        let identity = inquiry.asserted.as_ref().unwrap_or(&inquiry.from);
        let named = match identity.user_text().filter(|_| domain.domain.eq_ignore_ascii_case(identity.host())) {
            Some(login) => self.directory.subscriber(&login, &domain.domain).await.map_err(unreadable)?,
            None => None,
        };
        let user = named.filter(|user| user.user.is_active);
        let from = match &user {
            Some(user) if !inquiry.anonymous => user.address(),
            _ => self.caller_text(inquiry),
        };
        self.member_calls(inquiry, Member { domain, user: user.as_deref(), authenticated: false }, from).await
    }
}
