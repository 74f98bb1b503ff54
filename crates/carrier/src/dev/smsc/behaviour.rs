//! What the last four digits of a number mean.

/// What becomes of a message to a number of the simulated network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Taken, delivered, receipt `DELIVRD`.
    Deliver,
    /// `0110`: submit_sm is answered ESME_RSUBMITFAIL.
    FailAtOnce,
    /// `0111`: taken, and nothing is heard of it again.
    NoReceipt,
    /// `0112`: taken, receipt `UNDELIV`.
    Undeliverable,
    /// `0113`: answered ESME_RTHROTTLED a few times, then as [`Behaviour::Deliver`].
    ThrottleFirst,
}

impl Behaviour {
    /// `number` is E.164.
    pub fn of(number: u64) -> Behaviour {
        match number % 10_000 {
            110 => Behaviour::FailAtOnce,
            111 => Behaviour::NoReceipt,
            112 => Behaviour::Undeliverable,
            113 => Behaviour::ThrottleFirst,
            _ => Behaviour::Deliver,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_four_digits_decide() {
        assert_eq!(Behaviour::of(12025550110), Behaviour::FailAtOnce);
        assert_eq!(Behaviour::of(12025551110), Behaviour::Deliver);
        assert_eq!(Behaviour::of(442079460113), Behaviour::ThrottleFirst);
    }
}
