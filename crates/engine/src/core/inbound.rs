//! Calls that come to us.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use opentact_call::q850::Q850;
use opentact_call::{Call, InboundStart, LegEvent, LegId};
use opentact_media::control::{Command as MediaCommand, LegKey};
use opentact_sip::flow::Flow;
use opentact_sip::message::{Name, Request, Response};
use opentact_sip::ua::{Command, RequestId, SessionId};

use super::credit::Credit;
use super::described::{Manner, Media, Terms};
use super::leg::{Inbound, Leg, Role, new_leg};
use super::negotiate::{self, SDP};
use super::reason::{cancel_reasons, q850_of, reason_header, retry_after};
use super::replaces::Replaces;
use super::{Core, Message};
use crate::router::{Admission, Inquiry, LegContext, Limit, Plan, Refusal};

/// An INVITE whose routing is not decided yet.
pub(super) struct Arriving {
    pub(super) request: Request,
    /// The dialog whose place it takes.
    pub(super) replaces: Option<Replaces>,
}

impl Core {
    pub(super) fn on_invite(&mut self, session: SessionId, request: Request, flow: Flow) {
        // Who is told at once does not send again and again, and does not wait for what comes too late.
        let overloaded = self.waited > self.config.overload_delay && !self.is_call_for_help(&request);
        if self.draining || self.is_full() || overloaded {
            let reason = match (self.draining, overloaded) {
                (true, _) => "draining",
                (false, true) => "overload",
                (false, false) => "limit",
            };
            metrics::counter!("opentact_calls_refused_total", "reason" => reason).increment(1);
            return self.refuse(session, 503, None, vec![retry_after()]);
        }
        let Some(mut inquiry) = Inquiry::of(&request, flow) else {
            return self.refuse(session, 400, None, Vec::new());
        };
        inquiry.certified = self.drivers.transports.certified(&flow);
        let Ok(replaces) = Replaces::of(&request) else { return self.refuse(session, 400, None, Vec::new()) };
        let seat = replaces.as_ref().map(|replaces| self.seat(replaces));
        self.arriving.insert(session, Arriving { request, replaces });
        let router = self.drivers.router.clone();
        match seat {
            None => {
                self.spawn_near(async move { Message::Admitted { session, admission: router.admit(inquiry).await } })
            }
            Some(seat) => self.spawn_near(async move {
                Message::Replacing { session, admission: router.admit_replacing(inquiry, seat).await }
            }),
        };
    }

    fn is_call_for_help(&self, request: &Request) -> bool {
        let uri = request.uri().ok();
        uri.and_then(|uri| uri.user_text().map(|user| self.drivers.router.is_emergency(&user))).unwrap_or(false)
    }

    /// No further call is taken: as many as may be are here, or the database does not keep up.
    pub(super) fn is_full(&self) -> bool {
        self.calls.len() + self.arriving.len() >= self.config.max_calls || self.drivers.journal.is_full()
    }

    /// The node ends: who is not in yet stays out.
    pub(super) fn refuse_arriving(&mut self) {
        let sessions: Vec<SessionId> = self.arriving.drain().map(|(session, _)| session).collect();
        for session in sessions {
            self.refuse(session, 503, None, vec![retry_after()]);
        }
    }

    pub(super) fn on_admitted(&mut self, session: SessionId, admission: Admission) {
        // Cancelled meanwhile.
        let Some(Arriving { request, .. }) = self.arriving.remove(&session) else { return };
        match admission {
            Admission::Challenge(values) => {
                let headers = values.into_iter().map(|value| ("Proxy-Authenticate".into(), value.into())).collect();
                self.refuse(session, 407, None, headers);
            }
            Admission::Refuse(refusal) => self.on_refused(session, &request, refusal),
            Admission::Accept(plan) => self.on_accepted(session, request, *plan),
        }
    }

    fn on_refused(&mut self, session: SessionId, request: &Request, refusal: Refusal) {
        metrics::counter!("opentact_calls_refused_total", "reason" => "routing").increment(1);
        if let Some(context) = refusal.context {
            let (from, to) = parties(request);
            let cause = Q850::from_sip(refusal.code);
            self.drivers.journal.refused(&context, from, to, cause, refusal.reason, Self::now().utc);
        }
        let headers = if refusal.code == 503 { vec![retry_after()] } else { Vec::new() };
        self.refuse(session, refusal.code, Some(refusal.reason), headers);
    }

    fn on_accepted(&mut self, session: SessionId, request: Request, plan: Plan) {
        let id = new_leg();
        let variables = plan.context.variables(&plan.from);
        let Some(context) = self.take_in(session, request, plan.context, plan.limit, (id, id), None) else { return };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.credit = plan.credit.map(Credit::new);
        }
        let start = InboundStart {
            leg: id,
            from: plan.from,
            to: plan.to,
            kind: plan.kind,
            target: plan.target,
            auto_answer: plan.auto_answer,
            max_length: plan.max_length,
            variables,
        };
        if self.enrol(id, context, || Call::inbound(Self::now(), start)) {
            self.settle();
        }
    }

    /// Makes the leg, of this call, of an INVITE that is admitted, its media beside that of `near`; `None` when it had to
    /// be refused.
    pub(super) fn take_in(
        &mut self,
        session: SessionId,
        request: Request,
        mut context: LegContext,
        limit: Option<Limit>,
        (id, call): (LegId, LegId),
        near: Option<LegKey>,
    ) -> Option<LegContext> {
        // Judged before anything is answered, so that a call nobody can hear is not rung.
        let flow = self.ua.session(session).and_then(|session| session.flow())?;
        let manner = Manner::over(&flow);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let srtp = context.srtp.unwrap_or(self.config.srtp);
        let webrtc = self.config.webrtc.clone();
        let codecs = negotiate::codecs(self.codecs_of(&context), &context.app_codecs);
        let terms = Terms { address, codecs, srtp, webrtc, dtmf: context.dtmf, passed: Vec::new(), video: None };
        if let Err(error) = negotiate::check_offer(&request, &terms, manner) {
            tracing::info!(%error, "offer refused");
            self.refuse(session, error.code(), None, negotiate::refusal(&error));
            return None;
        }
        let channel = match limit.map(|limit| self.channels.take(Instant::now(), &limit)).transpose() {
            Ok(channel) => channel,
            Err(full) => {
                tracing::info!(reason = full.counted(), "a trunk's call is refused");
                let refusal = Refusal { context: Some(Box::new(context)), ..Refusal::new(503, "Trunk Limit") };
                self.on_refused(session, &request, refusal);
                return None;
            }
        };
        let (key, address) = match self.drivers.media.open(near) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%error, "no media for a call");
                self.refuse(session, 503, None, vec![retry_after()]);
                return None;
            }
        };
        context.sip_call_id = request.call_id().map(|call_id| String::from_utf8_lossy(call_id).into_owned());
        if let Some(call_id) = request.call_id() {
            self.trace.claim(context.account, call.0, id.0, call_id);
        }
        self.sessions.insert(session, id);
        self.media_legs.insert(key, id);
        let media = Some(Media::new(key, Terms { address, ..terms }, manner));
        let role = Role::Inbound(Inbound { session, request, answered: false });
        let (context_of_leg, ended) = (context.clone(), false);
        let leg = Leg {
            id,
            call,
            context: context_of_leg,
            media,
            with: None,
            holds: false,
            role,
            channel,
            spending: None,
            credit: None,
            ended,
        };
        self.legs.insert(id, leg);
        Some(context)
    }

    /// What is spoken with who calls: that of its trunk, else what all trunks or phones have in common.
    fn codecs_of<'a>(&'a self, context: &'a LegContext) -> &'a [String] {
        match (&context.codecs[..], context.domain.is_some() || context.sip_user.is_some()) {
            ([], true) => &self.config.codecs.phones,
            ([], false) => &self.config.codecs.trunks,
            (own, _) => own,
        }
    }

    pub(super) fn on_cancelled(&mut self, session: SessionId, request: &Request) {
        self.arriving.remove(&session);
        self.remote_ended(session, q850_of(request.headers()).unwrap_or(Q850::NORMAL_CLEARING));
    }

    pub(super) fn on_bye(&mut self, session: SessionId, request: &Request) {
        self.remote_ended(session, q850_of(request.headers()).unwrap_or(Q850::NORMAL_CLEARING));
    }

    /// Our BYE is answered, or the dialog is lost.
    pub(super) fn on_session_ended(&mut self, session: SessionId, code: u16) {
        self.remote_ended(session, Q850::from_sip(code));
    }

    fn remote_ended(&mut self, session: SessionId, q850: Q850) {
        let Some(leg) = self.sessions.remove(&session) else { return };
        if self.legs.get(&leg).is_some_and(|leg| !leg.ended && leg.is_carried_by(session)) {
            self.leg_event(leg, LegEvent::HungUp { q850 });
            self.close_leg(leg);
        }
    }

    pub(super) fn ring(&mut self, leg: LegId) {
        let Some((session, _)) = self.inbound(leg) else { return };
        self.command(Command::Provisional { session, code: 180, reason: None, headers: Vec::new(), body: None });
    }

    /// 183 with our SDP; audio flows to the caller from now on.
    pub(super) fn progress(&mut self, leg: LegId) {
        let Some((session, offered)) = self.inbound(leg) else { return };
        if !offered && !self.takes_reliably(leg) {
            // Without an offer there is nowhere to send early media to, and ours could not go before the 2xx (RFC 3261
            // 13.2.1).
            return self.ring(leg);
        }
        let Some(body) = self.describe(leg) else { return };
        let body = Some((SDP, body));
        self.command(Command::Provisional { session, code: 183, reason: None, headers: Vec::new(), body });
    }

    /// Whether the caller takes provisional responses that are acknowledged (RFC 3262): those may carry our offer.
    fn takes_reliably(&self, leg: LegId) -> bool {
        let Some(Leg { role: Role::Inbound(inbound), .. }) = self.legs.get(&leg) else { return false };
        let headers = inbound.request.headers();
        [Name::Supported, Name::Require].into_iter().any(|name| headers.lists(name, "100rel"))
    }

    /// Sends the 200. With an offer in the INVITE, or one of ours that has its answer, the call is on from here; without one, from
    /// the ACK.
    pub(super) fn answer(&mut self, leg: LegId) {
        let Some((session, offered)) = self.inbound(leg) else { return };
        let Some(body) = self.describe(leg) else { return };
        if let Some(Leg { role: Role::Inbound(inbound), .. }) = self.legs.get_mut(&leg) {
            inbound.answered = true;
        }
        self.command(Command::Accept { session, headers: Vec::new(), body: Some((SDP, body)), contact: None });
        let media = self.legs.get(&leg).and_then(|leg| leg.media.as_ref());
        if offered || media.is_some_and(|media| !media.awaits_answer) {
            self.leg_event(leg, LegEvent::Answered);
        }
    }

    /// The ACK of a late offer brings the answer, or the PRACK where the offer went before the 200.
    pub(super) fn on_acked(&mut self, session: SessionId, request: &Request) {
        let Some(&id) = self.sessions.get(&session) else { return };
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.ended) else { return };
        let first =
            matches!(&leg.role, Role::Inbound(inbound) if inbound.request.body().is_empty() && inbound.answered);
        let Some(media) = leg.media.as_mut().filter(|media| media.awaits_answer) else { return };
        media.awaits_answer = false;
        let anew = media.sdp.agreed().is_some();
        match negotiate::accept(media, request.headers(), request.body()) {
            Ok(params) => {
                // Who has agreed before may hold the other party with it, or take it back.
                match anew {
                    true => self.restart_media(id, params),
                    false => self.media_command(id, MediaCommand::Start(params)),
                }
                // The machine ignores it where the leg is live already (a re-INVITE without an offer).
                if first {
                    self.leg_event(id, LegEvent::Answered);
                }
            }
            Err(error) => {
                tracing::info!(leg = %id, %error, "no usable answer in the ACK or PRACK");
                let cause = Q850::from_sip(error.code());
                self.leg_event(id, LegEvent::HungUp { q850: cause });
                self.reject(id, error.code(), cause, None);
            }
        }
    }

    /// Our SDP for an inbound leg, made once: what 183 said, 200 repeats. `None` when the leg had to be given up.
    fn describe(&mut self, id: LegId) -> Option<bytes::Bytes> {
        let leg = self.legs.get_mut(&id)?;
        let (Some(media), Role::Inbound(inbound)) = (&mut leg.media, &leg.role) else { return None };
        if let Some(described) = &media.described {
            return Some(described.clone());
        }
        if let Some(entry) = self.calls.get(&leg.call) {
            if let Some(spoken) = &entry.spoken {
                negotiate::prefer(media, spoken);
            }
            if !entry.shown.is_empty() {
                media.sdp.pass(entry.shown.clone());
                // Without ports for it there is none.
                if let Ok(address) = self.drivers.media.open_video(media.key) {
                    media.sdp.video_at(address);
                }
            }
        }
        match negotiate::respond(media, &inbound.request) {
            Ok((bytes, params)) => {
                if let Some(params) = params {
                    self.media_command(id, MediaCommand::Start(params));
                }
                Some(bytes)
            }
            Err(error) => {
                tracing::info!(leg = %id, %error, "negotiation failed");
                let (code, cause) = (error.code(), Q850::from_sip(error.code()));
                self.leg_event(id, LegEvent::HungUp { q850: cause });
                self.reject(id, code, cause, None);
                None
            }
        }
    }

    /// A re-INVITE: hold, resume, a new address. The media is ours on every leg, so the other leg need not know.
    pub(super) fn on_reinvite(&mut self, session: SessionId, request: &Request) {
        let leg = self.sessions.get(&session).and_then(|id| self.legs.get_mut(id));
        let Some(leg) = leg.filter(|leg| !leg.ended) else {
            return self.command(Command::Reject { session, code: 481, reason: None, headers: Vec::new() });
        };
        let id = leg.id;
        let Some(media) = &mut leg.media else {
            return self.command(Command::Reject { session, code: 488, reason: None, headers: Vec::new() });
        };
        match negotiate::respond(media, request) {
            Ok((bytes, params)) => {
                if let Some(params) = params {
                    self.restart_media(id, params);
                }
                let body = Some((SDP, bytes));
                self.command(Command::Accept { session, headers: Vec::new(), body, contact: None });
            }
            // RFC 3261 14.2: the session goes on as it was.
            Err(error) => {
                let headers = negotiate::refusal(&error);
                self.command(Command::Reject { session, code: error.code(), reason: None, headers });
            }
        }
    }

    /// A session refresh of ours, or a hold, has brought the other side's description anew.
    pub(super) fn on_refreshed(&mut self, session: SessionId, response: &Response) {
        let leg = self.sessions.get(&session).and_then(|leg| self.legs.get_mut(leg)).filter(|leg| !leg.ended);
        let Some(Leg { id, media: Some(media), .. }) = leg else { return };
        let id = *id;
        match negotiate::refreshed(media, response.headers(), response.body()) {
            Ok(params) => self.restart_media(id, params),
            // RFC 3261 14.1: the session goes on as it was.
            Err(error) => tracing::info!(leg = %id, %error, "answer to a session refresh not usable"),
        }
    }

    /// An offer before the call is answered, in a PRACK or UPDATE (RFC 3262 section 5, RFC 3311).
    pub(super) fn on_early_offer(&mut self, session: SessionId, id: RequestId, request: &Request) {
        let leg = self.sessions.get(&session).and_then(|leg| self.legs.get_mut(leg)).filter(|leg| !leg.ended);
        let Some(Leg { id: leg, media: Some(media), role, .. }) = leg else {
            return self.respond(id, 488, Vec::new());
        };
        if let Role::Outbound(outbound) = role
            && !outbound.hears(session, request.from_tag())
        {
            // Of several that ring the media is another's.
            return self.respond(id, 488, Vec::new());
        }
        match negotiate::respond(media, request) {
            Ok((bytes, params)) => {
                let leg = *leg;
                if let Some(params) = params {
                    self.media_command(leg, MediaCommand::Start(params));
                }
                let body = Some((SDP, bytes));
                self.command(Command::Respond { id, code: 200, reason: None, headers: Vec::new(), body });
            }
            Err(error) => self.respond(id, error.code(), negotiate::refusal(&error)),
        }
    }

    /// A final answer to the INVITE; once there has been a 200, a BYE in its stead.
    pub(super) fn reject(&mut self, leg: LegId, code: u16, cause: Q850, reason: Option<String>) {
        if self.legs.get(&leg).is_some_and(Leg::is_answered) {
            return self.hang_up(leg, cause);
        }
        if let Some((session, _)) = self.inbound(leg) {
            self.sessions.remove(&session);
            let headers = vec![reason_header(cause)];
            self.command(Command::Reject { session, code, reason, headers });
        }
        self.close_leg(leg);
    }

    /// Ends a leg in whatever way its state asks for.
    pub(super) fn hang_up(&mut self, leg: LegId, cause: Q850) {
        let Some(entry) = self.legs.get(&leg) else { return };
        if entry.ended {
            return;
        }
        let headers = vec![reason_header(cause)];
        match &entry.role {
            Role::Inbound(inbound) if inbound.answered => {
                let session = inbound.session;
                self.command(Command::Bye { session, headers });
                // An answer that waited for a PRACK is taken back: nothing more is told of the session.
                if self.ua.session(session).is_none() {
                    self.sessions.remove(&session);
                }
            }
            Role::Inbound(inbound) => {
                let session = inbound.session;
                self.sessions.remove(&session);
                self.command(Command::Reject { session, code: cause.to_sip(), reason: None, headers });
            }
            Role::Outbound(outbound) => {
                let (answered, branches) = (outbound.answered, outbound.branches.clone());
                if let Some(session) = answered {
                    self.command(Command::Bye { session, headers });
                } else {
                    self.given_up(leg);
                    for session in branches {
                        self.command(Command::Cancel { session, headers: cancel_reasons(cause) });
                    }
                }
            }
        }
        self.close_leg(leg);
    }

    pub(super) fn refuse(
        &mut self,
        session: SessionId,
        code: u16,
        reason: Option<&'static str>,
        headers: negotiate::Headers,
    ) {
        let reason = reason.map(str::to_owned);
        self.command(Command::Reject { session, code, reason, headers });
    }

    /// The session of a live inbound leg, and whether its INVITE brought an offer.
    fn inbound(&self, leg: LegId) -> Option<(SessionId, bool)> {
        match self.legs.get(&leg).filter(|leg| !leg.ended).map(|leg| &leg.role) {
            Some(Role::Inbound(inbound)) => Some((inbound.session, !inbound.request.body().is_empty())),
            _ => None,
        }
    }
}

/// Caller and callee of a call that was refused before it was routed, as its INVITE names them.
fn parties(request: &Request) -> (String, String) {
    let user = |uri: opentact_sip::uri::Uri| match uri.user_text() {
        Some(user) => user.into_owned(),
        None => uri.host().to_owned(),
    };
    let from = request.from().map(|from| user(from.uri)).unwrap_or_default();
    (from, request.uri().map(user).unwrap_or_default())
}
