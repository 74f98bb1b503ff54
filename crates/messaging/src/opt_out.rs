//! The words by which a recipient opts out and in.

/// What a message that consists of a keyword asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    Out,
    In,
    Help,
}

/// The keyword a message is, `None` for all others. Case and what surrounds the one word (spaces, punctuation) do not
/// matter; a word among others is no keyword.
pub fn keyword(text: &str) -> Option<Keyword> {
    let word = text.trim_matches(|character: char| !character.is_alphanumeric());
    let is_one_of = |words: &[&str]| words.iter().any(|candidate| word.eq_ignore_ascii_case(candidate));
    if is_one_of(&["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"]) {
        Some(Keyword::Out)
    } else if is_one_of(&["START", "UNSTOP", "YES"]) {
        Some(Keyword::In)
    } else if is_one_of(&["HELP", "INFO"]) {
        Some(Keyword::Help)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_in_any_case_counts() {
        assert_eq!(keyword(" Stop. "), Some(Keyword::Out));
        assert_eq!(keyword("yes"), Some(Keyword::In));
        assert_eq!(keyword("INFO?"), Some(Keyword::Help));
        assert_eq!(keyword("please stop"), None);
        assert_eq!(keyword(""), None);
    }
}
