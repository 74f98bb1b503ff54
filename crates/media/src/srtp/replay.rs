//! Which packets were seen (RFC 3711 3.3.2), and the index of one that says only its lower 16 bits (3.3.1).

use crate::rtp;

/// Indices that are remembered below the highest.
const WINDOW: u64 = 128;
/// RTP indices have 48 bits.
const LIMIT: u64 = 1 << 48;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    highest: Option<u64>,
    /// Bit n: the highest less n was seen.
    seen: u128,
}

impl Window {
    /// The index a sequence number most likely belongs to: the one nearest to the highest. `None`: before the first, or
    /// beyond the last.
    pub fn estimate(&self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest else { return Some(sequence.into()) };
        let distance = rtp::sequence_distance(highest as u16, sequence);
        highest.checked_add_signed(distance.into()).filter(|index| *index < LIMIT)
    }

    /// Neither seen nor too old to tell.
    pub fn is_new(&self, index: u64) -> bool {
        match self.highest {
            Some(highest) if index <= highest => {
                let age = highest - index;
                age < WINDOW && self.seen >> age & 1 == 0
            }
            _ => true,
        }
    }

    pub fn mark(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {
                let age = highest - index;
                if age < WINDOW {
                    self.seen |= 1 << age;
                }
            }
            highest => {
                let ahead = highest.map_or(WINDOW, |highest| index - highest);
                self.seen = if ahead < WINDOW { self.seen << ahead } else { 0 } | 1;
                self.highest = Some(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(highest: u64) -> Window {
        let mut window = Window::default();
        window.mark(highest);
        window
    }

    #[test]
    fn an_index_is_the_nearest_with_that_sequence_number() {
        assert_eq!(Window::default().estimate(65_535), Some(65_535));
        assert_eq!(at(65_535).estimate(0), Some(65_536));
        assert_eq!(at(65_537).estimate(65_535), Some(65_535));
        assert_eq!(at(0x5_8000).estimate(0x0001), Some(0x5_0001));
        assert_eq!(at(0x5_8000).estimate(0xFFFF), Some(0x5_FFFF));
        assert_eq!(at(3).estimate(65_000), None, "before the first");
        assert_eq!(at(LIMIT - 1).estimate(0), None, "beyond the last");
    }

    #[test]
    fn an_index_is_new_once_and_only_for_so_long() {
        let mut window = at(1000);
        assert!(!window.is_new(1000));
        assert!(window.is_new(999) && window.is_new(873) && !window.is_new(872));
        window.mark(999);
        window.mark(1003);
        assert!(!window.is_new(999) && !window.is_new(1000) && window.is_new(1001) && window.is_new(1004));
        window.mark(1003 + 200);
        assert!(window.is_new(1200) && !window.is_new(1003));
        window.mark(1003 + 200 - 127);
        assert!(!window.is_new(1076));
    }
}
