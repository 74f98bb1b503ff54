//! Texts with places for what a message says: `{"to": "+${to}"}`.

use opentact_engine::ports::CarrierSubmit;
use opentact_messaging::segment;
use serde_json::Value;
use uuid::Uuid;

/// What can stand in `${…}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Id,
    From,
    To,
    Text,
    Encoding,
    Segments,
    Repeated,
}

const PLACES: [(&str, Place); 7] = [
    ("id", Place::Id),
    ("from", Place::From),
    ("to", Place::To),
    ("text", Place::Text),
    ("encoding", Place::Encoding),
    ("segments", Place::Segments),
    ("repeated", Place::Repeated),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Place(Place),
}

/// A text that differs from message to message. What is put in never needs more than the escapes of a JSON string: only the
/// text of a message can have anything but letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Template {
    /// A body.
    ///
    /// # Errors
    /// What is wrong with it, for a person to read: an unknown name, a `${` without end, or what it makes is not JSON.
    pub fn json(text: &str) -> Result<Template, String> {
        let template = Template::parse(text)?;
        let sample = CarrierSubmit {
            id: Uuid::nil(),
            from: 12_025_550_100,
            to: 12_025_550_199,
            text: "\"\\\n".to_owned(),
            taken: Vec::new(),
            repeated: false,
        };
        match serde_json::from_str::<Value>(&template.fill(&sample)) {
            Ok(_) => Ok(template),
            Err(error) => Err(format!("what it makes is not JSON: {error}")),
        }
    }

    /// A URL, or the value of a header: the text of a message has no place there.
    ///
    /// # Errors
    /// The same, but for JSON.
    pub fn line(text: &str) -> Result<Template, String> {
        let template = Template::parse(text)?;
        match template.0.contains(&Piece::Place(Place::Text)) {
            true => Err("${text} can stand in a body only".to_owned()),
            false => Ok(template),
        }
    }

    fn parse(text: &str) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, behind)) = rest.split_once("${") {
            let (name, behind) = behind.split_once('}').ok_or("there is a ${ without }")?;
            let place = PLACES.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
            let place = place.ok_or_else(|| {
                let known: Vec<&str> = PLACES.iter().map(|(known, _)| *known).collect();
                format!("there is no ${{{name}}}, but {}", known.join(", "))
            })?;
            pieces.extend([Piece::Literal(literal.to_owned()), Piece::Place(place)]);
            rest = behind;
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        Ok(Template(pieces))
    }

    pub(super) fn fill(&self, message: &CarrierSubmit) -> String {
        let measured = || segment::measure(&message.text, false);
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => filled.push_str(literal),
                Piece::Place(Place::Id) => filled.push_str(&message.id.to_string()),
                Piece::Place(Place::From) => filled.push_str(&message.from.to_string()),
                Piece::Place(Place::To) => filled.push_str(&message.to.to_string()),
                Piece::Place(Place::Text) => {
                    let quoted = Value::from(&*message.text).to_string();
                    filled.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
                }
                Piece::Place(Place::Encoding) => filled.push_str(measured().encoding.name()),
                Piece::Place(Place::Segments) => filled.push_str(&measured().segments.to_string()),
                Piece::Place(Place::Repeated) => filled.push_str(if message.repeated { "true" } else { "false" }),
            }
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> CarrierSubmit {
        let (id, taken) = (Uuid::nil(), Vec::new());
        CarrierSubmit { id, from: 12_025_550_100, to: 12_025_550_199, text: text.to_owned(), taken, repeated: true }
    }

    #[test]
    fn what_a_message_says_stands_in_its_places() {
        let text = r#"{"to": "+${to}", "from": ${from}, "parts": ${segments}, "type": "${encoding}", "body": "${text}",
            "again": ${repeated}, "ref": "${id}", "price": "$5 {x}"}"#;
        let filled = Template::json(text).unwrap().fill(&message("a \"quoted\"\nя \\ ${to}"));
        let expected = serde_json::json!({
            "to": "+12025550199", "from": 12_025_550_100_u64, "parts": 1, "type": "ucs2",
            "body": "a \"quoted\"\nя \\ ${to}", "again": true, "ref": Uuid::nil().to_string(), "price": "$5 {x}",
        });
        assert_eq!(serde_json::from_str::<Value>(&filled).unwrap(), expected);
    }

    #[test]
    fn quotes_at_the_ends_stay() {
        let template = Template::json(r#"["${text}"]"#).unwrap();
        for text in ["\"", "\"\"", "\"x\"", "\\", "", "\u{1}"] {
            let filled = template.fill(&message(text));
            assert_eq!(serde_json::from_str::<Vec<String>>(&filled).unwrap(), [text], "{filled}");
        }
    }

    #[test]
    fn what_would_not_work_is_refused() {
        assert!(Template::json(r#"{"to": "${too}"}"#).unwrap_err().contains("there is no ${too}"));
        assert!(Template::json(r#"{"to": "${to"#).is_err());
        assert!(Template::json(r#"{"text": ${text}}"#).unwrap_err().contains("not JSON"));
        assert!(Template::line("https://x.example/${text}").is_err());
        let line = Template::line("https://x.example/${id}?to=%2B${to}").unwrap().fill(&message("x"));
        assert_eq!(line, "https://x.example/00000000-0000-0000-0000-000000000000?to=%2B12025550199");
    }
}
