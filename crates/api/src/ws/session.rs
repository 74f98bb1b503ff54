//! One websocket from its upgrade to its close.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use http::Method;
use opentact_events::{Ended, Filter, Published, Subscription};
use opentact_store::types::{Channel, now};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::protocol::{self, Frame, close};
use crate::auth::{Caller, Credential, authenticate};
use crate::state::ApiState;

/// How long a peer that is being closed may take to read the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a websocket ends: what the peer is told.
#[derive(Debug)]
struct Close {
    code: u16,
    reason: &'static str,
}

/// The peer is gone; nobody is left to be told.
#[derive(Debug)]
enum End {
    Close(Close),
    Gone,
}

impl End {
    fn close(code: u16, reason: &'static str) -> Self {
        Self::Close(Close { code, reason })
    }
}

pub(super) async fn run(state: ApiState, mut socket: WebSocket, address: IpAddr) {
    let end = match session(&state, &mut socket, address).await {
        Ok(never) => match never {},
        Err(end) => end,
    };
    let frame = match end {
        End::Gone => return,
        End::Close(Close { code, reason }) => {
            tracing::debug!(code, reason, %address, "websocket closed");
            metrics::counter!("api_websocket_closes_total", "code" => code.to_string()).increment(1);
            CloseFrame { code, reason: Utf8Bytes::from_static(reason) }
        }
    };
    // A peer that reads nothing must not hold the task.
    let _ = timeout(CLOSE_TIMEOUT, async {
        socket.send(Message::Close(Some(frame))).await?;
        // RFC 6455 7.1.1: the peer's close frame comes before the end of the stream.
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<_, axum::Error>(())
    })
    .await;
}

async fn session(state: &ApiState, socket: &mut WebSocket, address: IpAddr) -> Result<std::convert::Infallible, End> {
    let caller = authenticated(state, socket, address).await?;
    let seat = state.seats.take(caller.account(), state.settings.websocket.per_account);
    let Some(_seat) = seat else {
        return Err(End::close(close::TOO_MANY, "too many websockets of the account"));
    };
    let filter = subscribed(state, &caller).await?;
    // Listens before it says so: nothing that happens after the `auth` event is missed.
    let events = state.hub.subscribe(caller.account(), Some(caller.user.uuid), filter);
    let mut session = Session { state, socket, caller, events, chosen: None, heard: Instant::now() };
    let hello = opentact_events::auth(Uuid::new_v4(), address, &session.caller.user, &session.caller.account, now());
    session.send(&hello).await?;
    session.run().await
}

/// What the user's subscriptions let through.
async fn subscribed(state: &ApiState, caller: &Caller) -> Result<Filter, End> {
    match state.store.subscriptions().list(caller.account(), caller.user.uuid).await {
        Ok(rows) => Ok(Filter::of_subscriptions(&rows, Channel::Wss)),
        Err(error) => {
            tracing::error!(%error, "subscriptions of a websocket");
            Err(End::close(close::INTERNAL, "internal error"))
        }
    }
}

/// Waits for the `auth` frame. Whatever else comes before it ends the connection, so that a stranger costs little.
async fn authenticated(state: &ApiState, socket: &mut WebSocket, address: IpAddr) -> Result<Caller, End> {
    let deadline = Instant::now() + state.settings.websocket.auth_timeout;
    let refused = || End::close(close::UNAUTHORIZED, "unauthorized");
    loop {
        let message = timeout_at(deadline, socket.recv()).await.map_err(|_| refused())?;
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            // Answered by the protocol layer.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => return Err(refused()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        };
        let Ok(Frame::Auth(credential)) = Frame::read(&text) else { return Err(refused()) };
        let checked = timeout_at(deadline, authenticate(state, Credential::Bearer(credential), address)).await;
        let caller = checked.ok().and_then(Result::ok).ok_or_else(refused)?;
        if !caller.scopes.allow(&Method::GET, "/rest/event") {
            return Err(refused());
        }
        return Ok(caller);
    }
}

struct Session<'a> {
    state: &'a ApiState,
    socket: &'a mut WebSocket,
    caller: Caller,
    events: Subscription,
    /// Types that the client chose itself, instead of the user's subscriptions.
    chosen: Option<Filter>,
    /// When the peer last sent anything.
    heard: Instant,
}

impl Session<'_> {
    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        let interval = self.state.settings.websocket.ping_interval;
        loop {
            let silent = self.heard + interval;
            tokio::select! {
                event = self.events.recv() => self.deliver(event).await?,
                message = self.socket.recv() => {
                    self.heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.frame(&text).await?,
                        Some(Ok(Message::Binary(_))) => {
                            return Err(End::close(close::UNSUPPORTED, "text frames only"));
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
                    }
                }
                () = tokio::time::sleep_until(silent) => self.probe(silent, interval).await?,
            }
        }
    }

    /// A silent peer is pinged, and gone when it does not answer in another interval.
    async fn probe(&mut self, silent: Instant, interval: Duration) -> Result<(), End> {
        self.write(Message::Ping(bytes::Bytes::new())).await?;
        let answer = timeout_at(silent + interval, self.socket.recv()).await;
        match answer {
            Ok(Some(Ok(message))) => {
                self.heard = Instant::now();
                match message {
                    Message::Text(text) => self.frame(&text).await,
                    Message::Close(_) => Err(End::Gone),
                    _ => Ok(()),
                }
            }
            _ => Err(End::Gone),
        }
    }

    async fn deliver(&mut self, event: Result<Arc<Published>, Ended>) -> Result<(), End> {
        match event {
            Ok(event) => self.write(Message::Text(Utf8Bytes::from(&*event.body))).await,
            Err(Ended::Lagged { .. }) => Err(End::close(close::TOO_SLOW, "too slow, resume with after")),
            Err(Ended::Closed) => Err(End::close(close::GOING_AWAY, "server is going down")),
            Err(Ended::Store(error)) => {
                tracing::error!(%error, "replay on a websocket");
                Err(End::close(close::INTERNAL, "internal error"))
            }
        }
    }

    async fn frame(&mut self, text: &str) -> Result<(), End> {
        match Frame::read(text) {
            Ok(Frame::Ping(payload)) => self.send(&protocol::pong(payload)).await,
            Ok(Frame::Subscribe { types, after }) => {
                if let Some(types) = &types {
                    let filter = Filter::types(types.iter().copied());
                    self.events.refilter(filter.clone());
                    self.chosen = Some(filter);
                }
                if let Some(after) = after {
                    self.replay(i64::try_from(after).unwrap_or(i64::MAX)).await?;
                }
                self.send(&protocol::subscribed(types.as_deref(), after)).await
            }
            Ok(Frame::Auth(_)) => self.send(&protocol::error("already authenticated")).await,
            Err(fault) => self.send(&protocol::error(&fault)).await,
        }
    }

    /// Listens anew, from the log first.
    async fn replay(&mut self, after: i64) -> Result<(), End> {
        let filter = match &self.chosen {
            Some(filter) => filter.clone(),
            None => subscribed(self.state, &self.caller).await?,
        };
        let (account, user) = (self.caller.account(), Some(self.caller.user.uuid));
        self.events = self.state.hub.subscribe_after(account, user, filter, after);
        Ok(())
    }

    async fn send(&mut self, object: &Value) -> Result<(), End> {
        self.write(Message::Text(object.to_string().into())).await
    }

    /// A write that does not get through in time is the mark of a peer that does not read.
    async fn write(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.state.settings.websocket.write_timeout, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::close(close::TOO_SLOW, "too slow, resume with after")),
        }
    }
}
