//! SIP users, who show the hash that their phones sign in with.

use axum::extract::FromRequestParts;
use http::request::Parts;
use opentact_store::accounts::Account;
use opentact_store::domains::SipDomain;
use opentact_store::sip_users::SipUser;
use uuid::Uuid;

use super::{Credential, WRONG, charge, shown};
use crate::error::AppError;
use crate::state::ApiState;

/// The SIP user who makes a request.
#[derive(Debug, Clone)]
pub struct Phone {
    pub user: SipUser,
    pub domain: SipDomain,
    pub account: Account,
}

impl Phone {
    #[must_use]
    pub fn account(&self) -> Uuid {
        self.account.uuid
    }
}

impl FromRequestParts<ApiState> for Phone {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, AppError> {
        // The idempotency layer has asked before.
        if let Some(phone) = parts.extensions.get::<Self>() {
            return Ok(phone.clone());
        }
        let (credential, address) = shown(parts, state)?;
        let phone = match credential {
            Credential::Ha1b(ha1b) => state.passwords.check_ha1b(state, &ha1b, address).await,
            _ => Err(WRONG),
        };
        let phone = charge(parts, state, address, phone, Self::account).await?;
        parts.extensions.insert(phone.clone());
        Ok(phone)
    }
}
