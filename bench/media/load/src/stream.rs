//! What a party sees of the packets that come to it.

/// Later than the first ones of its stream by more, a packet is late.
const LATE_NS: u64 = 5_000_000;
/// Nanoseconds of a step of a histogram, and steps: to 100 ms.
const STEP_NS: u64 = 10_000;
const STEPS: usize = 10_000;

/// How often what was how long.
pub struct Histogram {
    steps: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub fn new() -> Histogram {
        Histogram { steps: vec![0; STEPS], total: 0 }
    }

    fn add(&mut self, ns: u64) {
        if let Some(step) = self.steps.get_mut((ns / STEP_NS).min(STEPS as u64 - 1) as usize) {
            *step += 1;
        }
        self.total += 1;
    }

    /// Milliseconds that this share of all does not exceed.
    pub fn percentile(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (step, count) in self.steps.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return (step + 1) as f64 * STEP_NS as f64 / 1e6;
            }
        }
        f64::NAN
    }
}

/// Of all streams together.
pub struct Seen {
    pub received: u64,
    pub late: u64,
    /// From one packet to the next of a stream, how far it is from what their timestamps say.
    pub jitter: Histogram,
    /// Behind the earliest of its stream; where packets tell when they were sent, since then.
    pub delay: Histogram,
}

impl Seen {
    pub fn new() -> Seen {
        Seen { received: 0, late: 0, jitter: Histogram::new(), delay: Histogram::new() }
    }
}

/// One stream.
#[derive(Default, Clone)]
pub struct Stream {
    ssrc: u32,
    /// The newest sequence number, extended.
    highest: u64,
    /// When the measuring began.
    base: u64,
    received: u64,
    /// Timestamps, extended, and the arrival of the newest less its time.
    timestamp: i64,
    last_timestamp: u32,
    transit: Option<i64>,
    least: Option<i64>,
}

impl Stream {
    /// Begins to count.
    pub fn begin(&mut self) {
        self.base = self.highest;
        self.received = 0;
    }

    pub fn lost(&self) -> u64 {
        (self.highest - self.base).saturating_sub(self.received)
    }

    pub fn has_begun(&self) -> bool {
        self.transit.is_some()
    }

    /// A packet whose header is `head` came at `at`; `sent`: when it was sent, where that is known.
    pub fn receive(&mut self, head: &[u8], clock_rate: u32, at: u64, sent: Option<u64>, seen: Option<&mut Seen>) {
        let [_, _, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3, ..] = *head else { return };
        let sequence = u16::from_be_bytes([s0, s1]);
        let timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
        let ssrc = u32::from_be_bytes([c0, c1, c2, c3]);
        if self.transit.is_none() || self.ssrc != ssrc {
            *self =
                Stream { ssrc, highest: 1 << 16 | u64::from(sequence), last_timestamp: timestamp, ..Stream::default() };
            self.base = self.highest;
        }
        let ahead = sequence.wrapping_sub(self.highest as u16) as i16;
        self.highest = self.highest.max(self.highest.saturating_add_signed(i64::from(ahead)));
        self.received += 1;
        self.timestamp += i64::from(timestamp.wrapping_sub(self.last_timestamp) as i32);
        self.last_timestamp = timestamp;
        let due = match sent {
            Some(sent) => sent as i64,
            None => (i128::from(self.timestamp) * 1_000_000_000 / i128::from(clock_rate)) as i64,
        };
        let transit = at as i64 - due;
        let before = self.transit.replace(transit);
        let least = self.least.map_or(transit, |least| least.min(transit));
        self.least = Some(least);
        let Some(seen) = seen else { return };
        // Since it was sent, or since the schedule that its stream has shown.
        let delay = if sent.is_some() { transit } else { transit - least }.max(0) as u64;
        seen.received += 1;
        seen.delay.add(delay);
        seen.late += u64::from(delay > LATE_NS);
        if let Some(before) = before.filter(|_| ahead == 1) {
            seen.jitter.add(transit.abs_diff(before));
        }
    }
}
