//! Who answers how: what a called number does, and what a caller of `POST /rest/dev/call` does once answered.

use std::collections::VecDeque;
use std::time::Duration;

use opentact_engine::ports::DevScript;

/// One thing a simulated party does before the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// 180.
    Ring,
    Wait(Duration),
    /// The call is over with this code.
    Refuse(u16),
    /// 200; goes on with the ACK.
    Answer,
    /// Goes on when it is said.
    Say(String),
    /// The tone of an answering machine.
    Beep,
    /// From now on everything heard is sent back.
    Echo,
    /// DTMF.
    Keys(String),
    HangUp,
}

/// How long `0000..0099` and the machine ring.
const RINGING: Duration = Duration::from_secs(1);
/// When `0104` hangs up.
const SHORT_CALL: Duration = Duration::from_secs(5);
/// From the answer to the keys of `0106`.
const BEFORE_KEYS: Duration = Duration::from_secs(1);
/// A number that never answers is given up by the network after this, as networks do.
const NO_ANSWER: Duration = Duration::from_secs(180);

/// What a number does that nobody leases, by its last four digits. `attempt` counts the calls to it from 0; only
/// [`comes_back`] numbers look at it.
pub(super) fn called(number: u64, attempt: u32) -> VecDeque<Step> {
    let steps = match number % 10_000 {
        0..=99 => vec![Step::Ring, Step::Wait(RINGING), Step::Answer, Step::Say(greeting(number)), Step::Echo],
        100 => vec![Step::Refuse(486)],
        101 => vec![Step::Ring, Step::Wait(NO_ANSWER), Step::Refuse(480)],
        102 => vec![Step::Refuse(603)],
        103 => vec![Step::Refuse(404)],
        104 => vec![Step::Answer, Step::Wait(SHORT_CALL), Step::HangUp],
        105 => vec![Step::Ring, Step::Wait(RINGING), Step::Answer, Step::Say(MACHINE.into()), Step::Beep],
        106 => vec![Step::Answer, Step::Wait(BEFORE_KEYS), Step::Keys("1234#".into())],
        107 if attempt < 2 => vec![Step::Refuse(503)],
        _ => vec![Step::Answer, Step::Echo],
    };
    steps.into()
}

/// Whether the number of calls to it matters: `0107` is unavailable twice, then answers, then begins anew.
pub(super) fn comes_back(number: u64) -> bool {
    number % 10_000 == 107
}

/// What a caller does once answered; it hangs up when its time is over.
pub(super) fn caller(script: &DevScript) -> VecDeque<Step> {
    let steps = match script {
        DevScript::Echo => vec![Step::Echo],
        DevScript::Say(text) => vec![Step::Say(text.clone())],
        DevScript::Dtmf { digits, after } => vec![Step::Wait(*after), Step::Keys(digits.clone())],
        DevScript::Silent => Vec::new(),
    };
    steps.into()
}

const MACHINE: &str = "Hello. Nobody is here to take your call. Please leave a message after the tone.";

fn greeting(number: u64) -> String {
    let digits: Vec<String> = number.to_string().chars().map(String::from).collect();
    format!(
        "Hello. This is the simulated telephone network. You have called {}. I repeat what you say.",
        digits.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_four_digits_decide() {
        let first = |number| called(number, 0).pop_front();
        assert_eq!(first(12_015_550_042), Some(Step::Ring));
        assert_eq!(first(12_015_550_100), Some(Step::Refuse(486)));
        assert_eq!(first(12_015_550_102), Some(Step::Refuse(603)));
        assert_eq!(first(12_015_550_103), Some(Step::Refuse(404)));
        assert_eq!(first(12_015_550_199), Some(Step::Answer));
        assert!(!called(12_015_550_101, 0).contains(&Step::Answer));
        assert_eq!(called(12_015_550_104, 0).pop_back(), Some(Step::HangUp));
        assert_eq!(called(12_015_550_105, 0).pop_back(), Some(Step::Beep));
        assert_eq!(called(12_015_550_106, 0).pop_back(), Some(Step::Keys("1234#".into())));
    }

    #[test]
    fn one_number_is_unavailable_twice() {
        let answers = |attempt| called(12_015_550_107, attempt).contains(&Step::Answer);
        assert_eq!([0, 1, 2].map(answers), [false, false, true]);
    }
}
