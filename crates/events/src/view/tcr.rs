use opentact_store::tcr::{Brand, Campaign};
use opentact_store::types::Vetting;
use serde_json::{Value, json};

use super::{author, date, extended, tree};

/// TCR's word for how far the vetting of a brand is.
pub fn identity_status(status: Vetting) -> &'static str {
    match status {
        Vetting::Pending => "SELF_DECLARED",
        Vetting::Approved => "VERIFIED",
        Vetting::Rejected => "UNVERIFIED",
    }
}

/// TCR's word for how far the vetting of a campaign is.
pub fn campaign_status(status: Vetting) -> &'static str {
    match status {
        Vetting::Pending => "PENDING",
        Vetting::Approved => "ACTIVE",
        Vetting::Rejected => "REJECTED",
    }
}

/// A brand of 10DLC, by the names of The Campaign Registry.
pub fn tcr_brand(brand: &Brand) -> Value {
    let object = json!({
        "created_on": date(brand.created_on),
        "modified_on": date(brand.modified_on),
        "uuid": brand.uuid,
        "brandId": brand.registry_id,
        "identityStatus": identity_status(brand.status),
        "reason": brand.reason,
        "created_by": author(brand.created_by),
        "modified_by": author(brand.modified_by),
    });
    extended(object, tree(&*brand.details))
}

/// A campaign of 10DLC; `brand` is whose it is.
pub fn tcr_campaign(campaign: &Campaign, brand: &Brand) -> Value {
    let object = json!({
        "created_on": date(campaign.created_on),
        "modified_on": date(campaign.modified_on),
        "uuid": campaign.uuid,
        "campaignId": campaign.registry_id,
        "brandId": brand.registry_id,
        "brand": { "uuid": brand.uuid, "displayName": brand.details.display_name },
        "status": campaign_status(campaign.status),
        "reason": campaign.reason,
        "created_by": author(campaign.created_by),
        "modified_by": author(campaign.modified_by),
    });
    extended(object, tree(&*campaign.details))
}
