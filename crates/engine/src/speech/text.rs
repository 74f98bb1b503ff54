//! Text made fit to be spoken.

/// One space between words, no control characters.
pub(super) fn tidy(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What flite, which knows ASCII only, can say of a text: typographic marks and accented Latin letters become the plain
/// ones, others a space.
pub(super) fn to_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' => out.push(c),
            '‘' | '’' | '‚' | '′' => out.push('\''),
            '“' | '”' | '„' | '«' | '»' => out.push('"'),
            '–' | '—' | '―' => out.push_str(", "),
            '…' => out.push_str("..."),
            'À'..='Å' | 'à'..='å' | 'Ā'..='ą' => out.push('a'),
            'Æ' | 'æ' => out.push_str("ae"),
            'Ç' | 'ç' | 'Ć'..='č' => out.push('c'),
            'È'..='Ë' | 'è'..='ë' | 'Ē'..='ě' => out.push('e'),
            'Ì'..='Ï' | 'ì'..='ï' | 'Ĩ'..='ı' => out.push('i'),
            'Ł' | 'ł' => out.push('l'),
            'Ñ' | 'ñ' | 'Ń'..='ň' => out.push('n'),
            'Ò'..='Ö' | 'Ø' | 'ò'..='ö' | 'ø' | 'Ō'..='ő' => out.push('o'),
            'Œ' | 'œ' => out.push_str("oe"),
            'Ś'..='š' => out.push('s'),
            'ß' => out.push_str("ss"),
            'Ù'..='Ü' | 'ù'..='ü' | 'Ũ'..='ų' => out.push('u'),
            'Ý' | 'ý' | 'ÿ' | 'Ÿ' => out.push('y'),
            'Ź'..='ž' => out.push('z'),
            '€' => out.push_str(" euros "),
            '£' => out.push_str(" pounds "),
            _ => out.push(' '),
        }
    }
    out
}

/// Cuts a text into pieces of at most `piece` octets, at the ends of sentences, else of clauses, else of words. Words
/// longer than `word` are cut as well. ASCII only.
pub(super) fn pieces(text: &str, piece: usize, word: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut current = String::new();
    for token in text.split_ascii_whitespace().flat_map(|token| cut(token, word)) {
        if !current.is_empty() && current.len() + 1 + token.len() > piece {
            pieces.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(token);
        let sentence = token.ends_with(['.', '!', '?']);
        let clause = token.ends_with([',', ';', ':']);
        if sentence || (clause && current.len() > piece / 2) {
            pieces.push(std::mem::take(&mut current));
        }
    }
    if !current.is_empty() {
        pieces.push(current);
    }
    pieces
}

fn cut(token: &str, word: usize) -> impl Iterator<Item = &str> {
    // ASCII: every octet is a boundary.
    (0..token.len()).step_by(word).filter_map(move |at| token.get(at..(at + word).min(token.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_control_characters_become_one_space() {
        assert_eq!(tidy("  a\n\t b\u{0}c "), "a b c");
        assert_eq!(tidy("\n"), "");
    }

    #[test]
    fn accents_and_typography_become_ascii() {
        assert_eq!(to_ascii("Café “naïve” – Łódź…"), "Cafe \"naive\" ,  lodz...");
    }

    #[test]
    fn pieces_end_with_sentences_and_stay_short() {
        assert_eq!(pieces("One. Two three! Four", 100, 40), ["One.", "Two three!", "Four"]);
        assert_eq!(pieces("aaa bbb ccc", 7, 40), ["aaa bbb", "ccc"]);
        assert_eq!(pieces("abcdefgh", 100, 3), ["abc def gh"]);
        assert_eq!(pieces(" ", 100, 3), [""; 0]);
    }
}
