//! REGISTER: authenticated by the router, kept by the registrar.

use std::time::Instant;

use chrono::Utc;
use opentact_sip::flow::Flow;
use opentact_sip::message::Request;
use opentact_sip::registrar::{Change, Registrar};
use opentact_sip::ua::RequestId;

use super::{Core, Message};
use crate::ports;
use crate::router::{Inquiry, Registration};

/// A REGISTER whose user is being checked.
pub(super) struct Registering {
    request: Request,
    flow: Flow,
}

impl Core {
    pub(super) fn on_register(&mut self, id: RequestId, request: Request, flow: Flow) {
        let Some(inquiry) = Inquiry::of(&request, flow) else { return self.respond(id, 400, Vec::new()) };
        self.registering.insert(id, Registering { request, flow });
        let router = self.drivers.router.clone();
        self.spawn(async move { Message::Registered { id, registration: router.register(inquiry).await } });
    }

    pub(super) fn on_registered(&mut self, id: RequestId, registration: Registration) {
        let Some(Registering { request, flow }) = self.registering.remove(&id) else { return };
        match registration {
            Registration::Challenge(values) => {
                let headers = values.into_iter().map(|value| ("WWW-Authenticate".into(), value.into())).collect();
                self.respond(id, 401, headers);
            }
            Registration::Refuse(refusal) => self.respond(id, refusal.code, Vec::new()),
            Registration::Accept { sip_user, aor } => {
                match self.registrar.register(Instant::now(), &aor, &request, flow) {
                    Ok(headers) => {
                        self.registered.insert(sip_user, aor);
                        self.respond(id, 200, headers);
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
        while let Some(changed) = self.registrar.poll() {
            let change = match changed.change {
                Change::Registered => "registered",
                Change::Refreshed => continue,
                Change::Unregistered => "unregistered",
                Change::Expired => "expired",
                Change::FlowLost => "flow lost",
            };
            let contact = changed.binding.contact.as_str();
            tracing::info!(aor = %changed.aor, contact, remote = %changed.binding.flow.remote, change, "registration");
        }
        metrics::gauge!("opentact_sip_registrations").set(self.registrar.len() as f64);
        if self.registrar.is_empty() {
            self.registered.clear();
        }
    }
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
