//! What a message belongs to, and its events.

use opentact_engine::number;
use opentact_events::{NewEvent, view};
use opentact_store::accounts::Account;
use opentact_store::messaging_profiles::MessagingProfile;
use opentact_store::numbers::{Number, Prices, TnLease};
use opentact_store::sms::Sms;
use opentact_store::types::{SmsState, TnKind, Vetting};
use opentact_store::{Money, Store, StoreError, Tn};
use serde_json::Value;
use tracing::error;
use uuid::Uuid;

use super::Shared;

/// The rows around a message.
pub(super) struct Context {
    /// The account's number.
    pub tn: Tn,
    pub account: Account,
    pub number: Option<Number>,
    /// `None` when the number was released while the message waited.
    pub lease: Option<TnLease>,
    pub profile: Option<MessagingProfile>,
    /// Of the number's price profile; free where it has none.
    pub prices: Prices,
    /// A long code of the United States or Canada that lacks the 10DLC campaign it should have.
    unregistered: bool,
}

impl Context {
    pub(super) async fn load(
        shared: &Shared,
        account: Uuid,
        tn: Tn,
        lease: Option<TnLease>,
    ) -> Result<Context, StoreError> {
        let store = &shared.store;
        let profile = async {
            match lease.as_ref().and_then(|lease| lease.messaging_profile) {
                Some(profile) => store.messaging_profiles().get(account, profile).await.map(Some),
                None => Ok(None),
            }
        };
        let number = async {
            let Some(number) = store.numbers().number(tn).await? else { return Ok((None, Prices::default())) };
            let prices = store.numbers().prices_for(account, number.profile).await?;
            Ok((Some(number), prices))
        };
        let accounts = store.accounts();
        let (account, profile, (number, prices)) = tokio::try_join!(accounts.get(account), profile, number)?;
        let mut context = Context { tn, account, number, lease, profile, prices, unregistered: false };
        context.unregistered =
            shared.config.ten_dlc && !context.is_toll_free() && is_of_10dlc(tn) && !context.has_campaign(store).await?;
        Ok(context)
    }

    async fn has_campaign(&self, store: &Store) -> Result<bool, StoreError> {
        let Some(campaign) = self.lease.as_ref().and_then(|lease| lease.sms_campaign) else { return Ok(false) };
        Ok(store.campaigns().get(self.account.uuid, campaign).await?.status == Vetting::Approved)
    }

    pub(super) fn is_toll_free(&self) -> bool {
        match &self.number {
            Some(number) => number.kind == TnKind::TollFree,
            None => self.tn.is_toll_free(),
        }
    }

    /// Whether 10DLC lets the number send to this recipient.
    pub(super) fn may_send(&self, to: Tn) -> bool {
        !self.unregistered || !is_of_10dlc(to)
    }

    pub(super) fn view(&self, sms: &Sms) -> Value {
        let context = view::SmsContext {
            account: Some(&self.account),
            number: self.number.as_ref(),
            lease: self.lease.as_ref(),
            profile: self.profile.as_ref(),
        };
        view::sms(sms, context)
    }

    /// The event of what the message is now; returns its object.
    pub(super) fn publish(&self, shared: &Shared, sms: &Sms) -> Value {
        let view = self.view(sms);
        let event = NewEvent::sms(sms, &view);
        publish(
            shared,
            match self.callback(sms) {
                Some(of) => event.for_callback(of),
                None => event,
            },
        );
        view
    }

    /// Who is told of it by callback, if anybody: of what goes out how it ended, of what comes in that it came.
    fn callback(&self, sms: &Sms) -> Option<Uuid> {
        if matches!(sms.state, SmsState::Created | SmsState::Sending) {
            return None;
        }
        let profile = self.profile.as_ref().filter(|profile| Some(profile.uuid) == sms.messaging_profile);
        let of_profile = profile.filter(|profile| profile.callback_url.is_some() || profile.callback_url2.is_some());
        match &sms.custom_callback_url {
            Some(_) => Some(sms.uuid),
            None => of_profile.map(|profile| profile.uuid),
        }
    }

    /// The account heard of its balance, if it wants to.
    pub(super) fn publish_balance(&self, shared: &Shared, balance: Option<Money>, source_action: &str) {
        if let Some(event) = balance.and_then(|balance| NewEvent::balance(&self.account, balance, source_action)) {
            publish(shared, event);
        }
    }

    /// On by default, and where there is no profile.
    pub(super) fn smart_encoding(&self) -> bool {
        self.profile.as_ref().is_none_or(|profile| profile.smart_encoding)
    }
}

/// Whether 10DLC is of concern to the country of a number.
fn is_of_10dlc(tn: Tn) -> bool {
    matches!(number::country(tn.get()).as_deref(), Some("US" | "CA"))
}

/// The message itself is on disk already; a lost event is logged and does not fail it.
fn publish(shared: &Shared, event: NewEvent) {
    let about = event.ref_id;
    if let Err(refused) = shared.hub.publish(event) {
        error!(?about, %refused, "event lost");
    }
}
