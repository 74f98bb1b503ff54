//! Two-way audio of a leg for somebody within the process, as a bot or a recogniser: samples out, samples in, and marks.

use std::sync::Arc;
use std::time::Duration;

use opentact_media::control::TAP_MARKS;
use opentact_media::{Command, Event, LegKey};
use tokio::sync::mpsc::{Receiver, Sender, channel};

#[cfg(doc)]
use super::MediaConfig;
use super::MediaPool;

/// A packet's worth of what the party says, as a rule.
const PACKET: Duration = Duration::from_millis(20);

/// What a tap tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tapped {
    /// What the party says next, silence while it says nothing. `lost`: samples before these that were dropped, as too many
    /// waited to be taken.
    Heard { samples: Vec<i16>, lost: usize },
    /// [`Tap::mark`]: all that was said before it has been played, or it was cut off.
    Marked { id: u64, played: bool },
    /// [`Tap::say`] had no room for so many samples, which are dropped.
    SaidTooMuch { samples: usize },
}

/// Ends when it is dropped, or with its leg. What a leg plays goes before what its tap says, and that before what comes
/// from the leg or the mix that it is joined to.
pub struct Tap {
    leg: LegKey,
    pool: MediaPool,
    told: Receiver<Tapped>,
}

impl Tap {
    /// `wait`: how much of what the party says waits to be taken.
    pub(super) fn new(leg: LegKey, pool: MediaPool, wait: Duration) -> (Tap, TapEnd) {
        let packets = (wait.as_millis() / PACKET.as_millis()).max(1) as usize;
        // Marks have places of their own: they are not dropped with samples.
        let (sender, told) = channel(packets + TAP_MARKS);
        (Tap { leg, pool, told }, TapEnd { sender, lost: 0 })
    }

    /// What happens next, in order; `None` once the leg has ended or another tap has taken the place of this.
    pub async fn next(&mut self) -> Option<Tapped> {
        self.told.recv().await
    }

    /// Says this, at the rate of the tap, behind what it has said already; so much waits as [`MediaConfig::tap_say`] lets.
    pub fn say(&self, samples: impl Into<Arc<[i16]>>) {
        self.pool.command(self.leg, Command::Say { samples: samples.into() });
    }

    /// [`Tapped::Marked`] is told once all that was said so far is played. At most 256 wait, further ones are told at once
    /// as not played.
    pub fn mark(&self, id: u64) {
        self.pool.command(self.leg, Command::Mark { id });
    }

    /// Cuts off what is being said; the marks that wait are told as not played.
    pub fn hush(&self) {
        self.pool.command(self.leg, Command::Hush);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // Without a leg to be ended nobody listens; one that took this one's place has another end.
        self.told.close();
    }
}

/// The media thread's end.
pub(super) struct TapEnd {
    sender: Sender<Tapped>,
    /// Samples that found no room, since the last that did.
    lost: usize,
}

impl TapEnd {
    /// Nobody is at the other end any more.
    pub fn is_over(&self) -> bool {
        self.sender.is_closed()
    }

    pub fn hear(&mut self, samples: Vec<i16>) {
        let count = samples.len();
        let heard = Tapped::Heard { samples, lost: self.lost };
        let sent = self.sender.capacity() > TAP_MARKS && self.sender.try_send(heard).is_ok();
        self.lost = if sent { 0 } else { self.lost + count };
    }

    /// Whether the event was one of a tap's. Who has left all places of marks full loses further ones.
    pub fn tell(&mut self, event: &Event) -> bool {
        let told = match *event {
            Event::Marked { id, played } => Tapped::Marked { id, played },
            Event::SaidTooMuch { samples } => Tapped::SaidTooMuch { samples },
            _ => return false,
        };
        let _ = self.sender.try_send(told);
        true
    }
}
