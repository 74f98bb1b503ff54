//! The registrar: which contacts an address of record has at the moment (RFC 3261 10.3, RFC 3327, RFC 5626).
//!
//! Who may register what is not known here: whoever calls [`Registrar::register`] has checked the digest and gives the
//! address of record in one spelling. Bindings live in memory; whoever wants them to outlive it keeps what
//! [`Registrar::poll`] tells and gives it to [`Registrar::restore`].

mod binding;
mod outbound;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;

pub use self::binding::Binding;
use self::binding::Wish;
use crate::flow::Flow;
use crate::message::{Name, Refusal, Request};

/// Octets one binding may take.
const MAX_BINDING: usize = 2_048;

/// Entries in the queue of expiries beyond two an address before it is swept.
const SLACK: usize = 1_024;

/// Limits of a registrar.
#[derive(Debug, Clone)]
pub struct RegistrarConfig {
    /// Seconds; below it a registration is refused with 423.
    pub min_expires: u32,
    /// Seconds for a registration that names none.
    pub default_expires: u32,
    /// Seconds; a longer wish is cut to it.
    pub max_expires: u32,
    /// Contacts of one address; one more is refused with 403.
    pub max_contacts: usize,
    /// Bindings at once; one more is refused with 503.
    pub max_bindings: usize,
}

impl Default for RegistrarConfig {
    fn default() -> RegistrarConfig {
        RegistrarConfig {
            min_expires: 60,
            default_expires: 3_600,
            max_expires: 7_200,
            max_contacts: 10,
            max_bindings: 1_000_000,
        }
    }
}

/// What became of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Registered,
    /// Only its time is another.
    Refreshed,
    /// Known already, and reached another way now.
    Moved,
    Unregistered,
    Expired,
    /// The connection it came over has ended.
    FlowLost,
}

/// A change of one binding, see [`Registrar::poll`].
#[derive(Debug, Clone)]
pub struct Changed {
    pub aor: Arc<str>,
    pub change: Change,
    pub binding: Binding,
}

#[derive(Debug, Default)]
struct Entry {
    bindings: SmallVec<[Binding; 1]>,
    /// Earliest entry of this address in the queue of expiries.
    queued: Option<Instant>,
}

/// Bindings of any number of addresses of record.
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    entries: HashMap<Arc<str>, Entry>,
    bindings: usize,
    /// About one entry an address; it may come up too early and is then put back.
    expiries: BinaryHeap<Reverse<(Instant, Arc<str>)>>,
    /// Addresses with a binding over a connection.
    by_connection: HashMap<u64, SmallVec<[Arc<str>; 1]>>,
    changes: VecDeque<Changed>,
}

impl Registrar {
    pub fn new(config: RegistrarConfig) -> Registrar {
        Registrar {
            config,
            entries: HashMap::new(),
            bindings: 0,
            expiries: BinaryHeap::new(),
            by_connection: HashMap::new(),
            changes: VecDeque::new(),
        }
    }

    /// Bindings at the moment; those that have just expired count until the next [`Registrar::tick`].
    pub fn len(&self) -> usize {
        self.bindings
    }

    pub fn is_empty(&self) -> bool {
        self.bindings == 0
    }

    /// All of them, in no order, with the addresses of record that they are of.
    pub fn bindings(&self) -> impl Iterator<Item = (&Arc<str>, &Binding)> {
        self.entries.iter().flat_map(|(aor, entry)| entry.bindings.iter().map(move |binding| (aor, binding)))
    }

    /// Takes back a binding of an earlier run, of which nothing is told. False when it has expired or a limit forbids it.
    pub fn restore(&mut self, now: Instant, aor: &str, binding: Binding) -> bool {
        let known = self.entries.get(aor).map_or(0, |entry| entry.bindings.len());
        let full = known >= self.config.max_contacts || self.bindings >= self.config.max_bindings;
        if full || binding.expires_at <= now {
            return false;
        }
        let aor = self.address(aor);
        self.note_connection(&aor, &binding.flow);
        self.entries.entry(aor.clone()).or_default().bindings.push(binding);
        self.bindings += 1;
        self.queue(&aor);
        true
    }

    /// Carries out a REGISTER that may change `aor`: all of it or nothing. Returns the headers of the 200: all contacts
    /// the address has now, the path, and what outbound asks for. A REGISTER without Contact only asks.
    pub fn register(
        &mut self,
        now: Instant,
        aor: &str,
        request: &Request,
        flow: Flow,
    ) -> Result<Vec<(Bytes, Bytes)>, Refusal> {
        self.tick(now);
        let mut outbound = Vec::new();
        if request.headers().contact_star() {
            self.unregister_all(aor, request)?;
        } else {
            let wishes = self.wishes(now, request, flow)?;
            self.check(aor, request, &wishes)?;
            if wishes.iter().any(Wish::is_outbound) {
                outbound::check_first_hop(request)?;
                outbound = outbound::headers(&flow);
            }
            for wish in wishes {
                self.carry_out(now, aor, wish);
            }
        }
        let contacts = self.entries.get(aor).into_iter().flat_map(|entry| &entry.bindings);
        let gruu = request.headers().lists(Name::Supported, "gruu").then_some(aor);
        let contacts = contacts.map(|binding| (Bytes::from_static(b"Contact"), binding.to_contact(now, gruu)));
        // RFC 3327 5.3: the path that was taken is shown to the user agent.
        let path = request.headers().values(Name::Path);
        let path = path.map(|route| (Bytes::from_static(b"Path"), Bytes::copy_from_slice(route)));
        Ok(contacts.chain(path).chain(outbound).collect())
    }

    /// The live contacts of an address, the preferred ones first, among equals the youngest.
    pub fn lookup(&self, now: Instant, aor: &str) -> Vec<&Binding> {
        let mut found: Vec<&Binding> = self
            .entries
            .get(aor)
            .into_iter()
            .flat_map(|entry| &entry.bindings)
            .filter(|binding| binding.expires_at > now)
            .collect();
        found.sort_by_key(|binding| (Reverse(binding.q), Reverse(binding.since)));
        found
    }

    /// Removes every binding of an address: its user is no more.
    pub fn remove(&mut self, aor: &str) {
        self.take(aor, Change::Unregistered, |_| true);
    }

    /// Removes what came over a connection that has ended: nothing leads there any more (RFC 5626 5.3).
    pub fn forget_flow(&mut self, flow: &Flow) {
        if !flow.is_reliable() {
            return;
        }
        for aor in self.by_connection.remove(&flow.connection).unwrap_or_default() {
            self.take(&aor, Change::FlowLost, |binding| binding.flow == *flow);
        }
    }

    /// Removes what has expired by `now`.
    pub fn tick(&mut self, now: Instant) {
        while let Some(Reverse((at, aor))) = self.expiries.peek() {
            if *at > now {
                return;
            }
            let (at, aor) = (*at, aor.clone());
            self.expiries.pop();
            match self.entries.get_mut(&aor) {
                Some(entry) if entry.queued == Some(at) => entry.queued = None,
                _ => continue,
            }
            self.take(&aor, Change::Expired, |binding| binding.expires_at <= now);
            self.queue(&aor);
        }
    }

    /// When `tick` is due at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.expiries.peek().map(|Reverse((at, _))| *at)
    }

    /// What has changed, in order; to be drained after every other call.
    pub fn poll(&mut self) -> Option<Changed> {
        self.changes.pop_front()
    }

    /// RFC 3261 10.3 step 6: `Contact: *` stands with `Expires: 0`.
    fn unregister_all(&mut self, aor: &str, request: &Request) -> Result<(), Refusal> {
        if request.expires() != Ok(Some(0)) {
            return Err(Refusal::new(400, "Contact * without Expires: 0"));
        }
        let entry = self.entries.get(aor);
        if entry.is_some_and(|entry| !entry.bindings.iter().all(|binding| binding.admits(request))) {
            return Err(out_of_order());
        }
        self.take(aor, Change::Unregistered, |_| true);
        Ok(())
    }

    /// What the Contacts of a REGISTER ask for, with the terms this registrar sets.
    fn wishes(&self, now: Instant, request: &Request, flow: Flow) -> Result<Vec<Wish>, Refusal> {
        let general = request.expires()?;
        let mut wishes = Vec::new();
        for contact in request.contacts() {
            let contact = contact?;
            // RFC 3261 10.2.1.1: the parameter goes before the header.
            let own = contact.param("expires").and_then(|seconds| seconds.parse().ok());
            let wanted: u32 = own.or(general).unwrap_or(self.config.default_expires);
            if wanted > 0 && wanted < self.config.min_expires {
                let mut refusal = Refusal::new(423, "Interval Too Brief");
                refusal.headers.push((Name::MinExpires, self.config.min_expires.to_string()));
                return Err(refusal);
            }
            let expires = wanted.min(self.config.max_expires);
            let mut binding = Binding::read(&contact, request, now, flow);
            binding.expires_at = now + Duration::from_secs(u64::from(expires));
            if binding.size() > MAX_BINDING {
                return Err(Refusal::new(400, "Contact too long"));
            }
            wishes.push(Wish { binding, expires });
            if wishes.len() > self.config.max_contacts {
                return Err(too_many());
            }
        }
        Ok(wishes)
    }

    /// Whether all of it can be done.
    fn check(&self, aor: &str, request: &Request, wishes: &[Wish]) -> Result<(), Refusal> {
        let bindings = self.entries.get(aor).map(|entry| &entry.bindings[..]).unwrap_or_default();
        let mut new = 0;
        for wish in wishes {
            match bindings.iter().find(|binding| binding.is_replaced_by(&wish.binding)) {
                Some(known) if !known.admits(request) => return Err(out_of_order()),
                Some(_) => {}
                None => new += usize::from(wish.expires > 0),
            }
        }
        if new > 0 && bindings.len() + new > self.config.max_contacts {
            return Err(too_many());
        }
        if new > 0 && self.bindings + new > self.config.max_bindings {
            let mut refusal = Refusal::new(503, "Service Unavailable");
            refusal.headers.push((Name::RetryAfter, self.config.min_expires.max(1).to_string()));
            return Err(refusal);
        }
        Ok(())
    }

    fn carry_out(&mut self, now: Instant, aor: &str, wish: Wish) {
        let Wish { mut binding, expires } = wish;
        if expires == 0 {
            self.take(aor, Change::Unregistered, |known| known.is_replaced_by(&binding));
            return;
        }
        let aor = self.address(aor);
        self.note_connection(&aor, &binding.flow);
        let entry = self.entries.entry(aor.clone()).or_default();
        let change = match entry.bindings.iter_mut().find(|known| known.is_replaced_by(&binding)) {
            Some(known) => {
                binding.since = known.since;
                let same =
                    (&known.contact, &known.flow, &known.path) == (&binding.contact, &binding.flow, &binding.path);
                *known = binding.clone();
                if same { Change::Refreshed } else { Change::Moved }
            }
            None => {
                binding.since = now;
                entry.bindings.push(binding.clone());
                self.bindings += 1;
                Change::Registered
            }
        };
        self.changes.push_back(Changed { aor: aor.clone(), change, binding });
        self.queue(&aor);
    }

    /// The one allocation of an address that is known, or a new one.
    fn address(&self, aor: &str) -> Arc<str> {
        match self.entries.get_key_value(aor) {
            Some((aor, _)) => aor.clone(),
            None => aor.into(),
        }
    }

    /// Remembers what the end of a connection ends.
    fn note_connection(&mut self, aor: &Arc<str>, flow: &Flow) {
        if flow.is_reliable() {
            let addresses = self.by_connection.entry(flow.connection).or_default();
            if !addresses.contains(aor) {
                addresses.push(aor.clone());
            }
        }
    }

    /// Removes bindings of an address, and the address with its last one.
    fn take(&mut self, aor: &str, change: Change, mut which: impl FnMut(&Binding) -> bool) {
        let Some(aor) = self.entries.get_key_value(aor).map(|(aor, _)| aor.clone()) else {
            return;
        };
        let Some(entry) = self.entries.get_mut(&aor) else {
            return;
        };
        let before = entry.bindings.len();
        let changes = &mut self.changes;
        entry.bindings.retain(|binding| {
            let gone = which(binding);
            if gone {
                changes.push_back(Changed { aor: aor.clone(), change, binding: binding.clone() });
            }
            !gone
        });
        self.bindings -= before - entry.bindings.len();
        if entry.bindings.is_empty() {
            self.entries.remove(&aor);
        }
    }

    /// Sees to it that the queue wakes us for the first expiry of an address.
    fn queue(&mut self, aor: &Arc<str>) {
        let Some(entry) = self.entries.get_mut(aor) else {
            return;
        };
        let Some(first) = entry.bindings.iter().map(|binding| binding.expires_at).min() else {
            return;
        };
        if entry.queued.is_none_or(|queued| first < queued) {
            entry.queued = Some(first);
            self.expiries.push(Reverse((first, aor.clone())));
        }
        // Whoever registers and unregisters without end leaves entries behind that nobody waits for.
        if self.expiries.len() > 2 * self.entries.len() + SLACK {
            let entries = &self.entries;
            self.expiries.retain(|Reverse((at, aor))| entries.get(aor).is_some_and(|entry| entry.queued == Some(*at)));
        }
    }
}

fn out_of_order() -> Refusal {
    Refusal::new(500, "CSeq out of order")
}

fn too_many() -> Refusal {
    Refusal::new(403, "Too Many Contacts")
}

#[cfg(test)]
mod tests;
