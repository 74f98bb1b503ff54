//! How the product's values look in a request: schema, check and reading of numbers, enumerations and changes.

use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Object, SchemaFormat};

/// A property of a PATCH body: left out, null, or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Change<T> {
    /// `None` to keep, `Some(None)` to clear.
    pub fn into_option(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }

    /// Writes the change into a row.
    pub fn apply(self, target: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *target = None,
            Self::Set(value) => *target = Some(value),
        }
    }

    /// The value it is set to.
    pub fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            _ => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

fn string(format: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom(format.to_owned())))
}

/// A telephone number on input: integer with country code, or text with or without `+`.
#[must_use]
pub fn tn() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::String]))
        .format(Some(SchemaFormat::Custom("tn".to_owned())))
        .minimum(Some(1_000_000_usize))
        .maximum(Some(999_999_999_999_999_usize))
        .pattern(Some(r"^\+?[1-9][0-9]{6,14}$"))
        .description(Some("Telephone number with country code; text may carry a leading +"))
        .examples([serde_json::json!(12_017_771_234_u64)])
        .build()
}

/// A telephone number in an answer: always an integer.
#[must_use]
pub fn tn_out() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::Custom("tn".to_owned())))
        .description(Some("Telephone number with country code"))
        .examples([serde_json::json!(12_017_771_234_u64)])
        .build()
}

/// An amount: a number with at most six decimals.
#[must_use]
pub fn money() -> Object {
    ObjectBuilder::new().schema_type(Type::Number).description(Some("At most six decimals")).build()
}

/// `http://` or `https://` URL.
#[must_use]
pub fn url() -> Object {
    string("uri").max_length(Some(2048)).build()
}

/// The callback URLs of the domain: 10..255 characters.
#[must_use]
pub fn callback_url() -> Object {
    string("uri").min_length(Some(10)).max_length(Some(255)).build()
}

#[must_use]
pub fn email() -> Object {
    string("email").min_length(Some(5)).max_length(Some(80)).build()
}

#[must_use]
pub fn ip() -> Object {
    string("ip").build()
}

/// Host name of a trunk (RFC 1123).
#[must_use]
pub fn hostname() -> Object {
    string("hostname").max_length(Some(253)).build()
}

/// Callers of a filter's lists: numbers, as text or number, masks of them, or `anonymous`.
#[must_use]
pub fn caller_masks() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(digits("caller-mask")).max_items(Some(1_000)).build()
}

/// Addresses that calls come from.
#[must_use]
pub fn network() -> Object {
    string("network").build()
}

/// Where calls of a trunk come from.
#[must_use]
pub fn sources() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new()
        .items(string("source").max_length(Some(253)))
        .max_items(Some(32))
        .build()
}

/// Names of SIP headers, perhaps with `*` at the end.
#[must_use]
pub fn header_names() -> utoipa::openapi::schema::Array {
    let name = string("sip-header").min_length(Some(1)).max_length(Some(64));
    utoipa::openapi::schema::ArrayBuilder::new().items(name).max_items(Some(16)).build()
}

/// Codecs of the media there is.
#[must_use]
pub fn codecs() -> utoipa::openapi::schema::Array {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["PCMU", "PCMA", "G722", "opus", "L16", "G729"]));
    utoipa::openapi::schema::ArrayBuilder::new().items(name).max_items(Some(6)).build()
}

/// Final SIP codes that are no success.
#[must_use]
pub fn sip_codes() -> utoipa::openapi::schema::Array {
    let code = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(400)).maximum(Some(699));
    utoipa::openapi::schema::ArrayBuilder::new().items(code).max_items(Some(32)).build()
}

/// The beginning of a number.
#[must_use]
pub fn number_part() -> Object {
    string("number-part").max_length(Some(32)).build()
}

/// What may be looked for with `*` and `%`: text, or a number written as a number.
#[must_use]
pub fn mask() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Integer]))
        .max_length(Some(255))
        .description(Some("`*` and `%` stand for any run of characters"))
        .build()
}

/// Digits with places left open, as text or number; `format` says which.
fn digits(format: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Integer]))
        .format(Some(SchemaFormat::Custom(format.to_owned())))
        .build()
}

/// Area code or exchange.
#[must_use]
pub fn npa() -> Object {
    digits("npa")
}

/// The last four places of a number.
#[must_use]
pub fn line() -> Object {
    digits("line")
}

/// Of a national number.
#[must_use]
pub fn tn_pattern() -> Object {
    digits("tn-pattern")
}

/// ISO 3166 alpha-2.
#[must_use]
pub fn country() -> Object {
    string("country").pattern(Some("^[A-Za-z]{2}$")).build()
}

/// Countries, ISO 3166 alpha-2.
#[must_use]
pub fn countries() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(country()).max_items(Some(300)).build()
}

/// Words that mean something when a message consists of them.
#[must_use]
pub fn keywords() -> utoipa::openapi::schema::Array {
    let word = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(50));
    utoipa::openapi::schema::ArrayBuilder::new().items(word).max_items(Some(20)).build()
}

/// One telephone number, or a list of them.
#[must_use]
pub fn tn_list() -> utoipa::openapi::schema::Schema {
    use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder, Schema};
    let list = ArrayBuilder::new().items(tn()).min_items(Some(1)).max_items(Some(1_000));
    Schema::OneOf(OneOfBuilder::new().item(tn()).item(list).build())
}

/// IANA time zone.
#[must_use]
pub fn time_zone() -> Object {
    string("time-zone").max_length(Some(64)).build()
}

/// User part of a SIP address.
#[must_use]
pub fn sip_login() -> Object {
    string("sip-login").min_length(Some(1)).max_length(Some(64)).build()
}

/// Keys of a telephone.
#[must_use]
pub fn dtmf() -> Object {
    string("dtmf").min_length(Some(1)).max_length(Some(64)).build()
}

/// What an API token may do.
#[must_use]
pub fn scopes() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(string("scope")).max_items(Some(100)).build()
}

/// `{"field": "ASC"|"DESC"}`.
#[must_use]
pub fn order() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(utoipa::openapi::schema::Schema::from(
            ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["ASC", "DESC"])),
        )))
        .examples([serde_json::json!({"created_on": "DESC"})])
        .build()
}

/// Features of a number.
#[must_use]
pub fn features() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(feature()).max_items(Some(5)).build()
}

/// Where a call goes to: number, `sip:` URI or `user@domain`.
#[must_use]
pub fn destination() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Integer]))
        .min_length(Some(1))
        .max_length(Some(255))
        .examples([serde_json::json!(12_017_771_234_u64), serde_json::json!("alice@home.sip.example.com")])
        .build()
}

/// A call's state, or `online`, `offline` as 2021 clients ask.
#[must_use]
pub fn call_state_filter() -> Object {
    let words = opentact_store::types::CallState::ALL.iter().map(|word| word.as_str());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.chain(["online", "offline"]))).build()
}

/// A message's state, or `sent` as 2021 clients ask.
#[must_use]
pub fn sms_state_filter() -> Object {
    let words = opentact_store::types::SmsState::ALL.iter().map(|word| word.as_str());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.chain(["sent"]))).build()
}

/// How a trace is answered.
#[must_use]
pub fn trace_format() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["json", "ladder", "pcap"])).build()
}

/// Which way a SIP message went, seen from the node.
#[allow(dead_code)]
#[must_use]
pub fn message_direction() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["in", "out"])).build()
}

/// Any JSON objects.
#[must_use]
pub fn objects() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(any_object()).build()
}

/// Any JSON object.
#[must_use]
pub fn any_object() -> Object {
    ObjectBuilder::new().schema_type(Type::Object).build()
}

/// An enumeration of words, for `schema_with`.
macro_rules! words {
    ($($name:ident: $kind:path;)*) => {$(
        // Called by derived schemas only, which the lint does not see through.
        #[allow(dead_code)]
        #[must_use]
        pub fn $name() -> Object {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(<$kind>::ALL.iter().map(|word| word.as_str())))
                .build()
        }
    )*

        /// The same, or null.
        pub mod or_null {
            use super::{Object, ObjectBuilder, SchemaType, Type};

            $(
                #[allow(dead_code)]
                #[must_use]
                pub fn $name() -> Object {
                    let words = <$kind>::ALL.iter().map(|word| serde_json::Value::from(word.as_str()));
                    ObjectBuilder::new()
                        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                        .enum_values(Some(words.chain([serde_json::Value::Null])))
                        .build()
                }
            )*

            #[must_use]
            pub fn money() -> Object {
                nullable(super::money(), Type::Number)
            }

            #[must_use]
            pub fn any_object() -> Object {
                nullable(super::any_object(), Type::Object)
            }

            #[must_use]
            pub fn callback_url() -> Object {
                nullable(super::callback_url(), Type::String)
            }

            #[must_use]
            pub fn email() -> Object {
                nullable(super::email(), Type::String)
            }

            #[must_use]
            pub fn time_zone() -> Object {
                nullable(super::time_zone(), Type::String)
            }

            #[must_use]
            pub fn ip() -> Object {
                nullable(super::ip(), Type::String)
            }

            #[must_use]
            pub fn network() -> Object {
                nullable(super::network(), Type::String)
            }

            #[must_use]
            pub fn hostname() -> Object {
                nullable(super::hostname(), Type::String)
            }

            fn nullable(mut object: Object, kind: Type) -> Object {
                object.schema_type = SchemaType::from_iter([kind, Type::Null]);
                object
            }
        }
    };
}

words! {
    mode: opentact_store::search::Mode;
    role: opentact_store::types::Role;
    gender: opentact_store::types::Gender;
    office_hours_type: opentact_store::types::OfficeHoursType;
    day_of_week: opentact_store::types::DayOfWeek;
    method: opentact_store::types::Method;
    attestation: opentact_store::types::Attestation;
    sip_transport: opentact_store::types::SipTransport;
    srtp: opentact_store::types::Srtp;
    dtmf_mode: opentact_store::types::Dtmf;
    feature: opentact_store::types::Feature;
    call_state: opentact_store::types::CallState;
    call_type: opentact_store::types::CallType;
    batch_state: opentact_store::types::BatchState;
    item_state: opentact_store::types::ItemState;
    record_state: opentact_store::types::RecordState;
    transcript_state: opentact_store::types::TranscriptState;
    direction: opentact_store::types::Direction;
    party: opentact_store::types::Party;
    sms_state: opentact_store::types::SmsState;
    sms_type: opentact_store::types::SmsType;
    order_state: opentact_store::types::OrderState;
    tn_kind: opentact_store::types::TnKind;
    channel: opentact_store::types::Channel;
    event_type: opentact_store::types::EventType;
    delivery_state: opentact_store::types::DeliveryState;
    ref_type: opentact_store::types::RefType;
    account_level: opentact_store::types::AccountLevel;
    record_format: opentact_store::types::RecordFormat;
    on_reject: opentact_store::types::OnReject;
    priority: opentact_store::types::Priority;
    opt_out_source: opentact_store::types::OptOutSource;
    brand_entity: opentact_store::types::BrandEntity;
    vertical: opentact_store::types::Vertical;
    usecase: opentact_store::types::Usecase;
}

/// What a campaign of several use cases is for.
#[must_use]
pub fn usecases() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new().items(usecase()).max_items(Some(5)).build()
}

/// Text that may be a number in JSON (`"to": 12017771234` or `"to": "user@domain"`), read as text.
pub fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<serde_json::Value>::deserialize(deserializer)? {
        Some(serde_json::Value::String(text)) => Some(text),
        Some(serde_json::Value::Number(number)) => Some(number.to_string()),
        None | Some(serde_json::Value::Null) => None,
        Some(_) => return Err(serde::de::Error::custom("must be a string")),
    })
}

/// What is wrong with a text of a format the validator knows.
#[must_use]
pub fn format_fault(format: &str, text: &str) -> Option<&'static str> {
    let (right, message) = match format {
        "uuid" => (uuid::Uuid::try_parse(text).is_ok() && text.len() == 36, "invalid UUID"),
        "tn" => {
            let digits = text.strip_prefix('+').unwrap_or(text);
            if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
                (false, "invalid integer number")
            } else {
                (text.parse::<opentact_store::types::Tn>().is_ok(), "invalid telephone number")
            }
        }
        "date-time" => {
            (chrono::DateTime::parse_from_rfc3339(text).is_ok(), "invalid date, ISO 8601 with time zone expected")
        }
        "date" => (text.parse::<chrono::NaiveDate>().is_ok(), "invalid date, YYYY-MM-DD expected"),
        "uri" => {
            let web = url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            (web, "invalid URL, http or https expected")
        }
        "npa" => (text.len() == 3 && text.bytes().all(|c| c.is_ascii_digit()), "must be 3 digits"),
        "line" => (text.len() == 4 && text.bytes().all(is_digit_or_x), "must be 4 places of digits and x"),
        "tn-pattern" => {
            let known = |c: u8| is_digit_or_x(c) || c == b'*' || c == b'%';
            ((1..=15).contains(&text.len()) && text.bytes().all(known), "must be digits, x, % and *")
        }
        "country" => {
            (text.len() == 2 && text.bytes().all(|c| c.is_ascii_alphabetic()), "must be an ISO 3166 alpha-2 code")
        }
        "time-zone" => (text.parse::<chrono_tz::Tz>().is_ok(), "must be an IANA time zone, such as Europe/Berlin"),
        "sip-login" => (
            // RFC 3261 25.1: `unreserved`, and what logins use of `user-unreserved`.
            text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,".contains(&c)),
            "must be letters, digits and -_.!~*'()&=+$,",
        ),
        "dtmf" => (text.bytes().all(|c| b"0123456789*#ABCDabcd".contains(&c)), "must be 0-9, A-D, * and #"),
        "scope" => (crate::auth::is_scope(text), "must be <resource>:read or <resource>:write"),
        "email" => (is_email(text), "invalid e-mail address"),
        "ip" => (text.parse::<std::net::IpAddr>().is_ok(), "invalid IP address"),
        "hostname" => (is_hostname(text), "invalid host name"),
        "source" => (is_source(text), "must be an address, a network (of at most a /16, IPv6: a /32) or a host name"),
        "network" => (is_network(text), "must be an address or a network (of at most a /16, IPv6: a /32)"),
        "caller-mask" => (
            text == "anonymous"
                || text == "*"
                || (1..=16).contains(&text.len())
                    && text.strip_prefix('+').unwrap_or(text).bytes().all(|c| c.is_ascii_digit() || c == b'*')
                    && text.bytes().any(|c| c.is_ascii_digit()),
            "must be a telephone number, a part of one with `*`, or anonymous",
        ),
        "sip-header" => (is_passable(text), "is no header that may pass: those of calls and of identity may not"),
        "number-part" => {
            (text.bytes().all(|c| c.is_ascii_digit() || b"+*#".contains(&c)), "must be digits, +, * and #")
        }
        _ => return None,
    };
    (!right).then_some(message)
}

fn is_digit_or_x(c: u8) -> bool {
    c.is_ascii_digit() || c.eq_ignore_ascii_case(&b'x')
}

/// An address, network or name that calls come from.
fn is_source(text: &str) -> bool {
    is_network(text) || text.parse::<ipnet::IpNet>().is_err() && is_hostname(text)
}

/// An address or network. Whole continents are nobody's.
fn is_network(text: &str) -> bool {
    match text.parse::<ipnet::IpNet>() {
        Ok(ipnet::IpNet::V4(network)) => network.prefix_len() >= 16,
        Ok(ipnet::IpNet::V6(network)) => network.prefix_len() >= 32,
        Err(_) => text.parse::<std::net::IpAddr>().is_ok(),
    }
}

/// Whether a header may cross from one call to another: not those that say what a call is, where it goes, what it carries
/// and who somebody is, which are each call's own.
fn is_passable(text: &str) -> bool {
    const OWN: [&str; 44] = [
        "accept",
        "allow",
        "allow-events",
        "authorization",
        "call-id",
        "contact",
        "cseq",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "diversion",
        "event",
        "expires",
        "from",
        "history-info",
        "identity",
        "max-forwards",
        "mime-version",
        "min-expires",
        "min-se",
        "p-asserted-identity",
        "p-preferred-identity",
        "path",
        "privacy",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-require",
        "rack",
        "record-route",
        "refer-to",
        "referred-by",
        "replaces",
        "require",
        "route",
        "rseq",
        "service-route",
        "session-expires",
        "supported",
        "to",
        "user-agent",
        "via",
        "www-authenticate",
    ];
    let name = text.strip_suffix('*').unwrap_or(text).to_ascii_lowercase();
    // RFC 3261 25.1: token. Compact forms are of headers of their own.
    let token = |c: u8| c.is_ascii_alphanumeric() || b"-.!%_+`'~".contains(&c);
    let whole = name.len() == text.len();
    let own = |own: &&str| if whole { **own == name } else { own.starts_with(&name) };
    name.len() > 1 && name.bytes().all(token) && !OWN.iter().any(own)
}

/// The part of RFC 5321 that real addresses use; `admin@localhost` is one.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&c);
    !local.is_empty()
        && local.bytes().all(atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && is_hostname(domain)
}

/// RFC 1123 2.1.
#[must_use]
pub fn is_hostname(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// One label of a domain name.
#[must_use]
pub fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_tell_right_from_wrong() {
        let right = [
            ("uuid", "7E8A1AD2-8F3B-4E62-9C1B-3A2B1C4D5E6F"),
            ("tn", "+12017771234"),
            ("tn", "12017771234"),
            ("date-time", "2026-11-02T10:00:00.000Z"),
            ("uri", "https://example.com/flow?x=1"),
            ("email", "admin@localhost"),
            ("email", "first.last+tag@example.co.uk"),
            ("ip", "2001:db8::1"),
            ("hostname", "sbc-1.example.com"),
            ("source", "192.0.2.1"),
            ("source", "192.0.2.0/24"),
            ("source", "2001:db8::/48"),
            ("source", "sip.example.com"),
            ("sip-header", "X-Account"),
            ("sip-header", "X-*"),
            ("sip-header", "User-to-User"),
            ("number-part", "+1*#"),
        ];
        for (format, text) in right {
            assert_eq!(format_fault(format, text), None, "{format} {text}");
        }
        let wrong = [
            ("uuid", "7e8a1ad28f3b4e629c1b3a2b1c4d5e6f"),
            ("tn", "qwerty"),
            ("tn", "0123"),
            ("tn", "1234567890123456"),
            ("date-time", "2026-11-02"),
            ("uri", "ftp://example.com"),
            ("uri", "example.com"),
            ("email", "admin"),
            ("email", "a@b@c d"),
            ("ip", "10.0.0.256"),
            ("hostname", "-a.example"),
            ("source", "10.0.0.0/8"),
            ("source", "::/0"),
            ("source", "a b"),
            ("sip-header", "To"),
            ("sip-header", "P-*"),
            ("sip-header", "*"),
            ("sip-header", "X Y"),
            ("number-part", "12a"),
        ];
        for (format, text) in wrong {
            assert!(format_fault(format, text).is_some(), "{format} {text}");
        }
    }

    #[test]
    fn a_change_tells_null_from_absent() {
        #[derive(Deserialize)]
        struct Patch {
            #[serde(default)]
            app: Change<u8>,
        }
        let read = |text: &str| serde_json::from_str::<Patch>(text).unwrap().app;
        assert_eq!(read("{}"), Change::Keep);
        assert_eq!(read(r#"{"app":null}"#), Change::Clear);
        assert_eq!(read(r#"{"app":7}"#), Change::Set(7));
        assert_eq!(Change::<u8>::Clear.into_option(), Some(None));
    }
}
