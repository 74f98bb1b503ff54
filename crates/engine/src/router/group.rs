//! Groups of SIP users as destinations.

use opentact_call::DialTarget;
use opentact_store::StoreError;
use uuid::Uuid;

use super::dial::unreadable;
use super::{DialFault, Router};

impl Router {
    /// The active members of a group of the account, registered or not, and how each is dialled.
    pub(crate) async fn members(&self, account: Uuid, group: &str) -> Result<Vec<(Uuid, DialTarget)>, DialFault> {
        let unknown = || DialFault::new(404, format!("group {group} does not exist"));
        let uuid = group.parse::<Uuid>().map_err(|_| unknown())?;
        match self.directory.group(account, uuid).await {
            Ok(members) => Ok(members.to_vec()),
            Err(StoreError::NotFound(_)) => Err(unknown()),
            Err(error) => Err(unreadable(error)),
        }
    }
}
