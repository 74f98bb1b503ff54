//! Whom a call is for, and what happens to it there (domain.md, inbound call 2 and 3).

use std::sync::Arc;
use std::time::Duration;

use opentact_call::{CallType, DialOptions, DialSpec, DialTarget, Target, Variables};
use opentact_callflow::schedule::CLOSED;
use opentact_callflow::{HttpBody, HttpRequest, Method};
use opentact_events::view;
use opentact_sip::uri::{Scheme, Uri};
use opentact_store::apps::SipControlApp;
use opentact_store::calls::Related;
use opentact_store::connections::SipConnection;
use opentact_store::domains::SipDomain;
use opentact_store::lerg::LergBlock;
use opentact_store::numbers::TnLease;
use opentact_store::types::{Direction, Dtmf, Feature, Method as AppMethod, Party};
use opentact_store::{StoreError, Tn};
use serde_json::Map;
use uuid::Uuid;

use super::caller::Caller;
use super::directory::{App, Subscriber, Tenant};
use super::identity::ANONYMOUS;
use super::is_closed;
use super::plan::srtp_policy;
use super::{Inquiry, LegContext, Limit, Plan, Refusal, Router};
use crate::number;
use crate::ports::ControlError;

/// Who calls from within a domain: one of its users, or a switch.
pub(super) struct Member<'a> {
    pub(super) domain: &'a SipDomain,
    /// Whose rights they are. A switch that speaks for none of the domain's users has those of the domain.
    pub(super) user: Option<&'a Subscriber>,
    /// The user has given a password.
    pub(super) authenticated: bool,
}

impl Member<'_> {
    fn same_domain_calls_only(&self) -> bool {
        self.user.is_some_and(|user| user.user.same_domain_calls_only)
    }
}

impl Router {
    pub(super) async fn called(&self, inquiry: &Inquiry, caller: Caller) -> Result<Plan, Refusal> {
        match caller {
            Caller::Network => {
                let from = self.caller_text(inquiry);
                let lease = self.dialled_lease(inquiry).await?.ok_or_else(|| Refusal::new(404, "Number Not Found"))?;
                let plan = self.to_lease(&lease, from, None).await?;
                let credit = self.incoming_credit(lease.tn, &plan.context).await?;
                Ok(Plan { credit, ..plan })
            }
            Caller::Trunks(trunks) => {
                let unknown = || Refusal::new(404, "Number Not Found");
                let Some((lease, trunk)) = self.called_over(inquiry, &trunks).await? else {
                    return self.trunk_calls_domain(inquiry, &trunks).await?.ok_or_else(unknown);
                };
                let from = self.caller_over(inquiry, trunk);
                let plan = self.to_lease(&lease, from, Some(trunk)).await?;
                Ok(Plan { limit: Limit::of_trunk(trunk), ..plan })
            }
            Caller::Switch(domain) => self.switch_calls(inquiry, &domain).await,
            Caller::User(user) => {
                let member = Member { domain: &user.domain, user: Some(&user), authenticated: true };
                self.member_calls(inquiry, member, user.address()).await
            }
        }
    }

    /// Where a caller's number is, by the LERG. A call is not refused because that is not known.
    pub(crate) async fn block(&self, from: &str) -> Option<Arc<LergBlock>> {
        let tn = Tn::try_from(digits(from)?).ok()?;
        let block = self.directory.block(tn).await;
        block.inspect_err(|error| tracing::warn!(%error, "the LERG cannot be read")).ok().flatten()
    }

    async fn dialled_lease(&self, inquiry: &Inquiry) -> Result<Option<TnLease>, Refusal> {
        let Some(user) = inquiry.request_uri.user_text() else { return Ok(None) };
        self.lease_of(&user).await.map_err(unreadable)
    }

    /// The lease of a number as somebody wrote it, whoever holds it.
    pub(super) async fn lease_of(&self, text: &str) -> Result<Option<TnLease>, StoreError> {
        let Some(tn) = self.number(text) else { return Ok(None) };
        Ok(self.directory.lease(tn).await?.map(|lease| (*lease).clone()))
    }

    /// A number of an account: its voice target decides.
    async fn to_lease(&self, lease: &TnLease, from: String, trunk: Option<&SipConnection>) -> Result<Plan, Refusal> {
        let account = self.directory.account(lease.account).await.map_err(unreadable)?;
        let mut context = LegContext::of(&account);
        context.tn = Some(lease.tn.into());
        context.related.tn =
            self.directory.number(lease.tn).await.map_err(unreadable)?.map(|tn| view::tn_short(&tn).into());
        if let Some(trunk) = trunk {
            context.come_over(trunk);
        }
        let refuse =
            |context: &LegContext, code, reason| Refusal { code, reason, context: Some(Box::new(context.clone())) };
        if is_closed(&account) {
            return Err(refuse(&context, 403, "Account Disabled"));
        }
        if !lease.subscriptions.contains(&Feature::Voice) {
            return Err(refuse(&context, 404, "Number Has No Voice"));
        }
        let to = u64::from(lease.tn).to_string();
        if let Some(kept_out) = self.kept_out(lease, &from).await? {
            context.meta.insert("tn_profile".to_owned(), kept_out.shown);
            return match kept_out.app {
                Some(app) => self.to_app(lease.account, app, context, from, to).await,
                None => Err(refuse(&context, kept_out.code, kept_out.reason)),
            };
        }
        if let Some(app) = lease.sip_control_app {
            return self.to_app(lease.account, app, context, from, to).await;
        }
        if let Some(user) = lease.sip_user {
            let subscriber = self.directory.subscriber_by_id(lease.account, user).await.map_err(unreadable)?;
            let Some(subscriber) = subscriber else { return Err(refuse(&context, 404, "User Not Found")) };
            return Ok(self.to_user(&subscriber, target_of(&subscriber, None), None, context, from, to));
        }
        if let Some(connection) = lease.sip_connection {
            let options = DialOptions { sip_connection: Some(connection.to_string()), ..DialOptions::default() };
            let target = DialTarget::Number(to.clone());
            return Ok(self.bridge(target, None, options, CallType::Trunk, context, from, to));
        }
        Err(refuse(&context, 480, "Number Has No Voice Target"))
    }

    /// The context of a call from within a domain.
    pub(super) async fn context_of_member(&self, caller: &Member<'_>) -> Result<LegContext, Refusal> {
        let account = self.directory.account(caller.domain.account).await.map_err(unreadable)?;
        let mut context = LegContext::of(&account);
        if let Some(user) = caller.user.filter(|_| caller.authenticated) {
            context.sip_user = Some(user.user.uuid);
            context.related.sip_user = Some(view::sip_user_short(&user.user, Some(&user.domain)).into());
        }
        context.domain = Some(caller.domain.domain.clone());
        context.voice_profile = caller.domain.outbound_voice_profile;
        Ok(context)
    }

    /// Somebody of a domain calls somebody of a domain, or a number.
    pub(super) async fn member_calls(
        &self,
        inquiry: &Inquiry,
        caller: Member<'_>,
        from: String,
    ) -> Result<Plan, Refusal> {
        let mut context = self.context_of_member(&caller).await?;
        let refuse = |context: LegContext, code, reason| Refusal { code, reason, context: Some(Box::new(context)) };
        // A user has been asked before.
        if is_closed(&context.tenant.row) {
            return Err(refuse(context, 403, "Account Disabled"));
        }

        let Some(user) = inquiry.request_uri.user_text().filter(|user| !user.is_empty()) else {
            return Err(refuse(context, 484, "Address Incomplete"));
        };
        if self.is_emergency(&user) {
            // Whatever else that may be here, and whoever may not call outside.
            if let Some(lease) = caller.user.and_then(|user| user.user.tn_lease) {
                context.own_number = self.lease_number(context.account, lease).await.ok().map(u64::from);
            }
            let shown = context.own_number.map(|tn| format!("+{tn}"));
            let (target, options) = (DialTarget::Number(user.to_string()), DialOptions::default());
            return Ok(self.bridge(target, shown, options, CallType::User, context, from, user.into_owned()));
        }
        // What is dialled at the host's own name or address is dialled within the caller's domain.
        let host = inquiry.request_uri.host();
        let domain = self.directory.domain(host).await.map_err(unreadable)?;
        let domain: SipDomain = domain.map_or_else(|| caller.domain.clone(), |domain| (*domain).clone());

        let callee = self.directory.subscriber(&user, &domain.domain).await.map_err(unreadable)?;
        if let Some(callee) = callee.filter(|callee| callee.user.is_active) {
            let strangers = callee.domain.uuid != caller.domain.uuid;
            if strangers && (callee.user.same_domain_calls_only || caller.same_domain_calls_only()) {
                return Err(refuse(context, 403, "Same Domain Calls Only"));
            }
            let to = callee.address();
            let shown = inquiry.anonymous.then(|| ANONYMOUS.to_owned());
            let target = target_of(&callee, Some(&inquiry.request_uri));
            return Ok(self.to_user(&callee, target, shown, context, from, to));
        }
        let own = domain.account == context.account;
        if own && let Some(app) = domain.sip_control_app {
            let to = format!("{user}@{}", domain.domain);
            return self.to_app(domain.account, app, context, from, to).await;
        }
        let number = self.number(&user);
        if number.is_some() || domain.sip_connection.is_some() {
            if caller.same_domain_calls_only() {
                return Err(refuse(context, 403, "Same Domain Calls Only"));
            }
            if let Some(lease) = caller.user.and_then(|user| user.user.tn_lease) {
                context.own_number = self.lease_number(context.account, lease).await.ok().map(u64::from);
            }
        }
        // Whoever has a number of their own shows it outside, or withholds it.
        let shown = match inquiry.anonymous {
            true => Some(ANONYMOUS.to_owned()),
            false => context.own_number.map(|tn| format!("+{tn}")),
        };
        if own && let Some(connection) = domain.sip_connection {
            let options = DialOptions { sip_connection: Some(connection.to_string()), ..DialOptions::default() };
            let target = DialTarget::Number(user.to_string());
            return Ok(self.bridge(target, shown, options, CallType::Trunk, context, from, user.into_owned()));
        }
        match number {
            None => Err(refuse(context, 404, "User Not Found")),
            Some(_) if context.voice_profile.is_none() => Err(refuse(context, 403, "No Outbound Voice Profile")),
            Some(tn) => {
                let target = DialTarget::Number(tn.to_string());
                let options = DialOptions::default();
                Ok(self.bridge(target, shown, options, CallType::User, context, from, tn.to_string()))
            }
        }
    }

    pub(super) async fn to_app(
        &self,
        account: Uuid,
        app: Uuid,
        mut context: LegContext,
        from: String,
        to: String,
    ) -> Result<Plan, Refusal> {
        let app = self.directory.app(account, app).await.map_err(unreadable)?;
        context.handled_by(&app.row);
        if !app.row.is_active {
            return Err(Refusal { code: 480, reason: "App Not Active", context: Some(Box::new(context)) });
        }
        Ok(Plan {
            target: self.run(&app, &from, &to),
            auto_answer: app.row.auto_answer,
            max_length: max_length(&app.row),
            kind: CallType::Sca,
            context,
            from,
            to,
            limit: None,
            credit: None,
        })
    }

    pub(super) fn to_user(
        &self,
        callee: &Subscriber,
        target: DialTarget,
        shown: Option<String>,
        mut context: LegContext,
        from: String,
        to: String,
    ) -> Plan {
        // Of a call from within a domain it is who calls, or with a switch nobody.
        if context.sip_user.is_none() && context.domain.is_none() {
            context.sip_user = Some(callee.user.uuid);
            context.related.sip_user = Some(view::sip_user_short(&callee.user, Some(&callee.domain)).into());
        }
        self.bridge(target, shown, DialOptions::default(), CallType::User, context, from, to)
    }

    /// `shown` is the caller where it is another than `from`.
    pub(super) fn bridge(
        &self,
        target: DialTarget,
        shown: Option<String>,
        options: DialOptions,
        kind: CallType,
        context: LegContext,
        from: String,
        to: String,
    ) -> Plan {
        let dial = DialSpec { from: shown, options, ..DialSpec::new(vec![target], self.config.ring_timeout) };
        Plan {
            context,
            from,
            to,
            kind,
            target: Target::Bridge { dial },
            auto_answer: false,
            max_length: None,
            limit: None,
            credit: None,
        }
    }

    /// Static XML, else the app's URL, else parked.
    fn run(&self, app: &App, from: &str, to: &str) -> Target {
        if let Some(document) = &app.document {
            return Target::Flow(document.clone());
        }
        match &app.row.call_flow_url {
            None => Target::Park { timeout: self.config.park_timeout },
            Some(url) => {
                let posts = app.row.call_flow_method == AppMethod::Post;
                let timeout = app.row.call_flow_request_timeout.filter(|timeout| *timeout > 0);
                let request = HttpRequest {
                    method: if posts { Method::Post } else { Method::Get },
                    query: vec![("from".to_owned(), from.to_owned()), ("to".to_owned(), to.to_owned())],
                    body: if posts { HttpBody::Call } else { HttpBody::Empty },
                    timeout: timeout.and_then(|timeout| u64::try_from(timeout).ok()).map(Duration::from_millis),
                    ..HttpRequest::get(url)
                };
                let second = app.row.call_flow_url2.clone();
                let fallback = second.map(|url| HttpRequest { url, ..request.clone() });
                Target::Fetch { request, fallback }
            }
        }
    }

    /// What an app does with a call made by REST.
    pub(crate) async fn app_target(
        &self,
        account: Uuid,
        app: Uuid,
        from: &str,
        to: &str,
    ) -> Result<(Target, Arc<App>), ControlError> {
        let app = self.directory.app(account, app).await.map_err(|error| match error {
            StoreError::NotFound(_) => ControlError::NotFound("SIP Control app"),
            other => ControlError::Internal(other.to_string()),
        })?;
        if !app.row.is_active {
            return Err(ControlError::Conflict("SIP Control app is not active".to_owned()));
        }
        Ok((self.run(&app, from, to), app))
    }

    pub(crate) fn url_target(&self, url: String, from: &str, to: &str) -> Target {
        let query = vec![("from".to_owned(), from.to_owned()), ("to".to_owned(), to.to_owned())];
        let request = HttpRequest { query, ..HttpRequest::get(url) };
        Target::Fetch { request, fallback: None }
    }

    pub(crate) async fn lease_number(&self, account: Uuid, lease: Uuid) -> Result<Tn, ControlError> {
        match self.store.numbers().get_lease(account, lease).await {
            Ok(lease) => Ok(lease.tn),
            Err(StoreError::NotFound(_)) => Err(ControlError::NotFound("TNLease")),
            Err(error) => Err(ControlError::Internal(error.to_string())),
        }
    }

    /// The account's oldest active outbound voice profile.
    pub(crate) async fn first_voice_profile(&self, account: Uuid) -> Result<Option<Uuid>, ControlError> {
        let profiles = self.store.voice_profiles().list(account).await;
        let profiles = profiles.map_err(|error| ControlError::Internal(error.to_string()))?;
        Ok(profiles.iter().find(|profile| profile.is_active).map(|profile| profile.uuid))
    }

    /// The caller as events show it, where it is no SIP user: a number with `+`, or what is said.
    pub(super) fn caller_text(&self, inquiry: &Inquiry) -> String {
        if inquiry.anonymous {
            return ANONYMOUS.to_owned();
        }
        self.identity_text(inquiry, |user| user)
    }

    /// The same of a call over a trunk, by its rules.
    pub(super) fn caller_over(&self, inquiry: &Inquiry, trunk: &SipConnection) -> String {
        if inquiry.anonymous {
            return ANONYMOUS.to_owned();
        }
        self.identity_text(inquiry, |user| trunk.routing.rewrite(Direction::In, Party::Caller, &user))
    }

    fn identity_text(&self, inquiry: &Inquiry, rewrite: impl FnOnce(String) -> String) -> String {
        // Carriers and trunks are trusted to know who calls (RFC 3325 5); From may be what a phone likes to say.
        let identity = inquiry.asserted.as_ref().unwrap_or(&inquiry.from);
        let user = rewrite(identity.user_text().unwrap_or_default().into_owned());
        match self.number(&user) {
            Some(tn) => format!("+{tn}"),
            None if user.is_empty() => identity.host().to_owned(),
            None => user,
        }
    }
}

/// A user, as dialled: by SIPS, or one device only (RFC 5627).
pub(super) fn target_of(callee: &Subscriber, dialled: Option<&Uri>) -> DialTarget {
    let gr = dialled.and_then(|uri| uri.param("gr"));
    let secure = dialled.is_some_and(|uri| uri.scheme() == Scheme::Sips);
    if gr.is_none() && !secure {
        return DialTarget::User { user: callee.user.login.clone(), domain: callee.domain.domain.clone() };
    }
    let scheme = if secure { "sips" } else { "sip" };
    let device = gr.map(|gr| format!(";gr={gr}")).unwrap_or_default();
    DialTarget::Uri(format!("{scheme}:{}{device}", callee.address()))
}

impl LegContext {
    pub(super) fn of(account: &Arc<Tenant>) -> Self {
        Self {
            account: account.uuid,
            tenant: account.clone(),
            sip_call_id: None,
            tn: None,
            sip_control_app: None,
            sip_connection: None,
            sip_user: None,
            batch_item: None,
            related: Related::default(),
            attest_level: None,
            vouched: None,
            block: None,
            meta: Map::new(),
            webhook: false,
            domain: None,
            own_number: None,
            voice_profile: None,
            spends: None,
            pass_headers: Vec::new(),
            codecs: Vec::new(),
            app_codecs: Vec::new(),
            srtp: None,
            dtmf: Dtmf::Auto,
        }
    }
}

/// Of a number as a caller shows it, with or without plus; `None` where it is something else.
fn digits(from: &str) -> Option<u64> {
    from.strip_prefix('+').unwrap_or(from).parse().ok()
}

impl LegContext {
    /// What a flow knows of a call from there.
    pub(crate) fn variables(&self, from: &str) -> Variables {
        let mut variables = Variables::new();
        let tn = self.tn.map(|tn| tn.to_string());
        let app = self.sip_control_app.map(|app| app.to_string());
        let state = match &self.block {
            Some(block) => Some(block.state.clone()),
            None => digits(from).and_then(number::state).map(str::to_owned),
        };
        let county = self.block.as_ref().and_then(|block| block.county.clone());
        let county = county.or_else(|| digits(from).and_then(number::county).map(str::to_owned));
        let (time_zone, closed) = (self.tenant.row.time_zone.clone(), self.tenant.closed.clone());
        let own = [("tn", tn), ("sca", app), ("time_zone", time_zone), (CLOSED, closed)];
        let place = [("geo.state", state), ("geo.county", county)];
        for (name, value) in own.into_iter().chain(place) {
            if let Some(value) = value {
                variables.set(name, value);
            }
        }
        variables
    }

    /// The trunk that the leg comes over.
    pub(super) fn come_over(&mut self, trunk: &SipConnection) {
        self.sip_connection = Some(trunk.uuid);
        self.pass_headers.clone_from(&trunk.routing.pass_headers);
        self.codecs.clone_from(&trunk.codecs.0);
        self.srtp = trunk.srtp.map(srtp_policy);
        self.dtmf = trunk.routing.dtmf.unwrap_or(Dtmf::Auto);
        self.related.sip_connection = Some(view::sip_connection_short(trunk).into());
    }

    /// The app that handles the leg.
    pub(crate) fn handled_by(&mut self, app: &SipControlApp) {
        self.sip_control_app = Some(app.uuid);
        self.related.sip_control_app = Some(view::sip_control_app_short(app).into());
        self.webhook = app.webhook_url.is_some();
        self.app_codecs.clone_from(&app.codecs.0);
    }

    /// Of a leg that this one dials, as long as nothing more is known.
    pub(crate) fn child(&self) -> Self {
        Self { domain: self.domain.clone(), voice_profile: self.voice_profile, ..Self::of(&self.tenant) }
    }
}

/// The longest a call of an app may be.
fn max_length(app: &SipControlApp) -> Option<Duration> {
    let minutes = app.max_call_length_min.and_then(|minutes| u64::try_from(minutes).ok());
    minutes.filter(|minutes| *minutes > 0).map(|minutes| Duration::from_secs(minutes * 60))
}

pub(super) fn unreadable(error: StoreError) -> Refusal {
    match error {
        StoreError::NotFound(_) => Refusal::new(404, "Not Found"),
        error => {
            tracing::error!(%error, "routing could not read the store");
            Refusal::new(503, "Service Unavailable")
        }
    }
}
