use opentact_store::accounts::Account;
use opentact_store::messaging_profiles::MessagingProfile;
use opentact_store::numbers::{Number, TnLease};
use opentact_store::sip_messages::SipMessage;
use opentact_store::sms::Sms;
use opentact_store::sms_opt_outs::OptOut;
use opentact_store::types::SmsType;
use serde_json::{Value, json};

use super::{account, author, date, extended, lease_short, tn_short};

/// What a message belongs to, as far as it is at hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct SmsContext<'a> {
    pub account: Option<&'a Account>,
    pub number: Option<&'a Number>,
    pub lease: Option<&'a TnLease>,
    pub profile: Option<&'a MessagingProfile>,
}

/// A message. `to` is an integer in what goes out, a string in what comes in.
pub fn sms(sms: &Sms, context: SmsContext<'_>) -> Value {
    let to = match sms.kind {
        SmsType::Outbound | SmsType::Pool => {
            sms.to.trim_start_matches('+').parse::<u64>().map_or_else(|_| json!(sms.to), |digits| json!(digits))
        }
        SmsType::Inbound => json!(sms.to),
    };
    let object = json!({
        "type": sms.kind,
        "uuid": sms.uuid,
        "created_on": date(sms.created_on),
        "modified_on": date(sms.modified_on),
        "from": sms.from,
        "to": to,
        "thread": sms.thread,
        "message": sms.message,
        "state": sms.state,
        "delivered": sms.delivered,
        "automated": sms.automated,
        "reason": sms.reason,
        "reference_id": sms.reference_id,
        "segments": sms.segments,
        "encoding": sms.encoding,
        "tn": context.number.map_or_else(|| json!({ "tn": sms.tn }), tn_short),
        "tn_lease": match context.lease {
            Some(lease) => lease_short(lease, context.profile),
            None => sms.tn_lease.map_or(Value::Null, |uuid| json!({ "uuid": uuid })),
        },
        "account": context.account.map_or_else(|| json!({ "uuid": sms.account }), account),
    });
    let more = match sms.kind {
        SmsType::Inbound => json!({ "readed": sms.readed }),
        SmsType::Outbound | SmsType::Pool => {
            json!({
                "custom_callback_url": sms.custom_callback_url,
                "created_by": author(sms.created_by),
                "send_at": sms.send_at.map(date),
                "priority": sms.priority,
                "carrier": sms.carrier,
                "attempts": sms.attempts,
                "repeated": sms.repeated,
            })
        }
    };
    extended(object, more)
}

/// A message between SIP users: what an SMS and it have in common is called the same.
pub fn sip_message(message: &SipMessage, of: Option<&Account>) -> Value {
    json!({
        "type": "sip",
        "uuid": message.uuid,
        "created_on": date(message.created_on),
        "modified_on": date(message.modified_on),
        "from": message.from,
        "to": message.to,
        "thread": message.thread,
        "message": message.message,
        "content_type": message.content_type,
        "state": message.state,
        "delivered": message.delivered,
        "automated": false,
        "reason": message.reason,
        "expires_on": message.waits_until.map(date),
        "account": of.map_or_else(|| json!({ "uuid": message.account }), account),
    })
}

/// A number that wants no messages.
pub fn opt_out(row: &OptOut) -> Value {
    json!({
        "uuid": row.uuid,
        "created_on": date(row.created_on),
        "messaging_profile": row.messaging_profile,
        "tn": row.tn,
        "source": row.source,
        "keyword": row.keyword,
    })
}

/// A profile inside a lease.
pub fn messaging_profile_short(profile: &MessagingProfile) -> Value {
    json!({
        "uuid": profile.uuid,
        "name": profile.name,
        "callback_url": profile.callback_url,
        "callback_url2": profile.callback_url2,
    })
}

/// `webhook_secret` is what its callbacks are signed with.
pub fn messaging_profile(profile: &MessagingProfile, webhook_secret: &str) -> Value {
    json!({
        "created_on": date(profile.created_on),
        "modified_on": date(profile.modified_on),
        "uuid": profile.uuid,
        "name": profile.name,
        "callback_url": profile.callback_url,
        "callback_url2": profile.callback_url2,
        "number_pool_enable": profile.number_pool_enable,
        "long_code_weight": profile.long_code_weight,
        "tollfree_weight": profile.tollfree_weight,
        "skip_unhealthy_tns": profile.skip_unhealthy_tns,
        "sticky_sender": profile.sticky_sender,
        "webhook_secret": webhook_secret,
        "smart_encoding": profile.smart_encoding,
        "geo_match": profile.geo_match,
        "allowed_countries": *profile.allowed_countries,
        "opt_out_keywords": profile.opt_out.out_keywords,
        "opt_in_keywords": profile.opt_out.in_keywords,
        "help_keywords": profile.opt_out.help_keywords,
        "opt_out_message": profile.opt_out.out_message,
        "opt_in_message": profile.opt_out.in_message,
        "help_message": profile.opt_out.help_message,
        "created_by": author(profile.created_by),
        "modified_by": author(profile.modified_by),
    })
}
