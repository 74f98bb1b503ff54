//! A leg as the engine holds it: SIP sessions on one side, a media leg on the other.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use opentact_call::LegId;
use opentact_call::q850::Q850;
use opentact_sip::message::Request;
use opentact_sip::sdp::Session;
use opentact_sip::ua::SessionId;
use opentact_sip::uri::NameAddr;
use opentact_store::types::{now, ordered_uuid};
use uuid::Uuid;

use super::channels::Channel;
use super::credit::Credit;
use super::described::Media;
use super::negotiate::Headers;
use crate::router::{Attempt, LegContext, Over};
use crate::spend::Spending;
use crate::stir::Outgoing;

/// Legs' rows are written and asked for by the time they began.
pub(crate) fn new_leg() -> LegId {
    LegId(ordered_uuid(now()))
}

pub(super) struct Leg {
    pub(super) id: LegId,
    /// The origin leg of the call this one belongs to: the key of the call table.
    pub(super) call: LegId,
    pub(super) context: LegContext,
    pub(super) media: Option<Media>,
    /// The leg it is bridged with.
    pub(super) with: Option<LegId>,
    /// Its party has put the other on hold.
    pub(super) holds: bool,
    pub(super) role: Role,
    /// Of the trunk it came from, or of the outbound voice profile it was dialled by.
    pub(super) channel: Option<Channel>,
    /// What it costs, where its outbound voice profile limits that.
    pub(super) spending: Option<Arc<Spending>>,
    /// What is held back of the account's balance for it, where it costs.
    pub(super) credit: Option<Credit>,
    /// Signalling is over; media is closed or closing.
    pub(super) ended: bool,
}

pub(super) enum Role {
    Inbound(Inbound),
    Outbound(Outbound),
}

pub(super) struct Inbound {
    pub(super) session: SessionId,
    pub(super) request: Request,
    pub(super) answered: bool,
}

#[derive(Default)]
pub(super) struct Outbound {
    /// The INVITEs now ringing.
    pub(super) branches: Vec<SessionId>,
    pub(super) answered: Option<SessionId>,
    /// Of the trunk that is tried or has answered.
    pub(super) channel: Option<Channel>,
    /// Where the INVITE of a single place went.
    pub(super) trying: Option<SocketAddr>,
    /// The trunk that is tried or has answered, and since when.
    pub(super) over: Option<(Arc<Over>, Instant)>,
    /// When it began to ring, and when it answered.
    pub(super) rang_at: Option<Instant>,
    pub(super) answered_at: Option<Instant>,
    /// What to try when all branches have failed.
    pub(super) attempts: VecDeque<Attempt>,
    pub(super) from: Option<NameAddr>,
    /// Max-Breadth given to the branches that ring (RFC 5393).
    pub(super) breadth: u32,
    /// Headers that say who calls.
    pub(super) identity: Headers,
    /// Who vouches for the caller.
    pub(super) stir: Option<Outgoing>,
    pub(super) to: Option<NameAddr>,
    /// Where its audio comes in.
    pub(super) address: Option<SocketAddr>,
    /// The most telling failure so far.
    pub(super) failure: Option<(u16, Q850, String)>,
    pub(super) ringing: bool,
    /// A place has answered with media before the answer: what it says was heard, and no other is tried in its stead.
    pub(super) heard: bool,
    /// The early dialog whose media flows: its session and remote tag.
    pub(super) early: Option<(SessionId, Bytes)>,
}

impl Outbound {
    /// Whether the media is that of this early dialog.
    pub(super) fn hears(&self, session: SessionId, tag: Option<&[u8]>) -> bool {
        self.early.as_ref().is_some_and(|(heard, early)| *heard == session && Some(&early[..]) == tag)
    }
}

impl Leg {
    /// Signalling is over: others may have its channels, and it costs no more.
    pub(super) fn free_channels(&mut self) {
        self.channel = None;
        self.spending = None;
        if let Role::Outbound(outbound) = &mut self.role {
            outbound.channel = None;
        }
    }

    /// What it has offered, of a leg that calls.
    pub(super) fn offer(&self) -> Option<Session> {
        match &self.role {
            Role::Inbound(inbound) => Session::parse(inbound.request.body()).ok(),
            Role::Outbound(_) => None,
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        match &self.role {
            Role::Inbound(inbound) => inbound.answered,
            Role::Outbound(outbound) => outbound.answered.is_some(),
        }
    }

    /// The SIP user whose phone is at its other end, where that is sure: a number that rings a user names the user too, so
    /// that of those who call only the caller of a domain is one.
    pub(super) fn user(&self) -> Option<Uuid> {
        match self.role {
            Role::Inbound(_) if self.context.domain.is_none() => None,
            Role::Inbound(_) | Role::Outbound(_) => self.context.sip_user,
        }
    }

    /// Whether the leg stands and falls with this session. An outbound leg does with none until one has answered.
    pub(super) fn is_carried_by(&self, session: SessionId) -> bool {
        match &self.role {
            Role::Inbound(inbound) => inbound.session == session,
            Role::Outbound(outbound) => outbound.answered == Some(session),
        }
    }
}
