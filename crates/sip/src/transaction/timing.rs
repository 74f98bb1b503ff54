//! The three base values all SIP timers derive from (RFC 3261 17.1.1.1, table 4).

use std::time::Duration;

/// T1, T2 and T4. The defaults are the RFC's and fit the Internet; a shorter T1 is for closed networks only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Round-trip estimate, 500 ms.
    pub t1: Duration,
    /// Longest retransmission interval of non-INVITE requests and INVITE responses, 4 s.
    pub t2: Duration,
    /// Longest time a message stays in the network, 5 s.
    pub t4: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timing {
    /// 64*T1: timers B, F, H, J, L and M.
    pub fn lifetime(&self) -> Duration {
        self.t1 * 64
    }

    /// Timer D: at least 32 s, and as long as the other side may repeat its final response.
    pub(crate) fn linger(&self) -> Duration {
        self.lifetime()
    }
}
