//! Whom a `<To>` names.

use std::fmt;

/// Somebody to dial.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A telephone number or extension: 1..=20 digits (also `*` and `#`), without `+`, spaces or dashes.
    Number(String),
    /// A `sip:` or `sips:` URI, as written.
    Uri(String),
    /// `user@domain`: a SIP user of a domain.
    User { user: String, domain: String },
    /// `group:<uuid>`: every user of a group; the uuid in lower case.
    Group(String),
}

impl Destination {
    /// # Errors
    /// What is wrong with `text`, for a person to read.
    pub fn parse(text: &str) -> Result<Destination, String> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if text.is_empty() {
            return Err("a destination is empty".into());
        }
        if text.len() > 255 || text.chars().any(|c| c.is_control() || c.is_whitespace() && c != ' ') {
            return Err("a destination has at most 255 printable characters".into());
        }
        if let Some(uuid) = lower.strip_prefix("group:") {
            return match is_uuid(uuid) {
                true => Ok(Destination::Group(uuid.into())),
                false => Err(format!("`{text}` is not of the form group:<uuid>")),
            };
        }
        if let Some(rest) = lower.strip_prefix("sip:").or_else(|| lower.strip_prefix("sips:")) {
            let host = rest.rsplit('@').next().unwrap_or(rest);
            return match host.is_empty() || rest.starts_with('@') || text.contains([' ', '<', '>', '"']) {
                true => Err(format!("`{text}` is not a SIP URI")),
                false => Ok(Destination::Uri(text.into())),
            };
        }
        if let Some((user, domain)) = text.rsplit_once('@') {
            let fine = |part: &str, extra: &str| {
                !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || extra.contains(c))
            };
            return match fine(user, "-_.!~*'()+=&%#") && fine(domain, ".-:[]") {
                true => Ok(Destination::User { user: user.into(), domain: domain.to_ascii_lowercase() }),
                false => Err(format!("`{text}` is not of the form user@domain")),
            };
        }
        let text = lower.strip_prefix("tel:").unwrap_or(text);
        let digits: String = text.chars().filter(|c| !" -.()".contains(*c)).collect();
        let digits = digits.strip_prefix('+').unwrap_or(&digits);
        match (1..=20).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit() || c == '*' || c == '#') {
            true => Ok(Destination::Number(digits.into())),
            false => Err(format!("`{text}` is not a number, a SIP URI or user@domain")),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Number(digits) => f.write_str(digits),
            Destination::Uri(uri) => f.write_str(uri),
            Destination::User { user, domain } => write!(f, "{user}@{domain}"),
            Destination::Group(uuid) => write!(f, "group:{uuid}"),
        }
    }
}

/// 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_told_apart() {
        assert_eq!(Destination::parse(" +1 (201) 555-0100 "), Ok(Destination::Number("12015550100".into())));
        assert_eq!(Destination::parse("sip:bob@10.0.0.1:5070"), Ok(Destination::Uri("sip:bob@10.0.0.1:5070".into())));
        let user = Destination::User { user: "phone".into(), domain: "home.sip.localhost".into() };
        assert_eq!(Destination::parse("phone@home.sip.LOCALHOST"), Ok(user));
        let group = Destination::Group("6f4c6b1e-7a53-4c1d-9c55-0f6f2a4f1001".into());
        assert_eq!(Destination::parse("Group:6F4C6B1E-7a53-4c1d-9c55-0f6f2a4f1001"), Ok(group));
        for wrong in [
            "group:",
            "group:reception",
            "group:6f4c6b1e7a534c1d9c550f6f2a4f1001",
            "",
            "  ",
            "bob",
            "@home",
            "bob@",
            "sip:",
            "sip:bob@",
            "123456789012345678901",
            "a b@c",
            "1\n2",
        ] {
            assert!(Destination::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
