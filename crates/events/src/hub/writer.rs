use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentact_store::calls::{CallFlowLog, CallRecord};
use opentact_store::events::{Batch, Event};
use opentact_store::records::Record;
use opentact_store::tn_filters::RejectedCalls;
use opentact_store::transactions::NewTransaction;
use opentact_store::transcripts::Transcript;
use opentact_store::types::now;
use opentact_store::{Result, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use super::accounts::Accounts;
use super::hooks::Hooks;
use super::{Charge, Item, Pending, Shared, Write};
use crate::event::Envelope;

/// Attempts of a whole batch on a database that answers, before its parts are tried one by one.
const ATTEMPTS: u32 = 3;
/// Events that one statement prunes at most: no call waits long behind it.
const PRUNED: i64 = 4096;
/// Events above `keep_count` that an account may have before they are pruned, or an eighth of it where that is less.
const SURPLUS: i64 = 1024;
const BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(5);

/// The one task that numbers, writes and hands on.
pub(super) async fn run(shared: Arc<Shared>, heads: HashMap<Uuid, i64>, mut items: mpsc::Receiver<Item>) {
    let mut writer = Writer {
        shared,
        heads,
        grown: HashSet::new(),
        pruned: HashMap::new(),
        accounts: Accounts::default(),
        hooks: Hooks::default(),
    };
    let mut prune = tokio::time::interval(writer.shared.settings.prune_every);
    prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let batch = writer.shared.settings.batch.max(1);
    let mut taken = Vec::with_capacity(batch);
    let mut due = Instant::now();
    loop {
        tokio::select! {
            count = items.recv_many(&mut taken, 1) => {
                if count == 0 {
                    break;
                }
            }
            _ = prune.tick() => {
                if writer.prune_older().await {
                    prune.reset_immediately();
                }
                continue;
            }
        }
        // A commit costs about the same for one event as for twenty.
        if taken.len() + items.len() < batch {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = writer.shared.hurry.notified() => {}
            }
        }
        while taken.len() < batch
            && let Ok(item) = items.try_recv()
        {
            taken.push(item);
        }
        due = Instant::now() + writer.shared.settings.commit_every;
        let group = Group::of(taken.drain(..));
        let (flushes, close) = (group.flushes, group.close);
        writer.write(group.parts).await;
        writer.prune_surplus().await;
        for flush in flushes {
            let _ = flush.send(());
        }
        if let Some(closed) = close {
            items.close();
            writer.shared.listeners.clear();
            let _ = closed.send(());
            break;
        }
    }
    writer.shared.listeners.clear();
    writer.shared.desk.close();
}

struct Writer {
    shared: Arc<Shared>,
    /// Highest number given out, by account.
    heads: HashMap<Uuid, i64>,
    /// Accounts with more events since surplus ones were pruned.
    grown: HashSet<Uuid>,
    /// Number of the newest event of each account that the log keeps no longer.
    pruned: HashMap<Uuid, i64>,
    accounts: Accounts,
    hooks: Hooks,
}

/// A call, and what it has cost if it has ended.
type Told = (Arc<CallRecord>, Option<Arc<Charge>>);

/// What one commit holds.
#[derive(Default)]
struct Parts {
    calls: HashMap<Uuid, Told>,
    flow_logs: Vec<CallFlowLog>,
    records: HashMap<Uuid, Record>,
    transcripts: Vec<(Transcript, Option<Arc<Charge>>)>,
    /// Of accounts, for what has no row.
    charges: Vec<(Uuid, Arc<Charge>)>,
    /// By account and filter.
    rejected: HashMap<(Uuid, Uuid), i64>,
    events: Vec<Pending>,
}

#[derive(Default)]
struct Group {
    parts: Parts,
    flushes: Vec<oneshot::Sender<()>>,
    close: Option<oneshot::Sender<()>>,
}

impl Group {
    fn of(items: impl Iterator<Item = Item>) -> Group {
        let mut group = Group::default();
        for item in items {
            match item {
                Item::Event(pending) => group.parts.events.push(*pending),
                Item::Write(Write::CallRecord(record)) => group.parts.tell(record, None),
                Item::Write(Write::Charged(record, charge)) => group.parts.tell(record, Some(charge)),
                Item::Write(Write::FlowLog(log)) => group.parts.flow_logs.push(*log),
                Item::Write(Write::Record(record)) => drop(group.parts.records.insert(record.uuid, *record)),
                Item::Write(Write::Transcript(transcript, charge)) => {
                    group.parts.transcripts.push((*transcript, charge));
                }
                Item::Write(Write::Charge { account, charge }) => group.parts.charges.push((account, charge)),
                Item::Write(Write::Rejected { account, filter }) => {
                    *group.parts.rejected.entry((account, filter)).or_default() += 1;
                }
                Item::Flush(done) => group.flushes.push(done),
                Item::Close(done) => group.close = Some(done),
            }
        }
        group
    }
}

impl Parts {
    fn tell(&mut self, record: Arc<CallRecord>, charge: Option<Arc<Charge>>) {
        let uuid = record.uuid;
        let before = self.calls.insert(uuid, (record, charge)).and_then(|(_, charge)| charge);
        if let (Some(charge), Some((_, told @ None))) = (before, self.calls.get_mut(&uuid)) {
            *told = Some(charge);
        }
    }

    fn charges(&self) -> impl Iterator<Item = (Uuid, &Charge)> {
        let calls = self.calls.values().map(|(record, charge)| (record.account, charge.as_deref()));
        let transcripts = self.transcripts.iter().map(|(transcript, charge)| (transcript.account, charge.as_deref()));
        let of_rows = calls.chain(transcripts).filter_map(|(account, charge)| Some((account, charge?)));
        of_rows.chain(self.charges.iter().map(|(account, charge)| (*account, &**charge)))
    }

    fn is_empty(&self) -> bool {
        let rows = self.calls.is_empty() && self.flow_logs.is_empty() && self.records.is_empty();
        let more = self.transcripts.is_empty() && self.charges.is_empty() && self.rejected.is_empty();
        rows && more && self.events.is_empty()
    }

    fn rejected(&self) -> Vec<RejectedCalls> {
        let calls = self.rejected.iter();
        calls.map(|(&(account, filter), &count)| RejectedCalls { account, filter, count }).collect()
    }

    /// Each part alone, rows before the events that tell of them.
    fn split(self) -> impl Iterator<Item = Parts> {
        let calls = self.calls.into_iter().map(|call| Parts { calls: HashMap::from([call]), ..Parts::default() });
        let logs = self.flow_logs.into_iter().map(|log| Parts { flow_logs: vec![log], ..Parts::default() });
        let records =
            self.records.into_iter().map(|record| Parts { records: HashMap::from([record]), ..Parts::default() });
        let transcripts = self.transcripts.into_iter().map(|one| Parts { transcripts: vec![one], ..Parts::default() });
        let charges = self.charges.into_iter().map(|one| Parts { charges: vec![one], ..Parts::default() });
        let events = self.events.into_iter().map(|event| Parts { events: vec![event], ..Parts::default() });
        let rejected =
            self.rejected.into_iter().map(|one| Parts { rejected: HashMap::from([one]), ..Parts::default() });
        calls.chain(logs).chain(records).chain(transcripts).chain(charges).chain(rejected).chain(events)
    }
}

impl Writer {
    /// Writes the parts, together if at all possible. Waits for a database that is away as long as it takes;
    /// meanwhile the queue fills and its pressure tells.
    async fn write(&mut self, parts: Parts) {
        if parts.is_empty() {
            return;
        }
        let Err(error) = self.commit_patiently(&parts).await else { return };
        tracing::error!(%error, "a batch of events is refused, trying its parts one by one");
        for part in parts.split() {
            if let Err(error) = self.commit_patiently(&part).await {
                self.shared.counters.rejected.fetch_add(1, Ordering::Relaxed);
                let event = part.events.first().map(|p| (p.event.account, p.event.kind, p.event.ref_id));
                let call = part.calls.keys().next().or(part.flow_logs.first().map(|l| &l.call));
                tracing::error!(%error, ?event, ?call, "lost: the database does not take it");
            }
        }
    }

    /// Fails only when the database is there and says no.
    async fn commit_patiently(&mut self, parts: &Parts) -> Result<()> {
        let mut backoff = *BACKOFF.start();
        let mut attempt = 0;
        loop {
            let Err(error) = self.commit(parts).await else { return Ok(()) };
            let answers = self.shared.store.ping().await.is_ok();
            attempt = if answers { attempt + 1 } else { 0 };
            if attempt >= ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(%error, "events are not written yet");
            if matches!(error, StoreError::Conflict(_)) && answers {
                // Somebody else wrote events of these accounts: go on after theirs.
                if let Ok(heads) = self.shared.store.events().heads().await {
                    self.heads = heads;
                }
                continue;
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(*BACKOFF.end());
        }
    }

    async fn commit(&mut self, parts: &Parts) -> Result<()> {
        let accounts: HashSet<Uuid> = parts.events.iter().map(|pending| pending.event.account).collect();
        self.accounts.look_up(&self.shared.store, &accounts).await?;
        self.hooks.look_up(&self.shared.store, &accounts).await?;
        let mut heads: HashMap<Uuid, i64> = HashMap::with_capacity(accounts.len());
        let mut rows = Vec::with_capacity(parts.events.len());
        let (mut deliveries, now) = (Vec::new(), now());
        for pending in &parts.events {
            let account = pending.event.account;
            let head = heads.entry(account).or_insert_with(|| self.heads.get(&account).copied().unwrap_or(0));
            *head += 1;
            let row = row(pending, *head, self.accounts.get(account));
            deliveries.extend(self.hooks.deliveries(&row, pending.event.hook(), now));
            rows.push(row);
        }
        let calls = parts.calls.values().map(|(record, _)| CallRecord::clone(record)).collect();
        let mut charges: BTreeMap<Uuid, Vec<NewTransaction>> = BTreeMap::new();
        for (account, charge) in parts.charges() {
            charges.entry(account).or_default().push(charge.transaction.clone());
        }
        let mut unbooked: HashMap<Uuid, usize> = charges.iter().map(|(account, all)| (*account, all.len())).collect();
        let (flow_logs, rejected) = (parts.flow_logs.clone(), parts.rejected());
        let records = parts.records.values().cloned().collect();
        let transcripts = parts.transcripts.iter().map(|(transcript, _)| transcript.clone()).collect();
        let events = rows.clone();
        let told = parts.events.iter().filter_map(|pending| pending.event.told()).collect();
        let deliver = deliveries.clone();
        let batch =
            Batch { calls, flow_logs, records, transcripts, rejected, events, told, deliveries: deliver, charges };
        let balances = self.shared.store.events().commit(batch).await?;
        for (account, charge) in parts.charges() {
            if let (Some(balance), Some(left)) = (balances.get(&account), unbooked.get_mut(&account)) {
                *left -= 1;
                charge.booked.booked(*balance, *left == 0);
            }
        }

        self.grown.extend(heads.keys());
        self.heads.extend(heads);
        let count = rows.len() as u64;
        deliveries.into_iter().for_each(|delivery| self.shared.desk.leave(delivery));
        let lagged = self.shared.listeners.send(rows);
        let counters = &self.shared.counters;
        counters.events.fetch_add(count, Ordering::Relaxed);
        counters.commits.fetch_add(1, Ordering::Relaxed);
        counters.lagged.fetch_add(lagged, Ordering::Relaxed);
        Ok(())
    }

    /// Prunes what accounts have above `keep_count`, a little more than they can have grown by.
    async fn prune_surplus(&mut self) {
        let keep = i64::try_from(self.shared.settings.keep_count.max(1)).unwrap_or(i64::MAX);
        for account in std::mem::take(&mut self.grown) {
            let surplus = self.heads.get(&account).copied().unwrap_or(0).saturating_sub(keep);
            let Ok(pruned) = self.pruned_until(account).await else { continue };
            if surplus - pruned <= SURPLUS.min(keep / 8) {
                continue;
            }
            let until = surplus.min(pruned + PRUNED);
            match self.shared.store.events().prune_until(account, until).await {
                Ok(_) => drop(self.pruned.insert(account, until)),
                Err(error) => tracing::warn!(%error, "the event log is not pruned"),
            }
        }
    }

    async fn pruned_until(&mut self, account: Uuid) -> Result<i64> {
        if let Some(pruned) = self.pruned.get(&account) {
            return Ok(*pruned);
        }
        let pruned = self.shared.store.events().oldest(account).await?.map_or(0, |oldest| oldest - 1);
        self.pruned.insert(account, pruned);
        Ok(pruned)
    }

    /// Prunes some of what is older than `keep_for`. True when there may be more.
    async fn prune_older(&self) -> bool {
        let oldest = now() - self.shared.settings.keep_for;
        match self.shared.store.events().prune_older(oldest, PRUNED.unsigned_abs()).await {
            Ok(pruned) => pruned >= PRUNED.unsigned_abs(),
            Err(error) => {
                tracing::warn!(%error, "the event log is not pruned");
                false
            }
        }
    }
}

fn row(pending: &Pending, seq: i64, account: &[u8]) -> Event {
    let Pending { uuid, created_on, event } = pending;
    let envelope = Envelope { uuid: *uuid, created_on: *created_on, seq, account, event };
    Event {
        account: event.account,
        seq,
        uuid: *uuid,
        created_on: *created_on,
        kind: event.kind,
        ref_id: event.ref_id,
        body: envelope.text().into(),
    }
}
