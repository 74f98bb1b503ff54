use chrono::{DateTime, Utc};
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::types;

/// Who sends, by the names of The Campaign Registry.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct BrandDetails {
    #[schema(schema_with = types::brand_entity)]
    pub entity_type: String,
    /// As recipients know it.
    #[schema(min_length = 1, max_length = 255)]
    pub display_name: String,
    /// Legal name; of all but sole proprietors.
    #[schema(min_length = 1, max_length = 255)]
    pub company_name: Option<String>,
    /// Of sole proprietors.
    #[schema(min_length = 1, max_length = 100)]
    pub first_name: Option<String>,
    #[schema(min_length = 1, max_length = 100)]
    pub last_name: Option<String>,
    /// Tax number; of all but sole proprietors.
    #[schema(min_length = 1, max_length = 21)]
    pub ein: Option<String>,
    /// ISO 3166 alpha-2.
    #[schema(min_length = 2, max_length = 2)]
    pub ein_issuing_country: Option<String>,
    #[schema(min_length = 5, max_length = 20)]
    pub phone: String,
    #[schema(schema_with = types::email)]
    pub email: String,
    #[schema(max_length = 100)]
    pub street: Option<String>,
    #[schema(max_length = 100)]
    pub city: Option<String>,
    #[schema(max_length = 20)]
    pub state: Option<String>,
    #[schema(max_length = 10)]
    pub postal_code: Option<String>,
    #[schema(schema_with = types::country)]
    pub country: String,
    #[schema(max_length = 100)]
    pub website: Option<String>,
    #[schema(schema_with = types::vertical)]
    pub vertical: String,
    /// Of public companies.
    #[schema(min_length = 1, max_length = 10)]
    pub stock_symbol: Option<String>,
    #[schema(min_length = 1, max_length = 20)]
    pub stock_exchange: Option<String>,
    /// What you call it.
    #[schema(max_length = 50)]
    pub reference_id: Option<String>,
}

/// How far the registry is with a brand.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct BrandStanding {
    pub uuid: Uuid,
    #[schema(rename = "created_on")]
    pub created_on: DateTime<Utc>,
    #[schema(rename = "modified_on")]
    pub modified_on: DateTime<Utc>,
    /// What the registry calls it; null until it was reached.
    pub brand_id: Option<String>,
    /// `SELF_DECLARED` (being vetted), `VERIFIED` or `UNVERIFIED`.
    pub identity_status: String,
    /// Why it is `UNVERIFIED`.
    pub reason: Option<String>,
}

/// What is sent.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct CampaignDetails {
    #[schema(schema_with = types::usecase)]
    pub usecase: String,
    /// 2 to 5, of `MIXED` and `LOW_VOLUME`.
    #[schema(schema_with = types::usecases, required = false)]
    pub sub_usecases: Vec<String>,
    #[schema(min_length = 40, max_length = 4096)]
    pub description: String,
    /// How recipients come to want the messages.
    #[schema(min_length = 40, max_length = 4096)]
    pub message_flow: String,
    #[schema(min_length = 20, max_length = 1024)]
    pub sample1: String,
    #[schema(min_length = 20, max_length = 1024)]
    pub sample2: Option<String>,
    #[schema(min_length = 20, max_length = 1024)]
    pub sample3: Option<String>,
    #[schema(min_length = 20, max_length = 1024)]
    pub sample4: Option<String>,
    #[schema(min_length = 20, max_length = 1024)]
    pub sample5: Option<String>,
    /// Answer to `HELP`.
    #[schema(min_length = 20, max_length = 320)]
    pub help_message: Option<String>,
    #[schema(min_length = 20, max_length = 320)]
    pub optin_message: Option<String>,
    #[schema(min_length = 20, max_length = 320)]
    pub optout_message: Option<String>,
    /// Words, with commas between them.
    #[schema(max_length = 255)]
    pub help_keywords: Option<String>,
    #[schema(max_length = 255)]
    pub optin_keywords: Option<String>,
    #[schema(max_length = 255)]
    pub optout_keywords: Option<String>,
    #[schema(max_length = 255)]
    pub privacy_policy_link: Option<String>,
    #[schema(max_length = 255)]
    pub terms_and_conditions_link: Option<String>,
    #[schema(required = false)]
    pub embedded_link: bool,
    #[schema(required = false)]
    pub embedded_phone: bool,
    /// It is sent from more than 50 numbers.
    #[schema(required = false)]
    pub number_pool: bool,
    #[schema(required = false)]
    pub age_gated: bool,
    #[schema(required = false)]
    pub direct_lending: bool,
    #[schema(required = false)]
    pub affiliate_marketing: bool,
    #[schema(required = false)]
    pub subscriber_optin: bool,
    #[schema(required = false)]
    pub subscriber_optout: bool,
    #[schema(required = false)]
    pub subscriber_help: bool,
    #[schema(required = false)]
    pub terms_and_conditions: bool,
    #[schema(required = false)]
    pub auto_renewal: bool,
    /// What you call it.
    #[schema(max_length = 50)]
    pub reference_id: Option<String>,
}

/// Of which brand a campaign is.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct CampaignBrand {
    /// What the registry calls the brand, or its uuid. The brand must be `VERIFIED`.
    #[schema(min_length = 1, max_length = 36)]
    pub brand_id: String,
}

/// How far the registry is with a campaign.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct CampaignStanding {
    pub uuid: Uuid,
    #[schema(rename = "created_on")]
    pub created_on: DateTime<Utc>,
    #[schema(rename = "modified_on")]
    pub modified_on: DateTime<Utc>,
    /// What the registry calls it; null until it was reached.
    pub campaign_id: Option<String>,
    pub brand_id: Option<String>,
    /// `PENDING` (being vetted), `ACTIVE` or `REJECTED`.
    pub status: String,
    /// Why it is `REJECTED`.
    pub reason: Option<String>,
}

/// The properties of both.
fn joined(one: RefOr<Schema>, other: RefOr<Schema>) -> RefOr<Schema> {
    match (one, other) {
        (RefOr::T(Schema::Object(mut one)), RefOr::T(Schema::Object(other))) => {
            one.properties.extend(other.properties);
            one.required.extend(other.required);
            RefOr::T(Schema::Object(one))
        }
        (one, _) => one,
    }
}

/// The same properties, none of them required.
fn partial(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.required.clear();
            RefOr::T(Schema::Object(object))
        }
        schema => schema,
    }
}

fn list(item: RefOr<Schema>) -> RefOr<Schema> {
    ArrayBuilder::new().items(item).into()
}

/// Schemas made of others.
macro_rules! made {
    ($($(#[$meta:meta])* $name:ident = $schema:expr;)+) => {$(
        $(#[$meta])*
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema
            }
        }

        impl ToSchema for $name {}
    )+};
}

made! {
    /// A brand: who sends.
    Brand = joined(BrandStanding::schema(), BrandDetails::schema());
    /// Several of them.
    Brands = list(Brand::schema());
    /// Changes of a brand.
    BrandChange = partial(BrandDetails::schema());
    /// A campaign: what is sent.
    Campaign = joined(CampaignStanding::schema(), CampaignDetails::schema());
    /// Several of them.
    Campaigns = list(Campaign::schema());
    /// A campaign to be.
    NewCampaign = joined(CampaignBrand::schema(), CampaignDetails::schema());
    /// Changes of a campaign.
    CampaignChange = partial(CampaignDetails::schema());
}
