//! The exchange of the simulated network: every call to and from the platform, without sockets, threads or a clock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentact_engine::ports::DevCall;
use opentact_media::control::{Clip, Command as MediaCommand, Event as MediaEvent, LegKey, Source, ToneSpec};
use opentact_sip::flow::Flow;
use opentact_sip::message::{Method, Name, Request, Response};
use opentact_sip::sdp::Session;
use opentact_sip::ua::{
    Command, Event, ExtraHeaders, Input as UaInput, OutgoingInvite, Output as UaOutput, RequestId, SessionId, Ua,
    UaConfig,
};
use opentact_sip::uri::{NameAddr, Uri};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::party::{Leg, Media, Party, Waiting};
use super::script::{self, Step};

/// Calls at once, both halves of one passed on counted. A further one is refused with 503.
const MAX_PARTIES: usize = 20_000;
/// Numbers whose calls are counted. At the limit all counts begin anew.
const MAX_COUNTED: usize = 10_000;
/// A caller gives up ringing after this.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happened.
#[derive(Debug)]
pub(super) enum Input {
    Datagram {
        message: Bytes,
        from: SocketAddr,
    },
    Media {
        leg: LegKey,
        event: MediaEvent,
    },
    /// The answer to [`Output::AskLeased`].
    Leased {
        session: SessionId,
        leased: bool,
    },
    /// The answer to [`Output::AskSpeech`]; `None` when there is no voice.
    Speech {
        session: SessionId,
        speech: Option<Arc<Clip>>,
    },
    /// Call the platform.
    Place {
        call: DevCall,
        call_id: Bytes,
    },
    Tick,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Output {
    Transmit { to: SocketAddr, bytes: Bytes },
    AskLeased { session: SessionId, number: u64 },
    AskSpeech { session: SessionId, text: String },
}

#[derive(Debug, Clone, Copy)]
enum Alarm {
    /// A `Wait` is over.
    Step(SessionId),
    /// A caller's time is over, or its patience.
    HangUp(SessionId),
}

pub(super) struct Exchange<M> {
    pub(super) ua: Ua,
    pub(super) media: M,
    local: SocketAddr,
    /// Where the platform takes calls.
    platform: SocketAddr,
    random: StdRng,
    pub(super) parties: HashMap<SessionId, Party>,
    legs: HashMap<LegKey, SessionId>,
    alarms: BTreeMap<(Instant, u64), Alarm>,
    /// Calls to numbers that count them.
    attempts: HashMap<u64, u32>,
    serial: u64,
    outputs: VecDeque<Output>,
}

impl<M: Media> Exchange<M> {
    /// `local` is where the exchange is reached, `platform` where it calls.
    pub fn new(local: SocketAddr, platform: SocketAddr, media: M, seed: u64) -> Self {
        let config = UaConfig {
            product: Bytes::from_static(b"Opentact simulated telephone network"),
            allow: Bytes::from_static(b"INVITE, ACK, BYE, CANCEL, OPTIONS, INFO"),
            extensions: &[],
            max_sessions: MAX_PARTIES,
            ..UaConfig::default()
        };
        let mut random = StdRng::seed_from_u64(seed);
        Self {
            ua: Ua::new(config, random.random()),
            media,
            local,
            platform,
            random,
            parties: HashMap::new(),
            legs: HashMap::new(),
            alarms: BTreeMap::new(),
            attempts: HashMap::new(),
            serial: 0,
            outputs: VecDeque::new(),
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input) {
        self.run_alarms(now);
        match input {
            Input::Datagram { message, from } => {
                self.ua.handle(now, UaInput::Received { message, flow: Flow::udp(self.local, from) });
            }
            Input::Media { leg, event } => self.media_event(now, leg, event),
            Input::Leased { session, leased: true } => self.pass_on(now, session),
            Input::Leased { session, leased: false } => self.answer_as_callee(now, session),
            Input::Speech { session, speech } => self.say(session, speech),
            Input::Place { call, call_id } => self.place(now, &call, call_id),
            Input::Tick => self.ua.handle(now, UaInput::Tick),
        }
        self.settle(now);
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn deadline(&self) -> Option<Instant> {
        let alarm = self.alarms.keys().next().map(|(at, _)| *at);
        [self.ua.deadline(), alarm].into_iter().flatten().min()
    }

    /// Everything the user agent has to say, until it is silent.
    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.ua.poll() {
            match output {
                UaOutput::Transmit { flow, bytes } => {
                    self.outputs.push_back(Output::Transmit { to: flow.remote, bytes })
                }
                UaOutput::Event(event) => self.event(now, event),
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Invite { session, request, .. } => self.invited(now, session, &request),
            Event::Progress { session, response } => self.progress(now, session, &response),
            Event::Answered { session, response } => self.answered(now, session, &response),
            Event::Failed { session, code, response } => self.failed(now, session, code, response.as_ref()),
            Event::Acked { session, request } => self.acked(now, session, &request),
            Event::Cancelled { session, request } | Event::Bye { session, request } => {
                let headers = reason(request.header(Name::Reason));
                self.gone(now, session, headers);
            }
            Event::Ended { session, .. } => self.gone(now, session, Vec::new()),
            Event::Reinvite { session, request } => self.reinvited(now, session, &request),
            // None are sent.
            Event::ReinviteAnswered { .. } | Event::ReinviteFailed { .. } | Event::Pracked { .. } => {}
            Event::Response { .. } | Event::RequestFailed { .. } => {}
            Event::Unreadable { .. } => {}
            // Nobody is granted a subscription.
            Event::NotifyDue { .. } | Event::SubscriptionRefreshed { .. } | Event::SubscriptionEnded { .. } => {}
            Event::InDialog { id, request, .. } | Event::Request { id, request, .. } => self.respond(now, id, &request),
        }
    }

    fn respond(&mut self, now: Instant, id: RequestId, request: &Request) {
        let code = if matches!(request.method(), Method::Options | Method::Info) { 200 } else { 405 };
        self.command(now, Command::Respond { id, code, reason: None, headers: Vec::new(), body: None });
    }

    pub(super) fn command(&mut self, now: Instant, command: Command) {
        self.ua.handle(now, UaInput::Command(command));
    }

    pub(super) fn reject(&mut self, now: Instant, session: SessionId, code: u16, headers: ExtraHeaders) {
        self.command(now, Command::Reject { session, code, reason: None, headers });
        self.forget(session);
    }

    // Calls of the platform.

    fn invited(&mut self, now: Instant, session: SessionId, request: &Request) {
        let number = request.uri().ok().and_then(|uri| uri.user().and_then(number));
        let Some(number) = number else { return self.reject(now, session, 404, Vec::new()) };
        if self.parties.len() >= MAX_PARTIES {
            return self.reject(now, session, 503, Vec::new());
        }
        let offer = match offer_of(request) {
            Ok(offer) => offer,
            Err(code) => return self.reject(now, session, code, Vec::new()),
        };
        let caller = request.from().ok();
        self.parties.insert(session, Party { caller, ..Party::called(number, offer) });
        self.outputs.push_back(Output::AskLeased { session, number });
    }

    fn answer_as_callee(&mut self, now: Instant, session: SessionId) {
        let Some(party) = self.parties.get_mut(&session) else { return };
        let mut attempt = 0;
        if script::comes_back(party.number) {
            if self.attempts.len() >= MAX_COUNTED {
                self.attempts.clear();
            }
            let count = self.attempts.entry(party.number).or_default();
            attempt = *count;
            *count = if attempt == 2 { 0 } else { attempt + 1 };
        }
        party.steps = script::called(party.number, attempt);
        party.waiting = Waiting::Nothing;
        self.advance(now, session);
    }

    /// Opens the leg of a party, near another's when given. False, and the call refused, when there is no room.
    pub(super) fn open_leg(&mut self, now: Instant, session: SessionId, near: Option<LegKey>) -> bool {
        let Some(party) = self.parties.get_mut(&session) else { return false };
        match Leg::open(&mut self.media, near, self.random.random()) {
            Some(leg) => {
                self.legs.insert(leg.key, session);
                party.leg = Some(leg);
                true
            }
            None => {
                self.reject(now, session, 503, Vec::new());
                false
            }
        }
    }

    /// Answers with 200: an answer to the caller's offer, or our offer when it made none.
    pub(super) fn accept(&mut self, now: Instant, session: SessionId) -> bool {
        let Some(party) = self.parties.get_mut(&session) else { return false };
        let Some(leg) = &mut party.leg else { return false };
        let body = match &party.offer {
            Some(_) if leg.is_started() => leg.description(),
            Some(offer) => match leg.answer(offer, &mut self.media) {
                Ok(body) => Some(body),
                Err(error) => {
                    self.reject(now, session, error.code(), Vec::new());
                    return false;
                }
            },
            None => Some(leg.offer()),
        };
        self.command(now, Command::Accept { session, headers: Vec::new(), body, contact: None });
        true
    }

    fn acked(&mut self, now: Instant, session: SessionId, request: &Request) {
        let Some(party) = self.parties.get_mut(&session) else { return };
        if party.offer.is_none()
            && let Some(leg) = &mut party.leg
            && !leg.is_started()
        {
            let accepted = Session::parse(request.body()).and_then(|answer| leg.accept(&answer, &mut self.media));
            if accepted.is_err() {
                return self.hang_up(now, session, Vec::new());
            }
        }
        if party.peer.is_some() {
            return self.join(session);
        }
        if party.waiting == Waiting::Ack {
            party.waiting = Waiting::Nothing;
            self.advance(now, session);
        }
    }

    fn reinvited(&mut self, now: Instant, session: SessionId, request: &Request) {
        let Some(party) = self.parties.get_mut(&session) else { return };
        let Some(leg) = &mut party.leg else { return };
        let body = match offer_of(request) {
            Ok(Some(offer)) => leg.answer(&offer, &mut self.media).map_err(|error| error.code()),
            // RFC 3261 14.2: without an offer, ours.
            Ok(None) => Ok(leg.offer()),
            Err(code) => Err(code),
        };
        match body {
            Ok(body) => {
                self.command(now, Command::Accept { session, headers: Vec::new(), body: Some(body), contact: None })
            }
            // The call goes on as it was.
            Err(code) => self.command(now, Command::Reject { session, code, reason: None, headers: Vec::new() }),
        }
    }

    // Calls to the platform.

    fn place(&mut self, now: Instant, call: &DevCall, call_id: Bytes) {
        let from = NameAddr::new(Uri::from_addr(Some(&format!("+{}", call.from)), self.local));
        let session = self.ua.new_session();
        if self.parties.len() >= MAX_PARTIES {
            tracing::warn!(to = call.to, "the simulated network is full; call not placed");
            return;
        }
        let steps = script::caller(&call.script);
        self.parties.insert(session, Party { steps, duration: Some(call.duration), ..Party::calling(call.to) });
        if self.open_leg(now, session, None) {
            self.alarm(now + PATIENCE, Alarm::HangUp(session));
            self.invite(now, session, from, Some(call_id), Vec::new());
        }
    }

    pub(super) fn invite(
        &mut self,
        now: Instant,
        session: SessionId,
        from: NameAddr,
        call_id: Option<Bytes>,
        headers: ExtraHeaders,
    ) {
        let Some(party) = self.parties.get_mut(&session) else { return };
        let Some(leg) = &mut party.leg else { return };
        let uri = Uri::from_addr(Some(&format!("+{}", party.number)), self.platform);
        let invite = OutgoingInvite {
            flow: Flow::udp(self.local, self.platform),
            to: NameAddr::new(uri.clone()),
            uri,
            from,
            contact: None,
            call_id,
            route: Vec::new(),
            headers,
            body: Some(leg.offer()),
            credentials: None,
        };
        self.command(now, Command::Invite { session, invite });
    }

    fn answered(&mut self, now: Instant, session: SessionId, response: &Response) {
        // A call given up in the moment it was answered.
        let Some(party) = self.parties.get_mut(&session) else { return self.hang_up(now, session, Vec::new()) };
        let Some(leg) = &mut party.leg else { return };
        let accepted = Session::parse(response.body()).and_then(|answer| leg.accept(&answer, &mut self.media));
        // RFC 3261 13.2.2.4: the 2xx may repeat the answer of a reliable 18x, or leave it out.
        if accepted.is_err() && !leg.is_started() {
            return self.hang_up(now, session, Vec::new());
        }
        if party.peer.is_some() {
            return self.peer_answered(now, session);
        }
        if let Some(duration) = party.duration {
            self.alarms.retain(|_, alarm| !matches!(alarm, Alarm::HangUp(of) if *of == session));
            self.alarm(now + duration, Alarm::HangUp(session));
        }
        if let Some(party) = self.parties.get_mut(&session) {
            party.waiting = Waiting::Nothing;
        }
        self.advance(now, session);
    }

    // Steps.

    fn advance(&mut self, now: Instant, session: SessionId) {
        while let Some(party) = self.parties.get_mut(&session) {
            if party.waiting != Waiting::Nothing {
                return;
            }
            let Some(step) = party.steps.pop_front() else { return };
            let leg = party.leg.as_ref().map(|leg| leg.key);
            match (step, leg) {
                (Step::Ring, _) => self.provisional(now, session, 180),
                (Step::Refuse(code), _) => self.reject(now, session, code, Vec::new()),
                (Step::HangUp, _) => self.hang_up(now, session, Vec::new()),
                (Step::Wait(time), _) => {
                    let alarm = self.alarm(now + time, Alarm::Step(session));
                    self.wait(session, Waiting::Alarm(alarm));
                }
                (Step::Answer, _) => {
                    if self.open_leg(now, session, None) && self.accept(now, session) {
                        self.wait(session, Waiting::Ack);
                    }
                }
                (Step::Say(text), _) => {
                    self.outputs.push_back(Output::AskSpeech { session, text });
                    self.wait(session, Waiting::Speech);
                }
                (Step::Beep, Some(leg)) => self.play(session, leg, Source::Tone(ToneSpec::beep())),
                (Step::Echo, Some(leg)) => self.media.command(leg, MediaCommand::Echo { on: true }),
                (Step::Keys(digits), Some(leg)) => {
                    self.media.command(leg, MediaCommand::SendDtmf { digits, on_ms: 100, gap_ms: 100 });
                    self.wait(session, Waiting::Keys);
                }
                // No step that needs media comes before the answer.
                (Step::Beep | Step::Echo | Step::Keys(_), None) => {}
            }
        }
    }

    fn wait(&mut self, session: SessionId, waiting: Waiting) {
        if let Some(party) = self.parties.get_mut(&session) {
            party.waiting = waiting;
        }
    }

    pub(super) fn provisional(&mut self, now: Instant, session: SessionId, code: u16) {
        self.command(now, Command::Provisional { session, code, reason: None, headers: Vec::new(), body: None });
    }

    fn say(&mut self, session: SessionId, speech: Option<Arc<Clip>>) {
        let Some(party) = self.parties.get(&session).filter(|party| party.waiting == Waiting::Speech) else { return };
        let Some(leg) = party.leg.as_ref().map(|leg| leg.key) else { return };
        let source = match speech {
            Some(clip) => Source::Clip(clip),
            // Something must be heard even on a host without a voice.
            None => Source::Tone(ToneSpec::beep()),
        };
        self.play(session, leg, source);
    }

    fn play(&mut self, session: SessionId, leg: LegKey, source: Source) {
        self.serial += 1;
        let id = self.serial;
        self.media.command(leg, MediaCommand::Play { id, source, loops: 1 });
        self.wait(session, Waiting::Play(id));
    }

    fn media_event(&mut self, now: Instant, leg: LegKey, event: MediaEvent) {
        let Some(&session) = self.legs.get(&leg) else { return };
        let Some(party) = self.parties.get_mut(&session) else { return };
        match event {
            MediaEvent::PlayDone { id, .. } | MediaEvent::PlayFailed { id, .. }
                if party.waiting == Waiting::Play(id) =>
            {
                party.waiting = Waiting::Nothing;
            }
            MediaEvent::DtmfSent if party.waiting == Waiting::Keys => party.waiting = Waiting::Nothing,
            MediaEvent::Timeout if party.leg.as_ref().is_some_and(Leg::hears) => {
                return self.hang_up(now, session, Vec::new());
            }
            _ => return,
        }
        self.advance(now, session);
    }

    // Ends.

    /// Hangs up, gives up or refuses, whatever the call is at.
    pub(super) fn hang_up(&mut self, now: Instant, session: SessionId, headers: ExtraHeaders) {
        let peer = self.forget(session);
        self.command(now, Command::Bye { session, headers: headers.clone() });
        if let Some(peer) = peer {
            self.hang_up(now, peer, headers);
        }
    }

    /// The other side has hung up or is lost.
    fn gone(&mut self, now: Instant, session: SessionId, headers: ExtraHeaders) {
        if let Some(peer) = self.forget(session) {
            self.hang_up(now, peer, headers);
        }
    }

    fn failed(&mut self, now: Instant, session: SessionId, code: u16, response: Option<&Response>) {
        if let Some(peer) = self.forget(session) {
            let headers = reason(response.and_then(|response| response.header(Name::Reason)));
            // RFC 3261 16.7: what one hop takes as its own business is not passed on.
            let code = if matches!(code, 401 | 407 | 408) { 480 } else { code };
            self.reject(now, peer, code, headers);
        }
    }

    /// Forgets a party and closes its leg; returns the other half, parted from it.
    pub(super) fn forget(&mut self, session: SessionId) -> Option<SessionId> {
        let party = self.parties.remove(&session)?;
        if let Some(leg) = &party.leg {
            self.legs.remove(&leg.key);
            self.media.command(leg.key, MediaCommand::Close);
        }
        let peer = party.peer?;
        self.parties.get_mut(&peer)?.peer = None;
        Some(peer)
    }

    fn alarm(&mut self, at: Instant, alarm: Alarm) -> u64 {
        self.serial += 1;
        self.alarms.insert((at, self.serial), alarm);
        self.serial
    }

    fn run_alarms(&mut self, now: Instant) {
        while let Some(entry) = self.alarms.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let ((_, serial), alarm) = entry.remove_entry();
            match alarm {
                Alarm::Step(session) => {
                    if let Some(party) = self.parties.get_mut(&session)
                        && party.waiting == Waiting::Alarm(serial)
                    {
                        party.waiting = Waiting::Nothing;
                        self.advance(now, session);
                    }
                }
                Alarm::HangUp(session) => {
                    if self.parties.contains_key(&session) {
                        self.hang_up(now, session, Vec::new());
                    }
                }
            }
            self.settle(now);
        }
    }
}

/// The description in a request; the code to refuse with when it is none of ours to read.
fn offer_of(request: &Request) -> Result<Option<Session>, u16> {
    if request.body().is_empty() {
        return Ok(None);
    }
    if !request.headers().is_content("application/sdp") {
        return Err(415);
    }
    Session::parse(request.body()).map(Some).map_err(|error| error.code())
}

/// E.164 digits of a user part, with or without `+`; parameters of the user part are passed over.
fn number(user: &str) -> Option<u64> {
    let digits = user.split(';').next()?.trim_start_matches('+');
    if !(3..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Reason (RFC 3326) to be passed on.
fn reason(value: Option<&[u8]>) -> ExtraHeaders {
    let name = Bytes::from_static(b"Reason");
    value.map(|value| (name, Bytes::copy_from_slice(value))).into_iter().collect()
}
