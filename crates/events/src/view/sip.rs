use opentact_store::apps::SipControlApp;
use opentact_store::connections::SipConnection;
use opentact_store::domains::SipDomain;
use opentact_store::numbers::TnLease;
use opentact_store::products::SipProduct;
use opentact_store::shaken_certificates::ShakenCertificate;
use opentact_store::sip_invites::SipInvite;
use opentact_store::sip_switches::SipSwitch;
use opentact_store::sip_user_groups::SipUserGroup;
use opentact_store::sip_users::SipUser;
use opentact_store::types::Dtmf;
use opentact_store::voice_profiles::OutboundVoiceProfile;
use serde_json::{Value, json};

use super::{author, date, extended, lease_short};

pub fn product(product: &SipProduct) -> Value {
    json!({
        "created_on": date(product.created_on),
        "modified_on": date(product.modified_on),
        "id": product.id,
        "name": product.name,
        "description": product.description,
        "type": product.kind,
        "tech_prefix": product.tech_prefix,
        "rate_table_id": product.rate_table_id,
        "route_plan_id": product.route_plan_id,
    })
}

/// An app inside a call or a lease.
pub fn sip_control_app_short(app: &SipControlApp) -> Value {
    json!({
        "created_on": date(app.created_on),
        "modified_on": date(app.modified_on),
        "uuid": app.uuid,
        "name": app.name,
        "is_active": app.is_active,
        "tech_prefix": app.tech_prefix,
        "shaken_verify_policy": app.shaken_verify_policy,
        "shaken_minimum_accepted_attest_lvl": app.shaken_minimum_accepted_attest_lvl,
        "auto_answer": app.auto_answer,
        "max_call_length_min": app.max_call_length_min,
    })
}

pub fn sip_control_app(app: &SipControlApp, webhook_secret: &str) -> Value {
    let more = json!({
        "product": { "id": app.product },
        "call_flow_url": app.call_flow_url,
        "call_flow_url2": app.call_flow_url2,
        "call_flow_method": app.call_flow_method,
        "call_flow_request_timeout": app.call_flow_request_timeout,
        "webhook_url": app.webhook_url,
        "webhook_method": app.webhook_method,
        "webhook_request_timeout": app.webhook_request_timeout,
        "codecs": *app.codecs,
        "webhook_secret": webhook_secret,
        "created_by": author(app.created_by),
        "modified_by": author(app.modified_by),
    });
    extended(sip_control_app_short(app), more)
}

/// A trunk inside a call or a lease.
pub fn sip_connection_short(connection: &SipConnection) -> Value {
    json!({
        "created_on": date(connection.created_on),
        "modified_on": date(connection.modified_on),
        "uuid": connection.uuid,
        "name": connection.name,
        "is_active": connection.is_active,
        "tech_prefix": connection.tech_prefix,
        "ip": connection.ip,
        "hostname": connection.hostname,
        "port": connection.port,
        "shaken_verify_policy": connection.shaken_verify_policy,
        "shaken_minimum_accepted_attest_lvl": connection.shaken_minimum_accepted_attest_lvl,
    })
}

/// A trunk; its password is never shown.
pub fn sip_connection(connection: &SipConnection) -> Value {
    let more = json!({
        "product": { "id": connection.product },
        "transport": connection.transport,
        "srtp": connection.srtp,
        "codecs": *connection.codecs,
        "username": connection.username,
        "register": connection.register,
        "channel_limit": connection.channel_limit,
        "cps_limit": connection.cps_limit,
        "priority": connection.priority,
        "weight": connection.weight,
        "options_ping": connection.options_ping,
        "sources": *connection.sources,
        "authenticate": connection.authenticate,
        "number_rules": connection.routing.number_rules,
        "pass_headers": connection.routing.pass_headers,
        "failover_codes": connection.routing.failover_codes,
        "progress_timeout": connection.routing.progress_timeout,
        "ring_timeout": connection.routing.ring_timeout,
        "dtmf": connection.routing.dtmf.unwrap_or(Dtmf::Auto),
        "created_by": author(connection.created_by),
        "modified_by": author(connection.modified_by),
    });
    extended(sip_connection_short(connection), more)
}

/// A profile inside a domain.
pub fn outbound_voice_profile_short(profile: &OutboundVoiceProfile) -> Value {
    json!({
        "created_on": date(profile.created_on),
        "modified_on": date(profile.modified_on),
        "uuid": profile.uuid,
        "name": profile.name,
        "is_active": profile.is_active,
        "tech_prefix": profile.tech_prefix,
    })
}

/// A profile; `lease` is its caller number's.
pub fn outbound_voice_profile(profile: &OutboundVoiceProfile, lease: Option<&TnLease>) -> Value {
    let more = json!({
        "product": { "id": profile.product },
        "tn_lease": caller_number(profile.tn_lease, lease),
        "shaken_sign_policy": profile.shaken_sign_policy,
        "channel_limit": profile.channel_limit,
        "cps_limit": profile.cps_limit,
        "max_rate": profile.max_rate,
        "daily_spend_limit": profile.daily_spend_limit,
        "hourly_spend_limit": profile.hourly_spend_limit,
        "record_calls": profile.record_calls,
        "format": profile.format,
        "allowed_countries": *profile.allowed_countries,
        "sip_connections": *profile.sip_connections,
        "emergency_connection": profile.emergency_connection,
        "created_by": author(profile.created_by),
        "modified_by": author(profile.modified_by),
    });
    extended(outbound_voice_profile_short(profile), more)
}

/// A signing certificate without its key; `url` is where it is published.
pub fn shaken_certificate(certificate: &ShakenCertificate, url: &str) -> Value {
    json!({
        "created_on": date(certificate.created_on),
        "modified_on": date(certificate.modified_on),
        "uuid": certificate.uuid,
        "name": certificate.name,
        "is_active": certificate.is_active,
        "shared": certificate.shared,
        "test": certificate.test,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "tn_auth_list": *certificate.tn_auth_list,
        "not_before": date(certificate.not_before),
        "not_after": date(certificate.not_after),
        "url": url,
        "certificate": certificate.chain,
        "created_by": author(certificate.created_by),
        "modified_by": author(certificate.modified_by),
    })
}

/// What a domain points at, as far as it is at hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct DomainContext<'a> {
    pub sip_connection: Option<&'a SipConnection>,
    pub sip_control_app: Option<&'a SipControlApp>,
    pub outbound_voice_profile: Option<&'a OutboundVoiceProfile>,
}

/// A domain inside a SIP user.
pub fn sip_domain_short(domain: &SipDomain) -> Value {
    json!({
        "created_on": date(domain.created_on),
        "modified_on": date(domain.modified_on),
        "uuid": domain.uuid,
        "domain": domain.domain,
    })
}

/// A domain. What the context lacks stands there as `{uuid}`.
pub fn sip_domain(domain: &SipDomain, context: DomainContext<'_>) -> Value {
    let uuid = |uuid| json!({ "uuid": uuid });
    let more = json!({
        "sip_connection": domain.sip_connection
            .map(|id| context.sip_connection.map_or_else(|| uuid(id), sip_connection_short)),
        "sip_control_app": domain.sip_control_app
            .map(|id| context.sip_control_app.map_or_else(|| uuid(id), sip_control_app_short)),
        "outbound_voice_profile": domain.outbound_voice_profile
            .map(|id| context.outbound_voice_profile.map_or_else(|| uuid(id), outbound_voice_profile_short)),
        "created_by": author(domain.created_by),
        "modified_by": author(domain.modified_by),
    });
    extended(sip_domain_short(domain), more)
}

/// A switch of a domain.
pub fn sip_switch(switch: &SipSwitch, domain: &SipDomain) -> Value {
    json!({
        "created_on": date(switch.created_on),
        "modified_on": date(switch.modified_on),
        "uuid": switch.uuid,
        "name": switch.name,
        "description": switch.description,
        "remote_ip": switch.remote_ip,
        "remote_domain": switch.remote_domain,
        "is_active": switch.is_active,
        "sip_domain": sip_domain_short(domain),
        "created_by": author(switch.created_by),
        "modified_by": author(switch.modified_by),
    })
}

/// An invite, with the token that lets somebody in.
pub fn sip_invite(invite: &SipInvite, domain: &SipDomain, token: &str) -> Value {
    json!({
        "created_on": date(invite.created_on),
        "modified_on": date(invite.modified_on),
        "uuid": invite.uuid,
        "name": invite.name,
        "email": invite.email,
        "expired_on": date(invite.expired_on),
        "token": token,
        "sip_domain": sip_domain_short(domain),
        "created_by": author(invite.created_by),
        "modified_by": author(invite.modified_by),
    })
}

/// A group of SIP users; `users` are those of its members that are at hand.
pub fn sip_user_group(group: &SipUserGroup, domain: &SipDomain, users: &[SipUser]) -> Value {
    let members = users.iter().filter(|user| group.users.contains(&user.uuid));
    let owner = users.iter().find(|user| group.owner == Some(user.uuid));
    json!({
        "created_on": date(group.created_on),
        "modified_on": date(group.modified_on),
        "uuid": group.uuid,
        "name": group.name,
        "owner": owner.map(|user| sip_user_short(user, Some(domain))),
        "users": members.map(|user| sip_user_short(user, Some(domain))).collect::<Vec<_>>(),
        "sip_domain": sip_domain_short(domain),
        "created_by": author(group.created_by),
        "modified_by": author(group.modified_by),
    })
}

/// A SIP user inside a call or a lease.
pub fn sip_user_short(user: &SipUser, domain: Option<&SipDomain>) -> Value {
    json!({
        "created_on": date(user.created_on),
        "modified_on": date(user.modified_on),
        "uuid": user.uuid,
        "login": user.login,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "phone_number": user.phone_number,
        "avatar": user.avatar,
        "dob": user.dob,
        "gender": user.gender,
        "is_active": user.is_active,
        "same_domain_calls_only": user.same_domain_calls_only,
        "sip_domain": domain.map_or_else(|| json!({ "uuid": user.sip_domain }), sip_domain_short),
    })
}

/// What a SIP user belongs to and has registered, as far as it is at hand.
#[derive(Debug, Clone, Default)]
pub struct SipUserContext<'a> {
    pub domain: Option<&'a SipDomain>,
    pub lease: Option<&'a TnLease>,
    /// `{contact, user_agent, transport, expires_on}`; empty means offline.
    pub registrations: Vec<Value>,
}

/// A SIP user; neither password nor HA1 is ever shown.
pub fn sip_user(user: &SipUser, context: SipUserContext<'_>) -> Value {
    let state = if context.registrations.is_empty() { "offline" } else { "online" };
    let more = json!({
        "tn_lease": caller_number(user.tn_lease, context.lease),
        "state": state,
        "registrations": context.registrations,
        "created_by": author(user.created_by),
        "modified_by": author(user.modified_by),
    });
    extended(sip_user_short(user, context.domain), more)
}

fn caller_number(uuid: Option<uuid::Uuid>, lease: Option<&TnLease>) -> Value {
    match (uuid, lease) {
        (Some(_), Some(lease)) => extended(lease_short(lease, None), json!({ "tn": { "tn": lease.tn } })),
        (Some(uuid), None) => json!({ "uuid": uuid }),
        (None, _) => Value::Null,
    }
}
