//! Legs that we make: one or several INVITEs at once, then the next place when all have failed.

use std::net::SocketAddr;
use std::time::Instant;

use opentact_call::q850::Q850;
use opentact_call::{DialOptions, DialTarget, LegEvent, LegId};
use opentact_media::control::{Command as MediaCommand, LegKey};
use opentact_sip::message::Response;
use opentact_sip::ua::{Command, OutgoingInvite, SessionId};
use opentact_sip::uri::NameAddr;
use opentact_store::types::Dtmf;

use super::channels::{Channel, Full};
use super::credit::Credit;
use super::described::{Manner, Media, Terms};
use super::leg::{Leg, Outbound, Role};
use super::negotiate::{self, Common, Headers, NegotiateError, SDP};
use super::reason::{answered_elsewhere, q850_of, reason_header};
use super::{Core, Message};
use crate::router::{Attempt, DialFault, DialPlan, DialRequest, Place, Stopped};

impl Core {
    pub(super) fn dial(
        &mut self,
        call: LegId,
        leg: LegId,
        target: DialTarget,
        from: Option<String>,
        options: DialOptions,
    ) {
        let Some(entry) = self.calls.get(&call) else { return };
        let context = entry.book.context().clone();
        let from = from.or_else(|| entry.book.snapshot(call).map(|origin| origin.from.clone()));
        let role = Role::Outbound(Outbound::default());
        self.legs.insert(
            leg,
            Leg {
                id: leg,
                call,
                context: context.clone(),
                media: None,
                with: None,
                holds: false,
                role,
                channel: None,
                spending: None,
                credit: None,
                ended: false,
            },
        );
        // A call made by REST is routed before it is there, so that its faults are the request's faults.
        if let Some(plan) = self.planned.remove(&leg) {
            return self.on_dialled(leg, Ok(plan));
        }
        let router = self.drivers.router.clone();
        if let Some((referrer, to)) = self.referred.remove(&leg) {
            self.spawn_near(async move {
                Message::Dialled { leg, result: router.transfer(&referrer, to).await.map(Box::new) }
            });
            return;
        }
        let request = DialRequest {
            account: context.account,
            target,
            from,
            options,
            voice_profile: context.voice_profile,
            own_number: context.own_number.or(context.tn),
            caller_domain: context.domain.clone(),
            vouched: context.vouched.clone(),
        };
        self.spawn_near(async move { Message::Dialled { leg, result: router.dial(request).await.map(Box::new) } });
    }

    pub(super) fn on_dialled(&mut self, id: LegId, result: Result<Box<DialPlan>, DialFault>) {
        // Given up while it was routed.
        let Some(leg) = self.legs.get(&id).filter(|leg| !leg.ended) else { return };
        let call = leg.call;
        let near = self.legs.get(&call).and_then(|origin| origin.media.as_ref()).map(|media| media.key);
        let opened = match result {
            Ok(plan) => self.open(&plan, near).map(|opened| (plan, opened)),
            Err(fault) => Err(fault),
        };
        let (plan, (channel, key, address)) = match opened {
            Ok(opened) => opened,
            Err(fault) => {
                self.leg_event(id, LegEvent::Failed { sip: fault.sip, q850: fault.q850, reason: fault.reason });
                return self.close_leg(id);
            }
        };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        // What is said in it is made anew for each attempt.
        let webrtc = self.config.webrtc.clone();
        let terms = Terms {
            address,
            codecs: Vec::new(),
            srtp: self.config.srtp,
            webrtc,
            dtmf: Dtmf::Auto,
            passed: Vec::new(),
            video: None,
        };
        leg.media = Some(Media::new(key, terms, Manner::default()));
        leg.context = plan.context.clone();
        leg.channel = channel;
        leg.spending = plan.spending;
        leg.credit = plan.credit.map(Credit::new);
        if let Role::Outbound(outbound) = &mut leg.role {
            let mut from = NameAddr::new(plan.from);
            if let Some(display) = &plan.from_display {
                from = from.with_display(display);
            }
            outbound.from = Some(from);
            outbound.identity = plan.identity;
            outbound.stir = plan.stir;
            outbound.to = Some(NameAddr::new(plan.to));
            outbound.address = Some(address);
            outbound.attempts = plan.attempts.into();
        }
        self.media_legs.insert(key, id);
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.book.set_context(id, plan.context);
        }
        self.next_attempt(id);
    }

    /// What a leg that is dialled takes: a channel of its profile, where those are counted, and media.
    fn open(
        &mut self,
        plan: &DialPlan,
        near: Option<LegKey>,
    ) -> Result<(Option<Channel>, LegKey, SocketAddr), DialFault> {
        let channel = plan.limit.as_ref().map(|limit| self.channels.take(Instant::now(), limit)).transpose();
        let channel = channel.map_err(|full| {
            let reason = self.stopped(plan, full);
            DialFault { q850: Q850::NO_CHANNEL, ..DialFault::new(503, reason) }
        })?;
        let (key, address) = self.drivers.media.open(near).map_err(|error| DialFault::new(503, error.to_string()))?;
        Ok((channel, key, address))
    }

    /// Why a plan could not be carried out just now: its profile is at a limit, or each of its places is.
    pub(super) fn limited(&mut self, plan: &DialPlan) -> Option<String> {
        let now = Instant::now();
        if let Some(limit) = &plan.limit
            && let Err(full) = self.channels.check(now, limit)
        {
            return Some(self.stopped(plan, full));
        }
        let mut limited = None;
        for attempt in &plan.attempts {
            let Attempt::Place(Place { over: Some(over), .. }) = attempt else { return None };
            let Some(limit) = &over.limit else { return None };
            match self.channels.check(now, limit) {
                Ok(()) => return None,
                Err(full) => limited = Some(full),
            }
        }
        limited.map(Full::counted)
    }

    /// Tells that a profile's limit keeps a call from going out.
    fn stopped(&self, plan: &DialPlan, full: Full) -> String {
        if let Some(limit) = &plan.limit {
            self.drivers.router.stopped(&Stopped {
                account: plan.context.account,
                profile: limit.of,
                name: &limit.name,
                limit: full.limit,
                to: &plan.to.user_text().unwrap_or_default(),
                reason: &full.reason,
            });
        }
        full.reason
    }

    /// Calls the next place; without one the leg has failed.
    pub(super) fn next_attempt(&mut self, id: LegId) {
        loop {
            let Some(Leg { role: Role::Outbound(outbound), .. }) = self.legs.get_mut(&id) else { return };
            let Some(attempt) = outbound.attempts.pop_front() else {
                let (sip, q850, reason) = outbound
                    .failure
                    .take()
                    .unwrap_or_else(|| (480, Q850::NO_USER_RESPONSE, "not registered".to_owned()));
                self.leg_event(id, LegEvent::Failed { sip, q850, reason });
                return self.close_leg(id);
            };
            if self.attempt(id, attempt) {
                return;
            }
        }
    }

    /// Sends the INVITEs of one attempt. False when there was nowhere to send one.
    fn attempt(&mut self, id: LegId, attempt: Attempt) -> bool {
        let mut invites = Vec::new();
        let over = match &attempt {
            Attempt::Place(place) => place.over.clone(),
            Attempt::Registered(_) => None,
        };
        let phones = matches!(attempt, Attempt::Registered(_));
        self.begin_attempt(id, over.as_ref(), phones);
        match attempt {
            Attempt::Registered(phones) => {
                // By the user and not the address: who had the login before may still be registered under it.
                let aor = self.registered.address(phones.user).unwrap_or_default();
                let mut insecure = false;
                for binding in self.registrar.lookup(Instant::now(), aor) {
                    if phones.device.as_ref().is_some_and(|gr| !binding.is_instance(gr)) {
                        continue;
                    }
                    if phones.secure && !binding.flow.transport.is_secure() {
                        insecure = true;
                        continue;
                    }
                    invites.push((binding.flow, binding.contact.clone(), binding.path.to_vec(), None));
                }
                if insecure && invites.is_empty() {
                    self.fail(id, 480, "not registered over TLS, which sips: asks for");
                }
            }
            Attempt::Place(place) => {
                if let Some(Leg { role: Role::Outbound(outbound), .. }) = self.legs.get_mut(&id) {
                    outbound.trying = Some(place.remote);
                    // First of all: the next address may be one of the same trunk.
                    outbound.channel = None;
                    let limit = over.as_ref().and_then(|over| over.limit.as_ref());
                    let taken = limit.map(|limit| self.channels.take(Instant::now(), limit));
                    match taken.transpose() {
                        Ok(channel) => outbound.channel = channel,
                        Err(full) => {
                            outbound.failure.get_or_insert((503, Q850::NO_CHANNEL, full.counted()));
                            return false;
                        }
                    }
                }
                match self.drivers.transports.flow_to(place.transport, place.remote, place.uri.host()) {
                    Some(flow) => invites.push((flow, place.uri, Vec::new(), place.credentials)),
                    None => self.no_way(id, &place),
                }
            }
        }
        let hops = self.hops_left(id).map(|hops| ("Max-Forwards".into(), hops.to_string().into()));
        let mut headers: Vec<_> = hops.into_iter().collect();
        if let Some(Leg { role: Role::Outbound(outbound), .. }) = self.legs.get(&id) {
            headers.extend_from_slice(&outbound.identity);
        }
        headers.extend(self.passed(id, over.as_deref()));
        headers.extend(self.history(id));
        let Some(breadths) = self.breadths(id, invites.len()) else {
            self.too_broad(id);
            return false;
        };
        if let Some(Leg { role: Role::Outbound(outbound), .. }) = self.legs.get_mut(&id) {
            outbound.breadth = breadths.iter().sum();
        }
        headers.extend(self.identities(id));
        let mut sent = Vec::new();
        for ((flow, uri, route, credentials), breadth) in invites.into_iter().zip(breadths) {
            let session = self.ua.new_session();
            let Some(Leg { role: Role::Outbound(outbound), media, .. }) = self.legs.get_mut(&id) else { return false };
            let (Some(from), Some(to), Some(media)) = (&outbound.from, &outbound.to, media) else { return false };
            let offer = negotiate::offer(media, session, Manner::to(&flow, &uri));
            let invite = OutgoingInvite {
                flow,
                uri,
                from: from.clone(),
                to: to.clone(),
                contact: None,
                call_id: None,
                route,
                headers: [&headers[..], &[("Max-Breadth".into(), breadth.to_string().into())]].concat(),
                body: Some((SDP, offer)),
                credentials: credentials.map(|credentials| (*credentials).clone()),
            };
            self.sessions.insert(session, id);
            sent.push(session);
            self.command(Command::Invite { session, invite });
            self.claim_trace(id, session);
        }
        if let Some(Leg { role: Role::Outbound(outbound), .. }) = self.legs.get_mut(&id) {
            outbound.branches.extend(&sent);
        }
        if let Some(first) = sent.first() {
            self.note_call_id(id, *first);
            self.time_attempt(id, false);
        }
        !sent.is_empty()
    }

    /// RFC 5393 5.3.3: the call has forked as often as it may.
    fn too_broad(&mut self, id: LegId) {
        if let Some(Leg { role: Role::Outbound(outbound), .. }) = self.legs.get_mut(&id) {
            outbound.failure = Some((440, Q850::from_sip(440), "Max-Breadth Exceeded".to_owned()));
            outbound.attempts.clear();
        }
    }

    /// The Identity headers of an INVITE that is sent now; they are kept with the call.
    fn identities(&mut self, id: LegId) -> Headers {
        let Some(leg) = self.legs.get_mut(&id) else { return Headers::new() };
        let Role::Outbound(Outbound { stir: Some(stir), .. }) = &leg.role else { return Headers::new() };
        let now = Self::now().utc;
        let identities = stir.identities(now);
        if let Some(shown) = &mut leg.context.related.stir_shaken {
            let texts: Vec<_> = identities.iter().map(|identity| String::from_utf8_lossy(identity)).collect();
            std::sync::Arc::make_mut(shown)["identity"] = serde_json::json!(texts);
        }
        stir.headers(&identities, now)
    }

    fn no_way(&mut self, id: LegId, place: &Place) {
        self.fail(id, 503, &format!("no way to {} over {}", place.remote, place.transport));
    }

    /// Why the leg fails, where no attempt after this one goes better and none before has said.
    fn fail(&mut self, id: LegId, sip: u16, reason: &str) {
        if let Some(Leg { role: Role::Outbound(outbound), .. }) = self.legs.get_mut(&id) {
            outbound.failure.get_or_insert_with(|| (sip, Q850::from_sip(sip), reason.to_owned()));
        }
    }

    /// What is left of the hops the caller's INVITE may take: a call that comes back to us again and again must end
    /// (RFC 3261 16.6 step 3, which binds a B2BUA as much: RFC 7332 3).
    fn hops_left(&self, id: LegId) -> Option<u8> {
        let origin = self.legs.get(&id).and_then(|leg| self.legs.get(&leg.call))?;
        let Role::Inbound(inbound) = &origin.role else { return None };
        inbound.request.max_forwards().ok().flatten().map(|hops| hops.saturating_sub(1))
    }

    /// The messages of this session are the leg's.
    fn claim_trace(&mut self, id: LegId, session: SessionId) {
        if let (Some(leg), Some(session)) = (self.legs.get(&id), self.ua.session(session)) {
            self.trace.claim(leg.context.account, leg.call.0, id.0, session.call_id());
        }
    }

    /// The Call-ID by which the other side knows the leg.
    fn note_call_id(&mut self, id: LegId, session: SessionId) {
        let call_id = self.ua.session(session).map(|session| String::from_utf8_lossy(session.call_id()).into_owned());
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.context.sip_call_id = call_id;
        if let Some(entry) = self.calls.get_mut(&leg.call) {
            entry.book.set_context(id, leg.context.clone());
        }
    }

    pub(super) fn on_progress(&mut self, session: SessionId, response: &Response) {
        let Some(&id) = self.sessions.get(&session) else { return };
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.ended) else { return };
        let Role::Outbound(outbound) = &mut leg.role else { return };
        outbound.heard |= !response.body().is_empty();
        if response.code() >= 180 {
            outbound.rang_at.get_or_insert_with(Instant::now);
        }
        self.time_attempt(id, true);
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.ended) else { return };
        let Role::Outbound(outbound) = &mut leg.role else { return };
        if response.code() == 180 && !std::mem::replace(&mut outbound.ringing, true) {
            self.leg_event(id, LegEvent::Ringing);
        }
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.ended) else { return };
        // Of several that ring only the one who answers is heard.
        let alone =
            matches!(&leg.role, Role::Outbound(outbound) if outbound.branches.len() == 1 && outbound.early.is_none());
        let (Some(media), call) = (&mut leg.media, leg.call) else { return };
        if alone && !response.body().is_empty() {
            media.take_up(session);
            match negotiate::accept(media, response.headers(), response.body()) {
                Ok(params) => {
                    let common = negotiate::common(media);
                    if let Role::Outbound(outbound) = &mut leg.role {
                        let tag = response.to_tag().unwrap_or_default();
                        outbound.early = Some((session, bytes::Bytes::copy_from_slice(tag)));
                    }
                    self.note_common(call, common);
                    self.media_command(id, MediaCommand::Start(params));
                    self.leg_event(id, LegEvent::EarlyMedia);
                }
                Err(error) => tracing::debug!(leg = %id, %error, "early media not usable"),
            }
        }
    }

    pub(super) fn on_answered(&mut self, session: SessionId, response: &Response) {
        let id = self.sessions.get(&session).copied();
        let leg = id.and_then(|id| self.legs.get_mut(&id)).filter(|leg| !leg.ended && !leg.is_answered());
        let Some(leg) = leg else {
            // Another branch was first, or we gave up while this 200 was on its way.
            self.sessions.remove(&session);
            let headers = vec![reason_header(Q850::NORMAL_CLEARING)];
            return self.command(Command::Bye { session, headers });
        };
        let id = leg.id;
        if let Some(spending) = &leg.spending {
            spending.answered(Instant::now());
        }
        let early = self.ua.session(session).and_then(|session| session.early_answer().cloned());
        self.trials.set(id, None);
        let mut others = Vec::new();
        let mut heard = false;
        if let Role::Outbound(outbound) = &mut leg.role {
            outbound.answered = Some(session);
            outbound.answered_at = Some(Instant::now());
            others = std::mem::take(&mut outbound.branches);
            outbound.attempts.clear();
            heard = outbound.hears(session, response.to_tag());
        }
        if let Some(media) = &mut leg.media {
            media.take_up(session);
        }
        // RFC 3261 13.2.1: the answer of a reliable provisional response stands, and what has changed it since.
        let agreed = match (&mut leg.media, early) {
            (Some(_), Some(_)) if heard => Ok(None),
            (Some(media), Some((content, body))) => negotiate::accept_body(media, &content, &body).map(Some),
            (Some(media), None) => negotiate::accept(media, response.headers(), response.body()).map(Some),
            (None, _) => Err(NegotiateError::Missing),
        };
        let common = leg.media.as_ref().map(negotiate::common).unwrap_or_default();
        let call = leg.call;
        for other in others.into_iter().filter(|other| *other != session) {
            self.command(Command::Cancel { session: other, headers: vec![answered_elsewhere()] });
        }
        self.note_call_id(id, session);
        match agreed {
            Ok(params) => {
                if let Some(params) = params {
                    self.media_command(id, MediaCommand::Start(params));
                }
                self.note_common(call, common);
                self.leg_event(id, LegEvent::Answered);
            }
            Err(error) => {
                tracing::info!(leg = %id, %error, "answer not usable");
                let q850 = Q850::from_sip(488);
                self.leg_event(id, LegEvent::Failed { sip: 488, q850, reason: error.to_string() });
                self.hang_up(id, q850);
            }
        }
    }

    /// The origin is answered in what the leg that it is to hear speaks and shows, where it can be.
    fn note_common(&mut self, call: LegId, common: Common) {
        if let Some(entry) = self.calls.get_mut(&call) {
            (entry.spoken, entry.shown) = common;
        }
    }

    pub(super) fn on_failed(&mut self, session: SessionId, code: u16, response: Option<&Response>) {
        let Some(id) = self.sessions.remove(&session) else { return };
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.ended) else { return };
        let Role::Outbound(outbound) = &mut leg.role else { return };
        outbound.branches.retain(|branch| *branch != session);
        if outbound.answered.is_some() {
            return;
        }
        let q850 = response.and_then(|response| q850_of(response.headers())).unwrap_or_else(|| Q850::from_sip(code));
        let reason = response.map_or_else(
            || opentact_sip::message::reason_phrase(code).to_owned(),
            |response| response.reason().into_owned(),
        );
        if outbound.failure.as_ref().is_none_or(|(known, ..)| weight(code) > weight(*known)) {
            outbound.failure = Some((code, q850, reason));
        }
        if !outbound.branches.is_empty() {
            if code >= 600 {
                // RFC 3261 16.7 step 5: whoever declines does so for all the callee's places.
                for branch in outbound.branches.clone() {
                    self.command(Command::Cancel { session: branch, headers: vec![reason_header(q850)] });
                }
            }
            return;
        }
        // A place that is down is passed over; one that has said no or was heard has decided, and so has one that rang
        // for as long as is allowed (domain.md, trunk choice).
        let rang_out = code == 408 && outbound.ringing;
        let passed_over = outbound.is_passed_over(code) && !outbound.heard && !rang_out;
        if !passed_over {
            outbound.attempts.clear();
        } else if response.is_none() {
            // Nobody is there: only other places are worth a try.
            let silent = outbound.trying;
            outbound
                .attempts
                .retain(|attempt| !matches!(attempt, Attempt::Place(place) if Some(place.remote) == silent));
        }
        self.next_attempt(id);
    }
}

/// How much a failure says, of those of several branches (RFC 3261 16.7 step 6, for people).
fn weight(code: u16) -> u16 {
    match code {
        600..=699 => 5,
        486 => 4,
        400..=499 if code != 408 && code != 480 && code != 487 => 3,
        480 | 408 => 2,
        _ => 1,
    }
}
