//! One ESME of a customer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use opentact_messaging::smpp::{
    Address, Bind, BindKind, Config, Event, Input, MessageState, Outcome, Role, ShortMessage, Status,
};
use opentact_store::smpp::Submit;
use opentact_store::sms::Sms;
use opentact_store::types::SmsState;
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::submit::{Esme, submit};
use super::{Seat, ServerTls, Shared, Unanswered};
use crate::smpp::delivery;
use crate::smpp::link::Link;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
const SYSTEM_ID: &str = "opentact";
/// How long an ESME may take to say goodbye when the server ends.
const GOODBYE: Duration = Duration::from_secs(2);
/// Pause before an ESME that refused something is told it again.
const AGAIN: Duration = Duration::from_secs(5);
/// How often what is to be told is looked for when nothing calls for it.
const LOOK: Duration = Duration::from_secs(30);

/// Something that is told, in one deliver_sm or several.
struct Telling {
    what: What,
    /// deliver_sm without answer.
    open: usize,
    refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A receipt: of this submit_sm.
    Receipt(Uuid),
    Inbound(Uuid),
}

impl What {
    fn id(self) -> Uuid {
        match self {
            What::Receipt(id) | What::Inbound(id) => id,
        }
    }
}

pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, tls: Option<ServerTls>, shared: Arc<Shared>) {
    let mut config = Config::new(Role::Smsc { system_id: SYSTEM_ID.to_owned() });
    config.window = shared.config.window;
    config.inbound = shared.config.window;
    let link = tokio::time::timeout(HANDSHAKE, async {
        let Some(tls) = tls else { return Link::new(stream, config) };
        stream.set_nodelay(true)?;
        Ok(Link::over(Box::new(TlsAcceptor::from(tls()).accept(stream).await?), config))
    });
    match link.await.unwrap_or_else(|late| Err(late.into())) {
        Ok(link) => {
            let session = Session {
                shared: shared.clone(),
                peer,
                link,
                esme: None,
                seat: None,
                receives: false,
                next_id: 0,
                sent: HashMap::new(),
                telling: HashMap::new(),
                next_submit: Instant::now(),
            };
            session.run().await;
        }
        Err(error) => debug!(%peer, %error, "SMPP connection unusable"),
    }
}

struct Session {
    shared: Arc<Shared>,
    peer: SocketAddr,
    link: Link,
    esme: Option<Esme>,
    seat: Option<Seat>,
    /// It is bound as one that is told.
    receives: bool,
    next_id: u64,
    /// deliver_sm without answer: what each is of.
    sent: HashMap<u64, Uuid>,
    telling: HashMap<Uuid, Telling>,
    /// When the next submit_sm is within the rate.
    next_submit: Instant,
}

impl Session {
    async fn run(mut self) {
        let mut news = self.shared.news.subscribe();
        // Tasks of their own: one that holds a connection of the database goes on while this one waits for it.
        let mut binding = JoinSet::new();
        let mut submitting = JoinSet::new();
        let mut look = tokio::time::interval(LOOK);
        let mut leave_by: Option<Instant> = None;
        loop {
            tokio::select! {
                event = self.link.next() => match event {
                    None => break,
                    Some(Event::Bind(bind)) => drop(binding.spawn(admit(self.shared.clone(), bind))),
                    Some(Event::Bound { kind, .. }) => {
                        self.receives = kind != BindKind::Transmitter;
                        self.begin().await;
                    }
                    Some(Event::Message { sequence, message }) => match (self.esme, self.is_within_rate()) {
                        (Some(esme), true) => {
                            let shared = self.shared.clone();
                            let unanswered = Unanswered::new(&shared, esme.account);
                            submitting.spawn(async move {
                                let result = submit(&shared, esme, unanswered.submit, message).await;
                                (sequence, result, unanswered)
                            });
                        }
                        _ => self.link.handle(Input::Answer { sequence, result: Err(Status::THROTTLED) }),
                    },
                    Some(Event::Ended { id, outcome }) => self.ended(id, &outcome).await,
                    Some(Event::Closed(reason)) => debug!(peer = %self.peer, %reason, "SMPP session ended"),
                },
                Some(admitted) = binding.join_next() => self.bound(admitted.unwrap_or(Err(Status::SYSTEM_ERROR))),
                Some(submitted) = submitting.join_next() => match submitted {
                    Ok((sequence, result, unanswered)) => {
                        self.link.handle(Input::Answer { sequence, result });
                        drop(unanswered);
                    }
                    // The ESME submits again what is not answered.
                    Err(error) => error!(peer = %self.peer, %error, "a submit_sm died"),
                },
                heard = news.recv() => match heard {
                    Ok(account) if self.esme.is_none_or(|esme| esme.account != account) => {}
                    // With too much at once it looks, too.
                    Ok(_) | Err(RecvError::Lagged(_)) => self.look().await,
                    Err(RecvError::Closed) => break,
                },
                _ = look.tick() => self.look().await,
                () = self.shared.stop.cancelled(), if leave_by.is_none() => {
                    leave_by = Some(Instant::now() + GOODBYE);
                    self.link.handle(Input::Unbind);
                }
                () = tokio::time::sleep_until(leave_by.unwrap_or_else(Instant::now)), if leave_by.is_some() => break,
            }
        }
        // What is on disk is answered by nobody any more, and yet goes its way.
        submitting.detach_all();
        self.leave();
    }

    fn bound(&mut self, admitted: Result<(Esme, Seat), Status>) {
        match admitted {
            Ok((esme, seat)) => {
                (self.esme, self.seat) = (Some(esme), Some(seat));
                info!(peer = %self.peer, account = %esme.account, "SMPP bind");
                self.link.handle(Input::AnswerBind(Ok(())));
            }
            Err(status) => {
                if status == Status::INVALID_PASSWORD {
                    self.shared.failed(self.peer.ip());
                }
                info!(peer = %self.peer, %status, "SMPP bind refused");
                self.link.handle(Input::AnswerBind(Err(status)));
            }
        }
    }

    /// From now on inbound messages of the account are kept for its binds.
    async fn begin(&mut self) {
        let Some(esme) = self.esme.filter(|_| self.receives) else { return };
        if let Err(error) = self.shared.store.tokens().smpp_bound(esme.token).await {
            warn!(%error, "a bind is not written");
        }
        self.look().await;
    }

    /// Evenly spread, a tenth of a second's worth at once.
    fn is_within_rate(&mut self) -> bool {
        let rate = self.shared.config.rate;
        if rate == 0 {
            return true;
        }
        let now = Instant::now();
        if self.next_submit > now + Duration::from_millis(100) {
            return false;
        }
        self.next_submit = self.next_submit.max(now) + Duration::from_secs(1) / rate;
        true
    }

    /// Tells what is to be told, as far as there is room.
    async fn look(&mut self) {
        let Some(esme) = self.esme.filter(|_| self.receives) else { return };
        let room = self.shared.config.window.saturating_sub(self.telling.len()) as u64;
        if room == 0 {
            return;
        }
        // Others of the same account may be telling as many.
        let busy = self.shared.under_way.lock().len() + self.shared.unanswered.lock().len();
        let limit = room + busy as u64;
        let smpp = self.shared.store.smpp();
        let (receipts, inbound) = (smpp.receipts(esme.token, limit).await, smpp.inbound(esme.account, limit).await);
        let (receipts, inbound) = match (receipts, inbound) {
            (Ok(receipts), Ok(inbound)) => (receipts, inbound),
            (Err(error), _) | (_, Err(error)) => return warn!(%error, "what is to be told is not read"),
        };
        for (row, sms) in receipts {
            if let Some(is_waited_for) = self.shared.unanswered.lock().get_mut(&row.uuid) {
                *is_waited_for = true;
                continue;
            }
            self.tell(What::Receipt(row.uuid), || Some(vec![receipt(&row, sms.as_ref())]));
        }
        for sms in inbound {
            self.tell(What::Inbound(sms.uuid), || text(&sms));
        }
    }

    fn tell(&mut self, what: What, messages: impl FnOnce() -> Option<Vec<ShortMessage>>) {
        if self.telling.len() >= self.shared.config.window || !self.shared.under_way.lock().insert(what.id()) {
            return;
        }
        let Some(messages) = messages() else {
            // It stays where it is, and is not looked at again in this run.
            return warn!(id = %what.id(), "cannot be told by SMPP");
        };
        self.telling.insert(what.id(), Telling { what, open: messages.len(), refused: false });
        for message in messages {
            self.next_id += 1;
            self.sent.insert(self.next_id, what.id());
            self.link.handle(Input::Send { id: self.next_id, message });
        }
    }

    async fn ended(&mut self, id: u64, outcome: &Outcome) {
        let Some(what) = self.sent.remove(&id) else { return };
        let Some(telling) = self.telling.get_mut(&what) else { return };
        telling.open -= 1;
        telling.refused |= !matches!(outcome, Outcome::Accepted { .. });
        if telling.open > 0 {
            return;
        }
        let Some(Telling { what, refused, .. }) = self.telling.remove(&what) else { return };
        let smpp = self.shared.store.smpp();
        let told = match what {
            _ if refused => return self.again(what.id()),
            What::Receipt(id) => smpp.forget(&[id]).await,
            What::Inbound(id) => smpp.inbound_told(id).await,
        };
        if let Err(error) = told {
            warn!(%error, "what was told is not written");
            return self.again(what.id());
        }
        self.shared.under_way.lock().remove(&what.id());
        if self.telling.len() <= self.shared.config.window / 2 {
            self.look().await;
        }
    }

    /// Lets it rest a little.
    fn again(&self, id: Uuid) {
        let (shared, account) = (self.shared.clone(), self.esme.map(|esme| esme.account));
        self.shared.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = shared.stop.cancelled() => {}
            }
            shared.under_way.lock().remove(&id);
            if let Some(account) = account {
                let _ = shared.news.send(account);
            }
        });
    }

    /// What it was being told is told to others.
    fn leave(self) {
        let mut under_way = self.shared.under_way.lock();
        for id in self.telling.keys() {
            under_way.remove(id);
        }
        drop(under_way);
        if let Some(esme) = self.esme {
            let _ = self.shared.news.send(esme.account);
        }
    }
}

/// Who wants in: by a token as password, or by the system id and password that a token has.
async fn admit(shared: Arc<Shared>, bind: Bind) -> Result<(Esme, Seat), Status> {
    let tokens = shared.store.tokens();
    let found = async {
        match tokens.authenticate_smpp(&bind.system_id, &bind.password).await? {
            Some(found) => Ok(Some(found)),
            None => tokens.authenticate(&bind.password).await,
        }
    };
    let (token, user, account) = match found.await {
        Ok(Some(found)) => found,
        Ok(None) => return Err(Status::INVALID_PASSWORD),
        Err(error) => {
            warn!(%error, "an SMPP bind cannot be checked");
            return Err(Status::SYSTEM_ERROR);
        }
    };
    let may = token.scopes.is_empty() || token.scopes.iter().any(|scope| scope == "sms:write");
    if !may || account.disabled_on.is_some() {
        return Err(Status::BIND_FAILED);
    }
    let seat = Seat::take(&shared, account.uuid).ok_or(Status::BIND_FAILED)?;
    Ok((Esme { account: account.uuid, token: token.uuid, user: user.uuid }, seat))
}

fn receipt(submit: &Submit, sms: Option<&Sms>) -> ShortMessage {
    let id = submit.uuid.simple().to_string();
    let (from, to) = (Address::e164(submit.from.get()), Address::e164(submit.to.get()));
    let text = sms.map_or("", |sms| &sms.message);
    delivery::receipt(&id, state(sms), &from, &to, text)
}

/// By how the message ended; one that never became whole has none.
fn state(sms: Option<&Sms>) -> MessageState {
    let Some(sms) = sms else { return MessageState::Undeliverable };
    if sms.state == SmsState::Success {
        return if sms.delivered { MessageState::Delivered } else { MessageState::Enroute };
    }
    match sms.reason.as_deref().unwrap_or_default() {
        reason if reason.starts_with("EXPIRED") || reason == crate::messages::QUEUING_TIMEOUT => MessageState::Expired,
        reason if reason.starts_with("DELETED") || reason == crate::messages::CANCELED => MessageState::Deleted,
        reason if reason.starts_with("UNDELIV") || reason == crate::messages::NO_ANSWER => MessageState::Undeliverable,
        _ => MessageState::Rejected,
    }
}

fn text(sms: &Sms) -> Option<Vec<ShortMessage>> {
    let [.., reference] = *sms.uuid.as_bytes();
    let number = |text: &str| text.trim_start_matches('+').parse().ok();
    delivery::text(number(&sms.from)?, number(&sms.to)?, &sms.message, reference).ok()
}
