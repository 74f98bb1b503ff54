//! A leg's place on its thread, with its sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use opentact_media::{Event, Leg, LegKey, MixKey};

use super::super::net::{self, Epoll};
use super::super::ports::PortPair;
use super::super::tap::TapEnd;

pub(in super::super) struct Slot {
    pub(super) key: LegKey,
    pub(super) leg: Box<Leg>,
    pub(super) pair: PortPair,
    /// Of its video, where that has ports of its own.
    pub(super) video: Option<PortPair>,
    /// Place of the leg it is bridged to.
    pub(super) peer: Option<usize>,
    /// Its RTP socket is among those of epoll.
    pub(super) watched: bool,
    /// Whom alone its RTP socket hears and speaks to.
    pub(super) partner: Option<SocketAddr>,
    /// What it was told last: its time only moves forward.
    pub(super) clock: Instant,
    /// The mix it is in.
    pub(super) mix: Option<MixKey>,
    pub(super) tap: Option<TapEnd>,
    /// Threads that still pass its commands on.
    pub(super) visited: Vec<usize>,
    /// It recorded, and its last event must not overtake that of its recordings.
    pub(super) recorded: bool,
    /// Its last event, told when its place and its ports are free.
    pub(super) farewell: Option<Event>,
}

/// What the sockets of a leg are for, told by their tokens.
pub(super) const RTP: u64 = 0;
pub(super) const RTCP: u64 = 1;
pub(super) const VIDEO_RTP: u64 = 2;
pub(super) const VIDEO_RTCP: u64 = 3;
pub(super) const KINDS: u64 = 4;

impl Slot {
    pub(super) fn sockets(&self) -> impl Iterator<Item = (&UdpSocket, u64)> {
        let video = self.video.iter().flat_map(|pair| [(&pair.rtp, VIDEO_RTP), (&pair.rtcp, VIDEO_RTCP)]);
        [(&self.pair.rtp, RTP), (&self.pair.rtcp, RTCP)].into_iter().chain(video)
    }

    /// Ties the RTP socket to whom it speaks to, which spares the kernel looking for a way with every packet; or unties it, as
    /// somebody else may be heard.
    pub(super) fn meet(&mut self, partner: Option<SocketAddr>) {
        match net::connect(&self.pair.rtp, partner) {
            Ok(()) => self.partner = partner,
            // Both ways it goes on as it was: where it could be tied it can be untied.
            Err(error) => tracing::debug!(leg = %self.key, %error, "cannot connect the socket of a leg"),
        }
    }
}

/// Watches the sockets of a leg that are not watched yet, but for that of RTP, which has its times.
pub(super) fn watch(epoll: &Epoll, slot: &Slot, index: usize) {
    for (socket, kind) in slot.sockets().filter(|(_, kind)| *kind != RTP) {
        if let Err(error) = epoll.add(socket, index as u64 * KINDS + kind)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            tracing::error!(leg = %slot.key, %error, "leg will not hear: cannot watch its socket");
        }
    }
}

/// A leg and the one it is bridged to.
pub(super) fn with_peer(slots: &mut [Option<Slot>], index: usize) -> Option<(&mut Slot, Option<&mut Slot>)> {
    let peer = slots.get(index)?.as_ref()?.peer.filter(|peer| *peer != index);
    match peer {
        None => slots[index].as_mut().map(|slot| (slot, None)),
        Some(peer) => match slots.get_disjoint_mut([index, peer]) {
            Ok([Some(slot), peer]) => Some((slot, peer.as_mut())),
            _ => None,
        },
    }
}
