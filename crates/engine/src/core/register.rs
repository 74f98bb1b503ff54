//! REGISTER: authenticated by the router, kept by the registrar.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use opentact_sip::flow::Flow;
use opentact_sip::message::Request;
use opentact_sip::registrar::{Change, Registrar};
use opentact_sip::ua::RequestId;
use opentact_store::registrations::Registration as StoredRegistration;
use uuid::Uuid;

use super::reason::retry_after;
use super::{Core, Message};
use crate::bindings::{self, Haste, Moment};
use crate::ports;
use crate::router::{Inquiry, Package, Registration};
use crate::transport::Transports;

/// A REGISTER whose user is being checked.
pub(super) struct Registering {
    request: Request,
    flow: Flow,
}

/// REGISTERs checked at once; a further one is answered 503. A registration that waits longer than it takes to check so
/// many is sent again by its phone.
const MAX_REGISTERING: usize = 4_096;

/// The addresses of record of SIP users who have a contact.
#[derive(Default)]
pub(crate) struct Registered {
    addresses: HashMap<Uuid, String>,
    users: HashMap<String, Uuid>,
}

impl Registered {
    pub(super) fn address(&self, sip_user: Uuid) -> Option<&str> {
        self.addresses.get(&sip_user).map(String::as_str)
    }

    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    fn user(&self, aor: &str) -> Option<Uuid> {
        self.users.get(aor).copied()
    }

    /// Returns the address the user had before, where it is another.
    pub(crate) fn insert(&mut self, sip_user: Uuid, aor: String) -> Option<String> {
        if let Some(former) = self.users.insert(aor.clone(), sip_user).filter(|former| *former != sip_user) {
            self.addresses.remove(&former);
        }
        let former = self.addresses.insert(sip_user, aor.clone()).filter(|former| *former != aor)?;
        self.users.remove(&former);
        Some(former)
    }

    fn remove(&mut self, aor: &str) {
        if let Some(user) = self.users.remove(aor) {
            self.addresses.remove(&user);
        }
    }
}

impl Core {
    pub(super) fn on_register(&mut self, id: RequestId, request: Request, flow: Flow) {
        let Some(inquiry) = Inquiry::of(&request, flow) else { return self.respond(id, 400, Vec::new()) };
        if self.registering.len() >= MAX_REGISTERING {
            metrics::counter!("opentact_registers_refused_total").increment(1);
            return self.respond(id, 503, vec![retry_after()]);
        }
        self.registering.insert(id, Registering { request, flow });
        let router = self.drivers.router.clone();
        self.spawn_near(async move { Message::Registered { id, registration: router.register(inquiry).await } });
    }

    pub(super) fn on_registered(&mut self, id: RequestId, registration: Registration) {
        let Some(Registering { request, flow }) = self.registering.remove(&id) else { return };
        match registration {
            Registration::Challenge(values) => {
                let headers = values.into_iter().map(|value| ("WWW-Authenticate".into(), value.into())).collect();
                self.respond(id, 401, headers);
            }
            Registration::Refuse(refusal) => {
                let headers = if refusal.code == 503 { vec![retry_after()] } else { Vec::new() };
                self.respond(id, refusal.code, headers);
            }
            Registration::Accept { sip_user, aor } => {
                if self.registered.user(&aor).is_some_and(|former| former != sip_user) {
                    // Another user had the name and has lost it: what rang there is not this user's.
                    self.registrar.remove(&aor);
                    self.drain_registrar();
                }
                match self.registrar.register(Instant::now(), &aor, &request, flow) {
                    Ok(headers) => {
                        if !self.registrar.lookup(Instant::now(), &aor).is_empty()
                            && let Some(former) = self.registered.insert(sip_user, aor)
                        {
                            // The user has been given another login.
                            self.registrar.remove(&former);
                        }
                        self.respond(id, 200, headers);
                        self.bring_messages(sip_user);
                    }
                    Err(refusal) => {
                        let headers =
                            refusal.headers.iter().map(|(name, value)| (name.as_str().into(), value.clone().into()));
                        self.respond(id, refusal.code, headers.collect());
                    }
                }
                self.drain_registrar();
            }
        }
    }

    pub(super) fn expire_bindings(&mut self, now: Instant) {
        self.registrar.tick(now);
        self.drain_registrar();
    }

    pub(super) fn drain_registrar(&mut self) {
        let mut changes: HashMap<_, Haste> = HashMap::new();
        while let Some(changed) = self.registrar.poll() {
            let change = match changed.change {
                Change::Registered => "registered",
                Change::Refreshed => "refreshed",
                Change::Moved => "moved",
                Change::Unregistered => "unregistered",
                Change::Expired => "expired",
                Change::FlowLost => "flow lost",
            };
            if matches!(changed.change, Change::Registered | Change::Refreshed | Change::Moved) {
                self.open_ways.note(Instant::now(), &changed.aor, &changed.binding);
            }
            let haste = changes.entry(changed.aor.clone()).or_default();
            if changed.change != Change::Refreshed {
                *haste = Haste::Soon;
                let contact = changed.binding.contact.as_str();
                let remote = changed.binding.flow.remote;
                tracing::info!(aor = %changed.aor, contact, %remote, change, "registration");
            }
        }
        for (aor, haste) in changes {
            self.keep_bindings(&aor, haste);
        }
    }

    /// Has what an address has now written down.
    fn keep_bindings(&mut self, aor: &str, haste: Haste) {
        // An address that was its user's before has nobody; the user's rows are those of the new one.
        let Some(sip_user) = self.registered.user(aor) else { return };
        self.tell_watchers(Package::Registration, sip_user);
        let now = Moment::now();
        let bindings = self.registrar.lookup(now.instant, aor);
        for binding in &bindings {
            self.drivers.transports.registered(binding.flow.remote.ip(), binding.expires_at);
        }
        self.drivers.bindings.leave(sip_user, bindings::rows(now, sip_user, aor, &bindings), haste);
        if bindings.is_empty() {
            self.registered.remove(aor);
        }
    }
}

/// Takes back the contacts of an earlier run that can still be reached.
pub(crate) fn restore(
    rows: &[StoredRegistration],
    registrar: &mut Registrar,
    transports: &Arc<Transports>,
) -> Registered {
    let now = Moment::now();
    let mut registered = Registered::default();
    let mut restored = 0;
    for row in rows {
        let Some(binding) = bindings::binding(now, transports, row) else { continue };
        transports.registered(binding.flow.remote.ip(), binding.expires_at);
        if registered.user(&row.aor).is_none_or(|user| user == row.sip_user)
            && registrar.restore(now.instant, &row.aor, binding)
        {
            registered.insert(row.sip_user, row.aor.clone());
            restored += 1;
        }
    }
    if !rows.is_empty() {
        tracing::info!(restored, dropped = rows.len() - restored, "registrations of the last run");
    }
    registered
}

/// What an address of record has registered, as the API shows it.
pub(super) fn registrations(registrar: &Registrar, aor: &str) -> Vec<ports::Registration> {
    let now = Instant::now();
    let bindings = registrar.lookup(now, aor).into_iter();
    bindings
        .map(|binding| ports::Registration {
            contact: binding.contact.as_str().to_owned(),
            user_agent: binding.user_agent.as_deref().unwrap_or_default().to_owned(),
            transport: match binding.flow.transport.uri_parameter() {
                Some(name) => name,
                None => "udp",
            },
            expires_on: Utc::now() + binding.expires_at.saturating_duration_since(now),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_address_and_an_address_one_user() {
        let (anna, berta) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut registered = Registered::default();
        assert_eq!(registered.insert(anna, "a@x".to_owned()), None);
        assert_eq!(registered.insert(anna, "b@x".to_owned()).as_deref(), Some("a@x"));
        registered.remove("a@x");
        assert_eq!(registered.address(anna), Some("b@x"));
        assert_eq!(registered.insert(berta, "b@x".to_owned()), None);
        assert_eq!((registered.address(anna), registered.address(berta)), (None, Some("b@x")));
        registered.remove("b@x");
        assert_eq!((registered.len(), registered.users.len()), (0, 0));
    }
}
