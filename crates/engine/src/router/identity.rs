//! Who a call says it is from, between systems that trust each other (RFC 3325), and what a caller wants withheld
//! (RFC 3323).

use bytes::Bytes;
use opentact_sip::message::{Headers, Name};
use opentact_sip::uri::{NameAddr, Uri};
use opentact_stir::Verstat;

const P_ASSERTED_IDENTITY: &str = "P-Asserted-Identity";

/// A caller who does not want to be known, wherever callers are texts.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// The first identity a peer asserts. Whether it may is for who knows the peer to say.
pub(super) fn asserted(headers: &Headers) -> Option<Uri> {
    headers.values(Name::PAssertedIdentity).find_map(|value| NameAddr::parse(value).ok()).map(|identity| identity.uri)
}

/// Whether the caller's number is withheld (RFC 3323 `user`, RFC 3325 `id`).
pub(super) fn is_withheld(headers: &Headers) -> bool {
    headers.get_by_name("Privacy").is_some_and(|value| {
        let withholds = |token: &[u8]| ["id", "user"].iter().any(|word| token.eq_ignore_ascii_case(word.as_bytes()));
        value.split(|octet| *octet == b';').any(|token| withholds(token.trim_ascii()))
    })
}

/// Whether nobody is to be told where the call has been (RFC 7044 10.1.1, RFC 3323 `header`).
pub(crate) fn is_history_withheld(headers: &Headers) -> bool {
    headers.get_by_name("Privacy").is_some_and(|value| {
        let withholds =
            |token: &[u8]| ["history", "header"].iter().any(|word| token.eq_ignore_ascii_case(word.as_bytes()));
        value.split(|octet| *octet == b';').any(|token| withholds(token.trim_ascii()))
    })
}

/// What a trunk or carrier is told of a caller: the identity, and that it is for them alone where `withheld`.
pub(super) fn assert(identity: &Uri, withheld: bool) -> Vec<(Bytes, Bytes)> {
    let mut headers = vec![(P_ASSERTED_IDENTITY.into(), format!("<{identity}>").into())];
    if withheld {
        headers.push(("Privacy".into(), "id".into()));
    }
    headers
}

/// The identity among headers that [`assert`] has made.
pub(super) fn asserted_in(identity: &[(Bytes, Bytes)]) -> Option<Uri> {
    let (_, value) = identity.iter().find(|(name, _)| name == P_ASSERTED_IDENTITY)?;
    NameAddr::parse(value).ok().map(|identity| identity.uri)
}

/// Adds to the identity that [`assert`] has made whether its number holds (3GPP TS 24.229 7.2A.20: a parameter of the number,
/// and so behind it and before the host).
pub(super) fn tell_verstat(identity: &mut [(Bytes, Bytes)], verstat: Verstat) {
    let asserted = identity.iter_mut().find(|(name, _)| name == P_ASSERTED_IDENTITY);
    let Some((_, value)) = asserted else { return };
    let Ok(known) = NameAddr::parse(value) else { return };
    let user = format!("{};verstat={verstat}", known.uri.user_text().unwrap_or_default());
    if let Ok(uri) = Uri::sip(Some(&user), known.uri.host(), None) {
        *value = format!("<{}>", uri.with_param("user", Some("phone"))).into();
    }
}

/// Values of Identity, as they came (RFC 8224 4: one a header).
pub(super) fn identities(headers: &Headers) -> Vec<Bytes> {
    headers.get_all(Name::Identity).map(Bytes::copy_from_slice).collect()
}

/// The Date header (RFC 3261 20.17), seconds since 1970.
pub(super) fn date(headers: &Headers) -> Option<i64> {
    let text = std::str::from_utf8(headers.get(Name::Date)?).ok()?;
    chrono::DateTime::parse_from_rfc2822(text.trim()).ok().map(|date| date.timestamp())
}

/// A caller as a SIP URI: a number or name at the host that is called, a `user@domain` as it is, nobody where none is
/// named.
pub(super) fn caller_uri(caller: Option<&str>, host: &str) -> Uri {
    let Some(caller) = caller.filter(|caller| *caller != ANONYMOUS) else { return anonymous() };
    if let Some(uri) = caller.starts_with("sip:").then(|| Uri::parse(caller.as_bytes()).ok()).flatten() {
        return uri;
    }
    let (user, host) = caller.rsplit_once('@').unwrap_or((caller, host));
    Uri::sip(Some(user), host, None).unwrap_or_else(|_| anonymous())
}

/// RFC 3323 4.1.1.3.
pub(super) fn anonymous() -> Uri {
    let address = std::net::SocketAddr::from(([0, 0, 0, 0], 5060));
    Uri::sip(Some(ANONYMOUS), "anonymous.invalid", None).unwrap_or_else(|_| Uri::from_addr(Some(ANONYMOUS), address))
}

#[cfg(test)]
mod tests {
    use opentact_sip::message::{Method, Request, RequestBuilder};

    use super::*;

    fn invite(headers: &[(&str, &str)]) -> Request {
        let uri = Uri::parse(b"sip:12025550100@127.0.0.1").unwrap();
        let with = |builder: RequestBuilder, (name, value): &(&str, &str)| builder.header_named(name, value);
        headers.iter().fold(RequestBuilder::new(Method::Invite, &uri), with).build()
    }

    #[test]
    fn the_first_identity_that_can_be_read_counts() {
        let two = invite(&[("P-Asserted-Identity", "\"Ann\" <sip:+12025550123@pbx>, <tel:+12025550124>")]);
        assert_eq!(asserted(two.headers()).unwrap().user_text().as_deref(), Some("+12025550123"));
        assert!(asserted(invite(&[("P-Asserted-Identity", "nobody")]).headers()).is_none());
        assert!(asserted(invite(&[]).headers()).is_none());
    }

    #[test]
    fn id_and_user_withhold_and_nothing_else_does() {
        for (value, withheld) in [("id", true), ("header; User", true), ("none", false), ("critical", false)] {
            assert_eq!(is_withheld(invite(&[("Privacy", value)]).headers()), withheld, "{value}");
        }
    }
}
