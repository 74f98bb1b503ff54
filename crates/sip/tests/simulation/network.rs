//! What happens to a message on its way.

use std::time::Duration;

use opentact_sip::flow::Transport;
use rand::Rng;
use rand::rngs::StdRng;

/// Conditions of one world.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    pub transport: Transport,
    /// Messages lost, in thousandths.
    loss: u32,
    /// Messages that arrive twice, in thousandths.
    doubled: u32,
    /// Delay in milliseconds.
    delay: (u64, u64),
    /// Milliseconds since the start in which nothing gets through.
    outage: Option<(u64, u64)>,
}

impl Network {
    pub fn of(random: &mut StdRng) -> Network {
        let perfect = Network { transport: Transport::Udp, loss: 0, doubled: 0, delay: (1, 1), outage: None };
        match random.random_range(0..10) {
            0 => perfect,
            // Reliable and in order.
            1 => Network { transport: Transport::Tcp, delay: (5, 5), ..perfect },
            2 => Network { delay: (1, 900), doubled: 300, ..perfect },
            3 => {
                let start = random.random_range(0..20_000);
                let outage = Some((start, start + random.random_range(500..60_000)));
                Network { delay: (10, 50), loss: 20, outage, ..perfect }
            }
            4..7 => Network { delay: (10, 300), loss: 100, doubled: 50, ..perfect },
            7..9 => Network { delay: (1, 1_500), loss: 300, doubled: 100, ..perfect },
            // Longer than T1, shorter than T4: everything is repeated, nothing outlives its transaction.
            _ => Network { delay: (400, 2_400), loss: 500, doubled: 200, ..perfect },
        }
    }

    /// True where nothing is ever lost or late.
    pub fn is_perfect(&self) -> bool {
        self.loss == 0 && self.doubled == 0 && self.outage.is_none()
    }

    /// When each copy of a message sent `at` arrives.
    pub fn deliver(&self, at: Duration, random: &mut StdRng) -> Vec<Duration> {
        let at_ms = at.as_millis() as u64;
        if self.outage.is_some_and(|(from, to)| (from..to).contains(&at_ms)) {
            return Vec::new();
        }
        if random.random_range(0..1_000) < self.loss {
            return Vec::new();
        }
        let copies = 1 + usize::from(random.random_range(0..1_000) < self.doubled);
        (0..copies).map(|_| at + Duration::from_millis(random.random_range(self.delay.0..=self.delay.1))).collect()
    }
}
