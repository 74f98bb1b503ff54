//! Who may take the place of a leg (RFC 3891): users and trunks of its own account. A user may replace those whose calls
//! it may watch, which is where it learns of them, and not outsiders where it may not call any.

use opentact_call::{CallType, LegId};
use opentact_sip::message::reason_phrase;
use uuid::Uuid;

use super::called::{Member, unreadable};
use super::caller::Caller;
use super::subscribe::{Package, may_watch};
use super::{Admission, Inquiry, LegContext, Limit, Refusal, Router, is_closed};

/// The leg whose place somebody wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) leg: LegId,
    /// Of this call.
    pub(crate) call: LegId,
    pub(crate) account: Uuid,
    /// The SIP user whose phone it is.
    pub(crate) user: Option<Uuid>,
}

/// Who takes it.
pub(crate) struct Newcomer {
    pub(crate) context: LegContext,
    pub(crate) from: String,
    pub(crate) kind: CallType,
    /// That of the trunk it comes from.
    pub(crate) limit: Option<Limit>,
}

impl Router {
    /// Decides what becomes of an INVITE with Replaces. That there is no seat to be had is said to those only who have
    /// shown who they are.
    pub(crate) async fn admit_replacing(
        &self,
        inquiry: Inquiry,
        seat: Result<Seat, u16>,
    ) -> Result<Box<Newcomer>, Admission> {
        let caller = match self.caller(&inquiry).await {
            Ok(caller) => caller?,
            Err(error) => return Err(Admission::Refuse(unreadable(error))),
        };
        let seat = seat.map_err(|code| Admission::Refuse(Refusal::new(code, reason_phrase(code))))?;
        self.newcomer(&inquiry, caller, seat).await.map(Box::new).map_err(Admission::Refuse)
    }

    async fn newcomer(&self, inquiry: &Inquiry, caller: Caller, seat: Seat) -> Result<Newcomer, Refusal> {
        let foreign = || Refusal::new(403, "Not Yours To Replace");
        match caller {
            // What they are allowed to do hangs on whom they call.
            Caller::Network | Caller::Switch(_) => Err(foreign()),
            Caller::Trunks(trunks) => {
                let trunk = trunks.iter().find(|trunk| trunk.account == seat.account).ok_or_else(foreign)?;
                let account = self.directory.account(trunk.account).await.map_err(unreadable)?;
                if is_closed(&account) {
                    return Err(Refusal::new(403, "Account Disabled"));
                }
                let mut context = LegContext::of(&account);
                context.come_over(trunk);
                let (from, limit) = (self.caller_over(inquiry, trunk), Limit::of_trunk(trunk));
                Ok(Newcomer { context, from, kind: CallType::Trunk, limit })
            }
            Caller::User(subscriber) => {
                let watched = match seat.user {
                    Some(user) => self.directory.subscriber_by_id(seat.account, user).await.map_err(|_| foreign())?,
                    None => None,
                };
                let may = match (seat.user, watched) {
                    (Some(_), Some(watched)) => may_watch(&subscriber, &watched, Package::Dialog),
                    (Some(_), None) => false,
                    (None, _) => !subscriber.user.same_domain_calls_only,
                };
                if subscriber.user.account != seat.account || !may {
                    return Err(foreign());
                }
                let member = Member { domain: &subscriber.domain, user: Some(&subscriber), authenticated: true };
                let context = self.context_of_member(&member).await?;
                Ok(Newcomer { context, from: subscriber.address(), kind: CallType::User, limit: None })
            }
        }
    }
}
