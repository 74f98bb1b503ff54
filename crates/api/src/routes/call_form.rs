//! What every request that makes calls says of them.

use std::time::Duration;

use opentact_callflow::{Record, RecordFormat};
use opentact_engine::ports::{FlowSource, Originate};
use opentact_store::types;
use serde::Deserialize;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use uuid::Uuid;

use crate::types::record_format;

/// Seconds a callee rings where nothing else is said.
pub(super) const RING_TIMEOUT: u64 = 60;

/// What is said of the calls that a request makes.
pub(super) trait CallForm {
    /// How long the callee may ring.
    fn ring(&self) -> Duration;
    /// The call to make to `to`.
    fn order(&self, account: Uuid, to: String, flow: FlowSource) -> Originate;
}

/// The part of a request that all those have which make calls. A macro for the reason of [`super::forms::search_form`].
macro_rules! call_form {
    ($(#[$meta:meta])* struct $name:ident { $($(#[$fmeta:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
        struct $name {
            $($(#[$fmeta])* $field: $kind,)*
            /// Caller number; one of the account's, else the outbound voice profile's is used.
            #[serde(default, deserialize_with = "crate::types::text_or_number")]
            #[schema(schema_with = crate::types::destination)]
            from: Option<String>,
            /// The caller number by its lease.
            tn_lease: Option<uuid::Uuid>,
            outbound_voice_profile: Option<uuid::Uuid>,
            sip_connection: Option<uuid::Uuid>,
            /// Seconds the callee may ring, default 60.
            #[schema(minimum = 1, maximum = 600)]
            timeout: Option<u64>,
            /// Seconds the call may last.
            #[schema(minimum = 1, maximum = 86_400)]
            max_length: Option<u64>,
            /// Recorded from the answer to the end: `true`, or how.
            #[schema(schema_with = crate::routes::call_form::record)]
            record: Option<crate::routes::call_form::RecordForm>,
            /// Variables of the flow: `{{meta.NAME}}`.
            #[serde(default)]
            #[schema(schema_with = crate::types::any_object)]
            meta: serde_json::Map<String, serde_json::Value>,
        }

        impl crate::routes::call_form::CallForm for $name {
            fn ring(&self) -> std::time::Duration {
                std::time::Duration::from_secs(self.timeout.unwrap_or(crate::routes::call_form::RING_TIMEOUT))
            }

            fn order(&self, account: uuid::Uuid, to: String, flow: opentact_engine::ports::FlowSource) -> opentact_engine::ports::Originate {
                opentact_engine::ports::Originate {
                    from: self.from.clone(),
                    tn_lease: self.tn_lease,
                    outbound_voice_profile: self.outbound_voice_profile,
                    sip_connection: self.sip_connection,
                    timeout: self.ring(),
                    max_length: self.max_length.map(std::time::Duration::from_secs),
                    record: self.record.as_ref().and_then(crate::routes::call_form::RecordForm::read),
                    meta: self.meta.clone(),
                    ..opentact_engine::ports::Originate::new(account, to, flow)
                }
            }
        }
    };
}
pub(super) use call_form;

/// `record` of a call to make.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum RecordForm {
    Plain(bool),
    Told(RecordTerms),
}

/// A recording from the answer of a call to its end.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RecordTerms {
    /// By which it is found, and played by `<Play record="...">`.
    tag: Option<String>,
    /// 1: both sides mixed; 2, the default: the callee left, what it hears right.
    channels: Option<u8>,
    /// Default `wav`.
    format: Option<types::RecordFormat>,
}

/// `true`, `false` or the terms.
pub(super) fn record() -> Schema {
    let word = |max| ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(max));
    let channels = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(2));
    let terms = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("tag", word(255).description(Some("By which it is found, and played by <Play record>")))
        .property(
            "channels",
            channels.description(Some("1: both sides mixed; 2, the default: the callee left, what it hears right")),
        )
        .property("format", record_format());
    let plain = ObjectBuilder::new().schema_type(Type::Boolean);
    Schema::OneOf(OneOfBuilder::new().item(plain).item(terms).build())
}

impl RecordForm {
    /// As a batch keeps it.
    pub(super) fn terms(&self) -> Option<opentact_store::batches::RecordTerms> {
        self.read().map(|Record { tag, channels, format, .. }| opentact_store::batches::RecordTerms {
            tag,
            channels,
            format: match format {
                RecordFormat::Wav => types::RecordFormat::Wav,
                RecordFormat::Mp3 => types::RecordFormat::Mp3,
            },
        })
    }

    pub(super) fn read(&self) -> Option<Record> {
        match self {
            Self::Plain(false) => None,
            Self::Plain(true) => Some(Record::background(None)),
            Self::Told(terms) => Some(Record {
                channels: terms.channels.unwrap_or(2),
                format: match terms.format {
                    Some(types::RecordFormat::Mp3) => RecordFormat::Mp3,
                    _ => RecordFormat::Wav,
                },
                ..Record::background(terms.tag.clone())
            }),
        }
    }
}
