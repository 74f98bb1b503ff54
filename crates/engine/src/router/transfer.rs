//! Where a transfer leads: as a call of the user who hands on, whose rights and account it goes on.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentact_call::Target;
use opentact_sip::flow::Transport;
use opentact_sip::message::Method;
use opentact_sip::uri::Uri;
use uuid::Uuid;

use super::caller::Caller;
use super::dial::unreadable;
use super::{About, DialFault, DialPlan, DialRequest, Inquiry, Router};

/// The SIP user who hands a call on.
#[derive(Debug, Clone)]
pub(crate) enum Referrer {
    /// Has called and given a password.
    Caller { account: Uuid, sip_user: Uuid, address: String },
    /// Was called where registered.
    Callee { login: String, domain: String },
}

impl Referrer {
    /// `login@domain`.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Caller { address, .. } => address.clone(),
            Self::Callee { login, domain } => format!("{login}@{domain}"),
        }
    }
}

impl Router {
    /// How long somebody rings to whom a call is handed on.
    pub(crate) fn ring_timeout(&self) -> Duration {
        self.config.ring_timeout
    }

    /// Finds the way to whom a user hands a call on, or says why there is none.
    pub(crate) async fn transfer(&self, referrer: &Referrer, to: Uri) -> Result<DialPlan, DialFault> {
        let found = match referrer {
            Referrer::Caller { account, sip_user, .. } => self.directory.subscriber_by_id(*account, *sip_user).await,
            Referrer::Callee { login, domain } => self.directory.subscriber(login, domain).await,
        };
        let user = found.map_err(unreadable)?.filter(|known| known.user.is_active);
        let user =
            user.ok_or_else(|| DialFault::about(About::Account, 403, "the SIP user who hands on is not active"))?;
        let address = Uri::sip(Some(&user.user.login), &user.domain.domain, None)
            .map_err(|error| DialFault::new(500, error.to_string()))?;
        let inquiry = Inquiry {
            source: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            transport: Transport::Udp,
            certified: Arc::default(),
            method: Method::Refer,
            request_uri: to.clone(),
            from: address.clone(),
            to,
            asserted: None,
            anonymous: false,
            authorization: Vec::new(),
            identities: Vec::new(),
            date: None,
            call_id: Bytes::new(),
        };
        let plan = self.called(&inquiry, Caller::User(user)).await;
        let plan = plan.map_err(|refusal| DialFault::new(refusal.code, refusal.reason))?;
        let Target::Bridge { dial } = plan.target else {
            return Err(DialFault::new(501, "a call cannot be handed on to an app"));
        };
        let target = dial.targets.into_iter().next();
        let request = DialRequest {
            account: plan.context.account,
            target: target.ok_or_else(|| DialFault::new(404, "nobody to hand on to"))?,
            from: dial.from.or(Some(plan.from)),
            options: dial.options,
            voice_profile: plan.context.voice_profile,
            own_number: plan.context.own_number,
            caller_domain: plan.context.domain,
            // The user who hands on has shown who that is.
            vouched: None,
        };
        let mut plan = self.dial(request).await?;
        plan.identity.push(("Referred-By".into(), format!("<{address}>").into()));
        Ok(plan)
    }
}
