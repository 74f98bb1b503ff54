//! What the router is asked and what it answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentact_call::q850::Q850;
use opentact_call::{CallType, DialOptions, DialTarget, Target};
use opentact_sip::digest::Credentials;
use opentact_sip::flow::{Flow, Transport};
use opentact_sip::message::{Method, Name, Request};
use opentact_sip::sdp::SrtpPolicy;
use opentact_sip::uri::Uri;
use opentact_store::Money;
use opentact_store::calls::Related;
use opentact_store::connections::SipConnection;
use opentact_store::lerg::LergBlock;
use opentact_store::types::{Dtmf, Shown, Srtp};
use opentact_store::voice_profiles::OutboundVoiceProfile;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::directory::Tenant;
use super::identity::{asserted, date, identities, is_withheld};
use crate::ledger::Holding;
use crate::spend::Spending;
use crate::stir::{Outgoing, Vouched};

/// What a leg belongs to, frozen when it was routed: the parts of its call object that the call machine does not know.
#[derive(Debug, Clone)]
pub struct LegContext {
    pub account: Uuid,
    /// The account as it was then.
    pub tenant: Arc<Tenant>,
    pub sip_call_id: Option<String>,
    /// The called (inbound) or calling (outbound) number, where it is one of the account's.
    pub tn: Option<u64>,
    pub sip_control_app: Option<Uuid>,
    pub sip_connection: Option<Uuid>,
    pub sip_user: Option<Uuid>,
    /// The item of a batch that it is made for.
    pub batch_item: Option<Uuid>,
    /// The objects `tn`, `sip_control_app`, `sip_connection`, `sip_user` as the API shows them.
    pub related: Related,
    /// A's `stir_shaken_attest_level`.
    pub attest_level: Option<opentact_store::types::Attestation>,
    /// What is known of who calls; `None` for calls that we make.
    pub vouched: Option<Arc<Vouched>>,
    /// Where the caller's number is, where the LERG says so.
    pub block: Option<Arc<LergBlock>>,
    pub meta: Map<String, Value>,
    /// Its app is told of every state.
    pub webhook: bool,
    /// The SIP domain the caller belongs to.
    pub domain: Option<String>,
    /// The caller's own number, where calls to the telephone network show no other.
    pub own_number: Option<u64>,
    /// The outbound voice profile that children of this leg take.
    pub voice_profile: Option<Uuid>,
    /// Whose spend limits it counts for, and the price of a minute.
    pub(crate) spends: Option<(Uuid, Money)>,
    /// Headers of its INVITE that legs made for it get too: those its trunk lets pass.
    pub pass_headers: Vec<String>,
    /// The only codecs its trunk takes; empty means all.
    pub codecs: Vec<String>,
    /// The codecs of its app, the one liked best first; empty: it has no order of its own.
    pub app_codecs: Vec<String>,
    /// Whether its audio is protected, where its trunk says so.
    pub srtp: Option<SrtpPolicy>,
    /// How keys are sent to it.
    pub dtmf: Dtmf,
}

/// An INVITE or REGISTER as far as routing looks at it.
#[derive(Debug, Clone)]
pub struct Inquiry {
    pub source: SocketAddr,
    pub transport: Transport,
    /// SIP domains that the other end of the connection has proved to be by its certificate, in lower case.
    pub certified: Arc<[String]>,
    pub method: Method,
    pub request_uri: Uri,
    pub from: Uri,
    pub to: Uri,
    /// Who the caller is by the word of who sends it (RFC 3325).
    pub asserted: Option<Uri>,
    /// A withheld caller number (RFC 3323 `Privacy: user`, RFC 3325 `id`, or the anonymous URI).
    pub anonymous: bool,
    /// Values of Authorization and Proxy-Authorization.
    pub authorization: Vec<Bytes>,
    /// Values of Identity (RFC 8224).
    pub identities: Vec<Bytes>,
    /// The Date header, seconds since 1970.
    pub date: Option<i64>,
    pub call_id: Bytes,
}

/// What becomes of an INVITE.
pub enum Admission {
    /// 407 with these Proxy-Authenticate values.
    Challenge(Vec<String>),
    Refuse(Refusal),
    Accept(Box<Plan>),
}

/// A final answer and what is known of whom it concerns.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub code: u16,
    pub reason: &'static str,
    /// Set when the account is known: the refused call is then in its log, with this reason.
    pub context: Option<Box<LegContext>>,
}

impl Refusal {
    pub fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason, context: None }
    }
}

/// How an admitted call goes on.
pub struct Plan {
    pub context: LegContext,
    pub from: String,
    pub to: String,
    pub kind: CallType,
    pub target: Target,
    pub auto_answer: bool,
    pub max_length: Option<Duration>,
    /// That of the trunk it comes from.
    pub limit: Option<Limit>,
    /// What is held back for it, where the account pays for it.
    pub(crate) credit: Option<Arc<Holding>>,
}

/// What becomes of a REGISTER.
pub enum Registration {
    /// 401 with these WWW-Authenticate values.
    Challenge(Vec<String>),
    Refuse(Refusal),
    Accept {
        sip_user: Uuid,
        aor: String,
    },
}

/// A leg to be made.
#[derive(Debug, Clone)]
pub struct DialRequest {
    pub account: Uuid,
    pub target: DialTarget,
    pub from: Option<String>,
    pub options: DialOptions,
    /// The origin's profile, where the request names none.
    pub voice_profile: Option<Uuid>,
    /// The number the origin was called on: the caller where no other is the account's.
    pub own_number: Option<u64>,
    /// The SIP user who calls, for `same_domain_calls_only`.
    pub caller_domain: Option<String>,
    /// What is known of who calls, where the call came to us.
    pub vouched: Option<Arc<Vouched>>,
}

/// How a leg is made: attempts in order, each ringing all its places at once.
#[derive(Debug, Clone)]
pub struct DialPlan {
    pub context: LegContext,
    /// Caller as the callee sees it: a number or a SIP user.
    pub from: Uri,
    pub from_display: Option<String>,
    /// What else the callee is told of the caller.
    pub identity: Vec<(Bytes, Bytes)>,
    /// Who vouches for the caller.
    pub(crate) stir: Option<Outgoing>,
    pub to: Uri,
    pub kind: CallType,
    pub attempts: Vec<Attempt>,
    /// That of the outbound voice profile.
    pub limit: Option<Limit>,
    /// What it costs, where the profile limits that.
    pub(crate) spending: Option<Arc<Spending>>,
    /// What is held back for it, where the account pays for it.
    pub(crate) credit: Option<Arc<Holding>>,
}

#[derive(Debug, Clone)]
pub enum Attempt {
    Registered(Phones),
    Place(Place),
}

/// What a SIP user has registered.
#[derive(Debug, Clone)]
pub struct Phones {
    pub user: Uuid,
    /// Only this device of it (RFC 5627).
    pub device: Option<String>,
    /// Only those that are reached over TLS (RFC 3261 26.2.2).
    pub secure: bool,
}

/// Where an INVITE goes.
#[derive(Debug, Clone)]
pub struct Place {
    pub uri: Uri,
    pub remote: SocketAddr,
    pub transport: Transport,
    pub credentials: Option<Arc<Credentials>>,
    /// The trunk it is.
    pub over: Option<Arc<Over>>,
}

/// A trunk as a way out: what is said over it, and when the next is tried.
#[derive(Debug)]
pub struct Over {
    pub uuid: Uuid,
    /// As the call object shows it.
    pub shown: Shown,
    pub from: Uri,
    pub to: Uri,
    pub identity: Vec<(Bytes, Bytes)>,
    /// The number that calls, before it is written the trunk's way.
    pub caller: Option<u64>,
    /// The number that is called, before it is written the trunk's way.
    pub callee: Option<u64>,
    pub limit: Option<Limit>,
    /// The only codecs it takes; empty means all.
    pub codecs: Vec<String>,
    /// Whether audio is protected; `None`: as on other ways.
    pub srtp: Option<SrtpPolicy>,
    pub pass_headers: Vec<String>,
    /// `None`: 408 and 5xx.
    pub failover_codes: Option<Vec<u16>>,
    pub progress_timeout: Option<Duration>,
    pub ring_timeout: Option<Duration>,
    pub dtmf: Dtmf,
}

/// What a trunk's field says.
pub(super) fn srtp_policy(srtp: Srtp) -> SrtpPolicy {
    match srtp {
        Srtp::Off => SrtpPolicy::Off,
        Srtp::Optional => SrtpPolicy::Optional,
        Srtp::Required => SrtpPolicy::Required,
    }
}

/// How many calls a trunk or an outbound voice profile may have (`channel_limit`) and begin in a second (`cps_limit`).
#[derive(Debug, Clone)]
pub struct Limit {
    /// Whose it is.
    pub of: Uuid,
    /// What it is, for people.
    pub kind: &'static str,
    pub name: String,
    pub channels: Option<u64>,
    pub per_second: Option<u64>,
}

impl Limit {
    pub(super) fn of_trunk(trunk: &SipConnection) -> Option<Self> {
        Self::new(trunk.uuid, ("SIP connection", &trunk.name), trunk.channel_limit, trunk.cps_limit)
    }

    pub(super) fn of_profile(profile: &OutboundVoiceProfile) -> Option<Self> {
        let named = ("outbound voice profile", &*profile.name);
        Self::new(profile.uuid, named, profile.channel_limit, profile.cps_limit)
    }

    fn new(
        of: Uuid,
        (kind, name): (&'static str, &str),
        channels: Option<i64>,
        per_second: Option<i64>,
    ) -> Option<Self> {
        let count = |limit: Option<i64>| limit.and_then(|limit| u64::try_from(limit).ok());
        let (channels, per_second) = (count(channels), count(per_second));
        (channels.is_some() || per_second.is_some()).then(|| Self {
            of,
            kind,
            name: name.to_owned(),
            channels,
            per_second,
        })
    }
}

/// What of a request to dial is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The account may not call at all.
    Account,
    Balance,
    /// The profile does not allow the country.
    Country,
    /// A minute costs more than the profile allows.
    Rate,
    /// The profile's calls have cost as much as they may.
    Spend,
    Caller,
    Callee,
    /// There is no way there just now.
    Way,
}

/// Why no leg was made.
#[derive(Debug, Clone)]
pub struct DialFault {
    pub about: About,
    pub sip: u16,
    pub q850: Q850,
    pub reason: String,
}

impl Inquiry {
    /// `None` when the request has no usable From, To or Request-URI. Certificates are the transport's to know.
    pub fn of(request: &Request, flow: Flow) -> Option<Self> {
        let headers = request.headers();
        let from = request.from().ok()?;
        let anonymous = is_withheld(headers) || from.uri.host().eq_ignore_ascii_case("anonymous.invalid");
        let authorization = headers.get_all(Name::Authorization).chain(headers.get_all(Name::ProxyAuthorization));
        Some(Self {
            source: flow.remote,
            transport: flow.transport,
            certified: Arc::default(),
            method: request.method().clone(),
            request_uri: request.uri().ok()?,
            from: from.uri,
            to: request.to().ok()?.uri,
            asserted: asserted(headers),
            anonymous,
            authorization: authorization.map(Bytes::copy_from_slice).collect(),
            identities: identities(headers),
            date: date(headers),
            call_id: request.call_id().map(Bytes::copy_from_slice).unwrap_or_default(),
        })
    }
}

impl DialPlan {
    /// One that says nothing of the caller besides From and has no limit.
    pub(super) fn plain(context: LegContext, kind: CallType, from: Uri, to: Uri, attempts: Vec<Attempt>) -> Self {
        let (from_display, identity, stir) = (None, Vec::new(), None);
        let (limit, spending, credit) = (None, None, None);
        Self { context, from, from_display, identity, stir, to, kind, attempts, limit, spending, credit }
    }

    /// The caller as the call object shows it.
    pub fn caller(&self) -> String {
        self.from.user_text().unwrap_or_default().into_owned()
    }
}
