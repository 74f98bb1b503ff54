//! SIP over WebSocket (RFC 7118): one message a frame, over HTTP connections that somebody else has accepted.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use opentact_sip::flow::{Flow, Transport};
use tokio::sync::mpsc;

use super::keep_alive::{PING, PONG};
use super::seats::Seat;
use super::tcp::{self, FAREWELL, Task};
use super::{Inbound, Transports};

/// Where it is served.
const PATH: &str = "/sip";
/// RFC 7118 4.1.
const SUBPROTOCOL: &str = "sip";
/// Seconds that a client is told to wait for a place.
const WAIT: &str = "5";

/// Who a client is whose connection comes from an address, by it and X-Forwarded-For.
pub type ClientAddress = Arc<dyn Fn(IpAddr, Option<&str>) -> IpAddr + Send + Sync>;

/// An HTTP listener as far as SIP is spoken there.
#[derive(Clone)]
pub struct WsDoor {
    /// Whether what comes in was encrypted on its way (WSS).
    pub secure: bool,
    /// Its address: what Via and Contact name.
    pub local: SocketAddr,
    pub client: ClientAddress,
}

#[derive(Clone)]
struct Entrance {
    transports: Arc<Transports>,
    door: WsDoor,
}

/// The route of SIP over WebSocket, to be served with connect info.
pub(crate) fn router(transports: Arc<Transports>, mut door: WsDoor) -> Router {
    door.local = super::own::advertised(door.local);
    Router::new().route(PATH, get(upgrade)).with_state(Entrance { transports, door })
}

async fn upgrade(
    State(Entrance { transports, door }): State<Entrance>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.protocols([SUBPROTOCOL]),
        Err(rejection) => return rejection.into_response(),
    };
    if upgrade.selected_protocol().is_none() {
        return (StatusCode::BAD_REQUEST, "the WebSocket subprotocol spoken here is sip").into_response();
    }
    let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let remote = SocketAddr::new((door.client)(peer.ip(), forwarded), peer.port());
    if transports.refuses(remote.ip()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some(seat) = transports.seat(remote) else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, WAIT)]).into_response();
    };
    let limit = transports.limits.message;
    // Of what is longer than any message may be no more is read than it takes to say so.
    upgrade.max_message_size(limit * 2).max_frame_size(limit * 2).on_upgrade(move |socket| async move {
        let transport = if door.secure { Transport::Wss } else { Transport::Ws };
        let local = transports.outside.face(door.local, remote.ip());
        serve(transports, transport, local, remote, socket, seat).await;
    })
}

async fn serve(
    transports: Arc<Transports>,
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    socket: WebSocket,
    seat: Seat,
) {
    let flow = Flow { transport, local, remote, connection: transports.next_connection() * 2 };
    let Task { flow, queue, stop, seat: _seat } = tcp::register(&transports, flow, None, Vec::new(), seat);
    let (sink, stream) = socket.split();
    let mut writing = tokio::spawn(write(sink, queue, transports.clone()));
    let (code, reason) = tokio::select! {
        () = stop.cancelled() => (close_code::AWAY, "closed"),
        ended = read(&transports, stream, flow) => ended,
    };
    // Without the queue's sender the writer finishes what it holds: if the peer reads it.
    tcp::fail(&transports, flow, &stop, reason).await;
    let farewell = async {
        if let Ok(Some(mut sink)) = (&mut writing).await {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            // It may be the peer who has gone.
            let _ = sink.send(Message::Close(Some(frame))).await;
            let _ = sink.close().await;
        }
    };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        writing.abort();
    }
}

/// Writes what is queued, and pings in between: a peer that is there answers. Gives the connection back where it still
/// works.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Bytes>,
    transports: Arc<Transports>,
) -> Option<SplitSink<WebSocket, Message>> {
    let period = transports.limits.ping;
    let mut pings = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            bytes = queue.recv() => match bytes {
                Some(bytes) => frame(bytes),
                None => return Some(sink),
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        sink.send(message).await.ok()?;
    }
}

/// Text where it is text, as RFC 7118 5.1 leaves open: some clients take nothing else.
fn frame(bytes: Bytes) -> Message {
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}

/// Reads messages until the peer ends, errs or answers no ping; says with which code to close, and why.
async fn read(
    transports: &Transports,
    mut stream: SplitStream<WebSocket>,
    flow: Flow,
) -> (axum::extract::ws::CloseCode, &'static str) {
    loop {
        let bytes = match tokio::time::timeout(transports.limits.ping * 2, stream.next()).await {
            Err(_) => return (close_code::AWAY, "no answer to a ping"),
            Ok(None | Some(Ok(Message::Close(_)))) => return (close_code::NORMAL, "peer closed"),
            Ok(Some(Err(_))) => return (close_code::PROTOCOL, "not readable"),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Text(text)))) => Bytes::from(text),
            Ok(Some(Ok(Message::Binary(bytes)))) => bytes,
        };
        if bytes.len() > transports.limits.message {
            transports.malformed(&flow);
            return (close_code::SIZE, "message too long");
        }
        if bytes.iter().all(|octet| matches!(octet, b'\r' | b'\n')) {
            // RFC 7118 6 allows them beside the ping of WebSocket.
            if bytes == PING
                && let Some(connection) = transports.connections.get(&flow.connection)
            {
                connection.send(Bytes::from_static(PONG));
            }
            continue;
        }
        if transports.drops(&flow, &bytes) {
            if transports.refuses(flow.remote.ip()) {
                return (close_code::POLICY, "banned");
            }
            continue;
        }
        // Cut out of a buffer that is larger: what is kept of it keeps no more than itself.
        let bytes = Bytes::copy_from_slice(&bytes);
        if transports.inbox.send(Inbound::Message { bytes, flow, at: Instant::now() }).await.is_err() {
            return (close_code::AWAY, "stopping");
        }
    }
}
