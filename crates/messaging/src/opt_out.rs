//! The words by which a recipient opts out and in, and what the answer is where nothing else is set.

/// What a message that consists of a keyword asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    Out,
    In,
    Help,
}

const OUT: &[&str] = &["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"];
const IN: &[&str] = &["START", "UNSTOP", "YES"];
const HELP: &[&str] = &["HELP", "INFO"];

impl Keyword {
    /// What is answered: at most one segment.
    pub fn answer(self) -> &'static str {
        match self {
            Keyword::Out => "You are unsubscribed and will receive no more messages. Reply START to resubscribe.",
            Keyword::In => "You are resubscribed. Reply HELP for help, STOP to unsubscribe.",
            Keyword::Help => "Reply STOP to unsubscribe, START to resubscribe. Message and data rates may apply.",
        }
    }
}

/// Further words, of other languages.
#[derive(Debug, Clone, Copy, Default)]
pub struct Words<'a> {
    pub out: &'a [String],
    pub back_in: &'a [String],
    pub help: &'a [String],
}

/// The keyword a message is, `None` for all others. Case, what surrounds it (spaces, punctuation) and how many spaces are
/// inside do not matter; a word among others is no keyword. The English words always count, and come first: nobody can
/// be kept from opting out by another meaning of `STOP`.
pub fn keyword(text: &str, further: Words<'_>) -> Option<Keyword> {
    let word = plain(text);
    if word.is_empty() {
        return None;
    }
    let english = |words: &[&str]| words.iter().any(|candidate| word == candidate.to_lowercase());
    let other = |words: &[String]| words.iter().any(|candidate| word == plain(candidate));
    let kinds =
        [(Keyword::Out, OUT, further.out), (Keyword::In, IN, further.back_in), (Keyword::Help, HELP, further.help)];
    let found =
        kinds.iter().find(|(_, words, _)| english(words)).or_else(|| kinds.iter().find(|(.., words)| other(words)));
    found.map(|(keyword, ..)| *keyword)
}

fn plain(text: &str) -> String {
    let text = text.trim_matches(|character: char| !character.is_alphanumeric());
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_in_any_case_counts() {
        let keyword = |text| keyword(text, Words::default());
        assert_eq!(keyword(" Stop. "), Some(Keyword::Out));
        assert_eq!(keyword("yes"), Some(Keyword::In));
        assert_eq!(keyword("INFO?"), Some(Keyword::Help));
        assert_eq!(keyword("please stop"), None);
        assert_eq!(keyword(""), None);
        assert_eq!(keyword("!"), None);
    }

    #[test]
    fn words_of_other_languages_count_too() {
        let words = ["Arrêt".to_owned(), "no  más".to_owned()];
        let further = Words { out: &words, back_in: &["stop".to_owned()], ..Words::default() };
        assert_eq!(keyword("ARRÊT!", further), Some(Keyword::Out));
        assert_eq!(keyword("No más", further), Some(Keyword::Out));
        assert_eq!(keyword("stop", further), Some(Keyword::Out), "the English word keeps its meaning");
    }

    #[test]
    fn no_answer_is_a_keyword_or_long() {
        for answer in [Keyword::Out, Keyword::In, Keyword::Help].map(Keyword::answer) {
            assert_eq!(keyword(answer, Words::default()), None);
            assert_eq!(crate::segment::count(answer, false), 1);
        }
    }
}
