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
}

/// What the simulated network sent.
#[derive(ToSchema)]
pub struct DevSmsResult {
    /// Of the message as the account received it, once it has.
    pub uuid: Option<Uuid>,
}
