//! A registry of 10DLC that vets by name and takes its time.

use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use opentact_engine::ports::{CampaignRegistry, ControlError, Filing, Verdict};

/// A brand with this in its name is not who it says it is.
const UNKNOWN: &str = "unverified";
/// A campaign with this in its description is not let through.
const UNWANTED: &str = "rejected";
/// Characters of an id behind its letter.
const ID: usize = 10;

/// Keeps nothing: what it says follows from what was filed, and when.
#[derive(Debug, Clone, Copy)]
pub struct DevRegistry {
    /// How long a vetting takes.
    pub vetting: Duration,
}

#[async_trait]
impl CampaignRegistry for DevRegistry {
    async fn file(&self, filing: Filing<'_>) -> Result<String, ControlError> {
        let (letter, uuid) = match filing {
            Filing::Brand(brand) => ('B', brand.uuid),
            Filing::Campaign { campaign, .. } => ('C', campaign.uuid),
        };
        let digits: String = uuid.simple().to_string().chars().take(ID).collect();
        Ok(format!("{letter}{}", digits.to_uppercase()))
    }

    async fn verdict(&self, filing: Filing<'_>) -> Result<Verdict, ControlError> {
        let (filed_on, reason) = match filing {
            Filing::Brand(brand) => {
                let details = &brand.details;
                let name = details.company_name.as_ref().unwrap_or(&details.display_name);
                (brand.filed_on, says(name, UNKNOWN).then_some("Company name and tax number do not match"))
            }
            Filing::Campaign { campaign, .. } => {
                let reason = "The description does not say what is sent to whom";
                (campaign.filed_on, says(&campaign.details.description, UNWANTED).then_some(reason))
            }
        };
        let Some(filed_on) = filed_on else { return Err(ControlError::NotFound("Filing")) };
        // A clock that went back makes it wait no longer than from now on.
        let passed = (Utc::now() - filed_on).to_std().unwrap_or_default();
        if passed < self.vetting {
            return Ok(Verdict::Pending(self.vetting - passed));
        }
        Ok(reason.map_or(Verdict::Approved, |reason| Verdict::Rejected { reason: reason.to_owned() }))
    }

    async fn withdraw(&self, _: Filing<'_>) -> Result<(), ControlError> {
        Ok(())
    }
}

fn says(text: &str, word: &str) -> bool {
    text.to_lowercase().contains(word)
}
