//! What a call to or from the telephone network costs its account, and whether that can pay (domain.md, billing).

use std::sync::Arc;

use opentact_store::accounts::Account;
use opentact_store::numbers::Prices;
use opentact_store::types::RefType;
use opentact_store::{StoreError, Tn};
use uuid::Uuid;

use super::called;
use super::dial::unreadable;
use super::{About, DialFault, LegContext, Refusal, Router};
use crate::ledger::{Holding, Tariff};

impl Router {
    /// Of a call to the network, shown as from this number.
    pub(super) async fn outgoing_credit(&self, account: &Arc<Account>, caller: Tn) -> Result<Arc<Holding>, DialFault> {
        let tariff =
            Tariff { minute: self.minute_price(account.uuid, caller).await?, ref_type: RefType::VoiceOutgoing };
        let holding = self.ledger.hold(account, tariff).await.map_err(unreadable)?;
        holding.ok_or_else(|| DialFault::about(About::Balance, 402, "not enough account balance"))
    }

    /// Of a call from the network to this number. One that is not in the inventory costs nothing.
    pub(super) async fn incoming_credit(
        &self,
        called: Tn,
        context: &LegContext,
    ) -> Result<Option<Arc<Holding>>, Refusal> {
        let Some(prices) = self.prices_of(context.account, called).await.map_err(called::unreadable)? else {
            return Ok(None);
        };
        let tariff = Tariff { minute: prices.voice_incoming_per_min_cost, ref_type: RefType::VoiceIncoming };
        if tariff.minute.is_zero() {
            return Ok(None);
        }
        match self.ledger.hold(&context.tenant.row, tariff).await.map_err(called::unreadable)? {
            Some(holding) => Ok(Some(holding)),
            None => {
                let context = Some(Box::new(context.clone()));
                Err(Refusal { code: 402, reason: "Not Enough Balance", context })
            }
        }
    }

    /// What a number of the inventory costs an account.
    pub(super) async fn prices_of(&self, account: Uuid, number: Tn) -> Result<Option<Prices>, StoreError> {
        let Some(number) = self.directory.number(number).await? else { return Ok(None) };
        Ok(Some(*self.directory.prices(account, number.profile).await?))
    }
}
