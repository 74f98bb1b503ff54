//! An account made by who is its first user.

use opentact_store::Money;
use opentact_store::accounts::{Account, NewAccount};
use opentact_store::users::{NewUser, User};

use crate::error::AppError;
use crate::settings::SignUp;
use crate::state::ApiState;

/// Where the installation lets everybody; 403 where it does not.
pub(crate) async fn sign_up(state: &ApiState, account: NewAccount, user: NewUser) -> Result<(Account, User), AppError> {
    if state.settings.sign_up != SignUp::Open {
        return Err(AppError::Refused { code: None, message: "Sign-up is closed".to_owned() });
    }
    let balance = Money::try_from(state.settings.sign_up_balance).unwrap_or_default();
    state.passwords.bounded(state.store.users().sign_up(NewAccount { balance, ..account }, user)).await
}
