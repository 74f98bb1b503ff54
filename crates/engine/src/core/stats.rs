//! What the core holds at the moment.

use super::Core;

/// Sizes of the core's tables. All but the registrations and the transactions' tombstones are zero when no call is
/// there and none is on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Origin legs.
    pub calls: usize,
    /// Legs that are not destroyed.
    pub legs: usize,
    /// INVITE sessions with a leg.
    pub sessions: usize,
    /// Media legs with a leg.
    pub media_legs: usize,
    /// INVITEs that are being routed.
    pub arriving: usize,
    /// Calls by REST that are being started.
    pub planned: usize,
    /// REGISTERs that are being checked.
    pub registering: usize,
    /// Messages between SIP users that are being checked, written or brought.
    pub messages: usize,
    /// SUBSCRIBEs that are being checked.
    pub subscribing: usize,
    /// SIP users with a call that lamps show.
    pub lamps: usize,
    /// Deadlines of calls.
    pub timers: usize,
    /// Inputs of calls that wait for their turn.
    pub pending: usize,
    /// INVITE sessions of the user agent, those whose BYE is not answered yet included.
    pub ua_sessions: usize,
    /// Requests other than INVITE that wait for an answer.
    pub ua_requests: usize,
    /// Transactions, tombstones included.
    pub transactions: usize,
    /// Subscriptions to the calls, messages and contacts of SIP users.
    pub subscriptions: usize,
    /// Contacts registered.
    pub bindings: usize,
    /// SIP users that have a contact registered.
    pub registered: usize,
}

impl Stats {
    /// Nothing is left of any call.
    pub fn is_idle(&self) -> bool {
        let left = [
            self.calls,
            self.legs,
            self.sessions,
            self.media_legs,
            self.arriving,
            self.planned,
            self.registering,
            self.messages,
            self.subscribing,
            self.lamps,
            self.timers,
            self.pending,
            self.ua_sessions,
            self.ua_requests,
        ];
        left.iter().all(|size| *size == 0)
    }

    /// Sets the gauges of `/metrics`.
    pub(crate) fn gauge(&self) {
        for (name, size) in [
            ("opentact_calls", self.calls),
            ("opentact_legs", self.legs),
            ("opentact_calls_arriving", self.arriving),
            ("opentact_sip_sessions", self.ua_sessions),
            ("opentact_sip_transactions", self.transactions),
            ("opentact_sip_registrations", self.bindings),
            ("opentact_sip_subscriptions", self.subscriptions),
        ] {
            metrics::gauge!(name).set(size as f64);
        }
    }
}

impl Core {
    pub(super) fn stats(&self) -> Stats {
        let ua = self.ua.stats();
        Stats {
            calls: self.calls.len(),
            legs: self.legs.len(),
            sessions: self.sessions.len(),
            media_legs: self.media_legs.len(),
            arriving: self.arriving.len(),
            planned: self.planned.len(),
            registering: self.registering.len(),
            messages: self.messages.len(),
            subscribing: self.subscriptions.arriving(),
            lamps: self.subscriptions.lamps(),
            timers: self.timers.len(),
            pending: self.pending.len(),
            ua_sessions: ua.sessions,
            ua_requests: ua.requests,
            transactions: ua.transactions,
            subscriptions: ua.subscriptions,
            bindings: self.registrar.len(),
            registered: self.registered.len(),
        }
    }
}
