//! The marks of SSML 1.1 that are heard: `break`, `say-as`, `prosody rate`, `sub`, `p`, `s`. Of the others the text inside
//! is spoken.

use std::time::Duration;

use super::reading;

/// Longest silence of one `break`.
const MAX_BREAK: Duration = Duration::from_secs(10);
/// Rates, in per cent of the voice's own.
const RATES: std::ops::RangeInclusive<u16> = 25..=400;

/// Of a text, in the order spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// `rate`: per cent of the voice's own, 25..=400.
    Text {
        text: String,
        rate: u16,
    },
    Silence(Duration),
}

/// The spans of a text with marks, for a voice of this language (BCP 47). Neighbours of one rate are one span; none is
/// blank. What is no XML is spoken as it is.
pub fn spans(markup: &str, lang: &str) -> Vec<Span> {
    let xml = format!("<speak>{markup}</speak>");
    let mut reader = Reader { lang, spans: Vec::new() };
    match roxmltree::Document::parse(&xml) {
        Ok(tree) => reader.inside(tree.root_element(), 100),
        Err(_) => reader.text(markup, 100),
    }
    reader.spans.retain_mut(|span| match span {
        Span::Text { text, .. } => {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            !text.is_empty()
        }
        Span::Silence(length) => !length.is_zero(),
    });
    reader.spans
}

/// What is wrong with an attribute of a mark, both in lower case.
pub(crate) fn check(mark: &str, attribute: &str, value: &str) -> Result<(), String> {
    match (mark, attribute) {
        ("break", "time") => time(value).map(drop),
        ("break", "strength") => strength(value).map(drop),
        ("prosody", "rate") => rate(value, 100).map(drop),
        _ => Ok(()),
    }
}

struct Reader<'a> {
    lang: &'a str,
    spans: Vec<Span>,
}

impl Reader<'_> {
    fn inside(&mut self, node: roxmltree::Node<'_, '_>, rate: u16) {
        for child in node.children() {
            if child.is_text() {
                self.text(child.text().unwrap_or_default(), rate);
            } else if child.is_element() {
                self.mark(child, rate);
            }
        }
    }

    fn mark(&mut self, node: roxmltree::Node<'_, '_>, outer: u16) {
        let attribute = |name: &str| {
            node.attributes().find(|attribute| attribute.name().eq_ignore_ascii_case(name)).map(|a| a.value())
        };
        match node.tag_name().name() {
            "break" => {
                let silence = match attribute("time") {
                    Some(text) => time(text),
                    None => strength(attribute("strength").unwrap_or("medium")),
                };
                self.spans.extend(silence.ok().map(Span::Silence));
                self.inside(node, outer);
            }
            "prosody" => {
                let inner = attribute("rate").and_then(|text| rate(text, outer).ok()).unwrap_or(outer);
                self.inside(node, inner);
            }
            "say-as" => {
                let text: String = node.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect();
                let (how, format) = (attribute("interpret-as").unwrap_or_default(), attribute("format"));
                self.text(&reading::read(text.trim(), how, format, self.lang), outer);
            }
            "sub" if attribute("alias").is_some() => self.text(attribute("alias").unwrap_or_default(), outer),
            "p" | "s" => {
                self.end_sentence(outer);
                self.inside(node, outer);
                self.end_sentence(outer);
            }
            _ => self.inside(node, outer),
        }
    }

    fn text(&mut self, more: &str, rate: u16) {
        match self.spans.last_mut() {
            Some(Span::Text { text, rate: before }) if *before == rate => text.push_str(more),
            _ => self.spans.push(Span::Text { text: more.to_owned(), rate }),
        }
    }

    /// The voice makes the pause.
    fn end_sentence(&mut self, rate: u16) {
        if let Some(Span::Text { text, .. }) = self.spans.last()
            && !text.trim().is_empty()
        {
            let ended = text.trim_end().ends_with(['.', '!', '?', ':', ';', ',']);
            self.text(if ended { " " } else { ". " }, rate);
        }
    }
}

/// `250ms`, `1.5s`.
fn time(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let seconds = match text.strip_suffix("ms") {
        Some(number) => number.trim().parse::<f64>().map(|ms| ms / 1000.0).ok(),
        None => text.strip_suffix('s').and_then(|number| number.trim().parse::<f64>().ok()),
    };
    let length =
        seconds.filter(|seconds| *seconds >= 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let length = length.filter(|length| *length <= MAX_BREAK);
    length.ok_or_else(|| format!("`{text}` is not a time up to {} s, such as 300ms or 1.5s", MAX_BREAK.as_secs()))
}

/// SSML 1.1 3.2.3 leaves the lengths to the processor.
fn strength(text: &str) -> Result<Duration, String> {
    let ms = match text.trim() {
        "none" => 0,
        "x-weak" => 100,
        "weak" => 250,
        "medium" => 500,
        "strong" => 750,
        "x-strong" => 1000,
        other => return Err(format!("`{other}` is not one of none, x-weak, weak, medium, strong, x-strong")),
    };
    Ok(Duration::from_millis(ms))
}

/// SSML 1.1 3.2.4: a word, or per cent; with a sign they are more or less of what is in force.
fn rate(text: &str, outer: u16) -> Result<u16, String> {
    let text = text.trim();
    let word = match text {
        "x-slow" => Some(50),
        "slow" => Some(75),
        "medium" | "default" => Some(100),
        "fast" => Some(125),
        "x-fast" => Some(160),
        _ => None,
    };
    let percent = || {
        let number: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
        let outer = f64::from(outer) / 100.0;
        let percent = if text.starts_with(['+', '-']) { (100.0 + number) * outer } else { number * outer };
        let percent = percent.round();
        (percent >= f64::from(*RATES.start()) && percent <= f64::from(*RATES.end())).then_some(percent as u16)
    };
    word.or_else(percent).ok_or_else(|| {
        let (least, most) = (RATES.start(), RATES.end());
        format!("`{text}` is not x-slow, slow, medium, fast, x-fast, or from {least}% to {most}%, such as 80% or +10%")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(markup: &str, lang: &str) -> String {
        let span = |span: &Span| match span {
            Span::Text { text, rate: 100 } => text.clone(),
            Span::Text { text, rate } => format!("[{rate}%: {text}]"),
            Span::Silence(length) => format!("({} ms)", length.as_millis()),
        };
        spans(markup, lang).iter().map(span).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn breaks_part_a_text() {
        assert_eq!(heard("One <break time=\"300ms\"/> two<break/>three", "en-US"), "One (300 ms) two (500 ms) three");
        assert_eq!(heard("<break strength='none'/>One<break time='1.5s'/>", "en-US"), "One (1500 ms)");
        assert_eq!(heard("One <break time='60s'/> two", "en-US"), "One two");
    }

    #[test]
    fn rates_are_of_what_is_around_them() {
        assert_eq!(
            heard("a <prosody rate='slow'>b <prosody rate='+10%'>c</prosody></prosody>", "de"),
            "a [75%: b] [83%: c]"
        );
        assert_eq!(heard("<prosody rate='50%'>a</prosody> <prosody volume='x'>b</prosody>", "de"), "[50%: a] b");
    }

    #[test]
    fn marks_that_are_not_heard_leave_their_text() {
        assert_eq!(
            heard("<emphasis>Mind</emphasis> the <sub alias='space'>gap</sub> &amp; go", "en"),
            "Mind the space & go"
        );
        assert_eq!(heard("<p>One</p><p><s>Two.</s><s>Three</s></p>", "en"), "One. Two. Three.");
        assert_eq!(heard("5 < 6", "en"), "5 < 6");
    }

    #[test]
    fn what_is_said_as_something_is_part_of_its_sentence() {
        let code = "Your code is <say-as interpret-as='digits'>4711</say-as>.";
        assert_eq!(heard(code, "en-US"), "Your code is four seven one one.");
        assert_eq!(heard(code, "de-DE"), "Your code is 4 7 1 1.");
    }

    #[test]
    fn attributes_of_marks_are_checked() {
        assert_eq!(check("break", "time", "2s"), Ok(()));
        assert_eq!(check("break", "time", "300"), Err("`300` is not a time up to 10 s, such as 300ms or 1.5s".into()));
        assert!(check("break", "time", "-1s").is_err() && check("break", "strength", "loud").is_err());
        assert!(check("prosody", "rate", "10%").is_err() && check("prosody", "rate", "-50%").is_ok());
        assert_eq!(check("prosody", "pitch", "high"), Ok(()));
    }
}
