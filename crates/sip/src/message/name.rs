use std::fmt;

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?),+ $(,)?) => {
        /// Header names this stack knows, whatever their case and with their compact forms.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Name { $($variant),+ }

        const TABLE: &[(Name, &str)] = &[$((Name::$variant, $text)),+];

        const fn compact(letter: u8) -> Option<Name> {
            match letter | 0x20 {
                $($($compact => Some(Name::$variant),)?)+
                _ => None,
            }
        }
    };
}

names! {
    Accept "Accept",
    AcceptContact "Accept-Contact" b'a',
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    Allow "Allow",
    AllowEvents "Allow-Events" b'u',
    AuthenticationInfo "Authentication-Info",
    Authorization "Authorization",
    CallId "Call-ID" b'i',
    CallInfo "Call-Info",
    Contact "Contact" b'm',
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding" b'e',
    ContentLanguage "Content-Language",
    ContentLength "Content-Length" b'l',
    ContentType "Content-Type" b'c',
    CSeq "CSeq",
    Date "Date",
    Diversion "Diversion",
    ErrorInfo "Error-Info",
    Event "Event" b'o',
    Expires "Expires",
    FlowTimer "Flow-Timer",
    From "From" b'f',
    HistoryInfo "History-Info",
    Identity "Identity" b'y',
    InReplyTo "In-Reply-To",
    Join "Join",
    MaxForwards "Max-Forwards",
    MimeVersion "MIME-Version",
    MinExpires "Min-Expires",
    MinSe "Min-SE",
    Organization "Organization",
    PAccessNetworkInfo "P-Access-Network-Info",
    PAssertedIdentity "P-Asserted-Identity",
    PAssociatedUri "P-Associated-URI",
    PChargingVector "P-Charging-Vector",
    PPreferredIdentity "P-Preferred-Identity",
    Path "Path",
    Priority "Priority",
    Privacy "Privacy",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    RAck "RAck",
    Reason "Reason",
    RecordRoute "Record-Route",
    ReferSub "Refer-Sub",
    ReferTo "Refer-To" b'r',
    ReferredBy "Referred-By" b'b',
    RejectContact "Reject-Contact" b'j',
    Replaces "Replaces",
    ReplyTo "Reply-To",
    RequestDisposition "Request-Disposition" b'd',
    Require "Require",
    RetryAfter "Retry-After",
    Route "Route",
    RSeq "RSeq",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" b'x',
    SipEtag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    Subject "Subject" b's',
    SubscriptionState "Subscription-State",
    Supported "Supported" b'k',
    TargetDialog "Target-Dialog",
    Timestamp "Timestamp",
    To "To" b't',
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    UserToUser "User-to-User",
    Via "Via" b'v',
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

/// Longest well-known name, in octets.
const LONGEST: usize = 21;
/// Most well-known names of one length.
const DEPTH: usize = 12;

/// For each length the names of that length.
const BY_LENGTH: [[Option<Name>; DEPTH]; LONGEST + 1] = {
    let mut buckets = [[None; DEPTH]; LONGEST + 1];
    let mut i = 0;
    while i < TABLE.len() {
        let (name, text) = TABLE[i];
        let bucket = &mut buckets[text.len()];
        let mut slot = 0;
        while bucket[slot].is_some() {
            slot += 1;
        }
        bucket[slot] = Some(name);
        i += 1;
    }
    buckets
};

impl Name {
    /// The name of these octets in long or compact form, `None` for a header this stack does not know.
    pub fn parse(name: &[u8]) -> Option<Self> {
        if let [letter] = name {
            return compact(*letter);
        }
        let first = name.first()? | 0x20;
        BY_LENGTH.get(name.len())?.iter().map_while(|slot| *slot).find(|known| {
            let text = known.as_str().as_bytes();
            text[0] | 0x20 == first && text.eq_ignore_ascii_case(name)
        })
    }

    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = Name> {
        TABLE.iter().map(|(name, _)| *name)
    }

    /// The long form as the RFCs write it.
    pub const fn as_str(self) -> &'static str {
        TABLE[self as usize].1
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for (name, text) in TABLE {
            assert_eq!(Name::parse(text.as_bytes()), Some(*name));
            assert_eq!(Name::parse(text.to_ascii_lowercase().as_bytes()), Some(*name));
            assert_eq!(Name::parse(text.to_ascii_uppercase().as_bytes()), Some(*name));
        }
    }

    #[test]
    fn compact_forms_are_known_and_others_are_not() {
        assert_eq!(Name::parse(b"V"), Some(Name::Via));
        assert_eq!(Name::parse(b"i"), Some(Name::CallId));
        assert_eq!(Name::parse(b"x"), Some(Name::SessionExpires));
        assert_eq!(Name::parse(b"q"), None);
        assert_eq!(Name::parse(b"X-Custom"), None);
        assert_eq!(Name::parse(b""), None);
    }
}
