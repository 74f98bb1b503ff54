//! Subscriptions to what we know: the notifier's side of RFC 6665.
//!
//! A SUBSCRIBE comes up as [`Event::Request`]; the layer above decides and accepts it with [`Command::AcceptSubscription`].
//! From then on its dialog, refreshes, expiry and NOTIFYs are done here. What is told is asked for only when it can be sent:
//! [`Event::NotifyDue`] wants one [`Command::Notify`] with the state as it then is, so that however often the state changes
//! nothing queues up, and no version of it is left out.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::command::{Body, ExtraHeaders};
use super::compose::{Defaults, contact_scheme, contact_value, finish_request};
use super::event::Event;
use super::session::Received;
use super::{Owner, RequestId, SubscriptionId, Ua};
use crate::dialog::Dialog;
use crate::flow::Flow;
use crate::message::{Method, Name, Refusal, Request};
use crate::transaction::key::Key;
use crate::transaction::{Alarm, TransactionId};
use crate::uri::Uri;

/// Why a subscription ends, for those who might want another (RFC 6665 4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// It has not been refreshed.
    Timeout,
    /// Subscribe again, later: after the `retry_after` of [`UaConfig`](super::UaConfig).
    Probation,
    /// It is no longer allowed.
    Rejected,
    /// There is nothing any more to subscribe to.
    NoResource,
}

impl EndReason {
    fn as_str(self) -> &'static str {
        match self {
            EndReason::Timeout => "timeout",
            EndReason::Probation => "probation",
            EndReason::Rejected => "rejected",
            EndReason::NoResource => "noresource",
        }
    }
}

#[derive(Debug)]
pub(super) struct Subscription {
    dialog: Dialog,
    /// Value of our Contact.
    contact: Bytes,
    /// Value of Event, with the id of the subscriber.
    event: Bytes,
    expires_at: Instant,
    /// The state has changed since the last NOTIFY was asked for.
    changed: bool,
    /// A NOTIFY has been asked for and not been given.
    asked: bool,
    /// A NOTIFY without its answer.
    sent: Option<TransactionId>,
    /// No NOTIFY before, unless it is the last one.
    not_before: Instant,
    /// The next NOTIFY is the last one.
    ending: Option<EndReason>,
    alarm: Alarm,
}

impl Subscription {
    fn due(&self) -> Option<Instant> {
        if self.ending.is_some() {
            return None;
        }
        let waits = self.changed && !self.asked && self.sent.is_none();
        Some(if waits { self.expires_at.min(self.not_before) } else { self.expires_at })
    }
}

impl Ua {
    /// A number for [`Command::AcceptSubscription`].
    pub fn new_subscription(&mut self) -> SubscriptionId {
        self.last_id += 1;
        SubscriptionId(self.last_id)
    }

    pub(super) fn accept_subscription(&mut self, now: Instant, id: RequestId, new: SubscriptionId, seconds: u32) {
        // Forgotten meanwhile.
        let Some(asked) = self.asked.get(&id) else {
            return self.events.push_back(Event::SubscriptionEnded { subscription: new });
        };
        let dialog = Dialog::incoming(&asked.received.request, asked.to_tag.as_bytes(), asked.received.flow);
        let full = self.subscriptions.len() >= self.config.max_subscriptions;
        let Some(dialog) = dialog.filter(|_| !full) else {
            let refusal = if full { self.overload() } else { Refusal::new(400, "Missing Contact header") };
            let headers = refusal.headers.iter().map(|(name, value)| (name.as_str().into(), value.clone().into()));
            self.answer(now, id, refusal.code, Some(refusal.reason.to_owned()), headers.collect(), None);
            return self.events.push_back(Event::SubscriptionEnded { subscription: new });
        };
        let Some(asked) = self.asked.remove(&id) else {
            return;
        };
        let received = asked.received;
        let uri = received.request.uri().ok();
        let scheme = contact_scheme(&received.request, &received.flow);
        let contact = contact_value(uri.as_ref().and_then(Uri::user), &received.flow, scheme);
        self.grant(now, &received, &dialog.local_tag, seconds, &contact);
        self.subscription_dialogs.insert(self.keys.dialog(&dialog.call_id, &dialog.local_tag, &dialog.remote_tag), new);
        let subscription = Subscription {
            dialog,
            contact,
            event: Bytes::copy_from_slice(received.request.header(Name::Event).unwrap_or_default()),
            expires_at: now + Duration::from_secs(seconds.into()),
            changed: true,
            asked: false,
            sent: None,
            not_before: now,
            // RFC 6665 4.4.3: a subscription of no time is told once what there is.
            ending: (seconds == 0).then_some(EndReason::Timeout),
            alarm: Alarm::default(),
        };
        self.subscriptions.insert(new, Box::new(subscription));
        self.step_subscription(now, new);
    }

    /// The state that a subscription is to has changed.
    pub(super) fn subscription_changed(&mut self, now: Instant, id: SubscriptionId) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.changed = true;
            self.step_subscription(now, id);
        }
    }

    pub(super) fn end_subscription(&mut self, now: Instant, id: SubscriptionId, reason: EndReason) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.ending.get_or_insert(reason);
            self.step_subscription(now, id);
        }
    }

    /// Asks for the NOTIFY that is due, and sets the alarm for what is next.
    fn step_subscription(&mut self, now: Instant, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if now >= subscription.expires_at {
            subscription.ending.get_or_insert(EndReason::Timeout);
        }
        let wanted = subscription.ending.is_some() || subscription.changed && now >= subscription.not_before;
        if wanted && !subscription.asked && subscription.sent.is_none() {
            subscription.changed = false;
            subscription.asked = true;
            self.events.push_back(Event::NotifyDue { subscription: id });
        }
        let due = subscription.due();
        self.transactions.wake_user(&mut subscription.alarm, id.0, due);
    }

    /// The alarm `number` has rung.
    pub(super) fn subscription_timer(&mut self, now: Instant, number: u64, at: Instant) {
        let id = SubscriptionId(number);
        let rings = self
            .subscriptions
            .get_mut(&id)
            .is_some_and(|subscription| self.transactions.user_rings(now, at, &mut subscription.alarm, number));
        if rings {
            self.step_subscription(now, id);
        }
    }

    /// Sends the NOTIFY that was asked for.
    pub(super) fn notify(&mut self, now: Instant, id: SubscriptionId, body: Option<Body>) {
        let branch = self.branch();
        let Some(subscription) = self.subscriptions.get_mut(&id).filter(|subscription| subscription.asked) else {
            return;
        };
        let left = subscription.expires_at.saturating_duration_since(now).as_secs();
        let state = match subscription.ending {
            Some(EndReason::Probation) => {
                let seconds = self.config.retry_after.as_secs().max(1);
                format!("terminated;reason=probation;retry-after={seconds}")
            }
            Some(reason) => format!("terminated;reason={}", reason.as_str()),
            None => format!("active;expires={left}"),
        };
        let defaults = Defaults { config: &self.config, contact: Some(&subscription.contact), allow: false };
        let builder = subscription
            .dialog
            .request(Method::Notify, &branch, None)
            .header(Name::Event, &subscription.event)
            .header_display(Name::SubscriptionState, state);
        let request = finish_request(builder, &defaults, &ExtraHeaders::new(), body.as_ref());
        let (flow, last) = (subscription.dialog.flow, subscription.ending.is_some());
        if last {
            self.send_request(now, flow, request, Owner::Nobody);
            return self.forget_subscription(id);
        }
        let transaction = self.send_request(now, flow, request, Owner::Notified(id));
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.asked = false;
            subscription.sent = Some(transaction);
            subscription.not_before = now + self.config.notify_interval;
        }
        self.step_subscription(now, id);
    }

    /// A final answer to a NOTIFY, or `408` and `503` for none.
    pub(super) fn notified(&mut self, now: Instant, id: SubscriptionId, transaction: TransactionId, code: u16) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if code < 200 || subscription.sent != Some(transaction) {
            return;
        }
        subscription.sent = None;
        // RFC 6665 4.2.2: who does not take it does not want it any more. The transaction has done what retrying there is.
        if code >= 300 {
            return self.forget_subscription(id);
        }
        self.step_subscription(now, id);
    }

    fn forget_subscription(&mut self, id: SubscriptionId) {
        if let Some(Subscription { dialog, .. }) = self.subscriptions.remove(&id).as_deref() {
            let key = self.keys.dialog(&dialog.call_id, &dialog.local_tag, &dialog.remote_tag);
            self.subscription_dialogs.remove(&key);
            self.events.push_back(Event::SubscriptionEnded { subscription: id });
        }
    }

    pub(super) fn find_subscription(&self, request: &Request) -> Option<SubscriptionId> {
        let key = self.keys.dialog(
            request.call_id().unwrap_or_default(),
            request.to_tag().unwrap_or_default(),
            request.from_tag().unwrap_or_default(),
        );
        self.subscription_dialogs.get(&key).copied()
    }

    /// A request within the dialog of a subscription: only a SUBSCRIBE that refreshes or ends it has a place there.
    pub(super) fn resubscribed(
        &mut self,
        now: Instant,
        key: Key,
        id: SubscriptionId,
        request: &Request,
        flow: Flow,
        back: Flow,
    ) {
        let config = &self.config;
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let number = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
        subscription.dialog.follow(flow);
        let seconds = request.expires().ok().flatten().unwrap_or(config.subscribe_max).min(config.subscribe_max);
        let refusal = if !subscription.dialog.admits(number) {
            Some(Refusal::new(500, "CSeq out of order"))
        } else if *request.method() != Method::Subscribe {
            Some(Refusal::new(481, "Call/Transaction Does Not Exist"))
        } else if request.header(Name::Event) != Some(&subscription.event[..]) {
            // RFC 6665 4.5.2 would let dialogs be shared and says not to.
            Some(Refusal::new(403, "One Subscription In A Dialog"))
        } else if subscription.ending.is_some() {
            Some(Refusal::new(481, "Subscription Does Not Exist"))
        } else if seconds > 0 && seconds < config.subscribe_min {
            let mut refusal = Refusal::new(423, "Interval Too Brief");
            refusal.headers.push((Name::MinExpires, config.subscribe_min.to_string()));
            Some(refusal)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return self.refuse(now, key, request, flow, back, refusal);
        }
        subscription.dialog.refresh_by_request(request, flow);
        subscription.expires_at = now + Duration::from_secs(seconds.into());
        // RFC 6665 4.2.1.2: whoever refreshes is told the state; whoever leaves, for the last time.
        subscription.changed = true;
        subscription.not_before = now;
        let (contact, tag) = (subscription.contact.clone(), subscription.dialog.local_tag.clone());
        let transaction = self.transactions.open_server(now, key, None, request.method(), back, Owner::Nobody);
        let received = Received { transaction, request: request.clone(), flow };
        self.grant(now, &received, &tag, seconds, &contact);
        self.events.push_back(Event::SubscriptionRefreshed { subscription: id });
        self.step_subscription(now, id);
    }

    /// RFC 6665 4.2.1.1: the 2xx says for how long, and where we are.
    fn grant(&mut self, now: Instant, received: &Received, tag: &[u8], seconds: u32, contact: &Bytes) {
        let headers = vec![(Bytes::from_static(b"Expires"), seconds.to_string().into())];
        let octets = self.compose_response(received, Some(tag), 200, None, Some(contact), &headers, None);
        self.transactions.respond(now, received.transaction, 200, octets);
    }
}
