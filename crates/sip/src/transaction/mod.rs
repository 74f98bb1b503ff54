//! Transactions: a request and its answers, hop by hop (RFC 3261 section 17, RFC 6026).
//!
//! [`Transactions`] holds all those of a shard: four small machines in one table, found by a hashed key, woken by one
//! timer structure. It absorbs what the network repeats and repeats what the network loses; its user, [`crate::ua`], sees
//! each request and each response that matters once. After the final response a transaction is a tombstone that holds its
//! key and the one message it may have to send again, nothing else.

pub(crate) mod ack;
mod invite_client;
mod invite_server;
pub(crate) mod key;
mod non_invite_client;
mod non_invite_server;
mod timers;
mod timing;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use self::invite_client::InviteClient;
use self::invite_server::InviteServer;
use self::key::{Key, KeyMap};
use self::non_invite_client::NonInviteClient;
use self::non_invite_server::NonInviteServer;
use self::timers::Timers;
pub(crate) use self::timers::{Alarm, Wake};
pub use self::timing::Timing;
use crate::flow::{Flow, Transmit};
use crate::message::{Method, Request, Response};

/// One transaction of a shard. Never means another one later: slots carry a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TransactionId {
    index: u32,
    generation: u32,
}

/// What a timer of a machine asks for.
#[derive(Debug)]
enum Fired {
    Nothing,
    Retransmit(Bytes),
    /// No answer in time; the machine is done.
    Timeout,
    /// The tombstone is no longer needed.
    Over,
}

#[derive(Debug)]
enum Machine {
    /// Boxed: the others are half its size, and most of what is alive is a tombstone.
    InviteClient(Box<InviteClient>),
    InviteServer(InviteServer),
    NonInviteClient(NonInviteClient),
    NonInviteServer(NonInviteServer),
}

impl Machine {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Machine::InviteClient(machine) => machine.deadline(),
            Machine::InviteServer(machine) => machine.deadline(),
            Machine::NonInviteClient(machine) => machine.deadline(),
            Machine::NonInviteServer(machine) => machine.deadline(),
        }
    }
}

#[derive(Debug)]
struct Transaction<O> {
    key: Key,
    /// Server transactions of requests outside dialogs: RFC 3261 8.2.2.2.
    merge: Option<Key>,
    flow: Flow,
    owner: O,
    machine: Machine,
    alarm: Alarm,
}

#[derive(Debug)]
struct Slot<O> {
    generation: u32,
    transaction: Option<Transaction<O>>,
}

/// What became of a request at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// No transaction knows it.
    New,
    /// Known already; what had to be sent has been sent.
    Absorbed,
    /// The ACK of a 2xx on the path of its INVITE.
    Ack,
}

/// A response the user has to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed<O> {
    pub(crate) id: TransactionId,
    pub(crate) owner: O,
    pub(crate) flow: Flow,
}

/// What a timer brought up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rang<O> {
    /// A client transaction without an answer (timer B or F), or a request its user never answered. It is gone.
    Timeout { id: TransactionId, owner: O },
    /// An alarm of the user, see [`Transactions::wake_user`].
    User { number: u64, at: Instant },
}

/// All transactions of a shard.
#[derive(Debug)]
pub(crate) struct Transactions<O> {
    timing: Timing,
    timers: Timers,
    slots: Vec<Slot<O>>,
    free: Vec<u32>,
    by_key: KeyMap<Key, TransactionId>,
    by_merge: KeyMap<Key, TransactionId>,
    /// Tombstones of answered requests other than INVITE, the oldest first; some may be gone.
    answered: VecDeque<TransactionId>,
    transmits: VecDeque<Transmit>,
}

impl<O: Copy> Transactions<O> {
    pub(crate) fn new(timing: Timing) -> Transactions<O> {
        Transactions {
            timing,
            timers: Timers::default(),
            slots: Vec::new(),
            free: Vec::new(),
            by_key: KeyMap::default(),
            by_merge: KeyMap::default(),
            answered: VecDeque::new(),
            transmits: VecDeque::new(),
        }
    }

    /// Live transactions, tombstones included.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Octets to send that no transaction repeats: ACKs of 2xx, stateless answers.
    pub(crate) fn send(&mut self, flow: Flow, bytes: Bytes) {
        self.transmits.push_back(Transmit { flow, bytes });
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Earliest time at which [`Transactions::fire`] may have something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    // ---- server side ----

    /// A request has come whose key is `key`.
    pub(crate) fn receive_request(&mut self, now: Instant, key: Key, method: &Method, flow: Flow) -> Arrival {
        let Some(id) = self.by_key.get(&key).copied() else {
            return Arrival::New;
        };
        let timing = self.timing;
        let Some(transaction) = self.get_mut(id) else {
            return Arrival::New;
        };
        let reliable = transaction.flow.is_reliable();
        let again = match &mut transaction.machine {
            Machine::InviteServer(machine) if *method == Method::Ack => {
                match machine.on_ack(now, &timing, reliable) {
                    invite_server::Acknowledgement::Up => return Arrival::Ack,
                    invite_server::Acknowledgement::Absorbed => self.rearm(id),
                    invite_server::Acknowledgement::Over => self.remove(id),
                }
                return Arrival::Absorbed;
            }
            Machine::InviteServer(machine) => machine.on_retransmission(),
            Machine::NonInviteServer(machine) => machine.on_retransmission(),
            Machine::InviteClient(_) | Machine::NonInviteClient(_) => None,
        };
        if let Some(bytes) = again {
            // RFC 3261 18.2.2: over a connection the answer goes where the request came from last.
            self.send(flow, bytes);
        }
        Arrival::Absorbed
    }

    /// True when another transaction is answering a request with this identity (RFC 3261 8.2.2.2).
    pub(crate) fn is_merged(&self, merge: Key) -> bool {
        self.by_merge.contains_key(&merge)
    }

    pub(crate) fn open_server(
        &mut self,
        now: Instant,
        key: Key,
        merge: Option<Key>,
        method: &Method,
        flow: Flow,
        owner: O,
    ) -> TransactionId {
        let machine = match method {
            Method::Invite => Machine::InviteServer(InviteServer::new()),
            _ => Machine::NonInviteServer(NonInviteServer::new(now, &self.timing)),
        };
        self.insert(key, merge, flow, owner, machine)
    }

    /// The transaction of an INVITE or other request by its key.
    pub(crate) fn find(&self, key: Key) -> Option<(TransactionId, O)> {
        let id = self.by_key.get(&key).copied()?;
        self.get(id).map(|transaction| (id, transaction.owner))
    }

    /// Where the messages of a transaction go.
    pub(crate) fn flow(&self, id: TransactionId) -> Option<Flow> {
        self.get(id).map(|transaction| transaction.flow)
    }

    /// True while a server transaction has not sent its final response.
    pub(crate) fn is_open(&self, id: TransactionId) -> bool {
        match self.get(id).map(|transaction| &transaction.machine) {
            Some(Machine::InviteServer(machine)) => machine.is_open(),
            Some(Machine::NonInviteServer(machine)) => machine.is_open(),
            _ => false,
        }
    }

    /// Sends a response. False when the transaction is gone or has had its final response: at most one a transaction.
    pub(crate) fn respond(&mut self, now: Instant, id: TransactionId, code: u16, response: Bytes) -> bool {
        let timing = self.timing;
        let Some(transaction) = self.get_mut(id) else {
            return false;
        };
        let flow = transaction.flow;
        let over = match &mut transaction.machine {
            Machine::InviteServer(machine) => {
                if !machine.respond(now, &timing, flow.is_reliable(), code, &response) {
                    return false;
                }
                false
            }
            Machine::NonInviteServer(machine) => {
                match machine.respond(now, &timing, flow.is_reliable(), code, &response) {
                    non_invite_server::Sent::Open => false,
                    non_invite_server::Sent::Completed => {
                        self.bury(id);
                        false
                    }
                    non_invite_server::Sent::Over => true,
                    non_invite_server::Sent::Refused => return false,
                }
            }
            Machine::InviteClient(_) | Machine::NonInviteClient(_) => return false,
        };
        self.send(flow, response);
        if over {
            self.remove(id);
        } else {
            self.rearm(id);
        }
        true
    }

    // ---- client side ----

    /// Sends a request and repeats it until it is answered.
    pub(crate) fn open_client(
        &mut self,
        now: Instant,
        key: Key,
        flow: Flow,
        request: Request,
        owner: O,
    ) -> TransactionId {
        let bytes = request.bytes().clone();
        let machine = if *request.method() == Method::Invite {
            let machine = InviteClient::new(now, &self.timing, flow.is_reliable(), request);
            Machine::InviteClient(Box::new(machine))
        } else {
            Machine::NonInviteClient(NonInviteClient::new(now, &self.timing, flow.is_reliable(), bytes.clone()))
        };
        self.send(flow, bytes);
        self.insert(key, None, flow, owner, machine)
    }

    /// A response has come for the client transaction `key`. `to_tag` tells the 2xx of forks apart. Returns it when the
    /// user must see it; a final refusal of an INVITE is acknowledged here.
    pub(crate) fn receive_response(
        &mut self,
        now: Instant,
        key: Key,
        to_tag: u64,
        response: &Response,
    ) -> Option<Passed<O>> {
        let id = self.by_key.get(&key).copied()?;
        let timing = self.timing;
        let code = response.code();
        let transaction = self.get_mut(id)?;
        let flow = transaction.flow;
        let passed = Passed { id, owner: transaction.owner, flow };
        match &mut transaction.machine {
            Machine::InviteClient(machine) => match machine.on_response(now, &timing, code, to_tag) {
                invite_client::Verdict::Up => {
                    self.rearm(id);
                    Some(passed)
                }
                invite_client::Verdict::Refused(request) => {
                    let ack = ack::of_refusal(&request, response);
                    if machine.complete(now, &timing, flow.is_reliable(), ack.clone()) {
                        self.rearm(id);
                    } else {
                        self.remove(id);
                    }
                    self.send(flow, ack);
                    Some(passed)
                }
                invite_client::Verdict::Again(on, ack) => {
                    self.send(on.unwrap_or(flow), ack);
                    None
                }
                invite_client::Verdict::Drop => None,
            },
            Machine::NonInviteClient(machine) => match machine.on_response(now, &timing, flow.is_reliable(), code) {
                non_invite_client::Verdict::Up => {
                    self.rearm(id);
                    Some(passed)
                }
                non_invite_client::Verdict::UpAndOver => {
                    self.remove(id);
                    Some(passed)
                }
                non_invite_client::Verdict::Drop => None,
            },
            Machine::InviteServer(_) | Machine::NonInviteServer(_) => None,
        }
    }

    /// Sends the ACK of a 2xx and keeps it for each retransmission of that 2xx (RFC 3261 13.2.2.4).
    pub(crate) fn acknowledge(&mut self, id: TransactionId, to_tag: u64, flow: Flow, ack: Bytes) {
        if let Some(Transaction { machine: Machine::InviteClient(machine), .. }) = self.get_mut(id) {
            machine.keep_ack(to_tag, flow, ack.clone());
        }
        self.send(flow, ack);
    }

    /// The INVITE of a client transaction that has had no final response.
    pub(crate) fn open_invite(&self, id: TransactionId) -> Option<&Request> {
        match &self.get(id)?.machine {
            Machine::InviteClient(machine) => machine.request(),
            _ => None,
        }
    }

    /// True when a CANCEL may be sent for this INVITE.
    pub(crate) fn is_proceeding(&self, id: TransactionId) -> bool {
        matches!(self.get(id).map(|transaction| &transaction.machine),
            Some(Machine::InviteClient(machine)) if machine.is_proceeding())
    }

    /// Waits for the final response to a proceeding INVITE no longer than until `until`; then it is reported as timed out.
    pub(crate) fn limit(&mut self, id: TransactionId, until: Instant) {
        if let Some(Transaction { machine: Machine::InviteClient(machine), .. }) = self.get_mut(id) {
            machine.limit(until);
            self.rearm(id);
        }
    }

    // ---- life ----

    /// All tombstones here stand equally long, so those that are gone are in front.
    fn bury(&mut self, id: TransactionId) {
        while let Some(oldest) = self.answered.front()
            && self.get(*oldest).is_none()
        {
            self.answered.pop_front();
        }
        self.answered.push_back(id);
    }

    /// Makes room for another transaction: forgets the request other than INVITE that was answered longest ago. Should it
    /// come once more, it is a new one. False when there is none.
    pub(crate) fn forget_answered(&mut self) -> bool {
        while let Some(oldest) = self.answered.pop_front() {
            if self.get(oldest).is_some() {
                self.remove(oldest);
                return true;
            }
        }
        false
    }

    /// Ends a transaction without a word: an INVITE given up after its CANCEL.
    pub(crate) fn remove(&mut self, id: TransactionId) {
        let Some(slot) = self.slots.get_mut(id.index as usize) else {
            return;
        };
        if slot.generation != id.generation {
            return;
        }
        if let Some(transaction) = slot.transaction.take() {
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(id.index);
            self.by_key.remove(&transaction.key);
            if let Some(merge) = transaction.merge {
                self.by_merge.remove(&merge);
            }
        }
    }

    /// The transactions that use a flow that is gone, in the order of their slots: client ones that wait for an answer
    /// are ended and reported, the others live on for what comes over another flow.
    pub(crate) fn fail_flow(&mut self, flow: &Flow) -> Vec<(TransactionId, O)> {
        let waiting: Vec<TransactionId> = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| {
                let transaction = slot.transaction.as_ref().filter(|transaction| transaction.flow == *flow)?;
                let waits = match &transaction.machine {
                    Machine::InviteClient(machine) => machine.request().is_some(),
                    Machine::NonInviteClient(machine) => machine.is_open(),
                    Machine::InviteServer(_) | Machine::NonInviteServer(_) => false,
                };
                waits.then_some(TransactionId { index: index as u32, generation: slot.generation })
            })
            .collect();
        waiting
            .into_iter()
            .filter_map(|id| {
                let owner = self.get(id)?.owner;
                self.remove(id);
                Some((id, owner))
            })
            .collect()
    }

    /// Runs what is due until something is for the user; `None` when nothing more is due.
    pub(crate) fn fire(&mut self, now: Instant) -> Option<Rang<O>> {
        while let Some((at, wake)) = self.timers.pop(now) {
            let id = match wake {
                Wake::User(number) => return Some(Rang::User { number, at }),
                Wake::Transaction(id) => id,
            };
            let timing = self.timing;
            // Borrowed field by field: the timers re-queue the alarm of the transaction.
            let Some(transaction) = self
                .slots
                .get_mut(id.index as usize)
                .filter(|slot| slot.generation == id.generation)
                .and_then(|slot| slot.transaction.as_mut())
            else {
                continue;
            };
            if !self.timers.rings(now, at, &mut transaction.alarm, wake) {
                continue;
            }
            let fired = match &mut transaction.machine {
                Machine::InviteClient(machine) => machine.on_timer(now),
                Machine::InviteServer(machine) => machine.on_timer(now, &timing),
                Machine::NonInviteClient(machine) => machine.on_timer(now, &timing),
                Machine::NonInviteServer(machine) => machine.on_timer(now),
            };
            let (flow, owner) = (transaction.flow, transaction.owner);
            match fired {
                Fired::Nothing => self.rearm(id),
                Fired::Retransmit(bytes) => {
                    self.send(flow, bytes);
                    self.rearm(id);
                }
                Fired::Over => self.remove(id),
                Fired::Timeout => {
                    self.remove(id);
                    return Some(Rang::Timeout { id, owner });
                }
            }
        }
        None
    }

    /// Sets the alarm of one of the user's own things, called `number` in [`Rang::User`].
    pub(crate) fn wake_user(&mut self, alarm: &mut Alarm, number: u64, due: Option<Instant>) {
        self.timers.set(alarm, Wake::User(number), due);
    }

    /// True when the alarm reported as [`Rang::User`] is really due.
    pub(crate) fn user_rings(&mut self, now: Instant, at: Instant, alarm: &mut Alarm, number: u64) -> bool {
        self.timers.rings(now, at, alarm, Wake::User(number))
    }

    fn get(&self, id: TransactionId) -> Option<&Transaction<O>> {
        let slot = self.slots.get(id.index as usize)?;
        slot.transaction.as_ref().filter(|_| slot.generation == id.generation)
    }

    fn get_mut(&mut self, id: TransactionId) -> Option<&mut Transaction<O>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        slot.transaction.as_mut()
    }

    fn insert(&mut self, key: Key, merge: Option<Key>, flow: Flow, owner: O, machine: Machine) -> TransactionId {
        let transaction = Transaction { key, merge, flow, owner, machine, alarm: Alarm::default() };
        let id = match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                slot.transaction = Some(transaction);
                TransactionId { index, generation: slot.generation }
            }
            None => {
                let index = self.slots.len() as u32;
                self.slots.push(Slot { generation: 0, transaction: Some(transaction) });
                TransactionId { index, generation: 0 }
            }
        };
        self.by_key.insert(key, id);
        if let Some(merge) = merge {
            self.by_merge.insert(merge, id);
        }
        self.rearm(id);
        id
    }

    fn rearm(&mut self, id: TransactionId) {
        if let Some(slot) = self.slots.get_mut(id.index as usize)
            && slot.generation == id.generation
            && let Some(transaction) = &mut slot.transaction
        {
            let due = transaction.machine.deadline();
            self.timers.set(&mut transaction.alarm, Wake::Transaction(id), due);
        }
    }
}

/// A copy to keep for a while: a message as it was built has room for more, and one that was cut out of something holds on
/// to all of it.
fn to_keep(message: &Bytes) -> Bytes {
    Bytes::copy_from_slice(message)
}

#[cfg(test)]
mod tests;
