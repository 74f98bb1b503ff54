use chrono::{DateTime, Utc};
use utoipa::ToSchema;
use uuid::Uuid;

use super::TnShort;
use crate::types;

/// A Call Control App.
#[derive(ToSchema)]
pub struct SipControlApp {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub is_active: bool,
    pub tech_prefix: u64,
    pub product: SipProductShort,
    pub auto_answer: bool,
    /// Minutes.
    pub max_call_length_min: Option<u64>,
    /// 0 do not check, 1 block without identity, 2 block when it is not valid, 3 verify and never block.
    pub shaken_verify_policy: u8,
    #[schema(schema_with = types::or_null::attestation)]
    pub shaken_minimum_accepted_attest_lvl: Option<String>,
    pub call_flow_url: Option<String>,
    pub call_flow_url2: Option<String>,
    #[schema(schema_with = types::or_null::method)]
    pub call_flow_method: Option<String>,
    /// Milliseconds.
    pub call_flow_request_timeout: Option<u64>,
    pub webhook_url: Option<String>,
    #[schema(schema_with = types::or_null::method)]
    pub webhook_method: Option<String>,
    /// Milliseconds.
    pub webhook_request_timeout: Option<u64>,
    /// What its webhooks are signed with.
    pub webhook_secret: String,
    /// Codecs of its calls, in order of preference; none: as trunks and phones have them.
    pub codecs: Vec<String>,
}

/// STUN and TURN servers, as `RTCPeerConnection` takes them.
#[derive(ToSchema)]
pub struct IceServers {
    pub ice_servers: Vec<IceServer>,
    /// When the passwords end.
    pub expires_on: Option<DateTime<Utc>>,
}

#[derive(ToSchema)]
pub struct IceServer {
    pub urls: Vec<String>,
    pub username: Option<String>,
    pub credential: Option<String>,
}

/// A trunk.
#[derive(ToSchema)]
pub struct SipConnection {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub is_active: bool,
    pub tech_prefix: u64,
    pub ip: Option<String>,
    pub hostname: Option<String>,
    pub port: u16,
    #[schema(schema_with = types::sip_transport)]
    pub transport: String,
    /// Whether audio is protected; null: as `media.srtp` says.
    #[schema(schema_with = types::or_null::srtp)]
    pub srtp: Option<String>,
    pub codecs: Vec<String>,
    pub username: Option<String>,
    pub register: bool,
    pub channel_limit: Option<u64>,
    pub cps_limit: Option<u64>,
    pub priority: u64,
    pub weight: u64,
    pub options_ping: bool,
    pub sources: Vec<String>,
    pub authenticate: bool,
    pub number_rules: Vec<NumberRule>,
    pub pass_headers: Vec<String>,
    pub failover_codes: Option<Vec<u16>>,
    pub progress_timeout: Option<u16>,
    pub ring_timeout: Option<u16>,
    /// How keys are sent.
    #[schema(schema_with = types::dtmf_mode)]
    pub dtmf: String,
    /// Where it is read.
    #[schema(required = false)]
    pub health: TrunkHealth,
    pub shaken_verify_policy: u8,
    #[schema(schema_with = types::or_null::attestation)]
    pub shaken_minimum_accepted_attest_lvl: Option<String>,
}

/// How a trunk does on this node.
#[derive(ToSchema)]
pub struct TrunkHealth {
    /// By its answers to OPTIONS: `up`, `down`, or `unknown` where it is not asked.
    pub state: String,
    pub since: Option<DateTime<Utc>>,
    /// Where we register with it.
    pub registration: Option<TrunkRegistration>,
    /// The latest calls to it that ended, of which the figures are; at most 500.
    pub calls: u64,
    /// Answer-seizure ratio, 0 to 1.
    pub asr: Option<f64>,
    /// Average call duration, seconds.
    pub acd: Option<f64>,
    /// Post-dial delay, seconds: from INVITE to ringing.
    pub pdd: Option<f64>,
}

/// Our registration with a trunk.
#[derive(ToSchema)]
pub struct TrunkRegistration {
    /// `trying`, `registered`, `refused` or `unreachable`.
    pub state: String,
    /// SIP code of the refusal.
    pub code: Option<u16>,
    pub expires_on: Option<DateTime<Utc>>,
}

/// Makes one way of writing numbers another. For each direction and party the first that fits is applied.
#[derive(Debug, Clone, serde::Deserialize, ToSchema)]
pub struct NumberRule {
    /// Of the call: `in` comes over the trunk.
    #[schema(schema_with = types::direction)]
    pub direction: opentact_store::types::Direction,
    #[schema(schema_with = types::party)]
    pub party: opentact_store::types::Party,
    /// What the number begins with; `+` counts.
    #[serde(default)]
    #[schema(required = false, schema_with = types::number_part)]
    pub prefix: String,
    /// Digits it has at least.
    #[schema(minimum = 1, maximum = 32)]
    pub min_digits: Option<u8>,
    /// Digits it has at most.
    #[schema(minimum = 1, maximum = 32)]
    pub max_digits: Option<u8>,
    /// Characters taken off its beginning.
    #[serde(default)]
    #[schema(required = false, minimum = 0, maximum = 32)]
    pub strip: u8,
    /// What is put before the rest.
    #[serde(default)]
    #[schema(required = false, schema_with = types::number_part)]
    pub prepend: String,
}

/// A Call Control App inside other objects; only `uuid` where no more is at hand.
#[derive(ToSchema)]
pub struct SipControlAppShort {
    pub uuid: Uuid,
    #[schema(required = false)]
    pub created_on: DateTime<Utc>,
    #[schema(required = false)]
    pub modified_on: DateTime<Utc>,
    #[schema(required = false)]
    pub name: String,
    #[schema(required = false)]
    pub is_active: bool,
    #[schema(required = false)]
    pub tech_prefix: u64,
    #[schema(required = false)]
    pub shaken_verify_policy: u8,
    #[schema(schema_with = types::or_null::attestation)]
    pub shaken_minimum_accepted_attest_lvl: Option<String>,
    #[schema(required = false)]
    pub auto_answer: bool,
    pub max_call_length_min: Option<u64>,
}

/// A trunk inside other objects; only `uuid` where no more is at hand.
#[derive(ToSchema)]
pub struct SipConnectionShort {
    pub uuid: Uuid,
    #[schema(required = false)]
    pub created_on: DateTime<Utc>,
    #[schema(required = false)]
    pub modified_on: DateTime<Utc>,
    #[schema(required = false)]
    pub name: String,
    #[schema(required = false)]
    pub is_active: bool,
    #[schema(required = false)]
    pub tech_prefix: u64,
    #[schema(required = false)]
    pub shaken_verify_policy: u8,
    #[schema(schema_with = types::or_null::attestation)]
    pub shaken_minimum_accepted_attest_lvl: Option<String>,
    pub ip: Option<String>,
    pub hostname: Option<String>,
    #[schema(required = false)]
    pub port: u16,
}

/// An outbound voice profile inside other objects; only `uuid` where no more is at hand.
#[derive(ToSchema)]
pub struct OutboundVoiceProfileShort {
    pub uuid: Uuid,
    #[schema(required = false)]
    pub created_on: DateTime<Utc>,
    #[schema(required = false)]
    pub modified_on: DateTime<Utc>,
    #[schema(required = false)]
    pub name: String,
    #[schema(required = false)]
    pub is_active: bool,
    #[schema(required = false)]
    pub tech_prefix: u64,
}

/// A product inside other objects.
#[derive(ToSchema)]
pub struct SipProductShort {
    pub id: u64,
}

/// A domain that holds SIP users.
#[derive(ToSchema)]
pub struct SipDomain {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    /// Full name: `<label>.<sip domain of the installation>`.
    pub domain: String,
    pub sip_connection: Option<SipConnectionShort>,
    pub sip_control_app: Option<SipControlAppShort>,
    pub outbound_voice_profile: Option<OutboundVoiceProfileShort>,
}

/// A SIP user as other objects show it.
#[derive(ToSchema)]
pub struct SipUserShort {
    pub uuid: Uuid,
    #[schema(required = false)]
    pub created_on: DateTime<Utc>,
    #[schema(required = false)]
    pub modified_on: DateTime<Utc>,
    #[schema(required = false)]
    pub login: String,
}

/// The domain of a SIP user.
#[derive(ToSchema)]
pub struct SipDomainShort {
    pub uuid: Uuid,
    #[schema(required = false)]
    pub domain: String,
}

/// A system whose calls are a domain's by where they come from.
#[derive(ToSchema)]
pub struct SipSwitch {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub description: Option<String>,
    #[schema(example = "192.0.2.0/28")]
    pub remote_ip: Option<String>,
    pub remote_domain: Option<String>,
    pub is_active: bool,
    pub sip_domain: SipDomainShort,
}

/// SIP users who are rung together.
#[derive(ToSchema)]
pub struct SipUserGroup {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    /// The SIP user who made it; null: the account did.
    pub owner: Option<SipUserShort>,
    pub users: Vec<SipUserShort>,
    pub sip_domain: SipDomainShort,
}

/// An invite to become a SIP user of a domain.
#[derive(ToSchema)]
pub struct SipInvite {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    /// Whom it was mailed to.
    pub email: Option<String>,
    pub expired_on: DateTime<Utc>,
    /// Lets whoever has it in, at `/rest/app/invite/{token}`.
    pub token: String,
    pub sip_domain: SipDomainShort,
}

/// A SIP phone's login.
#[derive(ToSchema)]
pub struct SipUser {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub login: String,
    pub is_active: bool,
    pub same_domain_calls_only: bool,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone_number: Option<String>,
    pub avatar: Option<String>,
    pub dob: Option<String>,
    #[schema(schema_with = types::or_null::gender)]
    pub gender: Option<String>,
    pub sip_domain: SipDomainShort,
    /// Caller id and direct number.
    pub tn_lease: Option<TnLeaseShort>,
    #[schema(schema_with = online)]
    pub state: String,
    pub registrations: Vec<SipRegistration>,
}

fn online() -> utoipa::openapi::Object {
    utoipa::openapi::schema::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .enum_values(Some(["online", "offline"]))
        .build()
}

/// A contact that a SIP user has registered.
#[derive(ToSchema)]
pub struct SipRegistration {
    #[schema(example = "sip:phone@192.0.2.7:5060")]
    pub contact: String,
    pub user_agent: String,
    #[schema(example = "udp")]
    pub transport: String,
    pub expires_on: DateTime<Utc>,
}

/// A route and price class.
#[derive(ToSchema)]
pub struct SipProduct {
    pub id: u64,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub description: Option<String>,
    #[schema(example = "public")]
    pub r#type: String,
    pub tech_prefix: Option<u64>,
}

/// Termination: by which route, from which number and within which limits calls go out.
#[derive(ToSchema)]
pub struct OutboundVoiceProfile {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub is_active: bool,
    pub tech_prefix: u64,
    /// The caller number.
    pub tn_lease: Option<TnLeaseShort>,
    /// 0 off, 1 sign.
    pub shaken_sign_policy: u8,
    pub channel_limit: Option<u64>,
    pub cps_limit: Option<u64>,
    #[schema(schema_with = types::or_null::money)]
    pub max_rate: Option<f64>,
    #[schema(schema_with = types::or_null::money)]
    pub daily_spend_limit: Option<f64>,
    #[schema(schema_with = types::or_null::money)]
    pub hourly_spend_limit: Option<f64>,
    /// 0 never, 1 from answer, 2 from ringing.
    pub record_calls: u8,
    #[schema(schema_with = types::record_format)]
    pub format: String,
    pub allowed_countries: Vec<String>,
    /// Trunks its calls go by; none means the carriers of the node.
    pub sip_connections: Vec<Uuid>,
    /// Trunk that emergency calls go by; none means that of the node.
    pub emergency_connection: Option<Uuid>,
}

/// A lease as other objects show it.
#[derive(ToSchema)]
pub struct TnLeaseShort {
    pub uuid: Uuid,
    #[schema(required = false)]
    pub tn: TnShort,
    #[schema(required = false)]
    pub autorenew: bool,
    #[schema(required = false)]
    pub expired_on: DateTime<Utc>,
}

/// A certificate that calls are signed with. Its key is never shown.
#[derive(ToSchema)]
pub struct ShakenCertificate {
    pub uuid: Uuid,
    pub created_on: DateTime<Utc>,
    pub modified_on: DateTime<Utc>,
    pub name: String,
    pub is_active: bool,
    /// Signs for accounts that have none of their own.
    pub shared: bool,
    /// Of the test authority.
    pub test: bool,
    pub subject: String,
    pub issuer: String,
    /// Hexadecimal.
    pub serial: String,
    /// Whom it may speak for: `{spc}`, `{number}` or `{start, count}`.
    #[schema(schema_with = types::objects)]
    pub tn_auth_list: Vec<serde_json::Value>,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
    /// Where verifiers read it: the `x5u` of our signatures.
    pub url: String,
    /// PEM, the signing certificate first.
    pub certificate: String,
}
