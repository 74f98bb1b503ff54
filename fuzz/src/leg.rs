//! Legs that are given hostile datagrams.

use std::time::{Duration, Instant, SystemTime};

use opentact_media::LegConfig;
use opentact_media::jitter::Delay;
use opentact_media::leg::WallClock;

/// A leg that begins now, without a limit to silence.
pub fn leg_config(now: Instant) -> LegConfig {
    LegConfig {
        seed: 1,
        clock: WallClock::new(now, SystemTime::UNIX_EPOCH),
        latch: true,
        rtp_timeout: None,
        grain: Duration::from_millis(5),
        delay: Delay::default(),
        fill_silence: true,
        tap_wait: Duration::from_secs(1),
    }
}
