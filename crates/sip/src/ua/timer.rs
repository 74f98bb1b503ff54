//! Session timers (RFC 4028), both roles: an answered call is refreshed at half of an agreed interval by one of its sides,
//! and hung up by both when that does not happen.

use std::time::{Duration, Instant};

use rand::Rng;

use super::command::ExtraHeaders;
use super::config::UaConfig;
use super::event::Event;
use super::session::{Live, Phase, Purpose, Received, Session};
use super::{Owner, SessionId, Ua};
use crate::flow::Flow;
use crate::message::{Headers, Method, Name, Refusal, Request, RequestBuilder, Response};
use crate::transaction::Passed;
use crate::transaction::key::Key;

/// The option tag.
pub(super) const TIMER: &str = "timer";
/// The shortest interval there may be, in seconds (RFC 4028 section 5).
const SHORTEST: u64 = 90;
/// Wait before a refresh that could not be made, or was refused, is tried again. The end of the interval bounds it.
const AGAIN: Duration = Duration::from_secs(4);
/// Times an INVITE is sent again with a longer interval: for a proxy, and for the far end.
pub(super) const MAX_RAISES: u8 = 2;

/// The session timer of an answered call.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionTimer {
    /// Seconds.
    pub(super) interval: u64,
    /// We refresh.
    pub(super) ours: bool,
    /// When we refresh, or try it again.
    refresh: Instant,
    /// When the call is hung up.
    until: Instant,
}

impl SessionTimer {
    fn new(now: Instant, interval: u64, ours: bool) -> SessionTimer {
        let whole = Duration::from_secs(interval);
        // RFC 4028 section 10: before the interval is over, so that the BYE still finds the proxies' state.
        let until = now + whole - (whole / 3).min(Duration::from_secs(32));
        SessionTimer { interval, ours, refresh: now + whole / 2, until }
    }

    pub(super) fn due(&self) -> Instant {
        if self.ours { self.refresh.min(self.until) } else { self.until }
    }
}

/// Session-Expires: the interval, and whether the client of the transaction refreshes.
fn session_expires(headers: &Headers) -> Option<(u64, Option<bool>)> {
    let value = std::str::from_utf8(headers.get(Name::SessionExpires)?).ok()?;
    let mut parts = value.split(';').map(str::trim);
    // More seconds than 32 bits hold are as good as for ever.
    let interval = parts.next()?.parse::<u32>().ok()?;
    let refresher = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("refresher").then(|| value.trim().eq_ignore_ascii_case("uac"))
    });
    Some((interval.into(), refresher))
}

fn min_se(headers: &Headers) -> Option<u64> {
    let value = std::str::from_utf8(headers.get(Name::MinSe)?).ok()?;
    value.split(';').next()?.trim().parse::<u32>().ok().map(u64::from)
}

fn floor(config: &UaConfig) -> u64 {
    config.min_se.as_secs().max(SHORTEST)
}

/// What we ask for when nothing is agreed yet; `None` without session timers. `raised` is what a 422 wanted at least.
pub(super) fn wanted(config: &UaConfig, raised: u64) -> Option<u64> {
    config.session_expires.map(|wanted| wanted.as_secs().max(floor(config)).max(raised))
}

/// Whether the sender of these headers takes UPDATE (RFC 3311 section 4).
pub(super) fn allows_update(headers: &Headers) -> bool {
    headers.lists(Name::Allow, "UPDATE")
}

/// The headers of an INVITE, re-INVITE or refresh of ours.
pub(super) fn write_offer(
    builder: RequestBuilder,
    config: &UaConfig,
    timer: Option<&SessionTimer>,
    raised: u64,
) -> RequestBuilder {
    let interval = timer.map(|timer| timer.interval.max(raised)).or_else(|| wanted(config, raised));
    let Some(interval) = interval.filter(|_| config.session_expires.is_some()) else {
        return builder;
    };
    // RFC 4028 7.1 and 7.4: the first leaves the refresher to the other side, later ones keep whom they have.
    let refresher = match timer {
        None => "",
        Some(timer) if timer.ours => ";refresher=uac",
        Some(_) => ";refresher=uas",
    };
    builder
        .header(Name::Supported, TIMER)
        .header_display(Name::SessionExpires, format_args!("{interval}{refresher}"))
        .header_display(Name::MinSe, floor(config).max(raised))
}

/// What a 422 wants at least, when it is more than was offered.
pub(super) fn raise(response: &Response, former: u64) -> Option<u64> {
    min_se(response.headers()).filter(|least| *least > former)
}

/// The timer that our 2xx to this request starts, and the headers that say so (RFC 4028 section 9).
pub(super) fn grant(now: Instant, config: &UaConfig, request: &Request) -> Option<(SessionTimer, ExtraHeaders)> {
    let headers = request.headers();
    let knows = headers.lists(Name::Supported, TIMER) || headers.lists(Name::Require, TIMER);
    let ours = wanted(config, min_se(headers).unwrap_or_default())?;
    let (interval, refresher) = match session_expires(headers) {
        // One that is too short has been refused, unless a proxy wrote it for a caller that would not understand.
        Some((asked, refresher)) => (asked.min(ours).max(floor(config)), refresher),
        None => (ours, None),
    };
    let client = knows && refresher.unwrap_or(true);
    let mut told: ExtraHeaders = vec![
        ("Supported".into(), TIMER.into()),
        ("Session-Expires".into(), format!("{interval};refresher={}", if client { "uac" } else { "uas" }).into()),
    ];
    if client {
        told.push(("Require".into(), TIMER.into()));
    }
    Some((SessionTimer::new(now, interval, !client), told))
}

/// The timer that a 2xx to a request of ours starts. Without Session-Expires there is none (RFC 4028 7.2).
pub(super) fn granted(now: Instant, config: &UaConfig, response: &Response) -> Option<SessionTimer> {
    config.session_expires?;
    let (interval, client) = session_expires(response.headers())?;
    // Whoever answers so is not to make us send a refresh each second.
    Some(SessionTimer::new(now, interval.max(SHORTEST), client.unwrap_or(true)))
}

/// RFC 4028 section 9: the refusal of an interval that is too short, for those who understand it.
pub(super) fn too_short(config: &UaConfig, request: &Request) -> Option<Refusal> {
    config.session_expires?;
    let headers = request.headers();
    let refreshes = matches!(request.method(), Method::Invite | Method::Update);
    let (interval, _) = session_expires(headers).filter(|_| refreshes)?;
    if interval >= floor(config) || !headers.lists(Name::Supported, TIMER) {
        return None;
    }
    let mut refusal = Refusal::new(422, "Session Interval Too Small");
    refusal.headers.push((Name::MinSe, floor(config).to_string()));
    Some(refusal)
}

impl Ua {
    /// An UPDATE without an offer within a dialog: a refresh, or a new target (RFC 3311 5.2).
    pub(super) fn refreshed(
        &mut self,
        now: Instant,
        key: Key,
        id: SessionId,
        request: &Request,
        flow: Flow,
        back: Flow,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let from = request.from_tag().unwrap_or_default();
        let mut dialogs = session.dialog.as_deref_mut().into_iter().chain(&mut session.forks);
        if let Some(dialog) = dialogs.find(|dialog| dialog.remote_tag == from) {
            dialog.refresh_by_request(request, flow);
        }
        let mut told = ExtraHeaders::new();
        // RFC 4028 section 9: only an answered call has a timer.
        if let Phase::Live(live) = &mut session.phase
            && let Some((timer, headers)) = grant(now, &self.config, request)
        {
            live.timer = Some(timer);
            told = headers;
        }
        let (contact, tag) = (session.contact.clone(), session.local_tag.clone());
        let transaction = self.transactions.open_server(now, key, None, &Method::Update, back, Owner::Nobody);
        let received = Received { transaction, request: request.clone(), flow };
        let octets = self.compose_response(&received, Some(&tag), 200, None, Some(&contact), &told, None);
        self.transactions.respond(now, transaction, 200, octets);
        self.rearm(id);
    }

    /// Refreshes a call when it is time to, and ends one that nobody has refreshed.
    pub(super) fn watch(&mut self, now: Instant, id: SessionId) {
        let Some(Session { phase: Phase::Live(live), sent, described, updates, .. }) = self.sessions.get_mut(&id)
        else {
            return;
        };
        let Live { timer: Some(timer), reinvited, unacked, .. } = &mut **live else {
            return;
        };
        if timer.until <= now {
            return self.lose(now, id, 408);
        }
        if !timer.ours || timer.refresh > now {
            return;
        }
        timer.refresh = now + AGAIN;
        let busy = sent.iter().any(|sent| matches!(sent.purpose, Purpose::Reinvite | Purpose::Refresh));
        if busy || reinvited.is_some() || unacked.is_some() {
            return;
        }
        // RFC 4028 7.4: UPDATE says no more than is needed; a re-INVITE has to repeat the description in force.
        let (method, body) = match described {
            Some(body) if !*updates => (Method::Invite, Some(body.clone())),
            _ => (Method::Update, None),
        };
        self.send_within(now, id, Purpose::Refresh, method, ExtraHeaders::new(), body, 0, None);
    }

    /// The final response to a refresh of ours.
    pub(super) fn refresh_response(
        &mut self,
        now: Instant,
        id: SessionId,
        method: &Method,
        passed: Passed<Owner>,
        response: Response,
    ) {
        let code = response.code();
        if response.is_success() {
            if let Some(dialog) = self.sessions.get_mut(&id).and_then(|session| session.dialog.as_deref_mut()) {
                dialog.refresh_by_response(&response);
            }
            if *method == Method::Invite {
                self.acknowledge(Some(id), passed, &response);
            }
        }
        let timer = granted(now, &self.config, &response);
        // RFC 3261 14.1: which side made the call decides who waits for how long, so that they do not meet again.
        let wait = self.random.random_range(0..200);
        let Some(Session { phase: Phase::Live(live), updates, made, .. }) = self.sessions.get_mut(&id) else {
            return;
        };
        match code {
            200..=299 => {
                live.timer = timer;
                if *method == Method::Invite && !response.body().is_empty() {
                    self.events.push_back(Event::ReinviteAnswered { session: id, response });
                }
            }
            408 | 481 => return self.lose(now, id, code),
            422 => {
                if let Some(timer) = &mut live.timer
                    && let Some(least) = raise(&response, timer.interval)
                {
                    timer.interval = least;
                }
            }
            491 => {
                if let Some(timer) = &mut live.timer {
                    timer.refresh = now + Duration::from_millis(wait * 10 + if *made { 2_100 } else { 0 });
                }
            }
            405 | 501 if *method == Method::Update => *updates = false,
            // Tried again after a while, as long as the interval lasts.
            _ => {}
        }
        self.rearm(id);
    }
}
