use chrono::{DateTime, Utc};
use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::{AccountShort, TnShort};
use crate::types;

/// A message, out (`smso`, `smsr`) or in (`smsi`).
#[derive(ToSchema)]
pub struct Sms {
    #[schema(schema_with = types::sms_type)]
    pub r#type: String,
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub from: String,
    /// An integer for what goes out.
    #[schema(schema_with = types::mask)]
    pub to: serde_json::Value,
    /// 32 hexadecimal digits, the same for every message between two parties.
    pub thread: String,
    pub message: String,
    #[schema(schema_with = types::sms_state)]
    pub state: String,
    /// A positive receipt has come (out), or the webhook has taken it (in).
    pub delivered: bool,
    pub automated: bool,
    pub readed: Option<bool>,
    /// Why it failed.
    pub reason: Option<String>,
    /// The carrier's id.
    pub reference_id: Option<String>,
    pub segments: u64,
    /// `gsm` or `ucs2`.
    pub encoding: String,
    pub tn: Option<TnShort>,
    #[schema(schema_with = types::or_null::any_object)]
    pub tn_lease: Option<serde_json::Value>,
    pub account: AccountShort,
    /// Not sent before. This and what follows is of what goes out.
    pub send_at: Option<DateTime<Utc>>,
    #[schema(schema_with = types::priority, required = false)]
    pub priority: String,
    /// The carrier that has it, or had it last.
    pub carrier: Option<String>,
    /// How often it was on its way to a carrier.
    #[schema(required = false)]
    pub attempts: u64,
    /// It was sent once more, as the first was never answered: the recipient may have it twice.
    #[schema(required = false)]
    pub repeated: bool,
}

/// What a message would be.
#[derive(ToSchema)]
pub struct SmsPreview {
    /// The text as it is sent.
    pub message: String,
    /// `gsm` or `ucs2`.
    pub encoding: String,
    pub characters: u64,
    /// Septets of GSM 03.38, or UTF-16 units.
    pub units: u64,
    pub segments: u64,
    /// A message of more is refused.
    pub max_segments: u64,
    /// 1 where none was given.
    pub recipients: u64,
    #[schema(schema_with = types::money)]
    pub price_per_segment: f64,
    /// For one recipient.
    #[schema(schema_with = types::money)]
    pub price: f64,
    /// For all recipients.
    #[schema(schema_with = types::money)]
    pub total: f64,
    pub sufficient_balance: bool,
}

/// What of an account waits to be sent.
#[derive(ToSchema)]
pub struct SmsQueue {
    /// Due, or put off.
    pub waiting: u64,
    /// Not to be sent yet (`send_at`).
    pub scheduled: u64,
    /// At a carrier.
    pub sending: u64,
    /// Since when the longest waits that could be sent.
    pub oldest: Option<DateTime<Utc>>,
}

/// A number that wants no messages.
#[derive(ToSchema)]
pub struct OptOut {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    /// Null: of the account's numbers that have no profile.
    pub messaging_profile: Option<Uuid>,
    #[schema(schema_with = types::tn_out)]
    pub tn: u64,
    #[schema(schema_with = types::opt_out_source)]
    pub source: String,
    /// What the recipient wrote.
    pub keyword: Option<String>,
}

/// What was taken off a list.
#[derive(ToSchema)]
pub struct OptOutsRemoved {
    pub removed: u64,
}

/// A message between SIP users.
#[derive(ToSchema)]
pub struct SipUserMessage {
    /// `sip`.
    pub r#type: String,
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    /// `login@domain`, or `anonymous` where a user of another account withholds it.
    pub from: String,
    /// `login@domain`.
    pub to: String,
    /// 32 hexadecimal digits, the same for every message between two parties.
    pub thread: String,
    pub message: String,
    /// Media type of the message.
    pub content_type: String,
    /// `created` while it waits for the recipient.
    #[schema(schema_with = types::sms_state)]
    pub state: String,
    /// A phone of the recipient has taken it.
    pub delivered: bool,
    pub automated: bool,
    /// Why it failed.
    pub reason: Option<String>,
    /// When it fails unless it is delivered before.
    pub expires_on: Option<DateTime<Utc>>,
    pub account: AccountShort,
}

/// The message; for a list of recipients a result each, in their order.
pub struct SmsSent;

impl PartialSchema for SmsSent {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(Sms::name());
        let many = ArrayBuilder::new().items(Ref::from_schema_name(SmsResult::name()));
        OneOfBuilder::new().item(one).item(many).into()
    }
}

impl ToSchema for SmsSent {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for (name, schema) in [(Sms::name(), Sms::schema()), (SmsResult::name(), SmsResult::schema())] {
            schemas.push((name.into_owned(), schema));
        }
        Sms::schemas(schemas);
        SmsResult::schemas(schemas);
    }
}

/// The message, or why this recipient gets none.
#[derive(ToSchema)]
pub struct SmsResult {
    /// Absent when it was refused.
    pub uuid: Option<Uuid>,
    #[schema(schema_with = types::mask)]
    pub to: serde_json::Value,
    #[schema(schema_with = types::sms_state)]
    pub state: String,
    pub reason: Option<String>,
    /// HTTP status that the refusal would have had alone.
    pub status: Option<u16>,
}

/// A messaging profile as other objects show it.
#[derive(ToSchema)]
pub struct MessagingProfileShort {
    pub uuid: Uuid,
    #[schema(required = false)]
    pub name: String,
    pub callback_url: Option<String>,
    pub callback_url2: Option<String>,
}

/// How an account sends and receives messages.
#[derive(ToSchema)]
pub struct MessagingProfile {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub callback_url: Option<String>,
    /// Used when the first cannot be reached.
    pub callback_url2: Option<String>,
    pub number_pool_enable: bool,
    /// 0..9.
    pub long_code_weight: u8,
    /// 0..9.
    pub tollfree_weight: u8,
    pub skip_unhealthy_tns: bool,
    pub sticky_sender: bool,
    /// What callbacks are signed with.
    pub webhook_secret: String,
    /// Typographic characters are sent as plain ones where that makes a text fit GSM 03.38.
    pub smart_encoding: bool,
    /// Of a pool, numbers of the recipient's area code are preferred.
    pub geo_match: bool,
    /// ISO 3166 alpha-2 of where messages may go; none means anywhere.
    pub allowed_countries: Vec<String>,
    /// Words that opt out besides `STOP`, `STOPALL`, `UNSUBSCRIBE`, `CANCEL`, `END`, `QUIT`.
    pub opt_out_keywords: Vec<String>,
    /// Words that opt in besides `START`, `UNSTOP`, `YES`.
    pub opt_in_keywords: Vec<String>,
    /// Words that ask for help besides `HELP`, `INFO`.
    pub help_keywords: Vec<String>,
    /// Answer to who opts out; null is the product's, empty is none.
    pub opt_out_message: Option<String>,
    pub opt_in_message: Option<String>,
    pub help_message: Option<String>,
}

/// What the simulated network sent.
#[derive(ToSchema)]
pub struct DevSmsResult {
    /// Of the message as the account received it, once it has.
    pub uuid: Option<Uuid>,
}
