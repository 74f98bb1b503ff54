//! What a message that is a keyword brings about.

use opentact_messaging::opt_out::{Keyword, Words, keyword};
use opentact_store::messaging_profiles::OptOutRules;

use super::view::Context;

/// What the product does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reaction {
    /// Put on the list (true) or taken off it, by this word.
    pub opt: Option<(bool, String)>,
    /// What is answered.
    pub answer: Option<String>,
}

/// `opted_out`: the sender is on the list already. Nothing is answered to who opts out, or in, for the second time: two
/// machines must not talk to each other for ever. To opt in means something only for who is out: `YES` is a common word.
pub(super) fn reaction(context: &Context, text: &str, opted_out: bool) -> Option<Reaction> {
    let own = OptOutRules::default();
    let rules = context.profile.as_ref().map_or(&own, |profile| &*profile.opt_out);
    let words = Words { out: &rules.out_keywords, back_in: &rules.in_keywords, help: &rules.help_keywords };
    let keyword = keyword(text, words)?;
    let (custom, opt) = match keyword {
        Keyword::Out if opted_out => return None,
        Keyword::In if !opted_out => return None,
        Keyword::Out => (&rules.out_message, Some(true)),
        Keyword::In => (&rules.in_message, Some(false)),
        Keyword::Help => (&rules.help_message, None),
    };
    let answer = custom.as_deref().unwrap_or(keyword.answer());
    Some(Reaction {
        opt: opt.map(|out| (out, text.trim().chars().take(WORD).collect())),
        answer: (!answer.is_empty()).then(|| answer.to_owned()),
    })
}

/// Characters of what the recipient wrote that are kept.
const WORD: usize = 50;
