//! The tones of national networks (ITU-T E.180 supplement 2).
//!
//! A signal is written as steps of `frequencies/milliseconds`: `400+450` sound together, `400*25` is the one modulated by the
//! other, `0` is silence. Without milliseconds it goes on.

use super::Signal;

pub(super) struct Country {
    /// ISO 3166 alpha-2.
    pub iso: &'static str,
    /// Country code of E.164; of several countries that share one the first row counts for numbers.
    code: &'static str,
    ring_back: &'static str,
    busy: &'static str,
    congestion: &'static str,
    dial: &'static str,
}

impl Country {
    pub fn signal(&self, signal: Signal) -> &'static str {
        match signal {
            Signal::RingBack => self.ring_back,
            Signal::Busy => self.busy,
            Signal::Congestion => self.congestion,
            Signal::Dial => self.dial,
        }
    }

    /// That of a code in any case.
    pub fn named(iso: &str) -> Option<&'static Country> {
        COUNTRIES.iter().find(|country| country.iso.eq_ignore_ascii_case(iso))
    }

    /// That of a number in E.164 form, with or without `+`; of anything else, and where the country is not known, what
    /// E.180 recommends and most of the world has.
    pub fn of_number(number: &str) -> &'static Country {
        let digits = number.trim_start_matches('+');
        COUNTRIES.iter().find(|country| digits.starts_with(country.code)).unwrap_or(&ELSEWHERE)
    }
}

const fn country(
    iso: &'static str,
    code: &'static str,
    ring_back: &'static str,
    busy: &'static str,
    congestion: &'static str,
    dial: &'static str,
) -> Country {
    Country { iso, code, ring_back, busy, congestion, dial }
}

static ELSEWHERE: Country = country("", "", "425/1000,0/4000", "425/500,0/500", "425/250,0/250", "425");

/// The double ring of Britain and where its equipment went.
const DOUBLE: &str = "400+450/400,0/200,400+450/400,0/2000";
const PRECISE_BUSY: &str = "480+620/500,0/500";
const PRECISE_CONGESTION: &str = "480+620/250,0/250";
const PRECISE_DIAL: &str = "350+440";

#[rustfmt::skip]
pub(super) const COUNTRIES: &[Country] = &[
    country("US", "1", "440+480/2000,0/4000", PRECISE_BUSY, PRECISE_CONGESTION, PRECISE_DIAL),
    country("CA", "1", "440+480/2000,0/4000", PRECISE_BUSY, PRECISE_CONGESTION, PRECISE_DIAL),
    country("MX", "52", "425/1000,0/4000", "425/250,0/250", "425/250,0/250", "425"),
    country("CR", "506", "450/1200,0/4900", "450/330,0/330", "450/330,0/330", "450"),
    country("PA", "507", "425/1200,0/4650", "425/320,0/320", "425/320,0/320", "425"),
    country("AR", "54", "425/1000,0/4500", "425/300,0/300", "425/200,0/200", "425"),
    country("BR", "55", "425/1000,0/4000", "425/250,0/250", "425/250,0/250,425/750,0/250", "425"),
    country("CL", "56", "400/1000,0/3000", "400/500,0/500", "400/200,0/200", "400"),
    country("CO", "57", "425/1000,0/4000", "425/250,0/250", "425/100,0/250,425/350,0/250,425/650,0/250", "425"),
    country("VE", "58", "425/1000,0/4000", "425/500,0/500", "425/250,0/250", "425"),
    country("GB", "44", DOUBLE, "400/375,0/375", "400/400,0/350,400/225,0/525", PRECISE_DIAL),
    country("IE", "353", DOUBLE, "425/500,0/500", "425/250,0/250", "425"),
    country("FR", "33", "440/1500,0/3500", "440/500,0/500", "440/250,0/250", "440"),
    country("BE", "32", "425/1000,0/3000", "425/500,0/500", "425/167,0/167", "425"),
    country("NL", "31", "425/1000,0/4000", "425/500,0/500", "425/250,0/250", "425"),
    country("LU", "352", "425/1000,0/4000", "425/480,0/480", "425/240,0/240", "425"),
    country("DE", "49", "425/1000,0/4000", "425/480,0/480", "425/240,0/240", "425"),
    country("AT", "43", "420/1000,0/5000", "420/400,0/400", "420/200,0/200", "420"),
    country("CH", "41", "425/1000,0/4000", "425/500,0/500", "425/200,0/200", "425"),
    country("IT", "39", "425/1000,0/4000", "425/500,0/500", "425/200,0/200", "425/200,0/200,425/600,0/1000"),
    country("ES", "34", "425/1500,0/3000", "425/200,0/200", "425/200,0/200,425/200,0/200,425/200,0/600", "425"),
    country("PT", "351", "425/1000,0/5000", "425/500,0/500", "425/200,0/200", "425"),
    country("DK", "45", "425/1000,0/4000", "425/500,0/500", "425/200,0/200", "425"),
    country("NO", "47", "425/1000,0/4000", "425/500,0/500", "425/200,0/200", "425"),
    country("SE", "46", "425/1000,0/5000", "425/250,0/250", "425/250,0/750", "425"),
    country("FI", "358", "425/1000,0/4000", "425/300,0/300", "425/200,0/200", "425"),
    country("IS", "354", "425/1200,0/4700", "425/250,0/250", "425/250,0/250", "425"),
    country("EE", "372", "425/1000,0/4000", "425/300,0/300", "425/200,0/200", "425"),
    country("LT", "370", "425/1000,0/4000", "425/350,0/350", "425/200,0/200", "425"),
    country("PL", "48", "425/1000,0/4000", "425/500,0/500", "425/500,0/500", "425"),
    country("CZ", "420", "425/1000,0/4000", "425/330,0/330", "425/165,0/165", "425/330,0/330,425/660,0/660"),
    country("SK", "421", "425/1000,0/4000", "425/330,0/330", "425/165,0/165", "425/330,0/330,425/660,0/660"),
    country("HU", "36", "425/1250,0/3750", "425/300,0/300", "425/300,0/300", "425"),
    country("RO", "40", "450/1850,0/4150", "450/167,0/167", "450/500,0/500", "450"),
    country("BG", "359", "425/1000,0/4000", "425/500,0/500", "425/250,0/250", "425"),
    country("GR", "30", "425/1000,0/4000", "425/300,0/300", "425/200,0/200", "425/200,0/300,425/700,0/800"),
    country("HR", "385", "425/1000,0/4000", "425/500,0/500", "425/250,0/250", "425/200,0/300,425/700,0/800"),
    country("SI", "386", "425/1000,0/4000", "425/500,0/500", "425/250,0/250", "425/200,0/300,425/700,0/800"),
    country("RS", "381", "425/1000,0/4000", "425/500,0/500", "425/250,0/250", "425/200,0/300,425/700,0/800"),
    country("TR", "90", "450/2000,0/4000", "450/500,0/500", "450/200,0/200,450/200,0/200,450/200,0/200,450/600,0/200", "450"),
    country("RU", "7", "425/1000,0/4000", "425/350,0/350", "425/175,0/175", "425"),
    country("UA", "380", "425/1000,0/4000", "425/350,0/350", "425/175,0/175", "425"),
    country("IL", "972", "400/1000,0/3000", "400/500,0/500", "400/250,0/250", "400"),
    country("AE", "971", DOUBLE, "400/375,0/375", "400/400,0/350,400/225,0/525", PRECISE_DIAL),
    country("ZA", "27", "400*33/400,0/200,400*33/400,0/2000", "400/500,0/500", "400/250,0/250", "400*33"),
    country("KE", "254", "425/670,0/3000,425/1500,0/5000", "425/200,0/600", "425/200,0/600", "425"),
    country("IN", "91", "400*25/400,0/200,400*25/400,0/2000", "400/750,0/750", "400/250,0/250", "400*25"),
    country("CN", "86", "450/1000,0/4000", "450/350,0/350", "450/700,0/700", "450"),
    country("HK", "852", "440+480/400,0/200,440+480/400,0/3000", PRECISE_BUSY, PRECISE_CONGESTION, PRECISE_DIAL),
    country("TW", "886", "440+480/1000,0/2000", PRECISE_BUSY, PRECISE_CONGESTION, PRECISE_DIAL),
    country("JP", "81", "400*16/1000,0/2000", "400/500,0/500", "400/500,0/500", "400"),
    country("KR", "82", "440+480/1000,0/2000", PRECISE_BUSY, "480+620/300,0/200", PRECISE_DIAL),
    country("SG", "65", "425*24/400,0/200,425*24/400,0/2000", "425/750,0/750", "425/250,0/250", "425"),
    country("MY", "60", "425/400,0/200,425/400,0/2000", "425/500,0/500", "425/500,0/500", "425"),
    country("TH", "66", "400/1000,0/4000", "400/500,0/500", "400/300,0/300", "400*50"),
    country("PH", "63", "425+480/1000,0/4000", PRECISE_BUSY, PRECISE_CONGESTION, "425"),
    country("ID", "62", "425/1000,0/4000", "425/500,0/500", "425/250,0/250", "425"),
    country("AU", "61", "413+438/400,0/200,413+438/400,0/2000", "425/375,0/375", "425/375,0/375", "413+438"),
    country("NZ", "64", DOUBLE, "400/500,0/500", "400/250,0/250", "400"),
];

/// Every code there is, for the table of the language.
pub(crate) const CODES: &[&str] = &{
    let mut codes = [""; COUNTRIES.len()];
    let mut index = 0;
    while index < codes.len() {
        codes[index] = COUNTRIES[index].iso;
        index += 1;
    }
    codes
};

#[cfg(test)]
mod tests {
    use super::super::Tone;
    use super::*;

    #[test]
    fn every_country_is_there_once_and_no_code_hides_another() {
        assert!(COUNTRIES.len() >= 40);
        for (at, country) in COUNTRIES.iter().enumerate() {
            for other in &COUNTRIES[at + 1..] {
                assert_ne!(country.iso, other.iso);
                let shared = country.code == other.code;
                assert!(shared || !country.code.starts_with(other.code) && !other.code.starts_with(country.code));
            }
            assert_eq!(Country::of_number(&format!("+{}12345678", country.code)).code, country.code);
        }
        assert_eq!(Country::named("de").map(|country| country.iso), Some("DE"));
        assert_eq!(Country::of_number("alice@home").iso, "");
    }

    /// The ranges of E.180: 400 to 450 Hz recommended, up to 620 in use; ring-back longer and rarer than busy, and that
    /// no faster than congestion.
    #[test]
    fn every_tone_is_what_e180_allows() {
        for country in COUNTRIES {
            let tone = |signal| Tone::of(signal, country.iso).unwrap();
            for signal in [Signal::RingBack, Signal::Busy, Signal::Congestion, Signal::Dial] {
                for step in tone(signal).steps {
                    assert!((1..=4).contains(&step.hz.len()), "{} {signal:?}", country.iso);
                    assert!(step.hz.iter().all(|hz| (340.0..=650.0).contains(hz)), "{} {signal:?}", country.iso);
                    assert!((100..=2000).contains(&step.on_ms) && step.off_ms <= 5300, "{} {signal:?}", country.iso);
                }
            }
            let ring_back = tone(Signal::RingBack);
            assert!((2000..=11_000).contains(&ring_back.cycle_ms()), "{}", country.iso);
            assert!(
                tone(Signal::Busy).steps.iter().all(|step| step.on_ms <= 750 && step.off_ms <= 750),
                "{}",
                country.iso
            );
            assert!(tone(Signal::Busy).cycle_ms() < ring_back.cycle_ms(), "{}", country.iso);
        }
    }
}
