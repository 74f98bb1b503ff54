//! The `Identity` header field (RFC 8224 4).

use std::fmt;

/// Octets of a header value that are read; a longer one is refused.
const MAX_LENGTH: usize = 8192;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("Identity header is longer than {MAX_LENGTH} octets")]
    TooLong,
    #[error("Identity header is not ASCII")]
    NotAscii,
    #[error("Identity header has no digest")]
    NoDigest,
    #[error("Identity header has no info parameter")]
    NoInfo,
    #[error("info is no URI in angle brackets")]
    Info,
    #[error("Identity header has a malformed or repeated parameter")]
    Parameter,
}

/// One value, read but not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `signed-identity-digest`: a PASSporT in full or compact form.
    pub digest: String,
    /// Where the certificate is.
    pub info: String,
    /// ES256 where it is left out.
    pub alg: Option<String>,
    /// PASSporT extension.
    pub ppt: Option<String>,
}

impl Identity {
    /// Reads one header value. Parameters we do not know are passed over.
    ///
    /// # Errors
    /// What of the grammar it breaks.
    pub fn parse(value: &[u8]) -> Result<Self, IdentityError> {
        if value.len() > MAX_LENGTH {
            return Err(IdentityError::TooLong);
        }
        let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii()).ok_or(IdentityError::NotAscii)?;
        let (digest, mut rest) = text.split_once(';').ok_or(IdentityError::NoInfo)?;
        let digest = digest.trim();
        // Some implementations put it in quotes, as RFC 4474 did.
        let digest = digest.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(digest);
        if digest.is_empty() || digest.bytes().any(|octet| !is_digest(octet)) {
            return Err(IdentityError::NoDigest);
        }
        let (mut info, mut alg, mut ppt) = (None, None, None);
        loop {
            let (name, value, after) = parameter(rest)?;
            let repeated = match name.to_ascii_lowercase().as_str() {
                "info" => info.replace(value),
                "alg" => alg.replace(value),
                "ppt" => ppt.replace(value),
                _ => None,
            };
            if repeated.is_some() {
                return Err(IdentityError::Parameter);
            }
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        let info = info.ok_or(IdentityError::NoInfo)?;
        let uri = info.strip_prefix('<').and_then(|inner| inner.strip_suffix('>'));
        let uri =
            uri.filter(|uri| !uri.is_empty() && !uri.contains(['<', '>', '"', ' '])).ok_or(IdentityError::Info)?;
        Ok(Self { digest: digest.to_owned(), info: uri.to_owned(), alg: alg.map(unquoted), ppt: ppt.map(unquoted) })
    }

    /// Whether header and claims of the PASSporT are left out, to be put together from the SIP message (RFC 8224 4.1.1).
    pub fn is_compact(&self) -> bool {
        self.digest.starts_with("..")
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};info=<{}>", self.digest, self.info)?;
        if let Some(alg) = &self.alg {
            write!(f, ";alg={alg}")?;
        }
        // RFC 8224 4 has a token; quotes, which its examples show, are what deployed verifiers read as well.
        self.ppt.as_ref().map_or(Ok(()), |ppt| write!(f, ";ppt={ppt}"))
    }
}

/// Base64url and the dots between.
fn is_digest(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.')
}

/// `name=value` and what follows behind the next semicolon, which may be in brackets or quotes as well.
fn parameter(text: &str) -> Result<(&str, &str, Option<&str>), IdentityError> {
    let (name, rest) = text.split_once('=').ok_or(IdentityError::Parameter)?;
    let (name, rest) = (name.trim(), rest.trim_start());
    let close = match rest.bytes().next() {
        Some(b'<') => Some('>'),
        Some(b'"') => Some('"'),
        _ => None,
    };
    let end = match close {
        Some(close) => {
            rest.get(1..).and_then(|inner| inner.find(close)).map(|at| at + 2).ok_or(IdentityError::Parameter)?
        }
        None => rest.find(';').unwrap_or(rest.len()),
    };
    let (value, after) = rest.split_at_checked(end).ok_or(IdentityError::Parameter)?;
    let (value, after) = (value.trim(), after.trim_start());
    let token =
        |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&c));
    if !token(name) || (close.is_none() && !token(value)) {
        return Err(IdentityError::Parameter);
    }
    match after.strip_prefix(';') {
        Some(after) => Ok((name, value, Some(after))),
        None if after.is_empty() => Ok((name, value, None)),
        None => Err(IdentityError::Parameter),
    }
}

fn unquoted(value: &str) -> String {
    value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (alg, ppt) in [(None, None), (Some("ES256"), Some("shaken")), (None, Some("div"))] {
            let identity = Identity {
                digest: "a.b.c".to_owned(),
                info: "https://cert.example.org/a;b=c.pem?d=e".to_owned(),
                alg: alg.map(str::to_owned),
                ppt: ppt.map(str::to_owned),
            };
            assert_eq!(Identity::parse(identity.to_string().as_bytes()).unwrap(), identity);
        }
    }

    #[test]
    fn white_space_quotes_and_unknown_parameters_are_let_pass() {
        let value = b"..c2ln ; INFO = <https://example.org/c.pem> ;alg=\"ES256\"; x=\"a;b\";ppt = \"shaken\"";
        let identity = Identity::parse(value).unwrap();
        assert!(identity.is_compact());
        assert_eq!(identity.info, "https://example.org/c.pem");
        assert_eq!((identity.alg.as_deref(), identity.ppt.as_deref()), (Some("ES256"), Some("shaken")));
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        let long = [b"a.b.c;info=<https://e>;x=".as_slice(), &[b'y'; MAX_LENGTH]].concat();
        for (value, error) in [
            (b"a.b.c".as_slice(), IdentityError::NoInfo),
            (b";info=<https://e>", IdentityError::NoDigest),
            (b"a b;info=<https://e>", IdentityError::NoDigest),
            (b"a.b.c;alg=ES256", IdentityError::NoInfo),
            (b"a.b.c;info=https", IdentityError::Info),
            (b"a.b.c;info=<>", IdentityError::Info),
            (b"a.b.c;info=<https://e", IdentityError::Parameter),
            (b"a.b.c;info=<https://e>x", IdentityError::Parameter),
            (b"a.b.c;info=<https://e>;info=<https://f>", IdentityError::Parameter),
            (b"a.b.c;info=<https://e>;", IdentityError::Parameter),
            (b"a.b.c;info=<https://e>;ppt", IdentityError::Parameter),
            (b"a.b.c;info=<https://\xff>", IdentityError::NotAscii),
            (&long, IdentityError::TooLong),
        ] {
            assert_eq!(Identity::parse(value), Err(error), "{}", String::from_utf8_lossy(value));
        }
    }
}
