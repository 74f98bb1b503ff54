//! The calls of this core: machines in, their outputs carried out.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opentact_call::q850::Q850;
use opentact_call::{Call, CallState, Input, LegCommand, LegEvent, LegId, LegSnapshot, Output};
use opentact_sip::sdp::{Codec, Passed};
use opentact_store::records::Record;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::{Core, Message};
use crate::control::CallEnd;
use crate::fetch;
use crate::journal::CallBook;
use crate::router::LegContext;

/// How far a prompt has come.
pub(super) enum PromptStage {
    /// Being spoken or fetched.
    Preparing(AbortHandle),
    /// With the leg's media thread.
    Playing,
}

/// A recording of a call, found again by its tag.
pub(super) struct RecordingFile {
    pub(super) id: u64,
    /// As it began.
    pub(super) record: Record,
    /// The language it is to be transcribed in.
    pub(super) asr: Option<String>,
}

pub(super) struct CallEntry {
    pub(super) call: Call,
    pub(super) account: Uuid,
    pub(super) book: CallBook,
    pub(super) fetches: HashMap<u64, AbortHandle>,
    /// What is listened for.
    pub(super) listening: HashMap<u64, AbortHandle>,
    /// Prompts not ended yet.
    pub(super) prompts: HashMap<u64, PromptStage>,
    pub(super) recordings: Vec<RecordingFile>,
    /// What whoever was dialled last has answered, where that was a refusal.
    pub(super) last_failure: Option<u16>,
    /// What the leg dialled last speaks, once that is agreed on.
    pub(super) spoken: Option<Codec>,
    /// The video that it shows, of what the caller has offered.
    pub(super) shown: Vec<Passed>,
    /// By what it is judged who has answered.
    pub(super) amd: Option<opentact_media::amd::Settings>,
    /// Told of its end.
    pub(super) ended: Option<oneshot::Sender<CallEnd>>,
}

impl Core {
    /// Takes a call up: as far as its state `init`. What it does first, [`Self::settle`] carries out. False when there
    /// is no call to take up.
    pub(super) fn enrol(&mut self, origin: LegId, context: LegContext, make: impl FnOnce() -> Call) -> bool {
        let Ok(call) = catch_unwind(AssertUnwindSafe(make)) else {
            tracing::error!(call = %origin, "call machine panicked; there is no call");
            self.release(origin);
            return false;
        };
        let entry = CallEntry {
            call,
            account: context.account,
            book: CallBook::new(self.drivers.journal.clone(), origin, context),
            fetches: HashMap::new(),
            listening: HashMap::new(),
            prompts: HashMap::new(),
            recordings: Vec::new(),
            last_failure: None,
            spoken: None,
            shown: Vec::new(),
            amd: None,
            ended: None,
        };
        self.calls.insert(origin, entry);
        if let Some(output) = self.calls.get_mut(&origin).and_then(|entry| entry.call.poll()) {
            self.carry_out(origin, output);
        }
        self.pending.push_back((origin, None));
        true
    }

    /// Gives a call an input and carries out what it wants done. Called while outputs are being carried out, the input
    /// waits its turn: a machine is never entered twice.
    pub(super) fn tell_call(&mut self, call: LegId, input: Input) {
        self.pending.push_back((call, Some(input)));
        self.settle();
    }

    /// Gives the calls what waits for them, until nothing does.
    pub(super) fn settle(&mut self) {
        if std::mem::replace(&mut self.settling, true) {
            return;
        }
        while let Some((call, input)) = self.pending.pop_front() {
            match input {
                Some(input) => self.handle_call(call, input),
                None => self.drain_call(call),
            }
        }
        self.settling = false;
    }

    fn handle_call(&mut self, call: LegId, input: Input) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        match &input {
            Input::Fetched { id, .. } => drop(entry.fetches.remove(id)),
            Input::Prompt { id, .. } => drop(entry.prompts.remove(id)),
            Input::Said { id, .. } => drop(entry.listening.remove(id)),
            _ => {}
        }
        let now = Self::now();
        // A fault in one call's logic ends that call and no other.
        if catch_unwind(AssertUnwindSafe(|| entry.call.handle(now, input))).is_err() {
            tracing::error!(%call, "call machine panicked; the call is ended");
            self.abandon(call);
            return;
        }
        self.drain_call(call);
    }

    fn drain_call(&mut self, call: LegId) {
        loop {
            let Some(entry) = self.calls.get_mut(&call) else { return };
            let Ok(output) = catch_unwind(AssertUnwindSafe(|| entry.call.poll())) else {
                tracing::error!(%call, "call machine panicked; the call is ended");
                self.abandon(call);
                return;
            };
            let Some(output) = output else { break };
            self.carry_out(call, output);
        }
        if let Some(entry) = self.calls.get(&call) {
            self.timers.set(call, entry.call.deadline());
        }
    }

    fn carry_out(&mut self, call: LegId, output: Output) {
        match output {
            Output::Leg { leg, command } => self.leg_command(call, leg, command),
            Output::Members { id, group } => self.ask_members(call, id, group),
            Output::Play { leg, id, prompt, loops } => self.play(call, leg, id, prompt, loops),
            Output::StopPlay { leg, id } => self.stop_play(call, leg, id),
            Output::Bridge { a, b } => self.bridge(a, b),
            Output::Unbridge { a, .. } => self.unbridge(a),
            Output::Record { leg, id, record } => self.record(call, leg, id, &record),
            Output::StopRecord { leg, id } => self.stop_record(leg, id),
            Output::Detect { leg } => self.detect(call, leg),
            Output::Listen { leg, id, listen } => self.listen(call, leg, id, listen),
            Output::StopListen { id } => self.stop_listen(call, id),
            Output::Fetch { id, request } => self.fetch(call, id, request),
            Output::DropFetch { id } => {
                if let Some(task) = self.calls.get_mut(&call).and_then(|entry| entry.fetches.remove(&id)) {
                    task.abort();
                }
            }
            Output::State { leg } => self.on_state(call, leg),
            Output::Step { leg, report } => {
                if let Some(entry) = self.calls.get_mut(&call) {
                    entry.book.step(leg, &report, Self::now().utc);
                }
            }
            Output::Bridged { a, b } => self.on_bridged(call, a, b, true),
            Output::Unbridged { a, b } => self.on_bridged(call, a, b, false),
            Output::Recorded { id, recording, .. } => self.recorded(call, id, Ok(&recording)),
            Output::Transfer { by, progress } => self.on_transfer(by, progress),
            Output::Leave { leg, cause } => {
                if let Some(call) = self.legs.get(&leg).map(|leg| leg.call) {
                    self.tell_call(call, Input::Left { leg, cause });
                }
            }
            Output::Finished => self.finish(call),
        }
    }

    fn leg_command(&mut self, call: LegId, leg: LegId, command: LegCommand) {
        match command {
            // How long it rings the machine sees to.
            LegCommand::Dial { target, from, options, .. } => self.dial(call, leg, target, from, options),
            LegCommand::Ring => self.ring(leg),
            LegCommand::Progress => self.progress(leg),
            LegCommand::Answer => self.answer(leg),
            LegCommand::Reject { code, cause, reason } => self.reject(leg, code, cause, reason),
            LegCommand::Hangup { cause } => self.hang_up(leg, cause),
            LegCommand::Hold => self.hold(leg, true),
            LegCommand::Resume => self.hold(leg, false),
        }
    }

    fn fetch(&mut self, call: LegId, id: u64, request: opentact_call::HttpRequest) {
        let http = self.drivers.http.clone();
        let object = self.calls.get(&call).and_then(|entry| entry.book.object(call));
        let task = self.spawn(async move {
            let result = fetch::document(&http, request, object).await;
            Message::Call { call, input: Input::Fetched { id, result } }
        });
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.fetches.insert(id, task);
        }
    }

    fn on_state(&mut self, call: LegId, snapshot: LegSnapshot) {
        let (leg, state) = (snapshot.leg, snapshot.state);
        self.light(&snapshot);
        let charge = match state {
            CallState::Destroyed => self.credit_ends(&snapshot),
            CallState::Live => {
                self.credit_begins(leg);
                None
            }
            _ => None,
        };
        let Some(entry) = self.calls.get_mut(&call) else { return };
        metrics::counter!("opentact_call_states_total", "state" => state.as_str()).increment(1);
        match charge {
            Some(charge) => entry.book.charged(snapshot, charge),
            None => entry.book.state(snapshot),
        }
        if state == CallState::Destroyed {
            self.release(leg);
        }
    }

    fn on_bridged(&mut self, call: LegId, a: LegId, b: LegId, joined: bool) {
        if let Some(entry) = self.calls.get(&call) {
            entry.book.bridge(a, b, joined);
        }
    }

    fn finish(&mut self, call: LegId) {
        let Some(entry) = self.calls.remove(&call) else { return };
        entry.fetches.into_values().chain(entry.listening.into_values()).for_each(|task| task.abort());
        for stage in entry.prompts.into_values() {
            if let PromptStage::Preparing(task) = stage {
                task.abort();
            }
        }
        self.timers.set(call, None);
        if let (Some(told), Some(leg)) = (entry.ended, entry.book.snapshot(call)) {
            let cause = leg.q850.unwrap_or(Q850::TEMPORARY_FAILURE);
            let (answered, reason, amd) = (leg.answer_on.is_some(), leg.reason.clone(), entry.book.answerer(call));
            let _ = told.send(CallEnd { answered, cause, reason, amd });
        }
    }

    /// Lets go of a leg that the machine has done with. What should be left of it outside is ended.
    fn release(&mut self, id: LegId) {
        self.hang_up(id, Q850::TEMPORARY_FAILURE);
        self.referrals.remove(&id);
        let Some(leg) = self.legs.remove(&id) else { return };
        self.unlight(&leg);
        if let Some(media) = leg.media {
            self.media_legs.remove(&media.key);
        }
    }

    /// Ends a call whose machine can no longer say how: its legs are hung up and its records closed.
    pub(super) fn abandon(&mut self, call: LegId) {
        let legs: Vec<LegId> = self.legs.values().filter(|leg| leg.call == call).map(|leg| leg.id).collect();
        for leg in legs {
            self.release(leg);
        }
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.book.abandon(Self::now().utc);
        }
        self.finish(call);
    }

    pub(super) fn leg_event(&mut self, leg: LegId, event: LegEvent) {
        if let Some(call) = self.legs.get(&leg).map(|leg| leg.call) {
            if let Some(entry) = self.calls.get_mut(&call)
                && leg != call
            {
                match event {
                    LegEvent::Failed { sip, .. } => entry.last_failure = Some(sip),
                    LegEvent::Answered => entry.last_failure = None,
                    _ => {}
                }
            }
            self.tell_call(call, Input::Leg { leg, event });
        }
    }

    /// Signalling of a leg is over: its media is closed, and then the machine is told.
    pub(super) fn close_leg(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        if std::mem::replace(&mut entry.ended, true) {
            return;
        }
        entry.free_channels();
        self.trials.set(leg, None);
        self.holds.set(leg, None);
        self.count_attempt(leg);
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        match &entry.media {
            Some(media) => self.drivers.media.command(media.key, opentact_media::control::Command::Close),
            None => self.leg_event(leg, LegEvent::Closed),
        }
    }
}
