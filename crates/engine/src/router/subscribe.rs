//! Who may watch what of whom (RFC 6665): one's own messages and contacts, and the calls of the account's users.

use opentact_store::StoreError;
use uuid::Uuid;

use super::caller::Caller;
use super::directory::Subscriber;
use super::{Admission, Inquiry, Refusal, Router};

/// What can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Package {
    /// RFC 4235: the calls of a user, for lamps.
    Dialog,
    /// RFC 3842: whether messages wait.
    MessageSummary,
    /// RFC 3680: the contacts of a user.
    Registration,
}

/// What becomes of a SUBSCRIBE.
pub(crate) enum WatchAdmission {
    /// 401 with these WWW-Authenticate values.
    Challenge(Vec<String>),
    Refuse(Refusal),
    Accept(Watch),
}

/// One SIP user watches another, or itself. Both are of one account.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) account: Uuid,
    pub(crate) watcher: Uuid,
    pub(crate) watched: Uuid,
    /// `login@domain` of who is watched.
    pub(crate) address: String,
}

impl Router {
    pub(crate) async fn admit_watch(&self, inquiry: Inquiry, package: Package) -> WatchAdmission {
        match self.watch(&inquiry, package).await {
            Ok(Ok(watch)) => WatchAdmission::Accept(watch),
            Ok(Err(refused)) => refused,
            Err(error) => {
                tracing::error!(%error, "routing could not read the store");
                WatchAdmission::Refuse(Refusal::new(503, "Service Unavailable"))
            }
        }
    }

    async fn watch(&self, inquiry: &Inquiry, package: Package) -> Result<Result<Watch, WatchAdmission>, StoreError> {
        let refuse = |code, reason| Ok(Err(WatchAdmission::Refuse(Refusal::new(code, reason))));
        let watcher = match self.caller(inquiry).await? {
            Ok(Caller::User(watcher)) => watcher,
            Ok(Caller::Network | Caller::Trunks(_) | Caller::Switch(_)) => {
                return refuse(403, "Subscriptions Of SIP Users Only");
            }
            Err(Admission::Challenge(values)) => return Ok(Err(WatchAdmission::Challenge(values))),
            Err(Admission::Refuse(refusal)) => return Ok(Err(WatchAdmission::Refuse(refusal))),
            Err(Admission::Accept(_)) => return refuse(403, "Forbidden"),
        };
        let domain = self.directory.domain(inquiry.request_uri.host()).await?;
        let domain = domain.map_or_else(|| watcher.domain.domain.clone(), |domain| domain.domain.clone());
        let login = inquiry.request_uri.user_text().unwrap_or_default();
        let Some(watched) = self.directory.subscriber(&login, &domain).await? else {
            return refuse(404, "User Not Found");
        };
        if !may_watch(&watcher, &watched, package) {
            return refuse(403, "Not Yours To Watch");
        }
        Ok(Ok(Watch {
            account: watcher.user.account,
            watcher: watcher.user.uuid,
            watched: watched.user.uuid,
            address: watched.address(),
        }))
    }

    /// Whether a subscription may go on: `None` where nobody is there any more to be watched. What cannot be read changes
    /// nothing.
    pub(crate) async fn still_watches(&self, watch: &Watch, package: Package) -> Option<bool> {
        let find = async |user| match self.directory.subscriber_by_id(watch.account, user).await {
            Ok(found) => Ok(found.filter(|found| found.user.is_active)),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        };
        match (find(watch.watcher).await, find(watch.watched).await) {
            (Err(_), _) | (_, Err(_)) => Some(true),
            (Ok(None), _) => Some(false),
            (_, Ok(None)) => None,
            (Ok(Some(watcher)), Ok(Some(watched))) => Some(may_watch(&watcher, &watched, package)),
        }
    }
}

pub(super) fn may_watch(watcher: &Subscriber, watched: &Subscriber, package: Package) -> bool {
    if package != Package::Dialog {
        return watcher.user.uuid == watched.user.uuid;
    }
    // Who may not call each other has no lamps of each other.
    let strangers = watcher.domain.uuid != watched.domain.uuid;
    let closed = watcher.user.same_domain_calls_only || watched.user.same_domain_calls_only;
    watcher.user.account == watched.user.account && watched.user.is_active && !(strangers && closed)
}
