//! Whom a MESSAGE is for. The rules are those of a call between the two users.

use opentact_sip::uri::{Scheme, Uri};
use opentact_store::StoreError;
use uuid::Uuid;

use super::caller::Caller;
use super::identity::{ANONYMOUS, anonymous};
use super::{Admission, Inquiry, Refusal, Router, is_closed};

/// What becomes of a MESSAGE.
pub(crate) enum MessageAdmission {
    /// 407 with these Proxy-Authenticate values.
    Challenge(Vec<String>),
    Refuse(Refusal),
    Deliver(Box<Correspondence>),
}

/// Two SIP users, one of whom writes to the other.
pub(crate) struct Correspondence {
    pub(crate) sender: Uuid,
    pub(crate) sender_account: Uuid,
    /// `login@domain` of who has written it.
    pub(crate) author: String,
    /// What the recipient sees of that.
    pub(crate) from: String,
    pub(crate) recipient: Uuid,
    pub(crate) account: Uuid,
    /// `login@domain`.
    pub(crate) to: String,
}

impl Router {
    pub(crate) async fn admit_message(&self, inquiry: Inquiry) -> MessageAdmission {
        match self.correspondence(&inquiry).await {
            Ok(Ok(correspondence)) => MessageAdmission::Deliver(Box::new(correspondence)),
            Ok(Err(refused)) => refused,
            Err(error) => {
                tracing::error!(%error, "routing could not read the store");
                MessageAdmission::Refuse(Refusal::new(503, "Service Unavailable"))
            }
        }
    }

    async fn correspondence(&self, inquiry: &Inquiry) -> Result<Result<Correspondence, MessageAdmission>, StoreError> {
        let refuse = |code, reason| Ok(Err(MessageAdmission::Refuse(Refusal::new(code, reason))));
        let sender = match self.caller(inquiry).await? {
            Ok(Caller::User(sender)) => sender,
            Ok(Caller::Network | Caller::Trunks(_) | Caller::Switch(_)) => {
                return refuse(403, "Messages From SIP Users Only");
            }
            Err(Admission::Challenge(values)) => return Ok(Err(MessageAdmission::Challenge(values))),
            Err(Admission::Refuse(refusal)) => return Ok(Err(MessageAdmission::Refuse(refusal))),
            Err(Admission::Accept(_)) => return refuse(403, "Forbidden"),
        };
        if inquiry.request_uri.scheme() == Scheme::Sips {
            // It waits for whatever phone of the recipient comes first.
            return refuse(416, "Messages To sip: Only");
        }
        let Some(user) = inquiry.request_uri.user_text().filter(|user| !user.is_empty()) else {
            return refuse(484, "Address Incomplete");
        };
        // What is written to the host's own name or address is written within the sender's domain.
        let domain = self.directory.domain(inquiry.request_uri.host()).await?;
        let domain = domain.map_or_else(|| sender.domain.domain.clone(), |domain| domain.domain.clone());
        let recipient = self.directory.subscriber(&user, &domain).await?.filter(|known| known.user.is_active);
        let Some(recipient) = recipient else {
            return match self.number(&user) {
                Some(_) => refuse(501, "Messages To Telephone Numbers Not Implemented"),
                None => refuse(404, "User Not Found"),
            };
        };
        let strangers = recipient.domain.uuid != sender.domain.uuid;
        if strangers && (recipient.user.same_domain_calls_only || sender.user.same_domain_calls_only) {
            return refuse(403, "Same Domain Calls Only");
        }
        if is_closed(&*self.directory.account(recipient.user.account).await?) {
            return refuse(480, "Temporarily Unavailable");
        }
        let author = sender.address();
        Ok(Ok(Correspondence {
            sender: sender.user.uuid,
            sender_account: sender.user.account,
            from: if inquiry.anonymous { ANONYMOUS.to_owned() } else { author.clone() },
            author,
            recipient: recipient.user.uuid,
            account: recipient.user.account,
            to: recipient.address(),
        }))
    }
}

/// `login@domain` as a URI; nobody where it is none.
pub(crate) fn party(address: &str) -> Uri {
    let uri = address.rsplit_once('@').and_then(|(login, domain)| Uri::sip(Some(login), domain, None).ok());
    uri.unwrap_or_else(anonymous)
}
