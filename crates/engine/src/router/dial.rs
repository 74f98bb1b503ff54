//! Which way a leg goes out (domain.md, outbound call). The checks come in the order documented there, and each has
//! its own fault.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use opentact_call::{CallType, DialTarget};
use opentact_events::view;
use opentact_sip::digest::Credentials;
use opentact_sip::flow::Transport;
use opentact_sip::uri::{Scheme, Uri};
use opentact_store::connections::SipConnection;
use opentact_store::types::{Direction, Dtmf, Feature, Party, SipTransport};
use opentact_store::voice_profiles::OutboundVoiceProfile;
use opentact_store::{StoreError, Tn};
use uuid::Uuid;

use super::directory::Tenant;
use super::identity::{ANONYMOUS, anonymous, assert, caller_uri, tell_verstat};
use super::is_closed;
use super::order::order;
use super::place::Named;
use super::plan::srtp_policy;
use super::vouch::verstat;
use super::{
    About, Attempt, DialFault, DialPlan, DialRequest, LegContext, Limit, Over, Phones, Place, Router, Stopped,
};
use crate::core::Target as WatchedTrunk;
use crate::dns::{Hop, Target};
use crate::trunk_board::Pulse;

const SIP_PORT: u16 = 5060;
const SIPS_PORT: u16 = 5061;

impl Router {
    /// Finds the way to a target, or says why there is none.
    pub async fn dial(&self, request: DialRequest) -> Result<DialPlan, DialFault> {
        let mut plan = self.way(&request).await?;
        match self.vouch(&request, &mut plan).await {
            // Nobody's call for help waits for a signature.
            Err(fault) if self.emergency_number(&request).is_none() => Err(fault),
            _ => Ok(plan),
        }
    }

    async fn way(&self, request: &DialRequest) -> Result<DialPlan, DialFault> {
        let account = self.directory.account(request.account).await.map_err(unreadable)?;
        if is_closed(&account) {
            return Err(DialFault::about(About::Account, 403, "the account is disabled"));
        }
        if let Some(number) = self.emergency_number(request) {
            return self.emergency_plan(request, &account, number).await;
        }
        self.check_caller(request).await?;
        let uri = match &request.target {
            DialTarget::Number(digits) => return self.number_plan(request, &account, digits).await,
            DialTarget::User { user, domain } => user_uri(user, domain)?,
            DialTarget::Uri(text) => sip_uri(text)?,
            // Within a call its members are dialled in its stead; nobody is called by it.
            DialTarget::Group(_) => return Err(DialFault::new(484, "a group is called by <Dial> only")),
        };
        let user = uri.user_text().unwrap_or_default().into_owned();
        match self.subscriber_plan(request, &account, &user, &uri).await? {
            Some(plan) => Ok(plan),
            None => self.uri_plan(request, &account, uri).await,
        }
    }

    /// A user of one of our domains. `None` when the domain is not ours.
    async fn subscriber_plan(
        &self,
        request: &DialRequest,
        account: &Arc<Tenant>,
        user: &str,
        uri: &Uri,
    ) -> Result<Option<DialPlan>, DialFault> {
        let Some(domain) = self.directory.domain(uri.host()).await.map_err(unreadable)? else { return Ok(None) };
        let found = self.directory.subscriber(user, &domain.domain).await.map_err(unreadable)?;
        let Some(callee) = found.filter(|callee| callee.user.is_active) else {
            return Err(DialFault::new(404, format!("{user}@{} does not exist", domain.domain)));
        };
        if is_closed(&*self.directory.account(domain.account).await.map_err(unreadable)?) {
            return Err(DialFault::new(480, format!("{user}@{} takes no calls", domain.domain)));
        }
        // An app or a number of another account is as foreign to the domain as another domain is.
        let foreign = request.caller_domain.as_deref() != Some(domain.domain.as_str())
            && (request.caller_domain.is_some() || request.account != domain.account);
        if callee.user.same_domain_calls_only && foreign {
            return Err(DialFault::new(403, format!("{user}@{} takes calls of its own domain only", domain.domain)));
        }
        let mut context = LegContext::of(account);
        context.sip_user = Some(callee.user.uuid);
        context.related.sip_user = Some(view::sip_user_short(&callee.user, Some(&callee.domain)).into());
        context.voice_profile = request.voice_profile;
        let to = Uri::sip(Some(&callee.user.login), &domain.domain, None)
            .map_err(|error| DialFault::new(500, error.to_string()))?;
        let from = caller_uri(request.from.as_deref(), &domain.domain);
        let phones = Phones {
            user: callee.user.uuid,
            device: uri.param("gr").map(str::to_owned),
            secure: uri.scheme() == Scheme::Sips,
        };
        Ok(Some(DialPlan::plain(context, CallType::User, from, to, vec![Attempt::Registered(phones)])))
    }

    /// A foreign SIP address.
    async fn uri_plan(&self, request: &DialRequest, account: &Arc<Tenant>, uri: Uri) -> Result<DialPlan, DialFault> {
        let secure = uri.scheme() == Scheme::Sips;
        let transport = match uri.param("transport").map(str::to_ascii_lowercase).as_deref() {
            // RFC 3261 19.1.2: tcp says what is below TLS here.
            None | Some("tcp" | "tls") if secure => Some(Transport::Tls),
            Some("udp") if secure => {
                return Err(DialFault::about(About::Callee, 416, format!("{uri} cannot be reached over UDP")));
            }
            None => None,
            Some("udp") => Some(Transport::Udp),
            Some("tcp") => Some(Transport::Tcp),
            Some("tls") => Some(Transport::Tls),
            Some(other) => return Err(DialFault::new(503, format!("transport {other} is not available"))),
        };
        let usual_port = if transport == Some(Transport::Tls) { SIPS_PORT } else { SIP_PORT };
        let target = Target { host: uri.host(), port: uri.port(), transport, usual_port };
        let places = self.resolve(request.account, target, Named::ByAddress).await?;
        let from = caller_uri(request.from.as_deref(), uri.host());
        let attempts = places
            .into_iter()
            .map(|Hop { remote, transport }| {
                Attempt::Place(Place { uri: uri.clone(), remote, transport, credentials: None, over: None })
            })
            .collect();
        let mut context = LegContext::of(account);
        context.voice_profile = request.voice_profile;
        Ok(DialPlan::plain(context, CallType::Trunk, from, uri, attempts))
    }

    /// A telephone number: by the trunk named, else by the carriers.
    async fn number_plan(
        &self,
        request: &DialRequest,
        account: &Arc<Tenant>,
        digits: &str,
    ) -> Result<DialPlan, DialFault> {
        let mut context = LegContext::of(account);
        context.voice_profile = request.voice_profile;
        let tn = self.number(digits);
        if let Some(connection) = &request.options.sip_connection {
            let trunk = match connection.parse::<Uuid>() {
                Ok(uuid) => self.directory.connection(request.account, uuid).await.map_err(unreadable)?,
                Err(_) => return Err(DialFault::new(404, format!("SIP connection {connection} does not exist"))),
            };
            let profile = self.voice_profile(request, tn).await?;
            let limit = profile.as_deref().and_then(Limit::of_profile);
            return Ok(DialPlan { limit, ..self.trunk_plan(request, context, &[trunk], digits).await? });
        }
        let profile = self.voice_profile(request, tn).await?;
        // Whose trunks they are pays for them.
        let own = profile.as_ref().is_some_and(|profile| !profile.sip_connections.is_empty());
        if !own && !self.ledger.pays(request.account).await.map_err(unreadable)? {
            return Err(DialFault::about(About::Balance, 402, "not enough account balance"));
        }
        let Some(tn) = tn else {
            return Err(DialFault::new(484, format!("{digits} is not a telephone number")));
        };
        if let Some(profile) = profile.as_deref().filter(|_| own) {
            let trunks = self.group(request.account, profile).await?;
            let mut request = request.clone();
            let is_number = |from: &String| from == ANONYMOUS || self.number(from).is_some();
            if let Some(lease) = profile.tn_lease.filter(|_| !request.from.as_ref().is_some_and(is_number)) {
                let lease = self.store.numbers().get_lease(request.account, lease).await.map_err(unreadable)?;
                request.from = Some(lease.tn.plus());
            }
            let limit = Limit::of_profile(profile);
            return Ok(DialPlan { limit, ..self.trunk_plan(&request, context, &trunks, digits).await? });
        }
        let caller = self.own_caller(request, profile.as_ref().and_then(|profile| profile.tn_lease)).await?;
        let spending = match &profile {
            Some(profile) => self.spending(profile, caller, tn).await?,
            None => None,
        };
        context.spends = spending.as_ref().map(|spending| spending.price());
        let carriers = self.carriers.load();
        if carriers.is_empty() {
            return Err(DialFault::new(503, "no carrier for telephone numbers is configured"));
        }
        let credit = Some(self.outgoing_credit(&account.row, caller).await?);
        context.tn = Some(caller.into());
        context.related.tn =
            self.directory.number(caller).await.map_err(unreadable)?.map(|tn| view::tn_short(&tn).into());
        let user = format!("+{tn}");
        // Each carrier in turn, and all of them again as often as is allowed: a 503 is often one full gateway of many.
        let rounds = (0..self.config.carrier_attempts.max(1)).flat_map(|_| carriers.iter());
        let attempts = rounds
            .map(|carrier| {
                let uri = Uri::from_addr(Some(&user), carrier.address).with_param("user", Some("phone"));
                Attempt::Place(Place {
                    uri,
                    remote: carrier.address,
                    transport: Transport::Udp,
                    credentials: None,
                    over: None,
                })
            })
            .collect();
        let host = carriers[0].address;
        let number = Uri::from_addr(Some(&caller.plus()), host).with_param("user", Some("phone"));
        let withheld = request.from.as_deref() == Some(ANONYMOUS);
        Ok(DialPlan {
            context,
            identity: assert(&number, withheld),
            from: if withheld { anonymous() } else { number },
            from_display: None,
            stir: None,
            to: Uri::from_addr(Some(&user), host).with_param("user", Some("phone")),
            kind: CallType::Trunk,
            attempts,
            limit: profile.as_deref().and_then(Limit::of_profile),
            spending,
            credit,
        })
    }

    /// The outbound voice profile of a call, when it has one and that allows it. `tn` is the number called; what is none,
    /// the extension of a PBX, is in no country.
    async fn voice_profile(
        &self,
        request: &DialRequest,
        tn: Option<u64>,
    ) -> Result<Option<Arc<OutboundVoiceProfile>>, DialFault> {
        let uuid = match &request.options.outbound_voice_profile {
            Some(named) => named
                .parse::<Uuid>()
                .map_err(|_| DialFault::new(404, format!("outbound voice profile {named} does not exist")))?,
            None => match request.voice_profile {
                Some(uuid) => uuid,
                None => return Ok(None),
            },
        };
        let profile = self.directory.profile(request.account, uuid).await.map_err(unreadable)?;
        if !profile.is_active {
            return Err(DialFault::about(About::Account, 403, "the outbound voice profile is not active"));
        }
        let allowed = &profile.allowed_countries;
        let reached = |tn| crate::number::country(tn).is_some_and(|country| allowed.contains(&country));
        if !allowed.is_empty()
            && let Some(tn) = tn.filter(|tn| !reached(*tn))
        {
            let reason = "Country Permission Violation";
            self.stopped(&Stopped::by(&profile, "country", &format!("+{tn}"), reason));
            return Err(DialFault::about(About::Country, 403, reason));
        }
        Ok(Some(profile))
    }

    /// By trunks of the account, each tried after the one before it failed.
    pub(super) async fn trunk_plan(
        &self,
        request: &DialRequest,
        mut context: LegContext,
        trunks: &[Arc<SipConnection>],
        digits: &str,
    ) -> Result<DialPlan, DialFault> {
        let mut attempts = Vec::new();
        let mut fault = None;
        for trunk in trunks {
            match self.places(request, trunk, digits).await {
                Ok(places) => attempts.extend(places.into_iter().map(Attempt::Place)),
                Err(found) => drop(fault.get_or_insert(found)),
            }
        }
        let Some(Attempt::Place(Place { over: Some(first), .. })) = attempts.first() else {
            return Err(
                fault.unwrap_or_else(|| DialFault::new(503, "no trunk of the outbound voice profile is active"))
            );
        };
        let (from, to) = (first.from.clone(), first.to.clone());
        context.sip_connection = Some(first.uuid);
        context.related.sip_connection = Some(first.shown.clone());
        Ok(DialPlan::plain(context, CallType::Trunk, from, to, attempts))
    }

    /// The addresses of a trunk.
    async fn places(
        &self,
        request: &DialRequest,
        trunk: &SipConnection,
        digits: &str,
    ) -> Result<Vec<Place>, DialFault> {
        if !trunk.is_active {
            return Err(DialFault::new(503, format!("SIP connection {} is not active", trunk.name)));
        }
        let host = host_of(trunk)
            .ok_or_else(|| DialFault::new(503, format!("SIP connection {} has no address", trunk.name)))?;
        let host = &*host;
        let port = u16::try_from(trunk.port).unwrap_or(SIP_PORT);
        let hops = self.hops(request.account, trunk, host, port).await?;
        let credentials = self.credentials(trunk).map_err(unreadable)?;
        let written = |party, number: Option<u64>, text: &str| {
            let number = number.map_or_else(|| text.to_owned(), |tn| format!("+{tn}"));
            trunk.routing.rewrite(Direction::Out, party, &number)
        };
        // An emergency number is none of the telephone network's, and no limit is for it.
        let emergency = self.is_emergency(digits);
        let callee = self.number(digits).filter(|_| !emergency);
        let called = written(Party::Called, callee, digits);
        let to = Uri::sip(Some(&called), host, Some(port)).map_err(|error| DialFault::new(484, error.to_string()))?;
        let number = request.from.as_deref().and_then(|from| self.number(from));
        let caller = number.map(|tn| written(Party::Caller, Some(tn), ""));
        let from = caller_uri(caller.as_deref().or(request.from.as_deref()), host);
        // Whoever withholds the number is nobody to a trunk: the number called is not who calls.
        let caller = caller.and_then(|caller| Uri::sip(Some(&caller), host, None).ok());
        let mut identity = caller.map(|caller| assert(&caller, false)).unwrap_or_default();
        if let Some(verstat) = number.and_then(|tn| verstat(request, &tn.to_string())) {
            tell_verstat(&mut identity, verstat);
        }
        let seconds = |seconds: u16| Duration::from_secs(seconds.into());
        let routing = &trunk.routing;
        let over = Arc::new(Over {
            uuid: trunk.uuid,
            shown: view::sip_connection_short(trunk).into(),
            from,
            to: to.clone(),
            identity,
            caller: number,
            callee,
            limit: Limit::of_trunk(trunk).filter(|_| !emergency),
            codecs: trunk.codecs.0.clone(),
            srtp: trunk.srtp.map(srtp_policy),
            pass_headers: routing.pass_headers.clone(),
            failover_codes: routing.failover_codes.clone(),
            progress_timeout: routing.progress_timeout.map(seconds),
            ring_timeout: routing.ring_timeout.map(seconds),
            dtmf: routing.dtmf.unwrap_or(Dtmf::Auto),
        });
        let place = |Hop { remote, transport }| Place {
            uri: to.clone(),
            remote,
            transport,
            credentials: credentials.clone(),
            over: Some(over.clone()),
        };
        Ok(hops.into_iter().map(place).collect())
    }

    /// Where a trunk is, in the order its places are to be tried.
    async fn hops(&self, account: Uuid, trunk: &SipConnection, host: &str, port: u16) -> Result<Vec<Hop>, DialFault> {
        // Who has left the port as it comes has not said where: the SRV records of a name do.
        let said = Some(port).filter(|port| *port != SIP_PORT);
        let target = Target { host, port: said, transport: Some(transport_of(trunk)), usual_port: port };
        self.resolve(account, target, Named::ByTrunk).await
    }

    /// What a trunk's challenges are answered with.
    fn credentials(&self, trunk: &SipConnection) -> Result<Option<Arc<Credentials>>, StoreError> {
        Ok(match (&trunk.username, self.store.connections().password(trunk)?) {
            (Some(user), Some(password)) => Some(Arc::new(Credentials::password(user.clone(), password))),
            _ => None,
        })
    }

    /// The trunks that are asked whether they are there, and those that we register with.
    pub(crate) async fn watched(&self) -> Result<Vec<WatchedTrunk>, StoreError> {
        let mut targets = Vec::new();
        for trunk in self.store.connections().watched().await? {
            let Some(host) = host_of(&trunk) else { continue };
            let port = u16::try_from(trunk.port).unwrap_or(SIP_PORT);
            let hop = self.hops(trunk.account, &trunk, &host, port).await.ok().and_then(|found| found.first().copied());
            targets.push(WatchedTrunk {
                remote: hop.map(|hop| hop.remote),
                uuid: trunk.uuid,
                account: trunk.account,
                name: trunk.name.clone(),
                version: trunk.modified_on,
                host: host.into_owned(),
                port,
                transport: hop.map_or(transport_of(&trunk), |hop| hop.transport),
                credentials: self.credentials(&trunk)?,
                ping: trunk.options_ping,
                register: trunk.username.clone().filter(|_| trunk.register),
            });
        }
        Ok(targets)
    }

    /// The trunks of an outbound voice profile, in the order they are to be tried.
    async fn group(&self, account: Uuid, profile: &OutboundVoiceProfile) -> Result<Vec<Arc<SipConnection>>, DialFault> {
        let mut trunks = Vec::new();
        for uuid in profile.sip_connections.iter() {
            let trunk = self.directory.connection(account, *uuid).await.map_err(unreadable)?;
            if trunk.is_active {
                trunks.push(trunk);
            }
        }
        let is_down = |trunk: &SipConnection| self.board().pulse(trunk.uuid) == Pulse::Down;
        // None of those that are down, unless all are.
        if !trunks.iter().all(|trunk| is_down(trunk)) {
            trunks.retain(|trunk| !is_down(trunk));
        }
        Ok(order(trunks, &mut rand::rng()))
    }

    /// The caller number shown to the telephone network: always one the account leases.
    pub(super) async fn own_caller(&self, request: &DialRequest, profile_lease: Option<Uuid>) -> Result<Tn, DialFault> {
        let asked = request.from.as_deref().and_then(|from| self.number(from));
        if let Some(tn) = asked
            && let Some(lease) = self.directory.lease(tn).await.map_err(unreadable)?
            && lease.account == request.account
        {
            return Ok(lease.tn);
        }
        if let Some(lease) = profile_lease {
            return Ok(self.store.numbers().get_lease(request.account, lease).await.map_err(unreadable)?.tn);
        }
        if let Some(own) = request.own_number.and_then(|tn| Tn::try_from(tn).ok()) {
            return Ok(own);
        }
        if let Some(tn) = asked {
            let reason = format!("the caller number {tn} is not leased by the account");
            return Err(DialFault::about(About::Caller, 403, reason));
        }
        // Nobody has said who calls: the account's first number that can.
        let leases = self.store.numbers().leases(request.account).await.map_err(unreadable)?;
        let first = leases.iter().find(|lease| lease.subscriptions.contains(&Feature::Voice));
        first.map(|lease| lease.tn).ok_or_else(|| {
            let reason = "no caller number: lease one, or give the outbound voice profile one";
            DialFault::about(About::Caller, 403, reason)
        })
    }
}

/// The host of a trunk as URIs have it: IPv6 in brackets.
fn host_of(trunk: &SipConnection) -> Option<Cow<'_, str>> {
    let host = trunk.hostname.as_deref().or(trunk.ip.as_deref())?;
    Some(if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]").into() } else { host.into() })
}

fn transport_of(trunk: &SipConnection) -> Transport {
    match trunk.transport {
        SipTransport::Udp => Transport::Udp,
        SipTransport::Tcp => Transport::Tcp,
        SipTransport::Tls => Transport::Tls,
    }
}

/// A SIP address that somebody has written, as a Request-URI. What it says of headers is not for that
/// (RFC 3261 19.1.5).
fn sip_uri(text: &str) -> Result<Uri, DialFault> {
    let text = text.split_once('?').map_or(text, |(address, _)| address);
    let uri = Uri::parse(text.as_bytes()).map_err(|error| DialFault::new(484, error.to_string()))?;
    match uri.scheme() {
        Scheme::Sip | Scheme::Sips => Ok(uri),
        _ => Err(DialFault::about(About::Callee, 416, format!("{text} is no SIP address"))),
    }
}

/// `user@host` or `user@host:port`.
fn user_uri(user: &str, domain: &str) -> Result<Uri, DialFault> {
    let port = domain.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let (host, port) = match port.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) {
        Some((host, port)) => (host, Some(port)),
        None => (domain, None),
    };
    Uri::sip(Some(user), host, port).map_err(|error| DialFault::new(484, error.to_string()))
}

pub(super) fn unreadable(error: StoreError) -> DialFault {
    match error {
        StoreError::NotFound(what) => DialFault::new(404, format!("{what} not found")),
        error => {
            tracing::error!(%error, "routing could not read the store");
            DialFault::new(503, "the database does not answer")
        }
    }
}
