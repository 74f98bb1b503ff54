use super::scan::{find_outside, trim};

/// Parameters of a header value or URI, `;name=value;flag`, read in place. Names are compared without case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a> {
    text: &'a [u8],
}

impl<'a> Params<'a> {
    /// `text` starts with `;` or is empty.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text: trim(text) }
    }

    /// Each parameter in order: name and value, `None` for a flag. Quotes stay on the value.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let mut rest = self.text.strip_prefix(b";").unwrap_or(self.text);
        std::iter::from_fn(move || {
            loop {
                if rest.is_empty() {
                    return None;
                }
                let (param, after) = match find_outside(rest, b';') {
                    Some(end) => (&rest[..end], &rest[end + 1..]),
                    None => (rest, &[][..]),
                };
                rest = after;
                let param = trim(param);
                if param.is_empty() {
                    continue;
                }
                return Some(match memchr::memchr(b'=', param) {
                    Some(equals) => (trim(&param[..equals]), Some(trim(&param[equals + 1..]))),
                    None => (param, None),
                });
            }
        })
    }

    /// The value of a parameter, quotes and all; `None` when it is absent or a flag.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).and_then(|(_, value)| value)
    }

    /// Like [`Self::get`], `None` too when the value is not UTF-8.
    pub fn get_str(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether the parameter is there, as a flag or with a value.
    pub fn has(self, name: &str) -> bool {
        self.iter().any(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
    }

    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    pub fn as_bytes(self) -> &'a [u8] {
        self.text
    }
}
