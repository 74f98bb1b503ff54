//! What it costs to speak and to understand, and how an account pays for it: held back before, charged once it is done.

use std::sync::Arc;
use std::time::Duration;

use opentact_events::Charge;
use opentact_store::accounts::Account;
use opentact_store::transactions::NewTransaction;
use opentact_store::types::RefType;
use opentact_store::{Money, StoreError};
use uuid::Uuid;

use super::{Holding, Ledger, Owed, Tariff};

/// Not negative. Zero: it costs nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpeechPrices {
    /// Of a minute that is recognised; each begun second counts.
    pub asr_minute: Money,
    /// Of 1,000 characters that are spoken; each counts.
    pub tts_thousand: Money,
}

/// What something costs that is done at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cost {
    amount: Money,
    ref_type: RefType,
    description: String,
}

/// Why nothing is held back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unpaid {
    #[error("not enough account balance")]
    Empty,
    #[error("the balance cannot be read: {0}")]
    Unreadable(#[from] StoreError),
}

impl SpeechPrices {
    /// Of recognising so much.
    pub(crate) fn heard(&self, length: Duration) -> Cost {
        let seconds = u32::try_from(length.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        Cost {
            amount: self.asr_minute.share(seconds, 60),
            ref_type: RefType::Asr,
            description: format!("Speech recognition, {seconds} s at {} a minute", self.asr_minute),
        }
    }

    /// Of speaking so much.
    pub(crate) fn spoken(&self, characters: usize) -> Cost {
        let characters = u32::try_from(characters).unwrap_or(u32::MAX);
        Cost {
            amount: self.tts_thousand.share(characters, 1000),
            ref_type: RefType::Tts,
            description: format!("Speech, {characters} characters at {} a thousand", self.tts_thousand),
        }
    }
}

impl Ledger {
    pub(crate) fn speech(&self) -> &SpeechPrices {
        &self.speech
    }

    /// Holds back what something costs; `None` where that is nothing.
    ///
    /// # Errors
    /// The account does not have it, or its balance cannot be read.
    pub(crate) async fn reserve(&self, account: &Arc<Account>, cost: &Cost) -> Result<Option<Arc<Holding>>, Unpaid> {
        if cost.amount.is_zero() {
            return Ok(None);
        }
        let purse = self.refreshed(account.uuid).await?;
        let id = purse.lock().reserve(cost.amount).ok_or(Unpaid::Empty)?;
        let tariff = Tariff { minute: Money::ZERO, ref_type: cost.ref_type };
        Ok(Some(Arc::new(self.holding(id, purse, account, tariff))))
    }
}

impl Holding {
    /// It is done and has cost this, for the call or the recording `what`. That is held back until it is booked.
    pub(crate) fn spend(self: Arc<Self>, cost: Cost, what: Uuid) -> Charge {
        self.purse.lock().owe(self.id, cost.amount);
        let transaction = NewTransaction::charge(cost.amount, cost.ref_type, what, cost.description);
        Charge { transaction, booked: Box::new(Owed(self)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begun_seconds_and_characters_count() {
        let prices = SpeechPrices { asr_minute: Money::micros(60_000), tts_thousand: Money::micros(16_000) };
        let heard = prices.heard(Duration::from_millis(2_001));
        assert_eq!((heard.amount, heard.ref_type), (Money::micros(3_000), RefType::Asr));
        assert_eq!(heard.description, "Speech recognition, 3 s at 0.06 a minute");
        let spoken = prices.spoken(13);
        assert_eq!((spoken.amount, spoken.ref_type), (Money::micros(208), RefType::Tts));
        assert_eq!(spoken.description, "Speech, 13 characters at 0.016 a thousand");
        assert!(SpeechPrices::default().spoken(5_000).amount.is_zero());
    }
}
