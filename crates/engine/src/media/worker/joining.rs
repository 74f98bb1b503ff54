//! Two legs on one thread and joined, and what goes from thread to thread for it.

use std::sync::mpsc::TrySendError;
use std::time::Instant;

use opentact_media::leg::Input;
use opentact_media::{Command, LegKey};

use super::super::QUEUE;
use super::slot::{RTP, Slot};
use super::{Message, Worker};

impl Worker {
    /// Joins a leg with another, to whose thread it goes when that is not this one.
    pub(super) fn bridge(&mut self, now: Instant, index: usize, with: LegKey) {
        self.part(now, index);
        self.leave_mix(now, index);
        if let Some(&peer) = self.places.get(&with) {
            if peer != index {
                self.join(now, index, peer);
            }
            return;
        }
        let thread = self.thread_of(with);
        if thread == self.index {
            tracing::debug!(leg = %with, "bridge with a closed leg");
            return;
        }
        self.move_to(thread, index, Command::Bridge { with });
    }

    pub(super) fn join(&mut self, now: Instant, a: usize, b: usize) {
        self.part(now, b);
        self.leave_mix(now, b);
        for (one, other) in [(a, b), (b, a)] {
            let Some(with) = self.slots[other].as_ref().map(|slot| slot.key) else { return };
            if let Some(slot) = &mut self.slots[one] {
                slot.peer = Some(other);
            }
            self.handle(now, one, Input::Command(Command::Bridge { with }));
            self.drain(now, one);
        }
    }

    /// Takes a leg and the one it is bridged to apart.
    pub(super) fn part(&mut self, now: Instant, index: usize) {
        let Some(peer) = self.slots[index].as_mut().and_then(|slot| slot.peer.take()) else { return };
        if let Some(slot) = &mut self.slots[peer] {
            slot.peer = None;
        }
        for one in [index, peer] {
            self.handle(now, one, Input::Command(Command::Unbridge));
            self.drain(now, one);
        }
    }

    /// Gives a leg away to another thread, which is to do that with it.
    pub(super) fn move_to(&mut self, thread: usize, index: usize, to: Command) {
        let Some(mut slot) = self.vacate(index) else { return };
        for (socket, kind) in slot.sockets() {
            if kind != RTP || slot.watched {
                self.epoll.remove(socket);
            }
        }
        slot.watched = false;
        slot.visited.push(self.index);
        self.moved.insert(slot.key, thread);
        self.pass_on(thread, Message::Adopt { slot: Box::new(slot), to });
    }

    pub(super) fn adopt(&mut self, now: Instant, slot: Slot, to: Command) {
        let key = slot.key;
        self.moved.remove(&key);
        self.settle(slot);
        self.command(now, key, to);
    }

    /// The thread that has a leg that is not here, or knows who has it.
    pub(super) fn thread_of(&self, key: LegKey) -> usize {
        self.moved.get(&key).copied().unwrap_or((key.0 % self.queues.len() as u64) as usize)
    }

    pub(super) fn pass_on(&mut self, thread: usize, message: Message) {
        if self.pending.len() >= QUEUE {
            tracing::error!(thread, "media thread does not take messages, one is lost");
            return;
        }
        self.pending.push_back((thread, message));
        self.pass_on_pending();
    }

    /// In their order; the first that finds a full queue holds up the rest until the next slice.
    pub(super) fn pass_on_pending(&mut self) {
        while let Some((thread, message)) = self.pending.pop_front() {
            let Some(queue) = self.queues.get(thread) else { continue };
            match queue.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Full(message)) => {
                    self.pending.push_front((thread, message));
                    return;
                }
                Err(TrySendError::Disconnected(_)) => {
                    tracing::error!(thread, "media thread is gone, message lost");
                }
            }
        }
    }
}
