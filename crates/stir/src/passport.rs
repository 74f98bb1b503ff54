//! PASSporTs: a header, claims, and a signature over both (RFC 8225, with the claims of RFC 8588 and RFC 8946).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::number::canonical;

/// The one algorithm of RFC 8225 8.
pub(crate) const ES256: &str = "ES256";
const TYP: &str = "passport";
/// Octets of an ES256 signature: r and s.
const SIGNATURE: usize = 64;
/// Callees one PASSporT may name.
const MAX_DEST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassportError {
    #[error("a PASSporT is header.claims.signature")]
    Form,
    #[error("{part} of the PASSporT is no base64url")]
    Base64 { part: &'static str },
    #[error("{part} of the PASSporT: {fault}")]
    Json { part: &'static str, fault: String },
    #[error("signature is not {SIGNATURE} octets")]
    Signature,
    #[error("typ is {0} and not passport")]
    Typ(String),
    #[error("alg is {0} and not ES256")]
    Alg(String),
    #[error("header has crit, which nothing here understands")]
    Critical,
    #[error("{0} is neither one tn nor one uri")]
    Party(&'static str),
    #[error("dest names nobody, or more than {MAX_DEST}")]
    Dest,
    #[error("{0} has no {1}")]
    Missing(Extension, &'static str),
    #[error("the compact form is not for the extension {0}")]
    Compact(Extension),
}

/// Level of confidence in the caller's number (ATIS-1000074 5.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Attest {
    /// Full: the customer is known and may use the number.
    A,
    /// Partial: the customer is known.
    B,
    /// Gateway: only where the call came in is known.
    C,
}

impl Attest {
    pub fn as_str(self) -> &'static str {
        match self {
            Attest::A => "A",
            Attest::B => "B",
            Attest::C => "C",
        }
    }
}

impl fmt::Display for Attest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a PASSporT says beyond caller and callee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extension {
    /// Nothing (RFC 8225).
    None,
    /// RFC 8588.
    Shaken,
    /// RFC 8946.
    Div,
}

impl Extension {
    /// Value of `ppt`; `None` where there is none to write.
    pub fn ppt(self) -> Option<&'static str> {
        match self {
            Extension::None => None,
            Extension::Shaken => Some("shaken"),
            Extension::Div => Some("div"),
        }
    }

    /// `None` for an extension that nothing here knows.
    pub fn of(ppt: Option<&str>) -> Option<Self> {
        match ppt {
            None => Some(Extension::None),
            Some("shaken") => Some(Extension::Shaken),
            Some("div") => Some(Extension::Div),
            Some(_) => None,
        }
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ppt().unwrap_or("passport"))
    }
}

/// A caller or a callee.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Party {
    /// A telephone number in canonical form.
    Tn(String),
    /// A URI (RFC 8225 5.2.1), scheme and host in lower case, without parameters and headers.
    Uri(String),
}

impl Party {
    /// A number where the text is one, else a URI.
    pub fn of(text: &str) -> Self {
        canonical(text).map_or_else(|| Party::uri(text), Party::Tn)
    }

    /// RFC 8224 8.5: as much of the URI as stays the same from hop to hop.
    pub fn uri(text: &str) -> Self {
        let bare = text.split(['?', ';']).next().unwrap_or_default();
        let (scheme, rest) = bare.split_once(':').unwrap_or(("", bare));
        let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
        let (scheme, host) = (scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
        Party::Uri(user.map_or_else(|| format!("{scheme}:{host}"), |user| format!("{scheme}:{user}@{host}")))
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Party::Tn(text) | Party::Uri(text)) = self;
        f.write_str(text)
    }
}

/// `orig` and `div` as JSON has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct One {
    #[serde(skip_serializing_if = "Option::is_none")]
    tn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
}

impl From<&Party> for One {
    fn from(party: &Party) -> Self {
        match party {
            Party::Tn(tn) => One { tn: Some(tn.clone()), uri: None },
            Party::Uri(uri) => One { tn: None, uri: Some(uri.clone()) },
        }
    }
}

impl One {
    fn party(&self, claim: &'static str) -> Result<Party, PassportError> {
        match (&self.tn, &self.uri) {
            (Some(tn), None) => canonical(tn).map(Party::Tn).ok_or(PassportError::Party(claim)),
            (None, Some(uri)) => Ok(Party::uri(uri)),
            _ => Err(PassportError::Party(claim)),
        }
    }
}

/// `dest` as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Many {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tn: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    uri: Vec<String>,
}

/// The callees, one at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(Vec<Party>);

impl Destination {
    pub fn one(party: Party) -> Self {
        Self(vec![party])
    }

    pub fn contains(&self, party: &Party) -> bool {
        self.0.contains(party)
    }

    pub fn parties(&self) -> &[Party] {
        &self.0
    }
}

/// Members in the order RFC 8225 9 writes them, which is that of the alphabet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RawHeader {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ppt: Option<String>,
    typ: String,
    x5u: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RawClaims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attest: Option<Attest>,
    dest: Many,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    div: Option<One>,
    iat: i64,
    orig: One,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origid: Option<String>,
}

/// The protected header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub ppt: Option<String>,
    /// Where the certificate is.
    pub x5u: String,
}

/// What is asserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Only of `shaken`.
    pub attest: Option<Attest>,
    pub dest: Destination,
    /// Only of `div`: who was called before.
    pub div: Option<Party>,
    /// When it was signed, seconds since 1970.
    pub iat: i64,
    pub orig: Party,
    /// Only of `shaken`: an opaque name of where the call comes from.
    pub origid: Option<String>,
}

/// A signed PASSporT, read but not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passport {
    pub header: Header,
    pub claims: Claims,
    signed: String,
    signature: [u8; SIGNATURE],
}

impl Passport {
    /// The octets that the signature is over.
    pub fn signed(&self) -> &[u8] {
        self.signed.as_bytes()
    }

    /// r and s, 32 octets each.
    pub fn signature(&self) -> &[u8; SIGNATURE] {
        &self.signature
    }

    /// `None` where the extension is one that nothing here knows.
    pub fn extension(&self) -> Option<Extension> {
        Extension::of(self.header.ppt.as_deref())
    }

    /// The compact form `..signature` (RFC 8225 7): header and claims are those the SIP message gives.
    ///
    /// # Errors
    /// It is none.
    pub fn from_compact(text: &str, x5u: &str, claims: Claims) -> Result<Self, PassportError> {
        let signature = signature(text.strip_prefix("..").ok_or(PassportError::Form)?)?;
        let header = Header { ppt: None, x5u: x5u.to_owned() };
        let signed = signing_input(&header, &claims);
        Ok(Self { header, claims, signed, signature })
    }

    /// Header and claims signed by `sign`, which is given the octets and returns r and s.
    pub(crate) fn sign<E>(
        header: Header,
        claims: Claims,
        sign: impl FnOnce(&[u8]) -> Result<[u8; SIGNATURE], E>,
    ) -> Result<Self, E> {
        let signed = signing_input(&header, &claims);
        let signature = sign(signed.as_bytes())?;
        Ok(Self { header, claims, signed, signature })
    }
}

impl FromStr for Passport {
    type Err = PassportError;

    /// Reads the full form.
    fn from_str(text: &str) -> Result<Self, PassportError> {
        let (signed, signature_part) = text.rsplit_once('.').ok_or(PassportError::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(PassportError::Form)?;
        let raw: RawHeader = json("header", header)?;
        if !raw.typ.eq_ignore_ascii_case(TYP) {
            return Err(PassportError::Typ(raw.typ));
        }
        if raw.alg != ES256 {
            return Err(PassportError::Alg(raw.alg));
        }
        if raw.crit.is_some() {
            return Err(PassportError::Critical);
        }
        let claims = Claims::try_from(json::<RawClaims>("claims", claims)?)?;
        let header = Header { ppt: raw.ppt, x5u: raw.x5u };
        Ok(Self { header, claims, signed: signed.to_owned(), signature: signature(signature_part)? })
    }
}

impl fmt::Display for Passport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.signed, URL_SAFE_NO_PAD.encode(self.signature))
    }
}

impl TryFrom<RawClaims> for Claims {
    type Error = PassportError;

    fn try_from(raw: RawClaims) -> Result<Self, PassportError> {
        let count = raw.dest.tn.len() + raw.dest.uri.len();
        if !(1..=MAX_DEST).contains(&count) {
            return Err(PassportError::Dest);
        }
        let numbers = raw.dest.tn.iter().map(|tn| canonical(tn).map(Party::Tn).ok_or(PassportError::Party("dest")));
        let uris = raw.dest.uri.iter().map(|uri| Ok(Party::uri(uri)));
        Ok(Self {
            attest: raw.attest,
            dest: Destination(numbers.chain(uris).collect::<Result<_, _>>()?),
            div: raw.div.map(|div| div.party("div")).transpose()?,
            iat: raw.iat,
            orig: raw.orig.party("orig")?,
            origid: raw.origid,
        })
    }
}

impl From<&Claims> for RawClaims {
    fn from(claims: &Claims) -> Self {
        let mut dest = Many { tn: Vec::new(), uri: Vec::new() };
        for party in claims.dest.parties() {
            match party {
                Party::Tn(tn) => dest.tn.push(tn.clone()),
                Party::Uri(uri) => dest.uri.push(uri.clone()),
            }
        }
        Self {
            attest: claims.attest,
            dest,
            div: claims.div.as_ref().map(One::from),
            iat: claims.iat,
            orig: One::from(&claims.orig),
            origid: claims.origid.clone(),
        }
    }
}

fn signing_input(header: &Header, claims: &Claims) -> String {
    let header = RawHeader {
        alg: ES256.to_owned(),
        crit: None,
        ppt: header.ppt.clone(),
        typ: TYP.to_owned(),
        x5u: header.x5u.clone(),
    };
    // Structs of texts and numbers: writing them cannot fail, and an empty part would never verify.
    let part = |json: serde_json::Result<Vec<u8>>| URL_SAFE_NO_PAD.encode(json.unwrap_or_default());
    format!("{}.{}", part(serde_json::to_vec(&header)), part(serde_json::to_vec(&RawClaims::from(claims))))
}

fn json<T: DeserializeOwned>(part: &'static str, text: &str) -> Result<T, PassportError> {
    let octets = URL_SAFE_NO_PAD.decode(text).map_err(|_| PassportError::Base64 { part })?;
    serde_json::from_slice(&octets).map_err(|fault| PassportError::Json { part, fault: fault.to_string() })
}

fn signature(text: &str) -> Result<[u8; SIGNATURE], PassportError> {
    let octets = URL_SAFE_NO_PAD.decode(text).map_err(|_| PassportError::Base64 { part: "signature" })?;
    octets.try_into().map_err(|_| PassportError::Signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(header: &str, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode([1; SIGNATURE]))
    }

    const HEADER: &str = r#"{"alg":"ES256","typ":"passport","x5u":"https://e.org/c"}"#;
    const CLAIMS: &str = r#"{"dest":{"tn":["12125551213"]},"iat":1443208345,"orig":{"tn":"12155551212"}}"#;

    #[test]
    fn claims_of_shaken_are_read_as_in_rfc_8588() {
        let header = r#"{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.org/passport.cer"}"#;
        let claims = r#"{"attest":"A","dest":{"tn":["12125551213"]},"iat":1443208345,"orig":{"tn":"12155551212"},"origid":"123e4567-e89b-12d3-a456-426655440000"}"#;
        let passport: Passport = encoded(header, claims).parse().unwrap();
        assert_eq!(passport.extension(), Some(Extension::Shaken));
        assert_eq!(passport.claims.attest, Some(Attest::A));
        assert_eq!(passport.claims.orig, Party::Tn("12155551212".to_owned()));
        assert_eq!(passport.claims.origid.as_deref(), Some("123e4567-e89b-12d3-a456-426655440000"));
        // Written again it is the same, octet for octet.
        assert_eq!(signing_input(&passport.header, &passport.claims).as_bytes(), passport.signed());
    }

    #[test]
    fn claims_of_div_are_read_as_in_rfc_8946() {
        // The members in no particular order, as the document's examples have them.
        let header = r#"{"typ":"passport","ppt":"div","alg":"ES256","x5u":"https://www.example.com/cert.cer"}"#;
        let claims = r#"{"orig":{"tn":"12155551212"},"dest":{"tn":["12155551214"]},"iat":1443208345,"div":{"tn":"12155551213"}}"#;
        let passport: Passport = encoded(header, claims).parse().unwrap();
        assert_eq!(passport.extension(), Some(Extension::Div));
        assert_eq!(passport.claims.div, Some(Party::Tn("12155551213".to_owned())));
        assert!(passport.claims.dest.contains(&Party::Tn("12155551214".to_owned())));
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        let fault = |header: &str, claims: &str| encoded(header, claims).parse::<Passport>().unwrap_err();
        assert_eq!("a.b".parse::<Passport>(), Err(PassportError::Form));
        assert_eq!("{.b.c".parse::<Passport>(), Err(PassportError::Base64 { part: "header" }));
        for (header, error) in [
            (r#"{"alg":"none","typ":"passport","x5u":"https://e"}"#, PassportError::Alg("none".to_owned())),
            (r#"{"alg":"ES256","typ":"JWT","x5u":"https://e"}"#, PassportError::Typ("JWT".to_owned())),
            (r#"{"alg":"ES256","crit":["x"],"typ":"passport","x5u":"https://e"}"#, PassportError::Critical),
        ] {
            assert_eq!(fault(header, CLAIMS), error);
        }
        for (claims, error) in [
            (r#"{"dest":{"tn":[]},"iat":1,"orig":{"tn":"1"}}"#, PassportError::Dest),
            (r#"{"dest":{"tn":["alice"]},"iat":1,"orig":{"tn":"1"}}"#, PassportError::Party("dest")),
            (r#"{"dest":{"tn":["1"]},"iat":1,"orig":{}}"#, PassportError::Party("orig")),
            (r#"{"dest":{"tn":["1"]},"iat":1,"orig":{"tn":"1","uri":"sip:a@b"}}"#, PassportError::Party("orig")),
        ] {
            assert_eq!(fault(HEADER, claims), error);
        }
        for claims in [
            "{}",
            r#"{"dest":{"tn":["1"]},"iat":"1","orig":{"tn":"1"}}"#,
            r#"{"dest":{"tn":["1"]},"iat":1,"iat":2,"orig":{"tn":"1"}}"#,
            r#"{"attest":"D","dest":{"tn":["1"]},"iat":1,"orig":{"tn":"1"}}"#,
        ] {
            assert!(matches!(fault(HEADER, claims), PassportError::Json { part: "claims", .. }), "{claims}");
        }
        let short = format!("{}.AQ", encoded(HEADER, CLAIMS).rsplit_once('.').unwrap().0);
        assert_eq!(short.parse::<Passport>(), Err(PassportError::Signature));
    }

    #[test]
    fn uris_are_the_same_in_whatever_case_and_with_whatever_parameters() {
        assert_eq!(
            Party::uri("SIP:Alice@Example.COM;transport=tcp?a=b"),
            Party::Uri("sip:Alice@example.com".to_owned())
        );
        assert_eq!(Party::of("+1 215 555 1212"), Party::Tn("12155551212".to_owned()));
    }
}
