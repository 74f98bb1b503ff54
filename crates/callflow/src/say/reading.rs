//! How a number, a date or an entry of keys is read: in words in English, elsewhere in a form that voices read in their
//! own language.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const THOUSANDS: [(u64, &str); 4] =
    [(1_000_000_000_000, "trillion"), (1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand")];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// A number of more digits is read digit by digit.
const MAX_DIGITS: usize = 15;

/// The text of a `say-as` for a voice of this language; as it is where `how` is unknown or does not fit.
pub(super) fn read(text: &str, how: &str, format: Option<&str>, lang: &str) -> String {
    let english = lang.split(['-', '_']).next().is_some_and(|primary| primary.eq_ignore_ascii_case("en"));
    let read = match how.to_ascii_lowercase().as_str() {
        "digits" | "telephone" => Some(digits(text, english)),
        "characters" | "spell-out" | "verbatim" => Some(characters(text, english)),
        "number" | "cardinal" => number(text, english),
        "ordinal" if english => text.parse().ok().filter(|n| *n < 1_000_000).map(ordinal),
        "date" => date(text, format, english),
        _ => None,
    };
    read.unwrap_or_else(|| text.to_owned())
}

/// One after the other; what parts groups of them is a short pause.
fn digits(text: &str, english: bool) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if english => push_word(&mut out, ONES[c as usize - '0' as usize]),
            '+' if english => push_word(&mut out, "plus"),
            '*' if english => push_word(&mut out, "star"),
            '#' if english => push_word(&mut out, "pound"),
            ' ' | '-' | '.' | '/' | '(' | ')' => {
                if !out.is_empty() && !out.ends_with(',') {
                    out.push(',');
                }
            }
            c => push_word(&mut out, c.encode_utf8(&mut [0; 4])),
        }
    }
    out.trim_end_matches(',').to_owned()
}

/// Letter by letter.
fn characters(text: &str, english: bool) -> String {
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        match c {
            '0'..='9' if english => push_word(&mut out, ONES[c as usize - '0' as usize]),
            // Alone it would be the article.
            'a' | 'A' if english => push_word(&mut out, "ay"),
            '.' if english => push_word(&mut out, "dot"),
            '-' if english => push_word(&mut out, "dash"),
            '_' if english => push_word(&mut out, "underscore"),
            '@' if english => push_word(&mut out, "at"),
            c => push_word(&mut out, &c.to_uppercase().to_string()),
        }
    }
    out
}

/// With sign, commas between thousands, and decimals; `None`: it is none.
fn number(text: &str, english: bool) -> Option<String> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("minus ", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, decimals) = rest.split_once('.').unwrap_or((rest, ""));
    let whole: String = whole.chars().filter(|c| *c != ',').collect();
    let all_digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !all_digits(&whole) || !all_digits(decimals) {
        return None;
    }
    if !english {
        let point = if decimals.is_empty() { "" } else { "." };
        return Some(format!("{}{whole}{point}{decimals}", if sign.is_empty() { "" } else { "-" }));
    }
    let mut out = sign.to_owned();
    match whole.parse() {
        Ok(value) if whole.len() <= MAX_DIGITS => out.push_str(&cardinal(value)),
        _ => out.push_str(&digits(&whole, true)),
    }
    if !decimals.is_empty() {
        out.push_str(" point ");
        out.push_str(&digits(decimals, true));
    }
    Some(out)
}

fn cardinal(mut number: u64) -> String {
    if number == 0 {
        return ONES[0].to_owned();
    }
    let mut out = String::new();
    for (size, name) in THOUSANDS {
        if number >= size {
            push_word(&mut out, &cardinal(number / size));
            push_word(&mut out, name);
            number %= size;
        }
    }
    if number >= 100 {
        push_word(&mut out, ONES[(number / 100) as usize]);
        push_word(&mut out, "hundred");
        number %= 100;
    }
    if number >= 20 {
        push_word(&mut out, TENS[(number / 10) as usize]);
        number %= 10;
    }
    if number > 0 {
        push_word(&mut out, ONES[number as usize]);
    }
    out
}

fn ordinal(number: u64) -> String {
    let cardinal = cardinal(number);
    let (before, last) = cardinal.rsplit_once(' ').map_or(("", cardinal.as_str()), |(before, last)| (before, last));
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        tens if tens.ends_with('y') => format!("{}ieth", tens.trim_end_matches('y')),
        other => format!("{other}th"),
    };
    format!("{before} {last}").trim_start().to_owned()
}

/// By `format`, an order of `y`, `m` and `d`; without one `2026-12-25` is year, month, day and anything else the order of
/// the United States. `None`: it is none.
fn date(text: &str, format: Option<&str>, english: bool) -> Option<String> {
    let parts: Vec<&str> = text.split(['-', '/', '.', ' ']).filter(|part| !part.is_empty()).collect();
    let order = match format {
        Some(format) => format.to_ascii_lowercase().replace(['-', '/', '.', ' '], ""),
        None if parts.first().is_some_and(|part| part.len() == 4) => "ymd"[..parts.len().min(3)].to_owned(),
        None => "mdy"[..parts.len().min(3)].to_owned(),
    };
    if order.len() != parts.len() || parts.is_empty() {
        return None;
    }
    let (mut year, mut month, mut day) = (None, None, None);
    for (which, part) in order.chars().zip(&parts) {
        let number: u64 = part.parse().ok()?;
        match which {
            'y' if number <= 9999 => year = Some(number),
            'm' if (1..=12).contains(&number) => month = Some(number),
            'd' if (1..=31).contains(&number) => day = Some(number),
            _ => return None,
        }
    }
    if !english {
        let all = [day, month, year].iter().flatten().map(u64::to_string).collect::<Vec<_>>();
        return Some(all.join("."));
    }
    let mut out = String::new();
    if let Some(month) = month {
        push_word(&mut out, MONTHS[month as usize - 1]);
    }
    if let Some(day) = day {
        push_word(&mut out, &ordinal(day));
    }
    if let Some(year) = year {
        let comma = if day.is_some() { "," } else { "" };
        out.push_str(comma);
        push_word(&mut out, &year_in_words(year));
    }
    Some(out)
}

/// In pairs, as years are: nineteen ninety nine, twenty twenty six, but two thousand five.
fn year_in_words(year: u64) -> String {
    let (century, rest) = (year / 100, year % 100);
    match (century, rest) {
        (10..=99, 0) if century % 10 != 0 => format!("{} hundred", cardinal(century)),
        (10..=99, 1..=9) if century % 10 != 0 => format!("{} oh {}", cardinal(century), cardinal(rest)),
        (10..=99, 10..) => format!("{} {}", cardinal(century), cardinal(rest)),
        _ => cardinal(year),
    }
}

fn push_word(out: &mut String, word: &str) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
    out.push_str(word);
}

#[cfg(test)]
mod tests {
    use super::read;

    fn english(text: &str, how: &str) -> String {
        read(text, how, None, "en-US")
    }

    #[test]
    fn digits_are_read_one_by_one() {
        assert_eq!(english("4711", "digits"), "four seven one one");
        assert_eq!(
            english("+1 (201) 555-0123", "telephone"),
            "plus one, two zero one, five five five, zero one two three"
        );
        assert_eq!(english("12#", "digits"), "one two pound");
        assert_eq!(read("47 11", "digits", None, "fr-FR"), "4 7, 1 1");
    }

    #[test]
    fn numbers_are_read_in_full() {
        for (text, words) in [
            ("0", "zero"),
            ("13", "thirteen"),
            ("42", "forty two"),
            ("100", "one hundred"),
            ("1,234", "one thousand two hundred thirty four"),
            ("1000000", "one million"),
            (
                "999999999999999",
                "nine hundred ninety nine trillion nine hundred ninety nine billion nine hundred ninety nine million nine hundred ninety nine thousand nine hundred ninety nine",
            ),
            ("-3.05", "minus three point zero five"),
            ("1234567890123456", "one two three four five six seven eight nine zero one two three four five six"),
            ("a few", "a few"),
            ("", ""),
            ("1.2.3", "1.2.3"),
        ] {
            assert_eq!(english(text, "number"), words);
        }
        assert_eq!(read("1,234.5", "cardinal", None, "de-DE"), "1234.5");
    }

    #[test]
    fn ordinals() {
        let read: Vec<String> = ["1", "2", "3", "5", "12", "20", "21", "100"].map(|n| english(n, "ordinal")).into();
        let words = ["first", "second", "third", "fifth", "twelfth", "twentieth", "twenty first", "one hundredth"];
        assert_eq!(read, words);
    }

    #[test]
    fn dates_are_read_by_their_format() {
        for (text, format, words) in [
            ("2026-12-25", None, "December twenty fifth, twenty twenty six"),
            ("12/01/1999", None, "December first, nineteen ninety nine"),
            ("01.12.2005", Some("dmy"), "December first, two thousand five"),
            ("2000-01", None, "January two thousand"),
            ("1905", Some("y"), "nineteen oh five"),
            ("03-04", Some("md"), "March fourth"),
            ("1900-05-30", Some("y-m-d"), "May thirtieth, nineteen hundred"),
            ("2026-13-01", None, "2026-13-01"),
            ("tomorrow", None, "tomorrow"),
            ("1-2-3-4", None, "1-2-3-4"),
        ] {
            assert_eq!(read(text, "date", format, "en-GB"), words);
        }
        assert_eq!(read("2026-12-25", "date", None, "de-DE"), "25.12.2026");
    }

    #[test]
    fn characters_are_spelled() {
        assert_eq!(english("Ab-7", "characters"), "ay B dash seven");
        assert_eq!(read("öl", "spell-out", None, "de"), "Ö L");
        assert_eq!(english("as it is", "fraction"), "as it is");
    }
}
