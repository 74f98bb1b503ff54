//! Legs that cost: as long as their account can pay they talk.

use std::sync::Arc;
use std::time::Instant;

use opentact_call::q850::Q850;
use opentact_call::{Input, LegId, LegSnapshot};
use opentact_events::Charge;
use serde_json::json;

use super::{Core, Message};
use crate::ledger::Holding;

/// What is held back for a leg.
pub(super) struct Credit {
    holding: Arc<Holding>,
    answered: Option<Instant>,
}

impl Credit {
    pub(super) fn new(holding: Arc<Holding>) -> Self {
        Self { holding, answered: None }
    }
}

impl Core {
    /// The leg talks: from here on it costs.
    pub(super) fn credit_begins(&mut self, leg: LegId) {
        let Some(credit) = self.legs.get_mut(&leg).and_then(|leg| leg.credit.as_mut()) else { return };
        let answered = *credit.answered.get_or_insert_with(Instant::now);
        let due = credit.holding.due(answered);
        self.credits.set(leg, due);
    }

    /// What is held for the leg is about to be used up.
    pub(super) fn on_credit_due(&mut self, leg: LegId) {
        if self.extend(leg) {
            return;
        }
        // Perhaps somebody has paid.
        let Some(account) = self.legs.get(&leg).map(|leg| leg.context.account) else { return };
        let router = self.drivers.router.clone();
        self.spawn(async move {
            if let Err(error) = router.ledger().refresh(account).await {
                tracing::warn!(%account, %error, "a balance could not be read");
            }
            Message::CreditLooked(leg)
        });
    }

    /// The balance was read again.
    pub(super) fn on_credit_looked(&mut self, leg: LegId) {
        if self.extend(leg) {
            return;
        }
        let Some(entry) = self.legs.get_mut(&leg).filter(|leg| !leg.ended && leg.credit.is_some()) else { return };
        metrics::counter!("opentact_calls_limited_total", "limit" => "balance").increment(1);
        entry.context.meta.insert("reason".to_owned(), json!("Not Enough Balance"));
        let (call, context) = (entry.call, entry.context.clone());
        tracing::info!(account = %context.account, %call, %leg, "the balance is used up: a leg is ended");
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.book.set_context(leg, context);
        }
        self.tell_call(call, Input::Hangup { leg, cause: Q850::CALL_REJECTED });
    }

    fn extend(&mut self, leg: LegId) -> bool {
        let Some(credit) = self.legs.get(&leg).and_then(|leg| leg.credit.as_ref()) else { return false };
        let extended = credit.holding.extend();
        if extended && let Some(answered) = credit.answered {
            let due = credit.holding.due(answered);
            self.credits.set(leg, due);
        }
        extended
    }

    /// The leg is over: what it has cost, where it was answered.
    pub(super) fn credit_ends(&mut self, snapshot: &LegSnapshot) -> Option<Charge> {
        self.credits.set(snapshot.leg, None);
        let credit = self.legs.get_mut(&snapshot.leg)?.credit.take()?;
        let talked = snapshot.hangup_on.or(snapshot.destroy_on)? - snapshot.answer_on?;
        let party = match snapshot.direction {
            opentact_call::Direction::In => &snapshot.from,
            opentact_call::Direction::Out => &snapshot.to,
        };
        credit.holding.charge(snapshot.leg.0, party, talked.to_std().unwrap_or_default())
    }
}
