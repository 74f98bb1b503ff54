//! A trunk calls an address of one of its account's domains: a user, else the domain's app, else its connection
//! (domain.md, inbound call 2).

use opentact_call::{CallType, DialOptions, DialTarget};
use opentact_events::view;
use opentact_store::connections::SipConnection;

use super::called::{target_of, unreadable};
use super::{Inquiry, LegContext, Limit, Plan, Refusal, Router, is_closed};

impl Router {
    /// `None` where the address is in no domain of the accounts whose trunk it may be.
    pub(super) async fn trunk_calls_domain(
        &self,
        inquiry: &Inquiry,
        trunks: &[SipConnection],
    ) -> Result<Option<Plan>, Refusal> {
        let Some(user) = inquiry.request_uri.user_text().filter(|user| !user.is_empty()) else { return Ok(None) };
        let Some(domain) = self.directory.domain(inquiry.request_uri.host()).await.map_err(unreadable)? else {
            return Ok(None);
        };
        let Some(trunk) = trunks.iter().find(|trunk| trunk.account == domain.account) else { return Ok(None) };
        let account = self.directory.account(domain.account).await.map_err(unreadable)?;
        let mut context = LegContext::of(&account);
        context.sip_connection = Some(trunk.uuid);
        context.related.sip_connection = Some(view::sip_connection_short(trunk).into());
        let refuse = |context: LegContext, code, reason| Refusal { code, reason, context: Some(Box::new(context)) };
        if is_closed(&account) {
            return Err(refuse(context, 403, "Account Disabled"));
        }
        let limit = Limit::of_trunk(trunk);
        let (from, to) = (self.caller_over(inquiry, trunk), format!("{user}@{}", domain.domain));
        let callee = self.directory.subscriber(&user, &domain.domain).await.map_err(unreadable)?;
        if let Some(callee) = callee.filter(|callee| callee.user.is_active) {
            if callee.user.same_domain_calls_only {
                return Err(refuse(context, 403, "Same Domain Calls Only"));
            }
            let target = target_of(&callee, Some(&inquiry.request_uri));
            let plan = self.to_user(&callee, target, None, context, from, to);
            return Ok(Some(Plan { limit, ..plan }));
        }
        if let Some(app) = domain.sip_control_app {
            let plan = self.to_app(domain.account, app, context, from, to).await?;
            return Ok(Some(Plan { limit, ..plan }));
        }
        if let Some(connection) = domain.sip_connection {
            let options = DialOptions { sip_connection: Some(connection.to_string()), ..DialOptions::default() };
            let target = DialTarget::Number(user.into_owned());
            let plan = self.bridge(target, None, options, CallType::Trunk, context, from, to);
            return Ok(Some(Plan { limit, ..plan }));
        }
        Err(refuse(context, 404, "User Not Found"))
    }
}
