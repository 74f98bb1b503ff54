//! What is written and told of a call: its records, its log, its events.
//!
//! The machine says what happened; here it becomes rows for the store and events for those who listen, with the shapes
//! of `events::view`. Everything goes to the one writer of the hub, in the order it happened.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use opentact_call::q850::Q850;
use opentact_call::{
    CallState, CallType, Direction, LegId, LegSnapshot, Record as Order, RecordFormat, Recording, StepReport,
};
use opentact_events::view::{CallContext, CallView};
use opentact_events::{Charge, Hub, NewEvent, Write, view};
use opentact_store::Money;
use opentact_store::accounts::Account;
use opentact_store::calls::{CallFlowLog, CallRecord};
use opentact_store::records::Record;
use opentact_store::transcripts::Transcript;
use opentact_store::types::{self, Json, RecordState, ordered_uuid};
use serde::Serialize;
use serde_json::{Map, Value, json};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::router::LegContext;

/// Executed elements that a call object shows, the latest; the log in the database has them all.
const LOGS_SHOWN: usize = 200;
/// Above this share of the hub's queue new calls are refused, so that those that run can tell of their end.
const FULL: f32 = 0.5;

/// The way to the hub.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    hub: Hub,
    /// Recordings go to the object store.
    uploads: bool,
}

/// One leg: what it is and what has been told of it.
struct Page {
    context: LegContext,
    snapshot: Option<LegSnapshot>,
    record: Option<Arc<CallRecord>>,
    logs: Vec<CallFlowLog>,
    /// Rows of the log so far, those no longer shown included.
    position: i64,
    /// Those that are over, as they are shown.
    recordings: Vec<Value>,
}

/// All legs of one call.
pub(crate) struct CallBook {
    journal: Journal,
    /// The origin's.
    context: LegContext,
    origin: LegId,
    pages: HashMap<LegId, Page>,
}

impl Journal {
    pub(crate) fn new(hub: Hub, uploads: bool) -> Self {
        Self { hub, uploads }
    }

    /// The database does not keep up: take no new call.
    pub(crate) fn is_full(&self) -> bool {
        self.hub.pressure() > FULL
    }

    /// A trunk is up or down, or our registration there is another.
    pub(crate) fn trunk(&self, account: Uuid, trunk: Uuid, name: &str, state: &str, payload: &Value) {
        self.publish(NewEvent::sip_connection(account, trunk, name, state, payload));
    }

    /// The calls of an outbound voice profile are stopped by what they have cost.
    pub(crate) fn spend_limit(&self, account: Uuid, profile: Uuid, name: &str, payload: &Value) {
        self.publish(NewEvent::spend_limit(account, profile, name, payload));
    }

    /// Calls of an outbound voice profile are stopped by another of its limits.
    pub(crate) fn call_limit(&self, account: Uuid, profile: Uuid, name: &str, limit: &str, payload: &Value) {
        self.publish(NewEvent::call_limit(account, profile, name, limit, payload));
    }

    /// A filter has rejected a call.
    pub(crate) fn filtered(&self, account: Uuid, filter: Uuid) {
        let _ = self.hub.record(Write::Rejected { account, filter });
    }

    /// Calls of the account were charged.
    pub(crate) fn balance(&self, account: &Account, balance: Money, source_action: &str) {
        if let Some(event) = NewEvent::balance(account, balance, source_action) {
            self.publish(event);
        }
    }

    /// Something on a call of the account has cost this.
    pub(crate) fn charged(&self, account: Uuid, charge: Charge) {
        let _ = self.hub.record(Write::Charge { account, charge: charge.into() });
    }

    /// Somebody calls for help.
    pub(crate) fn emergency_call(&self, account: Uuid, number: &str, from: &str, state: &str, payload: &Value) {
        self.publish(NewEvent::emergency_call(account, number, from, state, payload));
    }

    /// A recording is to be transcribed: should the node stop before that is done, the next start does it.
    pub(crate) fn to_transcribe(&self, waiting: Transcript) {
        let _ = self.hub.record(Write::Transcript(waiting.into(), None));
    }

    /// A recording was transcribed and has cost this, or could not be. `call`: the object of its leg.
    pub(crate) fn transcribed(
        &self,
        record: &Record,
        (transcript, charge): (Transcript, Option<Charge>),
        call: &impl Serialize,
    ) {
        let event = NewEvent::call_transcript(record, &transcript, call);
        let _ = self.hub.record(Write::Transcript(transcript.into(), charge.map(Arc::new)));
        self.publish(event);
    }

    fn publish(&self, event: NewEvent) {
        // Refused events are counted and logged by the hub.
        let _ = self.hub.publish(event);
    }

    /// A call that was refused before a machine could be made for it: told and recorded from init to destroyed.
    pub(crate) fn refused(
        &self,
        context: &LegContext,
        from: String,
        to: String,
        cause: Q850,
        reason: &str,
        now: DateTime<Utc>,
    ) {
        let leg = LegId(ordered_uuid(now));
        let mut book = CallBook::new(self.clone(), leg, context.clone());
        let mut snapshot = LegSnapshot {
            leg,
            parent: None,
            children: Vec::new(),
            direction: Direction::In,
            kind: CallType::Trunk,
            from,
            to,
            state: CallState::Init,
            created_on: now,
            modified_on: now,
            init_on: Some(now),
            ring_on: None,
            answer_on: None,
            hangup_on: None,
            destroy_on: None,
            finished_on: None,
            duration: 0,
            q850: None,
            reason: Some(reason.to_owned()),
            hangup_tag: None,
            freeswitch_call_state: "DOWN",
            freeswitch_channel_state: "CS_INIT",
        };
        book.state(snapshot.clone());
        snapshot.state = CallState::Hangup;
        snapshot.hangup_on = Some(now);
        snapshot.q850 = Some(cause);
        snapshot.freeswitch_call_state = "HANGUP";
        snapshot.freeswitch_channel_state = "CS_HANGUP";
        book.state(snapshot.clone());
        snapshot.state = CallState::Destroyed;
        snapshot.destroy_on = Some(now);
        snapshot.finished_on = Some(now);
        snapshot.freeswitch_channel_state = "CS_DESTROY";
        book.state(snapshot);
    }
}

impl CallBook {
    pub(crate) fn new(journal: Journal, origin: LegId, context: LegContext) -> Self {
        let pages = HashMap::from([(origin, Page::new(context.clone()))]);
        Self { journal, context, origin, pages }
    }

    /// The origin's context.
    pub(crate) fn context(&self) -> &LegContext {
        &self.context
    }

    /// The router has said more of a leg.
    pub(crate) fn set_context(&mut self, leg: LegId, context: LegContext) {
        if leg == self.origin {
            self.context = context.clone();
        }
        match self.pages.get_mut(&leg) {
            Some(page) => page.context = context,
            None => drop(self.pages.insert(leg, Page::new(context))),
        }
    }

    pub(crate) fn snapshot(&self, leg: LegId) -> Option<&LegSnapshot> {
        self.pages.get(&leg)?.snapshot.as_ref()
    }

    /// Who has answered a call, where that was found out.
    pub(crate) fn answerer(&self, leg: LegId) -> Option<String> {
        answerer(self.pages.get(&leg)?.context.related.amd.as_deref())
    }

    /// Who is at the other end of a leg: who has called, or who was called.
    pub(crate) fn party(&self, leg: LegId) -> Option<String> {
        let snapshot = self.snapshot(leg)?;
        Some(match snapshot.direction {
            Direction::In => snapshot.from.clone(),
            Direction::Out => snapshot.to.clone(),
        })
    }

    /// Legs that anything was told of, destroyed ones too.
    pub(crate) fn legs(&self) -> impl Iterator<Item = LegId> {
        self.pages.keys().copied()
    }

    /// Legs that are not destroyed.
    pub(crate) fn open(&self) -> impl Iterator<Item = LegId> {
        let open = |page: &Page| page.snapshot.as_ref().is_some_and(|leg| leg.state != CallState::Destroyed);
        self.pages.iter().filter(move |(_, page)| open(page)).map(|(leg, _)| *leg)
    }

    /// A leg entered a state: its record is written, the event goes out.
    pub(crate) fn state(&mut self, snapshot: LegSnapshot) {
        self.tell(snapshot, None);
    }

    /// A leg entered its last state, and has cost this.
    pub(crate) fn charged(&mut self, snapshot: LegSnapshot, charge: Charge) {
        self.tell(snapshot, Some(charge));
    }

    fn tell(&mut self, snapshot: LegSnapshot, charge: Option<Charge>) {
        let leg = snapshot.leg;
        // A leg that is being dialled is its origin's child until the router has said more.
        if !self.pages.contains_key(&leg) {
            let context = self.context.child();
            self.pages.insert(leg, Page::new(context));
        }
        let Some(page) = self.pages.get_mut(&leg) else { return };
        let record = Arc::new(record(&snapshot, page));
        page.snapshot = Some(snapshot);
        page.record = Some(record.clone());
        let _ = self.journal.hub.record(match charge {
            Some(charge) => Write::Charged(record.clone(), Arc::new(charge)),
            None => Write::CallRecord(record.clone()),
        });
        // Of a call that is an app's the app is told, of whichever leg.
        let app = self.context.sip_control_app.filter(|_| self.context.webhook);
        if let Some(event) = self.show(leg, |call| NewEvent::call_state(&record, call).for_app(app)) {
            self.journal.publish(event);
        }
    }

    /// An element ended.
    pub(crate) fn step(&mut self, leg: LegId, report: &StepReport, now: DateTime<Utc>) {
        let Some(page) = self.pages.get_mut(&leg) else { return };
        let Some(record) = page.record.clone() else { return };
        let log = CallFlowLog {
            uuid: ordered_uuid(now),
            created_on: now,
            modified_on: now,
            account: record.account,
            call: record.uuid,
            sip_control_app: record.sip_control_app,
            position: page.position,
            name: report.name.clone(),
            element: report.name.clone(),
            path: report.path.clone(),
            success: report.success,
            reason: report.reason.clone(),
            tag: report.tag.clone(),
            command: Json(attributes(report)),
            children: Json(report.children.iter().map(|child| command(child)).collect()),
            errors: Json(report.error.iter().map(|child| command(child)).collect()),
        };
        page.position += 1;
        if page.logs.len() == LOGS_SHOWN {
            page.logs.remove(0);
        }
        page.logs.push(log.clone());
        let _ = self.journal.hub.record(Write::FlowLog(Box::new(log.clone())));
        if let Some(event) = self.show(leg, |call| NewEvent::call_flow(&record, &log, call)) {
            self.journal.publish(event);
        }
    }

    /// Two legs were joined or parted.
    pub(crate) fn bridge(&self, a: LegId, b: LegId, joined: bool) {
        let account = self.context.account;
        if let Some(event) = self.show(a, |call| NewEvent::call_bridge(account, [a.0, b.0], joined, call)) {
            self.journal.publish(event);
        }
    }

    /// A recording begins: should the node be killed, the next start finds it.
    pub(crate) fn recording_begins(&mut self, leg: LegId, uuid: Uuid, order: &Order, now: DateTime<Utc>) -> Record {
        let record = Record {
            uuid,
            created_on: now,
            modified_on: now,
            account: self.pages.get(&leg).map_or(self.context.account, |page| page.context.account),
            call: leg.0,
            tag: order.tag.clone(),
            state: RecordState::Recording,
            format: match order.format {
                RecordFormat::Wav => types::RecordFormat::Wav,
                RecordFormat::Mp3 => types::RecordFormat::Mp3,
            },
            channels: order.channels.into(),
            sample_rate: 0,
            duration_ms: 0,
            size: 0,
            reason: None,
            is_local: true,
            uploaded_on: None,
            upload_due: None,
            upload_attempts: 0,
            upload_error: None,
        };
        let _ = self.journal.hub.record(Write::Record(record.clone().into()));
        record
    }

    /// A recording is over: it can be read, or there is none, and why. Returns what is now known of it.
    pub(crate) fn recorded(
        &mut self,
        mut record: Record,
        result: Result<&Recording, &str>,
        now: DateTime<Utc>,
    ) -> Record {
        record.modified_on = now;
        match result {
            Ok(recording) => {
                record.state = RecordState::Stored;
                record.sample_rate = recording.rate.into();
                record.duration_ms = i64::try_from(recording.duration_ms).unwrap_or(i64::MAX);
                record.size = i64::try_from(recording.bytes).unwrap_or(i64::MAX);
                record.reason = recording.incomplete.clone();
                record.upload_due = self.journal.uploads.then_some(now);
            }
            Err(reason) => {
                record.state = RecordState::Failed;
                record.reason = Some(reason.to_owned());
                record.is_local = false;
            }
        }
        let leg = LegId(record.call);
        let Some(page) = self.pages.get_mut(&leg) else { return record };
        page.recordings.push(view::record(&record));
        let _ = self.journal.hub.record(Write::Record(record.clone().into()));
        if let Some(event) = self.show(leg, |call| NewEvent::call_record(&record, call)) {
            self.journal.publish(event);
        }
        record
    }

    /// The audio of a leg has ended, and was so.
    pub(crate) fn measured(&mut self, leg: LegId, quality: Value) {
        if let Some(page) = self.pages.get_mut(&leg) {
            page.context.related.media = Some(Arc::new(quality));
        }
    }

    /// It is known who has answered.
    pub(crate) fn detected(&mut self, leg: LegId, amd: Value) {
        let Some(page) = self.pages.get_mut(&leg) else { return };
        let Some(before) = &page.record else { return };
        let mut record = CallRecord::clone(before);
        let amd = Arc::new(amd);
        page.context.related.amd = Some(amd.clone());
        record.related.0.amd = Some(amd.clone());
        let record = Arc::new(record);
        page.record = Some(record.clone());
        let _ = self.journal.hub.record(Write::CallRecord(record.clone()));
        if let Some(event) = self.show(leg, |call| NewEvent::call_amd(&record, &amd, call)) {
            self.journal.publish(event);
        }
    }

    /// Closes the records of a call whose machine is lost.
    pub(crate) fn abandon(&mut self, now: DateTime<Utc>) {
        let open: Vec<LegId> = self.open().collect();
        for leg in open {
            let Some(mut snapshot) = self.snapshot(leg).cloned() else { continue };
            if snapshot.state < CallState::Hangup {
                snapshot.state = CallState::Hangup;
                snapshot.hangup_on = Some(now);
                snapshot.q850 = Some(Q850::TEMPORARY_FAILURE);
                snapshot.freeswitch_call_state = "HANGUP";
                snapshot.freeswitch_channel_state = "CS_HANGUP";
                self.state(snapshot.clone());
            }
            snapshot.state = CallState::Destroyed;
            snapshot.destroy_on = Some(now);
            snapshot.finished_on = Some(now);
            snapshot.freeswitch_channel_state = "CS_DESTROY";
            self.state(snapshot);
        }
    }

    /// The call object of a leg.
    pub(crate) fn object(&self, leg: LegId) -> Option<Value> {
        self.show(leg, |call| view::call(call.call, call.context))
    }

    /// What `of` makes of a leg as it is shown.
    fn show<T>(&self, leg: LegId, of: impl FnOnce(&CallView<'_>) -> T) -> Option<T> {
        let page = self.pages.get(&leg)?;
        let (record, snapshot) = (page.record.as_ref()?, page.snapshot.as_ref()?);
        let find = |leg: &LegId| self.pages.get(leg).and_then(|page| page.record.as_deref());
        let children: SmallVec<[&CallRecord; 4]> = snapshot.children.iter().filter_map(find).collect();
        let context = CallContext {
            account: Some(&page.context.tenant.row),
            parent: snapshot.parent.as_ref().and_then(find),
            children: &children,
            logs: &page.logs,
            records: &page.recordings,
        };
        Some(of(&CallView { call: record, context }))
    }
}

impl Page {
    fn new(context: LegContext) -> Self {
        Self { context, snapshot: None, record: None, logs: Vec::new(), position: 0, recordings: Vec::new() }
    }
}

fn record(leg: &LegSnapshot, page: &Page) -> CallRecord {
    let context = &page.context;
    let before = page.record.as_deref().filter(|before| before.from == leg.from && before.to == leg.to);
    let mut meta = context.meta.clone();
    if let Some(reason) = &leg.reason {
        meta.insert("reason".to_owned(), json!(reason));
    }
    CallRecord {
        uuid: leg.leg.0,
        created_on: leg.created_on,
        modified_on: leg.modified_on,
        account: context.account,
        direction: match leg.direction {
            Direction::In => types::Direction::In,
            Direction::Out => types::Direction::Out,
        },
        from: leg.from.clone(),
        to: leg.to.clone(),
        state: match leg.state {
            CallState::Init => types::CallState::Init,
            CallState::Ringing => types::CallState::Ringing,
            CallState::Live => types::CallState::Live,
            CallState::Hangup => types::CallState::Hangup,
            CallState::Destroyed => types::CallState::Destroyed,
        },
        kind: match leg.kind {
            CallType::Sca => types::CallType::Sca,
            CallType::User => types::CallType::User,
            CallType::Trunk => types::CallType::Trunk,
            CallType::Batch => types::CallType::Batch,
        },
        thread: before
            .map_or_else(|| opentact_messaging::thread_of(&leg.from, &leg.to), |before| before.thread.clone()),
        parent: leg.parent.map(|parent| parent.0),
        tn: context.tn.and_then(|tn| opentact_store::Tn::try_from(tn).ok()),
        sip_control_app: context.sip_control_app,
        sip_connection: context.sip_connection,
        sip_user: context.sip_user,
        batch_item: context.batch_item,
        sip_call_id: context.sip_call_id.clone(),
        init_on: leg.init_on,
        ring_on: leg.ring_on,
        answer_on: leg.answer_on,
        hangup_on: leg.hangup_on,
        destroy_on: leg.destroy_on,
        finished_on: leg.finished_on,
        duration: i64::try_from(leg.duration).unwrap_or(i64::MAX),
        q850_cause: leg.q850.map(|cause| cause.value().into()),
        q850_cause_string: leg.q850.map(|cause| cause.text().to_owned()),
        freeswitch_call_state: leg.freeswitch_call_state.to_owned(),
        freeswitch_channel_state: leg.freeswitch_channel_state.to_owned(),
        stir_shaken_attest_level: context.attest_level,
        outbound_voice_profile: context.spends.map(|(profile, _)| profile),
        minute_price: context.spends.map(|(_, price)| price),
        related: Json(context.related.clone()),
        meta: Json(meta),
    }
}

fn attributes(report: &StepReport) -> Value {
    Value::Object(report.attributes.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>())
}

/// The result of an answering-machine detection.
pub(crate) fn answerer(amd: Option<&Value>) -> Option<String> {
    amd?.get("result")?.as_str().map(str::to_owned)
}

/// How an element inside another came out.
fn command(report: &StepReport) -> Value {
    json!({
        "name": report.name,
        "success": report.success,
        "reason": report.reason,
        "path": report.path,
        "tag": report.tag,
        "children": report.children.iter().map(|child| command(child)).collect::<Vec<_>>(),
        "error": report.error.iter().map(|child| command(child)).collect::<Vec<_>>(),
    })
}
