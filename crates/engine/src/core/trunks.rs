//! Trunks that are asked by OPTIONS whether they are there, and those we register with.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use opentact_events::view;
use opentact_sip::digest::Credentials;
use opentact_sip::flow::Transport;
use opentact_sip::message::{Method, Name, Response};
use opentact_sip::registration::{self, Register, Registration};
use opentact_sip::ua::{Command, OutgoingRequest, RequestId};
use opentact_sip::uri::{NameAddr, Uri};
use serde_json::json;
use uuid::Uuid;

use super::Core;
use crate::trunk_board::{Pulse, TrunkBoard};

/// Settings of the watch over trunks.
#[derive(Debug, Clone)]
pub struct TrunkConfig {
    /// From the answer to an OPTIONS to the next.
    pub interval: Duration,
    /// OPTIONS without a good answer, one after the other, that make a trunk down; at least 1. One good answer makes it up.
    pub failures: u32,
    /// Seconds that a registration is asked for.
    pub expires: u32,
}

/// A trunk as far as it is watched.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) uuid: Uuid,
    pub(crate) account: Uuid,
    pub(crate) name: String,
    /// When it was changed last.
    pub(crate) version: DateTime<Utc>,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `None`: its name cannot be resolved just now.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) transport: Transport,
    pub(crate) credentials: Option<Arc<Credentials>>,
    pub(crate) ping: bool,
    /// The user to register.
    pub(crate) register: Option<String>,
}

#[derive(Debug)]
struct Watched {
    target: Target,
    /// When the next OPTIONS is due; `None` while one is on its way, or none is sent.
    ping_due: Option<Instant>,
    failures: u32,
    registration: Option<Registration>,
    call_id: Bytes,
    /// Its place in `Trunks::due`.
    due: Option<Instant>,
}

impl Watched {
    fn deadline(&self) -> Option<Instant> {
        let refresh = self.registration.as_ref().and_then(Registration::deadline);
        [self.ping_due, refresh].into_iter().flatten().min()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Options,
    Register,
    /// The REGISTER that ends a registration: whatever is answered.
    Farewell,
}

#[derive(Debug)]
pub(super) struct Trunks {
    config: TrunkConfig,
    board: TrunkBoard,
    watched: HashMap<Uuid, Watched>,
    /// When there is something to be done with each, the first first.
    due: BTreeSet<(Instant, Uuid)>,
    /// Requests on their way, and for which version of a trunk.
    asked: HashMap<RequestId, (Uuid, DateTime<Utc>, Question)>,
}

impl Trunks {
    pub(super) fn new(config: TrunkConfig, board: TrunkBoard) -> Self {
        Self { config, board, watched: HashMap::new(), due: BTreeSet::new(), asked: HashMap::new() }
    }

    pub(super) fn board(&self) -> &TrunkBoard {
        &self.board
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Puts a trunk where its deadline now is.
    fn queue(&mut self, uuid: Uuid) {
        let Some(trunk) = self.watched.get_mut(&uuid) else { return };
        let deadline = trunk.deadline();
        if trunk.due == deadline {
            return;
        }
        if let Some(former) = std::mem::replace(&mut trunk.due, deadline) {
            self.due.remove(&(former, uuid));
        }
        self.due.extend(deadline.map(|at| (at, uuid)));
    }

    fn remove(&mut self, uuid: Uuid) -> Option<Watched> {
        let trunk = self.watched.remove(&uuid)?;
        if let Some(at) = trunk.due {
            self.due.remove(&(at, uuid));
        }
        Some(trunk)
    }

    /// Trunks with something due.
    fn due(&self, now: Instant) -> Vec<Uuid> {
        self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, uuid)| *uuid).collect()
    }
}

impl Core {
    /// Takes the trunks that are to be watched from now on.
    pub(super) fn on_trunks(&mut self, targets: Vec<Target>) {
        if self.draining {
            return;
        }
        let now = Instant::now();
        let wanted: HashSet<Uuid> = targets.iter().map(|target| target.uuid).collect();
        let gone = self.trunks.watched.keys().filter(|known| !wanted.contains(known)).copied().collect();
        self.unwatch_trunks(gone);
        for target in targets {
            match self.trunks.watched.get_mut(&target.uuid) {
                Some(known) if known.target.version == target.version => known.target.remote = target.remote,
                known => {
                    if known.is_some() {
                        self.unwatch_trunks(vec![target.uuid]);
                    }
                    let expires = self.trunks.config.expires;
                    let watched = Watched {
                        ping_due: target.ping.then_some(now),
                        failures: 0,
                        registration: target.register.as_ref().map(|_| Registration::new(now, expires)),
                        call_id: Uuid::new_v4().to_string().into(),
                        due: None,
                        target,
                    };
                    let uuid = watched.target.uuid;
                    self.trunks.watched.insert(uuid, watched);
                    self.trunks.queue(uuid);
                }
            }
        }
        self.trunks_on_time(now);
    }

    /// The node ends: nothing more comes here.
    pub(super) fn end_trunks(&mut self) {
        let all = self.trunks.watched.keys().copied().collect();
        self.unwatch_trunks(all);
    }

    fn unwatch_trunks(&mut self, trunks: Vec<Uuid>) {
        for uuid in trunks {
            self.trunks.board.unwatch(uuid);
            let Some(mut trunk) = self.trunks.remove(uuid) else { continue };
            if let Some(register) = trunk.registration.take().and_then(Registration::end) {
                self.ask_trunk(&trunk.target, trunk.call_id, Question::Farewell, Some(register));
            }
        }
    }

    pub(super) fn trunks_on_time(&mut self, now: Instant) {
        let mut due = Vec::new();
        for uuid in self.trunks.due(now) {
            let Some(trunk) = self.trunks.watched.get_mut(&uuid) else { continue };
            if trunk.ping_due.is_some_and(|at| at <= now) {
                trunk.ping_due = None;
                // Each OPTIONS stands for itself.
                let call_id = Bytes::from(Uuid::new_v4().to_string());
                due.push((trunk.target.clone(), call_id, Question::Options, None));
            }
            if let Some(register) = trunk.registration.as_mut().and_then(|registration| registration.poll(now)) {
                due.push((trunk.target.clone(), trunk.call_id.clone(), Question::Register, Some(register)));
            }
            self.trunks.queue(uuid);
        }
        for (target, call_id, question, register) in due {
            let asked = self.ask_trunk(&target, call_id, question, register);
            if !asked {
                self.trunk_answered(target.uuid, question, 503, None);
            }
        }
    }

    /// False when there is no way there.
    fn ask_trunk(&mut self, target: &Target, call_id: Bytes, question: Question, register: Option<Register>) -> bool {
        let Some(remote) = target.remote else { return false };
        let Some(flow) = self.drivers.transports.flow_to(target.transport, remote, &target.host) else { return false };
        let user = target.register.as_deref();
        let port = Some(target.port);
        let (Ok(uri), Ok(aor)) = (Uri::sip(None, &target.host, port), Uri::sip(user, &target.host, None)) else {
            return false;
        };
        let method = if question == Question::Options { Method::Options } else { Method::Register };
        let from = match question {
            Question::Options => Uri::from_addr(None, flow.local),
            Question::Register | Question::Farewell => aor.clone(),
        };
        let to = if question == Question::Options { uri.clone() } else { aor };
        let id = self.ua.new_request();
        let request = OutgoingRequest {
            contact: register.map(|_| Uri::from_addr(user, flow.local)),
            call_id: Some(call_id),
            cseq: register.map(|register| register.cseq),
            expires: register.map(|register| register.expires),
            credentials: target.credentials.as_deref().cloned(),
            ..OutgoingRequest::new(flow, method, uri, NameAddr::new(from), NameAddr::new(to))
        };
        self.trunks.asked.insert(id, (target.uuid, target.version, question));
        self.command(Command::Request { id, request });
        true
    }

    /// Takes an answer that is one to the watch.
    pub(super) fn on_trunk_answered(&mut self, id: RequestId, code: u16, response: Option<&Response>) {
        if code < 200 {
            return;
        }
        let Some((uuid, version, question)) = self.trunks.asked.remove(&id) else { return };
        // Of a trunk that was changed or deleted meanwhile.
        if self.trunks.watched.get(&uuid).is_some_and(|trunk| trunk.target.version == version) {
            self.trunk_answered(uuid, question, code, response);
        }
    }

    fn trunk_answered(&mut self, uuid: Uuid, question: Question, code: u16, response: Option<&Response>) {
        self.note_answer(uuid, question, code, response);
        self.trunks.queue(uuid);
    }

    fn note_answer(&mut self, uuid: Uuid, question: Question, code: u16, response: Option<&Response>) {
        let now = Instant::now();
        let Some(trunk) = self.trunks.watched.get_mut(&uuid) else { return };
        match question {
            Question::Options => {
                // Whatever it answers, it is there: but for 503, by which it says that it takes no calls.
                let good = response.is_some() && !matches!(code, 408 | 503);
                trunk.failures = if good { 0 } else { trunk.failures.saturating_add(1) };
                trunk.ping_due = Some(now + self.trunks.config.interval);
                let down = trunk.failures >= self.trunks.config.failures.max(1);
                let pulse = if down { Pulse::Down } else { Pulse::Up };
                if (good || down) && self.trunks.board.set_pulse(uuid, pulse) {
                    let target = &trunk.target;
                    tracing::info!(trunk = %uuid, name = target.name, state = pulse.as_str(), "SIP connection");
                    let payload = json!({ "state": pulse.as_str() });
                    self.drivers.journal.trunk(target.account, uuid, &target.name, pulse.as_str(), &payload);
                }
            }
            Question::Register => {
                let user = trunk.target.register.as_deref();
                let answer = response.map(|response| answer(response, user));
                let Some(registration) = &mut trunk.registration else { return };
                registration.answered(now, answer);
                if self.trunks.board.set_registration(uuid, now, registration.state()) {
                    let target = &trunk.target;
                    let shown = self.trunks.board.health(uuid).registration;
                    let word = shown.as_ref().map_or("trying", |shown| shown.state);
                    tracing::info!(trunk = %uuid, name = target.name, registration = word, "SIP connection");
                    let shown = shown.map(|one| {
                        json!({ "state": one.state, "code": one.code, "expires_on": one.expires_on.map(view::date) })
                    });
                    let payload = json!({ "registration": shown });
                    self.drivers.journal.trunk(target.account, uuid, &target.name, word, &payload);
                }
            }
            Question::Farewell => {}
        }
    }
}

/// What a response to a REGISTER says to the client of the registration.
fn answer(response: &Response, user: Option<&str>) -> registration::Answer {
    let headers = response.headers();
    // RFC 3261 10.2.4: every binding of the address is listed; ours has our user.
    let ours = headers.contacts().flatten().find(|contact| contact.uri.user_text().as_deref() == user);
    let granted = ours.and_then(|contact| contact.param("expires").and_then(|seconds| seconds.parse().ok()));
    let number = |name| headers.number(name, u64::from(u32::MAX)).ok().flatten().and_then(|n| u32::try_from(n).ok());
    registration::Answer {
        code: response.code(),
        granted: granted.or_else(|| headers.expires().ok().flatten()),
        min_expires: number(Name::MinExpires),
        retry_after: number(Name::RetryAfter),
    }
}
