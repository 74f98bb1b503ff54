//! What calls to the telephone network may cost: the price of a minute, and the spend limits of an outbound voice profile
//! (domain.md, outbound call).

use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use opentact_store::calls::SpentCall;
use opentact_store::voice_profiles::OutboundVoiceProfile;
use opentact_store::{Money, StoreError, Tn};
use serde_json::json;
use uuid::Uuid;

use super::dial::unreadable;
use super::{About, DialFault, Router, Stopped};
use crate::spend::{DAY, SpendLimits, Spending};

/// Records of calls read at once.
const PAGE: u64 = 10_000;

impl Router {
    /// Takes over what the calls of the last day have cost. For the start, before any call.
    pub(crate) async fn restore_spending(&self) -> Result<(), StoreError> {
        let (now, date) = (Instant::now(), Utc::now());
        let mut last: Option<SpentCall> = None;
        loop {
            let page = self.store.calls().spent(date - DAY, last.as_ref(), PAGE).await?;
            self.meters.restore((now, date), &page);
            match page.last().filter(|_| page.len() as u64 == PAGE) {
                Some(latest) => last = Some(latest.clone()),
                None => return Ok(()),
            }
        }
    }

    /// Counts a call that goes out from a number to another, where its profile limits what calls cost.
    pub(super) async fn spending(
        &self,
        profile: &OutboundVoiceProfile,
        caller: Tn,
        called: u64,
    ) -> Result<Option<Arc<Spending>>, DialFault> {
        let OutboundVoiceProfile { max_rate, hourly_spend_limit: hourly, daily_spend_limit: daily, .. } = *profile;
        if max_rate.is_none() && hourly.is_none() && daily.is_none() {
            return Ok(None);
        }
        let minute = self.minute_price(profile.account, caller).await?;
        if let Some(most) = max_rate.filter(|most| minute > *most) {
            let reason = format!("Rate Above Limit: a minute costs {minute}, more than {most}");
            self.stopped(&Stopped::by(profile, "rate", &format!("+{called}"), &reason));
            return Err(DialFault::about(About::Rate, 403, reason));
        }
        if hourly.is_none() && daily.is_none() {
            return Ok(None);
        }
        let limits = SpendLimits { of: profile.uuid, hourly, daily };
        let stop = match self.meters.begin(Instant::now(), limits, minute) {
            Ok(spending) => return Ok(Some(Arc::new(spending))),
            Err(stop) => stop,
        };
        metrics::counter!("opentact_calls_limited_total", "limit" => "spend").increment(1);
        if stop.first {
            tracing::warn!(
                account = %profile.account, profile = %profile.uuid, period = stop.period, limit = %stop.limit,
                spent = %stop.spent, "spend limit reached: calls are stopped"
            );
            let payload = json!({
                "outbound_voice_profile": { "uuid": profile.uuid, "name": profile.name },
                "period": stop.period,
                "limit": stop.limit,
                "spent": stop.spent,
            });
            self.journal.spend_limit(profile.account, profile.uuid, &profile.name, &payload);
        }
        let reason = format!("Spend Limit Reached: {} of {} in the last {}", stop.spent, stop.limit, stop.period);
        Err(DialFault::about(About::Spend, 403, reason))
    }

    /// Of an account's calls from a number.
    pub(super) async fn minute_price(&self, account: Uuid, caller: Tn) -> Result<Money, DialFault> {
        let prices = self.prices_of(account, caller).await.map_err(unreadable)?;
        let prices = prices.ok_or_else(|| DialFault::new(404, format!("number {caller} is not in the inventory")))?;
        Ok(prices.voice_outgoing_per_min_cost)
    }
}
