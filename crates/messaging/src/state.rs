//! What an SMS goes through.

use std::fmt;

/// `state` of an SMS, as the API and the database name it. `delivered` is a flag of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmsState {
    /// Taken and durable, not yet tried.
    Created,
    /// Being handed to the carrier. Set before the first octet goes out, so that after a crash it is known which
    /// messages may have left.
    Sending,
    /// Handed over (outbound) or received (inbound).
    Success,
    Failed,
}

/// What happens to an SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The carrier is about to get it.
    Attempt,
    /// The carrier wants it later; back to the queue.
    Postpone,
    /// The carrier has it.
    HandOver,
    /// It will not be sent.
    Fail,
    /// A receipt says that it did not arrive.
    Undelivered,
}

/// The step does not exist from this state; the caller leaves the SMS as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no {step:?} from {state}")]
pub struct NoSuchStep {
    pub state: SmsState,
    pub step: Step,
}

impl SmsState {
    pub fn as_str(self) -> &'static str {
        match self {
            SmsState::Created => "created",
            SmsState::Sending => "sending",
            SmsState::Success => "success",
            SmsState::Failed => "failed",
        }
    }

    pub fn parse(name: &str) -> Option<SmsState> {
        Some(match name {
            "created" => SmsState::Created,
            "sending" => SmsState::Sending,
            // What the state was called in 2021.
            "success" | "sent" => SmsState::Success,
            "failed" => SmsState::Failed,
            _ => return None,
        })
    }

    /// No step but a receipt leads out of it.
    pub fn is_final(self) -> bool {
        matches!(self, SmsState::Success | SmsState::Failed)
    }

    pub fn after(self, step: Step) -> Result<SmsState, NoSuchStep> {
        match (self, step) {
            (SmsState::Created, Step::Attempt) => Ok(SmsState::Sending),
            (SmsState::Sending, Step::Postpone) => Ok(SmsState::Created),
            (SmsState::Sending, Step::HandOver) => Ok(SmsState::Success),
            (SmsState::Created | SmsState::Sending, Step::Fail) => Ok(SmsState::Failed),
            (SmsState::Success, Step::Undelivered) => Ok(SmsState::Failed),
            (state, step) => Err(NoSuchStep { state, step }),
        }
    }
}

impl fmt::Display for SmsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_way() {
        let state = SmsState::Created.after(Step::Attempt).unwrap().after(Step::HandOver).unwrap();
        assert_eq!(state, SmsState::Success);
        assert!(state.is_final());
    }

    #[test]
    fn a_final_state_takes_no_second_hand_over() {
        assert!(SmsState::Success.after(Step::HandOver).is_err());
        assert!(SmsState::Failed.after(Step::Attempt).is_err());
        assert!(SmsState::Failed.after(Step::Undelivered).is_err());
    }

    #[test]
    fn names_come_back() {
        for state in [SmsState::Created, SmsState::Sending, SmsState::Success, SmsState::Failed] {
            assert_eq!(SmsState::parse(state.as_str()), Some(state));
        }
    }
}
