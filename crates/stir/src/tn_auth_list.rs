//! The TN Authorization List: which numbers a certificate may speak for (RFC 8226 9).

use crate::der::{self, IA5_STRING, INTEGER, Reader, SEQUENCE};

/// `id-pe-TNAuthList`, 1.3.6.1.5.5.7.1.26.
pub(crate) const OID: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 26];
/// Entries read of one list; a certificate with more is refused.
const MAX_ENTRIES: usize = 1024;
/// E.164 numbers have 15 digits at most, and RFC 8226 says so too.
const MAX_DIGITS: usize = 15;
/// A service provider code is four characters where they are given out today; a little more is let pass.
const MAX_SPC: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TnAuthListError {
    #[error("TN authorization list is no DER of RFC 8226")]
    Malformed,
    #[error("TN authorization list is empty")]
    Empty,
    #[error("TN authorization list has more than {MAX_ENTRIES} entries")]
    TooLong,
    #[error("a service provider code is 1 to {MAX_SPC} letters and digits")]
    Code,
    #[error("a number is 1 to {MAX_DIGITS} digits")]
    Number,
    #[error("a range counts 2 numbers or more and does not run over its digits")]
    Range,
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TnEntry {
    /// A service provider code: whatever numbers this provider has been given.
    Spc(String),
    /// `count` numbers from `start` on.
    Range {
        start: String,
        count: u64,
    },
    One(String),
}

/// The list of one certificate, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TnAuthList {
    entries: Vec<TnEntry>,
}

impl TnAuthList {
    /// # Errors
    /// No entry, too many, or one that says nothing.
    pub fn new(entries: Vec<TnEntry>) -> Result<Self, TnAuthListError> {
        if entries.is_empty() {
            return Err(TnAuthListError::Empty);
        }
        if entries.len() > MAX_ENTRIES {
            return Err(TnAuthListError::TooLong);
        }
        entries.iter().try_for_each(TnEntry::check)?;
        Ok(Self { entries })
    }

    /// Reads the content of the extension.
    ///
    /// # Errors
    /// It is no `TNAuthorizationList`.
    pub fn parse(octets: &[u8]) -> Result<Self, TnAuthListError> {
        let malformed = TnAuthListError::Malformed;
        let mut outer = Reader::new(octets);
        let mut list = Reader::new(outer.expect(SEQUENCE).ok_or(malformed)?);
        if !outer.is_empty() {
            return Err(malformed);
        }
        let mut entries = Vec::new();
        while !list.is_empty() {
            if entries.len() == MAX_ENTRIES {
                return Err(TnAuthListError::TooLong);
            }
            let (tag, content) = list.next().ok_or(malformed)?;
            entries.push(entry(tag, content).ok_or(malformed)?);
        }
        Self::new(entries)
    }

    /// The content of the extension.
    pub fn to_der(&self) -> Vec<u8> {
        let entries: Vec<u8> = self.entries.iter().flat_map(TnEntry::to_der).collect();
        der::value(SEQUENCE, &entries)
    }

    pub fn entries(&self) -> &[TnEntry] {
        &self.entries
    }

    /// The service provider codes.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match entry {
            TnEntry::Spc(code) => Some(code.as_str()),
            _ => None,
        })
    }

    /// Whether the certificate may speak for this number, given in canonical form.
    ///
    /// A service provider code covers any number: which ones a provider has been given is in no certificate, and SHAKEN
    /// has the provider vouch for the caller and not own the number (ATIS-1000074 5.2.3).
    pub fn covers(&self, number: &str) -> bool {
        self.entries.iter().any(|entry| match entry {
            TnEntry::Spc(_) => true,
            TnEntry::One(one) => one == number,
            TnEntry::Range { start, count } => {
                // Numbers of a range have as many digits as its first (RFC 8226 9).
                let offset = || number.parse::<u64>().ok()?.checked_sub(start.parse().ok()?);
                start.len() == number.len() && offset().is_some_and(|offset| offset < *count)
            }
        })
    }
}

impl TnEntry {
    fn check(&self) -> Result<(), TnAuthListError> {
        match self {
            TnEntry::Spc(code) => {
                let good = (1..=MAX_SPC).contains(&code.len()) && code.bytes().all(|c| c.is_ascii_alphanumeric());
                if good { Ok(()) } else { Err(TnAuthListError::Code) }
            }
            TnEntry::One(number) if is_number(number) => Ok(()),
            TnEntry::One(_) => Err(TnAuthListError::Number),
            TnEntry::Range { start, count } => {
                let first: u64 = match start.parse() {
                    Ok(first) if is_number(start) && start.bytes().all(|c| c.is_ascii_digit()) => first,
                    _ => return Err(TnAuthListError::Number),
                };
                let last = count.checked_sub(1).filter(|more| *more > 0).and_then(|more| first.checked_add(more));
                match last {
                    // The last of them still has as many digits as the first.
                    Some(last) if last.checked_ilog10().unwrap_or(0) < u32::try_from(start.len()).unwrap_or(0) => {
                        Ok(())
                    }
                    _ => Err(TnAuthListError::Range),
                }
            }
        }
    }

    fn to_der(&self) -> Vec<u8> {
        match self {
            TnEntry::Spc(code) => der::value(der::context(0), &der::value(IA5_STRING, code.as_bytes())),
            TnEntry::One(number) => der::value(der::context(2), &der::value(IA5_STRING, number.as_bytes())),
            TnEntry::Range { start, count } => {
                let mut range = der::value(IA5_STRING, start.as_bytes());
                let octets = count.to_be_bytes();
                let significant = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len() - 1);
                let mut integer = octets[significant..].to_vec();
                // A leading one would make it negative.
                if integer[0] & 0x80 != 0 {
                    integer.insert(0, 0);
                }
                range.extend(der::value(INTEGER, &integer));
                der::value(der::context(1), &der::value(SEQUENCE, &range))
            }
        }
    }
}

fn is_number(text: &str) -> bool {
    (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit() || c == b'*' || c == b'#')
}

fn text(octets: &[u8]) -> Option<String> {
    octets.is_ascii().then(|| String::from_utf8_lossy(octets).into_owned())
}

/// One `TNEntry`; the module of RFC 8226 tags explicitly.
fn entry(tag: u8, content: &[u8]) -> Option<TnEntry> {
    let mut inner = Reader::new(content);
    let entry = match tag {
        0xa0 => TnEntry::Spc(text(inner.expect(IA5_STRING)?)?),
        0xa1 => {
            let mut range = Reader::new(inner.expect(SEQUENCE)?);
            let start = text(range.expect(IA5_STRING)?)?;
            // What a later version puts behind the count is passed over: the type is extensible.
            TnEntry::Range { start, count: unsigned(range.expect(INTEGER)?)? }
        }
        0xa2 => TnEntry::One(text(inner.expect(IA5_STRING)?)?),
        _ => return None,
    };
    inner.is_empty().then_some(entry)
}

/// A DER integer that is not negative and fits.
fn unsigned(octets: &[u8]) -> Option<u64> {
    let (&first, rest) = octets.split_first()?;
    if first & 0x80 != 0 || (first == 0 && rest.first().is_some_and(|next| next & 0x80 == 0)) {
        return None;
    }
    let digits = if first == 0 { rest } else { octets };
    (digits.len() <= 8).then(|| digits.iter().fold(0, |value, octet| value << 8 | u64::from(*octet)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: Vec<TnEntry>) -> TnAuthList {
        TnAuthList::new(entries).unwrap()
    }

    #[test]
    fn a_code_is_tagged_explicitly() {
        // As certificates of SHAKEN authorities in use have it: `30 08 A0 06 16 04` and four characters.
        let octets = [0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, b'7', b'0', b'9', b'J'];
        let parsed = TnAuthList::parse(&octets).unwrap();
        assert_eq!(parsed.codes().collect::<Vec<_>>(), ["709J"]);
        assert_eq!(parsed.to_der(), octets);
        assert!(parsed.covers("12025550123"));
    }

    #[test]
    fn ranges_and_single_numbers_cover_what_they_name() {
        let range = TnEntry::Range { start: "12025550100".to_owned(), count: 200 };
        let both = list(vec![range, TnEntry::One("4930123456".to_owned())]);
        let again = TnAuthList::parse(&both.to_der()).unwrap();
        assert_eq!(again, both);
        for number in ["12025550100", "12025550299", "4930123456"] {
            assert!(again.covers(number), "{number}");
        }
        for number in ["12025550099", "12025550300", "2025550100", "4930123457", "", "alice", "012025550100"] {
            assert!(!again.covers(number), "{number}");
        }
    }

    #[test]
    fn what_says_nothing_is_no_list() {
        let range = |start: &str, count| TnEntry::Range { start: start.to_owned(), count };
        for (entries, error) in [
            (vec![], TnAuthListError::Empty),
            (vec![TnEntry::Spc(String::new())], TnAuthListError::Code),
            (vec![TnEntry::Spc("70 9J".to_owned())], TnAuthListError::Code),
            (vec![TnEntry::One("+1202".to_owned())], TnAuthListError::Number),
            (vec![TnEntry::One("1234567890123456".to_owned())], TnAuthListError::Number),
            (vec![range("1202", 1)], TnAuthListError::Range),
            (vec![range("9999", 2)], TnAuthListError::Range),
            (vec![range("12*2", 2)], TnAuthListError::Number),
            (vec![TnEntry::One("1".to_owned()); MAX_ENTRIES + 1], TnAuthListError::TooLong),
        ] {
            assert_eq!(TnAuthList::new(entries), Err(error));
        }
    }

    #[test]
    fn trailing_octets_and_foreign_tags_are_refused() {
        for octets in [
            &[0x30, 0x00][..],
            &[0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, b'7', b'0', b'9', b'J', 0],
            &[0x30, 0x08, 0xa3, 0x06, 0x16, 0x04, b'7', b'0', b'9', b'J'],
            &[0x30, 0x08, 0x80, 0x06, 0x16, 0x04, b'7', b'0', b'9', b'J'],
            &[0x30, 0x0c, 0xa1, 0x0a, 0x30, 0x08, 0x16, 0x03, b'1', b'2', b'0', 0x02, 0x01, 0xff],
        ] {
            assert!(TnAuthList::parse(octets).is_err(), "{octets:02x?}");
        }
    }
}
