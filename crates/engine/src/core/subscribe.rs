//! SUBSCRIBE (RFC 6665): the calls, messages and contacts of SIP users, told to those who may know.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use bytes::Bytes;
use opentact_call::{CallState, Direction, LegId, LegSnapshot};
use opentact_sip::flow::Flow;
use opentact_sip::message::{Name, Request};
use opentact_sip::ua::{Body, Command, EndReason, RequestId, SubscriptionId};
use uuid::Uuid;

use super::leg::{Leg, Role};
use super::reason::retry_after;
use super::watched::{self, Lamp};
use super::{Core, Message};
use crate::router::{Inquiry, Package, Watch, WatchAdmission};

/// In Allow-Events of 489.
pub(super) const EVENTS: Bytes = Bytes::from_static(b"dialog, message-summary, reg");
/// SUBSCRIBEs checked at once; a further one is answered 503.
const MAX_ARRIVING: usize = 4_096;

/// Limits of subscriptions that are not the user agent's.
#[derive(Debug, Clone)]
pub struct SubscribeConfig {
    /// Subscriptions at once; a further one is answered 503.
    pub max: usize,
    /// Subscriptions of one user; a further one is refused with 403.
    pub max_per_user: usize,
    /// Seconds; a shorter subscription is refused with 423.
    pub min_expires: u32,
    /// Seconds; a longer one is cut to it, and one that does not say how long gets it.
    pub max_expires: u32,
    /// Least time between two NOTIFYs of a subscription.
    pub interval: std::time::Duration,
}

impl Default for SubscribeConfig {
    fn default() -> Self {
        let interval = std::time::Duration::from_secs(1);
        Self { max: 10_000, max_per_user: 100, min_expires: 60, max_expires: 3_600, interval }
    }
}

/// What has become of work for a subscription that was done beside the core.
pub(crate) enum WatchStep {
    Admitted {
        id: RequestId,
        package: Package,
        admission: WatchAdmission,
    },
    /// Messages that wait, `None` where that cannot be read.
    Counted {
        subscription: SubscriptionId,
        count: Option<u64>,
    },
    /// Whether a subscription may go on, see [`Router::still_watches`](crate::router::Router::still_watches).
    Checked {
        subscription: SubscriptionId,
        may: Option<bool>,
    },
}

struct Watching {
    watch: Watch,
    package: Package,
    /// Of the next document.
    version: u32,
}

#[derive(Default)]
pub(super) struct Subscriptions {
    /// Being checked, with the seconds wanted.
    arriving: HashMap<RequestId, u32>,
    watching: HashMap<SubscriptionId, Watching>,
    watchers: HashMap<(Package, Uuid), HashSet<SubscriptionId>>,
    /// How many each user has.
    of: HashMap<Uuid, usize>,
    /// The calls of SIP users.
    lamps: HashMap<Uuid, BTreeMap<LegId, Lamp>>,
}

impl Subscriptions {
    pub(super) fn arriving(&self) -> usize {
        self.arriving.len()
    }

    pub(super) fn lamps(&self) -> usize {
        self.lamps.len()
    }

    fn forget(&mut self, subscription: SubscriptionId) {
        let Some(Watching { watch, package, .. }) = self.watching.remove(&subscription) else { return };
        let key = (package, watch.watched);
        if let Some(watchers) = self.watchers.get_mut(&key) {
            watchers.remove(&subscription);
            if watchers.is_empty() {
                self.watchers.remove(&key);
            }
        }
        if let Some(count) = self.of.get_mut(&watch.watcher) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&watch.watcher);
            }
        }
    }
}

impl Core {
    pub(super) fn on_subscribe(&mut self, id: RequestId, request: &Request, flow: Flow) {
        let config = &self.config.subscribe;
        let package = request.header(Name::Event).and_then(|event| {
            let name = event.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
            match name {
                b"dialog" => Some(Package::Dialog),
                b"message-summary" => Some(Package::MessageSummary),
                b"reg" => Some(Package::Registration),
                _ => None,
            }
        });
        let Some(package) = package else {
            return self.respond(id, 489, vec![(Bytes::from_static(b"Allow-Events"), EVENTS)]);
        };
        if !accepts(request, watched::content_type(package)) {
            return self.respond(id, 406, Vec::new());
        }
        let seconds = request.expires().ok().flatten().unwrap_or(config.max_expires).min(config.max_expires);
        if seconds > 0 && seconds < config.min_expires {
            let least = config.min_expires.to_string();
            return self.respond(id, 423, vec![(Bytes::from_static(b"Min-Expires"), least.into())]);
        }
        if self.draining || self.subscriptions.arriving.len() >= MAX_ARRIVING {
            return self.respond(id, 503, vec![retry_after()]);
        }
        let Some(inquiry) = Inquiry::of(request, flow) else { return self.respond(id, 400, Vec::new()) };
        self.subscriptions.arriving.insert(id, seconds);
        let router = self.drivers.router.clone();
        self.spawn(async move {
            let admission = router.admit_watch(inquiry, package).await;
            Message::Watch(WatchStep::Admitted { id, package, admission })
        });
    }

    pub(super) fn on_watch_step(&mut self, step: WatchStep) {
        match step {
            WatchStep::Admitted { id, package, admission } => self.on_watch_admitted(id, package, admission),
            WatchStep::Counted { subscription, count } => {
                let watching = self.subscriptions.watching.get(&subscription);
                let summary = |count| watching.map(|one| watched::message_summary(&one.watch.address, count));
                let body = count.and_then(summary);
                self.notify(subscription, Package::MessageSummary, body);
            }
            WatchStep::Checked { may: Some(true), .. } => {}
            WatchStep::Checked { subscription, may } => {
                let reason = if may.is_none() { EndReason::NoResource } else { EndReason::Rejected };
                self.command(Command::EndSubscription { subscription, reason });
            }
        }
    }

    fn on_watch_admitted(&mut self, id: RequestId, package: Package, admission: WatchAdmission) {
        let Some(seconds) = self.subscriptions.arriving.remove(&id) else { return };
        let watch = match admission {
            WatchAdmission::Challenge(values) => {
                let headers = values.into_iter().map(|value| ("WWW-Authenticate".into(), value.into())).collect();
                return self.respond(id, 401, headers);
            }
            WatchAdmission::Refuse(refusal) => {
                let headers = if refusal.code == 503 { vec![retry_after()] } else { Vec::new() };
                return self.respond_because(id, refusal.code, Some(refusal.reason.to_owned()), headers);
            }
            WatchAdmission::Accept(watch) => watch,
        };
        let subscriptions = &mut self.subscriptions;
        if subscriptions.of.get(&watch.watcher).is_some_and(|count| *count >= self.config.subscribe.max_per_user) {
            return self.respond_because(id, 403, Some("Too Many Subscriptions".to_owned()), Vec::new());
        }
        let subscription = self.ua.new_subscription();
        *subscriptions.of.entry(watch.watcher).or_default() += 1;
        subscriptions.watchers.entry((package, watch.watched)).or_default().insert(subscription);
        subscriptions.watching.insert(subscription, Watching { watch, package, version: 0 });
        self.command(Command::AcceptSubscription { id, subscription, seconds });
    }

    pub(super) fn on_subscription_ended(&mut self, subscription: SubscriptionId) {
        self.subscriptions.forget(subscription);
    }

    /// What was allowed when it was made may not be any more.
    pub(super) fn on_subscription_refreshed(&mut self, subscription: SubscriptionId) {
        let Some(Watching { watch, package, .. }) = self.subscriptions.watching.get(&subscription) else { return };
        let (watch, package, router) = (watch.clone(), *package, self.drivers.router.clone());
        self.spawn(async move {
            let may = router.still_watches(&watch, package).await;
            Message::Watch(WatchStep::Checked { subscription, may })
        });
    }

    /// A NOTIFY can be sent: it says what is so now.
    pub(super) fn on_notify_due(&mut self, subscription: SubscriptionId) {
        let Some(Watching { watch, package, version }) = self.subscriptions.watching.get_mut(&subscription) else {
            return;
        };
        let (watch, package, number) = (watch.clone(), *package, *version);
        *version += 1;
        let body = match package {
            Package::MessageSummary => {
                let mailroom = self.drivers.mailroom.clone();
                self.spawn(async move {
                    let count = mailroom.waiting(watch.watched).await;
                    if let Err(error) = &count {
                        tracing::error!(%error, "messages that wait cannot be counted");
                    }
                    Message::Watch(WatchStep::Counted { subscription, count: count.ok() })
                });
                return;
            }
            Package::Dialog => {
                let lamps = self.subscriptions.lamps.get(&watch.watched).into_iter().flatten();
                let lamps = lamps.map(|(leg, lamp)| (*leg, lamp, self.dialog_of(*leg)));
                watched::dialog_info(&watch.address, number, lamps)
            }
            Package::Registration => {
                let aor = self.registered.address(watch.watched).unwrap_or_default();
                let now = Instant::now();
                watched::reginfo(&watch.address, number, now, &self.registrar.lookup(now, aor))
            }
        };
        self.notify(subscription, package, Some(body));
    }

    fn notify(&mut self, subscription: SubscriptionId, package: Package, document: Option<String>) {
        let content_type = Bytes::from_static(watched::content_type(package).as_bytes());
        let body = document.map(|document| -> Body { (content_type, document.into()) });
        self.command(Command::Notify { subscription, body });
    }

    /// Something of a user has changed.
    pub(super) fn tell_watchers(&mut self, package: Package, user: Uuid) {
        let watchers = self.subscriptions.watchers.get(&(package, user));
        let watchers: Vec<SubscriptionId> = watchers.into_iter().flatten().copied().collect();
        for subscription in watchers {
            self.command(Command::SubscriptionChanged { subscription });
        }
    }

    /// The node ends: whoever watches comes again later.
    pub(super) fn end_subscriptions(&mut self) {
        let all: Vec<SubscriptionId> = self.subscriptions.watching.keys().copied().collect();
        for subscription in all {
            self.command(Command::EndSubscription { subscription, reason: EndReason::Probation });
        }
    }

    /// A leg has reached a state: where it is a phone of a SIP user, that user's lamp shows it.
    pub(super) fn light(&mut self, snapshot: &LegSnapshot) {
        let Some(Leg { context, .. }) = self.legs.get(&snapshot.leg) else { return };
        let user = match snapshot.direction {
            // Only who calls as a user calls from a domain; else the user is the one who is called.
            Direction::In => context.sip_user.filter(|_| context.domain.is_some()),
            // Until it is routed it has the context of who dials.
            Direction::Out => context.sip_user.filter(|_| snapshot.state != CallState::Init),
        };
        let Some(user) = user else { return };
        match snapshot.state {
            // It goes out with the leg.
            CallState::Destroyed => {}
            CallState::Hangup => {
                let lamp = self.subscriptions.lamps.get_mut(&user).and_then(|lamps| lamps.get_mut(&snapshot.leg));
                if let Some(lamp) = lamp {
                    lamp.state = CallState::Hangup;
                    self.tell_watchers(Package::Dialog, user);
                }
            }
            state => {
                let remote = match snapshot.direction {
                    Direction::In => &snapshot.to,
                    Direction::Out => &snapshot.from,
                };
                let lamp = Lamp { state, direction: snapshot.direction, remote: remote.clone() };
                self.subscriptions.lamps.entry(user).or_default().insert(snapshot.leg, lamp);
                self.tell_watchers(Package::Dialog, user);
            }
        }
    }

    /// A leg is gone, and its lamp with it, whether its machine could say so or not.
    pub(super) fn unlight(&mut self, leg: &Leg) {
        let Some(user) = leg.context.sip_user else { return };
        let Some(lamps) = self.subscriptions.lamps.get_mut(&user) else { return };
        if let Some(lamp) = lamps.remove(&leg.id)
            && lamp.state != CallState::Hangup
        {
            self.tell_watchers(Package::Dialog, user);
        }
        if self.subscriptions.lamps.get(&user).is_some_and(BTreeMap::is_empty) {
            self.subscriptions.lamps.remove(&user);
        }
    }

    /// Call-ID, local and remote tag of a leg's dialog as its phone knows it. `None` where several phones ring.
    fn dialog_of(&self, leg: LegId) -> Option<[String; 3]> {
        let session = match &self.legs.get(&leg)?.role {
            Role::Inbound(inbound) => inbound.session,
            Role::Outbound(outbound) => match (outbound.answered, &outbound.branches[..]) {
                (Some(answered), _) => answered,
                (None, [alone]) => *alone,
                (None, _) => return None,
            },
        };
        let session = self.ua.session(session)?;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Some([text(session.call_id()), text(session.remote_tag()?), text(session.local_tag())])
    }
}

/// RFC 3261 20.1: without Accept the package's own type is taken.
fn accepts(request: &Request, content_type: &str) -> bool {
    let mut ranges = request.headers().values(Name::Accept).peekable();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let range = range.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
            [content_type, "application/*", "*/*"].iter().any(|known| range.eq_ignore_ascii_case(known.as_bytes()))
        })
}
