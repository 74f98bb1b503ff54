//! The store's errors as the API words them.

use opentact_store::StoreError;
use serde_json::Value;
use uuid::Uuid;

use crate::auth::Caller;
use crate::error::AppError;
use crate::state::ApiState;

/// The entity as error messages of the API name it.
fn entity(name: &'static str) -> &'static str {
    match name {
        "SIPControlApp" => "SIP Control app",
        "SIPConnection" => "SIP Connection",
        "SIPDomain" => "SIP Domain",
        "SIPUser" => "SIP User",
        "SIPInvite" => "SIP User Invite",
        "SIPSwitch" => "SIP Switch",
        "TNFilter" => "TN profile",
        "SIPProduct" => "SIP Product",
        "OutboundVoiceProfile" => "Outbound voice profile",
        "MessagingProfile" => "Messaging profile",
        "TNOrder" => "Order",
        "OfficeHours" => "Account office hours",
        "CartEntry" => "Entry",
        other => other,
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(name) => Self::NotFound(entity(name)),
            StoreError::Conflict(name) => Self::Conflict(format!("{} already exists", entity(name))),
            StoreError::InUse { entity: name, by } => {
                Self::Conflict(format!("{} is in use by {}", entity(name), entity(by)))
            }
            StoreError::LastAdmin => Self::Conflict(error.to_string()),
            StoreError::InsufficientBalance => Self::InsufficientBalance { code: None },
            StoreError::Invalid { field, message } => Self::param(field, message, Value::Null),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// An object asked for by its id: what exists and belongs to another account is 401 `Forbidden`, not 404.
pub(crate) async fn visible<T>(
    state: &ApiState,
    caller: &Caller,
    uuid: Uuid,
    found: Result<T, StoreError>,
) -> Result<T, AppError> {
    match found {
        Err(StoreError::NotFound(name)) if state.store.belongs_to_another(caller.account(), name, uuid).await? => {
            Err(AppError::Forbidden)
        }
        other => other.map_err(AppError::from),
    }
}
