use chrono::{DateTime, Utc};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AccountShort, SipConnectionShort, SipControlAppShort, SipUserShort, TnShort};
use crate::types;

/// One leg.
#[derive(ToSchema)]
pub struct Call {
    pub uuid: Uuid,
    #[schema(schema_with = types::direction)]
    pub direction: String,
    /// With `+` inbound.
    pub from: String,
    pub to: String,
    #[schema(schema_with = types::call_state)]
    pub state: String,
    /// Whole seconds from the answer.
    pub duration: u64,
    #[schema(schema_with = types::call_type)]
    pub r#type: String,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub init_on: Option<DateTime<Utc>>,
    pub ring_on: Option<DateTime<Utc>>,
    pub answer_on: Option<DateTime<Utc>>,
    pub hangup_on: Option<DateTime<Utc>>,
    pub destroy_on: Option<DateTime<Utc>>,
    pub finished_on: Option<DateTime<Utc>>,
    /// ITU-T Q.850.
    pub q850_cause: Option<u8>,
    pub q850_cause_string: Option<String>,
    pub freeswitch_call_state: Option<String>,
    pub freeswitch_channel_state: Option<String>,
    #[schema(schema_with = types::or_null::attestation)]
    pub stir_shaken_attest_level: Option<String>,
    /// The same for every call between two parties.
    pub thread: Option<String>,
    /// The call that dialled this one.
    #[schema(schema_with = types::or_null::any_object)]
    pub parent: Option<serde_json::Value>,
    pub tn: Option<TnShort>,
    pub sip_control_app: Option<SipControlAppShort>,
    pub sip_connection: Option<SipConnectionShort>,
    pub sip_user: Option<SipUserShort>,
    pub account: AccountShort,
    #[schema(schema_with = types::or_null::any_object)]
    pub batch_item: Option<serde_json::Value>,
    /// What the call was made with; absent when nothing.
    #[schema(schema_with = types::any_object)]
    pub meta: Option<serde_json::Value>,
    /// Who vouches for the caller (STIR/SHAKEN): `verstat`, `attest`, `origid`, `spc`, `diverted_from`, or `code` and `reason`
    /// of what does not hold; `identity`, the headers. Absent when there is nothing.
    #[schema(schema_with = types::any_object)]
    pub stir_shaken: Option<serde_json::Value>,
    /// Who has answered, where that was asked: `result` (`human`, `machine`, `beep`, `not_sure`), `reason`, and what it was judged
    /// by: `initial_silence`, `greeting`, `words`, `longest_word`, `silence`, `total` and `beep` (`at`, `length`, `hz`); milliseconds.
    #[schema(schema_with = types::any_object)]
    pub amd: Option<serde_json::Value>,
    /// How its audio was, once that has ended: as in `media` of `/rest/call/{uuid}/trace`, which tells it while it lasts. Absent
    /// where there was none.
    #[schema(schema_with = types::any_object)]
    pub media: Option<serde_json::Value>,
    /// Recordings.
    #[schema(schema_with = types::objects)]
    pub records: Vec<serde_json::Value>,
    /// Elements executed so far; only in the answer about one call.
    pub logs: Vec<CallFlowLog>,
    /// Legs that this one dialled; only in the answer about one call.
    #[schema(schema_with = types::objects)]
    pub children: Vec<serde_json::Value>,
}

/// One executed element of a call flow.
#[derive(ToSchema)]
pub struct CallFlowLog {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    /// Name of the element.
    pub name: String,
    pub element: Option<String>,
    #[schema(example = "Gather[1].DTMF[0].Say[0]")]
    pub path: Option<String>,
    pub success: bool,
    pub reason: String,
}

/// What of a call was seen on the wire.
#[derive(ToSchema)]
pub struct CallTrace {
    /// Oldest first.
    pub sip: Vec<SipMessage>,
    /// One of each leg that has, or had, audio.
    pub media: Vec<LegMedia>,
}

/// How the audio of a leg is, or was when it ended. `null` is what nothing is known of.
#[derive(ToSchema)]
pub struct LegMedia {
    pub leg: Uuid,
    /// Whether it goes on.
    pub live: bool,
    #[schema(example = "opus")]
    pub codec: Option<String>,
    pub packets_sent: u64,
    pub packets_received: u64,
    /// Never received, of those that were sent to us.
    pub packets_lost: u64,
    pub packets_reordered: u64,
    pub packets_duplicate: u64,
    /// Malformed, of another source, or of a codec that was not agreed on.
    pub packets_discarded: u64,
    /// Interarrival jitter (RFC 3550) of what is received, now and at most.
    pub jitter_ms: f64,
    pub max_jitter_ms: f64,
    /// By RTCP.
    pub round_trip_ms: Option<f64>,
    /// Mean opinion score of what is received, 1 to 4.4, by the E-model (ITU-T G.107), and that of its worst 5 s.
    pub mos: Option<f64>,
    pub lowest_mos: Option<f64>,
    /// Where what the other leg says is encoded anew for this one: how long it waits, what was made up for what was lost
    /// or late, and packets that were too late or too many.
    #[schema(schema_with = types::or_null::any_object)]
    pub transcoding: Option<serde_json::Value>,
    /// What the other side tells by RTCP of what it receives: `packets_lost`, `jitter_ms`, `mos`.
    #[schema(schema_with = types::or_null::any_object)]
    pub remote: Option<serde_json::Value>,
    /// Keys received.
    pub dtmf_received: u32,
}

/// One SIP message.
#[derive(ToSchema)]
pub struct SipMessage {
    pub time: DateTime<Utc>,
    #[schema(schema_with = types::message_direction)]
    pub direction: String,
    /// `UDP`, `TCP`, ...
    pub transport: String,
    #[schema(example = "127.0.0.1:5060")]
    pub local: String,
    #[schema(example = "127.0.0.1:5070")]
    pub remote: String,
    /// Start line without the version.
    #[schema(example = "180 Ringing")]
    pub summary: String,
    pub call_id: String,
    /// The call or dialled leg it belongs to.
    pub leg: Uuid,
    /// As on the wire; credentials are starred out.
    pub text: String,
}

/// What the simulated network did.
#[derive(ToSchema)]
pub struct DevCallResult {
    /// SIP Call-ID of the call it makes.
    pub call_id: Option<String>,
}
